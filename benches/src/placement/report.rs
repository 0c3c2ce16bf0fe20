//! What placement gains, as data and as text.

use std::fmt::{self, Display};

use serde::Serialize;

use super::{OUTSIDE_PERCENT, RELATIONS, STARS_PER_COMMUNITY, TRIAD_PERCENT};
use crate::Machine;
use crate::report::percent;

/// One graph in so many clusters, after so many epochs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// Which graph.
    pub graph: &'static str,
    /// How many clusters.
    pub clusters: u32,
    /// Epochs that the placement has learned from.
    pub epochs: usize,
    /// The share of transfers between clusters with stars placed at random, in an epoch that was not learned from.
    pub random_cross_share: f64,
    /// The same share of the same epoch's transfers, with the stars where they have moved to.
    pub cross_share: f64,
    /// The largest cluster's load in that epoch, over the mean.
    pub largest_load: f64,
    /// Stars that moved in an epoch, in the mean since the row before.
    pub moves_per_epoch: f64,
    /// CPU time of an epoch's end on each validator, and of counting its transfers; in the mean since the row before.
    pub cpu_ms_per_epoch: f64,
}

impl Row {
    /// How many times fewer transfers go between clusters than with stars placed at random.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        self.random_cross_share / self.cross_share
    }
}

/// A whole run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Where and with what it was measured.
    #[serde(flatten)]
    pub machine: Machine,
    /// Stars of each graph.
    pub stars: usize,
    /// Transfers of an epoch.
    pub transfers: usize,
    /// What graphs, keys and transfers follow from.
    pub seed: u64,
    /// What was measured.
    pub rows: Vec<Row>,
}

impl Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.machine)?;
        writeln!(
            formatter,
            "traffic   {} stars, {} transfers an epoch, seed {}",
            self.stars, self.transfers, self.seed
        )?;
        writeln!(
            formatter,
            "graphs    {RELATIONS} relations a newcomer; communities: {STARS_PER_COMMUNITY} stars in the mean, {OUTSIDE_PERCENT} % outside; \
             holme-kim: {TRIAD_PERCENT} % triads\n"
        )?;
        writeln!(
            formatter,
            "{:<15} {:>8} {:>6} {:>8} {:>8} {:>6} {:>8} {:>8} {:>7}",
            "graph", "clusters", "epochs", "random", "placed", "ratio", "largest", "moves", "cpu ms"
        )?;
        for row in &self.rows {
            writeln!(
                formatter,
                "{:<15} {:>8} {:>6} {:>8} {:>8} {:>6.1} {:>8.2} {:>8.0} {:>7.1}",
                row.graph,
                row.clusters,
                row.epochs,
                percent(row.random_cross_share),
                percent(row.cross_share),
                row.ratio(),
                row.largest_load,
                row.moves_per_epoch,
                row.cpu_ms_per_epoch
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let row = Row {
            graph: "communities",
            clusters: 16,
            epochs: 4,
            random_cross_share: 0.9375,
            cross_share: 0.1875,
            largest_load: 1.25,
            moves_per_epoch: 4096.0,
            cpu_ms_per_epoch: 31.25,
        };
        Report { machine: Machine::here(), stars: 20_000, transfers: 100_000, seed: 1, rows: vec![row] }
    }

    #[test]
    fn the_text_has_the_figures() {
        let text = report().to_string();
        let line = text.lines().find(|line| line.starts_with("communities ")).unwrap();
        let words: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(words, ["communities", "16", "4", "93.8%", "18.8%", "5.0", "1.25", "4096", "31.2"]);
        assert!(text.contains("20000 stars, 100000 transfers an epoch, seed 1"), "{text}");
    }

    #[test]
    fn the_json_has_its_documented_fields() {
        let json = serde_json::to_value(report()).unwrap();
        let row = json["rows"][0].as_object().unwrap().keys().map(String::as_str).collect::<Vec<_>>();
        let fields = [
            "clusters",
            "cpu_ms_per_epoch",
            "cross_share",
            "epochs",
            "graph",
            "largest_load",
            "moves_per_epoch",
            "random_cross_share",
        ];
        assert_eq!(row, fields);
        assert!(json["stars"] == 20_000 && json["seed"] == 1 && json["cpu"].is_string());
    }
}
