//! `constellation sim acs`: one common subset after another against an adversary.

use std::fmt::{self, Display};

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use constellation_simulator::acs::{Adversary, NODES_MAX, Scenario, ScenarioError, Summary, faulty_max};
use serde::Serialize;

use super::{Found, Runs, judge};
use crate::exit::{Exit, Failure, help};
use crate::output::Output;

/// Simulate common subsets: agreement, totality, validity, termination, bounds
///
/// Each run is one common subset of all nodes over real encoded messages. What an adversary's name leaves open (the order of messages, what
/// faulty nodes do, repeats, crashes) its seed chooses. Rounds are those of an agreement, until its last honest node has decided; "besieged" are
/// those agreements that a coin-aware scheduler tries to hold. Held runs are those in which coin-splitting, whom no claim excludes, held one for
/// 64 rounds and then let go; any other adversary that can do so breaks the protocol.
#[derive(Debug, clap::Args)]
#[command(after_help = help(
    &[
        "constellation sim acs --nodes 31 --faulty 10 --adversary coin-aware --seed 7",
        "constellation sim acs --nodes 10 --adversary all --runs 10000 --json",
    ],
    &[Exit::CheckFailed, Exit::Machine],
))]
pub struct Args {
    /// Nodes, 1 to 128
    #[arg(long, default_value_t = 4, value_name = "N")]
    nodes: usize,
    /// How many of them are the adversary's [default: as many as the protocol bears, a third less one]
    #[arg(long, value_name = "N")]
    faulty: Option<usize>,
    /// Who is against them
    #[arg(long, default_value = "all", value_name = "NAME", value_parser = adversaries(), hide_possible_values = false)]
    adversary: Adversaries,
    #[command(flatten)]
    runs: Runs,
    #[command(flatten)]
    output: Output,
}

/// One adversary, or every one in turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Adversaries {
    All,
    One(Adversary),
}

fn adversaries() -> impl TypedValueParser<Value = Adversaries> {
    let all = PossibleValue::new("all").help("each of the others in turn");
    let each = Adversary::ALL.map(|one| PossibleValue::new(one.name()).help(one.description()));
    PossibleValuesParser::new(std::iter::once(all).chain(each))
        .map(|name| name.parse().map_or(Adversaries::All, Adversaries::One))
}

impl Args {
    pub fn run(self) -> Result<(), Failure> {
        let faulty = self.faulty.unwrap_or(faulty_max(self.nodes));
        let scenarios = self.scenarios(faulty)?;
        let adversaries = scenarios.len() as u64;
        // Adversary by adversary within a seed, so that threads share slow and quick ones alike.
        let scenario = |index: u64| {
            let with_seed = scenarios[(index % adversaries) as usize].with_seed(self.runs.seed(index / adversaries));
            (with_seed, (index % adversaries) as usize)
        };
        let harvest = self.runs.harvest(
            self.runs.runs * adversaries,
            |index| format!("constellation sim acs {}", scenario(index).0),
            |index, sums: &mut Vec<Summary>| {
                sums.resize_with(scenarios.len(), Summary::default);
                let (scenario, place) = scenario(index);
                let outcome = scenario.run();
                sums[place].add(&outcome.report);
                outcome.violation.map(|violation| violation.to_string())
            },
        )?;
        let mut sums = vec![Summary::default(); scenarios.len()];
        for part in &harvest.parts {
            sums.iter_mut().zip(part).for_each(|(sum, part)| sum.merge(part));
        }
        let report = AcsReport {
            nodes: self.nodes,
            faulty,
            seed: self.runs.seed,
            runs: sums.iter().map(|sum| sum.runs).sum(),
            violations: harvest.violation_count,
            rows: scenarios.iter().zip(&sums).map(|(scenario, sum)| Row::new(scenario.adversary(), sum)).collect(),
            found: harvest.violations,
        };
        let written = self.output.write(&report);
        // A reader that has gone must not turn a violation into a success.
        judge(report.violations, &report.found, report.runs).and(written)
    }

    fn scenarios(&self, faulty: usize) -> Result<Vec<Scenario>, Failure> {
        let adversaries = match self.adversary {
            Adversaries::All => Adversary::ALL.to_vec(),
            Adversaries::One(adversary) => vec![adversary],
        };
        let scenario = |adversary| Scenario::new(self.nodes, faulty, adversary, self.runs.seed);
        let scenarios: Result<Vec<_>, _> = adversaries.into_iter().map(scenario).collect();
        scenarios.map_err(|error| {
            let remedy = match error {
                ScenarioError::Nodes(_) => format!("give --nodes 1 to {NODES_MAX}"),
                ScenarioError::Faulty { most, .. } => format!("give --faulty 0 to {most}, or more --nodes"),
            };
            Failure::new(Exit::BadInput, format_args!("{error}: {remedy}"))
        })
    }
}

/// The report. Field names are stable.
#[derive(Debug, Serialize)]
struct AcsReport {
    nodes: usize,
    faulty: usize,
    /// The first seed.
    seed: u64,
    runs: u64,
    violations: u64,
    rows: Vec<Row>,
    /// The first violations.
    found: Vec<Found>,
}

/// The runs of one adversary. Means are over runs, those of rounds over agreements.
#[derive(Debug, Serialize)]
struct Row {
    adversary: &'static str,
    runs: u64,
    rounds_mean: Option<f64>,
    rounds_max: u32,
    besieged_rounds_mean: Option<f64>,
    held_runs: u64,
    delays_mean: f64,
    delays_max: u32,
    coins_mean: f64,
    messages_mean: f64,
    bytes_mean: f64,
    pulls_mean: f64,
    faults_mean: f64,
    restarts_mean: f64,
}

impl Row {
    fn new(adversary: Adversary, sum: &Summary) -> Self {
        let mean = |total: u64| total as f64 / sum.runs.max(1) as f64;
        let total = &sum.total;
        Self {
            adversary: adversary.name(),
            runs: sum.runs,
            rounds_mean: total.rounds.mean(),
            rounds_max: total.rounds.max,
            besieged_rounds_mean: total.besieged.mean(),
            held_runs: sum.held,
            delays_mean: mean(sum.delays_sum),
            delays_max: total.delays,
            coins_mean: mean(total.coins),
            messages_mean: mean(total.messages),
            bytes_mean: mean(total.bytes),
            pulls_mean: mean(total.pulls),
            faults_mean: mean(total.faults),
            restarts_mean: mean(total.restarts),
        }
    }
}

impl Display for AcsReport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { nodes, faulty, seed, runs, violations, .. } = self;
        writeln!(
            formatter,
            "{nodes} nodes, {faulty} of them faulty; {runs} runs from seed {seed}: {violations} violations\n"
        )?;
        writeln!(
            formatter,
            "{:15} {:>8} {:>11} {:>8} {:>9} {:>5} {:>12} {:>7} {:>9} {:>9} {:>8} {:>8}",
            "adversary",
            "runs",
            "rounds mean",
            "max",
            "besieged",
            "held",
            "delays mean",
            "coins",
            "messages",
            "KB",
            "faults",
            "restarts"
        )?;
        for row in &self.rows {
            let shown = |mean: Option<f64>| mean.map_or_else(|| "-".to_owned(), |mean| format!("{mean:.2}"));
            writeln!(
                formatter,
                "{:15} {:>8} {:>11} {:>8} {:>9} {:>5} {:>12.1} {:>7.1} {:>9.0} {:>9.1} {:>8.0} {:>8.1}",
                row.adversary,
                row.runs,
                shown(row.rounds_mean),
                row.rounds_max,
                shown(row.besieged_rounds_mean),
                row.held_runs,
                row.delays_mean,
                row.coins_mean,
                row.messages_mean,
                row.bytes_mean / 1e3,
                row.faults_mean,
                row.restarts_mean
            )?;
        }
        for Found { violation, replay, .. } in &self.found {
            writeln!(formatter, "\n{violation}\n  replay it: {replay}")?;
        }
        Ok(())
    }
}
