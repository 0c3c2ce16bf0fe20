//! What must hold in every run, and what it is called when it does not.

/// A claim of the protocol that did not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// Agreement.
    #[error("nodes {one} and {other} have different outputs")]
    OutputsDiffer {
        /// An honest node.
        one: usize,
        /// Another.
        other: usize,
    },
    /// Totality.
    #[error("the output has {entries} entries, below {least}")]
    TooFewEntries {
        /// Entries.
        entries: usize,
        /// n−f.
        least: usize,
    },
    /// Validity.
    #[error("the output has a payload of honest node {proposer} that it did not propose")]
    WrongPayload {
        /// Who is said to have proposed it.
        proposer: usize,
    },
    /// Honest nodes are never blamed.
    #[error("node {by} blames honest node {node}, which {what}")]
    HonestBlamed {
        /// Who blames.
        by: usize,
        /// Who is blamed.
        node: usize,
        /// What for.
        what: String,
    },
    /// Nobody contradicts itself, restarts or not.
    #[error("honest node {node} contradicted itself: {what}")]
    Contradiction {
        /// Who did.
        node: usize,
        /// Where.
        what: String,
    },
    /// Termination.
    #[error("nodes {unfinished:?} are stuck though everything is delivered")]
    Stuck {
        /// Honest nodes without an end.
        unfinished: Vec<usize>,
    },
    /// Termination, in as many messages as any run needs many times over.
    #[error("no end after {deliveries} deliveries")]
    TooLong {
        /// Messages delivered.
        deliveries: u64,
    },
    /// A scheduler that knows the coin kept an agreement from ending.
    #[error("agreement {instance} was held for {rounds} rounds")]
    Held {
        /// The agreement.
        instance: u16,
        /// Rounds.
        rounds: u32,
    },
    /// Bounds.
    #[error("node {node} holds {what}")]
    Memory {
        /// Who.
        node: usize,
        /// What, and how much.
        what: String,
    },
}

impl Violation {
    /// Whether it is that something does not come to an end; all else is about safety.
    pub fn is_stuck(&self) -> bool {
        matches!(self, Self::Stuck { .. } | Self::TooLong { .. } | Self::Held { .. })
    }
}
