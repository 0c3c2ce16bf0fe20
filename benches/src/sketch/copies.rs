//! Who copies proposals, and how surely it is told: [`PROPOSALS`] proposals of [`IDS`] ids each, one of which has a share of its ids from one other, and as many
//! of its own as make it full. Honest proposals have [`HONEST_PERCENT`] % of their ids from the one before them, since shares of initiators
//! overlap where nodes disagree on who is up.
//!
//! Both ways call a pair copied from a Jaccard similarity of one half on, which is two thirds of a proposal: far above what honest ones share,
//! and what is copied less pays its proposer a third for its own work.

use std::hint::black_box;

use constellation_chain::{KeyMap, PublicKey};
use constellation_verify::{matching_bins, sketch};
use serde::Serialize;

use super::name;
use crate::machine::cpu_ms;
use crate::random::Random;

/// Proposals of a round.
pub const PROPOSALS: usize = 16;
/// Transactions of a proposal.
pub const IDS: usize = 1000;
/// What honest proposals have in common, in percent.
pub const HONEST_PERCENT: usize = 5;
/// Shares of a proposal that are copied, in percent; at zero there is no copier.
pub const COPIED_PERCENTS: [usize; 5] = [0, 50, 80, 95, 100];
/// Of 128 bins, those that agree at a Jaccard similarity of one half: 64, and a half by chance.
const BINS_MIN: u32 = 64;

/// One share copied.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// Of the copier's ids, the share that is another's, in percent.
    pub copied_percent: usize,
    /// Their Jaccard similarity.
    pub jaccard: f64,
    /// The share of rounds in which the sketch calls the pair copied.
    pub sketch_found: f64,
    /// The share of honest pairs that it calls copied.
    pub sketch_false_alarms: f64,
    /// The same by exact counts.
    pub exact_found: f64,
    /// Honest pairs called copied by exact counts.
    pub exact_false_alarms: f64,
    /// CPU time a round of the sketches and their comparison, in microseconds.
    pub sketch_cpu_us: f64,
    /// CPU time a round of the hash map and its counts, in microseconds.
    pub exact_cpu_us: f64,
    /// Of that, what the hash map takes that a round fills anyway, to take each transaction once.
    pub round_cpu_us: f64,
}

/// Every share, from so many rounds.
pub fn rows(trials: usize, seed: u64) -> Vec<Row> {
    COPIED_PERCENTS.into_iter().map(|percent| row(percent, trials, seed)).collect()
}

fn row(copied_percent: usize, trials: usize, seed: u64) -> Row {
    let mut random = Random(seed);
    let (mut sketched, mut exact) = (Tally::default(), Tally::default());
    let (mut sketch_ms, mut exact_ms, mut round_ms) = (0.0, 0.0, 0.0);
    for trial in 0..trials as u64 {
        let proposals = draw(copied_percent, seed ^ (trial + 1) << 24, &mut random);
        let copied = (copied_percent > 0).then_some((0, PROPOSALS - 1));
        let (found, ms) = timed(|| by_sketch(&proposals, trial));
        sketched.take(&found, copied);
        sketch_ms += ms;
        let (found, ms) = timed(|| by_counts(&proposals));
        exact.take(&found, copied);
        exact_ms += ms;
        round_ms += timed(|| seen_once(&proposals)).1;
    }
    let of = trials as f64;
    let share = copied_percent as f64 / 100.0;
    Row {
        copied_percent,
        jaccard: share / (2.0 - share),
        sketch_found: sketched.found as f64 / of,
        sketch_false_alarms: sketched.false_alarms as f64 / sketched.honest as f64,
        exact_found: exact.found as f64 / of,
        exact_false_alarms: exact.false_alarms as f64 / exact.honest as f64,
        sketch_cpu_us: 1e3 * sketch_ms / of,
        exact_cpu_us: 1e3 * exact_ms / of,
        round_cpu_us: 1e3 * round_ms / of,
    }
}

#[derive(Default)]
struct Tally {
    found: usize,
    false_alarms: usize,
    honest: usize,
}

impl Tally {
    fn take(&mut self, called: &[(usize, usize)], copied: Option<(usize, usize)>) {
        let right = usize::from(copied.is_some_and(|copied| called.contains(&copied)));
        self.found += right;
        self.false_alarms += called.len() - right;
        self.honest += PROPOSALS * (PROPOSALS - 1) / 2 - usize::from(copied.is_some());
    }
}

/// Proposal 0 is what the last one copies from.
fn draw(copied_percent: usize, seed: u64, random: &mut Random) -> Vec<Vec<PublicKey>> {
    let mut next = 0;
    let mut fresh = |count: usize| -> Vec<PublicKey> {
        next += count as u64;
        (next - count as u64..next).map(|number| name(seed, number)).collect()
    };
    let mut proposals: Vec<Vec<PublicKey>> = vec![fresh(IDS)];
    for place in 1..PROPOSALS {
        let is_copier = place == PROPOSALS - 1 && copied_percent > 0;
        let (from, shared) = match is_copier {
            true => (0, IDS * copied_percent / 100),
            false => (place - 1, IDS * HONEST_PERCENT / 100),
        };
        let start = random.below(IDS);
        let mut ids: Vec<PublicKey> = proposals[from].iter().cycle().skip(start).take(shared).copied().collect();
        ids.extend(fresh(IDS - shared));
        proposals.push(ids);
    }
    proposals
}

fn by_sketch(proposals: &[Vec<PublicKey>], beacon: u64) -> Vec<(usize, usize)> {
    let key = name(beacon, u64::MAX).0;
    let sketches: Vec<_> = proposals.iter().map(|ids| sketch(&key, ids.iter().map(|id| &id.0))).collect();
    pairs(|one, other| matching_bins(&sketches[one], &sketches[other]) > BINS_MIN)
}

/// Counts what each proposal shares with each one before it, while every id is looked up once.
fn by_counts(proposals: &[Vec<PublicKey>]) -> Vec<(usize, usize)> {
    let mut proposers: KeyMap<&PublicKey, u16> = KeyMap::default();
    let mut shared = [[0; PROPOSALS]; PROPOSALS];
    for (place, ids) in proposals.iter().enumerate() {
        for id in ids {
            let seen = proposers.entry(id).or_default();
            let mut before = *seen;
            while before > 0 {
                shared[before.trailing_zeros() as usize][place] += 1;
                before &= before - 1;
            }
            *seen |= 1 << place;
        }
    }
    pairs(|one, other| 3 * shared[one][other] >= 2 * IDS)
}

/// What a round does in any case: each id once.
fn seen_once(proposals: &[Vec<PublicKey>]) -> usize {
    let mut ids: KeyMap<&PublicKey, ()> = KeyMap::default();
    proposals.iter().flatten().filter(|id| ids.insert(id, ()).is_none()).count()
}

fn pairs(is_copied: impl Fn(usize, usize) -> bool) -> Vec<(usize, usize)> {
    let all = (0..PROPOSALS).flat_map(|one| (one + 1..PROPOSALS).map(move |other| (one, other)));
    all.filter(|(one, other)| is_copied(*one, *other)).collect()
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let start_ms = cpu_ms();
    let result = black_box(work());
    (result, cpu_ms() - start_ms)
}
