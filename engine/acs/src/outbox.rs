//! What the machines of one node have to say, gathered until the caller takes it; and the faults they saw.

use std::sync::Arc;

use crate::fault::{Fault, FaultKind, MAX_PENDING_FAULTS};
use crate::fragment::Fragment;
use crate::message::{JournalEntry, Message, Outgoing, Root, Target, Vote};

/// Filled by the machines, emptied by `take_outgoing`.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    payloads: Vec<JournalEntry>,
    votes: Vec<Vote>,
    messages: Vec<(Target, Message)>,
    faults: Vec<Fault>,
}

impl Outbox {
    /// A vote for everybody; its caster has counted it already.
    pub fn vote(&mut self, vote: Vote) {
        self.votes.push(vote);
    }

    /// My own proposal, for everybody.
    pub fn propose(&mut self, proposer: usize, payload: Arc<[u8]>) {
        let message = Message::Payload { proposer, payload };
        self.payloads.push(JournalEntry::Sent(message.clone()));
        self.messages.push((Target::All, message));
    }

    /// A payload that I am about to vouch for.
    pub fn hold(&mut self, proposer: usize, payload: Arc<[u8]>) {
        self.payloads.push(JournalEntry::Held { proposer, payload });
    }

    /// My fragment of a payload, which I am about to vouch for.
    pub fn hold_fragment(&mut self, proposer: usize, root: Root, fragment: Fragment) {
        self.payloads.push(JournalEntry::HeldFragment { proposer, root, fragment });
    }

    /// As [`send`](Self::send), to everybody.
    pub fn send_all(&mut self, message: Message) {
        self.messages.push((Target::All, message));
    }

    /// Something that repeats what is journalled, or needs no journal.
    pub fn send(&mut self, to: usize, message: Message) {
        self.messages.push((Target::One(to), message));
    }

    pub fn blame(&mut self, node: usize, kind: FaultKind) {
        let fault = Fault { node, kind };
        if self.faults.len() < MAX_PENDING_FAULTS && !self.faults.contains(&fault) {
            self.faults.push(fault);
        }
    }

    /// Payloads come before the votes that vouch for them, in the journal as on the wire.
    pub fn take_outgoing(&mut self) -> Outgoing {
        let mut outgoing =
            Outgoing { journal: std::mem::take(&mut self.payloads), messages: std::mem::take(&mut self.messages) };
        if !self.votes.is_empty() {
            let votes = Message::Votes(std::mem::take(&mut self.votes));
            outgoing.journal.push(JournalEntry::Sent(votes.clone()));
            outgoing.messages.push((Target::All, votes));
        }
        outgoing
    }

    pub fn take_faults(&mut self) -> Vec<Fault> {
        std::mem::take(&mut self.faults)
    }
}
