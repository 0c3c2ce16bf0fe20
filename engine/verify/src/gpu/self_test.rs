//! What a device must show before its verdicts count: known answers, and the refusal of a result that is not its own.
//! Then the batch size that serves it best.

use std::time::{Duration, Instant};

use constellation_shaders::layout::PackError;

use super::device::{Device, DeviceError};
use super::request::{Answer, Request};
use crate::known_answers::{KnownTransactions, known_answers};
use crate::sketch::Minima;
use crate::transactions::UnderWay;
use crate::{Messages, OwnedBatch, portable};

/// Signatures of the self-test: some workgroups, the last one not full.
const SIGNATURES: usize = 300;

/// Every this many signatures one is spoilt.
const SPOIL_EVERY: usize = 3;

/// The smallest batch that calibration tries.
const CALIBRATION_MIN: usize = 1_024;

/// Calibration stops growing the batch where doubling it wins less than one part in this many.
const LEAST_GAIN: f64 = 1.0 / 16.0;

/// Why a device is not taken in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum SelfTestError {
    #[error(transparent)]
    Device(#[from] DeviceError),
    #[error(transparent)]
    Pack(#[from] PackError),
    #[error("it did not answer within {0:?}")]
    Late(Duration),
    #[error("it gave a wrong answer: {0}")]
    Wrong(&'static str),
}

/// What calibration found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Calibration {
    /// The smallest batch that comes close to the best speed.
    pub(super) batch: usize,
    pub(super) signatures_per_s: f64,
    /// What a request takes beyond its signatures at that speed.
    pub(super) latency: Duration,
}

/// Asks `device` what is known and compares, each request within `patience`.
pub(super) fn check(device: &mut dyn Device, patience: Duration) -> Result<(), SelfTestError> {
    let (batch, expected) = known_signatures(SIGNATURES.min(device.items_max()));
    let batch = batch.as_batch();
    let request = Request::verify(&batch, 0..batch.len(), Vec::new())?;
    let words = ask(device, &request, patience)?;
    match request.answer(&words) {
        Ok(Answer::Verdicts(verdicts)) if verdicts == expected => {}
        Ok(_) => return Err(SelfTestError::Wrong("a known signature got the wrong verdict")),
        Err(_) => return Err(SelfTestError::Wrong("the result carries other marks than its request")),
    }
    if Request::verify(&batch, 0..batch.len(), Vec::new())?.answer(&words).is_ok() {
        return Err(SelfTestError::Wrong("the result of one request passes for that of another"));
    }
    check_hashes(device, patience)?;
    check_transactions(device, patience)
}

/// Ids and a sketch, against the CPU's.
fn check_hashes(device: &mut dyn Device, patience: Duration) -> Result<(), SelfTestError> {
    let bytes: Vec<u8> = (0..=255).cycle().take(1_000).collect();
    let ends = [0, 1, 64, 65, 415, 1_000];
    let Ok(messages) = Messages::new(&bytes, &ends) else { return Ok(()) };
    let request = Request::ids(&messages, 0..messages.len(), Vec::new())?;
    let words = ask(device, &request, patience)?;
    if !matches!(request.answer(&words), Ok(Answer::Ids(ids)) if ids == crate::transaction_ids(&messages)) {
        return Err(SelfTestError::Wrong("a transaction id"));
    }
    let count = SIGNATURES.min(device.items_max());
    let elements: Vec<[u8; 32]> = (0..count).map(|index| *blake3::hash(&index.to_le_bytes()).as_bytes()).collect();
    let key = [7; 32];
    let request = Request::sketch(&key, &elements, Vec::new())?;
    let words = ask(device, &request, patience)?;
    match request.answer(&words) {
        Ok(Answer::Sketch(minima)) if *minima == Minima::of(&key, &elements) => Ok(()),
        _ => Err(SelfTestError::Wrong("a sketch")),
    }
}

/// Whole transactions, against the CPU's.
fn check_transactions(device: &mut dyn Device, patience: Duration) -> Result<(), SelfTestError> {
    let known = KnownTransactions::new(SIGNATURES.min(device.items_max()) / 2);
    let transactions = known.transactions().with_sketch(&[7; 32]);
    let all = 0..transactions.len();
    let request = Request::transactions(&transactions, all.clone(), Vec::new())?;
    let words = ask(device, &request, patience)?;
    let [mut found, mut expected] = [UnderWay::new(transactions), UnderWay::new(transactions)];
    if let Ok(Answer::Transactions { verdicts, ids, minima }) = request.answer(&words) {
        found.accept(all.clone(), &verdicts, &ids, &minima);
    }
    expected.do_on_cpu(all, &portable::verify);
    if found.finish() != expected.finish() {
        return Err(SelfTestError::Wrong("a transaction"));
    }
    Ok(())
}

/// Doubles the batch while that pays, up to `batch_max` and to batches that take `longest`.
pub(super) fn calibrate(
    device: &mut dyn Device,
    batch_max: usize,
    longest: Duration,
    patience: Duration,
) -> Result<Calibration, SelfTestError> {
    let batch_max = batch_max.min(device.items_max()).max(1);
    let (known, verdicts) = known_answers(SIGNATURES, SPOIL_EVERY);
    let mut batch = OwnedBatch::new();
    let mut best: Option<Calibration> = None;
    let mut smallest: Option<(usize, Duration)> = None;
    let mut size = CALIBRATION_MIN.min(batch_max);
    loop {
        repeat(&known, &mut batch, size);
        let request = Request::verify(&batch.as_batch(), 0..size, Vec::new())?;
        // Once to make the buffers of this size, once for the clock.
        let mut elapsed = Duration::ZERO;
        for _ in 0..2 {
            let start = Instant::now();
            let words = ask(device, &request, patience)?;
            elapsed = start.elapsed();
            let expected = words_of(verdicts.iter().copied().cycle().take(size));
            match request.answer(&words) {
                Ok(Answer::Verdicts(answer)) if answer == expected => {}
                _ => return Err(SelfTestError::Wrong("a known signature of a large batch got the wrong verdict")),
            }
        }
        let (least, shortest) = *smallest.get_or_insert((size, elapsed));
        let signatures_per_s = size as f64 / elapsed.as_secs_f64().max(1e-9);
        let latency = shortest.saturating_sub(Duration::from_secs_f64(least as f64 / signatures_per_s));
        let found = Calibration { batch: size, signatures_per_s, latency };
        let gains = best.is_none_or(|best| found.signatures_per_s > best.signatures_per_s * (1.0 + LEAST_GAIN));
        if gains {
            best = Some(found);
        }
        if !gains || size == batch_max || elapsed >= longest {
            return Ok(best.unwrap_or(found));
        }
        size = (2 * size).min(batch_max);
    }
}

fn ask(device: &mut dyn Device, request: &Request, patience: Duration) -> Result<Vec<u32>, SelfTestError> {
    let ticket = device.submit(request)?;
    let response = device.wait(ticket, Instant::now() + patience)?;
    response.map(|response| response.words).ok_or(SelfTestError::Late(patience))
}

fn repeat(known: &OwnedBatch, batch: &mut OwnedBatch, size: usize) {
    let known = known.as_batch();
    for index in batch.len()..size {
        let index = index % known.len();
        // Far below the 4 GiB at which a batch refuses more.
        if batch.push(&known.public_keys()[index], &known.signatures()[index], &[known.messages().at(index)]).is_err() {
            return;
        }
    }
}

/// Signatures, and the verdict that each was made to have as a bit of 32-bit words.
pub(super) fn known_signatures(count: usize) -> (OwnedBatch, Vec<u32>) {
    let (batch, verdicts) = known_answers(count, SPOIL_EVERY);
    (batch, words_of(verdicts.into_iter()))
}

/// Verdicts as bits of 32-bit words.
fn words_of(verdicts: impl Iterator<Item = bool>) -> Vec<u32> {
    let mut words = Vec::new();
    for (index, valid) in verdicts.enumerate() {
        if index.is_multiple_of(32) {
            words.push(0);
        }
        words[index / 32] |= u32::from(valid) << (index % 32);
    }
    words
}
