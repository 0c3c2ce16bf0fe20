//! Who is measured: our backends, the libraries, and the one library in a process of its own; and each of them set up
//! for one workload on one thread.

use std::time::{Duration, Instant};

use constellation_verify::gpu::{Gpu, GpuOptions, GpuTimeouts};
use constellation_verify::{Backend, Batch, BatchError, Engine, EngineError, EngineOptions};

use crate::libraries::{self, Library};
use crate::reference::{Process, Program, ReferenceError};
use crate::{Case, Workload};

/// The row name that ratios are taken to.
pub const ED25519_SIMD: &str = "ed25519_simd";

/// Signatures in a piece of work for who has no batches: enough to make the clock's cost vanish.
const PIECE: usize = 16;

/// Something that verifies batches in this process.
pub trait Verifier: Send {
    /// Verifies `batch` and returns how many of its signatures are valid.
    fn count_valid(&mut self, batch: &Batch<'_>) -> usize;
}

/// An implementation to measure.
#[derive(Debug)]
pub enum Entrant {
    /// One of our backends. An engine is made once, because some take long to be ready, and shared by the threads.
    Ours {
        /// Its name.
        backend: Backend,
        /// Without a cache of keys.
        new_keys: Engine,
        /// With one.
        known_keys: Engine,
    },
    /// A library in this process.
    Library(Library),
    /// `ed25519-simd`, in a process of its own.
    Ed25519Simd(Program),
}

impl Entrant {
    /// Our backend `backend`.
    ///
    /// # Errors
    /// [`EngineError`] when this machine cannot run it, or its GPU does not get ready.
    pub fn ours(backend: Backend, software_gpu: bool) -> Result<Self, EngineError> {
        let new_keys = engine_for(backend, Case::NewKeys, software_gpu)?;
        let known_keys = engine_for(backend, Case::KnownKeys, software_gpu)?;
        Ok(Self::Ours { backend, new_keys, known_keys })
    }

    /// The libraries that are measured in this process.
    pub fn libraries() -> impl Iterator<Item = Self> {
        libraries::ALL.iter().copied().map(Self::Library)
    }

    /// The name in reports.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Ours { backend, .. } => backend.name(),
            Self::Library(library) => library.name,
            Self::Ed25519Simd(_) => ED25519_SIMD,
        }
    }

    /// The GPU that it verifies on.
    #[must_use]
    pub fn gpu(&self) -> Option<&Gpu> {
        match self {
            Self::Ours { new_keys, .. } => new_keys.gpu(),
            Self::Library(_) | Self::Ed25519Simd(_) => None,
        }
    }

    /// Sets up for `workload`, on one thread.
    ///
    /// # Errors
    /// [`SetUpError`] when the process of `ed25519-simd` does not start.
    pub fn enter<'w>(&self, workload: &'w Workload) -> Result<Contender<'w>, SetUpError> {
        let local = |verifier, piece| Ok(Contender::Local { batches: workload.cut(piece)?, piece, verifier });
        match self {
            Self::Ours { new_keys, known_keys, .. } => {
                let engine = if workload.case() == Case::KnownKeys { known_keys } else { new_keys };
                local(Box::new(engine.clone()), workload.batch_size())
            }
            Self::Library(library) => {
                let piece = if library.has_batches { workload.batch_size() } else { PIECE.min(workload.batch_size()) };
                local((library.verifier)(workload.case()), piece)
            }
            Self::Ed25519Simd(program) => {
                Ok(Contender::Process { process: program.start(workload)?, piece: workload.batch_size() })
            }
        }
    }
}

/// Keys that the engine of [`Case::KnownKeys`] may keep: more than any run has, for the places in a cache fill unevenly.
const KNOWN_KEYS_MAX: usize = 1 << 18;

/// How long a GPU may take to get ready: its driver may have to compile.
const GPU_PATIENCE: Duration = Duration::from_secs(90);

/// The engine that is measured on `case`, which uses one thread: threads get an engine's clone each. A GPU does every batch, however
/// small, and gets time for it.
fn engine_for(backend: Backend, case: Case, software_gpu: bool) -> Result<Engine, EngineError> {
    let known_keys_max = if case == Case::KnownKeys { KNOWN_KEYS_MAX } else { 0 };
    let timeouts = GpuTimeouts { deadline: GPU_PATIENCE, patience: GPU_PATIENCE, ..GpuTimeouts::default() };
    let gpu = GpuOptions { software_gpu, batch_min: 0, timeouts, ..GpuOptions::default() };
    let options = EngineOptions { backend: Some(backend), known_keys_max, gpu, ..EngineOptions::default() };
    let engine = Engine::with_options(&options)?;
    if engine.wait_ready(GPU_PATIENCE) {
        return Ok(engine);
    }
    let cause = engine.gpu().and_then(Gpu::last_fault);
    Err(EngineError::NoGpu { cause: cause.unwrap_or_else(|| format!("it is not ready after {GPU_PATIENCE:?}")) })
}

impl Verifier for Engine {
    fn count_valid(&mut self, batch: &Batch<'_>) -> usize {
        self.verify(batch).count_valid()
    }
}

/// An implementation that is set up for one workload, on one thread.
pub enum Contender<'w> {
    /// In this process.
    Local {
        /// The workload, cut.
        batches: Vec<Batch<'w>>,
        /// Signatures in each of them.
        piece: usize,
        /// What verifies them.
        verifier: Box<dyn Verifier>,
    },
    /// In a process of its own, which has the workload too.
    Process {
        /// The process.
        process: Process,
        /// Signatures in each batch.
        piece: usize,
    },
}

impl Contender<'_> {
    /// Signatures in each piece of work: those of a batch, or fewer for who has no batches.
    #[must_use]
    pub fn piece(&self) -> usize {
        match self {
            Self::Local { piece, .. } | Self::Process { piece, .. } => *piece,
        }
    }

    /// Verifies `pieces` pieces of the workload, from the first on and round again.
    ///
    /// # Errors
    /// [`ReferenceError`] when the process of `ed25519-simd` has died or answers nonsense.
    pub fn pass(&mut self, pieces: usize) -> Result<Pass, ReferenceError> {
        match self {
            Self::Local { batches, verifier, .. } => {
                let start = Instant::now();
                let valid = batches.iter().cycle().take(pieces).map(|batch| verifier.count_valid(batch)).sum();
                Ok(Pass { valid, elapsed: start.elapsed() })
            }
            Self::Process { process, .. } => process.pass(pieces),
        }
    }
}

/// What came of one turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pass {
    /// How many signatures were found valid.
    pub valid: usize,
    /// How long it took.
    pub elapsed: Duration,
}

/// Why an implementation cannot be set up for a workload.
#[derive(Debug, thiserror::Error)]
pub enum SetUpError {
    /// The workload has a batch that is too long.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// The process of `ed25519-simd` does not start.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
}
