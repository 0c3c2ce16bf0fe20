//! The genesis file: what a network starts from. Its hash names the network, so two nodes with different files never talk.
//!
//! ```toml
//! network = "my-galaxy"
//! cluster_facilitators = 4        # seats in a cluster's committee, at most 128
//! clusters = 1                    # star clusters, at most 256, and with all their seats at most 1024; 1 where it is left out
//!
//! [growth]                        # how the network changes as it lives; what is left out is as here
//! epoch_black_holes = 64          # validators and clusters change at heights that this divides
//! validators_min = 4              # who leaves when there are no more than so many stays until another joins; at most the nodes
//! clusters_max = 1                # a cluster with too many active stars splits, up to so many; the number of `clusters` where it is left out
//! cluster_stars_max = 100000      # stars of one cluster that initiate something in an epoch
//! place_stars = false             # whether stars that trade together are moved to one cluster
//!
//! [[nodes]]                       # who may be galaxy validator, and facilitator
//! public_key = "…64 hex digits…"
//! address = "127.0.0.1:7000"
//! standby = false                 # true: it follows the chain, and becomes a validator when it joins
//!
//! [[stars]]                       # accounts that hold coins at the start
//! public_key = "…64 hex digits…"
//! balance = 100000000             # in 10^-8 noos
//!
//! [[galaxies]]                    # networks whose black holes this one takes as transactions; none where they are left out
//! genesis = "…64 hex digits…"     # hash of that network's genesis
//! validators = ["…64 hex digits…"]  # its nodes, in its order: 1 to 16
//! ```

use crate::certified_header::GALAXY_VALIDATORS_MAX;
use crate::committee::{COMMITTEE_MAX, Committee};
use crate::galaxies::{GALAXIES_MAX, GenesisGalaxy};
use crate::hash::{Hash, Hasher};
use crate::keys::PublicKey;
use crate::placement::CLUSTERS_MAX;
use crate::transaction::NetworkId;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::net::SocketAddr;

/// Seats of all clusters together, at most: their proposals share the bytes of a black hole, and a proposal must hold something.
const SEATS_MAX: usize = 1024;

/// A node named in the genesis.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenesisNode {
    /// The node's identity.
    pub public_key: PublicKey,
    /// Where other nodes reach it.
    pub address: SocketAddr,
    /// Whether it is no validator until it joins.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub standby: bool,
}

impl GenesisNode {
    /// A node that is a validator from the start.
    pub fn new(public_key: PublicKey, address: SocketAddr) -> Self {
        GenesisNode { public_key, address, standby: false }
    }
}

/// How a network changes as it lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Growth {
    /// Validators and clusters change at heights that this divides.
    pub epoch_black_holes: u64,
    /// Validators that there are at least.
    pub validators_min: usize,
    /// Clusters that there may be, by splits of those with too many active stars; as many as at the start where it is `None`.
    pub clusters_max: Option<u32>,
    /// Stars of a cluster that initiate something in an epoch: above this it splits. Two that have half as many together merge, down to the number
    /// at the start.
    pub cluster_stars_max: u64,
    /// Whether stars that trade together are moved to one cluster.
    pub place_stars: bool,
}

impl Default for Growth {
    /// An epoch of 64 black holes, four validators at least, as many clusters as at the start, stars where their keys put them.
    fn default() -> Self {
        Growth {
            epoch_black_holes: 64,
            validators_min: 4,
            clusters_max: None,
            cluster_stars_max: 100_000,
            place_stars: false,
        }
    }
}

/// An account named in the genesis.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenesisStar {
    /// The star.
    pub public_key: PublicKey,
    /// Its balance in 10^-8 noos.
    pub balance: u64,
}

/// A checked genesis.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Genesis {
    network: String,
    cluster_facilitators: usize,
    clusters: u32,
    growth: Growth,
    nodes: Vec<GenesisNode>,
    stars: Vec<GenesisStar>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    galaxies: Vec<GenesisGalaxy>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Unchecked {
    network: String,
    cluster_facilitators: usize,
    #[serde(default = "one_cluster")]
    clusters: u32,
    #[serde(default)]
    growth: Growth,
    #[serde(default)]
    nodes: Vec<GenesisNode>,
    #[serde(default)]
    stars: Vec<GenesisStar>,
    #[serde(default)]
    galaxies: Vec<GenesisGalaxy>,
}

/// Clusters that a galaxy can have, with so many seats each, which are not none.
pub fn clusters_max(seats: usize) -> u32 {
    CLUSTERS_MAX.min((SEATS_MAX / seats) as u32)
}

fn one_cluster() -> u32 {
    1
}

/// Why a genesis file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GenesisError {
    /// Not the TOML expected; the text names line and column.
    #[error("genesis file: {0}")]
    Toml(String),
    /// No nodes, or too many.
    #[error("genesis file: {0} nodes; 1 to {COMMITTEE_MAX} are possible")]
    NodeCount(usize),
    /// Nobody to begin with.
    #[error("genesis file: every node has standby = true: who is to be a validator at the start?")]
    AllStandby,
    /// A committee that cannot be seated.
    #[error(
        "genesis file: cluster_facilitators = {seats}, but there are {nodes} validators at the start: use 1 to {nodes}"
    )]
    Seats {
        /// Seats asked for.
        seats: usize,
        /// Validators there are.
        nodes: usize,
    },
    /// No clusters, or too many.
    #[error(
        "genesis file: clusters = {clusters}; with cluster_facilitators = {seats}, 1 to {} are possible",
        clusters_max(*seats)
    )]
    Clusters {
        /// Clusters asked for.
        clusters: u32,
        /// Seats of each.
        seats: usize,
    },
    /// Bounds of growth that leave no room, or more than there is.
    #[error("genesis file: growth.clusters_max = {most}; with {clusters} clusters of cluster_facilitators = {seats}, {clusters} to {} are possible", clusters_max(*seats))]
    ClustersMax {
        /// Clusters asked for, at most.
        most: u32,
        /// Clusters at the start.
        clusters: u32,
        /// Seats of each.
        seats: usize,
    },
    /// An epoch without a black hole, a cluster without stars, a galaxy without validators.
    #[error("genesis file: growth.{0} = 0: use 1 or more")]
    Zero(&'static str),
    /// A key named twice.
    #[error("genesis file: {what} {key} is listed twice")]
    Twice {
        /// `node`, `star` or `validator of a galaxy`.
        what: &'static str,
        /// The key.
        key: PublicKey,
    },
    /// More coins than the amounts of the protocol can count.
    #[error("genesis file: the balances add up to more than {}", u64::MAX)]
    Supply,
    /// Too many galaxies below.
    #[error("genesis file: {0} galaxies; at most {GALAXIES_MAX} are possible")]
    GalaxyCount(usize),
    /// A galaxy without validators, or with so many that a quorum's signatures do not fit a transaction.
    #[error(
        "genesis file: galaxy {galaxy} has {validators} validators; 1 to {GALAXY_VALIDATORS_MAX} are possible, because a transaction must hold a quorum's signatures"
    )]
    GalaxyValidators {
        /// The galaxy.
        galaxy: NetworkId,
        /// Validators listed.
        validators: usize,
    },
    /// A galaxy named twice.
    #[error("genesis file: galaxy {0} is listed twice")]
    GalaxyTwice(NetworkId),
}

impl Genesis {
    /// A genesis of the given parts, with one star cluster.
    pub fn new(
        network: &str,
        cluster_facilitators: usize,
        nodes: Vec<GenesisNode>,
        stars: Vec<GenesisStar>,
    ) -> Result<Self, GenesisError> {
        if !(1..=COMMITTEE_MAX).contains(&nodes.len()) {
            return Err(GenesisError::NodeCount(nodes.len()));
        }
        let validators = nodes.iter().filter(|node| !node.standby).count();
        if validators == 0 {
            return Err(GenesisError::AllStandby);
        }
        if !(1..=validators).contains(&cluster_facilitators) {
            return Err(GenesisError::Seats { seats: cluster_facilitators, nodes: validators });
        }
        reject_twice("node", nodes.iter().map(|node| node.public_key))?;
        reject_twice("star", stars.iter().map(|star| star.public_key))?;
        stars.iter().try_fold(0u64, |sum, star| sum.checked_add(star.balance)).ok_or(GenesisError::Supply)?;
        Ok(Genesis {
            network: network.to_owned(),
            cluster_facilitators,
            clusters: 1,
            growth: Growth::default(),
            nodes,
            stars,
            galaxies: Vec::new(),
        })
    }

    /// The same with another number of star clusters.
    pub fn with_clusters(self, clusters: u32) -> Result<Self, GenesisError> {
        let seats = self.cluster_facilitators;
        if !(1..=clusters_max(seats)).contains(&clusters) {
            return Err(GenesisError::Clusters { clusters, seats });
        }
        Ok(Genesis { clusters, ..self })
    }

    /// The same with other bounds of growth.
    pub fn with_growth(self, growth: Growth) -> Result<Self, GenesisError> {
        let (clusters, seats) = (self.clusters, self.cluster_facilitators);
        if growth.epoch_black_holes == 0 {
            return Err(GenesisError::Zero("epoch_black_holes"));
        }
        if growth.cluster_stars_max == 0 {
            return Err(GenesisError::Zero("cluster_stars_max"));
        }
        if growth.validators_min == 0 {
            return Err(GenesisError::Zero("validators_min"));
        }
        match growth.clusters_max {
            Some(most) if !(clusters..=clusters_max(seats)).contains(&most) => {
                Err(GenesisError::ClustersMax { most, clusters, seats })
            }
            _ => Ok(Genesis { growth, ..self }),
        }
    }

    /// The same with galaxies below it.
    pub fn with_galaxies(self, galaxies: Vec<GenesisGalaxy>) -> Result<Self, GenesisError> {
        if galaxies.len() > GALAXIES_MAX {
            return Err(GenesisError::GalaxyCount(galaxies.len()));
        }
        let mut seen = HashSet::new();
        for galaxy in &galaxies {
            let (id, validators) = (galaxy.network_id(), galaxy.validators.len());
            if !(1..=GALAXY_VALIDATORS_MAX).contains(&validators) {
                return Err(GenesisError::GalaxyValidators { galaxy: id, validators });
            }
            reject_twice("validator of a galaxy", galaxy.validators.iter().copied())?;
            if !seen.insert(id) {
                return Err(GenesisError::GalaxyTwice(id));
            }
        }
        Ok(Genesis { galaxies, ..self })
    }

    /// Reads the text of a genesis file.
    pub fn from_toml(text: &str) -> Result<Self, GenesisError> {
        let parts: Unchecked = toml::from_str(text).map_err(|error| GenesisError::Toml(error.to_string()))?;
        Genesis::new(&parts.network, parts.cluster_facilitators, parts.nodes, parts.stars)?
            .with_clusters(parts.clusters)?
            .with_growth(parts.growth)?
            .with_galaxies(parts.galaxies)
    }

    /// The text of a genesis file.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("a genesis holds strings, integers and tables of them alone")
    }

    /// BLAKE3 over every field in a fixed encoding; spelling and order of the TOML's fields do not count, the order of nodes does.
    pub fn hash(&self) -> Hash {
        let mut hasher = Hasher::new(b"cst.gens");
        hasher.update(&(self.network.len() as u64).to_le_bytes()).update(self.network.as_bytes());
        hasher.update(&(self.cluster_facilitators as u64).to_le_bytes());
        hasher.update(&self.clusters.to_le_bytes());
        let Growth { epoch_black_holes, validators_min, cluster_stars_max, place_stars, .. } = self.growth;
        hasher.update(&epoch_black_holes.to_le_bytes()).update(&(validators_min as u64).to_le_bytes());
        hasher.update(&self.clusters_max().to_le_bytes());
        hasher.update(&cluster_stars_max.to_le_bytes()).update(&[u8::from(place_stars)]);
        hasher.update(&(self.nodes.len() as u64).to_le_bytes());
        for node in &self.nodes {
            let address = node.address.to_string();
            hasher.update(&node.public_key.0).update(&(address.len() as u64).to_le_bytes()).update(address.as_bytes());
            hasher.update(&[u8::from(node.standby)]);
        }
        hasher.update(&(self.stars.len() as u64).to_le_bytes());
        for star in &self.stars {
            hasher.update(&star.public_key.0).update(&star.balance.to_le_bytes());
        }
        // Where there are none, nothing is added: a network without galaxies keeps the name it had before there could be any.
        for galaxy in &self.galaxies {
            hasher.update(&galaxy.genesis.0).update(&(galaxy.validators.len() as u64).to_le_bytes());
            hasher.update(bytemuck::cast_slice(&galaxy.validators));
        }
        hasher.finish()
    }

    /// The network's id: the first 8 bytes of [`Genesis::hash`].
    pub fn network_id(&self) -> NetworkId {
        NetworkId::of_genesis(&self.hash())
    }

    /// The network's name, for people.
    pub fn network_name(&self) -> &str {
        &self.network
    }

    /// Seats in a cluster's committee.
    pub fn cluster_facilitators(&self) -> usize {
        self.cluster_facilitators
    }

    /// Star clusters at the start, and at least.
    pub fn clusters(&self) -> u32 {
        self.clusters
    }

    /// Star clusters at most.
    pub fn clusters_max(&self) -> u32 {
        self.growth.clusters_max.unwrap_or(self.clusters)
    }

    /// Whether clusters split and merge.
    pub fn is_elastic(&self) -> bool {
        self.clusters_max() > self.clusters
    }

    /// How the network changes as it lives.
    pub fn growth(&self) -> &Growth {
        &self.growth
    }

    /// The nodes, in the order that gives them their index.
    pub fn nodes(&self) -> &[GenesisNode] {
        &self.nodes
    }

    /// The accounts that start with coins.
    pub fn stars(&self) -> &[GenesisStar] {
        &self.stars
    }

    /// The galaxies below: their black holes are transactions here.
    pub fn galaxies(&self) -> &[GenesisGalaxy] {
        &self.galaxies
    }

    /// The galaxy's first committee: every node that does not stand by, in order.
    pub fn validators(&self) -> Committee {
        let validators = self.nodes.iter().filter(|node| !node.standby);
        Committee::new(validators.map(|node| node.public_key).collect())
    }
}

fn reject_twice(what: &'static str, keys: impl Iterator<Item = PublicKey>) -> Result<(), GenesisError> {
    let mut seen = HashSet::new();
    for key in keys {
        if !seen.insert(key) {
            return Err(GenesisError::Twice { what, key });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(byte: u8) -> GenesisNode {
        GenesisNode::new(PublicKey([byte; 32]), "127.0.0.1:7000".parse().unwrap())
    }

    fn star(byte: u8, balance: u64) -> GenesisStar {
        GenesisStar { public_key: PublicKey([byte; 32]), balance }
    }

    #[test]
    fn it_reads_back_and_every_field_names_the_network() {
        let genesis = |name, seats, nodes, balance| {
            Genesis::new(name, seats, (0..nodes).map(node).collect(), vec![star(1, balance)]).unwrap()
        };
        let one = genesis("a", 2, 4, 5);
        assert_eq!(Genesis::from_toml(&one.to_toml()), Ok(one.clone()));
        for other in [genesis("b", 2, 4, 5), genesis("a", 3, 4, 5), genesis("a", 2, 3, 5), genesis("a", 2, 4, 6)] {
            assert_ne!(one.network_id(), other.network_id());
        }
        let two = one.clone().with_clusters(2).unwrap();
        assert_ne!(one.network_id(), two.network_id());
        assert_eq!(Genesis::from_toml(&two.to_toml()), Ok(two.clone()));
        let growth = Growth { clusters_max: Some(8), place_stars: true, ..Growth::default() };
        let grown = two.clone().with_growth(growth).unwrap();
        assert_ne!(two.network_id(), grown.network_id());
        assert_eq!(Genesis::from_toml(&grown.to_toml()), Ok(grown));
        let mut nodes: Vec<GenesisNode> = (0..4).map(node).collect();
        nodes[3].standby = true;
        let standing_by = Genesis::new("a", 2, nodes, vec![star(1, 5)]).unwrap();
        assert_eq!((standing_by.nodes().len(), standing_by.validators().len()), (4, 3));
        assert_ne!(standing_by.network_id(), one.network_id());
        assert_eq!(Genesis::from_toml(&standing_by.to_toml()), Ok(standing_by));
    }

    #[test]
    fn impossible_networks_are_refused_by_name() {
        let make = |seats, nodes: Vec<GenesisNode>, stars| Genesis::new("a", seats, nodes, stars).unwrap_err();
        assert_eq!(make(1, vec![], vec![]), GenesisError::NodeCount(0));
        assert_eq!(make(2, vec![node(1)], vec![]), GenesisError::Seats { seats: 2, nodes: 1 });
        assert_eq!(
            make(1, vec![node(1), node(1)], vec![]),
            GenesisError::Twice { what: "node", key: PublicKey([1; 32]) }
        );
        let clusters = |count| Genesis::new("a", 1, vec![node(1)], vec![]).unwrap().with_clusters(count);
        for count in [0, CLUSTERS_MAX + 1] {
            assert_eq!(clusters(count), Err(GenesisError::Clusters { clusters: count, seats: 1 }));
        }
        assert!(clusters(CLUSTERS_MAX).is_ok());
        let crowded = Genesis::new("a", 16, (0..16).map(node).collect(), vec![]).unwrap();
        assert!(crowded.clone().with_clusters(64).is_ok());
        let error = crowded.with_clusters(65).unwrap_err().to_string();
        assert!(error.contains("clusters = 65") && error.contains("1 to 64"), "{error}");
        assert_eq!(make(1, vec![node(1)], vec![star(1, u64::MAX), star(2, 1)]), GenesisError::Supply);
        let standing_by = GenesisNode { standby: true, ..node(2) };
        assert_eq!(make(1, vec![standing_by.clone()], vec![]), GenesisError::AllStandby);
        assert_eq!(make(2, vec![node(1), standing_by], vec![]), GenesisError::Seats { seats: 2, nodes: 1 });
        let grow = |growth| clusters(4).unwrap().with_growth(growth).unwrap_err();
        for most in [3, CLUSTERS_MAX + 1] {
            let growth = Growth { clusters_max: Some(most), ..Growth::default() };
            assert_eq!(grow(growth), GenesisError::ClustersMax { most, clusters: 4, seats: 1 });
        }
        let growth = Growth { epoch_black_holes: 0, ..Growth::default() };
        assert_eq!(grow(growth), GenesisError::Zero("epoch_black_holes"));
    }

    #[test]
    fn galaxies_read_back_name_the_network_and_are_checked() {
        let galaxy = |byte: u8, validators: u8| GenesisGalaxy {
            genesis: Hash([byte; 32]),
            validators: (0..validators).map(|byte| PublicKey([byte; 32])).collect(),
        };
        let plain = Genesis::new("a", 1, vec![node(1)], vec![]).unwrap();
        let with = |galaxies| plain.clone().with_galaxies(galaxies);
        let two = with(vec![galaxy(1, 4), galaxy(2, 16)]).unwrap();
        assert_eq!(Genesis::from_toml(&two.to_toml()), Ok(two.clone()));
        for other in [vec![], vec![galaxy(1, 4)], vec![galaxy(2, 16), galaxy(1, 4)], vec![galaxy(1, 4), galaxy(2, 15)]]
        {
            assert_ne!(with(other).unwrap().network_id(), two.network_id());
        }
        for count in [0, 17] {
            let expected = GenesisError::GalaxyValidators { galaxy: NetworkId([1; 8]), validators: count.into() };
            assert_eq!(with(vec![galaxy(1, count)]), Err(expected));
        }
        assert_eq!(with(vec![galaxy(1, 4), galaxy(1, 5)]), Err(GenesisError::GalaxyTwice(NetworkId([1; 8]))));
        assert_eq!(with(vec![galaxy(1, 1); 257]), Err(GenesisError::GalaxyCount(257)));
        let twin = GenesisGalaxy { validators: vec![PublicKey([7; 32]); 2], ..galaxy(1, 0) };
        let expected = GenesisError::Twice { what: "validator of a galaxy", key: PublicKey([7; 32]) };
        assert_eq!(with(vec![twin]), Err(expected));
    }

    #[test]
    fn errors_name_the_line() {
        let text = "network = \"a\"\ncluster_facilitators = 1\ncolour = 3\n";
        let error = Genesis::from_toml(text).unwrap_err().to_string();
        assert!(error.contains("line 3") && error.contains("colour"), "{error}");
    }
}
