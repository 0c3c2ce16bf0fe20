//! How often signatures were bad of late, and what follows for the size of the groups that are verified together.
//!
//! A group with a bad signature costs a search. Where one in n signatures is bad, groups of n/2 waste little; where one in a dozen is, nothing
//! is gained over single verdicts. So whoever sends bad signatures, few or many, cannot make the engine slower than those for long.

use std::sync::atomic::{AtomicU32, Ordering};

/// Of how many signatures the rate remembers most.
const MEMORY: u64 = 4096;

/// The rate's unit: this many mean that all are bad.
const ALL: u64 = 1 << 24;

/// Above this rate each signature is verified by itself.
const RATE_MAX: u64 = ALL / 16;

/// The smallest group.
const GROUP_LEN_MIN: u64 = 64;

/// The rate of bad signatures, weighted towards the last ones.
#[derive(Debug, Default)]
pub(crate) struct Suspicion {
    rate: AtomicU32,
}

impl Suspicion {
    /// How many signatures to verify together, at most; `None`: each by itself.
    pub(crate) fn group_len(&self) -> Option<usize> {
        let rate = u64::from(self.rate.load(Ordering::Relaxed));
        if rate > RATE_MAX {
            return None;
        }
        // Half of the signatures among which one is expected to be bad.
        let len = (ALL / (2 * rate).max(1)).max(GROUP_LEN_MIN);
        Some(usize::try_from(len).unwrap_or(usize::MAX))
    }

    /// Takes in that `bad` of `count` signatures were bad. Batches that are observed at the same time may count as one.
    pub(crate) fn observe(&self, count: usize, bad: usize) {
        if count == 0 {
            return;
        }
        let (count, bad) = (count as u64, bad as u64);
        let rate = u64::from(self.rate.load(Ordering::Relaxed));
        let weight = count.min(MEMORY);
        let next = (rate * (MEMORY - weight) + ALL * bad / count * weight) / MEMORY;
        // At most ALL, which fits.
        self.rate.store(next as u32, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_bad_signatures_a_batch_is_one_group() {
        let suspicion = Suspicion::default();
        suspicion.observe(1000, 0);
        suspicion.observe(0, 0);
        assert!(suspicion.group_len().is_some_and(|len| len > 1 << 20));
    }

    #[test]
    fn one_in_a_thousand_makes_groups_of_some_five_hundred() {
        let suspicion = Suspicion::default();
        (0..20).for_each(|_| suspicion.observe(1024, 1));
        assert!(suspicion.group_len().is_some_and(|len| (500..530).contains(&len)), "{suspicion:?}");
    }

    #[test]
    fn many_bad_ones_end_the_groups_until_they_stop() {
        let suspicion = Suspicion::default();
        suspicion.observe(1024, 1024);
        assert_eq!(suspicion.group_len(), None);
        (0..20).for_each(|_| suspicion.observe(1024, 0));
        assert!(suspicion.group_len().is_some());
    }
}
