//! How clients talk to a node: JSON-RPC over HTTP and WebSocket, and binary frames for transactions in bulk.
//!
//! The server side stands before a [`Backend`], which the runtime implements, and a [`FinalFeed`], which the log stage fills; the [`Client`]
//! is the other end, used by the light client, the load generator and tests. Both share the formats of [`wire`]. Nothing here knows the
//! ledger's rules or waits on a stage: a full node is answered with "busy", never with silence.

pub mod wire;

mod backend;
mod client;
mod feed;
mod listener;
mod rpc;
mod server;
mod socket;

pub use backend::{Backend, Busy, SubmitReply};
pub use client::{Client, ClientError, FinalStream};
pub use feed::{FinalBlock, FinalFeed, FinalNotice, FinalOutcome};
pub use server::{ApiError, ApiLimits, ApiServer, Listen};
pub use wire::TransactionStatus;

/// What clients send and get that is defined below this layer.
pub use constellation_protocol::{Admission, NodeStatus, StarAnswer};

#[cfg(test)]
mod tests;
