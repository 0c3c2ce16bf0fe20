//! The formats that server and client share: binary frames, JSON-RPC error codes, and the answers that no other crate defines.
//!
//! All integers are little endian. A request id is the client's, any number but `0xffff_ffff`.
//!
//! ```text
//! submit        request id 4 │ transaction records, one after the other
//! admissions    request id 4 │ one word of 4 bytes for each transaction:
//!                 byte 0: 0 admitted, 1 known, 2 final, 3 busy, 16 + reason: censored
//!                 bytes 1..4: when to retry, in milliseconds, if busy; else zero
//! final block   0xffff_ffff 4 │ height 8 │ black hole's hash 32 │ count 4 │ count × (id 32 │ 0 applied, else the reason 1)
//! ```

use super::feed::FinalBlock;
use constellation_chain::{Hash, Reader, Reason, WireError};
use constellation_protocol::Admission;
use serde::{Deserialize, Serialize};

/// The largest request frame or body a node takes unless configured otherwise.
pub const FRAME_MAX_BYTES: usize = 1 << 20;
/// The request id of frames that no request asked for: final blocks.
pub const FINAL_REQUEST_ID: u32 = u32::MAX;

/// JSON-RPC: the text is no JSON.
pub const PARSE_ERROR: i64 = -32700;
/// JSON-RPC: the JSON is no request, or is too much of one.
pub const INVALID_REQUEST: i64 = -32600;
/// JSON-RPC: no such method.
pub const METHOD_NOT_FOUND: i64 = -32601;
/// JSON-RPC: the parameters do not fit the method, or hold malformed records.
pub const INVALID_PARAMS: i64 = -32602;
/// JSON-RPC: the node failed, or is stopping.
pub const INTERNAL_ERROR: i64 = -32603;
/// No room now; `data.retry_after_ms` says when to try again.
pub const BUSY: i64 = -32000;
/// The node did not answer in time; the request may still take effect.
pub const TIMED_OUT: i64 = -32001;

const ADMITTED: u32 = 0;
const KNOWN: u32 = 1;
const FINAL: u32 = 2;
const BUSY_WORD: u32 = 3;
const CENSORED: u32 = 16;
const RETRY_MAX_MS: u32 = (1 << 24) - 1;
const OUTCOME_LEN_BYTES: usize = 33;

/// Where a transaction stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum TransactionStatus {
    /// This node does not know it, or has forgotten it.
    Unknown,
    /// In this node's pool: it may have to be sent again.
    Admitted,
    /// In a certified LSH block.
    ClusterFinal,
    /// In a black hole, and applied.
    Applied {
        /// The black hole's height.
        height: u64,
        /// Its hash.
        black_hole: Hash,
    },
    /// In a black hole, but it changed nothing.
    Censored {
        /// The black hole's height.
        height: u64,
        /// Its hash.
        black_hole: Hash,
        /// Why.
        reason: Reason,
    },
    /// Left this node's pool without reaching a block.
    Dropped {
        /// Why; `None` when it waited too long: it may be sent again.
        reason: Option<Reason>,
    },
}

/// A JSON-RPC error object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RpcError {
    /// One of the codes above.
    pub code: i64,
    /// What is wrong, for people.
    pub message: String,
    /// `retry_after_ms` when busy; `request_id` when the request was a binary frame.
    #[serde(default, skip_serializing_if = "RpcErrorData::is_empty")]
    pub data: RpcErrorData,
}

/// What programs need to know of an error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RpcErrorData {
    /// When to try again, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u32>,
    /// The binary frame's request id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<u32>,
}

impl RpcErrorData {
    fn is_empty(&self) -> bool {
        *self == RpcErrorData::default()
    }
}

impl RpcError {
    /// An error without data.
    pub fn new(code: i64, message: impl Into<String>) -> Self {
        RpcError { code, message: message.into(), data: RpcErrorData::default() }
    }
}

/// Splits a binary frame into its request id and the rest.
pub fn split_frame(frame: &[u8]) -> Result<(u32, &[u8]), WireError> {
    let mut reader = Reader::new(frame);
    let request_id = reader.u32()?;
    Ok((request_id, reader.rest()))
}

/// The answer to a submitted frame. Waiting times above 16,777,215 ms are cut to that.
pub fn encode_admissions(request_id: u32, admissions: &[Admission]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(4 * (1 + admissions.len()));
    frame.extend_from_slice(&request_id.to_le_bytes());
    for admission in admissions {
        let word = match *admission {
            Admission::Admitted => ADMITTED,
            Admission::Known => KNOWN,
            Admission::Final => FINAL,
            Admission::Busy { retry_after_ms } => BUSY_WORD | retry_after_ms.min(RETRY_MAX_MS) << 8,
            Admission::Censored { reason } => CENSORED + u32::from(reason as u8),
        };
        frame.extend_from_slice(&word.to_le_bytes());
    }
    frame
}

/// Reads the words of an admissions frame: what [`split_frame`] leaves.
pub fn decode_admissions(words: &[u8]) -> Result<Vec<Admission>, WireError> {
    let mut reader = Reader::new(words);
    let mut admissions = Vec::with_capacity(words.len() / 4);
    while !reader.is_empty() {
        admissions.push(admission(reader.u32()?)?);
    }
    Ok(admissions)
}

fn admission(word: u32) -> Result<Admission, WireError> {
    let unknown = WireError::Unknown { what: "admission word", value: u64::from(word) };
    match word {
        ADMITTED => Ok(Admission::Admitted),
        KNOWN => Ok(Admission::Known),
        FINAL => Ok(Admission::Final),
        _ if word & 0xff == BUSY_WORD => Ok(Admission::Busy { retry_after_ms: word >> 8 }),
        _ => {
            let byte = word.checked_sub(CENSORED).and_then(|byte| u8::try_from(byte).ok()).ok_or(unknown)?;
            Reason::from_byte(byte).map(|reason| Admission::Censored { reason }).ok_or(unknown)
        }
    }
}

/// The frame that tells subscribers of a final block.
pub fn encode_final(block: &FinalBlock) -> Vec<u8> {
    let mut frame = Vec::with_capacity(48 + block.outcomes.len() * OUTCOME_LEN_BYTES);
    frame.extend_from_slice(&FINAL_REQUEST_ID.to_le_bytes());
    frame.extend_from_slice(&block.height.to_le_bytes());
    frame.extend_from_slice(&block.black_hole.0);
    frame.extend_from_slice(&(block.outcomes.len() as u32).to_le_bytes());
    for (id, reason) in &block.outcomes {
        frame.extend_from_slice(&id.0);
        frame.push(reason.map_or(0, |reason| reason as u8));
    }
    frame
}

/// Reads a whole frame of [`encode_final`].
pub fn decode_final(frame: &[u8]) -> Result<FinalBlock, WireError> {
    let mut reader = Reader::new(frame);
    let request_id = reader.u32()?;
    if request_id != FINAL_REQUEST_ID {
        return Err(WireError::Unknown { what: "request id of a final block", value: u64::from(request_id) });
    }
    let (height, black_hole) = (reader.u64()?, *reader.view::<Hash>()?);
    let fitting = reader.rest().len() / OUTCOME_LEN_BYTES;
    let count = reader.count("final transactions", fitting)?;
    let outcomes = (0..count).map(|_| outcome(&mut reader)).collect::<Result<_, _>>()?;
    reader.finish()?;
    Ok(FinalBlock { height, black_hole, outcomes })
}

fn outcome(reader: &mut Reader<'_>) -> Result<(Hash, Option<Reason>), WireError> {
    let id = *reader.view::<Hash>()?;
    let byte = reader.u8()?;
    let reason = Reason::from_byte(byte);
    if byte != 0 && reason.is_none() {
        return Err(WireError::Unknown { what: "outcome of a transaction", value: u64::from(byte) });
    }
    Ok((id, reason))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_reason() -> impl Strategy<Value = Reason> {
        proptest::sample::select(Reason::ALL.to_vec())
    }

    fn any_admission() -> impl Strategy<Value = Admission> {
        prop_oneof![
            Just(Admission::Admitted),
            Just(Admission::Known),
            Just(Admission::Final),
            (0..=RETRY_MAX_MS).prop_map(|retry_after_ms| Admission::Busy { retry_after_ms }),
            any_reason().prop_map(|reason| Admission::Censored { reason }),
        ]
    }

    fn any_block() -> impl Strategy<Value = FinalBlock> {
        let outcome = (any::<[u8; 32]>().prop_map(Hash), proptest::option::of(any_reason()));
        let outcomes = proptest::collection::vec(outcome, 0..20);
        (any::<u64>(), any::<[u8; 32]>(), outcomes).prop_map(|(height, black_hole, outcomes)| FinalBlock {
            height,
            black_hole: Hash(black_hole),
            outcomes,
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn admissions_come_back(id: u32, admissions in proptest::collection::vec(any_admission(), 0..50)) {
            let frame = encode_admissions(id, &admissions);
            let (found, words) = split_frame(&frame).unwrap();
            prop_assert_eq!((found, decode_admissions(words).unwrap()), (id, admissions));
        }

        #[test]
        fn final_blocks_come_back(block in any_block()) {
            prop_assert_eq!(decode_final(&encode_final(&block)).unwrap(), block);
        }

        #[test]
        fn every_accepted_final_frame_is_the_one_encoding(mut frame in proptest::collection::vec(any::<u8>(), 0..200), whole: bool) {
            if whole && frame.len() >= 48 {
                frame[..4].copy_from_slice(&FINAL_REQUEST_ID.to_le_bytes());
                let count = (frame.len() - 48) / OUTCOME_LEN_BYTES;
                frame[44..48].copy_from_slice(&(count as u32).to_le_bytes());
                frame.truncate(48 + count * OUTCOME_LEN_BYTES);
                frame[48..].chunks_mut(OUTCOME_LEN_BYTES).for_each(|outcome| outcome[32] %= 8);
            }
            if let Ok(block) = decode_final(&frame) {
                prop_assert_eq!(encode_final(&block), frame);
            }
        }

        #[test]
        fn every_accepted_word_is_the_one_encoding(words in proptest::collection::vec(0u32..1024, 0..8), cut in 0..4usize) {
            let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
            let bytes = &bytes[..bytes.len().saturating_sub(cut)];
            if let Ok(admissions) = decode_admissions(bytes) {
                prop_assert_eq!(&encode_admissions(0, &admissions)[4..], bytes);
            }
        }
    }

    #[test]
    fn long_waits_are_cut_to_what_fits() {
        let frame = encode_admissions(1, &[Admission::Busy { retry_after_ms: u32::MAX }]);
        assert_eq!(decode_admissions(&frame[4..]).unwrap(), [Admission::Busy { retry_after_ms: RETRY_MAX_MS }]);
    }

    #[test]
    fn a_count_that_does_not_fit_is_refused_before_anything_is_allocated() {
        let block = FinalBlock { height: 1, black_hole: Hash::ZERO, outcomes: vec![(Hash::ZERO, None)] };
        let mut frame = encode_final(&block);
        frame[44..48].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(matches!(decode_final(&frame), Err(WireError::TooMany { bound: 1, .. })));
    }

    #[test]
    fn statuses_have_stable_names() {
        let status = TransactionStatus::Censored { height: 3, black_hole: Hash::ZERO, reason: Reason::Gap };
        let text = serde_json::to_string(&status).unwrap();
        assert!(text.starts_with(r#"{"state":"censored","height":3,"#) && text.ends_with(r#""reason":"gap"}"#));
        assert_eq!(serde_json::from_str::<TransactionStatus>(&text).unwrap(), status);
        let dropped = TransactionStatus::Dropped { reason: None };
        assert_eq!(
            serde_json::from_value::<TransactionStatus>(serde_json::json!({"state": "dropped"})).unwrap(),
            dropped
        );
    }
}
