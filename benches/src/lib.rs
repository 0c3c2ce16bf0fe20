//! Side-by-side measurements of verification throughput against other libraries, as data and as a table. It measures
//! and reports; it must never be linked into a node.
//!
//! One library, `ed25519-simd`, compiles only when the whole build enables AVX-512, so a plain build leaves its rows
//! out and every ratio to it empty. To measure beside it, build with
//! `RUSTFLAGS="-C target-feature=+avx512f,+avx512bw,+avx512dq,+avx512ifma"` on a CPU that has these; the program then
//! runs on such CPUs only.
//!
//! ```
//! use constellation_benches::{VerifyBenchOptions, render_table, verify_rows};
//!
//! let options = VerifyBenchOptions { rounds: 1, signatures: 16, batch_sizes: vec![8] };
//! println!("{}", render_table(&verify_rows(&options)?));
//! # Ok::<(), constellation_verify::BatchError>(())
//! ```

mod contenders;
mod report;
mod workload;

pub use contenders::{Contender, contenders};
pub use report::{VerifyBenchOptions, VerifyRow, render_table, verify_rows};
pub use workload::{Case, Workload};
