//! Signatures with known verdicts, made here from fixed secrets: what a backend must get right before it is used, and what it is timed by.

use curve25519_dalek::constants::EIGHT_TORSION;
use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::scalar::Scalar;

use crate::{OwnedBatch, rule};

/// How many signatures: enough for a combination to show its speed.
const COUNT: usize = 128;

/// Valid signatures, some of them with points that have a part of small order, and from the middle on every ninth one not valid.
pub(crate) fn known_answers() -> (OwnedBatch, Vec<bool>) {
    let mut batch = OwnedBatch::new();
    let mut expected = Vec::with_capacity(COUNT);
    for number in 0..COUNT {
        let is_valid = number < COUNT / 2 || !number.is_multiple_of(9);
        let (key, signature, message) = signature(number, is_valid);
        if batch.push(&key, &signature, &[&message]).is_ok() {
            expected.push(is_valid);
        }
    }
    (batch, expected)
}

/// A signature by the secrets 3 · number + 1 (the key) and 3 · number + 2 (the nonce), spread over all bits.
fn signature(number: usize, is_valid: bool) -> ([u8; 32], [u8; 64], [u8; 175]) {
    let spread = |secret: usize| Scalar::from(secret as u64).invert();
    let torsion = |turn: usize| EIGHT_TORSION[if number.is_multiple_of(4) { turn % 8 } else { 0 }];
    let (secret, nonce) = (spread(3 * number + 1), spread(3 * number + 2));
    let key = (EdwardsPoint::mul_base(&secret) + torsion(number / 4)).compress().to_bytes();
    let r = (EdwardsPoint::mul_base(&nonce) + torsion(number / 32)).compress().to_bytes();
    let message = [number as u8; 175];
    let mut signature = [0; 64];
    signature[..32].copy_from_slice(&r);
    let k = rule::challenge(&key, &signature, &message);
    let s = nonce + k * secret + Scalar::from(u64::from(!is_valid));
    signature[32..].copy_from_slice(s.as_bytes());
    (key, signature, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answers_are_those_of_the_rule() {
        let (batch, expected) = known_answers();
        let batch = batch.as_batch();
        assert_eq!(expected.len(), COUNT);
        for (index, expected) in expected.into_iter().enumerate() {
            let message = batch.messages().get(index).unwrap();
            let verdict = rule::is_valid(&batch.public_keys()[index], &batch.signatures()[index], message);
            assert_eq!(verdict, expected, "signature {index}");
        }
    }
}
