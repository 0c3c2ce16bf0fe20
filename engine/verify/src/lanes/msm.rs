//! Multi-scalar multiplication (Pippenger's method, signed digits), laid out for vectors: is Σ sᵢPᵢ, times the cofactor, the
//! identity?
//!
//! Windows are summed each by itself, on whichever thread is free, and then put together.

use std::sync::{Mutex, PoisonError};

use super::point::{Completed, Extended};
use super::window::{Biased, Buckets, LaneSums, Window};
use super::{Field, LANES, Mask, Packed3, Packed4, Vector};
use crate::threads::Threads;

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
    /// Points to choose from, the first of them [`Packed3::IDENTITY`].
    pub(crate) points: &'a [Packed3],
    /// Wide scalars, each with the place of its point.
    pub(crate) wide: &'a [(u32, Wide)],
    /// Narrow scalars, each with the place of its point.
    pub(crate) narrow: &'a [(u32, u128)],
}

/// The memory of a multiplication, kept from one to the next.
#[derive(Default)]
pub(crate) struct Msm {
    biased: Vec<Biased>,
    sums: Vec<LaneSums>,
    /// Buckets not in use.
    buckets: Mutex<Vec<Buckets>>,
}

impl Msm {
    /// Whether eight times the sum of `terms` is the identity.
    pub(crate) fn is_zero<V: Vector>(&mut self, vector: V, threads: Threads, terms: &Terms<'_>) -> bool {
        let windows = plan(terms.wide.len(), terms.narrow.len());
        self.bias(terms, &windows);
        self.sums.resize(windows.len(), LaneSums::ZERO);
        let Self { biased, sums, buckets } = self;
        let (biased, buckets) = (&*biased, &*buckets);
        let idle = || buckets.lock().unwrap_or_else(PoisonError::into_inner);
        // The lowest windows, which all points are in, come first.
        threads.for_each(windows.iter().zip(sums.iter_mut()), |(&window, sum)| {
            let mut buckets = idle().pop().unwrap_or_default();
            *sum = vector.sum_window(&mut buckets, window, &biased[..window.points], terms.points);
            idle().push(buckets);
        });
        vector.windows_are_zero(&windows, sums)
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
}

/// Whether eight times what the windows sum up to is the identity.
#[inline(always)]
pub(crate) fn are_zero<F: Field>(windows: &[Window], sums: &[LaneSums]) -> bool {
    let sums = window_sums::<F>(sums);
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

/// The sum of each window: Σ weighted + chunk · Σ l · plain over the lanes l, for eight windows side by side.
#[inline(always)]
fn window_sums<F: Field>(sums: &[LaneSums]) -> Vec<Packed4> {
    let mut totals = Vec::with_capacity(sums.len());
    for windows in sums.chunks(LANES) {
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
        totals.extend_from_slice(&total.pack()[..windows.len()]);
    }
    totals
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
