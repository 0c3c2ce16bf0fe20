//! The state commitment: a homomorphic hash over all accounts, so that a black hole costs the accounts it touched and
//! not the accounts there are.
//!
//! LtHash with 1024 lanes of 16 bits (Bellare and Micciancio 1997; Lewi, Kim, Maykov and Weis 2019): the digest of an account
//! is expanded by BLAKE3 to 2048 bytes, and lanes are added or subtracted modulo 2^16. Collisions are as hard as a short
//! vector problem in dimension 1024; order and history of the updates leave no trace.

use crate::hash::Hash;

const LANES: usize = 1024;
const DOMAIN: &[u8; 8] = b"cst.lane";

/// The sum over all accounts.
#[derive(Clone, PartialEq, Eq)]
pub struct StateCommitment {
    lanes: Box<[u16; LANES]>,
}

impl Default for StateCommitment {
    fn default() -> Self {
        StateCommitment { lanes: Box::new([0; LANES]) }
    }
}

impl StateCommitment {
    /// Adds an account, by the hash of its encoding.
    pub fn add(&mut self, account: &Hash) {
        for (lane, value) in self.lanes.iter_mut().zip(expand(account).as_chunks().0) {
            *lane = lane.wrapping_add(u16::from_le_bytes(*value));
        }
    }

    /// Takes an account away, by the hash of its encoding.
    pub fn remove(&mut self, account: &Hash) {
        for (lane, value) in self.lanes.iter_mut().zip(expand(account).as_chunks().0) {
            *lane = lane.wrapping_sub(u16::from_le_bytes(*value));
        }
    }

    /// Exchanges what was added for one hash of an account's encoding for that of another.
    pub fn replace(&mut self, old: &Hash, new: &Hash) {
        let (old, new) = (expand(old), expand(new));
        let values = old.as_chunks().0.iter().zip(new.as_chunks().0);
        for (lane, (old, new)) in self.lanes.iter_mut().zip(values) {
            *lane = lane.wrapping_add(u16::from_le_bytes(*new)).wrapping_sub(u16::from_le_bytes(*old));
        }
    }

    /// The 32 bytes that go into a black hole's header.
    pub fn hash(&self) -> Hash {
        let bytes: Vec<u8> = self.lanes.iter().flat_map(|lane| lane.to_le_bytes()).collect();
        Hash::of(b"cst.stat", &bytes)
    }
}

impl std::fmt::Debug for StateCommitment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "StateCommitment({:?})", self.hash())
    }
}

fn expand(account: &Hash) -> [u8; LANES * 2] {
    let mut bytes = [0; LANES * 2];
    blake3::Hasher::new().update(DOMAIN).update(&account.0).finalize_xof().fill(&mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn only_the_set_counts(accounts in prop::collection::hash_set(any::<[u8; 32]>(), 2..20)) {
            let mut forwards = StateCommitment::default();
            let mut backwards = StateCommitment::default();
            let mut reversed: Vec<Hash> = accounts.into_iter().map(Hash).collect();
            let extra = reversed[0];
            for account in &reversed[1..] { forwards.add(account); }
            reversed.reverse();
            for account in &reversed { backwards.add(account); }
            prop_assert_ne!(forwards.hash(), backwards.hash());
            backwards.remove(&extra);
            prop_assert_eq!(forwards.hash(), backwards.hash());
            forwards.replace(&reversed[0], &extra);
            backwards.remove(&reversed[0]);
            backwards.add(&extra);
            prop_assert_eq!(forwards.hash(), backwards.hash());
        }
    }
}
