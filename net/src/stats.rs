//! Counters of everything that happens on the network, and their snapshot.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::close::CloseReason;
use crate::config::Channel;
use crate::gossip::GossipStats;

const REASONS: usize = CloseReason::ALL.len();

#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Ordering::Relaxed);
    }

    pub(crate) fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[derive(Debug, Default)]
pub(crate) struct ChannelCounters {
    pub(crate) sent_messages: Counter,
    pub(crate) sent_bytes: Counter,
    pub(crate) received_messages: Counter,
    pub(crate) received_bytes: Counter,
    pub(crate) dropped_messages: Counter,
}

/// Written by the I/O thread, read by anyone.
#[derive(Debug)]
pub(crate) struct Counters {
    pub(crate) dialled: Counter,
    pub(crate) accepted: Counter,
    pub(crate) established: Counter,
    pub(crate) connected_peers: Counter,
    pub(crate) wire_sent_bytes: Counter,
    pub(crate) wire_received_bytes: Counter,
    pub(crate) frames_sent: Counter,
    pub(crate) frames_received: Counter,
    pub(crate) sink_refusals: Counter,
    pub(crate) throttled: Counter,
    pub(crate) gossip_dropped: Counter,
    pub(crate) busy_us: Counter,
    pub(crate) waiting_us: Counter,
    pub(crate) cpu_us: Counter,
    pub(crate) channels: [ChannelCounters; 3],
    pub(crate) closed: [Counter; REASONS],
    pub(crate) gossip: GossipCounters,
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            dialled: Counter::default(),
            accepted: Counter::default(),
            established: Counter::default(),
            connected_peers: Counter::default(),
            wire_sent_bytes: Counter::default(),
            wire_received_bytes: Counter::default(),
            frames_sent: Counter::default(),
            frames_received: Counter::default(),
            sink_refusals: Counter::default(),
            throttled: Counter::default(),
            gossip_dropped: Counter::default(),
            busy_us: Counter::default(),
            waiting_us: Counter::default(),
            cpu_us: Counter::default(),
            channels: Default::default(),
            closed: std::array::from_fn(|_| Counter::default()),
            gossip: GossipCounters::default(),
        }
    }
}

/// Mirrors [`GossipStats`], which the I/O thread copies here once a turn.
#[derive(Debug, Default)]
pub(crate) struct GossipCounters([Counter; GossipStats::LEN]);

impl GossipCounters {
    pub(crate) fn set(&self, stats: &GossipStats) {
        for (counter, value) in self.0.iter().zip(stats.to_array()) {
            counter.set(value);
        }
    }

    fn get(&self) -> GossipStats {
        GossipStats::from_array(std::array::from_fn(|i| self.0[i].get()))
    }
}

impl Counters {
    pub(crate) fn channel(&self, channel: Channel) -> &ChannelCounters {
        &self.channels[channel as usize]
    }

    /// A turn of the I/O thread's loop, and the sleep after it.
    pub(crate) fn count_turn(&self, busy: Duration, waiting: Duration) {
        self.busy_us.add(busy.as_micros() as u64);
        self.waiting_us.add(waiting.as_micros() as u64);
    }

    /// Notes the processor time of the calling thread, which is the I/O thread. Costs a system call.
    pub(crate) fn look_at_cpu(&self) {
        let cpu = clock_gettime(ClockId::ThreadCPUTime);
        self.cpu_us.set(cpu.tv_sec as u64 * 1_000_000 + cpu.tv_nsec as u64 / 1000);
    }

    pub(crate) fn count_closed(&self, reason: CloseReason) {
        self.closed[reason as usize].add(1);
    }

    pub(crate) fn snapshot(&self) -> Stats {
        Stats {
            dialled: self.dialled.get(),
            accepted: self.accepted.get(),
            established: self.established.get(),
            connected_peers: self.connected_peers.get(),
            wire_sent_bytes: self.wire_sent_bytes.get(),
            wire_received_bytes: self.wire_received_bytes.get(),
            frames_sent: self.frames_sent.get(),
            frames_received: self.frames_received.get(),
            sink_refusals: self.sink_refusals.get(),
            throttled: self.throttled.get(),
            gossip_dropped: self.gossip_dropped.get(),
            busy_us: self.busy_us.get(),
            waiting_us: self.waiting_us.get(),
            cpu_us: self.cpu_us.get(),
            channels: std::array::from_fn(|i| {
                let c = &self.channels[i];
                ChannelStats {
                    sent_messages: c.sent_messages.get(),
                    sent_bytes: c.sent_bytes.get(),
                    received_messages: c.received_messages.get(),
                    received_bytes: c.received_bytes.get(),
                    dropped_messages: c.dropped_messages.get(),
                }
            }),
            closed: std::array::from_fn(|i| self.closed[i].get()),
            gossip: self.gossip.get(),
        }
    }
}

/// Counters of one channel; bytes are message bodies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChannelStats {
    /// Messages queued for a connected peer.
    pub sent_messages: u64,
    /// Bytes queued for a connected peer.
    pub sent_bytes: u64,
    /// Messages received whole.
    pub received_messages: u64,
    /// Bytes received in whole messages.
    pub received_bytes: u64,
    /// Messages dropped because the peer's queue was full or the peer not connected.
    pub dropped_messages: u64,
}

/// A snapshot of a network's counters since its start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stats {
    /// Connections this node opened.
    pub dialled: u64,
    /// Connections this node accepted.
    pub accepted: u64,
    /// Connections that were authenticated by both sides.
    pub established: u64,
    /// Peers connected now.
    pub connected_peers: u64,
    /// Bytes written to sockets.
    pub wire_sent_bytes: u64,
    /// Bytes read from sockets.
    pub wire_received_bytes: u64,
    /// Encrypted frames written.
    pub frames_sent: u64,
    /// Encrypted frames read.
    pub frames_received: u64,
    /// Times the sink gave an event back.
    pub sink_refusals: u64,
    /// Times a peer was not read from because its gossip budget was used up.
    pub throttled: u64,
    /// Announcements, requests and item deliveries dropped because the peer's queue was full.
    pub gossip_dropped: u64,
    /// Time of the I/O thread with something to do, in microseconds, whether or not there was a processor for it.
    pub busy_us: u64,
    /// Time of the I/O thread asleep, in microseconds.
    pub waiting_us: u64,
    /// Processor time of the I/O thread, in microseconds.
    pub cpu_us: u64,
    /// By channel, in the order of [`Channel::ALL`]. Gossip does not include announced items.
    pub channels: [ChannelStats; 3],
    closed: [u64; REASONS],
    /// Counters of the item gossip.
    pub gossip: GossipStats,
}

impl Stats {
    /// Connections closed for `reason`.
    #[must_use]
    pub fn closed(&self, reason: CloseReason) -> u64 {
        self.closed[reason as usize]
    }

    /// Every reason with its count, for metrics.
    pub fn closed_by_reason(&self) -> impl Iterator<Item = (CloseReason, u64)> + '_ {
        CloseReason::ALL.iter().map(|reason| (*reason, self.closed(*reason)))
    }

    /// Counters of one channel.
    #[must_use]
    pub fn channel(&self, channel: Channel) -> ChannelStats {
        self.channels[channel as usize]
    }
}
