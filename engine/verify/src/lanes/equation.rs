//! Verdicts for a batch: all signatures by one random linear combination, halves of it where that fails, and each signature by
//! itself where halving does not pay.
//!
//! The combination is [8](Σ [z]R + Σ [zk]A − [Σ zS]B) for random 128-bit z. It is the identity when all signatures are valid, and with a
//! probability of about 2^-128 when one is not. It is cofactored, as the rule is, so that where the boundaries of batches and halves
//! fall changes no verdict.

use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::scalar::Scalar;

use super::combination::Combination;
use super::idle::Idle;
use super::prepare::Prepared;
use super::signers::Candidate;
use super::{BaseTable, LANES, Packed3, Signature, Vector, scalar};
use crate::known_keys::{KeyHasher, KnownKeys};
use crate::suspicion::Suspicion;
use crate::threads::Threads;
use crate::{Batch, Verdicts};

/// Up to this many signatures a combination gains nothing over single verdicts.
const SINGLE_MAX: usize = 28;

/// For each signature of a group, how many may go through combinations after the group's own has failed. One bad signature in a
/// group is found within twice the group, and a single verdict costs as much as some eight signatures in a combination.
const SEARCH_PER_SIGNATURE: usize = 3;

/// From so many groups for each thread, a group is one thread's.
const GROUPS_PER_THREAD: usize = 2;

/// Verifies batches with one backend.
pub(crate) struct Verifier<V> {
    vector: V,
    base: BaseTable,
    hasher: KeyHasher,
    known: Option<KnownKeys>,
    prepared: Idle<Prepared>,
    combinations: Idle<Combination>,
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
            prepared: Idle::default(),
            combinations: Idle::default(),
        }
    }

    /// `suspicion` is what is known of the senders, and learns from this batch.
    pub(crate) fn verify(&self, threads: Threads, batch: &Batch<'_>, suspicion: &Suspicion) -> Verdicts {
        self.prepared.lend(|prepared| {
            let group_len = suspicion.group_len().filter(|_| batch.len() > SINGLE_MAX);
            prepared.read(self.vector, threads, batch, self.base.base_point(), self.hasher);
            let drawn = prepared.find_signers(self.vector, threads, batch, self.known.as_ref(), group_len.is_some());
            let candidates = &prepared.signers.candidates;
            let mut valid = vec![false; candidates.len()];
            match group_len.filter(|_| drawn) {
                None => self.verify_single(threads, batch, prepared, candidates, &mut valid),
                Some(group_len) => self.verify_groups(threads, batch, prepared, group_len, &mut valid),
            }
            let mut verdicts = Verdicts::none_valid(batch.len());
            for (candidate, _) in candidates.iter().zip(&valid).filter(|(_, valid)| **valid) {
                verdicts.set_valid(candidate.index as usize);
            }
            suspicion.observe(candidates.len(), candidates.len() - verdicts.count_valid());
            if let Some(known) = &self.known {
                prepared.signers.keep(batch, &valid, known, &prepared.points);
            }
            verdicts
        })
    }

    /// Verifies all candidates, `group_len` of them together; `valid` takes the verdict of each.
    fn verify_groups(
        &self,
        threads: Threads,
        batch: &Batch<'_>,
        prepared: &Prepared,
        group_len: usize,
        valid: &mut [bool],
    ) {
        let groups = prepared.signers.candidates.chunks(group_len).zip(valid.chunks_mut(group_len));
        // A thread has a group of its own where there are some for each.
        let (outside, inside) = match groups.len() >= GROUPS_PER_THREAD * threads.count() {
            true => (threads, Threads::One),
            false => (Threads::One, threads),
        };
        outside.for_each(groups, |(group, valid)| {
            self.combinations.lend(|combination| {
                let left = group.len() * (1 + SEARCH_PER_SIGNATURE);
                Search { verifier: self, threads: inside, batch, prepared, combination, left }
                    .settle(group, valid, false);
            });
        });
    }

    /// Verifies each of `candidates` by itself.
    fn verify_single(
        &self,
        threads: Threads,
        batch: &Batch<'_>,
        prepared: &Prepared,
        candidates: &[Candidate],
        valid: &mut [bool],
    ) {
        let Prepared { hashes, points, signers, .. } = prepared;
        threads.for_each(candidates.chunks(LANES).zip(valid.chunks_mut(LANES)), |(group, valid)| {
            let signatures: [Signature; LANES] = std::array::from_fn(|lane| {
                let candidate = &group[lane.min(group.len() - 1)];
                Signature {
                    a: points[signers.list[candidate.signer as usize].place as usize],
                    r: points[candidate.r() as usize],
                    k: scalar::hash_below_order(&hashes[candidate.number as usize]),
                    s: *candidate.response(batch),
                }
            });
            let mask = self.vector.verify_single(&self.base, &signatures.each_ref());
            valid.iter_mut().enumerate().for_each(|(lane, valid)| *valid = mask >> lane & 1 == 1);
        });
    }
}

/// The search for the bad signatures of one group.
struct Search<'a, 'b, V> {
    verifier: &'a Verifier<V>,
    threads: Threads,
    batch: &'a Batch<'b>,
    prepared: &'a Prepared,
    combination: &'a mut Combination,
    /// How many more signatures may go through combinations.
    left: usize,
}

impl<V: Vector> Search<'_, '_, V> {
    /// Gives all of `group` their verdicts, and tells whether all are valid. `fails` where that is known not to be.
    fn settle(&mut self, group: &[Candidate], valid: &mut [bool], fails: bool) -> bool {
        let Self { verifier, threads, batch, prepared, .. } = *self;
        if group.len() <= SINGLE_MAX || !fails && self.left < group.len() {
            verifier.verify_single(threads, batch, prepared, group, valid);
            return valid.iter().all(|valid| *valid);
        }
        if !fails {
            self.left -= group.len();
            if self.combination.is_identity(verifier.vector, threads, batch, prepared, group) {
                valid.fill(true);
                return true;
            }
        }
        let (first, second) = group.split_at(group.len() / 2);
        let (first_valid, second_valid) = valid.split_at_mut(first.len());
        // Where one half is right the other one is wrong, and need not be asked.
        let first_holds = self.settle(first, first_valid, false);
        self.settle(second, second_valid, first_holds);
        false
    }
}
