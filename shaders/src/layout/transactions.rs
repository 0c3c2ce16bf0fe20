//! Whole transactions: their upload, from which the program `gather` makes what the other programs read, and where in
//! one buffer that is, and where in another one their results are.
//!
//! A transaction is a record of bytes with a fixed head, in which two halves lie: each has a key, a signature and the
//! bytes that it signs. What the halves sign, and the id, with `‖` for "followed by":
//!
//! ```text
//! message of the first half    domain ‖ its signed bytes
//! message of the second half   domain ‖ BLAKE3(message of the first half) ‖ its signed bytes
//! id                           BLAKE3(message of the first half ‖ message of the second half)
//! ```
//!
//! Upload (`n` = count, `h` = words of a head), in words:
//!
//! ```text
//! 0   nonce, low then high                   8    first half: domain (2), then in words from the head's start: key,
//! 2   n                                           signature, signed bytes; and the length of these, in words
//! 3   h                                      14   second half: the same
//! 4   where the input of the ids starts      20   key of the sketch, or zeros
//! 5   where that of the sketch starts, or 0  28   heads, h words each
//! ```
//!
//! The sketch is that of the keys. A second key of 32 zeros, which no signature can be valid for, stands for none.

use std::ops::Range;

use super::{HEADER_WORDS, ID_MESSAGE_BYTES_MAX, PackError};
use super::{id_words, push_bytes, sketch_words, start, verdict_words};

/// Words of the upload before the heads.
pub(crate) const HEADS: usize = 28;
/// Word of the upload where the halves of the format start.
pub(crate) const HALVES: usize = 8;
/// Words of a half of the format.
pub(crate) const HALF_WORDS: usize = 6;
/// Word of the upload where the key of the sketch lies.
pub(crate) const SKETCH_KEY: usize = 20;

/// Bytes that a head may have.
const HEAD_LEN_MAX_BYTES: u32 = 1024;

/// Buffers are bound from multiples of this many words: the most that an adapter may ask for.
const ALIGNMENT_WORDS: u64 = 64;

/// Where the parts of a half lie, in bytes from the record's start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HalfFormat {
    /// What its message starts with.
    pub domain: [u8; 8],
    /// Where the public key starts.
    pub key: u32,
    /// Where the signature starts.
    pub signature: u32,
    /// Where the signed bytes start.
    pub signed: u32,
    /// How many they are.
    pub signed_len_bytes: u32,
}

impl HalfFormat {
    fn parts(&self) -> [(u32, u32); 3] {
        [(self.key, 32), (self.signature, 64), (self.signed, self.signed_len_bytes)]
    }

    /// As the upload has it.
    fn words(&self) -> [u32; HALF_WORDS] {
        let [low, high] = bytemuck::pod_read_unaligned(&self.domain);
        [low, high, self.key / 4, self.signature / 4, self.signed / 4, self.signed_len_bytes / 4]
    }
}

/// A format that no transaction can have: the caller's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// Something does not start or end at a word.
    #[error("a part of {len_bytes} bytes at byte {at} does not lie on words of 4 bytes")]
    Unaligned {
        /// Where it starts.
        at: u32,
        /// Its length.
        len_bytes: u32,
    },
    /// A part ends beyond the longest head.
    #[error("a part of {len_bytes} bytes at byte {at} ends beyond {HEAD_LEN_MAX_BYTES} bytes")]
    Beyond {
        /// Where it starts.
        at: u32,
        /// Its length.
        len_bytes: u32,
    },
    /// The two messages are longer than [`ID_MESSAGE_BYTES_MAX`] together.
    #[error("the two messages have {0} bytes together, more than one BLAKE3 chunk")]
    MessagesTooLong(u32),
}

/// Where everything lies in a record: keys, signatures and signed bytes on words of 4 bytes, inside the first 1024
/// bytes, with messages that fit one BLAKE3 chunk together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransactionFormat {
    halves: [HalfFormat; 2],
}

impl TransactionFormat {
    /// A format with these halves.
    ///
    /// # Errors
    /// [`FormatError`].
    pub fn new(halves: [HalfFormat; 2]) -> Result<Self, FormatError> {
        for (at, len_bytes) in halves.iter().flat_map(HalfFormat::parts) {
            if !at.is_multiple_of(4) || !len_bytes.is_multiple_of(4) {
                return Err(FormatError::Unaligned { at, len_bytes });
            }
            if at.checked_add(len_bytes).is_none_or(|end| end > HEAD_LEN_MAX_BYTES) {
                return Err(FormatError::Beyond { at, len_bytes });
            }
        }
        let format = Self { halves };
        let len_bytes = 4 * format.message_words().iter().sum::<u32>();
        if len_bytes as usize > ID_MESSAGE_BYTES_MAX {
            return Err(FormatError::MessagesTooLong(len_bytes));
        }
        Ok(format)
    }

    /// The two halves.
    #[must_use]
    pub fn halves(&self) -> &[HalfFormat; 2] {
        &self.halves
    }

    /// Bytes of a record that the format describes; a record may have more.
    #[must_use]
    pub fn head_len_bytes(&self) -> usize {
        // Each at most HEAD_LEN_MAX_BYTES.
        self.halves
            .iter()
            .flat_map(HalfFormat::parts)
            .map(|(at, len_bytes)| (at + len_bytes) as usize)
            .fold(0, usize::max)
    }

    /// Words of each half's message.
    fn message_words(&self) -> [u32; 2] {
        [2 + self.halves[0].signed_len_bytes / 4, 10 + self.halves[1].signed_len_bytes / 4]
    }

    /// Where `gather` puts the inputs of the programs for `count` transactions, in words of its output.
    #[must_use]
    pub fn inputs(&self, count: u32, has_sketch: bool) -> Regions {
        let (count, header) = (u64::from(count), HEADER_WORDS as u64);
        let message_words = count * u64::from(self.message_words().iter().sum::<u32>()) + 1;
        Regions::of(
            [header + 50 * count + message_words, header + count + message_words, header + 8 + 16 * count],
            has_sketch,
        )
    }
}

/// Where each program's part of a buffer lies, in words; each can be bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Regions {
    /// That of `signatures`: two for each transaction, the first half's first.
    pub signatures: Range<u64>,
    /// That of `transaction_ids`.
    pub ids: Range<u64>,
    /// That of `sketch`, if there is one: over two elements for each transaction.
    pub sketch: Option<Range<u64>>,
}

impl Regions {
    /// Where the results of `count` transactions go.
    #[must_use]
    pub fn of_result(count: u32, has_sketch: bool) -> Self {
        Self::of([verdict_words(2 * count), id_words(count), sketch_words(2 * count)], has_sketch)
    }

    /// Words of the whole buffer.
    #[must_use]
    pub fn words(&self) -> u64 {
        self.sketch.as_ref().unwrap_or(&self.ids).end
    }

    fn of(words: [u64; 3], has_sketch: bool) -> Self {
        let ids = words[0].next_multiple_of(ALIGNMENT_WORDS);
        let sketch = (ids + words[1]).next_multiple_of(ALIGNMENT_WORDS);
        Self {
            signatures: 0..words[0],
            ids: ids..ids + words[1],
            sketch: has_sketch.then(|| sketch..sketch + words[2]),
        }
    }
}

/// Fills `upload` with the heads of `records` of one `format`, for verdicts, ids and, under `sketch_key`, a sketch; what
/// it held before is dropped, its memory kept.
///
/// # Errors
/// [`PackError::TooLarge`], [`PackError::RecordTooShort`].
pub fn pack_transactions<'a>(
    upload: &mut Vec<u32>,
    nonce: u64,
    format: &TransactionFormat,
    sketch_key: Option<&[u8; 32]>,
    records: impl ExactSizeIterator<Item = &'a [u8]>,
) -> Result<(), PackError> {
    let count = records.len();
    let head_len_bytes = format.head_len_bytes();
    // Two signatures each.
    start(upload, nonce, count.saturating_mul(2), 0)?;
    let inputs = format.inputs(count as u32, sketch_key.is_some());
    // All below 2^32: COUNT_MAX / 2 transactions have inputs of less than 2^30 words.
    let sketch_at = inputs.sketch.map_or(0, |part| part.start as u32);
    upload[2..6].copy_from_slice(&[count as u32, head_len_bytes as u32 / 4, inputs.ids.start as u32, sketch_at]);
    upload.extend(format.halves.iter().flat_map(HalfFormat::words));
    push_bytes(upload, sketch_key.unwrap_or(&[0; 32]));
    upload.reserve(count * head_len_bytes / 4);
    for (index, record) in records.enumerate() {
        let head = record.get(..head_len_bytes).ok_or(PackError::RecordTooShort { index, len_bytes: record.len() })?;
        push_bytes(upload, head);
    }
    Ok(())
}
