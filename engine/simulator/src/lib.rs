//! Whole networks in one thread, driven by a seed: the real state machines of all nodes over real encoded bytes, and adversaries that
//! order, delay, drop, repeat and forge what they say. The same seed gives the same run, step by step, on every machine.
//!
//! Two levels: [`acs`] runs one common subset of [`constellation_acs::Subset`] machines, many thousands of runs a minute; [`node`] runs
//! [`constellation_protocol::Node`]s with disks that survive kills, in virtual time.
//!
//! It must never do I/O, read a clock or start a thread: whoever calls it spreads seeds over threads and prints reports. Signature checking is passed
//! in by the caller, so nothing heavy is built for a simulation.
//!
//! ```
//! use constellation_simulator::acs::{Adversary, Scenario};
//!
//! let scenario = Scenario::new(7, 2, Adversary::CoinAware, 1).expect("two of seven may be faulty");
//! let outcome = scenario.run();
//! assert!(outcome.violation.is_none());
//! assert!(outcome.report.rounds.max > 2, "it survives the fixed coins");
//! ```

pub mod acs;
pub mod chance;
pub mod node;
mod said;
pub mod scenario;
mod votes;
