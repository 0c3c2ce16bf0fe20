//! Verdicts for a batch: all signatures by one random linear combination, halves of it where that fails, and each signature by
//! itself where halving does not pay.
//!
//! The combination is [8](Σ [z]R + Σ [zk]A − [Σ zS]B) for random 128-bit z. It is the identity when all signatures are valid, and with a
//! probability of about 2^-128 when one is not. It is cofactored, as the rule is, so that where the boundaries of batches and halves
//! fall changes no verdict.

use std::sync::{Mutex, PoisonError};

use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::scalar::Scalar;

use super::prepare::{Candidate, Work};
use super::scalar::{self, ScaledSum};
use super::{BaseTable, LANES, Signature, Terms, Vector};
use crate::known_keys::{KeyHasher, KnownKeys};
use crate::suspicion::Suspicion;
use crate::{Batch, Verdicts, rule};

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
            let (mut points, mut valid) = (Vec::new(), Vec::new());
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
    pub(crate) fn verify(&self, batch: &Batch<'_>, suspicion: &Suspicion) -> Verdicts {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let mut work = idle().pop().unwrap_or_default();
        let mut verdicts = Verdicts::none_valid(batch.len());
        work.prepare(self.vector, batch, self.base.base_point(), self.hasher, self.known.as_ref());
        let candidates = std::mem::take(&mut work.candidates);
        let combined = candidates.len() > SINGLE_MAX && work.draw_coefficients(batch);
        match suspicion.group_len().filter(|_| combined) {
            None => self.verify_single(batch, &work, &candidates, &mut verdicts),
            Some(group_len) => {
                for group in candidates.chunks(group_len) {
                    let mut search =
                        Search { verifier: self, batch, work: &mut work, verdicts: &mut verdicts, left: 0 };
                    search.start(group);
                }
            }
        }
        suspicion.observe(candidates.len(), candidates.iter().filter(|c| !verdicts.get(c.index as usize)).count());
        if let Some(known) = &self.known {
            work.keep_keys(batch, &candidates, &verdicts, known);
        }
        work.candidates = candidates;
        idle().push(work);
        verdicts
    }

    /// Whether the combination of `candidates` is the identity.
    fn all_hold(&self, batch: &Batch<'_>, work: &mut Work, candidates: &[Candidate]) -> bool {
        work.wide.clear();
        work.narrow.clear();
        let mut base = ScaledSum::default();
        for candidate in candidates {
            let z = work.coefficients[candidate.number as usize];
            base.add(z, response(batch, candidate));
            work.narrow.push((candidate.r, z));
            let scaled = scalar::scaled_hash(&work.hashes[candidate.number as usize], z);
            // Terms of one signer are one term.
            let signer = &mut work.signers[candidate.signer as usize];
            match work.wide.get_mut(signer.term as usize).filter(|(place, _)| *place == signer.place) {
                Some((_, sum)) => *sum = scalar::add(sum, &scaled),
                None => {
                    signer.term = work.wide.len() as u32;
                    work.wide.push((signer.place, scaled));
                }
            }
        }
        work.wide.push((0, base.negated()));
        let terms = Terms { points: &work.points, wide: &work.wide, narrow: &work.narrow };
        self.vector.sum_is_zero(&mut work.msm, &terms)
    }

    fn verify_single(&self, batch: &Batch<'_>, work: &Work, candidates: &[Candidate], verdicts: &mut Verdicts) {
        for group in candidates.chunks(LANES) {
            let signatures: [Signature; LANES] = std::array::from_fn(|lane| {
                let candidate = &group[lane.min(group.len() - 1)];
                Signature {
                    a: work.points[work.signers[candidate.signer as usize].place as usize],
                    r: work.points[candidate.r as usize],
                    k: scalar::hash_below_order(&work.hashes[candidate.number as usize]),
                    s: *response(batch, candidate),
                }
            });
            let valid = self.vector.verify_single(&self.base, &signatures.each_ref());
            for (lane, candidate) in group.iter().enumerate() {
                if valid >> lane & 1 == 1 {
                    verdicts.set_valid(candidate.index as usize);
                }
            }
        }
    }
}

/// S of a signature.
fn response<'a>(batch: &Batch<'a>, candidate: &Candidate) -> &'a [u8; 32] {
    &rule::split(&batch.signatures()[candidate.index as usize])[1]
}

/// The search for the bad signatures of one group.
struct Search<'a, 'b, V> {
    verifier: &'a Verifier<V>,
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
            self.verifier.verify_single(self.batch, self.work, group, self.verdicts);
            return group.iter().all(|candidate| self.verdicts.get(candidate.index as usize));
        }
        if !fails {
            self.left -= group.len();
            if self.verifier.all_hold(self.batch, self.work, group) {
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
