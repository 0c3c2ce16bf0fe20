//! One test body for every backend this machine can run: public edge cases, random signatures, and points with
//! small-order parts, against an oracle that shares no code with the crate (ZIP-215 and the byte checks).

#![allow(clippy::unwrap_used)] // A helper that fails is a failed test.

use constellation_verify::{Backend, Batch, Engine, OwnedBatch, Verdicts};
use curve25519_dalek::constants::EIGHT_TORSION;
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use ed25519_dalek::{Signer, SigningKey};
use proptest::prelude::*;
use serde::Deserialize;
use sha2::{Digest, Sha512};

/// A source of reproducible bytes.
struct Bytes(blake3::OutputReader);

impl Bytes {
    fn new(seed: u64) -> Self {
        Self(blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof())
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.fill(&mut bytes);
        bytes
    }

    fn below(&mut self, bound: usize) -> usize {
        u32::from_le_bytes(self.array()) as usize % bound
    }

    fn scalar(&mut self) -> Scalar {
        Scalar::from_bytes_mod_order_wide(&self.array())
    }
}

/// The rule, from ZIP-215 (cofactored, S < ℓ, any encoding) and dalek's view of canonical and small.
fn oracle(public_key: &[u8; 32], signature: &[u8; 64], message: &[u8]) -> bool {
    let acceptable = |encoding: &[u8]| {
        let encoding = CompressedEdwardsY::from_slice(encoding).unwrap();
        encoding.decompress().is_some_and(|point| point.compress() == encoding && !point.is_small_order())
    };
    acceptable(public_key)
        && acceptable(&signature[..32])
        && ed25519_consensus::VerificationKey::try_from(*public_key)
            .is_ok_and(|key| key.verify(&ed25519_consensus::Signature::from(*signature), message).is_ok())
}

fn oracle_verdicts(batch: &Batch<'_>) -> Vec<bool> {
    let keys_and_signatures = batch.public_keys().iter().zip(batch.signatures());
    keys_and_signatures.zip(batch.messages().iter()).map(|((key, sig), message)| oracle(key, sig, message)).collect()
}

fn for_each_backend(body: impl Fn(&Engine)) {
    let available = Backend::available();
    if !available.contains(&Backend::Avx512) {
        eprintln!("SKIPPED: this CPU has no AVX-512 IFMA, so the avx512 backend is NOT TESTED by this run");
    }
    for backend in available {
        body(&Engine::new(backend).unwrap());
    }
}

fn assert_verdicts(engine: &Engine, verdicts: &Verdicts, expected: &[bool]) {
    assert_eq!(verdicts.len(), expected.len());
    for (index, (verdict, expected)) in verdicts.iter().zip(expected).enumerate() {
        assert_eq!(verdict, *expected, "signature {index} on {}", engine.backend());
    }
}

/// Adds a signature that is valid, or spoilt in one of the ways a peer may spoil one.
fn push_random(batch: &mut OwnedBatch, bytes: &mut Bytes, may_spoil: bool) {
    let key = SigningKey::from_bytes(&bytes.array());
    let message = bytes.array::<300>();
    let message = &message[..bytes.below(301)];
    let mut signature = key.sign(message).to_bytes();
    let mut public_key = key.verifying_key().to_bytes();
    let mut message = message.to_vec();
    let bit = bytes.below(512);
    match if may_spoil { bytes.below(6) } else { 0 } {
        1 => public_key[bit % 256 / 8] ^= 1 << (bit % 8),
        2 => signature[bit / 8] ^= 1 << (bit % 8),
        3 => message.push(0),
        4 => public_key = bytes.array(),
        5 => signature[..32].copy_from_slice(&bytes.array::<32>()),
        _ => {}
    }
    batch.push(&public_key, &signature, &[&message]).unwrap();
}

/// Adds a signature made with small-order components in A and R: valid under the cofactored equation, and under the
/// cofactorless one only where the components happen to cancel. Half of them get a wrong S.
fn push_torsion_mixed(batch: &mut OwnedBatch, bytes: &mut Bytes) {
    let (secret, nonce) = (bytes.scalar(), bytes.scalar());
    let a = (EdwardsPoint::mul_base(&secret) + EIGHT_TORSION[bytes.below(8)]).compress();
    let r = (EdwardsPoint::mul_base(&nonce) + EIGHT_TORSION[bytes.below(8)]).compress();
    let message = bytes.array::<40>();
    let hash = Sha512::new().chain_update(r.as_bytes()).chain_update(a.as_bytes()).chain_update(message);
    let k = Scalar::from_bytes_mod_order_wide(&hash.finalize().into());
    let wrong = Scalar::from(bytes.below(2) as u64);
    let s = nonce + k * secret + wrong;
    let signature: [u8; 64] = std::array::from_fn(|at| if at < 32 { r.as_bytes()[at] } else { s.as_bytes()[at - 32] });
    batch.push(a.as_bytes(), &signature, &[&message]).unwrap();
}

#[derive(Deserialize)]
struct Vector {
    name: String,
    public_key: String,
    message: String,
    signature: String,
    valid: bool,
}

fn vectors() -> Vec<Vector> {
    let files = [
        include_str!("vectors/speccheck.json"),
        include_str!("vectors/wycheproof.json"),
        include_str!("vectors/zip215.json"),
    ];
    files.into_iter().flat_map(|file| serde_json::from_str::<Vec<Vector>>(file).unwrap()).collect()
}

#[test]
fn public_vectors_alone_and_together() {
    let vectors = vectors();
    assert!(vectors.len() > 200 && vectors.iter().any(|vector| vector.valid), "{}", vectors.len());
    let mut together = OwnedBatch::new();
    for vector in &vectors {
        let key = hex::decode(&vector.public_key).unwrap().try_into().unwrap();
        // A signature of any other length is not a signature: the type says so.
        let Ok(signature) = <[u8; 64]>::try_from(hex::decode(&vector.signature).unwrap()) else {
            assert!(!vector.valid, "{}", vector.name);
            together.push(&key, &[0; 64], &[]).unwrap();
            continue;
        };
        together.push(&key, &signature, &[&hex::decode(&vector.message).unwrap()]).unwrap();
    }
    let batch = together.as_batch();
    for_each_backend(|engine| {
        let verdicts = engine.verify(&batch);
        for (index, vector) in vectors.iter().enumerate() {
            assert_eq!(verdicts.get(index), vector.valid, "{} on {}", vector.name, engine.backend());
            let mut alone = OwnedBatch::new();
            alone
                .push(&batch.public_keys()[index], &batch.signatures()[index], &[batch.messages().get(index).unwrap()])
                .unwrap();
            assert_eq!(engine.verify(&alone.as_batch()).all(), vector.valid, "{} alone", vector.name);
        }
    });
}

#[test]
fn batches_of_every_shape_with_and_without_bad_signatures() {
    for (seed, size) in [0, 1, 7, 8, 9, 255, 257, 1023].into_iter().enumerate() {
        for may_spoil in [false, true] {
            let mut bytes = Bytes::new(seed as u64);
            let mut batch = OwnedBatch::new();
            for _ in 0..size {
                push_random(&mut batch, &mut bytes, may_spoil);
            }
            let expected = oracle_verdicts(&batch.as_batch());
            let valid = expected.iter().filter(|&&valid| valid).count();
            assert!(
                if may_spoil { size < 100 || (1..size).contains(&valid) } else { valid == size },
                "{valid} of {size}"
            );
            for_each_backend(|engine| assert_verdicts(engine, &engine.verify(&batch.as_batch()), &expected));
        }
    }
}

#[test]
fn small_order_parts_do_not_matter() {
    let mut bytes = Bytes::new(100);
    let mut batch = OwnedBatch::new();
    for _ in 0..400 {
        push_torsion_mixed(&mut batch, &mut bytes);
    }
    let expected = oracle_verdicts(&batch.as_batch());
    let valid = expected.iter().filter(|&&valid| valid).count();
    assert!((150..250).contains(&valid), "{valid} of 400 valid");
    let batch = batch.as_batch();
    let strict = (0..400).filter(|&index| {
        let key = ed25519_dalek::VerifyingKey::from_bytes(&batch.public_keys()[index]).unwrap();
        let signature = ed25519_dalek::Signature::from_bytes(&batch.signatures()[index]);
        key.verify_strict(batch.messages().get(index).unwrap(), &signature).is_ok()
    });
    assert!(strict.count() < valid / 2, "the two equations must differ here, or this tests nothing");
    for_each_backend(|engine| assert_verdicts(engine, &engine.verify(&batch), &expected));

    let mut only_valid = OwnedBatch::new();
    for index in (0..400).filter(|&index| expected[index]) {
        let message = batch.messages().get(index).unwrap();
        only_valid.push(&batch.public_keys()[index], &batch.signatures()[index], &[message]).unwrap();
    }
    for_each_backend(|engine| assert!(engine.verify(&only_valid.as_batch()).all(), "{}", engine.backend()));
}

#[test]
fn a_response_not_below_the_group_order_is_refused() {
    // ℓ, little endian: S + ℓ satisfies the equation wherever S does.
    let order = hex::decode("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010").unwrap();
    let mut bytes = Bytes::new(200);
    let mut batch = OwnedBatch::new();
    for _ in 0..9 {
        let key = SigningKey::from_bytes(&bytes.array());
        let right = key.sign(b"m").to_bytes();
        let mut shifted = right;
        let mut carry = 0;
        for (byte, addend) in shifted[32..].iter_mut().zip(&order) {
            let sum = u16::from(*byte) + u16::from(*addend) + carry;
            (*byte, carry) = (sum.to_le_bytes()[0], sum >> 8);
        }
        let public_key = key.verifying_key().to_bytes();
        batch.push(&public_key, &right, &[b"m"]).unwrap();
        batch.push(&public_key, &shifted, &[b"m"]).unwrap();
    }
    let expected: Vec<bool> = (0..18).map(|index| index % 2 == 0).collect();
    for_each_backend(|engine| assert_verdicts(engine, &engine.verify(&batch.as_batch()), &expected));
}

#[test]
fn an_engine_is_shared_between_threads() {
    let mut bytes = Bytes::new(300);
    let mut batch = OwnedBatch::new();
    for _ in 0..20 {
        push_random(&mut batch, &mut bytes, false);
    }
    for_each_backend(|engine| {
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| assert!(engine.clone().verify(&batch.as_batch()).all()));
            }
        });
    });
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn any_mixture_agrees_with_the_oracle(seed in any::<u64>(), kinds in prop::collection::vec(0..4_u8, 0..40)) {
        let mut bytes = Bytes::new(seed);
        let mut batch = OwnedBatch::new();
        for kind in kinds {
            match kind {
                0 => push_random(&mut batch, &mut bytes, false),
                1 => push_random(&mut batch, &mut bytes, true),
                2 => push_torsion_mixed(&mut batch, &mut bytes),
                _ => batch.push(&bytes.array(), &bytes.array(), &[&bytes.array::<8>()]).unwrap(),
            }
        }
        let expected = oracle_verdicts(&batch.as_batch());
        for_each_backend(|engine| assert_verdicts(engine, &engine.verify(&batch.as_batch()), &expected));
    }
}
