//! The twin of `sketch.wgsl`.

use super::{Header, eight};
use crate::layout::{HEADER_WORDS, SKETCH_BINS as BINS, SKETCH_GROUP_ITEMS, SKETCH_GROUP_WORDS};
use crate::seal::{self, mix};

const EMPTY: u32 = u32::MAX;
const SEEDS_PASS: u32 = 1;

/// Two words of keyed BLAKE3 of each element, to `scratch`.
pub fn seeds(input: &[u32], scratch: &mut [u32]) {
    let Header { nonce, count } = Header::of(input);
    let key: [u8; 32] = bytemuck::cast(eight(input, HEADER_WORDS));
    for (item, seed) in scratch.chunks_exact_mut(4).take(count).enumerate() {
        let element = eight(input, HEADER_WORDS + 8 + 8 * item);
        let hash: [u32; 8] = bytemuck::cast(*blake3::keyed_hash(&key, bytemuck::bytes_of(&element)).as_bytes());
        seed.copy_from_slice(&[hash[0], hash[1], seal::mark(nonce, item as u32, SEEDS_PASS), 0]);
    }
}

/// The bins of each group's elements, each with the round and the value it keeps, sealed, to `output`.
pub fn minima(input: &[u32], scratch: &[u32], output: &mut [u32]) {
    let Header { nonce, count } = Header::of(input);
    let seeds: Vec<&[u32]> = scratch.chunks_exact(4).take(count).collect();
    let groups = seeds.chunks(SKETCH_GROUP_ITEMS as usize).zip(output.chunks_exact_mut(SKETCH_GROUP_WORDS as usize));
    for (group, (seeds, sealed)) in groups.enumerate() {
        let first = group * SKETCH_GROUP_ITEMS as usize;
        // COUNT_MAX items fit 32 bits.
        let is_intact = (first as u32..).zip(seeds).all(|(item, seed)| seed[2] == seal::mark(nonce, item, SEEDS_PASS));
        let words: Vec<u32> = kept(seeds).as_chunks().0.iter().flat_map(four).collect();
        let mut tag = seal::tag(nonce, group as u32, seal::digest(words.chunks(5)));
        if !is_intact {
            tag[0] = !tag[0];
        }
        let [low, high] = seal::halves(nonce);
        sealed[..4].copy_from_slice(&[low, high, tag[0], tag[1]]);
        sealed[4..].copy_from_slice(&words);
    }
}

/// Four bins as they lie in the output.
fn four(bins: &[(u8, u32); 4]) -> [u32; 5] {
    let [a, b, c, d] = bins.map(|(_, value)| value);
    [a, b, c, d, u32::from_le_bytes(bins.map(|(round, _)| round))]
}

/// The round and the value that each bin keeps.
fn kept(seeds: &[&[u32]]) -> [(u8, u32); BINS] {
    let mut kept = [(0, EMPTY); BINS];
    for round in 0..2 * BINS {
        for (kept, offered) in kept.iter_mut().zip(offer_all(round, seeds)) {
            if kept.1 == EMPTY {
                // Below 256.
                *kept = (round as u8, offered);
            }
        }
    }
    kept
}

/// The least value each bin is offered in `round`.
fn offer_all(round: usize, seeds: &[&[u32]]) -> [u32; BINS] {
    let mut minima = [EMPTY; BINS];
    for seed in seeds {
        let hash = mix(mix(seed[0].wrapping_add(0x9E37_79B9_u32.wrapping_mul(round as u32))) ^ seed[1]);
        let bin = round.checked_sub(BINS).unwrap_or((hash >> 25) as usize);
        minima[bin] = minima[bin].min(hash & 0x01ff_ffff);
    }
    minima
}
