//! What placing stars by their traffic gains: the share of transfers between clusters, beside that with stars placed at random.
//!
//! Each row is one graph ([`Graph`]) and one number of clusters. An epoch of transfers is drawn, the stars are moved by what
//! was drawn up to it, and so on; after 1, 4, 16 … epochs, and the last, another epoch is drawn that the placement never
//! learns of, and the cross-cluster transfers *in it* are counted: with the stars where they have moved to, and at home by their
//! keys, which is at random. CPU time is that of everything a validator does for it: counting transfers, ending the epoch, finding
//! the moves and making them. A quarter of the stars may move in an epoch.

mod graph;
mod report;

use constellation_chain::{
    CLUSTERS_MAX, Hash, Hasher, MoveLimits, Placement, PublicKey, Traffic, TrafficLimits, home_cluster,
};

pub use graph::{Graph, OUTSIDE_PERCENT, RELATIONS, Relation, STARS_PER_COMMUNITY, TRIAD_PERCENT};
pub use report::{Report, Row};

use crate::Machine;
use crate::machine::cpu_ms;
use crate::random::Random;
pub(crate) use graph::transfers;

/// The most stars of a run.
pub const STARS_MAX: usize = 1 << 20;
/// The most transfers of an epoch.
pub const TRANSFERS_MAX: usize = 1 << 24;
/// One star in so many may move in an epoch.
const STARS_PER_MOVE: usize = 4;

const DOMAIN: &[u8; 8] = b"cst.bnch";

/// How much to measure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Stars of each graph.
    pub stars: usize,
    /// Transfers of an epoch.
    pub transfers: usize,
    /// Numbers of clusters.
    pub clusters: Vec<u32>,
    /// Epochs to learn from.
    pub epochs: usize,
    /// Of the graphs, the transfers and the keys.
    pub seed: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { stars: 20_000, transfers: 100_000, clusters: vec![4, 16, 60], epochs: 16, seed: 1 }
    }
}

/// The options leave nothing to measure, or more than a run can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a run needs more than {RELATIONS} and at most {STARS_MAX} stars, at most {TRANSFERS_MAX} transfers, an epoch, and numbers of clusters \
     from 1 to {CLUSTERS_MAX}"
)]
pub struct OptionsError;

/// Measures every graph with every number of clusters. `progress` is told what comes next.
///
/// # Errors
/// [`OptionsError`].
pub fn measure(options: &Options, mut progress: impl FnMut(Graph, u32)) -> Result<Report, OptionsError> {
    let Options { stars, transfers, epochs, seed, .. } = *options;
    let are_possible =
        |clusters: &[u32]| !clusters.is_empty() && clusters.iter().all(|k| (1..=CLUSTERS_MAX).contains(k));
    let has_work =
        (RELATIONS + 1..=STARS_MAX).contains(&stars) && (1..=TRANSFERS_MAX).contains(&transfers) && epochs > 0;
    if !has_work || !are_possible(&options.clusters) {
        return Err(OptionsError);
    }
    let keys: Vec<PublicKey> = (0..stars).map(|star| key(seed, star)).collect();
    let mut rows = Vec::new();
    for graph in Graph::ALL {
        let relations = graph.grow(stars, seed);
        for &clusters in &options.clusters {
            progress(graph, clusters);
            rows.extend(Run { options, keys: &keys, relations: &relations, graph, clusters }.rows());
        }
    }
    Ok(Report { machine: Machine::here(), stars, transfers, seed, rows })
}

fn key(seed: u64, star: usize) -> PublicKey {
    PublicKey(Hasher::new(DOMAIN).update(&seed.to_le_bytes()).update(&star.to_le_bytes()).finish().0)
}

/// After which epochs rows are reported: the powers of four, and the last.
fn is_reported(epoch: usize, last: usize) -> bool {
    epoch == last || epoch.is_power_of_two() && epoch.ilog2().is_multiple_of(2)
}

/// One graph in so many clusters.
struct Run<'a> {
    options: &'a Options,
    keys: &'a [PublicKey],
    relations: &'a [Relation],
    graph: Graph,
    clusters: u32,
}

impl Run<'_> {
    fn rows(&self) -> Vec<Row> {
        let Options { stars, transfers: count, epochs, seed, .. } = *self.options;
        let limits = MoveLimits { moves: stars.div_ceil(STARS_PER_MOVE), ..MoveLimits::default() };
        let mut traffic = Traffic::new(TrafficLimits::default(), Hash::ZERO);
        let mut placement = Placement::new(self.clusters);
        let (mut learned, mut measured) = (Random(!seed), Random(seed.rotate_left(32)));
        let mut rows: Vec<Row> = Vec::new();
        let (mut moves, mut cpu, mut since) = (0, 0.0, 0);
        for epoch in 1..=epochs {
            let drawn = transfers(self.relations, count, &mut learned);
            let start_ms = cpu_ms();
            drawn.iter().for_each(|[a, b]| traffic.record(self.keys[*a], self.keys[*b]));
            traffic.end_epoch(Hash::of(DOMAIN, &epoch.to_le_bytes()));
            let found = placement.moves(&traffic, limits);
            placement.apply(&found);
            cpu += cpu_ms() - start_ms;
            moves += found.len();
            if is_reported(epoch, epochs) {
                let drawn = transfers(self.relations, count, &mut measured);
                let (cross, load) = self.judge(&drawn, |star| placement.cluster_of(star));
                let (random_cross, _) = self.judge(&drawn, |star| home_cluster(star, self.clusters));
                let of = (epoch - since) as f64;
                rows.push(Row {
                    graph: self.graph.name(),
                    clusters: self.clusters,
                    epochs: epoch,
                    random_cross_share: random_cross,
                    cross_share: cross,
                    largest_load: load,
                    moves_per_epoch: moves as f64 / of,
                    cpu_ms_per_epoch: cpu / of,
                });
                (moves, cpu, since) = (0, 0.0, epoch);
            }
        }
        rows
    }

    /// The share of transfers between clusters, and the largest cluster's load over the mean.
    fn judge(&self, transfers: &[Relation], cluster_of: impl Fn(&PublicKey) -> u32) -> (f64, f64) {
        let clusters: Vec<u32> = self.keys.iter().map(cluster_of).collect();
        let mut loads = vec![0; self.clusters as usize];
        let mut cross = 0;
        for [a, b] in transfers.iter().map(|transfer| transfer.map(|star| clusters[star])) {
            cross += usize::from(a != b);
            loads[a as usize] += 1;
            loads[b as usize] += 1;
        }
        let mean = 2.0 * transfers.len() as f64 / f64::from(self.clusters);
        let largest: usize = loads.into_iter().max().unwrap_or(0);
        (cross as f64 / transfers.len() as f64, largest as f64 / mean)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placed_stars_send_less_between_clusters_than_random_ones() {
        let options = Options { stars: 2000, transfers: 10_000, clusters: vec![4], epochs: 6, seed: 1 };
        let report = measure(&options, |_, _| ()).unwrap();
        let epochs: Vec<usize> = report.rows.iter().map(|row| row.epochs).collect();
        assert_eq!(epochs, [1, 4, 6, 1, 4, 6, 1, 4, 6]);
        for row in &report.rows {
            assert!((0.7..0.8).contains(&row.random_cross_share), "{row:?}");
            assert!(row.moves_per_epoch <= 500.0 && (1.0..1.5).contains(&row.largest_load), "{row:?}");
        }
        let ratios: Vec<f64> = report.rows.iter().map(Row::ratio).collect();
        assert!(ratios[2] > 3.0 && ratios[5] > 1.5 && ratios[8] > 1.2, "{ratios:?}");
        assert!(ratios[2] > ratios[0], "{ratios:?}");
    }

    #[test]
    fn powers_of_four_are_reported_and_the_last() {
        let reported: Vec<usize> = (1..=20).filter(|epoch| is_reported(*epoch, 20)).collect();
        assert_eq!(reported, [1, 4, 16, 20]);
    }

    #[test]
    fn what_cannot_be_measured_is_refused() {
        let good = Options { stars: 5, transfers: 1, clusters: vec![1], epochs: 1, seed: 0 };
        assert!(measure(&good, |_, _| ()).is_ok());
        let cases = [
            Options { stars: RELATIONS, ..good.clone() },
            Options { transfers: 0, ..good.clone() },
            Options { clusters: vec![], ..good.clone() },
            Options { clusters: vec![4, CLUSTERS_MAX + 1], ..good.clone() },
            Options { clusters: vec![0], ..good.clone() },
            Options { epochs: 0, ..good },
        ];
        for options in cases {
            assert_eq!(measure(&options, |_, _| ()), Err(OptionsError), "{options:?}");
        }
    }
}
