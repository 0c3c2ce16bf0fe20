//! `constellation sim`: whole networks in one thread, driven by a seed, against adversaries. Here is what the subcommands share: which
//! runs, spread over threads.

mod acs;
mod node;

use std::io::IsTerminal;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use clap::value_parser;
use serde::Serialize;

use crate::exit::{Exit, Failure, help, note};
use crate::signals::StopSignal;

/// Violations that are kept; a protocol that fails that often need not be told of more.
const VIOLATIONS_MAX: usize = 20;

/// Simulate networks under attack, driven by a seed
///
/// The machines and bytes are those of real nodes; delivery, crashes, faulty nodes and time are made up from a seed, the same on every
/// machine. What must never happen is printed with the command that replays it.
#[derive(Debug, clap::Args)]
#[command(after_help = help(
    &[
        "constellation sim acs --nodes 31 --faulty 10 --adversary coin-aware --seed 7",
        "constellation sim acs --nodes 10 --adversary all --runs 10000 --json",
        "constellation sim node --nodes 16 --adversary partition --seed 3",
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
}

impl Args {
    /// Runs the command.
    pub fn run(self) -> Result<(), Failure> {
        match self.what {
            What::Acs(args) => args.run(),
            What::Node(args) => args.run(),
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

/// What the runs came to: one `T` for each thread, and the violations.
struct Harvest<T> {
    parts: Vec<T>,
    violations: Vec<Found>,
    violation_count: u64,
}

impl Runs {
    /// Runs with the `index`th seed of this command's.
    fn seed(&self, index: u64) -> u64 {
        self.seed.wrapping_add(index)
    }

    /// Calls `run` with every index below `count`; it adds its numbers to the thread's `T` and returns what must never happen. A panic is that
    /// too. Ends early, and orderly, on Ctrl-C.
    fn harvest<T: Default + Send>(
        &self,
        count: u64,
        replay: impl Fn(u64) -> String + Sync,
        run: impl Fn(u64, &mut T) -> Option<String> + Sync,
    ) -> Result<Harvest<T>, Failure> {
        let signal = StopSignal::install()?;
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let threads = self.threads.map_or(cores, usize::from).min(count as usize).max(1);
        let (next, bad) = (AtomicU64::new(0), AtomicU64::new(0));
        let violations = Mutex::new(Vec::new());
        let work = || {
            let mut part = T::default();
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                if index >= count || signal.is_set() {
                    return part;
                }
                progress(index, count);
                let violation = catch_unwind(AssertUnwindSafe(|| run(index, &mut part)))
                    .unwrap_or_else(|cause| Some(format!("a machine panicked: {}", panic_text(&*cause))));
                if let Some(violation) = violation {
                    bad.fetch_add(1, Ordering::Relaxed);
                    let mut violations = violations.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                    if violations.len() < VIOLATIONS_MAX {
                        violations.push(Found { index, violation, replay: replay(index) });
                    }
                }
            }
        };
        let parts = thread::scope(|scope| {
            let handles: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            handles.into_iter().map(|handle| handle.join()).collect::<Result<Vec<T>, _>>()
        });
        let parts = parts.map_err(|_| Failure::new(Exit::Machine, "a simulating thread died"))?;
        let mut violations = violations.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        violations.sort_by_key(|found| found.index);
        Ok(Harvest { parts, violations, violation_count: bad.into_inner() })
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

    fn runs(threads: u16) -> Runs {
        Runs { seed: 5, runs: 50, threads: Some(threads) }
    }

    #[test]
    fn every_run_is_done_once_and_what_it_breaks_is_told_with_its_replay() {
        for threads in [1, 3] {
            let runs = runs(threads);
            let run = |index: u64, sum: &mut u64| {
                *sum += index;
                (index % 10 == 3).then(|| format!("bad {index}"))
            };
            let harvest = runs.harvest(50, |index| format!("again {}", runs.seed(index)), run).unwrap();
            assert_eq!(harvest.parts.iter().sum::<u64>(), 49 * 50 / 2);
            assert_eq!(harvest.violation_count, 5);
            let failure = judge(harvest.violation_count, &harvest.violations, 50).unwrap_err();
            let text = "5 of 50 runs break the protocol, the first: bad 3; replay it: again 8";
            assert_eq!(failure, Failure::new(Exit::CheckFailed, text));
        }
    }

    #[test]
    fn a_panic_is_a_violation() {
        let harvest = runs(1).harvest(1, |_| String::new(), |_, _: &mut ()| panic!("it broke")).unwrap();
        assert_eq!(harvest.violations[0].violation, "a machine panicked: it broke");
        assert_eq!(judge(0, &[], 1), Ok(()));
    }
}
