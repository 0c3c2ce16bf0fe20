//! A scale simulation's report in words and tables.

use std::fmt;

use crate::scale::devnet::DevnetComparison;
use crate::scale::machines::{AGREEMENT, Comparison, Quantity};
use crate::scale::paper;
use crate::scale::report::{Growth, Report};
use crate::scale::sweep::FACILITATORS;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rate_per_star_s, stars_per_cluster, validators, cores, link_mbit_per_s, .. } = self;
        self.write_machines(f)?;
        self.write_devnets(f)?;
        writeln!(
            f,
            "One galaxy of {validators} validators with {cores} cores and {link_mbit_per_s} Mbit/s each; each star sends {rate_per_star_s} a second; {stars_per_cluster} stars a cluster"
        )?;
        writeln!(
            f,
            "{:>8} {:>8} {:>6} {:>11} {:>11} {:>8} {:>9} {:>9} {:>7}  {:23} {:>5}  beyond today's protocol",
            "stars",
            "clusters",
            "facil.",
            "offered/s",
            "committed/s",
            "final ms",
            "msgs/tx",
            "bytes/tx",
            "us/tx",
            "busiest",
            "load"
        )?;
        for row in &self.rows {
            writeln!(
                f,
                "{:>8} {:>8} {:>6} {:>11.1} {:>11.1} {:>8.0} {:>9.1} {:>9.0} {:>7.0}  {:23} {:>4.0}%  {}",
                row.stars,
                row.clusters,
                row.facilitators,
                row.offered_per_s,
                row.committed_per_s,
                row.finality_mean_ms,
                row.messages_per_transaction,
                row.bytes_per_transaction,
                row.cpu_us_per_transaction,
                row.busiest.text(),
                row.load * 100.0,
                row.beyond.join(", ")
            )?;
        }
        self.write_figure_5(f)?;
        self.write_growth(f)?;
        self.write_tiers(f)
    }
}

impl Report {
    fn write_machines(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.machines.is_empty() {
            return Ok(());
        }
        writeln!(
            f,
            "The real state machines in virtual time, and the model of the same networks (at most {:.0} % apart)",
            AGREEMENT * 100.0
        )?;
        write_quantity_heads(f, "machines")?;
        for Comparison { layout, offered_per_s, quantities } in &self.machines {
            write_quantities(f, (layout.nodes, layout.clusters, *offered_per_s), quantities)?;
        }
        writeln!(f)
    }

    fn write_devnets(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.devnets.is_empty() {
            return Ok(());
        }
        writeln!(f, "Real devnets, and the model of the same networks on this machine's cores")?;
        write_quantity_heads(f, "devnet")?;
        for DevnetComparison { nodes, clusters, offered_per_s, quantities } in &self.devnets {
            write_quantities(f, (*nodes, *clusters, *offered_per_s), quantities)?;
        }
        writeln!(f)
    }

    fn write_figure_5(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\nThe paper's figure 5, as published for CHECO, and ours: validations a second in one cluster (a transaction counts for each party), each star sending 2 a second"
        )?;
        write!(f, "{:>6} {:6}", "facil.", "")?;
        for stars in paper::POPULATIONS {
            write!(f, " {stars:>5}")?;
        }
        writeln!(f)?;
        for figure in &self.figure_5 {
            write!(f, "{:>6} {:6}", figure.facilitators, "paper")?;
            figure.paper_validated_per_s.iter().try_for_each(|value| write!(f, " {value:>5}"))?;
            write!(f, "\n{:>6} {:6}", "", "ours")?;
            figure.validated_per_s.iter().try_for_each(|value| write!(f, " {value:>5.0}"))?;
            writeln!(f)?;
        }
        Ok(())
    }

    fn write_growth(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nGrowth with clusters of one galaxy")?;
        for growth in &self.growth {
            let Growth { facilitators, line, clusters, clusters_today, beyond_today, .. } = growth;
            let (first, last) = (clusters.first().copied().unwrap_or(0), clusters.last().copied().unwrap_or(0));
            writeln!(
                f,
                "{facilitators:>6} facilitators: {:.2} a second and cluster, R2 = {:.5} over {} points from {first} to {last} clusters",
                line.slope,
                line.r_squared,
                clusters.len()
            )?;
            writeln!(
                f,
                "{:22}today's protocol: {clusters_today} clusters; for more it lacks room for {}",
                "",
                beyond_today.join(", ")
            )?;
            match (growth.clusters_last, growth.committed_last_per_s, growth.limit) {
                (Some(clusters), Some(per_s), Some(part)) => {
                    writeln!(
                        f,
                        "{:22}first limit: {} is full above {clusters} clusters, {per_s:.0} a second",
                        "",
                        part.text()
                    )?;
                }
                _ => writeln!(f, "{:22}first limit: none found", "")?,
            }
        }
        Ok(())
    }

    fn write_tiers(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\nOne galaxy, and galaxies under a parent (modelled, not built; without transactions between galaxies), {} facilitators a cluster",
            FACILITATORS[0]
        )?;
        writeln!(
            f,
            "{:>9} {:>8} {:>11} {:>12} {:>5} {:>9} {:>12} {:>8} {:>5} {:>6}",
            "stars",
            "clusters",
            "offered/s",
            "one galaxy/s",
            "load",
            "galaxies",
            "committed/s",
            "final ms",
            "load",
            "parent"
        )?;
        for row in &self.tiers {
            let parent = row.parent_load.map_or_else(|| "-".to_owned(), |load| format!("{:.0}%", load * 100.0));
            writeln!(
                f,
                "{:>9} {:>8} {:>11.0} {:>12.0} {:>4.0}% {:>9} {:>12.0} {:>8.0} {:>4.0}% {parent:>6}",
                row.stars,
                row.clusters,
                row.offered_per_s,
                row.one_galaxy_committed_per_s,
                row.one_galaxy_load * 100.0,
                row.galaxies,
                row.tiers_committed_per_s,
                row.tiers_finality_mean_ms,
                row.tiers_load * 100.0
            )?;
        }
        Ok(())
    }
}

fn write_quantity_heads(f: &mut fmt::Formatter<'_>, whose: &str) -> fmt::Result {
    writeln!(
        f,
        "{:>5} {:>8} {:>10}  {:28} {whose:>10} {:>10} {:>6}",
        "nodes", "clusters", "offered/s", "quantity", "model", "ratio"
    )
}

fn write_quantities(
    f: &mut fmt::Formatter<'_>,
    (nodes, clusters, offered_per_s): (u32, u32, f64),
    quantities: &[Quantity],
) -> fmt::Result {
    quantities.iter().try_for_each(|quantity| {
        let Quantity { name, machines, model, ratio } = quantity;
        let far = if quantity.agrees() { "" } else { "  far" };
        writeln!(
            f,
            "{nodes:>5} {clusters:>8} {offered_per_s:>10.1}  {name:28} {machines:>10.1} {model:>10.1} {ratio:>6.2}{far}"
        )
    })
}
