//! The weak coin of a round: the low bit of the smallest verifiable random share, gathered in two steps.
//!
//! 1. COIN1: a node sends its share, when the round's value is bound for it (see `agreement`), not before.
//! 2. COIN2: on n−f valid COIN1 it sends the smallest share it has seen, with owner and proof.
//! 3. On n−f valid COIN2, its coin is the low bit of the smallest share it has seen.
//!
//! **How good it is.** Call a share *common* if f+1 honest nodes had it when they sent COIN2. Any n−f COIN2 come from
//! one of them at least, so no node's smallest is above a common share; if the smallest of all n shares is common,
//! everybody's coin is its low bit. Count over n−f honest nodes that send COIN2: each has n−f shares, of which n−2f or
//! more have owners among them, so (n−f)(n−2f) pairs or more; a common share is in at most n−f pairs, another in at
//! most f. With c common shares: c(n−f) + (n−f−c)f ≥ (n−f)(n−2f), so c ≥ (n−f)(n−3f)/(n−2f), which is above 1 for every
//! n: **c ≥ 2** (1 for n = 1). If the order of delivery does not depend on the shares' values, the smallest is common
//! with probability c/n ≥ 2/n, and its low bit is either bit with 1/2: **each bit is everybody's coin with probability
//! ≥ 1/n**.
//!
//! A scheduler that reads the shares (which are not secret once sent) and delays messages by their values can do worse
//! to us: it leaves the smallest shares with their owners alone. What remains: nobody misses more than f shares, so
//! everybody's smallest is among the f+1 smallest of all; if those f+1 are honest and have one low bit, the coin is
//! common whatever the order: probability ≥ 2^−(f+1) · C(n−f, f+1)/C(n, f+1) for each bit (n = 4: 1/8; n = 7: 1/28; n =
//! 31: hopeless). Termination with probability 1 holds against both; speed for large n is claimed for the first kind
//! only. A coin of threshold signatures would be better and needs a key ceremony for each committee.
//!
//! A share is what its proof verifies to, and a VRF has one output for a key and an input; so two different proofs of
//! one sender are one vote, and the second is not looked at.

use crate::committee::{Committee, NodeSet};

/// The caller's verifiable random function, bound to keys, tier and round. Pure: the same arguments give the same
/// result, and a share cannot be told without the node's secret key.
pub trait Coin {
    /// My proof, at most [`COIN_PROOF_MAX_BYTES`](crate::COIN_PROOF_MAX_BYTES); the same bytes each time.
    fn share(&self, instance: u16, round: u32) -> Vec<u8>;
    /// The verified output of that node's proof; `None` if it does not verify. Outputs compare as big-endian numbers.
    fn check(&self, node: usize, instance: u16, round: u32, proof: &[u8]) -> Option<[u8; 32]>;
}

/// Which of the two steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Share,
    Smallest,
}

/// A share, by its owner's proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Share {
    pub owner: usize,
    pub proof: Vec<u8>,
}

/// What became of a coin vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counted {
    New,
    Repeat,
    Wrong,
}

/// The coin of one round of one agreement.
#[derive(Debug, Default)]
pub(crate) struct CoinRound {
    /// Who has voted, rightly or wrongly: each node's proof is checked once.
    voted: [NodeSet; 2],
    valid: [NodeSet; 2],
    smallest: Option<([u8; 32], Share)>,
    /// The share of my COIN2.
    sent_smallest: Option<Share>,
}

impl CoinRound {
    /// Counts a vote; `check` verifies a share.
    pub fn count(
        &mut self,
        from: usize,
        phase: Phase,
        share: Share,
        check: impl FnOnce(&Share) -> Option<[u8; 32]>,
    ) -> Counted {
        if self.voted[phase as usize].contains(from) {
            return Counted::Repeat;
        }
        self.voted[phase as usize].insert(from);
        let known = matches!(&self.smallest, Some((_, smallest)) if *smallest == share);
        if !known {
            let Some(output) = guard!(ShareVerified, check(&share), Some(check(&share).unwrap_or_default())) else {
                return Counted::Wrong;
            };
            if self.smallest.as_ref().is_none_or(|(low, _)| output < *low) {
                self.smallest = Some((output, share));
            }
        }
        self.valid[phase as usize].insert(from);
        Counted::New
    }

    pub fn voted(&self, phase: Phase, committee: &Committee) -> bool {
        self.voted[phase as usize].contains(committee.me)
    }

    /// The share that my COIN2 is to carry, when COIN1 is complete and I have not sent one.
    pub fn next_smallest(&mut self, committee: &Committee) -> Option<Share> {
        let shares = self.valid[Phase::Share as usize].len();
        let is_complete = guard!(ShareQuorum, committee.is_quorum(shares), shares > 0);
        if self.voted(Phase::Smallest, committee) || !is_complete {
            return None;
        }
        let (_, share) = self.smallest.clone()?;
        self.set_sent_smallest(share.clone(), committee);
        Some(share)
    }

    /// Notes the share of my COIN2, now or before a crash.
    pub fn set_sent_smallest(&mut self, share: Share, committee: &Committee) {
        self.voted[Phase::Smallest as usize].insert(committee.me);
        self.valid[Phase::Smallest as usize].insert(committee.me);
        self.sent_smallest = Some(share);
    }

    pub fn sent_smallest(&self) -> Option<&Share> {
        self.sent_smallest.as_ref()
    }

    /// The coin, once known.
    pub fn value(&self, committee: &Committee) -> Option<bool> {
        let votes = self.valid[Phase::Smallest as usize].len();
        if !guard!(CoinQuorum, committee.is_quorum(votes), votes > 0) {
            return None;
        }
        let (output, _) = self.smallest.as_ref()?;
        Some(output[31] & 1 == 1)
    }
}
