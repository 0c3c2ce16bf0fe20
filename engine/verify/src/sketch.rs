//! Locality sensitive sketches of sets of 32-byte elements: how alike two blocks are, without comparing them.
//!
//! FastSimilaritySketch (Dahlgaard, Knudsen, Thorup 2017) with t = [`SKETCH_BINS`] bins, 8 bits kept of each.
//! A sketch is a prefilter and never a commitment. Everything below is 32-bit integer arithmetic, wrapping, so that
//! any device computes the same bits:
//!
//! 1. Seed of an element: the first 8 bytes of keyed BLAKE3 of it, as two little-endian words (a, b).
//! 2. Round i = 0, 1, … 2t − 1: h = mix(mix(a + i · 0x9E3779B9) ^ b), with mix(x) = x ^= x >> 16; x *= 0x7FEB352D;
//!    x ^= x >> 15; x *= 0x846CA68B; x ^= x >> 16. The element's value in the round is the low 25 bits of h; its bin
//!    is the top 7 bits of h in rounds i < t, and i − t in later rounds.
//! 3. A bin keeps the least (round, value) offered to it. Rounds stop early, after the first one that leaves no bin
//!    empty; a later round could change nothing.
//! 4. A bin's byte is mix(value) >> 24. The sketch of the empty set is 255 in every byte.
//!
//! Every element enters every bin in the later rounds, so no bin of a non-empty set stays empty. Minima do not depend
//! on order, and a duplicate offers nothing new.

/// Bins of a sketch, each a byte.
pub const SKETCH_BINS: usize = 128;

/// The chance that bytes of unlike bins agree is one in this many.
const BYTE_VALUES: f64 = 256.0;

const VALUE_MASK: u32 = (1 << 25) - 1;
const ROUND_STEP: u32 = 0x9E37_79B9;
const EMPTY: u32 = u32::MAX;

fn mix(mut word: u32) -> u32 {
    word ^= word >> 16;
    word = word.wrapping_mul(0x7FEB_352D);
    word ^= word >> 15;
    word = word.wrapping_mul(0x846C_A68B);
    word ^ word >> 16
}

fn seed(key: &[u8; 32], element: &[u8; 32]) -> [u32; 2] {
    let hash = blake3::keyed_hash(key, element);
    let bytes = hash.as_bytes();
    [0, 4].map(|at| u32::from_le_bytes(std::array::from_fn(|byte| bytes[at + byte])))
}

/// The sketch of the set of `elements` under `key`.
pub fn sketch<'a>(key: &[u8; 32], elements: impl IntoIterator<Item = &'a [u8; 32]>) -> [u8; SKETCH_BINS] {
    Minima::of(key, elements).bytes()
}

/// A sketch before it is cut down to bytes: what each bin keeps, the round first and then the value. Those of two sets
/// make that of both together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Minima(pub(crate) [(u8, u32); SKETCH_BINS]);

impl Minima {
    /// Those of the empty set.
    pub(crate) const NONE: Self = Self([(u8::MAX, EMPTY); SKETCH_BINS]);

    /// Those of `elements` under `key`.
    pub(crate) fn of<'a>(key: &[u8; 32], elements: impl IntoIterator<Item = &'a [u8; 32]>) -> Self {
        let seeds: Vec<[u32; 2]> = elements.into_iter().map(|element| seed(key, element)).collect();
        let mut minima = Self::NONE;
        if seeds.is_empty() {
            return minima;
        }
        for round in 0..=u8::MAX {
            for (kept, offered) in minima.0.iter_mut().zip(round_minima(round.into(), &seeds)) {
                if kept.1 == EMPTY {
                    *kept = (round, offered);
                }
            }
            if minima.0.iter().all(|(_, value)| *value != EMPTY) {
                break;
            }
        }
        minima
    }

    /// Takes in those of another set under the same key.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (kept, offered) in self.0.iter_mut().zip(other.0) {
            *kept = offered.min(*kept);
        }
    }

    /// The sketch.
    pub(crate) fn bytes(&self) -> [u8; SKETCH_BINS] {
        self.0.map(|(_, value)| if value == EMPTY { u8::MAX } else { mix(value).to_be_bytes()[0] })
    }
}

/// Rounds fit a byte.
const _: () = assert!(2 * SKETCH_BINS == u8::MAX as usize + 1);

/// The least value each bin is offered in `round`, [`EMPTY`] where none is.
fn round_minima(round: usize, seeds: &[[u32; 2]]) -> [u32; SKETCH_BINS] {
    // Rounds number fewer than 2 · SKETCH_BINS, far inside 32 bits.
    let offset = ROUND_STEP.wrapping_mul(round as u32);
    let mut minima = [EMPTY; SKETCH_BINS];
    for [a, b] in seeds {
        let hash = mix(mix(a.wrapping_add(offset)) ^ b);
        let bin = round.checked_sub(SKETCH_BINS).unwrap_or((hash >> 25) as usize);
        minima[bin] = minima[bin].min(hash & VALUE_MASK);
    }
    minima
}

/// How many bins of two sketches agree: the integer to decide by where nodes must agree.
#[must_use]
pub fn matching_bins(left: &[u8; SKETCH_BINS], right: &[u8; SKETCH_BINS]) -> u32 {
    left.iter().zip(right).map(|(left, right)| u32::from(left == right)).sum()
}

/// An estimate of the Jaccard similarity of two sets from their sketches under one key, corrected for bytes that agree
/// by chance; from 0 to 1.
#[must_use]
pub fn similarity(left: &[u8; SKETCH_BINS], right: &[u8; SKETCH_BINS]) -> f64 {
    let agreeing = f64::from(matching_bins(left, right)) / SKETCH_BINS as f64;
    ((agreeing * BYTE_VALUES - 1.0) / (BYTE_VALUES - 1.0)).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn elements(first: usize, count: usize) -> Vec<[u8; 32]> {
        (first..first + count).map(|number| *blake3::hash(&number.to_le_bytes()).as_bytes()).collect()
    }

    /// Root-mean-square error over `trials` pairs of sets of `size` elements with a Jaccard similarity of one half.
    fn rms_error(size: usize, trials: usize) -> f64 {
        // Equal sizes, c shared: c / (2 size − c) = 1/2.
        let shared = (2 * size).div_ceil(3);
        let exact = shared as f64 / (2 * size - shared) as f64;
        let squares = (0..trials).map(|trial| {
            let key = *blake3::hash(&[&trial.to_le_bytes()[..], b"key"].concat()).as_bytes();
            let first = trial * 2 * size;
            let left = sketch(&key, &elements(first, size));
            let right = sketch(&key, &elements(first + size - shared, size));
            (similarity(&left, &right) - exact).powi(2)
        });
        (squares.sum::<f64>() / trials as f64).sqrt()
    }

    #[test]
    fn the_estimate_is_as_good_as_the_method_allows() {
        for (size, bound) in [(64, 0.036), (256, 0.036), (1000, 0.043)] {
            let error = rms_error(size, 1000);
            println!("root-mean-square error at J = .5, {size} elements: {error:.4}");
            assert!(error <= bound, "{error} at {size} elements");
            assert!(error > 0.01, "{error} is too good to be true");
        }
    }

    #[test]
    fn the_ends_of_the_scale() {
        let key = [7; 32];
        let left = sketch(&key, &elements(0, 500));
        assert_eq!(similarity(&left, &left), 1.0);
        assert!(similarity(&left, &sketch(&key, &elements(500, 500))) < 0.06);
        assert_ne!(left, sketch(&[8; 32], &elements(0, 500)), "the key must matter");
        assert_eq!(sketch(&key, &[]), [255; SKETCH_BINS]);
        let huge = sketch(&key, &elements(0, 200_000));
        assert!(similarity(&huge, &sketch(&key, &elements(100_000, 200_000))) < 0.5);
        assert_ne!(sketch(&key, &elements(0, 1)), [255; SKETCH_BINS]);
    }

    /// Pins the bits: a change here is a change of consensus.
    #[test]
    fn the_bits_stay_as_they_are() {
        let bytes = sketch(&[1; 32], &elements(0, 40));
        assert_eq!(
            hex::encode(blake3::hash(&bytes).as_bytes()),
            "133c5165fc0a738b451181a68c6254f9c0018928e3c4840a1a281e8b5b26ce25"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

        #[test]
        fn parts_make_the_sketch_of_the_whole(
            set in prop::collection::vec(any::<[u8; 32]>(), 0..300),
            key in any::<[u8; 32]>(),
            cuts in prop::collection::vec(0..300_usize, 3),
        ) {
            let mut minima = Minima::NONE;
            let mut rest = &set[..];
            for cut in cuts {
                let (part, others) = rest.split_at(cut.min(rest.len()));
                minima.merge(&Minima::of(&key, part));
                rest = others;
            }
            minima.merge(&Minima::of(&key, rest));
            prop_assert_eq!(&minima, &Minima::of(&key, &set));
            prop_assert_eq!(minima.bytes(), sketch(&key, &set));
        }

        #[test]
        fn order_and_duplicates_do_not_matter(
            mut set in prop::collection::vec(any::<[u8; 32]>(), 1..200),
            key in any::<[u8; 32]>(),
            turn in 0..200_usize,
        ) {
            let expected = sketch(&key, &set);
            let turn = turn % set.len();
            set.rotate_left(turn);
            let repeated = set[..=turn].to_vec();
            set.extend(repeated);
            set.reverse();
            prop_assert_eq!(sketch(&key, &set), expected);
        }
    }
}
