//! What the tests on an adapter share: the device, and batches with the verdicts they must get.
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each test file uses a part, and a helper that fails is a failed test"
)]

pub mod cases;
pub mod rig;

use constellation_shaders::Program;

pub const NONCE: u64 = 0x0123_4567_89ab_cdef;
/// What buffers hold before a run: no kernel may depend on it.
const GARBAGE: u32 = 0xdead_beef;

/// Scratch for `count` items and output of `output_words`.
pub fn garbage(program: &Program, count: u32, output_words: u64) -> (Vec<u32>, Vec<u32>) {
    (vec![GARBAGE; program.scratch_words(count) as usize], vec![GARBAGE; output_words as usize])
}

/// The first place where two buffers differ: a whole dump helps nobody.
pub fn assert_same(left: &[u32], right: &[u32], what: &str) {
    assert_eq!(left.len(), right.len(), "{what}");
    let difference = left.iter().zip(right).position(|(left, right)| left != right);
    assert_eq!(difference, None, "{what}: the first word that differs");
}
