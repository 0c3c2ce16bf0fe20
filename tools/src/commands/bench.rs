//! `constellation bench`: how fast signatures are verified here, beside other libraries.

use std::io::IsTerminal;
use std::path::PathBuf;

use clap::builder::RangedU64ValueParser;
use constellation_benches::{Case, MeasureError, Options, Report, Setting, measure, page};
use constellation_verify::BackendChoice;

use crate::exit::{Exit, Failure, help, note};
use crate::output::Output;

/// Measure this machine
#[derive(Debug, clap::Args)]
#[command(after_help = help(
    &["constellation bench verify", "constellation bench verify --quick --json"],
    &[Exit::CheckFailed, Exit::Machine],
))]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    Verify(VerifyArgs),
}

impl Args {
    /// Runs the command.
    pub fn run(self) -> Result<(), Failure> {
        match self.what {
            What::Verify(args) => args.run(),
        }
    }
}

/// Measure Ed25519 verification, every backend beside other libraries, in one run
///
/// All take turns in each round; medians count, and ratios are taken within a round. Cases: `new_keys` (nothing is
/// remembered of any key), `known_keys` (every key was met before; no two signatures share one), `one_bad` (new keys, one
/// signature in every 1,024 invalid), `all_bad` (new keys, all invalid). The first case is measured at every batch size
/// and message length, the others at batch 4096 and 175 bytes, and message lengths with the first number of threads; with
/// --full there is everything of everything. With several threads, each verifies its own batches; figures are per core.
///
/// ed25519-simd runs in a process of its own, which takes its turns with the rest. ed25519-dalek picks AVX2 at run time, so
/// its batch row is what the avx2 backend is to be compared with. Cycles are an estimate from the core's speed in a chain
/// of additions. A row that spreads over more than 10 % between rounds, or fewer than 5 rounds, make a run NOISY: no result.
#[derive(Debug, clap::Args)]
#[command(after_help = help(
    &[
        "constellation bench verify",
        "constellation bench verify --quick --backend avx512 --json",
        "constellation bench verify --case known_keys --batch 64,4096 --threads 2 --rounds 31 --strict",
        "constellation bench verify --html verify.html",
    ],
    &[Exit::CheckFailed, Exit::Machine],
))]
struct VerifyArgs {
    /// Of this project's backends measure only this one: avx512, avx2, portable, gpu or gpu+cpu [default: auto, which is each
    /// that this machine can run; gpu+cpu only by name]
    #[arg(long, value_name = "NAME", default_value_t, hide_default_value = true)]
    backend: BackendChoice,
    /// Let a software GPU do for the GPU backends (for tests: it is slower than the CPU itself)
    #[arg(long)]
    software_gpu: bool,
    /// Cases, with commas between them [default: new_keys,known_keys,one_bad,all_bad]
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    case: Option<Vec<Case>>,
    /// Batch sizes, with commas between them [default: 8,64,1024,4096,16384]
    #[arg(long, value_name = "N,…", value_delimiter = ',', value_parser = at_most(1 << 20))]
    batch: Option<Vec<usize>>,
    /// Message lengths, with commas between them [default: 76,175,200,1024]
    #[arg(long, value_name = "N,…", value_delimiter = ',', value_parser = at_most(1 << 16))]
    message_bytes: Option<Vec<usize>>,
    /// Numbers of threads, with commas between them [default: 1, and as many as there are cores]
    #[arg(long, value_name = "N,…", value_delimiter = ',', value_parser = at_most(1024))]
    threads: Option<Vec<usize>>,
    /// Rounds, of which the median counts [default: 7]
    #[arg(long, value_name = "N", value_parser = at_most(1000))]
    rounds: Option<usize>,
    /// The length of one turn in milliseconds; one batch is verified in any case [default: 20]
    #[arg(long, value_name = "MS", value_parser = RangedU64ValueParser::<u64>::new().range(1..=10_000))]
    pass_ms: Option<u64>,
    /// Different signatures of a thread, each by its own key; more where a batch has more [default: 4096]
    #[arg(long, value_name = "N", value_parser = at_most(1 << 20))]
    signatures: Option<usize>,
    /// Some seconds: one thread, batch 4096, 175 bytes, 5 short rounds, unless told otherwise
    #[arg(long, conflicts_with = "full")]
    quick: bool,
    /// Every case at every batch size, message length and number of threads: minutes
    #[arg(long)]
    full: bool,
    /// End with exit code 1 when the run is too noisy to be a result
    #[arg(long)]
    strict: bool,
    /// Also write the report as an HTML page with plots, which needs nothing else
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    #[command(flatten)]
    output: Output,
}

fn at_most(max: u64) -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(1..=max)
}

impl VerifyArgs {
    fn run(self) -> Result<(), Failure> {
        let report = measure(&self.options(), progress).map_err(|error| failure(&error))?;
        if let Some(path) = &self.html {
            std::fs::write(path, page(&report)).map_err(|error| {
                Failure::new(Exit::Machine, format_args!("cannot write {}: {error}", path.display()))
            })?;
        }
        let written = self.output.write(&report);
        // A reader that has gone must not turn noise into a result.
        self.judge(&report).and(written)
    }

    fn options(&self) -> Options {
        let defaults = if self.quick { Options::quick() } else { Options::default() };
        Options {
            backend: self.backend.0,
            software_gpu: self.software_gpu,
            cases: self.case.clone().unwrap_or(defaults.cases),
            batch_sizes: self.batch.clone().unwrap_or(defaults.batch_sizes),
            message_bytes: self.message_bytes.clone().unwrap_or(defaults.message_bytes),
            threads: self.threads.clone().unwrap_or(defaults.threads),
            signatures: self.signatures.unwrap_or(defaults.signatures),
            rounds: self.rounds.unwrap_or(defaults.rounds),
            pass_ms: self.pass_ms.unwrap_or(defaults.pass_ms),
            full: self.full,
        }
    }

    fn judge(&self, report: &Report) -> Result<(), Failure> {
        if !self.strict || report.is_result() {
            return Ok(());
        }
        Err(Failure::new(Exit::CheckFailed, format_args!("the run is no result: {}", report.noisy.join("; "))))
    }
}

/// Tells somebody who watches what is being measured.
fn progress(setting: &Setting, index: usize, count: usize) {
    if std::io::stderr().is_terminal() {
        let Setting { case, batch, message_bytes, threads } = setting;
        note(format_args!("{}/{count} {case}, batch {batch}, {message_bytes} bytes, threads {threads}", index + 1));
    }
}

fn failure(error: &MeasureError) -> Failure {
    let exit = match error {
        MeasureError::Options(_) | MeasureError::Batch(_) | MeasureError::Engine(_) => Exit::BadInput,
        MeasureError::Miscounted { .. } => Exit::CheckFailed,
        MeasureError::Reference(_) => Exit::Machine,
    };
    Failure::from_error(exit, error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use constellation_verify::Backend;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        args: VerifyArgs,
    }

    fn parse(line: &str) -> VerifyArgs {
        Line::try_parse_from(std::iter::once("bench").chain(line.split_whitespace())).unwrap().args
    }

    #[test]
    fn flags_narrow_and_widen_the_defaults() {
        assert_eq!(parse("").options(), Options::default());
        assert_eq!(parse("--quick").options(), Options::quick());
        let options = parse("--quick --rounds 9 --batch 8,64 --case all_bad,one_bad --backend portable").options();
        let expected = Options {
            rounds: 9,
            batch_sizes: vec![8, 64],
            cases: vec![Case::AllBad, Case::OneBad],
            backend: Some(Backend::Portable),
            ..Options::quick()
        };
        assert_eq!(options, expected);
        assert!(parse("--full").options().full);
    }

    #[test]
    fn only_a_strict_run_fails_for_noise() {
        let options = Options { signatures: 4, rounds: 1, pass_ms: 1, batch_sizes: vec![4], ..Options::quick() };
        let report = measure(&options, |_, _, _| ()).unwrap();
        assert_eq!(parse("").judge(&report), Ok(()));
        let failure = parse("--strict").judge(&report).unwrap_err();
        assert_eq!(failure.exit(), Exit::CheckFailed);
        assert!(failure.to_string().contains("1 rounds are too few"), "{failure}");
        let quiet = Report { noisy: Vec::new(), ..report };
        assert_eq!(parse("--strict").judge(&quiet), Ok(()));
    }
}
