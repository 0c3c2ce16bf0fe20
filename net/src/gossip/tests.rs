//! Gossip between state machines in one thread, with a clock that the tests move.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;

fn id(n: u32) -> ItemId {
    let mut id = [0; 32];
    id[..4].copy_from_slice(&n.to_le_bytes());
    id
}

fn item(n: u32) -> (ItemId, Arc<[u8]>) {
    (id(n), n.to_le_bytes().repeat(10).into())
}

fn small() -> GossipLimits {
    GossipLimits {
        batch_ids: 8,
        batch_bytes: 300,
        relay_delay_ms: 200,
        seen_items: 1_000,
        store_items: 100,
        store_bytes: 100_000,
        in_flight_per_peer: 4,
        backlog_per_peer: 16,
        unverified_items: 32,
        announce_on_connect: 20,
        ..GossipLimits::default()
    }
}

fn outputs(gossip: &mut Gossip) -> Vec<Output> {
    std::iter::from_fn(|| gossip.poll_output()).collect()
}

fn requests(gossip: &mut Gossip) -> Vec<(u16, Vec<ItemId>)> {
    outputs(gossip)
        .into_iter()
        .map(|output| match output {
            Output::Request { to, ids } => (to.0, ids),
            other => panic!("expected only requests, got {other:?}"),
        })
        .collect()
}

/// A full mesh in which every node verifies at once what it is given.
struct Mesh {
    nodes: Vec<Gossip>,
    delivered: Vec<HashMap<ItemId, usize>>,
    now: Instant,
    room: bool,
    loses_pushes: bool,
    pushes: usize,
}

impl Mesh {
    fn new(count: usize, limits: &GossipLimits) -> Self {
        let now = Instant::now();
        let mut nodes: Vec<_> = (0..count).map(|_| Gossip::new(count, limits.clone())).collect();
        for (index, node) in nodes.iter_mut().enumerate() {
            for other in (0..count).filter(|other| *other != index) {
                node.connected(PeerId(other as u16), now);
            }
        }
        Self { nodes, delivered: vec![HashMap::new(); count], now, room: true, loses_pushes: false, pushes: 0 }
    }

    fn run(&mut self) {
        for _ in 0..200 {
            self.now += Duration::from_millis(5);
            for from in 0..self.nodes.len() {
                self.nodes[from].tick(self.now);
                for output in outputs(&mut self.nodes[from]) {
                    self.carry(from, output);
                }
            }
        }
    }

    fn carry(&mut self, from: usize, output: Output) {
        let sender = PeerId(from as u16);
        match output {
            Output::Announce { to, ids } => self.nodes[to.index()].on_announce(sender, &ids, self.now),
            Output::Request { to, ids } => self.nodes[to.index()].on_request(sender, &ids),
            Output::Deliver { to, items } => self.deliver(sender, to.index(), &items),
            Output::Push { items } => {
                // Every other push to a peer is lost.
                for to in (0..self.nodes.len()).filter(|to| *to != from) {
                    self.pushes += 1;
                    if self.pushes.is_multiple_of(2) || !self.loses_pushes {
                        self.deliver(sender, to, &items);
                    }
                }
            }
        }
    }

    fn deliver(&mut self, from: PeerId, to: usize, items: &Items) {
        let borrowed = items.iter().map(|(id, bytes)| (*id, &bytes[..])).collect();
        let accepted = self.nodes[to].on_deliver(from, borrowed, self.room, self.now);
        for (id, bytes) in accepted {
            *self.delivered[to].entry(id).or_default() += 1;
            self.nodes[to].publish([(id, bytes)], self.now);
        }
    }
}

/// Fails unless each of 200 items, published by four nodes in turn, reaches the other three once; `asked` tells whether nodes have to ask for items.
fn expect_all_delivered(room: bool, loses_pushes: bool, asked: bool) {
    let mut mesh = Mesh::new(4, &GossipLimits { backlog_per_peer: 1_000, store_items: 1_000, ..small() });
    (mesh.room, mesh.loses_pushes) = (room, loses_pushes);
    for n in 0..200 {
        let now = mesh.now;
        mesh.nodes[n as usize % 4].publish([item(n)], now);
    }
    mesh.run();
    for (index, delivered) in mesh.delivered.iter().enumerate() {
        assert_eq!(delivered.len(), 150, "node {index}");
        assert!(delivered.values().all(|count| *count == 1));
        let stats = mesh.nodes[index].stats();
        assert_eq!((stats.timed_out, stats.wanted_items, stats.pushed), (0, 0, 50));
        assert_eq!((stats.deferred > 0, stats.requested > 0), (!room, asked));
    }
}

#[test]
fn items_reach_every_node_once() {
    expect_all_delivered(true, false, false);
}

#[test]
fn pushes_without_room_are_asked_for_later() {
    expect_all_delivered(false, false, true);
}

#[test]
fn lost_pushes_are_made_up_for() {
    expect_all_delivered(true, true, true);
}

#[test]
fn what_is_forgotten_in_time_is_not_announced() {
    let now = Instant::now();
    let mut gossip = Gossip::new(3, small());
    (0..3).for_each(|peer| gossip.connected(PeerId(peer), now));
    gossip.on_deliver(PeerId(0), vec![(id(1), b"x"), (id(2), b"x")], true, now);
    gossip.publish([item(1), item(2)], now);
    gossip.forget(&[id(1)]);
    // One of the others turns out to have the second item as well.
    gossip.on_announce(PeerId(1), &[id(2)], now);
    gossip.tick(now + Duration::from_secs(1));
    assert_eq!(outputs(&mut gossip), [Output::Announce { to: PeerId(2), ids: vec![id(2)] }]);
    assert_eq!(gossip.next_deadline(), None);
}

#[test]
fn verified_items_are_not_announced_to_who_announced_them() {
    let now = Instant::now();
    let mut gossip = Gossip::new(3, small());
    (0..3).for_each(|peer| gossip.connected(PeerId(peer), now));
    gossip.on_announce(PeerId(0), &[id(1)], now);
    assert_eq!(requests(&mut gossip), [(0, vec![id(1)])]);
    gossip.on_deliver(PeerId(0), vec![(id(1), b"x")], true, now);
    gossip.on_announce(PeerId(1), &[id(1)], now);
    assert_eq!(outputs(&mut gossip), [], "an unverified item is not relayed");
    gossip.publish([item(1)], now);
    gossip.tick(now + Duration::from_secs(1));
    assert_eq!(outputs(&mut gossip), [Output::Announce { to: PeerId(2), ids: vec![id(1)] }]);
}

#[test]
fn silent_announcer_is_replaced_by_the_next_one() {
    let (now, later) = (Instant::now(), Instant::now() + Duration::from_secs(10));
    let mut gossip = Gossip::new(3, small());
    (0..3).for_each(|peer| gossip.connected(PeerId(peer), now));
    (0..2).for_each(|peer| gossip.on_announce(PeerId(peer), &[id(1)], now));
    assert_eq!(requests(&mut gossip), [(0, vec![id(1)])]);
    assert_eq!(gossip.next_deadline(), Some(now + Duration::from_secs(1)));
    gossip.tick(later);
    assert_eq!(requests(&mut gossip), [(1, vec![id(1)])]);
    // The first may still deliver: it was asked.
    assert_eq!(gossip.on_deliver(PeerId(0), vec![(id(1), b"x")], true, later).len(), 1);
    assert_eq!(gossip.on_deliver(PeerId(1), vec![(id(1), b"x")], true, later).len(), 0);
    assert_eq!((gossip.stats().timed_out, gossip.stats().duplicate), (1, 1));
}

#[test]
fn only_announcer_is_asked_again_a_few_times_and_may_be_late() {
    let mut now = Instant::now();
    let mut gossip = Gossip::new(1, small());
    gossip.connected(PeerId(0), now);
    gossip.on_announce(PeerId(0), &[id(1), id(2)], now);
    for round in 0..3 {
        assert_eq!(requests(&mut gossip), [(0, vec![id(1), id(2)])], "round {round}");
        now += Duration::from_secs(2);
        gossip.tick(now);
        if round == 1 {
            assert_eq!(gossip.on_deliver(PeerId(0), vec![(id(2), b"late")], true, now).len(), 1);
            assert_eq!(requests(&mut gossip), [(0, vec![id(1), id(2)])]);
            break;
        }
    }
    gossip.tick(now + Duration::from_secs(2));
    assert_eq!(requests(&mut gossip), []);
    assert_eq!((gossip.stats().abandoned, gossip.stats().wanted_items), (1, 0));
}

#[test]
fn liar_cannot_deliver_its_lie_twice() {
    let now = Instant::now();
    let mut gossip = Gossip::new(2, small());
    (0..2).for_each(|peer| gossip.connected(PeerId(peer), now));
    (0..2).for_each(|peer| gossip.on_announce(PeerId(peer), &[id(1)], now));
    gossip.on_deliver(PeerId(0), vec![(id(1), b"lie")], true, now);
    gossip.reject(&[id(1)], now);
    assert_eq!(gossip.on_deliver(PeerId(0), vec![(id(1), b"lie")], true, now), []);
    assert_eq!(gossip.on_deliver(PeerId(1), vec![(id(1), b"truth")], true, now), [(id(1), b"truth"[..].into())]);
}

#[test]
fn requests_of_a_lost_peer_go_to_another() {
    let now = Instant::now();
    let mut gossip = Gossip::new(2, small());
    (0..2).for_each(|peer| gossip.connected(PeerId(peer), now));
    (0..2).for_each(|peer| gossip.on_announce(PeerId(peer), &[id(1)], now));
    requests(&mut gossip);
    gossip.disconnected(PeerId(0), now);
    assert_eq!(requests(&mut gossip), [(1, vec![id(1)])]);
    gossip.disconnected(PeerId(1), now);
    assert_eq!((gossip.stats().wanted_items, gossip.stats().abandoned), (0, 1));
}

#[test]
fn rejected_item_is_asked_of_another_announcer() {
    let now = Instant::now();
    let mut gossip = Gossip::new(2, small());
    (0..2).for_each(|peer| gossip.connected(PeerId(peer), now));
    gossip.on_announce(PeerId(0), &[id(1)], now);
    gossip.on_deliver(PeerId(0), vec![(id(1), b"lie")], true, now);
    gossip.on_announce(PeerId(1), &[id(1)], now);
    outputs(&mut gossip);
    gossip.reject(&[id(1)], now);
    assert_eq!(requests(&mut gossip), [(1, vec![id(1)])]);
    assert_eq!(gossip.on_deliver(PeerId(1), vec![(id(1), b"truth")], true, now).len(), 1);
}

#[test]
fn a_push_is_taken_or_counts_as_an_announcement() {
    let now = Instant::now();
    let mut gossip = Gossip::new(2, small());
    (0..2).for_each(|peer| gossip.connected(PeerId(peer), now));
    assert_eq!(gossip.on_deliver(PeerId(1), vec![(id(3), b"z")], true, now).len(), 1);
    assert_eq!(outputs(&mut gossip), []);
    gossip.on_announce(PeerId(0), &[id(1)], now);
    outputs(&mut gossip);
    assert_eq!(gossip.on_deliver(PeerId(1), vec![(id(1), b"x"), (id(2), b"y")], false, now).len(), 0);
    assert_eq!(gossip.stats().deferred, 2);
    assert_eq!(requests(&mut gossip), [(1, vec![id(2)])]);
    gossip.disconnected(PeerId(0), now);
    assert_eq!(requests(&mut gossip), [(1, vec![id(1)])]);
}

#[test]
fn a_flood_of_pushes_displaces_only_what_the_same_peer_brought() {
    let now = Instant::now();
    let mut gossip = Gossip::new(4, small());
    (0..4).for_each(|peer| gossip.connected(PeerId(peer), now));
    gossip.on_deliver(PeerId(0), vec![(id(1), b"x")], true, now);
    gossip.on_deliver(PeerId(1), (100..500).map(|n| (id(n), &b"junk"[..])).collect(), true, now);
    // Who has the first is still known: it need not be told, and when the bytes are a lie another is asked.
    gossip.on_announce(PeerId(2), &[id(1)], now);
    assert_eq!(gossip.peers[1].unverified.span(), 8);
    assert_eq!(gossip.items.len(), 9);
    gossip.reject(&[id(1), id(100), id(499)], now);
    assert_eq!(requests(&mut gossip), [(2, vec![id(1)])]);
    assert_eq!(gossip.stats().rejected, 2);
    // What was displaced is not taken again, and not pushed on.
    assert_eq!(gossip.on_deliver(PeerId(1), vec![(id(100), b"junk")], true, now), []);
    gossip.publish([item(100)], now);
    assert_eq!(outputs(&mut gossip), []);
}

#[test]
fn requests_are_bounded_and_the_backlog_follows() {
    let now = Instant::now();
    let mut gossip = Gossip::new(1, small());
    gossip.connected(PeerId(0), now);
    let ids: Vec<_> = (0..30).map(id).collect();
    gossip.on_announce(PeerId(0), &ids, now);
    assert_eq!(requests(&mut gossip), [(0, ids[..4].to_vec())]);
    assert_eq!((gossip.stats().wanted_items, gossip.stats().backlog_full), (20, 10));
    gossip.on_deliver(PeerId(0), vec![(ids[0], b"x"), (ids[1], b"x")], true, now);
    assert_eq!(requests(&mut gossip), [(0, ids[4..6].to_vec())]);
}

#[test]
fn deliveries_are_batched_and_unknown_ids_missed() {
    let now = Instant::now();
    let mut gossip = Gossip::new(1, small());
    gossip.publish((0..10).map(item), now);
    outputs(&mut gossip);
    let ids: Vec<_> = (0..11).map(id).collect();
    gossip.on_request(PeerId(0), &ids);
    let sizes: Vec<_> = outputs(&mut gossip)
        .iter()
        .map(|output| match output {
            Output::Deliver { items, .. } => items.len(),
            other => panic!("unexpected {other:?}"),
        })
        .collect();
    assert_eq!(sizes, [3, 3, 3, 1]);
    assert_eq!((gossip.stats().served, gossip.stats().missed), (10, 1));
}

#[test]
fn newcomer_is_told_of_stored_items_but_not_of_forgotten_ones() {
    let now = Instant::now();
    let mut gossip = Gossip::new(1, small());
    gossip.publish((0..4).map(item), now);
    outputs(&mut gossip);
    gossip.forget(&[id(1), id(3)]);
    gossip.connected(PeerId(0), now);
    assert_eq!(outputs(&mut gossip), [Output::Announce { to: PeerId(0), ids: vec![id(0), id(2)] }]);
    gossip.on_announce(PeerId(0), &[id(1)], now);
    assert_eq!(outputs(&mut gossip), [], "a forgotten item is not fetched again");
}

#[derive(Clone, Debug)]
enum Step {
    Connect(u16),
    Disconnect(u16),
    Announce(u16, Vec<u8>),
    Request(u16, Vec<u8>),
    Deliver(u16, Vec<u8>),
    Publish(Vec<u8>),
    Forget(Vec<u8>),
    Reject(Vec<u8>),
    Wait(u16),
}

fn step() -> impl Strategy<Value = Step> {
    let ids = || prop::collection::vec(any::<u8>(), 1..20);
    let peer = || 0..3u16;
    prop_oneof![
        1 => peer().prop_map(Step::Connect),
        1 => peer().prop_map(Step::Disconnect),
        6 => (peer(), ids()).prop_map(|(p, i)| Step::Announce(p, i)),
        2 => (peer(), ids()).prop_map(|(p, i)| Step::Request(p, i)),
        4 => (peer(), ids()).prop_map(|(p, i)| Step::Deliver(p, i)),
        2 => ids().prop_map(Step::Publish),
        1 => ids().prop_map(Step::Forget),
        1 => ids().prop_map(Step::Reject),
        2 => (0..1_500u16).prop_map(Step::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn bounds_hold_under_any_sequence(steps in prop::collection::vec(step(), 1..200)) {
        let limits = GossipLimits { store_items: 20, seen_items: 30, ..small() };
        let mut gossip = Gossip::new(3, limits.clone());
        let mut now = Instant::now();
        let ids = |bytes: &[u8]| -> Vec<ItemId> { bytes.iter().map(|b| id(u32::from(*b))).collect() };
        for step in steps {
            match step {
                Step::Connect(peer) => gossip.connected(PeerId(peer), now),
                Step::Disconnect(peer) => gossip.disconnected(PeerId(peer), now),
                Step::Announce(peer, list) => gossip.on_announce(PeerId(peer), &ids(&list), now),
                Step::Request(peer, list) => gossip.on_request(PeerId(peer), &ids(&list)),
                Step::Deliver(peer, list) => {
                    let items = ids(&list).into_iter().map(|id| (id, &b"bytes"[..])).collect();
                    gossip.on_deliver(PeerId(peer), items, list.len().is_multiple_of(2), now);
                }
                Step::Publish(list) => gossip.publish(list.iter().map(|b| item(u32::from(*b))), now),
                Step::Forget(list) => gossip.forget(&ids(&list)),
                Step::Reject(list) => gossip.reject(&ids(&list), now),
                Step::Wait(ms) => {
                    now += Duration::from_millis(u64::from(ms));
                    gossip.tick(now);
                    prop_assert!(gossip.next_deadline().is_none_or(|at| at > now));
                }
            }
            outputs(&mut gossip);
            check_bounds(&gossip, &limits)?;
        }
    }
}

fn check_bounds(gossip: &Gossip, limits: &GossipLimits) -> Result<(), TestCaseError> {
    prop_assert!(gossip.stored.span() <= limits.store_items);
    prop_assert!(gossip.relays.len() <= limits.store_items);
    let stats = gossip.stats();
    let count = |is: fn(&Item) -> bool| gossip.items.values().filter(|item| is(item)).count();
    prop_assert_eq!(stats.stored_items as usize, count(|item| matches!(item, Item::Stored(_))));
    prop_assert_eq!(stats.wanted_items as usize, count(|item| matches!(item, Item::Wanted(_))));
    let wanted: Vec<_> = gossip
        .items
        .iter()
        .filter_map(|(id, item)| match item {
            Item::Wanted(wanted) => Some((id, wanted)),
            _ => None,
        })
        .collect();
    for (index, peer) in gossip.peers.iter().enumerate() {
        let asked = wanted.iter().filter(|(_, w)| w.asked.is_some_and(|(p, _)| p.index() == index)).count();
        prop_assert_eq!(peer.outstanding, asked);
        prop_assert!(asked <= limits.in_flight_per_peer);
        prop_assert!(peer.backlog.len() <= limits.backlog_per_peer);
        prop_assert!(peer.window.len() <= 8 * limits.in_flight_per_peer);
        prop_assert!(peer.unverified.span() <= limits.unverified_items / gossip.peers.len());
        prop_assert!(peer.connected || (peer.window.is_empty() && peer.backlog.is_empty()));
    }
    let waiting: std::collections::HashSet<_> = gossip.peers.iter().flat_map(|p| p.backlog.iter()).collect();
    for (id, wanted) in wanted {
        prop_assert!(wanted.asked.is_some() || waiting.contains(id), "an item waits for nobody");
        prop_assert!(!gossip.seen.contains(id), "an item is wanted although it was seen");
    }
    for (id, item) in &gossip.items {
        let kept_at = match item {
            Item::Wanted(_) => continue,
            Item::Unverified(item) => gossip.peers[item.from.index()].unverified.at(item.place),
            Item::Stored(stored) => gossip.stored.at(stored.place),
        };
        prop_assert_eq!(kept_at, Some(*id));
    }
    Ok(())
}
