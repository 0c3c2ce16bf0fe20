//! The galaxy tier: validators agree on certified LSH blocks, apply them to the ledger, and certify black holes.

use crate::event::{Action, Fault, FaultKind};
use crate::membership::{Decisive, Succession};
use crate::node::{Node, Tip};
use crate::proposal::{BeaconRound, GalaxyProposal, ROUNDS_AHEAD_OF_GALAXY, Stuck};
use crate::round::{Round, Seat};
use constellation_chain::{
    BlackHole, BlackHolePlace, Certificate, Hash, LshBlock, LshHeader, RoundId, SealedLshBlock, Tier,
};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How long a validator that has nothing to propose waits for its own cluster before it joins a round with nothing.
const JOIN_PATIENCE_US: u64 = 20_000;

enum Phase {
    /// The common subset has no output yet.
    Agreeing,
    /// The output is known; contents of agreed LSH blocks may still be missing.
    Gathering { beacon: Hash, accepted: Vec<LshHeader>, reelected: Vec<u32> },
    /// The black hole is computed and the ledger stands behind it; signatures are being collected.
    Signing { black_hole: Arc<BlackHole>, succession: Box<Succession> },
}

/// The galaxy's round as this node knows it.
pub(crate) struct Galaxy {
    round: Option<Round>,
    entered_us: u64,
    phase: Phase,
    /// The round before: slower validators may still need this node's votes.
    previous: Option<Round>,
}

impl Galaxy {
    pub fn new() -> Self {
        Galaxy { round: None, entered_us: 0, phase: Phase::Agreeing, previous: None }
    }

    pub fn rounds_mut(&mut self) -> impl Iterator<Item = &mut Round> {
        self.previous.iter_mut().chain(self.round.iter_mut())
    }

    pub fn round(&self) -> Option<&Round> {
        self.round.as_ref()
    }

    /// The black hole this node has applied but not yet seen certified.
    pub fn signing(&self) -> Option<&Arc<BlackHole>> {
        match &self.phase {
            Phase::Signing { black_hole, .. } => Some(black_hole),
            Phase::Agreeing | Phase::Gathering { .. } => None,
        }
    }

    /// Hands it out, with who takes part after it: a certificate is here.
    pub fn take_signing(&mut self) -> Option<(Arc<BlackHole>, Succession)> {
        match std::mem::replace(&mut self.phase, Phase::Agreeing) {
            Phase::Signing { black_hole, succession } => Some((black_hole, *succession)),
            phase @ (Phase::Agreeing | Phase::Gathering { .. }) => {
                self.phase = phase;
                None
            }
        }
    }
}

impl Node {
    /// Moves the galaxy tier on as far as it goes; true when anything moved.
    pub(crate) fn progress_galaxy(&mut self) -> bool {
        let entered = self.enter_galaxy_round();
        self.propose_to_galaxy();
        let stepped = match &self.galaxy.phase {
            Phase::Agreeing => self.take_galaxy_output(),
            Phase::Gathering { .. } => self.fold_black_hole(),
            Phase::Signing { .. } => self.certify_black_hole(),
        };
        entered || stepped
    }

    fn enter_galaxy_round(&mut self) -> bool {
        // Asked first, because the rest is asked at every poll.
        if self.galaxy.round.is_some() {
            return false;
        }
        let (tier, number) = (Tier::Galaxy, self.tip.height + 1);
        let wanted = self.has_sealed()
            || self.membership.roster.is_changing()
            || self.stuck().next().is_some()
            || self.is_called(tier, number, self.validators(), self.galaxy.entered_us)
            || self.journal.contains_key(&(tier, number));
        let me = self.validators().index_of(&self.public_key);
        let Some(me) = me.filter(|_| wanted && !self.is_silent(tier, number)) else {
            return false;
        };
        let seat = Seat {
            id: RoundId { network: self.network, tier, number },
            nodes: self.directory.indices(self.validators()),
            committee: self.validators().clone(),
            me,
            payload_max_bytes: GalaxyProposal::max_bytes(
                self.config.genesis.cluster_facilitators(),
                self.clusters.len(),
            ),
        };
        self.galaxy.round = Some(self.enter(seat));
        self.galaxy.entered_us = self.now_us;
        true
    }

    fn propose_to_galaxy(&mut self) {
        let patience_is_over = self.now_us >= self.galaxy.entered_us + JOIN_PATIENCE_US;
        let is_due = self.galaxy.round().is_some_and(|round| !round.has_proposed());
        if !is_due || !self.has_sealed() && !patience_is_over {
            return;
        }
        let sealed = self.clusters.iter().flat_map(|cluster| cluster.sealed.values());
        let blocks = sealed.map(|sealed| (sealed.block.header, sealed.certificate.clone())).collect();
        let proof = self.beacon_round().prove(&self.config.key);
        let proposal = GalaxyProposal { proof, stuck: self.stuck().collect(), blocks }.encode();
        if let Some(round) = &mut self.galaxy.round {
            round.propose(proposal);
        }
    }

    /// Whether any cluster has a certified LSH block that is in no black hole yet.
    fn has_sealed(&self) -> bool {
        self.clusters.iter().any(|cluster| !cluster.sealed.is_empty())
    }

    /// Clusters that are to get other facilitators, as far as this node can see.
    fn stuck(&self) -> impl Iterator<Item = Stuck> {
        let stuck = self.clusters.iter().zip(0..).filter(|(cluster, _)| cluster.is_stuck);
        stuck.map(|(cluster, id)| Stuck { cluster: id, accepted_round: cluster.accepted.0 })
    }

    /// Takes note of how long clusters have had work; on every tick.
    pub(crate) fn watch_clusters(&mut self) {
        for id in 0..self.clusters.len() {
            let must_finish = self.must_finish(id, self.clusters[id].current());
            let (cluster, pool) = (&mut self.clusters[id], &self.pools[id]);
            let may_be_work = must_finish || pool.waiting_count() > 0;
            cluster.watch(self.now_us, may_be_work, || must_finish || pool.has_any_ready(&self.ledger));
        }
    }

    fn beacon_round(&self) -> BeaconRound {
        BeaconRound { network: self.network, height: self.tip.height + 1, previous: self.tip.beacon }
    }

    fn take_galaxy_output(&mut self) -> bool {
        let Some(output) = self.galaxy.round.as_ref().and_then(Round::output) else { return false };
        let beacon_round = self.beacon_round();
        let mut outputs = Vec::new();
        let mut named: BTreeMap<(u32, u64), LshHeader> = BTreeMap::new();
        let (mut certified, mut bad) = (Vec::new(), Vec::new());
        let mut complaints: BTreeMap<Stuck, usize> = BTreeMap::new();
        for (index, payload) in output {
            match self.read_galaxy_proposal(&beacon_round, *index, payload) {
                Ok((output, GalaxyProposal { stuck, blocks, .. })) => {
                    outputs.push((*index, output));
                    stuck.into_iter().for_each(|one| *complaints.entry(one).or_default() += 1);
                    named.extend(blocks.iter().map(|(header, _)| ((header.cluster(), header.round()), *header)));
                    certified.extend(blocks);
                }
                Err(what) => bad.extend(self.directory.index(self.validators().get(*index)).map(|node| (node, what))),
            }
        }
        let (tier, round) = (Tier::Galaxy, self.tip.height + 1);
        self.faults.extend(
            bad.into_iter().map(|(node, what)| Fault { node, kind: FaultKind::BadProposal { tier, round, what } }),
        );
        for (header, certificate) in &certified {
            self.compare_certificate(header, certificate);
        }
        let mut accepted: Vec<LshHeader> = Vec::new();
        for (cluster, id) in self.clusters.iter().zip(0..) {
            let (mut last, mut previous) = cluster.accepted;
            while let Some(header) = named.get(&(id, last + 1)).filter(|header| header.previous == previous) {
                accepted.push(*header);
                (last, previous) = (header.round(), header.hash());
            }
        }
        // So many that an honest one is among them, and no more than always come through.
        let enough = self.validators().quorum() - self.validators().fault_bound();
        let has_block = |cluster: u32| accepted.iter().any(|header| header.cluster() == cluster);
        let is_stuck = |one: &Stuck| {
            let accepted_round = self.clusters.get(one.cluster as usize).map(|cluster| cluster.accepted.0);
            accepted_round == Some(one.accepted_round) && !has_block(one.cluster)
        };
        let agreed = complaints.into_iter().filter(|(one, count)| *count >= enough && is_stuck(one));
        let reelected = agreed.map(|(one, _)| one.cluster).collect();
        self.galaxy.phase = Phase::Gathering { beacon: beacon_round.next(&outputs), accepted, reelected };
        true
    }

    /// A proposal counts when its verifiable output holds and every block it names is certified. Everybody judges alike: what is
    /// checked depends on the black holes so far, which everybody in this round shares.
    fn read_galaxy_proposal(
        &self,
        beacon_round: &BeaconRound,
        index: usize,
        payload: &[u8],
    ) -> Result<(Hash, GalaxyProposal), String> {
        let proposal =
            GalaxyProposal::decode(payload, self.network, self.clusters.len()).map_err(|error| error.to_string())?;
        let output = self
            .validators()
            .get(index)
            .and_then(|key| beacon_round.output(key, &proposal.proof))
            .ok_or("its verifiable output does not hold")?;
        for (header, certificate) in &proposal.blocks {
            // The very same bytes were checked when the block was sealed; a known header with another certificate was not.
            let is_known =
                |sealed: &Arc<SealedLshBlock>| sealed.block.header == *header && sealed.certificate == *certificate;
            if !self.sealed(header).is_some_and(is_known) {
                self.check_lsh_header(header, certificate)?;
            }
        }
        Ok((output, proposal))
    }

    /// The certified LSH block that is here of a header's cluster and round.
    fn sealed(&self, header: &LshHeader) -> Option<&Arc<SealedLshBlock>> {
        self.clusters.get(header.cluster() as usize)?.sealed.get(&header.round())
    }

    fn fold_black_hole(&mut self) -> bool {
        let Phase::Gathering { beacon, accepted, reelected } = &self.galaxy.phase else { return false };
        let (beacon, reelected) = (*beacon, reelected.clone());
        let mut blocks: Vec<Arc<SealedLshBlock>> = Vec::with_capacity(accepted.len());
        for header in accepted {
            match self.sealed(header).filter(|sealed| sealed.block.header == *header) {
                Some(sealed) => blocks.push(sealed.clone()),
                None => {
                    self.fetch_agreed_contents();
                    return false;
                }
            }
        }
        let transactions = blocks.iter().flat_map(|sealed| &sealed.block.transactions);
        let application = self.ledger.apply(transactions.map(|transaction| &**transaction));
        let (height, censored) = (self.tip.height + 1, &application.censored);
        let succession =
            self.succession(&Decisive { height, beacon, blocks: &blocks, censored, reelected: &reelected });
        let place = BlackHolePlace {
            network: self.network,
            height,
            previous: self.tip.hash,
            state: self.ledger.state(),
            beacon,
            facilitators: succession.hash(),
            reelected,
        };
        let black_hole = Arc::new(BlackHole::fold(place, blocks, application));
        let hash = black_hole.header.hash();
        if let Some(round) = &mut self.galaxy.round {
            round.sign(hash, &mut self.out);
        }
        self.galaxy.phase = Phase::Signing { black_hole, succession: Box::new(succession) };
        true
    }

    /// Any validator that proposed has the contents of what it named; who signed the certificate has them too.
    fn fetch_agreed_contents(&mut self) {
        let Phase::Gathering { accepted, .. } = &self.galaxy.phase else { return };
        let last: BTreeMap<u32, u64> = accepted.iter().map(|header| (header.cluster(), header.round())).collect();
        let connected: Vec<_> = self.peers.connected().collect();
        if !connected.is_empty() {
            let turn = (self.now_us / 100_000) as usize % connected.len();
            for (cluster, round) in last {
                self.want_lsh_block(cluster as usize, connected[turn], round);
            }
        }
    }

    fn certify_black_hole(&mut self) -> bool {
        let Some(round) = &mut self.galaxy.round else { return false };
        let Some(certificate) = round.certificate(&*self.compute, &mut self.faults) else { return false };
        let Some((black_hole, succession)) = self.galaxy.take_signing() else { return false };
        self.blame_far_ahead();
        self.finish_black_hole(black_hole, certificate, succession);
        true
    }

    /// To a node that lags, honest ones are far ahead too; but this one has just settled a black hole with n−f others, and if more than f
    /// were far ahead, it would be the one that is wrong.
    fn blame_far_ahead(&mut self) {
        let far = self.ahead.take_far();
        if far.len() <= self.validators().fault_bound() {
            for (node, (tier, round)) in far {
                self.blame(node, FaultKind::FarAhead { tier, round });
            }
        }
    }

    /// A certified black hole, applied already, becomes the tip: everything below it is settled.
    pub(crate) fn finish_black_hole(
        &mut self,
        black_hole: Arc<BlackHole>,
        certificate: Certificate,
        succession: Succession,
    ) {
        self.settle_black_hole(&black_hole, succession);
        self.out.push(Action::Append { black_hole, certificate });
    }

    /// Moves the tip, the clusters, the pools and the mailbox past a black hole that the ledger has applied.
    pub(crate) fn settle_black_hole(&mut self, black_hole: &BlackHole, succession: Succession) {
        let header = &black_hole.header;
        self.tip = Tip { height: header.height(), hash: header.hash(), beacon: header.beacon };
        for (sealed, outcomes) in black_hole.outcomes_by_block() {
            let (id, round) = (sealed.block.header.cluster(), sealed.block.header.round());
            self.note_fill(&sealed.block);
            self.clusters[id as usize].accept(&sealed.block);
            // A star that has left the cluster since may have the same transaction waiting in its new one.
            for (transaction, reason) in &outcomes {
                let home = self.home(&transaction.initiator());
                if home != id as usize {
                    self.pools[home].settle_elsewhere(&transaction.id(), *reason);
                }
            }
            self.activity.note(&outcomes);
            self.pools[id as usize].settle(outcomes.into_iter(), round);
            self.proofs.settle(&sealed.block.misconduct);
            self.retire(Tier::Cluster(id), round);
        }
        for id in &black_hole.reelected {
            self.clusters[*id as usize].void();
            self.pools[*id as usize].reopen();
            let voided = self.clusters[*id as usize].accepted.0;
            (0..ROUNDS_AHEAD_OF_GALAXY).for_each(|back| self.retire(Tier::Cluster(*id), voided - back));
        }
        self.succeed(succession);
        self.retire(Tier::Galaxy, header.height());
        self.ahead.take_far();
        self.galaxy_progress_us = self.now_us;
        self.listen_again();
        for transaction in black_hole.transactions() {
            self.offers.settle(transaction);
        }
        self.galaxy.previous = self.galaxy.round.take_if(|round| round.number() <= header.height());
        self.galaxy.phase = Phase::Agreeing;
    }

    fn note_fill(&mut self, block: &LshBlock) {
        let naming = self.clusters[block.header.cluster() as usize].naming(block.header.round());
        if let Some(naming) = naming {
            let max_bytes = self.config.proposal_max_bytes(naming.homes.live_clusters()) * naming.committee.len();
            self.activity.note_fill(block.header.contents_len_bytes(), max_bytes);
        }
    }

    fn retire(&mut self, tier: Tier, round: u64) {
        self.journal.remove(&(tier, round));
        self.ahead.forget_through(tier, round);
        self.out.push(Action::Retire { tier, round, height: self.tip.height });
    }
}
