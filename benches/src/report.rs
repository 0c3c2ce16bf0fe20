//! What was measured, as data and as text; and whether it is quiet enough to be called a result.

use std::fmt::{self, Display};

use serde::Serialize;

use crate::{Case, Machine};

/// The largest [`Row::spread`] that a result may have.
pub const SPREAD_MAX: f64 = 0.10;

/// The fewest rounds from which a spread, and so a result, can be had.
pub const ROUNDS_MIN: usize = 5;

/// One contender on one setting.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// Which implementation: one of our backends by its name, or a library.
    pub backend: String,
    /// What is special about the signatures.
    pub case: Case,
    /// Signatures in a batch. Who has no batches is measured one signature at a time, whatever this says.
    pub batch: usize,
    /// The length of every message.
    pub message_bytes: usize,
    /// How many threads worked at once, each on its own batches.
    pub threads: usize,
    /// Verifications per second and core, in the median round.
    pub per_s_core: f64,
    /// How far the rounds lie apart: (p90 − p10) / median.
    pub spread: f64,
    /// Cycles of a core for one verification, in the median round: an estimate, see [`core_hz`](crate::core_hz).
    pub cycles: f64,
    /// The speed relative to `ed25519-simd` in the same round, in the median round; none where this machine or build
    /// lacks it.
    pub ratio_to_ed25519_simd: Option<f64>,
    /// The same, relative to the batch verification of `ed25519-dalek`.
    pub ratio_to_ed25519_dalek_batch: Option<f64>,
}

/// A whole run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Where and with what it was measured.
    #[serde(flatten)]
    pub machine: Machine,
    /// Rounds, of which the median counts.
    pub rounds: usize,
    /// What was measured.
    pub rows: Vec<Row>,
    /// Why this is no result: empty if it is one.
    pub noisy: Vec<String>,
    /// What is missing, and why.
    pub notes: Vec<String>,
}

impl Report {
    /// A report, judged.
    #[must_use]
    pub fn new(machine: Machine, rounds: usize, rows: Vec<Row>, notes: Vec<String>) -> Self {
        let noisy = noise(rounds, &rows);
        Self { machine, rounds, rows, noisy, notes }
    }

    /// Whether the run was quiet enough for its figures to be results.
    #[must_use]
    pub fn is_result(&self) -> bool {
        self.noisy.is_empty()
    }
}

/// What speaks against calling the figures results.
fn noise(rounds: usize, rows: &[Row]) -> Vec<String> {
    if rounds < ROUNDS_MIN {
        return vec![format!("{rounds} rounds are too few to tell; a result needs {ROUNDS_MIN}")];
    }
    let noisy: Vec<&Row> = rows.iter().filter(|row| row.spread > SPREAD_MAX).collect();
    let Some(worst) = noisy.iter().max_by(|one, other| one.spread.total_cmp(&other.spread)) else {
        return Vec::new();
    };
    let rows = format!("{} of {} rows spread over more than {}", noisy.len(), rows.len(), percent(SPREAD_MAX));
    let setting = format!("{}, batch {}, {} bytes", worst.case, worst.batch, worst.message_bytes);
    let worst = format!("{} ({setting}, threads {}) over {}", worst.backend, worst.threads, percent(worst.spread));
    vec![format!("{rows}, the worst of them {worst}; run again on an idle machine, or with more --rounds")]
}

pub(crate) fn percent(share: f64) -> String {
    format!("{:.1}%", 100.0 * share)
}

pub(crate) fn ratio(ratio: Option<f64>) -> String {
    ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}"))
}

/// Thousands a second.
pub(crate) fn thousands(per_s: f64) -> String {
    format!("{:.1}", per_s / 1e3)
}

impl Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let machine = &self.machine;
        writeln!(formatter, "cpu       {}, {} cores", machine.cpu, machine.cores)?;
        writeln!(formatter, "features  {}", machine.features.join(" "))?;
        writeln!(formatter, "compiler  {}", machine.compiler)?;
        writeln!(formatter, "flags     {}", machine.flags)?;
        writeln!(formatter, "rounds    {}; medians, and ratios within a round\n", self.rounds)?;
        writeln!(
            formatter,
            "{:<10} {:>6} {:>6} {:>7}  {:<21} {:>9} {:>7} {:>9} {:>8} {:>8}",
            "case", "batch", "bytes", "threads", "backend", "k/s core", "spread", "cycles ≈", "to simd", "to dalek"
        )?;
        let mut before: Option<&Row> = None;
        for row in &self.rows {
            let setting = |row: &Row| (row.case, row.batch, row.message_bytes, row.threads);
            if before.is_some_and(|before| setting(before) != setting(row)) {
                writeln!(formatter)?;
            }
            writeln!(
                formatter,
                "{:<10} {:>6} {:>6} {:>7}  {:<21} {:>9} {:>7} {:>9.0} {:>8} {:>8}",
                row.case.name(),
                row.batch,
                row.message_bytes,
                row.threads,
                row.backend,
                thousands(row.per_s_core),
                percent(row.spread),
                row.cycles,
                ratio(row.ratio_to_ed25519_simd),
                ratio(row.ratio_to_ed25519_dalek_batch),
            )?;
            before = Some(row);
        }
        writeln!(formatter)?;
        for note in &self.notes {
            writeln!(formatter, "note: {note}")?;
        }
        for reason in &self.noisy {
            writeln!(formatter, "NOISY: {reason}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn row(backend: &str, case: Case, batch: usize, spread: f64) -> Row {
        Row {
            backend: backend.to_owned(),
            case,
            batch,
            message_bytes: 175,
            threads: 1,
            per_s_core: 123_456.0,
            spread,
            cycles: 30_000.0,
            ratio_to_ed25519_simd: None,
            ratio_to_ed25519_dalek_batch: Some(1.234),
        }
    }

    pub(crate) fn report(rounds: usize, spreads: &[f64]) -> Report {
        let rows = spreads.iter().map(|&spread| row("portable", Case::OneBad, 8, spread)).collect();
        Report::new(Machine::here(), rounds, rows, vec!["somebody is <missing>".to_owned()])
    }

    #[test]
    fn a_run_is_a_result_when_no_row_spreads_too_far_over_enough_rounds() {
        assert!(report(ROUNDS_MIN, &[0.0, SPREAD_MAX]).is_result());
        let noisy = report(ROUNDS_MIN, &[0.0, 0.11, 0.5, 0.2]);
        let text = noisy.to_string();
        assert!(!noisy.is_result() && text.contains("NOISY: 3 of 4 rows") && text.contains("over 50.0%"), "{text}");
        let short = report(ROUNDS_MIN - 1, &[0.0]).to_string();
        assert!(short.contains("NOISY: 4 rounds are too few"), "{short}");
    }

    #[test]
    fn the_text_has_the_figures_and_the_notes() {
        let text = report(7, &[0.015]).to_string();
        let line = text.lines().find(|line| line.starts_with("one_bad")).unwrap();
        let words: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(words, ["one_bad", "8", "175", "1", "portable", "123.5", "1.5%", "30000", "-", "1.23"]);
        assert!(text.contains("note: somebody is <missing>") && text.contains("rustc") && !text.contains("NOISY"));
    }

    #[test]
    fn the_json_has_its_documented_fields() {
        let json = serde_json::to_value(report(7, &[0.0])).unwrap();
        let fields = |json: &serde_json::Value| json.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        let top = ["compiler", "cores", "cpu", "features", "flags", "noisy", "notes", "rounds", "rows"];
        assert_eq!(fields(&json), top);
        let row = [
            "backend",
            "batch",
            "case",
            "cycles",
            "message_bytes",
            "per_s_core",
            "ratio_to_ed25519_dalek_batch",
            "ratio_to_ed25519_simd",
            "spread",
            "threads",
        ];
        assert_eq!(fields(&json["rows"][0]), row);
        assert!(json["rows"][0]["ratio_to_ed25519_simd"].is_null() && json["rows"][0]["case"] == "one_bad");
    }
}
