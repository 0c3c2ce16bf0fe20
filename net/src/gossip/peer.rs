//! What gossip keeps for one peer and for one wanted item.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use crate::config::{GossipLimits, PeerId};
use crate::gossip::ItemId;
use crate::gossip::memory::Order;

/// Who announced an item, and which of them were asked for it. Announcers beyond the sixteenth are not remembered:
/// they merely get an announcement that they do not need.
#[derive(Clone, Debug, Default)]
pub(crate) struct Announcers {
    peers: [u16; Self::MAX],
    len: u8,
    /// One bit for each announcer that was asked in the current round.
    asked: u16,
    /// The same for all rounds: from these a delivery is welcome, however late.
    ever_asked: u16,
}

impl Announcers {
    const MAX: usize = 16;

    pub(crate) fn of(peer: PeerId) -> Self {
        let mut announcers = Self::default();
        announcers.add(peer);
        announcers
    }

    fn position(&self, peer: PeerId) -> Option<usize> {
        self.peers[..usize::from(self.len)].iter().position(|p| *p == peer.0)
    }

    pub(crate) fn add(&mut self, peer: PeerId) {
        let len = usize::from(self.len);
        if len < Self::MAX && self.position(peer).is_none() {
            self.peers[len] = peer.0;
            self.len += 1;
        }
    }

    pub(crate) fn contains(&self, peer: PeerId) -> bool {
        self.position(peer).is_some()
    }

    pub(crate) fn mark_asked(&mut self, peer: PeerId) {
        if let Some(index) = self.position(peer) {
            self.asked |= 1 << index;
            self.ever_asked |= 1 << index;
        }
    }

    pub(crate) fn was_asked(&self, peer: PeerId) -> bool {
        self.position(peer).is_some_and(|index| self.ever_asked & (1 << index) != 0)
    }

    /// All may be asked once more.
    pub(crate) fn start_round(&mut self) {
        self.asked = 0;
    }

    /// The same without `peer`, and with nobody asked.
    pub(crate) fn without(&self, peer: PeerId) -> Self {
        let mut others = Self::default();
        for other in &self.peers[..usize::from(self.len)] {
            if *other != peer.0 {
                others.add(PeerId(*other));
            }
        }
        others
    }

    /// Those not asked in this round, in the order of their announcements.
    pub(crate) fn not_asked(&self) -> impl Iterator<Item = PeerId> + '_ {
        let len = usize::from(self.len);
        (0..len).filter(|index| self.asked & (1 << index) == 0).map(|index| PeerId(self.peers[index]))
    }
}

/// What is known of an item.
#[derive(Debug)]
pub(crate) enum Item {
    Wanted(Wanted),
    Unverified(Unverified),
    Stored(Stored),
}

impl Item {
    /// In how many places its bytes are held.
    pub(crate) fn holder_count(&self) -> usize {
        match self {
            Self::Wanted(_) | Self::Unverified(_) => 0,
            Self::Stored(stored) => Arc::strong_count(&stored.bytes),
        }
    }

    /// A peer turns out to have the item too.
    pub(crate) fn note_holder(&mut self, peer: PeerId) {
        match self {
            Self::Wanted(Wanted { announcers, .. }) | Self::Unverified(Unverified { announcers, .. }) => {
                announcers.add(peer);
            }
            Self::Stored(stored) => stored.holders.add(peer),
        }
    }
}

/// An announced item that was not delivered yet.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    pub(crate) announcers: Announcers,
    /// Who is to deliver it and until when; `None` while it waits in a backlog.
    pub(crate) asked: Option<(PeerId, Instant)>,
    /// How often all announcers were asked in vain.
    pub(crate) rounds: u8,
}

impl Wanted {
    /// After so many rounds in vain the item is given up.
    pub(crate) const MAX_ROUNDS: u8 = 3;
}

/// A verified item.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) bytes: Arc<[u8]>,
    /// Peers that are known to have it too.
    pub(crate) holders: Announcers,
    /// In the order of publication.
    pub(crate) place: u64,
}

/// A delivered item that the node has not judged yet.
#[derive(Debug)]
pub(crate) struct Unverified {
    pub(crate) announcers: Announcers,
    /// Who delivered it.
    pub(crate) from: PeerId,
    /// In the order of what that peer delivered.
    pub(crate) place: u64,
}

/// Gossip with one peer.
#[derive(Debug, Default)]
pub(crate) struct GossipPeer {
    pub(crate) connected: bool,
    /// What it delivered and the node has not judged yet, as far as that is remembered.
    pub(crate) unverified: Order,
    /// Ids to announce when the current call ends.
    pub(crate) announce: Vec<ItemId>,
    /// Ids to request when the current call ends.
    pub(crate) request: Vec<ItemId>,
    /// Requests in the order of their deadlines; those answered meanwhile are removed when they reach the front.
    pub(crate) window: VecDeque<(Instant, ItemId)>,
    /// Requests in `window` that are not answered.
    pub(crate) outstanding: usize,
    /// Announced ids to be requested when there is room in the window.
    pub(crate) backlog: VecDeque<ItemId>,
}

impl GossipPeer {
    /// How much longer than the outstanding requests the window may be, because of answered ones behind its front.
    const WINDOW_SLACK: usize = 8;

    pub(crate) fn can_request(&self, limits: &GossipLimits) -> bool {
        let max = limits.in_flight_per_peer;
        self.connected && self.outstanding < max && self.window.len() < max.saturating_mul(Self::WINDOW_SLACK)
    }

    pub(crate) fn can_wait(&self, limits: &GossipLimits) -> bool {
        self.connected && self.backlog.len() < limits.backlog_per_peer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn announcers_are_bounded_unique_and_asked_in_order() {
        let mut announcers = Announcers::default();
        for n in (0..40).chain(0..40) {
            announcers.add(PeerId(n));
        }
        assert_eq!(announcers.not_asked().count(), Announcers::MAX);
        assert!(!announcers.contains(PeerId(16)));
        announcers.mark_asked(PeerId(0));
        announcers.mark_asked(PeerId(15));
        assert!(announcers.was_asked(PeerId(15)) && !announcers.was_asked(PeerId(1)));
        assert_eq!(announcers.not_asked().next(), Some(PeerId(1)));
        assert_eq!(announcers.not_asked().count(), Announcers::MAX - 2);
        announcers.start_round();
        assert_eq!(announcers.not_asked().count(), Announcers::MAX);
        assert!(announcers.was_asked(PeerId(15)));
        let others = announcers.without(PeerId(0));
        assert!(!others.contains(PeerId(0)) && others.contains(PeerId(1)) && !others.was_asked(PeerId(15)));
    }
}
