//! The twin of `ladder.wgsl`.

use super::{Cached, Extended, Fe, Header};
use crate::Arithmetic;
use crate::layout::GROUP_SIZE;
use crate::numbers::{BASE_ENTRIES, BASE_WINDOWS};
use crate::record::{
    BASE_TABLE, CHALLENGE, CHALLENGE_PASS, DECODE_PASS, POINTS, RESPONSE, STATE, TABLE_ENTRIES, limbs, point_vectors,
    record_vectors, table,
};
use crate::seal;

/// Whether `[8]([±u](−A) + [v](−R) + [v S]B)` is the identity, and the sealed verdict bits, to `output`; the multiples of
/// −A and −R to each record of `scratch`.
pub fn ladder(arithmetic: Arithmetic, input: &[u32], constants: &[u32], scratch: &mut [u32], output: &mut [u32]) {
    let Header { nonce, count } = Header::of(input);
    let record_words = 4 * record_vectors(arithmetic) as usize;
    let records: Vec<&mut [u32]> = scratch.chunks_exact_mut(record_words).take(count).collect();
    let mut bits = vec![[0_u32; 2]; count.div_ceil(GROUP_SIZE as usize)];
    let mut is_intact = vec![true; bits.len()];
    for (item, words) in records.into_iter().enumerate() {
        let mut record = Record { arithmetic, words };
        let (group, lane) = (item / GROUP_SIZE as usize, item % GROUP_SIZE as usize);
        let verdict = u32::from(record.is_valid(constants));
        bits[group][lane / 32] |= verdict << (lane % 32);
        is_intact[group] &= record.has_marks(nonce, item as u32);
    }
    for (group, (bits, is_intact)) in bits.into_iter().zip(is_intact).enumerate() {
        let mut tag = seal::tag(nonce, group as u32, bits);
        if !is_intact {
            tag[0] = !tag[0];
        }
        let [low, high] = seal::halves(nonce);
        output[6 * group..6 * group + 6].copy_from_slice(&[low, high, tag[0], tag[1], bits[0], bits[1]]);
    }
}

struct Record<'a> {
    arithmetic: Arithmetic,
    words: &'a mut [u32],
}

impl Record<'_> {
    /// Vector `at`.
    fn vector(&self, at: u32) -> [u32; 4] {
        std::array::from_fn(|word| self.words[4 * at as usize + word])
    }

    /// The states of `challenge`, of A and of R.
    fn states(&self) -> [[u32; 4]; 3] {
        [STATE, POINTS, POINTS + point_vectors(self.arithmetic)].map(|at| self.vector(at))
    }

    fn has_marks(&self, nonce: u64, item: u32) -> bool {
        let marks = [CHALLENGE_PASS, DECODE_PASS, DECODE_PASS + 1].map(|pass| seal::mark(nonce, item, pass));
        self.states().map(|state| state[0]) == marks
    }

    fn is_valid(&mut self, constants: &[u32]) -> bool {
        self.write_tables();
        let p = self.add_b(constants, self.multiply_a_and_r());
        p.is_small_order() && self.states().iter().all(|state| state[1] == 1)
    }

    /// Elements from word `at`, `N` of them.
    fn elements<const N: usize>(arithmetic: Arithmetic, words: &[u32], at: usize) -> [Fe; N] {
        let limbs = limbs(arithmetic) as usize;
        std::array::from_fn(|element| Fe::from_limbs(arithmetic, &words[at + element * limbs..][..limbs]))
    }

    /// The word where entry `entry` of the multiples of −A (`is_r` 0) or −R (1) lies.
    fn entry_at(&self, is_r: u32, entry: u32) -> usize {
        4 * (table(self.arithmetic) + (TABLE_ENTRIES * is_r + entry) * limbs(self.arithmetic)) as usize
    }

    fn write_entry(&mut self, at: usize, q: &Cached) {
        let limbs = limbs(self.arithmetic) as usize;
        for (element, value) in [q.sum, q.difference, q.z2, q.t2d].iter().enumerate() {
            self.words[at + element * limbs..][..limbs].copy_from_slice(value.limbs());
        }
    }

    fn write_tables(&mut self) {
        let [zero, one, two] = [0, 1, 2].map(|value| Fe::small(self.arithmetic, value));
        for is_r in 0..2 {
            let neutral = Cached { sum: one, difference: one, z2: two, t2d: zero };
            self.write_entry(self.entry_at(is_r, 0), &neutral);
            let at = 4 * (POINTS + is_r * point_vectors(self.arithmetic) + 1) as usize;
            let [x, y] = Self::elements(self.arithmetic, self.words, at);
            let mut multiple = Extended::from_affine(x, y, self.arithmetic);
            let first = multiple.cached(self.arithmetic);
            self.write_entry(self.entry_at(is_r, 1), &first);
            for entry in 2..TABLE_ENTRIES {
                multiple = multiple.add_cached(&first, false).extended();
                self.write_entry(self.entry_at(is_r, entry), &multiple.cached(self.arithmetic));
            }
        }
    }

    fn multiply_a_and_r(&self) -> Extended {
        let is_negated = self.vector(STATE)[2] == 1;
        let mut p = Extended::identity(self.arithmetic);
        for window in (0..32_usize).rev() {
            for _ in 0..4 {
                p = p.double().extended();
            }
            for is_r in 0..2 {
                let word = self.vector(CHALLENGE + is_r)[window / 8];
                let digit = ((word >> (4 * (window % 8))) & 15).cast_signed() - 8;
                let is_negative = (digit < 0) != (is_negated && is_r == 0);
                let at = self.entry_at(is_r, digit.unsigned_abs());
                let [sum, difference, z2, t2d] = Self::elements(self.arithmetic, self.words, at);
                p = p.add_cached(&Cached { sum, difference, z2, t2d }, is_negative).extended();
            }
        }
        p
    }

    fn add_b(&self, constants: &[u32], mut p: Extended) -> Extended {
        for window in 0..BASE_WINDOWS {
            let word = self.words[4 * RESPONSE as usize + window / 4];
            let digit = ((word >> (8 * (window % 4))) & 255).cast_signed() - 128;
            let entry = BASE_ENTRIES * window + digit.unsigned_abs() as usize;
            let at = 4 * (BASE_TABLE as usize + entry * limbs(self.arithmetic) as usize);
            let [sum, difference, t2d] = Self::elements(self.arithmetic, constants, at);
            p = p.add_affine(&sum, &difference, &t2d, digit < 0).extended();
        }
        p
    }
}
