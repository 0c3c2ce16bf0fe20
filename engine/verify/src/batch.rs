//! What goes in and what comes out: borrowed and owned batches of signatures, and the bit set of verdicts.

use std::ops::Range;

use crate::Messages;

/// A batch that does not hang together: always the caller's fault, never a peer's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// The three arrays differ in length.
    #[error("a batch needs as many keys as signatures as messages, got {keys}, {signatures} and {messages}")]
    LengthsDiffer {
        /// Public keys given.
        keys: usize,
        /// Signatures given.
        signatures: usize,
        /// Messages given.
        messages: usize,
    },
    /// A message ends before it starts.
    #[error("message {index} ends before the message ahead of it; message ends must never fall")]
    EndsFall {
        /// The message at fault.
        index: usize,
    },
    /// The last message does not end where the buffer does.
    #[error("the last message ends at byte {last_end}, the message buffer at {len_bytes}; they must be equal")]
    EndsMismatch {
        /// Where the last message ends.
        last_end: usize,
        /// The length of the buffer.
        len_bytes: usize,
    },
    /// The messages together would pass 4 GiB, which 32-bit ends cannot describe.
    #[error("the messages of one batch must stay below 4 GiB together; verify this batch and start another")]
    TooLong,
}

/// Signatures to verify: a borrowed structure of arrays.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    public_keys: &'a [[u8; 32]],
    signatures: &'a [[u8; 64]],
    messages: Messages<'a>,
}

impl<'a> Batch<'a> {
    /// Borrows the arrays; message `i` is `message_bytes[message_ends[i - 1]..message_ends[i]]`.
    ///
    /// # Errors
    /// [`BatchError`] when the lengths differ, when an end falls below the one before it, or when the last end is
    /// not the length of `message_bytes`.
    pub fn new(
        public_keys: &'a [[u8; 32]],
        signatures: &'a [[u8; 64]],
        message_bytes: &'a [u8],
        message_ends: &'a [u32],
    ) -> Result<Self, BatchError> {
        if public_keys.len() != signatures.len() || public_keys.len() != message_ends.len() {
            return Err(BatchError::LengthsDiffer {
                keys: public_keys.len(),
                signatures: signatures.len(),
                messages: message_ends.len(),
            });
        }
        Ok(Self { public_keys, signatures, messages: Messages::new(message_bytes, message_ends)? })
    }

    /// How many signatures there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.public_keys.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.public_keys.is_empty()
    }

    /// The signatures of `range`, which must lie inside the batch.
    pub(crate) fn part(&self, range: Range<usize>) -> Self {
        Self {
            public_keys: &self.public_keys[range.clone()],
            signatures: &self.signatures[range.clone()],
            messages: self.messages.part(range),
        }
    }

    /// The public keys (A), encoded.
    #[must_use]
    pub fn public_keys(&self) -> &'a [[u8; 32]] {
        self.public_keys
    }

    /// The signatures (R ‖ S), encoded.
    #[must_use]
    pub fn signatures(&self) -> &'a [[u8; 64]] {
        self.signatures
    }

    /// The messages (M).
    #[must_use]
    pub fn messages(&self) -> Messages<'a> {
        self.messages
    }
}

/// A batch that owns its arrays: filled with [`push`](Self::push), verified, cleared and filled again without new
/// allocations. Its owner bounds its length.
#[derive(Clone, Debug, Default)]
pub struct OwnedBatch {
    public_keys: Vec<[u8; 32]>,
    signatures: Vec<[u8; 64]>,
    message_bytes: Vec<u8>,
    message_ends: Vec<u32>,
}

impl OwnedBatch {
    /// An empty batch.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Empties the batch and keeps its memory.
    pub fn clear(&mut self) {
        self.public_keys.clear();
        self.signatures.clear();
        self.message_bytes.clear();
        self.message_ends.clear();
    }

    /// Adds one signature over the concatenation of `message_parts`.
    ///
    /// # Errors
    /// [`BatchError::TooLong`] when the messages would pass 4 GiB together; the batch is then as it was before.
    pub fn push(
        &mut self,
        public_key: &[u8; 32],
        signature: &[u8; 64],
        message_parts: &[&[u8]],
    ) -> Result<(), BatchError> {
        let added = message_parts.iter().map(|part| part.len()).sum::<usize>();
        let end = self.message_bytes.len().checked_add(added).ok_or(BatchError::TooLong)?;
        let end = u32::try_from(end).map_err(|_| BatchError::TooLong)?;
        self.public_keys.push(*public_key);
        self.signatures.push(*signature);
        for part in message_parts {
            self.message_bytes.extend_from_slice(part);
        }
        self.message_ends.push(end);
        Ok(())
    }

    /// How many signatures there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.public_keys.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.public_keys.is_empty()
    }

    /// The batch, borrowed.
    #[must_use]
    pub fn as_batch(&self) -> Batch<'_> {
        // `push` is the only writer and keeps what `Batch::new` would check.
        let messages = Messages::new(&self.message_bytes, &self.message_ends)
            .expect("push appends a message and its end together");
        Batch { public_keys: &self.public_keys, signatures: &self.signatures, messages }
    }
}

/// One bit for each signature of a batch: whether it is valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdicts {
    words: Vec<u64>,
    len: usize,
}

impl Verdicts {
    /// `len` verdicts, all invalid: what is not shown to be valid stays invalid.
    pub(crate) fn none_valid(len: usize) -> Self {
        Self { words: vec![0; len.div_ceil(64)], len }
    }

    /// The verdicts of consecutive parts of one batch; all but the last one have a multiple of 64 signatures.
    pub(crate) fn join(parts: impl IntoIterator<Item = Self>) -> Self {
        parts.into_iter().fold(Self::none_valid(0), |mut joined, part| {
            debug_assert!(joined.len.is_multiple_of(64), "a part of {} verdicts is not the last", joined.len);
            joined.words.extend(part.words);
            joined.len += part.len;
            joined
        })
    }

    /// Marks signature `index` as valid.
    pub(crate) fn set_valid(&mut self, index: usize) {
        debug_assert!(index < self.len, "verdict {index} of {}", self.len);
        self.words[index / 64] |= 1 << (index % 64);
    }

    /// Whether signature `index` is valid; `false` past the end.
    #[must_use]
    pub fn get(&self, index: usize) -> bool {
        self.words.get(index / 64).is_some_and(|word| word >> (index % 64) & 1 == 1)
    }

    /// How many verdicts there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether every signature is valid (true of an empty batch).
    #[must_use]
    pub fn all(&self) -> bool {
        self.count_valid() == self.len
    }

    /// How many signatures are valid.
    #[must_use]
    pub fn count_valid(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// The verdicts in the order of the batch.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = bool> + '_ {
        (0..self.len).map(|index| self.get(index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_must_agree() {
        let error = Batch::new(&[[0; 32]; 2], &[[0; 64]; 1], b"", &[0, 0]).unwrap_err();
        assert_eq!(error, BatchError::LengthsDiffer { keys: 2, signatures: 1, messages: 2 });
        let error = Batch::new(&[[0; 32]; 2], &[[0; 64]; 2], b"a", &[1, 0]).unwrap_err();
        assert_eq!(error, BatchError::EndsFall { index: 1 });
    }

    #[test]
    fn an_owned_batch_joins_parts_and_can_be_reused() {
        let mut batch = OwnedBatch::new();
        for round in 0..2 {
            batch.clear();
            batch.push(&[1; 32], &[2; 64], &[b"ab", b"", b"c"]).unwrap();
            batch.push(&[3; 32], &[4; 64], &[]).unwrap();
            let view = batch.as_batch();
            assert_eq!(view.len(), 2, "round {round}");
            assert_eq!(view.messages().iter().collect::<Vec<_>>(), [&b"abc"[..], b""]);
            assert_eq!(view.public_keys()[1], [3; 32]);
        }
    }

    #[test]
    fn verdicts_are_a_bit_set() {
        let mut verdicts = Verdicts::none_valid(130);
        assert!(!verdicts.all());
        for index in [0, 63, 64, 129] {
            verdicts.set_valid(index);
        }
        assert_eq!(verdicts.count_valid(), 4);
        assert!(verdicts.get(129) && !verdicts.get(128) && !verdicts.get(130) && !verdicts.get(100_000));
        assert_eq!(verdicts.iter().filter(|&valid| valid).count(), 4);
        assert!(Verdicts::none_valid(0).all());
    }
}
