//! The cluster tier: facilitators agree on transactions and certify LSH blocks, round after round, up to three rounds ahead of the galaxy. While one
//! round agrees the next one broadcasts its proposals; what the earlier one may hold is left out of them, and what both hold the later one leaves out
//! of its block.

use crate::event::{Action, Fault, FaultKind, NodeIndex, Priority};
use crate::message::Message;
use crate::misconduct::PROOFS_MAX_BYTES;
use crate::node::{Job, Node};
use crate::pool::Share;
use crate::proposal::{ClusterProposal, ROUNDS_AHEAD_OF_GALAXY};
use crate::round::{Round, Seat};
use constellation_chain::{
    COMMITTEE_MAX, Certificate, Committee, Hash, KeySet, LshBlock, LshHeader, LshPlace, MISCONDUCT_MAX, Members,
    Misconduct, PublicKey, Reader, RoundId, SealedLshBlock, Tier, Transaction, elect_facilitators,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The one cluster of a network.
pub(crate) const CLUSTER: u32 = 0;

/// The black hole that names a round's facilitators, and whom it names.
#[derive(Clone)]
pub(crate) struct Naming {
    pub height: u64,
    pub black_hole: Hash,
    pub beacon: Hash,
    pub committee: Committee,
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
    /// Round and hash of the last LSH block in a black hole.
    pub accepted: (u64, Hash),
    /// Round and hash of the last certified LSH block.
    pub certified: (u64, Hash),
    /// Certified LSH blocks that are in no black hole yet.
    pub sealed: BTreeMap<u64, Arc<SealedLshBlock>>,
    naming: BTreeMap<u64, Naming>,
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
    adopting: Option<(Arc<SealedLshBlock>, NodeIndex)>,
    asked: Option<(u64, u64)>,
}

impl Cluster {
    pub fn new(genesis: Naming, next_committees: [Committee; ROUNDS_AHEAD_OF_GALAXY as usize]) -> Self {
        let naming = next_committees
            .into_iter()
            .zip(1..)
            .map(|(committee, round)| (round, Naming { committee, ..genesis.clone() }))
            .collect();
        Cluster {
            accepted: (0, Hash::ZERO),
            certified: (0, Hash::ZERO),
            sealed: BTreeMap::new(),
            naming,
            rounds: BTreeMap::new(),
            arrived: BTreeMap::new(),
            own_ids: KeySet::default(),
            last_ids: KeySet::default(),
            phase: Phase::Agreeing,
            next_start_us: 0,
            entered_us: 0,
            adopting: None,
            asked: None,
        }
    }

    pub fn current(&self) -> u64 {
        self.certified.0 + 1
    }

    pub fn naming(&self, round: u64) -> Option<&Naming> {
        self.naming.get(&round)
    }

    /// A black hole took the LSH block, and names the facilitators of a round further on.
    pub fn accept(&mut self, block: &LshBlock, naming: Naming) {
        let (round, hash) = (block.header.round(), block.header.hash());
        self.accepted = (round, hash);
        self.naming.insert(round + ROUNDS_AHEAD_OF_GALAXY, naming);
        self.naming = self.naming.split_off(&(round + 1));
        self.sealed = self.sealed.split_off(&(round + 1));
        self.rounds = self.rounds.split_off(&(round + 1));
        if self.certified.0 <= round {
            self.advance(block);
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

/// Facilitators of `round` as `beacon` draws them from the genesis list.
pub(crate) fn draw(node: &Node, beacon: &Hash, round: u64) -> Committee {
    draw_from(&node.config, beacon, round)
}

pub(crate) fn draw_from(config: &crate::Config, beacon: &Hash, round: u64) -> Committee {
    let candidates: Vec<PublicKey> = config.genesis.nodes().iter().map(|node| node.public_key).collect();
    elect_facilitators(beacon, CLUSTER, round, &candidates, config.genesis.cluster_facilitators())
}

impl Node {
    /// Moves the cluster tier on as far as it goes; true when anything moved.
    pub(crate) fn progress_cluster(&mut self) -> bool {
        let round = self.cluster.current();
        let Some(naming) = self.cluster.naming(round).cloned() else { return false };
        let entered = self.enter_cluster_round(round, &naming);
        let stepped = match self.cluster.rounds.get(&round) {
            Some(_) => self.step_cluster_round(round, &naming),
            None => false,
        };
        entered || stepped || self.enter_next_cluster_round()
    }

    /// While a round agrees, the next one broadcasts.
    fn enter_next_cluster_round(&mut self) -> bool {
        let round = self.cluster.current();
        let Some(naming) = self.cluster.naming(round + 1).cloned() else { return false };
        if !self.cluster.rounds.get(&round).is_some_and(Round::has_quorum_of_payloads) {
            return false;
        }
        self.enter_cluster_round(round + 1, &naming)
    }

    fn enter_cluster_round(&mut self, round: u64, naming: &Naming) -> bool {
        if self.cluster.rounds.contains_key(&round) {
            return false;
        }
        let Some(me) = naming.committee.index_of(&self.public_key) else { return false };
        let tier = Tier::Cluster(CLUSTER);
        if self.is_silent(tier, round) {
            return false;
        }
        let (word, _) = naming.beacon.0.split_first_chunk::<8>().expect("a hash has 32 bytes");
        let share = Share { salt: u64::from_le_bytes(*word) ^ round, seats: naming.committee.len(), me };
        let called = self.is_called(tier, round, &naming.committee, self.cluster.entered_us)
            || self.journal.contains_key(&(tier, round));
        let due = self.pool.waiting_count() > 0 && self.now_us >= self.cluster.next_start_us;
        if !due && !called {
            return false;
        }
        self.cluster.next_start_us = self.now_us + self.config.round_interval_us;
        // What waits for a predecessor is no reason for a round.
        let max_bytes = self.config.proposal_max_bytes() - PROOFS_MAX_BYTES;
        let in_flight = self.in_flight(round);
        let composed = self.pool.compose(&share, &in_flight, &self.ledger, max_bytes, &mut self.dropped);
        if !composed.is_any_ready && !called {
            return false;
        }
        self.cluster.entered_us = self.now_us;
        let seat = Seat {
            id: RoundId { network: self.network, tier, number: round },
            nodes: self.directory.indices(&naming.committee),
            committee: naming.committee.clone(),
            me,
            payload_max_bytes: self.config.proposal_max_bytes(),
        };
        let mut entered = self.enter(seat);
        if !entered.has_proposed() {
            entered.propose(ClusterProposal::encode(&self.proofs.pick(), &composed.picked));
            self.cluster.own_ids = composed.picked.iter().map(|transaction| transaction.id()).collect();
        }
        self.cluster.rounds.insert(round, entered);
        true
    }

    /// What the round before `round` may put into its block, as far as this node knows yet.
    fn in_flight(&mut self, round: u64) -> KeySet<Hash> {
        if round == self.cluster.current() {
            return KeySet::default();
        }
        self.decode_arrived(round - 1);
        let arrived = || self.cluster.arrived.get(&(round - 1)).into_iter().flat_map(BTreeMap::values).flatten();
        let mut ids = self.cluster.own_ids.clone();
        ids.reserve(arrived().map(|proposal| proposal.transactions.len()).sum());
        ids.extend(arrived().flat_map(|proposal| &proposal.transactions).map(|(transaction, _)| transaction.id()));
        ids
    }

    /// Reads the proposals of a round that have arrived since the last time.
    fn decode_arrived(&mut self, round: u64) {
        let Some(open) = self.cluster.rounds.get(&round) else { return };
        let known = self.cluster.arrived.get(&round);
        let is_known = |index: &usize| known.is_some_and(|known| known.contains_key(index));
        let fresh: Vec<(usize, Decoded)> = (0..COMMITTEE_MAX)
            .filter(|index| !is_known(index))
            .filter_map(|index| Some((index, self.decode_proposal(open.delivered(index)?))))
            .collect();
        self.cluster.arrived.entry(round).or_default().extend(fresh);
    }

    fn decode_proposal(&self, payload: &[u8]) -> Decoded {
        let proposal = ClusterProposal::decode(payload, self.network, |records| self.pool.find(records))
            .map_err(|error| error.to_string())?;
        if !proposal.proofs.iter().all(|proof| self.is_proof(proof)) {
            return Err("a proof of misconduct that proves nothing".into());
        }
        Ok(proposal)
    }

    fn step_cluster_round(&mut self, round: u64, naming: &Naming) -> bool {
        match &self.cluster.phase {
            Phase::Agreeing => self.take_cluster_output(round, naming),
            Phase::Verifying { .. } => false,
            Phase::Signing { .. } => self.certify_lsh_block(round),
        }
    }

    fn take_cluster_output(&mut self, round: u64, naming: &Naming) -> bool {
        let Some(output) = self.cluster.rounds.get(&round).and_then(Round::output) else { return false };
        let mut members = Members::default();
        for (index, _) in output {
            members.insert(*index);
        }
        self.decode_arrived(round);
        let arrived = self.cluster.arrived.remove(&round).unwrap_or_default();
        let mut seen = KeySet::default();
        let count = arrived.values().flatten().map(|proposal| proposal.transactions.len()).sum();
        let mut proposed = Vec::with_capacity(count);
        let (mut proofs, mut bad) = (BTreeSet::new(), Vec::new());
        for (proposer, decoded) in arrived.into_iter().filter(|(index, _)| members.contains(*index)) {
            match decoded {
                Ok(proposal) => {
                    proofs.extend(proposal.proofs);
                    for (transaction, is_known) in proposal.transactions {
                        let is_verified = is_known || self.pool.has_verified(&transaction);
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
            self.blame_proposer(round, naming.committee.get(index), what);
        }
        let unverified = proposed.iter().filter(|one| !one.is_verified).map(|one| one.transaction.clone()).collect();
        // The same proofs at everybody, and no more than a block holds.
        let proofs = proofs.into_iter().take(MISCONDUCT_MAX).collect();
        self.cluster.phase = Phase::Verifying { members, proposed, proofs };
        self.verify(Job::ClusterRound(round), unverified);
        true
    }

    fn blame_proposer(&mut self, round: u64, proposer: Option<&PublicKey>, what: String) {
        if let Some(node) = self.directory.index(proposer) {
            let kind = FaultKind::BadProposal { tier: Tier::Cluster(CLUSTER), round, what };
            self.faults.push(Fault { node, kind });
        }
    }

    /// The verdicts on what the agreed proposals held, in order: what does not verify is left out, by everybody alike.
    pub(crate) fn cluster_round_verified(&mut self, round: u64, verdicts: &[bool]) {
        if round != self.cluster.current() {
            return;
        }
        let Phase::Verifying { members, proposed, proofs } = &mut self.cluster.phase else { return };
        let (members, proposed, proofs) = (*members, std::mem::take(proposed), std::mem::take(proofs));
        let Some(naming) = self.cluster.naming(round).cloned() else { return };
        let mut verdicts = verdicts.iter();
        let mut ids = KeySet::default();
        ids.reserve(proposed.len());
        let mut transactions = Vec::with_capacity(proposed.len());
        for Proposed { transaction, proposer, is_verified } in proposed {
            if !is_verified && verdicts.next() != Some(&true) {
                self.blame_proposer(round, naming.committee.get(proposer), "a signature that does not verify".into());
            } else if !self.cluster.last_ids.contains(&transaction.id()) && ids.insert(transaction.id()) {
                transactions.push(transaction);
            }
        }
        let accounts: Vec<PublicKey> =
            transactions.iter().flat_map(|transaction| transaction.halves().map(|(star, _)| *star)).collect();
        let place = LshPlace {
            cluster: CLUSTER,
            network: self.network,
            round,
            previous: self.cluster.certified.1,
            black_hole_height: naming.height,
            black_hole: naming.black_hole,
        };
        let sketch = self.compute.sketch(&naming.beacon, &accounts);
        let block = LshBlock::fold(place, members, transactions, proofs, sketch);
        if let Some(current) = self.cluster.rounds.get_mut(&round) {
            current.sign(block.header.hash(), &mut self.out);
        }
        self.cluster.phase = Phase::Signing { block: Box::new(block) };
    }

    fn certify_lsh_block(&mut self, round: u64) -> bool {
        let Some(current) = self.cluster.rounds.get_mut(&round) else { return false };
        let Some(certificate) = current.certificate(&*self.compute, &mut self.faults) else { return false };
        let Phase::Signing { block } = std::mem::replace(&mut self.cluster.phase, Phase::Agreeing) else {
            return false;
        };
        self.seal(Arc::new(SealedLshBlock { block: *block, certificate }));
        true
    }

    fn seal(&mut self, sealed: Arc<SealedLshBlock>) {
        let round = sealed.block.header.round();
        self.pool.seal(round, &sealed.block.transactions);
        self.proofs.settle(&sealed.block.misconduct);
        self.cluster.advance(&sealed.block);
        self.cluster.sealed.insert(round, sealed);
        self.cluster_progress_us = self.now_us;
        self.ahead.forget_through(Tier::Cluster(CLUSTER), round);
    }

    /// Asks `from`, who has spoken of later rounds, for the LSH block this node lacks.
    pub(crate) fn want_lsh_block(&mut self, from: NodeIndex, certified_round: u64) {
        const ASK_AGAIN_US: u64 = 200_000;
        let round = self.cluster.current();
        let asked =
            self.cluster.asked.is_some_and(|(asked, at_us)| asked == round && self.now_us < at_us + ASK_AGAIN_US);
        if certified_round < round || asked || self.cluster.naming(round).is_none() {
            return;
        }
        self.cluster.asked = Some((round, self.now_us));
        self.send(from, Priority::Consensus, &Message::GetLshBlock { cluster: CLUSTER, round });
    }

    /// Serves a certified LSH block that is in no black hole yet; later the black hole itself is served.
    pub(crate) fn serve_lsh_block(&mut self, to: NodeIndex, cluster: u32, round: u64) {
        let sealed = self.cluster.sealed.get(&round).filter(|_| cluster == CLUSTER);
        match sealed {
            Some(sealed) => {
                let mut bytes = Vec::with_capacity(sealed.block.header.contents_len_bytes() + 1024);
                sealed.write(&mut bytes);
                self.send(to, Priority::Bulk, &Message::LshBlock(bytes));
            }
            None => self.send_status(to, false),
        }
    }

    /// Takes a certified LSH block from a peer; its transactions are verified before anything is built on it.
    pub(crate) fn take_lsh_block(&mut self, from: NodeIndex, bytes: &[u8]) {
        // Decoding is work: only what was asked for is worth it. The round sits at bytes 16..24 of the header.
        let current = self.cluster.current();
        let asked = self.cluster.asked.is_some_and(|(round, _)| round == current);
        if !asked || self.cluster.adopting.is_some() || bytes.get(16..24) != Some(&current.to_le_bytes()[..]) {
            return;
        }
        let mut reader = Reader::new(bytes);
        let sealed = match SealedLshBlock::read(&mut reader, self.network) {
            Ok(sealed) => sealed,
            Err(error) => return self.blame(from, FaultKind::BadBlock(error.to_string())),
        };
        let header = sealed.block.header;
        if let Err(what) = self.check_lsh_header(&header, &sealed.certificate) {
            return self.blame(from, FaultKind::BadBlock(what));
        }
        if header.previous != self.cluster.certified.1 {
            return self.blame(from, FaultKind::BadBlock("LSH block does not follow the cluster's last one".into()));
        }
        if !sealed.block.misconduct.iter().all(|proof| self.is_proof(proof)) {
            return self
                .blame(from, FaultKind::BadBlock("LSH block with a proof of misconduct that proves nothing".into()));
        }
        let sealed = Arc::new(sealed);
        let unverified = sealed.block.transactions.iter().filter(|one| !self.pool.has_verified(one)).cloned().collect();
        self.cluster.adopting = Some((sealed, from));
        self.verify(Job::AdoptLshBlock(header.hash()), unverified);
    }

    pub(crate) fn lsh_block_verified(&mut self, hash: Hash, all_valid: bool) {
        let Some((sealed, from)) = self.cluster.adopting.take_if(|(sealed, _)| sealed.block.header.hash() == hash)
        else {
            return;
        };
        if !all_valid {
            return self.blame(from, FaultKind::BadBlock("LSH block with a transaction that does not verify".into()));
        }
        self.seal(sealed);
        self.cluster.asked = None;
    }

    /// Checks an LSH block's place and certificate, not its contents.
    pub(crate) fn check_lsh_header(&self, header: &LshHeader, certificate: &Certificate) -> Result<(), String> {
        if header.cluster() != CLUSTER {
            return Err(format!("LSH block of cluster {}, which this network does not have", header.cluster()));
        }
        let naming = self.cluster.naming(header.round()).ok_or("LSH block of a round that cannot be open")?;
        if (header.black_hole_height(), header.black_hole) != (naming.height, naming.black_hole) {
            return Err("LSH block with the wrong last black hole".into());
        }
        certificate
            .verify(&header.round_id(), &header.hash(), &naming.committee, &*self.compute)
            .map_err(|error| error.to_string())
    }

    /// Lets the cluster's rounds speak, and forget what black holes hold.
    pub(crate) fn flush_cluster(&mut self, out: &mut Vec<Action>) {
        for round in self.cluster.rounds.values_mut() {
            round.flush(out, &mut self.faults);
        }
    }
}
