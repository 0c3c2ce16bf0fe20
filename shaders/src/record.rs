//! The record of one signature in the scratch buffer of the `signatures` program, in vectors of four words, and the
//! same numbers as WGSL constants. One record after the other, so that a record's vectors share cache lines.
//!
//! ```text
//! 0     u + 0x88…8 and v + 0x88…8, 4 words each: their nibbles less 8 are signed digits (before that, the SHA-512
//!       digest); k = ±u/v is the challenge
//! 2     v S + 0x80…80, 8 words: its bytes less 128 are signed digits
//! 4     mark of `challenge`; 1 if S < ℓ; 1 if k = −u/v; 0
//! 5     −A: mark of `decode`; 1 if A decodes and its bytes pass; 0; 0; then x and y
//! …     −R: the same
//! …     0, −A, −2A … −8A: y + x, y − x, 2z, 2dt each
//! …     0, −R, −2R … −8R: the same
//! ```

use crate::Arithmetic;

pub(crate) const CHALLENGE: u32 = 0;
pub(crate) const RESPONSE: u32 = 2;
pub(crate) const STATE: u32 = 4;
pub(crate) const POINTS: u32 = 5;

/// The number that `challenge` marks a record with.
pub(crate) const CHALLENGE_PASS: u32 = 1;
/// The number that `decode` marks A with; R has the next.
pub(crate) const DECODE_PASS: u32 = 2;

/// Where the table of B starts in the constants, after the round constants of SHA-512.
pub(crate) const BASE_TABLE: u32 = 40;

/// Multiples of −A and of −R in their tables: 0 to 8.
pub(crate) const TABLE_ENTRIES: u32 = 9;

/// Limbs of a field element.
pub(crate) fn limbs(arithmetic: Arithmetic) -> u32 {
    match arithmetic {
        Arithmetic::Int64 => 10,
        Arithmetic::Int32 => 20,
    }
}

/// Vectors of a decoded point: one of state, and two coordinates.
pub(crate) fn point_vectors(arithmetic: Arithmetic) -> u32 {
    1 + limbs(arithmetic) / 2
}

/// Where the table of multiples starts.
pub(crate) fn table(arithmetic: Arithmetic) -> u32 {
    POINTS + 2 * point_vectors(arithmetic)
}

/// Vectors of a record.
pub(crate) fn record_vectors(arithmetic: Arithmetic) -> u32 {
    table(arithmetic) + 2 * TABLE_ENTRIES * limbs(arithmetic)
}
