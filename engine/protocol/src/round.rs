//! One round of consensus, the same at both tiers: a common subset over the members' proposals, then their signatures under the
//! block that everybody computes from its output.
//!
//! A round keeps every message it sent: a peer that comes back is sent them all again, which makes TCP's broken connections
//! look like the reliable links that the common subset is proved for.

use crate::coin::VrfCoin;
use crate::event::{Action, Compute, Fault, FaultKind, NodeIndex, Priority};
use crate::journal::JournalRecord;
use crate::message::Message;
use constellation_acs::{JournalEntry, SealedRoot, Subset, Target};
use constellation_chain::{
    Certificate, Committee, Hash, Members, Misconduct, MisconductKind, RoundId, SecretKey, Share, Signature, Statement,
};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a round is about, and this node's seat in it.
#[derive(Clone)]
pub(crate) struct Seat {
    pub id: RoundId,
    pub committee: Committee,
    /// The members' places in the genesis' list, by committee index.
    pub nodes: Vec<NodeIndex>,
    pub me: usize,
    pub payload_max_bytes: usize,
}

pub(crate) struct Round {
    seat: Seat,
    key: SecretKey,
    subset: Subset<VrfCoin>,
    sent: Vec<(Target, Arc<[u8]>)>,
    block: Option<Hash>,
    unchecked: BTreeMap<usize, Share>,
    checked: BTreeMap<usize, Signature>,
    /// Each member's first share; a second one that differs, or a certificate with another, is proof against it.
    first: BTreeMap<usize, Share>,
    repeated: Members,
    proofs: Vec<Misconduct>,
}

/// An agreed proposal: its member's committee index, and the payload.
pub(crate) type Agreed = (usize, Arc<[u8]>);

/// What arrives for a round.
#[derive(Debug)]
pub(crate) enum RoundMessage {
    Subset(constellation_acs::Message),
    Share(Share),
}

impl Round {
    /// Starts a round, or takes it up where the journal left it: `entries` are its journalled ones, in order.
    pub fn new(seat: Seat, key: SecretKey, compute: Arc<dyn Compute>, entries: Vec<JournalEntry>) -> Self {
        let coin = VrfCoin { key: key.clone(), committee: seat.committee.clone(), id: seat.id, compute };
        let config = constellation_acs::Config {
            me: seat.me,
            n: seat.committee.len(),
            payload_max_bytes: seat.payload_max_bytes,
            coded_from_bytes: constellation_acs::CODED_FROM_BYTES,
        };
        let sent = entries
            .iter()
            .filter_map(|entry| match entry {
                JournalEntry::Sent(message) => Some((Target::All, encode(&seat, message.clone()))),
                JournalEntry::Held { .. } | JournalEntry::HeldFragment { .. } => None,
            })
            .collect();
        let subset = Subset::restore(config, coin, entries);
        Round {
            seat,
            key,
            subset,
            sent,
            block: None,
            unchecked: BTreeMap::new(),
            checked: BTreeMap::new(),
            first: BTreeMap::new(),
            repeated: Members::default(),
            proofs: Vec::new(),
        }
    }

    pub fn number(&self) -> u64 {
        self.seat.id.number
    }

    pub fn has_proposed(&self) -> bool {
        self.subset.has_proposed()
    }

    pub fn propose(&mut self, payload: Arc<[u8]>) {
        self.subset.propose(payload);
    }

    pub fn output(&self) -> Option<&[Agreed]> {
        self.subset.output()
    }

    /// Whether this round only waits for votes, so that the next one may broadcast.
    pub fn has_quorum_of_payloads(&self) -> bool {
        self.subset.has_quorum_of_payloads()
    }

    /// A member's proposal, once it is here for good; agreed on or not.
    pub fn delivered(&self, member: usize) -> Option<&Arc<[u8]>> {
        self.subset.delivered(member)
    }

    pub fn tick(&mut self) {
        self.subset.tick();
    }

    /// Takes a member's message. Shares are kept until the block is known, one from each member.
    pub fn handle(&mut self, from: NodeIndex, message: RoundMessage) -> Result<(), FaultKind> {
        let Some(index) = self.seat.nodes.iter().position(|&node| node == from) else {
            return Err(FaultKind::NoSeat { tier: self.seat.id.tier, round: self.seat.id.number });
        };
        match message {
            RoundMessage::Subset(message) => self.subset.handle(index, message),
            RoundMessage::Share(share) => match self.first.get(&index) {
                // One repeat is looked into: each costs two verifications, and the sender can make any number.
                Some(_) if self.repeated.insert(index) => self.contradict(index, share),
                Some(_) => {}
                None => {
                    self.first.insert(index, share);
                    self.unchecked.insert(index, share);
                }
            },
        }
        Ok(())
    }

    /// Compares the shares under a certified block of this round with those that this node was sent.
    pub fn compare(&mut self, block: Hash, certificate: &Certificate) {
        for (index, signature) in certificate.shares() {
            self.contradict(index, Share { block, signature });
        }
    }

    /// What the members signed against each other, their signatures not checked yet.
    pub fn take_proofs(&mut self) -> Vec<Misconduct> {
        std::mem::take(&mut self.proofs)
    }

    fn contradict(&mut self, index: usize, other: Share) {
        let Some(first) = self.first.get(&index) else { return };
        let statements = [*first, other].map(|share| Statement { hash: share.block, signature: share.signature });
        self.prove(MisconductKind::TwoBlocks, index, statements);
    }

    fn prove(&mut self, kind: MisconductKind, index: usize, statements: [Statement; 2]) {
        let RoundId { tier, number, .. } = self.seat.id;
        let Some(&member) = self.seat.committee.get(index) else { return };
        self.proofs.extend(Misconduct::new(kind, (tier, number), member, statements));
    }

    /// Signs the block that this round's output makes, and tells everybody.
    pub fn sign(&mut self, block: Hash, out: &mut Vec<Action>) {
        if self.block.is_some() {
            return;
        }
        self.block = Some(block);
        let share = Share::sign(&self.seat.id, block, &self.key);
        self.first.insert(self.seat.me, share);
        self.checked.insert(self.seat.me, share.signature);
        let message = Message::Share { tier: self.seat.id.tier, round: self.seat.id.number, share };
        let bytes: Arc<[u8]> = message.to_bytes().into();
        self.sent.push((Target::All, bytes.clone()));
        self.send_to_all(bytes, out);
    }

    /// The certificate, once a quorum has signed the block this node computed. More shares than the quorum are not waited for.
    pub fn certificate(&mut self, compute: &dyn Compute, faults: &mut Vec<Fault>) -> Option<Certificate> {
        let block = self.block?;
        if self.checked.len() + self.unchecked.len() < self.seat.committee.quorum() {
            return None;
        }
        for (index, share) in std::mem::take(&mut self.unchecked) {
            let signer = self.seat.committee.get(index).copied();
            if share.block == block && signer.is_some_and(|signer| share.is_valid(&self.seat.id, signer, compute)) {
                self.checked.insert(index, share.signature);
            } else if let Some(&node) = self.seat.nodes.get(index) {
                let kind = FaultKind::BadShare { tier: self.seat.id.tier, round: self.seat.id.number };
                faults.push(Fault { node, kind });
            }
        }
        (self.checked.len() >= self.seat.committee.quorum()).then(|| Certificate::from_shares(&self.checked))
    }

    /// Lets everything leave that the common subset has to say: the journal first.
    pub fn flush(&mut self, out: &mut Vec<Action>, faults: &mut Vec<Fault>) {
        let outgoing = self.subset.take_outgoing();
        let RoundId { tier, number: round, .. } = self.seat.id;
        out.extend(outgoing.journal.into_iter().map(|entry| Action::Journal(JournalRecord { tier, round, entry })));
        for (target, message) in outgoing.messages {
            // Pulls are asked for anew, and payloads in answer to them; votes, the fragment of my proposal that a peer is to
            // keep, and the seal that convicts its proposer are what one that comes back cannot do without.
            use constellation_acs::Message::{Fragment, Seal, Votes};
            let is_kept = target == Target::All || matches!(message, Votes(_) | Fragment { .. } | Seal { .. });
            let bytes = encode(&self.seat, message);
            if is_kept {
                self.sent.push((target, bytes.clone()));
            }
            match target {
                Target::All => self.send_to_all(bytes, out),
                Target::One(index) => {
                    if let Some(&to) = self.seat.nodes.get(index) {
                        out.push(Action::Send { to, priority: Priority::Consensus, bytes });
                    }
                }
            }
        }
        for fault in self.subset.take_faults() {
            if let constellation_acs::FaultKind::TwoProposals(sealed) = &fault.kind {
                let statement = |one: &SealedRoot| Statement { hash: Hash(one.root), signature: Signature(one.seal) };
                self.prove(MisconductKind::TwoProposals, fault.node, [statement(&sealed[0]), statement(&sealed[1])]);
            } else if let Some(&node) = self.seat.nodes.get(fault.node) {
                faults.push(Fault { node, kind: FaultKind::Consensus(fault.kind) });
            }
        }
    }

    /// Sends a peer that came back everything again. Repeats are harmless.
    pub fn resend_to(&self, to: NodeIndex, out: &mut Vec<Action>) {
        let Some(index) = self.seat.nodes.iter().position(|&node| node == to) else { return };
        let meant = |target: &Target| matches!(target, Target::All) || *target == Target::One(index);
        let send = |bytes: &Arc<[u8]>| Action::Send { to, priority: Priority::Consensus, bytes: bytes.clone() };
        out.extend(self.sent.iter().filter(|(target, _)| meant(target)).map(|(_, bytes)| send(bytes)));
    }

    fn send_to_all(&self, bytes: Arc<[u8]>, out: &mut Vec<Action>) {
        let others = self.seat.nodes.iter().enumerate().filter(|&(index, _)| index != self.seat.me);
        out.extend(others.map(|(_, &to)| Action::Send { to, priority: Priority::Consensus, bytes: bytes.clone() }));
    }
}

fn encode(seat: &Seat, message: constellation_acs::Message) -> Arc<[u8]> {
    Message::Round { tier: seat.id.tier, round: seat.id.number, message }.to_bytes().into()
}
