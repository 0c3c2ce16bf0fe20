//! What a peer did wrong, as values. Votes are not signed one by one, so a fault is what *this* node saw over an
//! authenticated link; it is reason to close the link and to count, not evidence that convinces a third party. The one
//! exception is [`FaultKind::TwoProposals`], which carries what does.

use crate::message::{Root, Step};
use crate::seal::SealedRoot;

/// As many faults are kept between two calls of `take_faults`; later ones are dropped.
pub const MAX_PENDING_FAULTS: usize = 256;

/// A node, and what it did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Index of the node that sent it.
    pub node: usize,
    /// What it sent.
    pub kind: FaultKind,
}

/// What a peer sent that an honest one does not send. The one exception is [`FaultKind::TooFarAhead`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FaultKind {
    /// A vote or payload that no state of the protocol allows: an index outside the committee, ⊥ where a bit is due,
    /// a coin in a round that has a fixed one.
    #[error("sent a message that no state of the protocol allows")]
    Invalid,
    /// Two different payloads for its own broadcast, or one in both forms.
    #[error("proposed two different payloads")]
    TwoPayloads,
    /// Two sealed roots for its own broadcast, sent to this node or to others that compared what they had: proof.
    #[error("sealed two proposals")]
    TwoProposals(Box<[SealedRoot; 2]>),
    /// A seal that its proposer did not make.
    #[error("sent a seal of node {proposer} that does not hold")]
    BadSeal {
        /// Whose broadcast it was for.
        proposer: usize,
    },
    /// A root that commits to fragments which are no payload's. Enough nodes passed it on that one of them is honest and
    /// had it from the proposer.
    #[error("proposed a root whose fragments do not make up a payload")]
    BadEncoding {
        /// The root.
        root: Root,
    },
    /// A fragment whose branch does not lead to the root it came with.
    #[error("sent a fragment that does not belong to the root given for node {proposer}'s payload")]
    BadBranch {
        /// Whose broadcast it was for.
        proposer: usize,
    },
    /// A payload above `payload_max_bytes`.
    #[error("sent a payload of node {proposer} that is larger than allowed")]
    PayloadTooLarge {
        /// Whose broadcast it was for.
        proposer: usize,
    },
    /// Two different ECHO votes for one broadcast.
    #[error("echoed two payloads of node {proposer}")]
    TwoEchoes {
        /// Whose broadcast it was.
        proposer: usize,
    },
    /// Two different READY votes for one broadcast.
    #[error("was ready for two payloads of node {proposer}")]
    TwoReadies {
        /// Whose broadcast it was.
        proposer: usize,
    },
    /// Two votes that exclude each other in one step of an agreement.
    #[error("cast two votes in step {step:?} of round {round} of agreement {instance}")]
    TwoVotes {
        /// The agreement.
        instance: u16,
        /// Its round.
        round: u32,
        /// Its step.
        step: Step,
    },
    /// Two different decisions of one agreement.
    #[error("decided agreement {instance} both ways")]
    TwoDecisions {
        /// The agreement.
        instance: u16,
    },
    /// A coin share whose proof does not verify.
    #[error("sent a wrong coin share in round {round} of agreement {instance}")]
    BadCoin {
        /// The agreement.
        instance: u16,
        /// Its round.
        round: u32,
    },
    /// A vote for a round further ahead than is stored. An honest node can be that far ahead of a slow one, so this is
    /// a count for the operator and never a reason to blame; the sender gives it again in time (see the crate's
    /// `agreement` module).
    #[error("voted in round {round} of agreement {instance}, which is too far ahead to be stored")]
    TooFarAhead {
        /// The agreement.
        instance: u16,
        /// The round voted in.
        round: u32,
    },
}
