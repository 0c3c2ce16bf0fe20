//! A CPU twin of the same name for each kernel: plain Rust that reads and writes the same buffers and leaves the same
//! bits in them. Tests compare the two; nothing else needs a twin to be fast.

mod challenge;
mod decode;
mod field;
mod gather;
mod halve;
mod hash;
mod ladder;
mod point;
mod sketch;

pub use challenge::challenge;
pub use decode::decode;
pub(crate) use field::Fe;
pub use gather::{gather, headers};
pub use hash::transaction_ids;
pub use ladder::ladder;
pub(crate) use point::{Cached, Extended};
pub use sketch::{minima, seeds};

use crate::layout::HEADER_WORDS;

/// What a header says.
#[derive(Clone, Copy)]
struct Header {
    nonce: u64,
    count: usize,
}

impl Header {
    fn of(input: &[u32]) -> Self {
        Self { nonce: u64::from(input[1]) << 32 | u64::from(input[0]), count: input[2] as usize }
    }
}

/// Eight words from `at`.
fn eight(words: &[u32], at: usize) -> [u32; 8] {
    std::array::from_fn(|word| words[at + word])
}

/// Where key `item` lies.
fn key_at(item: usize) -> usize {
    HEADER_WORDS + 8 * item
}

/// Where signature `item` of `count` lies.
fn signature_at(count: usize, item: usize) -> usize {
    HEADER_WORDS + 8 * count + 16 * item
}

/// The bytes of string `item`, whose ends lie at word `ends` and whose bytes follow the ends.
fn string(input: &[u32], ends: usize, item: usize) -> Vec<u8> {
    let start = if item == 0 { 0 } else { input[ends + item - 1] };
    let first = ends + Header::of(input).count;
    (start..input[ends + item]).map(|at| input[first + at as usize / 4].to_le_bytes()[at as usize % 4]).collect()
}
