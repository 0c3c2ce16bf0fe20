//! Eight field elements as two [`Quad`]s, and the form they are packed in: limb by limb, each a signed 64-bit integer.

use std::arch::x86_64::{
    __m128i, __m256i, _MM_HINT_T0, _mm_loadu_si128, _mm_prefetch, _mm256_castsi128_si256, _mm256_inserti128_si256,
    _mm256_loadu_si256, _mm256_permute2x128_si256, _mm256_storeu_si256, _mm256_unpackhi_epi64, _mm256_unpacklo_epi64,
};

use super::quad::Quad;
use crate::lanes::{Field, LANES, Mask, Packed3, Packed4};

/// Lanes of a register.
pub(super) const QUAD: usize = 4;

/// d = −121665/121666, the curve's constant.
const D: [i64; 5] = reduced([929955233495203, 466365720129213, 1662059464998953, 2033849074728123, 1442794654840575]);

/// 2d.
const TWICE_D: [i64; 5] =
    reduced([1859910466990425, 932731440258426, 1072319116312658, 1815898335770999, 633789495995903]);

/// A square root of −1.
const SQRT_MINUS_ONE: [i64; 5] =
    reduced([1718705420411056, 234908883556509, 2233514472574048, 2117202627021982, 765476049583133]);

/// The same value with limbs from −2^50 to 2^50, or 19 more for the lowest.
const fn reduced(mut limbs: [i64; 5]) -> [i64; 5] {
    let mut limb = 0;
    while limb < 5 {
        let carry = (limbs[limb] + (1 << 50)) >> 51;
        limbs[limb] -= carry << 51;
        if limb < 4 {
            limbs[limb + 1] += carry;
        } else {
            limbs[0] += 19 * carry;
        }
        limb += 1;
    }
    limbs
}

/// Eight reduced field elements: lanes 0 to 3, and 4 to 7.
#[derive(Clone, Copy)]
pub(crate) struct Fe([Quad; 2]);

/// Loads four words.
#[inline(always)]
pub(super) fn load(lanes: &[u64; QUAD]) -> __m256i {
    // SAFETY: the reference covers exactly the 32 bytes read, and the load asks for no alignment; a `Vector` found the features.
    unsafe { _mm256_loadu_si256(lanes.as_ptr().cast()) }
}

/// Stores four words.
#[inline(always)]
pub(super) fn store(vector: __m256i) -> [u64; QUAD] {
    let mut lanes = [0; QUAD];
    // SAFETY: the array is exactly the 32 bytes written, and the store asks for no alignment; a `Vector` found the features.
    unsafe { _mm256_storeu_si256(lanes.as_mut_ptr().cast(), vector) };
    lanes
}

/// Two words of one array in the low half, and of another in the high half.
#[inline(always)]
fn load_pair(low: &[u64; 2], high: &[u64; 2]) -> __m256i {
    // SAFETY: each reference covers exactly the 16 bytes read, and the loads ask for no alignment; a `Vector` found the features.
    unsafe {
        let low: __m128i = _mm_loadu_si128(low.as_ptr().cast());
        let high = _mm_loadu_si128(high.as_ptr().cast());
        _mm256_inserti128_si256::<1>(_mm256_castsi128_si256(low), high)
    }
}

/// Word c of row r becomes word r of row c; rows come as memory has them, which halves the work.
#[inline(always)]
fn load_transposed(rows: [&[u64; QUAD]; QUAD]) -> [__m256i; QUAD] {
    let [(a0, a1), (b0, b1), (c0, c1), (d0, d1)] = [split(rows[0]), split(rows[1]), split(rows[2]), split(rows[3])];
    let [ac, bd] = [load_pair(a0, c0), load_pair(b0, d0)];
    let [ac_2, bd_2] = [load_pair(a1, c1), load_pair(b1, d1)];
    // SAFETY: a `Vector` found the features.
    unsafe {
        [
            _mm256_unpacklo_epi64(ac, bd),
            _mm256_unpackhi_epi64(ac, bd),
            _mm256_unpacklo_epi64(ac_2, bd_2),
            _mm256_unpackhi_epi64(ac_2, bd_2),
        ]
    }
}

#[inline(always)]
fn split(row: &[u64; QUAD]) -> (&[u64; 2], &[u64; 2]) {
    let [low, high] = row.as_chunks().0 else { unreachable!("four is twice two") };
    (low, high)
}

/// Word c of row r becomes word r of row c.
#[inline(always)]
pub(super) fn transpose(rows: [__m256i; QUAD]) -> [__m256i; QUAD] {
    let [a, b, c, d] = rows;
    // SAFETY: a `Vector` found the features.
    unsafe {
        let (ab, ab_2) = (_mm256_unpacklo_epi64(a, b), _mm256_unpackhi_epi64(a, b));
        let (cd, cd_2) = (_mm256_unpacklo_epi64(c, d), _mm256_unpackhi_epi64(c, d));
        [
            _mm256_permute2x128_si256::<0x20>(ab, cd),
            _mm256_permute2x128_si256::<0x20>(ab_2, cd_2),
            _mm256_permute2x128_si256::<0x31>(ab, cd),
            _mm256_permute2x128_si256::<0x31>(ab_2, cd_2),
        ]
    }
}

/// The `ELEMENTS` elements that the words of four points hold.
#[inline(always)]
fn unpack<const WORDS: usize, const ELEMENTS: usize>(points: [&[u64; WORDS]; QUAD]) -> [Quad; ELEMENTS] {
    let mut words = [load(&[0; QUAD]); WORDS];
    let mut at = 0;
    while at < WORDS {
        let mut rows = [&[0; QUAD]; QUAD];
        let mut lane = 0;
        while lane < QUAD {
            // There are four words from `at`: WORDS is a multiple of four.
            if let Some(row) = points[lane].get(at..).and_then(|words| words.first_chunk()) {
                rows[lane] = row;
            }
            lane += 1;
        }
        let columns = load_transposed(rows);
        words[at..at + QUAD].copy_from_slice(&columns);
        at += QUAD;
    }
    // SAFETY: a `Vector` found the features.
    unsafe {
        let mut elements = [Quad::splat([0; 5]); ELEMENTS];
        let mut element = 0;
        while element < ELEMENTS {
            let w = 5 * element;
            elements[element] = Quad::from_integers([words[w], words[w + 1], words[w + 2], words[w + 3], words[w + 4]]);
            element += 1;
        }
        elements
    }
}

/// Writes the elements of four points into their words.
#[inline(always)]
fn pack<const WORDS: usize, const ELEMENTS: usize>(elements: [Quad; ELEMENTS]) -> [[u64; WORDS]; QUAD] {
    let mut words = [load(&[0; QUAD]); WORDS];
    let mut element = 0;
    while element < ELEMENTS {
        // SAFETY: a `Vector` found the features.
        let limbs = unsafe { elements[element].to_integers() };
        words[5 * element..5 * element + 5].copy_from_slice(&limbs);
        element += 1;
    }
    let mut points = [[0; WORDS]; QUAD];
    let mut at = 0;
    while at < WORDS {
        let rows = transpose([words[at], words[at + 1], words[at + 2], words[at + 3]]);
        let mut lane = 0;
        while lane < QUAD {
            points[lane][at..at + QUAD].copy_from_slice(&store(rows[lane]));
            lane += 1;
        }
        at += QUAD;
    }
    points
}

impl Fe {
    #[inline(always)]
    fn splat(limbs: [i64; 5]) -> Self {
        // SAFETY: a `Vector` found the features.
        unsafe { Self([Quad::splat(limbs); 2]) }
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
        let mut limbs = [[[0; QUAD]; 5]; 2];
        for (lane, bytes) in lanes.iter().enumerate() {
            let word = |at: usize| u64::from_le_bytes(std::array::from_fn(|byte| bytes[at + byte]));
            // Limb i starts at bit 51 i: at these bytes, that many bits in.
            let starts = [(0, 0), (6, 3), (12, 6), (19, 1), (24, 12)];
            for (limb, (byte, bit)) in starts.into_iter().enumerate() {
                limbs[lane / QUAD][limb][lane % QUAD] = (word(byte) >> bit) & ((1 << 51) - 1);
            }
        }
        let [[a, b, c, d, e], [f, g, h, i, j]] = &limbs;
        // SAFETY: a `Vector` found the features.
        unsafe {
            Self([
                Quad::from_bits([load(a), load(b), load(c), load(d), load(e)]),
                Quad::from_bits([load(f), load(g), load(h), load(i), load(j)]),
            ])
        }
    }

    #[inline(always)]
    fn add(&self, other: &Self) -> Self {
        // SAFETY: a `Vector` found the features.
        unsafe { Self([self.0[0].add(&other.0[0]), self.0[1].add(&other.0[1])]) }
    }

    #[inline(always)]
    fn sub(&self, other: &Self) -> Self {
        // SAFETY: a `Vector` found the features.
        unsafe { Self([self.0[0].sub(&other.0[0]), self.0[1].sub(&other.0[1])]) }
    }

    #[inline(always)]
    fn mul(&self, other: &Self) -> Self {
        // SAFETY: a `Vector` found the features.
        unsafe { Self([self.0[0].mul(&other.0[0]), self.0[1].mul(&other.0[1])]) }
    }

    #[inline(always)]
    fn square(&self) -> Self {
        // SAFETY: a `Vector` found the features.
        unsafe { Self([self.0[0].square(), self.0[1].square()]) }
    }

    #[inline(always)]
    fn select(&self, other: &Self, mask: Mask) -> Self {
        // SAFETY: a `Vector` found the features.
        unsafe { Self([self.0[0].select(&other.0[0], mask), self.0[1].select(&other.0[1], mask >> QUAD)]) }
    }

    #[inline(always)]
    fn is_zero(&self) -> Mask {
        // SAFETY: a `Vector` found the features.
        unsafe { self.0[0].is_zero() | self.0[1].is_zero() << QUAD }
    }

    #[inline(always)]
    fn is_odd(&self) -> Mask {
        // SAFETY: a `Vector` found the features.
        unsafe { self.0[0].is_odd() | self.0[1].is_odd() << QUAD }
    }

    #[inline(always)]
    fn unpack3(points: [&Packed3; LANES]) -> [Self; 3] {
        let [a, b, c, d, e, f, g, h] = points.map(|point| &point.0);
        let (low, high) = (unpack::<16, 3>([a, b, c, d]), unpack::<16, 3>([e, f, g, h]));
        [Self([low[0], high[0]]), Self([low[1], high[1]]), Self([low[2], high[2]])]
    }

    #[inline(always)]
    fn pack3(elements: [&Self; 3]) -> [Packed3; LANES] {
        let [a, b, c] = elements;
        let mut packed = [Packed3::ZERO; LANES];
        let mut half = 0;
        while half < 2 {
            let words = pack::<16, 3>([a.0[half], b.0[half], c.0[half]]);
            let mut lane = 0;
            while lane < QUAD {
                packed[QUAD * half + lane].0 = words[lane];
                lane += 1;
            }
            half += 1;
        }
        packed
    }

    #[inline(always)]
    fn unpack4(points: [&Packed4; LANES]) -> [Self; 4] {
        let [a, b, c, d, e, f, g, h] = points.map(|point| &point.0);
        let (low, high) = (unpack::<24, 4>([a, b, c, d]), unpack::<24, 4>([e, f, g, h]));
        [Self([low[0], high[0]]), Self([low[1], high[1]]), Self([low[2], high[2]]), Self([low[3], high[3]])]
    }

    #[inline(always)]
    fn pack4(elements: [&Self; 4]) -> [Packed4; LANES] {
        let [a, b, c, d] = elements;
        let mut packed = [Packed4::ZERO; LANES];
        let mut half = 0;
        while half < 2 {
            let words = pack::<24, 4>([a.0[half], b.0[half], c.0[half], d.0[half]]);
            let mut lane = 0;
            while lane < QUAD {
                packed[QUAD * half + lane].0 = words[lane];
                lane += 1;
            }
            half += 1;
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
