//! What is looked at: populations from a hundred stars to a million and beyond, the paper's, clusters up to a thousand, and where growth stops.

use constellation_chain::clusters_max;

use crate::scale::fit::Line;
use crate::scale::load::Part;
use crate::scale::model::{Beyond, Galaxy, Roles, Site, State};
use crate::scale::paper;
use crate::scale::tiers::Tiers;

/// Facilitators of a cluster: the paper's figure 5 goes from 4 to 32.
pub const FACILITATORS: [u32; 4] = [4, 8, 16, 32];

/// Populations.
pub const POPULATIONS: [u32; 10] = [100, 300, 1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 600_000, 1_000_000];

/// Clusters that a line is laid through.
pub const CLUSTERS: [u32; 12] = [1, 2, 5, 10, 20, 50, 100, 200, 400, 600, 800, 1000];

/// Clusters of which one galaxy and several are compared; the first is where one still holds all that today's protocol has.
pub const TIER_CLUSTERS: [u32; 9] = [200, 500, 1_000, 2_000, 3_000, 4_000, 6_000, 8_000, 10_000];

/// Default transactions a second that a star sends. A choice: a thousand clusters of a thousand such stars are within what a validator's core stage can do.
pub const RATE_PER_STAR_S: f64 = 0.02;

/// Default stars of a cluster. A choice.
pub const STARS_PER_CLUSTER: u32 = 1000;

/// Default validators of a galaxy. A choice: enough to bear two faults.
pub const VALIDATORS: u32 = 7;

/// Clusters beyond which no limit is looked for.
const CLUSTERS_SEARCHED: u32 = 10_000_000;

/// What is swept.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Transactions a second that each star sends.
    pub rate_per_star_s: f64,
    /// Stars of a cluster.
    pub stars_per_cluster: u32,
    /// Validators of a galaxy.
    pub validators: u32,
    /// Nodes and links.
    pub site: Site,
}

/// A galaxy of so many stars, at work.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Stars.
    pub stars: u64,
    /// Clusters.
    pub clusters: u32,
    /// Facilitators of each.
    pub facilitators: u32,
    /// Transactions a second that the stars send.
    pub offered_per_s: f64,
    /// The galaxy.
    pub state: State,
}

/// How throughput grows with clusters.
#[derive(Clone, Debug)]
pub struct Growth {
    /// Facilitators of a cluster.
    pub facilitators: u32,
    /// Clusters, and transactions a second that become final.
    pub points: Vec<(u32, f64)>,
    /// The line through them.
    pub line: Line,
    /// The most clusters that today's protocol has room for, with what is beyond it next.
    pub today: (u32, Beyond),
    /// The most clusters of which everything becomes final; none if that was not found.
    pub last: Option<Limit>,
}

/// Where growth stops.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    /// Clusters.
    pub clusters: u32,
    /// Transactions a second.
    pub committed_per_s: f64,
    /// The part that is full.
    pub part: Part,
}

impl Options {
    /// A galaxy of so many full clusters.
    pub fn galaxy(&self, clusters: u32, facilitators: u32) -> Galaxy {
        let stars = f64::from(clusters) * f64::from(self.stars_per_cluster);
        Galaxy {
            clusters,
            facilitators,
            validators: self.validators,
            roles: Roles::Apart,
            offered_per_s: stars * self.rate_per_star_s,
        }
    }

    /// Every population with every number of facilitators.
    pub fn rows(&self) -> Vec<Row> {
        let row = |facilitators: u32, stars: u32| {
            let clusters = stars.div_ceil(self.stars_per_cluster);
            let offered_per_s = f64::from(stars) * self.rate_per_star_s;
            let galaxy = Galaxy { offered_per_s, ..self.galaxy(clusters, facilitators) };
            Row { stars: stars.into(), clusters, facilitators, offered_per_s, state: galaxy.steady(&self.site) }
        };
        FACILITATORS.iter().flat_map(|&facilitators| POPULATIONS.map(|stars| row(facilitators, stars))).collect()
    }

    /// The paper's populations at the paper's rate, in one cluster as there.
    pub fn of_the_paper(&self, facilitators: u32) -> Vec<(u32, f64)> {
        let one = |stars: u32| {
            let offered_per_s = f64::from(stars) * paper::RATE_PER_NODE_S;
            let galaxy = Galaxy { offered_per_s, ..self.galaxy(1, facilitators) };
            (stars, galaxy.steady(&self.site).committed_per_s)
        };
        paper::POPULATIONS.map(one).to_vec()
    }

    /// How throughput grows with clusters of so many facilitators.
    pub fn growth(&self, facilitators: u32) -> Growth {
        let steady = |clusters| self.galaxy(clusters, facilitators).steady(&self.site);
        let points: Vec<(u32, f64)> = CLUSTERS.map(|clusters| (clusters, steady(clusters).committed_per_s)).to_vec();
        let line =
            Line::through(&points.iter().map(|(clusters, per_s)| (f64::from(*clusters), *per_s)).collect::<Vec<_>>());
        let is_all = |clusters: u32| self.galaxy(clusters, facilitators).bears_all(&self.site);
        let is_today = |clusters: u32| steady(clusters).beyond == Beyond::default();
        let clusters_max = clusters_max(facilitators as usize);
        let today = most(clusters_max + 1, is_today).unwrap_or(clusters_max);
        let last = most(CLUSTERS_SEARCHED, is_all).map(|clusters| Limit {
            clusters,
            committed_per_s: self.galaxy(clusters, facilitators).offered_per_s,
            part: steady(clusters + 1).busiest.0,
        });
        Growth { facilitators, points, line, today: (today, steady(today + 1).beyond), last }
    }

    /// One galaxy and several under a parent, as clusters grow, with four facilitators each.
    pub fn tiers(&self) -> Vec<(u32, State, Tiers)> {
        let at = |clusters| {
            let galaxy = self.galaxy(clusters, FACILITATORS[0]);
            (clusters, galaxy.steady(&self.site), Tiers::steady(&galaxy, &self.site))
        };
        TIER_CLUSTERS.map(at).to_vec()
    }
}

/// The most, fewer than `end`, of which something holds that holds from none up to somewhere; none if it holds of all.
fn most(end: u32, holds: impl Fn(u32) -> bool) -> Option<u32> {
    let (mut met, mut missed) = (0, end);
    if holds(end) {
        return None;
    }
    while missed - met > 1 {
        let middle = met + (missed - met) / 2;
        match holds(middle) {
            true => met = middle,
            false => missed = middle,
        }
    }
    Some(met)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::plan::{self, CORES, ROUND_TRIP_MS, TRANSACTION_BYTES, UPLINK_MBIT, VERIFY_PER_S};

    /// What the command takes where nothing is said.
    pub fn options() -> Options {
        let site = plan::Site {
            round_trip_ms: ROUND_TRIP_MS,
            verify_per_s: VERIFY_PER_S,
            cores: CORES,
            transaction_bytes: TRANSACTION_BYTES,
            uplink_mbit: UPLINK_MBIT,
        };
        Options {
            rate_per_star_s: RATE_PER_STAR_S,
            stars_per_cluster: STARS_PER_CLUSTER,
            validators: VALIDATORS,
            site: site.into(),
        }
    }

    #[test]
    fn the_most_is_the_last_of_which_it_holds() {
        assert_eq!(most(1000, |count| count <= 37), Some(37));
        assert_eq!(most(1000, |count| count < 1), Some(0));
        assert_eq!(most(1000, |_| true), None);
    }

    #[test]
    fn a_thousand_clusters_grow_on_a_line_and_what_is_full_then_is_named() {
        for facilitators in [4, 32] {
            let growth = options().growth(facilitators);
            assert!(growth.line.r_squared >= 0.99, "{growth:?}");
            let last = growth.last.unwrap();
            assert!(last.clusters > 1000 && last.part == Part::ValidatorCore, "{growth:?}");
            let one_more = options().galaxy(last.clusters + 1, facilitators);
            assert!(one_more.steady(&options().site).committed_per_s < one_more.offered_per_s, "{growth:?}");
        }
        assert_eq!(options().growth(4).today, (256, Beyond { clusters: true, round_bytes: false }));
    }
}
