//! Who decides: a committee in its canonical order, its fault bound and quorum, and the choice of a cluster's
//! facilitators by the beacon.

use crate::hash::{Hash, Hasher};
use crate::keys::PublicKey;

/// The largest committee: its members fit the 128-bit maps of headers and certificates.
pub const COMMITTEE_MAX: usize = 128;

/// An ordered committee of at most [`COMMITTEE_MAX`] nodes; a member's index is its name inside a round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committee {
    members: Vec<PublicKey>,
}

impl Committee {
    /// A committee in the given order.
    ///
    /// # Panics
    /// When there are no members or more than [`COMMITTEE_MAX`]: genesis validation excludes both.
    pub fn new(members: Vec<PublicKey>) -> Self {
        assert!((1..=COMMITTEE_MAX).contains(&members.len()), "a committee has 1 to {COMMITTEE_MAX} members");
        Committee { members }
    }

    /// Number of members, n.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Never true: a committee has a member.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The most members that may be faulty, f = ⌊(n−1)/3⌋.
    pub fn fault_bound(&self) -> usize {
        (self.len() - 1) / 3
    }

    /// Members whose signatures make a certificate, n−f.
    pub fn quorum(&self) -> usize {
        self.len() - self.fault_bound()
    }

    /// The members in order.
    pub fn members(&self) -> &[PublicKey] {
        &self.members
    }

    /// The member at `index`.
    pub fn get(&self, index: usize) -> Option<&PublicKey> {
        self.members.get(index)
    }

    /// The index of `key`.
    pub fn index_of(&self, key: &PublicKey) -> Option<usize> {
        self.members.iter().position(|member| member == key)
    }

    /// A commitment to the members and their order.
    pub fn hash(&self) -> Hash {
        Hash::of(b"cst.comm", bytemuck::cast_slice(&self.members))
    }
}

/// A set of committee members, as a map of 128 bits: bit i stands for index i. On the wire 16 bytes, little endian.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Members(pub u128);

impl Members {
    /// Adds a member; false when it was there.
    pub fn insert(&mut self, index: usize) -> bool {
        let bit = 1u128 << index;
        let new = self.0 & bit == 0;
        self.0 |= bit;
        new
    }

    /// Whether `index` is in the set.
    pub fn contains(&self, index: usize) -> bool {
        index < COMMITTEE_MAX && self.0 >> index & 1 == 1
    }

    /// Members in the set.
    pub fn count(&self) -> usize {
        self.0.count_ones() as usize
    }

    /// Indices in rising order.
    pub fn iter(&self) -> impl Iterator<Item = usize> + use<> {
        let mut left = self.0;
        std::iter::from_fn(move || {
            let index = left.trailing_zeros() as usize;
            left &= left.wrapping_sub(1);
            (index < COMMITTEE_MAX).then_some(index)
        })
    }
}

/// The facilitators of `cluster` in `round`: the `seats` candidates with the smallest
/// BLAKE3(beacon ‖ cluster ‖ round ‖ key), in that order (DESIGN §4.3 with a single bucket).
pub fn elect_facilitators(
    beacon: &Hash,
    cluster: u32,
    round: u64,
    candidates: &[PublicKey],
    seats: usize,
) -> Committee {
    let mut drawn: Vec<(Hash, PublicKey)> = candidates
        .iter()
        .map(|key| {
            let ticket = Hasher::new(b"cst.seat")
                .update(&beacon.0)
                .update(&cluster.to_le_bytes())
                .update(&round.to_le_bytes())
                .update(&key.0)
                .finish();
            (ticket, *key)
        })
        .collect();
    drawn.sort_unstable();
    drawn.truncate(seats);
    Committee::new(drawn.into_iter().map(|(_, key)| key).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quorums_of_the_usual_sizes() {
        for (n, f, quorum) in [(1, 0, 1), (3, 0, 3), (4, 1, 3), (7, 2, 5), (10, 3, 7), (128, 42, 86)] {
            let committee = Committee::new((0..n).map(|i| PublicKey([i; 32])).collect());
            assert_eq!((committee.fault_bound(), committee.quorum()), (f, quorum));
        }
    }

    #[test]
    fn members_iterate_in_order() {
        let mut members = Members::default();
        for index in [127, 0, 64] {
            assert!(members.insert(index));
        }
        assert!(!members.insert(64));
        assert_eq!(members.iter().collect::<Vec<_>>(), [0, 64, 127]);
        assert!(members.contains(127) && !members.contains(1) && !members.contains(4000));
    }

    #[test]
    fn the_draw_moves_with_beacon_round_and_cluster_and_is_fair() {
        let nodes: Vec<PublicKey> = (0..8).map(|i| PublicKey([i; 32])).collect();
        let mut seats = [0; 8];
        for round in 0..800 {
            for key in elect_facilitators(&Hash([1; 32]), 0, round, &nodes, 4).members() {
                seats[key.0[0] as usize] += 1;
            }
        }
        assert!(seats.iter().all(|&count| (330..470).contains(&count)), "{seats:?}");
        let draw = |beacon, cluster, round| elect_facilitators(&Hash([beacon; 32]), cluster, round, &nodes, 4);
        assert_ne!(draw(1, 0, 5), draw(2, 0, 5));
        assert_ne!(draw(1, 0, 5), draw(1, 1, 5));
    }
}
