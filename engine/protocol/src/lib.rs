//! A node's whole behaviour as one pure state machine: transaction pool, consensus rounds at both tiers, ledger
//! application, catch-up, and the light clients' mailbox.
//!
//! [`Node`] takes [`Event`]s and gives back [`Action`]s. It must never do I/O, read a clock, start a thread or draw randomness:
//! time comes with the events, and verification, disk and network are actions it asks for and events it is given. So the simulator
//! runs thousands of nodes in one thread with the code that runs in production.
//!
//! The caller's contract, which all of the safety argument rests on:
//! 1. [`Action::Journal`] is carried out, as durably as the operator chose, before any later [`Action::Send`] of the same list.
//! 2. After a restart the node is given its own log ([`Node::replay`]) and its own journal ([`Node::restore`]) before anything else; if that
//!    journal is lost it is told so ([`Node::sit_out`]).
//! 3. [`Node::poll`] is called after every batch of events; what a batch causes then leaves together.
//! 4. What [`Action::Retire`] names is forgotten only when the black hole of its height is durable.
//!
//! ```
//! use constellation_protocol::{Config, Node};
//! # use constellation_chain::*;
//! # struct Engine;
//! # impl CheckSignatures for Engine { fn check(&self, items: &[SignedMessage<'_>]) -> Vec<bool> { vec![true; items.len()] } }
//! # impl constellation_protocol::Compute for Engine {
//! #     fn sketch(&self, _: &Hash, _: &[PublicKey]) -> [u8; 128] { [0; 128] }
//! # }
//! let key = SecretKey::from_seed([1; 32]);
//! let node = GenesisNode::new(key.public_key(), "127.0.0.1:7000".parse().unwrap());
//! let genesis = Genesis::new("docs", 1, vec![node], vec![]).unwrap();
//! let mut node = Node::new(Config::new(genesis, key), std::sync::Arc::new(Engine)).unwrap();
//! assert!(node.poll(0).is_empty());
//! ```

mod ahead;
mod audit;
mod catch_up;
mod cluster;
mod coin;
mod config;
mod envoy;
mod event;
mod galaxy;
mod journal;
mod lsh_blocks;
mod membership;
mod message;
mod misconduct;
mod node;
mod offers;
mod pool;
mod proposal;
mod round;
mod serving;
mod silence;

pub use audit::{AuditError, Auditor};
pub use config::{Config, ConfigError, PROPOSAL_MAX_BYTES, ROUND_INTERVAL_US, ROUND_MAX_BYTES};
pub use envoy::{Envoy, EnvoyAction, EnvoyError, RUN_LEN};
pub use event::{
    Action, Admission, Answer, Compute, Event, Fault, FaultKind, NodeIndex, NodeStatus, Priority, Query, StarAnswer,
    TransactionState,
};
pub use journal::{JournalRecord, JournalRecordError};
pub use message::{Message, MessageError};
pub use node::{Node, ReplayError};
pub use proposal::ROUNDS_AHEAD_OF_GALAXY;
