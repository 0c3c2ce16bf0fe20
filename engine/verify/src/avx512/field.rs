//! Arithmetic modulo p = 2^255 − 19 on eight independent elements at a time, one in each 64-bit lane.
//!
//! An element is five limbs in radix 2^51. Every [`Fe`] is *reduced*: limbs below 2^51 + 2^15, which leaves the
//! products of limbs inside the 104 bits that the IFMA instructions multiply, and sums and differences far inside
//! 64 bits. Reduced is not canonical: only `is_zero` and `is_odd` look at the one value below p.
//!
//! Why nothing overflows, for reduced factors:
//! - The low half of a limb's product by another is below 2^52, the high half below 2^50 + 2^16. Of ten columns, 5 has the most that folds:
//!   four low halves and, twice, five high ones: below 6.51 · 2^52; column 0 has one low half.
//! - Folding adds 19 times column k + 5 to column k: below 125 · 2^52 < 2^59. This is a product that is not carried.
//! - At most three such are added up: below 2^60 + 2^59. For a difference, 2^9 p, with limbs between 2^60 − 2^14 and 2^60, makes up for the product
//!   subtracted: below 2^61.4.
//! - So a carry is below 2^10.4, and 19 carries below 2^14.7: carrying gives limbs below 2^51 + 2^15.

use std::arch::x86_64::{
    __m512i, _MM_HINT_T0, _mm_prefetch, _mm512_add_epi64, _mm512_and_si512, _mm512_cmpeq_epi64_mask,
    _mm512_loadu_epi64, _mm512_madd52hi_epu64, _mm512_madd52lo_epu64, _mm512_mask_mov_epi64, _mm512_mullo_epi64,
    _mm512_or_si512, _mm512_set1_epi64, _mm512_setzero_si512, _mm512_shuffle_i64x2, _mm512_srli_epi64,
    _mm512_storeu_epi64, _mm512_sub_epi64, _mm512_test_epi64_mask, _mm512_unpackhi_epi64, _mm512_unpacklo_epi64,
};

use crate::lanes::{Field, LANES, Mask, Packed3, Packed4};

const LIMB_BITS: u32 = 51;
const LIMB_MASK: i64 = (1 << LIMB_BITS) - 1;

/// 2p, limb by limb: more than any reduced element in each limb, so that a difference never falls below zero.
const TWICE_P: [i64; 5] = [(1 << 52) - 38, (1 << 52) - 2, (1 << 52) - 2, (1 << 52) - 2, (1 << 52) - 2];

/// d = −121665/121666, the curve's constant.
const D: [i64; 5] = [929955233495203, 466365720129213, 1662059464998953, 2033849074728123, 1442794654840575];

/// 2d.
const TWICE_D: [i64; 5] = [1859910466990425, 932731440258426, 1072319116312658, 1815898335770999, 633789495995903];

/// A square root of −1.
const SQRT_MINUS_ONE: [i64; 5] =
    [1718705420411056, 234908883556509, 2233514472574048, 2117202627021982, 765476049583133];

/// Eight reduced field elements.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(crate) struct Fe([__m512i; 5]);

/// Loads eight words.
#[inline(always)]
pub(super) fn load(lanes: &[u64; LANES]) -> __m512i {
    // SAFETY: the reference covers exactly the 64 bytes read, and the load asks for no alignment; a `Vector` found the features.
    unsafe { _mm512_loadu_epi64(lanes.as_ptr().cast()) }
}

/// Stores eight words.
#[inline(always)]
pub(super) fn store(vector: __m512i) -> [u64; LANES] {
    let mut lanes = [0_u64; LANES];
    // SAFETY: the array is exactly the 64 bytes written, and the store asks for no alignment; a `Vector` found the features.
    unsafe { _mm512_storeu_epi64(lanes.as_mut_ptr().cast(), vector) };
    lanes
}

/// Word c of row r becomes word r of row c.
#[inline(always)]
pub(super) fn transpose(rows: [__m512i; LANES]) -> [__m512i; LANES] {
    // SAFETY: a `Vector` found the features.
    unsafe {
        // Pairs of rows, words in turns; then 128-bit pieces are brought together by twos and by fours.
        let pairs = |column: usize| {
            let [a, b] = [rows[2 * column], rows[2 * column + 1]];
            [_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b)]
        };
        let (p0, p1, p2, p3) = (pairs(0), pairs(1), pairs(2), pairs(3));
        let mut columns = rows;
        let mut parity = 0;
        while parity < 2 {
            let low = _mm512_shuffle_i64x2::<0x88>(p0[parity], p1[parity]);
            let low_2 = _mm512_shuffle_i64x2::<0x88>(p2[parity], p3[parity]);
            let high = _mm512_shuffle_i64x2::<0xDD>(p0[parity], p1[parity]);
            let high_2 = _mm512_shuffle_i64x2::<0xDD>(p2[parity], p3[parity]);
            columns[parity] = _mm512_shuffle_i64x2::<0x88>(low, low_2);
            columns[4 + parity] = _mm512_shuffle_i64x2::<0xDD>(low, low_2);
            columns[2 + parity] = _mm512_shuffle_i64x2::<0x88>(high, high_2);
            columns[6 + parity] = _mm512_shuffle_i64x2::<0xDD>(high, high_2);
            parity += 1;
        }
        columns
    }
}

/// Eight words of each of eight arrays, from word `AT`.
#[inline(always)]
fn columns<const AT: usize, const N: usize>(arrays: [&[u64; N]; LANES]) -> [__m512i; LANES] {
    let mut rows = [load(&[0; LANES]); LANES];
    let mut lane = 0;
    while lane < LANES {
        // The slice has eight words wherever AT + 8 <= N, which holds for every use.
        if let Some(words) = arrays[lane].get(AT..).and_then(|words| words.first_chunk()) {
            rows[lane] = load(words);
        }
        lane += 1;
    }
    transpose(rows)
}

impl Fe {
    /// One value in every lane; its limbs must be reduced.
    #[inline(always)]
    fn splat(limbs: [i64; 5]) -> Self {
        let [a, b, c, d, e] = limbs;
        // SAFETY: a `Vector` found the features.
        unsafe {
            Self([
                _mm512_set1_epi64(a),
                _mm512_set1_epi64(b),
                _mm512_set1_epi64(c),
                _mm512_set1_epi64(d),
                _mm512_set1_epi64(e),
            ])
        }
    }

    /// Moves what a limb has above 51 bits to the next one, all limbs at once.
    #[inline(always)]
    fn carry(limbs: [__m512i; 5]) -> Self {
        // SAFETY: a `Vector` found the features.
        unsafe {
            let mask = _mm512_set1_epi64(LIMB_MASK);
            let [a, b, c, d, e] = limbs;
            // 2^255 = 19 modulo p; a carry is far below 52 bits, so its product by 19 is exact.
            let nineteen = _mm512_set1_epi64(19);
            let carry = |limb| _mm512_srli_epi64::<LIMB_BITS>(limb);
            let rest = |limb| _mm512_and_si512(limb, mask);
            Self([
                _mm512_madd52lo_epu64(rest(a), carry(e), nineteen),
                _mm512_add_epi64(rest(b), carry(a)),
                _mm512_add_epi64(rest(c), carry(b)),
                _mm512_add_epi64(rest(d), carry(c)),
                _mm512_add_epi64(rest(e), carry(d)),
            ])
        }
    }

    /// Brings ten columns back to five limbs, not carried: column k + 5 counts 2^255 = 19 times column k.
    #[inline(always)]
    fn fold(columns: &[__m512i; 10]) -> [__m512i; 5] {
        // SAFETY: a `Vector` found the features.
        unsafe {
            let nineteen = _mm512_set1_epi64(19);
            let fold = |k: usize| _mm512_add_epi64(columns[k], _mm512_mullo_epi64(columns[k + 5], nineteen));
            [fold(0), fold(1), fold(2), fold(3), fold(4)]
        }
    }

    /// A product, not carried: limbs below 2^59.
    #[inline(always)]
    fn product(&self, other: &Self) -> [__m512i; 5] {
        let (a, b) = (&self.0, &other.0);
        // SAFETY: a `Vector` found the features.
        unsafe {
            let mut columns = [_mm512_setzero_si512(); 10];
            let mut i = 0;
            while i < 5 {
                let mut j = 0;
                while j < 5 {
                    columns[i + j + 1] = _mm512_madd52hi_epu64(columns[i + j + 1], a[i], b[j]);
                    j += 1;
                }
                i += 1;
            }
            // A high half counts 2^52 = 2 · 2^51: twice in the next limb.
            let mut k = 1;
            while k < 10 {
                columns[k] = _mm512_add_epi64(columns[k], columns[k]);
                k += 1;
            }
            let mut i = 0;
            while i < 5 {
                let mut j = 0;
                while j < 5 {
                    columns[i + j] = _mm512_madd52lo_epu64(columns[i + j], a[i], b[j]);
                    j += 1;
                }
                i += 1;
            }
            Self::fold(&columns)
        }
    }

    /// A square, not carried: limbs below 2^59.
    #[inline(always)]
    fn squared(&self) -> [__m512i; 5] {
        let a = &self.0;
        // SAFETY: a `Vector` found the features.
        unsafe {
            let mut columns = [_mm512_setzero_si512(); 10];
            // The products of two different limbs count twice, high halves twice more: what is added between the doublings
            // counts as often as doublings follow.
            let mut i = 0;
            while i < 5 {
                let mut j = i + 1;
                while j < 5 {
                    columns[i + j + 1] = _mm512_madd52hi_epu64(columns[i + j + 1], a[i], a[j]);
                    j += 1;
                }
                i += 1;
            }
            let mut k = 2;
            while k < 9 {
                columns[k] = _mm512_add_epi64(columns[k], columns[k]);
                k += 1;
            }
            let mut i = 0;
            while i < 5 {
                columns[2 * i + 1] = _mm512_madd52hi_epu64(columns[2 * i + 1], a[i], a[i]);
                let mut j = i + 1;
                while j < 5 {
                    columns[i + j] = _mm512_madd52lo_epu64(columns[i + j], a[i], a[j]);
                    j += 1;
                }
                i += 1;
            }
            let mut k = 1;
            while k < 10 {
                columns[k] = _mm512_add_epi64(columns[k], columns[k]);
                k += 1;
            }
            let mut i = 0;
            while i < 5 {
                columns[2 * i] = _mm512_madd52lo_epu64(columns[2 * i], a[i], a[i]);
                i += 1;
            }
            Self::fold(&columns)
        }
    }

    /// Limbs below 2^60 + 2^59, minus those of a product.
    #[inline(always)]
    fn difference(left: [__m512i; 5], right: [__m512i; 5]) -> Self {
        let mut limbs = left;
        let mut limb = 0;
        while limb < 5 {
            // SAFETY: a `Vector` found the features.
            limbs[limb] = unsafe {
                let above = _mm512_add_epi64(limbs[limb], _mm512_set1_epi64(TWICE_P[limb] << 8));
                _mm512_sub_epi64(above, right[limb])
            };
            limb += 1;
        }
        Self::carry(limbs)
    }

    /// Limb by limb.
    #[inline(always)]
    fn sum(left: [__m512i; 5], right: [__m512i; 5]) -> [__m512i; 5] {
        let mut limbs = left;
        let mut limb = 0;
        while limb < 5 {
            // SAFETY: a `Vector` found the features.
            limbs[limb] = unsafe { _mm512_add_epi64(limbs[limb], right[limb]) };
            limb += 1;
        }
        limbs
    }

    /// The limbs of the one representative below p.
    #[inline(always)]
    fn canonical(&self) -> [__m512i; 5] {
        // Below 2p after this: subtracting p once or not at all is enough.
        let mut limbs = Self::carry(Self::carry(self.0).0).0;
        // SAFETY: a `Vector` found the features.
        unsafe {
            let mask = _mm512_set1_epi64(LIMB_MASK);
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
        }
        limbs
    }
}

impl Field for Fe {
    #[inline(always)]
    fn zero() -> Self {
        Self::splat([0; 5])
    }

    #[inline(always)]
    fn one() -> Self {
        Self::splat([1, 0, 0, 0, 0])
    }

    #[inline(always)]
    fn d() -> Self {
        Self::splat(D)
    }

    #[inline(always)]
    fn twice_d() -> Self {
        Self::splat(TWICE_D)
    }

    #[inline(always)]
    fn sqrt_minus_one() -> Self {
        Self::splat(SQRT_MINUS_ONE)
    }

    #[inline(always)]
    fn from_bytes(lanes: &[[u8; 32]; LANES]) -> Self {
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

    #[inline(always)]
    fn add(&self, other: &Self) -> Self {
        Self::carry(Self::sum(self.0, other.0))
    }

    #[inline(always)]
    fn sub(&self, other: &Self) -> Self {
        let mut limbs = self.0;
        let mut limb = 0;
        while limb < 5 {
            // SAFETY: a `Vector` found the features.
            limbs[limb] = unsafe {
                let above = _mm512_add_epi64(limbs[limb], _mm512_set1_epi64(TWICE_P[limb]));
                _mm512_sub_epi64(above, other.0[limb])
            };
            limb += 1;
        }
        Self::carry(limbs)
    }

    #[inline(always)]
    fn mul(&self, other: &Self) -> Self {
        Self::carry(self.product(other))
    }

    #[inline(always)]
    fn products_sum_and_difference(left: [&Self; 2], right: [&Self; 2]) -> [Self; 2] {
        let (left, right) = (left[0].product(left[1]), right[0].product(right[1]));
        [Self::carry(Self::sum(left, right)), Self::difference(left, right)]
    }

    #[inline(always)]
    fn twice_plus_and_minus_product(&self, factors: [&Self; 2]) -> [Self; 2] {
        let (twice, product) = (Self::sum(self.0, self.0), factors[0].product(factors[1]));
        [Self::carry(Self::sum(twice, product)), Self::difference(twice, product)]
    }

    #[inline(always)]
    fn square(&self) -> Self {
        Self::carry(self.squared())
    }

    #[inline(always)]
    fn double(x: &Self, y: &Self, z: &Self) -> [Self; 4] {
        let (xx, yy, zz) = (x.squared(), y.squared(), z.squared());
        let h = Self::sum(xx, yy);
        let e = Self::difference(h, x.add(y).squared());
        // Below 2^60 + 2^59, so that the difference is below 2^61.4 and 19 of its carries below 2^15 still.
        let f = Self::difference(Self::sum(Self::sum(zz, zz), xx), yy);
        [e, f, Self::difference(xx, yy), Self::carry(h)]
    }

    #[inline(always)]
    fn select(&self, other: &Self, mask: Mask) -> Self {
        let mut limbs = self.0;
        let mut limb = 0;
        while limb < 5 {
            // SAFETY: a `Vector` found the features.
            limbs[limb] = unsafe { _mm512_mask_mov_epi64(limbs[limb], mask, other.0[limb]) };
            limb += 1;
        }
        Self(limbs)
    }

    #[inline(always)]
    fn is_zero(&self) -> Mask {
        let [a, b, c, d, e] = self.canonical();
        // SAFETY: a `Vector` found the features.
        unsafe {
            let any = _mm512_or_si512(_mm512_or_si512(_mm512_or_si512(a, b), _mm512_or_si512(c, d)), e);
            _mm512_cmpeq_epi64_mask(any, _mm512_setzero_si512())
        }
    }

    #[inline(always)]
    fn is_odd(&self) -> Mask {
        // SAFETY: a `Vector` found the features.
        unsafe { _mm512_test_epi64_mask(self.canonical()[0], _mm512_set1_epi64(1)) }
    }

    #[inline(always)]
    fn unpack3(points: [&Packed3; LANES]) -> [Self; 3] {
        let words = points.map(|point| &point.0);
        let [a0, a1, a2, a3, a4, b0, b1, b2] = columns::<0, 16>(words);
        let [b3, b4, c0, c1, c2, c3, c4, _] = columns::<8, 16>(words);
        [Self([a0, a1, a2, a3, a4]), Self([b0, b1, b2, b3, b4]), Self([c0, c1, c2, c3, c4])]
    }

    #[inline(always)]
    fn pack3(elements: [&Self; 3]) -> [Packed3; LANES] {
        let [a, b, c] = elements.map(|element| element.0);
        let zero = load(&[0; LANES]);
        let low = transpose([a[0], a[1], a[2], a[3], a[4], b[0], b[1], b[2]]);
        let high = transpose([b[3], b[4], c[0], c[1], c[2], c[3], c[4], zero]);
        let mut packed = [Packed3::ZERO; LANES];
        let mut lane = 0;
        while lane < LANES {
            packed[lane].0[..8].copy_from_slice(&store(low[lane]));
            packed[lane].0[8..].copy_from_slice(&store(high[lane]));
            lane += 1;
        }
        packed
    }

    #[inline(always)]
    fn unpack4(points: [&Packed4; LANES]) -> [Self; 4] {
        let words = points.map(|point| &point.0);
        let [a0, a1, a2, a3, a4, b0, b1, b2] = columns::<0, 24>(words);
        let [b3, b4, c0, c1, c2, c3, c4, d0] = columns::<8, 24>(words);
        let [d1, d2, d3, d4, ..] = columns::<16, 24>(words);
        [Self([a0, a1, a2, a3, a4]), Self([b0, b1, b2, b3, b4]), Self([c0, c1, c2, c3, c4]), Self([d0, d1, d2, d3, d4])]
    }

    #[inline(always)]
    fn pack4(elements: [&Self; 4]) -> [Packed4; LANES] {
        let [a, b, c, d] = elements.map(|element| element.0);
        let zero = load(&[0; LANES]);
        let low = transpose([a[0], a[1], a[2], a[3], a[4], b[0], b[1], b[2]]);
        let middle = transpose([b[3], b[4], c[0], c[1], c[2], c[3], c[4], d[0]]);
        let high = transpose([d[1], d[2], d[3], d[4], zero, zero, zero, zero]);
        let mut packed = [Packed4::ZERO; LANES];
        let mut lane = 0;
        while lane < LANES {
            packed[lane].0[..8].copy_from_slice(&store(low[lane]));
            packed[lane].0[8..16].copy_from_slice(&store(middle[lane]));
            packed[lane].0[16..].copy_from_slice(&store(high[lane]));
            lane += 1;
        }
        packed
    }

    #[inline(always)]
    fn prefetch(point: &Packed3) {
        let words = point.0.as_ptr().cast::<i8>();
        // SAFETY: a prefetch reads nothing; both addresses lie inside the point, which fills two cache lines.
        unsafe {
            _mm_prefetch::<_MM_HINT_T0>(words);
            _mm_prefetch::<_MM_HINT_T0>(words.add(64));
        }
    }
}
