//! The buffers between host and device: binding numbers, sizes, and the words in them. All words are 32 bits, little
//! endian; byte strings lie in them in memory order.
//!
//! Upload of signatures (`n` = count), in words:
//!
//! ```text
//! 0         nonce, low then high       8 + 8n    signatures, 16 words each (R, S)
//! 2         n                          8 + 24n   message ends in bytes, 1 word each
//! 3 .. 8    0                          8 + 25n   message bytes, end to end, then at least 4 zero bytes
//! 8         public keys, 8 words each
//! ```
//!
//! Upload of byte strings to hash: the header, ends at 8, bytes at 8 + n. Upload of a set to sketch: the header, the
//! key at 8, elements of 8 words each from 16. Upload of whole transactions: see [`TransactionFormat`].
//!
//! Results come in sealed groups, one a workgroup: the batch's nonce, the contents, and a tag made of the nonce, the
//! group's position and the contents, so that a group that was never written, is left from an earlier batch, was torn
//! or moved does not pass for a result.
//!
//! ```text
//! verdicts, 64 a group:  nonce (2)  tag (2)  verdict bits (2)                 6 words
//! ids, 64 a group:       nonce (2)  tag (2)  ids (64 × 8)                   516 words
//! sketch, 2048 a group:  nonce (2)  tag (2)  bins (32 × 5)                  164 words
//! ```
//!
//! Bins come in fours: the four values, then a word with the four rounds, one byte each. Each group of a sketch has all bins, of its
//! elements alone.

mod transactions;

use crate::Arithmetic;
use crate::base_table;
use crate::record::record_vectors;
use crate::seal::{self, digest};

pub use transactions::{FormatError, HalfFormat, Regions, TransactionFormat, pack_transactions};
pub(crate) use transactions::{HALF_WORDS, HALVES, HEADS, SKETCH_KEY};

/// The only bind group.
pub const BIND_GROUP: u32 = 0;
/// Storage, read only: what `pack_*` made.
pub const INPUT_BINDING: u32 = 0;
/// Storage, read only: [`constants`](crate::Program::constants), uploaded once.
pub const CONSTANTS_BINDING: u32 = 1;
/// Storage, read and write, never read by the host.
pub const SCRATCH_BINDING: u32 = 2;
/// Storage, read and write: what `unpack_*` reads.
pub const OUTPUT_BINDING: u32 = 3;

/// Invocations in a workgroup, in every pass; results are sealed by this many.
pub const GROUP_SIZE: u32 = 64;
/// Items of one batch at most: `decode` takes two invocations for each, and a dimension has 65,535 workgroups. The
/// adapter's buffer limits may bound a batch further (see [`scratch_words`](crate::Program::scratch_words)).
pub const COUNT_MAX: u32 = 65_535 * GROUP_SIZE / 2;
/// Message bytes of one batch at most, so that offsets into the upload stay well within 32 bits.
pub const MESSAGE_BYTES_MAX: usize = 1 << 30;
/// Bytes that one string to hash may have: one BLAKE3 chunk. Longer ones are the host's to hash.
pub const ID_MESSAGE_BYTES_MAX: usize = 1024;
/// Elements that one workgroup sketches: enough to fill all bins in a round or two, if they are not many times the same few; and then
/// none has long to do.
pub const SKETCH_GROUP_ITEMS: u32 = 2048;
/// Bins of a sketch.
pub const SKETCH_BINS: usize = 128;

/// Words of the upload before the arrays.
pub(crate) const HEADER_WORDS: usize = 8;
/// Words of a sealed group before its contents: nonce and tag.
const SEAL_WORDS: u64 = 4;
/// Words of a sealed group of verdicts.
pub(crate) const VERDICT_GROUP_WORDS: u64 = SEAL_WORDS + GROUP_SIZE as u64 / 32;
const ID_GROUP_WORDS: u64 = SEAL_WORDS + 8 * GROUP_SIZE as u64;
/// Words of a sealed group of a sketch.
pub(crate) const SKETCH_GROUP_WORDS: u64 = SEAL_WORDS + 5 * SKETCH_BINS as u64 / 4;

/// A batch that cannot be packed: always the caller's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PackError {
    /// The arrays differ in length.
    #[error("as many keys as signatures as message ends are needed, got {keys}, {signatures} and {messages}")]
    LengthsDiffer {
        /// Public keys given.
        keys: usize,
        /// Signatures given.
        signatures: usize,
        /// Message ends given.
        messages: usize,
    },
    /// Message ends fall, or the last one is not where the bytes end.
    #[error("message ends must never fall, and the last must be where the bytes end")]
    EndsMalformed,
    /// More than [`COUNT_MAX`] items, or more than [`MESSAGE_BYTES_MAX`] message bytes.
    #[error("{count} items with {len_bytes} message bytes are too many for one batch")]
    TooLarge {
        /// Items given.
        count: usize,
        /// Message bytes given.
        len_bytes: usize,
    },
    /// A string to hash is longer than [`ID_MESSAGE_BYTES_MAX`].
    #[error("byte string {index} has {len_bytes} bytes, more than one BLAKE3 chunk")]
    MessageTooLong {
        /// The string at fault.
        index: usize,
        /// Its length.
        len_bytes: usize,
    },
    /// A record is shorter than the head of its format.
    #[error("record {index} has {len_bytes} bytes, less than the head of its format")]
    RecordTooShort {
        /// The record at fault.
        index: usize,
        /// Its length.
        len_bytes: usize,
    },
}

/// A result buffer that does not hold this batch's results: the device's or the driver's fault. Nothing of it may be
/// used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ResultError {
    /// The buffer is shorter than the results.
    #[error("the result buffer has {words} words where {expected} are due")]
    TooShort {
        /// Words there are.
        words: usize,
        /// Words due.
        expected: u64,
    },
    /// A group carries another nonce: it was never written, or is left from another batch.
    #[error("result group {group} carries the nonce {found:#018x}, not {expected:#018x}: stale or never written")]
    Stale {
        /// The group at fault.
        group: usize,
        /// The nonce it carries.
        found: u64,
        /// The batch's nonce.
        expected: u64,
    },
    /// A group's tag does not match its contents and position.
    #[error("result group {group} does not match its tag: damaged, torn or misplaced")]
    Damaged {
        /// The group at fault.
        group: usize,
    },
}

/// Words of scratch for `count` signatures.
#[must_use]
pub fn scratch_words(arithmetic: Arithmetic, count: u32) -> u64 {
    4 * u64::from(record_vectors(arithmetic)) * u64::from(count.max(1))
}

/// How many signatures fit one scratch buffer of `bytes_max` bytes (`max_storage_buffer_binding_size`).
#[must_use]
pub fn count_max(arithmetic: Arithmetic, bytes_max: u64) -> u32 {
    let fitting = bytes_max / (16 * u64::from(record_vectors(arithmetic)));
    u32::try_from(fitting).unwrap_or(COUNT_MAX).min(COUNT_MAX)
}

/// Words of the verdicts of `count` signatures. Never 0.
#[must_use]
pub fn verdict_words(count: u32) -> u64 {
    VERDICT_GROUP_WORDS * u64::from(count.div_ceil(GROUP_SIZE).max(1))
}

/// Words of the ids of `count` byte strings. Never 0.
#[must_use]
pub fn id_words(count: u32) -> u64 {
    ID_GROUP_WORDS * u64::from(count.div_ceil(GROUP_SIZE).max(1))
}

/// Words of the sketch of `count` elements. Never 0.
#[must_use]
pub fn sketch_words(count: u32) -> u64 {
    SKETCH_GROUP_WORDS * u64::from(count.div_ceil(SKETCH_GROUP_ITEMS).max(1))
}

/// The tables that the `signatures` program reads, made once.
#[must_use]
pub fn constants(arithmetic: Arithmetic) -> Vec<u32> {
    base_table::constants(arithmetic)
}

/// Fills `upload` with a batch of signatures; what it held before is dropped, its memory kept.
///
/// # Errors
/// [`PackError::LengthsDiffer`], [`PackError::EndsMalformed`], [`PackError::TooLarge`].
pub fn pack_signatures(
    upload: &mut Vec<u32>,
    nonce: u64,
    public_keys: &[[u8; 32]],
    signatures: &[[u8; 64]],
    message_bytes: &[u8],
    message_ends: &[u32],
) -> Result<(), PackError> {
    if public_keys.len() != signatures.len() || public_keys.len() != message_ends.len() {
        return Err(PackError::LengthsDiffer {
            keys: public_keys.len(),
            signatures: signatures.len(),
            messages: message_ends.len(),
        });
    }
    start(upload, nonce, public_keys.len(), message_bytes.len())?;
    push_bytes(upload, public_keys.as_flattened());
    push_bytes(upload, signatures.as_flattened());
    push_messages(upload, message_bytes, message_ends)
}

/// Fills `upload` with byte strings to hash, laid end to end as messages are.
///
/// # Errors
/// [`PackError::EndsMalformed`], [`PackError::TooLarge`], [`PackError::MessageTooLong`].
pub fn pack_transaction_ids(
    upload: &mut Vec<u32>,
    nonce: u64,
    message_bytes: &[u8],
    message_ends: &[u32],
) -> Result<(), PackError> {
    start(upload, nonce, message_ends.len(), message_bytes.len())?;
    push_messages(upload, message_bytes, message_ends)?;
    let mut previous = 0;
    for (index, &end) in message_ends.iter().enumerate() {
        let len_bytes = (end - previous) as usize;
        if len_bytes > ID_MESSAGE_BYTES_MAX {
            return Err(PackError::MessageTooLong { index, len_bytes });
        }
        previous = end;
    }
    Ok(())
}

/// Fills `upload` with a set to sketch under `key`.
///
/// # Errors
/// [`PackError::TooLarge`].
pub fn pack_sketch(upload: &mut Vec<u32>, nonce: u64, key: &[u8; 32], elements: &[[u8; 32]]) -> Result<(), PackError> {
    start(upload, nonce, elements.len(), 0)?;
    push_bytes(upload, key);
    push_bytes(upload, elements.as_flattened());
    Ok(())
}

/// The verdict bits of `count` signatures: signature `i` is bit `i % 32` of word `i / 32`; bits past the last are 0.
///
/// # Errors
/// [`ResultError`]: then no verdict may be used.
pub fn unpack_verdicts(words: &[u32], nonce: u64, count: u32) -> Result<Vec<u32>, ResultError> {
    let mut verdicts = Vec::with_capacity(count.div_ceil(32) as usize);
    for_each_group(words, nonce, count.div_ceil(GROUP_SIZE), VERDICT_GROUP_WORDS, |contents| {
        verdicts.extend_from_slice(contents);
        [contents[0], contents[1]]
    })?;
    verdicts.truncate(count.div_ceil(32) as usize);
    Ok(verdicts)
}

/// The ids of `count` byte strings.
///
/// # Errors
/// [`ResultError`]: then no id may be used.
pub fn unpack_transaction_ids(words: &[u32], nonce: u64, count: u32) -> Result<Vec<[u8; 32]>, ResultError> {
    let mut ids = Vec::with_capacity(count as usize);
    for_each_group(words, nonce, count.div_ceil(GROUP_SIZE), ID_GROUP_WORDS, |contents| {
        ids.extend(contents.as_chunks::<8>().0.iter().map(bytes_of));
        digest(contents.chunks(8))
    })?;
    ids.truncate(count as usize);
    Ok(ids)
}

/// What each bin of the sketch of `count` elements keeps: the first round that offered it anything, and the least value
/// of that round; (255, `u32::MAX`) where none did.
///
/// # Errors
/// [`ResultError`]: then the sketch must not be used.
pub fn unpack_sketch(words: &[u32], nonce: u64, count: u32) -> Result<[(u8, u32); SKETCH_BINS], ResultError> {
    let mut bins = [(u8::MAX, u32::MAX); SKETCH_BINS];
    for_each_group(words, nonce, count.div_ceil(SKETCH_GROUP_ITEMS), SKETCH_GROUP_WORDS, |contents| {
        for (four, words) in bins.as_chunks_mut::<4>().0.iter_mut().zip(contents.as_chunks::<5>().0) {
            let rounds = words[4].to_le_bytes();
            *four = std::array::from_fn(|bin| four[bin].min((rounds[bin], words[bin])));
        }
        digest(contents.chunks(5))
    })?;
    Ok(bins)
}

/// The header of an upload.
fn start(upload: &mut Vec<u32>, nonce: u64, count: usize, len_bytes: usize) -> Result<(), PackError> {
    let too_large = PackError::TooLarge { count, len_bytes };
    let count = u32::try_from(count).ok().filter(|&count| count <= COUNT_MAX).ok_or(too_large.clone())?;
    if len_bytes > MESSAGE_BYTES_MAX {
        return Err(too_large);
    }
    let [nonce_low, nonce_high] = seal::halves(nonce);
    upload.clear();
    upload.extend([nonce_low, nonce_high, count, 0, 0, 0, 0, 0]);
    Ok(())
}

/// Appends `bytes`, filled up with zeros to whole words.
fn push_bytes(upload: &mut Vec<u32>, bytes: &[u8]) {
    let at = upload.len();
    upload.resize(at + bytes.len().div_ceil(4), 0);
    bytemuck::cast_slice_mut::<u32, u8>(&mut upload[at..])[..bytes.len()].copy_from_slice(bytes);
}

fn push_messages(upload: &mut Vec<u32>, bytes: &[u8], ends: &[u32]) -> Result<(), PackError> {
    let last_end = ends.last().map_or(0, |&end| end as usize);
    if last_end != bytes.len() || !ends.is_sorted() {
        return Err(PackError::EndsMalformed);
    }
    upload.extend_from_slice(ends);
    push_bytes(upload, bytes);
    upload.push(0);
    Ok(())
}

/// Checks the nonce and the seal of each group of a result; `read` takes a group's contents and returns their digest.
fn for_each_group(
    words: &[u32],
    nonce: u64,
    groups: u32,
    group_words: u64,
    mut read: impl FnMut(&[u32]) -> [u32; 2],
) -> Result<(), ResultError> {
    let expected = u64::from(groups) * group_words;
    // Bounded by COUNT_MAX groups of 516 words.
    let words = words.get(..expected as usize).ok_or(ResultError::TooShort { words: words.len(), expected })?;
    for (group, sealed) in words.chunks_exact(group_words as usize).enumerate() {
        let found = u64::from(sealed[1]) << 32 | u64::from(sealed[0]);
        if found != nonce {
            return Err(ResultError::Stale { group, found, expected: nonce });
        }
        let digest = read(&sealed[SEAL_WORDS as usize..]);
        if seal::tag(nonce, group as u32, digest) != sealed[2..4] {
            return Err(ResultError::Damaged { group });
        }
    }
    Ok(())
}

fn bytes_of(words: &[u32; 8]) -> [u8; 32] {
    std::array::from_fn(|byte| words[byte / 4].to_le_bytes()[byte % 4])
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: [[u8; 32]; 2] = [[1; 32], [2; 32]];
    const SIGNATURES: [[u8; 64]; 2] = [[3; 64], [4; 64]];

    fn pack(keys: usize, signatures: usize, bytes: &[u8], ends: &[u32]) -> Result<Vec<u32>, PackError> {
        let mut upload = vec![9; 7];
        pack_signatures(&mut upload, 5 << 32 | 6, &KEYS[..keys], &SIGNATURES[..signatures], bytes, ends)?;
        Ok(upload)
    }

    #[test]
    fn an_upload_is_laid_out_as_documented() {
        let upload = pack(2, 2, b"abcde", &[1, 5]).unwrap();
        assert_eq!(upload[..8], [6, 5, 2, 0, 0, 0, 0, 0]);
        assert_eq!(
            (upload[8], upload[16], upload[24], upload[40]),
            (0x0101_0101, 0x0202_0202, 0x0303_0303, 0x0404_0404)
        );
        assert_eq!(upload[56..], [1, 5, u32::from_le_bytes(*b"abcd"), u32::from(b'e'), 0]);
    }

    #[test]
    fn what_does_not_hang_together_is_refused() {
        assert!(matches!(
            pack(1, 2, b"", &[0, 0]),
            Err(PackError::LengthsDiffer { keys: 1, signatures: 2, messages: 2 })
        ));
        assert_eq!(pack(2, 2, b"abc", &[2, 1]), Err(PackError::EndsMalformed));
        assert_eq!(pack(2, 2, b"abc", &[1, 2]), Err(PackError::EndsMalformed));
        assert_eq!(pack(0, 0, b"a", &[]), Err(PackError::EndsMalformed));
        assert!(pack(0, 0, b"", &[]).is_ok());
        let falling = pack_transaction_ids(&mut Vec::new(), 0, b"abc", &[4, 3]);
        assert_eq!(falling, Err(PackError::EndsMalformed));
    }

    #[test]
    fn a_buffer_of_the_size_asked_for_holds_the_count() {
        for arithmetic in Arithmetic::ALL {
            for bytes_max in [128 << 20, 1 << 30, u64::MAX] {
                let count = count_max(arithmetic, bytes_max);
                assert!(4 * scratch_words(arithmetic, count) <= bytes_max && count <= COUNT_MAX);
                assert!(count == COUNT_MAX || 4 * scratch_words(arithmetic, count + 1) > bytes_max);
            }
            assert!(count_max(arithmetic, 128 << 20) >= 16_384, "{arithmetic:?}");
        }
    }
}
