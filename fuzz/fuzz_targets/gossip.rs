//! Gossip stays within its limits and keeps its counts whatever peers announce, request and deliver, and in whatever order.
#![no_main]

use constellation_net::{Gossip, GossipLimits, ItemId, Output, PeerId};
use libfuzzer_sys::fuzz_target;
use std::time::{Duration, Instant};

const PEERS: u8 = 3;
const LIMITS: GossipLimits = GossipLimits {
    batch_ids: 4,
    batch_bytes: 100,
    relay_delay_ms: 20,
    seen_items: 8,
    store_items: 6,
    store_bytes: 300,
    in_flight_per_peer: 3,
    backlog_per_peer: 3,
    unverified_items: 4,
    request_timeout_ms: 10,
    announce_on_connect: 5,
};

fn check(gossip: &mut Gossip) {
    while let Some(output) = gossip.poll_output() {
        let (to, count, bytes) = match output {
            Output::Announce { to, ids } | Output::Request { to, ids } => (to, ids.len(), 0),
            Output::Deliver { to, items } => (to, 1, if items.len() > 1 { 36 * items.len() } else { 0 }),
            Output::Push { items } => (PeerId(0), 1, if items.len() > 1 { 36 * items.len() } else { 0 }),
        };
        assert!(to.0 < u16::from(PEERS) && (1..=LIMITS.batch_ids).contains(&count) && bytes <= LIMITS.batch_bytes);
    }
    let stats = gossip.stats();
    assert!(stats.stored_items <= 6 && stats.stored_bytes <= 300);
    assert!(stats.wanted_items <= u64::from(PEERS) * 6);
}

fuzz_target!(|input: &[u8]| {
    let mut gossip = Gossip::new(usize::from(PEERS), LIMITS);
    let mut now = Instant::now();
    for &[what, peer, first, second] in input.as_chunks::<4>().0 {
        let peer = PeerId(u16::from(peer % PEERS));
        let ids: [ItemId; 2] = [[first % 32; 32], [second % 32; 32]];
        let content = [7; 64];
        match what % 10 {
            0 => gossip.connected(peer, now),
            1 => gossip.disconnected(peer, now),
            2 | 3 => gossip.on_announce(peer, &ids, now),
            4 => gossip.on_request(peer, &ids),
            5 => drop(gossip.on_deliver(
                peer,
                ids.map(|id| (id, &content[usize::from(id[0])..])).to_vec(),
                first < 128,
                now,
            )),
            6 => gossip.publish(ids.map(|id| (id, content[usize::from(id[0])..].into())), now),
            7 => gossip.reject(&ids, now),
            8 => gossip.forget(&ids[..1]),
            _ => {
                now += Duration::from_millis(u64::from(first));
                gossip.tick(now);
            }
        }
        check(&mut gossip);
    }
});
