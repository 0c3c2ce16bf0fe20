//! The engine: the CPU's backend, and the GPU where there is one, behind one face.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use crate::cpu::{Cpu, Senders};
use crate::gpu::{self, Gpu, GpuOptions};
use crate::transactions::UnderWay;
use crate::{Backend, Batch, EngineError, Messages, SKETCH_BINS, TransactionResults, Transactions, Verdicts};

/// How to verify.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineOptions {
    /// The implementation. `None`: the CPU's fastest, joined by a GPU (but no software one) when there is one and it is ready.
    pub backend: Option<Backend>,
    /// Threads of the CPU that one call may use, the calling one at least.
    pub threads: NonZeroUsize,
    /// About how many decoded public keys to keep, of some 165 bytes each; 0 for none.
    pub known_keys_max: usize,
    /// What the GPU may use and how far it may go. Whether it shares with the CPU is for `backend` to say.
    pub gpu: GpuOptions,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self { backend: None, threads: NonZeroUsize::MIN, known_keys_max: 1 << 16, gpu: GpuOptions::default() }
    }
}

/// A backend that is known to run on this machine. Clones share their memory.
#[derive(Clone)]
pub struct Engine {
    backend: Backend,
    cpu: Arc<Cpu>,
    gpu: Option<Arc<Gpu>>,
}

impl Engine {
    /// An engine on `backend`, with the default options.
    ///
    /// # Errors
    /// As [`with_options`](Self::with_options).
    pub fn new(backend: Backend) -> Result<Self, EngineError> {
        Self::with_options(&EngineOptions { backend: Some(backend), ..EngineOptions::default() })
    }

    /// An engine on the fastest backend of this machine's CPU, with the default options: ready at once, for work that may be
    /// short.
    #[must_use]
    pub fn detect() -> Self {
        Self::new(Backend::detect()).unwrap_or_else(|_| Self::on_cpu(Cpu::portable()))
    }

    /// An engine as `options` ask for. One with a GPU verifies on the CPU until the GPU is ready.
    ///
    /// # Errors
    /// The operator's configuration in every case: [`EngineError::Unsupported`] when this machine cannot run the backend,
    /// [`EngineError::NoGpu`] when it has no GPU, [`EngineError::Threads`] when it gives no more threads.
    pub fn with_options(options: &EngineOptions) -> Result<Self, EngineError> {
        let cpu = |backend| Cpu::new(backend, options.threads.get(), options.known_keys_max);
        match options.backend {
            Some(backend @ (Backend::Portable | Backend::Avx2 | Backend::Avx512)) => Ok(Self::on_cpu(cpu(backend)?)),
            Some(backend @ (Backend::Gpu | Backend::GpuAndCpu)) => {
                gpu::find(options.gpu.software_gpu).map_err(|cause| EngineError::NoGpu { cause })?;
                Ok(Self::with_gpu(backend, cpu(Backend::detect())?, options))
            }
            None if gpu::find(false).is_ok() => {
                Ok(Self::with_gpu(Backend::GpuAndCpu, cpu(Backend::detect())?, options))
            }
            None => Ok(Self::on_cpu(cpu(Backend::detect())?)),
        }
    }

    fn on_cpu(cpu: Cpu) -> Self {
        Self { backend: cpu.backend(), cpu: Arc::new(cpu), gpu: None }
    }

    fn with_gpu(backend: Backend, cpu: Cpu, options: &EngineOptions) -> Self {
        let share_with_cpu = backend == Backend::GpuAndCpu;
        let gpu = shared_gpu(GpuOptions { share_with_cpu, ..options.gpu.clone() });
        Self { backend, cpu: Arc::new(cpu), gpu: Some(gpu) }
    }

    /// The backend in use.
    #[must_use]
    pub fn backend(&self) -> Backend {
        self.backend
    }

    /// The CPU's part in it: the same where there is no GPU.
    #[must_use]
    pub fn cpu_backend(&self) -> Backend {
        self.cpu.backend()
    }

    /// The GPU, to see how it fares.
    #[must_use]
    pub fn gpu(&self) -> Option<&Gpu> {
        self.gpu.as_deref()
    }

    /// Whether everything that the engine is to use takes part, after waiting for that up to `timeout`.
    #[must_use]
    pub fn wait_ready(&self, timeout: Duration) -> bool {
        self.gpu.as_ref().is_none_or(|gpu| gpu.wait_ready(timeout))
    }

    /// Verifies every signature of `batch`, on the calling thread and on what else the options allow, and returns when all
    /// verdicts are there.
    #[must_use]
    pub fn verify(&self, batch: &Batch<'_>) -> Verdicts {
        self.verify_from(Senders::Any, batch)
    }

    /// The same, where `senders` are of one kind: how many signatures of one kind are bad has no say in how those of the others are
    /// grouped, so that a spammer slows down nobody else.
    #[must_use]
    pub fn verify_from(&self, senders: Senders, batch: &Batch<'_>) -> Verdicts {
        match &self.gpu {
            Some(gpu) => gpu.verify(batch, &|part| self.cpu.verify(part, senders)),
            None => self.cpu.verify(batch, senders),
        }
    }

    /// Verifies both signatures of each transaction, of senders of one kind, and makes its id, and the sketch where one is asked for.
    /// The bytes of the records go to a GPU once.
    ///
    /// ```
    /// use constellation_verify::{Engine, HalfFormat, Messages, Senders, TransactionFormat, Transactions};
    ///
    /// let half = |key| HalfFormat { domain: *b"example ", key, signature: key + 32, signed: 192, signed_len_bytes: 8 };
    /// let format = TransactionFormat::new([half(0), half(96)])?;
    /// let records = [[1; 200], [2; 200]].concat();
    /// let transactions = Transactions::new(&format, Messages::new(&records, &[200, 400])?)?;
    /// let results = Engine::detect().verify_transactions(Senders::Any, &transactions.with_sketch(&[3; 32]));
    /// assert_eq!((results.verdicts.len(), results.ids.len()), (4, 2));
    /// assert!(results.sketch.is_some());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn verify_transactions(&self, senders: Senders, transactions: &Transactions<'_>) -> TransactionResults {
        match &self.gpu {
            Some(gpu) => gpu.verify_transactions(transactions, &|part| self.cpu.verify(part, senders)),
            None => {
                let mut under_way = UnderWay::new(*transactions);
                under_way.do_on_cpu(0..transactions.len(), &|part| self.cpu.verify(part, senders));
                under_way.finish()
            }
        }
    }

    /// BLAKE3 of each byte string: the id of a transaction, given its two signed messages laid end to end.
    #[must_use]
    pub fn transaction_ids(&self, messages: &Messages<'_>) -> Vec<[u8; 32]> {
        match &self.gpu {
            Some(gpu) => gpu.transaction_ids(messages),
            None => crate::transaction_ids(messages),
        }
    }

    /// The sketch of the set of `elements` under `key`.
    #[must_use]
    pub fn sketch(&self, key: &[u8; 32], elements: &[[u8; 32]]) -> [u8; SKETCH_BINS] {
        match &self.gpu {
            Some(gpu) => gpu.sketch(key, elements),
            None => crate::sketch(key, elements),
        }
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Engine").field("backend", &self.backend).finish_non_exhaustive()
    }
}

/// The process's GPU for these options: engines share one, as they share the machine. The directory of its compiled programs is that of
/// the first of them.
fn shared_gpu(options: GpuOptions) -> Arc<Gpu> {
    static GPUS: Mutex<Vec<(GpuOptions, Weak<Gpu>)>> = Mutex::new(Vec::new());
    let mut gpus = GPUS.lock().unwrap_or_else(PoisonError::into_inner);
    gpus.retain(|(_, gpu)| gpu.strong_count() > 0);
    let wanted = GpuOptions { cache_directory: None, ..options.clone() };
    let running = gpus.iter().find(|(known, _)| *known == wanted).and_then(|(_, gpu)| gpu.upgrade());
    running.unwrap_or_else(|| {
        let gpu = Arc::new(Gpu::start(options));
        gpus.push((wanted, Arc::downgrade(&gpu)));
        gpu
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_available_can_be_built_and_the_rest_says_why() {
        let available = Backend::available();
        assert_eq!(available[0], Backend::Portable);
        for backend in Backend::CPU {
            match Engine::new(backend) {
                Ok(engine) => assert!(available.contains(&engine.backend())),
                Err(error) => {
                    assert!(!available.contains(&backend));
                    assert!(error.to_string().contains("lacks"), "{error}");
                }
            }
        }
        assert!(available.contains(&Engine::detect().backend()));
    }
}
