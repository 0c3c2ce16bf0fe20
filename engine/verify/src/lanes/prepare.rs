//! A batch made ready for its equation: byte checks, hashes, R decoded, keys looked up or decoded and signers counted once.

use std::iter;

use super::{Input, LANES, Mask, Packed3, Vector};
use crate::coefficients;
use crate::known_keys::{KeyHasher, KnownKeys};
use crate::threads::Threads;
use crate::{Batch, Verdicts, rule};

/// Signatures, or keys, that a thread takes at a time: whole vectors, and few, so that threads end together.
pub(super) const PIECE_LEN: usize = 32;

/// No place yet.
const NONE: u32 = u32::MAX;

/// The places of points: the identity's is 0, then come B, R of every signature, keys found among the known ones, and decoded keys.
pub(super) const IDENTITY: u32 = 0;
pub(super) const BASE: u32 = 1;
const FIRST_R: u32 = 2;

/// What the bytes of a signature tell.
#[derive(Clone, Copy)]
struct Arrival {
    /// Its place in the batch, [`NONE`] where it is invalid.
    index: u32,
    is_known: bool,
    key_hash: u64,
}

impl Arrival {
    const NONE: Self = Self { index: NONE, is_known: false, key_hash: 0 };
}

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

/// A batch made ready, and the memory for it.
#[derive(Default)]
pub(super) struct Prepared {
    arrivals: Vec<Arrival>,
    /// Of all signatures in the batch, by number; rubbish for those that are invalid at first sight.
    pub(super) hashes: Vec<[u8; 64]>,
    /// By number too, where any were drawn.
    pub(super) coefficients: Vec<u128>,
    pub(super) points: Vec<Packed3>,
    pub(super) signers: Signers,
}

/// Who signed what.
#[derive(Default)]
pub(super) struct Signers {
    /// In order of their signers.
    pub(super) candidates: Vec<Candidate>,
    pub(super) list: Vec<Signer>,
    /// Open addressing: places of signers by their keys' hashes.
    table: Vec<u32>,
    /// The keys that are to be decoded.
    encodings: Vec<[u8; 32]>,
    /// Where the points of known keys start, and those of decoded ones.
    first_key: u32,
    first_decoded: u32,
}

/// Some signatures in a row, and where goes what is made of them.
struct Piece<'a> {
    start: usize,
    arrivals: &'a mut [Arrival],
    hashes: &'a mut [[u8; 64]],
    r_points: &'a mut [Packed3],
    /// Empty where no keys are known.
    key_points: &'a mut [Packed3],
}

impl Prepared {
    /// Does for every signature what can be done for each by itself.
    pub(super) fn read<V: Vector>(
        &mut self,
        vector: V,
        threads: Threads,
        batch: &Batch<'_>,
        base: Packed3,
        hasher: KeyHasher,
        known: Option<&KnownKeys>,
    ) {
        let len = batch.len();
        let key_points = if known.is_some() { len } else { 0 };
        self.signers.first_key = FIRST_R + len as u32;
        self.signers.first_decoded = self.signers.first_key + key_points as u32;
        let points = at_least(&mut self.points, self.signers.first_decoded as usize, Packed3::ZERO);
        (points[IDENTITY as usize], points[BASE as usize]) = (Packed3::IDENTITY, base);
        let (r_points, key_points) = points[FIRST_R as usize..].split_at_mut(len);
        let arrivals = at_least(&mut self.arrivals, len, Arrival::NONE).chunks_mut(PIECE_LEN);
        let hashes = at_least(&mut self.hashes, len, [0; 64]).chunks_mut(PIECE_LEN);
        let key_points = key_points.chunks_mut(PIECE_LEN).chain(iter::repeat_with(|| &mut [][..]));
        let points = r_points.chunks_mut(PIECE_LEN).zip(key_points);
        let pieces = (0..len).step_by(PIECE_LEN).zip(arrivals).zip(hashes).zip(points);
        threads.for_each(pieces, |(((start, arrivals), hashes), (r_points, key_points))| {
            Piece { start, arrivals, hashes, r_points, key_points }.read(vector, batch, hasher, known);
        });
    }

    /// Finds out who signed what, decodes the keys that are not known, and draws a coefficient for each signature if `draw`. Whether
    /// it did: `false` also where the operating system has no randomness to give.
    pub(super) fn find_signers<V: Vector>(
        &mut self,
        vector: V,
        threads: Threads,
        batch: &Batch<'_>,
        draw: bool,
    ) -> bool {
        let Self { arrivals, hashes, coefficients, points, signers } = self;
        let (arrivals, hashes) = (&arrivals[..batch.len()], &hashes[..batch.len()]);
        let draw = || if draw { coefficients::coefficients(threads, hashes, batch.signatures()) } else { None };
        let find = || {
            signers.find(batch, arrivals);
            signers.decode(vector, threads, points);
        };
        let ((), drawn) = threads.join(find, draw);
        let is_drawn = drawn.is_some();
        *coefficients = drawn.unwrap_or_default();
        is_drawn
    }

    /// Puts keys that gave valid signatures, now and before, among the known ones.
    pub(super) fn keep_keys(
        &mut self,
        batch: &Batch<'_>,
        candidates: &[Candidate],
        verdicts: &Verdicts,
        known: &KnownKeys,
    ) {
        let signers = &mut self.signers.list;
        for candidate in candidates.iter().filter(|candidate| verdicts.get(candidate.index as usize)) {
            let signer = &mut signers[candidate.signer as usize];
            if !signer.is_known && !signer.is_due {
                signer.is_due = known.is_due(signer.hash);
            }
        }
        let due = signers.iter().filter(|signer| signer.is_due);
        known.insert(
            due.map(|signer| (&batch.public_keys()[signer.index as usize], &self.points[signer.place as usize])),
        );
    }
}

/// The first `len` of `vec`, which grows to that length with `filler` and never shrinks.
pub(super) fn at_least<T: Clone>(vec: &mut Vec<T>, len: usize, filler: T) -> &mut [T] {
    if vec.len() < len {
        vec.resize(len, filler);
    }
    &mut vec[..len]
}

impl Piece<'_> {
    fn read<V: Vector>(self, vector: V, batch: &Batch<'_>, hasher: KeyHasher, known: Option<&KnownKeys>) {
        let mut encodings = [[0; 32]; PIECE_LEN];
        let mut count = 0;
        for index in self.start..self.start + self.arrivals.len() {
            let (key, signature) = (&batch.public_keys()[index], &batch.signatures()[index]);
            if rule::bytes_pass(key, signature) {
                self.arrivals[count] = Arrival { index: index as u32, is_known: false, key_hash: hasher.hash(key) };
                encodings[count] = rule::split(signature)[0];
                count += 1;
            }
        }
        let (arrivals, others) = self.arrivals.split_at_mut(count);
        others.fill(Arrival::NONE);
        for (group, hashes) in arrivals.chunks(LANES).zip(self.hashes.chunks_mut(LANES)) {
            let inputs = std::array::from_fn(|lane| {
                let index = group[lane.min(group.len() - 1)].index as usize;
                let [r, _] = rule::split(&batch.signatures()[index]);
                Input { head: [r, &batch.public_keys()[index]], tail: batch.messages().at(index) }
            });
            hashes.copy_from_slice(&vector.hash(&inputs)[..hashes.len()]);
        }
        if let Some(known) = known {
            let known = known.open();
            for (arrival, place) in arrivals.iter_mut().zip(self.key_points) {
                if let Some(point) = known.get(arrival.key_hash, &batch.public_keys()[arrival.index as usize]) {
                    *place = point;
                    arrival.is_known = true;
                }
            }
        }
        let mut valid = [0; PIECE_LEN / LANES];
        vector.decode(&encodings[..count], &mut self.r_points[..count], &mut valid[..count.div_ceil(LANES)]);
        for (at, arrival) in arrivals.iter_mut().enumerate() {
            if valid[at / LANES] >> (at % LANES) & 1 == 0 {
                *arrival = Arrival::NONE;
            }
        }
    }
}

impl Signers {
    /// Decodes the keys that are not known, and drops the candidates whose key is no point.
    fn decode<V: Vector>(&mut self, vector: V, threads: Threads, points: &mut Vec<Packed3>) {
        let Self { candidates, list, encodings, first_decoded, .. } = self;
        let first = *first_decoded as usize;
        let points = at_least(points, first + encodings.len(), Packed3::ZERO)[first..].chunks_mut(PIECE_LEN);
        let mut valid = vec![0; encodings.len().div_ceil(LANES)];
        let pieces = encodings.chunks(PIECE_LEN).zip(points).zip(valid.chunks_mut(PIECE_LEN / LANES));
        threads.for_each(pieces, |((encodings, points), valid)| vector.decode(encodings, points, valid));
        let is_point = |candidate: &Candidate| {
            let Some(at) = list[candidate.signer as usize].place.checked_sub(*first_decoded) else { return true };
            valid[at as usize / LANES] >> (at as usize % LANES) & 1 == 1
        };
        if valid.iter().any(|&valid| valid != Mask::MAX) {
            candidates.retain(is_point);
        }
    }

    /// Gives every candidate its signer, each key once.
    fn find(&mut self, batch: &Batch<'_>, arrivals: &[Arrival]) {
        self.candidates.clear();
        self.list.clear();
        self.encodings.clear();
        self.table.clear();
        self.table.resize((2 * arrivals.len()).next_power_of_two(), NONE);
        let mask = self.table.len() - 1;
        for (number, arrival) in (0..).zip(arrivals).filter(|(_, arrival)| arrival.index != NONE) {
            let &Arrival { index, is_known, key_hash: hash } = arrival;
            let key = &batch.public_keys()[index as usize];
            let mut slot = (hash >> 32) as usize & mask;
            let signer = loop {
                let signer = self.table[slot];
                if signer == NONE {
                    let signer = self.list.len() as u32;
                    self.table[slot] = signer;
                    let place = match is_known {
                        true => self.first_key + number,
                        false => self.first_decoded + self.encodings.len() as u32,
                    };
                    if !is_known {
                        self.encodings.push(*key);
                    }
                    self.list.push(Signer { index, hash, place, is_known, is_due: false });
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
            self.candidates.sort_by_key(|candidate| candidate.signer);
        }
    }
}
