//! One window of a multi-scalar multiplication: the sum of the points, each as often as its digit says.
//!
//! The points are sorted by digit into buckets, as linked lists. Eight buckets are then summed side by side, a lane walking
//! its bucket's list, so that sums stay in registers and only points are fetched; buckets are taken in order of size, so that lanes
//! end together. The weighted sum of the buckets is made in eight lanes too, each with an eighth of the buckets.

use super::point::{Affine, Extended};
use super::{Field, LANES, Mask, Packed3, Packed4};

/// A term: the place of a point, and its scalar plus half of every window. A window's signed digit is then its bits less that half,
/// with no carry to wait for.
pub(crate) type Biased = (u32, [u64; 4]);

/// The entry after the last one of every list: place 0, that of the identity.
const END: u32 = 0;

/// A window of every scalar's bits.
#[derive(Clone, Copy)]
pub(crate) struct Window {
    /// The lowest bit.
    pub(super) start: u32,
    /// How many bits.
    pub(super) bits: u32,
    /// How many of the terms have such bits.
    pub(super) terms: usize,
}

impl Window {
    fn buckets(self) -> usize {
        1 << (self.bits - 1)
    }
}

/// One end of a linked list, and the bucket's length.
#[derive(Clone, Copy)]
struct Bucket {
    /// The last entry put in: a point's place times 2, plus 1 where it is to be subtracted.
    head: u32,
    len: u32,
}

/// The memory of a window, kept from one to the next.
#[derive(Default)]
pub(crate) struct Buckets {
    /// For each point the entry that its bucket had before; the identity's is its own, and ends all lists.
    next: Vec<u32>,
    buckets: Vec<Bucket>,
    /// The buckets' numbers, longest first.
    order: Vec<u16>,
    /// The sum of each bucket, from that of digit 1.
    sums: Vec<Packed4>,
}

/// What the lanes make of a window's buckets: lane l has those from l · chunk + 1.
#[derive(Clone)]
pub(crate) struct LaneSums {
    /// The sum of the lane's buckets, the first once, the second twice, and so on.
    pub(super) weighted: [Packed4; LANES],
    /// Their plain sum.
    pub(super) plain: [Packed4; LANES],
    /// The binary logarithm of the number of buckets in a lane.
    pub(super) chunk_log: u32,
}

impl LaneSums {
    pub(super) const ZERO: Self =
        Self { weighted: [Packed4::ZERO; LANES], plain: [Packed4::ZERO; LANES], chunk_log: 0 };
}

impl Buckets {
    /// The sum of `terms` as far as their scalars' bits are those of `window`.
    #[inline(always)]
    pub(crate) fn sum<F: Field>(&mut self, window: Window, terms: &[Biased], points: &[Packed3]) -> LaneSums {
        if self.next.len() < points.len() {
            self.next.resize(points.len(), END);
        }
        self.sort(window, terms);
        self.add_up::<F>(window, points);
        self.weigh::<F>(window)
    }

    /// Puts every point of `window` into the bucket of its digit, and the buckets into order.
    fn sort(&mut self, window: Window, terms: &[Biased]) {
        let half = 1_u64 << (window.bits - 1);
        let mask = 2 * half - 1;
        let (word, shift) = (window.start as usize / 64, window.start % 64);
        self.buckets.clear();
        self.buckets.resize(window.buckets() + 1, Bucket { head: END, len: 0 });
        for (place, scalar) in terms {
            let high = scalar.get(word + 1).copied().unwrap_or(0);
            let bits = ((u128::from(high) << 64 | u128::from(scalar[word])) >> shift) as u64 & mask;
            let bucket = &mut self.buckets[bits.abs_diff(half) as usize];
            self.next[*place as usize] = bucket.head;
            bucket.head = place << 1 | u32::from(bits < half);
            bucket.len += 1;
        }
        self.order();
    }

    /// A counting sort by length, the longest first; lengths past the last class share it.
    fn order(&mut self) {
        const CLASSES: usize = 256;
        let class = |bucket: &Bucket| CLASSES - 1 - (bucket.len as usize).min(CLASSES - 1);
        let mut starts = [0_u16; CLASSES];
        for bucket in &self.buckets[1..] {
            starts[class(bucket)] += 1;
        }
        let mut start = 0;
        for count in &mut starts {
            (*count, start) = (start, start + *count);
        }
        self.order.resize(self.buckets.len() - 1, 0);
        for (number, bucket) in self.buckets[1..].iter().enumerate() {
            let place = &mut starts[class(bucket)];
            // A window has at most 2^(WINDOW_BITS_MAX − 1) buckets.
            self.order[usize::from(*place)] = number as u16;
            *place += 1;
        }
    }

    /// Sums each bucket's points, eight buckets side by side.
    #[inline(always)]
    fn add_up<F: Field>(&mut self, window: Window, points: &[Packed3]) {
        let identity = Extended::<F>::identity().pack()[0];
        self.sums.clear();
        self.sums.resize(window.buckets(), identity);
        for group in self.order.chunks_exact(LANES) {
            let mut entries = [0; LANES];
            let mut steps = 0;
            for lane in 0..LANES {
                let bucket = &self.buckets[usize::from(group[lane]) + 1];
                entries[lane] = bucket.head;
                steps = steps.max(bucket.len);
            }
            if steps == 0 {
                break;
            }
            let (affine, negative) = self.fetch::<F>(points, &mut entries);
            let mut sum = affine.extended(negative).running();
            for _ in 1..steps {
                let (affine, negative) = self.fetch::<F>(points, &mut entries);
                sum = sum.add_affine(&affine, negative).running();
            }
            let sums = sum.extended().pack();
            for lane in 0..LANES {
                self.sums[usize::from(group[lane])] = sums[lane];
            }
        }
    }

    /// The point of each lane's entry, whether it is to be subtracted, and the entries that follow.
    #[inline(always)]
    fn fetch<F: Field>(&self, points: &[Packed3], entries: &mut [u32; LANES]) -> (Affine<F>, Mask) {
        let mut fetched = [&Packed3::IDENTITY; LANES];
        let mut negative: Mask = 0;
        let mut lane = 0;
        while lane < LANES {
            let place = entries[lane] as usize >> 1;
            negative |= ((entries[lane] & 1) as Mask) << lane;
            fetched[lane] = &points[place];
            entries[lane] = self.next[place];
            F::prefetch(&points[entries[lane] as usize >> 1]);
            lane += 1;
        }
        (Affine::unpack(fetched), negative)
    }

    /// The weighted sum of a window's buckets, in eight parts.
    #[inline(always)]
    fn weigh<F: Field>(&self, window: Window) -> LaneSums {
        let chunk = window.buckets() / LANES;
        let mut plain = Extended::<F>::identity();
        let mut weighted = Extended::<F>::identity();
        for place in (0..chunk).rev() {
            let mut sums = [&self.sums[0]; LANES];
            let mut lane = 0;
            while lane < LANES {
                sums[lane] = &self.sums[lane * chunk + place];
                lane += 1;
            }
            plain = plain.add(&Extended::unpack(sums).cached()).extended();
            weighted = weighted.add(&plain.cached()).extended();
        }
        LaneSums { weighted: weighted.pack(), plain: plain.pack(), chunk_log: chunk.ilog2() }
    }
}
