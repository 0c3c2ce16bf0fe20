//! How often a galaxy makes black holes: its rounds follow each other while its clusters bring blocks.

use crate::plan::costs::{GALAXY_PEER_S, GALAXY_ROUND_S, LATE_PROPOSAL_DELAYS};
use crate::scale::links::ROUND_DELAYS;
use crate::scale::load::Load;
use crate::scale::model::{Galaxy, Pace, Site, last};

/// The galaxy's rounds, for a pace of its clusters.
pub(super) struct GalaxyTier<'a> {
    galaxy: &'a Galaxy,
    site: &'a Site,
    rate_per_s: f64,
    interval_s: f64,
    work_s: f64,
    delays_s: f64,
    /// The part of blocks that find a round under way.
    pub contended: f64,
}

impl<'a> GalaxyTier<'a> {
    pub fn new(galaxy: &'a Galaxy, site: &'a Site, rate_per_s: f64, interval_s: f64) -> Self {
        let peers = f64::from(galaxy.validators - 1);
        let work_s = site.slowness * (GALAXY_ROUND_S + GALAXY_PEER_S * peers) / site.cores.min(1.0);
        let delay_s = site.links.delay_s(galaxy.validators);
        let others_s = f64::from(galaxy.clusters - 1) * (ROUND_DELAYS * delay_s + work_s);
        let contended = (others_s / interval_s).min(1.0);
        let delays_s = (ROUND_DELAYS + LATE_PROPOSAL_DELAYS * contended) * delay_s;
        Self { galaxy, site, rate_per_s, interval_s, work_s, delays_s, contended }
    }

    /// As many rounds as there is time and reason for.
    pub fn pace(&self) -> Pace {
        let longest_s = self.interval_s.max(100.0 * (self.delays_s + self.work_s));
        let share = last(0.0..1.0, |share| {
            let pace = self.with_interval(share * longest_s);
            let round_s = self.round_s(&pace);
            round_s + self.rest_s(round_s) > pace.galaxy_interval_s
        });
        self.with_interval(share * longest_s)
    }

    fn with_interval(&self, galaxy_interval_s: f64) -> Pace {
        let Self { rate_per_s, interval_s, .. } = *self;
        Pace { rate_per_s, interval_s, galaxy_interval_s }
    }

    /// From a round's start to its black hole, in seconds.
    pub fn round_s(&self, pace: &Pace) -> f64 {
        let load = Load::of(self.galaxy, self.site, pace);
        self.delays_s + self.work_s / load.validator_idle() + load.validator_volume() * pace.galaxy_interval_s
    }

    /// From a round's end to the next block, on the average: at once if any other cluster's came during the round.
    fn rest_s(&self, round_s: f64) -> f64 {
        let free_s = (self.interval_s - round_s).max(0.0);
        let none_came = (free_s / self.interval_s).powf(f64::from(self.galaxy.clusters - 1));
        none_came * free_s / f64::from(self.galaxy.clusters)
    }
}
