//! Evidence of a fork: two signed halves of one star that follow the same transaction.
//!
//! Both transactions stand in the chain (the rival as censored), so evidence names them and anybody can look the
//! signatures up:
//!
//! ```text
//! offset len
//!      0  32  star
//!     32   8  sequence number both halves claim
//!     40  32  id of the transaction that stands
//!     72  32  id of its rival
//! ```

use crate::hash::Hash;
use crate::keys::PublicKey;
use crate::map::{KeyMap, KeyState};
use crate::merkle::merkle_root;
use crate::transaction::{Half, Transaction};
use bytemuck::{Pod, Zeroable};
use std::hash::BuildHasher;

/// A fork of one star's personal chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Pod, Zeroable)]
#[repr(C)]
pub struct Evidence {
    /// The star that signed twice.
    pub star: PublicKey,
    sequence: [u8; 8],
    /// The transaction that stands.
    pub standing: Hash,
    /// The other one.
    pub rival: Hash,
}

impl Evidence {
    /// Evidence that `star` signed both transactions as its number `sequence`.
    pub fn new(star: PublicKey, sequence: u64, standing: Hash, rival: Hash) -> Self {
        Evidence { star, sequence: sequence.to_le_bytes(), standing, rival }
    }

    /// The sequence number that both halves claim.
    pub fn sequence(&self) -> u64 {
        u64::from_le_bytes(self.sequence)
    }

    /// The root over a list of evidence, folded onto `previous` as every Merkle root here.
    pub fn root(previous: &Hash, list: &[Evidence]) -> Hash {
        merkle_root(previous, list.iter().map(bytemuck::bytes_of))
    }
}

/// A number of a star, and what it follows: one transaction can be it.
struct Claim<'a> {
    star: &'a PublicKey,
    half: &'a Half,
}

impl Claim<'_> {
    fn parts(&self) -> (&PublicKey, u64, &Hash) {
        (self.star, self.half.sequence(), &self.half.previous)
    }
}

impl PartialEq for Claim<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.parts() == other.parts()
    }
}

impl Eq for Claim<'_> {}

impl std::hash::Hash for Claim<'_> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        // Forks are few: star and number tell nearly all claims apart.
        self.star.hash(state);
        state.write_u64(self.half.sequence());
    }
}

/// The forks that show in `transactions` alone, in their order: the first of each pair stands.
pub fn find_forks<'a>(transactions: impl IntoIterator<Item = &'a Transaction>) -> Vec<Evidence> {
    let transactions: Vec<&Transaction> = transactions.into_iter().collect();
    if !may_hold_forks(&transactions) {
        return Vec::new();
    }
    let mut seen: KeyMap<Claim<'a>, &'a Transaction> = KeyMap::default();
    seen.reserve(2 * transactions.len());
    let mut forks = Vec::new();
    for transaction in transactions {
        for (star, half) in transaction.halves() {
            let standing = *seen.entry(Claim { star, half }).or_insert(transaction);
            if standing.id() != transaction.id() {
                forks.push(Evidence::new(*star, half.sequence(), standing.id(), transaction.id()));
            }
        }
    }
    forks
}

/// Whether two halves may claim one number of one star: a quick look, nearly always the last.
fn may_hold_forks(transactions: &[&Transaction]) -> bool {
    let state = KeyState::default();
    let halves = transactions.iter().flat_map(|transaction| transaction.halves());
    let mut claims: Vec<u64> = halves.map(|(star, half)| state.hash_one(Claim { star, half })).collect();
    claims.sort_unstable();
    claims.windows(2).any(|pair| pair[0] == pair[1])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{NetworkId, Offer, SecretKey, StarHead};

    #[test]
    fn a_fork_shows_once_and_names_its_star() {
        let key = |byte| SecretKey::from_seed([byte; 32]);
        let send = |from: u8, to: u8, amount| {
            Offer::transfer(NetworkId([0; 8]), &key(from), StarHead::default(), key(to).public_key(), amount)
                .countersign(&key(to), StarHead::default())
                .unwrap()
        };
        let (first, rival, other) = (send(1, 2, 5), send(1, 3, 5), send(4, 5, 5));
        let forks = find_forks([&first, &other, &rival, &first]);
        assert_eq!(forks, [Evidence::new(key(1).public_key(), 1, first.id(), rival.id())]);
        assert!(find_forks([&first, &other]).is_empty());
    }
}
