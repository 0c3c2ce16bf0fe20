//! The nodes of a run: a machine with what survives its crashes, and what faulty ones make of what their machine says.

use std::collections::BTreeMap;
use std::sync::Arc;

use constellation_acs::{Coin as _, Config, JournalEntry, Message, Root, Step, Subset, Target, Value, digest_root};

use super::coin::{OpenCoin, seal};
use super::fragments::{Scheme, VARIANTS, proposal, schemes, spoil};
use super::plan::Nature;
use crate::chance::Chance;
use crate::votes::{Bytes, Vote, encode, message_of, votes_of};

pub(crate) const PAYLOAD_MAX_BYTES: usize = 64;

/// How far ahead a flooder votes, and how many such votes it puts into a message.
const FLOOD_ROUNDS: u64 = 10_000;
const FLOOD_VOTES: usize = 20;

/// The payloads that `proposer` may come to propose; an honest one proposes variant 0 unless it forgot that in a crash.
pub(crate) fn payload(proposer: usize, variant: u64) -> Arc<[u8]> {
    format!("payload {variant} of {proposer}").repeat(1 + proposer % 3).into_bytes().into()
}

/// The message that proposes it.
pub(crate) fn sealed_payload(proposer: usize, variant: u64) -> Message {
    let payload = payload(proposer, variant);
    Message::Payload { proposer, seal: seal(proposer, &digest_root(&payload)), payload }
}

/// A node, or one of two twins.
pub(crate) struct Endpoint {
    pub node: usize,
    pub nature: Nature,
    /// The half it belongs to.
    pub side: bool,
    /// How it sends out its proposal in the coded form if it is faulty.
    schemes: Vec<Scheme>,
    is_coded: bool,
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
    pub fn new(
        (node, n): (usize, usize),
        (nature, side, is_coded): (Nature, bool, bool),
        seed: u64,
        chance: &mut Chance,
    ) -> Self {
        let schemes = match nature {
            Nature::Liar { .. } | Nature::Forger => schemes(chance, node, n),
            Nature::Equivocator { .. } => {
                let (root, fragments) = proposal(node, n, 1);
                vec![Scheme::Other(root, fragments)]
            }
            Nature::Honest
            | Nature::Silent
            | Nature::Hider { .. }
            | Nature::Twins
            | Nature::Flooder
            | Nature::Besieger => Vec::new(),
        };
        Self {
            node,
            nature,
            side,
            schemes,
            is_coded,
            machine: Subset::new(config(node, n, is_coded), OpenCoin { me: node, seed }),
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

    /// Comes back from its journal, having forgotten all else; it would propose something new if it could, and in another form.
    pub fn restart(&mut self, n: usize, seed: u64, is_coded: bool) {
        let decode = |bytes: &Bytes| JournalEntry::decode(bytes, n).expect("a journal holds what was written");
        let entries: Vec<_> = self.journal.iter().map(decode).collect();
        let sent = entries.iter().filter_map(|entry| match entry {
            JournalEntry::Sent(message) => Some((Target::All, encode(message))),
            JournalEntry::Held { .. } | JournalEntry::HeldFragment { .. } => None,
        });
        self.sent = sent.collect();
        self.machine = Subset::restore(config(self.node, n, is_coded), OpenCoin { me: self.node, seed }, entries);
        self.machine.propose(payload(self.node, 7));
    }

    /// What it sends to `to`, which is on the other side or not, instead of a message.
    pub fn instead(
        &self,
        (target, message): (Target, &Message),
        (to, is_other_side): (usize, bool),
        liar: &mut Liar<'_>,
    ) -> Vec<Message> {
        match self.nature {
            Nature::Equivocator { tells_both: true } => {
                let both = [Some(message.clone()), self.equivocate(message, liar)];
                let mut both: Vec<_> = both.into_iter().flatten().collect();
                if is_other_side {
                    both.reverse();
                }
                both
            }
            nature => self.instead_one(nature, (target, message), (to, is_other_side), liar).into_iter().collect(),
        }
    }

    fn instead_one(
        &self,
        nature: Nature,
        (target, message): (Target, &Message),
        (to, is_other_side): (usize, bool),
        liar: &mut Liar<'_>,
    ) -> Option<Message> {
        match nature {
            Nature::Liar { drop, change, invent } => liar.lie(self, message, (drop, change, invent)),
            Nature::Forger => liar.forge(self, message, 3),
            Nature::Equivocator { .. } if is_other_side => self.equivocate(message, liar),
            Nature::Hider { from, waits } => {
                let is_hidden = from >> to & 1 == 1 || (waits && target == Target::All);
                let is_own = match message {
                    Message::Payload { proposer, .. } | Message::Fragment { proposer, .. } => *proposer == self.node,
                    Message::Votes(_) | Message::Pull { .. } | Message::Seal { .. } => false,
                };
                (!is_own || !is_hidden).then(|| message.clone())
            }
            Nature::Honest
            | Nature::Silent
            | Nature::Equivocator { .. }
            | Nature::Twins
            | Nature::Flooder
            | Nature::Besieger => Some(message.clone()),
        }
    }

    /// The same message as the other side is told: another payload, opposite votes.
    fn equivocate(&self, message: &Message, liar: &mut Liar<'_>) -> Option<Message> {
        let me = self.node;
        match message {
            Message::Payload { proposer, .. } if *proposer == me => Some(sealed_payload(me, 1)),
            Message::Fragment { proposer, .. } if *proposer == me => liar.forge(self, message, 1),
            Message::Votes(_) => {
                let other = match self.schemes.first() {
                    Some(Scheme::Other(root, _)) if self.is_coded => *root,
                    _ => digest_root(&payload(me, 1)),
                };
                let votes = votes_of(message).into_iter().map(|vote| opposite(me, &other, vote));
                Some(message_of(votes.collect()))
            }
            other => Some(other.clone()),
        }
    }
}

pub(crate) fn config(me: usize, n: usize, is_coded: bool) -> Config {
    let coded_from_bytes = if is_coded { 0 } else { usize::MAX };
    Config { me, n, payload_max_bytes: PAYLOAD_MAX_BYTES, coded_from_bytes }
}

/// The vote that the other side is told: another payload's, or the opposite.
fn opposite(me: usize, other: &Root, vote: Vote) -> Vote {
    let mut vote = vote;
    match &mut vote {
        Vote::Echo { proposer, root } | Vote::Ready { proposer, root } if *proposer == me => *root = *other,
        Vote::Agree { value, .. } => *value = value.bit().map_or(Value::Bottom, |bit| Value::from(!bit)),
        Vote::Decided { value, .. } => *value = !*value,
        // READY for what was echoed says the other root to the other side by itself.
        Vote::Echo { .. }
        | Vote::Ready { .. }
        | Vote::ReadyAsEchoed { .. }
        | Vote::Coin { .. }
        | Vote::CoinMin { .. } => {}
    }
    vote
}

/// What lies are made with.
pub(crate) struct Liar<'a> {
    pub n: usize,
    pub seed: u64,
    pub chance: &'a mut Chance,
    /// Roots of payloads in the coded form, by proposer and variant.
    pub roots: &'a mut BTreeMap<(usize, u64), Root>,
}

impl Liar<'_> {
    fn lie(&mut self, liar: &Endpoint, message: &Message, (drop, change, invent): (u64, u64, u64)) -> Option<Message> {
        let me = liar.node;
        match message {
            Message::Payload { proposer, .. } if *proposer == me => match self.chance.below(VARIANTS) {
                0 => None,
                variant => Some(sealed_payload(me, variant)),
            },
            Message::Fragment { proposer, .. } if *proposer != me && self.chance.one_in(drop) => None,
            Message::Fragment { .. } => self.forge(liar, message, change),
            Message::Votes(_) => {
                let mut lies = Vec::new();
                for vote in votes_of(message) {
                    if !self.chance.one_in(drop) {
                        let is_changed = self.chance.one_in(change);
                        lies.push(if is_changed { self.changed(vote) } else { vote });
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

    /// Fragments of its own proposal by one of its schemes; one in so many of another's is spoilt.
    fn forge(&mut self, forger: &Endpoint, message: &Message, spoilt_one_in: u64) -> Option<Message> {
        let Message::Fragment { proposer, root, fragment } = message else { return Some(message.clone()) };
        if *proposer == forger.node && !forger.schemes.is_empty() {
            let scheme = &forger.schemes[self.chance.index(forger.schemes.len())];
            return scheme.in_place_of(forger.node, root, fragment, self.chance);
        }
        let (mut root, mut fragment) = (*root, fragment.clone());
        if self.chance.one_in(spoilt_one_in) {
            spoil(&mut root, &mut fragment, self.chance);
        }
        Some(Message::Fragment { proposer: *proposer, root, fragment })
    }

    fn changed(&mut self, vote: Vote) -> Vote {
        let mut vote = vote;
        match &mut vote {
            Vote::Echo { proposer, root } | Vote::Ready { proposer, root } => *root = self.some_root(*proposer),
            Vote::ReadyAsEchoed { proposer } => {
                vote = Vote::Ready { proposer: *proposer, root: self.some_root(*proposer) };
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

    /// The root of a payload that the proposer may have sent to somebody.
    fn some_root(&mut self, proposer: usize) -> Root {
        let variant = self.chance.below(VARIANTS + 1);
        if self.chance.one_in(2) {
            return digest_root(&payload(proposer, variant));
        }
        let roots = self.roots.entry((proposer, variant));
        *roots.or_insert_with(|| proposal(proposer, self.n, variant).0)
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
