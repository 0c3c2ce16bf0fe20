//! Eight 64-bit words at a time, for hashing, in two registers.

use std::arch::x86_64::{
    __m256i, _mm_cvtsi32_si128, _mm256_add_epi64, _mm256_and_si256, _mm256_blendv_epi8, _mm256_castpd_si256,
    _mm256_or_si256, _mm256_set1_epi64x, _mm256_setr_epi64x, _mm256_shuffle_epi8, _mm256_sll_epi64, _mm256_srl_epi64,
    _mm256_xor_si256,
};

use super::field::{QUAD, load, store, transpose};
use super::quad::spread;
use crate::lanes::{LANES, Mask, Words};

/// For each byte of two words the place of the byte to take: each word's bytes in reverse.
const REVERSE: [i64; 2] = [0x0001_0203_0405_0607, 0x0809_0A0B_0C0D_0E0F];

/// The same for a rotation by eight bits, lowest byte first: 1, 2, …, 7, 0.
const ROTATE_8: [i64; 2] = [0x0007_0605_0403_0201, 0x080F_0E0D_0C0B_0A09];

/// A word in each lane: lanes 0 to 3, and 4 to 7.
#[derive(Clone, Copy)]
pub(crate) struct Word([__m256i; 2]);

/// Moves bytes about in each half of four words.
#[inline(always)]
fn shuffle(words: __m256i, [even, odd]: [i64; 2]) -> __m256i {
    // SAFETY: a `Vector` found the features.
    unsafe { _mm256_shuffle_epi8(words, _mm256_setr_epi64x(even, odd, even, odd)) }
}

#[inline(always)]
fn shift_right(words: __m256i, bits: i32) -> __m256i {
    // SAFETY: a `Vector` found the features.
    unsafe { _mm256_srl_epi64(words, _mm_cvtsi32_si128(bits)) }
}

#[inline(always)]
fn rotate_right(words: __m256i, bits: i32) -> __m256i {
    // SAFETY: a `Vector` found the features.
    unsafe { _mm256_or_si256(shift_right(words, bits), _mm256_sll_epi64(words, _mm_cvtsi32_si128(64 - bits))) }
}

// SAFETY of every block below: a `Vector`, which alone reaches this code, found the features.
impl Words for Word {
    #[inline(always)]
    fn splat(word: u64) -> Self {
        // SAFETY: as above.
        Self([unsafe { _mm256_set1_epi64x(word.cast_signed()) }; 2])
    }

    #[inline(always)]
    fn load_block(blocks: &[[u8; 128]; LANES]) -> [Self; 16] {
        let mut words = [Self::splat(0); 16];
        for at in (0..words.len()).step_by(QUAD) {
            for half in 0..2 {
                let mut rows = [load(&[0; QUAD]); QUAD];
                for (row, block) in rows.iter_mut().zip(&blocks[QUAD * half..]) {
                    let mut lanes = [0; QUAD];
                    for (lane, bytes) in lanes.iter_mut().zip(&block.as_chunks().0[at..]) {
                        *lane = u64::from_le_bytes(*bytes);
                    }
                    *row = load(&lanes);
                }
                for (word, column) in words[at..].iter_mut().zip(transpose(rows)) {
                    word.0[half] = shuffle(column, REVERSE);
                }
            }
        }
        words
    }

    #[inline(always)]
    fn to_lanes(self) -> [u64; LANES] {
        let mut lanes = [0; LANES];
        lanes[..QUAD].copy_from_slice(&store(self.0[0]));
        lanes[QUAD..].copy_from_slice(&store(self.0[1]));
        lanes
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        let ([a, b], [c, d]) = (self.0, other.0);
        // SAFETY: as above.
        Self(unsafe { [_mm256_add_epi64(a, c), _mm256_add_epi64(b, d)] })
    }

    #[inline(always)]
    fn xor(self, other: Self) -> Self {
        let ([a, b], [c, d]) = (self.0, other.0);
        // SAFETY: as above.
        Self(unsafe { [_mm256_xor_si256(a, c), _mm256_xor_si256(b, d)] })
    }

    #[inline(always)]
    fn choose(self, yes: Self, no: Self) -> Self {
        // Where `self` has a one, turns what `no` has into what `yes` has.
        self.and(yes.xor(no)).xor(no)
    }

    #[inline(always)]
    fn majority(self, second: Self, third: Self) -> Self {
        // One of the two sums is known from the round before.
        self.xor(second).and(second.xor(third)).xor(second)
    }

    #[inline(always)]
    fn rotate_right<const BITS: i32>(self) -> Self {
        let [a, b] = self.0;
        if BITS == 8 {
            return Self([shuffle(a, ROTATE_8), shuffle(b, ROTATE_8)]);
        }
        Self([rotate_right(a, BITS), rotate_right(b, BITS)])
    }

    #[inline(always)]
    fn shift_right<const BITS: u32>(self) -> Self {
        let [a, b] = self.0;
        Self([shift_right(a, BITS.cast_signed()), shift_right(b, BITS.cast_signed())])
    }

    #[inline(always)]
    fn select(self, other: Self, mask: Mask) -> Self {
        let ([a, b], [c, d]) = (self.0, other.0);
        // SAFETY: as above.
        Self(unsafe {
            [
                _mm256_blendv_epi8(a, c, _mm256_castpd_si256(spread(mask))),
                _mm256_blendv_epi8(b, d, _mm256_castpd_si256(spread(mask >> QUAD))),
            ]
        })
    }
}

impl Word {
    #[inline(always)]
    fn and(self, other: Self) -> Self {
        let ([a, b], [c, d]) = (self.0, other.0);
        // SAFETY: a `Vector` found the features.
        Self(unsafe { [_mm256_and_si256(a, c), _mm256_and_si256(b, d)] })
    }
}
