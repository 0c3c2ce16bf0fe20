//! What a node has said in one common subset: every vote that is cast once, so that a second, different one is found.

use std::collections::BTreeMap;

use constellation_acs::{JournalEntry, Message, Step};

use crate::votes::{Vote, votes_of};

/// Where a vote stands that is cast once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Slot {
    Payload,
    Echo { proposer: usize },
    Ready { proposer: usize },
    Agree { instance: u16, round: u32, step: u8 },
    CoinMin { instance: u16, round: u32 },
    Decided { instance: u16 },
}

/// Everything said, by slot.
#[derive(Debug, Default)]
pub(crate) struct Said {
    slots: BTreeMap<Slot, [u8; 32]>,
}

impl Said {
    /// Takes note of a message of node `me`.
    ///
    /// # Errors
    /// The slot in which it contradicts what was said before.
    pub fn note(&mut self, me: usize, message: &Message) -> Result<(), String> {
        for (slot, value) in slots(me, message) {
            if self.slots.insert(slot, value).is_some_and(|before| before != value) {
                return Err(format!("{slot:?}"));
            }
        }
        Ok(())
    }

    /// Takes note of what node `me` writes down, its own proposal in either form among it.
    ///
    /// # Errors
    /// As [`Said::note`].
    pub fn note_entry(&mut self, me: usize, entry: &JournalEntry) -> Result<(), String> {
        match entry {
            JournalEntry::Sent(message) => self.note(me, message),
            JournalEntry::Held { proposer, seal, payload } if *proposer == me => {
                self.note(me, &Message::Payload { proposer: me, seal: *seal, payload: payload.clone() })
            }
            JournalEntry::Held { .. } | JournalEntry::HeldFragment { .. } => Ok(()),
        }
    }

    /// The first slot of a message that holds something else here, or nothing.
    pub fn missing(&self, me: usize, message: &Message) -> Option<String> {
        let mut slots = slots(me, message);
        slots.find(|(slot, value)| self.slots.get(slot) != Some(value)).map(|(slot, _)| format!("{slot:?}"))
    }

    /// BLAKE3 of what the node proposed.
    pub fn proposed(&self) -> Option<&[u8; 32]> {
        self.slots.get(&Slot::Payload)
    }
}

/// What `me` says once in a message, and what it says there.
fn slots(me: usize, message: &Message) -> impl Iterator<Item = (Slot, [u8; 32])> {
    let payload = match message {
        Message::Payload { proposer, payload, .. } if *proposer == me => {
            Some((Slot::Payload, *blake3::hash(payload).as_bytes()))
        }
        Message::Payload { .. }
        | Message::Fragment { .. }
        | Message::Votes(_)
        | Message::Pull { .. }
        | Message::Seal { .. } => None,
    };
    payload.into_iter().chain(votes_of(message).into_iter().filter_map(|vote| slot(&vote)))
}

/// The slot of a vote and what it says there; none if an honest node may cast it both ways.
fn slot(vote: &Vote) -> Option<(Slot, [u8; 32])> {
    let small = |value: u8| [value; 32];
    Some(match vote {
        Vote::Echo { proposer, root } => (Slot::Echo { proposer: *proposer }, *root),
        Vote::Ready { proposer, root } => (Slot::Ready { proposer: *proposer }, *root),
        // What that was is in the slot of the echo.
        Vote::ReadyAsEchoed { proposer } => (Slot::Ready { proposer: *proposer }, small(1)),
        Vote::Agree { step: Step::Echo, .. } => return None,
        Vote::Agree { step: Step::Echo4, value, .. } if value.bit().is_none() => return None,
        Vote::Agree { instance, round, step, value } => {
            (Slot::Agree { instance: *instance, round: *round, step: *step as u8 }, small(*value as u8))
        }
        Vote::Coin { .. } => return None,
        Vote::CoinMin { instance, round, proof, .. } => {
            (Slot::CoinMin { instance: *instance, round: *round }, *blake3::hash(proof).as_bytes())
        }
        Vote::Decided { instance, value } => (Slot::Decided { instance: *instance }, small(u8::from(*value))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::votes::message_of;
    use constellation_acs::Value;

    #[test]
    fn a_second_vote_in_a_slot_is_found_and_a_repeat_is_not() {
        let vote = |step, value| message_of(vec![Vote::Agree { instance: 1, round: 2, step, value }]);
        let mut said = Said::default();
        assert!(said.missing(0, &vote(Step::Echo2, Value::One)).is_some());
        for value in [Value::One, Value::One] {
            assert_eq!(said.note(0, &vote(Step::Echo2, value)), Ok(()));
        }
        assert!(said.note(0, &vote(Step::Echo2, Value::Zero)).unwrap_err().contains("round: 2"));
        // An echo may be of both bits, an echo4 of one bit and ⊥.
        for (step, value) in [
            (Step::Echo, Value::One),
            (Step::Echo, Value::Zero),
            (Step::Echo4, Value::One),
            (Step::Echo4, Value::Bottom),
        ] {
            assert_eq!(said.note(0, &vote(step, value)), Ok(()));
        }
        assert!(said.note(0, &vote(Step::Echo4, Value::Zero)).is_err());
        let payload =
            |proposer, text: &str| Message::Payload { proposer, seal: [0; 64], payload: text.as_bytes().into() };
        assert_eq!(said.note(0, &payload(0, "a")).and(said.note(0, &payload(1, "b"))), Ok(()));
        assert!(said.note(0, &payload(0, "b")).is_err(), "another payload of its own");
    }
}
