//! Every backend gives the oracle's verdicts, whatever is in a batch and however the batch is cut and ordered.
//!
//! `CONSTELLATION_AGREEMENT_SIGNATURES` says how many signatures to try; a run of ten million takes some minutes on two cores:
//! `CONSTELLATION_AGREEMENT_SIGNATURES=10000000 cargo test --release -p constellation-verify --test agreement -- --nocapture`

#![allow(clippy::unwrap_used, reason = "a helper that fails is a failed test")]

mod common;

use std::sync::atomic::{AtomicUsize, Ordering};

use common::{
    Bytes, assert_verdicts, engines, oracle_verdicts, push_corrupted, push_non_canonical, push_small_order,
    push_torsion_shifted, push_valid, reordered, sharing_engine,
};
use constellation_verify::{Backend, Engine, OwnedBatch};

const SIGNATURES_DEFAULT: usize = 6_000;
const SIGNATURES_VARIABLE: &str = "CONSTELLATION_AGREEMENT_SIGNATURES";

#[test]
fn random_mixtures_agree_with_the_oracle_on_every_backend() {
    let wanted = std::env::var(SIGNATURES_VARIABLE).map_or(SIGNATURES_DEFAULT, |count| count.parse().unwrap());
    // One of each backend, and of the CPU's one more each whose calls share threads with each other.
    let sharing = Backend::available().into_iter().map(|backend| sharing_engine(backend, 3));
    let engines: Vec<Engine> = engines().iter().cloned().chain(sharing).collect();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let tried = AtomicUsize::new(0);
    let valid = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let (engines, tried, valid) = (&engines, &tried, &valid);
            scope.spawn(move || {
                let mut bytes = Bytes::new(thread as u64 + 1000);
                while tried.load(Ordering::Relaxed) < wanted {
                    let batch = mixture(&mut bytes);
                    let right = compare(engines, &batch, &mut bytes);
                    tried.fetch_add(batch.len(), Ordering::Relaxed);
                    valid.fetch_add(right, Ordering::Relaxed);
                }
            });
        }
    });
    let (tried, valid) = (tried.into_inner(), valid.into_inner());
    let names: Vec<&str> = engines.iter().map(|engine| engine.backend().name()).collect();
    println!("{tried} signatures, {valid} of them valid: {} agree with the oracle", names.join(", "));
    assert!(tried >= wanted && valid > tried / 10 && valid < tried, "{valid} of {tried} valid is no mixture");
}

/// A batch of any size up to some thousands, small ones more often, with anything from no bad signature to nothing else.
fn mixture(bytes: &mut Bytes) -> OwnedBatch {
    let size_max = 1 << bytes.below(13);
    let size = bytes.below(size_max + 1);
    // Of so many signatures one is not of the plain kind.
    let plain_run = [1, 2, 10, 100, 1000, usize::MAX >> 32][bytes.below(6)];
    let mut batch = OwnedBatch::new();
    for _ in 0..size {
        if bytes.below(plain_run) > 0 {
            push_valid(&mut batch, bytes);
            continue;
        }
        match bytes.below(5) {
            0 => push_corrupted(&mut batch, bytes),
            1 | 2 => push_torsion_shifted(&mut batch, bytes),
            3 => push_non_canonical(&mut batch, bytes),
            _ => push_small_order(&mut batch, bytes),
        }
    }
    batch
}

/// Compares every engine with the oracle on `batch`, and on its signatures in another order, cut in two. How many are valid.
fn compare(engines: &[Engine], batch: &OwnedBatch, bytes: &mut Bytes) -> usize {
    let batch = batch.as_batch();
    let expected = oracle_verdicts(&batch);
    let mut order: Vec<usize> = (0..batch.len()).collect();
    for last in (1..order.len()).rev() {
        order.swap(last, bytes.below(last + 1));
    }
    let (first, second) = order.split_at(bytes.below(order.len() + 1));
    let parts = [first, second].map(|order| (reordered(&batch, order), order));
    for engine in engines {
        assert_verdicts(engine, &engine.verify(&batch), &expected);
        for (part, order) in &parts {
            let expected: Vec<bool> = order.iter().map(|&index| expected[index]).collect();
            assert_verdicts(engine, &engine.verify(&part.as_batch()), &expected);
        }
    }
    expected.into_iter().filter(|&valid| valid).count()
}
