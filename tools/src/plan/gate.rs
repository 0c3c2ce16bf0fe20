//! The size of a committee: the smallest whose election is safe enough, or the refusal that says what would be.

use constellation_chain::COMMITTEE_MAX;
use constellation_meme::{Committees, Ratio, SafetyError, fault_bound, smallest_committee};

use crate::plan::{Demand, Refusal};

/// The fewest members: three agree only while none of them is absent.
pub const SEATS_MIN: u32 = 4;

/// The largest committee that is looked for beyond the protocol's own bound, to name it in a refusal.
pub const SEARCH_MAX: u32 = 10_000;

/// A committee that is safe enough.
#[derive(Clone, Debug)]
pub struct Committee {
    /// Its members, 3f + 1.
    pub seats: u32,
    /// Stars of the population that may be faulty.
    pub faulty: u32,
    /// The probability that more than f of its members are.
    pub failure: Ratio,
}

/// The smallest committee that meets a demand.
pub fn committee(demand: &Demand) -> Result<Committee, Refusal> {
    let Demand { population, max_failure, .. } = demand;
    let population = *population;
    if population < SEATS_MIN {
        return Err(Refusal::Population { population });
    }
    let faulty = faulty(demand)?;
    if *max_failure >= Ratio::from(1) {
        return Err(Refusal::Bound);
    }
    match smallest(population, faulty, max_failure) {
        Some((seats, failure)) => Ok(Committee { seats, faulty, failure }),
        None => Err(unreachable(population, faulty, max_failure)),
    }
}

/// Faulty stars, rounded up; fewer than a third.
fn faulty(demand: &Demand) -> Result<u32, Refusal> {
    let faulty = demand.faulty.times(demand.population.into()).ceil().unwrap_or(u64::MAX);
    let most = fault_bound(demand.population);
    match u32::try_from(faulty) {
        Ok(faulty) if faulty <= most => Ok(faulty),
        _ => Err(Refusal::Faulty { faulty, population: demand.population, most }),
    }
}

/// Committees that the protocol can have, each with its probability of failure.
fn possible(population: u32, faulty: u32) -> impl Iterator<Item = (u32, Ratio)> {
    let sizes = Committees::new(population, faulty).into_iter().flatten();
    sizes.skip_while(|(seats, _)| *seats < SEATS_MIN).take_while(|(seats, _)| *seats as usize <= COMMITTEE_MAX)
}

fn smallest(population: u32, faulty: u32, bound: &Ratio) -> Option<(u32, Ratio)> {
    possible(population, faulty).find(|(_, failure)| failure <= bound)
}

/// Why no committee will do, with what would.
fn unreachable(population: u32, faulty: u32, bound: &Ratio) -> Refusal {
    let best = possible(population, faulty).min_by(|a, b| a.1.cmp(&b.1));
    let (best_seats, best_failure) = best.unwrap_or((SEATS_MIN, Ratio::from(1)));
    let needed: Result<Option<(u32, Ratio)>, SafetyError> = smallest_committee(population, faulty, bound, SEARCH_MAX);
    Refusal::Unsafe {
        population,
        faulty,
        bound: bound.to_string(),
        best_seats,
        best_failure: best_failure.to_string(),
        needed: needed.ok().flatten().map(|(seats, _)| seats),
        bearable: bearable(population, faulty, bound),
    }
}

/// The most faulty stars, fewer than `faulty`, with which a committee the protocol can have meets the bound. More faulty
/// stars make no committee safer, so that halving finds it.
fn bearable(population: u32, faulty: u32, bound: &Ratio) -> u32 {
    let (mut met, mut missed) = (0, faulty);
    while missed - met > 1 {
        let middle = met + (missed - met) / 2;
        match smallest(population, middle, bound) {
            Some(_) => met = middle,
            None => missed = middle,
        }
    }
    met
}

#[cfg(test)]
mod tests {
    use super::*;
    use constellation_chain::PublicKey;

    #[test]
    fn the_gate_and_the_chain_mean_the_same_fault_bound() {
        for seats in 1..=COMMITTEE_MAX {
            let members = vec![PublicKey([0; 32]); seats];
            let committee = constellation_chain::Committee::new(members);
            assert_eq!(fault_bound(seats as u32) as usize, committee.fault_bound(), "{seats}");
        }
    }
}
