//! Signatures with known verdicts, made here from fixed secrets: what a CPU backend must get right to be picked by itself, and a GPU to be used at all.

use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT, EIGHT_TORSION};
use curve25519_dalek::scalar::Scalar;

use crate::{OwnedBatch, rule};

/// `count` signatures, of which each `spoil_every`th is spoilt, the first one included, and the verdict of each.
pub(crate) fn known_answers(count: usize, spoil_every: usize) -> (OwnedBatch, Vec<bool>) {
    let mut batch = OwnedBatch::new();
    let mut verdicts = Vec::with_capacity(count);
    for index in 0..count {
        let mut signed = Signed::new(index);
        let is_spoilt = index % spoil_every == 0;
        if is_spoilt {
            signed.spoil(index / spoil_every);
        }
        if batch.push(&signed.public_key, &signed.signature, &[&signed.message]).is_ok() {
            verdicts.push(!is_spoilt);
        }
    }
    (batch, verdicts)
}

struct Signed {
    public_key: [u8; 32],
    signature: [u8; 64],
    message: Vec<u8>,
}

impl Signed {
    /// A valid signature. R carries a part of small order in some: only the cofactored equation takes those.
    fn new(index: usize) -> Self {
        let mut stream = blake3::Hasher::new().update(b"self-test").update(&index.to_le_bytes()).finalize_xof();
        let mut scalar = || {
            let mut bytes = [0; 64];
            stream.fill(&mut bytes);
            Scalar::from_bytes_mod_order_wide(&bytes)
        };
        let (secret, nonce) = (scalar(), scalar());
        let public_key = (secret * ED25519_BASEPOINT_POINT).compress().to_bytes();
        let commitment = nonce * ED25519_BASEPOINT_POINT + EIGHT_TORSION[index % EIGHT_TORSION.len()];
        let message: Vec<u8> = (0..=255).cycle().take(index % 176).collect();
        let mut signature = [0; 64];
        signature[..32].copy_from_slice(commitment.compress().as_bytes());
        let response = nonce + rule::challenge(&public_key, &signature, &message) * secret;
        signature[32..].copy_from_slice(response.as_bytes());
        Self { public_key, signature, message }
    }

    /// Makes it invalid in one of the ways that a forger would try.
    fn spoil(&mut self, way: usize) {
        match way % 8 {
            0 => self.signature[33] ^= 1,
            1 => self.signature[1] ^= 1,
            2 => self.public_key[1] ^= 1,
            3 => match self.message.first_mut() {
                Some(byte) => *byte ^= 1,
                None => self.message.push(0),
            },
            // S + ℓ: the same response, not below ℓ.
            4 => add_group_order(&mut self.signature),
            // The neutral element: of small order.
            5 => self.public_key = std::array::from_fn(|byte| u8::from(byte == 0)),
            // y ≥ p.
            6 => self.signature[..32].fill(0xff),
            _ => self.signature = [0; 64],
        }
    }
}

fn add_group_order(signature: &mut [u8; 64]) {
    let largest = (-Scalar::ONE).to_bytes();
    // ℓ = (ℓ − 1) + 1: the 1 enters as the first carry.
    let mut carry = 1;
    for (byte, order) in signature[32..].iter_mut().zip(largest) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        *byte = sum.to_le_bytes()[0];
        carry = sum >> 8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_known_answers_are_those_of_the_rule() {
        for spoil_every in [1, 3] {
            let (batch, verdicts) = known_answers(96, spoil_every);
            let batch = batch.as_batch();
            assert_eq!((batch.len(), verdicts.len()), (96, 96));
            for (index, verdict) in verdicts.into_iter().enumerate() {
                let (key, signature) = (&batch.public_keys()[index], &batch.signatures()[index]);
                assert_eq!(rule::is_valid(key, signature, batch.messages().at(index)), verdict, "signature {index}");
                assert_eq!(verdict, index % spoil_every != 0);
            }
        }
    }
}
