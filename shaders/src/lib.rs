//! The GPU programs of the verification engine as text: composed from the WGSL files beside this crate, with the layout
//! of the buffers they read and write, and a CPU twin for each kernel that computes the same bits. It must never talk
//! to a device.
//!
//! A host makes one compute pipeline for each [`Pass`] of a [`Program`], binds the four buffers of [`layout`], and
//! dispatches the passes in order, each reading what the one before it wrote to the scratch buffer.
//!
//! ```
//! use constellation_shaders::{Arithmetic, Program, layout};
//!
//! let program = Program::signatures(Arithmetic::Int32);
//! let mut upload = Vec::new();
//! layout::pack_signatures(&mut upload, 7, &[[1; 32]], &[[2; 64]], b"message", &[7])?;
//! assert_eq!(program.passes.len(), 3);
//! assert!(program.scratch_words(1) > 0 && layout::verdict_words(1) > 0);
//! # Ok::<(), layout::PackError>(())
//! ```

mod base_table;
#[cfg(test)]
mod field_tests;
mod generate;
pub mod layout;
mod numbers;
mod program;
mod record;
mod seal;
mod shape;
pub mod twin;

#[cfg(test)]
extern crate self as constellation_shaders;
#[cfg(test)]
#[path = "../tests/common/rig.rs"]
#[allow(dead_code, reason = "shared with the tests of the kernels, which use all of it")]
mod rig;

pub use numbers::SHA512_ROUNDS;
pub use program::{Arithmetic, Kind, Pass, Program};
