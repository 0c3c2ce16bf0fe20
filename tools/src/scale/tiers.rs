//! Galaxies under a parent galaxy: each galaxy's validators verify and apply what its own clusters send, and the parent's validators order the galaxies'
//! black holes as a galaxy's order LSH blocks. The parent tier is modelled and not built; transactions between galaxies, which both would have to apply, are left out.

use constellation_chain::clusters_max;

use crate::plan::costs::{GALAXY_PEER_S, GALAXY_ROUND_S, LATE_PROPOSAL_DELAYS, LOAD_MAX};
use crate::scale::links::ROUND_DELAYS;
use crate::scale::load::{Load, Part};
use crate::scale::model::{Galaxy, Pace, Roles, Site, State, last};

/// Galaxies under a parent, at work.
#[derive(Clone, Copy, Debug)]
pub struct Tiers {
    /// Galaxies, all alike, each with the clusters that today's protocol can have, or fewer.
    pub galaxies: u32,
    /// Transactions a second that become final in all.
    pub committed_per_s: f64,
    /// From admission to the parent's block, on the average, in seconds.
    pub finality_s: f64,
    /// The busiest part of a galaxy.
    pub busiest: (Part, f64),
    /// The busiest part of a parent's validator; none of a galaxy that needs no parent.
    pub parent_busiest: Option<(Part, f64)>,
}

impl Tiers {
    /// As few galaxies as hold all of `all`'s clusters; the parent has as many validators as each of them.
    pub fn steady(all: &Galaxy, site: &Site) -> Self {
        let galaxies = all.clusters.div_ceil(clusters_max(all.facilitators as usize));
        let clusters = all.clusters.div_ceil(galaxies);
        let offered_per_s = all.offered_per_s / f64::from(galaxies);
        let State { committed_per_s, black_holes_per_s, finality_s, busiest, .. } =
            Galaxy { clusters, offered_per_s, ..*all }.steady(site);
        if galaxies == 1 {
            return Tiers { galaxies, committed_per_s, finality_s, busiest, parent_busiest: None };
        }
        let parent = Parent { validators: all.validators, site, black_holes_per_s };
        let borne = parent.borne(f64::from(galaxies));
        Tiers {
            galaxies,
            committed_per_s: borne * committed_per_s,
            finality_s: finality_s + 1.5 * parent.round_s(borne),
            busiest,
            parent_busiest: Some(parent.load(borne).validator_busiest()),
        }
    }
}

/// A galaxy whose blocks are other galaxies' black holes.
struct Parent<'a> {
    validators: u32,
    site: &'a Site,
    /// Of each galaxy below.
    black_holes_per_s: f64,
}

impl Parent<'_> {
    /// All galaxies, or as many as it can order.
    fn borne(&self, galaxies: f64) -> f64 {
        let is_borne = |count: f64| self.load(count).validator_busiest().1 <= LOAD_MAX;
        if is_borne(galaxies) { galaxies } else { last(0.0..galaxies, is_borne) }
    }

    fn round_s(&self, galaxies: f64) -> f64 {
        self.least_round_s() / (1.0 - self.load(galaxies).validator_volume())
    }

    fn least_round_s(&self) -> f64 {
        let peers = f64::from(self.validators - 1);
        let work_s = self.site.slowness * (GALAXY_ROUND_S + GALAXY_PEER_S * peers) / self.site.cores.min(1.0);
        (ROUND_DELAYS + LATE_PROPOSAL_DELAYS) * self.site.links.delay_s(self.validators) + work_s
    }

    /// Black holes come as LSH blocks do, certified by as many as the parent has validators, and with nothing to apply.
    fn load(&self, galaxies: f64) -> Load {
        let parent = Galaxy {
            clusters: 1,
            facilitators: self.validators,
            validators: self.validators,
            roles: Roles::Apart,
            offered_per_s: 0.0,
        };
        let interval_s = 1.0 / (galaxies * self.black_holes_per_s);
        Load::of(&parent, self.site, &Pace { rate_per_s: 0.0, interval_s, galaxy_interval_s: self.least_round_s() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scale::sweep::tests::options;

    #[test]
    fn a_galaxy_that_needs_no_parent_has_none_and_a_parent_costs_time_and_not_throughput() {
        let options = options();
        let one = options.galaxy(200, 4);
        let (tiers, alone) = (Tiers::steady(&one, &options.site), one.steady(&options.site));
        assert_eq!((tiers.galaxies, tiers.parent_busiest), (1, None));
        assert_eq!((tiers.committed_per_s, tiers.finality_s), (alone.committed_per_s, alone.finality_s));
        let many = Tiers::steady(&options.galaxy(2000, 4), &options.site);
        assert_eq!(many.galaxies, 8);
        assert!((many.committed_per_s / (10.0 * tiers.committed_per_s) - 1.0).abs() < 1e-9, "{many:?}");
        assert!(many.finality_s > tiers.finality_s + 0.4 && many.parent_busiest.is_some());
    }

    #[test]
    fn a_parent_orders_as_many_galaxies_as_its_validators_bear() {
        let site = &options().site;
        let parent = Parent { validators: 7, site, black_holes_per_s: 2.0 };
        let borne = parent.borne(1e7);
        assert!((parent.load(borne).validator_busiest().1 / LOAD_MAX - 1.0).abs() < 1e-9);
        assert_eq!(parent.borne(borne - 1.0), borne - 1.0);
    }
}
