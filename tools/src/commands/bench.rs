//! `constellation bench`: how fast signatures are verified here, beside other libraries.

use std::fmt::{self, Display};

use clap::builder::RangedU64ValueParser;
use constellation_benches::{VerifyBenchOptions, VerifyRow, render_table, verify_rows};
use constellation_verify::Backend;
use serde::Serialize;

use crate::commands::verify::engine;
use crate::exit::{Exit, Failure, help, note};
use crate::output::Output;

/// What a build needs before `ed25519-simd` can be compiled, and with it be measured.
const ED25519_SIMD_COMMAND: &str = "RUSTFLAGS=\"-C target-feature=+avx512f,+avx512bw,+avx512dq,+avx512ifma\" \
    cargo run --release -p constellation -- bench verify";

/// The row name of that library.
const ED25519_SIMD: &str = "ed25519_simd";

/// Measure this machine
#[derive(Debug, clap::Args)]
#[command(after_help = help(
    &["constellation bench verify", "constellation bench verify --batch 1024 --rounds 15 --json"],
    &[Exit::Machine],
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

/// Measure Ed25519 verification on one core, every backend beside other libraries
///
/// All take turns in each round, and the median round counts. The case `new_keys` has valid signatures by keys not seen
/// before; the case `one_bad` has one invalid signature in every batch. The library ed25519-simd can only be measured
/// by a build that is made for it; without it, the command to get that build is printed to standard error.
#[derive(Debug, clap::Args)]
#[command(after_help = help(
    &[
        "constellation bench verify",
        "constellation bench verify --batch 64,256,1024 --rounds 15",
        "constellation bench verify --backend portable --json",
    ],
    &[Exit::Machine],
))]
struct VerifyArgs {
    /// Of this project's backends report only this one: portable or avx512 [default: all that this machine can run]
    #[arg(long, value_name = "NAME")]
    backend: Option<Backend>,
    /// Batch sizes of the case `new_keys`, with commas between them
    #[arg(long, value_name = "N,…", value_delimiter = ',', value_parser = at_most(1 << 20),
        default_values_t = VerifyBenchOptions::default().batch_sizes)]
    batch: Vec<usize>,
    /// Rounds, of which the median counts
    #[arg(long, value_name = "N", value_parser = at_most(1000), default_value_t = VerifyBenchOptions::default().rounds)]
    rounds: usize,
    /// Signatures in one pass; at least as many as the largest batch
    #[arg(long, value_name = "N", value_parser = at_most(1 << 20),
        default_value_t = VerifyBenchOptions::default().signatures)]
    signatures: usize,
    #[command(flatten)]
    output: Output,
}

fn at_most(max: u64) -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(1..=max)
}

impl VerifyArgs {
    fn run(self) -> Result<(), Failure> {
        if self.backend.is_some() {
            engine(self.backend)?;
        }
        let largest = self.batch.iter().copied().max().unwrap_or(1);
        let options = VerifyBenchOptions {
            rounds: self.rounds,
            signatures: self.signatures.max(largest),
            batch_sizes: self.batch,
        };
        let rows = verify_rows(&options).map_err(|error| Failure::from_error(Exit::BadInput, &error))?;
        let report = Report::new(rows, self.backend);
        if let Some(text) = &report.note {
            note(text);
        }
        self.output.write(&report)
    }
}

#[derive(Debug, Serialize)]
struct Report {
    cpu: String,
    rows: Vec<VerifyRow>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

impl Report {
    fn new(mut rows: Vec<VerifyRow>, backend: Option<Backend>) -> Self {
        let has_ed25519_simd = rows.iter().any(|row| row.backend == ED25519_SIMD);
        let available = Backend::available();
        if let Some(wanted) = backend {
            rows.retain(|row| !available.iter().any(|ours| *ours != wanted && ours.name() == row.backend));
        }
        let note = (!has_ed25519_simd).then(|| match available.contains(&Backend::Avx512) {
            true => format!("ed25519-simd is not in this build; to measure beside it, run: {ED25519_SIMD_COMMAND}"),
            false => format!(
                "ed25519-simd is not in this build; to measure beside it, run on a CPU with AVX-512 IFMA, which \
                 this one lacks: {ED25519_SIMD_COMMAND}"
            ),
        });
        Self { cpu: cpu_name(), rows, note }
    }
}

impl Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "cpu: {}", self.cpu)?;
        formatter.write_str(&render_table(&self.rows))
    }
}

/// The CPU's model where the system tells it, or else its architecture.
fn cpu_name() -> String {
    let known = std::fs::read_to_string("/proc/cpuinfo").ok();
    let model = known.as_deref().and_then(model_name);
    model.unwrap_or(std::env::consts::ARCH).to_owned()
}

fn model_name(cpuinfo: &str) -> Option<&str> {
    let line = cpuinfo.lines().find(|line| line.starts_with("model name"))?;
    line.split_once(':').map(|(_, name)| name.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(backend: &str) -> VerifyRow {
        VerifyRow {
            backend: backend.to_owned(),
            case: "new_keys".to_owned(),
            batch: 64,
            per_s_core: 1.0,
            ratio_to_ed25519_simd: None,
        }
    }

    #[test]
    fn a_pinned_backend_hides_the_other_ones_but_no_library() {
        let rows: Vec<VerifyRow> =
            Backend::available().into_iter().map(|backend| row(backend.name())).chain([row("a_library")]).collect();
        let report = Report::new(rows.clone(), Some(Backend::Portable));
        let names: Vec<&str> = report.rows.iter().map(|row| row.backend.as_str()).collect();
        assert_eq!(names, ["portable", "a_library"]);
        assert_eq!(Report::new(rows.clone(), None).rows, rows);
    }

    #[test]
    fn the_note_appears_only_without_the_reference_library() {
        let without = Report::new(vec![row("portable")], None);
        assert!(without.note.is_some_and(|note| note.contains("cargo run --release -p constellation")));
        assert_eq!(Report::new(vec![row("portable"), row(ED25519_SIMD)], None).note, None);
    }

    #[test]
    fn the_model_name_is_found() {
        assert_eq!(model_name("vendor_id\t: x\nmodel name\t: A CPU: fast\n"), Some("A CPU: fast"));
        assert_eq!(model_name("processor: 0\n"), None);
    }
}
