//! What nodes say to each other, byte by byte.
//!
//! ```text
//! offset len
//!      0   1  kind
//!      1   …  1 Round       tier (1 + 4), round (8), then the common subset's message
//!             2 Share       tier (1 + 4), round (8), block hash (32), signature (64)
//!             3 Status      height (8), 1 if an answer is wanted, the certified round of each cluster (8 each)
//!             4 GetBlackHole  height (8)
//!             5 GetLshBlock   cluster (4), round (8)
//!             6 BlackHole     the record as the log keeps it
//!             7 LshBlock      header, certificate, contents
//! ```

use constellation_chain::{CLUSTERS_MAX, Hash, Reader, Share, Signature, Tier, WireError};

/// A message between nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// A message of a round's common subset.
    Round {
        /// The tier.
        tier: Tier,
        /// The round.
        round: u64,
        /// What is said.
        message: constellation_acs::Message,
    },
    /// A signature under a round's block.
    Share {
        /// The tier.
        tier: Tier,
        /// The round.
        round: u64,
        /// The share.
        share: Share,
    },
    /// Where the sender stands. A receiver that is in the same rounds sends its messages of them again.
    Status {
        /// Height of the sender's last black hole.
        height: u64,
        /// Whether the sender wants to know where the receiver stands.
        answer: bool,
        /// The sender's last certified round of each cluster.
        cluster_rounds: Vec<u64>,
    },
    /// Asks for a black hole.
    GetBlackHole {
        /// Its height.
        height: u64,
    },
    /// Asks for a certified LSH block that is in no black hole yet.
    GetLshBlock {
        /// Its cluster.
        cluster: u32,
        /// Its round.
        round: u64,
    },
    /// A black hole's record.
    BlackHole(Vec<u8>),
    /// A sealed LSH block.
    LshBlock(Vec<u8>),
}

/// Why bytes are not a message. Always the sender's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// Not the right bytes.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// The common subset's part does not decode.
    #[error("common subset: {0}")]
    Subset(String),
}

const ROUND: u8 = 1;
const SHARE: u8 = 2;
const STATUS: u8 = 3;
const GET_BLACK_HOLE: u8 = 4;
const GET_LSH_BLOCK: u8 = 5;
const BLACK_HOLE: u8 = 6;
const LSH_BLOCK: u8 = 7;

impl Message {
    /// The message's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        match self {
            Message::Round { tier, round, message } => {
                out.push(ROUND);
                out.extend_from_slice(&tier.to_bytes());
                out.extend_from_slice(&round.to_le_bytes());
                message.encode(&mut out);
            }
            Message::Share { tier, round, share } => {
                out.push(SHARE);
                out.extend_from_slice(&tier.to_bytes());
                out.extend_from_slice(&round.to_le_bytes());
                out.extend_from_slice(&share.block.0);
                out.extend_from_slice(&share.signature.0);
            }
            Message::Status { height, answer, cluster_rounds } => {
                out.push(STATUS);
                out.extend_from_slice(&height.to_le_bytes());
                out.push(u8::from(*answer));
                cluster_rounds.iter().for_each(|round| out.extend_from_slice(&round.to_le_bytes()));
            }
            Message::GetBlackHole { height } => {
                out.push(GET_BLACK_HOLE);
                out.extend_from_slice(&height.to_le_bytes());
            }
            Message::GetLshBlock { cluster, round } => {
                out.push(GET_LSH_BLOCK);
                out.extend_from_slice(&cluster.to_le_bytes());
                out.extend_from_slice(&round.to_le_bytes());
            }
            Message::BlackHole(bytes) => {
                out.push(BLACK_HOLE);
                out.extend_from_slice(bytes);
            }
            Message::LshBlock(bytes) => {
                out.push(LSH_BLOCK);
                out.extend_from_slice(bytes);
            }
        }
        out
    }

    /// The tier of the round that a message's bytes are about, if they are about one.
    pub fn tier_at(bytes: &[u8]) -> Option<Tier> {
        let (kind, rest) = bytes.split_first()?;
        matches!(*kind, ROUND | SHARE).then(|| Tier::read(&mut Reader::new(rest)).ok()).flatten()
    }

    /// Whether a message's bytes ask for an LSH block.
    pub fn asks_for_lsh_block(bytes: &[u8]) -> bool {
        bytes.first() == Some(&GET_LSH_BLOCK)
    }

    /// Reads a message; `committee` is the largest committee a round's message can speak of.
    pub fn decode(bytes: &[u8], committee: usize) -> Result<Self, MessageError> {
        let mut reader = Reader::new(bytes);
        let message = match reader.u8()? {
            ROUND => {
                let (tier, round) = (Tier::read(&mut reader)?, reader.u64()?);
                let message = constellation_acs::Message::decode(reader.rest(), committee)
                    .map_err(|error| MessageError::Subset(error.to_string()))?;
                return Ok(Message::Round { tier, round, message });
            }
            SHARE => Message::Share {
                tier: Tier::read(&mut reader)?,
                round: reader.u64()?,
                share: Share { block: Hash(*reader.view()?), signature: Signature(*reader.view()?) },
            },
            STATUS => Message::Status {
                height: reader.u64()?,
                answer: match reader.u8()? {
                    0 => false,
                    1 => true,
                    value => return Err(WireError::Unknown { what: "answer", value: value.into() }.into()),
                },
                cluster_rounds: read_cluster_rounds(&mut reader)?,
            },
            GET_BLACK_HOLE => Message::GetBlackHole { height: reader.u64()? },
            GET_LSH_BLOCK => Message::GetLshBlock { cluster: reader.u32()?, round: reader.u64()? },
            BLACK_HOLE => return Ok(Message::BlackHole(reader.rest().to_vec())),
            LSH_BLOCK => return Ok(Message::LshBlock(reader.rest().to_vec())),
            kind => return Err(WireError::Unknown { what: "message kind", value: kind.into() }.into()),
        };
        reader.finish()?;
        Ok(message)
    }
}

fn read_cluster_rounds(reader: &mut Reader<'_>) -> Result<Vec<u64>, WireError> {
    let mut rounds = Vec::new();
    while !reader.is_empty() {
        if rounds.len() == CLUSTERS_MAX as usize {
            return Err(WireError::LeftOver(reader.rest().len()));
        }
        rounds.push(reader.u64()?);
    }
    Ok(rounds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn messages() -> impl Strategy<Value = Message> {
        let tier = prop_oneof![any::<u32>().prop_map(Tier::Cluster), Just(Tier::Galaxy)];
        let bytes = prop::collection::vec(any::<u8>(), 0..100);
        prop_oneof![
            (tier.clone(), any::<u64>(), 0usize..4, any::<[u8; 32]>()).prop_map(|(tier, round, proposer, root)| {
                let message = constellation_acs::Message::Pull { proposer, root };
                Message::Round { tier, round, message }
            }),
            (tier, any::<u64>(), any::<[u8; 32]>()).prop_map(|(tier, round, block)| {
                Message::Share { tier, round, share: Share { block: Hash(block), signature: Signature([7; 64]) } }
            }),
            (any::<u64>(), any::<bool>(), prop::collection::vec(any::<u64>(), 0..9))
                .prop_map(|(height, answer, cluster_rounds)| Message::Status { height, answer, cluster_rounds }),
            any::<u64>().prop_map(|height| Message::GetBlackHole { height }),
            (any::<u32>(), any::<u64>()).prop_map(|(cluster, round)| Message::GetLshBlock { cluster, round }),
            bytes.clone().prop_map(Message::BlackHole),
            bytes.prop_map(Message::LshBlock),
        ]
    }

    proptest! {
        #[test]
        fn messages_read_back(message in messages()) {
            prop_assert_eq!(Message::decode(&message.to_bytes(), 4), Ok(message));
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(message) = Message::decode(&bytes, 4) {
                prop_assert!(message.to_bytes().len() <= bytes.len());
            }
        }
    }
}
