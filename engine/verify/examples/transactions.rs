//! What one upload of whole transactions saves a GPU, software ones too, over three calls that pack signatures, ids and
//! accounts apart: `cargo run --release -p constellation-verify --example transactions [COUNT] [ROUNDS] [int32]`. Both ways
//! in turns, from records to results; medians. Processor time counts what a software adapter computes too.

use std::error::Error;
use std::time::{Duration, Instant};

use constellation_verify::gpu::{Gpu, GpuOptions, GpuTimeouts};
use constellation_verify::{
    Backend, Batch, Engine, HalfFormat, Messages, OwnedBatch, TransactionFormat, TransactionResults, Transactions,
};
use ed25519_dalek::{Signer, SigningKey};

/// Bytes of a record, without a payload.
const RECORD: usize = 328;
const KEYS: [usize; 2] = [24, 56];
const SIGNATURES: [usize; 2] = [160, 264];
const DOMAINS: [&[u8; 8]; 2] = [b"cst.init", b"cst.coun"];
const SKETCH_KEY: [u8; 32] = [1; 32];

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let number = |at: usize, default| arguments.get(at).map_or(Ok(default), |argument| argument.parse::<usize>());
    let (count, rounds) = (number(0, 16_384)?, number(1, 9)?);
    let timeouts = GpuTimeouts { deadline: Duration::from_secs(60), ..GpuTimeouts::default() };
    let force_int32 = arguments.get(2).is_some_and(|argument| argument == "int32");
    let options = GpuOptions { software_gpu: true, force_int32, batch_min: 0, timeouts, ..GpuOptions::default() };
    let gpu = Gpu::start(options);
    if !gpu.wait_ready(Duration::from_secs(120)) {
        return Err(gpu.last_fault().unwrap_or_else(|| "the GPU is not ready".to_owned()).into());
    }
    println!("{}, {} signatures a request", gpu.device().unwrap_or_default(), gpu.request_len());

    let records = records(count);
    let ends: Vec<u32> = (1..=count).map(|index| u32::try_from(index * RECORD)).collect::<Result<_, _>>()?;
    let engine = Engine::new(Backend::Portable)?;
    let on_cpu = |batch: &Batch<'_>| engine.verify(batch);
    let ways = [("three calls", false), ("one call", true)];
    let mut times_us = [const { Vec::new() }; 2];
    let mut processor_us = [const { Vec::new() }; 2];
    for round in 0..rounds {
        for (way, &(name, is_one)) in ways.iter().enumerate() {
            let before = gpu.counters();
            let (processor_start, start) = (processor_ticks(), Instant::now());
            let results = if is_one {
                let format = format()?;
                let transactions = Transactions::new(&format, Messages::new(&records, &ends)?)?;
                gpu.verify_transactions(&transactions.with_sketch(&SKETCH_KEY), &on_cpu)
            } else {
                apart(&gpu, &records, &on_cpu)?
            };
            times_us[way].push(start.elapsed().as_secs_f64() * 1e6 / count as f64);
            processor_us[way].push((processor_ticks() - processor_start) as f64 / TICKS_PER_US / count as f64);
            if !results.verdicts.all() || gpu.counters().redone() > 0 {
                return Err(format!("{name}: the GPU did not do its part: {:?}", gpu.counters()).into());
            }
            if round == 0 {
                let (after, per) = (gpu.counters(), |bytes: u64| bytes as f64 / count as f64);
                let up = per(after.uploaded_bytes - before.uploaded_bytes);
                let down = per(after.downloaded_bytes - before.downloaded_bytes);
                let requests = after.requests - before.requests;
                println!("{name}: {requests} requests, bytes a transaction: {up:.1} up, {down:.1} down");
            }
        }
    }
    for (way, (name, _)) in ways.into_iter().enumerate() {
        let [time_us, processor_us] = [&mut times_us[way], &mut processor_us[way]].map(|values| median(values));
        println!("{name}: {:.0} transactions a second; {processor_us:.2} us of processor time each", 1e6 / time_us);
    }
    Ok(())
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Linux counts processor time in hundredths of a second.
const TICKS_PER_US: f64 = 1e-4;

/// Processor time of all threads; 0 where it cannot be had.
fn processor_ticks() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // After the name, which is in parentheses: user time and system time are fields 12 and 13.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum()
}

fn format() -> Result<TransactionFormat, Box<dyn Error>> {
    let [first, second] = [(0, 0, 160), (1, 224, 40)].map(|(half, signed, signed_len_bytes)| HalfFormat {
        domain: *DOMAINS[half],
        key: KEYS[half] as u32,
        signature: SIGNATURES[half] as u32,
        signed,
        signed_len_bytes,
    });
    Ok(TransactionFormat::new([first, second])?)
}

fn messages(record: &[u8]) -> [Vec<u8>; 2] {
    let first = [&DOMAINS[0][..], &record[..160]].concat();
    let second = [&DOMAINS[1][..], blake3::hash(&first).as_bytes(), &record[224..264]].concat();
    [first, second]
}

/// `count` signed records.
fn records(count: usize) -> Vec<u8> {
    let keys: Vec<_> = (0..=255).map(|seed| SigningKey::from_bytes(&[seed; 32])).collect();
    let mut records = vec![0; count * RECORD];
    for (index, record) in records.chunks_exact_mut(RECORD).enumerate() {
        let parties = [&keys[index % 255], &keys[255]];
        record[16..24].copy_from_slice(&index.to_le_bytes());
        for half in 0..2 {
            record[KEYS[half]..][..32].copy_from_slice(parties[half].verifying_key().as_bytes());
        }
        for half in 0..2 {
            let signature = parties[half].sign(&messages(record)[half]);
            record[SIGNATURES[half]..][..64].copy_from_slice(&signature.to_bytes());
        }
    }
    records
}

/// Everything packed on the host, in three calls.
fn apart(
    gpu: &Gpu,
    records: &[u8],
    on_cpu: &dyn Fn(&Batch<'_>) -> constellation_verify::Verdicts,
) -> Result<TransactionResults, Box<dyn Error>> {
    let (mut batch, mut accounts) = (OwnedBatch::new(), Vec::new());
    let (mut bytes, mut ends) = (Vec::new(), Vec::new());
    for record in records.chunks_exact(RECORD) {
        let messages = messages(record);
        for half in 0..2 {
            let key: [u8; 32] = record[KEYS[half]..][..32].try_into()?;
            batch.push(&key, record[SIGNATURES[half]..][..64].try_into()?, &[&messages[half]])?;
            accounts.push(key);
            bytes.extend_from_slice(&messages[half]);
        }
        ends.push(u32::try_from(bytes.len())?);
    }
    accounts.sort_unstable();
    accounts.dedup();
    Ok(TransactionResults {
        verdicts: gpu.verify(&batch.as_batch(), on_cpu),
        ids: gpu.transaction_ids(&Messages::new(&bytes, &ends)?),
        sketch: Some(gpu.sketch(&SKETCH_KEY, &accounts)),
    })
}
