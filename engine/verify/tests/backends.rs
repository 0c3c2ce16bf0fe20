//! One test body for every backend this machine can run: public edge cases, random signatures, and points with
//! small-order parts, against an oracle that shares no code with the crate (ZIP-215 and the byte checks).

#![allow(clippy::unwrap_used, reason = "a helper that fails is a failed test")]

mod common;

use common::{
    Bytes, assert_verdicts, for_each_backend, for_each_fresh_backend, oracle_verdicts, push_corrupted,
    push_non_canonical, push_small_order, push_torsion_shifted, push_valid, reordered, sharing_engine,
};
use std::sync::OnceLock;

use constellation_verify::{Backend, Batch, Engine, EngineOptions, OwnedBatch};
use curve25519_dalek::scalar::Scalar;
use ed25519_dalek::{Signer, SigningKey};
use proptest::prelude::*;
use serde::Deserialize;

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
                match may_spoil {
                    true => push_corrupted(&mut batch, &mut bytes),
                    false => push_valid(&mut batch, &mut bytes),
                }
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
        push_torsion_shifted(&mut batch, &mut bytes);
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

    let only_valid: Vec<usize> = (0..400).filter(|&index| expected[index]).collect();
    let only_valid = reordered(&batch, &only_valid);
    for_each_backend(|engine| assert!(engine.verify(&only_valid.as_batch()).all(), "{}", engine.backend()));
}

/// What random coefficients are for: in a plain sum of equations these would pass.
#[test]
fn errors_that_cancel_each_other_are_found() {
    let valid = valid_signatures().as_batch();
    let [one, minus_one, minus_two] = [Scalar::ONE, -Scalar::ONE, -Scalar::from(2_u64)];
    for (errors, size) in [
        (&[(3, one), (5, minus_one)][..], 64),
        (&[(0, one), (63, minus_one)], 64),
        (&[(10, one), (11, one), (40, minus_two)], 64),
        (&[(7, one), (500, minus_one)], 1000),
    ] {
        for same_signer in [false, true] {
            let order: Vec<usize> = (0..size).collect();
            let mut right = reordered(&valid, &order);
            if same_signer {
                right.clear();
                let key = SigningKey::from_bytes(&[9; 32]);
                for index in 0..size {
                    let message = index.to_le_bytes();
                    let signature = key.sign(&message).to_bytes();
                    right.push(&key.verifying_key().to_bytes(), &signature, &[&message]).unwrap();
                }
            }
            let right = right.as_batch();
            let mut signatures = right.signatures().to_vec();
            for (place, error) in errors {
                let s = signatures[*place].last_chunk_mut::<32>().unwrap();
                *s = (Scalar::from_canonical_bytes(*s).unwrap() + error).to_bytes();
            }
            let (bytes, ends) = laid_out(&right);
            let batch = Batch::new(right.public_keys(), &signatures, &bytes, &ends).unwrap();
            let expected: Vec<bool> =
                order.iter().map(|index| !errors.iter().any(|(place, _)| place == index)).collect();
            for_each_fresh_backend(|engine| assert_verdicts(engine, &engine.verify(&batch), &expected));
        }
    }
}

#[test]
fn what_only_the_byte_checks_refuse_is_refused() {
    let mut bytes = Bytes::new(200);
    let mut batch = OwnedBatch::new();
    for _ in 0..60 {
        push_small_order(&mut batch, &mut bytes);
        push_non_canonical(&mut batch, &mut bytes);
        push_valid(&mut batch, &mut bytes);
    }
    let expected: Vec<bool> = (0..180).map(|index| index % 3 == 2).collect();
    assert_eq!(oracle_verdicts(&batch.as_batch()), expected);
    for_each_backend(|engine| assert_verdicts(engine, &engine.verify(&batch.as_batch()), &expected));
}

#[test]
fn keys_that_become_known_change_no_verdict() {
    let mut bytes = Bytes::new(400);
    let mut batch = OwnedBatch::new();
    for _ in 0..200 {
        push_valid(&mut batch, &mut bytes);
        push_corrupted(&mut batch, &mut bytes);
    }
    let expected = oracle_verdicts(&batch.as_batch());
    for backend in Backend::available() {
        for known_keys_max in [0, 16, 1 << 16] {
            let options = EngineOptions { backend: Some(backend), known_keys_max, ..EngineOptions::default() };
            let engine = Engine::with_options(&options).unwrap();
            (0..4).for_each(|_| assert_verdicts(&engine, &engine.verify(&batch.as_batch()), &expected));
        }
    }
}

/// Pieces, groups and parts of a batch may fall on any thread.
#[test]
fn threads_that_share_a_batch_change_no_verdict() {
    let mut bytes = Bytes::new(600);
    let mut valid = OwnedBatch::new();
    (0..4097).for_each(|_| push_valid(&mut valid, &mut bytes));
    let valid = valid.as_batch();
    for size in [0, 1, 27, 28, 29, 63, 64, 65, 255, 256, 257, 1000, 4097] {
        let order: Vec<usize> = (0..size).collect();
        let right = reordered(&valid, &order);
        let right = right.as_batch();
        let (message_bytes, ends) = laid_out(&right);
        for one_bad_in in [usize::MAX, 900, 20, 1] {
            let is_bad = |index: &usize| index % one_bad_in == one_bad_in / 2;
            let mut signatures = right.signatures().to_vec();
            order.iter().filter(|index| is_bad(index)).for_each(|&index| signatures[index][index % 64] ^= 1);
            let batch = Batch::new(right.public_keys(), &signatures, &message_bytes, &ends).unwrap();
            let expected: Vec<bool> = order.iter().map(|index| !is_bad(index)).collect();
            for (backend, threads) in Backend::available().into_iter().flat_map(|backend| [(backend, 2), (backend, 3)])
            {
                let engine = sharing_engine(backend, threads);
                // The second time it suspects the senders if there is cause, and the third time it knows some of the keys.
                (0..3).for_each(|_| assert_verdicts(&engine, &engine.verify(&batch), &expected));
            }
        }
    }
}

#[test]
fn an_engine_is_shared_between_threads() {
    let mut bytes = Bytes::new(300);
    let mut batch = OwnedBatch::new();
    for _ in 0..20 {
        push_valid(&mut batch, &mut bytes);
    }
    for_each_backend(|engine| {
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| assert!(engine.clone().verify(&batch.as_batch()).all()));
            }
        });
    });

    // Callers that share the threads, too: more of both than cores.
    let batch = valid_signatures().as_batch();
    for backend in Backend::available() {
        let engine = sharing_engine(backend, 3);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..5).for_each(|_| assert!(engine.verify(&batch).all())));
            }
        });
    }
}

/// Valid signatures to take batches from: making them is most of the work.
fn valid_signatures() -> &'static OwnedBatch {
    static SIGNATURES: OnceLock<OwnedBatch> = OnceLock::new();
    SIGNATURES.get_or_init(|| {
        let mut batch = OwnedBatch::new();
        let mut bytes = Bytes::new(500);
        (0..1500).for_each(|_| push_valid(&mut batch, &mut bytes));
        batch
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn one_bad_signature_is_the_only_one_refused(
        size in prop_oneof![1..40_usize, 1..1500_usize],
        place in any::<prop::sample::Index>(),
        bit in 0..512_usize,
    ) {
        let bad = place.index(size);
        let order: Vec<usize> = (0..size).collect();
        let right = reordered(&valid_signatures().as_batch(), &order);
        let right = right.as_batch();
        let mut signatures = right.signatures().to_vec();
        signatures[bad][bit / 8] ^= 1 << (bit % 8);
        let (bytes, ends) = laid_out(&right);
        let batch = Batch::new(right.public_keys(), &signatures, &bytes, &ends).unwrap();
        let expected: Vec<bool> = order.iter().map(|&index| index != bad).collect();
        for_each_fresh_backend(|engine| assert_verdicts(engine, &engine.verify(&batch), &expected));
    }

    #[test]
    fn any_mixture_agrees_with_the_oracle(seed in any::<u64>(), kinds in prop::collection::vec(0..6_u8, 0..40)) {
        let mut bytes = Bytes::new(seed);
        let mut batch = OwnedBatch::new();
        for kind in kinds {
            match kind {
                0 => push_valid(&mut batch, &mut bytes),
                1 => push_corrupted(&mut batch, &mut bytes),
                2 => push_torsion_shifted(&mut batch, &mut bytes),
                3 => push_non_canonical(&mut batch, &mut bytes),
                4 => push_small_order(&mut batch, &mut bytes),
                _ => batch.push(&bytes.array(), &bytes.array(), &[&bytes.array::<8>()]).unwrap(),
            }
        }
        let expected = oracle_verdicts(&batch.as_batch());
        for_each_backend(|engine| assert_verdicts(engine, &engine.verify(&batch.as_batch()), &expected));
    }
}

/// The messages of `batch` end to end, and where each ends.
fn laid_out(batch: &Batch<'_>) -> (Vec<u8>, Vec<u32>) {
    let mut bytes = Vec::new();
    let ends = batch.messages().iter().map(|message| {
        bytes.extend_from_slice(message);
        bytes.len() as u32
    });
    let ends = ends.collect();
    (bytes, ends)
}
