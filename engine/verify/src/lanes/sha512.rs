//! SHA-512 (FIPS 180-4) of eight messages side by side.

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

/// The same of the cube roots of the first eighty primes.
const ROUND_CONSTANTS: [u64; 80] = [
    0x428a_2f98_d728_ae22,
    0x7137_4491_23ef_65cd,
    0xb5c0_fbcf_ec4d_3b2f,
    0xe9b5_dba5_8189_dbbc,
    0x3956_c25b_f348_b538,
    0x59f1_11f1_b605_d019,
    0x923f_82a4_af19_4f9b,
    0xab1c_5ed5_da6d_8118,
    0xd807_aa98_a303_0242,
    0x1283_5b01_4570_6fbe,
    0x2431_85be_4ee4_b28c,
    0x550c_7dc3_d5ff_b4e2,
    0x72be_5d74_f27b_896f,
    0x80de_b1fe_3b16_96b1,
    0x9bdc_06a7_25c7_1235,
    0xc19b_f174_cf69_2694,
    0xe49b_69c1_9ef1_4ad2,
    0xefbe_4786_384f_25e3,
    0x0fc1_9dc6_8b8c_d5b5,
    0x240c_a1cc_77ac_9c65,
    0x2de9_2c6f_592b_0275,
    0x4a74_84aa_6ea6_e483,
    0x5cb0_a9dc_bd41_fbd4,
    0x76f9_88da_8311_53b5,
    0x983e_5152_ee66_dfab,
    0xa831_c66d_2db4_3210,
    0xb003_27c8_98fb_213f,
    0xbf59_7fc7_beef_0ee4,
    0xc6e0_0bf3_3da8_8fc2,
    0xd5a7_9147_930a_a725,
    0x06ca_6351_e003_826f,
    0x1429_2967_0a0e_6e70,
    0x27b7_0a85_46d2_2ffc,
    0x2e1b_2138_5c26_c926,
    0x4d2c_6dfc_5ac4_2aed,
    0x5338_0d13_9d95_b3df,
    0x650a_7354_8baf_63de,
    0x766a_0abb_3c77_b2a8,
    0x81c2_c92e_47ed_aee6,
    0x9272_2c85_1482_353b,
    0xa2bf_e8a1_4cf1_0364,
    0xa81a_664b_bc42_3001,
    0xc24b_8b70_d0f8_9791,
    0xc76c_51a3_0654_be30,
    0xd192_e819_d6ef_5218,
    0xd699_0624_5565_a910,
    0xf40e_3585_5771_202a,
    0x106a_a070_32bb_d1b8,
    0x19a4_c116_b8d2_d0c8,
    0x1e37_6c08_5141_ab53,
    0x2748_774c_df8e_eb99,
    0x34b0_bcb5_e19b_48a8,
    0x391c_0cb3_c5c9_5a63,
    0x4ed8_aa4a_e341_8acb,
    0x5b9c_ca4f_7763_e373,
    0x682e_6ff3_d6b2_b8a3,
    0x748f_82ee_5def_b2fc,
    0x78a5_636f_4317_2f60,
    0x84c8_7814_a1f0_ab72,
    0x8cc7_0208_1a64_39ec,
    0x90be_fffa_2363_1e28,
    0xa450_6ceb_de82_bde9,
    0xbef9_a3f7_b2c6_7915,
    0xc671_78f2_e372_532b,
    0xca27_3ece_ea26_619c,
    0xd186_b8c7_21c0_c207,
    0xeada_7dd6_cde0_eb1e,
    0xf57d_4f7f_ee6e_d178,
    0x06f0_67aa_7217_6fba,
    0x0a63_7dc5_a2c8_98a6,
    0x113f_9804_bef9_0dae,
    0x1b71_0b35_131c_471b,
    0x28db_77f5_2304_7d84,
    0x32ca_ab7b_40c7_2493,
    0x3c9e_be0a_15c9_bebc,
    0x431d_67c4_9c10_0d4c,
    0x4cc5_d4be_cb3e_42b6,
    0x597f_299c_fc65_7e2a,
    0x5fcb_6fab_3ad6_faec,
    0x6c44_198c_4a47_5817,
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
        let constants = &ROUND_CONSTANTS[first..first + 16];
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
