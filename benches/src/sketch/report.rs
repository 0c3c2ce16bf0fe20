//! What the sketch is good for, as data and as text.

use std::fmt::{self, Display};

use serde::Serialize;

use super::{cold, copies, overlaps};
use crate::Machine;
use crate::report::percent;

/// A whole run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Where and with what it was measured.
    #[serde(flatten)]
    pub machine: Machine,
    /// What everything drawn follows from.
    pub seed: u64,
    /// Which blocks overlap, copy each other, or spend twice.
    pub overlaps: Vec<overlaps::Row>,
    /// Who copies proposals.
    pub copies: Vec<copies::Row>,
    /// Where new stars go.
    pub cold_stars: Vec<cold::Row>,
}

impl Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{}seed      {}\n", self.machine, self.seed)?;
        self.write_overlaps(formatter)?;
        self.write_copies(formatter)?;
        self.write_cold_stars(formatter)
    }
}

impl Report {
    fn write_overlaps(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (stars, plants) = (overlaps::STARS, overlaps::BLOCKS_PER_PLANT);
        writeln!(
            formatter,
            "Overlaps: {stars} stars; one block in {plants} a near-copy, one with a double spend; found, of all"
        )?;
        writeln!(
            formatter,
            "{:>6} {:>6} {:<8} {:<15} {:>9} {:>8} {:>8} {:>9} {:>11} {:>12}",
            "blocks",
            "txs",
            "traffic",
            "method",
            "compared",
            "overlaps",
            "copies",
            "conflicts",
            "search us",
            "sketches us"
        )?;
        for row in &self.overlaps {
            writeln!(
                formatter,
                "{:>6} {:>6} {:<8} {:<15} {:>9} {:>8} {:>8} {:>9} {:>11.0} {:>12.0}",
                row.blocks,
                row.transactions,
                row.traffic,
                row.method,
                row.pairs_compared,
                percent(row.overlap_recall),
                percent(row.copy_recall),
                percent(row.conflict_recall),
                row.search_cpu_us,
                row.sketches_cpu_us
            )?;
        }
        Ok(())
    }

    fn write_copies(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            formatter,
            "\nCopied proposals: {} of {} ids, honest ones {} % alike; called copied from a Jaccard similarity of one half on",
            copies::PROPOSALS,
            copies::IDS,
            copies::HONEST_PERCENT
        )?;
        writeln!(
            formatter,
            "{:>6} {:>7} {:>13} {:>12} {:>12} {:>11} {:>10} {:>9} {:>9}",
            "copied", "jaccard", "sketch found", "false", "exact found", "false", "sketch us", "exact us", "round us"
        )?;
        for row in &self.copies {
            writeln!(
                formatter,
                "{:>5}% {:>7.2} {:>13} {:>12} {:>12} {:>11} {:>10.0} {:>9.0} {:>9.0}",
                row.copied_percent,
                row.jaccard,
                percent(row.sketch_found),
                percent(row.sketch_false_alarms),
                percent(row.exact_found),
                percent(row.exact_false_alarms),
                row.sketch_cpu_us,
                row.exact_cpu_us,
                row.round_cpu_us
            )?;
        }
        Ok(())
    }

    fn write_cold_stars(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            formatter,
            "\nNew stars: one in {}, {} clusters; of their transfers, those between clusters",
            cold::STARS_PER_NEW,
            cold::CLUSTERS
        )?;
        writeln!(formatter, "{:<15} {:>15} {:>8} {:>10}", "method", "first transfers", "cross", "us a star")?;
        for row in &self.cold_stars {
            writeln!(
                formatter,
                "{:<15} {:>15} {:>8} {:>10.2}",
                row.method,
                row.first_transfers,
                percent(row.cross_share),
                row.cpu_us_per_star
            )?;
        }
        Ok(())
    }
}
