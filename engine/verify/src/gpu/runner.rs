//! The GPU as its callers see it: give it work, get the right answer, whatever state the device is in.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, Sender, bounded};

use super::call::{Call, Done, Part};
use super::device::{MakeDevice, StageTimes};
use super::request::MESSAGE_LEN_MAX_BYTES;
use super::shared::{GpuCounters, Shared, average};
use super::wgpu_device::WgpuDevice;
use super::work::{IdsWork, SketchWork, TransactionsWork, VerifyWork, Work};
use super::worker::{Job, Worker};
use crate::sketch::Minima;
use crate::{Batch, Messages, OwnedBatch, SKETCH_BINS, TransactionResults, Transactions, Verdicts};

/// Verifies a batch on the CPU: what the GPU's verdicts must equal, and what stands in for it.
pub type OnCpu<'a> = dyn Fn(&Batch<'_>) -> Verdicts + 'a;

/// Requests that wait for the GPU thread, of all callers.
const QUEUE_LEN: usize = 4;

/// Uploads whose memory is kept for the next ones.
const SPARE_UPLOADS_MAX: usize = 8;

/// A batch of fewer signatures says nothing about the CPU's speed.
const MEASURE_MIN: usize = 64;

/// How long the end of the engine waits for the GPU thread; it may be compiling, which cannot be cut short.
const STOP_PATIENCE: Duration = Duration::from_secs(5);

/// What the GPU backend may use and how far it may go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GpuOptions {
    /// Whether a software adapter will do where there is no other: for tests, as it is slower than the CPU backends.
    pub software_gpu: bool,
    /// Whether the CPU does part of every batch, by measured speed (`gpu+cpu`).
    pub share_with_cpu: bool,
    /// Where compiled programs are kept from one start to the next; `None`: nowhere.
    pub cache_directory: Option<PathBuf>,
    /// Signatures in one request at most. Calibration finds the best number up to this one.
    pub batch_max: usize,
    /// Smaller batches are the CPU's: it has them done before a device could start.
    pub batch_min: usize,
    /// Use 32-bit arithmetic even where the adapter has 64-bit integers.
    pub force_int32: bool,
    /// How long is too long.
    pub timeouts: GpuTimeouts,
}

impl Default for GpuOptions {
    fn default() -> Self {
        Self {
            software_gpu: false,
            share_with_cpu: false,
            cache_directory: None,
            batch_max: 131_072,
            batch_min: 256,
            force_int32: false,
            timeouts: GpuTimeouts::default(),
        }
    }
}

/// How long is too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GpuTimeouts {
    /// From a request's submission to its result; after that the CPU does it.
    pub deadline: Duration,
    /// How long a caller waits for the GPU thread, which keeps the deadlines itself unless a driver call hangs.
    pub patience: Duration,
    /// From the first fault to the next attempt; doubled with each fault that follows.
    pub back_off_first: Duration,
    /// Where the doubling ends.
    pub back_off_max: Duration,
}

impl Default for GpuTimeouts {
    fn default() -> Self {
        Self {
            deadline: Duration::from_millis(500),
            patience: Duration::from_millis(1500),
            back_off_first: Duration::from_secs(1),
            back_off_max: Duration::from_secs(300),
        }
    }
}

/// The GPU of this machine, with the CPU standing by.
pub struct Gpu {
    pub(super) shared: Arc<Shared>,
    pub(super) options: GpuOptions,
    /// `None` only while the engine ends.
    pub(super) jobs: Option<Sender<Job>>,
    /// Closed when the GPU thread has ended.
    ended: Receiver<()>,
    spare: Mutex<Vec<Vec<u32>>>,
}

impl fmt::Debug for Gpu {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Gpu").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Gpu {
    /// Returns at once. A thread makes the device, compiles the programs and tests them; until it has taken the GPU in,
    /// and whenever it gives it up, the CPU does the work.
    #[must_use]
    pub fn start(options: GpuOptions) -> Self {
        let (software_gpu, force_int32) = (options.software_gpu, options.force_int32);
        let cache_directory = options.cache_directory.clone();
        let make: MakeDevice = Box::new(move || {
            let device = WgpuDevice::new(software_gpu, force_int32, cache_directory.as_deref())?;
            Ok(Box::new(device))
        });
        Self::start_with(make, options)
    }

    /// The same on any device.
    pub(super) fn start_with(make: MakeDevice, options: GpuOptions) -> Self {
        let (jobs, queue) = bounded(QUEUE_LEN);
        let (end, ended) = bounded(0);
        let shared = Arc::new(Shared::default());
        let worker = Worker { make, jobs: queue, shared: Arc::clone(&shared), options: options.clone() };
        let run = move || {
            worker.run();
            drop(end);
        };
        if let Err(error) = thread::Builder::new().name("gpu".to_owned()).spawn(run) {
            tracing::warn!(%error, "there is no thread for the GPU and the CPU verifies; raise the limit of threads");
        }
        Self { shared, options, jobs: Some(jobs), ended, spare: Mutex::default() }
    }

    /// Verifies every signature of `batch`, with `cpu` for what is not the GPU's. Any number of threads may call at once.
    #[must_use]
    pub fn verify(&self, batch: &Batch<'_>, cpu: &OnCpu<'_>) -> Verdicts {
        if batch.messages().iter().all(|message| message.len() <= MESSAGE_LEN_MAX_BYTES) {
            self.verify_work(VerifyWork::new(batch, cpu)).verdicts
        } else {
            self.verify_apart(batch, cpu)
        }
    }

    /// BLAKE3 of each byte string, as [`transaction_ids`](crate::transaction_ids).
    #[must_use]
    pub fn transaction_ids(&self, messages: &Messages<'_>) -> Vec<[u8; 32]> {
        let request_len = self.shared.request_len();
        match IdsWork::new(*messages) {
            Some(work) if request_len > 0 => Call::new(self, work, request_len).run().work.ids,
            _ => crate::transaction_ids(messages),
        }
    }

    /// The sketch of the set of `elements` under `key`, as [`sketch`](crate::sketch).
    #[must_use]
    pub fn sketch(&self, key: &[u8; 32], elements: &[[u8; 32]]) -> [u8; SKETCH_BINS] {
        let request_len = self.shared.request_len();
        if request_len < elements.len() {
            return crate::sketch(key, elements);
        }
        let work = SketchWork { key, elements, minima: Minima::NONE };
        Call::new(self, work, request_len).run().work.minima.bytes()
    }

    /// Verdicts, ids and the sketch of whole transactions, whose bytes go up once, with `cpu` for the signatures that are not the GPU's.
    #[must_use]
    pub fn verify_transactions(&self, transactions: &Transactions<'_>, cpu: &OnCpu<'_>) -> TransactionResults {
        self.verify_work(TransactionsWork::new(transactions, cpu)).under_way.finish()
    }

    /// Whether the GPU takes part, after waiting for that up to `timeout`.
    #[must_use]
    pub fn wait_ready(&self, timeout: Duration) -> bool {
        self.shared.wait_open(Instant::now() + timeout)
    }

    /// Adapter, driver and arithmetic, for people; `None` until a GPU has been taken in.
    #[must_use]
    pub fn device(&self) -> Option<String> {
        self.shared.device()
    }

    /// Why the GPU was given up the last time, or was not taken in; `None` while nothing was wrong with it.
    #[must_use]
    pub fn last_fault(&self) -> Option<String> {
        self.shared.last_fault()
    }

    /// Signatures in one request, as calibration found it; 0 while the GPU takes no part.
    #[must_use]
    pub fn request_len(&self) -> usize {
        self.shared.request_len()
    }

    /// What was done so far, and by whom.
    #[must_use]
    pub fn counters(&self) -> GpuCounters {
        self.shared.counters()
    }

    /// Where the device's time went so far, all requests together; zero where the adapter has no timestamps.
    #[must_use]
    pub fn times(&self) -> StageTimes {
        self.shared.times()
    }

    /// Work with signatures, none of whose messages is too long for the device.
    fn verify_work<W: Work>(&self, work: W) -> W {
        let request_len = self.shared.request_len();
        let signatures = work.len() * W::SIGNATURES_PER_ITEM;
        let is_small = signatures < self.options.batch_min;
        let is_slower = self.options.share_with_cpu && self.shared.speeds().gpu_share(signatures) == Some(0);
        if request_len == 0 || is_small || is_slower {
            return self.verify_on_cpu(work);
        }
        let call = Call::new(self, work, request_len);
        let call = if self.options.share_with_cpu { call.share_with_cpu() } else { call };
        let done = call.run();
        self.note(&done);
        done.work
    }

    /// A batch with long messages: those are the CPU's.
    fn verify_apart(&self, batch: &Batch<'_>, cpu: &OnCpu<'_>) -> Verdicts {
        let mut verdicts = Verdicts::none_valid(batch.len());
        for is_long in [false, true] {
            let (part, indices) = select(batch, |message| (message.len() > MESSAGE_LEN_MAX_BYTES) == is_long);
            let part = part.as_batch();
            let work = VerifyWork::new(&part, cpu);
            let done = if is_long { self.verify_on_cpu(work) } else { self.verify_work(work) };
            for (valid, index) in done.verdicts.iter().zip(indices) {
                if valid {
                    verdicts.set_valid(index);
                }
            }
        }
        verdicts
    }

    fn verify_on_cpu<W: Work>(&self, mut work: W) -> W {
        let start = Instant::now();
        work.do_on_cpu(0..work.len());
        let cpu = Part { items: work.len(), time: start.elapsed() };
        let done = Done { work, gpu: Part::default(), cpu };
        self.note(&done);
        done.work
    }

    /// Counts what each side did and takes it into their measured speeds.
    fn note<W: Work>(&self, done: &Done<W>) {
        let [gpu, cpu] = [done.gpu, done.cpu].map(|part| part.items * W::SIGNATURES_PER_ITEM);
        self.shared.count(|counters| {
            counters.signatures_gpu += gpu as u64;
            counters.signatures_cpu += cpu as u64;
        });
        self.shared.measure(|speeds| {
            for (speed, signatures, part) in [(&mut speeds.gpu, gpu, done.gpu), (&mut speeds.cpu, cpu, done.cpu)] {
                if signatures >= MEASURE_MIN {
                    average(speed, signatures, part.time);
                }
            }
        });
    }

    /// Memory for an upload.
    pub(super) fn spare_words(&self) -> Vec<u32> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    pub(super) fn keep_spare(&self, words: Vec<u32>) {
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        if spare.len() < SPARE_UPLOADS_MAX {
            spare.push(words);
        }
    }
}

impl Drop for Gpu {
    fn drop(&mut self) {
        // The thread ends when nobody can hand it anything more.
        self.jobs = None;
        if self.ended.recv_timeout(STOP_PATIENCE) == Err(crossbeam::channel::RecvTimeoutError::Timeout) {
            tracing::warn!("the GPU thread is still inside its driver and is left behind");
        }
    }
}

/// The signatures whose message passes, and where they were.
fn select(batch: &Batch<'_>, passes: impl Fn(&[u8]) -> bool) -> (OwnedBatch, Vec<usize>) {
    let mut part = OwnedBatch::new();
    let mut indices = Vec::new();
    for (index, message) in batch.messages().iter().enumerate().filter(|(_, message)| passes(message)) {
        // Never refused: a part of a batch is no longer than the batch.
        if part.push(&batch.public_keys()[index], &batch.signatures()[index], &[message]).is_ok() {
            indices.push(index);
        }
    }
    (part, indices)
}
