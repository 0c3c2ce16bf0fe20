//! The model of a network under load: from a committee's size and a rate to clusters, times and loads. Floating point, since it
//! estimates; the safety of committees is judged exactly elsewhere.
//!
//! **Who does what.** Every cluster's committee of n facilitators is drawn from the whole population, and no star serves in two
//! clusters: clusters × n ≤ population. The galaxy's validators are one more committee of n. Each transaction belongs to one
//! cluster; each validator receives, verifies and applies every transaction once. The model takes that work to be spread over
//! a node's cores; today's node applies transactions on one, and the plan says so where one is not enough.
//!
//! **A cluster's round** takes: 7 one-way delays (3 of the broadcast, 3 of the agreement, 1 of the certificate); sending one's
//! share of the transactions to n − 1 others, and one's votes, over one's link; verifying the round's signatures on one's
//! cores, as if none had come by gossip before; and the processor's time for the common subset.
//!
//! **A galaxy's round** takes the same delays; receiving the transactions of one block of every cluster, and the headers that the
//! validators propose, each all of them, and votes; verifying and applying those transactions; the common subset.
//!
//! **Between the starts of two rounds** of a cluster passes a third of the time from a round's start to its black hole, since
//! three rounds may be under way, but at least the protocol's 40 ms. A round holds what comes in that time. A transaction is final, on the
//! average, after waiting half of that time for its cluster's next round, that round, half a galaxy round of waiting for the
//! next, and that one.
//!
//! **A facilitator's link** carries every transaction of its cluster twice (pushed when it is admitted, then in a proposal, n − 1 times
//! for n members), its part of one copy for each validator, and votes. Clusters are as few as links, cores and the bytes of
//! a round allow; links and cores are used to 80 %.

use constellation_meme::fault_bound;

use crate::plan::costs::{
    AGREEMENT_DELAYS, BROADCAST_DELAYS, CERTIFICATE_DELAYS, CERTIFICATE_VERIFY_PER_S, CLUSTER_PEER_S, CORE_S,
    GALAXY_PEER_S, GALAXY_ROUND_S, HANDLING_S, LOAD_MAX, ROUND_INTERVAL_MIN_S, ROUNDS_AHEAD, SIGNATURES, acs_cpu_s,
    block_bytes, round_max_bytes, vote_bytes,
};
use crate::plan::refusal::Limit;
use crate::plan::{Demand, Refusal, Site};

/// A network that carries the demand: its clusters, times in seconds, and loads.
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    /// Clusters.
    pub clusters: u32,
    /// From a cluster round's start to its block's certificate.
    pub round_s: f64,
    /// Between the starts of two rounds of a cluster.
    pub interval_s: f64,
    /// From a galaxy round's start to its black hole's certificate.
    pub galaxy_round_s: f64,
    /// Bytes of transactions in a cluster's round.
    pub round_bytes: f64,
    /// Of one facilitator.
    pub facilitator: Load,
    /// Of one validator.
    pub validator: Load,
    /// Cores that the stage which applies transactions needs at a validator; in `validator` too.
    pub apply_cores: f64,
}

/// What a node does in a second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Load {
    /// Bytes sent.
    pub up_bytes_per_s: f64,
    /// Bytes received.
    pub down_bytes_per_s: f64,
    /// Cores busy.
    pub cores: f64,
}

impl Layout {
    /// From a transaction's admission to its black hole, on the average.
    pub fn finality_s(&self) -> f64 {
        self.interval_s / 2.0 + self.round_s + 1.5 * self.galaxy_round_s
    }
}

/// The network with the fewest clusters that carries the demand with committees of `seats`.
pub fn layout(demand: &Demand, seats: u32) -> Result<Layout, Refusal> {
    let Demand { population, rate_per_s, site, .. } = *demand;
    if rate_per_s == 0 {
        return Err(Refusal::Rate);
    }
    let model = Model { seats: f64::from(seats), clusters_max: population / seats, site };
    model.layout(rate_per_s).map_err(|limit| Refusal::Load {
        rate_per_s,
        limit,
        most_per_s: model.most_per_s(rate_per_s),
    })
}

struct Model {
    /// Members of every committee, n.
    seats: f64,
    clusters_max: u32,
    site: Site,
}

impl Model {
    fn layout(&self, rate_per_s: u64) -> Result<Layout, Limit> {
        let rate_per_s = rate_per_s as f64;
        for clusters in 1..=self.clusters_max {
            // Work of validators only grows with the clusters.
            self.validators_bear(&self.validator(rate_per_s, f64::from(clusters), f64::INFINITY, f64::INFINITY))?;
            let Some(layout) = self.with_clusters(rate_per_s, clusters) else { continue };
            self.validators_bear(&layout.validator)?;
            if self.facilitators_bear(&layout) {
                return Ok(layout);
            }
        }
        Err(Limit::Clusters { clusters: self.clusters_max, seats: self.seats as u32 })
    }

    /// The largest rate below `rate_per_s` that can be carried.
    fn most_per_s(&self, rate_per_s: u64) -> u64 {
        let (mut met, mut missed) = (0, rate_per_s);
        while missed - met > 1 {
            let middle = met + (missed - met) / 2;
            match self.layout(middle) {
                Ok(_) => met = middle,
                Err(_) => missed = middle,
            }
        }
        met
    }

    /// A network of so many clusters; none where rounds would hold ever more.
    fn with_clusters(&self, rate_per_s: f64, clusters: u32) -> Option<Layout> {
        let count = f64::from(clusters);
        let bytes_per_s = rate_per_s / count * f64::from(self.site.transaction_bytes);
        // Both rounds' times rise in a straight line with the bytes of a round, which are those of an interval.
        let fixed_s = self.round_s(0.0) + self.galaxy_round_s(0.0, count);
        let per_byte_s = self.round_s(1.0) + self.galaxy_round_s(1.0, count) - fixed_s;
        let left = ROUNDS_AHEAD - per_byte_s * bytes_per_s;
        if left <= 0.0 {
            return None;
        }
        let interval_s = (fixed_s / left).max(ROUND_INTERVAL_MIN_S);
        let round_bytes = bytes_per_s * interval_s;
        let (round_s, galaxy_round_s) = (self.round_s(round_bytes), self.galaxy_round_s(round_bytes, count));
        Some(Layout {
            clusters,
            round_s,
            interval_s,
            galaxy_round_s,
            round_bytes,
            facilitator: self.facilitator(rate_per_s / count, interval_s),
            validator: self.validator(rate_per_s, count, interval_s, galaxy_round_s),
            apply_cores: rate_per_s * CORE_S,
        })
    }

    /// A cluster's round with so many bytes of transactions.
    fn round_s(&self, bytes: f64) -> f64 {
        let others = (self.seats - 1.0) / self.seats;
        let sending_s = (bytes * others + vote_bytes(self.seats)) / self.link();
        let verifying_s = self.count(bytes) * self.signatures_s() / self.cores_max();
        self.delays_s() + sending_s + verifying_s + acs_cpu_s(self.seats)
    }

    /// A galaxy's round with one block of each cluster, each with so many bytes of transactions.
    fn galaxy_round_s(&self, bytes: f64, clusters: f64) -> f64 {
        let headers = (self.seats - 1.0) * clusters * self.block_bytes();
        let receiving_s = (bytes * clusters + headers + vote_bytes(self.seats)) / self.link();
        let applying_s = self.count(bytes) * clusters * self.transaction_s() / self.cores_max();
        self.delays_s() + receiving_s + applying_s + acs_cpu_s(self.seats)
    }

    /// A facilitator of a cluster with `rate_per_s` transactions a second.
    fn facilitator(&self, rate_per_s: f64, interval_s: f64) -> Load {
        let bytes_per_s = rate_per_s * f64::from(self.site.transaction_bytes);
        let others = (self.seats - 1.0) / self.seats;
        let votes_per_s = vote_bytes(self.seats) / interval_s;
        // Each validator takes one copy, from one of as many facilitators as there are validators.
        let copies = 1.0;
        Load {
            up_bytes_per_s: bytes_per_s * (2.0 * others + copies) + votes_per_s,
            down_bytes_per_s: bytes_per_s * (2.0 * others + 1.0 / self.seats) + votes_per_s,
            cores: rate_per_s * self.transaction_s() + self.cluster_cpu_s() / interval_s,
        }
    }

    /// A validator of a galaxy with so many clusters; intervals between the blocks of a cluster, and between black holes.
    fn validator(&self, rate_per_s: f64, clusters: f64, interval_s: f64, galaxy_interval_s: f64) -> Load {
        let blocks_per_s = clusters / interval_s;
        let headers_per_s = (self.seats - 1.0) * blocks_per_s * self.block_bytes();
        let consensus_per_s = headers_per_s + vote_bytes(self.seats) / galaxy_interval_s;
        // In each other proposal a certificate of its own, checked by itself.
        let certificates_s = blocks_per_s * (self.seats - 1.0) * self.quorum() / CERTIFICATE_VERIFY_PER_S;
        Load {
            up_bytes_per_s: consensus_per_s,
            down_bytes_per_s: rate_per_s * f64::from(self.site.transaction_bytes) + consensus_per_s,
            cores: rate_per_s * self.transaction_s() + certificates_s + self.galaxy_cpu_s() / galaxy_interval_s,
        }
    }

    fn facilitators_bear(&self, layout: &Layout) -> bool {
        layout.round_bytes <= round_max_bytes(self.seats)
            && layout.facilitator.cores <= self.cores_max()
            && layout.facilitator.link() <= LOAD_MAX * self.link()
    }

    fn validators_bear(&self, validator: &Load) -> Result<(), Limit> {
        let (cores, link) = (self.cores_max(), LOAD_MAX * self.link());
        if validator.cores > cores {
            return Err(Limit::ValidatorCpu { needed: validator.cores, there: cores });
        }
        if validator.link() > link {
            return Err(Limit::ValidatorLink { needed: mbit(validator.link()), there: mbit(link) });
        }
        Ok(())
    }

    /// Processor time of a facilitator for a round.
    fn cluster_cpu_s(&self) -> f64 {
        self.subset_cpu_s() + (self.seats - 1.0) * CLUSTER_PEER_S
    }

    /// Processor time of a validator for a round.
    fn galaxy_cpu_s(&self) -> f64 {
        self.subset_cpu_s() + GALAXY_ROUND_S + (self.seats - 1.0) * GALAXY_PEER_S
    }

    /// The common subset, and everybody's seal and certificate share.
    fn subset_cpu_s(&self) -> f64 {
        acs_cpu_s(self.seats) + 2.0 * self.seats / self.site.verify_per_s
    }

    fn signatures_s(&self) -> f64 {
        SIGNATURES / self.site.verify_per_s
    }

    /// Processor time of a transaction at one node.
    fn transaction_s(&self) -> f64 {
        self.signatures_s() + CORE_S + HANDLING_S
    }

    fn delays_s(&self) -> f64 {
        (BROADCAST_DELAYS + AGREEMENT_DELAYS + CERTIFICATE_DELAYS) * self.site.round_trip_ms / 2e3
    }

    fn quorum(&self) -> f64 {
        self.seats - f64::from(fault_bound(self.seats as u32))
    }

    fn block_bytes(&self) -> f64 {
        block_bytes(self.quorum())
    }

    /// Transactions in so many bytes.
    fn count(&self, bytes: f64) -> f64 {
        bytes / f64::from(self.site.transaction_bytes)
    }

    fn cores_max(&self) -> f64 {
        LOAD_MAX * f64::from(self.site.cores)
    }

    /// Bytes a second that a link carries.
    fn link(&self) -> f64 {
        self.site.uplink_mbit * 1e6 / 8.0
    }
}

impl Load {
    /// The busier direction of the link.
    fn link(&self) -> f64 {
        self.up_bytes_per_s.max(self.down_bytes_per_s)
    }
}

/// Bytes a second as megabits a second.
pub fn mbit(bytes_per_s: f64) -> f64 {
    bytes_per_s * 8.0 / 1e6
}
