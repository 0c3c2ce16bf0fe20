//! What a node is told at its start, and the bounds of everything that can grow.

use constellation_chain::{Genesis, PublicKey, SecretKey};
use std::sync::Arc;

/// Bytes of all proposals of one round of all clusters together, so that a black hole fits one log record and one message.
pub const ROUND_MAX_BYTES: usize = 4 << 20;
/// Bytes of one proposal, at most.
pub const PROPOSAL_MAX_BYTES: usize = 768 << 10;

/// Least time between the starts of two rounds of a cluster, in microseconds, where the settings say nothing else.
pub const ROUND_INTERVAL_US: u64 = 40_000;

/// A node's settings.
#[derive(Clone, Debug)]
pub struct Config {
    /// The network's genesis.
    pub genesis: Arc<Genesis>,
    /// The node's identity; one of the genesis' nodes.
    pub key: SecretKey,
    /// Least time between the starts of two cluster rounds, in microseconds: what arrives meanwhile shares a round.
    pub round_interval_us: u64,
    /// Transactions waiting in the pools of all clusters, at most.
    pub pool_max: usize,
    /// Transactions of one star waiting in the pool, at most.
    pub pool_star_max: usize,
    /// How long a transaction waits in the pool, in microseconds.
    pub pool_ttl_us: u64,
    /// Offers in the mailbox, at most.
    pub offers_max: usize,
    /// Offers to one star, at most.
    pub offers_star_max: usize,
    /// How long an offer waits for its counterparty, in microseconds.
    pub offer_ttl_us: u64,
}

/// Why a node cannot be made from its settings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The key is not in the genesis.
    #[error("this node's key {0} is not among the nodes of the genesis file: add it there, or use the key that is")]
    NotInGenesis(PublicKey),
}

impl Config {
    /// The default settings.
    pub fn new(genesis: Genesis, key: SecretKey) -> Self {
        Config {
            genesis: Arc::new(genesis),
            key,
            round_interval_us: ROUND_INTERVAL_US,
            pool_max: 65_536,
            pool_star_max: 64,
            pool_ttl_us: 60_000_000,
            offers_max: 16_384,
            offers_star_max: 256,
            offer_ttl_us: 600_000_000,
        }
    }

    /// Bytes of one cluster proposal, at most, where stars belong to so many clusters. While that number changes a black hole can hold rounds of before
    /// and after, three of each cluster: less than twice as much.
    pub fn proposal_max_bytes(&self, clusters: usize) -> usize {
        let seats = self.genesis.cluster_facilitators() * clusters;
        PROPOSAL_MAX_BYTES.min(ROUND_MAX_BYTES / seats)
    }
}
