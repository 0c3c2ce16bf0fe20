//! The nodes of a run: a machine with what survives its crashes, and what faulty ones make of what their machine says.

use std::sync::Arc;

use constellation_acs::{Coin as _, Config, JournalEntry, Message, Step, Subset, Target, Value, Vote};

use super::coin::OpenCoin;
use super::plan::Nature;
use crate::chance::Chance;
use crate::votes::{Bytes, encode, message_of};

pub(crate) const PAYLOAD_MAX_BYTES: usize = 64;

/// How far ahead a flooder votes, and how many such votes it puts into a message.
const FLOOD_ROUNDS: u64 = 10_000;
const FLOOD_VOTES: usize = 20;

/// The payloads that `proposer` may come to propose; an honest one proposes variant 0 unless it forgot that in a crash.
pub(crate) fn payload(proposer: usize, variant: u64) -> Arc<[u8]> {
    format!("payload {variant} of {proposer}").into_bytes().into()
}

/// A node, or one of two twins.
pub(crate) struct Endpoint {
    pub node: usize,
    pub nature: Nature,
    /// The half it belongs to.
    pub side: bool,
    pub machine: Subset<OpenCoin>,
    pub journal: Vec<Bytes>,
    /// Everything for peers that come back.
    pub sent: Vec<(Target, Bytes)>,
    /// Longest chain of messages that led to its state.
    pub depth: u32,
    /// The same when it had its output.
    pub output_depth: Option<u32>,
    /// Its machine says that nobody needs it any more.
    pub is_finished: bool,
}

impl Endpoint {
    pub fn new(node: usize, n: usize, seed: u64, nature: Nature, side: bool) -> Self {
        Self {
            node,
            nature,
            side,
            machine: Subset::new(config(node, n), OpenCoin { me: node, seed }),
            journal: Vec::new(),
            sent: Vec::new(),
            depth: 0,
            output_depth: None,
            is_finished: false,
        }
    }

    pub fn is_honest(&self) -> bool {
        self.nature == Nature::Honest
    }

    /// Comes back from its journal, having forgotten all else; it would propose something new if it could.
    pub fn restart(&mut self, n: usize, seed: u64) {
        let decode = |bytes: &Bytes| JournalEntry::decode(bytes, n).expect("a journal holds what was written");
        let entries: Vec<_> = self.journal.iter().map(decode).collect();
        let sent = entries.iter().filter_map(|entry| match entry {
            JournalEntry::Sent(message) => Some((Target::All, encode(message))),
            JournalEntry::Held { .. } => None,
        });
        self.sent = sent.collect();
        self.machine = Subset::restore(config(self.node, n), OpenCoin { me: self.node, seed }, entries);
        self.machine.propose(payload(self.node, 7));
    }

    /// What it sends to `to` instead of `message`, in one message or none; `to` is on the other side or not.
    pub fn instead(&self, message: &Message, is_other_side: bool, liar: &mut Liar<'_>) -> Option<Message> {
        match self.nature {
            Nature::Liar { drop, change, invent } => liar.lie(self.node, message, (drop, change, invent)),
            Nature::Equivocator if is_other_side => Some(equivocate(self.node, message)),
            Nature::Honest
            | Nature::Silent
            | Nature::Equivocator
            | Nature::Twins
            | Nature::Flooder
            | Nature::Besieger => Some(message.clone()),
        }
    }
}

fn config(me: usize, n: usize) -> Config {
    Config { me, n, payload_max_bytes: PAYLOAD_MAX_BYTES }
}

/// The same message as the other side is told: another payload, opposite votes.
fn equivocate(me: usize, message: &Message) -> Message {
    match message {
        Message::Payload { proposer, .. } if *proposer == me => {
            Message::Payload { proposer: me, payload: payload(me, 1) }
        }
        Message::Votes(votes) => message_of(votes.iter().map(|vote| opposite(me, vote)).collect()),
        other => other.clone(),
    }
}

fn opposite(me: usize, vote: &Vote) -> Vote {
    let mut vote = vote.clone();
    match &mut vote {
        Vote::Echo { proposer, root } | Vote::Ready { proposer, root } if *proposer == me => {
            *root = *blake3::hash(&payload(me, 1)).as_bytes();
        }
        Vote::Agree { value, .. } => *value = value.bit().map_or(Value::Bottom, |bit| Value::from(!bit)),
        Vote::Decided { value, .. } => *value = !*value,
        Vote::Echo { .. } | Vote::Ready { .. } | Vote::Coin { .. } | Vote::CoinMin { .. } => {}
    }
    vote
}

/// What lies are made with.
pub(crate) struct Liar<'a> {
    pub n: usize,
    pub seed: u64,
    pub chance: &'a mut Chance,
}

impl Liar<'_> {
    fn lie(&mut self, me: usize, message: &Message, (drop, change, invent): (u64, u64, u64)) -> Option<Message> {
        match message {
            Message::Payload { proposer, .. } if *proposer == me => match self.chance.below(3) {
                0 => None,
                variant => Some(Message::Payload { proposer: me, payload: payload(me, variant) }),
            },
            Message::Votes(votes) => {
                let mut lies = Vec::new();
                for vote in votes {
                    if !self.chance.one_in(drop) {
                        let is_changed = self.chance.one_in(change);
                        lies.push(if is_changed { self.changed(vote) } else { vote.clone() });
                    }
                    if self.chance.one_in(invent) {
                        lies.push(self.invented());
                    }
                }
                Some(message_of(lies))
            }
            other => Some(other.clone()),
        }
    }

    fn changed(&mut self, vote: &Vote) -> Vote {
        let mut vote = vote.clone();
        match &mut vote {
            Vote::Echo { proposer, root } | Vote::Ready { proposer, root } => {
                *root = *blake3::hash(&payload(*proposer, self.chance.below(4))).as_bytes();
            }
            Vote::Agree { value, .. } => *value = self.chance.pick(&Value::ALL),
            Vote::Coin { proof, .. } => proof[0] ^= 1,
            Vote::CoinMin { owner, instance, round, proof } => {
                *owner = self.chance.index(self.n);
                *proof = OpenCoin { me: *owner, seed: self.seed }.share(*instance, *round);
                proof[0] ^= u8::from(self.chance.one_in(4));
            }
            Vote::Decided { value, .. } => *value = !*value,
        }
        vote
    }

    fn invented(&mut self) -> Vote {
        let instance = self.chance.index(self.n) as u16;
        if self.chance.one_in(20) {
            return Vote::Decided { instance, value: self.chance.one_in(2) };
        }
        let (step, value) = (self.chance.pick(&Step::ALL), self.chance.pick(&Value::ALL));
        Vote::Agree { instance, round: self.chance.below(4) as u32, step, value }
    }

    /// Votes far ahead of everybody.
    pub fn flood(&mut self) -> Message {
        let mut votes = Vec::with_capacity(FLOOD_VOTES);
        for _ in 0..FLOOD_VOTES {
            let (step, value) = (self.chance.pick(&Step::ALL), self.chance.pick(&[Value::Zero, Value::One]));
            let instance = self.chance.index(self.n) as u16;
            votes.push(Vote::Agree { instance, round: 2 + self.chance.below(FLOOD_ROUNDS) as u32, step, value });
        }
        message_of(votes)
    }
}
