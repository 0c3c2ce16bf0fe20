//! What the sketch in an LSH block's header is good for: each use the design page names, beside the same work done without it.
//!
//! 1. [`overlaps`]: pairs of blocks that touch the same accounts, near-copies among them, and double spends across them: by a banded index
//!    over sketches and exact comparison of what it finds; by comparing all pairs; and by an inverted index, a hash map from account to blocks.
//! 2. [`copies`]: proposals copied from another facilitator's, in whole or in part: by the sketch of their ids, and by counting in the hash map
//!    of ids that a round fills anyway.
//! 3. [`cold`]: clusters for stars that nobody has seen before: by the sketch of whom they trade with first, by those stars' clusters, and by
//!    key alone.
//!
//! All figures but CPU time follow from the seed.

pub mod cold;
pub mod copies;
mod index;
pub mod overlaps;
mod report;

use constellation_chain::{Hasher, PublicKey};

pub use report::Report;

use crate::Machine;

/// The most LSH blocks of a round: what a black hole holds.
pub const BLOCKS_MAX: usize = 1024;
/// The most transactions of a block.
pub const TRANSACTIONS_MAX: usize = 4096;
/// The most trials.
pub const TRIALS_MAX: usize = 10_000;
/// The fewest and the most stars for the stars that are new.
pub const STARS: std::ops::RangeInclusive<usize> = 200..=1 << 18;

const DOMAIN: &[u8; 8] = b"cst.skbn";

/// How much to measure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Numbers of LSH blocks compared with each other.
    pub blocks: Vec<usize>,
    /// Transactions of a block.
    pub transactions: Vec<usize>,
    /// Rounds with a copied proposal, for each share copied.
    pub trials: usize,
    /// Stars of the graph that new ones join.
    pub stars: usize,
    /// Of all that is drawn.
    pub seed: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { blocks: vec![16, 64, 256, 1024], transactions: vec![64, 1000], trials: 200, stars: 20_000, seed: 1 }
    }
}

/// The options leave nothing to measure, or more than a run can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a run needs 8 to {BLOCKS_MAX} blocks, 8 to {TRANSACTIONS_MAX} transactions, 1 to {TRIALS_MAX} trials and {} to {} stars",
    STARS.start(), STARS.end()
)]
pub struct OptionsError;

/// Measures every use. `progress` is told what comes next.
///
/// # Errors
/// [`OptionsError`].
pub fn measure(options: &Options, mut progress: impl FnMut(&str)) -> Result<Report, OptionsError> {
    let are_in = |values: &[usize], max: usize| !values.is_empty() && values.iter().all(|n| (8..=max).contains(n));
    let is_possible = are_in(&options.blocks, BLOCKS_MAX)
        && are_in(&options.transactions, TRANSACTIONS_MAX)
        && (1..=TRIALS_MAX).contains(&options.trials)
        && STARS.contains(&options.stars);
    if !is_possible {
        return Err(OptionsError);
    }
    let mut overlaps = Vec::new();
    for &transactions in &options.transactions {
        for traffic in overlaps::Traffic::ALL {
            for &blocks in &options.blocks {
                progress(&format!("{blocks} blocks of {transactions} transactions, {}", traffic.name()));
                overlaps.extend(overlaps::rows(blocks, transactions, traffic, options.seed));
            }
        }
    }
    progress("copied proposals");
    let copies = copies::rows(options.trials, options.seed);
    progress("new stars");
    let cold_stars = cold::rows(options.stars, options.seed);
    Ok(Report { machine: Machine::here(), seed: options.seed, overlaps, copies, cold_stars })
}

/// A 32-byte name that follows from numbers: a star's key, or a transaction's id.
fn name(seed: u64, number: u64) -> PublicKey {
    PublicKey(Hasher::new(DOMAIN).update(&seed.to_le_bytes()).update(&number.to_le_bytes()).finish().0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small() -> Options {
        Options { blocks: vec![16], transactions: vec![64], trials: 20, stars: 2000, seed: 1 }
    }

    #[test]
    fn every_use_is_measured_with_and_without() {
        let report = measure(&small(), |_| ()).unwrap();
        let methods = |name| report.overlaps.iter().filter(|row| row.method == name).count();
        assert_eq!((methods("sketch"), methods("all_pairs"), methods("inverted_index")), (2, 2, 2));
        for row in report.overlaps.iter().filter(|row| row.method != "sketch") {
            assert_eq!([row.overlap_recall, row.copy_recall, row.conflict_recall], [1.0; 3], "exact is exact");
        }
        let sketch = report.overlaps.iter().find(|row| row.method == "sketch").unwrap();
        assert!(sketch.copy_recall >= 0.5 && sketch.pairs_compared < 16 * 15 / 2, "{sketch:?}");
        assert!(sketch.conflict_recall < 1.0, "a shared star alone is not seen: {sketch:?}");
        assert!(report.cold_stars.iter().any(|row| row.method == "counterparties"));
    }

    #[test]
    fn whole_copies_are_found_and_honest_proposals_are_not_taken_for_any() {
        let report = measure(&small(), |_| ()).unwrap();
        let [none, .., whole] = &report.copies[..] else { panic!("there are several shares") };
        assert_eq!((none.copied_percent, whole.copied_percent), (0, 100));
        assert_eq!((whole.sketch_found, whole.exact_found), (1.0, 1.0));
        assert!(report.copies.iter().all(|row| row.exact_false_alarms == 0.0 && row.sketch_false_alarms < 0.01));
    }

    #[test]
    fn what_cannot_be_measured_is_refused() {
        for options in [
            Options { blocks: vec![], ..small() },
            Options { blocks: vec![BLOCKS_MAX + 1], ..small() },
            Options { transactions: vec![7], ..small() },
            Options { trials: 0, ..small() },
            Options { stars: 199, ..small() },
        ] {
            assert_eq!(measure(&options, |_| ()).err(), Some(OptionsError), "{options:?}");
        }
    }
}
