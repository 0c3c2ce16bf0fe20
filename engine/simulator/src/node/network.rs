//! The network: nodes with their disks, messages in flight, and virtual time. What nobody claims to bear (a halt, a fork, a contradiction) is
//! noted as a violation and the run goes on.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use constellation_acs::Message as SubsetMessage;
use constellation_chain::{
    BlackHole, COMMITTEE_MAX, Certificate, Genesis, GenesisNode, GenesisStar, Growth, Hash, Kind, Offer, PublicKey,
    Reason, SecretKey, StarHead, Tier, Transaction,
};
use constellation_protocol::{
    Action, Admission, Answer, Compute, Config, Event, Fault, JournalRecord, Message, Node, NodeIndex, NodeStatus,
    Query,
};

use super::deceit::{Deceit, Deceivers};
use super::logs::ids_in;
use super::remembered::Remembered;
use super::sent::Sent;
use super::stars::star_key;
use super::watch::{Violation, Watch};
use crate::chance::Chance;

/// Between two looks at what has arrived, in microseconds.
pub const STEP_US: u64 = 1_000;
/// A message takes this long at least, in microseconds, where [`Network::latency_min_us`] is left as it is.
pub const LATENCY_MIN_US: u64 = 50;
/// It takes that much more at most, in microseconds.
pub const LATENCY_SPREAD_US: u64 = 3_000;
/// Faults that are kept.
const FAULTS_MAX: usize = 10_000;

/// What a network is made of.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// All chance follows from it.
    pub seed: u64,
    /// Nodes, all of them validators.
    pub nodes: usize,
    /// How many of them are a round's facilitators.
    pub seats: usize,
    /// Star clusters.
    pub clusters: u32,
    /// Stars with a million each.
    pub stars: usize,
    /// Nodes that stand by at the start, the last ones.
    pub standby: usize,
    /// How the network changes.
    pub growth: Growth,
}

impl Options {
    /// A network in which nobody stands by and clusters stay as they are.
    pub fn new(seed: u64, nodes: usize, (clusters, seats): (u32, usize), stars: usize) -> Self {
        Options { seed, nodes, seats, clusters, stars, standby: 0, growth: Growth::default() }
    }
}

/// What survives a kill.
#[derive(Default)]
pub struct Disk {
    /// The black holes.
    pub log: Vec<(Arc<BlackHole>, Certificate)>,
    /// What the node said in rounds that are not settled.
    pub journal: Vec<JournalRecord>,
}

/// A node that is up, and what it has done since it was started.
struct Running {
    node: Node,
    /// Actions that it may still carry out before it dies.
    actions_left: u64,
    /// Rounds whose journal records go when the black hole of a height is in the log.
    retiring: Vec<(u64, Tier, u64)>,
}

/// Nodes, links and clients' answers.
pub struct Network {
    /// All of its chance.
    pub chance: Chance,
    /// What each node keeps.
    pub disks: Vec<Disk>,
    /// What became of what was submitted, by ticket.
    pub admissions: HashMap<u64, Vec<Admission>>,
    /// Transactions that a pool dropped.
    pub dropped: Vec<(Hash, Option<Reason>)>,
    /// Who blamed whom: the first ten thousand.
    pub faults: Vec<(usize, Fault)>,
    /// What honest nodes sent.
    pub sent: Sent,
    /// Bytes that deceiving nodes sent.
    pub deceit_bytes: u64,
    /// Actions that each node has carried out, ever.
    pub actions: Vec<u64>,
    /// What a message takes at least.
    pub latency_min_us: u64,
    /// Proposals for a cluster's round made by honest nodes that had not certified the round before it yet.
    pub proposals_ahead: u64,
    now_us: u64,
    running: Vec<Option<Running>>,
    keys: Vec<SecretKey>,
    pub(super) genesis: Genesis,
    pub(super) compute: Arc<dyn Compute>,
    /// In flight: by time of arrival and order of sending.
    flights: BTreeMap<(u64, u64), (usize, Event)>,
    /// Arrival of the last message on a link: links keep order.
    links: HashMap<(usize, usize), u64>,
    /// One side of a partition.
    side: Option<u128>,
    flight_count: u64,
    next_ticket: u64,
    answers: HashMap<u64, Answer>,
    deceivers: Deceivers,
    watch: Watch,
    submitted: Vec<Arc<Transaction>>,
    submitted_us: HashMap<Hash, u64>,
    /// From the first submission to the first log, by transaction.
    latencies_us: BTreeMap<Hash, u64>,
    verdicts: HashMap<Hash, bool>,
    /// What each honest facilitator proposed, by cluster, round and key.
    pub(super) proposed: HashMap<(u32, u64, PublicKey), BTreeSet<Hash>>,
}

impl Network {
    /// A network with all nodes up.
    pub fn new(options: Options, compute: Arc<dyn Compute>) -> Self {
        let compute: Arc<dyn Compute> = Arc::new(Remembered::new(compute));
        let Options { seed, nodes: count, seats, clusters, stars, standby, growth } = options;
        let keys: Vec<SecretKey> = (0..count).map(|index| SecretKey::from_seed([100 + index as u8; 32])).collect();
        let address = std::net::SocketAddr::from(([127, 0, 0, 1], 7000));
        let node = |(index, key): (usize, &SecretKey)| GenesisNode {
            standby: index + standby >= count,
            ..GenesisNode::new(key.public_key(), address)
        };
        let nodes = keys.iter().enumerate().map(node).collect();
        let stars = (0..stars).map(|star| GenesisStar { public_key: star_key(star).public_key(), balance: 1_000_000 });
        let genesis = Genesis::new("simulation", seats, nodes, stars.collect())
            .and_then(|genesis| genesis.with_clusters(clusters)?.with_growth(growth))
            .expect("a genesis of distinct keys");
        Network::of(seed, genesis, keys, compute)
    }

    /// The network of a genesis, with all nodes up; `keys` are its nodes', in their order.
    pub fn of(seed: u64, genesis: Genesis, keys: Vec<SecretKey>, compute: Arc<dyn Compute>) -> Self {
        let count = keys.len();
        let mut network = Network {
            chance: Chance::new(seed),
            disks: (0..count).map(|_| Disk::default()).collect(),
            admissions: HashMap::new(),
            dropped: Vec::new(),
            faults: Vec::new(),
            sent: Sent::default(),
            deceit_bytes: 0,
            actions: vec![0; count],
            latency_min_us: LATENCY_MIN_US,
            proposals_ahead: 0,
            now_us: 1,
            running: (0..count).map(|_| None).collect(),
            keys,
            genesis,
            compute,
            flights: BTreeMap::new(),
            links: HashMap::new(),
            side: None,
            flight_count: 0,
            next_ticket: 0,
            answers: HashMap::new(),
            deceivers: Deceivers::default(),
            watch: Watch::default(),
            submitted: Vec::new(),
            submitted_us: HashMap::new(),
            latencies_us: BTreeMap::new(),
            verdicts: HashMap::new(),
            proposed: HashMap::new(),
        };
        for index in 0..count {
            network.start(index);
        }
        network
    }

    /// Nodes that are up.
    pub fn up(&self) -> Vec<usize> {
        (0..self.running.len()).filter(|&index| self.is_up(index)).collect()
    }

    /// Whether a node is up.
    pub fn is_up(&self, index: usize) -> bool {
        self.running[index].is_some()
    }

    /// Nodes that are up and do not deceive.
    pub fn honest_up(&self) -> Vec<usize> {
        self.up().into_iter().filter(|&index| self.is_honest(index)).collect()
    }

    /// Whether a node does not deceive.
    pub fn is_honest(&self, index: usize) -> bool {
        self.deceivers.of(index).is_none()
    }

    /// Virtual time since the start.
    pub fn now_us(&self) -> u64 {
        self.now_us
    }

    /// Makes a node deceive from now on.
    pub fn deceive(&mut self, index: usize, deceit: Deceit) {
        self.deceivers.set(index, deceit);
    }

    /// Starts a node from its disk.
    pub fn start(&mut self, index: usize) {
        let mut node = self.replayed(index);
        node.restore(self.disks[index].journal.iter().cloned());
        self.bring_up(index, node);
    }

    /// Starts a node whose journal is gone, and that knows it.
    pub fn start_without_journal(&mut self, index: usize) {
        self.disks[index].journal.clear();
        let mut node = self.replayed(index);
        node.sit_out();
        self.bring_up(index, node);
    }

    fn replayed(&mut self, index: usize) -> Node {
        let config = Config::new(self.genesis.clone(), self.keys[index].clone());
        let mut node = Node::new(config, self.compute.clone()).expect("the genesis names every node");
        for (black_hole, _) in &self.disks[index].log {
            if let Err(error) = node.replay(black_hole) {
                self.watch.found(Violation::Stopped { node: index, why: error.to_string() });
            }
        }
        node
    }

    fn bring_up(&mut self, index: usize, node: Node) {
        self.running[index] = Some(Running { node, actions_left: u64::MAX, retiring: Vec::new() });
        for peer in self.up().into_iter().filter(|&peer| peer != index) {
            self.connect(index, peer);
        }
    }

    fn connect(&mut self, one: usize, other: usize) {
        if self.is_linked(one, other) {
            self.fly(other, one, Event::Connected(other as NodeIndex));
            self.fly(one, other, Event::Connected(one as NodeIndex));
        }
    }

    /// Kills a node: memory, links and messages in flight are lost.
    pub fn kill(&mut self, index: usize) {
        self.running[index] = None;
        self.flights.retain(|_, (to, event)| {
            let from_dead = matches!(event, Event::Message { from, .. } if *from as usize == index);
            *to != index && !from_dead
        });
        for peer in self.up() {
            self.fly(index, peer, Event::Disconnected(index as NodeIndex));
        }
    }

    /// Kills a node as soon as it has carried out so many more actions: what it had still to do is lost.
    pub fn kill_after_actions(&mut self, index: usize, actions: u64) {
        if let Some(running) = &mut self.running[index] {
            running.actions_left = actions;
        }
    }

    /// Cuts all links between `side` and the others, with what is in flight on them.
    pub fn cut(&mut self, side: u128) {
        self.side = Some(side);
        let is_cut = |one: usize, other: usize| (side >> one) & 1 != (side >> other) & 1;
        self.flights.retain(|_, (to, event)| match event {
            Event::Message { from, .. } | Event::Connected(from) => !is_cut(*from as usize, *to),
            _ => true,
        });
        self.for_each_cut(side, |network, one, other| {
            network.fly(other, one, Event::Disconnected(other as NodeIndex));
            network.fly(one, other, Event::Disconnected(one as NodeIndex));
        });
    }

    /// Ends a partition.
    pub fn heal(&mut self) {
        if let Some(side) = self.side.take() {
            self.for_each_cut(side, Self::connect);
        }
    }

    fn for_each_cut(&mut self, side: u128, act: impl Fn(&mut Self, usize, usize)) {
        let (these, those): (Vec<usize>, Vec<usize>) =
            self.up().into_iter().partition(|&index| (side >> index) & 1 == 1);
        for &one in &these {
            for &other in &those {
                act(self, one, other);
            }
        }
    }

    fn is_linked(&self, one: usize, other: usize) -> bool {
        self.side.is_none_or(|side| (side >> one) & 1 == (side >> other) & 1)
    }

    fn fly(&mut self, from: usize, to: usize, event: Event) {
        let latency_us = self.latency_min_us + self.chance.below(LATENCY_SPREAD_US);
        let last = self.links.entry((from, to)).or_default();
        let at_us = (self.now_us + latency_us).max(*last + 1);
        *last = at_us;
        self.flight_count += 1;
        self.flights.insert((at_us, self.flight_count), (to, event));
    }

    /// Runs for `duration_us` of virtual time.
    pub fn run(&mut self, duration_us: u64) {
        let end_us = self.now_us + duration_us;
        while self.now_us < end_us {
            self.now_us += STEP_US;
            while let Some(entry) = self.flights.first_entry().filter(|entry| entry.key().0 <= self.now_us) {
                let (to, event) = entry.remove();
                if let Some(running) = &mut self.running[to] {
                    running.node.handle(self.now_us, event);
                }
            }
            for index in self.up() {
                self.poll(index);
            }
        }
    }

    fn poll(&mut self, index: usize) {
        let Some(running) = &mut self.running[index] else { return };
        let mut last_sent: Option<Arc<[u8]>> = None;
        for action in running.node.poll(self.now_us) {
            let Some(running) = &mut self.running[index] else { return };
            if running.actions_left == 0 {
                return self.kill(index);
            }
            running.actions_left -= 1;
            self.actions[index] += 1;
            self.carry_out(index, action, &mut last_sent);
        }
    }

    fn carry_out(&mut self, index: usize, action: Action, last_sent: &mut Option<Arc<[u8]>>) {
        match action {
            Action::Journal(record) => {
                self.watch.on_journal(index, &record);
                self.disks[index].journal.push(record);
            }
            Action::Retire { tier, round, height } => {
                if let Some(running) = &mut self.running[index] {
                    running.retiring.push((height, tier, round));
                }
                self.retire(index);
            }
            Action::Send { to, bytes, .. } => {
                let is_repeat = last_sent.as_ref().is_some_and(|last| Arc::ptr_eq(last, &bytes));
                if self.is_honest(index)
                    && !is_repeat
                    && let Ok(message) = Message::decode(&bytes, COMMITTEE_MAX)
                {
                    self.watch.on_send(index, &message);
                    self.note_proposal(index, &message);
                }
                self.send(index, to as usize, &bytes);
                *last_sent = Some(bytes);
            }
            Action::Serve { to, height } => {
                let (black_hole, certificate) = &self.disks[index].log[height as usize - 1];
                let bytes = Message::BlackHole(black_hole.to_bytes(certificate)).to_bytes();
                self.send(index, to as usize, &bytes);
            }
            Action::Verify { job, transactions } => {
                let verdicts = transactions.iter().map(|transaction| self.verifies(transaction)).collect();
                self.fly(index, index, Event::Verified { job, verdicts });
            }
            Action::Gossip(transactions) => self.gossip(index, |_| Event::Gossiped(transactions.clone())),
            Action::GossipOffer(offer) => {
                self.gossip(index, |_| Event::Offer { ticket: None, offer: offer.clone() });
            }
            Action::Append { black_hole, certificate } => self.append(index, black_hole, certificate),
            Action::Submitted { ticket, admissions } => {
                self.admissions.insert(ticket, admissions);
            }
            Action::Dropped { id, reason } => self.dropped.push((id, reason)),
            Action::Answer { ticket, answer } => {
                self.answers.insert(ticket, answer);
            }
            Action::Fault(fault) => self.take_fault(index, fault),
            Action::Halt(why) => self.watch.found(Violation::Stopped { node: index, why }),
        }
    }

    fn send(&mut self, index: usize, to: usize, bytes: &[u8]) {
        if !self.is_up(to) || !self.is_linked(index, to) {
            return;
        }
        if self.is_honest(index) {
            self.sent.count(bytes);
        }
        if self.is_honest(index) {
            return self.fly(index, to, Event::Message { from: index as NodeIndex, bytes: bytes.to_vec() });
        }
        let node = (index, &self.keys[index], to == (index + 1) % self.keys.len());
        let network = (self.genesis.network_id(), self.keys.len());
        for bytes in self.deceivers.instead(node, bytes, network, &self.submitted, &mut self.chance) {
            self.deceit_bytes += bytes.len() as u64;
            self.fly(index, to, Event::Message { from: index as NodeIndex, bytes });
        }
    }

    fn gossip(&mut self, index: usize, event: impl Fn(usize) -> Event) {
        if self.deceivers.of(index) == Some(Deceit::Mute) {
            return;
        }
        for peer in self.up().into_iter().filter(|&peer| peer != index) {
            if self.is_linked(index, peer) {
                self.fly(index, peer, event(peer));
            }
        }
    }

    fn append(&mut self, index: usize, black_hole: Arc<BlackHole>, certificate: Certificate) {
        for (transaction, _) in black_hole.outcomes() {
            let id = transaction.id();
            if let Some(submitted_us) = self.submitted_us.get(&id) {
                self.latencies_us.entry(id).or_insert(self.now_us - submitted_us);
            }
        }
        self.disks[index].log.push((black_hole, certificate));
        self.retire(index);
    }

    /// Forgets the journal's records of rounds whose black holes are in the log.
    fn retire(&mut self, index: usize) {
        let (Some(running), disk) = (&mut self.running[index], &mut self.disks[index]) else { return };
        let height = disk.log.len() as u64;
        for (_, tier, round) in running.retiring.extract_if(.., |(settled_at, ..)| *settled_at <= height) {
            disk.journal.retain(|record| (record.tier, record.round) != (tier, round));
        }
    }

    fn take_fault(&mut self, by: usize, fault: Fault) {
        use constellation_protocol::FaultKind::Consensus;
        let node = fault.node as usize;
        let is_ahead = matches!(fault.kind, Consensus(constellation_acs::FaultKind::TooFarAhead { .. }));
        if !is_ahead && self.is_honest(by) && self.is_honest(node) {
            self.watch.found(Violation::HonestBlamed { by, node, what: fault.kind.to_string() });
        }
        if self.faults.len() < FAULTS_MAX {
            self.faults.push((by, fault));
        }
    }

    fn note_proposal(&mut self, index: usize, message: &Message) {
        let Message::Round { tier: Tier::Cluster(cluster), round, message } = message else { return };
        if let SubsetMessage::Payload { payload, .. } = message {
            // Its own comes first; what it sends later is other proposers', for those who lack it.
            let (key, network) = (self.keys[index].public_key(), self.genesis.network_id());
            if let Entry::Vacant(entry) = self.proposed.entry((*cluster, *round, key)) {
                entry.insert(ids_in(payload, network));
                let certified =
                    self.running[index].as_ref().map(|running| running.node.certified_rounds()[*cluster as usize]);
                self.proposals_ahead += u64::from(certified.is_some_and(|certified| certified + 1 < *round));
            }
        }
    }

    /// What must never happen, if it did.
    pub fn violation(&self) -> Option<&Violation> {
        self.watch.violation.as_ref()
    }

    fn verifies(&mut self, transaction: &Transaction) -> bool {
        let (compute, galaxies) = (&self.compute, self.genesis.galaxies());
        *self.verdicts.entry(transaction.record_hash()).or_insert_with(|| {
            let messages = transaction.signed_messages(galaxies);
            let signatures: Vec<_> = transaction.signatures(&messages).collect();
            compute.check(&signatures).iter().all(|valid| *valid)
        })
    }

    /// Hands a node an event, if it is up.
    pub fn give(&mut self, index: usize, event: Event) {
        if let Some(running) = &mut self.running[index] {
            running.node.handle(self.now_us, event);
        }
    }

    /// A client's submission; the ticket under which its admission will be found. What does not verify does not come in.
    pub fn submit(&mut self, index: usize, transaction: &Arc<Transaction>) -> u64 {
        self.next_ticket += 1;
        if self.verifies(transaction) {
            if let Entry::Vacant(entry) = self.submitted_us.entry(transaction.id()) {
                entry.insert(self.now_us);
                self.submitted.push(transaction.clone());
            }
            let event = Event::Submit { ticket: self.next_ticket, transactions: vec![transaction.clone()] };
            self.give(index, event);
        }
        self.next_ticket
    }

    /// A client's question; no answer from a node that is down.
    pub fn ask(&mut self, index: usize, query: Query) -> Option<Answer> {
        self.next_ticket += 1;
        self.give(index, Event::Query { ticket: self.next_ticket, query });
        self.poll(index);
        self.answers.remove(&self.next_ticket)
    }

    /// How a node does, if it is up.
    pub fn status(&mut self, index: usize) -> Option<NodeStatus> {
        match self.ask(index, Query::Status)? {
            Answer::Status(status) => Some(status),
            Answer::Star(_) | Answer::Transaction(_) | Answer::Offers(_) | Answer::Galaxy(_) => None,
        }
    }

    /// A transfer between two stars whose chains stand there.
    pub fn transfer(
        &self,
        (from, at): (usize, StarHead),
        (to, to_at): (usize, StarHead),
        amount: u64,
    ) -> Arc<Transaction> {
        let offer = Offer::transfer(self.genesis.network_id(), &star_key(from), at, star_key(to).public_key(), amount);
        Arc::new(offer.countersign(&star_key(to), to_at).expect("its own counterparty countersigns it"))
    }

    /// What node `index` asks for, its chain standing there.
    pub fn request(&self, index: usize, kind: Kind, at: StarHead) -> Arc<Transaction> {
        let request = Transaction::one_sided(kind, self.genesis.network_id(), &self.keys[index], at, b"");
        Arc::new(request.expect("a request is one-sided"))
    }

    /// From submission to the first log, of every transaction that is in one, in microseconds.
    pub fn latencies_us(&self) -> impl ExactSizeIterator<Item = u64> {
        self.latencies_us.values().copied()
    }
}
