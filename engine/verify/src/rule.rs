//! The signature rule: the checks made on bytes, the hash, and the equation for one signature at a time. Every
//! backend gives the verdicts of [`is_valid`]; a faster one may only differ in how it gets them.

use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::IsIdentity;
use sha2::{Digest, Sha512};

/// ℓ, the order of the base point, little endian.
pub(crate) const GROUP_ORDER: [u64; 4] = [0x5812_631a_5cf5_d3ed, 0x14de_f9de_a2f7_9cd6, 0, 0x1000_0000_0000_0000];

/// p = 2^255 − 19, little endian.
const FIELD_ORDER: [u64; 4] = [0xffff_ffff_ffff_ffed, u64::MAX, u64::MAX, 0x7fff_ffff_ffff_ffff];

/// The y coordinates of the eight points whose order divides 8, little endian: orders 4, 1, 2, and twice 8. Both
/// signs of x count, so the sign bit is left out of the comparison; that also catches the two encodings of x = 0
/// with the sign bit set, which are not canonical.
const SMALL_ORDER_Y: [[u64; 4]; 5] = [
    [0, 0, 0, 0],
    [1, 0, 0, 0],
    [0xffff_ffff_ffff_ffec, u64::MAX, u64::MAX, 0x7fff_ffff_ffff_ffff],
    [0x4fd8_4d3d_706a_17c7, 0x0f67_100d_760b_3cba, 0xc6cc_392c_fa53_202a, 0x7a03_ac92_77fd_c74e],
    [0xb027_b2c2_8f95_e826, 0xf098_eff2_89f4_c345, 0x3933_c6d3_05ac_dfd5, 0x05fc_536d_8802_38b1],
];

fn words(bytes: &[u8; 32]) -> [u64; 4] {
    std::array::from_fn(|word| std::array::from_fn::<u8, 8, _>(|byte| bytes[8 * word + byte])).map(u64::from_le_bytes)
}

/// Whether `value` < `bound`, both little endian.
fn is_below(value: [u64; 4], bound: [u64; 4]) -> bool {
    value.iter().rev().lt(bound.iter().rev())
}

/// Whether `encoding` has y < p and is not a point of small order. That it is on the curve shows when it is decoded.
fn is_acceptable_point(encoding: &[u8; 32]) -> bool {
    let mut y = words(encoding);
    y[3] &= u64::MAX >> 1;
    is_below(y, FIELD_ORDER) && !SMALL_ORDER_Y.contains(&y)
}

/// R and S of a signature.
pub(crate) fn split(signature: &[u8; 64]) -> &[[u8; 32]; 2] {
    bytemuck::must_cast_ref(signature)
}

/// Everything the rule asks of the bytes alone: S < ℓ, A and R canonical and not of small order.
pub(crate) fn bytes_pass(public_key: &[u8; 32], signature: &[u8; 64]) -> bool {
    let [r, s] = split(signature);
    is_below(words(s), GROUP_ORDER) && is_acceptable_point(public_key) && is_acceptable_point(r)
}

/// SHA-512(R ‖ A ‖ M).
pub(crate) fn hash(public_key: &[u8; 32], signature: &[u8; 64], message: &[u8]) -> [u8; 64] {
    Sha512::new().chain_update(split(signature)[0]).chain_update(public_key).chain_update(message).finalize().into()
}

/// k = SHA-512(R ‖ A ‖ M) mod ℓ.
pub(crate) fn challenge(public_key: &[u8; 32], signature: &[u8; 64], message: &[u8]) -> Scalar {
    Scalar::from_bytes_mod_order_wide(&hash(public_key, signature, message))
}

/// S as a scalar, for a signature that [`bytes_pass`].
pub(crate) fn response(signature: &[u8; 64]) -> Scalar {
    Scalar::from_bytes_mod_order(split(signature)[1])
}

pub(crate) fn decode_point(encoding: &[u8; 32]) -> Option<EdwardsPoint> {
    CompressedEdwardsY(*encoding).decompress()
}

/// The whole rule, for one signature.
pub(crate) fn is_valid(public_key: &[u8; 32], signature: &[u8; 64], message: &[u8]) -> bool {
    if !bytes_pass(public_key, signature) {
        return false;
    }
    let (Some(a), Some(r)) = (decode_point(public_key), decode_point(&split(signature)[0])) else {
        return false;
    };
    let k = challenge(public_key, signature, message);
    let expected_r = EdwardsPoint::vartime_double_scalar_mul_basepoint(&k, &-a, &response(signature));
    (expected_r - r).mul_by_cofactor().is_identity()
}

#[cfg(test)]
mod tests {
    use super::*;
    use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT, EIGHT_TORSION};

    #[test]
    fn constants_are_what_they_claim() {
        let minus_one = words(&(-Scalar::ONE).to_bytes());
        assert!(is_below(minus_one, GROUP_ORDER));
        assert_eq!(minus_one[0] + 1, GROUP_ORDER[0]);
        assert_eq!(minus_one[1..], GROUP_ORDER[1..]);
        assert!(!is_below(GROUP_ORDER, GROUP_ORDER));
        for point in EIGHT_TORSION {
            assert!(!is_acceptable_point(&point.compress().to_bytes()), "{:?}", words(point.compress().as_bytes()));
        }
        assert!(is_acceptable_point(&ED25519_BASEPOINT_POINT.compress().to_bytes()));
    }
}
