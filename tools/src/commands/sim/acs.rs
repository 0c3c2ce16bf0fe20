//! `constellation sim acs`: one common subset after another against an adversary.

use std::fmt::{self, Display};

use constellation_simulator::acs::{Adversary, Scenario, Summary, Violation};
use constellation_simulator::scenario::faulty_max;
use serde::Serialize;

use super::{Chosen, Found, Runs, judge, write_found};
use crate::exit::{Exit, Failure, help};
use crate::output::Output;

/// Simulate common subsets: agreement, totality, validity, termination, bounds
///
/// Each run is one common subset of all nodes over real encoded messages. What an adversary's name leaves open (the order of messages, what
/// faulty nodes do, repeats, crashes) its seed chooses. Rounds are those of an agreement, until its last honest node has decided; "besieged" are
/// those agreements that a coin-aware scheduler tries to hold. Held runs are those in which an adversary that no claim excludes held one for as
/// long as it tried (coin-splitting 40 rounds, outrunning 8) and then let go; any other that can do so breaks the protocol.
#[derive(Debug, clap::Args)]
#[command(after_help = help(
    &[
        "constellation sim acs --nodes 31 --faulty 10 --adversary coin-aware --seed 7",
        "constellation sim acs --nodes 4,7,10 --runs 1450",
        "constellation sim acs --nodes 4,7,10,13,16,22,31 --adversary coin-aware --runs 1000 --json",
    ],
    &[Exit::CheckFailed, Exit::Machine],
))]
pub struct Args {
    /// Nodes, 1 to 128; several numbers, with commas, for runs of each size
    #[arg(long, default_value = "4", value_name = "N", value_delimiter = ',')]
    nodes: Vec<usize>,
    /// How many of them are the adversary's [default: as many as the protocol bears, a third less one]
    #[arg(long, value_name = "N")]
    faulty: Option<usize>,
    /// Who is against them
    #[arg(long, default_value = "all", value_name = "NAME", value_parser = Chosen::<Adversary>::parser())]
    adversary: Chosen<Adversary>,
    #[command(flatten)]
    runs: Runs,
    #[command(flatten)]
    output: Output,
}

impl Args {
    pub fn run(self) -> Result<(), Failure> {
        let faulty = |nodes, _| self.faulty.unwrap_or(faulty_max(nodes));
        let scenarios = self.adversary.scenarios(&self.nodes, faulty)?;
        let run = |scenario: &Scenario, sum: &mut Sum| {
            let outcome = scenario.run();
            sum.numbers.add(&outcome.report);
            let is_stuck = outcome.violation.as_ref().is_some_and(Violation::is_stuck);
            sum.stuck += u64::from(is_stuck);
            sum.unsafe_runs += u64::from(outcome.violation.is_some() && !is_stuck);
            outcome.violation.map(|violation| violation.to_string())
        };
        let harvest = self.runs.harvest("constellation sim acs", &scenarios, run, |sum, part| sum.merge(&part))?;
        let rows: Vec<Row> = scenarios.iter().zip(&harvest.sums).map(|(one, sum)| Row::new(one, sum)).collect();
        let report = AcsReport {
            seed: self.runs.seed,
            runs: rows.iter().map(|row| row.runs).sum(),
            violations: harvest.violation_count,
            rows,
            found: harvest.violations,
        };
        let written = self.output.write(&report);
        // A reader that has gone must not turn a violation into a success.
        judge(report.violations, &report.found, report.runs).and(written)
    }
}

/// The runs of one scenario.
#[derive(Debug, Default)]
struct Sum {
    numbers: Summary,
    unsafe_runs: u64,
    stuck: u64,
}

impl Sum {
    fn merge(&mut self, other: &Self) {
        self.numbers.merge(&other.numbers);
        self.unsafe_runs += other.unsafe_runs;
        self.stuck += other.stuck;
    }
}

/// The report. Field names are stable.
#[derive(Debug, Serialize)]
struct AcsReport {
    /// The first seed.
    seed: u64,
    runs: u64,
    violations: u64,
    rows: Vec<Row>,
    /// The first violations.
    found: Vec<Found>,
}

/// The runs of one adversary and size. Means are over runs, those of rounds over agreements.
#[derive(Debug, Serialize)]
struct Row {
    adversary: &'static str,
    nodes: usize,
    faulty: usize,
    runs: u64,
    /// Runs that broke a claim of safety.
    unsafe_runs: u64,
    /// Runs that did not end.
    stuck_runs: u64,
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
    fn new(scenario: &Scenario, Sum { numbers: sum, unsafe_runs, stuck }: &Sum) -> Self {
        let mean = |total: u64| total as f64 / sum.runs.max(1) as f64;
        let total = &sum.total;
        Self {
            adversary: scenario.adversary().name(),
            nodes: scenario.nodes(),
            faulty: scenario.faulty(),
            runs: sum.runs,
            unsafe_runs: *unsafe_runs,
            stuck_runs: *stuck,
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
        let Self { seed, runs, violations, .. } = self;
        writeln!(formatter, "{runs} runs from seed {seed}: {violations} violations\n")?;
        writeln!(
            formatter,
            "{:16} {:>5} {:>6} {:>7} {:>6} {:>5} {:>11} {:>8} {:>9} {:>5} {:>12} {:>7} {:>9} {:>9} {:>8} {:>8}",
            "adversary",
            "nodes",
            "faulty",
            "runs",
            "unsafe",
            "stuck",
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
                "{:16} {:>5} {:>6} {:>7} {:>6} {:>5} {:>11} {:>8} {:>9} {:>5} {:>12.1} {:>7.1} {:>9.0} {:>9.1} {:>8.0} {:>8.1}",
                row.adversary,
                row.nodes,
                row.faulty,
                row.runs,
                row.unsafe_runs,
                row.stuck_runs,
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
        write_found(formatter, &self.found)
    }
}
