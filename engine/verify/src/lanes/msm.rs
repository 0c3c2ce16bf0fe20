//! Multi-scalar multiplication (Pippenger's method, signed digits), laid out for vectors: is Σ sᵢPᵢ, times the cofactor, the
//! identity?
//!
//! Windows are summed each by itself, on whichever thread is free, and then put together.

use super::idle::Idle;
use super::point::{Completed, Extended};
use super::prepare::at_least;
use super::window::{Biased, Buckets, LaneSums, Window};
use super::{Field, LANES, Mask, Packed3, Packed4, Vector};
use crate::threads::Threads;

/// A scalar, below 2^253 − 2^250 if wide and 2^128 if narrow, little endian: what the bias of its windows adds, at most 16/15 · 2^253, keeps it inside
/// [`WIDE_BITS`].
type Wide = [u64; 4];

/// Bits of the windows' digits: at least 4, so that each lane has a bucket to weigh, and few enough for 16-bit digits.
const WINDOW_BITS_MIN: u32 = 4;
const WINDOW_BITS_MAX: u32 = 13;

/// Products of field elements that one more point, and one more bucket, cost.
const POINT_COST: usize = 8;
const BUCKET_COST: usize = 20;

/// How sums of so many terms are cut into windows.
pub(super) struct Plan {
    /// The lowest first.
    windows: Vec<Window>,
    /// Half of every window.
    bias: Wide,
}

impl Plan {
    /// For as many terms with wide and narrow scalars.
    pub(super) fn new(wide: usize, narrow: usize) -> Self {
        let windows = windows(wide, narrow);
        let mut bias = [0; 4];
        for window in &windows {
            let bit = window.start + window.bits - 1;
            bias[bit as usize / 64] |= 1 << (bit % 64);
        }
        Self { windows, bias }
    }

    /// A scalar as terms have it.
    pub(super) fn bias(&self, scalar: &Wide) -> Wide {
        let mut carry = false;
        std::array::from_fn(|word| {
            let sum;
            (sum, carry) = scalar[word].carrying_add(self.bias[word], carry);
            sum
        })
    }
}

/// The memory of a multiplication, kept from one to the next.
#[derive(Default)]
pub(super) struct Msm {
    sums: Vec<LaneSums>,
    totals: Vec<Packed4>,
    buckets: Idle<Buckets>,
}

impl Msm {
    /// Whether eight times the sum of `terms`, those with wide scalars first, is the identity. Each has the place of another one of
    /// `points`, and none the first, which is [`Packed3::IDENTITY`].
    pub(super) fn is_zero<V: Vector>(
        &mut self,
        vector: V,
        threads: Threads,
        plan: &Plan,
        terms: &[Biased],
        points: &[Packed3],
    ) -> bool {
        let sums = at_least(&mut self.sums, plan.windows.len(), LaneSums::ZERO);
        let totals = at_least(&mut self.totals, plan.windows.len(), Packed4::ZERO);
        let buckets = &self.buckets;
        // The lowest windows, which have the most terms, come first.
        threads.for_each_in_order(plan.windows.iter().zip(sums.iter_mut()), |(&window, sum)| {
            *sum = buckets.lend(|buckets| vector.sum_window(buckets, window, &terms[..window.terms], points));
        });
        let eights = sums.chunks(LANES).zip(totals.chunks_mut(LANES));
        threads.for_each(eights, |(sums, totals)| vector.add_lanes(sums, totals));
        vector.windows_are_zero(&plan.windows, totals)
    }
}

/// Whether eight times what the windows sum up to is the identity.
#[inline(always)]
pub(crate) fn are_zero<F: Field>(windows: &[Window], sums: &[Packed4]) -> bool {
    let mut total = Completed::<F>::identity();
    for (window, sum) in windows.iter().zip(sums).rev() {
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

/// The sum of each window, up to eight side by side: Σ weighted + chunk · Σ l · plain over the lanes l.
#[inline(always)]
pub(crate) fn add_lanes<F: Field>(windows: &[LaneSums], sums: &mut [Packed4]) {
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
    sums.copy_from_slice(&total.pack()[..sums.len()]);
}

fn mask_where(predicate: impl Fn(usize) -> bool) -> Mask {
    (0..LANES).fold(0, |mask, lane| mask | Mask::from(predicate(lane)) << lane)
}

/// Bits that hold a narrow scalar and the bias of its windows, and a wide one.
const NARROW_BITS: u32 = 130;
const WIDE_BITS: u32 = 254;

/// The windows, lowest first: of every scalar up to bit [`NARROW_BITS`], and of the wide ones above.
fn windows(wide: usize, narrow: usize) -> Vec<Window> {
    let mut windows = Vec::new();
    for (start, end, terms) in [(0, NARROW_BITS, wide + narrow), (NARROW_BITS, WIDE_BITS, wide)] {
        let bits = end - start;
        let cost = |count: u32| count as usize * (terms * POINT_COST + (BUCKET_COST << bits.div_ceil(count)) / 2);
        let counts = bits.div_ceil(WINDOW_BITS_MAX)..=bits / WINDOW_BITS_MIN;
        let count = counts.min_by_key(|&count| cost(count)).unwrap_or(1);
        let mut at = start;
        for number in 0..count {
            let next = start + bits * (number + 1) / count;
            windows.push(Window { start: at, bits: next - at, terms });
            at = next;
        }
    }
    windows
}
