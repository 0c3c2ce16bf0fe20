//! What gossip remembers: the two-generation set of seen ids, and a map that can give up its oldest entries.

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

    pub(crate) fn remove(&mut self, id: &ItemId) {
        let hash = self.key.hash_one(id);
        self.young.remove(&hash);
        self.old.remove(&hash);
    }
}

/// A map by id that knows the order of insertion.
#[derive(Debug)]
pub(crate) struct FifoMap<V> {
    entries: IdMap<(u64, V)>,
    /// May hold stale pairs of removed entries, never more than there are live ones (and a few).
    order: VecDeque<(u64, ItemId)>,
    next_sequence: u64,
}

impl<V> FifoMap<V> {
    pub(crate) fn new() -> Self {
        Self { entries: IdMap::default(), order: VecDeque::new(), next_sequence: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn get(&self, id: &ItemId) -> Option<&V> {
        self.entries.get(id).map(|(_, value)| value)
    }

    pub(crate) fn get_mut(&mut self, id: &ItemId) -> Option<&mut V> {
        self.entries.get_mut(id).map(|(_, value)| value)
    }

    /// Inserts as the newest; an entry of this id is replaced.
    pub(crate) fn insert(&mut self, id: ItemId, value: V) {
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        self.entries.insert(id, (sequence, value));
        self.order.push_back((sequence, id));
        if self.order.len() > 2 * self.entries.len() + 64 {
            let entries = &self.entries;
            self.order.retain(|(sequence, id)| entries.get(id).is_some_and(|(live, _)| live == sequence));
        }
    }

    pub(crate) fn remove(&mut self, id: &ItemId) -> Option<V> {
        self.entries.remove(id).map(|(_, value)| value)
    }

    pub(crate) fn pop_oldest(&mut self) -> Option<(ItemId, V)> {
        while let Some((sequence, id)) = self.order.pop_front() {
            if self.entries.get(&id).is_some_and(|(live, _)| *live == sequence) {
                return self.remove(&id).map(|value| (id, value));
            }
        }
        None
    }

    /// The newest `count` ids, oldest of them first.
    pub(crate) fn newest(&self, count: usize) -> Vec<ItemId> {
        let live = |(sequence, id): &&(u64, ItemId)| self.entries.get(id).is_some_and(|(s, _)| s == sequence);
        let mut ids: Vec<_> = self.order.iter().rev().filter(live).take(count).map(|(_, id)| *id).collect();
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
        seen.remove(&id(999));
        assert!(!seen.contains(&id(999)));
    }

    #[test]
    fn fifo_map_evicts_oldest_first_and_skips_removed_ones() {
        let mut map = FifoMap::new();
        for n in 0..5 {
            map.insert(id(n), n);
        }
        map.remove(&id(0));
        map.insert(id(1), 11);
        assert_eq!(map.newest(2), [id(4), id(1)]);
        assert_eq!(map.pop_oldest(), Some((id(2), 2)));
        assert_eq!(map.pop_oldest(), Some((id(3), 3)));
        assert_eq!(map.pop_oldest(), Some((id(4), 4)));
        assert_eq!(map.pop_oldest(), Some((id(1), 11)));
        assert_eq!(map.pop_oldest(), None);
    }

    #[test]
    fn fifo_map_order_stays_bounded_under_insert_and_remove() {
        let mut map = FifoMap::new();
        for n in 0..10_000 {
            map.insert(id(n), ());
            map.remove(&id(n));
        }
        assert_eq!(map.len(), 0);
        assert!(map.order.len() <= 65);
    }
}
