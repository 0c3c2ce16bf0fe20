//! The twin of `challenge.wgsl`.

use sha2::{Digest, Sha512};

use super::halve::halve;
use super::{Header, eight, key_at, signature_at, string};
use crate::Arithmetic;
use crate::generate::{GROUP_ORDER_LIMBS, LOW_LIMBS};
use crate::layout::HEADER_WORDS;
use crate::numbers::GROUP_ORDER;
use crate::record::{CHALLENGE, CHALLENGE_PASS, RESPONSE, STATE, record_vectors};
use crate::seal;

/// k = SHA-512(R ‖ A ‖ M) mod ℓ, halved, and v S, recoded, and the check S < ℓ, to each record of `scratch`.
pub fn challenge(arithmetic: Arithmetic, input: &[u32], scratch: &mut [u32]) {
    let Header { nonce, count } = Header::of(input);
    let record_words = 4 * record_vectors(arithmetic) as usize;
    for (item, record) in scratch.chunks_exact_mut(record_words).take(count).enumerate() {
        let signature = signature_at(count, item);
        let (r, s) = (eight(input, signature), eight(input, signature + 8));
        let hash = Sha512::new()
            .chain_update(bytemuck::bytes_of(&r))
            .chain_update(bytemuck::bytes_of(&eight(input, key_at(item))))
            .chain_update(string(input, HEADER_WORDS + 24 * count, item));
        let digest: [u8; 64] = hash.finalize().into();
        let half = halve(&reduce(&bytemuck::cast(digest)));
        write(record, CHALLENGE, &digits(&bytemuck::cast([half.u, half.v]), 0x8888_8888));
        write(record, RESPONSE, &digits(&product(half.v, &s), 0x8080_8080));
        // COUNT_MAX items fit 32 bits.
        let mark = seal::mark(nonce, item as u32, CHALLENGE_PASS);
        let is_below = s.iter().rev().lt(GROUP_ORDER.iter().rev());
        write(record, STATE, &[mark, u32::from(is_below), u32::from(half.is_negative), 0]);
    }
}

/// Writes `words` from vector `at`.
fn write(record: &mut [u32], at: u32, words: &[u32]) {
    record[4 * at as usize..][..words.len()].copy_from_slice(words);
}

/// x plus `offset` in every word.
fn digits(x: &[u32; 8], offset: u32) -> [u32; 8] {
    let mut carry = 0;
    x.map(|word| {
        let sum = u64::from(word) + u64::from(offset) + carry;
        carry = sum >> 32;
        sum as u32
    })
}

/// 512 bits mod ℓ.
fn reduce(words: &[u32; 16]) -> [u32; 8] {
    let digit = |number: usize| {
        let (word, shift) = (13 * number / 32, 13 * number % 32);
        let high = words.get(word + 1).copied().unwrap_or(0);
        ((u64::from(high) << 32 | u64::from(words[word])) >> shift) as u32 & 8191
    };
    finish(&(0..40).rev().fold([0; 20], |r, number| step(&r, digit(number))))
}

/// x y mod ℓ, by the schoolbook.
fn product(x: u128, y: &[u32; 8]) -> [u32; 8] {
    let mut words = [0_u32; 16];
    for (i, x) in bytemuck::cast::<_, [u32; 4]>(x).into_iter().enumerate() {
        let mut carry = 0;
        for (j, &y) in y.iter().enumerate() {
            let sum = u64::from(x) * u64::from(y) + u64::from(words[i + j]) + carry;
            (words[i + j], carry) = (sum as u32, sum >> 32);
        }
        words[i + 8] = carry as u32;
    }
    reduce(&words)
}

/// 2^13 r + digit − q ℓ + ℓ.
fn step(r: &[u32; 20], digit: u32) -> [u32; 20] {
    let q = ((r[19] << 8) | (r[18] >> 5)).cast_signed();
    let mut carry = 0;
    std::array::from_fn(|limb| {
        let value = match limb {
            0 => digit,
            19 => r[18] & 31,
            _ => r[limb - 1],
        };
        let order = GROUP_ORDER_LIMBS[limb].cast_signed();
        let multiple = if limb < LOW_LIMBS { q * order } else { 0 };
        let sum = value.cast_signed() + order - multiple + carry;
        carry = sum >> 13;
        if limb < 19 { (sum & 8191).cast_unsigned() } else { sum.cast_unsigned() }
    })
}

/// r less ℓ if that is not negative, as words.
fn finish(r: &[u32; 20]) -> [u32; 8] {
    let mut carry = 0;
    let less: [i32; 20] = std::array::from_fn(|limb| {
        let sum = r[limb].cast_signed() - GROUP_ORDER_LIMBS[limb].cast_signed() + carry;
        carry = sum >> 13;
        if limb < 19 { sum & 8191 } else { sum }
    });
    let limbs = if less[19] < 0 { *r } else { less.map(i32::cast_unsigned) };
    let mut words = [0; 8];
    for (index, limb) in limbs.into_iter().enumerate() {
        let spread = u64::from(limb) << (13 * index % 32);
        words[13 * index / 32] |= spread as u32;
        if let Some(next) = words.get_mut(13 * index / 32 + 1) {
            *next |= (spread >> 32) as u32;
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use curve25519_dalek::Scalar;

    use super::*;

    fn check(bytes: [u8; 64]) {
        let expected = Scalar::from_bytes_mod_order_wide(&bytes).to_bytes();
        assert_eq!(bytemuck::cast::<_, [u8; 32]>(reduce(&bytemuck::cast(bytes))), expected, "{bytes:?}");
    }

    #[test]
    fn products_agree_with_an_independent_one() {
        let mut random = blake3::Hasher::new().update(b"products").finalize_xof();
        for _ in 0..500 {
            let (mut x, mut y) = ([0; 32], [0; 32]);
            random.fill(&mut x[..16]);
            random.fill(&mut y);
            let [low, _] = bytemuck::cast::<_, [u128; 2]>(x);
            let expected = Scalar::from_bytes_mod_order(x) * Scalar::from_bytes_mod_order(y);
            assert_eq!(bytemuck::cast::<_, [u8; 32]>(product(low, &bytemuck::cast(y))), expected.to_bytes());
        }
    }

    #[test]
    fn reduction_agrees_with_an_independent_one() {
        check([0; 64]);
        check([255; 64]);
        let order: [u8; 32] = bytemuck::cast(GROUP_ORDER);
        for shift in 0..32 {
            for change in [-1, 0, 1] {
                let mut bytes = [0; 64];
                bytes[shift..shift + 32].copy_from_slice(&order);
                bytes[shift] = bytes[shift].wrapping_add_signed(change);
                check(bytes);
            }
        }
        let mut random = blake3::Hasher::new().update(b"reduction").finalize_xof();
        for _ in 0..2000 {
            let mut bytes = [0; 64];
            random.fill(&mut bytes);
            check(bytes);
        }
    }
}
