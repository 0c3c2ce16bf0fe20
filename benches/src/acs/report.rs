//! What epochs cost, as data and as text.

use std::fmt::{self, Display};

use serde::Serialize;

use super::Network;
use crate::Machine;
use crate::report::{ROUNDS_MIN, SPREAD_MAX, percent};

/// One committee size with one payload.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// Committee size.
    pub nodes: usize,
    /// Payload of an epoch over all nodes, in bytes.
    pub payload_bytes: usize,
    /// CPU time of an epoch, summed over all nodes, in the median epoch.
    pub cpu_ms_per_epoch: f64,
    /// How far the epochs lie apart in CPU time: (p90 − p10) / median.
    pub spread: f64,
    /// Messages of an epoch, one for each receiver, over all nodes.
    pub messages_per_epoch: f64,
    /// Their bytes, without what frames them.
    pub bytes_per_epoch: f64,
    /// Latency in message delays: the last node's output comes after so many if all messages take equally long.
    pub message_delays: u32,
    /// From the first proposal to the last node's output, on the clock. Over TCP only.
    pub latency_ms: Option<f64>,
    /// The most memory that the process had above what it had before the first row: an upper bound of what all nodes and the
    /// network between them take. None where the system does not tell.
    pub memory_bytes: Option<u64>,
}

/// A whole run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Where and with what it was measured.
    #[serde(flatten)]
    pub machine: Machine,
    /// What connected the nodes: `turns`, `steps` or `single` in memory, or `tcp`.
    pub network: &'static str,
    /// Epochs of each row, of which the median counts.
    pub epochs: usize,
    /// What was measured.
    pub rows: Vec<Row>,
    /// Why this is no result: empty if it is one.
    pub noisy: Vec<String>,
}

impl Report {
    pub(super) fn new(machine: Machine, network: Network, epochs: usize, rows: Vec<Row>) -> Self {
        let noisy = noise(epochs, &rows);
        Self { machine, network: network.name(), epochs, rows, noisy }
    }

    /// Whether the run was quiet enough for its figures to be results.
    #[must_use]
    pub fn is_result(&self) -> bool {
        self.noisy.is_empty()
    }
}

fn noise(epochs: usize, rows: &[Row]) -> Vec<String> {
    if epochs < ROUNDS_MIN {
        return vec![format!("{epochs} epochs are too few to tell; a result needs {ROUNDS_MIN}")];
    }
    let noisy = rows.iter().filter(|row| row.spread > SPREAD_MAX).map(|row| {
        let Row { nodes, payload_bytes, .. } = row;
        format!(
            "{nodes} nodes with {payload_bytes} bytes spread over {}, more than {}; run again on an idle machine, or with \
             more --epochs",
            percent(row.spread),
            percent(SPREAD_MAX)
        )
    });
    noisy.collect()
}

impl Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.machine)?;
        writeln!(
            formatter,
            "network   {}; CPU time over all nodes, medians of {} epochs\n",
            self.network, self.epochs
        )?;
        writeln!(
            formatter,
            "{:>5} {:>9} {:>10} {:>7} {:>10} {:>12} {:>7} {:>10} {:>10}",
            "nodes", "payload", "cpu ms", "spread", "messages", "bytes", "delays", "latency ms", "memory MiB"
        )?;
        for row in &self.rows {
            let optional = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.1}"));
            writeln!(
                formatter,
                "{:>5} {:>9} {:>10.2} {:>7} {:>10.0} {:>12.0} {:>7} {:>10} {:>10}",
                row.nodes,
                row.payload_bytes,
                row.cpu_ms_per_epoch,
                percent(row.spread),
                row.messages_per_epoch,
                row.bytes_per_epoch,
                row.message_delays,
                optional(row.latency_ms),
                optional(row.memory_bytes.map(|bytes| bytes as f64 / f64::from(1 << 20))),
            )?;
        }
        for reason in &self.noisy {
            writeln!(formatter, "\nNOISY: {reason}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acs::Delivery;

    fn report(epochs: usize, spread: f64) -> Report {
        let row = Row {
            nodes: 31,
            payload_bytes: 250_000,
            cpu_ms_per_epoch: 9.125,
            spread,
            messages_per_epoch: 6510.0,
            bytes_per_epoch: 1e7,
            message_delays: 6,
            latency_ms: None,
            memory_bytes: Some(5 << 19),
        };
        Report::new(Machine::here(), Network::Memory(Delivery::Turns), epochs, vec![row])
    }

    #[test]
    fn the_text_has_the_figures() {
        let text = report(5, 0.025).to_string();
        let line = text.lines().find(|line| line.trim_start().starts_with("31 ")).unwrap();
        let words: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(words, ["31", "250000", "9.12", "2.5%", "6510", "10000000", "6", "-", "2.5"]);
        assert!(text.contains("network   turns") && !text.contains("NOISY"), "{text}");
    }

    #[test]
    fn a_run_is_a_result_when_no_row_spreads_too_far_over_enough_epochs() {
        assert!(report(ROUNDS_MIN, SPREAD_MAX).is_result());
        assert!(report(ROUNDS_MIN, 0.2).to_string().contains("NOISY: 31 nodes"));
        assert!(report(ROUNDS_MIN - 1, 0.0).to_string().contains("NOISY: 4 epochs are too few"));
    }

    #[test]
    fn the_json_has_its_documented_fields() {
        let json = serde_json::to_value(report(7, 0.0)).unwrap();
        let row = json["rows"][0].as_object().unwrap().keys().map(String::as_str).collect::<Vec<_>>();
        let fields = [
            "bytes_per_epoch",
            "cpu_ms_per_epoch",
            "latency_ms",
            "memory_bytes",
            "message_delays",
            "messages_per_epoch",
            "nodes",
            "payload_bytes",
            "spread",
        ];
        assert_eq!(row, fields);
        assert!(json["network"] == "turns" && json["epochs"] == 7 && json["cpu"].is_string());
    }
}
