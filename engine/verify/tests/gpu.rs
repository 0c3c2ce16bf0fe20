//! The GPU backend on a real adapter, or on a software one where there is no other: the verdicts, ids and sketches must
//! be the CPU's.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a failed test")]

use std::path::Path;
use std::time::{Duration, Instant};

use constellation_verify::gpu::{Gpu, GpuOptions, GpuTimeouts};
use constellation_verify::{
    Backend, Batch, Engine, HalfFormat, Messages, OwnedBatch, Senders, TransactionFormat, Transactions, Verdicts,
};
use ed25519_dalek::{Signer, SigningKey};

/// A software adapter may have to compile for as long as this on a busy machine.
const READY_WITHIN: Duration = Duration::from_secs(240);

/// Invocations of a workgroup, whose neighbourhood is where a program would go wrong.
const GROUP: usize = constellation_shaders::layout::GROUP_SIZE as usize;

fn options() -> GpuOptions {
    GpuOptions {
        software_gpu: true,
        batch_min: 0,
        // Slow is not wrong here, and nothing may be left to the CPU.
        timeouts: GpuTimeouts { deadline: Duration::from_secs(60), patience: READY_WITHIN, ..GpuTimeouts::default() },
        ..GpuOptions::default()
    }
}

fn on_cpu(batch: &Batch<'_>) -> Verdicts {
    Engine::new(Backend::Portable).unwrap().verify(batch)
}

/// The GPU, taken in; `None` where the machine has none at all and none is required.
fn ready(options: GpuOptions) -> Option<Gpu> {
    let start = Instant::now();
    let gpu = Gpu::start(options);
    while !gpu.wait_ready(Duration::from_millis(20)) {
        let Some(fault) = gpu.last_fault() else {
            assert!(start.elapsed() < READY_WITHIN, "no device after {READY_WITHIN:?}");
            continue;
        };
        let required = std::env::var("CONSTELLATION_REQUIRE_GPU").is_ok_and(|value| value == "1");
        assert!(!required && fault.starts_with("no usable GPU adapter"), "{fault}");
        eprintln!("SKIPPED: {fault}: the GPU backend is NOT TESTED by this run");
        return None;
    }
    eprintln!("{}, ready in {:?}, {} signatures a request", gpu.device().unwrap(), start.elapsed(), gpu.request_len());
    Some(gpu)
}

/// Signatures by few keys over messages of many lengths, every fifth one spoilt.
fn signatures(count: usize) -> OwnedBatch {
    let keys: Vec<_> = (0..8_u8).map(|seed| SigningKey::from_bytes(&[seed; 32])).collect();
    let mut batch = OwnedBatch::new();
    for index in 0..count {
        let key = &keys[index % keys.len()];
        let mut message = vec![index.to_le_bytes()[0]; index * 7 % 300];
        let mut signature = key.sign(&message).to_bytes();
        let mut public_key = key.verifying_key().to_bytes();
        match index % 20 {
            4 => signature[index % 64] ^= 4,
            9 => public_key[index % 32] ^= 1,
            14 => message.push(1),
            19 => signature[63] |= 0xe0,
            _ => {}
        }
        batch.push(&public_key, &signature, &[&message]).unwrap();
    }
    batch
}

fn check_verdicts(gpu: &Gpu, batch: &OwnedBatch) -> Verdicts {
    let verdicts = gpu.verify(&batch.as_batch(), &on_cpu);
    let expected = on_cpu(&batch.as_batch());
    for (index, (verdict, expected)) in verdicts.iter().zip(expected.iter()).enumerate() {
        assert_eq!(verdict, expected, "signature {index} of {}", batch.len());
    }
    assert_eq!(verdicts.len(), batch.len());
    verdicts
}

/// Every size around the boundaries of workgroups, words and requests.
fn check_sizes(gpu: &Gpu) {
    let mut signatures_given = 0;
    for count in [0, 1, 31, 33, GROUP - 1, GROUP, GROUP + 1, 5 * GROUP + 3, 5_000] {
        let verdicts = check_verdicts(gpu, &signatures(count));
        assert!(count < GROUP || (verdicts.count_valid() > 0 && !verdicts.all()));
        signatures_given += count as u64;
    }
    let counters = gpu.counters();
    assert_eq!((counters.signatures_gpu, counters.signatures_cpu), (signatures_given, 0), "{counters:?}");
    assert_eq!(counters.redone(), 0, "{counters:?}");
}

/// The ledger's: 328 bytes, of which 160 and 40 are signed.
fn format() -> TransactionFormat {
    let half = |domain: &[u8; 8], key, signature, signed, signed_len_bytes| HalfFormat {
        domain: *domain,
        key,
        signature,
        signed,
        signed_len_bytes,
    };
    let halves = [half(b"cst.init", 24, 160, 0, 160), half(b"cst.coun", 56, 264, 224, 40)];
    TransactionFormat::new(halves).unwrap()
}

/// Transactions between few parties, with payloads of all lengths; some have a spoilt byte anywhere, some only one party.
struct Records {
    bytes: Vec<u8>,
    ends: Vec<u32>,
}

impl Records {
    fn random(count: usize) -> Self {
        let keys: Vec<_> = (0..40_u8).map(|seed| SigningKey::from_bytes(&[seed; 32])).collect();
        let mut random = blake3::Hasher::new().update(&count.to_le_bytes()).finalize_xof();
        let mut records = Self { bytes: Vec::new(), ends: Vec::new() };
        for _ in 0..count {
            let mut dice = [0; 8];
            random.fill(&mut dice);
            let mut record = vec![0; 328 + usize::from(dice[0])];
            random.fill(&mut record);
            Self::sign(&mut record, [dice[1], dice[2]].map(|die| &keys[usize::from(die) % keys.len()]), dice[3] < 40);
            if dice[4] < 80 {
                record[usize::from(dice[5]) + usize::from(dice[6] % 72)] ^= 1 << (dice[7] % 8);
            }
            records.bytes.extend_from_slice(&record);
            records.ends.push(records.bytes.len() as u32);
        }
        records
    }

    fn sign(record: &mut [u8], [first, second]: [&SigningKey; 2], is_one_sided: bool) {
        record[24..56].copy_from_slice(first.verifying_key().as_bytes());
        record[56..88].copy_from_slice(second.verifying_key().as_bytes());
        if is_one_sided {
            record[56..88].fill(0);
            record[224..328].fill(0);
        }
        let message = [&b"cst.init"[..], &record[..160]].concat();
        record[160..224].copy_from_slice(&first.sign(&message).to_bytes());
        let hash = *blake3::hash(&message).as_bytes();
        let message = [&b"cst.coun"[..], &hash, &record[224..264]].concat();
        if !is_one_sided {
            record[264..328].copy_from_slice(&second.sign(&message).to_bytes());
        }
    }

    fn as_messages(&self) -> Messages<'_> {
        Messages::new(&self.bytes, &self.ends).unwrap()
    }
}

/// Against the CPU; the number of valid signatures.
fn check_transactions(gpu: &Gpu, records: &Records, sketch_key: Option<&[u8; 32]>) -> usize {
    let format = format();
    let transactions = Transactions::new(&format, records.as_messages()).unwrap();
    let transactions = sketch_key.map_or(transactions, |key| transactions.with_sketch(key));
    let expected = Engine::new(Backend::Portable).unwrap().verify_transactions(Senders::Any, &transactions);
    let found = gpu.verify_transactions(&transactions, &on_cpu);
    for (index, (verdict, expected)) in found.verdicts.iter().zip(expected.verdicts.iter()).enumerate() {
        assert_eq!(verdict, expected, "signature {index} of {}", transactions.len());
    }
    assert!(found == expected, "ids or sketch of {}", transactions.len());
    assert_eq!((found.verdicts.len(), found.sketch.is_some()), (2 * transactions.len(), sketch_key.is_some()));
    found.verdicts.count_valid()
}

/// Every size around the boundaries of workgroups, of signatures and of transactions, and several requests.
fn check_transactions_of_all_sizes(gpu: &Gpu) {
    let before = gpu.counters();
    let mut transactions_given = 0;
    for count in [0, 1, GROUP / 2 - 1, GROUP / 2, GROUP / 2 + 1, GROUP - 1, GROUP, GROUP + 1, 3_000] {
        let records = Records::random(count);
        let valid = [None, Some(&[4; 32])].map(|sketch_key| check_transactions(gpu, &records, sketch_key));
        assert!(count < GROUP || (count..2 * count).contains(&valid[0]), "{valid:?} of {count}");
        transactions_given += 2 * count as u64;
    }
    let counters = gpu.counters();
    assert_eq!(counters.signatures_gpu - before.signatures_gpu, 2 * transactions_given, "{counters:?}");
    assert_eq!((counters.signatures_cpu, counters.redone()), (before.signatures_cpu, 0), "{counters:?}");
}

#[test]
fn verdicts_with_the_arithmetic_of_the_adapter() {
    let Some(gpu) = ready(options()) else { return };
    check_sizes(&gpu);
    check_ids_and_sketches(&gpu);
    check_transactions_of_all_sizes(&gpu);
    let start = Instant::now();
    let batch = signatures(5_000);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| check_verdicts(&gpu, &batch));
        }
    });
    eprintln!("three callers at once: {:?}; stages since the start: {:?}", start.elapsed(), gpu.times());
}

#[test]
fn verdicts_with_32_bit_arithmetic_and_a_cache_on_disk() {
    let directory = tempfile::tempdir().unwrap();
    let options = GpuOptions {
        force_int32: true,
        batch_max: 700,
        cache_directory: Some(directory.path().to_owned()),
        ..options()
    };
    let Some(gpu) = ready(options.clone()) else { return };
    assert!(gpu.device().unwrap().ends_with("int32"));
    check_sizes(&gpu);
    check_transactions_of_all_sizes(&gpu);
    drop(gpu);
    check_restarts(directory.path(), &options);
}

/// With the file of the first start, and with that file damaged.
fn check_restarts(directory: &Path, options: &GpuOptions) {
    let files: Vec<_> = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    if files.is_empty() {
        eprintln!("SKIPPED: the adapter has no pipeline cache, so the file of compiled programs is NOT TESTED");
        return;
    }
    for damaged in [false, true] {
        if damaged {
            let mut bytes = std::fs::read(&files[0]).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            std::fs::write(&files[0], bytes).unwrap();
        }
        let gpu = ready(options.clone()).expect("the GPU that was there a moment ago");
        check_verdicts(&gpu, &signatures(GROUP + 1));
        assert!(gpu.counters().signatures_gpu > 0);
    }
}

#[test]
fn both_sides_share_a_batch() {
    let Some(gpu) = ready(GpuOptions { share_with_cpu: true, ..options() }) else { return };
    for _ in 0..4 {
        check_verdicts(&gpu, &signatures(6_000));
        check_transactions(&gpu, &Records::random(3_000), Some(&[4; 32]));
    }
    let counters = gpu.counters();
    assert!(counters.signatures_gpu > 0 && counters.signatures_cpu > 0, "{counters:?}");
    assert_eq!(counters.redone(), 0, "{counters:?}");
}

fn check_ids_and_sketches(gpu: &Gpu) {
    let answered = gpu.counters().answered;
    let bytes: Vec<u8> = (0..=255).cycle().take(350 * 1_000).collect();
    for (count, len) in [(0, 0), (1, 350), (GROUP + 1, 0), (1_000, 350), (64, 1_024)] {
        let ends: Vec<u32> = (1..=count).map(|index| (index * len) as u32).collect();
        let messages = Messages::new(&bytes[..count * len], &ends).unwrap();
        assert_eq!(gpu.transaction_ids(&messages), constellation_verify::transaction_ids(&messages), "{count}");
    }
    for count in [0, 1, 64, 1_000] {
        let set: Vec<[u8; 32]> = (0..count).map(|index: u32| *blake3::hash(&index.to_le_bytes()).as_bytes()).collect();
        assert_eq!(gpu.sketch(&[3; 32], &set), constellation_verify::sketch(&[3; 32], &set), "{count} elements");
    }
    assert_eq!(gpu.counters().answered, answered + 8);
}
