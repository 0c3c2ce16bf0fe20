//! Batched Ed25519 verification, transaction ids and locality sensitive sketches, on the fastest implementation that
//! the machine can run. One signature rule holds on every backend: a signature (A, R, S, M) is valid exactly when
//! S < ℓ, A and R are canonical encodings of curve points, neither is of small order, and the cofactored equation
//! [8][S]B = [8]R + [8][SHA-512(R ‖ A ‖ M)]A holds. This crate knows bytes: it must never know the ledger. Beyond reading CPU
//! features, the operating system's randomness, and the GPU with the directory for its compiled programs, it does no I/O.
//!
//! What runs where: `engine` holds a backend; `cpu` runs the CPU's (`portable`, and `lanes` in the instance of `avx512`), `gpu` the GPU's
//! with the CPU standing by; `rule` is what all of them must say.
//!
//! ```
//! use constellation_verify::{Engine, OwnedBatch};
//!
//! let mut batch = OwnedBatch::new();
//! batch.push(&[1; 32], &[2; 64], &[b"a message", b" in two parts"])?;
//! let verdicts = Engine::detect().verify(&batch.as_batch());
//! assert_eq!(verdicts.len(), 1);
//! assert!(!verdicts.get(0));
//! # Ok::<(), constellation_verify::BatchError>(())
//! ```

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod backend;
mod batch;
mod coefficients;
mod cpu;
mod engine;
pub mod gpu;
mod known_answers;
mod known_keys;
mod lanes;
mod messages;
mod portable;
mod rule;
mod sketch;
mod suspicion;
mod threads;
mod transactions;

pub use constellation_shaders::layout::{FormatError, HalfFormat, TransactionFormat};

pub use backend::{Backend, BackendChoice, EngineError};
pub use batch::{Batch, BatchError, OwnedBatch, Verdicts};
pub use cpu::Senders;
pub use engine::{Engine, EngineOptions};
pub use messages::{Messages, transaction_ids};
pub use sketch::{SKETCH_BINS, matching_bins, similarity, sketch};
pub use transactions::{RecordTooShort, TransactionResults, Transactions};
