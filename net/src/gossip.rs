//! Gossip of items by id, as a pure state machine: push, announce, request, deliver. No I/O and no clock: what a peer sent
//! and the time come in by calls, what is to be sent comes out of [`Gossip::poll_output`].
//!
//! An item goes out only after the embedding node has verified and published it. Who is the first to have it, because a client
//! brought it, pushes it to all peers. Who was given it by a peer announces it only a while later, and only to peers that are not known to have it: by
//! then most items are forgotten, because they have served their purpose, and the rest makes up for pushes that did not arrive.
//!
//! An announced item is asked of one announcer at a time. A push that a node has no room for counts as an announcement. A delivered item counts
//! as seen; if its bytes turn out not to be what its id names, [`Gossip::reject`] makes it wanted again and asks another announcer, so that a liar cannot hide an item.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config::{GossipLimits, PeerId};

mod memory;
mod peer;
#[cfg(test)]
mod tests;
pub(crate) mod wire;

use memory::{FifoMap, IdMap, SeenSet};
use peer::{Announcers, GossipPeer, Stored, Unverified, Wanted};

/// Name of an item: a hash of its content, checked by the embedding node.
pub type ItemId = [u8; 32];

/// Items with their content.
pub type Items = Vec<(ItemId, Arc<[u8]>)>;

/// A message to be sent to a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Give every connected peer items that it did not ask for.
    Push {
        /// As for a delivery.
        items: Items,
    },
    /// Tell the peer that these items can be had here.
    Announce {
        /// The peer.
        to: PeerId,
        /// At most `batch_ids`.
        ids: Vec<ItemId>,
    },
    /// Ask the peer for items it announced.
    Request {
        /// The peer.
        to: PeerId,
        /// At most `batch_ids`.
        ids: Vec<ItemId>,
    },
    /// Give the peer items it asked for.
    Deliver {
        /// The peer.
        to: PeerId,
        /// Not empty; in all at most `batch_bytes`, or one larger item.
        items: Items,
    },
}

macro_rules! gossip_stats {
    ($($(#[$doc:meta])* $field:ident,)*) => {
        /// Counters of the item gossip since its start; those of items held are as of now.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct GossipStats { $($(#[$doc])* pub $field: u64,)* }

        impl GossipStats {
            pub(crate) const LEN: usize = [$(stringify!($field)),*].len();

            pub(crate) fn to_array(self) -> [u64; Self::LEN] {
                [$(self.$field),*]
            }

            pub(crate) fn from_array([$($field),*]: [u64; Self::LEN]) -> Self {
                Self { $($field),* }
            }
        }
    };
}

gossip_stats! {
    /// Items published by this node.
    published,
    /// Ids announced to peers.
    announced,
    /// Ids announced by peers.
    heard,
    /// Announced ids ignored because the peer's backlog was full.
    backlog_full,
    /// Ids requested of peers.
    requested,
    /// Requests that were not answered in time.
    timed_out,
    /// Wanted items given up because no connected announcer was left to ask.
    abandoned,
    /// Items pushed, once for all peers.
    pushed,
    /// Items received, on request or pushed.
    received,
    /// Items received again after another peer had delivered them.
    duplicate,
    /// Items pushed by peers that were not taken, because there was no room or another peer is asked for them: they count as announced.
    deferred,
    /// Items the node rejected after delivery.
    rejected,
    /// Items delivered to peers.
    served,
    /// Ids requested by peers that are not in the store.
    missed,
    /// Items in the store.
    stored_items,
    /// Bytes of items in the store.
    stored_bytes,
    /// Items announced and not yet delivered.
    wanted_items,
}

/// The gossip state of one node with all its peers.
#[derive(Debug)]
pub struct Gossip {
    limits: GossipLimits,
    peers: Vec<GossipPeer>,
    seen: SeenSet,
    wanted: IdMap<Wanted>,
    unverified: FifoMap<Unverified>,
    store: FifoMap<Stored>,
    /// Items that peers brought, in the order in which they are to be announced.
    relays: VecDeque<(Instant, ItemId)>,
    outputs: VecDeque<Output>,
    stats: GossipStats,
}

impl Gossip {
    /// A node that has `peer_count` peers, none connected.
    #[must_use]
    pub fn new(peer_count: usize, limits: GossipLimits) -> Self {
        Self {
            peers: (0..peer_count).map(|_| GossipPeer::default()).collect(),
            seen: SeenSet::new(limits.seen_items),
            wanted: IdMap::default(),
            unverified: FifoMap::new(),
            store: FifoMap::new(),
            relays: VecDeque::new(),
            outputs: VecDeque::new(),
            stats: GossipStats::default(),
            limits,
        }
    }

    /// The next message to send, if any.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// The counters.
    #[must_use]
    pub fn stats(&self) -> GossipStats {
        let (stored_items, wanted_items) = (self.store.len() as u64, self.wanted.len() as u64);
        GossipStats { stored_items, wanted_items, ..self.stats }
    }

    /// When [`tick`](Self::tick) has something to do at the latest.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        let requests = self.peers.iter().filter_map(|peer| peer.window.front());
        requests.chain(self.relays.front()).map(|(deadline, _)| *deadline).min()
    }

    /// A peer connected: it is told of the newest items in the store, in case it was away.
    pub fn connected(&mut self, peer: PeerId, now: Instant) {
        self.disconnected(peer, now);
        let Some(state) = self.peers.get_mut(peer.index()) else { return };
        state.connected = true;
        for ids in self.store.newest(self.limits.announce_on_connect).chunks(self.limits.batch_ids) {
            self.stats.announced += ids.len() as u64;
            self.outputs.push_back(Output::Announce { to: peer, ids: ids.to_vec() });
        }
    }

    /// A peer is gone: what was asked of it is asked of others.
    pub fn disconnected(&mut self, peer: PeerId, now: Instant) {
        let Some(state) = self.peers.get_mut(peer.index()) else { return };
        let gone = std::mem::take(state);
        for (deadline, id) in gone.window {
            let Some(wanted) = self.wanted.get_mut(&id) else { continue };
            if wanted.asked == Some((peer, deadline)) {
                wanted.asked = None;
                self.ask_next(id, now);
            }
        }
        for id in gone.backlog {
            self.ask_next(id, now);
        }
        self.flush_requests();
    }

    /// Stores verified items. What no peer is known to have is pushed to all of them, the rest is announced later to those that still lack it.
    pub fn publish(&mut self, items: impl IntoIterator<Item = (ItemId, Arc<[u8]>)>, now: Instant) {
        let mut fresh = Vec::new();
        for (id, bytes) in items {
            if self.store.get(&id).is_some() {
                continue;
            }
            self.stats.published += 1;
            self.seen.insert(&id);
            let cancelled = self.cancel_wanted(&id);
            let holders = self.unverified.remove(&id).map(|item| item.announcers).or(cancelled);
            match &holders {
                Some(_) => self.relays.push_back((now + Duration::from_millis(self.limits.relay_delay_ms), id)),
                None => fresh.push((id, bytes.clone())),
            }
            self.store_item(id, Stored { bytes, holders: holders.unwrap_or_default() });
        }
        while self.relays.len() > self.limits.store_items {
            self.relay_next();
        }
        self.flush_announcements();
        self.stats.pushed += fresh.len() as u64;
        for items in batches(fresh, self.limits.batch_bytes) {
            self.outputs.push_back(Output::Push { items });
        }
    }

    /// Items that are of no use any more: they are neither served nor announced nor fetched.
    pub fn forget(&mut self, ids: &[ItemId]) {
        for id in ids {
            self.seen.insert(id);
            self.cancel_wanted(id);
            self.unverified.remove(id);
            if let Some(stored) = self.store.remove(id) {
                self.stats.stored_bytes -= stored.bytes.len() as u64;
            }
        }
    }

    /// Delivered items whose bytes are not what their id names: another announcer is asked, if there is one.
    pub fn reject(&mut self, ids: &[ItemId], now: Instant) {
        for id in ids {
            let Some(Unverified { announcers, from }) = self.unverified.remove(id) else { continue };
            if self.wanted.contains_key(id) {
                continue;
            }
            self.stats.rejected += 1;
            self.seen.remove(id);
            self.wanted.insert(*id, Wanted { announcers: announcers.without(from), ..Wanted::default() });
            self.ask_next(*id, now);
        }
        self.flush_requests();
    }

    /// A peer announced items.
    pub fn on_announce(&mut self, peer: PeerId, ids: &[ItemId], now: Instant) {
        self.stats.heard += ids.len() as u64;
        for id in ids {
            if let Some(wanted) = self.wanted.get_mut(id) {
                wanted.announcers.add(peer);
                if wanted.asked.is_none() && self.peers[peer.index()].can_request(&self.limits) {
                    self.ask_next(*id, now);
                }
            } else if self.seen.contains(id) {
                self.note_holder(id, peer);
            } else {
                self.want(id, peer, now);
            }
        }
        self.flush_requests();
    }

    /// Makes a new item wanted that a peer has, if there is room for it among what is asked of this peer.
    fn want(&mut self, id: &ItemId, peer: PeerId, now: Instant) {
        if self.can_take_from(peer) {
            let mut wanted = Wanted::default();
            wanted.announcers.add(peer);
            self.wanted.insert(*id, wanted);
            self.ask_next(*id, now);
        } else {
            self.stats.backlog_full += 1;
        }
    }

    /// A peer has an item that was seen already: it need not be told of it.
    fn note_holder(&mut self, id: &ItemId, peer: PeerId) {
        if let Some(item) = self.unverified.get_mut(id) {
            item.announcers.add(peer);
        } else if let Some(stored) = self.store.get_mut(id) {
            stored.holders.add(peer);
        }
    }

    /// A peer requested items: those in the store go out, batched.
    pub fn on_request(&mut self, peer: PeerId, ids: &[ItemId]) {
        let mut found = Vec::with_capacity(ids.len().min(wire::MAX_IDS));
        for id in ids {
            match self.store.get_mut(id) {
                Some(stored) => {
                    stored.holders.add(peer);
                    found.push((*id, stored.bytes.clone()));
                }
                None => self.stats.missed += 1,
            }
        }
        self.stats.served += found.len() as u64;
        for items in batches(found, self.limits.batch_bytes) {
            self.outputs.push_back(Output::Deliver { to: peer, items });
        }
    }

    /// A peer delivered items; returns those that are new, for the node to verify. Without `room` it takes only what it asked for, and
    /// other items count as announced.
    pub fn on_deliver(&mut self, peer: PeerId, items: Vec<(ItemId, &[u8])>, room: bool, now: Instant) -> Items {
        let mut accepted = Vec::with_capacity(items.len());
        for (id, bytes) in items {
            let announcers = match self.wanted.get_mut(&id) {
                Some(wanted) if wanted.announcers.was_asked(peer) => self.cancel_wanted(&id).unwrap_or_default(),
                Some(wanted) => {
                    wanted.announcers.add(peer);
                    self.stats.deferred += 1;
                    continue;
                }
                None if self.seen.contains(&id) => {
                    self.note_holder(&id, peer);
                    self.stats.duplicate += 1;
                    continue;
                }
                None if !room => {
                    self.stats.deferred += 1;
                    self.want(&id, peer, now);
                    continue;
                }
                None => {
                    let mut announcers = Announcers::default();
                    announcers.add(peer);
                    announcers
                }
            };
            self.seen.insert(&id);
            self.remember_unverified(id, Unverified { announcers, from: peer });
            accepted.push((id, bytes.into()));
            self.stats.received += 1;
        }
        self.advance_window(peer, now);
        self.flush_requests();
        accepted
    }

    /// Announces what has waited long enough, and asks others for what was not delivered in time.
    pub fn tick(&mut self, now: Instant) {
        while self.relays.front().is_some_and(|(at, _)| *at <= now) {
            self.relay_next();
        }
        self.flush_announcements();
        for index in 0..self.peers.len() {
            self.advance_window(PeerId(index as u16), now);
        }
        self.flush_requests();
    }

    fn can_take_from(&self, peer: PeerId) -> bool {
        let state = &self.peers[peer.index()];
        state.can_request(&self.limits) || state.can_wait(&self.limits)
    }

    /// Marks the next item for announcement to the peers that are not known to have it, if it is still of use.
    fn relay_next(&mut self) {
        let Some((_, id)) = self.relays.pop_front() else { return };
        let Some(stored) = self.store.get(&id) else { return };
        for (index, state) in self.peers.iter_mut().enumerate() {
            if state.connected && !stored.holders.contains(PeerId(index as u16)) {
                state.announce.push(id);
            }
        }
    }

    fn flush_announcements(&mut self) {
        for (index, state) in self.peers.iter_mut().enumerate() {
            for ids in state.announce.chunks(self.limits.batch_ids) {
                self.stats.announced += ids.len() as u64;
                self.outputs.push_back(Output::Announce { to: PeerId(index as u16), ids: ids.to_vec() });
            }
            state.announce.clear();
        }
    }

    fn flush_requests(&mut self) {
        for (index, state) in self.peers.iter_mut().enumerate() {
            for ids in state.request.chunks(self.limits.batch_ids) {
                self.stats.requested += ids.len() as u64;
                self.outputs.push_back(Output::Request { to: PeerId(index as u16), ids: ids.to_vec() });
            }
            state.request.clear();
        }
    }

    fn store_item(&mut self, id: ItemId, stored: Stored) {
        self.stats.stored_bytes += stored.bytes.len() as u64;
        self.store.insert(id, stored);
        while self.store.len() > self.limits.store_items || self.stats.stored_bytes > self.limits.store_bytes as u64 {
            let Some((_, evicted)) = self.store.pop_oldest() else { return };
            self.stats.stored_bytes -= evicted.bytes.len() as u64;
        }
    }

    fn remember_unverified(&mut self, id: ItemId, item: Unverified) {
        self.unverified.insert(id, item);
        if self.unverified.len() > self.limits.unverified_items {
            self.unverified.pop_oldest();
        }
    }

    /// Ends the wait for an item, if there is one; who announced it.
    fn cancel_wanted(&mut self, id: &ItemId) -> Option<Announcers> {
        let wanted = self.wanted.remove(id)?;
        if let Some((peer, _)) = wanted.asked {
            self.peers[peer.index()].outstanding -= 1;
        }
        Some(wanted.announcers)
    }

    /// Asks the first announcer that has room for a wanted item of which nobody is asked now; if none has, the item
    /// waits in a backlog. When all were asked in vain they are asked once more, a few times; then it is given up.
    fn ask_next(&mut self, id: ItemId, now: Instant) {
        let Some(wanted) = self.wanted.get_mut(&id) else { return };
        if wanted.asked.is_some() {
            return;
        }
        if wanted.announcers.not_asked().next().is_none() && wanted.rounds + 1 < Wanted::MAX_ROUNDS {
            wanted.rounds += 1;
            wanted.announcers.start_round();
        }
        let first = |fits: &dyn Fn(&GossipPeer) -> bool| {
            wanted.announcers.not_asked().find(|peer| fits(&self.peers[peer.index()]))
        };
        if let Some(peer) = first(&|state| state.can_request(&self.limits)) {
            self.ask(peer, id, now);
        } else if let Some(peer) = first(&|state| state.can_wait(&self.limits)) {
            self.peers[peer.index()].backlog.push_back(id);
        } else {
            self.wanted.remove(&id);
            self.stats.abandoned += 1;
        }
    }

    fn ask(&mut self, peer: PeerId, id: ItemId, now: Instant) {
        let Some(wanted) = self.wanted.get_mut(&id) else { return };
        let deadline = now + Duration::from_millis(self.limits.request_timeout_ms);
        wanted.asked = Some((peer, deadline));
        wanted.announcers.mark_asked(peer);
        let state = &mut self.peers[peer.index()];
        state.outstanding += 1;
        state.window.push_back((deadline, id));
        state.request.push(id);
    }

    /// Removes answered and expired requests from the front of a peer's window, then fills it from the backlog.
    fn advance_window(&mut self, peer: PeerId, now: Instant) {
        while let Some((deadline, id)) = self.peers[peer.index()].window.front().copied() {
            if let Some(wanted) = self.wanted.get_mut(&id)
                && wanted.asked == Some((peer, deadline))
            {
                if deadline > now {
                    break;
                }
                wanted.asked = None;
                self.peers[peer.index()].outstanding -= 1;
                self.stats.timed_out += 1;
                self.ask_next(id, now);
            }
            self.peers[peer.index()].window.pop_front();
        }
        while self.peers[peer.index()].can_request(&self.limits) {
            let Some(id) = self.peers[peer.index()].backlog.pop_front() else { return };
            self.ask_next(id, now);
        }
    }
}

/// Cuts items into parts of at most `batch_bytes` on the wire, or one larger item.
fn batches(items: Items, batch_bytes: usize) -> impl Iterator<Item = Items> {
    let mut items = items.into_iter().peekable();
    std::iter::from_fn(move || {
        let first = items.next()?;
        let mut left = batch_bytes.saturating_sub(wire::ITEM_OVERHEAD_BYTES + first.1.len());
        let mut batch = vec![first];
        while let Some(item) = items.next_if(|(_, bytes)| wire::ITEM_OVERHEAD_BYTES + bytes.len() <= left) {
            left -= wire::ITEM_OVERHEAD_BYTES + item.1.len();
            batch.push(item);
        }
        Some(batch)
    })
}
