//! The finalized transfers of the last epochs, as a weighted graph between stars.
//!
//! A transfer weighs [`TRANSFER_WEIGHT`] at the end of its epoch and half as much an epoch later, rounded down: five epochs on it is forgotten. Both
//! directions count alike; what a star sends to itself does not count.
//!
//! **Bounded, and what is forgotten.** Within an epoch the pairs of stars have ranks, a hash of the pair under the epoch's salt; when there are more
//! pairs than [`TrafficLimits::edges`], those with the smallest ranks stay (a bottom-k sample, Cohen and Kaplan 2007). What stays is counted in full,
//! whichever order transfers came in, because a pair once dropped would be dropped again. At the epoch's end the sample joins what is left of earlier epochs; then the
//! heaviest edges stay, of equal ones those of the smaller keys, and each only if its stars find room among [`TrafficLimits::stars`].

use std::collections::{BTreeMap, BTreeSet};

use crate::hash::Hash;
use crate::keys::PublicKey;

/// What a transfer of the epoch that has just ended weighs.
pub const TRANSFER_WEIGHT: u32 = 16;

const DOMAIN: &[u8; 8] = b"cst.pair";

/// How much traffic is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrafficLimits {
    /// The most stars.
    pub stars: usize,
    /// The most pairs of stars; while an epoch runs, as many again of its own.
    pub edges: usize,
}

impl Default for TrafficLimits {
    /// 2^18 stars and 2^19 edges: less than 100 MiB.
    fn default() -> Self {
        Self { stars: 1 << 18, edges: 1 << 19 }
    }
}

/// Two stars, the smaller key first.
type Pair = [PublicKey; 2];

/// Transfers between two stars.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Edge {
    pub stars: Pair,
    pub weight: u32,
}

/// Who traded with whom in the last epochs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traffic {
    limits: TrafficLimits,
    salt: Hash,
    /// Transfers of the epoch that runs, by rank and pair.
    recent: BTreeMap<(u64, Pair), u32>,
    /// What is remembered of the epochs before, in the order of pairs.
    edges: Vec<Edge>,
}

impl Traffic {
    /// No traffic yet. `salt` is that of the first epoch: something agreed on that nobody can choose, as a beacon is.
    pub fn new(limits: TrafficLimits, salt: Hash) -> Self {
        Self { limits, salt, recent: BTreeMap::new(), edges: Vec::new() }
    }

    /// Counts one finalized transfer.
    pub fn record(&mut self, initiator: PublicKey, counterparty: PublicKey) {
        if initiator == counterparty {
            return;
        }
        let pair = [initiator.min(counterparty), initiator.max(counterparty)];
        let count = self.recent.entry((rank(self.salt, &pair), pair)).or_insert(0);
        *count = count.saturating_add(1);
        if self.recent.len() > self.limits.edges {
            self.recent.pop_last();
        }
    }

    /// Ends the epoch: what was remembered loses half its weight, the epoch's transfers join it, and the next epoch begins under `next_salt`.
    pub fn end_epoch(&mut self, next_salt: Hash) {
        for edge in &mut self.edges {
            edge.weight /= 2;
        }
        let recent = std::mem::take(&mut self.recent).into_iter();
        let weight = |count: u32| count.saturating_mul(TRANSFER_WEIGHT);
        self.edges.extend(recent.map(|((_, stars), count)| Edge { stars, weight: weight(count) }));
        self.edges.retain(|edge| edge.weight > 0);
        self.edges.sort_unstable_by_key(|edge| edge.stars);
        self.edges.dedup_by(|next, edge| {
            let is_same = next.stars == edge.stars;
            if is_same {
                edge.weight = edge.weight.saturating_add(next.weight);
            }
            is_same
        });
        self.forget();
        self.salt = next_salt;
    }

    /// Keeps the heaviest edges that the limits have room for.
    fn forget(&mut self) {
        let TrafficLimits { stars: stars_max, edges: edges_max } = self.limits;
        if self.edges.len() <= edges_max && 2 * self.edges.len() <= stars_max {
            return;
        }
        self.edges.sort_unstable_by_key(|edge| (std::cmp::Reverse(edge.weight), edge.stars));
        self.edges.truncate(edges_max);
        let mut stars = BTreeSet::new();
        self.edges.retain(|edge| {
            let new = edge.stars.iter().filter(|star| !stars.contains(*star)).count();
            let has_room = stars.len() + new <= stars_max;
            if has_room {
                stars.extend(edge.stars);
            }
            has_room
        });
        self.edges.sort_unstable_by_key(|edge| edge.stars);
    }

    /// How many pairs of stars are remembered of the epochs that have ended.
    pub fn pairs(&self) -> usize {
        self.edges.len()
    }

    /// What is remembered of the epochs that have ended, in the order of pairs.
    pub(super) fn edges(&self) -> &[Edge] {
        &self.edges
    }
}

fn rank(salt: Hash, pair: &Pair) -> u64 {
    let mut bytes = [0; 96];
    bytes[..32].copy_from_slice(&salt.0);
    bytes[32..64].copy_from_slice(&pair[0].0);
    bytes[64..].copy_from_slice(&pair[1].0);
    let hash = Hash::of(DOMAIN, &bytes);
    let (word, _) = hash.0.split_first_chunk::<8>().expect("a hash has 32 bytes");
    u64::from_le_bytes(*word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn star(number: u8) -> PublicKey {
        PublicKey([number; 32])
    }

    fn salt(epoch: u8) -> Hash {
        Hash([epoch; 32])
    }

    fn weights(traffic: &Traffic) -> Vec<(u8, u8, u32)> {
        traffic.edges().iter().map(|edge| (edge.stars[0].0[0], edge.stars[1].0[0], edge.weight)).collect()
    }

    #[test]
    fn a_transfer_weighs_half_as_much_each_epoch_until_it_is_forgotten() {
        let mut traffic = Traffic::new(TrafficLimits::default(), salt(0));
        traffic.record(star(2), star(1));
        traffic.record(star(1), star(2));
        traffic.record(star(3), star(3));
        for weight in [32, 16, 8, 4, 2, 1] {
            traffic.end_epoch(salt(1));
            assert_eq!(weights(&traffic), [(1, 2, weight)]);
        }
        traffic.end_epoch(salt(1));
        assert_eq!(traffic.pairs(), 0);
    }

    #[test]
    fn the_heaviest_edges_stay_and_each_only_with_both_its_stars() {
        let mut traffic = Traffic::new(TrafficLimits { stars: 4, edges: 10 }, salt(0));
        for (a, b, count) in [(1, 2, 5), (3, 4, 4), (5, 6, 3), (1, 3, 2), (1, 7, 1)] {
            (0..count).for_each(|_| traffic.record(star(a), star(b)));
        }
        traffic.end_epoch(salt(1));
        assert_eq!(weights(&traffic), [(1, 2, 80), (1, 3, 32), (3, 4, 64)]);

        traffic.limits.edges = 2;
        traffic.end_epoch(salt(2));
        assert_eq!(weights(&traffic), [(1, 2, 40), (3, 4, 32)]);
    }

    proptest! {
        /// The limits bind: pairs are dropped within epochs and at their ends.
        #[test]
        fn the_order_of_an_epochs_transfers_does_not_matter(
            epochs in prop::collection::vec(
                prop::collection::vec((0u8..12, 0u8..12), 0..60)
                    .prop_flat_map(|transfers| (Just(transfers.clone()), Just(transfers).prop_shuffle())),
                1..4,
            ),
        ) {
            let limits = TrafficLimits { stars: 8, edges: 10 };
            let [mut one, mut other] = [0; 2].map(|_| Traffic::new(limits, salt(0)));
            for (epoch, (transfers, shuffled)) in epochs.iter().enumerate() {
                transfers.iter().for_each(|(a, b)| one.record(star(*a), star(*b)));
                shuffled.iter().for_each(|(a, b)| other.record(star(*b), star(*a)));
                prop_assert_eq!(&one, &other);
                for traffic in [&mut one, &mut other] {
                    prop_assert!(traffic.recent.len() <= limits.edges);
                    traffic.end_epoch(salt(epoch as u8 + 1));
                }
                prop_assert_eq!(&one, &other);
                let stars: BTreeSet<_> = one.edges.iter().flat_map(|edge| edge.stars).collect();
                prop_assert!(one.pairs() <= limits.edges && stars.len() <= limits.stars);
                prop_assert!(one.edges.is_sorted_by_key(|edge| edge.stars));
            }
        }
    }
}
