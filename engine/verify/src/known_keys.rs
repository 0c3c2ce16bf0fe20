//! The keys of known stars, decoded: a bounded cache that keys seen once do not enter and that one-time keys cannot empty.
//!
//! Sets of four ways. A key enters when a signature of it is seen a second time (a tag of the first time is kept elsewhere), and takes the
//! place of one that was not asked for since all of a set were; where all have been asked for, the first one's. The places of keys depend on a secret of this cache, so that nobody can
//! choose keys that crowd each other out.

use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use crate::lanes::Packed3;

const WAYS: usize = 4;

/// However many are asked for.
const KEYS_MAX: usize = 1 << 24;

/// A key that no one has: y = 0 is a point of small order. It marks an empty place.
const EMPTY: [u8; 32] = [0; 32];

/// Decoded keys of stars that signed before.
pub(crate) struct KnownKeys {
    hasher: KeyHasher,
    table: RwLock<Table>,
    /// Tags of keys seen once, each at the place of its hash.
    seen: Vec<AtomicU16>,
}

/// What lookups need; held for a batch.
pub(crate) struct Table {
    keys: Vec<[u8; 32]>,
    /// Plain words, which start as pages of zeros that cost nothing until they are used.
    points: Vec<[u64; 16]>,
    used: Vec<AtomicBool>,
}

impl KnownKeys {
    /// A cache of about `keys_max` keys: the next power of two, of some 165 bytes each, and at most 2^24.
    pub(crate) fn new(keys_max: usize, hasher: KeyHasher) -> Self {
        let places = keys_max.min(KEYS_MAX).next_power_of_two().max(WAYS);
        let table = Table {
            keys: vec![EMPTY; places],
            points: vec![[0; 16]; places],
            used: (0..places).map(|_| AtomicBool::new(false)).collect(),
        };
        Self { hasher, table: RwLock::new(table), seen: (0..2 * places).map(|_| AtomicU16::new(0)).collect() }
    }

    /// Opens the cache for lookups.
    pub(crate) fn open(&self) -> RwLockReadGuard<'_, Table> {
        self.table.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether `key`, whose hash is `hash`, was seen before and should be put in; notes that it is seen now.
    pub(crate) fn is_due(&self, hash: u64) -> bool {
        let place = (hash >> 16) as usize & (self.seen.len() - 1);
        // A tag is never 0, so that a fresh place has seen no key.
        let tag = (hash >> 48) as u16 | 1;
        self.seen[place].swap(tag, Ordering::Relaxed) == tag
    }

    /// Puts decoded keys in.
    pub(crate) fn insert<'a>(&self, keys: impl Iterator<Item = (&'a [u8; 32], &'a Packed3)>) {
        let mut keys = keys.peekable();
        if keys.peek().is_none() {
            return;
        }
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        for (key, point) in keys {
            table.insert(self.hasher.hash(key), key, point);
        }
    }
}

impl Table {
    fn set(&self, hash: u64) -> std::ops::Range<usize> {
        let first = hash as usize & (self.keys.len() - 1) & !(WAYS - 1);
        first..first + WAYS
    }

    /// The decoded point of `key`, whose hash is `hash`.
    pub(crate) fn get(&self, hash: u64, key: &[u8; 32]) -> Option<Packed3> {
        let place = self.set(hash).find(|&place| self.keys[place] == *key)?;
        self.used[place].store(true, Ordering::Relaxed);
        Some(Packed3(self.points[place]))
    }

    fn insert(&mut self, hash: u64, key: &[u8; 32], point: &Packed3) {
        let set = self.set(hash);
        if set.clone().any(|place| self.keys[place] == *key) {
            return;
        }
        let unused = |place: &usize| !self.used[*place].load(Ordering::Relaxed);
        let empty = |place: &usize| self.keys[*place] == EMPTY;
        let place = match set.clone().find(empty).or_else(|| set.clone().find(unused)) {
            Some(place) => place,
            None => {
                set.clone().for_each(|place| self.used[place].store(false, Ordering::Relaxed));
                set.start
            }
        };
        (self.keys[place], self.points[place]) = (*key, point.0);
    }
}

/// A keyed hash of public keys, for tables: fast, and not to be foreseen without the seed.
#[derive(Clone, Copy)]
pub(crate) struct KeyHasher([u64; 4]);

impl KeyHasher {
    /// A hasher with a seed of the operating system's randomness where there is any.
    pub(crate) fn new() -> Self {
        use std::hash::{BuildHasher, RandomState};
        // The standard library's own seeds for its tables.
        let state = RandomState::new();
        Self([0, 1, 2, 3_u64].map(|number| state.hash_one(number)))
    }

    /// Two multiplications of half the key each, folded.
    pub(crate) fn hash(&self, key: &[u8; 32]) -> u64 {
        let word = |number: usize| {
            let bytes = std::array::from_fn(|byte| key[8 * number + byte]);
            u64::from_le_bytes(bytes) ^ self.0[number]
        };
        let fold = |product: u128| product as u64 ^ (product >> 64) as u64;
        let low = fold(u128::from(word(0)) * u128::from(word(1)));
        fold(u128::from(low ^ word(2)) * u128::from(word(3)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u64) -> [u8; 32] {
        *blake3::hash(&number.to_le_bytes()).as_bytes()
    }

    fn put(cache: &KnownKeys, number: u64) {
        let point = Packed3([number; 16]);
        cache.insert(std::iter::once((&key(number), &point)));
    }

    fn find(cache: &KnownKeys, number: u64) -> Option<u64> {
        let key = key(number);
        cache.open().get(cache.hasher.hash(&key), &key).map(|point| point.0[0])
    }

    #[test]
    fn what_is_found_is_what_was_put_in() {
        let cache = KnownKeys::new(1024, KeyHasher::new());
        assert_eq!(find(&cache, 1), None);
        (0..300).for_each(|number| put(&cache, number));
        let found = (0..300).filter(|&number| find(&cache, number).is_some_and(|point| point == number)).count();
        assert!(found > 280, "{found} of 300 keys in 1024 places");
        assert!((300..600).all(|number| find(&cache, number).is_none()));
    }

    #[test]
    fn keys_in_use_survive_a_flood_of_others() {
        let cache = KnownKeys::new(1024, KeyHasher::new());
        (0..100).for_each(|number| put(&cache, number));
        for flood in 0..100 {
            assert!((0..100).filter(|&number| find(&cache, number).is_some()).count() > 80);
            (0..100).for_each(|number| put(&cache, 1000 + 100 * flood + number));
        }
        let kept = (0..100).filter(|&number| find(&cache, number).is_some()).count();
        assert!(kept > 80, "{kept} of 100 keys in use are left");
    }

    #[test]
    fn a_key_is_due_when_it_is_seen_again() {
        let cache = KnownKeys::new(64, KeyHasher::new());
        let hash = cache.hasher.hash(&key(1));
        assert!(!cache.is_due(hash));
        assert!(cache.is_due(hash));
    }

    #[test]
    fn the_smallest_cache_works() {
        let cache = KnownKeys::new(1, KeyHasher::new());
        (0..20).for_each(|number| put(&cache, number));
        assert!((0..20).filter(|&number| find(&cache, number).is_some()).count() <= WAYS);
    }
}
