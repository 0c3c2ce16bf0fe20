//! Arithmetic modulo ℓ = 2^252 + 27742317777372353535851937790883648493, the order of the base point, on 64-bit words, least first: only
//! what the batch equation needs, with as few reductions as it can do with.

use crate::rule::GROUP_ORDER;

/// ℓ − 2^252.
const ORDER_LOW: u128 = 0x14de_f9de_a2f7_9cd6_5812_631a_5cf5_d3ed;

/// 2^(64 j) mod ℓ for j from 4 to 9.
const POWERS: [[u64; 4]; 6] = [
    [0xd6ec_3174_8d98_951d, 0xc6ef_5bf4_737d_cf70, 0xffff_ffff_ffff_fffe, 0x0fff_ffff_ffff_ffff],
    [0x5812_631a_5cf5_d3ed, 0x93b8_c838_d39a_5e06, 0xb210_6215_d086_329a, 0x0fff_ffff_ffff_fffe],
    [0x3982_2129_a02a_6271, 0xb64a_7f43_5e4f_dd95, 0x7ed9_ce5a_30a2_c131, 0x0210_6215_d086_329a],
    [0x79da_f520_a00a_cb65, 0xe24b_abbe_38d1_d7a9, 0xb399_411b_7c30_9a3d, 0x0ed9_ce5a_30a2_c131],
    [0xa406_11e3_449c_0f01, 0xd00e_1ba7_6885_9347, 0xceec_73d2_17f5_be65, 0x0399_411b_7c30_9a3d],
    [0xf98b_4baa_9c78_f954, 0x0665_e1db_6eab_a043, 0xcb5c_63aa_97a3_31b5, 0x0eec_73d2_17f5_be65],
];

/// A value below ℓ.
pub(crate) type Scalar = [u64; 4];

/// `hash` · `z`, modulo ℓ.
pub(crate) fn scaled_hash(hash: &[u8; 64], z: u128) -> Scalar {
    reduce(&product::<8, 10>(&words(hash), z))
}

/// `hash` modulo ℓ, and below it.
pub(crate) fn hash_below_order(hash: &[u8; 64]) -> [u8; 32] {
    curve25519_dalek::Scalar::from_bytes_mod_order_wide(hash).to_bytes()
}

/// left + right, modulo ℓ.
pub(crate) fn add(left: &Scalar, right: &Scalar) -> Scalar {
    let mut sum = [left[0], left[1], left[2], left[3], 0];
    add_to(&mut sum, right);
    fold(&sum)
}

/// A sum of products zS that is reduced once, at the end. Room for 2^128 of them.
#[derive(Default)]
pub(crate) struct ScaledSum([u64; 8]);

impl ScaledSum {
    pub(crate) fn add(&mut self, z: u128, s: &[u8; 32]) {
        add_to(&mut self.0, &product::<4, 6>(&words(s), z));
    }

    /// The sum of `sums`.
    pub(crate) fn total(sums: &[Self]) -> Self {
        sums.iter().fold(Self::default(), |mut total, sum| {
            add_to(&mut total.0, &sum.0);
            total
        })
    }

    /// The negative of the sum, modulo ℓ.
    pub(crate) fn negated(&self) -> Scalar {
        let mut wide = [0; 10];
        wide[..8].copy_from_slice(&self.0);
        let sum = reduce(&wide);
        // 2ℓ − sum > 0.
        let mut difference = [0; 5];
        add_to(&mut difference, &GROUP_ORDER);
        add_to(&mut difference, &GROUP_ORDER);
        subtract_from(&mut difference, &sum);
        fold(&difference)
    }
}

fn words<const BYTES: usize, const WORDS: usize>(bytes: &[u8; BYTES]) -> [u64; WORDS] {
    let mut words = [0; WORDS];
    for (word, bytes) in words.iter_mut().zip(bytes.as_chunks().0) {
        *word = u64::from_le_bytes(*bytes);
    }
    words
}

/// left · z; `OUT` is `IN` + 2.
fn product<const IN: usize, const OUT: usize>(left: &[u64; IN], z: u128) -> [u64; OUT] {
    let mut product = [0; OUT];
    for (shift, z) in [z as u64, (z >> 64) as u64].into_iter().enumerate() {
        let mut carry = 0;
        for (word, sum) in left.iter().zip(&mut product[shift..]) {
            (*sum, carry) = word.carrying_mul_add(z, *sum, carry);
        }
        product[shift + IN] = carry;
    }
    product
}

/// Adds `right` to the longer `left`, whose top word has room for the carry.
fn add_to(left: &mut [u64], right: &[u64]) {
    let mut carry = false;
    for (number, word) in left.iter_mut().enumerate() {
        (*word, carry) = word.carrying_add(right.get(number).copied().unwrap_or(0), carry);
    }
}

/// Subtracts `right` from the longer `left`; whether it was larger.
fn subtract_from(left: &mut [u64], right: &[u64]) -> bool {
    let mut borrow = false;
    for (number, word) in left.iter_mut().enumerate() {
        (*word, borrow) = word.borrowing_sub(right.get(number).copied().unwrap_or(0), borrow);
    }
    borrow
}

/// Any ten words modulo ℓ.
fn reduce(wide: &[u64; 10]) -> Scalar {
    // Six products below 2^316.1 and a value below 2^256: less than 2^319.
    let mut sum = [wide[0], wide[1], wide[2], wide[3], 0];
    for (word, power) in wide[4..].iter().zip(&POWERS) {
        let mut carry = 0;
        for (power, sum) in power.iter().zip(&mut sum) {
            (*sum, carry) = word.carrying_mul_add(*power, *sum, carry);
        }
        sum[4] += carry;
    }
    fold(&sum)
}

/// Any value below 2^319 modulo ℓ: with q its bits from 252 up, q · 2^252 = −q(ℓ − 2^252).
fn fold(value: &[u64; 5]) -> Scalar {
    const LOW_BITS: u64 = (1 << 60) - 1;
    let quotient = [value[4] << 4 | value[3] >> 60, value[4] >> 60];
    let mut rest = [value[0], value[1], value[2], value[3] & LOW_BITS];
    // Below 2^192: less than ℓ, so that adding ℓ once makes up for it.
    if subtract_from(&mut rest, &product::<2, 4>(&quotient, ORDER_LOW)) {
        add_to(&mut rest, &GROUP_ORDER);
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use curve25519_dalek::Scalar as Oracle;
    use proptest::prelude::*;

    fn oracle(scalar: &Scalar) -> Oracle {
        let mut bytes = [0; 32];
        for (bytes, word) in bytes.as_chunks_mut().0.iter_mut().zip(scalar) {
            *bytes = word.to_le_bytes();
        }
        assert!(scalar.iter().rev().lt(GROUP_ORDER.iter().rev()), "{scalar:x?} is not below ℓ");
        Oracle::from_bytes_mod_order(bytes)
    }

    #[test]
    fn constants_are_what_they_claim() {
        let two_64 = Oracle::from(1_u128 << 64);
        let mut power = two_64 * two_64 * two_64;
        for constant in &POWERS {
            power *= two_64;
            assert_eq!(oracle(constant), power);
        }
        let minus_one: [u64; 4] = words(&(-Oracle::ONE).to_bytes());
        assert_eq!(fold(&[minus_one[0] + 1, minus_one[1], minus_one[2], minus_one[3], 0]), [0; 4]);
        assert_eq!(GROUP_ORDER, [ORDER_LOW as u64, (ORDER_LOW >> 64) as u64, 0, 1 << 60]);
    }

    #[test]
    fn the_largest_values_fit() {
        let hash = [u8::MAX; 64];
        let expected = Oracle::from_bytes_mod_order_wide(&hash) * Oracle::from(u128::MAX);
        assert_eq!(oracle(&scaled_hash(&hash, u128::MAX)), expected);
        let mut sum = ScaledSum::default();
        (0..1000).for_each(|_| sum.add(u128::MAX, &[u8::MAX; 32]));
        let each = Oracle::from_bytes_mod_order([u8::MAX; 32]) * Oracle::from(u128::MAX);
        assert_eq!(oracle(&sum.negated()), -(Oracle::from(1000_u64) * each));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn products_and_sums_agree_with_the_oracle(
            hash in prop::array::uniform32(any::<u8>()),
            other in prop::array::uniform32(any::<u8>()),
            z in any::<u128>(),
        ) {
            let mut wide = [0; 64];
            wide[..32].copy_from_slice(&hash);
            wide[32..].copy_from_slice(&other);
            let scaled = scaled_hash(&wide, z);
            prop_assert_eq!(oracle(&scaled), Oracle::from_bytes_mod_order_wide(&wide) * Oracle::from(z));
            let other_scaled = scaled_hash(&wide, !z);
            prop_assert_eq!(oracle(&add(&scaled, &other_scaled)), oracle(&scaled) + oracle(&other_scaled));
            let mut sum = ScaledSum::default();
            sum.add(z, &hash);
            sum.add(!z, &other);
            let [first, second] = [hash, other].map(Oracle::from_bytes_mod_order);
            prop_assert_eq!(oracle(&sum.negated()), -(first * Oracle::from(z) + second * Oracle::from(!z)));
        }
    }
}
