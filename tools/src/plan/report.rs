//! A plan as data, as text, and as the rows that the page shows too.

use std::fmt;

use constellation_meme::{Ratio, fault_bound};
use constellation_node::ROUND_MAX_BYTES;
use serde::Serialize;

use crate::plan::costs::{LOAD_MAX, YEAR_S};
use crate::plan::gate::Committee;
use crate::plan::model::{Layout, mbit};
use crate::plan::{Demand, Site};

/// A failure in a year that is more likely than this is worth a note.
const FAILURE_PER_YEAR_MAX: f64 = 0.001;

/// A plan. Field names are stable. Probabilities are exact where the plan is made; here they are rounded to what a float holds, and
/// below its smallest they are 0.
#[derive(Clone, Debug, Serialize)]
pub struct Plan {
    /// Stars that can be elected.
    pub population: u32,
    /// How many of them may be faulty.
    pub faulty: u32,
    /// The bound on `failure_per_election`.
    pub max_failure: f64,
    /// Transactions a second.
    pub rate_per_s: u64,
    /// Facilitators of a cluster; validators of the galaxy.
    pub committee: u32,
    /// Faulty members that a committee bears.
    pub fault_bound: u32,
    /// Clusters.
    pub clusters: u32,
    /// From a cluster round's start to its block's certificate.
    pub round_time_ms: f64,
    /// Between the starts of two rounds of a cluster.
    pub round_interval_ms: f64,
    /// From a galaxy round's start to its black hole's certificate.
    pub galaxy_round_time_ms: f64,
    /// From a transaction's admission to its black hole, on the average.
    pub finality_ms: f64,
    /// Transactions in a cluster's round.
    pub transactions_per_round: f64,
    /// Megabits a second that a facilitator sends.
    pub facilitator_up_mbit_per_s: f64,
    /// Megabits a second that a facilitator receives.
    pub facilitator_down_mbit_per_s: f64,
    /// Cores busy at a facilitator.
    pub facilitator_cores: f64,
    /// Megabits a second that a validator sends.
    pub validator_up_mbit_per_s: f64,
    /// Megabits a second that a validator receives.
    pub validator_down_mbit_per_s: f64,
    /// Cores busy at a validator.
    pub validator_cores: f64,
    /// Probability that one drawn committee has more faulty members than it bears.
    pub failure_per_election: f64,
    /// That any cluster's committee of one round has; at most this.
    pub failure_per_round: f64,
    /// Committees drawn in a year: every cluster's each round, and the galaxy's each of its rounds.
    pub elections_per_year: f64,
    /// Probability that any of them has; at most this.
    pub failure_per_year: f64,
    /// What the plan takes for granted.
    pub site: Site,
    /// What to know before it is relied on.
    pub notes: Vec<String>,
}

impl Plan {
    /// The plan of a demand that can be met.
    pub(super) fn new(demand: &Demand, committee: &Committee, layout: &Layout) -> Self {
        let elections_per_year =
            YEAR_S * (f64::from(layout.clusters) / layout.interval_s + 1.0 / layout.galaxy_round_s);
        let any_of = |elections: u64| number(&committee.failure.times(elections).min(Ratio::from(1)));
        Plan {
            population: demand.population,
            faulty: committee.faulty,
            max_failure: number(&demand.max_failure),
            rate_per_s: demand.rate_per_s,
            committee: committee.seats,
            fault_bound: fault_bound(committee.seats),
            clusters: layout.clusters,
            round_time_ms: rounded(layout.round_s * 1e3),
            round_interval_ms: rounded(layout.interval_s * 1e3),
            galaxy_round_time_ms: rounded(layout.galaxy_round_s * 1e3),
            finality_ms: rounded(layout.finality_s() * 1e3),
            transactions_per_round: rounded(layout.round_bytes / f64::from(demand.site.transaction_bytes)),
            facilitator_up_mbit_per_s: rounded(mbit(layout.facilitator.up_bytes_per_s)),
            facilitator_down_mbit_per_s: rounded(mbit(layout.facilitator.down_bytes_per_s)),
            facilitator_cores: rounded(layout.facilitator.cores),
            validator_up_mbit_per_s: rounded(mbit(layout.validator.up_bytes_per_s)),
            validator_down_mbit_per_s: rounded(mbit(layout.validator.down_bytes_per_s)),
            validator_cores: rounded(layout.validator.cores),
            failure_per_election: number(&committee.failure),
            failure_per_round: any_of(layout.clusters.into()),
            elections_per_year: elections_per_year.ceil(),
            failure_per_year: any_of(elections_per_year.ceil() as u64),
            site: demand.site,
            notes: notes(layout, elections_per_year, any_of(elections_per_year.ceil() as u64)),
        }
    }

    /// The plan as names and texts.
    pub(super) fn rows(&self) -> Vec<(&'static str, String)> {
        let Self { population, faulty, rate_per_s, committee, fault_bound, clusters, .. } = self;
        let Site { round_trip_ms, verify_per_s, cores, transaction_bytes, uplink_mbit } = self.site;
        let (round, galaxy_round, interval) = (self.round_time_ms, self.galaxy_round_time_ms, self.round_interval_ms);
        let (held, finality, elections) = (self.transactions_per_round, self.finality_ms, self.elections_per_year);
        let (election, all) = (probability(self.failure_per_election), probability(self.failure_per_round));
        let (year, bound) = (probability(self.failure_per_year), probability(self.max_failure));
        let facilitator = (self.facilitator_up_mbit_per_s, self.facilitator_down_mbit_per_s, self.facilitator_cores);
        let validator = (self.validator_up_mbit_per_s, self.validator_down_mbit_per_s, self.validator_cores);
        let mut rows = vec![
            ("demand", format!("{rate_per_s} transactions a second; {population} stars, {faulty} of them faulty")),
            ("committee", format!("{committee} members, {fault_bound} of which may be faulty")),
            ("clusters", format!("{clusters} of {committee} facilitators; the galaxy has {committee} validators")),
            ("round time", format!("{round:.0} ms in a cluster, {galaxy_round:.0} ms in the galaxy")),
            ("rounds", format!("one each {interval:.0} ms in a cluster, of {held:.0} transactions")),
            ("final after", format!("{finality:.0} ms on the average")),
            ("facilitator", load(facilitator)),
            ("validator", load(validator)),
            ("failure", format!("{election} an election, where at most {bound} is asked for")),
            ("", format!("at most {all} a round of all clusters")),
            ("", format!("at most {year} a year of {elections:.2e} elections")),
            ("assumed", format!("round trip {round_trip_ms} ms, link {uplink_mbit} Mbit/s, {cores} cores a node")),
            ("", format!("{verify_per_s} verifications a second and core, {transaction_bytes} bytes a transaction")),
        ];
        rows.extend(self.notes.iter().map(|note| ("note", note.clone())));
        rows
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.rows().iter().try_for_each(|(name, text)| writeln!(f, "{name:<13}{text}"))
    }
}

/// Megabits a second sent and received, and cores.
fn load((up, down, cores): (f64, f64, f64)) -> String {
    format!("sends {up:.1} Mbit/s, receives {down:.1} Mbit/s, {cores:.2} cores busy")
}

/// Three digits, and the certain ones whole.
fn probability(value: f64) -> String {
    if value > 0.0 && value < 1.0 { format!("{value:.2e}") } else { value.to_string() }
}

fn notes(layout: &Layout, elections_per_year: f64, failure_per_year: f64) -> Vec<String> {
    let mut notes = Vec::new();
    let all_bytes = layout.round_bytes * f64::from(layout.clusters);
    if all_bytes > ROUND_MAX_BYTES as f64 {
        notes.push(format!(
            "the clusters' rounds hold {:.0} MiB together; today's protocol gives all clusters of a galaxy {} MiB a round",
            all_bytes / f64::from(1 << 20),
            ROUND_MAX_BYTES >> 20
        ));
    }
    if failure_per_year > FAILURE_PER_YEAR_MAX {
        notes.push(format!(
            "--max-failure is for one election: for at most {FAILURE_PER_YEAR_MAX} a year ask for about {:.0e}",
            FAILURE_PER_YEAR_MAX / elections_per_year
        ));
    }
    if layout.apply_cores > LOAD_MAX {
        notes.push(format!(
            "a validator's work includes {:.1} cores of applying transactions, which today's node does on one: the plan needs it spread over several",
            layout.apply_cores
        ));
    }
    notes
}

/// A fraction as the nearest float, or nearly.
pub(super) fn number(ratio: &Ratio) -> f64 {
    ratio.scientific(17).parse().unwrap_or(0.0)
}

/// To three decimals: a model knows no more.
fn rounded(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}
