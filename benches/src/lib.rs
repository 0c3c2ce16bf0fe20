//! Side-by-side measurements of verification throughput against other libraries, as data, as a table and as a page; and
//! what an epoch of the common subset costs ([`acs`]), what placing stars by their traffic gains ([`placement`]), and what a block's sketch is good for ([`sketch`]). It measures and reports; it must never be linked into a node.
//!
//! One library, `ed25519-simd`, compiles only when a whole program enables AVX-512. The build script therefore builds a
//! program of its own for it (`reference/`), which is part of this crate as bytes and takes its turns over pipes.
//!
//! ```
//! use constellation_benches::{Case, Options, measure};
//!
//! let options = Options {
//!     cases: vec![Case::NewKeys],
//!     batch_sizes: vec![8],
//!     message_bytes: vec![175],
//!     threads: vec![1],
//!     signatures: 8,
//!     rounds: 1,
//!     pass_ms: 1,
//!     ..Options::default()
//! };
//! println!("{}", measure(&options, |_, _, _| ())?);
//! # Ok::<(), constellation_benches::MeasureError>(())
//! ```

pub mod acs;
mod contenders;
pub mod html;
mod libraries;
mod machine;
mod measure;
pub mod placement;
mod plan;
pub mod plot;
mod random;
mod reference;
mod report;
pub mod sketch;
mod statistics;
mod workload;

pub use contenders::{Contender, ED25519_SIMD, Entrant, Pass, SetUpError, Verifier};
pub use html::page;
pub use libraries::{ED25519_DALEK_BATCH, Library};
pub use machine::{Machine, core_hz, cores};
pub use measure::{MeasureError, measure};
pub use plan::{Options, OptionsError, Setting};
pub use reference::{Process, Program, ReferenceError};
pub use report::{ROUNDS_MIN, Report, Row, SPREAD_MAX};
pub use workload::{Case, Signed, Totals, UnknownCase, Workload};
