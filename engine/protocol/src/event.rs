//! What a node is told and what it asks for: the whole interface between the pure state machine and the runtime or simulator around it.

use crate::journal::JournalRecord;
use constellation_chain::{
    BlackHole, Certificate, CheckSignatures, GalaxyHead, Hash, NetworkId, Offer, PublicKey, Reason, SKETCH_LEN_BYTES,
    StarHead, Tier, Transaction,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A node's place in the genesis' list.
pub type NodeIndex = u16;

/// The verification engine's pure functions, for inputs small enough to wait for. Bulk verification goes through [`Action::Verify`].
pub trait Compute: CheckSignatures + Send + Sync {
    /// The locality sensitive sketch of the set of accounts touched, keyed with a beacon. An account may be given more than once.
    fn sketch(&self, key: &Hash, accounts: &[PublicKey]) -> [u8; SKETCH_LEN_BYTES];
}

/// Something that happened.
#[derive(Debug)]
pub enum Event {
    /// A session with a peer is up.
    Connected(NodeIndex),
    /// The session with a peer is gone.
    Disconnected(NodeIndex),
    /// A peer's message; not decoded yet.
    Message {
        /// Who sent it.
        from: NodeIndex,
        /// Its bytes.
        bytes: Vec<u8>,
    },
    /// Transactions from a client, their signatures verified.
    Submit {
        /// Comes back in [`Action::Submitted`].
        ticket: u64,
        /// The transactions.
        transactions: Vec<Arc<Transaction>>,
    },
    /// Transactions from peers' gossip, their signatures verified.
    Gossiped(Vec<Arc<Transaction>>),
    /// An offer from a client (with a ticket) or from gossip (without), its signature verified.
    Offer {
        /// Comes back in [`Action::Submitted`].
        ticket: Option<u64>,
        /// The offer.
        offer: Arc<Offer>,
    },
    /// The verdicts of [`Action::Verify`].
    Verified {
        /// The job.
        job: u64,
        /// One verdict a transaction: whether all of its signatures hold.
        verdicts: Vec<bool>,
    },
    /// A client's question.
    Query {
        /// Comes back in [`Action::Answer`].
        ticket: u64,
        /// What it asks.
        query: Query,
    },
}

/// Which of a peer's queues a message takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Priority {
    /// Votes, proposals, certificates: before everything else.
    Consensus,
    /// Blocks for who is behind.
    Bulk,
}

/// Something the node asks for.
#[derive(Debug)]
pub enum Action {
    /// Keep this before any later send of the same list.
    Journal(JournalRecord),
    /// The journal's records of this round are not needed any more once the black hole of `height` is durable in the log: until then they
    /// are all that keeps this node, should both be lost with the power, from contradicting what it certified.
    Retire {
        /// The round's tier.
        tier: Tier,
        /// The round.
        round: u64,
        /// The black hole that settles the round.
        height: u64,
    },
    /// Send a message.
    Send {
        /// To whom.
        to: NodeIndex,
        /// How urgent it is.
        priority: Priority,
        /// Its bytes, shared between receivers.
        bytes: Arc<[u8]>,
    },
    /// Send the black hole of `height` from the log, as [`crate::Message::BlackHole`].
    Serve {
        /// To whom.
        to: NodeIndex,
        /// Which one.
        height: u64,
    },
    /// Verify the signatures of these transactions.
    Verify {
        /// Comes back in [`Event::Verified`].
        job: u64,
        /// The transactions.
        transactions: Vec<Arc<Transaction>>,
    },
    /// Tell the other nodes of these transactions.
    Gossip(Vec<Arc<Transaction>>),
    /// Tell the other nodes of this offer.
    GossipOffer(Arc<Offer>),
    /// Append a certified black hole to the log; it is final once that is durable.
    Append {
        /// The block.
        black_hole: Arc<BlackHole>,
        /// Its certificate.
        certificate: Certificate,
    },
    /// What became of a client's transactions or offer.
    Submitted {
        /// The event's.
        ticket: u64,
        /// One for each.
        admissions: Vec<Admission>,
    },
    /// A pending transaction left the pool without reaching a block.
    Dropped {
        /// Which.
        id: Hash,
        /// Why; `None` when it waited too long: it may be sent again.
        reason: Option<Reason>,
    },
    /// The answer to a query.
    Answer {
        /// The query's.
        ticket: u64,
        /// The answer.
        answer: Answer,
    },
    /// A peer did what no honest node does.
    Fault(Fault),
    /// This node's state is not what a quorum signed: it must stop at once, and say so.
    Halt(String),
}

/// What became of one submitted transaction or offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "admission", rename_all = "snake_case")]
pub enum Admission {
    /// In the pool or the mailbox.
    Admitted,
    /// Was there already.
    Known,
    /// Stands in a black hole already.
    Final,
    /// Cannot apply.
    Censored {
        /// Why.
        reason: Reason,
    },
    /// No room now.
    Busy {
        /// When to try again, in milliseconds.
        retry_after_ms: u32,
    },
}

/// A client's question about the present state.
#[derive(Clone, Debug)]
pub enum Query {
    /// A star's account.
    Star(PublicKey),
    /// A pending transaction.
    Transaction(Hash),
    /// The offers that wait for a star.
    Offers(PublicKey),
    /// Where the chain of a galaxy below stands.
    Galaxy(NetworkId),
    /// The node itself.
    Status,
}

/// An answer to a [`Query`].
#[derive(Clone, Debug)]
pub enum Answer {
    /// To [`Query::Star`].
    Star(StarAnswer),
    /// To [`Query::Transaction`].
    Transaction(TransactionState),
    /// To [`Query::Offers`].
    Offers(Vec<Arc<Offer>>),
    /// To [`Query::Galaxy`]; none if this network's genesis does not list it.
    Galaxy(Option<GalaxyHead>),
    /// To [`Query::Status`].
    Status(NodeStatus),
}

/// A star's account as this node sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StarAnswer {
    /// Balance in 10^-8 noos, final.
    pub balance: u64,
    /// Where the star's chain stands, final.
    #[serde(flatten)]
    pub head: StarHead,
    /// Forks proven against it.
    pub forks: u32,
    /// Height of the black hole this is the state after.
    pub height: u64,
}

/// Where a transaction that is not final stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum TransactionState {
    /// Not in this node's pool.
    Unknown,
    /// In this node's pool: it may have to be sent again.
    Admitted,
    /// In a certified LSH block.
    ClusterFinal,
}

/// How a node does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeStatus {
    /// The network.
    #[serde(serialize_with = "as_text", deserialize_with = "from_text")]
    pub network_id: NetworkId,
    /// This node's key.
    pub public_key: PublicKey,
    /// Height of the last black hole.
    pub height: u64,
    /// Its hash.
    pub black_hole: Hash,
    /// Last certified round of the cluster.
    pub cluster_rounds: Vec<u64>,
    /// Transactions waiting in the pool.
    pub pool: usize,
    /// Offers in the mailbox.
    pub offers: usize,
    /// Accounts in the ledger.
    pub accounts: usize,
    /// Peers with a session.
    pub peers_connected: usize,
    /// The highest black hole any peer has told of.
    pub best_known_height: u64,
    /// State commitment.
    pub state: Hash,
    /// Who is in the galaxy's committee.
    pub validators: usize,
    /// Whether this node is.
    pub is_validator: bool,
    /// Seats of this node in cluster rounds that are named and not final. One that has left can be switched off once it has none.
    pub seats_open: usize,
    /// Clusters that stars belong to.
    pub clusters: usize,
    /// Clusters that the load of the last epoch asks for: what an external scaler acts on.
    pub clusters_wanted: usize,
    /// Facilitators that these ask for.
    pub facilitators_wanted: usize,
}

fn as_text<S: serde::Serializer>(value: &impl std::fmt::Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

/// Reads a network id written as 16 hex digits.
fn from_text<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<NetworkId, D::Error> {
    let text = String::deserialize(deserializer)?;
    let is_hex = text.len() == 16 && text.bytes().all(|digit| digit.is_ascii_hexdigit());
    let number = u64::from_str_radix(&text, 16).ok().filter(|_| is_hex);
    let wrong = || serde::de::Error::custom(format!("expected a network id as 16 hex digits, got {text:?}"));
    number.map(|number| NetworkId(number.to_be_bytes())).ok_or_else(wrong)
}

/// A fault of a peer: who, and what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Who did it.
    pub node: NodeIndex,
    /// What it did.
    pub kind: FaultKind,
}

/// What a faulty peer did.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FaultKind {
    /// Broke the rules of the common subset.
    #[error("consensus: {0:?}")]
    Consensus(constellation_acs::FaultKind),
    /// Sent bytes that are no message.
    #[error("malformed message: {0}")]
    Malformed(String),
    /// Spoke in a round it has no seat in.
    #[error("spoke in round {round} of {tier:?} without a seat")]
    NoSeat {
        /// The tier.
        tier: Tier,
        /// The round.
        round: u64,
    },
    /// Spoke in a round that nobody can have reached. Told at most once a black hole.
    #[error("spoke in round {round} of {tier:?}, far ahead of everybody")]
    FarAhead {
        /// The tier.
        tier: Tier,
        /// The round.
        round: u64,
    },
    /// Contradicted itself over its own signature; the proof is on its way into the chain.
    #[error("contradicted itself in round {}, over its own signature: {:?}", .0.round(), .0.kind())]
    Proven(Box<constellation_chain::Misconduct>),
    /// Signed something else than the agreed block, or not at all.
    #[error("bad signature share for round {round} of {tier:?}")]
    BadShare {
        /// The tier.
        tier: Tier,
        /// The round.
        round: u64,
    },
    /// Proposed something malformed, or transactions whose signatures do not hold.
    #[error("bad proposal in round {round} of {tier:?}: {what}")]
    BadProposal {
        /// The tier.
        tier: Tier,
        /// The round.
        round: u64,
        /// What is wrong with it.
        what: String,
    },
    /// Served a block that does not hold.
    #[error("served a bad block: {0}")]
    BadBlock(String),
}
