//! What a network is started with: identity, peers and limits, and the errors of a bad configuration.

use std::net::SocketAddr;

use ed25519_dalek::{Signer, SigningKey};
use zeroize::Zeroizing;

use crate::frame::MESSAGE_HEADER_LEN;
use crate::gossip::wire;

/// Index of a node in [`Config::peers`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(pub u16);

impl PeerId {
    pub(crate) fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// The class of a message: its priority, its longest length, and what happens when its queue is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Channel {
    /// Always sent first; a queue that overflows closes the connection.
    Consensus,
    /// Small messages of low priority; dropped when the queue is full, and under the gossip receive budget.
    Gossip,
    /// Large messages of low priority; dropped when the queue is full.
    Bulk,
}

impl Channel {
    /// Every channel, in the order of [`Stats::channels`](crate::Stats::channels).
    pub const ALL: [Self; 3] = [Self::Consensus, Self::Gossip, Self::Bulk];

    /// The stable snake_case name, for metrics and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Consensus => "consensus",
            Self::Gossip => "gossip",
            Self::Bulk => "bulk",
        }
    }
}

/// A node's Ed25519 identity. The secret is wiped from memory on drop and never printed.
pub struct Identity(SigningKey);

impl Identity {
    /// Takes the 32-byte seed of the key pair.
    #[must_use]
    pub fn from_seed(seed: Zeroizing<[u8; 32]>) -> Self {
        Self(SigningKey::from_bytes(&seed))
    }

    /// The public key, by which peers know this node.
    #[must_use]
    pub fn public_key(&self) -> [u8; 32] {
        self.0.verifying_key().to_bytes()
    }

    pub(crate) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Identity").field(&self.public_key()).finish()
    }
}

/// One node of the network.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    /// Its Ed25519 public key.
    pub public_key: [u8; 32],
    /// Where it listens.
    pub address: SocketAddr,
}

/// What a [`Network`](crate::Network) is started with.
#[derive(Debug)]
pub struct Config {
    /// Address to listen on; port 0 picks a free one.
    pub listen: SocketAddr,
    /// This node's key pair.
    pub identity: Identity,
    /// Nodes of different networks do not talk to each other.
    pub network_id: [u8; 8],
    /// The nodes to talk to; may contain this node, which then is never dialled.
    pub peers: Vec<Peer>,
    /// Bounds on everything.
    pub limits: Limits,
}

/// Bounds on everything that can grow, and deadlines. All nodes of a network must agree on the `max_len` ones.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Longest consensus message.
    pub consensus_max_len_bytes: u32,
    /// Longest gossip message; an item can be [`ITEM_OVERHEAD_BYTES`](crate::ITEM_OVERHEAD_BYTES) shorter.
    pub gossip_max_len_bytes: u32,
    /// Longest bulk message.
    pub bulk_max_len_bytes: u32,
    /// Consensus bytes waiting for one peer; more closes its connection.
    pub consensus_queue_bytes: usize,
    /// Announcement and request bytes waiting for one peer; more are dropped.
    pub control_queue_bytes: usize,
    /// Gossip bytes waiting for one peer; more are dropped.
    pub gossip_queue_bytes: usize,
    /// Bulk bytes waiting for one peer; more are dropped.
    pub bulk_queue_bytes: usize,
    /// Commands waiting for the I/O thread.
    pub command_queue_len: usize,
    /// Bytes in the commands that wait for the I/O thread.
    pub command_queue_bytes: usize,
    /// From the first byte (or the dial) to the authenticated connection.
    pub handshake_timeout_ms: u64,
    /// A connection on which nothing was sent for this long gets a keep-alive.
    pub ping_interval_ms: u64,
    /// A connection on which nothing was heard for this long is closed.
    pub idle_timeout_ms: u64,
    /// First pause before dialling again; doubles up to `redial_max_ms`, with jitter.
    pub redial_min_ms: u64,
    /// Longest pause before dialling again.
    pub redial_max_ms: u64,
    /// A session that lived this long resets the dialling pause.
    pub healthy_session_ms: u64,
    /// A penalised peer is kept away for this long.
    pub penalty_ms: u64,
    /// Accepted connections that are not yet authenticated.
    pub pending_max: usize,
    /// The same from one IP address.
    pub pending_per_address_max: usize,
    /// Gossip bytes per second read from one peer (a burst of one second is allowed).
    pub gossip_receive_bytes_per_s: u64,
    /// Gossip messages per second read from one peer (a burst of one second is allowed).
    pub gossip_receive_messages_per_s: u64,
    /// Bounds of the gossip state.
    pub gossip: GossipLimits,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            consensus_max_len_bytes: 4 << 20,
            gossip_max_len_bytes: 256 << 10,
            bulk_max_len_bytes: 16 << 20,
            consensus_queue_bytes: 64 << 20,
            control_queue_bytes: 4 << 20,
            gossip_queue_bytes: 16 << 20,
            bulk_queue_bytes: 64 << 20,
            command_queue_len: 8192,
            command_queue_bytes: 64 << 20,
            handshake_timeout_ms: 5_000,
            ping_interval_ms: 5_000,
            idle_timeout_ms: 20_000,
            redial_min_ms: 50,
            redial_max_ms: 5_000,
            healthy_session_ms: 1_000,
            penalty_ms: 5_000,
            pending_max: 256,
            pending_per_address_max: 64,
            gossip_receive_bytes_per_s: 64 << 20,
            gossip_receive_messages_per_s: 50_000,
            gossip: GossipLimits::default(),
        }
    }
}

/// Bounds of the [`Gossip`](crate::Gossip) state machine.
#[derive(Clone, Debug)]
pub struct GossipLimits {
    /// Ids per announcement or request; at most [`MAX_IDS`](crate::MAX_IDS).
    pub batch_ids: usize,
    /// Item bytes per delivery; a larger single item goes alone.
    pub batch_bytes: usize,
    /// How long after its publication an item that a peer brought is announced to the others, if it is not forgotten by then.
    pub relay_delay_ms: u64,
    /// Items remembered as seen, per generation; two generations are kept.
    pub seen_items: usize,
    /// Items kept for serving requests.
    pub store_items: usize,
    /// Bytes of items kept for serving requests.
    pub store_bytes: usize,
    /// Items asked of one peer and not yet delivered.
    pub in_flight_per_peer: usize,
    /// Announced items of one peer that wait to be asked for.
    pub backlog_per_peer: usize,
    /// Delivered items whose announcers are remembered until the node publishes or rejects them.
    pub unverified_items: usize,
    /// After this long without delivery, the next announcer is asked.
    pub request_timeout_ms: u64,
    /// Newest stored items announced to a peer that connects.
    pub announce_on_connect: usize,
}

impl Default for GossipLimits {
    fn default() -> Self {
        Self {
            batch_ids: 512,
            batch_bytes: 48 << 10,
            relay_delay_ms: 5_000,
            seen_items: 1 << 20,
            store_items: 1 << 19,
            store_bytes: 128 << 20,
            in_flight_per_peer: 4096,
            backlog_per_peer: 1 << 16,
            unverified_items: 1 << 16,
            request_timeout_ms: 1_000,
            announce_on_connect: 1 << 16,
        }
    }
}

/// Why a network could not be started or stopped.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// The listen address could not be bound.
    #[error("cannot listen on {address}: {source}; choose another address or stop the process that holds it")]
    Bind {
        /// The configured address.
        address: SocketAddr,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The system refused a resource the I/O thread needs.
    #[error("cannot {action}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The system's answer.
        source: std::io::Error,
    },
    /// A peer's public key is not usable.
    #[error("public key of peer {index} is not a usable Ed25519 key; correct the peer list")]
    PeerKey {
        /// Its index in the peer list.
        index: usize,
    },
    /// Two peers have one public key.
    #[error("peer {index} has the public key of an earlier peer; correct the peer list")]
    DuplicatePeer {
        /// The index of the second.
        index: usize,
    },
    /// More peers than a `PeerId` can name.
    #[error("{count} peers are more than the 65535 that can be numbered")]
    TooManyPeers {
        /// The length of the peer list.
        count: usize,
    },
    /// A limit contradicts another one.
    #[error("limit {name}: {remedy}")]
    Limits {
        /// The field of `Limits` or `GossipLimits`.
        name: &'static str,
        /// What to set.
        remedy: &'static str,
    },
    /// Key generation failed.
    #[error("cannot make the session key pair: {0}")]
    Noise(#[from] snow::Error),
    /// The system has no randomness.
    #[error("cannot read the system's random source: {0}")]
    Random(#[from] getrandom::Error),
    /// The I/O thread panicked.
    #[error("the network's I/O thread panicked; its message is in the log")]
    Panicked,
}

impl Limits {
    /// Refuses limits under which some allowed message could never be sent.
    pub(crate) fn check(&self) -> Result<(), NetError> {
        let refuse = |name, remedy| Err(NetError::Limits { name, remedy });
        let fits = |queue: usize, max_len: usize| queue >= max_len + MESSAGE_HEADER_LEN;
        if !fits(self.consensus_queue_bytes, self.consensus_max_len_bytes as usize) {
            return refuse("consensus_queue_bytes", "must hold at least one message of consensus_max_len_bytes");
        }
        if !fits(self.gossip_queue_bytes, self.gossip_max_len_bytes as usize) {
            return refuse("gossip_queue_bytes", "must hold at least one message of gossip_max_len_bytes");
        }
        if !fits(self.bulk_queue_bytes, self.bulk_max_len_bytes as usize) {
            return refuse("bulk_queue_bytes", "must hold at least one message of bulk_max_len_bytes");
        }
        if !fits(self.control_queue_bytes, wire::MAX_IDS * wire::ID_LEN) {
            return refuse("control_queue_bytes", "must be at least 64 KiB");
        }
        let longest = self.consensus_max_len_bytes.max(self.bulk_max_len_bytes).max(self.gossip_max_len_bytes);
        if self.command_queue_len == 0 || self.command_queue_bytes < longest as usize {
            return refuse(
                "command_queue_bytes",
                "must hold at least one message of every channel, and the queue one command",
            );
        }
        if self.gossip.batch_ids == 0 || self.gossip.batch_ids > wire::MAX_IDS {
            return refuse("gossip.batch_ids", "must be between 1 and 1024");
        }
        if self.gossip.batch_bytes + wire::ITEM_OVERHEAD_BYTES > self.gossip_max_len_bytes as usize {
            return refuse("gossip.batch_bytes", "must be at least 36 bytes below gossip_max_len_bytes");
        }
        if self.gossip.in_flight_per_peer == 0 || self.gossip.seen_items == 0 || self.gossip.store_items == 0 {
            return refuse("gossip", "in_flight_per_peer, seen_items and store_items must not be zero");
        }
        if self.gossip_receive_bytes_per_s == 0 || self.gossip_receive_messages_per_s == 0 {
            return refuse("gossip_receive_*_per_s", "must not be zero, or gossip would never be read");
        }
        if self.idle_timeout_ms <= self.ping_interval_ms {
            return refuse("idle_timeout_ms", "must be longer than ping_interval_ms");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_limits_are_consistent_and_contradictions_are_named() {
        assert!(Limits::default().check().is_ok());
        let limits = Limits { bulk_queue_bytes: 10, ..Limits::default() };
        let error = limits.check().unwrap_err().to_string();
        assert!(error.contains("bulk_queue_bytes"), "{error}");
        let limits = Limits { idle_timeout_ms: 10, ping_interval_ms: 10, ..Limits::default() };
        assert!(limits.check().is_err());
    }

    #[test]
    fn identity_does_not_print_its_secret() {
        let identity = Identity::from_seed(Zeroizing::new([7; 32]));
        let printed = format!("{identity:?}");
        assert!(!printed.contains("7, 7, 7"), "{printed}");
    }
}
