//! The two indexes that are compared: bands of sketches, and accounts.

use constellation_chain::{KeyMap, PublicKey};
use constellation_verify::SKETCH_BINS;

/// Bins of a band: two sets with a Jaccard similarity of .71 share one of the sixteen bands with a probability of some 2/3.
const BAND_BINS: usize = 8;

/// Pairs of sketches that agree in a whole band, the smaller place first, in order.
pub fn candidates(sketches: &[[u8; SKETCH_BINS]]) -> Vec<(u32, u32)> {
    let mut pairs = Vec::new();
    for band in 0..SKETCH_BINS / BAND_BINS {
        let bins = |sketch: &[u8; SKETCH_BINS]| {
            let (bins, _) = sketch[band * BAND_BINS..].split_first_chunk().expect("a band lies within the sketch");
            u64::from_le_bytes(*bins)
        };
        let mut places: Vec<(u64, u32)> = sketches.iter().map(bins).zip(0..).collect();
        places.sort_unstable();
        for alike in places.chunk_by(|one, other| one.0 == other.0) {
            for (at, (_, one)) in alike.iter().enumerate() {
                pairs.extend(alike[at + 1..].iter().map(|(_, other)| (*one, *other)));
            }
        }
    }
    pairs.sort_unstable();
    pairs.dedup();
    pairs
}

/// How many accounts each pair of blocks shares, at first place × blocks + second place, the smaller first.
pub fn shared_by_account(blocks: &[&[PublicKey]]) -> Vec<u32> {
    let mut holders: KeyMap<&PublicKey, Vec<u32>> = KeyMap::default();
    for (block, place) in blocks.iter().zip(0..) {
        for account in *block {
            holders.entry(account).or_default().push(place);
        }
    }
    let mut shared = vec![0; blocks.len() * blocks.len()];
    for holders in holders.values() {
        for (at, one) in holders.iter().enumerate() {
            let row = &mut shared[*one as usize * blocks.len()..][..blocks.len()];
            holders[at + 1..].iter().for_each(|other| row[*other as usize] += 1);
        }
    }
    shared
}

/// How many elements two sorted lists share.
pub fn shared_sorted<T: Ord>(one: &[T], other: &[T]) -> u32 {
    let (mut one, mut other, mut shared) = (one.iter().peekable(), other.iter().peekable(), 0);
    while let (Some(left), Some(right)) = (one.peek(), other.peek()) {
        match left.cmp(right) {
            std::cmp::Ordering::Less => _ = one.next(),
            std::cmp::Ordering::Greater => _ = other.next(),
            std::cmp::Ordering::Equal => {
                shared += 1;
                (_, _) = (one.next(), other.next());
            }
        }
    }
    shared
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_band_in_common_makes_a_candidate_and_less_does_not() {
        let mut sketches = [[0; SKETCH_BINS], [1; SKETCH_BINS], [2; SKETCH_BINS]];
        sketches[2][16..24].copy_from_slice(&[1; 8]);
        sketches[2][33..40].copy_from_slice(&[0; 7]);
        assert_eq!(candidates(&sketches), [(1, 2)]);
    }

    #[test]
    fn both_exact_ways_count_alike() {
        let key = |byte| PublicKey([byte; 32]);
        let blocks = [vec![key(1), key(2), key(5)], vec![key(2), key(5), key(7)], vec![key(7)]];
        let blocks: Vec<&[PublicKey]> = blocks.iter().map(Vec::as_slice).collect();
        let shared = shared_by_account(&blocks);
        for (one, other, expected) in [(0, 1, 2), (0, 2, 0), (1, 2, 1)] {
            assert_eq!(shared[one * 3 + other], expected);
            assert_eq!(shared_sorted(blocks[one], blocks[other]), expected);
        }
    }
}
