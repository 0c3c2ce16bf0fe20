//! Byte strings laid end to end: the one shape in which messages reach this crate.

use std::ops::Range;

use crate::BatchError;

/// Byte strings laid end to end in one buffer: string `i` is `bytes[ends[i - 1]..ends[i]]`.
#[derive(Clone, Copy, Debug)]
pub struct Messages<'a> {
    bytes: &'a [u8],
    /// Where the first string starts: 0, but in a part of another list.
    start: u32,
    ends: &'a [u32],
}

impl<'a> Messages<'a> {
    /// Borrows `bytes`, cut at `ends` (offsets in bytes, never falling, the last one `bytes.len()`).
    ///
    /// # Errors
    /// The caller's fault in every case: [`BatchError::EndsFall`], or [`BatchError::EndsMismatch`] when the last
    /// end is not the length of the buffer.
    pub fn new(bytes: &'a [u8], ends: &'a [u32]) -> Result<Self, BatchError> {
        if let Some(index) = ends.windows(2).position(|pair| pair[1] < pair[0]) {
            return Err(BatchError::EndsFall { index: index + 1 });
        }
        let last_end = ends.last().map_or(0, |&end| end as usize);
        if last_end != bytes.len() {
            return Err(BatchError::EndsMismatch { last_end, len_bytes: bytes.len() });
        }
        Ok(Self { bytes, start: 0, ends })
    }

    /// How many byte strings there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Byte string `index`, or `None` past the end.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&'a [u8]> {
        let end = *self.ends.get(index)? as usize;
        Some(&self.bytes[self.offset(index) as usize..end])
    }

    /// The strings of `range`, which must lie inside the list.
    pub(crate) fn part(&self, range: Range<usize>) -> Self {
        Self { bytes: self.bytes, start: self.offset(range.start), ends: &self.ends[range] }
    }

    /// Where string `index` starts, or the list ends, among [`bytes`](Self::bytes).
    pub(crate) fn offset(&self, index: usize) -> u32 {
        index.checked_sub(1).map_or(self.start, |before| self.ends[before])
    }

    /// The byte strings in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &'a [u8]> + use<'a> {
        let messages = *self;
        (0..messages.len()).map(move |index| messages.at(index))
    }

    /// The buffer, which may hold more than these strings.
    pub(crate) fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Where each string ends among [`bytes`](Self::bytes).
    pub(crate) fn ends(&self) -> &'a [u32] {
        self.ends
    }

    /// Byte string `index`, which the caller knows to exist.
    pub(crate) fn at(&self, index: usize) -> &'a [u8] {
        self.get(index).unwrap_or_default()
    }
}

/// BLAKE3 of each byte string: the id of a transaction, given its two signed messages laid end to end.
#[must_use]
pub fn transaction_ids(messages: &Messages<'_>) -> Vec<[u8; 32]> {
    messages.iter().map(|message| *blake3::hash(message).as_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_the_hash_of_each_string() {
        let messages = Messages::new(b"abcde", &[0, 3, 3, 5]).unwrap();
        let expected: Vec<_> =
            [&b""[..], b"abc", b"", b"de"].iter().map(|part| *blake3::hash(part).as_bytes()).collect();
        assert_eq!(transaction_ids(&messages), expected);
        assert_eq!(messages.get(4), None);
    }

    #[test]
    fn a_part_is_a_list_of_its_own() {
        let messages = Messages::new(b"abcde", &[0, 3, 3, 5]).unwrap();
        let part = messages.part(1..4);
        assert_eq!(part.iter().collect::<Vec<_>>(), [&b"abc"[..], b"", b"de"]);
        assert_eq!(part.part(2..3).iter().collect::<Vec<_>>(), [b"de"]);
        assert!(part.part(3..3).is_empty());
    }

    #[test]
    fn malformed_ends_are_refused() {
        assert!(matches!(Messages::new(b"abc", &[2, 1, 3]), Err(BatchError::EndsFall { index: 1 })));
        assert!(matches!(Messages::new(b"abc", &[2]), Err(BatchError::EndsMismatch { last_end: 2, len_bytes: 3 })));
        assert!(matches!(Messages::new(b"abc", &[4]), Err(BatchError::EndsMismatch { .. })));
        assert!(matches!(Messages::new(b"a", &[]), Err(BatchError::EndsMismatch { .. })));
        assert!(Messages::new(b"", &[]).is_ok());
    }
}
