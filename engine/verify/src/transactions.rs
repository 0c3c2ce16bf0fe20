//! Whole transactions: a verdict for each signature, an id for each transaction and a sketch of the keys, from records of bytes as
//! they come over the wire. What lies where in a record is for the caller to say ([`TransactionFormat`]).

use std::ops::Range;

use constellation_shaders::layout::{HalfFormat, TransactionFormat};

use crate::gpu::OnCpu;
use crate::sketch::Minima;
use crate::{Messages, OwnedBatch, SKETCH_BINS, Verdicts};

/// The CPU does so many transactions together: past this nothing is gained, and memory grows.
const PART_LEN_MAX: usize = 1 << 15;

/// Stands for no second key: of small order, so that no signature is valid for it.
pub(crate) const NO_KEY: [u8; 32] = [0; 32];

/// A record shorter than what its format describes: the caller's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("record {index} has {len_bytes} bytes, where its format describes {head_len_bytes}")]
pub struct RecordTooShort {
    /// The record at fault.
    pub index: usize,
    /// Its length.
    pub len_bytes: usize,
    /// The least length.
    pub head_len_bytes: usize,
}

/// Transactions of one format, to be verified: borrowed.
#[derive(Clone, Copy, Debug)]
pub struct Transactions<'a> {
    format: &'a TransactionFormat,
    records: Messages<'a>,
    sketch_key: Option<&'a [u8; 32]>,
}

impl<'a> Transactions<'a> {
    /// Borrows `records`, each of which may be longer than what `format` describes. Of no sketch.
    ///
    /// # Errors
    /// [`RecordTooShort`].
    pub fn new(format: &'a TransactionFormat, records: Messages<'a>) -> Result<Self, RecordTooShort> {
        let head_len_bytes = format.head_len_bytes();
        match records.iter().enumerate().find(|(_, record)| record.len() < head_len_bytes) {
            Some((index, record)) => Err(RecordTooShort { index, len_bytes: record.len(), head_len_bytes }),
            None => Ok(Self { format, records, sketch_key: None }),
        }
    }

    /// The same, of which a sketch is wanted too: that of the set of all keys, under `key`.
    #[must_use]
    pub fn with_sketch(self, key: &'a [u8; 32]) -> Self {
        Self { sketch_key: Some(key), ..self }
    }

    /// How many transactions there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    pub(crate) fn format(&self) -> &'a TransactionFormat {
        self.format
    }

    pub(crate) fn records(&self) -> Messages<'a> {
        self.records
    }

    pub(crate) fn sketch_key(&self) -> Option<&'a [u8; 32]> {
        self.sketch_key
    }
}

/// What [`Engine::verify_transactions`](crate::Engine::verify_transactions) found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionResults {
    /// Two for each transaction: its first half's, then its second half's, which is invalid where there is none.
    pub verdicts: Verdicts,
    /// One for each transaction.
    pub ids: Vec<[u8; 32]>,
    /// The sketch of all keys, if it was asked for.
    pub sketch: Option<[u8; SKETCH_BINS]>,
}

/// Transactions on the way to their results: any part of them can be done on its own.
pub(crate) struct UnderWay<'a> {
    transactions: Transactions<'a>,
    verdicts: Verdicts,
    ids: Vec<[u8; 32]>,
    minima: Minima,
}

impl<'a> UnderWay<'a> {
    pub(crate) fn new(transactions: Transactions<'a>) -> Self {
        let count = transactions.len();
        Self {
            transactions,
            verdicts: Verdicts::none_valid(2 * count),
            ids: vec![[0; 32]; count],
            minima: Minima::NONE,
        }
    }

    pub(crate) fn transactions(&self) -> Transactions<'a> {
        self.transactions
    }

    /// Takes what was found for `range`, verdicts as bits of words.
    pub(crate) fn accept(&mut self, range: Range<usize>, verdicts: &[u32], ids: &[[u8; 32]], minima: &Minima) {
        for (offset, signature) in (2 * range.start..2 * range.end).enumerate() {
            if verdicts.get(offset / 32).is_some_and(|word| word >> (offset % 32) & 1 == 1) {
                self.verdicts.set_valid(signature);
            }
        }
        self.ids[range].copy_from_slice(ids);
        self.minima.merge(minima);
    }

    /// Does `range` on the CPU, its signatures by `verify`.
    pub(crate) fn do_on_cpu(&mut self, range: Range<usize>, verify: &OnCpu<'_>) {
        for start in range.clone().step_by(PART_LEN_MAX) {
            self.do_part(start..range.end.min(start + PART_LEN_MAX), verify);
        }
    }

    fn do_part(&mut self, range: Range<usize>, verify: &OnCpu<'_>) {
        let [first, second] = self.transactions.format.halves();
        let mut batch = OwnedBatch::new();
        // Which of the signatures each one of the batch is.
        let mut signatures = Vec::with_capacity(2 * range.len());
        let mut accounts = Vec::new();
        let mut messages = Vec::new();
        for index in range {
            let record = self.transactions.records.at(index);
            let first_len = write_messages([first, second], record, &mut messages);
            self.ids[index] = *blake3::hash(&messages).as_bytes();
            let of_first = (2 * index, first, &messages[..first_len]);
            let of_second = (2 * index + 1, second, &messages[first_len..]);
            let has_second = part(record, second.key) != &NO_KEY;
            for (signature, half, message) in [of_first, of_second].into_iter().take(1 + usize::from(has_second)) {
                let (key, bytes) = (part(record, half.key), part(record, half.signature));
                accounts.push(*key);
                // The messages of so few are far below the 4 GiB at which a batch refuses more.
                if batch.push(key, bytes, &[message]).is_ok() {
                    signatures.push(signature);
                }
            }
        }
        for (valid, signature) in verify(&batch.as_batch()).iter().zip(signatures) {
            if valid {
                self.verdicts.set_valid(signature);
            }
        }
        if let Some(key) = self.transactions.sketch_key {
            // Of few accounts, each would be offered to the bins often.
            accounts.sort_unstable();
            accounts.dedup();
            self.minima.merge(&Minima::of(key, &accounts));
        }
    }

    pub(crate) fn finish(self) -> TransactionResults {
        let sketch = self.transactions.sketch_key.map(|_| self.minima.bytes());
        TransactionResults { verdicts: self.verdicts, ids: self.ids, sketch }
    }
}

/// Puts the messages of `record`'s halves end to end into `messages`; the length of the first one.
pub(crate) fn write_messages([first, second]: [&HalfFormat; 2], record: &[u8], messages: &mut Vec<u8>) -> usize {
    let signed = |half: &HalfFormat| &record[half.signed as usize..][..half.signed_len_bytes as usize];
    messages.clear();
    messages.extend_from_slice(&first.domain);
    messages.extend_from_slice(signed(first));
    let first_len = messages.len();
    let hash = blake3::hash(messages);
    messages.extend_from_slice(&second.domain);
    messages.extend_from_slice(hash.as_bytes());
    messages.extend_from_slice(signed(second));
    first_len
}

/// `N` bytes of a record, whose length was checked.
fn part<const N: usize>(record: &[u8], at: u32) -> &[u8; N] {
    record[at as usize..].first_chunk().unwrap_or(&[0; N])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::known_answers::KnownTransactions;
    use crate::portable;

    fn on_cpu(transactions: Transactions<'_>, cuts: &[usize]) -> TransactionResults {
        let mut under_way = UnderWay::new(transactions);
        let starts = std::iter::once(&0).chain(cuts);
        for (&start, &end) in starts.zip(cuts.iter().chain([&transactions.len()])) {
            under_way.do_on_cpu(start..end, &portable::verify);
        }
        under_way.finish()
    }

    #[test]
    fn results_are_those_of_each_part_alone() {
        let known = KnownTransactions::new(40);
        let transactions = known.transactions().with_sketch(&[5; 32]);
        let results = on_cpu(transactions, &[]);
        assert!(results.verdicts.iter().eq(known.verdicts.iter().copied()));

        let [first, second] = transactions.format().halves();
        let mut accounts = Vec::new();
        let mut messages = Vec::new();
        for (index, record) in transactions.records().iter().enumerate() {
            write_messages([first, second], record, &mut messages);
            let signed = |half: &HalfFormat| &record[half.signed as usize..][..half.signed_len_bytes as usize];
            let first_message = [&first.domain[..], signed(first)].concat();
            let hash = *blake3::hash(&first_message).as_bytes();
            let expected = [&first_message[..], &second.domain, &hash, signed(second)].concat();
            assert_eq!(messages, expected);
            assert_eq!(results.ids[index], *blake3::hash(&expected).as_bytes());
            accounts.extend([first, second].map(|half| *part::<32>(record, half.key)));
        }
        accounts.retain(|account| account != &NO_KEY);
        assert_eq!(accounts.len(), 72);
        assert_eq!(results.sketch, Some(crate::sketch(&[5; 32], &accounts)));

        assert_eq!(on_cpu(transactions, &[1, 17, 17]), results, "any split gives the same");
        let without_sketch = on_cpu(known.transactions(), &[]);
        assert_eq!(without_sketch, TransactionResults { sketch: None, ..results });
    }

    #[test]
    fn the_sketch_of_no_transactions_is_that_of_no_accounts() {
        let known = KnownTransactions::new(0);
        let results = on_cpu(known.transactions().with_sketch(&[5; 32]), &[]);
        assert_eq!((results.verdicts.len(), results.ids.len()), (0, 0));
        assert_eq!(results.sketch, Some(crate::sketch(&[5; 32], &[])));
    }

    #[test]
    fn a_record_without_a_whole_head_is_refused() {
        let known = KnownTransactions::new(1);
        let format = *known.transactions().format();
        let bytes = vec![0; 264 + 263];
        let refused = Transactions::new(&format, Messages::new(&bytes, &[264, 527]).unwrap()).unwrap_err();
        assert_eq!(refused, RecordTooShort { index: 1, len_bytes: 263, head_len_bytes: 264 });
    }
}
