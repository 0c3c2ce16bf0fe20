//! A node driven by a script that fuzz input can hold, and that a real run can be recorded as.
//!
//! ```text
//! step   1  what, modulo 8
//!        0..=2  message of peer 1 + what:        length 2, bytes
//!        3      time passes:                     milliseconds 2
//!        4, 5   session up, down with a peer:    peer 1
//!        6      what verifies from now on:       0 nothing, else everything
//!        7      gossiped transactions:           length 2, see `transactions`
//! ```

use crate::network::{NODES, Trusting, genesis, node_key, transactions};
use constellation_chain::{BlackHole, COMMITTEE_MAX, Tier};
use constellation_protocol::{Action, Config, Event, JournalRecord, Message, Node, NodeIndex};
use std::sync::Arc;

/// One step of a script.
#[derive(Clone, Debug)]
pub enum Step {
    /// A peer's message: the peer from 1, the bytes.
    Message(NodeIndex, Vec<u8>),
    /// Milliseconds that pass.
    Time(u16),
    /// A session with a peer comes up.
    Connected(NodeIndex),
    /// It goes down.
    Disconnected(NodeIndex),
    /// What the verification engine says from now on.
    Verdicts(bool),
    /// Input of [`transactions`].
    Gossip(Vec<u8>),
}

impl Step {
    /// Reads the step at the front of `input`.
    pub fn read(input: &mut &[u8]) -> Option<Step> {
        let (what, peer) = (u16::from(byte(input)? % 8), |byte: u8| 1 + NodeIndex::from(byte % (NODES - 1)));
        Some(match what {
            0..=2 => Step::Message(1 + what, chunk(input)?.to_vec()),
            3 => Step::Time(word(input)?),
            4 => Step::Connected(peer(byte(input)?)),
            5 => Step::Disconnected(peer(byte(input)?)),
            6 => Step::Verdicts(byte(input)? != 0),
            _ => Step::Gossip(chunk(input)?.to_vec()),
        })
    }

    /// Appends the step's bytes.
    pub fn write(&self, out: &mut Vec<u8>) {
        let mut with_chunk = |what: u8, bytes: &[u8]| {
            out.push(what);
            out.extend_from_slice(&(bytes.len() as u16).to_le_bytes());
            out.extend_from_slice(bytes);
        };
        match self {
            Step::Message(peer, bytes) => with_chunk(*peer as u8 - 1, bytes),
            Step::Gossip(bytes) => with_chunk(7, bytes),
            Step::Time(ms) => {
                out.push(3);
                out.extend_from_slice(&ms.to_le_bytes());
            }
            Step::Connected(peer) => out.extend([4, *peer as u8 - 1]),
            Step::Disconnected(peer) => out.extend([5, *peer as u8 - 1]),
            Step::Verdicts(good) => out.extend([6, u8::from(*good)]),
        }
    }
}

fn byte(input: &mut &[u8]) -> Option<u8> {
    input.split_off_first().copied()
}

fn word(input: &mut &[u8]) -> Option<u16> {
    Some(u16::from_le_bytes([byte(input)?, byte(input)?]))
}

fn chunk<'a>(input: &mut &'a [u8]) -> Option<&'a [u8]> {
    let len = usize::from(word(input)?);
    input.split_off(..len.min(input.len()))
}

/// The settings of a node of the fuzz network.
pub fn peer_config(index: u8) -> Config {
    Config::new(genesis().clone(), node_key(index))
}

/// A node with what it needs around it: a clock, a verification engine, a log and a journal.
pub struct Driver {
    node: Node,
    index: u8,
    now_us: u64,
    verdict: bool,
    log: Vec<(Arc<BlackHole>, Vec<u8>)>,
    journal: Vec<JournalRecord>,
}

impl Driver {
    /// A new node.
    pub fn new(index: u8) -> Driver {
        let node = Node::new(peer_config(index), Arc::new(Trusting)).expect("every node is in the genesis");
        Driver { node, index, now_us: 0, verdict: true, log: Vec::new(), journal: Vec::new() }
    }

    /// Takes a step; returns the messages it makes the node send.
    pub fn step(&mut self, step: Step) -> Vec<(NodeIndex, Vec<u8>)> {
        match step {
            Step::Message(from, bytes) => self.node.handle(self.now_us, Event::Message { from, bytes }),
            Step::Time(ms) => self.now_us += 1000 * u64::from(ms),
            Step::Connected(peer) => self.node.handle(self.now_us, Event::Connected(peer)),
            Step::Disconnected(peer) => self.node.handle(self.now_us, Event::Disconnected(peer)),
            Step::Verdicts(good) => self.verdict = good,
            Step::Gossip(input) => self.node.handle(self.now_us, Event::Gossiped(transactions(&input))),
        }
        let mut sent = Vec::new();
        loop {
            let actions = self.node.poll(self.now_us);
            if actions.is_empty() {
                return sent;
            }
            actions.into_iter().for_each(|action| self.carry_out(action, &mut sent));
        }
    }

    /// Kills the node and starts it again from its log and its journal.
    pub fn restart(&mut self) {
        let mut node = Node::new(peer_config(self.index), Arc::new(Trusting)).expect("every node is in the genesis");
        for (black_hole, _) in &self.log {
            node.replay(black_hole).expect("a node's own log replays");
        }
        assert_eq!(node.tip(), self.node.tip());
        node.restore(self.journal.clone());
        self.node = node;
    }

    /// Height of the last black hole.
    pub fn height(&self) -> u64 {
        self.node.tip().0
    }

    /// What the journal holds.
    pub fn journal(&self) -> &[JournalRecord] {
        &self.journal
    }

    fn carry_out(&mut self, action: Action, sent: &mut Vec<(NodeIndex, Vec<u8>)>) {
        match action {
            Action::Send { to, bytes, .. } => {
                let message = Message::decode(&bytes, COMMITTEE_MAX).expect("what a node sends, a node can read");
                assert_eq!(message.to_bytes(), *bytes);
                sent.push((to, bytes.to_vec()));
            }
            Action::Journal(record) => {
                let mut bytes = Vec::new();
                record.encode(&mut bytes);
                assert_eq!(JournalRecord::decode(&bytes, COMMITTEE_MAX).as_ref(), Ok(&record));
                self.journal.push(record);
            }
            Action::Retire { tier, round, .. } => self.retire(tier, round),
            Action::Append { black_hole, certificate } => {
                assert_eq!(black_hole.header.height(), self.log.len() as u64 + 1);
                let bytes = black_hole.to_bytes(&certificate);
                self.log.push((black_hole, bytes));
            }
            Action::Serve { to, height } => {
                let (_, bytes) = &self.log[height as usize - 1];
                sent.push((to, Message::BlackHole(bytes.clone()).to_bytes()));
            }
            Action::Verify { job, transactions } => {
                let verdicts = vec![self.verdict; transactions.len()];
                self.node.handle(self.now_us, Event::Verified { job, verdicts });
            }
            Action::Fault(fault) => assert!(!fault.kind.to_string().is_empty()),
            Action::Gossip(_) | Action::GossipOffer(_) | Action::Submitted { .. } => {}
            Action::Dropped { .. } | Action::Answer { .. } | Action::Halt(_) => {}
        }
    }

    fn retire(&mut self, tier: Tier, round: u64) {
        self.journal.retain(|record| (record.tier, record.round) != (tier, round));
    }
}
