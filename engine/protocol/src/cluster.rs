//! The cluster tier, a chain for each star cluster: facilitators agree on transactions and certify LSH blocks, round after round, up to three rounds ahead of the galaxy. While one
//! round agrees the next one broadcasts its proposals; what the earlier one may hold is left out of them, and what both hold the later one leaves out
//! of its block.

use crate::event::{Action, Fault, FaultKind, NodeIndex};
use crate::misconduct::PROOFS_MAX_BYTES;
use crate::node::{Job, Node};
use crate::pool::{Bounds, Share};
use crate::proposal::{ClusterProposal, ROUNDS_AHEAD_OF_GALAXY};
use crate::round::{Round, Seat};
use constellation_chain::{
    COMMITTEE_MAX, Certificate, Committee, Hash, Homes, KeySet, LshBlock, LshHeader, LshPlace, MISCONDUCT_MAX, Members,
    Misconduct, PublicKey, RoundId, SealedLshBlock, Tier, Transaction,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A cluster that has work and certifies nothing for this long is to get other facilitators.
const STUCK_US: u64 = 5_000_000;

/// The black hole that names a round's facilitators, and whom it names.
#[derive(Clone)]
pub(crate) struct Naming {
    pub height: u64,
    pub black_hole: Hash,
    pub beacon: Hash,
    pub committee: Committee,
    /// Which stars the round may serve.
    pub homes: Homes,
}

/// What the current round is doing.
enum Phase {
    /// The common subset has no output yet.
    Agreeing,
    /// Transactions that this node had not verified are being verified.
    Verifying { members: Members, proposed: Vec<Proposed>, proofs: BTreeSet<Misconduct> },
    /// The block is computed; signatures are being collected.
    Signing { block: Box<LshBlock> },
}

/// A transaction of an agreed proposal.
struct Proposed {
    transaction: Arc<Transaction>,
    proposer: usize,
    is_verified: bool,
}

/// What a member proposed, as far as its bytes tell; or why it is no proposal.
type Decoded = Result<ClusterProposal, String>;

/// One cluster's chain as this node knows it.
pub(crate) struct Cluster {
    /// Which one it is.
    id: u32,
    /// Round and hash of the last LSH block in a black hole.
    pub accepted: (u64, Hash),
    /// Round and hash of the last certified LSH block.
    pub certified: (u64, Hash),
    /// Certified LSH blocks that are in no black hole yet.
    pub sealed: BTreeMap<u64, Arc<SealedLshBlock>>,
    naming: BTreeMap<u64, Arc<Naming>>,
    /// Rounds this node has a seat in, from the first that is in no black hole to the current one.
    pub rounds: BTreeMap<u64, Round>,
    /// Proposals that are here for good, of the rounds that are not certified, by round and member.
    arrived: BTreeMap<u64, BTreeMap<usize, Decoded>>,
    /// Ids of what this node proposed last.
    own_ids: KeySet<Hash>,
    /// Ids of the last certified LSH block's transactions: the round after it may have proposed them again while it agreed.
    last_ids: KeySet<Hash>,
    phase: Phase,
    next_start_us: u64,
    entered_us: u64,
    /// When it last entered a round, or sealed a block.
    pub progress_us: u64,
    /// A block from elsewhere whose transactions are being verified, and whose it is.
    pub adopting: Option<(Arc<SealedLshBlock>, NodeIndex)>,
    /// The round whose block was asked for last, and when.
    pub asked: Option<(u64, u64)>,
    /// LSH blocks that members gave this node, which has no seat in their rounds: one a round, from the current one on.
    pub given: BTreeMap<u64, (NodeIndex, Vec<u8>)>,
    /// The last named round in which somebody has a seat who is no validator any more.
    pub finish_through: u64,
    /// Since when there has been work for the current round, and which one that is.
    awaited: Option<(u64, u64)>,
    /// Whether that is so long ago that others should be elected.
    pub is_stuck: bool,
}

impl Cluster {
    /// A cluster before its first round, of which none is named yet.
    pub fn new(id: u32) -> Self {
        Cluster {
            id,
            accepted: (0, Hash::ZERO),
            certified: (0, Hash::ZERO),
            sealed: BTreeMap::new(),
            naming: BTreeMap::new(),
            rounds: BTreeMap::new(),
            arrived: BTreeMap::new(),
            own_ids: KeySet::default(),
            last_ids: KeySet::default(),
            phase: Phase::Agreeing,
            next_start_us: 0,
            entered_us: 0,
            progress_us: 0,
            adopting: None,
            asked: None,
            given: BTreeMap::new(),
            finish_through: 0,
            awaited: None,
            is_stuck: false,
        }
    }

    pub fn tier(&self) -> Tier {
        Tier::Cluster(self.id)
    }

    pub fn current(&self) -> u64 {
        self.certified.0 + 1
    }

    /// Others are validators from now on.
    pub fn note_validators(&mut self, validators: &Committee) {
        let is_gone = |key: &PublicKey| validators.index_of(key).is_none();
        let mut named = self.naming.iter().rev();
        let last = named.find(|(_, naming)| naming.committee.members().iter().any(is_gone));
        self.finish_through = last.map_or(0, |(round, _)| *round);
    }

    /// Named rounds in which `key` has a seat.
    pub fn seats_of(&self, key: &PublicKey) -> usize {
        self.naming.values().filter(|naming| naming.committee.index_of(key).is_some()).count()
    }

    pub fn naming(&self, round: u64) -> Option<&Arc<Naming>> {
        self.naming.get(&round)
    }

    /// A black hole names the facilitators of a round.
    pub fn name(&mut self, round: u64, naming: Naming) {
        self.naming.insert(round, Arc::new(naming));
    }

    /// A black hole took the LSH block.
    pub fn accept(&mut self, block: &LshBlock) {
        let (round, hash) = (block.header.round(), block.header.hash());
        self.accepted = (round, hash);
        self.naming = self.naming.split_off(&(round + 1));
        self.sealed = self.sealed.split_off(&(round + 1));
        self.rounds = self.rounds.split_off(&(round + 1));
        // What is certified already stays: the round after it may be half done. Another block of its round, which a committee beyond its fault bound
        // can make, takes its place.
        if self.certified.0 < round || self.certified.0 == round && self.certified.1 != hash {
            self.advance(block);
        }
    }

    /// A black hole voids the named rounds: their facilitators make no block. The numbers are not used again, for others are to speak, and what
    /// was said in them must not be held against anybody.
    pub fn void(&mut self) {
        self.accepted.0 += ROUNDS_AHEAD_OF_GALAXY;
        self.certified = self.accepted;
        self.phase = Phase::Agreeing;
        self.naming.clear();
        self.sealed.clear();
        self.rounds.clear();
        self.arrived.clear();
        self.own_ids.clear();
        self.last_ids.clear();
        self.given.clear();
        (self.adopting, self.asked) = (None, None);
    }

    /// Takes note of whether there may be work for the current round; `is_work` is asked when there has been for long enough.
    pub fn watch(&mut self, now_us: u64, may_be_work: bool, is_work: impl FnOnce() -> bool) {
        let round = self.current();
        let awaited = self.awaited.filter(|(awaited, _)| *awaited == round);
        // Who has a block that is not accepted yet waits for the galaxy.
        let is_open = self.naming.contains_key(&round) && self.sealed.is_empty();
        self.awaited = (may_be_work && is_open).then(|| awaited.unwrap_or((round, now_us)));
        let is_late = self.awaited.is_some_and(|(_, since_us)| now_us >= since_us.saturating_add(STUCK_US));
        self.is_stuck = is_late && (self.is_stuck && awaited.is_some() || is_work());
        if is_late && !self.is_stuck {
            self.awaited = None;
        }
    }

    fn advance(&mut self, block: &LshBlock) {
        let round = block.header.round();
        self.certified = (round, block.header.hash());
        self.phase = Phase::Agreeing;
        self.arrived = self.arrived.split_off(&(round + 1));
        self.last_ids = block.transactions.iter().map(|transaction| transaction.id()).collect();
        if self.adopting.as_ref().is_some_and(|(sealed, _)| sealed.block.header.round() <= round) {
            self.adopting = None;
        }
    }
}

impl Node {
    /// Moves the cluster tier on as far as it goes; true when anything moved.
    pub(crate) fn progress_clusters(&mut self) -> bool {
        let mut moved = false;
        for cluster in 0..self.clusters.len() {
            moved |= self.progress_cluster(cluster);
        }
        moved
    }

    fn progress_cluster(&mut self, cluster: usize) -> bool {
        self.adopt_given(cluster);
        let round = self.clusters[cluster].current();
        let Some(naming) = self.clusters[cluster].naming(round).cloned() else { return false };
        let entered = self.enter_cluster_round(cluster, round, &naming);
        let stepped = match self.clusters[cluster].rounds.get(&round) {
            Some(_) => self.step_cluster_round(cluster, round, &naming),
            None => false,
        };
        entered || stepped || self.enter_next_cluster_round(cluster)
    }

    /// While a round agrees, the next one broadcasts.
    fn enter_next_cluster_round(&mut self, cluster: usize) -> bool {
        let round = self.clusters[cluster].current();
        let Some(naming) = self.clusters[cluster].naming(round + 1).cloned() else { return false };
        if !self.clusters[cluster].rounds.get(&round).is_some_and(Round::has_quorum_of_payloads) {
            return false;
        }
        self.enter_cluster_round(cluster, round + 1, &naming)
    }

    fn enter_cluster_round(&mut self, cluster: usize, round: u64, naming: &Naming) -> bool {
        if self.clusters[cluster].rounds.contains_key(&round) {
            return false;
        }
        let Some(me) = naming.committee.index_of(&self.public_key) else { return false };
        let tier = self.clusters[cluster].tier();
        if self.is_silent(tier, round) {
            return false;
        }
        let (word, _) = naming.beacon.0.split_first_chunk::<8>().expect("a hash has 32 bytes");
        let share = Share { salt: u64::from_le_bytes(*word) ^ round, seats: naming.committee.len(), me };
        let called = self.is_called(tier, round, &naming.committee, self.clusters[cluster].entered_us)
            || self.journal.contains_key(&(tier, round));
        let must = self.must_finish(cluster, round);
        let waits = must || self.pools[cluster].waiting_count() > 0;
        let due = waits && self.now_us >= self.clusters[cluster].next_start_us;
        if !due && !called {
            return false;
        }
        self.clusters[cluster].next_start_us = self.now_us + self.config.round_interval_us;
        // What waits for a predecessor is no reason for a round.
        let payload_max_bytes = self.config.proposal_max_bytes(naming.homes.live_clusters());
        let bounds = Bounds {
            in_flight: &self.in_flight(cluster, round),
            serves: &|star| naming.homes.serves(cluster as u32, star),
            max_bytes: payload_max_bytes - PROOFS_MAX_BYTES,
        };
        let composed = self.pools[cluster].compose(&share, &bounds, &self.ledger, &mut self.dropped);
        if !composed.is_any_ready && !must && !called {
            return false;
        }
        self.clusters[cluster].entered_us = self.now_us;
        let seat = Seat {
            id: RoundId { network: self.network, tier, number: round },
            nodes: self.directory.indices(&naming.committee),
            committee: naming.committee.clone(),
            me,
            payload_max_bytes,
        };
        let mut entered = self.enter(seat);
        if !entered.has_proposed() {
            entered.propose(ClusterProposal::encode(&self.proofs.pick(), &composed.picked));
            self.clusters[cluster].own_ids = composed.picked.iter().map(|transaction| transaction.id()).collect();
        }
        self.clusters[cluster].rounds.insert(round, entered);
        true
    }

    /// Whether a cluster must come to the end of a round though nothing waits for it: stars that left are on their way until then, and
    /// validators that left cannot be switched off.
    pub(crate) fn must_finish(&self, cluster: usize, round: u64) -> bool {
        round <= self.clusters[cluster].finish_through || self.membership.homes.must_finish(cluster as u32, round)
    }

    /// What the round before `round` may put into its block, as far as this node knows yet.
    fn in_flight(&mut self, cluster: usize, round: u64) -> KeySet<Hash> {
        if round == self.clusters[cluster].current() {
            return KeySet::default();
        }
        self.decode_arrived(cluster, round - 1);
        let arrived =
            || self.clusters[cluster].arrived.get(&(round - 1)).into_iter().flat_map(BTreeMap::values).flatten();
        let mut ids = self.clusters[cluster].own_ids.clone();
        ids.reserve(arrived().map(|proposal| proposal.transactions.len()).sum());
        ids.extend(arrived().flat_map(|proposal| &proposal.transactions).map(|(transaction, _)| transaction.id()));
        ids
    }

    /// Reads the proposals of a round that have arrived since the last time.
    fn decode_arrived(&mut self, cluster: usize, round: u64) {
        let Some(open) = self.clusters[cluster].rounds.get(&round) else { return };
        let known = self.clusters[cluster].arrived.get(&round);
        let is_known = |index: &usize| known.is_some_and(|known| known.contains_key(index));
        let fresh: Vec<(usize, Decoded)> = (0..COMMITTEE_MAX)
            .filter(|index| !is_known(index))
            .filter_map(|index| Some((index, self.decode_proposal(cluster, round, open.delivered(index)?))))
            .collect();
        self.clusters[cluster].arrived.entry(round).or_default().extend(fresh);
    }

    fn decode_proposal(&self, cluster: usize, round: u64, payload: &[u8]) -> Decoded {
        let proposal = ClusterProposal::decode(payload, self.network, |records| self.pools[cluster].find(records))
            .map_err(|error| error.to_string())?;
        let naming = self.clusters[cluster].naming(round).ok_or("a round that is not open")?;
        let is_served = |transaction: &Transaction| naming.homes.serves(cluster as u32, &transaction.initiator());
        if !proposal.transactions.iter().all(|(transaction, _)| is_served(transaction)) {
            return Err("a transaction whose initiator belongs to another cluster".into());
        }
        if !proposal.proofs.iter().all(|proof| self.is_proof(proof)) {
            return Err("a proof of misconduct that proves nothing".into());
        }
        Ok(proposal)
    }

    fn step_cluster_round(&mut self, cluster: usize, round: u64, naming: &Naming) -> bool {
        match &self.clusters[cluster].phase {
            Phase::Agreeing => self.take_cluster_output(cluster, round, naming),
            Phase::Verifying { .. } => false,
            Phase::Signing { .. } => self.certify_lsh_block(cluster, round),
        }
    }

    fn take_cluster_output(&mut self, cluster: usize, round: u64, naming: &Naming) -> bool {
        let Some(output) = self.clusters[cluster].rounds.get(&round).and_then(Round::output) else { return false };
        let mut members = Members::default();
        for (index, _) in output {
            members.insert(*index);
        }
        self.decode_arrived(cluster, round);
        let arrived = self.clusters[cluster].arrived.remove(&round).unwrap_or_default();
        let mut seen = KeySet::default();
        let count = arrived.values().flatten().map(|proposal| proposal.transactions.len()).sum();
        let mut proposed = Vec::with_capacity(count);
        let (mut proofs, mut bad) = (BTreeSet::new(), Vec::new());
        for (proposer, decoded) in arrived.into_iter().filter(|(index, _)| members.contains(*index)) {
            match decoded {
                Ok(proposal) => {
                    proofs.extend(proposal.proofs);
                    for (transaction, is_known) in proposal.transactions {
                        let is_verified = is_known || self.pools[cluster].has_verified(&transaction);
                        // By the whole record: a copy with a spoilt signature must not displace the good one of the same id.
                        if is_verified || seen.insert(transaction.record_hash()) {
                            proposed.push(Proposed { transaction, proposer, is_verified });
                        }
                    }
                }
                Err(what) => bad.push((proposer, what)),
            }
        }
        for (index, what) in bad {
            self.blame_proposer(cluster, round, naming.committee.get(index), what);
        }
        let unverified = proposed.iter().filter(|one| !one.is_verified).map(|one| one.transaction.clone()).collect();
        // The same proofs at everybody, and no more than a block holds.
        let proofs = proofs.into_iter().take(MISCONDUCT_MAX).collect();
        self.clusters[cluster].phase = Phase::Verifying { members, proposed, proofs };
        self.verify(Job::ClusterRound(cluster, round), unverified);
        true
    }

    fn blame_proposer(&mut self, cluster: usize, round: u64, proposer: Option<&PublicKey>, what: String) {
        if let Some(node) = self.directory.index(proposer) {
            let kind = FaultKind::BadProposal { tier: self.clusters[cluster].tier(), round, what };
            self.faults.push(Fault { node, kind });
        }
    }

    /// The verdicts on what the agreed proposals held, in order: what does not verify is left out, by everybody alike.
    pub(crate) fn cluster_round_verified(&mut self, cluster: usize, round: u64, verdicts: &[bool]) {
        if round != self.clusters[cluster].current() {
            return;
        }
        let Phase::Verifying { members, proposed, proofs } = &mut self.clusters[cluster].phase else { return };
        let (members, proposed, proofs) = (*members, std::mem::take(proposed), std::mem::take(proofs));
        let Some(naming) = self.clusters[cluster].naming(round).cloned() else { return };
        let mut verdicts = verdicts.iter();
        let mut ids = KeySet::default();
        ids.reserve(proposed.len());
        let mut transactions = Vec::with_capacity(proposed.len());
        for Proposed { transaction, proposer, is_verified } in proposed {
            if !is_verified && verdicts.next() != Some(&true) {
                self.blame_proposer(
                    cluster,
                    round,
                    naming.committee.get(proposer),
                    "a signature that does not verify".into(),
                );
            } else if !self.clusters[cluster].last_ids.contains(&transaction.id()) && ids.insert(transaction.id()) {
                transactions.push(transaction);
            }
        }
        let accounts: Vec<PublicKey> =
            transactions.iter().flat_map(|transaction| transaction.halves().map(|(star, _)| *star)).collect();
        let place = LshPlace {
            cluster: cluster as u32,
            network: self.network,
            round,
            previous: self.clusters[cluster].certified.1,
            black_hole_height: naming.height,
            black_hole: naming.black_hole,
        };
        let sketch = self.compute.sketch(&naming.beacon, &accounts);
        let block = LshBlock::fold(place, members, transactions, proofs, sketch);
        if let Some(current) = self.clusters[cluster].rounds.get_mut(&round) {
            current.sign(block.header.hash(), &mut self.out);
        }
        self.clusters[cluster].phase = Phase::Signing { block: Box::new(block) };
    }

    fn certify_lsh_block(&mut self, cluster: usize, round: u64) -> bool {
        let Some(current) = self.clusters[cluster].rounds.get_mut(&round) else { return false };
        let Some(certificate) = current.certificate(&*self.compute, &mut self.faults) else { return false };
        let Phase::Signing { block } = std::mem::replace(&mut self.clusters[cluster].phase, Phase::Agreeing) else {
            return false;
        };
        let sealed = Arc::new(SealedLshBlock { block: *block, certificate });
        self.give_to_bystanders(cluster, &sealed);
        self.seal(cluster, sealed);
        true
    }

    pub(crate) fn seal(&mut self, cluster: usize, sealed: Arc<SealedLshBlock>) {
        let round = sealed.block.header.round();
        self.pools[cluster].seal(round, &sealed.block.transactions);
        self.proofs.settle(&sealed.block.misconduct);
        self.clusters[cluster].advance(&sealed.block);
        self.clusters[cluster].sealed.insert(round, sealed);
        self.clusters[cluster].progress_us = self.now_us;
        self.ahead.forget_through(self.clusters[cluster].tier(), round);
    }

    /// Checks an LSH block's place and certificate, not its contents.
    pub(crate) fn check_lsh_header(&self, header: &LshHeader, certificate: &Certificate) -> Result<(), String> {
        let cluster = self
            .clusters
            .get(header.cluster() as usize)
            .ok_or_else(|| format!("LSH block of cluster {}, which this network does not have", header.cluster()))?;
        let naming = cluster.naming(header.round()).ok_or("LSH block of a round that cannot be open")?;
        if (header.black_hole_height(), header.black_hole) != (naming.height, naming.black_hole) {
            return Err("LSH block with the wrong last black hole".into());
        }
        certificate
            .verify(&header.round_id(), &header.hash(), &naming.committee, &*self.compute)
            .map_err(|error| error.to_string())
    }

    /// Checks what an LSH block holds, but for the transactions' signatures; its header has been checked.
    pub(crate) fn check_lsh_contents(&self, block: &LshBlock) -> Result<(), String> {
        if !block.misconduct.iter().all(|proof| self.is_proof(proof)) {
            return Err("LSH block with a proof of misconduct that proves nothing".into());
        }
        let (cluster, round) = (block.header.cluster(), block.header.round());
        let naming = self.clusters.get(cluster as usize).and_then(|cluster| cluster.naming(round));
        let homes = naming.map(|naming| &naming.homes).ok_or("LSH block of a round that cannot be open")?;
        match block.transactions.iter().all(|transaction| homes.serves(cluster, &transaction.initiator())) {
            true => Ok(()),
            false => Err("LSH block with a transaction whose initiator belongs to another cluster".into()),
        }
    }

    /// Lets the clusters' rounds speak.
    pub(crate) fn flush_clusters(&mut self, out: &mut Vec<Action>) {
        for round in self.clusters.iter_mut().flat_map(|cluster| cluster.rounds.values_mut()) {
            round.flush(out, &mut self.faults);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use constellation_chain::{NetworkId, SKETCH_LEN_BYTES};

    fn block(previous: Hash, black_hole: Hash) -> LshBlock {
        let network = NetworkId::default();
        let place = LshPlace { cluster: 0, network, round: 1, previous, black_hole_height: 0, black_hole };
        LshBlock::fold(place, Members(1), Vec::new(), BTreeSet::new(), [0; SKETCH_LEN_BYTES])
    }

    #[test]
    fn a_black_hole_does_not_begin_the_round_after_its_block_anew() {
        let committee = Committee::new(vec![PublicKey([1; 32])]);
        let homes = Homes::new(1);
        let naming = Naming { height: 0, black_hole: Hash::ZERO, beacon: Hash::ZERO, committee, homes };
        let mut cluster = Cluster::new(0);
        (1..=3).for_each(|round| cluster.name(round, naming.clone()));
        let (own, other) = (block(Hash::ZERO, Hash([1; 32])), block(Hash::ZERO, Hash([2; 32])));
        cluster.advance(&own);
        cluster.phase = Phase::Verifying { members: Members(1), proposed: Vec::new(), proofs: BTreeSet::new() };
        cluster.accept(&own);
        assert!(matches!(cluster.phase, Phase::Verifying { .. }));
        assert_eq!((cluster.accepted, cluster.current()), ((1, own.header.hash()), 2));
        // What was begun on another block than the galaxy's is of no use.
        cluster.accept(&other);
        assert!(matches!(cluster.phase, Phase::Agreeing));
        assert_eq!(cluster.certified, (1, other.header.hash()));
    }
}
