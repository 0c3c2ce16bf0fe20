//! SHA-512 (FIPS 180-4) of eight messages side by side.

use constellation_shaders::SHA512_ROUNDS;

use super::{LANES, Mask, Words};

const BLOCK_LEN_BYTES: usize = 128;

/// The first 64 bits of the fractional parts of the square roots of the first eight primes.
const INITIAL: [u64; 8] = [
    0x6a09_e667_f3bc_c908,
    0xbb67_ae85_84ca_a73b,
    0x3c6e_f372_fe94_f82b,
    0xa54f_f53a_5f1d_36f1,
    0x510e_527f_ade6_82d1,
    0x9b05_688c_2b3e_6c1f,
    0x1f83_d9ab_fb41_bd6b,
    0x5be0_cd19_137e_2179,
];

/// R ‖ A ‖ M: what is hashed.
#[derive(Clone, Copy)]
pub(crate) struct Input<'a> {
    /// R and A of a signature: the first 64 bytes of what is hashed.
    pub(crate) head: [&'a [u8; 32]; 2],
    /// M, of any length.
    pub(crate) tail: &'a [u8],
}

impl Input<'_> {
    fn len_bytes(&self) -> usize {
        2 * 32 + self.tail.len()
    }

    /// How many blocks the padded message has: a one bit and a 128-bit length follow it.
    pub(crate) fn blocks(&self) -> usize {
        (self.len_bytes() + 1 + 16).div_ceil(BLOCK_LEN_BYTES)
    }

    /// Block `index` of the padded message, which is all zeros past its end.
    fn block(&self, index: usize) -> [u8; BLOCK_LEN_BYTES] {
        let mut block = [0; BLOCK_LEN_BYTES];
        let start = index * BLOCK_LEN_BYTES;
        let mut filled = 0;
        if index == 0 {
            block[..32].copy_from_slice(self.head[0]);
            block[32..64].copy_from_slice(self.head[1]);
            filled = 64;
        }
        let rest = self.tail.get(start + filled - 64..).unwrap_or_default();
        let taken = rest.len().min(BLOCK_LEN_BYTES - filled);
        block[filled..filled + taken].copy_from_slice(&rest[..taken]);
        if let Some(byte) = self.len_bytes().checked_sub(start).and_then(|end| block.get_mut(end)) {
            *byte = 0x80;
        }
        if index + 1 == self.blocks() {
            block[BLOCK_LEN_BYTES - 16..].copy_from_slice(&(8 * self.len_bytes() as u128).to_be_bytes());
        }
        block
    }
}

/// The hash of each input. A lane whose message has ended keeps its state while the longer ones go on.
#[inline(always)]
pub(crate) fn hash<W: Words>(inputs: &[Input<'_>; LANES]) -> [[u8; 64]; LANES] {
    let mut state = [W::splat(0); 8];
    for (word, initial) in state.iter_mut().zip(INITIAL) {
        *word = W::splat(initial);
    }
    let most_blocks = inputs.iter().map(Input::blocks).max().unwrap_or(0);
    for index in 0..most_blocks {
        let mut blocks = [[0; BLOCK_LEN_BYTES]; LANES];
        let mut ended: Mask = 0;
        for (lane, input) in inputs.iter().enumerate() {
            ended |= Mask::from(input.blocks() <= index) << lane;
            blocks[lane] = input.block(index);
        }
        let next = compress(&state, W::load_block(&blocks));
        for (word, next) in state.iter_mut().zip(next) {
            *word = next.select(*word, ended);
        }
    }
    let mut hashes = [[0; 64]; LANES];
    for (number, word) in state.into_iter().enumerate() {
        for (hash, word) in hashes.iter_mut().zip(word.to_lanes()) {
            hash[8 * number..8 * number + 8].copy_from_slice(&word.to_be_bytes());
        }
    }
    hashes
}

#[inline(always)]
fn compress<W: Words>(state: &[W; 8], mut schedule: [W; 16]) -> [W; 8] {
    let mut working = *state;
    for first in (0..80).step_by(16) {
        let constants = &SHA512_ROUNDS[first..first + 16];
        round::<W, 0>(&mut working, schedule[0], constants[0]);
        round::<W, 1>(&mut working, schedule[1], constants[1]);
        round::<W, 2>(&mut working, schedule[2], constants[2]);
        round::<W, 3>(&mut working, schedule[3], constants[3]);
        round::<W, 4>(&mut working, schedule[4], constants[4]);
        round::<W, 5>(&mut working, schedule[5], constants[5]);
        round::<W, 6>(&mut working, schedule[6], constants[6]);
        round::<W, 7>(&mut working, schedule[7], constants[7]);
        round::<W, 0>(&mut working, schedule[8], constants[8]);
        round::<W, 1>(&mut working, schedule[9], constants[9]);
        round::<W, 2>(&mut working, schedule[10], constants[10]);
        round::<W, 3>(&mut working, schedule[11], constants[11]);
        round::<W, 4>(&mut working, schedule[12], constants[12]);
        round::<W, 5>(&mut working, schedule[13], constants[13]);
        round::<W, 6>(&mut working, schedule[14], constants[14]);
        round::<W, 7>(&mut working, schedule[15], constants[15]);
        if first + 16 < 80 {
            extend(&mut schedule);
        }
    }
    let mut next = *state;
    for (word, working) in next.iter_mut().zip(working) {
        *word = word.add(working);
    }
    next
}

/// One round. The eight words change their names from a round to the next instead of their places: `TURN` is the round modulo 8.
#[inline(always)]
fn round<W: Words, const TURN: usize>(working: &mut [W; 8], word: W, constant: u64) {
    let place = |name: usize| (name + 8 - TURN) % 8;
    let (a, b, c) = (working[place(0)], working[place(1)], working[place(2)]);
    let (e, f, g) = (working[place(4)], working[place(5)], working[place(6)]);
    let sum_1 = e.rotate_right::<14>().xor(e.rotate_right::<18>()).xor(e.rotate_right::<41>());
    let first = working[place(7)].add(sum_1).add(e.choose(f, g)).add(W::splat(constant).add(word));
    let sum_0 = a.rotate_right::<28>().xor(a.rotate_right::<34>()).xor(a.rotate_right::<39>());
    working[place(3)] = working[place(3)].add(first);
    working[place(7)] = first.add(sum_0.add(a.majority(b, c)));
}

/// The next sixteen words of the message schedule.
#[inline(always)]
fn extend<W: Words>(schedule: &mut [W; 16]) {
    let mut at = 0;
    while at < 16 {
        let (old, recent) = (schedule[(at + 1) % 16], schedule[(at + 14) % 16]);
        let sigma_0 = old.rotate_right::<1>().xor(old.rotate_right::<8>()).xor(old.shift_right::<7>());
        let sigma_1 = recent.rotate_right::<19>().xor(recent.rotate_right::<61>()).xor(recent.shift_right::<6>());
        schedule[at] = schedule[at].add(sigma_0).add(schedule[(at + 9) % 16]).add(sigma_1);
        at += 1;
    }
}
