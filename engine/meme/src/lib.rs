//! Proof-of-Meme: reputation that elects. What is here so far is the election's safety gate (`safety`): the exact probability
//! that a committee drawn by lot has more faulty members than its agreement bears, and [`Ratio`], the exact fraction it is told in.
//!
//! Every node must come to the same result, so there is no floating point anywhere in this crate (a test reads its
//! sources), no clock, no randomness, no I/O. It must never know how a node runs or what a block's bytes are.
//!
//! ```
//! use constellation_meme::{Bucket, Ratio, failure_probability, smallest_committee};
//!
//! let bound: Ratio = "1e-6".parse()?;
//! let (seats, failure) = smallest_committee(2000, 200, &bound, 128)?.expect("52 seats do");
//! assert_eq!(seats, 52);
//! assert!(failure <= bound);
//! assert_eq!(failure_probability(&[Bucket { members: 2000, faulty: 200, seats }])?, failure);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![deny(clippy::float_arithmetic)]

mod ratio;
mod safety;

pub use ratio::{Ratio, RatioError, TEXT_LEN_MAX};
pub use safety::{Bucket, Committees, SEATS_MAX, SafetyError, failure_probability, fault_bound, smallest_committee};
