//! What faulty nodes do: each runs a real node, and what it sends is changed on the way out.

use std::collections::BTreeMap;
use std::sync::Arc;

use constellation_acs::{Step, Value, digest_root};
use constellation_chain::{Hash, NetworkId, RoundId, SecretKey, Share, Tier, Transaction, seal_proposal};
use constellation_protocol::Message;

use crate::chance::Chance;
use crate::votes::{Vote, message_of, votes_of};

/// Rounds that a flooder speaks in, above its own.
const FLOOD_ROUNDS: u64 = 10_000;
/// Messages of a flood that go out with each of its own.
const FLOOD_MESSAGES: usize = 4;
const FLOOD_VOTES: usize = 30;

/// How a faulty node deceives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deceit {
    /// Hears, and says nothing.
    Mute,
    /// Its galaxy proposals carry certificates with a spoilt signature.
    SpoiltCertificates,
    /// Its cluster proposals are copies of what others were sent, with spoilt signatures.
    SpoiltProposals,
    /// Signs another block for the node after it than for the rest.
    DoubleSigns,
    /// Proposes something else to the node after it than to the rest.
    Equivocates,
    /// Serves black holes with a spoilt byte to who is behind.
    SpoiltRecords,
    /// Changes votes, payloads, signatures, heights and blocks, to everybody differently.
    Lies,
    /// Speaks up to 10,000 rounds ahead, of agreements and of nodes.
    Flood,
}

/// What the deceivers of a network have said.
#[derive(Default)]
pub(crate) struct Deceivers {
    by_node: BTreeMap<usize, Deceit>,
    /// Where everybody is told the same lie: what it was.
    told: BTreeMap<(usize, Tier, u64), Vec<u8>>,
}

impl Deceivers {
    pub fn set(&mut self, node: usize, deceit: Deceit) {
        self.by_node.insert(node, deceit);
    }

    pub fn of(&self, node: usize) -> Option<Deceit> {
        self.by_node.get(&node).copied()
    }

    /// What goes out instead of a message of `node`, whose key and neighbour it is given.
    pub fn instead(
        &mut self,
        (node, key, is_neighbour): (usize, &SecretKey, bool),
        bytes: &[u8],
        (network, committee): (NetworkId, usize),
        submitted: &[Arc<Transaction>],
        chance: &mut Chance,
    ) -> Vec<Vec<u8>> {
        let Some(deceit) = self.of(node) else { return vec![bytes.to_vec()] };
        let Ok(message) = Message::decode(bytes, committee) else { return vec![bytes.to_vec()] };
        match deceit {
            Deceit::Mute => Vec::new(),
            Deceit::SpoiltCertificates | Deceit::SpoiltProposals => {
                let signer = (node, network, key);
                vec![self.spoil(signer, deceit, message, submitted).unwrap_or_else(|| bytes.to_vec())]
            }
            Deceit::DoubleSigns if is_neighbour => vec![sign_otherwise(message, network, key)],
            Deceit::Equivocates if is_neighbour => vec![propose_otherwise(message, network, key)],
            Deceit::DoubleSigns | Deceit::Equivocates => vec![bytes.to_vec()],
            Deceit::SpoiltRecords => vec![spoil_record(message)],
            Deceit::Lies => lie(message, network, key, chance).into_iter().collect(),
            Deceit::Flood => {
                let mut all = vec![bytes.to_vec()];
                all.extend(flood(&message, committee, chance));
                all
            }
        }
    }

    /// One lie for everybody, in place of a proposal.
    fn spoil(
        &mut self,
        (node, network, key): (usize, NetworkId, &SecretKey),
        deceit: Deceit,
        message: Message,
        submitted: &[Arc<Transaction>],
    ) -> Option<Vec<u8>> {
        let Message::Round { tier, round, message: constellation_acs::Message::Payload { proposer, payload, .. } } =
            message
        else {
            return None;
        };
        let lie = match (tier, deceit) {
            (Tier::Galaxy, Deceit::SpoiltCertificates) => spoilt_certificate(&payload),
            (Tier::Cluster(_), Deceit::SpoiltProposals) => spoilt_copies(submitted),
            _ => return None,
        };
        let message = sealed(proposer, lie, &RoundId { network, tier, number: round }, key);
        let bytes = Message::Round { tier, round, message }.to_bytes();
        Some(self.told.entry((node, tier, round)).or_insert(bytes).clone())
    }
}

fn spoilt_certificate(payload: &[u8]) -> Vec<u8> {
    // Proof (80), header (312), signers (16), then the first signature.
    let mut lie = payload.to_vec();
    if let Some(byte) = lie.get_mut(80 + 312 + 16 + 5) {
        *byte ^= 1;
    }
    lie
}

/// A proposal of nothing, in place of its own.
fn propose_otherwise(message: Message, network: NetworkId, key: &SecretKey) -> Vec<u8> {
    let message = match message {
        Message::Round { tier, round, message: constellation_acs::Message::Payload { proposer, .. } } => {
            let id = RoundId { network, tier, number: round };
            Message::Round { tier, round, message: sealed(proposer, vec![0], &id, key) }
        }
        other => other,
    };
    message.to_bytes()
}

/// The same share, for a block that nobody has.
fn sign_otherwise(message: Message, network: NetworkId, key: &SecretKey) -> Vec<u8> {
    let message = match message {
        Message::Share { tier, round, .. } => {
            let id = RoundId { network, tier, number: round };
            Message::Share { tier, round, share: Share::sign(&id, Hash([0xee; 32]), key) }
        }
        other => other,
    };
    message.to_bytes()
}

/// A black hole with a changed signature in its certificate, or changed contents.
fn spoil_record(message: Message) -> Vec<u8> {
    let message = match message {
        Message::BlackHole(mut record) => {
            // Header (288), signers (16), then the first signature.
            let at =
                if record.get(16).is_some_and(|height| height % 2 == 0) { 288 + 16 + 5 } else { record.len() - 20 };
            record[at] ^= 1;
            Message::BlackHole(record)
        }
        other => other,
    };
    message.to_bytes()
}

fn spoilt_copies(submitted: &[Arc<Transaction>]) -> Vec<u8> {
    let copies = submitted.iter().rev().take(20).flat_map(|transaction| {
        let mut copy = transaction.to_bytes();
        copy[170] ^= 1;
        copy
    });
    // No proofs of misconduct, then the copies.
    std::iter::once(0).chain(copies).collect()
}

/// One in three messages is changed or lost.
fn lie(message: Message, network: NetworkId, key: &SecretKey, chance: &mut Chance) -> Option<Vec<u8>> {
    if !chance.one_in(3) {
        return Some(message.to_bytes());
    }
    let lie = match message {
        Message::Round { tier, round, message } => {
            let id = RoundId { network, tier, number: round };
            Message::Round { tier, round, message: lie_in_round(message, &id, key, chance)? }
        }
        Message::Share { tier, round, mut share } => {
            match chance.below(2) {
                0 => share.signature.0[7] ^= 1,
                _ => share = Share { block: Hash([3; 32]), ..share },
            }
            Message::Share { tier, round, share }
        }
        Message::Status { height, answer, cluster_rounds } => {
            let ahead = chance.pick(&[0, 1, 100, u64::MAX / 2]);
            let cluster_rounds = cluster_rounds.into_iter().map(|round| round + ahead).collect();
            Message::Status { height: height + ahead, answer, cluster_rounds }
        }
        Message::BlackHole(bytes) => Message::BlackHole(spoilt(bytes, chance)),
        Message::LshBlock(bytes) => Message::LshBlock(spoilt(bytes, chance)),
        Message::GetBlackHole { .. } | Message::GetLshBlock { .. } => return None,
    };
    Some(lie.to_bytes())
}

fn lie_in_round(
    message: constellation_acs::Message,
    id: &RoundId,
    key: &SecretKey,
    chance: &mut Chance,
) -> Option<constellation_acs::Message> {
    if let constellation_acs::Message::Payload { proposer, payload, .. } = &message {
        return Some(sealed(*proposer, spoilt(payload.to_vec(), chance), id, key));
    }
    let mut votes = votes_of(&message);
    votes.retain(|_| !chance.one_in(4));
    for vote in &mut votes {
        match vote {
            Vote::Echo { root, .. } | Vote::Ready { root, .. } if chance.one_in(3) => root[0] ^= 1,
            Vote::ReadyAsEchoed { proposer } if chance.one_in(3) => {
                *vote = Vote::Ready { proposer: *proposer, root: [1; 32] };
            }
            Vote::Agree { value, .. } if chance.one_in(2) => *value = chance.pick(&Value::ALL),
            Vote::Decided { value, .. } => *value = !*value,
            _ => {}
        }
    }
    (!votes.is_empty()).then(|| message_of(votes))
}

/// A proposal with a seal that holds.
fn sealed(proposer: usize, payload: Vec<u8>, id: &RoundId, key: &SecretKey) -> constellation_acs::Message {
    let seal = seal_proposal(id, &digest_root(&payload), key).0;
    constellation_acs::Message::Payload { proposer, seal, payload: payload.into() }
}

fn spoilt(mut bytes: Vec<u8>, chance: &mut Chance) -> Vec<u8> {
    if !bytes.is_empty() {
        let place = chance.index(bytes.len());
        bytes[place] ^= 1 << chance.below(8);
    }
    bytes
}

/// Votes far ahead in the agreements of this round, and the same in rounds far ahead of this one.
fn flood(message: &Message, committee: usize, chance: &mut Chance) -> Vec<Vec<u8>> {
    let Message::Round { tier, round, .. } = *message else { return Vec::new() };
    let mut messages = Vec::with_capacity(FLOOD_MESSAGES);
    for index in 0..FLOOD_MESSAGES {
        let mut votes = Vec::with_capacity(FLOOD_VOTES);
        for _ in 0..FLOOD_VOTES {
            votes.push(Vote::Agree {
                instance: chance.index(committee) as u16,
                round: 2 + chance.below(FLOOD_ROUNDS) as u32,
                step: chance.pick(&Step::ALL),
                value: chance.pick(&[Value::Zero, Value::One]),
            });
        }
        let ahead = if index % 2 == 0 { 0 } else { 1 + chance.below(FLOOD_ROUNDS) };
        messages.push(Message::Round { tier, round: round + ahead, message: message_of(votes) }.to_bytes());
    }
    messages
}
