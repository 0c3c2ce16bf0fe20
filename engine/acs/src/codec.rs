//! The bytes of messages and journal entries. Little endian; a node or an instance is one byte (a committee has at most
//! 128 nodes). Lengths are checked before anything is allocated, and what is left over is an error.
//!
//! ```text
//! Message                              JournalEntry
//!   1  proposer:1  seal:64  payload:*    1  Message          Sent
//!   2  Vote*                             2  proposer:1  seal:64  payload:*   Held
//!   3  proposer:1  root:32               3  Fragment         HeldFragment
//!   4  Fragment
//!   5  proposer:1  root:32  seal:64
//!
//! Fragment
//!   proposer:1  index:1  root:32  seal:64  payload_len:4  branch:32*  piece:*
//!
//! Vote
//!   0x01  proposer:1  root:32                                       Echo
//!   0x02  proposer:1  root:32                                       Ready
//!   0x03  instance:1  round:4  proof_len:1  proof:proof_len         Coin
//!   0x04  instance:1  round:4  owner:1  proof_len:1  proof          CoinMin
//!   0x05  instances                                                 ReadyAsEchoed
//!   0x30 | value      instances                                     Decided,  value 0 or 1
//!   0x40 | vote       round:4  instances                            Agree,    vote 4·step (0..=4) + value (0, 1, 2 = ⊥)
//!
//! instances
//!   len:1  bits:len   bit i of byte j is agreement or broadcast 8·j + i; 1 ≤ len ≤ 16, and the last byte is not zero
//! ```
//!
//! A payload, a piece and the votes run to the end of the message: the frame around it has the length. How many hashes a
//! branch has follows from the index and the committee's size. A vote has one form of bytes: there is no vote in no
//! agreement, and a set ends with its last member's byte, whatever the committee's size. (0x1. and 0x2. were votes for one
//! agreement each. They are not used again, so that an old journal is not misread.)

use std::sync::Arc;

use crate::committee::{InstanceSet, MAX_NODES};
use crate::fragment::{Fragment, branch_len};
use crate::message::{COIN_PROOF_MAX_BYTES, JournalEntry, Message, Root, Step, Value, Vote};
use crate::seal::Seal;

const PAYLOAD: u8 = 1;
const VOTES: u8 = 2;
const PULL: u8 = 3;
const FRAGMENT: u8 = 4;
const SEAL: u8 = 5;

const SENT: u8 = 1;
const HELD: u8 = 2;
const HELD_FRAGMENT: u8 = 3;

const ECHO: u8 = 0x01;
const READY: u8 = 0x02;
const COIN: u8 = 0x03;
const COIN_MIN: u8 = 0x04;
const READY_AS_ECHOED: u8 = 0x05;
const DECIDED: u8 = 0x30;
const AGREE: u8 = 0x40;

/// A broadcast's vote, the most frequent kind, in bytes.
const ROOT_VOTE_BYTES: usize = 2 + size_of::<Root>();

/// A set of agreements in bytes, without its length.
const INSTANCES_MAX_BYTES: usize = MAX_NODES / 8;

/// Why bytes are not a message. Always the sender's fault (or, in a journal, a damaged record).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes end inside a field.
    #[error("the message ends inside a field")]
    Truncated,
    /// Bytes are left after the last field.
    #[error("{0} bytes follow the message")]
    Trailing(usize),
    /// No message, entry or vote has this number.
    #[error("{0:#04x} is not the number of a message, entry or vote")]
    UnknownKind(u8),
    /// A node or instance that the committee does not have.
    #[error("node {0} is not in the committee")]
    NoSuchNode(u8),
    /// A coin proof above the limit.
    #[error("a coin proof of {0} bytes is above {COIN_PROOF_MAX_BYTES}")]
    ProofTooLong(usize),
    /// A set of agreements that is empty, too long, or ends in zeros: none of the one form that sets have.
    #[error("a set of agreements is empty, longer than {INSTANCES_MAX_BYTES} bytes or ends in zeros")]
    InstancesMalformed,
}

impl Message {
    /// Appends the message's bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Payload { proposer, seal, payload } => {
                out.reserve(2 + size_of::<Seal>() + payload.len());
                out.extend([PAYLOAD, *proposer as u8]);
                out.extend_from_slice(seal);
                out.extend_from_slice(payload);
            }
            Self::Votes(votes) => {
                out.push(VOTES);
                out.reserve(votes.len() * ROOT_VOTE_BYTES);
                for vote in votes {
                    encode_vote(vote, out);
                }
            }
            Self::Pull { proposer, root } => {
                out.extend([PULL, *proposer as u8]);
                out.extend_from_slice(root);
            }
            Self::Fragment { proposer, root, fragment } => {
                out.push(FRAGMENT);
                encode_fragment(*proposer, root, fragment, out);
            }
            Self::Seal { proposer, root, seal } => {
                out.extend([SEAL, *proposer as u8]);
                out.extend_from_slice(root);
                out.extend_from_slice(seal);
            }
        }
    }

    /// Reads a whole message of a committee of `n`.
    ///
    /// # Errors
    /// When the bytes are not exactly one message; the sender is at fault.
    pub fn decode(bytes: &[u8], n: usize) -> Result<Self, DecodeError> {
        let mut reader = Reader { rest: bytes, n };
        match reader.byte()? {
            PAYLOAD => {
                let (proposer, seal) = (reader.node()?, reader.array()?);
                Ok(Self::Payload { proposer, seal, payload: reader.remainder() })
            }
            VOTES => decode_votes(&mut reader).map(Self::Votes),
            PULL => {
                let (proposer, root) = (reader.node()?, reader.root()?);
                reader.end()?;
                Ok(Self::Pull { proposer, root: *root })
            }
            FRAGMENT => {
                let (proposer, root, fragment) = decode_fragment(&mut reader)?;
                Ok(Self::Fragment { proposer, root, fragment })
            }
            SEAL => {
                let (proposer, root, seal) = (reader.node()?, reader.root()?, reader.array()?);
                reader.end()?;
                Ok(Self::Seal { proposer, root: *root, seal })
            }
            kind => Err(DecodeError::UnknownKind(kind)),
        }
    }
}

impl JournalEntry {
    /// Appends the entry's bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Sent(message) => {
                out.push(SENT);
                message.encode(out);
            }
            Self::Held { proposer, seal, payload } => {
                out.extend([HELD, *proposer as u8]);
                out.extend_from_slice(seal);
                out.extend_from_slice(payload);
            }
            Self::HeldFragment { proposer, root, fragment } => {
                out.push(HELD_FRAGMENT);
                encode_fragment(*proposer, root, fragment, out);
            }
        }
    }

    /// Reads a whole entry of a committee of `n`.
    ///
    /// # Errors
    /// When the bytes are not exactly one entry: the journal is damaged, or of another committee.
    pub fn decode(bytes: &[u8], n: usize) -> Result<Self, DecodeError> {
        let mut reader = Reader { rest: bytes, n };
        match reader.byte()? {
            SENT => Message::decode(reader.rest, n).map(Self::Sent),
            HELD => {
                let (proposer, seal) = (reader.node()?, reader.array()?);
                Ok(Self::Held { proposer, seal, payload: reader.remainder() })
            }
            HELD_FRAGMENT => {
                let (proposer, root, fragment) = decode_fragment(&mut reader)?;
                Ok(Self::HeldFragment { proposer, root, fragment })
            }
            kind => Err(DecodeError::UnknownKind(kind)),
        }
    }
}

fn encode_fragment(proposer: usize, root: &Root, fragment: &Fragment, out: &mut Vec<u8>) {
    out.reserve(2 + 32 + 64 + 4 + 32 * fragment.branch.len() + fragment.bytes.len());
    out.extend([proposer as u8, fragment.index as u8]);
    out.extend_from_slice(root);
    out.extend_from_slice(&fragment.seal);
    out.extend((fragment.payload_len_bytes as u32).to_le_bytes());
    out.extend_from_slice(fragment.branch.as_flattened());
    out.extend_from_slice(&fragment.bytes);
}

fn decode_fragment(reader: &mut Reader) -> Result<(usize, Root, Fragment), DecodeError> {
    let (proposer, index, root, seal) = (reader.node()?, reader.node()?, reader.root()?, reader.array()?);
    let payload_len_bytes = reader.array().map(u32::from_le_bytes)? as usize;
    let branch = (0..branch_len(reader.n, index)).map(|_| reader.array()).collect::<Result<_, _>>()?;
    Ok((proposer, *root, Fragment { index, seal, payload_len_bytes, branch, bytes: reader.remainder() }))
}

fn encode_vote(vote: &Vote, out: &mut Vec<u8>) {
    match vote {
        Vote::Echo { proposer, root } => {
            out.extend([ECHO, *proposer as u8]);
            out.extend_from_slice(root);
        }
        Vote::Ready { proposer, root } => {
            out.extend([READY, *proposer as u8]);
            out.extend_from_slice(root);
        }
        Vote::ReadyAsEchoed { proposers } => {
            out.push(READY_AS_ECHOED);
            encode_instances(*proposers, out);
        }
        Vote::Agree { instances, round, step, value } => {
            out.push(AGREE | (*step as u8) << 2 | *value as u8);
            out.extend(round.to_le_bytes());
            encode_instances(*instances, out);
        }
        Vote::Coin { instance, round, proof } => {
            encode_slot(COIN, *instance, *round, out);
            out.push(proof.len() as u8);
            out.extend_from_slice(proof);
        }
        Vote::CoinMin { instance, round, owner, proof } => {
            encode_slot(COIN_MIN, *instance, *round, out);
            out.extend([*owner as u8, proof.len() as u8]);
            out.extend_from_slice(proof);
        }
        Vote::Decided { instances, value } => {
            out.push(DECIDED | *value as u8);
            encode_instances(*instances, out);
        }
    }
}

fn encode_slot(tag: u8, instance: u16, round: u32, out: &mut Vec<u8>) {
    out.extend([tag, instance as u8]);
    out.extend(round.to_le_bytes());
}

fn encode_instances(instances: InstanceSet, out: &mut Vec<u8>) {
    let bits = instances.bits();
    let len = (u128::BITS - bits.leading_zeros()).div_ceil(8) as usize;
    out.push(len as u8);
    out.extend_from_slice(&bits.to_le_bytes()[..len]);
}

fn decode_votes(reader: &mut Reader) -> Result<Vec<Vote>, DecodeError> {
    let mut votes = Vec::with_capacity(reader.rest.len().div_ceil(ROOT_VOTE_BYTES));
    while !reader.rest.is_empty() {
        // Votes on roots are most of all bytes: each is written where it stays.
        match reader.byte()? {
            ECHO => votes.push(Vote::Echo { proposer: reader.node()?, root: *reader.root()? }),
            READY => votes.push(Vote::Ready { proposer: reader.node()?, root: *reader.root()? }),
            tag => votes.push(decode_other_vote(tag, reader)?),
        }
    }
    Ok(votes)
}

fn decode_other_vote(tag: u8, reader: &mut Reader) -> Result<Vote, DecodeError> {
    Ok(match tag {
        READY_AS_ECHOED => Vote::ReadyAsEchoed { proposers: reader.instances()? },
        COIN => Vote::Coin { instance: reader.instance()?, round: reader.round()?, proof: reader.proof()? },
        COIN_MIN => Vote::CoinMin {
            instance: reader.instance()?,
            round: reader.round()?,
            owner: reader.node()?,
            proof: reader.proof()?,
        },
        _ if tag & !1 == DECIDED => Vote::Decided { instances: reader.instances()?, value: tag & 1 == 1 },
        _ => {
            let (step, value) = agree_tag(tag).ok_or(DecodeError::UnknownKind(tag))?;
            Vote::Agree { round: reader.round()?, instances: reader.instances()?, step, value }
        }
    })
}

fn agree_tag(tag: u8) -> Option<(Step, Value)> {
    let number = tag.checked_sub(AGREE)?;
    let step = Step::ALL.get(usize::from(number >> 2))?;
    let value = Value::ALL.get(usize::from(number & 3))?;
    Some((*step, *value))
}

/// The bytes not read yet, and the committee their indices must lie in.
struct Reader<'a> {
    rest: &'a [u8],
    n: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        let (head, rest) = self.rest.split_at_checked(len).ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (head, rest) = self.rest.split_first_chunk().ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(*head)
    }

    fn byte(&mut self) -> Result<u8, DecodeError> {
        self.array().map(|[byte]| byte)
    }

    fn node(&mut self) -> Result<usize, DecodeError> {
        let node = self.byte()?;
        if usize::from(node) < self.n { Ok(usize::from(node)) } else { Err(DecodeError::NoSuchNode(node)) }
    }

    fn instance(&mut self) -> Result<u16, DecodeError> {
        self.node().map(|node| node as u16)
    }

    fn instances(&mut self) -> Result<InstanceSet, DecodeError> {
        let len = usize::from(self.byte()?);
        if !(1..=INSTANCES_MAX_BYTES).contains(&len) {
            return Err(DecodeError::InstancesMalformed);
        }
        let mut bytes = [0; INSTANCES_MAX_BYTES];
        bytes[..len].copy_from_slice(self.take(len)?);
        if bytes[len - 1] == 0 {
            return Err(DecodeError::InstancesMalformed);
        }
        let bits = u128::from_le_bytes(bytes);
        let last = u128::BITS - 1 - bits.leading_zeros();
        if last as usize >= self.n {
            return Err(DecodeError::NoSuchNode(last as u8));
        }
        Ok(InstanceSet::from_bits(bits))
    }

    fn round(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_le_bytes)
    }

    fn root(&mut self) -> Result<&'a Root, DecodeError> {
        let (root, rest) = self.rest.split_first_chunk().ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(root)
    }

    fn proof(&mut self) -> Result<Vec<u8>, DecodeError> {
        let len = usize::from(self.byte()?);
        if len > COIN_PROOF_MAX_BYTES {
            return Err(DecodeError::ProofTooLong(len));
        }
        self.take(len).map(<[u8]>::to_vec)
    }

    fn remainder(&mut self) -> Arc<[u8]> {
        std::mem::take(&mut self.rest).into()
    }

    fn end(&self) -> Result<(), DecodeError> {
        match self.rest.len() {
            0 => Ok(()),
            len => Err(DecodeError::Trailing(len)),
        }
    }
}
