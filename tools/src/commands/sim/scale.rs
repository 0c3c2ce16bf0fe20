//! `constellation sim scale`: how a constellation grows, from a hundred stars to a million, and what stops it.

use std::path::PathBuf;
use std::thread;

use clap::value_parser;
use constellation_chain::COMMITTEE_MAX;

use crate::commands::plan::within;
use crate::exit::{Exit, Failure, help};
use crate::output::Output;
use crate::plan::{CORES, ROUND_TRIP_MS, Site, TRANSACTION_BYTES, UPLINK_MBIT, VERIFY_PER_S};
use crate::scale::{Devnet, DevnetComparison, Options, RATE_PER_STAR_S, STARS_PER_CLUSTER, VALIDATORS, page, report};

/// Simulate growth: throughput from 100 to 1,000,000 stars, 4 to 32 facilitators a cluster, and what is full first
///
/// A model that goes by rounds and not by messages, on measured costs. Small networks of the real state machines run beside it in virtual time, and where it is more than
/// 20 % from them the command fails. The paper's figure 5 stands beside ours, as published for CHECO, whose evaluation has the paper's 4,800 a second with 1,200
/// nodes. "Linear" is a line by least squares through 1 to 1,000 clusters; the first limit is what is full above the last clusters whose transactions all become
/// final. Galaxies under a parent galaxy are modelled, not built.
///
/// Today's protocol has at most 256 clusters, 1,024 seats in them and 4 MiB a round of all of them: rows beyond say so.
#[derive(Debug, clap::Args)]
#[command(after_help = help(
    &[
        "constellation sim scale",
        "constellation sim scale --html scale.html",
        "constellation devnet --clusters 2 --json > devnet.json && constellation sim scale --devnet devnet.json",
        "constellation sim scale --rate-per-star 0.2 --validators 16 --cores 64 --uplink-mbit 10000 --json",
    ],
    &[Exit::CheckFailed, Exit::Machine],
))]
pub struct Args {
    /// Transactions a second that each star sends
    #[arg(long, value_name = "N", default_value_t = RATE_PER_STAR_S, value_parser = rate_per_star)]
    rate_per_star: f64,
    /// Stars of a cluster
    #[arg(long, value_name = "N", default_value_t = STARS_PER_CLUSTER, value_parser = value_parser!(u32).range(1..=1_000_000))]
    stars_per_cluster: u32,
    /// Validators of a galaxy
    #[arg(long, value_name = "N", default_value_t = VALIDATORS, value_parser = value_parser!(u32).range(4..=COMMITTEE_MAX as i64))]
    validators: u32,
    /// Cores of a node
    #[arg(long, value_name = "N", default_value_t = CORES, value_parser = value_parser!(u32).range(1..=4096))]
    cores: u32,
    /// What a node's link carries, either way, in megabits a second
    #[arg(long, value_name = "N", default_value_t = UPLINK_MBIT, value_parser = within::<1, 10_000_000>)]
    uplink_mbit: f64,
    /// There and back between two nodes, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = ROUND_TRIP_MS, value_parser = within::<0, 60_000>)]
    round_trip_ms: f64,
    /// Signatures that one core verifies in a second (`constellation bench verify` measures it)
    #[arg(long, value_name = "N", default_value_t = VERIFY_PER_S, value_parser = within::<1, 1_000_000_000>)]
    verify_per_s: f64,
    /// Virtual seconds that each small network of real state machines runs; 0 leaves them out
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = value_parser!(u32).range(0..=600))]
    machines_s: u32,
    /// The seed of those networks
    #[arg(long, default_value_t = 0, value_name = "N")]
    seed: u64,
    /// A report of `constellation devnet --json` on this machine, to stand beside the model of that network; may be given again
    #[arg(long, value_name = "FILE")]
    devnet: Vec<PathBuf>,
    /// Also write the report as an HTML page with plots
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    #[command(flatten)]
    output: Output,
}

impl Args {
    pub fn run(self) -> Result<(), Failure> {
        let devnets = self.devnets()?;
        let report = report(&self.options(), self.machines_s, self.seed, devnets).map_err(|violation| {
            Failure::new(Exit::CheckFailed, format_args!("the state machines broke their protocol: {violation}"))
        })?;
        if let Some(path) = &self.html {
            std::fs::write(path, page(&report)).map_err(|error| {
                Failure::new(Exit::Machine, format_args!("cannot write {}: {error}", path.display()))
            })?;
        }
        let written = self.output.write(&report);
        // A reader that has gone must not turn a disagreement into a success.
        match report.agrees {
            true => written,
            false => Err(Failure::new(
                Exit::CheckFailed,
                "the model is more than 20 % from the real state machines: see the ratios; a longer --machines-s has less chance in it",
            )),
        }
    }

    fn devnets(&self) -> Result<Vec<DevnetComparison>, Failure> {
        let cores = thread::available_parallelism().map_or(1, usize::from) as f64;
        let one = |path: &PathBuf| {
            let json = std::fs::read_to_string(path).map_err(|error| Failure::reading(path.display(), &error))?;
            let devnet = Devnet::read(&json).map_err(|why| {
                Failure::new(Exit::BadInput, format_args!("{} is no report of devnet --json: {why}", path.display()))
            })?;
            Ok(devnet.compare(cores))
        };
        self.devnet.iter().map(one).collect()
    }

    fn options(&self) -> Options {
        let site = Site {
            round_trip_ms: self.round_trip_ms,
            verify_per_s: self.verify_per_s,
            cores: self.cores,
            transaction_bytes: TRANSACTION_BYTES,
            uplink_mbit: self.uplink_mbit,
        };
        Options {
            rate_per_star_s: self.rate_per_star,
            stars_per_cluster: self.stars_per_cluster,
            validators: self.validators,
            site: site.into(),
        }
    }
}

/// More than none, and no more than anybody signs.
fn rate_per_star(text: &str) -> Result<f64, String> {
    let rate: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    (1e-6..=1e4).contains(&rate).then_some(rate).ok_or_else(|| "0.000001 to 10000 are possible".to_owned())
}
