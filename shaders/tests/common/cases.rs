//! Batches of signatures of every kind a peer may send, with the verdicts that the rule of signatures gives them.

use curve25519_dalek::constants::EIGHT_TORSION;
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::IsIdentity;
use ed25519_dalek::{Signer, SigningKey};
use serde::Deserialize;
use sha2::{Digest, Sha512};

/// A source of reproducible bytes.
pub struct Bytes(blake3::OutputReader);

impl Bytes {
    pub fn new(seed: u64) -> Self {
        Self(blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof())
    }

    pub fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.fill(&mut bytes);
        bytes
    }

    pub fn below(&mut self, bound: usize) -> usize {
        u32::from_le_bytes(self.array()) as usize % bound
    }

    fn scalar(&mut self) -> Scalar {
        Scalar::from_bytes_mod_order_wide(&self.array())
    }
}

#[derive(Default)]
pub struct Cases {
    pub public_keys: Vec<[u8; 32]>,
    pub signatures: Vec<[u8; 64]>,
    pub message_bytes: Vec<u8>,
    pub message_ends: Vec<u32>,
    pub expected: Vec<bool>,
}

impl Cases {
    /// `count` cases of all kinds.
    pub fn random(seed: u64, count: usize) -> Self {
        let mut bytes = Bytes::new(seed);
        let mut cases = Self::default();
        while cases.expected.len() < count {
            match bytes.below(4) {
                0 => cases.push_torsion_mixed(&mut bytes),
                1 => cases.push_edge_encodings(&mut bytes),
                2 => cases.push_spoilt(&mut bytes, false),
                _ => cases.push_spoilt(&mut bytes, true),
            }
        }
        cases
    }

    /// The public vectors.
    pub fn vectors() -> Self {
        #[derive(Deserialize)]
        struct Vector {
            public_key: String,
            message: String,
            signature: String,
            valid: bool,
        }
        let files = ["speccheck", "wycheproof", "zip215"];
        let mut cases = Self::default();
        for file in files {
            let path = format!("{}/../engine/verify/tests/vectors/{file}.json", env!("CARGO_MANIFEST_DIR"));
            let vectors: Vec<Vector> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
            for vector in vectors {
                // A signature of any other length is none, and cannot be packed.
                let Ok(signature) = hex::decode(&vector.signature).unwrap().try_into() else { continue };
                let public_key = hex::decode(&vector.public_key).unwrap().try_into().unwrap();
                cases.push(public_key, signature, &hex::decode(&vector.message).unwrap());
                assert_eq!(cases.expected.last(), Some(&vector.valid), "the oracle of these tests is wrong");
            }
        }
        cases
    }

    pub fn push(&mut self, public_key: [u8; 32], signature: [u8; 64], message: &[u8]) {
        self.public_keys.push(public_key);
        self.signatures.push(signature);
        self.message_bytes.extend_from_slice(message);
        self.message_ends.push(self.message_bytes.len() as u32);
        self.expected.push(rule(&public_key, &signature, message));
    }

    /// A signature that is valid, or spoilt in one of the ways a peer may spoil one.
    fn push_spoilt(&mut self, bytes: &mut Bytes, spoil: bool) {
        let key = SigningKey::from_bytes(&bytes.array());
        let mut message = bytes.array::<300>()[..bytes.below(301)].to_vec();
        let mut signature = key.sign(&message).to_bytes();
        let mut public_key = key.verifying_key().to_bytes();
        let bit = bytes.below(512);
        match if spoil { 1 + bytes.below(6) } else { 0 } {
            1 => public_key[bit % 256 / 8] ^= 1 << (bit % 8),
            2 => signature[bit / 8] ^= 1 << (bit % 8),
            3 => message.push(0),
            4 => public_key = bytes.array(),
            5 => signature[..32].copy_from_slice(&bytes.array::<32>()),
            6 => add_order(&mut signature),
            _ => {}
        }
        self.push(public_key, signature, &message);
    }

    /// Small-order components in A and R, which the cofactored equation does not see; half of them with a wrong S.
    fn push_torsion_mixed(&mut self, bytes: &mut Bytes) {
        let (secret, nonce) = (bytes.scalar(), bytes.scalar());
        let a = (EdwardsPoint::mul_base(&secret) + EIGHT_TORSION[bytes.below(8)]).compress().to_bytes();
        let r = (EdwardsPoint::mul_base(&nonce) + EIGHT_TORSION[bytes.below(8)]).compress().to_bytes();
        let message = bytes.array::<40>();
        let s = nonce + challenge(&a, &r, &message) * secret + Scalar::from(bytes.below(2) as u64);
        self.push(a, signature(&r, s.as_bytes()), &message);
    }

    /// Small orders, y of p and above, y near 0: as A, as R, or both, with the S that suits if A is of small order.
    fn push_edge_encodings(&mut self, bytes: &mut Bytes) {
        let edge = |bytes: &mut Bytes| {
            let mut encoding = EIGHT_TORSION[bytes.below(8)].compress().to_bytes();
            if bytes.below(2) == 0 {
                // y from p − 20 to p + 18, or its mirror image near 0.
                encoding = [255; 32];
                encoding[31] = 127;
                encoding[0] = 0xed_u8.wrapping_add_signed(bytes.below(39) as i8 - 20);
                if bytes.below(3) == 0 {
                    encoding = encoding.map(|byte| !byte);
                    encoding[31] = 0;
                }
            }
            encoding[31] ^= (bytes.below(2) as u8) << 7;
            encoding
        };
        let (secret, nonce) = (bytes.scalar(), bytes.scalar());
        let message = bytes.array::<3>();
        let a = if bytes.below(2) == 0 { edge(bytes) } else { EdwardsPoint::mul_base(&secret).compress().to_bytes() };
        let r = if bytes.below(2) == 0 { edge(bytes) } else { EdwardsPoint::mul_base(&nonce).compress().to_bytes() };
        let s = match bytes.below(3) {
            0 => nonce,
            1 => Scalar::ZERO,
            _ => nonce + challenge(&a, &r, &message) * secret,
        };
        self.push(a, signature(&r, s.as_bytes()), &message);
    }
}

fn signature(r: &[u8; 32], s: &[u8; 32]) -> [u8; 64] {
    std::array::from_fn(|at| if at < 32 { r[at] } else { s[at - 32] })
}

/// S + ℓ.
fn add_order(signature: &mut [u8; 64]) {
    let order = hex::decode("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010").unwrap();
    let mut carry = 0;
    for (byte, addend) in signature[32..].iter_mut().zip(order) {
        let sum = u16::from(*byte) + u16::from(addend) + carry;
        (*byte, carry) = (sum.to_le_bytes()[0], sum >> 8);
    }
}

fn challenge(a: &[u8; 32], r: &[u8; 32], message: &[u8]) -> Scalar {
    let hash = Sha512::new().chain_update(r).chain_update(a).chain_update(message);
    Scalar::from_bytes_mod_order_wide(&hash.finalize().into())
}

/// The rule of signatures, by dalek: canonical, not of small order, S < ℓ, cofactored equation.
fn rule(public_key: &[u8; 32], signature: &[u8; 64], message: &[u8]) -> bool {
    let acceptable = |encoding: [u8; 32]| {
        let encoding = CompressedEdwardsY(encoding);
        encoding.decompress().filter(|point| point.compress() == encoding && !point.is_small_order())
    };
    let r_bytes: [u8; 32] = std::array::from_fn(|at| signature[at]);
    let s = Option::<Scalar>::from(Scalar::from_canonical_bytes(std::array::from_fn(|at| signature[32 + at])));
    let (Some(a), Some(r), Some(s)) = (acceptable(*public_key), acceptable(r_bytes), s) else { return false };
    let k = challenge(public_key, &r_bytes, message);
    (EdwardsPoint::vartime_double_scalar_mul_basepoint(&k, &-a, &s) - r).mul_by_cofactor().is_identity()
}
