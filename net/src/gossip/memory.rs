//! What gossip remembers: the two-generation set of seen ids, and the order in which items came.

use std::collections::hash_map::RandomState;
use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasher, BuildHasherDefault, Hasher};

use crate::gossip::ItemId;

/// Passes a key that is already a keyed hash through.
#[derive(Default)]
struct Prehashed(u64);

impl Hasher for Prehashed {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// A map by id. Its hash is fast and keyed, so that nobody can choose ids that crowd each other out.
pub(crate) type IdMap<V> = std::collections::HashMap<ItemId, V, foldhash::quality::RandomState>;

type HashedSet = HashSet<u64, BuildHasherDefault<Prehashed>>;

/// The ids seen lately: between `capacity` and twice that many. It keeps 64-bit hashes under a secret key, so that
/// nobody can choose ids that collide; by chance, one id in 2^43 is taken for seen at a million entries.
#[derive(Debug)]
pub(crate) struct SeenSet {
    key: RandomState,
    capacity: usize,
    young: HashedSet,
    old: HashedSet,
}

impl SeenSet {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { key: RandomState::new(), capacity, young: HashedSet::default(), old: HashedSet::default() }
    }

    pub(crate) fn contains(&self, id: &ItemId) -> bool {
        let hash = self.key.hash_one(id);
        self.young.contains(&hash) || self.old.contains(&hash)
    }

    pub(crate) fn insert(&mut self, id: &ItemId) {
        if self.young.len() >= self.capacity {
            // The cleared set keeps its allocation, so a steady state does not allocate.
            self.old.clear();
            std::mem::swap(&mut self.young, &mut self.old);
        }
        self.young.insert(self.key.hash_one(id));
    }
}

/// Ids in the order of their arrival. Each has a place, counted from the first ever; a place that was vacated stays empty until all before it are.
#[derive(Debug, Default)]
pub(crate) struct Order {
    ids: VecDeque<Option<ItemId>>,
    /// Place of the first in `ids`, which is never empty.
    first: u64,
}

impl Order {
    /// Appends an id; its place.
    pub(crate) fn push(&mut self, id: ItemId) -> u64 {
        self.ids.push_back(Some(id));
        self.first + self.ids.len() as u64 - 1
    }

    /// The id at a place, if it is still there.
    pub(crate) fn at(&self, place: u64) -> Option<ItemId> {
        let index = place.checked_sub(self.first)?;
        *self.ids.get(usize::try_from(index).ok()?)?
    }

    pub(crate) fn vacate(&mut self, place: u64) {
        if let Some(index) = place.checked_sub(self.first)
            && let Some(slot) = self.ids.get_mut(index as usize)
        {
            *slot = None;
        }
        while self.ids.front() == Some(&None) {
            self.ids.pop_front();
            self.first += 1;
        }
    }

    /// Places from the oldest id to the newest, empty ones among them: what the order takes in memory.
    pub(crate) fn span(&self) -> usize {
        self.ids.len()
    }

    pub(crate) fn oldest(&self) -> Option<ItemId> {
        self.ids.front().copied().flatten()
    }

    /// The newest `count` ids, oldest of them first.
    pub(crate) fn newest(&self, count: usize) -> Vec<ItemId> {
        let mut ids: Vec<_> = self.ids.iter().rev().copied().flatten().take(count).collect();
        ids.reverse();
        ids
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u32) -> ItemId {
        let mut id = [0; 32];
        id[..4].copy_from_slice(&n.to_le_bytes());
        id
    }

    #[test]
    fn seen_set_remembers_the_last_capacity_ids_and_is_bounded() {
        let mut seen = SeenSet::new(100);
        for n in 0..1_000 {
            seen.insert(&id(n));
            assert!(seen.contains(&id(n)));
            assert!(seen.contains(&id(n.saturating_sub(99))));
            assert!(seen.young.len() + seen.old.len() <= 200);
        }
        assert!(!seen.contains(&id(0)));
    }

    #[test]
    fn order_knows_places_and_skips_empty_ones() {
        let mut order = Order::default();
        let places: Vec<u64> = (0..5).map(|n| order.push(id(n))).collect();
        order.vacate(places[2]);
        assert_eq!((order.span(), order.oldest(), order.at(places[2])), (5, Some(id(0)), None));
        assert_eq!(order.newest(3), [id(1), id(3), id(4)]);
        order.vacate(places[0]);
        order.vacate(places[0]);
        order.vacate(places[1]);
        assert_eq!((order.span(), order.oldest()), (2, Some(id(3))));
        assert_eq!([0, 1, 3, 4, 5].map(|n| order.at(n)), [None, None, Some(id(3)), Some(id(4)), None]);
        places.iter().for_each(|place| order.vacate(*place));
        assert_eq!((order.span(), order.oldest(), order.push(id(9))), (0, None, 5));
    }
}
