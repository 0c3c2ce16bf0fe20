//! Verifiable randomness: ECVRF-EDWARDS25519-SHA512-TAI of RFC 9381, over the nodes' Ed25519 keys.
//!
//! A node has exactly one output for an input, nobody can tell it before the node shows it, and everybody can check it then.
//! The beacon and the agreement's weak coin are made of such outputs.

use crate::hash::Hash;
use crate::keys::{PublicKey, SecretKey};
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::IsIdentity;
use sha2::{Digest, Sha512};

/// Bytes of a proof: Γ (32) ‖ c (16) ‖ s (32).
pub const PROOF_LEN_BYTES: usize = 80;

const SUITE: u8 = 0x03;

/// Proves the output of `key` for `input` (RFC 9381, section 5.1).
pub fn prove(key: &SecretKey, input: &[u8]) -> [u8; PROOF_LEN_BYTES] {
    let public = key.public_key();
    let expanded = ed25519_dalek::hazmat::ExpandedSecretKey::from(&*key.seed());
    let secret = expanded.scalar;
    let base = encode_to_curve(&public, input);
    let gamma = base * secret;
    let nonce = {
        let digest = Sha512::new().chain_update(expanded.hash_prefix).chain_update(base.compress().0).finalize();
        Scalar::from_bytes_mod_order_wide(&digest.into())
    };
    let challenge = challenge(&public, &base, &gamma, &EdwardsPoint::mul_base(&nonce), &(base * nonce));
    let response = nonce + challenge_scalar(&challenge) * secret;
    let mut proof = [0; PROOF_LEN_BYTES];
    proof[..32].copy_from_slice(&gamma.compress().0);
    proof[32..48].copy_from_slice(&challenge);
    proof[48..].copy_from_slice(&response.to_bytes());
    proof
}

/// The output that `proof` shows for `key` and `input`: the first 32 bytes of RFC 9381's β. `None` when the proof does not hold
/// (section 5.3).
pub fn verify(key: &PublicKey, input: &[u8], proof: &[u8]) -> Option<Hash> {
    let proof: &[u8; PROOF_LEN_BYTES] = proof.try_into().ok()?;
    let (gamma_bytes, rest) = proof.split_first_chunk::<32>()?;
    let (challenge_bytes, response_bytes) = rest.split_first_chunk::<16>()?;
    let public = decode_point(&key.0).filter(|point| !point.is_small_order())?;
    let gamma = decode_point(gamma_bytes)?;
    let response: Scalar = Option::from(Scalar::from_canonical_bytes(response_bytes.try_into().ok()?))?;
    let base = encode_to_curve(key, input);
    let c = challenge_scalar(challenge_bytes);
    let u = EdwardsPoint::vartime_double_scalar_mul_basepoint(&-c, &public, &response);
    let v = base * response - gamma * c;
    (challenge(key, &base, &gamma, &u, &v) == *challenge_bytes).then(|| output(&gamma))
}

fn output(gamma: &EdwardsPoint) -> Hash {
    let beta = Sha512::new()
        .chain_update([SUITE, 0x03])
        .chain_update(gamma.mul_by_cofactor().compress().0)
        .chain_update([0])
        .finalize();
    let mut hash = Hash::ZERO;
    hash.0.copy_from_slice(&beta[..32]);
    hash
}

/// Try and increment (section 5.4.1.1): about two tries on average.
fn encode_to_curve(key: &PublicKey, input: &[u8]) -> EdwardsPoint {
    (0..=u8::MAX)
        .find_map(|counter| {
            let digest = Sha512::new()
                .chain_update([SUITE, 0x01])
                .chain_update(key.0)
                .chain_update(input)
                .chain_update([counter, 0])
                .finalize();
            let mut candidate = [0; 32];
            candidate.copy_from_slice(&digest[..32]);
            decode_point(&candidate).map(|point| point.mul_by_cofactor()).filter(|point| !point.is_identity())
        })
        .expect("256 tries fail with probability 2^-256")
}

fn challenge(
    key: &PublicKey,
    base: &EdwardsPoint,
    gamma: &EdwardsPoint,
    u: &EdwardsPoint,
    v: &EdwardsPoint,
) -> [u8; 16] {
    let mut hasher = Sha512::new().chain_update([SUITE, 0x02]).chain_update(key.0);
    for point in [base, gamma, u, v] {
        hasher.update(point.compress().0);
    }
    let digest = hasher.chain_update([0]).finalize();
    let mut challenge = [0; 16];
    challenge.copy_from_slice(&digest[..16]);
    challenge
}

fn challenge_scalar(challenge: &[u8; 16]) -> Scalar {
    Scalar::from(u128::from_le_bytes(*challenge))
}

/// Section 5.5: RFC 8032 decoding, canonical encodings alone.
fn decode_point(bytes: &[u8; 32]) -> Option<EdwardsPoint> {
    CompressedEdwardsY(*bytes).decompress().filter(|point| point.compress().0 == *bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// RFC 9381, appendix B.3, examples 16 and 17: secret key, input, proof, first half of the output.
    const VECTORS: [(&str, &str, &str, &str); 2] = [
        (
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            "",
            "8657106690b5526245a92b003bb079ccd1a92130477671f6fc01ad16f26f723f26f8a57ccaed74ee1b190bed1f479d9727d2d0f9b005a6e456a35d4fb0daab1268a1b0db10836d9826a528ca76567805",
            "90cf1df3b703cce59e2a35b925d411164068269d7b2d29f3301c03dd757876ff",
        ),
        (
            "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
            "72",
            "f3141cd382dc42909d19ec5110469e4feae18300e94f304590abdced48aed5933bf0864a62558b3ed7f2fea45c92a465301b3bbf5e3e54ddf2d935be3b67926da3ef39226bbc355bdc9850112c8f4b02",
            "eb4440665d3891d668e7e0fcaf587f1b4bd7fbfe99d0eb2211ccec90496310eb",
        ),
    ];

    #[test]
    fn the_vectors_of_the_rfc() {
        for (secret, input, proof, output) in VECTORS {
            let key = SecretKey::from_seed(hex::decode(secret).unwrap().try_into().unwrap());
            let input = hex::decode(input).unwrap();
            assert_eq!(hex::encode(prove(&key, &input)), proof);
            let shown = verify(&key.public_key(), &input, &hex::decode(proof).unwrap()).unwrap();
            assert_eq!(shown.to_string(), output);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_changed_bit_verifies(seed: [u8; 32], input: [u8; 8], at in 0..PROOF_LEN_BYTES, bit in 0u8..8) {
            let key = SecretKey::from_seed(seed);
            let mut proof = prove(&key, &input);
            prop_assert!(verify(&key.public_key(), &input, &proof).is_some());
            prop_assert!(verify(&key.public_key(), b"other", &proof).is_none());
            proof[at] ^= 1 << bit;
            prop_assert!(verify(&key.public_key(), &input, &proof).is_none());
        }

        #[test]
        fn arbitrary_bytes_never_panic(key: [u8; 32], proof in prop::collection::vec(any::<u8>(), 0..100)) {
            prop_assert!(verify(&PublicKey(key), b"", &proof).is_none());
        }
    }
}
