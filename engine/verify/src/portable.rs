//! The backend for any CPU: signatures in groups by random linear combination, one at a time in a group that fails.
//!
//! A group is right when [8]([Σ zS]B − Σ [z]R − Σ [zk]A) is the identity, for random 128-bit z. A group with an
//! invalid signature passes with a probability of about 2^-128. The equation is cofactored, as the rule is, so a
//! group of valid signatures always passes, and where the group boundaries fall changes no verdict.

use curve25519_dalek::constants::ED25519_BASEPOINT_POINT;
use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::{IsIdentity, VartimeMultiscalarMul};

use crate::coefficients::coefficients;
use crate::threads::Threads;
use crate::{Batch, Verdicts, rule};

/// Below this many signatures a group gains nothing over single verification.
const GROUP_MIN: usize = 4;

/// One bad signature makes this many be verified one by one, so a spammer cannot have a large batch redone.
const GROUP_MAX: usize = 256;

pub(crate) fn verify(batch: &Batch<'_>) -> Verdicts {
    let mut verdicts = Verdicts::none_valid(batch.len());
    let candidates: Vec<usize> = (0..batch.len())
        .filter(|&index| rule::bytes_pass(&batch.public_keys()[index], &batch.signatures()[index]))
        .collect();
    for group in candidates.chunks(GROUP_MAX) {
        let group_passes = group.len() >= GROUP_MIN && group_is_valid(batch, group);
        for &index in group {
            if group_passes || one_is_valid(batch, index) {
                verdicts.set_valid(index);
            }
        }
    }
    verdicts
}

fn one_is_valid(batch: &Batch<'_>, index: usize) -> bool {
    rule::is_valid(&batch.public_keys()[index], &batch.signatures()[index], batch.messages().at(index))
}

/// Whether all signatures of `group` are valid. `false` also when that cannot be told: a point that does not
/// decode, or no randomness from the operating system.
fn group_is_valid(batch: &Batch<'_>, group: &[usize]) -> bool {
    let hashes: Vec<[u8; 64]> = group
        .iter()
        .map(|&index| rule::hash(&batch.public_keys()[index], &batch.signatures()[index], batch.messages().at(index)))
        .collect();
    let signatures: Vec<[u8; 64]> = group.iter().map(|&index| batch.signatures()[index]).collect();
    let Some(coefficients) = coefficients(Threads::One, &hashes, &signatures) else {
        return false;
    };
    let mut scalars = Vec::with_capacity(2 * group.len() + 1);
    let mut points = Vec::with_capacity(2 * group.len() + 1);
    let mut base_scalar = Scalar::ZERO;
    for ((&index, hash), z) in group.iter().zip(&hashes).zip(coefficients) {
        let (k, z) = (Scalar::from_bytes_mod_order_wide(hash), Scalar::from(z));
        let (public_key, signature) = (&batch.public_keys()[index], &batch.signatures()[index]);
        base_scalar += z * rule::response(signature);
        scalars.extend([-z, -(z * k)]);
        points.extend([rule::decode_point(&rule::split(signature)[0]), rule::decode_point(public_key)]);
    }
    scalars.push(base_scalar);
    points.push(Some(ED25519_BASEPOINT_POINT));
    EdwardsPoint::optional_multiscalar_mul(scalars, points).is_some_and(|sum| sum.mul_by_cofactor().is_identity())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::OwnedBatch;
    use ed25519_dalek::{Signer, SigningKey};

    #[test]
    fn a_group_passes_only_when_all_its_signatures_are_valid() {
        let mut batch = OwnedBatch::new();
        for index in 0..8_u8 {
            let key = SigningKey::from_bytes(&[index; 32]);
            let message = [if index == 7 { 99 } else { index }];
            batch.push(&key.verifying_key().to_bytes(), &key.sign(&[index]).to_bytes(), &[&message]).unwrap();
        }
        let batch = batch.as_batch();
        assert!(group_is_valid(&batch, &[0, 1, 2, 3, 4, 5, 6]));
        assert!(!group_is_valid(&batch, &[4, 5, 6, 7]));
    }
}
