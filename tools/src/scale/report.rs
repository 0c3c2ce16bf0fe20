//! A scale simulation as data; `text` has its words.

use constellation_simulator::node::Violation;
use serde::Serialize;

use crate::scale::devnet::DevnetComparison;
use crate::scale::fit::Line;
use crate::scale::load::Part;
use crate::scale::machines::{Comparison, compare};
use crate::scale::model::{Beyond, State};
use crate::scale::paper;
use crate::scale::sweep::{self, FACILITATORS, Options};
use crate::scale::tiers::Tiers;

/// The report. Field names are stable.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Transactions a second that each star sends.
    pub rate_per_star_s: f64,
    /// Stars of a cluster.
    pub stars_per_cluster: u32,
    /// Validators of a galaxy.
    pub validators: u32,
    /// Cores of a node.
    pub cores: f64,
    /// What a link carries either way.
    pub link_mbit_per_s: f64,
    /// Real state machines beside the model; none where they were not asked for.
    pub machines: Vec<Comparison>,
    /// Whether the model is near enough to all of them.
    pub agrees: bool,
    /// Real devnets beside the model, if any were given.
    pub devnets: Vec<DevnetComparison>,
    /// One galaxy, by population and facilitators.
    pub rows: Vec<Row>,
    /// The paper's figure 5 and ours.
    pub figure_5: Vec<Figure5>,
    /// How throughput grows with clusters, and where that ends.
    pub growth: Vec<Growth>,
    /// One galaxy, and several under a parent.
    pub tiers: Vec<TierRow>,
}

/// One galaxy.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Stars.
    pub stars: u64,
    /// Star clusters.
    pub clusters: u32,
    /// Of each cluster.
    pub facilitators: u32,
    /// Transactions a second that the stars send.
    pub offered_per_s: f64,
    /// Transactions a second that become final.
    pub committed_per_s: f64,
    /// From admission to the black hole.
    pub finality_mean_ms: f64,
    /// Between all nodes, the gossip of transactions aside.
    pub messages_per_transaction: f64,
    /// Of those messages.
    pub bytes_per_transaction: f64,
    /// Of one validator.
    pub cpu_us_per_transaction: f64,
    /// The part that is busiest.
    pub busiest: Part,
    /// How busy that is: 1 is all of it.
    pub load: f64,
    /// What today's protocol does not have.
    pub beyond: Vec<&'static str>,
}

/// Throughput against population in one cluster, in validations: a transaction counts for each party.
#[derive(Clone, Debug, Serialize)]
pub struct Figure5 {
    /// Of the cluster.
    pub facilitators: u32,
    /// Populations.
    pub stars: Vec<u32>,
    /// As published.
    pub paper_validated_per_s: Vec<u32>,
    /// Ours.
    pub validated_per_s: Vec<f64>,
}

/// Growth with clusters.
#[derive(Clone, Debug, Serialize)]
pub struct Growth {
    /// Of each cluster.
    pub facilitators: u32,
    /// The points of the line.
    pub clusters: Vec<u32>,
    /// Transactions a second that become final there.
    pub committed_per_s: Vec<f64>,
    /// The line through them.
    #[serde(flatten)]
    pub line: Line,
    /// The most that today's protocol has room for.
    pub clusters_today: u32,
    /// What today's protocol lacks for more.
    pub beyond_today: Vec<&'static str>,
    /// The most of which everything becomes final; none where ten million were not enough to fill anything.
    pub clusters_last: Option<u32>,
    /// Transactions a second that become final then.
    pub committed_last_per_s: Option<f64>,
    /// What is full with one cluster more.
    pub limit: Option<Part>,
}

/// Clusters in one galaxy, and in as many as today's protocol needs for them.
#[derive(Clone, Debug, Serialize)]
pub struct TierRow {
    /// Stars.
    pub stars: u64,
    /// Star clusters.
    pub clusters: u32,
    /// Transactions a second that the stars send.
    pub offered_per_s: f64,
    /// What becomes final of them in one galaxy.
    pub one_galaxy_committed_per_s: f64,
    /// Its busiest part: 1 is all of it.
    pub one_galaxy_load: f64,
    /// Galaxies that today's protocol needs for so many clusters.
    pub galaxies: u32,
    /// What becomes final in them.
    pub tiers_committed_per_s: f64,
    /// From admission to the parent's block.
    pub tiers_finality_mean_ms: f64,
    /// The busiest part of a galaxy below.
    pub tiers_load: f64,
    /// The busiest part of a parent's validator.
    pub parent_load: Option<f64>,
}

/// Sweeps, and runs the state machines for `virtual_s` of virtual time, if any; `devnets` are those that were run.
///
/// # Errors
/// State machines that break their protocol.
pub fn report(
    options: &Options,
    virtual_s: u32,
    seed: u64,
    devnets: Vec<DevnetComparison>,
) -> Result<Report, Violation> {
    let machines = if virtual_s > 0 { compare(virtual_s, seed)? } else { Vec::new() };
    Ok(Report {
        rate_per_star_s: options.rate_per_star_s,
        stars_per_cluster: options.stars_per_cluster,
        validators: options.validators,
        cores: options.site.cores,
        link_mbit_per_s: options.site.link_bytes_per_s * 8.0 / 1e6,
        agrees: machines.iter().flat_map(|one| &one.quantities).all(|quantity| quantity.agrees()),
        machines,
        devnets,
        rows: options.rows().iter().map(Row::new).collect(),
        figure_5: paper::VALIDATED_PER_S.map(|(facilitators, points)| figure_5(options, facilitators, &points)).into(),
        growth: FACILITATORS.map(|facilitators| Growth::new(&options.growth(facilitators))).into(),
        tiers: tiers(options),
    })
}

impl Row {
    fn new(row: &sweep::Row) -> Self {
        let sweep::Row { stars, clusters, facilitators, offered_per_s, state } = *row;
        Row {
            stars,
            clusters,
            facilitators,
            offered_per_s: rounded(offered_per_s),
            committed_per_s: rounded(state.committed_per_s),
            finality_mean_ms: rounded(state.finality_s * 1e3),
            messages_per_transaction: rounded(state.messages_per_transaction),
            bytes_per_transaction: rounded(state.bytes_per_transaction),
            cpu_us_per_transaction: rounded(state.validator_cpu_s * 1e6),
            busiest: state.busiest.0,
            load: rounded(state.busiest.1),
            beyond: beyond(state.beyond),
        }
    }
}

impl Growth {
    fn new(growth: &sweep::Growth) -> Self {
        let (clusters, committed) = growth.points.iter().copied().unzip::<_, _, Vec<_>, Vec<_>>();
        Growth {
            facilitators: growth.facilitators,
            clusters,
            committed_per_s: committed.into_iter().map(rounded).collect(),
            line: growth.line,
            clusters_today: growth.today.0,
            beyond_today: beyond(growth.today.1),
            clusters_last: growth.last.map(|last| last.clusters),
            committed_last_per_s: growth.last.map(|last| rounded(last.committed_per_s)),
            limit: growth.last.map(|last| last.part),
        }
    }
}

fn figure_5(options: &Options, facilitators: u32, paper: &[u32]) -> Figure5 {
    let ours = options.of_the_paper(facilitators);
    Figure5 {
        facilitators,
        stars: ours.iter().map(|point| point.0).collect(),
        paper_validated_per_s: paper.to_vec(),
        validated_per_s: ours.iter().map(|point| rounded(point.1 * paper::COUNTED)).collect(),
    }
}

fn tiers(options: &Options) -> Vec<TierRow> {
    let row = |(clusters, one, tiers): (u32, State, Tiers)| TierRow {
        stars: u64::from(clusters) * u64::from(options.stars_per_cluster),
        clusters,
        offered_per_s: rounded(options.galaxy(clusters, FACILITATORS[0]).offered_per_s),
        one_galaxy_committed_per_s: rounded(one.committed_per_s),
        one_galaxy_load: rounded(one.busiest.1),
        galaxies: tiers.galaxies,
        tiers_committed_per_s: rounded(tiers.committed_per_s),
        tiers_finality_mean_ms: rounded(tiers.finality_s * 1e3),
        tiers_load: rounded(tiers.busiest.1),
        parent_load: tiers.parent_busiest.map(|(_, load)| rounded(load)),
    };
    options.tiers().into_iter().map(row).collect()
}

/// What today's protocol lacks, in words.
fn beyond(beyond: Beyond) -> Vec<&'static str> {
    let all = [(beyond.clusters, "clusters"), (beyond.round_bytes, "round bytes")];
    all.into_iter().filter(|(is_beyond, _)| *is_beyond).map(|(_, what)| what).collect()
}

/// To three decimals: a model knows no more.
fn rounded(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}
