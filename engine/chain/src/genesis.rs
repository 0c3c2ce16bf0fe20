//! The genesis file: what a network starts from. Its hash names the network, so two nodes with different files never talk.
//!
//! ```toml
//! network = "my-galaxy"
//! cluster_facilitators = 4        # seats in a cluster's committee, at most 128
//! clusters = 1                    # star clusters, at most 256, and with all their seats at most 1024; 1 where it is left out
//!
//! [[nodes]]                       # galaxy validators, and candidates for facilitator
//! public_key = "…64 hex digits…"
//! address = "127.0.0.1:7000"
//!
//! [[stars]]                       # accounts that hold coins at the start
//! public_key = "…64 hex digits…"
//! balance = 100000000             # in 10^-8 noos
//! ```

use crate::committee::{COMMITTEE_MAX, Committee};
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
    nodes: Vec<GenesisNode>,
    stars: Vec<GenesisStar>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Unchecked {
    network: String,
    cluster_facilitators: usize,
    #[serde(default = "one_cluster")]
    clusters: u32,
    #[serde(default)]
    nodes: Vec<GenesisNode>,
    #[serde(default)]
    stars: Vec<GenesisStar>,
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
    /// A committee that cannot be seated.
    #[error("genesis file: cluster_facilitators = {seats}, but there are {nodes} nodes: use 1 to {nodes}")]
    Seats {
        /// Seats asked for.
        seats: usize,
        /// Nodes there are.
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
    /// A key named twice.
    #[error("genesis file: {what} {key} is listed twice")]
    Twice {
        /// `node` or `star`.
        what: &'static str,
        /// The key.
        key: PublicKey,
    },
    /// More coins than the amounts of the protocol can count.
    #[error("genesis file: the balances add up to more than {}", u64::MAX)]
    Supply,
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
        if !(1..=nodes.len()).contains(&cluster_facilitators) {
            return Err(GenesisError::Seats { seats: cluster_facilitators, nodes: nodes.len() });
        }
        reject_twice("node", nodes.iter().map(|node| node.public_key))?;
        reject_twice("star", stars.iter().map(|star| star.public_key))?;
        stars.iter().try_fold(0u64, |sum, star| sum.checked_add(star.balance)).ok_or(GenesisError::Supply)?;
        Ok(Genesis { network: network.to_owned(), cluster_facilitators, clusters: 1, nodes, stars })
    }

    /// The same with another number of star clusters.
    pub fn with_clusters(self, clusters: u32) -> Result<Self, GenesisError> {
        let seats = self.cluster_facilitators;
        if !(1..=clusters_max(seats)).contains(&clusters) {
            return Err(GenesisError::Clusters { clusters, seats });
        }
        Ok(Genesis { clusters, ..self })
    }

    /// Reads the text of a genesis file.
    pub fn from_toml(text: &str) -> Result<Self, GenesisError> {
        let parts: Unchecked = toml::from_str(text).map_err(|error| GenesisError::Toml(error.to_string()))?;
        Genesis::new(&parts.network, parts.cluster_facilitators, parts.nodes, parts.stars)?
            .with_clusters(parts.clusters)
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
        hasher.update(&(self.nodes.len() as u64).to_le_bytes());
        for node in &self.nodes {
            let address = node.address.to_string();
            hasher.update(&node.public_key.0).update(&(address.len() as u64).to_le_bytes()).update(address.as_bytes());
        }
        hasher.update(&(self.stars.len() as u64).to_le_bytes());
        for star in &self.stars {
            hasher.update(&star.public_key.0).update(&star.balance.to_le_bytes());
        }
        hasher.finish()
    }

    /// The network's id: the first 8 bytes of [`Genesis::hash`].
    pub fn network_id(&self) -> NetworkId {
        let mut id = NetworkId::default();
        id.0.copy_from_slice(&self.hash().0[..8]);
        id
    }

    /// The network's name, for people.
    pub fn network_name(&self) -> &str {
        &self.network
    }

    /// Seats in a cluster's committee.
    pub fn cluster_facilitators(&self) -> usize {
        self.cluster_facilitators
    }

    /// Star clusters.
    pub fn clusters(&self) -> u32 {
        self.clusters
    }

    /// The nodes, in the order that gives them their index.
    pub fn nodes(&self) -> &[GenesisNode] {
        &self.nodes
    }

    /// The accounts that start with coins.
    pub fn stars(&self) -> &[GenesisStar] {
        &self.stars
    }

    /// The galaxy's committee: every node, in order.
    pub fn validators(&self) -> Committee {
        Committee::new(self.nodes.iter().map(|node| node.public_key).collect())
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
        GenesisNode { public_key: PublicKey([byte; 32]), address: "127.0.0.1:7000".parse().unwrap() }
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
        assert_eq!(Genesis::from_toml(&two.to_toml()), Ok(two));
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
    }

    #[test]
    fn errors_name_the_line() {
        let text = "network = \"a\"\ncluster_facilitators = 1\ncolour = 3\n";
        let error = Genesis::from_toml(text).unwrap_err().to_string();
        assert!(error.contains("line 3") && error.contains("colour"), "{error}");
    }
}
