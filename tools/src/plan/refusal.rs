//! Demands that cannot be met: the reason, and what would help.

use constellation_chain::COMMITTEE_MAX;

use crate::plan::gate::{SEARCH_MAX, SEATS_MIN};

/// Why a demand cannot be met.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// Nobody to elect, or too few to bear a fault.
    #[error(
        "a population of {population}: a committee that bears one fault has {SEATS_MIN} members; give --population {SEATS_MIN} or more"
    )]
    Population {
        /// Stars.
        population: u32,
    },
    /// A third or more.
    #[error(
        "{faulty} faulty of {population} stars is a third or more, which no asynchronous agreement bears; give --faulty at most {}",
        share(*most, *population)
    )]
    Faulty {
        /// Faulty stars.
        faulty: u64,
        /// Stars.
        population: u32,
        /// The most there may be.
        most: u32,
    },
    /// A bound that is none.
    #[error("--max-failure of 1 or more is no bound; give a probability, such as 1e-9")]
    Bound,
    /// Nothing asked for.
    #[error("--rate 0 asks for nothing; give the transactions a second that are to become final")]
    Rate,
    /// The protocol's largest committee is not safe enough.
    #[error(
        "drawn from {population} stars, {faulty} of them faulty, no committee of at most {COMMITTEE_MAX} members (the protocol's largest) fails \
         with a probability of at most {bound} an election: the best, of {best_seats}, fails with {best_failure}; {}. Give a --max-failure above {best_failure}, \
         or --faulty at most {}",
        needed_text(*needed), share(*bearable, *population)
    )]
    Unsafe {
        /// Stars.
        population: u32,
        /// Faulty ones.
        faulty: u32,
        /// What was asked for.
        bound: String,
        /// The safest committee.
        best_seats: u32,
        /// Its probability of failure.
        best_failure: String,
        /// The smallest committee that would do if the protocol had it; none found up to the search's end.
        needed: Option<u32>,
        /// The most faulty stars with which the bound can be met.
        bearable: u32,
    },
    /// More than nodes or clusters can carry.
    #[error("{rate_per_s} transactions a second: {limit}. These settings carry at most {most_per_s} a second; {}", limit.remedy())]
    Load {
        /// What was asked for.
        rate_per_s: u64,
        /// What is too small.
        limit: Limit,
        /// What can be carried.
        most_per_s: u64,
    },
}

/// What keeps a network from carrying more.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum Limit {
    /// Validators verify and apply everything.
    #[error("a validator would need {needed:.1} cores to verify and apply them, and a plan uses {there:.1}")]
    ValidatorCpu {
        /// Cores.
        needed: f64,
        /// Cores that a plan may use.
        there: f64,
    },
    /// Validators receive everything.
    #[error("a validator's link would carry {needed:.0} Mbit/s, and a plan uses {there:.0}")]
    ValidatorLink {
        /// Megabits a second.
        needed: f64,
        /// Megabits a second that a plan may use.
        there: f64,
    },
    /// Clusters are bounded by the stars that can serve in them.
    #[error("more than {clusters} clusters of {seats} facilitators would be needed, and no star serves in two")]
    Clusters {
        /// Clusters that the population can have.
        clusters: u32,
        /// Facilitators of each.
        seats: u32,
    },
}

impl Limit {
    fn remedy(&self) -> &'static str {
        match self {
            Self::ValidatorCpu { .. } => "give more --cores, or --verify-per-s of faster ones, or a lower --rate",
            Self::ValidatorLink { .. } => "give a larger --uplink-mbit, or a lower --rate",
            Self::Clusters { .. } => {
                "give a larger --population, --uplink-mbit or --cores, a smaller --round-trip-ms, or a lower --rate"
            }
        }
    }
}

/// `count` of `population` as a percentage that is not rounded up, so that it can be given as --faulty.
fn share(count: u32, population: u32) -> String {
    let hundredths = u64::from(count) * 10_000 / u64::from(population);
    format!("{}.{:02}%", hundredths / 100, hundredths % 100)
}

fn needed_text(needed: Option<u32>) -> String {
    match needed {
        Some(seats) => format!("{seats} members would be needed"),
        None => format!("none of up to {SEARCH_MAX} would do either"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_never_rounded_up() {
        for (count, population, text) in [(666, 2000, "33.30%"), (1, 3, "33.33%"), (2, 3, "66.66%"), (0, 9, "0.00%")] {
            assert_eq!(share(count, population), text);
        }
    }
}
