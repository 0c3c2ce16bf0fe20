//! Eight 64-bit words at a time, for hashing.

use std::arch::x86_64::{
    __m512i, _mm512_add_epi64, _mm512_mask_mov_epi64, _mm512_ror_epi64, _mm512_set1_epi64, _mm512_shuffle_epi8,
    _mm512_srli_epi64, _mm512_ternarylogic_epi64, _mm512_xor_si512,
};

use super::field::{load, store, transpose};
use crate::lanes::{LANES, Mask, Words};

/// Truth tables: the bit for (a, b, c) at place 4a + 2b + c.
const CHOOSE: i32 = 0xCA;
const MAJORITY: i32 = 0xE8;

/// For each byte of two words the place of the byte to take: each word's bytes in reverse.
const REVERSE: [u64; 2] = [0x0001_0203_0405_0607, 0x0809_0A0B_0C0D_0E0F];

/// A word in each lane.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(crate) struct Word(__m512i);

// SAFETY of every block below: a `Vector`, which alone reaches this code, found the features.
impl Words for Word {
    #[inline(always)]
    fn splat(word: u64) -> Self {
        // SAFETY: as above.
        Self(unsafe { _mm512_set1_epi64(word.cast_signed()) })
    }

    #[inline(always)]
    fn load_block(blocks: &[[u8; 128]; LANES]) -> [Self; 16] {
        let [even, odd] = REVERSE;
        let reverse = load(&[even, odd, even, odd, even, odd, even, odd]);
        let mut words = [Self::splat(0); 16];
        for half in 0..2 {
            let mut rows = [reverse; LANES];
            for (row, block) in rows.iter_mut().zip(blocks) {
                let mut lanes = [0; LANES];
                for (lane, bytes) in lanes.iter_mut().zip(block.as_chunks().0[LANES * half..].iter()) {
                    *lane = u64::from_le_bytes(*bytes);
                }
                *row = load(&lanes);
            }
            for (word, column) in words[LANES * half..].iter_mut().zip(transpose(rows)) {
                // SAFETY: as above.
                *word = Self(unsafe { _mm512_shuffle_epi8(column, reverse) });
            }
        }
        words
    }

    #[inline(always)]
    fn to_lanes(self) -> [u64; LANES] {
        store(self.0)
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        // SAFETY: as above.
        Self(unsafe { _mm512_add_epi64(self.0, other.0) })
    }

    #[inline(always)]
    fn xor(self, other: Self) -> Self {
        // SAFETY: as above.
        Self(unsafe { _mm512_xor_si512(self.0, other.0) })
    }

    #[inline(always)]
    fn choose(self, yes: Self, no: Self) -> Self {
        // SAFETY: as above.
        Self(unsafe { _mm512_ternarylogic_epi64::<CHOOSE>(self.0, yes.0, no.0) })
    }

    #[inline(always)]
    fn majority(self, second: Self, third: Self) -> Self {
        // SAFETY: as above.
        Self(unsafe { _mm512_ternarylogic_epi64::<MAJORITY>(self.0, second.0, third.0) })
    }

    #[inline(always)]
    fn rotate_right<const BITS: i32>(self) -> Self {
        // SAFETY: as above.
        Self(unsafe { _mm512_ror_epi64::<BITS>(self.0) })
    }

    #[inline(always)]
    fn shift_right<const BITS: u32>(self) -> Self {
        // SAFETY: as above.
        Self(unsafe { _mm512_srli_epi64::<BITS>(self.0) })
    }

    #[inline(always)]
    fn select(self, other: Self, mask: Mask) -> Self {
        // SAFETY: as above.
        Self(unsafe { _mm512_mask_mov_epi64(self.0, mask, other.0) })
    }
}
