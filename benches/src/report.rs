//! The measurement and its report: interleaved rounds on one thread, medians, rows and a table.

use std::fmt::Write;
use std::time::Instant;

use constellation_verify::BatchError;
use serde::Serialize;

use crate::{Case, Contender, Workload, contenders};

/// The row name that ratios are taken to.
pub(crate) const ED25519_SIMD: &str = "ed25519_simd";

/// The batch size of [`Case::OneBad`].
const ONE_BAD_BATCH: usize = 1024;

/// How much to measure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyBenchOptions {
    /// Rounds, of which the median counts; at least one is run.
    pub rounds: usize,
    /// Signatures, each by its own key, in one pass of one contender; at least one.
    pub signatures: usize,
    /// The batch sizes of the `new_keys` case; each at least one and at most `signatures`.
    pub batch_sizes: Vec<usize>,
}

impl Default for VerifyBenchOptions {
    /// Takes some ten seconds.
    fn default() -> Self {
        Self { rounds: 7, signatures: 4096, batch_sizes: vec![64, 1024, 4096] }
    }
}

/// One contender on one workload.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct VerifyRow {
    /// Which implementation: one of our backends by its name, or a library.
    pub backend: String,
    /// `new_keys` or `one_bad`.
    pub case: String,
    /// Signatures in a batch.
    pub batch: usize,
    /// Verifications per second on one core, the median round.
    pub per_s_core: f64,
    /// The same relative to `ed25519-simd` in the same run; absent where this build or machine lacks it.
    pub ratio_to_ed25519_simd: Option<f64>,
}

/// Measures every contender on every workload, on the calling thread. The contenders take turns in each round, so that
/// a machine that slows down slows all of them.
///
/// # Errors
/// [`BatchError::TooLong`] when the options ask for a batch with more than 4 GiB of messages.
///
/// # Panics
/// When a contender counts valid signatures wrongly: its speed would mean nothing.
pub fn verify_rows(options: &VerifyBenchOptions) -> Result<Vec<VerifyRow>, BatchError> {
    let signatures = options.signatures.max(1);
    let mut workloads = Vec::new();
    for &batch_size in &options.batch_sizes {
        workloads.push(Workload::new(Case::NewKeys, signatures, batch_size.clamp(1, signatures))?);
    }
    workloads.push(Workload::new(Case::OneBad, signatures, ONE_BAD_BATCH.min(signatures))?);
    let mut contenders = contenders();
    Ok(workloads.iter().flat_map(|workload| rows_of(&mut contenders, workload, options.rounds.max(1))).collect())
}

fn rows_of(contenders: &mut [Box<dyn Contender>], workload: &Workload, rounds: usize) -> Vec<VerifyRow> {
    let mut rates = vec![Vec::with_capacity(rounds); contenders.len()];
    for _ in 0..rounds {
        for (contender, rates) in contenders.iter_mut().zip(&mut rates) {
            rates.push(rate(contender.as_mut(), workload));
        }
    }
    let rows = contenders.iter().zip(rates).map(|(contender, rates)| VerifyRow {
        backend: contender.name(),
        case: workload.case.name().to_owned(),
        batch: workload.batch_size,
        per_s_core: median(rates),
        ratio_to_ed25519_simd: None,
    });
    with_ratios(rows.collect())
}

/// Verifications per second of one pass over `workload`.
fn rate(contender: &mut dyn Contender, workload: &Workload) -> f64 {
    let start = Instant::now();
    let valid: usize = workload.batches.iter().map(|batch| contender.count_valid(&batch.as_batch())).sum();
    let seconds = start.elapsed().as_secs_f64();
    assert_eq!(valid, workload.valid, "{} counts valid signatures wrongly", contender.name());
    workload.signatures as f64 / seconds
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

fn with_ratios(mut rows: Vec<VerifyRow>) -> Vec<VerifyRow> {
    let reference = rows.iter().find(|row| row.backend == ED25519_SIMD).map(|row| row.per_s_core);
    for row in &mut rows {
        row.ratio_to_ed25519_simd = reference.map(|reference| row.per_s_core / reference);
    }
    rows
}

/// The rows as a plain-text table.
#[must_use]
pub fn render_table(rows: &[VerifyRow]) -> String {
    let mut table =
        format!("{:<10} {:>6}  {:<22} {:>12}  {:>15}\n", "case", "batch", "backend", "per s, core", "to ed25519-simd");
    for row in rows {
        let ratio = row.ratio_to_ed25519_simd.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}"));
        writeln!(table, "{:<10} {:>6}  {:<22} {:>12.0}  {ratio:>15}", row.case, row.batch, row.backend, row.per_s_core)
            .expect("writing to a String cannot fail");
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_contender_has_a_row_for_every_workload() {
        let options = VerifyBenchOptions { rounds: 2, signatures: 24, batch_sizes: vec![5, 100] };
        let rows = verify_rows(&options).unwrap();
        assert_eq!(rows.len(), 3 * contenders().len());
        assert!(rows.iter().all(|row| row.per_s_core > 0.0));
        let batches: Vec<usize> = rows.iter().step_by(contenders().len()).map(|row| row.batch).collect();
        assert_eq!(batches, [5, 24, 24]);
        assert_eq!(rows.last().map(|row| row.case.as_str()), Some("one_bad"));
        assert_eq!(render_table(&rows).lines().count(), rows.len() + 1);
    }

    #[test]
    fn ratios_are_to_the_reference_row() {
        let row = |backend: &str, per_s_core| VerifyRow {
            backend: backend.to_owned(),
            case: "new_keys".to_owned(),
            batch: 64,
            per_s_core,
            ratio_to_ed25519_simd: None,
        };
        let rows = with_ratios(vec![row("portable", 50.0), row(ED25519_SIMD, 200.0)]);
        assert_eq!(rows[0].ratio_to_ed25519_simd, Some(0.25));
        let json = serde_json::to_value(&rows[0]).unwrap();
        for field in ["backend", "case", "batch", "per_s_core", "ratio_to_ed25519_simd"] {
            assert!(json.get(field).is_some(), "{field}");
        }
        assert_eq!(with_ratios(vec![row("portable", 50.0)])[0].ratio_to_ed25519_simd, None);
    }

    #[test]
    fn the_median_of_the_rounds_counts() {
        assert_eq!(median(vec![9.0, 1.0, 5.0]), 5.0);
    }
}
