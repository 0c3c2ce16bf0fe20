//! The safety gate of an election: the exact probability that a committee drawn by lot has more faulty members than its
//! agreement bears. Counting only: committees that fail, divided by committees there are.
//!
//! A committee of n seats bears f = ⌊(n−1)/3⌋ faulty members. Seats are drawn without replacement from rank buckets, so
//! the faulty members of one bucket's seats are hypergeometric, and those of the committee are their sum: a convolution over
//! the buckets ([`failure_probability`]). For one bucket and growing committees a recurrence gives each size from the one
//! before ([`Committees`], [`smallest_committee`]), which is what planning asks for.
//!
//! Numbers stay as long as the committee needs, about seats × log2(members) bits; the population's size hardly matters.

use crate::ratio::Ratio;
use num_bigint::BigUint;

/// The most seats of a committee that [`failure_probability`] counts; work and memory grow with their square.
pub const SEATS_MAX: u32 = 1024;

/// A part of the population that has its own seats in a committee: equal chances within it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// Candidates.
    pub members: u32,
    /// How many of them are faulty.
    pub faulty: u32,
    /// How many of them are drawn.
    pub seats: u32,
}

/// Why a committee cannot be judged. Always the caller's numbers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SafetyError {
    /// More faulty members than members.
    #[error("{faulty} faulty of {members} members")]
    Faulty {
        /// Faulty members.
        faulty: u32,
        /// Members.
        members: u32,
    },
    /// More seats than members to fill them.
    #[error("{seats} seats for {members} members")]
    Seats {
        /// Seats.
        seats: u32,
        /// Members.
        members: u32,
    },
    /// Nobody is drawn, or more than this code counts.
    #[error("{0} seats: 1 to {SEATS_MAX} can be judged")]
    Committee(u64),
}

impl Bucket {
    fn check(self) -> Result<(), SafetyError> {
        let Self { members, faulty, seats } = self;
        if faulty > members {
            return Err(SafetyError::Faulty { faulty, members });
        }
        if seats > members {
            return Err(SafetyError::Seats { seats, members });
        }
        Ok(())
    }

    /// How many choices of the seats have 0, 1, … `seats` faulty members.
    ///
    /// C(t, k) C(h, s − k) for t faulty and h honest members, each from the one before by the ratio of the two.
    fn choices_by_faulty(self) -> Vec<BigUint> {
        let Self { members, faulty, seats } = self;
        let honest = members - faulty;
        let mut choices = vec![BigUint::ZERO; seats as usize + 1];
        let fewest = seats.saturating_sub(honest);
        let mut count = binomial(faulty, fewest) * binomial(honest, seats - fewest);
        for k in fewest..=seats.min(faulty) {
            choices[k as usize] = count.clone();
            if k < seats {
                count *= u64::from(faulty - k) * u64::from(seats - k);
                count /= u64::from(k + 1) * (u64::from(honest) + u64::from(k + 1) - u64::from(seats));
            }
        }
        choices
    }
}

/// The most faulty members that a committee of `seats` bears: ⌊(seats − 1) / 3⌋.
#[must_use]
pub fn fault_bound(seats: u32) -> u32 {
    seats.saturating_sub(1) / 3
}

/// The probability that a committee has more faulty members than its [`fault_bound`], its seats drawn without replacement
/// from each of `buckets`.
///
/// # Errors
/// Numbers that fit no committee, or one of no or more than [`SEATS_MAX`] seats.
pub fn failure_probability(buckets: &[Bucket]) -> Result<Ratio, SafetyError> {
    let seats: u64 = buckets.iter().map(|bucket| u64::from(bucket.seats)).sum();
    let committee = u32::try_from(seats).ok().filter(|seats| (1..=SEATS_MAX).contains(seats));
    let committee = committee.ok_or(SafetyError::Committee(seats))?;
    let mut choices = vec![BigUint::from(1u32)];
    for bucket in buckets {
        bucket.check()?;
        choices = convolve(&choices, &bucket.choices_by_faulty());
    }
    let all = choices.iter().sum();
    let failing = choices.iter().skip(fault_bound(committee) as usize + 1).sum();
    Ok(Ratio::new(failing, all))
}

/// The smallest committee of 3f + 1 seats, at most `seats_max`, whose probability of failure is at most `bound`, drawn from
/// `members` of whom `faulty` are faulty; and that probability. None where no such committee is safe enough.
///
/// # Errors
/// More faulty members than members.
pub fn smallest_committee(
    members: u32,
    faulty: u32,
    bound: &Ratio,
    seats_max: u32,
) -> Result<Option<(u32, Ratio)>, SafetyError> {
    let mut sizes = Committees::new(members, faulty)?.take_while(|(seats, _)| *seats <= seats_max);
    Ok(sizes.find(|(_, failure)| failure <= bound))
}

/// Committees of 1, 4, 7, … 3f + 1 seats drawn from one bucket, each with its probability of failure. Ends where members run
/// out, or honest ones for the 2f + 1 seats that must be theirs, from where on every committee fails.
///
/// Counts are of draws in order, so that nothing need be divided when a seat is added. With S(n, f) draws of n seats that
/// have more than f faulty members, and E(n, f) that have exactly f: of the N − n candidates for one more seat t − f are
/// faulty, so S(n + 1, f) = (N − n) S(n, f) + (t − f) E(n, f), and S(n, f + 1) = S(n, f) − E(n, f + 1).
#[derive(Clone, Debug)]
pub struct Committees {
    members: u32,
    faulty: u32,
    /// Seats of the committee counted, and the faulty members it bears.
    seats: u32,
    bound: u32,
    /// All draws; those that have more faulty members than the bound; and those that have as many.
    draws: BigUint,
    failing: BigUint,
    at_bound: BigUint,
}

impl Committees {
    /// Committees from `members` of whom `faulty` are faulty.
    ///
    /// # Errors
    /// More faulty members than members.
    pub fn new(members: u32, faulty: u32) -> Result<Self, SafetyError> {
        Bucket { members, faulty, seats: 0 }.check()?;
        let (draws, at_bound) = (BigUint::from(1u32), BigUint::from(1u32));
        Ok(Self { members, faulty, seats: 0, bound: 0, draws, failing: BigUint::ZERO, at_bound })
    }

    fn honest(&self) -> u32 {
        self.members - self.faulty
    }

    /// One more seat.
    fn add_seat(&mut self) {
        let Self { members, faulty, seats, bound, .. } = *self;
        let candidates = members - seats;
        let honest_seats = seats - bound;
        self.failing *= candidates;
        self.failing += &self.at_bound * faulty.saturating_sub(bound);
        self.at_bound *= u64::from(seats + 1) * u64::from(self.honest().saturating_sub(honest_seats));
        self.at_bound /= honest_seats + 1;
        self.draws *= candidates;
        self.seats += 1;
    }

    /// One more faulty member is borne. The committee counted has no more honest seats than honest members.
    fn raise_bound(&mut self) {
        let honest_seats = self.seats - self.bound;
        self.at_bound *= u64::from(honest_seats) * u64::from(self.faulty.saturating_sub(self.bound));
        self.at_bound /= u64::from(self.bound + 1) * u64::from(self.honest() - honest_seats + 1);
        self.failing -= &self.at_bound;
        self.bound += 1;
    }
}

impl Iterator for Committees {
    type Item = (u32, Ratio);

    fn next(&mut self) -> Option<Self::Item> {
        let bound = if self.seats == 0 { 0 } else { self.bound + 1 };
        let f = u64::from(bound);
        if 3 * f + 1 > self.members.into() || 2 * f + 1 > self.honest().into() {
            return None;
        }
        if bound > self.bound {
            self.raise_bound();
        }
        while self.seats < 3 * bound + 1 {
            self.add_seat();
        }
        Some((self.seats, Ratio::new(self.failing.clone(), self.draws.clone())))
    }
}

/// C(n, k), each step exact: C(n, i + 1) = C(n, i) (n − i) / (i + 1).
fn binomial(n: u32, k: u32) -> BigUint {
    (0..k).fold(BigUint::from(1u32), |product, i| product * (n - i) / (i + 1))
}

/// The counts of sums, from the counts of both terms.
fn convolve(a: &[BigUint], b: &[BigUint]) -> Vec<BigUint> {
    let mut sums = vec![BigUint::ZERO; a.len() + b.len() - 1];
    for (i, first) in a.iter().enumerate() {
        for (j, second) in b.iter().enumerate() {
            sums[i + j] += first * second;
        }
    }
    sums
}
