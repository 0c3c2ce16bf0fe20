//! What nodes say to each other, and what a node writes down before it says so. Types only; `codec` has their bytes.

use std::sync::Arc;

use crate::committee::InstanceSet;
use crate::fragment::Fragment;
use crate::seal::Seal;

/// Names a payload: its BLAKE3 hash in the digest form, the root over its fragments in the coded form.
pub type Root = [u8; 32];

/// Longest proof of a coin share, in bytes.
pub const COIN_PROOF_MAX_BYTES: usize = 128;

/// A message from node to node. Who sent it is known from the link it came by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// A payload: from its proposer, whose ECHO it is too, or from a holder in answer to a pull.
    Payload {
        /// Whose broadcast it is for.
        proposer: usize,
        /// The proposer's seal of the payload's root.
        seal: Seal,
        /// The bytes agreed on.
        payload: Arc<[u8]>,
    },
    /// Every vote that left together.
    Votes(Vec<Vote>),
    /// "Send me that payload, or your fragment of it": to a node that echoed it.
    Pull {
        /// Whose broadcast.
        proposer: usize,
        /// The payload wanted.
        root: Root,
    },
    /// A piece of a payload: from its proposer to the node that is to keep it, or from that node to others.
    Fragment {
        /// Whose broadcast it is for.
        proposer: usize,
        /// The payload it is a piece of.
        root: Root,
        /// The piece and its branch.
        fragment: Fragment,
    },
    /// "This is what the proposer sealed for me": to a node that echoed another root.
    Seal {
        /// Whose broadcast.
        proposer: usize,
        /// The payload that the sender echoed.
        root: Root,
        /// The proposer's seal of it.
        seal: Seal,
    },
}

/// One vote in one broadcast, or the same one in several broadcasts or agreements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Vote {
    /// "I hold the proposer's payload with this root, or my fragment of it."
    Echo {
        /// Whose broadcast.
        proposer: usize,
        /// The payload.
        root: Root,
    },
    /// "This root, and no other, may be delivered."
    Ready {
        /// Whose broadcast.
        proposer: usize,
        /// The payload.
        root: Root,
    },
    /// READY for the root of the sender's own ECHO, in several broadcasts.
    ReadyAsEchoed {
        /// Whose broadcasts.
        proposers: InstanceSet,
    },
    /// A vote in a step of a round.
    Agree {
        /// The agreements.
        instances: InstanceSet,
        /// Their round.
        round: u32,
        /// The step of the round.
        step: Step,
        /// What is voted for.
        value: Value,
    },
    /// The sender's share of a round's coin.
    Coin {
        /// The agreement.
        instance: u16,
        /// Its round.
        round: u32,
        /// Proof of the sender's share, at most [`COIN_PROOF_MAX_BYTES`].
        proof: Vec<u8>,
    },
    /// The smallest share the sender had seen.
    CoinMin {
        /// The agreement.
        instance: u16,
        /// Its round.
        round: u32,
        /// Whose share it is.
        owner: usize,
        /// Proof of the owner's share, at most [`COIN_PROOF_MAX_BYTES`].
        proof: Vec<u8>,
    },
    /// "I decided."
    Decided {
        /// The agreements.
        instances: InstanceSet,
        /// What was decided.
        value: bool,
    },
}

/// The voting steps of a round. Rounds with a fixed coin (0 and 1) have the first three.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// An estimate; repeated by who sees f+1 of it, so a node may echo both bits.
    Echo,
    /// The first bit approved. Once.
    Echo2,
    /// A bit that n−f echo2 carry, or ⊥. Once.
    Echo3,
    /// Output of the first crusader agreement; repeated like an echo, so a node may echo ⊥ and one bit.
    Echo4,
    /// The first value approved. Once.
    Echo5,
}

impl Step {
    /// All steps, in order.
    pub const ALL: [Self; 5] = [Self::Echo, Self::Echo2, Self::Echo3, Self::Echo4, Self::Echo5];
}

/// What a step votes for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// The bit 0.
    Zero,
    /// The bit 1.
    One,
    /// ⊥: both bits are possible.
    Bottom,
}

impl Value {
    /// All values, in the order of their numbers on the wire.
    pub const ALL: [Self; 3] = [Self::Zero, Self::One, Self::Bottom];

    /// The bit, or `None` for ⊥.
    pub fn bit(self) -> Option<bool> {
        match self {
            Self::Zero => Some(false),
            Self::One => Some(true),
            Self::Bottom => None,
        }
    }
}

impl From<bool> for Value {
    fn from(bit: bool) -> Self {
        if bit { Self::One } else { Self::Zero }
    }
}

/// What has to be in the journal before the messages of the same [`Outgoing`] leave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JournalEntry {
    /// My own proposal or my own votes, always meant for everybody: send it again to a peer that comes back.
    Sent(Message),
    /// Another node's payload, written before the echo that vouches for it; or my own proposal in the coded form, whose
    /// fragments the machine sends again by itself.
    Held {
        /// Whose broadcast.
        proposer: usize,
        /// The proposer's seal of the payload's root.
        seal: Seal,
        /// The payload.
        payload: Arc<[u8]>,
    },
    /// My fragment of another node's payload, written before the echo that vouches for it.
    HeldFragment {
        /// Whose broadcast.
        proposer: usize,
        /// The payload it is a piece of.
        root: Root,
        /// The piece and its branch.
        fragment: Fragment,
    },
}

/// Whom a message is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Everybody but me.
    All,
    /// That node.
    One(usize),
}

/// What has to leave. Journal first, then send.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outgoing {
    /// Append in this order, before any message leaves.
    pub journal: Vec<JournalEntry>,
    /// Send in this order.
    pub messages: Vec<(Target, Message)>,
}
