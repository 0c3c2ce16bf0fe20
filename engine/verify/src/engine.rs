//! The engine: one backend, its threads and its memory of known keys, behind one face.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use rayon::prelude::*;

use crate::suspicion::Suspicion;
use crate::{Backend, Batch, EngineError, Verdicts, portable, self_test};
#[cfg(target_arch = "x86_64")]
use crate::{avx512::Avx512, lanes::Verifier};

/// The most signatures that are verified together: past this a combination gains nothing, and memory grows.
const PART_LEN_MAX: usize = 1 << 16;

/// The fewest signatures worth another thread.
const PART_LEN_MIN: usize = 256;

/// Verdicts come in words of 64: parts of a batch are cut at words.
const WORD_BITS: usize = 64;

/// How to verify.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineOptions {
    /// The implementation; `None` for the fastest one of this machine.
    pub backend: Option<Backend>,
    /// Threads of the CPU that one call may use, the calling one at least.
    pub threads: NonZeroUsize,
    /// About how many decoded public keys to keep, of some 190 bytes each; 0 for none.
    pub known_keys_max: usize,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self { backend: None, threads: NonZeroUsize::MIN, known_keys_max: 1 << 16 }
    }
}

/// A backend that is known to run on this machine. Clones share their memory.
#[derive(Clone)]
pub struct Engine {
    shared: Arc<Shared>,
}

struct Shared {
    backend: Backend,
    cpu: Cpu,
    pool: Option<rayon::ThreadPool>,
    /// Of senders in general, and of those under suspicion.
    suspicions: [Suspicion; 2],
}

/// The CPU's implementations.
enum Cpu {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx512(Box<Verifier<Avx512>>),
}

impl Cpu {
    /// `None` where this machine cannot run `backend`.
    fn new(backend: Backend, known_keys_max: usize) -> Option<Self> {
        match backend {
            Backend::Portable => Some(Self::Portable),
            #[cfg(target_arch = "x86_64")]
            Backend::Avx512 => {
                let vector = Avx512::detect()?;
                Some(Self::Avx512(Box::new(Verifier::new(vector, known_keys_max))))
            }
            #[cfg(not(target_arch = "x86_64"))]
            Backend::Avx512 => None,
        }
    }

    fn verify(&self, batch: &Batch<'_>, suspicion: &Suspicion) -> Verdicts {
        match self {
            Self::Portable => portable::verify(batch),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(verifier) => verifier.verify(batch, suspicion),
        }
    }
}

impl Engine {
    /// An engine on `backend`, with the default options.
    ///
    /// # Errors
    /// As [`with_options`](Self::with_options).
    pub fn new(backend: Backend) -> Result<Self, EngineError> {
        Self::with_options(&EngineOptions { backend: Some(backend), ..EngineOptions::default() })
    }

    /// An engine on the fastest backend of this machine, with the default options.
    #[must_use]
    pub fn detect() -> Self {
        let portable = || Self::on(Backend::Portable, Cpu::Portable, None);
        Self::with_options(&EngineOptions::default()).unwrap_or_else(|_| portable())
    }

    /// An engine as `options` ask for.
    ///
    /// # Errors
    /// The operator's configuration in every case: [`EngineError::Unsupported`] when this machine cannot run the backend,
    /// [`EngineError::Threads`] when it gives no more threads.
    pub fn with_options(options: &EngineOptions) -> Result<Self, EngineError> {
        let backend = options.backend.unwrap_or_else(Backend::detect);
        let cpu = Cpu::new(backend, options.known_keys_max)
            .ok_or_else(|| EngineError::Unsupported { backend, missing: backend.missing() })?;
        let threads = options.threads.get();
        let pool = match threads {
            1 => None,
            _ => Some(
                rayon::ThreadPoolBuilder::new()
                    .num_threads(threads)
                    .thread_name(|number| format!("verify-{number}"))
                    .build()
                    .map_err(|error| EngineError::Threads { threads, cause: error.to_string() })?,
            ),
        };
        Ok(Self::on(backend, cpu, pool))
    }

    fn on(backend: Backend, cpu: Cpu, pool: Option<rayon::ThreadPool>) -> Self {
        Self { shared: Arc::new(Shared { backend, cpu, pool, suspicions: Default::default() }) }
    }

    /// The backend in use.
    #[must_use]
    pub fn backend(&self) -> Backend {
        self.shared.backend
    }

    /// Verifies every signature of `batch`, on the calling thread and on those that the options allow, and returns when all
    /// verdicts are there.
    #[must_use]
    pub fn verify(&self, batch: &Batch<'_>) -> Verdicts {
        self.verify_under(&self.shared.suspicions[0], batch)
    }

    /// The same for signatures of senders that sent bad ones of late: how many of theirs are bad has no say in how those of
    /// others are grouped, so that a spammer slows down nobody else.
    #[must_use]
    pub fn verify_suspect(&self, batch: &Batch<'_>) -> Verdicts {
        self.verify_under(&self.shared.suspicions[1], batch)
    }

    fn verify_under(&self, suspicion: &Suspicion, batch: &Batch<'_>) -> Verdicts {
        let Shared { cpu, pool, .. } = &*self.shared;
        let threads = pool.as_ref().map_or(1, rayon::ThreadPool::current_num_threads);
        let part_len = part_len(batch.len(), threads);
        if batch.len() <= part_len {
            return cpu.verify(batch, suspicion);
        }
        let parts: Vec<_> = (0..batch.len())
            .step_by(part_len)
            .map(|start| batch.part(start..batch.len().min(start + part_len)))
            .collect();
        Verdicts::join(match pool {
            None => parts.iter().map(|part| cpu.verify(part, suspicion)).collect(),
            Some(pool) => pool.install(|| parts.par_iter().map(|part| cpu.verify(part, suspicion)).collect::<Vec<_>>()),
        })
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Engine").field("backend", &self.shared.backend).finish_non_exhaustive()
    }
}

/// How many signatures each thread takes at a time.
fn part_len(batch_len: usize, threads: usize) -> usize {
    let share = batch_len.div_ceil(threads).next_multiple_of(WORD_BITS);
    share.clamp(PART_LEN_MIN, PART_LEN_MAX)
}

/// The fastest of this machine's CPU backends that gives the right answers to `known_answers`; measured once.
pub(crate) fn fastest() -> Backend {
    static FASTEST: OnceLock<Backend> = OnceLock::new();
    /// The best of so many runs counts.
    const RUNS: usize = 3;
    *FASTEST.get_or_init(|| {
        let (batch, expected) = self_test::known_answers();
        let time = |cpu: &Cpu| {
            let run = || {
                let start = Instant::now();
                let is_right = cpu.verify(&batch.as_batch(), &Suspicion::default()).iter().eq(expected.iter().copied());
                is_right.then(|| start.elapsed())
            };
            (0..RUNS).map(|_| run()).min().flatten()
        };
        let timed = Backend::available().into_iter().filter_map(|backend| {
            let time: Duration = time(&Cpu::new(backend, 0)?)?;
            Some((time, backend))
        });
        timed.min_by_key(|(time, _)| *time).map_or(Backend::Portable, |(_, backend)| backend)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_available_can_be_built_and_the_rest_says_why() {
        let available = Backend::available();
        assert_eq!(available[0], Backend::Portable);
        for backend in Backend::ALL {
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

    #[test]
    fn parts_are_whole_words_and_no_larger_than_allowed() {
        for threads in 1..9 {
            for batch_len in [0, 1, 255, 256, 257, 4096, 5000, 1 << 20] {
                let len = part_len(batch_len, threads);
                assert!(len.is_multiple_of(WORD_BITS) && (PART_LEN_MIN..=PART_LEN_MAX).contains(&len), "{len}");
            }
        }
    }

    #[test]
    fn threads_change_no_verdict() {
        let (batch, expected) = self_test::known_answers();
        let mut many = crate::OwnedBatch::new();
        for round in 0..7 {
            let batch = batch.as_batch();
            for index in round..batch.len() {
                let message = batch.messages().get(index).unwrap();
                many.push(&batch.public_keys()[index], &batch.signatures()[index], &[message]).unwrap();
            }
        }
        let expected: Vec<bool> = (0..7).flat_map(|round| expected[round..].to_vec()).collect();
        for threads in [1, 2, 3] {
            let threads = NonZeroUsize::new(threads).unwrap();
            let engine = Engine::with_options(&EngineOptions { threads, ..EngineOptions::default() }).unwrap();
            assert!(engine.verify(&many.as_batch()).iter().eq(expected.iter().copied()), "{threads} threads");
        }
    }
}
