//! A batch made ready for its equation: byte checks, hashes, keys looked up or decoded and signers counted once, R decoded.

use super::scalar::Scalar;
use super::{Input, LANES, Mask, Msm, Packed3, Vector};
use crate::coefficients::coefficients;
use crate::known_keys::{KeyHasher, KnownKeys};
use crate::{Batch, Verdicts, rule};

/// No place yet.
const NONE: u32 = u32::MAX;

/// Marks, in place of a term, a signer whose key is to be kept: terms are done with by then.
const KEEP: u32 = NONE - 1;

/// A signature on its way to a verdict. Places fit 32 bits: the engine cuts batches to a bounded length.
#[derive(Clone, Copy)]
pub(super) struct Candidate {
    /// Its place in the batch.
    pub(super) index: u32,
    /// Its place among all that passed the byte checks: that of its hash and its coefficient.
    pub(super) number: u32,
    /// Its key's place among the signers.
    pub(super) signer: u32,
    /// The place of its R among the points.
    pub(super) r: u32,
}

/// A key of the batch.
#[derive(Clone, Copy)]
pub(super) struct Signer {
    /// The place in the batch of the first signature with this key, and the key's hash.
    index: u32,
    hash: u64,
    /// The place of its point, [`NONE`] while it is to be decoded.
    pub(super) place: u32,
    /// Whether the point came from the known keys.
    is_known: bool,
    /// Where its term may be among those of a combination.
    pub(super) term: u32,
}

/// The working memory of a batch.
#[derive(Default)]
pub(super) struct Work {
    pub(super) candidates: Vec<Candidate>,
    pub(super) signers: Vec<Signer>,
    pub(super) hashes: Vec<[u8; 64]>,
    pub(super) coefficients: Vec<u128>,
    /// B, then known keys, then decoded ones, then the candidates' R, then the identity.
    pub(super) points: Vec<Packed3>,
    /// The terms of a combination.
    pub(super) wide: Vec<(u32, Scalar)>,
    pub(super) narrow: Vec<(u32, u128)>,
    pub(super) msm: Msm,
    /// Open addressing: places of signers by their keys' hashes.
    signer_table: Vec<u32>,
    encodings: Vec<[u8; 32]>,
    decodes: Vec<Mask>,
}

impl Work {
    /// Leaves in `candidates` the signatures whose verdict only the equation can tell.
    pub(super) fn prepare<V: Vector>(
        &mut self,
        vector: V,
        batch: &Batch<'_>,
        base: Packed3,
        hasher: KeyHasher,
        known: Option<&KnownKeys>,
    ) {
        self.check_bytes(batch);
        self.hash(vector, batch);
        self.points.clear();
        self.points.push(base);
        self.find_signers(batch, hasher, known);
        self.decode(vector, batch);
        self.points.push(Packed3::IDENTITY);
    }

    fn check_bytes(&mut self, batch: &Batch<'_>) {
        self.candidates.clear();
        for (index, (key, signature)) in (0..).zip(batch.public_keys().iter().zip(batch.signatures())) {
            if rule::bytes_pass(key, signature) {
                let number = self.candidates.len() as u32;
                self.candidates.push(Candidate { index, number, signer: NONE, r: NONE });
            }
        }
    }

    fn hash<V: Vector>(&mut self, vector: V, batch: &Batch<'_>) {
        self.hashes.clear();
        for group in self.candidates.chunks(LANES) {
            let inputs = std::array::from_fn(|lane| {
                let index = group[lane.min(group.len() - 1)].index as usize;
                let [r, _] = rule::split(&batch.signatures()[index]);
                Input { head: [r, &batch.public_keys()[index]], tail: batch.messages().at(index) }
            });
            self.hashes.extend_from_slice(&vector.hash(&inputs)[..group.len()]);
        }
    }

    /// Gives every candidate its signer, each key once, and the points of those that are known.
    fn find_signers(&mut self, batch: &Batch<'_>, hasher: KeyHasher, known: Option<&KnownKeys>) {
        let known = known.map(KnownKeys::open);
        self.signers.clear();
        self.signer_table.clear();
        self.signer_table.resize((2 * self.candidates.len()).next_power_of_two(), NONE);
        let mask = self.signer_table.len() - 1;
        for candidate in &mut self.candidates {
            let key = &batch.public_keys()[candidate.index as usize];
            let hash = hasher.hash(key);
            let mut slot = (hash >> 32) as usize & mask;
            candidate.signer = loop {
                let signer = self.signer_table[slot];
                if signer == NONE {
                    let number = self.signers.len() as u32;
                    self.signer_table[slot] = number;
                    let point = known.as_ref().and_then(|table| table.get(hash, key));
                    let place = if point.is_some() { self.points.len() as u32 } else { NONE };
                    self.points.extend(point);
                    let is_known = point.is_some();
                    self.signers.push(Signer { index: candidate.index, hash, place, is_known, term: NONE });
                    break number;
                }
                let first = self.signers[signer as usize].index as usize;
                if batch.public_keys()[first] == *key {
                    break signer;
                }
                slot = (slot + 1) & mask;
            };
        }
    }

    /// Decodes the keys that are not known, and every R, and drops the candidates of which one is no point.
    fn decode<V: Vector>(&mut self, vector: V, batch: &Batch<'_>) {
        self.encodings.clear();
        self.decodes.clear();
        let first_place = self.points.len() as u32;
        for signer in self.signers.iter_mut().filter(|signer| signer.place == NONE) {
            signer.place = first_place + self.encodings.len() as u32;
            self.encodings.push(batch.public_keys()[signer.index as usize]);
        }
        for candidate in &mut self.candidates {
            candidate.r = first_place + self.encodings.len() as u32;
            let [r, _] = rule::split(&batch.signatures()[candidate.index as usize]);
            self.encodings.push(*r);
        }
        vector.decode(&self.encodings, &mut self.points, &mut self.decodes);
        let Self { candidates, signers, decodes, .. } = self;
        let is_point = |place: u32| {
            let Some(at) = place.checked_sub(first_place) else { return true };
            decodes[at as usize / LANES] >> (at as usize % LANES) & 1 == 1
        };
        candidates.retain(|candidate| is_point(signers[candidate.signer as usize].place) && is_point(candidate.r));
    }

    /// `false` where the operating system has no randomness to give.
    pub(super) fn draw_coefficients(&mut self, batch: &Batch<'_>) -> bool {
        match coefficients(&self.hashes, batch.signatures()) {
            None => false,
            Some(coefficients) => {
                self.coefficients = coefficients;
                true
            }
        }
    }

    /// Puts keys that gave valid signatures, now and before, among the known ones.
    pub(super) fn keep_keys(
        &mut self,
        batch: &Batch<'_>,
        candidates: &[Candidate],
        verdicts: &Verdicts,
        known: &KnownKeys,
    ) {
        let signers = &mut self.signers;
        for candidate in candidates.iter().filter(|candidate| verdicts.get(candidate.index as usize)) {
            let signer = &mut signers[candidate.signer as usize];
            if !signer.is_known && signer.term != KEEP && known.is_due(signer.hash) {
                signer.term = KEEP;
            }
        }
        let due = signers.iter().filter(|signer| signer.term == KEEP);
        known.insert(
            due.map(|signer| (&batch.public_keys()[signer.index as usize], &self.points[signer.place as usize])),
        );
    }
}
