//! Authenticated, bounded, prioritised message exchange between the nodes of a network, and gossip of items by id.
//!
//! One I/O thread keeps one encrypted connection (Noise XX, with the node's Ed25519 identity bound in the handshake) to
//! every configured peer, delivers whole messages to a [`Sink`] and takes commands from a [`Handle`]. Consensus traffic
//! overtakes everything else. It must never hold more than its [`Limits`] allow, never let one peer's fault touch the
//! traffic of others, and never know what the bytes mean: it knows frames and items, not the ledger.
//!
//! ```
//! use constellation_net::{Channel, Config, Event, Identity, Limits, Network, Peer, PeerId, Sink};
//! use std::net::TcpListener;
//! use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
//!
//! struct Queue(SyncSender<Event>);
//!
//! impl Sink for Queue {
//!     fn deliver(&mut self, event: Event) -> Result<(), Event> {
//!         match self.0.try_send(event) {
//!             Err(TrySendError::Full(event)) => Err(event),
//!             _ => Ok(()),
//!         }
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let listeners = [TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?];
//! let identity = |n: u8| Identity::from_seed([n; 32].into());
//! let mut peers = Vec::new();
//! for (n, listener) in listeners.iter().enumerate() {
//!     peers.push(Peer { public_key: identity(n as u8).public_key(), address: listener.local_addr()? });
//! }
//! let mut nodes: Vec<(Network, Receiver<Event>)> = Vec::new();
//! for (n, listener) in listeners.into_iter().enumerate() {
//!     let (sender, receiver) = sync_channel(100);
//!     let config = Config {
//!         listen: listener.local_addr()?,
//!         identity: identity(n as u8),
//!         network_id: *b"example.",
//!         peers: peers.clone(),
//!         limits: Limits::default(),
//!     };
//!     nodes.push((Network::start_on(listener, config, Queue(sender))?, receiver));
//! }
//! assert_eq!(nodes[0].1.recv()?, Event::Connected(PeerId(1)));
//! nodes[0].0.handle().send(PeerId(1), Channel::Consensus, b"vote".to_vec())?;
//! assert_eq!(nodes[1].1.recv()?, Event::Connected(PeerId(0)));
//! let vote = Event::Message { from: PeerId(0), channel: Channel::Consensus, bytes: b"vote".to_vec() };
//! assert_eq!(nodes[1].1.recv()?, vote);
//! # Ok(())
//! # }
//! ```

mod backoff;
mod close;
mod config;
mod conn;
mod event;
mod frame;
mod gossip;
mod handle;
mod handshake;
#[cfg(test)]
mod hostile_tests;
mod network;
mod peer;
mod pump;
mod reactor;
mod session;
mod stats;

pub use close::{Blame, CloseReason};
pub use config::{Channel, Config, GossipLimits, Identity, Limits, NetError, Peer, PeerId};
pub use event::{Event, Sink};
pub use frame::Payload;
pub use gossip::wire::{ITEM_OVERHEAD_BYTES, MAX_IDS};
pub use gossip::{Gossip, GossipStats, ItemId, Items, Output};
pub use handle::{Handle, SendError};
pub use network::Network;
pub use stats::{ChannelStats, Stats};
