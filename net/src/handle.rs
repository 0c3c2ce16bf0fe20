//! Commands from any thread to the I/O thread: a bounded lock-free queue, and a wake-up only if the thread sleeps.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crossbeam::queue::ArrayQueue;
use mio::Waker;

use crate::config::{Channel, Limits, PeerId};
use crate::frame::{Kind, MaxLens, Payload};
use crate::gossip::ItemId;
use crate::gossip::wire::ITEM_OVERHEAD_BYTES;
use crate::stats::{Counters, Stats};

#[derive(Debug)]
pub(crate) enum Command {
    Send { to: PeerId, channel: Channel, payload: Payload },
    Broadcast { channel: Channel, bytes: Arc<[u8]> },
    Publish(Vec<(ItemId, Arc<[u8]>)>),
    Forget(Vec<ItemId>),
    Reject(Vec<ItemId>),
    Penalise { peer: PeerId, reason: &'static str },
}

impl Command {
    fn len_bytes(&self) -> usize {
        match self {
            Self::Send { payload, .. } => payload.as_slice().len(),
            Self::Broadcast { bytes, .. } => bytes.len(),
            Self::Publish(items) => items.iter().map(|(_, bytes)| bytes.len() + ITEM_OVERHEAD_BYTES).sum(),
            Self::Forget(ids) | Self::Reject(ids) => size_of_val(ids.as_slice()),
            Self::Penalise { .. } => 0,
        }
    }
}

/// Why a command was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The I/O thread is behind; try again later or give up.
    #[error("the network's command queue is full; send again later")]
    Full,
    /// Longer than the channel allows.
    #[error("{len_bytes} bytes are more than the {max_bytes} that the limits of this channel allow")]
    TooLarge {
        /// Its length.
        len_bytes: usize,
        /// The longest allowed.
        max_bytes: usize,
    },
    /// Messages and items have at least one byte.
    #[error("messages and items cannot be empty")]
    Empty,
    /// Not an index of the peer list.
    #[error("peer {} is not in the peer list", .0.0)]
    UnknownPeer(PeerId),
    /// The network was shut down.
    #[error("the network is shut down")]
    Stopped,
}

/// What the I/O thread and the handles share.
#[derive(Debug)]
pub(crate) struct Shared {
    commands: ArrayQueue<Command>,
    command_bytes: AtomicUsize,
    max_command_bytes: usize,
    waker: Waker,
    /// Set by the I/O thread before it looks at the queue for the last time and sleeps; taken by who wakes it.
    sleeping: AtomicBool,
    stopped: AtomicBool,
    max: MaxLens,
    peer_count: usize,
    pub(crate) counters: Counters,
}

impl Shared {
    pub(crate) fn new(limits: &Limits, peer_count: usize, waker: Waker) -> Self {
        Self {
            commands: ArrayQueue::new(limits.command_queue_len),
            command_bytes: AtomicUsize::new(0),
            max_command_bytes: limits.command_queue_bytes,
            waker,
            sleeping: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
            max: MaxLens::new(limits),
            peer_count,
            counters: Counters::default(),
        }
    }

    fn push(&self, command: Command) -> Result<(), SendError> {
        if self.is_stopped() {
            return Err(SendError::Stopped);
        }
        let len = command.len_bytes();
        if self.command_bytes.fetch_add(len, Ordering::Relaxed) + len > self.max_command_bytes
            || self.commands.push(command).is_err()
        {
            self.command_bytes.fetch_sub(len, Ordering::Relaxed);
            return Err(SendError::Full);
        }
        self.wake();
        Ok(())
    }

    pub(crate) fn pop(&self) -> Option<Command> {
        let command = self.commands.pop()?;
        self.command_bytes.fetch_sub(command.len_bytes(), Ordering::Relaxed);
        Some(command)
    }

    /// Wakes the I/O thread if it sleeps and nobody else has woken it.
    pub(crate) fn wake(&self) {
        // The fence puts the caller's write before the look at the flag; the I/O thread does the reverse.
        std::sync::atomic::fence(Ordering::SeqCst);
        if self.sleeping.load(Ordering::Relaxed)
            && self.sleeping.swap(false, Ordering::SeqCst)
            && let Err(error) = self.waker.wake()
        {
            tracing::error!(%error, "cannot wake the network's I/O thread");
        }
    }

    /// Announces that the I/O thread is about to sleep; whether it may.
    pub(crate) fn prepare_sleep(&self) -> bool {
        self.sleeping.store(true, Ordering::SeqCst);
        std::sync::atomic::fence(Ordering::SeqCst);
        self.commands.is_empty() && !self.is_stopped()
    }

    pub(crate) fn end_sleep(&self) {
        self.sleeping.store(false, Ordering::SeqCst);
    }

    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        self.wake();
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }

    fn check_len(&self, kind: Kind, len_bytes: usize) -> Result<(), SendError> {
        let max_bytes = self.max.of(kind);
        match len_bytes {
            0 => Err(SendError::Empty),
            len if len > max_bytes => Err(SendError::TooLarge { len_bytes, max_bytes }),
            _ => Ok(()),
        }
    }

    fn check_peer(&self, peer: PeerId) -> Result<(), SendError> {
        if peer.index() < self.peer_count { Ok(()) } else { Err(SendError::UnknownPeer(peer)) }
    }
}

/// Gives commands to a [`Network`](crate::Network); cheap to clone, usable from any thread, never blocks.
#[derive(Clone, Debug)]
pub struct Handle {
    pub(crate) shared: Arc<Shared>,
}

impl Handle {
    /// Sends a message to one peer. It is dropped, and counted, if the peer is not connected.
    ///
    /// # Errors
    /// When the message cannot be taken; see [`SendError`].
    pub fn send(&self, to: PeerId, channel: Channel, bytes: impl Into<Payload>) -> Result<(), SendError> {
        let payload = bytes.into();
        self.shared.check_peer(to)?;
        self.shared.check_len(channel.into(), payload.as_slice().len())?;
        self.shared.push(Command::Send { to, channel, payload })
    }

    /// Sends a message to every connected peer.
    ///
    /// # Errors
    /// When the message cannot be taken; see [`SendError`].
    pub fn broadcast(&self, channel: Channel, bytes: Arc<[u8]>) -> Result<(), SendError> {
        self.shared.check_len(channel.into(), bytes.len())?;
        self.shared.push(Command::Broadcast { channel, bytes })
    }

    /// Offers items to all peers: the node's own, or such as it was given and has verified.
    ///
    /// # Errors
    /// When the items cannot be taken; none of them is taken then. See [`SendError`].
    pub fn publish(&self, items: Vec<(ItemId, Arc<[u8]>)>) -> Result<(), SendError> {
        for (_, bytes) in &items {
            if bytes.is_empty() {
                return Err(SendError::Empty);
            }
            self.shared.check_len(Kind::Deliver, bytes.len() + ITEM_OVERHEAD_BYTES)?;
        }
        self.shared.push(Command::Publish(items))
    }

    /// Items that are of no use any more: they are neither served nor announced nor fetched.
    ///
    /// # Errors
    /// When the command cannot be taken; see [`SendError`].
    pub fn forget(&self, ids: Vec<ItemId>) -> Result<(), SendError> {
        self.shared.push(Command::Forget(ids))
    }

    /// Delivered items whose content is not what their id names: they are asked of another announcer.
    ///
    /// # Errors
    /// When the command cannot be taken; see [`SendError`].
    pub fn reject(&self, ids: Vec<ItemId>) -> Result<(), SendError> {
        self.shared.push(Command::Reject(ids))
    }

    /// Closes the connection of a peer that misbehaved and keeps it away for `penalty_ms`. The reason goes to the log.
    ///
    /// # Errors
    /// When the command cannot be taken; see [`SendError`].
    pub fn penalise(&self, peer: PeerId, reason: &'static str) -> Result<(), SendError> {
        self.shared.check_peer(peer)?;
        self.shared.push(Command::Penalise { peer, reason })
    }

    /// Offers events that the sink gave back again, without waiting for the next poll.
    pub fn resume(&self) {
        self.shared.wake();
    }

    /// The counters.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared.counters.snapshot()
    }
}
