//! How a field element mod p = 2^255 − 19 is cut into limbs: the numbers that the WGSL generator and the twin share.
//!
//! # Bounds
//! Both variants keep to one discipline, so that one text of the point formulas serves both. Elements are *tight*,
//! *loose* or *wide*: `add` and `sub` take tight and give loose; `sub_wide` takes loose and gives wide; `carry` takes
//! any and gives tight; `mul` takes a wide and a loose element and gives tight; `square` takes loose and gives tight.
//! The tests of `field_tests` run every operation at these limits, with overflow checks.
//!
//! **Int64**: limbs of 26, 25, 26 … 25 bits. In units of 2^26 for even limbs and 2^25 for odd ones:
//! - tight ≤ 1 + 2^-7, loose ≤ 3.1 (tight + 2p's limb), wide ≤ 7.2 (loose + 4p's limb). 2p has limbs above every tight
//!   limb, 4p above every loose one, so no subtraction goes below zero.
//! - `mul`: 19 times a loose limb is ≤ 58.9 · 2^26 < 2^32. A column sums at most a_0 b_0 + 19 (5 · 2 · 2^-2 + 4) of them
//!   = 124.5 · 2^52 · 7.2 · 3.1 < 2^63.5, and the carry into it is < 2^39.
//! - After the chain of carries the wrap adds 19 · 2^39 to limb 0, and its carry 2^18 to limb 1: tight.
//!
//! **Int32**: twenty limbs of 13 bits, 2^260 = 608 mod p. `add`, `sub` and `sub_wide` carry once themselves, so tight,
//! loose and wide are one class: limb 0 ≤ 8191 + 3 · 608, the others ≤ 8191 + 64.
//! - A limb of a sum or of a difference (+ 64p) is ≤ 10,015 + 16,382 < 4 · 2^13, so a carry is ≤ 3.
//! - `mul`: a column has at most 20 products: ≤ 2 · 10,015 · 8,255 + 18 · 8,255^2 < 1.4 · 10^9, and the carry into it is
//!   < 2^19: below 2^32. After the chain the 20 upper limbs fold with 608: ≤ 8191 + 608 · 8,600 < 2^23. The second
//!   chain's carry is < 2^11, its wrap < 2^21, and the carry of that into limb 1 < 2^8 … at most 61: tight.

use crate::Arithmetic;

/// A cut into limbs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// Bits of each limb, least significant first.
    pub(crate) bits: &'static [u32],
    /// 2^(sum of bits) mod p.
    pub(crate) wrap: u32,
    /// The multiple of p, as limbs without a borrow among them, that `sub` adds.
    pub(crate) tight_bias: &'static [u32],
    /// The same for `sub_wide`.
    pub(crate) loose_bias: &'static [u32],
    /// Whether `add` and the subtractions carry.
    pub(crate) carries_sums: bool,
}

const INT64: Shape = Shape {
    bits: &[26, 25, 26, 25, 26, 25, 26, 25, 26, 25],
    wrap: 19,
    tight_bias: &bias_int64(1),
    loose_bias: &bias_int64(2),
    carries_sums: false,
};

const INT32: Shape =
    Shape { bits: &[13; 20], wrap: 608, tight_bias: &BIAS_INT32, loose_bias: &BIAS_INT32, carries_sums: true };

/// 64p = 2 (2^260 − 608).
const BIAS_INT32: [u32; 20] = {
    let mut limbs = [2 * ((1 << 13) - 1); 20];
    limbs[0] = 2 * ((1 << 13) - 608);
    limbs
};

/// 2^shift p.
const fn bias_int64(shift: u32) -> [u32; 10] {
    let mut limbs = [((1 << 26) - 1) << shift; 10];
    let mut odd = 1;
    while odd < 10 {
        limbs[odd] = ((1 << 25) - 1) << shift;
        odd += 2;
    }
    limbs[0] = ((1 << 26) - 19) << shift;
    limbs
}

impl Shape {
    pub(crate) fn of(arithmetic: Arithmetic) -> Self {
        match arithmetic {
            Arithmetic::Int64 => INT64,
            Arithmetic::Int32 => INT32,
        }
    }

    pub(crate) fn limbs(&self) -> usize {
        self.bits.len()
    }

    /// Where limb `index` starts, in bits.
    pub(crate) fn start(&self, index: usize) -> u32 {
        self.bits[..index].iter().sum()
    }

    pub(crate) fn mask(&self, index: usize) -> u32 {
        (1 << self.bits[index]) - 1
    }

    /// Bits that the last limb has below 2^255.
    pub(crate) fn last_bits(&self) -> u32 {
        255 - self.start(self.limbs() - 1)
    }

    /// The low 255 bits of `words`, as tight limbs.
    pub(crate) fn limbs_of(&self, words: &[u32; 8]) -> Vec<u32> {
        let limb = |index: usize| {
            let (start, last) = (self.start(index), index + 1 == self.limbs());
            let bits = if last { self.last_bits() } else { self.bits[index] };
            let (word, shift) = (start as usize / 32, start % 32);
            let high = words.get(word + 1).copied().unwrap_or(0);
            let value = (u64::from(high) << 32 | u64::from(words[word])) >> shift;
            // The mask leaves fewer than 32 bits.
            (value & ((1 << bits) - 1)) as u32
        };
        (0..self.limbs()).map(limb).collect()
    }
}
