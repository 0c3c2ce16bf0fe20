//! What must hold in every run, and what it is called when it does not.

use std::collections::BTreeMap;

use constellation_acs::{JournalEntry, Message, Step, Vote};

use super::votes::votes_of;

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

/// Where a vote stands that is cast once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Slot {
    Payload,
    Echo(usize),
    Ready(usize),
    Agree { instance: u16, round: u32, step: u8 },
    CoinMin { instance: u16, round: u32 },
    Decided(u16),
}

/// Everything an honest node has said, or written down to say.
#[derive(Debug, Default)]
pub(crate) struct Said {
    slots: BTreeMap<Slot, [u8; 32]>,
}

impl Said {
    /// Takes note of what the node writes down.
    pub fn note(&mut self, node: usize, entry: &JournalEntry) -> Result<(), Violation> {
        let JournalEntry::Sent(message) = entry else { return Ok(()) };
        if let Message::Payload { payload, .. } = message {
            self.put(node, Slot::Payload, *blake3::hash(payload).as_bytes())?;
        }
        votes_of(message).iter().filter_map(slot).try_for_each(|(slot, value)| self.put(node, slot, value))
    }

    /// BLAKE3 of what the node proposed.
    pub fn proposed(&self) -> Option<&[u8; 32]> {
        self.slots.get(&Slot::Payload)
    }

    fn put(&mut self, node: usize, slot: Slot, value: [u8; 32]) -> Result<(), Violation> {
        match self.slots.insert(slot, value) {
            Some(before) if before != value => Err(Violation::Contradiction { node, what: format!("{slot:?}") }),
            _ => Ok(()),
        }
    }
}

/// The slot of a vote and what it says there; none if honest nodes may cast it both ways.
fn slot(vote: &Vote) -> Option<(Slot, [u8; 32])> {
    let small = |value: u8| [value; 32];
    Some(match vote {
        Vote::Echo { proposer, root } => (Slot::Echo(*proposer), *root),
        Vote::Ready { proposer, root } => (Slot::Ready(*proposer), *root),
        Vote::Agree { step: Step::Echo, .. } => return None,
        Vote::Agree { step: Step::Echo4, value, .. } if value.bit().is_none() => return None,
        Vote::Agree { instance, round, step, value } => {
            (Slot::Agree { instance: *instance, round: *round, step: *step as u8 }, small(*value as u8))
        }
        Vote::Coin { .. } => return None,
        Vote::CoinMin { instance, round, proof, .. } => {
            (Slot::CoinMin { instance: *instance, round: *round }, *blake3::hash(proof).as_bytes())
        }
        Vote::Decided { instance, value } => (Slot::Decided(*instance), small(u8::from(*value))),
    })
}
