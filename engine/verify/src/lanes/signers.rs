//! Who signed what: each key of a batch once, with its point, looked up or decoded.

use super::prepare::{Arrival, FIRST_R, NONE, PIECE_LEN, at_least};
use super::{LANES, Mask, Packed3, Vector};
use crate::known_keys::KnownKeys;
use crate::threads::Threads;
use crate::{Batch, rule};

/// A signature on its way to a verdict. Places fit 32 bits: the engine cuts batches to a bounded length.
#[derive(Clone, Copy)]
pub(super) struct Candidate {
    /// Its place in the batch.
    pub(super) index: u32,
    /// The place of its hash and its coefficient.
    pub(super) number: u32,
    /// Its key's place among the signers.
    pub(super) signer: u32,
}

impl Candidate {
    /// Its S.
    pub(super) fn response<'a>(&self, batch: &Batch<'a>) -> &'a [u8; 32] {
        &rule::split(&batch.signatures()[self.index as usize])[1]
    }

    /// The place of its R among the points.
    pub(super) fn r(&self) -> u32 {
        FIRST_R + self.number
    }
}

/// A key of the batch.
#[derive(Clone, Copy)]
pub(super) struct Signer {
    /// The place in the batch of the first signature with this key, and the key's hash.
    index: u32,
    hash: u64,
    /// The place of its point.
    pub(super) place: u32,
    /// Whether the point came from the known keys, and whether it is to be put there.
    is_known: bool,
    is_due: bool,
}

/// The signers of a batch and what they signed.
#[derive(Default)]
pub(super) struct Signers {
    /// In order of their signers.
    pub(super) candidates: Vec<Candidate>,
    pub(super) list: Vec<Signer>,
    /// Open addressing: places of signers by their keys' hashes.
    table: Vec<u32>,
    /// The keys that are to be decoded.
    encodings: Vec<[u8; 32]>,
}

impl Signers {
    /// Gives every candidate its signer, and the signers their points, which it puts among `points` behind those of R; drops the
    /// candidates whose key is no point.
    pub(super) fn find<V: Vector>(
        &mut self,
        vector: V,
        threads: Threads,
        batch: &Batch<'_>,
        arrivals: &[Arrival],
        known: Option<&KnownKeys>,
        points: &mut Vec<Packed3>,
    ) {
        self.tell_apart(batch, arrivals);
        let mut first_decoded = FIRST_R as usize + batch.len();
        if let Some(known) = known {
            let first_known = first_decoded;
            first_decoded += self.list.len();
            let points = &mut at_least(points, first_decoded, Packed3::ZERO)[first_known..];
            self.look_up(threads, batch, known, first_known as u32, points);
        }
        self.encodings.clear();
        for signer in self.list.iter_mut().filter(|signer| !signer.is_known) {
            signer.place = (first_decoded + self.encodings.len()) as u32;
            self.encodings.push(batch.public_keys()[signer.index as usize]);
        }
        let points = &mut at_least(points, first_decoded + self.encodings.len(), Packed3::ZERO)[first_decoded..];
        self.decode(vector, threads, first_decoded as u32, points);
    }

    /// Gives every candidate its signer, each key once.
    fn tell_apart(&mut self, batch: &Batch<'_>, arrivals: &[Arrival]) {
        self.candidates.clear();
        self.list.clear();
        self.table.clear();
        self.table.resize((2 * arrivals.len()).next_power_of_two(), NONE);
        let mask = self.table.len() - 1;
        for (number, arrival) in (0..).zip(arrivals).filter(|(_, arrival)| arrival.index != NONE) {
            let &Arrival { index, key_hash: hash } = arrival;
            let key = &batch.public_keys()[index as usize];
            let mut slot = (hash >> 32) as usize & mask;
            let signer = loop {
                let signer = self.table[slot];
                if signer == NONE {
                    let signer = self.list.len() as u32;
                    self.table[slot] = signer;
                    self.list.push(Signer { index, hash, place: NONE, is_known: false, is_due: false });
                    break signer;
                }
                let first = self.list[signer as usize].index as usize;
                if batch.public_keys()[first] == *key {
                    break signer;
                }
                slot = (slot + 1) & mask;
            };
            self.candidates.push(Candidate { index, number, signer });
        }
        if self.list.len() < self.candidates.len() {
            self.sort();
        }
    }

    /// Puts the candidates of each signer side by side: a counting sort.
    fn sort(&mut self) {
        let mut starts = vec![0_usize; self.list.len() + 1];
        for candidate in &self.candidates {
            starts[candidate.signer as usize + 1] += 1;
        }
        for signer in 1..starts.len() {
            starts[signer] += starts[signer - 1];
        }
        for candidate in self.candidates.clone() {
            let start = &mut starts[candidate.signer as usize];
            self.candidates[*start] = candidate;
            *start += 1;
        }
    }

    /// Puts the points of known keys among `points`, which start at place `first`: each signer has one there.
    fn look_up(&mut self, threads: Threads, batch: &Batch<'_>, known: &KnownKeys, first: u32, points: &mut [Packed3]) {
        let pieces =
            (first..).step_by(PIECE_LEN).zip(self.list.chunks_mut(PIECE_LEN)).zip(points.chunks_mut(PIECE_LEN));
        threads.for_each(pieces, |((first, signers), points)| {
            let known = known.open();
            for ((place, signer), point) in (first..).zip(signers).zip(points) {
                if let Some(found) = known.get(signer.hash, &batch.public_keys()[signer.index as usize]) {
                    *point = found;
                    (signer.place, signer.is_known) = (place, true);
                }
            }
        });
    }

    /// Decodes the keys that are not known into `points`, which start at place `first`.
    fn decode<V: Vector>(&mut self, vector: V, threads: Threads, first: u32, points: &mut [Packed3]) {
        let Self { candidates, list, encodings, .. } = self;
        let mut valid = vec![0; encodings.len().div_ceil(LANES)];
        let results = points.chunks_mut(PIECE_LEN).zip(valid.chunks_mut(PIECE_LEN / LANES));
        threads.for_each(encodings.chunks(PIECE_LEN).zip(results), |(encodings, (points, valid))| {
            vector.decode(encodings, points, valid);
        });
        if valid.iter().all(|&valid| valid == Mask::MAX) {
            return;
        }
        candidates.retain(|candidate| {
            let Some(at) = list[candidate.signer as usize].place.checked_sub(first) else { return true };
            valid[at as usize / LANES] >> (at as usize % LANES) & 1 == 1
        });
    }

    /// Puts keys that gave valid signatures, now and before, among the known ones. `valid` are the candidates' verdicts, `points` the
    /// batch's.
    pub(super) fn keep(&mut self, batch: &Batch<'_>, valid: &[bool], known: &KnownKeys, points: &[Packed3]) {
        for (candidate, _) in self.candidates.iter().zip(valid).filter(|(_, valid)| **valid) {
            let signer = &mut self.list[candidate.signer as usize];
            if !signer.is_known && !signer.is_due {
                signer.is_due = known.is_due(signer.hash);
            }
        }
        let due = self.list.iter().filter(|signer| signer.is_due);
        known.insert(due.map(|signer| (&batch.public_keys()[signer.index as usize], &points[signer.place as usize])));
    }
}
