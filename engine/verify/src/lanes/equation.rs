//! Verdicts for a batch: all signatures by one random linear combination, halves of it where that fails, and each signature by
//! itself where halving does not pay.
//!
//! The combination is [8](Σ [z]R + Σ [zk]A − [Σ zS]B) for random 128-bit z. It is the identity when all signatures are valid, and with a
//! probability of about 2^-128 when one is not. It is cofactored, as the rule is, so that where the boundaries of batches and halves
//! fall changes no verdict.

use std::sync::{Mutex, PoisonError};

use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::scalar::Scalar;

use super::combination::Combination;
use super::prepare::{Candidate, Prepared};
use super::{BaseTable, LANES, Mask, Packed3, Signature, Vector, scalar};
use crate::known_keys::{KeyHasher, KnownKeys};
use crate::suspicion::Suspicion;
use crate::threads::Threads;
use crate::{Batch, Verdicts};

/// Up to this many signatures a combination gains nothing over single verdicts.
const SINGLE_MAX: usize = 28;

/// For each signature of a group, how many may go through combinations after the group's own has failed. One bad signature in a
/// group is found within twice the group, and a single verdict costs as much as some eight signatures in a combination.
const SEARCH_PER_SIGNATURE: usize = 3;

/// Verifies batches with one backend.
pub(crate) struct Verifier<V> {
    vector: V,
    base: BaseTable,
    hasher: KeyHasher,
    known: Option<KnownKeys>,
    /// Working memory not in use; at most as much of it as threads ever verified at once.
    idle: Mutex<Vec<Work>>,
}

impl<V: Vector> Verifier<V> {
    /// A verifier that keeps about `known_keys_max` decoded keys.
    pub(crate) fn new(vector: V, known_keys_max: usize) -> Self {
        let encode = |multiple| EdwardsPoint::mul_base(&Scalar::from(multiple)).compress().to_bytes();
        let decode = |encodings: &[[u8; 32]]| {
            let mut points = vec![Packed3::ZERO; encodings.len()];
            let mut valid = vec![0; encodings.len().div_ceil(LANES)];
            vector.decode(encodings, &mut points, &mut valid);
            points
        };
        let hasher = KeyHasher::new();
        Self {
            vector,
            base: BaseTable::new(encode, decode),
            hasher,
            known: (known_keys_max > 0).then(|| KnownKeys::new(known_keys_max, hasher)),
            idle: Mutex::default(),
        }
    }

    /// `suspicion` is what is known of the senders, and learns from this batch.
    pub(crate) fn verify(&self, threads: Threads, batch: &Batch<'_>, suspicion: &Suspicion) -> Verdicts {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let mut work = idle().pop().unwrap_or_default();
        let mut verdicts = Verdicts::none_valid(batch.len());
        let group_len = suspicion.group_len().filter(|_| batch.len() > SINGLE_MAX);
        let prepared = &mut work.prepared;
        prepared.read(self.vector, threads, batch, self.base.base_point(), self.hasher, self.known.as_ref());
        let drawn = prepared.find_signers(self.vector, threads, batch, group_len.is_some());
        let candidates = std::mem::take(&mut prepared.signers.candidates);
        match group_len.filter(|_| drawn) {
            None => self.verify_single(threads, batch, prepared, &candidates, &mut verdicts),
            Some(group_len) => {
                for group in candidates.chunks(group_len) {
                    let (work, verdicts) = (&mut work, &mut verdicts);
                    Search { verifier: self, threads, batch, work, verdicts, left: 0 }.start(group);
                }
            }
        }
        suspicion.observe(candidates.len(), candidates.iter().filter(|c| !verdicts.get(c.index as usize)).count());
        if let Some(known) = &self.known {
            work.prepared.keep_keys(batch, &candidates, &verdicts, known);
        }
        work.prepared.signers.candidates = candidates;
        idle().push(work);
        verdicts
    }

    fn verify_single(
        &self,
        threads: Threads,
        batch: &Batch<'_>,
        prepared: &Prepared,
        candidates: &[Candidate],
        verdicts: &mut Verdicts,
    ) {
        let Prepared { hashes, points, signers, .. } = prepared;
        let mut valid: Vec<Mask> = vec![0; candidates.len().div_ceil(LANES)];
        threads.for_each(candidates.chunks(LANES).zip(&mut valid), |(group, valid)| {
            let signatures: [Signature; LANES] = std::array::from_fn(|lane| {
                let candidate = &group[lane.min(group.len() - 1)];
                Signature {
                    a: points[signers.list[candidate.signer as usize].place as usize],
                    r: points[candidate.r() as usize],
                    k: scalar::hash_below_order(&hashes[candidate.number as usize]),
                    s: *candidate.response(batch),
                }
            });
            *valid = self.vector.verify_single(&self.base, &signatures.each_ref());
        });
        for (at, candidate) in candidates.iter().enumerate() {
            if valid[at / LANES] >> (at % LANES) & 1 == 1 {
                verdicts.set_valid(candidate.index as usize);
            }
        }
    }
}

/// The working memory of a batch.
#[derive(Default)]
struct Work {
    prepared: Prepared,
    combination: Combination,
}

/// The search for the bad signatures of one group.
struct Search<'a, 'b, V> {
    verifier: &'a Verifier<V>,
    threads: Threads,
    batch: &'a Batch<'b>,
    work: &'a mut Work,
    verdicts: &'a mut Verdicts,
    /// How many more signatures may go through combinations.
    left: usize,
}

impl<V: Vector> Search<'_, '_, V> {
    fn start(&mut self, group: &[Candidate]) {
        self.left = group.len() * (1 + SEARCH_PER_SIGNATURE);
        self.settle(group, false);
    }

    /// Gives all of `group` their verdicts, and tells whether all are valid. `fails` where that is known not to be.
    fn settle(&mut self, group: &[Candidate], fails: bool) -> bool {
        if group.len() <= SINGLE_MAX || !fails && self.left < group.len() {
            self.verifier.verify_single(self.threads, self.batch, &self.work.prepared, group, self.verdicts);
            return group.iter().all(|candidate| self.verdicts.get(candidate.index as usize));
        }
        if !fails {
            self.left -= group.len();
            let Work { prepared, combination } = self.work;
            if combination.is_identity(self.verifier.vector, self.threads, self.batch, prepared, group) {
                group.iter().for_each(|candidate| self.verdicts.set_valid(candidate.index as usize));
                return true;
            }
        }
        let (first, second) = group.split_at(group.len() / 2);
        // Where one half is right the other one is wrong, and need not be asked.
        let first_holds = self.settle(first, false);
        self.settle(second, first_holds);
        false
    }
}
