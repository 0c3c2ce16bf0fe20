//! The CPU's side of the engine: one of its backends, on one thread or several.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::known_answers::known_answers;
use crate::suspicion::Suspicion;
use crate::threads::Threads;
use crate::{Backend, Batch, EngineError, Verdicts, portable};
#[cfg(target_arch = "x86_64")]
use crate::{avx2::Avx2, avx512::Avx512, lanes::Verifier};

/// The most signatures that are verified together: past this a combination gains nothing, and memory grows.
const PART_LEN_MAX: usize = 1 << 16;

/// From so many signatures for each thread, threads have parts of their own: a smaller combination costs more a signature, but up here
/// less than threads lose by reading what the others wrote.
const SHARE_MIN: usize = 4096;

/// The fewest signatures worth waking other threads for.
const SHARED_MIN: usize = 256;

/// What the portable backend verifies in one part: it has no use for more.
const PORTABLE_PART_LEN: usize = 256;

/// Verdicts come in words of 64: parts of a batch are cut at words.
const WORD_BITS: usize = 64;

/// One of the CPU's backends, and the threads it may use.
pub(crate) struct Cpu {
    backend: Backend,
    implementation: Implementation,
    pool: Option<rayon::ThreadPool>,
    /// One of each kind of senders.
    suspicions: [Suspicion; 3],
}

/// Whose signatures a batch holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Senders {
    /// Anybody's.
    Any,
    /// Those of senders that sent bad ones of late.
    Suspect,
    /// What was proposed to a committee, by members that may not have verified it.
    Proposers,
}

enum Implementation {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2(Box<Verifier<Avx2>>),
    #[cfg(target_arch = "x86_64")]
    Avx512(Box<Verifier<Avx512>>),
}

impl Implementation {
    /// `None` where this machine cannot run `backend`, or it is none of the CPU's.
    fn new(backend: Backend, known_keys_max: usize) -> Option<Self> {
        match backend {
            Backend::Portable => Some(Self::Portable),
            #[cfg(target_arch = "x86_64")]
            Backend::Avx2 => Some(Self::Avx2(Box::new(Verifier::new(Avx2::detect()?, known_keys_max)))),
            #[cfg(target_arch = "x86_64")]
            Backend::Avx512 => Some(Self::Avx512(Box::new(Verifier::new(Avx512::detect()?, known_keys_max)))),
            #[cfg(not(target_arch = "x86_64"))]
            Backend::Avx2 | Backend::Avx512 => None,
            Backend::Gpu | Backend::GpuAndCpu => None,
        }
    }

    /// Threads have parts of their own, or share one: help each other in any case. Rounds bound how many parts are under way.
    fn verify_in_parts(&self, threads: Threads, batch: &Batch<'_>, suspicion: &Suspicion) -> Verdicts {
        let count = threads.count();
        Verdicts::join(parts(batch, count * PART_LEN_MAX).map(|round| {
            let len = match self {
                Self::Portable => PORTABLE_PART_LEN,
                _ => part_len(round.len(), count),
            };
            let mut verdicts = vec![Verdicts::none_valid(0); round.len().div_ceil(len)];
            let parts = parts(&round, len).zip(&mut verdicts);
            threads.for_each(parts, |(part, verdicts)| *verdicts = self.verify(threads, &part, suspicion));
            Verdicts::join(verdicts)
        }))
    }

    fn verify(&self, threads: Threads, batch: &Batch<'_>, suspicion: &Suspicion) -> Verdicts {
        match self {
            Self::Portable => portable::verify(batch),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(verifier) => verifier.verify(threads, batch, suspicion),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(verifier) => verifier.verify(threads, batch, suspicion),
        }
    }
}

impl Cpu {
    pub(crate) fn new(backend: Backend, threads: usize, known_keys_max: usize) -> Result<Self, EngineError> {
        let implementation = Implementation::new(backend, known_keys_max)
            .ok_or_else(|| EngineError::Unsupported { backend, missing: backend.missing() })?;
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
        Ok(Self { backend, implementation, pool, suspicions: Default::default() })
    }

    /// What needs nothing of the machine.
    pub(crate) fn portable() -> Self {
        Self {
            backend: Backend::Portable,
            implementation: Implementation::Portable,
            pool: None,
            suspicions: Default::default(),
        }
    }

    pub(crate) fn backend(&self) -> Backend {
        self.backend
    }

    pub(crate) fn verify(&self, batch: &Batch<'_>, senders: Senders) -> Verdicts {
        let suspicion = &self.suspicions[senders as usize];
        match &self.pool {
            Some(pool) if batch.len() >= SHARED_MIN => {
                pool.install(|| self.implementation.verify_in_parts(Threads::Pool, batch, suspicion))
            }
            _ => self.implementation.verify_in_parts(Threads::One, batch, suspicion),
        }
    }
}

/// How many signatures of a batch are verified together, a multiple of [`WORD_BITS`].
fn part_len(batch_len: usize, threads: usize) -> usize {
    let share = batch_len.div_ceil(threads);
    let len = if share < SHARE_MIN { batch_len } else { share };
    len.next_multiple_of(WORD_BITS).min(PART_LEN_MAX)
}

/// The batch in parts of `len` signatures.
fn parts<'a>(batch: &Batch<'a>, len: usize) -> impl Iterator<Item = Batch<'a>> {
    (0..batch.len()).step_by(len).map(move |start| batch.part(start..batch.len().min(start + len)))
}

/// The fastest of this machine's CPU backends among those that give the right answers; measured once.
pub(crate) fn fastest() -> Backend {
    static FASTEST: OnceLock<Backend> = OnceLock::new();
    /// Signatures to time a backend by: enough for a combination to show its speed.
    const TIMED: usize = 128;
    /// The best of so many runs counts.
    const RUNS: usize = 3;
    *FASTEST.get_or_init(|| {
        let mixed = known_answers(TIMED, 5);
        // Only the first one is spoilt: the time is that of a combination that fails, is searched, and holds for the most part.
        let clean = known_answers(TIMED, TIMED);
        let is_right = |implementation: &Implementation, (batch, verdicts): &(crate::OwnedBatch, Vec<bool>)| {
            let found = implementation.verify(Threads::One, &batch.as_batch(), &Suspicion::default());
            found.iter().eq(verdicts.iter().copied())
        };
        let time = |implementation: &Implementation| -> Option<Duration> {
            let run = |_| {
                let start = Instant::now();
                is_right(implementation, &clean).then(|| start.elapsed())
            };
            is_right(implementation, &mixed).then(|| (0..RUNS).map(run).min().flatten()).flatten()
        };
        let timed = Backend::available().into_iter().filter_map(|backend| {
            let time = time(&Implementation::new(backend, 0)?)?;
            Some((time, backend))
        });
        timed.min_by_key(|(time, _)| *time).map_or(Backend::Portable, |(_, backend)| backend)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_whole_words_and_no_larger_than_allowed() {
        for threads in 1..9 {
            for batch_len in [1, 63, 64, 65, 4096, 5000, 8192, 10_000, 1 << 16, 1 << 20] {
                let len = part_len(batch_len, threads);
                assert!(len.is_multiple_of(WORD_BITS) && (WORD_BITS..=PART_LEN_MAX).contains(&len), "{len}");
                let is_shared = batch_len < threads * SHARE_MIN && batch_len <= PART_LEN_MAX;
                assert_eq!(len >= batch_len, is_shared || threads == 1 && batch_len <= PART_LEN_MAX, "{batch_len}");
            }
        }
    }

    #[test]
    fn threads_change_no_verdict() {
        let (batch, verdicts) = known_answers(900, 7);
        for threads in [1, 2, 3] {
            let cpu = Cpu::new(fastest(), threads, 0).unwrap();
            for senders in [Senders::Any, Senders::Suspect, Senders::Proposers] {
                let found = cpu.verify(&batch.as_batch(), senders);
                assert!(found.iter().eq(verdicts.iter().copied()), "{threads} threads");
            }
        }
    }

    #[test]
    fn what_is_too_small_to_be_shared_could_be() {
        let (batch, verdicts) = known_answers(SHARED_MIN, 9);
        for backend in Backend::available() {
            let implementation = Implementation::new(backend, 0).unwrap();
            for len in [0, 1, 2, 27, 28, 29, 63, 64, 65, 129, SHARED_MIN] {
                let part = batch.as_batch().part(0..len);
                let found = implementation.verify_in_parts(Threads::Pool, &part, &Suspicion::default());
                assert!(found.iter().eq(verdicts[..len].iter().copied()), "{len} on {backend}");
            }
        }
    }

    #[test]
    fn the_fastest_is_one_of_those_that_run_here() {
        assert!(Backend::available().contains(&fastest()));
    }
}
