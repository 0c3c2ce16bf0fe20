//! A batch made ready for its equation: byte checks, hashes, R decoded, signers found, coefficients drawn.

use super::signers::Signers;
use super::{Input, LANES, Packed3, Vector};
use crate::coefficients;
use crate::known_keys::{KeyHasher, KnownKeys};
use crate::threads::Threads;
use crate::{Batch, rule};

/// Signatures, or keys, that a thread takes at a time: whole vectors, and few, so that threads end together.
pub(super) const PIECE_LEN: usize = 32;

/// No place.
pub(super) const NONE: u32 = u32::MAX;

/// The places of points: the identity's is 0, then come B, R of every signature, known keys, and decoded ones.
const IDENTITY: u32 = 0;
pub(super) const BASE: u32 = 1;
pub(super) const FIRST_R: u32 = 2;

/// What the bytes of a signature tell.
#[derive(Clone, Copy)]
pub(super) struct Arrival {
    /// Its place in the batch, [`NONE`] where it is invalid.
    pub(super) index: u32,
    pub(super) key_hash: u64,
}

impl Arrival {
    const NONE: Self = Self { index: NONE, key_hash: 0 };
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

/// Some signatures in a row, and where goes what is made of them.
struct Piece<'a> {
    start: usize,
    arrivals: &'a mut [Arrival],
    hashes: &'a mut [[u8; 64]],
    r_points: &'a mut [Packed3],
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
    ) {
        let len = batch.len();
        let points = at_least(&mut self.points, FIRST_R as usize + len, Packed3::ZERO);
        (points[IDENTITY as usize], points[BASE as usize]) = (Packed3::IDENTITY, base);
        let r_points = points[FIRST_R as usize..].chunks_mut(PIECE_LEN);
        let arrivals = at_least(&mut self.arrivals, len, Arrival::NONE).chunks_mut(PIECE_LEN);
        let hashes = at_least(&mut self.hashes, len, [0; 64]).chunks_mut(PIECE_LEN);
        let pieces = (0..len).step_by(PIECE_LEN).zip(arrivals).zip(hashes).zip(r_points);
        threads.for_each(pieces, |(((start, arrivals), hashes), r_points)| {
            Piece { start, arrivals, hashes, r_points }.read(vector, batch, hasher);
        });
    }

    /// Finds out who signed what, and draws a coefficient for each signature if `draw`. Whether it did: `false` also where the
    /// operating system has no randomness to give.
    pub(super) fn find_signers<V: Vector>(
        &mut self,
        vector: V,
        threads: Threads,
        batch: &Batch<'_>,
        known: Option<&KnownKeys>,
        draw: bool,
    ) -> bool {
        let Self { arrivals, hashes, coefficients, points, signers } = self;
        let (arrivals, hashes) = (&arrivals[..batch.len()], &hashes[..batch.len()]);
        let find = || signers.find(vector, threads, batch, arrivals, known, points);
        let draw = || if draw { coefficients::coefficients(threads, hashes, batch.signatures()) } else { None };
        let ((), drawn) = threads.join(find, draw);
        let is_drawn = drawn.is_some();
        *coefficients = drawn.unwrap_or_default();
        is_drawn
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
    fn read<V: Vector>(self, vector: V, batch: &Batch<'_>, hasher: KeyHasher) {
        let mut encodings = [[0; 32]; PIECE_LEN];
        let mut count = 0;
        for index in self.start..self.start + self.arrivals.len() {
            let (key, signature) = (&batch.public_keys()[index], &batch.signatures()[index]);
            if rule::bytes_pass(key, signature) {
                self.arrivals[count] = Arrival { index: index as u32, key_hash: hasher.hash(key) };
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
        let mut valid = [0; PIECE_LEN / LANES];
        vector.decode(&encodings[..count], &mut self.r_points[..count], &mut valid[..count.div_ceil(LANES)]);
        for (at, arrival) in arrivals.iter_mut().enumerate() {
            if valid[at / LANES] >> (at % LANES) & 1 == 0 {
                *arrival = Arrival::NONE;
            }
        }
    }
}
