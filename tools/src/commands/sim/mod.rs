//! `constellation sim`: whole networks in one thread, driven by a seed, against adversaries; and how they grow. Here is what the first two subcommands share:
//! which adversaries and runs, spread over threads, and what is said of those that break the protocol.

mod acs;
mod node;
mod scale;

use std::fmt;
use std::io::IsTerminal;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::value_parser;
use constellation_simulator::scenario::{Opponent, Scenario, ScenarioError};
use serde::Serialize;

use crate::exit::{Exit, Failure, help, note};
use crate::signals::StopSignal;

/// Violations that are kept; a protocol that fails that often need not be told of more.
const VIOLATIONS_MAX: usize = 20;

/// Simulate networks under attack, and their growth, driven by a seed
///
/// The machines and bytes are those of real nodes; delivery, crashes, faulty nodes and time are made up from a seed, the same on every
/// machine. What must never happen is printed with the command that replays it.
#[derive(Debug, clap::Args)]
#[command(after_help = help(
    &[
        "constellation sim acs --nodes 31 --faulty 10 --adversary coin-aware --seed 7",
        "constellation sim acs --nodes 4,7,10 --adversary all --runs 1450",
        "constellation sim node --nodes 16 --adversary partition --seed 3",
        "constellation sim scale --html scale.html",
    ],
    &[Exit::CheckFailed, Exit::Machine],
))]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    Acs(acs::Args),
    Node(node::Args),
    Scale(scale::Args),
}

impl Args {
    /// Runs the command.
    pub fn run(self) -> Result<(), Failure> {
        match self.what {
            What::Acs(args) => args.run(),
            What::Node(args) => args.run(),
            What::Scale(args) => args.run(),
        }
    }
}

/// Which runs, and on how many threads.
#[derive(Clone, Debug, clap::Args)]
struct Runs {
    /// The first run's seed
    #[arg(long, default_value_t = 0, value_name = "N")]
    seed: u64,
    /// Runs with each adversary, with this seed and the next ones
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = value_parser!(u64).range(1..=100_000_000))]
    runs: u64,
    /// Threads that share the runs [default: as many as there are cores]
    #[arg(long, value_name = "N", value_parser = value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
}

/// Something that must never happen.
#[derive(Clone, Debug, Serialize)]
struct Found {
    /// The run's index.
    #[serde(skip)]
    index: u64,
    /// What happened.
    violation: String,
    /// The command that shows it again.
    replay: String,
}

/// One adversary, or every one in turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Chosen<A> {
    All,
    One(A),
}

impl<A: Opponent> Chosen<A> {
    fn parser() -> impl TypedValueParser<Value = Self> {
        let all = PossibleValue::new("all").help("each of the others in turn");
        let each = A::all().iter().map(|one| PossibleValue::new(one.name()).help(one.description()));
        PossibleValuesParser::new(std::iter::once(all).chain(each))
            .map(|name| A::all().iter().find(|one| one.name() == name).map_or(Self::All, |one| Self::One(*one)))
    }

    /// A scenario for each size and adversary; `faulty` says how many are faulty.
    fn scenarios(self, sizes: &[usize], faulty: impl Fn(usize, A) -> usize) -> Result<Vec<Scenario<A>>, Failure> {
        let adversaries = match &self {
            Self::All => A::all(),
            Self::One(adversary) => std::slice::from_ref(adversary),
        };
        let pairs = adversaries.iter().flat_map(|adversary| sizes.iter().map(move |nodes| (*nodes, *adversary)));
        let scenarios: Result<_, _> =
            pairs.map(|(nodes, adversary)| Scenario::new(nodes, faulty(nodes, adversary), adversary, 0)).collect();
        scenarios.map_err(|error| {
            let remedy = match error {
                ScenarioError::Nodes { most, .. } => format!("give --nodes 1 to {most}"),
                ScenarioError::Faulty { most, .. } => format!("give --faulty 0 to {most}, or more --nodes"),
            };
            Failure::new(Exit::BadInput, format_args!("{error}: {remedy}"))
        })
    }
}

/// What the runs came to: a `T` for each scenario, and the violations.
struct Harvest<T> {
    sums: Vec<T>,
    violations: Vec<Found>,
    violation_count: u64,
}

impl Runs {
    /// Runs every scenario with every seed; `run` adds its numbers to the scenario's `T` and returns what must never happen. A panic is that
    /// too. Ends early, and orderly, on Ctrl-C.
    ///
    /// `merge` must not depend on the order of what it merges, so that the numbers do not depend on the threads.
    fn harvest<A: Opponent, T: Default + Send>(
        &self,
        command: &str,
        scenarios: &[Scenario<A>],
        run: impl Fn(&Scenario<A>, &mut T) -> Option<String> + Sync,
        merge: impl Fn(&mut T, T),
    ) -> Result<Harvest<T>, Failure> {
        let signal = StopSignal::install()?;
        let count = self.runs * scenarios.len() as u64;
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let threads = self.threads.map_or(cores, usize::from).min(count as usize).max(1);
        let (next, bad) = (AtomicU64::new(0), AtomicU64::new(0));
        let violations = Mutex::new(Vec::new());
        let none = || scenarios.iter().map(|_| T::default()).collect::<Vec<T>>();
        let work = || {
            let mut sums = none();
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                if index >= count || signal.is_set() {
                    return sums;
                }
                progress(index, count);
                // Scenario by scenario within a seed, so that threads share slow and quick ones alike.
                let (seed, place) = (index / scenarios.len() as u64, index as usize % scenarios.len());
                let scenario = scenarios[place].with_seed(self.seed.wrapping_add(seed));
                let violation = catch_unwind(AssertUnwindSafe(|| run(&scenario, &mut sums[place])))
                    .unwrap_or_else(|cause| Some(format!("a machine panicked: {}", panic_text(&*cause))));
                if let Some(violation) = violation {
                    bad.fetch_add(1, Ordering::Relaxed);
                    let mut violations = violations.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                    if violations.len() < VIOLATIONS_MAX {
                        violations.push(Found { index, violation, replay: format!("{command} {scenario}") });
                    }
                }
            }
        };
        let parts = thread::scope(|scope| {
            let handles: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            handles.into_iter().map(|handle| handle.join()).collect::<Result<Vec<_>, _>>()
        });
        let parts = parts.map_err(|_| Failure::new(Exit::Machine, "a simulating thread died"))?;
        let mut sums = none();
        for part in parts {
            sums.iter_mut().zip(part).for_each(|(sum, part)| merge(sum, part));
        }
        let mut violations = violations.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        violations.sort_by_key(|found| found.index);
        Ok(Harvest { sums, violations, violation_count: bad.into_inner() })
    }
}

/// Tells somebody who watches how far it is.
fn progress(index: u64, count: u64) {
    const STEPS: u64 = 20;
    if count >= 100 * STEPS && index > 0 && index.is_multiple_of(count / STEPS) && std::io::stderr().is_terminal() {
        note(format_args!("{index}/{count} runs"));
    }
}

fn panic_text(cause: &(dyn std::any::Any + Send)) -> String {
    let text = cause.downcast_ref::<String>().map(String::as_str).or_else(|| cause.downcast_ref::<&str>().copied());
    text.unwrap_or("without a word").to_owned()
}

/// Tells of each violation how to see it again.
fn write_found(formatter: &mut fmt::Formatter<'_>, found: &[Found]) -> fmt::Result {
    for Found { violation, replay, .. } in found {
        writeln!(formatter, "\n{violation}\n  replay it: {replay}")?;
    }
    Ok(())
}

/// Success if nothing was found that must never happen.
fn judge(violation_count: u64, violations: &[Found], runs: u64) -> Result<(), Failure> {
    match violations.first() {
        None => Ok(()),
        Some(Found { violation, replay, .. }) => Err(Failure::new(
            Exit::CheckFailed,
            format_args!(
                "{violation_count} of {runs} runs break the protocol, the first: {violation}; replay it: {replay}"
            ),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use constellation_simulator::acs::Adversary;

    fn harvest(threads: u16, run: impl Fn(u64, &mut u64) -> Option<String> + Sync) -> Harvest<u64> {
        let runs = Runs { seed: 5, runs: 50, threads: Some(threads) };
        let scenarios = Chosen::One(Adversary::Lies).scenarios(&[4, 7], |_, _| 1).unwrap();
        let run = |scenario: &Scenario<Adversary>, sum: &mut u64| run(scenario.seed(), sum);
        runs.harvest("again", &scenarios, run, |sum, part| *sum += part).unwrap()
    }

    #[test]
    fn every_run_is_done_once_and_what_it_breaks_is_told_with_its_replay() {
        for threads in [1, 3] {
            let harvest = harvest(threads, |seed, sum| {
                *sum += seed;
                (seed % 10 == 3).then(|| format!("bad {seed}"))
            });
            assert_eq!(harvest.sums, [(5..55).sum::<u64>(); 2]);
            assert_eq!(harvest.violation_count, 2 * 5);
            let failure = judge(harvest.violation_count, &harvest.violations, 100).unwrap_err();
            let text = "10 of 100 runs break the protocol, the first: bad 13; replay it: again --nodes 4 --faulty 1 --adversary lies --seed 13";
            assert_eq!(failure, Failure::new(Exit::CheckFailed, text));
        }
    }

    #[test]
    fn a_panic_is_a_violation() {
        let harvest = harvest(1, |_, _| panic!("it broke"));
        assert_eq!((harvest.violation_count, harvest.violations.len()), (100, VIOLATIONS_MAX));
        assert_eq!(harvest.violations[0].violation, "a machine panicked: it broke");
        assert_eq!(judge(0, &[], 1), Ok(()));
    }
}
