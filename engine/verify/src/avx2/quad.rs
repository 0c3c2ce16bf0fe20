//! Arithmetic modulo p = 2^255 − 19 on four independent elements, one in each lane of a register: integers kept in doubles.
//!
//! A double holds every integer up to 2^53, and a fused multiply-add rounds once. So two of them give both parts of a
//! product of limbs of 51 bits, exactly, where the integers of AVX2 multiply no more than 32 bits: 25 products of limbs
//! make a product of elements instead of 100.
//!
//! An element is five limbs in radix 2^51, positive or negative. Every [`Quad`] is *reduced*: limbs of at most
//! M = 2^50 + 2^8 in magnitude. Why every operation is exact, but for those that are meant to round (to nearest, as
//! Rust's floating point does):
//! - **High part.** A sum of products of limbs that starts at [`HIGH`] = 1.5 · 2^103 and strays from it by less than
//!   2^102 lies where doubles are the multiples of 2^51: each product is rounded to one of them as it is added. A [`Sum`]
//!   takes at most three products, or a doubled and a plain one: 3M² < 2^102. A product ab adds 2^51 h, with h at most
//!   |ab| / 2^51 + 1/2 in magnitude.
//! - **Low part.** The difference of two such sums, −2^51 h, is exact, and so is that with HIGH − [`LOW`], which is
//!   3 (2^51 − 1) · 2^51. What ab is more than 2^51 h is an integer l of at most 2^50, so l is a double, and l − LOW is
//!   one too: its magnitude is below 1.75 · 2^52.
//! - **Columns.** In units of 2^50 an l is at most 1, and an h at most 1/2 and a little, or 1 for a doubled product, which
//!   is there for two. As LOW = HIGH / 2^51, the high part of a sum brings to the column above the LOW that was taken
//!   off there. Columns 0 to 8 have 1, 2, 3, 4, 5, 4, 3, 2, 1 of the l, and each has as many of the h as the one below
//!   has of the l; the l of column 8 may be 2, since [`top`] rounds to multiples of 2^52. Columns are at most
//!   1, 2.5, 4, 5.5, 7, 6.5, 5, 3.5, 3, .5 and a little: below 8, which is 2^53.
//! - **Fold.** Limb k is X + 19W, for the columns X = k and W = k + 5: at most 124.5, 97.5, 70.5, 62.5, 16.5 and a
//!   little, below 2^57. The double of that is off by at most 8, so the multiple C of 2^51 nearest to it leaves at most
//!   2^50 + 8. 19W − C is no more than that and |X|: below 8 units for limbs 0 to 3; for limb 4 it may be a little
//!   more, but is even, as column 9 is. So it is exact, and so is the rest, 19W − C + X.
//! - **Carry.** C is at most 62 times 2^51, for limb 4 at most 8 times, of which 19 times as much comes back. Limbs end
//!   at no more than 2^50 + 8 + 152 < M: the result is reduced.
//! - A sum or difference of elements is at most 2M in each limb, and carries 1 at most: it ends at no more than 2^50 + 19.

use std::arch::x86_64::{
    __m256d, __m256i, _mm256_add_epi64, _mm256_add_pd, _mm256_and_si256, _mm256_blendv_pd, _mm256_castpd_si256,
    _mm256_castsi256_pd, _mm256_cmpeq_epi64, _mm256_fmadd_pd, _mm256_fmsub_pd, _mm256_fnmadd_pd, _mm256_movemask_pd,
    _mm256_mul_epu32, _mm256_or_si256, _mm256_set1_epi64x, _mm256_set1_pd, _mm256_setr_epi64x, _mm256_setzero_si256,
    _mm256_slli_epi64, _mm256_srli_epi64, _mm256_sub_epi64, _mm256_sub_pd,
};

const LIMB_BITS: i32 = 51;
const LIMB_MASK: i64 = (1 << LIMB_BITS) - 1;

/// 1.5 · 2^103: a sum with it is rounded to a multiple of 2^51.
const HIGH: f64 = (3_u128 << 102) as f64;

/// 1.5 · 2^104: a sum with it is rounded to a multiple of 2^52.
const HIGHER: f64 = (3_u128 << 103) as f64;

/// 1.5 · 2^52: a sum with it is rounded to an integer.
const LOW: f64 = (3_u64 << 51) as f64;

/// 2^-51.
const PER_LIMB: f64 = 1.0 / (1_u64 << LIMB_BITS) as f64;

/// Four reduced field elements.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(super) struct Quad([__m256d; 5]);

/// A sum of products of limbs in one column: `low` is what it leaves there, `high` is [`HIGH`] and, 2^51 times, what it
/// leaves in the column above.
#[derive(Clone, Copy)]
struct Sum {
    low: __m256d,
    high: __m256d,
}

impl Sum {
    /// a · b.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn new(a: __m256d, b: __m256d) -> Self {
        let rounding = _mm256_set1_pd(HIGH);
        let high = _mm256_fmadd_pd(a, b, rounding);
        Self { low: _mm256_fmadd_pd(a, b, _mm256_sub_pd(rounding, high)), high }
    }

    /// a · b, and in the same column what `below` leaves there.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn above(below: Self, a: __m256d, b: __m256d) -> Self {
        let high = _mm256_fmadd_pd(a, b, _mm256_set1_pd(HIGH));
        // LOW, taken off here, is what HIGH is in the column above: it comes back with the high part from below.
        let low = _mm256_fmadd_pd(a, b, _mm256_sub_pd(_mm256_set1_pd(HIGH - LOW), high));
        Self { low: _mm256_fmadd_pd(below.high, _mm256_set1_pd(PER_LIMB), low), high }
    }

    /// And a · b.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn and(self, a: __m256d, b: __m256d) -> Self {
        let high = _mm256_fmadd_pd(a, b, self.high);
        let low = _mm256_fmadd_pd(a, b, _mm256_sub_pd(self.high, high));
        Self { low: _mm256_add_pd(self.low, low), high }
    }

    /// What is left in the column above.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn carry(self) -> __m256d {
        _mm256_fmsub_pd(self.high, _mm256_set1_pd(PER_LIMB), _mm256_set1_pd(LOW))
    }
}

/// A limb, and what is carried out of it with its sign turned, from column k and `times` column k + 5: 2^255 = 19 modulo p.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn fold(column: __m256d, times: f64, wrapped: __m256d) -> (__m256d, __m256d) {
    let (high, times) = (_mm256_set1_pd(HIGH), _mm256_set1_pd(times));
    let total = _mm256_fmadd_pd(times, wrapped, column);
    let minus_carry = _mm256_sub_pd(high, _mm256_add_pd(total, high));
    (_mm256_add_pd(_mm256_fmadd_pd(times, wrapped, minus_carry), column), minus_carry)
}

/// a · b as columns 8 and 9, which are the last: column 9 is even, and comes 2^51 times, with its sign turned.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn top(a: __m256d, b: __m256d) -> (__m256d, __m256d) {
    let rounding = _mm256_set1_pd(HIGHER);
    let minus_high = _mm256_sub_pd(rounding, _mm256_fmadd_pd(a, b, rounding));
    (_mm256_fmadd_pd(a, b, minus_high), minus_high)
}

/// Lane by lane: all bits where `mask` has a one, whose lowest four bits count.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(super) fn spread(mask: u8) -> __m256d {
    let bits = _mm256_setr_epi64x(1, 2, 4, 8);
    let chosen = _mm256_and_si256(_mm256_set1_epi64x(i64::from(mask)), bits);
    _mm256_castsi256_pd(_mm256_cmpeq_epi64(chosen, bits))
}

impl Quad {
    /// One value in every lane; its limbs must be reduced.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub(super) fn splat(limbs: [i64; 5]) -> Self {
        let [a, b, c, d, e] = limbs;
        Self([
            _mm256_set1_pd(a as f64),
            _mm256_set1_pd(b as f64),
            _mm256_set1_pd(c as f64),
            _mm256_set1_pd(d as f64),
            _mm256_set1_pd(e as f64),
        ])
    }

    /// From integers of at most 2^51 in magnitude; they must be reduced where the result is used as an element.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub(super) fn from_integers(limbs: [__m256i; 5]) -> Self {
        let low = _mm256_set1_pd(LOW);
        let mut doubles = [low; 5];
        let mut limb = 0;
        while limb < 5 {
            let bits = _mm256_add_epi64(limbs[limb], _mm256_castpd_si256(low));
            doubles[limb] = _mm256_sub_pd(_mm256_castsi256_pd(bits), low);
            limb += 1;
        }
        Self(doubles)
    }

    /// The limbs as signed integers.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub(super) fn to_integers(self) -> [__m256i; 5] {
        let low = _mm256_set1_pd(LOW);
        let mut integers = [_mm256_castpd_si256(low); 5];
        let mut limb = 0;
        while limb < 5 {
            let bits = _mm256_castpd_si256(_mm256_add_pd(self.0[limb], low));
            integers[limb] = _mm256_sub_epi64(bits, _mm256_castpd_si256(low));
            limb += 1;
        }
        integers
    }

    /// From integers of up to 51 bits, not below zero.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub(super) fn from_bits(limbs: [__m256i; 5]) -> Self {
        Self::carry(Self::from_integers(limbs).0)
    }

    /// Moves multiples of 2^51 to the next limb, all limbs at once.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn carry(limbs: [__m256d; 5]) -> Self {
        let high = _mm256_set1_pd(HIGH);
        let mut folded = [(high, high); 5];
        let mut limb = 0;
        while limb < 5 {
            let minus_carry = _mm256_sub_pd(high, _mm256_add_pd(limbs[limb], high));
            folded[limb] = (_mm256_add_pd(limbs[limb], minus_carry), minus_carry);
            limb += 1;
        }
        Self::carried(folded)
    }

    /// Adds the carry out of each limb to the next.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn carried([a, b, c, d, e]: [(__m256d, __m256d); 5]) -> Self {
        let per_limb = _mm256_set1_pd(PER_LIMB);
        Self([
            _mm256_fnmadd_pd(e.1, _mm256_set1_pd(19.0 * PER_LIMB), a.0),
            _mm256_fnmadd_pd(a.1, per_limb, b.0),
            _mm256_fnmadd_pd(b.1, per_limb, c.0),
            _mm256_fnmadd_pd(c.1, per_limb, d.0),
            _mm256_fnmadd_pd(d.1, per_limb, e.0),
        ])
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub(super) fn add(&self, other: &Self) -> Self {
        let mut limbs = self.0;
        let mut limb = 0;
        while limb < 5 {
            limbs[limb] = _mm256_add_pd(limbs[limb], other.0[limb]);
            limb += 1;
        }
        Self::carry(limbs)
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub(super) fn sub(&self, other: &Self) -> Self {
        let mut limbs = self.0;
        let mut limb = 0;
        while limb < 5 {
            limbs[limb] = _mm256_sub_pd(limbs[limb], other.0[limb]);
            limb += 1;
        }
        Self::carry(limbs)
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub(super) fn mul(&self, other: &Self) -> Self {
        let ([a0, a1, a2, a3, a4], [b0, b1, b2, b3, b4]) = (self.0, other.0);
        let (c8, c9) = top(a4, b4);
        let c0 = Sum::new(a0, b0);
        let c1 = Sum::above(c0, a0, b1).and(a1, b0);
        let c2 = Sum::above(c1, a0, b2).and(a1, b1).and(a2, b0);
        let c3 = Sum::above(c2, a0, b3).and(a1, b2).and(a2, b1);
        let d3 = Sum::new(a3, b0);
        let c4 = Sum::above(c3, a0, b4).and(a1, b3).and(a2, b2);
        let d4 = Sum::above(d3, a3, b1).and(a4, b0);
        let c5 = Sum::above(c4, a1, b4).and(a2, b3);
        let d5 = Sum::above(d4, a3, b2).and(a4, b1);
        let c6 = Sum::above(c5, a2, b4).and(a3, b3).and(a4, b2);
        let c7 = Sum::above(c6, a3, b4).and(a4, b3);
        Self::carried([
            fold(c0.low, 19.0, _mm256_add_pd(c5.low, d5.low)),
            fold(c1.low, 19.0, _mm256_add_pd(c6.low, d5.carry())),
            fold(c2.low, 19.0, c7.low),
            fold(_mm256_add_pd(c3.low, d3.low), 19.0, _mm256_add_pd(c8, c7.carry())),
            fold(_mm256_add_pd(c4.low, d4.low), -19.0 * PER_LIMB, c9),
        ])
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub(super) fn square(&self) -> Self {
        let [a0, a1, a2, a3, a4] = self.0;
        let (b0, b1) = (_mm256_add_pd(a0, a0), _mm256_add_pd(a1, a1));
        let (b2, b3) = (_mm256_add_pd(a2, a2), _mm256_add_pd(a3, a3));
        let (c8, c9) = top(a4, a4);
        let c0 = Sum::new(a0, a0);
        let c1 = Sum::above(c0, b0, a1);
        let c2 = Sum::above(c1, b0, a2).and(a1, a1);
        let c3 = Sum::above(c2, b0, a3);
        let d3 = Sum::new(b1, a2);
        let c4 = Sum::above(c3, b0, a4).and(a2, a2);
        let d4 = Sum::above(d3, b1, a3);
        let c5 = Sum::above(c4, b1, a4);
        let d5 = Sum::above(d4, b2, a3);
        let c6 = Sum::above(c5, b2, a4).and(a3, a3);
        let c7 = Sum::above(c6, b3, a4);
        Self::carried([
            fold(c0.low, 19.0, _mm256_add_pd(c5.low, d5.low)),
            fold(c1.low, 19.0, _mm256_add_pd(c6.low, d5.carry())),
            fold(c2.low, 19.0, c7.low),
            fold(_mm256_add_pd(c3.low, d3.low), 19.0, _mm256_add_pd(c8, c7.carry())),
            fold(_mm256_add_pd(c4.low, d4.low), -19.0 * PER_LIMB, c9),
        ])
    }

    /// Lane by lane: `other` where `mask` has a one, else `self`; the lowest four bits count.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub(super) fn select(&self, other: &Self, mask: u8) -> Self {
        let chosen = spread(mask);
        let mut limbs = self.0;
        let mut limb = 0;
        while limb < 5 {
            limbs[limb] = _mm256_blendv_pd(limbs[limb], other.0[limb], chosen);
            limb += 1;
        }
        Self(limbs)
    }

    /// The limbs of the one representative below p, from 0 to 2^51 − 1.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn canonical(self) -> [__m256i; 5] {
        let mask = _mm256_set1_epi64x(LIMB_MASK);
        let nineteen = _mm256_set1_epi64x(19);
        // With p added no limb is below zero. Carried once, limbs are at most 2^51, the lowest at most 2^51 + 18: the value
        // is below 2p, and subtracting p once or not at all is enough.
        let mut limbs = self.to_integers();
        let mut carries = limbs;
        let mut limb = 0;
        while limb < 5 {
            let p = if limb == 0 { LIMB_MASK - 18 } else { LIMB_MASK };
            let positive = _mm256_add_epi64(limbs[limb], _mm256_set1_epi64x(p));
            limbs[limb] = _mm256_and_si256(positive, mask);
            carries[limb] = _mm256_srli_epi64::<LIMB_BITS>(positive);
            limb += 1;
        }
        limbs[0] = _mm256_add_epi64(limbs[0], _mm256_mul_epu32(carries[4], nineteen));
        let mut limb = 1;
        while limb < 5 {
            limbs[limb] = _mm256_add_epi64(limbs[limb], carries[limb - 1]);
            limb += 1;
        }
        // The quotient by p is the carry out of value + 19, carried from limb to limb.
        let mut quotient = nineteen;
        for limb in limbs {
            quotient = _mm256_srli_epi64::<LIMB_BITS>(_mm256_add_epi64(limb, quotient));
        }
        let mut carry = _mm256_mul_epu32(quotient, nineteen);
        for limb in &mut limbs {
            let sum = _mm256_add_epi64(*limb, carry);
            carry = _mm256_srli_epi64::<LIMB_BITS>(sum);
            *limb = _mm256_and_si256(sum, mask);
        }
        limbs
    }

    /// The lanes that are zero modulo p, in the lowest four bits.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub(super) fn is_zero(self) -> u8 {
        let [a, b, c, d, e] = self.canonical();
        let any = _mm256_or_si256(_mm256_or_si256(_mm256_or_si256(a, b), _mm256_or_si256(c, d)), e);
        let zero = _mm256_cmpeq_epi64(any, _mm256_setzero_si256());
        // Four bits.
        _mm256_movemask_pd(_mm256_castsi256_pd(zero)) as u8
    }

    /// The lanes whose value below p is odd, in the lowest four bits.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub(super) fn is_odd(self) -> u8 {
        let [lowest, ..] = self.canonical();
        _mm256_movemask_pd(_mm256_castsi256_pd(_mm256_slli_epi64::<63>(lowest))) as u8
    }
}
