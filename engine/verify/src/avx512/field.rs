//! Arithmetic modulo p = 2^255 − 19 on eight independent elements at a time, one in each 64-bit lane.
//!
//! An element is five limbs in radix 2^51. Every [`Fe`] is *reduced*: limbs below 2^51 + 2^13, which leaves the
//! products of limbs inside the 104 bits that the IFMA instructions multiply, and sums and differences far inside
//! 64 bits. Reduced is not canonical: only [`Fe::is_zero`] and [`Fe::is_odd`] look at the one value below p.

use std::arch::x86_64::{
    __m512i, __mmask8, _mm512_add_epi64, _mm512_and_si512, _mm512_cmpeq_epi64_mask, _mm512_loadu_epi64,
    _mm512_madd52hi_epu64, _mm512_madd52lo_epu64, _mm512_mask_mov_epi64, _mm512_mullo_epi64, _mm512_or_si512,
    _mm512_set1_epi64, _mm512_setzero_si512, _mm512_srli_epi64, _mm512_sub_epi64, _mm512_test_epi64_mask,
};

/// How many elements a vector holds.
pub(super) const LANES: usize = 8;

const LIMB_BITS: u32 = 51;
const LIMB_MASK: i64 = (1 << LIMB_BITS) - 1;

/// 2p, limb by limb: more than any reduced element in each limb, so that a difference never falls below zero.
const TWICE_P: [i64; 5] = [(1 << 52) - 38, (1 << 52) - 2, (1 << 52) - 2, (1 << 52) - 2, (1 << 52) - 2];

/// d = −121665/121666, the curve's constant.
pub(super) const D: [i64; 5] = [929955233495203, 466365720129213, 1662059464998953, 2033849074728123, 1442794654840575];

/// 2d.
pub(super) const TWICE_D: [i64; 5] =
    [1859910466990425, 932731440258426, 1072319116312658, 1815898335770999, 633789495995903];

/// A square root of −1.
pub(super) const SQRT_MINUS_ONE: [i64; 5] =
    [1718705420411056, 234908883556509, 2233514472574048, 2117202627021982, 765476049583133];

/// Eight reduced field elements.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(super) struct Fe(pub(super) [__m512i; 5]);

#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
#[inline]
pub(super) fn load(lanes: &[u64; LANES]) -> __m512i {
    // SAFETY: the reference covers exactly the 64 bytes read; the load asks for no alignment.
    unsafe { _mm512_loadu_epi64(lanes.as_ptr().cast()) }
}

impl Fe {
    /// One value in every lane; its limbs must be reduced.
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    #[inline]
    pub(super) fn splat(limbs: [i64; 5]) -> Self {
        let [a, b, c, d, e] = limbs;
        Self([
            _mm512_set1_epi64(a),
            _mm512_set1_epi64(b),
            _mm512_set1_epi64(c),
            _mm512_set1_epi64(d),
            _mm512_set1_epi64(e),
        ])
    }

    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    pub(super) fn zero() -> Self {
        Self([_mm512_setzero_si512(); 5])
    }

    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    pub(super) fn one() -> Self {
        Self::splat([1, 0, 0, 0, 0])
    }

    /// The low 255 bits of eight little-endian strings.
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    pub(super) fn from_bytes(lanes: &[[u8; 32]; LANES]) -> Self {
        let mut limbs = [[0; LANES]; 5];
        for (lane, bytes) in lanes.iter().enumerate() {
            let word = |at: usize| u64::from_le_bytes(std::array::from_fn(|byte| bytes[at + byte]));
            // Limb i starts at bit 51 i: at these bytes, that many bits in.
            let starts = [(0, 0), (6, 3), (12, 6), (19, 1), (24, 12)];
            for (limb, (byte, bit)) in starts.into_iter().enumerate() {
                limbs[limb][lane] = (word(byte) >> bit) & LIMB_MASK as u64;
            }
        }
        Self([load(&limbs[0]), load(&limbs[1]), load(&limbs[2]), load(&limbs[3]), load(&limbs[4])])
    }

    /// Moves what a limb has above 51 bits to the next one, all limbs at once. Reduced for limbs below 2^59.
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    #[inline]
    fn carry(mut limbs: [__m512i; 5]) -> Self {
        let mask = _mm512_set1_epi64(LIMB_MASK);
        let mut carries = limbs;
        for (carry, limb) in carries.iter_mut().zip(&mut limbs) {
            *carry = _mm512_srli_epi64::<LIMB_BITS>(*limb);
            *limb = _mm512_and_si512(*limb, mask);
        }
        // 2^255 = 19 modulo p; a carry is far below 52 bits, so its product by 19 is exact.
        limbs[0] = _mm512_madd52lo_epu64(limbs[0], carries[4], _mm512_set1_epi64(19));
        for limb in 1..5 {
            limbs[limb] = _mm512_add_epi64(limbs[limb], carries[limb - 1]);
        }
        Self(limbs)
    }

    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    #[inline]
    pub(super) fn add(&self, other: &Self) -> Self {
        let mut limbs = self.0;
        for (limb, other) in limbs.iter_mut().zip(other.0) {
            *limb = _mm512_add_epi64(*limb, other);
        }
        Self::carry(limbs)
    }

    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    #[inline]
    pub(super) fn sub(&self, other: &Self) -> Self {
        let mut limbs = self.0;
        for ((limb, other), twice_p) in limbs.iter_mut().zip(other.0).zip(TWICE_P) {
            *limb = _mm512_sub_epi64(_mm512_add_epi64(*limb, _mm512_set1_epi64(twice_p)), other);
        }
        Self::carry(limbs)
    }

    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    #[inline]
    pub(super) fn negate(&self) -> Self {
        Self::zero().sub(self)
    }

    /// Lane by lane: `other` where `mask` has a one, else `self`.
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    #[inline]
    pub(super) fn select(&self, other: &Self, mask: __mmask8) -> Self {
        let mut limbs = self.0;
        for (limb, other) in limbs.iter_mut().zip(other.0) {
            *limb = _mm512_mask_mov_epi64(*limb, mask, other);
        }
        Self(limbs)
    }

    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    #[inline]
    pub(super) fn mul(&self, other: &Self) -> Self {
        let (a, b) = (&self.0, &other.0);
        let mut low = [_mm512_setzero_si512(); 10];
        let mut high = [_mm512_setzero_si512(); 10];
        for i in 0..5 {
            for j in 0..5 {
                low[i + j] = _mm512_madd52lo_epu64(low[i + j], a[i], b[j]);
                high[i + j + 1] = _mm512_madd52hi_epu64(high[i + j + 1], a[i], b[j]);
            }
        }
        // A high half counts 2^52 = 2 · 2^51: twice in the next limb.
        for k in 1..10 {
            low[k] = _mm512_add_epi64(low[k], _mm512_add_epi64(high[k], high[k]));
        }
        Self::fold(&low)
    }

    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    #[inline]
    pub(super) fn square(&self) -> Self {
        let a = &self.0;
        let mut low = [_mm512_setzero_si512(); 10];
        let mut high = [_mm512_setzero_si512(); 10];
        for i in 0..5 {
            for j in i + 1..5 {
                low[i + j] = _mm512_madd52lo_epu64(low[i + j], a[i], a[j]);
                high[i + j + 1] = _mm512_madd52hi_epu64(high[i + j + 1], a[i], a[j]);
            }
        }
        // Each product of two different limbs occurs twice.
        for k in 1..9 {
            low[k] = _mm512_add_epi64(low[k], low[k]);
            high[k] = _mm512_add_epi64(high[k], high[k]);
        }
        for i in 0..5 {
            low[2 * i] = _mm512_madd52lo_epu64(low[2 * i], a[i], a[i]);
            high[2 * i + 1] = _mm512_madd52hi_epu64(high[2 * i + 1], a[i], a[i]);
        }
        for k in 1..10 {
            low[k] = _mm512_add_epi64(low[k], _mm512_add_epi64(high[k], high[k]));
        }
        Self::fold(&low)
    }

    /// Brings ten limbs back to five: limb k + 5 counts 2^255 = 19 times limb k. For reduced factors no limb
    /// passes 6.5 · 2^52 and the sums stay below 2^59 (the worst: limb 5 times 19, plus limb 0).
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    #[inline]
    fn fold(limbs: &[__m512i; 10]) -> Self {
        let nineteen = _mm512_set1_epi64(19);
        let mut folded = [_mm512_setzero_si512(); 5];
        for (k, limb) in folded.iter_mut().enumerate() {
            *limb = _mm512_add_epi64(limbs[k], _mm512_mullo_epi64(limbs[k + 5], nineteen));
        }
        Self::carry(folded)
    }

    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    fn square_times(&self, count: usize) -> Self {
        let mut power = *self;
        for _ in 0..count {
            power = power.square();
        }
        power
    }

    /// self^((p − 5) / 8) = self^(2^252 − 3), the heart of the square root.
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    pub(super) fn pow_p58(&self) -> Self {
        // Named after the exponent: `ones_n` is self^(2^n − 1).
        let ones_2 = self.square().mul(self);
        let ones_4 = ones_2.square_times(2).mul(&ones_2);
        let ones_5 = ones_4.square().mul(self);
        let ones_10 = ones_5.square_times(5).mul(&ones_5);
        let ones_20 = ones_10.square_times(10).mul(&ones_10);
        let ones_40 = ones_20.square_times(20).mul(&ones_20);
        let ones_50 = ones_40.square_times(10).mul(&ones_10);
        let ones_100 = ones_50.square_times(50).mul(&ones_50);
        let ones_200 = ones_100.square_times(100).mul(&ones_100);
        let ones_250 = ones_200.square_times(50).mul(&ones_50);
        ones_250.square_times(2).mul(self)
    }

    /// The limbs of the one representative below p.
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    fn canonical(&self) -> [__m512i; 5] {
        let mask = _mm512_set1_epi64(LIMB_MASK);
        // Below 2p after this: subtracting p once or not at all is enough.
        let mut limbs = Self::carry(Self::carry(self.0).0).0;
        // The quotient by p is the carry out of value + 19, carried from limb to limb.
        let mut quotient = _mm512_set1_epi64(19);
        for limb in limbs {
            quotient = _mm512_srli_epi64::<LIMB_BITS>(_mm512_add_epi64(limb, quotient));
        }
        let mut carry = _mm512_madd52lo_epu64(_mm512_setzero_si512(), quotient, _mm512_set1_epi64(19));
        for limb in &mut limbs {
            let sum = _mm512_add_epi64(*limb, carry);
            carry = _mm512_srli_epi64::<LIMB_BITS>(sum);
            *limb = _mm512_and_si512(sum, mask);
        }
        limbs
    }

    /// The lanes that are zero modulo p.
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    pub(super) fn is_zero(&self) -> __mmask8 {
        let [a, b, c, d, e] = self.canonical();
        let any = _mm512_or_si512(_mm512_or_si512(_mm512_or_si512(a, b), _mm512_or_si512(c, d)), e);
        _mm512_cmpeq_epi64_mask(any, _mm512_setzero_si512())
    }

    /// The lanes whose value below p is odd: the sign bit of an encoded x.
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    pub(super) fn is_odd(&self) -> __mmask8 {
        _mm512_test_epi64_mask(self.canonical()[0], _mm512_set1_epi64(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: __mmask8 = u8::MAX;

    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    fn constants_hold() {
        let twice_d = Fe::splat(D).add(&Fe::splat(D));
        assert_eq!(twice_d.sub(&Fe::splat(TWICE_D)).is_zero(), ALL);
        let fraction = Fe::splat(D).mul(&Fe::splat([121_666, 0, 0, 0, 0])).add(&Fe::splat([121_665, 0, 0, 0, 0]));
        assert_eq!(fraction.is_zero(), ALL);
        assert_eq!(Fe::splat(SQRT_MINUS_ONE).square().add(&Fe::one()).is_zero(), ALL);
    }

    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    fn the_largest_reduced_limbs_do_not_overflow() {
        let limit = (1 << LIMB_BITS) + (1 << 13) - 1;
        let largest = Fe::splat([limit; 5]);
        let carried = Fe::carry(largest.0);
        assert_eq!(largest.sub(&carried).is_zero(), ALL);
        assert_eq!(largest.mul(&largest).sub(&carried.mul(&carried)).is_zero(), ALL);
        assert_eq!(largest.square().sub(&carried.mul(&largest)).is_zero(), ALL);
        assert_eq!(largest.add(&largest.negate()).is_zero(), ALL);
        assert_eq!(largest.is_zero(), 0);
    }

    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    fn values_around_p_have_one_representative() {
        let p = [LIMB_MASK - 18, LIMB_MASK, LIMB_MASK, LIMB_MASK, LIMB_MASK];
        let near_p = |offset: i64| Fe::splat([p[0] + offset, p[1], p[2], p[3], p[4]]);
        assert_eq!((near_p(0).is_zero(), near_p(0).is_odd()), (ALL, 0));
        assert_eq!((near_p(-1).is_zero(), near_p(-1).is_odd()), (0, 0));
        assert_eq!((near_p(1).is_zero(), near_p(1).is_odd()), (0, ALL));
        assert_eq!((near_p(18).is_odd(), near_p(19).is_odd(), near_p(-2).is_odd()), (0, ALL, ALL));
        assert_eq!(Fe::splat(TWICE_P.map(|limb| limb / 2)).is_zero(), ALL);
    }

    #[test]
    fn field_arithmetic() {
        if !crate::avx512::missing_features().is_empty() {
            eprintln!("SKIPPED: this CPU has no AVX-512 IFMA, so its field arithmetic is NOT TESTED by this run");
            return;
        }
        // SAFETY: every feature these enable was just found to be present.
        unsafe {
            constants_hold();
            the_largest_reduced_limbs_do_not_overflow();
            values_around_p_have_one_representative();
        }
    }
}
