//! The model of one galaxy under load, by rounds and not by messages: what it commits, how fast, and what of it is how busy. Costs are those of
//! [`crate::plan::costs`].
//!
//! **Rounds.** Each cluster begins a round as often as it can: not before the last but two is settled, not within the protocol's least interval, and only
//! if something waits. A round is seven delays and the work of its members; work takes 1 ÷ (1 − load) times as long on a node that is busy with other
//! things too. Galaxy rounds follow each other while clusters bring blocks; without a pause between them they take two delays more.
//!
//! **Load.** Where rounds would be too much work they become rarer and hold more, as those of real nodes do; up to [`INTERVAL_MAX_S`]. What is
//! left is the work of the transactions themselves: where that is more than a part can do, it commits what it can do, and growth stops.

use std::ops::Range;

use constellation_chain::clusters_max;
use constellation_node::ROUND_MAX_BYTES;

use crate::plan;
use crate::plan::costs::{IDLE_TRANSACTION_S, LATE_PROPOSAL_DELAYS, LOAD_MAX, ROUND_INTERVAL_MIN_S, ROUNDS_AHEAD};
use crate::scale::black_holes::GalaxyTier;
use crate::scale::links::{Links, ROUND_DELAYS};
use crate::scale::load::{Load, Part};

/// Rounds of a cluster are at most so far apart, in seconds, or as far as delays alone demand. A choice: rarer ones would cost less, and all would be final later.
pub const INTERVAL_MAX_S: f64 = 2.0;

/// Halvings of a range until it is as narrow as numbers allow, nearly.
const HALVINGS: u32 = 50;

/// Nodes and what is between them, all alike.
#[derive(Clone, Copy, Debug)]
pub struct Site {
    /// The links.
    pub links: Links,
    /// Bytes a second that a link carries, either way.
    pub link_bytes_per_s: f64,
    /// Cores of a node.
    pub cores: f64,
    /// Signatures a second and core, in large batches.
    pub verify_per_s: f64,
    /// Bytes of a transaction.
    pub transaction_bytes: f64,
    /// Processor time over what was measured: 1 on such cores, 0 in a simulation in which computing takes no time.
    pub slowness: f64,
}

impl From<plan::Site> for Site {
    fn from(site: plan::Site) -> Self {
        Self {
            links: Links::Alike { one_way_s: site.round_trip_ms / 2e3 },
            link_bytes_per_s: site.uplink_mbit * 1e6 / 8.0,
            cores: site.cores.into(),
            verify_per_s: site.verify_per_s,
            transaction_bytes: site.transaction_bytes.into(),
            slowness: 1.0,
        }
    }
}

/// Who does what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Roles {
    /// Validators do nothing else, and each cluster has facilitators of its own.
    Apart,
    /// Every node is a validator and a facilitator of every cluster: a devnet.
    Shared,
}

/// A galaxy and what is asked of it.
#[derive(Clone, Copy, Debug)]
pub struct Galaxy {
    /// Star clusters, all alike.
    pub clusters: u32,
    /// Facilitators of each.
    pub facilitators: u32,
    /// Validators.
    pub validators: u32,
    /// Who does what.
    pub roles: Roles,
    /// Transactions a second that all stars send.
    pub offered_per_s: f64,
}

/// What goes on in a second.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// Transactions a second.
    pub rate_per_s: f64,
    /// Between the blocks of a cluster.
    pub interval_s: f64,
    /// Between black holes.
    pub galaxy_interval_s: f64,
}

/// A pace, and how long things take at it.
struct Times {
    pace: Pace,
    /// From admission to the black hole, on the average.
    finality_s: f64,
    /// From a cluster round's start to the black hole.
    lead_s: f64,
}

/// A galaxy at work.
#[derive(Clone, Copy, Debug)]
pub struct State {
    /// Transactions a second that become final.
    pub committed_per_s: f64,
    /// LSH blocks a second, of all clusters.
    pub lsh_blocks_per_s: f64,
    /// Black holes a second.
    pub black_holes_per_s: f64,
    /// From admission to the black hole, on the average, in seconds.
    pub finality_s: f64,
    /// Messages between nodes for a transaction, the gossip of transactions aside.
    pub messages_per_transaction: f64,
    /// Their bytes.
    pub bytes_per_transaction: f64,
    /// Processor time of one validator for a transaction, in seconds.
    pub validator_cpu_s: f64,
    /// The busiest part, and how busy it is: 1 is all of it.
    pub busiest: (Part, f64),
    /// What today's protocol does not have.
    pub beyond: Beyond,
}

/// The bounds of today's protocol that a galaxy lies beyond.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Beyond {
    /// More clusters, or seats in them, than a galaxy can have.
    pub clusters: bool,
    /// More bytes in a round of all clusters.
    pub round_bytes: bool,
}

impl Galaxy {
    /// The galaxy under its load, once that has lasted.
    pub fn steady(&self, site: &Site) -> State {
        let committed_per_s = self.committed_per_s(site);
        let times = self.fastest(site, committed_per_s);
        self.state(site, &times)
    }

    /// Whether everything that is offered becomes final.
    pub fn bears_all(&self, site: &Site) -> bool {
        self.is_borne(site, self.offered_per_s)
    }

    /// All that is offered, or as much as the first part that is full can do.
    fn committed_per_s(&self, site: &Site) -> f64 {
        if self.bears_all(site) {
            return self.offered_per_s;
        }
        last(0.0..self.offered_per_s, |rate_per_s| self.is_borne(site, rate_per_s))
    }

    fn is_borne(&self, site: &Site, rate_per_s: f64) -> bool {
        self.is_bearable(site, rate_per_s, self.interval_max_s(site))
    }

    /// With rounds as frequent as can be.
    fn fastest(&self, site: &Site, rate_per_s: f64) -> Times {
        let most_s = self.interval_max_s(site);
        // As a share of the longest interval, from that down.
        let shorter = last(0.0..1.0, |share| self.is_bearable(site, rate_per_s, most_s * (1.0 - share)));
        self.with_least_interval(site, rate_per_s, most_s * (1.0 - shorter))
    }

    fn interval_max_s(&self, site: &Site) -> f64 {
        let galaxy_delays = ROUND_DELAYS + LATE_PROPOSAL_DELAYS;
        let delays_s = ROUND_DELAYS * site.links.delay_s(self.facilitators)
            + 1.5 * galaxy_delays * site.links.delay_s(self.validators);
        INTERVAL_MAX_S + delays_s / ROUNDS_AHEAD
    }

    fn is_bearable(&self, site: &Site, rate_per_s: f64, least_s: f64) -> bool {
        if least_s < ROUND_INTERVAL_MIN_S {
            return false;
        }
        let times = self.with_least_interval(site, rate_per_s, least_s);
        least_s * ROUNDS_AHEAD >= times.lead_s && Load::of(self, site, &times.pace).busiest().1 <= LOAD_MAX
    }

    /// With rounds of a cluster that begin `least_s` after each other, or later where nothing waits.
    fn with_least_interval(&self, site: &Site, rate_per_s: f64, least_s: f64) -> Times {
        // Transactions come by chance: none in a time that brings λ on the average with probability e^−λ.
        let held = rate_per_s / f64::from(self.clusters) * least_s;
        let none = (-held).exp();
        let interval_s = least_s * (1.0 + none / held);
        let wait_s = least_s / 2.0 * held / (held + none);

        let tier = GalaxyTier::new(self, site, rate_per_s, interval_s);
        let pace = tier.pace();
        let galaxy_round_s = tier.round_s(&pace);
        let load = Load::of(self, site, &pace);
        let cluster_round_s = ROUND_DELAYS * site.links.delay_s(self.facilitators)
            + site.slowness * load.cluster_round_work_s / load.facilitator_idle()
            + load.facilitator_volume() * least_s;
        let lead_s = cluster_round_s + tier.contended * galaxy_round_s / 2.0 + galaxy_round_s;
        Times { pace, finality_s: site.links.message_s() + wait_s + lead_s, lead_s }
    }

    fn state(&self, site: &Site, Times { pace, finality_s, .. }: &Times) -> State {
        let load = Load::of(self, site, pace);
        let each = |per_s: f64| if pace.rate_per_s > 0.0 { per_s / pace.rate_per_s } else { 0.0 };
        let busiest = load.busiest();
        let idle = (1.0 - busiest.1 / LOAD_MAX).max(0.0);
        let lsh_blocks_per_s = f64::from(self.clusters) / pace.interval_s;
        let round_bytes = pace.rate_per_s * pace.interval_s * site.transaction_bytes;
        State {
            committed_per_s: pace.rate_per_s,
            lsh_blocks_per_s,
            black_holes_per_s: 1.0 / pace.galaxy_interval_s,
            finality_s: *finality_s,
            messages_per_transaction: each(load.messages_per_s),
            bytes_per_transaction: each(load.bytes_per_s),
            validator_cpu_s: each(load.validator_cpu) + site.slowness * idle * IDLE_TRANSACTION_S,
            busiest,
            beyond: Beyond {
                clusters: self.clusters > clusters_max(self.facilitators as usize),
                round_bytes: round_bytes > ROUND_MAX_BYTES as f64,
            },
        }
    }
}

/// The last number of a range at which `holds`, which holds from its start up to somewhere.
pub(super) fn last(range: Range<f64>, holds: impl Fn(f64) -> bool) -> f64 {
    let (mut met, mut missed) = (range.start, range.end);
    for _ in 0..HALVINGS {
        let middle = met + (missed - met) / 2.0;
        match holds(middle) {
            true => met = middle,
            false => missed = middle,
        }
    }
    met
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scale::sweep::tests::options;

    fn galaxy(clusters: u32, offered_per_s: f64) -> Galaxy {
        Galaxy { offered_per_s, ..options().galaxy(clusters, 4) }
    }

    #[test]
    fn no_more_is_committed_than_is_offered_and_all_of_it_while_no_part_is_full() {
        let site = options().site;
        for clusters in [1, 7, 100, 1000, 5000] {
            for offered_per_s in [0.5, 100.0, 10_000.0, 60_000.0, 1e6] {
                let state = galaxy(clusters, offered_per_s).steady(&site);
                assert!(state.committed_per_s <= offered_per_s && state.busiest.1 <= LOAD_MAX, "{clusters}: {state:?}");
                let is_full = state.busiest.1 > LOAD_MAX * (1.0 - 1e-6);
                assert!(is_full || state.committed_per_s == offered_per_s, "{clusters}: {state:?}");
            }
        }
    }

    #[test]
    fn a_galaxy_saturates_exactly_at_its_capacity() {
        let site = options().site;
        let full = galaxy(100, 1e7).steady(&site);
        assert!((full.busiest.1 / LOAD_MAX - 1.0).abs() < 1e-6, "{full:?}");
        let capacity_per_s = full.committed_per_s;
        assert!(
            galaxy(100, capacity_per_s).bears_all(&site)
                && !galaxy(100, capacity_per_s * (1.0 + 1e-9)).bears_all(&site)
        );
        // Asking for more gives no less.
        let more = galaxy(100, 1e9).steady(&site).committed_per_s;
        assert!((more / capacity_per_s - 1.0).abs() < 1e-6, "{more}");
        // The core's stage does 80,000 transactions in 80 % of a second, less what blocks cost it.
        assert_eq!(full.busiest.0, Part::ValidatorCore);
        assert!((70_000.0..80_000.0).contains(&capacity_per_s), "{capacity_per_s}");
    }

    #[test]
    fn load_and_time_rise_with_what_is_offered_and_cost_a_transaction_falls() {
        let site = options().site;
        let states: Vec<State> = [10.0, 100.0, 1e3, 1e4, 5e4].map(|rate| galaxy(100, rate).steady(&site)).to_vec();
        for pair in states.windows(2) {
            assert!(
                pair[1].busiest.1 > pair[0].busiest.1 && pair[1].validator_cpu_s < pair[0].validator_cpu_s,
                "{pair:?}"
            );
            assert!(pair[1].bytes_per_transaction < pair[0].bytes_per_transaction, "{pair:?}");
        }
    }

    #[test]
    fn what_is_short_is_what_is_full() {
        let full = |site: &Site| galaxy(100, 1e7).steady(site).busiest.0;
        let site = options().site;
        assert_eq!(full(&Site { link_bytes_per_s: 1e6, ..site }), Part::ValidatorLinkIn);
        assert_eq!(full(&Site { cores: 1.0, ..site }), Part::ValidatorCores);
        let one = Galaxy { facilitators: 32, ..galaxy(1, 1e7) };
        assert_eq!(one.steady(&Site { link_bytes_per_s: 1e6, ..site }).busiest.0, Part::FacilitatorLink);
    }

    #[test]
    fn rounds_wait_for_the_galaxy_and_for_something_to_hold() {
        let at = |one_way_s, rate| {
            let site = Site { links: Links::Alike { one_way_s }, ..options().site };
            galaxy(1, rate).steady(&site)
        };
        // Near: the protocol's 40 ms. Far: seven delays of the cluster and seven of the galaxy, a third of them.
        assert!((at(0.0, 1000.0).lsh_blocks_per_s / 25.0 - 1.0).abs() < 0.01);
        let far = at(0.3, 1000.0).lsh_blocks_per_s;
        assert!((far * 14.0 * 0.3 / 3.0 - 1.0).abs() < 0.05, "{far}");
        // One in ten seconds: a block each.
        assert!((at(0.0, 0.1).lsh_blocks_per_s / 0.1 - 1.0).abs() < 0.01);
    }

    #[test]
    fn todays_bounds_are_known() {
        let site = options().site;
        let beyond = |clusters, rate| galaxy(clusters, rate).steady(&site).beyond;
        assert_eq!(beyond(256, 100.0), Beyond::default());
        assert_eq!(beyond(257, 100.0), Beyond { clusters: true, round_bytes: false });
        assert_eq!(beyond(100, 70_000.0), Beyond { clusters: false, round_bytes: true });
    }
}
