//! `constellation sim node`: whole nodes in virtual time against an adversary.

use std::fmt::{self, Display};
use std::sync::Arc;

use constellation_node::VerifyEngine;
use constellation_simulator::node::{Adversary, Report, Scenario};
use constellation_simulator::scenario::faulty_max;
use serde::Serialize;

use super::{Chosen, Found, Runs, judge, write_found};
use crate::exit::{Exit, Failure, help};
use crate::output::Output;

/// Simulate whole nodes: rounds, ledger, journals, logs and catch-up, in virtual time
///
/// Stars send each other 120 transfers or so while the adversary does its worst, then send again what is not final. Every honest node must come to hold
/// everything, all logs must verify from the first byte and agree, nobody honest may contradict itself or say what it has not journalled, and with a
/// third faulty commits must go on. Latency is virtual: links take 50 to 3,050 µs, computing takes no time.
#[derive(Debug, clap::Args)]
#[command(after_help = help(
    &[
        "constellation sim node --nodes 16 --adversary partition --seed 3",
        "constellation sim node --nodes 4 --adversary kills --runs 100 --json",
    ],
    &[Exit::CheckFailed, Exit::Machine],
))]
pub struct Args {
    /// Nodes, 1 to 64, all of them validators and facilitators
    #[arg(long, default_value_t = 4, value_name = "N")]
    nodes: usize,
    /// How many of them are the adversary's [default: as many as the protocol bears; none where honest ones are killed or cut off]
    #[arg(long, value_name = "N")]
    faulty: Option<usize>,
    /// What happens to them
    #[arg(long, default_value = "all", value_name = "NAME", value_parser = Chosen::<Adversary>::parser())]
    adversary: Chosen<Adversary>,
    #[command(flatten)]
    runs: Runs,
    #[command(flatten)]
    output: Output,
}

impl Args {
    pub fn run(self) -> Result<(), Failure> {
        let faulty = |nodes, adversary: Adversary| {
            let most = if adversary.hurts_honest_nodes() { 0 } else { faulty_max(nodes) };
            self.faulty.unwrap_or(most)
        };
        let scenarios = self.adversary.scenarios(&[self.nodes], faulty)?;
        let compute = Arc::new(VerifyEngine::detect());
        let run = |scenario: &Scenario, reports: &mut Vec<Report>| {
            let outcome = scenario.run(compute.clone());
            reports.push(outcome.report);
            outcome.violation.map(|violation| violation.to_string())
        };
        let harvest = self.runs.harvest("constellation sim node", &scenarios, run, Vec::extend)?;
        let report = NodeReport {
            nodes: self.nodes,
            seed: self.runs.seed,
            runs: harvest.sums.iter().map(|reports| reports.len() as u64).sum(),
            violations: harvest.violation_count,
            rows: scenarios.iter().zip(&harvest.sums).map(|(one, reports)| Row::new(one, reports)).collect(),
            found: harvest.violations,
        };
        let written = self.output.write(&report);
        // A reader that has gone must not turn a violation into a success.
        judge(report.violations, &report.found, report.runs).and(written)
    }
}

/// The report. Field names are stable.
#[derive(Debug, Serialize)]
struct NodeReport {
    nodes: usize,
    /// The first seed.
    seed: u64,
    runs: u64,
    violations: u64,
    rows: Vec<Row>,
    /// The first violations.
    found: Vec<Found>,
}

/// The runs of one adversary. Means are over runs, those of latency over committed transfers.
#[derive(Debug, Serialize)]
struct Row {
    adversary: &'static str,
    faulty: usize,
    runs: u64,
    submitted: u64,
    committed: u64,
    height_mean: f64,
    latency_mean_ms: f64,
    latency_max_ms: f64,
    virtual_s_mean: f64,
    messages_mean: f64,
    bytes_mean: f64,
    faults_mean: f64,
    kills_mean: f64,
    /// Of all runs: clusters that split, merged, and got other facilitators; changes of the validators.
    splits: u64,
    merges: u64,
    elected_anew: u64,
    validator_changes: u64,
}

impl Row {
    fn new(scenario: &Scenario, reports: &[Report]) -> Self {
        let runs = reports.len() as u64;
        let sum = |number: fn(&Report) -> u64| reports.iter().map(number).sum::<u64>();
        let mean = |number| sum(number) as f64 / runs.max(1) as f64;
        let committed = sum(|report| report.committed);
        let latency_max_us = reports.iter().map(|report| report.latency_max_us).max().unwrap_or_default();
        Self {
            adversary: scenario.adversary().name(),
            faulty: scenario.faulty(),
            runs,
            submitted: sum(|report| report.submitted),
            committed,
            height_mean: mean(|report| report.height),
            latency_mean_ms: sum(|report| report.latency_sum_us) as f64 / committed.max(1) as f64 / 1e3,
            latency_max_ms: latency_max_us as f64 / 1e3,
            virtual_s_mean: mean(|report| report.virtual_us) / 1e6,
            messages_mean: mean(|report| report.messages),
            bytes_mean: mean(|report| report.bytes),
            faults_mean: mean(|report| report.faults),
            kills_mean: mean(|report| report.kills),
            splits: sum(|report| report.changes.splits),
            merges: sum(|report| report.changes.merges),
            elected_anew: sum(|report| report.changes.elected_anew),
            validator_changes: sum(|report| report.changes.validators),
        }
    }
}

impl Display for NodeReport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { nodes, seed, runs, violations, .. } = self;
        writeln!(formatter, "{nodes} nodes; {runs} runs from seed {seed}: {violations} violations\n")?;
        writeln!(
            formatter,
            "{:13} {:>6} {:>6} {:>10} {:>10} {:>7} {:>11} {:>8} {:>10} {:>9} {:>9} {:>7} {:>6}",
            "adversary",
            "faulty",
            "runs",
            "submitted",
            "committed",
            "height",
            "latency ms",
            "max",
            "virtual s",
            "messages",
            "KB",
            "faults",
            "kills"
        )?;
        for row in &self.rows {
            writeln!(
                formatter,
                "{:13} {:>6} {:>6} {:>10} {:>10} {:>7.1} {:>11.1} {:>8.0} {:>10.1} {:>9.0} {:>9.0} {:>7.0} {:>6.1}",
                row.adversary,
                row.faulty,
                row.runs,
                row.submitted,
                row.committed,
                row.height_mean,
                row.latency_mean_ms,
                row.latency_max_ms,
                row.virtual_s_mean,
                row.messages_mean,
                row.bytes_mean / 1e3,
                row.faults_mean,
                row.kills_mean
            )?;
        }
        write_found(formatter, &self.found)
    }
}
