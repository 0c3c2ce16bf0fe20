//! Reliable broadcast of one proposer's payload, digest form (Bracha 1987, with the payload sent once and votes that
//! carry its BLAKE3 root; missing payloads are pulled).
//!
//! 1. The proposer sends its payload to all. On the proposer's first payload a node stores it and votes ECHO(root);
//!    nobody echoes what it does not hold.
//! 2. On n−f ECHO(root) or f+1 READY(root) a node votes READY(root), once.
//! 3. On n−f READY(root) it delivers, if it holds the payload. If it does not, the payload may still be on its way: one
//!    whole tick later it begins to pull, one echoer a tick, in turn.
//! 4. Who holds the payload answers a pull.
//!
//! **Agreement.** Let the first honest READY for `a`, and the first for `b`, both stem from n−f ECHOs (an honest READY
//! that stems from f+1 READYs has an honest one before it). The two quorums share n−2f ≥ f+1 nodes, so an honest one,
//! which echoed once: `a = b`. Delivery needs n−f ≥ f+1 READYs, so one honest, so nobody delivers another root.
//! **Totality.** If an honest node sees n−f READY(root), at least n−2f ≥ f+1 honest ones sent it to all, so every
//! honest node becomes READY, so every honest node sees n−f. The first honest READY stood on n−f ECHOs, f+1 of them
//! from honest holders; their ECHOs reach everybody, so whoever lacks the payload comes to ask an honest holder.
//! **Validity.** An honest proposer's payload is echoed by all honest nodes, and nothing else of it is.
//!
//! **Bounds.** First vote wins in ECHO and in READY, so at most 2n roots are counted; at most two payloads are held
//! (the one echoed, and the one delivered if that is another). A peer gets two answers to its pulls at once, and then
//! the k-th not before tick 2^k: few in all, yet a node that crashed after it had been answered can ask again.

use std::sync::Arc;

use crate::committee::{Committee, NodeSet};
use crate::fault::FaultKind;
use crate::message::{Message, Root, Vote};
use crate::outbox::Outbox;

/// Answers to one peer's pulls of one payload that are given without waiting.
const FREE_PULL_ANSWERS: u8 = 2;

/// The two kinds of vote of a broadcast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Echo,
    Ready,
}

/// Who voted for one root.
#[derive(Debug)]
struct Tally {
    root: Root,
    votes: [NodeSet; 2],
}

/// One proposer's broadcast, as one node sees it.
#[derive(Debug)]
pub(crate) struct Broadcast {
    committee: Committee,
    proposer: usize,
    payload_max_bytes: usize,
    tallies: Vec<Tally>,
    /// Who has voted at all, by kind.
    voted: [NodeSet; 2],
    /// The payload the proposer sent me first, which I vouch for.
    held: Option<(Root, Arc<[u8]>)>,
    delivered: Option<(Root, Arc<[u8]>)>,
    /// A tick has passed since a deliverable payload was found lacking.
    overdue: bool,
    next_source: usize,
    /// Answers given to each peer's pulls; empty before the first.
    answers: Vec<u8>,
}

impl Broadcast {
    pub fn new(committee: Committee, proposer: usize, payload_max_bytes: usize) -> Self {
        Self {
            committee,
            proposer,
            payload_max_bytes,
            tallies: Vec::new(),
            voted: Default::default(),
            held: None,
            delivered: None,
            overdue: false,
            // Nodes that lack the same payload begin with different echoers.
            next_source: committee.me + 1,
            answers: Vec::new(),
        }
    }

    pub fn payload_max_bytes(&self) -> usize {
        self.payload_max_bytes
    }

    pub fn delivered(&self) -> Option<&Arc<[u8]>> {
        self.delivered.as_ref().map(|(_, payload)| payload)
    }

    /// My own payload; ignored if I already have one.
    pub fn propose(&mut self, payload: Arc<[u8]>, out: &mut Outbox) {
        if self.held.is_none() {
            out.propose(self.proposer, payload.clone());
            self.restore_held(payload);
            self.resume(out);
        }
    }

    pub fn on_payload(&mut self, from: usize, payload: Arc<[u8]>, out: &mut Outbox) {
        if payload.len() > self.payload_max_bytes {
            let proposer = self.proposer;
            return out.blame(from, FaultKind::PayloadTooLarge { proposer });
        }
        if let Some((_, held)) = &self.held {
            if *held == payload {
                return;
            }
            if from == self.proposer {
                out.blame(from, FaultKind::TwoPayloads);
            }
        }
        if self.delivered.is_some() {
            return;
        }
        let first = from == self.proposer && self.held.is_none();
        let ready_root = self.ready_root();
        if !first && ready_root.is_none() {
            return;
        }
        let root = *blake3::hash(&payload).as_bytes();
        if first {
            out.hold(self.proposer, payload.clone());
            self.held = Some((root, payload.clone()));
            self.vote(Kind::Echo, root, out);
        }
        if ready_root == Some(root) {
            self.delivered = Some((root, payload));
        }
    }

    pub fn on_vote(&mut self, from: usize, kind: Kind, root: Root, out: &mut Outbox) {
        match self.count(from, kind, root) {
            Ok(true) => self.step(root, out),
            Ok(false) => {}
            Err(fault) => out.blame(from, fault),
        }
    }

    /// `ticks` is how many ticks this node has seen.
    pub fn on_pull(&mut self, from: usize, root: Root, ticks: u64, out: &mut Outbox) {
        let both = [&self.held, &self.delivered];
        let Some((_, payload)) = both.into_iter().flatten().find(|held| held.0 == root) else {
            return;
        };
        self.answers.resize(self.committee.n, 0);
        let answers = &mut self.answers[from];
        if *answers < FREE_PULL_ANSWERS || ticks.checked_shr(u32::from(*answers)).unwrap_or(0) > 0 {
            *answers += 1;
            let message = Message::Payload { proposer: self.proposer, payload: payload.clone() };
            out.send(from, message);
        }
    }

    pub fn tick(&mut self, out: &mut Outbox) {
        if self.delivered.is_some() {
            return;
        }
        let Some(root) = self.ready_root() else {
            return;
        };
        if !std::mem::replace(&mut self.overdue, true) {
            return;
        }
        let sources = self.votes(Kind::Echo, root);
        if let Some(source) = sources.next_member(self.next_source, self.committee.me) {
            self.next_source = source + 1;
            let proposer = self.proposer;
            out.send(source, Message::Pull { proposer, root });
        }
    }

    /// Takes back a payload that the journal holds, mine or another's.
    pub fn restore_held(&mut self, payload: Arc<[u8]>) {
        let root = *blake3::hash(&payload).as_bytes();
        self.held = Some((root, payload));
    }

    /// Takes back a vote of mine that the journal holds.
    pub fn restore_vote(&mut self, kind: Kind, root: Root) {
        // A journal never holds two votes of one kind; if it did, the first would stand.
        self.count(self.committee.me, kind, root).ok();
    }

    /// Does what the state calls for: what a crash may have cut off.
    pub fn resume(&mut self, out: &mut Outbox) {
        if let Some((root, _)) = self.held {
            self.vote(Kind::Echo, root, out);
            self.step(root, out);
        }
    }

    /// The rules that a new vote for `root` can set off.
    fn step(&mut self, root: Root, out: &mut Outbox) {
        let echoed = self.votes(Kind::Echo, root).len();
        let ready = self.votes(Kind::Ready, root).len();
        if self.committee.is_quorum(echoed) || self.committee.has_honest(ready) {
            self.vote(Kind::Ready, root, out);
        }
        if self.delivered.is_none() && self.ready_root() == Some(root) {
            self.delivered = self.held.clone().filter(|held| held.0 == root);
        }
    }

    /// Casts my vote, unless I have cast one of this kind.
    fn vote(&mut self, kind: Kind, root: Root, out: &mut Outbox) {
        if self.voted[kind as usize].contains(self.committee.me) {
            return;
        }
        let proposer = self.proposer;
        out.vote(match kind {
            Kind::Echo => Vote::Echo { proposer, root },
            Kind::Ready => Vote::Ready { proposer, root },
        });
        self.on_vote(self.committee.me, kind, root, out);
    }

    /// Whether the vote is new; an error when it contradicts an earlier one.
    fn count(&mut self, from: usize, kind: Kind, root: Root) -> Result<bool, FaultKind> {
        if self.voted[kind as usize].contains(from) {
            let proposer = self.proposer;
            return match (self.votes(kind, root).contains(from), kind) {
                (true, _) => Ok(false),
                (false, Kind::Echo) => Err(FaultKind::TwoEchoes { proposer }),
                (false, Kind::Ready) => Err(FaultKind::TwoReadies { proposer }),
            };
        }
        self.voted[kind as usize].insert(from);
        match self.tallies.iter_mut().find(|tally| tally.root == root) {
            Some(tally) => tally.votes[kind as usize].insert(from),
            None => {
                let mut votes = [NodeSet::default(); 2];
                votes[kind as usize].insert(from);
                self.tallies.push(Tally { root, votes });
            }
        }
        Ok(true)
    }

    fn votes(&self, kind: Kind, root: Root) -> NodeSet {
        let tally = self.tallies.iter().find(|tally| tally.root == root);
        tally.map_or_else(NodeSet::default, |tally| tally.votes[kind as usize])
    }

    /// The root that n−f are READY for: the one to be delivered.
    fn ready_root(&self) -> Option<Root> {
        let ready = |tally: &&Tally| self.committee.is_quorum(tally.votes[Kind::Ready as usize].len());
        self.tallies.iter().find(ready).map(|tally| tally.root)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{JournalEntry, Target};

    fn payload(text: &str) -> Arc<[u8]> {
        text.as_bytes().into()
    }

    fn root(text: &str) -> Root {
        *blake3::hash(text.as_bytes()).as_bytes()
    }

    /// Node 0 of four, in the broadcast of node 3.
    fn broadcast() -> (Broadcast, Outbox) {
        let broadcast = Broadcast::new(Committee::new(0, 4), 3, 16);
        (broadcast, Outbox::default())
    }

    fn votes(out: &mut Outbox) -> Vec<Vote> {
        match out.take_outgoing().messages.pop() {
            Some((Target::All, Message::Votes(votes))) => votes,
            None => Vec::new(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn holds_before_it_echoes_and_delivers_on_a_quorum() {
        let (mut broadcast, mut out) = broadcast();
        broadcast.on_payload(3, payload("a"), &mut out);
        let outgoing = out.take_outgoing();
        let echo = Message::Votes(vec![Vote::Echo { proposer: 3, root: root("a") }]);
        let held = JournalEntry::Held { proposer: 3, payload: payload("a") };
        assert_eq!(outgoing.journal, [held, JournalEntry::Sent(echo.clone())]);
        assert_eq!(outgoing.messages, [(Target::All, echo)]);
        broadcast.on_vote(1, Kind::Echo, root("a"), &mut out);
        assert_eq!(votes(&mut out), []);
        broadcast.on_vote(2, Kind::Echo, root("a"), &mut out);
        assert!(matches!(votes(&mut out)[..], [Vote::Ready { .. }]));
        broadcast.on_vote(1, Kind::Ready, root("a"), &mut out);
        assert!(broadcast.delivered().is_none());
        broadcast.on_vote(3, Kind::Ready, root("a"), &mut out);
        assert_eq!(broadcast.delivered(), Some(&payload("a")));
        assert_eq!(out.take_faults(), []);
    }

    #[test]
    fn only_the_proposer_makes_it_echo() {
        let (mut broadcast, mut out) = broadcast();
        broadcast.on_payload(2, payload("a"), &mut out);
        assert_eq!(votes(&mut out), []);
    }

    #[test]
    fn pulls_what_it_lacks_and_takes_only_the_ready_root() {
        let (mut broadcast, mut out) = broadcast();
        for node in [1, 2, 3] {
            broadcast.on_vote(node, Kind::Echo, root("a"), &mut out);
            broadcast.on_vote(node, Kind::Ready, root("a"), &mut out);
        }
        assert!(matches!(votes(&mut out)[..], [Vote::Ready { .. }]));
        let mut asked = Vec::new();
        for _ in 0..5 {
            broadcast.tick(&mut out);
            asked.extend(out.take_outgoing().messages.into_iter().map(|(to, _)| to));
        }
        assert_eq!(asked, [1, 2, 3, 1].map(Target::One), "not on the first tick");
        broadcast.on_payload(2, payload("b"), &mut out);
        assert!(broadcast.delivered().is_none());
        broadcast.on_payload(2, payload("a"), &mut out);
        assert_eq!(broadcast.delivered(), Some(&payload("a")));
        broadcast.tick(&mut out);
        assert_eq!(out.take_outgoing(), Default::default());
    }

    #[test]
    fn answers_few_pulls() {
        let (mut broadcast, mut out) = broadcast();
        broadcast.on_payload(3, payload("a"), &mut out);
        out.take_outgoing();
        let mut answers = |ticks, wanted| {
            for _ in 0..10 {
                broadcast.on_pull(1, root(wanted), ticks, &mut out);
            }
            out.take_outgoing().messages.len()
        };
        let given = [(0, "b"), (0, "a"), (3, "a"), (4, "a"), (7, "a"), (u64::MAX, "a")];
        let given = given.map(|(ticks, wanted)| answers(ticks, wanted));
        assert_eq!(given, [0, 2, 0, 1, 0, 10]);
    }

    #[test]
    fn contradictions_are_faults_and_repeats_are_not() {
        let (mut broadcast, mut out) = broadcast();
        for text in ["a", "a", "b"] {
            broadcast.on_payload(3, payload(text), &mut out);
            broadcast.on_vote(1, Kind::Echo, root(text), &mut out);
            broadcast.on_vote(1, Kind::Ready, root(text), &mut out);
        }
        broadcast.on_payload(2, payload("longer than sixteen"), &mut out);
        let faults = out.take_faults().into_iter().map(|f| (f.node, f.kind));
        assert_eq!(
            faults.collect::<Vec<_>>(),
            [
                (3, FaultKind::TwoPayloads),
                (1, FaultKind::TwoEchoes { proposer: 3 }),
                (1, FaultKind::TwoReadies { proposer: 3 }),
                (2, FaultKind::PayloadTooLarge { proposer: 3 }),
            ]
        );
    }
}
