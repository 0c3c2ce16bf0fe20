//! `constellation plan`: committees, clusters, times and loads for a network that does not exist yet.

use std::path::PathBuf;

use constellation_chain::{FIXED_LEN_BYTES, PAYLOAD_MAX_BYTES};
use constellation_meme::Ratio;

use crate::exit::{Exit, Failure, help};
use crate::output::Output;
use crate::plan::{CORES, Demand, ROUND_TRIP_MS, Site, TRANSACTION_BYTES, UPLINK_MBIT, VERIFY_PER_S, page, plan};

/// Plan a network: committee size, clusters, round time, loads, and how likely it is to fail
///
/// A committee of n = 3f + 1 fails when more than f of its members are faulty. That probability is exact, for seats drawn from the
/// whole population without replacement. --max-failure bounds it for each election, that is for each committee drawn: a cluster's
/// facilitators change every round, so there are many elections in a year. The plan also tells the probability of any failure in a
/// round of all clusters and in a year, as upper bounds (elections × probability); the galaxy's validators are counted as if they were
/// drawn anew in each of its rounds, which overstates their part.
///
/// Clusters are as few as the bytes of a round, links and cores allow; no star serves in two. Times and loads are a model on measured
/// costs: 7 one-way delays a round, sending, verifying and the common subset's CPU time. All nodes are taken to be alike.
#[derive(Debug, clap::Args)]
#[command(after_help = help(
    &[
        "constellation plan --population 2000 --faulty 10% --max-failure 1e-9 --rate 200000",
        "constellation plan --population 100000 --faulty 12.5% --max-failure 1e-6 --rate 50000 --round-trip-ms 20 --json",
        "constellation plan --population 2000 --faulty 20% --max-failure 1e-9 --rate 200000 --html plan.html",
    ],
    &[Exit::Machine],
))]
pub struct Args {
    /// Stars that can be elected
    #[arg(long, value_name = "N")]
    population: u32,
    /// Share of them that may be faulty: 20%, 0.2 or 1/5; less than a third. Counted in stars, rounded up
    #[arg(long, value_name = "SHARE")]
    faulty: Ratio,
    /// The most that the probability of failure may be, for each election of a committee
    #[arg(long, value_name = "PROBABILITY")]
    max_failure: Ratio,
    /// Transactions a second that are to become final
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(..=1_000_000_000_000))]
    rate: u64,
    /// There and back between two nodes, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = ROUND_TRIP_MS, value_parser = within::<0, 60_000>)]
    round_trip_ms: f64,
    /// Signatures that one core verifies in a second (`constellation bench verify` measures it)
    #[arg(long, value_name = "N", default_value_t = VERIFY_PER_S, value_parser = within::<1, 1_000_000_000>)]
    verify_per_s: f64,
    /// Cores of a node
    #[arg(long, value_name = "N", default_value_t = CORES, value_parser = clap::value_parser!(u32).range(1..=4096))]
    cores: u32,
    /// Bytes of a transaction: 328, and its payload
    #[arg(long, value_name = "N", default_value_t = TRANSACTION_BYTES, value_parser = transaction_bytes())]
    transaction_bytes: u32,
    /// What a node's link carries, either way, in megabits a second
    #[arg(long, value_name = "N", default_value_t = UPLINK_MBIT, value_parser = within::<1, 10_000_000>)]
    uplink_mbit: f64,
    /// Also write the plan, or why it is refused, as an HTML page with plots of failure against committee size
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    #[command(flatten)]
    output: Output,
}

impl Args {
    /// Runs the command.
    pub fn run(self) -> Result<(), Failure> {
        let demand = self.demand();
        let outcome = plan(&demand);
        if let Some(path) = &self.html {
            std::fs::write(path, page(&demand, &outcome)).map_err(|error| {
                Failure::new(Exit::Machine, format_args!("cannot write {}: {error}", path.display()))
            })?;
        }
        let plan = outcome.map_err(|refusal| Failure::from_error(Exit::BadInput, &refusal))?;
        self.output.write(&plan)
    }

    fn demand(&self) -> Demand {
        let site = Site {
            round_trip_ms: self.round_trip_ms,
            verify_per_s: self.verify_per_s,
            cores: self.cores,
            transaction_bytes: self.transaction_bytes,
            uplink_mbit: self.uplink_mbit,
        };
        Demand {
            population: self.population,
            faulty: self.faulty.clone(),
            max_failure: self.max_failure.clone(),
            rate_per_s: self.rate,
            site,
        }
    }
}

/// A number from `MIN` to `MAX`.
pub(super) fn within<const MIN: u32, const MAX: u32>(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    let is_within = (f64::from(MIN)..=f64::from(MAX)).contains(&number);
    is_within.then_some(number).ok_or_else(|| format!("{MIN} to {MAX} are possible"))
}

fn transaction_bytes() -> clap::builder::RangedI64ValueParser<u32> {
    let least = FIXED_LEN_BYTES as i64;
    clap::value_parser!(u32).range(least..=least + PAYLOAD_MAX_BYTES as i64)
}
