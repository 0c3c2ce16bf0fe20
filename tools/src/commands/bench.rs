//! `constellation bench`: how fast signatures are verified here, beside other libraries; what an epoch of consensus
//! costs; what placing stars by their traffic gains; what the sketch is good for.

use std::io::IsTerminal;
use std::path::PathBuf;

use clap::builder::RangedU64ValueParser;
use constellation_benches::acs::{self, Delivery, Network};
use constellation_benches::{Case, MeasureError, Options, Setting, measure, page};
use constellation_benches::{placement, sketch};
use constellation_verify::BackendChoice;

use crate::exit::{Exit, Failure, help, note};
use crate::output::Output;

/// Measure this machine
#[derive(Debug, clap::Args)]
#[command(after_help = help(
    &["constellation bench verify --quick", "constellation bench acs --nodes 4,31 --json"],
    &[Exit::CheckFailed, Exit::Machine],
))]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    Verify(VerifyArgs),
    Acs(AcsArgs),
    Placement(PlacementArgs),
    Sketch(SketchArgs),
}

impl Args {
    /// Runs the command.
    pub fn run(self) -> Result<(), Failure> {
        match self.what {
            What::Verify(args) => args.run(),
            What::Acs(args) => args.run(),
            What::Placement(args) => args.run(),
            What::Sketch(args) => args.run(),
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

fn zero_to(max: u64) -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(0..=max)
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
        judge(self.strict, &report.noisy).and(written)
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
}

/// Measure the common subset: CPU time of an epoch over all nodes, messages, bytes, latency and memory
///
/// In an epoch all nodes propose an equal share of the payload and agree on a subset of the proposals. CPU time is that of
/// all nodes together, from the making of their machines until nobody has anything left to hear, with real serialisation:
/// every message is encoded once and decoded by every receiver. Encryption, journal and the coin's cryptography are not in it.
///
/// In memory --delivery says when nodes speak: `turns` (the default: nodes take turns in random order, take all that has
/// come, and speak once), `steps` (all messages take equally long) or `single` (harsh: a random node takes one message and
/// speaks at once). Over TCP (--tcp) every node is a thread with a connection to each other one on loopback, and the
/// kernel's time counts. Memory is what the process had at most above what it had before the first row. A row that spreads over
/// more than 10 % between epochs, or fewer than 5 epochs, make a run NOISY: no result.
#[derive(Debug, clap::Args)]
#[command(after_help = help(
    &[
        "constellation bench acs",
        "constellation bench acs --nodes 16,31 --payload-bytes 0,250000,4000000 --epochs 31 --json",
        "constellation bench acs --nodes 31 --delivery single",
        "constellation bench acs --nodes 4,16 --tcp",
    ],
    &[Exit::CheckFailed, Exit::Machine],
))]
struct AcsArgs {
    /// Committee sizes, with commas between them [default: 4,16,31,64,128]
    #[arg(long, value_name = "N,…", value_delimiter = ',', value_parser = at_most(128))]
    nodes: Option<Vec<usize>>,
    /// Payload of an epoch over all nodes, with commas between several [default: 250000, as 1,000 transactions of 250 bytes]
    #[arg(long, value_name = "N,…", value_delimiter = ',', value_parser = zero_to(acs::PAYLOAD_MAX_BYTES as u64))]
    payload_bytes: Option<Vec<usize>>,
    /// Epochs of each row, of which the median counts [default: 15]
    #[arg(long, value_name = "N", value_parser = at_most(10_000))]
    epochs: Option<usize>,
    /// When nodes in memory speak: turns, steps or single [default: turns]
    #[arg(long, value_name = "NAME", conflicts_with = "tcp")]
    delivery: Option<Delivery>,
    /// Over TCP on loopback instead of in memory
    #[arg(long)]
    tcp: bool,
    /// End with exit code 1 when the run is too noisy to be a result
    #[arg(long)]
    strict: bool,
    #[command(flatten)]
    output: Output,
}

impl AcsArgs {
    fn run(self) -> Result<(), Failure> {
        let report = acs::measure(&self.options(), |nodes, payload_bytes| {
            if std::io::stderr().is_terminal() {
                note(format_args!("{nodes} nodes, {payload_bytes} bytes"));
            }
        });
        let report = report.map_err(|error| {
            let exit = match error {
                acs::Error::Options => Exit::BadInput,
                acs::Error::Wrong { .. } => Exit::CheckFailed,
                acs::Error::Tcp { .. } => Exit::Machine,
            };
            Failure::from_error(exit, &error)
        })?;
        let written = self.output.write(&report);
        judge(self.strict, &report.noisy).and(written)
    }

    fn options(&self) -> acs::Options {
        let defaults = acs::Options::default();
        let delivery = self.delivery.unwrap_or_default();
        acs::Options {
            nodes: self.nodes.clone().unwrap_or(defaults.nodes),
            payload_bytes: self.payload_bytes.clone().unwrap_or(defaults.payload_bytes),
            epochs: self.epochs.unwrap_or(defaults.epochs),
            network: if self.tcp { Network::Tcp } else { Network::Memory(delivery) },
        }
    }
}

/// Measure how many transfers go between clusters when stars are placed by their traffic, beside random placement
///
/// Transfers are drawn on three graphs with heavy-tailed degrees: `communities` (planted communities with preferential
/// attachment), `holme-kim` (preferential attachment with triads) and `barabasi-albert` (preferential attachment alone). After
/// 1, 4, 16 … epochs and the last, shares are taken of an epoch that the placement never learned from. `random` and `placed`
/// are shares of cross-cluster transfers, `largest` is the largest cluster's load over the mean. All figures but CPU time follow
/// from the seed.
#[derive(Debug, clap::Args)]
#[command(after_help = help(
    &[
        "constellation bench placement",
        "constellation bench placement --stars 100000 --transfers 500000 --clusters 16 --json",
    ],
    &[],
))]
struct PlacementArgs {
    /// Stars of each graph
    #[arg(long, value_name = "N", default_value = "20000", value_parser = at_most(placement::STARS_MAX as u64))]
    stars: usize,
    /// Transfers of an epoch
    #[arg(long, value_name = "N", default_value = "100000", value_parser = at_most(placement::TRANSFERS_MAX as u64))]
    transfers: usize,
    /// Numbers of clusters, with commas between them
    #[arg(long, value_name = "N,…", value_delimiter = ',', default_value = "4,16,60")]
    clusters: Vec<u32>,
    /// Epochs to learn from
    #[arg(long, value_name = "N", default_value = "16", value_parser = at_most(10_000))]
    epochs: usize,
    /// What graphs, keys and transfers follow from
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    output: Output,
}

impl PlacementArgs {
    fn run(self) -> Result<(), Failure> {
        let Self { stars, transfers, clusters, epochs, seed, output } = self;
        let options = placement::Options { stars, transfers, clusters, epochs, seed };
        let report = placement::measure(&options, |graph, clusters| {
            if std::io::stderr().is_terminal() {
                note(format_args!("{}, {clusters} clusters", graph.name()));
            }
        });
        output.write(&report.map_err(|error| Failure::from_error(Exit::BadInput, &error))?)
    }
}

/// Measure what the sketch in an LSH block's header is good for, each use beside the same work without it
///
/// Which blocks of a round overlap, are near-copies or spend twice: by bands of sketches with exact comparison of what they find, by comparing all
/// pairs, and by an inverted index of accounts. Which proposals are copied: by sketches of their ids, and by exact counts in the hash map
/// that a round fills anyway. Where new stars go: by the sketch of their first counterparties, by those stars' clusters, and by key. All figures but CPU time
/// follow from the seed.
#[derive(Debug, clap::Args)]
#[command(after_help = help(
    &["constellation bench sketch", "constellation bench sketch --blocks 64 --transactions 1000 --json"],
    &[],
))]
struct SketchArgs {
    /// Numbers of blocks that are compared with each other, with commas between them [default: 16,64,256,1024]
    #[arg(long, value_name = "N,…", value_delimiter = ',')]
    blocks: Option<Vec<usize>>,
    /// Transactions of a block, with commas between several [default: 64,1000]
    #[arg(long, value_name = "N,…", value_delimiter = ',')]
    transactions: Option<Vec<usize>>,
    /// Rounds with a copied proposal, for each share copied [default: 200]
    #[arg(long, value_name = "N")]
    trials: Option<usize>,
    /// Stars of the graph that new ones join [default: 20000]
    #[arg(long, value_name = "N")]
    stars: Option<usize>,
    /// What all that is drawn follows from
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    output: Output,
}

impl SketchArgs {
    fn run(self) -> Result<(), Failure> {
        let Self { blocks, transactions, trials, stars, seed, output } = self;
        let defaults = sketch::Options::default();
        let options = sketch::Options {
            blocks: blocks.unwrap_or(defaults.blocks),
            transactions: transactions.unwrap_or(defaults.transactions),
            trials: trials.unwrap_or(defaults.trials),
            stars: stars.unwrap_or(defaults.stars),
            seed,
        };
        let report = sketch::measure(&options, |next| {
            if std::io::stderr().is_terminal() {
                note(next);
            }
        });
        output.write(&report.map_err(|error| Failure::from_error(Exit::BadInput, &error))?)
    }
}

/// A strict run fails for noise.
fn judge(strict: bool, noisy: &[String]) -> Result<(), Failure> {
    if !strict || noisy.is_empty() {
        return Ok(());
    }
    Err(Failure::new(Exit::CheckFailed, format_args!("the run is no result: {}", noisy.join("; "))))
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
        assert_eq!(judge(false, &report.noisy), Ok(()));
        let failure = judge(true, &report.noisy).unwrap_err();
        assert_eq!(failure.exit(), Exit::CheckFailed);
        assert!(failure.to_string().contains("1 rounds are too few"), "{failure}");
        assert_eq!(judge(true, &[]), Ok(()));
    }
}
