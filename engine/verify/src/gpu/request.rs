//! One piece of work for a device, packed as the programs read it, and what its result must look like to be believed.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use constellation_shaders::layout::{self, PackError, Regions, ResultError};

use crate::sketch::Minima;
use crate::{Batch, Messages, Transactions};

/// Longer messages are verified by the CPU: one invocation hashes a message alone while its whole group waits.
pub(super) const MESSAGE_LEN_MAX_BYTES: usize = 4_096;

/// Message bytes of a request are bounded by this many for each item that it may hold, to bound the upload.
const MESSAGE_BYTES_PER_ITEM: usize = 1_024;

/// Bytes of any buffer of a request at most, but of scratch, for each signature that it may hold: key, signature, end of message and
/// messages, once more the messages of a whole transaction's id, half of them for each signature, and alignment.
pub(super) const BUFFER_BYTES_PER_ITEM: usize = 256 + MESSAGE_BYTES_PER_ITEM;

/// No two requests of a process share a nonce, and none has that of a buffer full of zeros.
static NEXT_NONCE: AtomicU64 = AtomicU64::new(1);

/// What a device computes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    /// A verdict for each signature.
    Verify,
    /// BLAKE3 of each byte string.
    Ids,
    /// The sketch of a set.
    Sketch,
    /// A verdict for each half of whole transactions, their ids and, if the inputs have one, their sketch.
    Transactions {
        /// Where the device puts what the programs for each of these read.
        inputs: Regions,
    },
}

/// A packed piece of work.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) task: Task,
    /// Signatures, byte strings, elements or transactions.
    pub(crate) items: u32,
    /// The upload.
    pub(crate) words: Vec<u32>,
    nonce: u64,
}

/// A result that was found to belong to its request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// One bit an item, the first in the lowest bit of the first word.
    Verdicts(Vec<u32>),
    Ids(Vec<[u8; 32]>),
    Sketch(Box<Minima>),
    /// Two verdicts and an id a transaction; those of the empty set where no sketch was asked for.
    Transactions {
        verdicts: Vec<u32>,
        ids: Vec<[u8; 32]>,
        minima: Box<Minima>,
    },
}

impl Request {
    /// Signatures `range` of `batch`, packed into the memory of `words`.
    pub(super) fn verify(batch: &Batch<'_>, range: Range<usize>, mut words: Vec<u32>) -> Result<Self, PackError> {
        let (bytes, ends) = cut(&batch.messages(), range.clone());
        let (keys, signatures) = (&batch.public_keys()[range.clone()], &batch.signatures()[range.clone()]);
        let nonce = next_nonce();
        layout::pack_signatures(&mut words, nonce, keys, signatures, bytes, &ends)?;
        Ok(Self { task: Task::Verify, items: items(&range), words, nonce })
    }

    /// The ids of byte strings `range` of `messages`.
    pub(super) fn ids(messages: &Messages<'_>, range: Range<usize>, mut words: Vec<u32>) -> Result<Self, PackError> {
        let (bytes, ends) = cut(messages, range.clone());
        let nonce = next_nonce();
        layout::pack_transaction_ids(&mut words, nonce, bytes, &ends)?;
        Ok(Self { task: Task::Ids, items: items(&range), words, nonce })
    }

    /// The sketch of `elements` under `key`.
    pub(super) fn sketch(key: &[u8; 32], elements: &[[u8; 32]], mut words: Vec<u32>) -> Result<Self, PackError> {
        let nonce = next_nonce();
        layout::pack_sketch(&mut words, nonce, key, elements)?;
        Ok(Self { task: Task::Sketch, items: items(&(0..elements.len())), words, nonce })
    }

    /// Transactions `range`.
    pub(super) fn transactions(
        transactions: &Transactions<'_>,
        range: Range<usize>,
        mut words: Vec<u32>,
    ) -> Result<Self, PackError> {
        let (format, sketch_key, items) = (transactions.format(), transactions.sketch_key(), items(&range));
        let records = transactions.records().part(range);
        let nonce = next_nonce();
        layout::pack_transactions(&mut words, nonce, format, sketch_key, records.iter())?;
        let inputs = format.inputs(items, sketch_key.is_some());
        Ok(Self { task: Task::Transactions { inputs }, items, words, nonce })
    }

    /// What `result` says, if every part of it carries the marks of this request.
    pub(super) fn answer(&self, result: &[u32]) -> Result<Answer, ResultError> {
        let (nonce, items) = (self.nonce, self.items);
        Ok(match &self.task {
            Task::Verify => Answer::Verdicts(layout::unpack_verdicts(result, nonce, items)?),
            Task::Ids => Answer::Ids(layout::unpack_transaction_ids(result, nonce, items)?),
            Task::Sketch => Answer::Sketch(Box::new(Minima(layout::unpack_sketch(result, nonce, items)?))),
            Task::Transactions { inputs } => {
                let regions = Regions::of_result(items, inputs.sketch.is_some());
                let minima = match &regions.sketch {
                    Some(region) => Minima(layout::unpack_sketch(words_of(result, region), nonce, 2 * items)?),
                    None => Minima::NONE,
                };
                Answer::Transactions {
                    verdicts: layout::unpack_verdicts(words_of(result, &regions.signatures), nonce, 2 * items)?,
                    ids: layout::unpack_transaction_ids(words_of(result, &regions.ids), nonce, items)?,
                    minima: Box::new(minima),
                }
            }
        })
    }
}

/// A region of a result; what of it there is, where the result ends too soon.
fn words_of<'a>(result: &'a [u32], region: &Range<u64>) -> &'a [u32] {
    // A device's buffers have far less than 2^32 words.
    let (start, end) = (region.start as usize, region.end as usize);
    result.get(start..end.min(result.len())).unwrap_or_default()
}

/// The end of the request that starts at `start`: bounded in items and in message bytes, at least one item long.
pub(super) fn request_end(messages: &Messages<'_>, start: usize, items_max: usize) -> usize {
    let end = messages.len().min(start + items_max);
    let ends = messages.ends();
    let first_byte = messages.offset(start) as usize;
    let bytes_max = items_max * MESSAGE_BYTES_PER_ITEM;
    let fitting = ends[start..end].partition_point(|&end| end as usize - first_byte <= bytes_max);
    (start + fitting.max(1)).min(end)
}

/// The bytes of strings `range`, and their ends counted from the first of those bytes.
fn cut<'a>(messages: &Messages<'a>, range: Range<usize>) -> (&'a [u8], Vec<u32>) {
    let ends = messages.ends();
    let (start, end) = (messages.offset(range.start), messages.offset(range.end));
    (&messages.bytes()[start as usize..end as usize], ends[range].iter().map(|end| end - start).collect())
}

fn next_nonce() -> u64 {
    NEXT_NONCE.fetch_add(1, Ordering::Relaxed)
}

/// Packing has bounded the count far below 2^32.
fn items(range: &Range<usize>) -> u32 {
    u32::try_from(range.len()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use constellation_shaders::layout::{HalfFormat, TransactionFormat};

    use super::super::double::compute;
    use super::*;
    use crate::known_answers::KnownTransactions;

    #[test]
    fn requests_end_by_items_and_by_bytes() {
        let ends: Vec<u32> = (1..=100).map(|index| index * 100).collect();
        let bytes = vec![0; 10_000];
        let messages = Messages::new(&bytes, &ends).unwrap();
        assert_eq!(request_end(&messages, 0, 7), 7);
        assert_eq!(request_end(&messages, 95, 7), 100);
        let ends = [4_000, 4_000, 4_500, 9_000];
        let messages = Messages::new(&bytes[..9_000], &ends).unwrap();
        assert_eq!(request_end(&messages, 0, 4), 2);
        assert_eq!(request_end(&messages, 0, 1), 1, "one item always goes");
        assert_eq!(request_end(&messages, 2, 4), 3);
    }

    #[test]
    fn a_cut_counts_from_its_own_start() {
        let messages = Messages::new(b"abcdef", &[1, 3, 3, 6]).unwrap();
        assert_eq!(cut(&messages, 0..4), (&b"abcdef"[..], vec![1, 3, 3, 6]));
        assert_eq!(cut(&messages, 1..3), (&b"bc"[..], vec![2, 2]));
        assert_eq!(cut(&messages, 2..2), (&b""[..], vec![]));
    }

    #[test]
    fn every_word_of_a_result_of_transactions_counts() {
        let known = KnownTransactions::new(70);
        for with_sketch in [false, true] {
            let transactions = known.transactions();
            let transactions = if with_sketch { transactions.with_sketch(&[1; 32]) } else { transactions };
            let request = Request::transactions(&transactions, 0..70, Vec::new()).unwrap();
            let right = compute(&request);
            assert!(request.answer(&right).is_ok());
            let regions = Regions::of_result(70, with_sketch);
            let is_padding = |word: u64| {
                let sketch = regions.sketch.clone().unwrap_or_default();
                ![&regions.signatures, &regions.ids, &sketch].iter().any(|region| region.contains(&word))
            };
            for word in 0..right.len() {
                let mut spoilt = right.clone();
                spoilt[word] ^= 1 << (word % 32);
                assert_eq!(request.answer(&spoilt).is_ok(), is_padding(word as u64), "word {word}");
            }
            assert_eq!(right.len() as u64, regions.words());
            assert!(request.answer(&right[..right.len() - 1]).is_err() && request.answer(&[]).is_err());
            let another = Request::transactions(&transactions, 0..70, Vec::new()).unwrap();
            assert!(another.answer(&right).is_err());
        }
    }

    #[test]
    fn no_buffer_of_the_largest_transactions_is_larger_than_bounded() {
        // Messages of a whole chunk.
        let half = |signed_len_bytes| HalfFormat { domain: [0; 8], key: 0, signature: 32, signed: 0, signed_len_bytes };
        let format = TransactionFormat::new([half(504), half(472)]).unwrap();
        let count = 10_000;
        let most = 2 * u64::from(count) * BUFFER_BYTES_PER_ITEM as u64;
        assert!(4 * format.inputs(count, true).words() <= most);
        assert!(4 * Regions::of_result(count, true).words() <= most);
        let records = vec![0; format.head_len_bytes() * 1_000];
        let ends: Vec<u32> = (1..=1_000).map(|index| index * format.head_len_bytes() as u32).collect();
        let transactions = Transactions::new(&format, Messages::new(&records, &ends).unwrap()).unwrap();
        let request = Request::transactions(&transactions, 0..1_000, Vec::new()).unwrap();
        assert!(4 * request.words.len() <= 2 * 1_000 * BUFFER_BYTES_PER_ITEM);
    }

    #[test]
    fn a_result_of_another_request_is_refused() {
        let request = || Request::sketch(&[1; 32], &[[2; 32]], Vec::new()).unwrap();
        assert_ne!(request().nonce, request().nonce);
        assert!(request().answer(&[0; 36]).is_err());
        assert!(request().answer(&[]).is_err());
    }
}
