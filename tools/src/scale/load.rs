//! What a galaxy's pace asks of each part of its nodes, and what they say to each other.

use constellation_meme::fault_bound;
use serde::Serialize;

use crate::plan::costs::{
    CERTIFICATE_VERIFY_PER_S, CLUSTER_PEER_CORE_S, CLUSTER_PEER_S, CORE_S, GALAXY_PEER_CORE_S, GALAXY_PEER_S,
    GALAXY_ROUND_CORE_S, GALAXY_ROUND_S, HANDLING_S, MESSAGE_BYTES, SHARE_BYTES, SIGNATURES, block_bytes, vote_bytes,
};
use crate::scale::model::{Galaxy, Pace, Roles, Site};

/// Bytes of a verifiable output in a validator's proposal.
const OUTPUT_BYTES: f64 = 80.0;

/// A load that a queue may be reckoned with: at 1 nothing would ever be done.
const QUEUE_LOAD_MAX: f64 = 0.99;

/// A part of a node that can be full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// The stage of a validator that applies transactions and checks certificates: one thread.
    ValidatorCore,
    /// All of a validator's cores: verification, and everything else.
    ValidatorCores,
    /// What a validator receives.
    ValidatorLinkIn,
    /// What a validator sends.
    ValidatorLinkOut,
    /// The core's stage of a facilitator.
    FacilitatorCore,
    /// All of a facilitator's cores.
    FacilitatorCores,
    /// A facilitator's link, in its busier direction.
    FacilitatorLink,
}

impl Part {
    /// In words.
    pub fn text(self) -> &'static str {
        match self {
            Self::ValidatorCore => "validator: core stage",
            Self::ValidatorCores => "validator: all cores",
            Self::ValidatorLinkIn => "validator: link in",
            Self::ValidatorLinkOut => "validator: link out",
            Self::FacilitatorCore => "facilitator: core stage",
            Self::FacilitatorCores => "facilitator: all cores",
            Self::FacilitatorLink => "facilitator: link",
        }
    }
}

/// Of a part, what transactions and blocks ask of it, and what rounds do whatever they hold; as shares of all of it.
#[derive(Clone, Copy, Debug)]
struct Share {
    part: Part,
    volume: f64,
    rounds: f64,
}

/// The load of all parts.
#[derive(Clone, Debug)]
pub(super) struct Load {
    validator: [Share; 4],
    facilitator: [Share; 3],
    /// Cores busy at one validator.
    pub validator_cpu: f64,
    /// Processor time of a facilitator for a round of its cluster, in seconds, on the cores there are.
    pub cluster_round_work_s: f64,
    /// Messages between nodes a second.
    pub messages_per_s: f64,
    /// Their bytes.
    pub bytes_per_s: f64,
}

impl Load {
    pub fn of(galaxy: &Galaxy, site: &Site, pace: &Pace) -> Self {
        let rates = Rates::new(galaxy, site, pace);
        let (messages_per_s, bytes_per_s) = rates.said();
        Load {
            validator: rates.validator(),
            facilitator: rates.facilitator(),
            validator_cpu: rates.validator_cpu(),
            cluster_round_work_s: CLUSTER_PEER_S * (rates.seats - 1.0) / site.cores.min(1.0),
            messages_per_s,
            bytes_per_s,
        }
    }

    /// The busiest part of any node.
    pub fn busiest(&self) -> (Part, f64) {
        busiest(self.validator.iter().chain(&self.facilitator))
    }

    /// The busiest part of a validator.
    pub fn validator_busiest(&self) -> (Part, f64) {
        busiest(self.validator.iter())
    }

    /// The share of time in which a validator can turn to something new.
    pub fn validator_idle(&self) -> f64 {
        idle(&self.validator)
    }

    /// See [`Self::validator_idle`].
    pub fn facilitator_idle(&self) -> f64 {
        idle(&self.facilitator)
    }

    /// What transactions and blocks ask of a validator's busiest part.
    pub fn validator_volume(&self) -> f64 {
        volume(&self.validator)
    }

    /// See [`Self::validator_volume`].
    pub fn facilitator_volume(&self) -> f64 {
        volume(&self.facilitator)
    }
}

fn busiest<'a>(shares: impl Iterator<Item = &'a Share>) -> (Part, f64) {
    let loads = shares.map(|share| (share.part, share.volume + share.rounds));
    loads.fold((Part::ValidatorCore, 0.0), |most, load| if load.1 > most.1 { load } else { most })
}

fn idle(shares: &[Share]) -> f64 {
    1.0 - busiest(shares.iter()).1.min(QUEUE_LOAD_MAX)
}

fn volume(shares: &[Share]) -> f64 {
    shares.iter().map(|share| share.volume).fold(0.0, f64::max)
}

/// What happens a second.
struct Rates<'a> {
    site: &'a Site,
    roles: Roles,
    seats: f64,
    quorum: f64,
    validators: f64,
    clusters: f64,
    rate_per_s: f64,
    /// LSH blocks of all clusters.
    blocks_per_s: f64,
    black_holes_per_s: f64,
    speeches: f64,
    galaxy_speeches: f64,
}

impl<'a> Rates<'a> {
    fn new(galaxy: &Galaxy, site: &'a Site, pace: &Pace) -> Self {
        let Galaxy { clusters, facilitators, validators, roles, .. } = *galaxy;
        Self {
            site,
            roles,
            seats: f64::from(facilitators),
            quorum: f64::from(facilitators - fault_bound(facilitators)),
            validators: f64::from(validators),
            clusters: f64::from(clusters),
            rate_per_s: pace.rate_per_s,
            blocks_per_s: f64::from(clusters) / pace.interval_s,
            black_holes_per_s: 1.0 / pace.galaxy_interval_s,
            speeches: site.links.speeches(facilitators),
            galaxy_speeches: site.links.speeches(validators),
        }
    }

    fn validator(&self) -> [Share; 4] {
        let (core, cores) = (self.core(), self.site.slowness / self.site.cores);
        let galaxy_core_s = GALAXY_ROUND_CORE_S + GALAXY_PEER_CORE_S * (self.validators - 1.0);
        let mut rounds_core = self.black_holes_per_s * galaxy_core_s;
        let mut rounds_cores = self.black_holes_per_s * self.galaxy_round_s();
        let mut link_bytes_per_s = self.headers_per_s();
        if self.roles == Roles::Shared {
            rounds_core += self.blocks_per_s * CLUSTER_PEER_CORE_S * (self.seats - 1.0);
            rounds_cores += self.blocks_per_s * self.cluster_round_s();
            link_bytes_per_s += self.blocks_per_s * vote_bytes(self.seats) + self.pushed_bytes_per_s(self.clusters);
        }
        let certificates_s = self.blocks_per_s * self.certificates_s();
        let votes_per_s = self.black_holes_per_s * vote_bytes(self.validators);
        let received = self.rate_per_s * self.site.transaction_bytes;
        let link = |bytes_per_s: f64| bytes_per_s / self.site.link_bytes_per_s;
        [
            Share {
                part: Part::ValidatorCore,
                volume: core * (self.rate_per_s * CORE_S + certificates_s),
                rounds: core * rounds_core,
            },
            Share {
                part: Part::ValidatorCores,
                volume: cores * (self.rate_per_s * self.transaction_s() + certificates_s),
                rounds: cores * rounds_cores,
            },
            Share { part: Part::ValidatorLinkIn, volume: link(received + link_bytes_per_s), rounds: link(votes_per_s) },
            Share { part: Part::ValidatorLinkOut, volume: link(link_bytes_per_s), rounds: link(votes_per_s) },
        ]
    }

    /// One facilitator of one cluster. Where all roles are one node's, all its work is the validator's above.
    fn facilitator(&self) -> [Share; 3] {
        let blocks_per_s = self.blocks_per_s / self.clusters;
        let rate_per_s = self.rate_per_s / self.clusters;
        let (core, cores) = (self.core(), self.site.slowness / self.site.cores);
        let shares = [
            Share {
                part: Part::FacilitatorCore,
                volume: core * rate_per_s * CORE_S,
                rounds: core * blocks_per_s * CLUSTER_PEER_CORE_S * (self.seats - 1.0),
            },
            Share {
                part: Part::FacilitatorCores,
                volume: cores * rate_per_s * self.transaction_s(),
                rounds: cores * blocks_per_s * self.cluster_round_s(),
            },
            Share {
                part: Part::FacilitatorLink,
                // One copy of its block for each validator, from as many facilitators as there are, or fewer.
                volume: (self.pushed_bytes_per_s(1.0)
                    + rate_per_s * self.site.transaction_bytes * self.validators / self.seats)
                    / self.site.link_bytes_per_s,
                rounds: blocks_per_s * vote_bytes(self.seats) / self.site.link_bytes_per_s,
            },
        ];
        match self.roles {
            Roles::Apart => shares,
            Roles::Shared => {
                let [core, cores, link_in, _] = self.validator();
                [(core, Part::FacilitatorCore), (cores, Part::FacilitatorCores), (link_in, Part::FacilitatorLink)]
                    .map(|(share, part)| Share { part, ..share })
            }
        }
    }

    /// Cores busy at a validator.
    fn validator_cpu(&self) -> f64 {
        let [_, cores, ..] = self.validator();
        (cores.volume + cores.rounds) * self.site.cores
    }

    /// Messages and bytes a second of all nodes; transactions that are pushed from pool to pool are not among them.
    fn said(&self) -> (f64, f64) {
        let (pairs, galaxy_pairs) = (self.seats * (self.seats - 1.0), self.validators * (self.validators - 1.0));
        let talk_bytes = |seats: f64, pairs: f64, speeches: f64| {
            seats * vote_bytes(seats) + pairs * (speeches * MESSAGE_BYTES + SHARE_BYTES)
        };
        let mut messages =
            self.blocks_per_s * pairs * self.speeches + self.black_holes_per_s * galaxy_pairs * self.galaxy_speeches;
        let mut bytes = self.blocks_per_s * talk_bytes(self.seats, pairs, self.speeches)
            + self.black_holes_per_s * talk_bytes(self.validators, galaxy_pairs, self.galaxy_speeches)
            + self.rate_per_s * self.site.transaction_bytes * (self.seats - 1.0)
            + self.validators * self.headers_per_s();
        if self.roles == Roles::Apart {
            messages += self.blocks_per_s * self.validators;
            bytes += self.validators
                * (self.rate_per_s * self.site.transaction_bytes + self.blocks_per_s * block_bytes(self.quorum));
        }
        (messages, bytes)
    }

    /// What a validator sends the others of blocks' headers and its outputs, and receives of theirs.
    fn headers_per_s(&self) -> f64 {
        let others = self.validators - 1.0;
        others * (self.blocks_per_s * block_bytes(self.quorum) + self.black_holes_per_s * OUTPUT_BYTES)
    }

    /// What a facilitator of so many clusters sends of their transactions: pushed once, proposed once.
    fn pushed_bytes_per_s(&self, clusters: f64) -> f64 {
        let others = (self.seats - 1.0) / self.seats;
        2.0 * others * self.site.transaction_bytes * self.rate_per_s * clusters / self.clusters
    }

    /// The certificates of one block in the other validators' proposals: each has the signatures that reached its validator first.
    fn certificates_s(&self) -> f64 {
        (self.validators - 1.0) * self.quorum / CERTIFICATE_VERIFY_PER_S
    }

    fn galaxy_round_s(&self) -> f64 {
        GALAXY_ROUND_S + GALAXY_PEER_S * (self.validators - 1.0)
    }

    fn cluster_round_s(&self) -> f64 {
        CLUSTER_PEER_S * (self.seats - 1.0)
    }

    fn transaction_s(&self) -> f64 {
        SIGNATURES / self.site.verify_per_s + CORE_S + HANDLING_S
    }

    /// The share of its core that a second of work in the core's stage takes.
    fn core(&self) -> f64 {
        self.site.slowness / self.site.cores.min(1.0)
    }
}
