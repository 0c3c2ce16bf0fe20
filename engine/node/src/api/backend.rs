//! What the API server needs of a node. The runtime implements it over its rings, tests with a fake.

use constellation_chain::NetworkId;
use constellation_protocol::{Admission, Answer, Query};
use tokio::sync::oneshot;

/// A node as its clients see it. No method may block: each puts the request into a bounded ring and answers later, or says that there is
/// no room. A reply that is dropped unsent means that the node is stopping.
pub trait Backend: Send + Sync + 'static {
    /// Takes raw transaction records, one after the other, as a client sent them.
    fn submit(&self, records: Vec<u8>, reply: oneshot::Sender<SubmitReply>) -> Result<(), Busy>;

    /// Takes one raw offer record.
    fn offer(&self, record: Vec<u8>, reply: oneshot::Sender<SubmitReply>) -> Result<(), Busy>;

    /// Takes a question; the answer is of the query's kind.
    fn query(&self, query: Query, reply: oneshot::Sender<Answer>) -> Result<(), Busy>;

    /// Counters and gauges of every stage, as one JSON object.
    fn metrics(&self) -> serde_json::Value;

    /// The network this node belongs to.
    fn network_id(&self) -> NetworkId;
}

/// No room in the node's ingress ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the node is busy: retry after {retry_after_ms} ms")]
pub struct Busy {
    /// When to try again, in milliseconds.
    pub retry_after_ms: u32,
}

/// What became of submitted records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubmitReply {
    /// One for each record, in order.
    Admissions(Vec<Admission>),
    /// What is wrong with the request; nothing of it was taken.
    Malformed(String),
}
