//! Gossip of items by id, as a pure state machine: push, announce, request, deliver. No I/O and no clock: what a peer sent
//! and the time come in by calls, what is to be sent comes out of [`Gossip::poll_output`].
//!
//! An item goes out only after the embedding node has verified and published it. Who is the first to have it, because a client
//! brought it, pushes it to all peers. Who was given it by a peer announces it only a while later, and only to peers that are not known to have it: by
//! then most items are forgotten, because they have served their purpose, and the rest makes up for pushes that did not arrive.
//!
//! An announced item is asked of one announcer at a time. A push that a node has no room for counts as an announcement. A delivered item counts
//! as seen; if its bytes turn out not to be what its id names, [`Gossip::reject`] makes it wanted again and asks another announcer, so that a liar cannot hide an item.
//!
//! What a peer pushes is bounded three times over: the connection reads no more than the peer's budget of bytes and messages; the node takes
//! pushes only while it has room that it does not need for clients and for what it asked for (without room they wait here, by id, among the
//! peer's other announcements); and of what it took, each peer has a share of places, so that a flood displaces only what the same peer brought.
//! One item that does not verify, and the node closes that peer and counts it.

use std::collections::VecDeque;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config::{GossipLimits, PeerId};

mod memory;
mod peer;
#[cfg(test)]
mod tests;
pub(crate) mod wire;

use memory::{IdMap, Order, SeenSet};
use peer::{Announcers, GossipPeer, Item, Stored, Unverified, Wanted};

/// Items that are looked up together before the first is worked on.
const AHEAD_MAX: usize = 64;

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
    /// What there is to know of items that are wanted, to be verified, or in the store.
    items: IdMap<Item>,
    /// Ids of items that were there once.
    seen: SeenSet,
    /// The store's items in the order of their publication.
    stored: Order,
    /// Items that peers brought, by their places in the store, in the order in which they are to be announced.
    relays: VecDeque<(Instant, u64)>,
    outputs: VecDeque<Output>,
    stats: GossipStats,
}

impl Gossip {
    /// A node that has `peer_count` peers, none connected.
    #[must_use]
    pub fn new(peer_count: usize, limits: GossipLimits) -> Self {
        Self {
            peers: (0..peer_count).map(|_| GossipPeer::default()).collect(),
            items: IdMap::default(),
            seen: SeenSet::new(limits.seen_items),
            stored: Order::default(),
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
        self.stats
    }

    /// When [`tick`](Self::tick) has something to do at the latest.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        let requests = self.peers.iter().filter_map(|peer| peer.window.front()).map(|(deadline, _)| *deadline);
        requests.chain(self.relays.front().map(|(at, _)| *at)).min()
    }

    /// A peer connected: it is told of the newest items in the store, in case it was away.
    pub fn connected(&mut self, peer: PeerId, now: Instant) {
        self.disconnected(peer, now);
        let Some(state) = self.peers.get_mut(peer.index()) else { return };
        state.connected = true;
        for ids in self.stored.newest(self.limits.announce_on_connect).chunks(self.limits.batch_ids) {
            self.stats.announced += ids.len() as u64;
            self.outputs.push_back(Output::Announce { to: peer, ids: ids.to_vec() });
        }
    }

    /// A peer is gone: what was asked of it is asked of others.
    pub fn disconnected(&mut self, peer: PeerId, now: Instant) {
        let Some(state) = self.peers.get_mut(peer.index()) else { return };
        let unverified = std::mem::take(&mut state.unverified);
        let gone = std::mem::replace(state, GossipPeer { unverified, ..GossipPeer::default() });
        for (deadline, id) in gone.window {
            if let Some(Item::Wanted(wanted)) = self.items.get_mut(&id)
                && wanted.asked == Some((peer, deadline))
            {
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
            let holders = match self.items.get(&id) {
                Some(Item::Stored(_)) => continue,
                Some(Item::Unverified(item)) => {
                    self.peers[item.from.index()].unverified.vacate(item.place);
                    Some(item.announcers.clone())
                }
                Some(Item::Wanted(_)) => self.cancel_wanted(&id),
                // A peer brought it, and it was displaced since.
                None if self.seen.contains(&id) => Some(Announcers::default()),
                None => None,
            };
            self.stats.published += 1;
            let place = self.stored.push(id);
            match &holders {
                Some(_) => self.relays.push_back((now + Duration::from_millis(self.limits.relay_delay_ms), place)),
                None => fresh.push((id, bytes.clone())),
            }
            self.store_item(id, Stored { bytes, holders: holders.unwrap_or_default(), place });
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
        // A look at many first, because look-ups that need nothing of each other wait for memory together.
        for ids in ids.chunks(AHEAD_MAX) {
            black_box(ids.iter().map(|id| self.items.get(id).map_or(0, Item::holder_count)).sum::<usize>());
            for id in ids {
                self.drop_item(id);
                self.seen.insert(id);
            }
        }
    }

    /// Takes an item out, whatever is known of it.
    fn drop_item(&mut self, id: &ItemId) {
        match self.items.remove(id) {
            None => {}
            Some(Item::Wanted(wanted)) => self.stop_wanting(&wanted),
            Some(Item::Unverified(item)) => self.peers[item.from.index()].unverified.vacate(item.place),
            Some(Item::Stored(stored)) => {
                self.stored.vacate(stored.place);
                self.stats.stored_items -= 1;
                self.stats.stored_bytes -= stored.bytes.len() as u64;
            }
        }
    }

    /// Delivered items whose bytes are not what their id names: another announcer is asked, if there is one.
    pub fn reject(&mut self, ids: &[ItemId], now: Instant) {
        for id in ids {
            let Some(Item::Unverified(Unverified { announcers, from, place })) = self.items.get(id) else { continue };
            let (announcers, from, place) = (announcers.without(*from), *from, *place);
            self.peers[from.index()].unverified.vacate(place);
            self.stats.rejected += 1;
            self.start_wanting(id, announcers, now);
        }
        self.flush_requests();
    }

    /// A peer announced items.
    pub fn on_announce(&mut self, peer: PeerId, ids: &[ItemId], now: Instant) {
        self.stats.heard += ids.len() as u64;
        for id in ids {
            match self.items.get_mut(id) {
                Some(item) => {
                    item.note_holder(peer);
                    let is_open = matches!(item, Item::Wanted(wanted) if wanted.asked.is_none());
                    if is_open && self.peers[peer.index()].can_request(&self.limits) {
                        self.ask_next(*id, now);
                    }
                }
                None if self.seen.contains(id) => {}
                None => self.want(id, peer, now),
            }
        }
        self.flush_requests();
    }

    /// Makes a new item wanted that a peer has, if there is room for it among what is asked of this peer.
    fn want(&mut self, id: &ItemId, peer: PeerId, now: Instant) {
        if self.can_take_from(peer) {
            self.start_wanting(id, Announcers::of(peer), now);
        } else {
            self.stats.backlog_full += 1;
        }
    }

    fn start_wanting(&mut self, id: &ItemId, announcers: Announcers, now: Instant) {
        self.items.insert(*id, Item::Wanted(Wanted { announcers, ..Wanted::default() }));
        self.stats.wanted_items += 1;
        self.ask_next(*id, now);
    }

    /// A peer requested items: those in the store go out, batched.
    pub fn on_request(&mut self, peer: PeerId, ids: &[ItemId]) {
        let mut found = Vec::with_capacity(ids.len().min(wire::MAX_IDS));
        for id in ids {
            match self.items.get_mut(id) {
                Some(Item::Stored(stored)) => {
                    stored.holders.add(peer);
                    found.push((*id, stored.bytes.clone()));
                }
                _ => self.stats.missed += 1,
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
            let announcers = match self.items.get_mut(&id) {
                Some(Item::Wanted(wanted)) if wanted.announcers.was_asked(peer) => {
                    self.cancel_wanted(&id).unwrap_or_default()
                }
                Some(Item::Wanted(wanted)) => {
                    wanted.announcers.add(peer);
                    self.stats.deferred += 1;
                    continue;
                }
                Some(item) => {
                    item.note_holder(peer);
                    self.stats.duplicate += 1;
                    continue;
                }
                None if self.seen.contains(&id) => {
                    self.stats.duplicate += 1;
                    continue;
                }
                None if !room => {
                    self.stats.deferred += 1;
                    self.want(&id, peer, now);
                    continue;
                }
                None => Announcers::of(peer),
            };
            self.remember_unverified(id, announcers, peer);
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
        let Some(id) = self.relays.pop_front().and_then(|(_, place)| self.stored.at(place)) else { return };
        let Some(Item::Stored(stored)) = self.items.get(&id) else { return };
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
        self.stats.stored_items += 1;
        self.stats.stored_bytes += stored.bytes.len() as u64;
        self.items.insert(id, Item::Stored(stored));
        while self.stored.span() > self.limits.store_items || self.stats.stored_bytes > self.limits.store_bytes as u64 {
            let Some(oldest) = self.stored.oldest() else { return };
            self.drop_item(&oldest);
            self.seen.insert(&oldest);
        }
    }

    /// Remembers who else has an item until the node has judged it. Each peer has its share of places: it displaces only what it brought itself.
    fn remember_unverified(&mut self, id: ItemId, announcers: Announcers, from: PeerId) {
        let share = (self.limits.unverified_items / self.peers.len()).max(1);
        let brought = &mut self.peers[from.index()].unverified;
        let place = brought.push(id);
        let displaced = if brought.span() > share { brought.oldest() } else { None };
        self.items.insert(id, Item::Unverified(Unverified { announcers, from, place }));
        if let Some(displaced) = displaced {
            self.drop_item(&displaced);
            self.seen.insert(&displaced);
        }
    }

    /// Ends the wait for an item, if there is one; who announced it.
    fn cancel_wanted(&mut self, id: &ItemId) -> Option<Announcers> {
        let Some(Item::Wanted(_)) = self.items.get(id) else { return None };
        let Some(Item::Wanted(wanted)) = self.items.remove(id) else { return None };
        self.stop_wanting(&wanted);
        Some(wanted.announcers)
    }

    fn stop_wanting(&mut self, wanted: &Wanted) {
        self.stats.wanted_items -= 1;
        if let Some((peer, _)) = wanted.asked {
            self.peers[peer.index()].outstanding -= 1;
        }
    }

    /// Asks the first announcer that has room for a wanted item of which nobody is asked now; if none has, the item
    /// waits in a backlog. When all were asked in vain they are asked once more, a few times; then it is given up.
    fn ask_next(&mut self, id: ItemId, now: Instant) {
        let Some(Item::Wanted(wanted)) = self.items.get_mut(&id) else { return };
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
            self.items.remove(&id);
            self.stats.wanted_items -= 1;
            self.stats.abandoned += 1;
        }
    }

    fn ask(&mut self, peer: PeerId, id: ItemId, now: Instant) {
        let Some(Item::Wanted(wanted)) = self.items.get_mut(&id) else { return };
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
            if let Some(Item::Wanted(wanted)) = self.items.get_mut(&id)
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
