//! One random linear combination of signatures: [8](Σ [z]R + Σ [zk]A − [Σ zS]B), for a random z of 128 bits each.

use std::iter;

use super::Vector;
use super::msm::{Msm, Plan};
use super::prepare::{BASE, PIECE_LEN, Prepared, at_least};
use super::scalar::{self, ScaledSum};
use super::signers::{Candidate, Signer};
use super::window::Biased;
use crate::Batch;
use crate::threads::Threads;

/// The memory of a combination, kept from one to the next.
#[derive(Default)]
pub(super) struct Combination {
    /// B's, then the signers', which are wide, then those of R, which are narrow.
    terms: Vec<Biased>,
    msm: Msm,
}

/// Some signers in a row with what they signed, and where their terms go.
struct Piece<'a> {
    /// The first signer's number.
    first: u32,
    signers: &'a [Signer],
    candidates: &'a [Candidate],
    wide: &'a mut [Biased],
    narrow: &'a mut [Biased],
}

impl Combination {
    /// Whether the combination of `candidates`, some of those of `prepared` in a row, is the identity.
    pub(super) fn is_identity<V: Vector>(
        &mut self,
        vector: V,
        threads: Threads,
        batch: &Batch<'_>,
        prepared: &Prepared,
        candidates: &[Candidate],
    ) -> bool {
        let (Some(first), Some(last)) = (candidates.first(), candidates.last()) else { return true };
        let signers = &prepared.signers.list[first.signer as usize..=last.signer as usize];
        let (wide_len, narrow_len) = (1 + signers.len(), candidates.len());
        let plan = Plan::new(wide_len, narrow_len);
        let terms = at_least(&mut self.terms, wide_len + narrow_len, Biased::default());
        let (wide, mut narrow) = terms.split_at_mut(wide_len);
        let (base, wide) = wide.split_at_mut(1);

        let mut sums: Vec<ScaledSum> = signers.chunks(PIECE_LEN).map(|_| ScaledSum::default()).collect();
        let mut candidates = candidates;
        let chunks = signers.chunks(PIECE_LEN).zip(wide.chunks_mut(PIECE_LEN)).zip(&mut sums);
        let pieces = (first.signer..).step_by(PIECE_LEN).zip(chunks).map(|(first, ((signers, wide), sum))| {
            let end = first + signers.len() as u32;
            let len = candidates.partition_point(|candidate| candidate.signer < end);
            let candidates = candidates.split_off(..len).unwrap_or_default();
            let narrow = narrow.split_off_mut(..len).unwrap_or_default();
            (Piece { first, signers, candidates, wide, narrow }, sum)
        });
        threads.for_each(pieces, |(piece, sum)| *sum = piece.fill(batch, prepared, &plan));
        base[0] = (BASE, plan.bias(&ScaledSum::total(&sums).negated()));
        self.msm.is_zero(vector, threads, &plan, terms, &prepared.points)
    }
}

impl Piece<'_> {
    /// Makes the terms, and the sum of zS. Those of one signer are one term.
    fn fill(self, batch: &Batch<'_>, prepared: &Prepared, plan: &Plan) -> ScaledSum {
        let mut sum = ScaledSum::default();
        let mut rest = self.candidates.iter().zip(self.narrow).peekable();
        for (number, (signer, wide)) in (self.first..).zip(self.signers.iter().zip(self.wide)) {
            let own = iter::from_fn(|| rest.next_if(|(candidate, _)| candidate.signer == number));
            let scaled = own.map(|(candidate, narrow)| {
                let z = prepared.coefficients[candidate.number as usize];
                sum.add(z, candidate.response(batch));
                *narrow = (candidate.r(), plan.bias(&[z as u64, (z >> 64) as u64, 0, 0]));
                scalar::scaled_hash(&prepared.hashes[candidate.number as usize], z)
            });
            *wide = (signer.place, plan.bias(&scaled.reduce(|sum, next| scalar::add(&sum, &next)).unwrap_or_default()));
        }
        sum
    }
}
