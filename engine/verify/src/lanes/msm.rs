//! Multi-scalar multiplication (Pippenger's method, signed digits), laid out for vectors: is Σ sᵢPᵢ, times the cofactor, the
//! identity?
//!
//! Each window sorts the points by digit into buckets, as linked lists. Eight buckets are then summed side by side, a lane walking
//! its bucket's list, so that sums stay in registers and only points are fetched; buckets are taken in order of size, so that lanes
//! end together. The weighted sum of a window's buckets is made in eight lanes too, each with an eighth of the buckets.

use super::point::{Affine, Completed, Extended};
use super::{Field, LANES, Mask, Packed3, Packed4};

/// A scalar below 2^253 − 2^250, little endian: what the bias of its windows adds, at most 16/15 · 2^253, keeps it inside
/// [`WIDE_BITS`].
pub(crate) type Wide = [u64; 4];

/// Bits of the windows' digits: at least 4, so that each lane has a bucket to weigh, and few enough for 16-bit digits.
const WINDOW_BITS_MIN: u32 = 4;
const WINDOW_BITS_MAX: u32 = 13;

/// Products of field elements that one more point, and one more bucket, cost.
const POINT_COST: usize = 8;
const BUCKET_COST: usize = 20;

/// What is summed, each point at most once.
pub(crate) struct Terms<'a> {
    /// Points to choose from, and last [`Packed3::IDENTITY`].
    pub(crate) points: &'a [Packed3],
    /// Wide scalars, each with the place of its point.
    pub(crate) wide: &'a [(u32, Wide)],
    /// Narrow scalars, each with the place of its point.
    pub(crate) narrow: &'a [(u32, u128)],
}

impl Terms<'_> {
    /// The entry after the last one of every list: the identity's place.
    fn end(&self) -> u32 {
        // A batch has fewer than 2^31 points.
        (self.points.len() as u32 - 1) << 1
    }
}

/// A window of every scalar's bits.
#[derive(Clone, Copy)]
struct Window {
    /// The lowest bit.
    start: u32,
    /// How many bits.
    bits: u32,
    /// How many of the points have such bits.
    points: usize,
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

/// The memory of a multiplication, kept from one to the next.
#[derive(Default)]
pub(crate) struct Msm {
    /// Every scalar, plus half of every window: a window's signed digit is then its bits less that half, with no carry to wait for.
    /// With each the place of its point.
    biased: Vec<(u32, Wide)>,
    /// For each point the entry that its bucket had before; the identity's is its own, and ends all lists.
    next: Vec<u32>,
    buckets: Vec<Bucket>,
    /// The buckets' numbers, longest first.
    order: Vec<u16>,
    /// The sum of each bucket, from that of digit 1.
    sums: Vec<Packed4>,
    /// The eight lanes' sums of each window.
    lane_sums: Vec<LaneSums>,
}

/// What the lanes make of a window's buckets: lane l has those from l · chunk + 1.
struct LaneSums {
    /// The sum of the lane's buckets, the first once, the second twice, and so on.
    weighted: [Packed4; LANES],
    /// Their plain sum.
    plain: [Packed4; LANES],
    /// The binary logarithm of the number of buckets in a lane.
    chunk_log: u32,
}

impl Msm {
    /// Whether eight times the sum of `terms` is the identity.
    #[inline(always)]
    pub(crate) fn is_zero<F: Field>(&mut self, terms: &Terms<'_>) -> bool {
        let windows = plan(terms.wide.len(), terms.narrow.len());
        self.bias(terms, &windows);
        let end = terms.end();
        self.next.clear();
        self.next.resize(terms.points.len(), end);
        self.lane_sums.clear();
        for &window in &windows {
            self.sort(window, end);
            self.add_up::<F>(window, terms.points);
            self.weigh::<F>(window);
        }
        let sums = self.window_sums::<F>();
        let mut total = Completed::<F>::identity();
        for (window, sum) in windows.iter().zip(&sums).rev() {
            for _ in 0..window.bits {
                total = total.projective().double();
            }
            total = total.extended().add(&Extended::unpack([sum; LANES]).cached());
        }
        for _ in 0..3 {
            total = total.projective().double();
        }
        total.projective().is_identity() & 1 == 1
    }

    fn bias(&mut self, terms: &Terms<'_>, windows: &[Window]) {
        let mut bias = [0; 4];
        for window in windows {
            let bit = window.start + window.bits - 1;
            bias[bit as usize / 64] |= 1 << (bit % 64);
        }
        let narrow = terms.narrow.iter().map(|&(place, scalar)| (place, [scalar as u64, (scalar >> 64) as u64, 0, 0]));
        let scalars = terms.wide.iter().copied().chain(narrow);
        self.biased.clear();
        self.biased.extend(scalars.map(|(place, scalar)| (place, add_words(&scalar, &bias))));
    }

    /// Puts every point of `window` into the bucket of its digit, and the buckets into order.
    fn sort(&mut self, window: Window, end: u32) {
        let half = 1_u64 << (window.bits - 1);
        let mask = 2 * half - 1;
        let (word, shift) = (window.start as usize / 64, window.start % 64);
        self.buckets.clear();
        self.buckets.resize(window.buckets() + 1, Bucket { head: end, len: 0 });
        for (place, scalar) in &self.biased[..window.points] {
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
    fn weigh<F: Field>(&mut self, window: Window) {
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
        let lane_sums = LaneSums { weighted: weighted.pack(), plain: plain.pack(), chunk_log: chunk.ilog2() };
        self.lane_sums.push(lane_sums);
    }

    /// The sum of each window: Σ weighted + chunk · Σ l · plain over the lanes l, for eight windows side by side.
    #[inline(always)]
    fn window_sums<F: Field>(&self) -> Vec<Packed4> {
        let mut sums = Vec::with_capacity(self.lane_sums.len());
        for windows in self.lane_sums.chunks(LANES) {
            let window = |number: usize| &windows[number.min(windows.len() - 1)];
            let mut total = Completed::<F>::identity().extended();
            let mut run = total;
            for lane in (1..LANES).rev() {
                let plain = std::array::from_fn(|number| &window(number).plain[lane]);
                run = run.add(&Extended::unpack(plain).cached()).extended();
                total = total.add(&run.cached()).extended();
            }
            let logs: [u32; LANES] = std::array::from_fn(|number| window(number).chunk_log);
            for doublings in 0..logs.into_iter().max().unwrap_or(0) {
                let doubled = total.projective().double().extended();
                total = total.select(&doubled, mask_where(|lane| doublings < logs[lane]));
            }
            for lane in 0..LANES {
                let weighted = std::array::from_fn(|number| &window(number).weighted[lane]);
                total = total.add(&Extended::unpack(weighted).cached()).extended();
            }
            sums.extend_from_slice(&total.pack()[..windows.len()]);
        }
        sums
    }
}

fn mask_where(predicate: impl Fn(usize) -> bool) -> Mask {
    (0..LANES).fold(0, |mask, lane| mask | Mask::from(predicate(lane)) << lane)
}

fn add_words(left: &Wide, right: &Wide) -> Wide {
    let mut carry = false;
    std::array::from_fn(|word| {
        let sum;
        (sum, carry) = left[word].carrying_add(right[word], carry);
        sum
    })
}

/// Bits that hold a narrow scalar and the bias of its windows, and a wide one.
const NARROW_BITS: u32 = 130;
const WIDE_BITS: u32 = 254;

/// The windows, lowest first: of every scalar up to bit [`NARROW_BITS`], and of the wide ones above.
fn plan(wide: usize, narrow: usize) -> Vec<Window> {
    let mut windows = Vec::new();
    for (start, end, points) in [(0, NARROW_BITS, wide + narrow), (NARROW_BITS, WIDE_BITS, wide)] {
        let bits = end - start;
        let cost = |count: u32| count as usize * (points * POINT_COST + (BUCKET_COST << bits.div_ceil(count)) / 2);
        let counts = bits.div_ceil(WINDOW_BITS_MAX)..=bits / WINDOW_BITS_MIN;
        let count = counts.min_by_key(|&count| cost(count)).unwrap_or(1);
        let mut at = start;
        for number in 0..count {
            let next = start + bits * (number + 1) / count;
            windows.push(Window { start: at, bits: next - at, points });
            at = next;
        }
    }
    windows
}
