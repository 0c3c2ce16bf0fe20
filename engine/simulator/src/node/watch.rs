//! What must hold of whole nodes, watched while they run.

use std::collections::BTreeMap;

use constellation_acs::{JournalEntry, Message as SubsetMessage};
use constellation_chain::{Hash, PublicKey, Share, Tier};
use constellation_protocol::{JournalRecord, Message};

use crate::said::Said;

/// Rounds behind a node's newest that are still watched.
const ROUNDS_KEPT: u64 = 64;

/// The seat of who has not proposed: nobody's.
const NO_SEAT: usize = usize::MAX;

/// A claim that did not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// Two different votes, or signatures, in one place.
    #[error("node {node} contradicted itself in round {round} of {tier:?}: {what}")]
    Contradiction {
        /// Who did.
        node: usize,
        /// The tier.
        tier: Tier,
        /// The round.
        round: u64,
        /// Where.
        what: String,
    },
    /// Something said that is not in the journal.
    #[error("node {node} said in round {round} of {tier:?} what it has not journalled: {what}")]
    NotJournalled {
        /// Who did.
        node: usize,
        /// The tier.
        tier: Tier,
        /// The round.
        round: u64,
        /// Where.
        what: String,
    },
    /// A node came to a state that no quorum signed, or could not read its own disk.
    #[error("node {node} stopped: {why}")]
    Stopped {
        /// Who.
        node: usize,
        /// Why.
        why: String,
    },
    /// Logs that are not prefixes of one another.
    #[error("the logs of nodes {one} and {other} differ at height {height}")]
    Fork {
        /// A node.
        one: usize,
        /// Another.
        other: usize,
        /// Where.
        height: usize,
    },
    /// Two clusters that could order what one star initiates.
    #[error("star {star} had two clusters at height {height}")]
    TwoOwners {
        /// Whose.
        star: PublicKey,
        /// Height of the later cluster's block.
        height: u64,
    },
    /// A log that does not hold.
    #[error("the log of node {node} does not hold: {why}")]
    BadLog {
        /// Whose.
        node: usize,
        /// Why.
        why: String,
    },
    /// Honest nodes are never blamed.
    #[error("node {by} blames honest node {node}: {what}")]
    HonestBlamed {
        /// Who blames.
        by: usize,
        /// Who is blamed.
        node: usize,
        /// What for.
        what: String,
    },
    /// Everything works again, and something is still not final.
    #[error("node {node} lacks {missing} transactions after {waited_s} s in which nothing was wrong")]
    Stuck {
        /// Who.
        node: usize,
        /// How many.
        missing: usize,
        /// Virtual time.
        waited_s: u64,
    },
    /// Too few are faulty to stop commits, and they stopped.
    #[error("nothing was committed while {faulty} of {nodes} nodes were faulty")]
    Standstill {
        /// Faulty nodes.
        faulty: usize,
        /// All nodes.
        nodes: usize,
    },
}

/// What one node said in one round.
#[derive(Default)]
struct Round {
    /// The node's index in the round's committee, once it has proposed.
    seat: Option<usize>,
    journalled: Said,
    said: Said,
    signed: Option<Hash>,
}

/// Compares what honest nodes say with what they said before, and with their journals.
#[derive(Default)]
pub(crate) struct Watch {
    rounds: BTreeMap<(usize, Tier, u64), Round>,
    /// The first violation.
    pub violation: Option<Violation>,
}

impl Watch {
    /// A node has written a record.
    pub fn on_journal(&mut self, node: usize, record: &JournalRecord) {
        let JournalEntry::Sent(message) = &record.entry else { return };
        let round = self.rounds.entry((node, record.tier, record.round)).or_default();
        if let SubsetMessage::Payload { proposer, .. } = message {
            round.seat = Some(*proposer);
        }
        if let Err(what) = round.journalled.note(round.seat.unwrap_or(NO_SEAT), message) {
            let (tier, round) = (record.tier, record.round);
            self.found(Violation::Contradiction { node, tier, round, what });
        }
        let newest = record.round;
        self.rounds
            .retain(|&(other, tier, round), _| (other, tier) != (node, record.tier) || round + ROUNDS_KEPT >= newest);
    }

    /// A node sends something.
    pub fn on_send(&mut self, node: usize, message: &Message) {
        match *message {
            Message::Round { tier, round: number, ref message } => {
                let round = self.rounds.entry((node, tier, number)).or_default();
                let seat = round.seat.unwrap_or(NO_SEAT);
                let missing = round.journalled.missing(seat, message);
                let contradiction = round.said.note(seat, message).err();
                if let Some(what) = contradiction {
                    self.found(Violation::Contradiction { node, tier, round: number, what });
                } else if let Some(what) = missing {
                    self.found(Violation::NotJournalled { node, tier, round: number, what });
                }
            }
            Message::Share { tier, round: number, share: Share { block, .. } } => {
                let round = self.rounds.entry((node, tier, number)).or_default();
                if round.signed.replace(block).is_some_and(|before| before != block) {
                    self.found(Violation::Contradiction { node, tier, round: number, what: "two blocks".into() });
                }
            }
            _ => {}
        }
    }

    pub fn found(&mut self, violation: Violation) {
        self.violation.get_or_insert(violation);
    }
}
