//! The node: takes events, moves both tiers on, and collects actions.

use crate::ahead::Ahead;
use crate::catch_up::{CatchUp, Peers};
use crate::cluster::Cluster;
use crate::config::{Config, ConfigError};
use crate::event::{
    Action, Answer, Compute, Event, Fault, FaultKind, NodeIndex, NodeStatus, Priority, Query, StarAnswer,
    TransactionState,
};
use crate::galaxy::Galaxy;
use crate::journal::JournalRecord;
use crate::membership::{Activity, Directory, Membership};
use crate::message::Message;
use crate::misconduct::Proofs;
use crate::offers::Offers;
use crate::pool::{Dropped, Limits, Pool};
use crate::round::{Round, RoundMessage, Seat};
use crate::serving::Served;
use crate::silence::Silence;
use constellation_acs::JournalEntry;
use constellation_chain::{
    BlackHole, COMMITTEE_MAX, Committee, Hash, Ledger, NetworkId, PublicKey, RoundId, Tier, Transaction,
};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Between two looks at what is late, in microseconds.
const TICK_US: u64 = 20_000;
/// Without progress for this long, a node in the middle of a round asks its peers to say everything again.
const STALLED_US: u64 = 500_000;
/// Between two times that a node, whatever it does, asks a peer how far it is: one that missed the last black hole of a network that has gone quiet, or that
/// is no validator and is told of none, learns of it so.
const QUESTION_US: u64 = 500_000;
/// A round's messages are not sent to the same peer again sooner than this.
const RESEND_US: u64 = 200_000;
/// A lone member's call into a round is heeded this long after the last round.
const LONE_CALL_US: u64 = 250_000;
/// Between two searches for what has waited too long.
const EXPIRE_US: u64 = 5_000_000;

/// The last black hole.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tip {
    pub height: u64,
    pub hash: Hash,
    pub beacon: Hash,
}

/// What a verification was for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Job {
    /// Of a cluster.
    ClusterRound(usize, u64),
    /// Of a cluster, by its hash.
    AdoptLshBlock(usize, Hash),
    BlackHoles,
}

/// Why a stored black hole cannot be replayed: the log and the genesis do not belong together, or the log was made by a broken node.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// It does not follow the one before.
    #[error(
        "the log's black hole {height} does not follow black hole {tip}: is this the log of another network, or was it repaired?"
    )]
    NotNext {
        /// Its height.
        height: u64,
        /// Height of the one before.
        tip: u64,
    },
    /// The ledger does not come out as recorded.
    #[error("the log's {0}")]
    Diverged(String),
}

/// A node of a constellation: facilitator, galaxy validator, and door for the stars, as a pure state machine.
pub struct Node {
    pub(crate) config: Config,
    pub(crate) compute: Arc<dyn Compute>,
    pub(crate) public_key: PublicKey,
    pub(crate) network: NetworkId,
    pub(crate) directory: Directory,
    pub(crate) membership: Membership,
    pub(crate) activity: Activity,
    pub(crate) now_us: u64,
    pub(crate) tip: Tip,
    pub(crate) ledger: Ledger,
    /// Of each cluster: what its stars initiate.
    pub(crate) pools: Vec<Pool>,
    pub(crate) offers: Offers,
    pub(crate) proofs: Proofs,
    pub(crate) clusters: Vec<Cluster>,
    pub(crate) galaxy: Galaxy,
    pub(crate) catch_up: CatchUp,
    pub(crate) peers: Peers,
    pub(crate) ahead: Ahead,
    /// What the journal holds of rounds that are not settled, until the round is entered.
    pub(crate) journal: HashMap<(Tier, u64), Vec<JournalEntry>>,
    pub(crate) out: Vec<Action>,
    pub(crate) faults: Vec<Fault>,
    pub(crate) dropped: Vec<Dropped>,
    pub(crate) galaxy_progress_us: u64,
    pub(crate) silence: Option<Silence>,
    pub(crate) served: HashMap<NodeIndex, Served>,
    jobs: HashMap<u64, (Job, usize)>,
    next_job: u64,
    next_tick_us: u64,
    next_status_us: u64,
    next_question_us: u64,
    next_expire_us: u64,
    resent_us: HashMap<NodeIndex, u64>,
    halted: bool,
}

impl Node {
    /// A node before the first black hole.
    pub fn new(config: Config, compute: Arc<dyn Compute>) -> Result<Self, ConfigError> {
        let public_key = config.key.public_key();
        let node = Node::bystander(config, compute);
        match node.directory.index(Some(&public_key)) {
            Some(_) => Ok(node),
            None => Err(ConfigError::NotInGenesis(public_key)),
        }
    }

    /// A node that may be in no committee: it can follow a chain, and will never speak.
    pub(crate) fn bystander(config: Config, compute: Arc<dyn Compute>) -> Self {
        let genesis = config.genesis.clone();
        let public_key = config.key.public_key();
        let hash = genesis.hash();
        let membership = Membership::new(&config);
        let clusters = Node::first_clusters(&config, &membership);
        Node {
            compute,
            public_key,
            network: genesis.network_id(),
            directory: Directory::new(&config),
            membership,
            activity: Activity::new(&genesis),
            now_us: 0,
            tip: Tip { height: 0, hash, beacon: hash },
            ledger: Ledger::new(&genesis),
            pools: clusters.iter().map(|_| Pool::default()).collect(),
            offers: Offers::default(),
            proofs: Proofs::default(),
            clusters,
            galaxy: Galaxy::new(),
            catch_up: CatchUp::default(),
            peers: Peers::default(),
            ahead: Ahead::default(),
            journal: HashMap::new(),
            out: Vec::new(),
            faults: Vec::new(),
            dropped: Vec::new(),
            galaxy_progress_us: 0,
            silence: None,
            served: HashMap::new(),
            jobs: HashMap::new(),
            next_job: 0,
            next_tick_us: 0,
            next_status_us: 0,
            next_question_us: QUESTION_US,
            next_expire_us: EXPIRE_US,
            resent_us: HashMap::new(),
            halted: false,
            config,
        }
    }

    /// Takes the next black hole of this node's own log, after a restart. Its signatures were verified before it was written.
    pub fn replay(&mut self, black_hole: &BlackHole) -> Result<(), ReplayError> {
        let header = &black_hole.header;
        if header.height() != self.tip.height + 1 || header.previous != self.tip.hash {
            return Err(ReplayError::NotNext { height: header.height(), tip: self.tip.height });
        }
        let succession = self.apply_certified(black_hole).map_err(ReplayError::Diverged)?;
        self.settle_black_hole(black_hole, succession);
        self.out.clear();
        Ok(())
    }

    /// Takes this node's own journal, in order, after the log: what it said in rounds that are not settled it will not contradict.
    pub fn restore(&mut self, records: impl IntoIterator<Item = JournalRecord>) {
        for record in records {
            let settled = match record.tier {
                // A cluster that this node's log does not know yet can be one that it has spoken in: the journal may be ahead of the log.
                Tier::Cluster(id) => self.clusters.get(id as usize).map_or(0, |cluster| cluster.accepted.0),
                Tier::Galaxy => self.tip.height,
            };
            if record.round > settled {
                self.journal.entry((record.tier, record.round)).or_default().push(record.entry);
            }
        }
    }

    /// This node's place in the genesis' list.
    pub fn index(&self) -> NodeIndex {
        self.directory.index(Some(&self.public_key)).unwrap_or_default()
    }

    /// The ledger after the last black hole this node has applied.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The last certified round of each cluster.
    pub fn certified_rounds(&self) -> Vec<u64> {
        self.clusters.iter().map(|cluster| cluster.certified.0).collect()
    }

    /// Height and hash of the last black hole.
    pub fn tip(&self) -> (u64, Hash) {
        (self.tip.height, self.tip.hash)
    }

    /// Takes an event. Actions come from the next [`Node::poll`].
    pub fn handle(&mut self, now_us: u64, event: Event) {
        self.now_us = now_us.max(self.now_us);
        if self.halted {
            return;
        }
        match event {
            Event::Connected(peer) => {
                self.peers.connect(peer);
                self.send_status(peer, true);
            }
            Event::Disconnected(peer) => self.peers.disconnect(peer),
            Event::Message { from, bytes } => self.take_message(from, &bytes),
            Event::Submit { ticket, transactions } => {
                // Who sends again sees no progress: those who could make some may have lost what they were told.
                let admissions = self.admit(transactions, |admission| {
                    matches!(admission, crate::Admission::Admitted | crate::Admission::Known)
                });
                self.out.push(Action::Submitted { ticket, admissions });
            }
            Event::Gossiped(transactions) => {
                self.admit(transactions, |admission| admission == crate::Admission::Admitted);
            }
            Event::Offer { ticket, offer } => {
                let admission = self.offers.admit(offer.clone(), &self.ledger, &self.config, self.now_us);
                if admission == crate::Admission::Admitted {
                    self.out.push(Action::GossipOffer(offer));
                }
                if let Some(ticket) = ticket {
                    self.out.push(Action::Submitted { ticket, admissions: vec![admission] });
                }
            }
            Event::Verified { job, verdicts } => self.take_verdicts(job, &verdicts),
            Event::Query { ticket, query } => {
                let answer = self.answer(query);
                self.out.push(Action::Answer { ticket, answer });
            }
        }
    }

    /// Moves on as far as possible and hands out what has to be done, in order.
    pub fn poll(&mut self, now_us: u64) -> Vec<Action> {
        self.now_us = now_us.max(self.now_us);
        if self.halted {
            return std::mem::take(&mut self.out);
        }
        if self.now_us >= self.next_tick_us {
            self.tick();
        }
        loop {
            while !self.halted && (self.progress_catch_up() | self.progress_clusters() | self.progress_galaxy()) {}
            // Votes that a round says to itself can complete it: a committee of one decides alone.
            if self.halted || !self.flush_rounds() {
                break;
            }
        }
        let faults = std::mem::take(&mut self.faults);
        self.out.extend(faults.into_iter().map(Action::Fault));
        let dropped = std::mem::take(&mut self.dropped);
        self.out.extend(dropped.into_iter().map(|(id, reason)| Action::Dropped { id, reason }));
        std::mem::take(&mut self.out)
    }

    fn flush_rounds(&mut self) -> bool {
        let mut out = std::mem::take(&mut self.out);
        let before = out.len();
        self.flush_clusters(&mut out);
        for round in self.galaxy.rounds_mut() {
            round.flush(&mut out, &mut self.faults);
        }
        self.out = out;
        self.keep_proofs_of_rounds();
        self.out.len() > before
    }

    fn tick(&mut self) {
        self.next_tick_us = self.now_us + TICK_US;
        let rounds = self.clusters.iter_mut().flat_map(|cluster| cluster.rounds.values_mut());
        for round in rounds.chain(self.galaxy.rounds_mut()) {
            round.tick();
        }
        self.ask_for_black_holes();
        self.watch_clusters();
        if self.now_us >= self.next_expire_us {
            self.next_expire_us = self.now_us + EXPIRE_US;
            let oldest_us = self.now_us.saturating_sub(self.config.pool_ttl_us);
            self.pools.iter_mut().for_each(|pool| pool.expire(oldest_us, &mut self.dropped));
            self.offers.expire(self.now_us);
        }
        let is_late = |since_us: u64| self.now_us >= since_us.saturating_add(STALLED_US);
        let stalled = self.galaxy.round().is_some() && is_late(self.galaxy_progress_us)
            || self
                .clusters
                .iter()
                .any(|cluster| cluster.rounds.contains_key(&cluster.current()) && is_late(cluster.progress_us))
            || self.silence.is_some();
        if stalled && self.now_us >= self.next_status_us {
            self.next_status_us = self.now_us + STALLED_US;
            for peer in self.peers.connected().collect::<Vec<_>>() {
                self.send_status(peer, true);
            }
        }
        if self.now_us >= self.next_question_us {
            self.next_question_us = self.now_us + QUESTION_US;
            let connected: Vec<NodeIndex> = self.peers.connected().collect();
            if !connected.is_empty() {
                self.send_status(connected[(self.now_us / QUESTION_US) as usize % connected.len()], true);
            }
        }
    }

    /// Enters a round: with what the journal says this node said, and with what arrived ahead of time.
    pub(crate) fn enter(&mut self, seat: Seat) -> Round {
        let RoundId { tier, number, .. } = seat.id;
        let entries = self.journal.remove(&(tier, number)).unwrap_or_default();
        let mut round = Round::new(seat, self.config.key.clone(), self.compute.clone(), entries);
        for (from, message) in self.ahead.take(tier, number) {
            if let Err(kind) = round.handle(from, message) {
                self.faults.push(Fault { node: from, kind });
            }
        }
        match tier {
            Tier::Cluster(id) => self.clusters[id as usize].progress_us = self.now_us,
            Tier::Galaxy => self.galaxy_progress_us = self.now_us,
        }
        round
    }

    /// Whether others' messages are reason enough to enter a round. f+1 of them hold an honest node that has something to agree on; fewer
    /// may be a liar that wants empty blocks, and are heeded only now and then.
    pub(crate) fn is_called(&self, tier: Tier, number: u64, committee: &Committee, last_entered_us: u64) -> bool {
        let senders = self.ahead.senders(tier, number);
        senders > committee.fault_bound() || senders > 0 && self.now_us >= last_entered_us + LONE_CALL_US
    }

    fn take_message(&mut self, from: NodeIndex, bytes: &[u8]) {
        let message = match Message::decode(bytes, COMMITTEE_MAX) {
            Ok(message) => message,
            Err(error) => return self.blame(from, FaultKind::Malformed(error.to_string())),
        };
        match message {
            Message::Round { tier, round, message } => {
                self.take_round_message(from, (tier, round), RoundMessage::Subset(message), bytes.len());
            }
            Message::Share { tier, round, share } => {
                self.take_round_message(from, (tier, round), RoundMessage::Share(share), bytes.len());
            }
            Message::Status { height, answer, cluster_rounds } => {
                self.take_status(from, height, &cluster_rounds, answer)
            }
            Message::GetBlackHole { height } => {
                if (1..=self.tip.height).contains(&height) && self.may_serve_black_hole(from) {
                    self.out.push(Action::Serve { to: from, height });
                }
            }
            Message::GetLshBlock { cluster, round } => {
                if self.may_serve_lsh_block(from) {
                    self.serve_lsh_block(from, cluster, round);
                }
            }
            Message::BlackHole(bytes) => self.take_black_hole(from, &bytes),
            Message::LshBlock(bytes) => self.take_lsh_block(from, bytes),
        }
    }

    fn take_round_message(
        &mut self,
        from: NodeIndex,
        (tier, number): (Tier, u64),
        message: RoundMessage,
        len_bytes: usize,
    ) {
        let current = match tier {
            // A cluster that this node does not know yet may have been born at others.
            Tier::Cluster(id) if id >= self.config.genesis.clusters_max() => {
                return self.blame(from, FaultKind::NoSeat { tier, round: number });
            }
            Tier::Cluster(id) => self.clusters.get(id as usize).map_or(1, Cluster::current),
            Tier::Galaxy => self.tip.height + 1,
        };
        let round = match tier {
            Tier::Cluster(id) => self.clusters.get_mut(id as usize).and_then(|cluster| cluster.rounds.get_mut(&number)),
            Tier::Galaxy => self.galaxy.rounds_mut().find(|round| round.number() == number),
        };
        if let Some(round) = round {
            if let Err(kind) = round.handle(from, message) {
                self.blame(from, kind);
            }
            return;
        }
        if number < current {
            return;
        }
        if !self.has_seat(from, tier, number) {
            return self.blame(from, FaultKind::NoSeat { tier, round: number });
        }
        let payload_max_bytes = self.config.proposal_max_bytes(self.config.genesis.clusters() as usize);
        self.ahead.keep((tier, number, current), from, message, (len_bytes, payload_max_bytes));
        // Who speaks in a galaxy's round has settled the one before it; in a cluster's, where one round broadcasts while another agrees, the one
        // before that.
        if number > current {
            match tier {
                Tier::Cluster(id) if id as usize >= self.clusters.len() => {}
                Tier::Cluster(id) => self.want_lsh_block(id as usize, from, number.saturating_sub(2)),
                Tier::Galaxy => self.peers.reached(from, number - 1),
            }
        }
    }

    /// Whether `node` has a seat in a round; a round whose committee this node does not know yet is open to all.
    pub(crate) fn has_seat(&self, node: NodeIndex, tier: Tier, number: u64) -> bool {
        let committee = match tier {
            Tier::Cluster(id) => self
                .clusters
                .get(id as usize)
                .and_then(|cluster| cluster.naming(number))
                .map(|naming| &naming.committee),
            Tier::Galaxy => (number <= self.epoch_end()).then(|| self.validators()),
        };
        let key = self.directory.key(node);
        committee.is_none_or(|committee| key.is_some_and(|key| committee.index_of(key).is_some()))
    }

    fn take_status(&mut self, from: NodeIndex, height: u64, cluster_rounds: &[u64], answer: bool) {
        self.peers.reached(from, height);
        if let Some(silence) = &mut self.silence {
            silence.hear(from, height);
        }
        self.listen_again();
        for (cluster, round) in (0..self.clusters.len()).zip(cluster_rounds) {
            self.want_lsh_block(cluster, from, *round);
        }
        let due = self.resent_us.get(&from).is_none_or(|&at_us| self.now_us >= at_us + RESEND_US);
        if due {
            self.resent_us.insert(from, self.now_us);
            let mut out = std::mem::take(&mut self.out);
            for (cluster, certified) in self.clusters.iter().zip(cluster_rounds) {
                for round in cluster.rounds.values().filter(|round| round.number() > *certified) {
                    round.resend_to(from, &mut out);
                }
            }
            for round in self.galaxy.rounds_mut().filter(|round| round.number() > height) {
                round.resend_to(from, &mut out);
            }
            self.out = out;
        }
        if answer {
            self.send_status(from, false);
        }
    }

    pub(crate) fn send_status(&mut self, to: NodeIndex, answer: bool) {
        let status = Message::Status { height: self.tip.height, answer, cluster_rounds: self.certified_rounds() };
        self.send(to, Priority::Consensus, &status);
    }

    pub(crate) fn send(&mut self, to: NodeIndex, priority: Priority, message: &Message) {
        self.out.push(Action::Send { to, priority, bytes: message.to_bytes().into() });
    }

    pub(crate) fn blame(&mut self, node: NodeIndex, kind: FaultKind) {
        self.faults.push(Fault { node, kind });
    }

    pub(crate) fn halt(&mut self, why: String) {
        self.halted = true;
        self.out.push(Action::Halt(why));
    }

    /// Asks for the signatures of `transactions`; with none to check, the job is done at once.
    pub(crate) fn verify(&mut self, job: Job, transactions: Vec<Arc<Transaction>>) {
        // A round that is begun anew takes no verdicts of its first beginning: they are in another order.
        if let Job::ClusterRound(cluster, _) = job {
            self.jobs.retain(|_, (open, _)| !matches!(open, Job::ClusterRound(other, _) if *other == cluster));
        }
        self.next_job += 1;
        let id = self.next_job;
        self.jobs.insert(id, (job, transactions.len()));
        if transactions.is_empty() {
            self.take_verdicts(id, &[]);
        } else {
            self.out.push(Action::Verify { job: id, transactions });
        }
    }

    fn take_verdicts(&mut self, id: u64, verdicts: &[bool]) {
        let Some((job, count)) = self.jobs.remove(&id) else { return };
        let all_valid = verdicts.len() == count && verdicts.iter().all(|valid| *valid);
        match job {
            Job::ClusterRound(cluster, round) => self.cluster_round_verified(cluster, round, verdicts),
            Job::AdoptLshBlock(cluster, hash) => self.lsh_block_verified(cluster, hash, all_valid),
            Job::BlackHoles => self.black_holes_verified(verdicts),
        }
    }

    /// Takes transactions into the pools, and passes on those whose admission `is_news`.
    fn admit(
        &mut self,
        transactions: Vec<Arc<Transaction>>,
        is_news: impl Fn(crate::Admission) -> bool,
    ) -> Vec<crate::Admission> {
        let homes: Vec<usize> = transactions.iter().map(|transaction| self.home(&transaction.initiator())).collect();
        let mut by_home: BTreeMap<usize, Vec<&Arc<Transaction>>> = BTreeMap::new();
        for (transaction, home) in transactions.iter().zip(&homes) {
            by_home.entry(*home).or_default().push(transaction);
        }
        for (home, own) in by_home {
            self.pools[home].look_ahead(own.into_iter(), &self.ledger);
        }
        let limits = Limits::new(&self.config, self.membership.homes.live_clusters());
        let mut admissions = Vec::with_capacity(transactions.len());
        let mut news = Vec::with_capacity(transactions.len());
        for (transaction, home) in transactions.into_iter().zip(homes) {
            let admission = self.pools[home].admit(transaction.clone(), &self.ledger, &limits, self.now_us);
            if is_news(admission) {
                news.push(transaction);
            }
            admissions.push(admission);
        }
        if !news.is_empty() {
            self.out.push(Action::Gossip(news));
        }
        admissions
    }

    fn answer(&self, query: Query) -> Answer {
        match query {
            Query::Star(star) => {
                let account = self.ledger.account(&star);
                Answer::Star(StarAnswer {
                    balance: account.map_or(0, |account| account.balance),
                    head: self.ledger.head(&star),
                    forks: account.map_or(0, |account| account.forks),
                    height: self.tip.height,
                })
            }
            Query::Transaction(id) => {
                let mut states = self.pools.iter().map(|pool| pool.state_of(&id));
                let known = states.find(|state| *state != TransactionState::Unknown);
                Answer::Transaction(known.unwrap_or(TransactionState::Unknown))
            }
            Query::Offers(star) => Answer::Offers(self.offers.waiting_for(&star)),
            Query::Galaxy(network) => Answer::Galaxy(self.ledger.galaxy(&network)),
            Query::Status => Answer::Status(NodeStatus {
                network_id: self.network,
                public_key: self.public_key,
                height: self.tip.height,
                black_hole: self.tip.hash,
                cluster_rounds: self.certified_rounds(),
                pool: self.pools.iter().map(Pool::waiting_count).sum(),
                offers: self.offers.len(),
                accounts: self.ledger.account_count(),
                peers_connected: self.peers.connected_count(),
                best_known_height: self.peers.best_height().max(self.tip.height),
                state: self.ledger.state(),
                validators: self.validators().len(),
                is_validator: self.validators().index_of(&self.public_key).is_some(),
                seats_open: self.clusters.iter().map(|cluster| cluster.seats_of(&self.public_key)).sum(),
                clusters: self.membership.homes.live_clusters(),
                clusters_wanted: self.clusters_wanted(),
                facilitators_wanted: self.clusters_wanted() * self.config.genesis.cluster_facilitators(),
            }),
        }
    }
}
