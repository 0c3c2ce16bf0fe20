//! Proofs of misconduct on their way into the chain: what this node has found, or been told, and no LSH block holds yet.

use crate::event::FaultKind;
use crate::node::Node;
use crate::round::Round;
use constellation_chain::{Certificate, LshHeader, Misconduct};
use std::collections::BTreeSet;

/// Proofs that wait, at most: no more members than that can be guilty in the rounds that are open.
const WAITING_MAX: usize = 256;
/// Proofs that a block held and that are remembered, so that this node does not offer them again.
const SETTLED_MAX: usize = 1024;
/// Proofs in one proposal, at most.
pub(crate) const PROOFS_MAX: usize = 4;
/// Bytes of a proposal's proofs, at most, with their count.
pub(crate) const PROOFS_MAX_BYTES: usize = 1 + PROOFS_MAX * size_of::<Misconduct>();

/// The proofs a node knows.
#[derive(Default)]
pub(crate) struct Proofs {
    waiting: BTreeSet<Misconduct>,
    settled: BTreeSet<Misconduct>,
}

impl Proofs {
    /// What to propose next.
    pub fn pick(&self) -> Vec<Misconduct> {
        self.waiting.iter().take(PROOFS_MAX).copied().collect()
    }

    /// A certified LSH block holds these.
    pub fn settle(&mut self, proofs: &[Misconduct]) {
        for proof in proofs {
            self.waiting.remove(proof);
            self.settled.insert(*proof);
            if self.settled.len() > SETTLED_MAX {
                self.settled.pop_first();
            }
        }
    }

    fn add(&mut self, proof: Misconduct) {
        if self.waiting.len() < WAITING_MAX && !self.settled.contains(&proof) {
            self.waiting.insert(proof);
        }
    }
}

impl Node {
    /// Takes over what the open rounds have found.
    pub(crate) fn keep_proofs_of_rounds(&mut self) {
        let rounds = self.clusters.iter_mut().flat_map(|cluster| cluster.rounds.values_mut());
        let found: Vec<Misconduct> = rounds.chain(self.galaxy.rounds_mut()).flat_map(Round::take_proofs).collect();
        found.into_iter().for_each(|proof| self.keep_proof(proof));
    }

    /// Keeps a proof for the next proposal, if it is one.
    fn keep_proof(&mut self, proof: Misconduct) {
        if !self.is_proof(&proof) {
            return;
        }
        if let Some(node) = self.directory.index(Some(&proof.member)) {
            self.blame(node, FaultKind::Proven(Box::new(proof)));
        }
        self.proofs.add(proof);
    }

    /// Holds a block's certificate against the shares that this node was sent.
    pub(crate) fn compare_certificate(&mut self, header: &LshHeader, certificate: &Certificate) {
        let cluster = self.clusters.get_mut(header.cluster() as usize);
        if let Some(round) = cluster.and_then(|cluster| cluster.rounds.get_mut(&header.round())) {
            round.compare(header.hash(), certificate);
        }
    }

    /// Whether anybody would accept it: a node of this network signed both statements.
    pub(crate) fn is_proof(&self, proof: &Misconduct) -> bool {
        self.directory.index(Some(&proof.member)).is_some() && proof.verify(self.network, &*self.compute).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use constellation_chain::{Hash, MisconductKind, PublicKey, Signature, Statement, Tier};

    fn proof(number: u64) -> Misconduct {
        let statement = |byte| Statement { hash: Hash([byte; 32]), signature: Signature([byte; 64]) };
        let place = (Tier::Galaxy, number);
        Misconduct::new(MisconductKind::TwoBlocks, place, PublicKey([7; 32]), [statement(1), statement(2)]).unwrap()
    }

    #[test]
    fn proofs_wait_until_a_block_holds_them_and_do_not_come_back() {
        let mut proofs = Proofs::default();
        (0..2 * WAITING_MAX as u64).for_each(|number| proofs.add(proof(number)));
        assert_eq!(proofs.waiting.len(), WAITING_MAX);
        let picked = proofs.pick();
        assert_eq!(picked.len(), PROOFS_MAX);
        proofs.settle(&picked);
        picked.iter().for_each(|proof| proofs.add(*proof));
        assert!(proofs.pick().iter().all(|proof| !picked.contains(proof)));
        (1000..4000).for_each(|number| proofs.settle(&[proof(number)]));
        assert!(proofs.settled.len() <= SETTLED_MAX);
    }
}
