//! The runtime around the protocol: stages on their own threads joined by bounded lock-free rings, sockets, files, and the client API.
//!
//! ```text
//!  clients ─ api ─┐                       ┌─ journal (before anything leaves)
//!                 ├─ verify ── core ──────┼─ net ─ peers
//!  peers ─ net ───┘     └──────┘          └─ log ─ black holes on disk, then clients are told
//! ```
//!
//! Everything that decides is in `constellation-protocol`; this crate must never decide: it moves events in and carries actions out. One
//! stage, one thread; a stage that cannot keep up slows the one before it, and in the end the client, with a clear answer.
//!
//! ```no_run
//! use constellation_node::{DataDir, RunningNode};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let data_dir = DataDir::new("/var/lib/constellation");
//! let node = RunningNode::start(&data_dir, data_dir.config()?)?;
//! println!("clients: {}", node.api_addr());
//! node.wait()?;
//! # Ok(())
//! # }
//! ```

pub mod api;
mod audit;
mod bell;
mod config;
mod core_stage;
mod data_dir;
mod engine;
mod gossip;
mod ingress;
mod journal;
mod key_file;
mod log_stage;
mod meter;
mod net_stage;
mod placement;
mod ring;
mod runtime;
mod suspects;
mod verify_stage;

pub use constellation_protocol::{PROPOSAL_MAX_BYTES, ROUND_INTERVAL_US, ROUND_MAX_BYTES, ROUNDS_AHEAD_OF_GALAXY};

pub use audit::{AuditLogError, AuditReport, LOG_RECORD_KIND_BLACK_HOLE, audit_log, read_black_hole};
pub use config::{ConfigFileError, JournalSync, NodeConfig};
pub use data_dir::{DataDir, DataDirError};
pub use engine::VerifyEngine;
pub use journal::create_journal;
pub use key_file::{KeyFileError, new_key, read_key, write_new_key};
pub use runtime::{Listeners, NodeError, RunningNode, StopHandle};
