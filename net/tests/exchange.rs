//! Messages and items between networks on loopback when nobody misbehaves.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use common::{Plan, connected, pattern, quick};
use constellation_net::{Channel, CloseReason, Event, ItemId, Limits, PeerId, SendError};

#[test]
fn messages_of_all_sizes_arrive_whole_and_in_order_by_channel() {
    let nodes = connected(2, &quick());
    let sizes = [1, 2, 5, 100, 65_500, 65_513, 65_518, 65_519, 65_535, 70_000, 131_036, 250_000];
    let large = [1_000_000, 4 << 20];
    let mut sent: HashMap<&str, Vec<Vec<u8>>> = HashMap::new();
    for (index, len) in sizes.into_iter().chain(large).enumerate() {
        for channel in Channel::ALL {
            if channel == Channel::Gossip && len > 256 << 10 {
                continue;
            }
            let bytes = pattern(index, len);
            nodes[0].send(&nodes[1], channel, bytes.clone());
            sent.entry(channel.name()).or_default().push(bytes);
        }
    }
    let mut received: HashMap<&str, Vec<Vec<u8>>> = HashMap::new();
    for _ in 0..sent.values().map(Vec::len).sum() {
        let (from, channel, bytes) = nodes[1].next_message();
        assert_eq!(from, nodes[0].id);
        received.entry(channel.name()).or_default().push(bytes);
    }
    assert!(sent == received, "some message differs or is out of order");
    let stats = nodes[1].network.stats();
    assert_eq!(stats.channel(Channel::Bulk).received_messages, 14);
    assert_eq!(stats.frames_received, nodes[0].network.stats().frames_sent);
}

#[test]
fn broadcast_reaches_everyone_and_bad_commands_are_refused() {
    let nodes = connected(4, &quick());
    nodes[2].network.handle().broadcast(Channel::Consensus, pattern(7, 1_000).into()).unwrap();
    for index in [0, 1, 3] {
        assert_eq!(nodes[index].next_message(), (PeerId(2), Channel::Consensus, pattern(7, 1_000)));
    }
    let handle = nodes[0].network.handle();
    assert_eq!(handle.send(PeerId(4), Channel::Bulk, vec![1]), Err(SendError::UnknownPeer(PeerId(4))));
    assert_eq!(handle.send(PeerId(1), Channel::Bulk, vec![]), Err(SendError::Empty));
    let too_large = handle.send(PeerId(1), Channel::Gossip, vec![0; (256 << 10) + 1]);
    assert!(matches!(too_large, Err(SendError::TooLarge { .. })));
    for node in nodes {
        node.network.shutdown().unwrap();
    }
    assert_eq!(handle.send(PeerId(1), Channel::Bulk, vec![1]), Err(SendError::Stopped));
}

#[test]
fn many_small_messages_from_both_sides_at_once() {
    let nodes = connected(2, &Limits { command_queue_len: 1 << 15, ..quick() });
    let count = 20_000u32;
    std::thread::scope(|scope| {
        for (own, other) in [(0, 1), (1, 0)] {
            let (own, other) = (&nodes[own], &nodes[other]);
            scope.spawn(move || {
                for n in 0..count {
                    while own.network.handle().send(other.id, Channel::Consensus, n.to_le_bytes().to_vec()).is_err() {
                        std::thread::yield_now();
                    }
                }
            });
            scope.spawn(move || {
                for n in 0..count {
                    assert_eq!(own.next_message().2, n.to_le_bytes());
                }
            });
        }
    });
}

#[test]
fn restarted_node_is_connected_again() {
    let mut plan = Plan::new(3);
    let mut nodes: Vec<_> = (0..3).map(|index| plan.start(index, quick())).collect();
    nodes.iter().for_each(|node| node.wait_connected(2));
    // The last accepts from all, the first dials all: both ways are tried.
    for index in [2, 0] {
        let old = nodes.remove(index);
        old.network.shutdown().unwrap();
        for node in &nodes {
            assert!(matches!(node.next(), Event::Disconnected(PeerId(p), CloseReason::Eof | CloseReason::Io)
                if usize::from(p) == index));
        }
        nodes.insert(index, plan.start(index, quick()));
        nodes[index].wait_connected(2);
        for other in (0..3).filter(|other| *other != index) {
            nodes[other].wait_connected(1);
            nodes[other].send(&nodes[index], Channel::Consensus, pattern(other, 10));
            assert_eq!(nodes[index].next_message(), (nodes[other].id, Channel::Consensus, pattern(other, 10)));
        }
    }
}

#[test]
fn keep_alives_hold_a_silent_connection() {
    let limits = Limits { ping_interval_ms: 20, idle_timeout_ms: 2_000, ..quick() };
    let nodes = connected(2, &limits);
    assert_eq!(nodes[0].next_within(Duration::from_millis(2_500)), None);
    assert_eq!(nodes[1].network.stats().closed(CloseReason::Idle), 0);
    assert!(nodes[1].network.stats().frames_received > 2);
}

#[test]
fn full_sink_loses_nothing_and_holds_up_nobody_else() {
    let nodes = connected(3, &quick());
    nodes[1].full.store(true, Ordering::SeqCst);
    for n in 0..300 {
        nodes[0].send(&nodes[1], Channel::Consensus, pattern(n, 40_000));
        nodes[2].send(&nodes[1], Channel::Bulk, pattern(n, 1_000));
    }
    nodes[1].wait_stats("refusals", |stats| stats.sink_refusals > 10);
    // The others go on with each other, and so does what the full node sends.
    nodes[0].send(&nodes[2], Channel::Consensus, pattern(1, 100));
    assert_eq!(nodes[2].next_message().2, pattern(1, 100));
    nodes[1].send(&nodes[2], Channel::Consensus, pattern(2, 100));
    assert_eq!(nodes[2].next_message().2, pattern(2, 100));
    assert_eq!(nodes[1].next_within(Duration::ZERO), None);
    let held_back = nodes[1].network.stats().channel(Channel::Consensus).received_messages;
    assert!(held_back < 10, "{held_back} messages were read although the node took none");

    nodes[1].full.store(false, Ordering::SeqCst);
    nodes[1].network.handle().resume();
    let mut expected = [0; 3];
    for _ in 0..600 {
        let (from, _, bytes) = nodes[1].next_message();
        let n = &mut expected[usize::from(from.0)];
        assert!(bytes == pattern(*n, bytes.len()), "message {n} of {from:?} is lost or out of order");
        *n += 1;
    }
    assert_eq!(expected, [300, 0, 300]);
}

fn item(n: u32) -> (ItemId, Vec<u8>) {
    let mut id = [0; 32];
    id[..4].copy_from_slice(&n.to_le_bytes());
    (id, pattern(n as usize, 50 + n as usize % 400))
}

fn shared_item(n: u32) -> (ItemId, Arc<[u8]>) {
    let (id, bytes) = item(n);
    (id, bytes.into())
}

#[test]
fn gossip_reaches_all_and_delivers_each_item_once() {
    let nodes = connected(4, &quick());
    let (per_node, batch) = (1_500u32, 50);
    let total = 4 * per_node;
    std::thread::scope(|scope| {
        for (index, node) in nodes.iter().enumerate() {
            let own = index as u32 * per_node..(index as u32 + 1) * per_node;
            scope.spawn(move || {
                let handle = node.network.handle();
                for start in own.clone().step_by(batch) {
                    handle.publish((start..start + batch as u32).map(shared_item).collect()).unwrap();
                }
                let mut seen = HashMap::new();
                while seen.len() < (total - per_node) as usize {
                    let Event::Items { items, .. } = node.next() else { continue };
                    for (id, bytes) in &items {
                        assert!(seen.insert(*id, bytes.clone()).is_none(), "item delivered twice");
                    }
                    handle.publish(items).unwrap();
                }
                for n in (0..total).filter(|n| !own.contains(n)) {
                    let (id, bytes) = shared_item(n);
                    assert_eq!(seen.get(&id), Some(&bytes));
                }
            });
        }
    });
    for node in &nodes {
        node.wait_stats("everything published", |stats| stats.gossip.published == u64::from(total));
        let stats = node.network.stats();
        assert_eq!((stats.gossip.deferred, stats.gossip_dropped), (0, 0));
    }
}

#[test]
fn node_that_was_away_gets_the_pending_items() {
    let mut plan = Plan::new(2);
    let first = plan.start(0, quick());
    first.network.handle().publish((0..2_000).map(shared_item).collect()).unwrap();
    let forgotten: Vec<_> = (0..1_000).map(|n| item(n).0).collect();
    first.network.handle().forget(forgotten).unwrap();
    let second = plan.start(1, quick());
    let mut seen = HashMap::new();
    while seen.len() < 1_000 {
        if let Event::Items { items, from } = second.next() {
            assert_eq!(from, first.id);
            seen.extend(items);
        }
    }
    assert!((1_000..2_000).all(|n| seen.get(&item(n).0) == Some(&shared_item(n).1)));
}

#[test]
fn gossip_budget_slows_a_peer_down_and_loses_nothing() {
    let limits = Limits { gossip_receive_messages_per_s: 200, ..quick() };
    let nodes = connected(2, &limits);
    for n in 0..300usize {
        nodes[0].send(&nodes[1], Channel::Gossip, pattern(n, 100));
    }
    for n in 0..300usize {
        assert_eq!(nodes[1].next_message().2, pattern(n, 100));
    }
    // All 300 may come in one frame, whose messages are not torn apart; one more has to wait.
    nodes[0].send(&nodes[1], Channel::Gossip, pattern(1, 100));
    assert_eq!(nodes[1].next_message().2, pattern(1, 100));
    assert!(nodes[1].network.stats().throttled > 0);
}
