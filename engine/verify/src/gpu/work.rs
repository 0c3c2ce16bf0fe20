//! What a caller wants done, cut into ranges that the GPU or the CPU can do: one kind of work for each kind of request.

use std::ops::Range;

use constellation_shaders::layout::{ID_MESSAGE_BYTES_MAX, PackError};

use super::request::{self, Answer, Request};
use super::runner::OnCpu;
use crate::sketch::Minima;
use crate::transactions::UnderWay;
use crate::{Batch, Messages, Transactions, Verdicts};

/// Work on items `0..len`, any range of which can be done on its own, by either side.
pub(super) trait Work {
    /// Signatures of an item: requests are bounded, and speeds measured, in signatures.
    const SIGNATURES_PER_ITEM: usize = 1;

    fn len(&self) -> usize;

    /// Where the request ends that starts at `start` and may hold `items_max` items; past `start` unless that is the
    /// end.
    fn request_end(&self, start: usize, items_max: usize) -> usize;

    /// Packs `range` for the device, into the memory of `words`.
    fn pack(&self, range: Range<usize>, words: Vec<u32>) -> Result<Request, PackError>;

    /// Takes the device's answer for `range`, which was found to belong to its request.
    fn accept(&mut self, range: Range<usize>, answer: Answer);

    /// Does `range` on the CPU.
    fn do_on_cpu(&mut self, range: Range<usize>);
}

/// Verdicts for a batch, none of whose messages is too long for the device.
pub(super) struct VerifyWork<'a> {
    pub(super) batch: &'a Batch<'a>,
    pub(super) cpu: &'a OnCpu<'a>,
    pub(super) verdicts: Verdicts,
}

impl<'a> VerifyWork<'a> {
    pub(super) fn new(batch: &'a Batch<'a>, cpu: &'a OnCpu<'a>) -> Self {
        Self { batch, cpu, verdicts: Verdicts::none_valid(batch.len()) }
    }
}

impl Work for VerifyWork<'_> {
    fn len(&self) -> usize {
        self.batch.len()
    }

    fn request_end(&self, start: usize, items_max: usize) -> usize {
        request::request_end(&self.batch.messages(), start, items_max)
    }

    fn pack(&self, range: Range<usize>, words: Vec<u32>) -> Result<Request, PackError> {
        Request::verify(self.batch, range, words)
    }

    fn accept(&mut self, range: Range<usize>, answer: Answer) {
        let Answer::Verdicts(words) = answer else { return };
        for (offset, index) in range.enumerate() {
            if words.get(offset / 32).is_some_and(|word| word >> (offset % 32) & 1 == 1) {
                self.verdicts.set_valid(index);
            }
        }
    }

    fn do_on_cpu(&mut self, range: Range<usize>) {
        for (valid, index) in (self.cpu)(&self.batch.part(range.clone())).iter().zip(range) {
            if valid {
                self.verdicts.set_valid(index);
            }
        }
    }
}

/// Ids of byte strings, none of which is too long for the device.
pub(super) struct IdsWork<'a> {
    messages: Messages<'a>,
    pub(super) ids: Vec<[u8; 32]>,
}

impl<'a> IdsWork<'a> {
    /// `None` when a string is too long for the device.
    pub(super) fn new(messages: Messages<'a>) -> Option<Self> {
        let fit = messages.iter().all(|message| message.len() <= ID_MESSAGE_BYTES_MAX);
        fit.then(|| Self { messages, ids: vec![[0; 32]; messages.len()] })
    }
}

impl Work for IdsWork<'_> {
    fn len(&self) -> usize {
        self.messages.len()
    }

    fn request_end(&self, start: usize, items_max: usize) -> usize {
        request::request_end(&self.messages, start, items_max)
    }

    fn pack(&self, range: Range<usize>, words: Vec<u32>) -> Result<Request, PackError> {
        Request::ids(&self.messages, range, words)
    }

    fn accept(&mut self, range: Range<usize>, answer: Answer) {
        if let Answer::Ids(ids) = answer {
            self.ids[range].copy_from_slice(&ids);
        }
    }

    fn do_on_cpu(&mut self, range: Range<usize>) {
        for index in range {
            self.ids[index] = *blake3::hash(self.messages.at(index)).as_bytes();
        }
    }
}

/// The sketch of a set: one item, which cannot be cut.
pub(super) struct SketchWork<'a> {
    pub(super) key: &'a [u8; 32],
    pub(super) elements: &'a [[u8; 32]],
    pub(super) minima: Minima,
}

impl Work for SketchWork<'_> {
    fn len(&self) -> usize {
        1
    }

    fn request_end(&self, _start: usize, _items_max: usize) -> usize {
        1
    }

    fn pack(&self, _range: Range<usize>, words: Vec<u32>) -> Result<Request, PackError> {
        Request::sketch(self.key, self.elements, words)
    }

    fn accept(&mut self, _range: Range<usize>, answer: Answer) {
        if let Answer::Sketch(sketch) = answer {
            self.minima = *sketch;
        }
    }

    fn do_on_cpu(&mut self, _range: Range<usize>) {
        self.minima = Minima::of(self.key, self.elements);
    }
}

/// Verdicts, ids and, where asked for, the sketch of whole transactions.
pub(super) struct TransactionsWork<'a> {
    pub(super) cpu: &'a OnCpu<'a>,
    pub(super) under_way: UnderWay<'a>,
}

impl<'a> TransactionsWork<'a> {
    pub(super) fn new(transactions: &Transactions<'a>, cpu: &'a OnCpu<'a>) -> Self {
        Self { cpu, under_way: UnderWay::new(*transactions) }
    }
}

impl Work for TransactionsWork<'_> {
    const SIGNATURES_PER_ITEM: usize = 2;

    fn len(&self) -> usize {
        self.under_way.transactions().len()
    }

    fn request_end(&self, start: usize, items_max: usize) -> usize {
        self.len().min(start + items_max)
    }

    fn pack(&self, range: Range<usize>, words: Vec<u32>) -> Result<Request, PackError> {
        Request::transactions(&self.under_way.transactions(), range, words)
    }

    fn accept(&mut self, range: Range<usize>, answer: Answer) {
        if let Answer::Transactions { verdicts, ids, minima } = answer {
            self.under_way.accept(range, &verdicts, &ids, &minima);
        }
    }

    fn do_on_cpu(&mut self, range: Range<usize>) {
        self.under_way.do_on_cpu(range, self.cpu);
    }
}
