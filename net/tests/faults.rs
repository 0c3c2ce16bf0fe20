//! Peers and strangers that misbehave before they are authenticated, and connections that fail: each closes alone.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use common::{Node, Plan, connected, identity, pattern, quick};
use constellation_net::{
    Blame, Channel, CloseReason, Config, Event, Identity, Limits, NetError, Network, Peer, PeerId,
};

/// The traffic between two nodes goes on, on the connection they had.
fn assert_undisturbed(a: &Node, b: &Node) {
    for (from, to) in [(a, b), (b, a)] {
        from.send(to, Channel::Consensus, pattern(3, 200));
        let expected = Event::Message { from: from.id, channel: Channel::Consensus, bytes: pattern(3, 200) };
        assert_eq!(to.next(), expected);
    }
}

/// The other side closes within the socket's patience.
fn assert_closed(stream: &mut TcpStream) {
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut rest = Vec::new();
    if let Err(error) = stream.read_to_end(&mut rest) {
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{error}");
    }
}

/// A socket closed with unread bytes in it is reset instead of ended.
fn wait_closed_by_peer(node: &Node, count: u64) {
    node.wait_stats("connections closed by the other side", |stats| {
        stats.closed(CloseReason::Eof) + stats.closed(CloseReason::Io) >= count
    });
}

fn preamble(version: u16, network: [u8; 8]) -> Vec<u8> {
    [b"CSTL-NET", &version.to_le_bytes()[..], &network].concat()
}

#[test]
fn bad_first_bytes_close_that_connection_with_its_reason() {
    let nodes = connected(2, &quick());
    let cases = [
        (b"GET / HTTP/1.1\r\n\r\n".to_vec(), CloseReason::BadPreamble),
        (vec![0], CloseReason::BadPreamble),
        (preamble(1, common::NETWORK), CloseReason::WrongVersion),
        (preamble(2, *b"othernet"), CloseReason::WrongNetwork),
        ([preamble(2, common::NETWORK), vec![0xff; 200]].concat(), CloseReason::HandshakeFailed),
        (
            [preamble(2, common::NETWORK), vec![32, 0], vec![9; 32], vec![160, 0], vec![7; 160]].concat(),
            CloseReason::HandshakeFailed,
        ),
    ];
    for (bytes, reason) in cases {
        let before = nodes[1].network.stats().closed(reason);
        let mut stream = nodes[1].raw();
        stream.write_all(&bytes).unwrap();
        assert_closed(&mut stream);
        nodes[1].wait_closed(reason, before + 1);
        assert_eq!(reason.blame(), Blame::Peer);
    }
    let mut stream = nodes[1].raw();
    stream.write_all(&preamble(2, common::NETWORK)[..5]).unwrap();
    drop(stream);
    wait_closed_by_peer(&nodes[1], 1);
    assert_undisturbed(&nodes[0], &nodes[1]);
}

#[test]
fn half_a_handshake_then_silence_times_out() {
    let nodes = connected(2, &Limits { handshake_timeout_ms: 300, ..quick() });
    let mut silent = nodes[1].raw();
    let mut half = nodes[1].raw();
    half.write_all(&preamble(2, common::NETWORK)).unwrap();
    half.write_all(&[32, 0, 1, 2, 3]).unwrap();
    assert_closed(&mut silent);
    assert_closed(&mut half);
    nodes[1].wait_closed(CloseReason::HandshakeTimeout, 2);
    assert_undisturbed(&nodes[0], &nodes[1]);
}

#[test]
fn unauthenticated_connections_are_limited() {
    let nodes = connected(2, &Limits { pending_per_address_max: 3, ..quick() });
    let mut held: Vec<_> = (0..3).map(|_| nodes[1].raw()).collect();
    nodes[1].wait_stats("four accepted", |stats| stats.accepted >= 4);
    let mut refused = nodes[1].raw();
    assert_closed(&mut refused);
    nodes[1].wait_closed(CloseReason::TooManyConnections, 1);
    assert_undisturbed(&nodes[0], &nodes[1]);
    held.clear();
    wait_closed_by_peer(&nodes[1], 3);
}

#[test]
fn unknown_and_foreign_nodes_are_refused() {
    let mut plan = Plan::new(3);
    // Node 0 is of another network; node 2 does not know node 1, whom both others know.
    let foreign = Config { network_id: *b"othernet", ..plan.config(0, quick()) };
    let mut without = plan.config(2, quick());
    without.peers.remove(1);
    let two = plan.start_with(2, without);
    let zero = plan.start_with(0, foreign);
    let one = plan.start(1, quick());
    two.wait_closed(CloseReason::UnknownPeer, 2);
    two.wait_closed(CloseReason::WrongNetwork, 2);
    assert_eq!(one.next_within(Duration::ZERO), None, "a refused node must not be told that it is connected");
    for node in [zero, one, two] {
        assert_eq!(node.network.stats().established, 0);
    }
}

#[test]
fn dialled_address_with_another_identity_is_refused() {
    let mut plan = Plan::new(3);
    // The peer list of node 0 has the addresses of nodes 1 and 2 exchanged.
    let mut config = plan.config(0, quick());
    config.peers[1].address = plan.address(2);
    config.peers[2].address = plan.address(1);
    let zero = plan.start_with(0, config);
    let nodes = [plan.start(1, quick()), plan.start(2, quick())];
    zero.wait_closed(CloseReason::WrongIdentity, 2);
    assert_eq!(zero.network.stats().established, 0);
    assert_eq!(nodes[0].next(), Event::Connected(PeerId(2)));
}

#[test]
fn nobody_there_is_dialled_again() {
    let mut plan = Plan::new(2);
    let gone = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut config = plan.config(0, quick());
    config.peers[1].address = gone.local_addr().unwrap();
    drop(gone);
    let node = plan.start_with(0, config);
    node.wait_closed(CloseReason::ConnectFailed, 3);
    assert!(node.network.stats().dialled >= 3);
}

#[test]
fn penalised_peer_is_closed_and_comes_back_later() {
    for (judge, accused) in [(0, 1), (1, 0)] {
        let nodes = connected(2, &quick());
        nodes[judge].network.handle().penalise(nodes[accused].id, "test").unwrap();
        assert_eq!(nodes[judge].next(), Event::Disconnected(nodes[accused].id, CloseReason::Penalised));
        nodes[judge].wait_connected(1);
        assert!(nodes[judge].network.stats().closed(CloseReason::Penalised) >= 1);
    }
}

#[test]
fn consensus_queue_that_overflows_closes_the_connection_and_lower_classes_are_dropped() {
    let limits = Limits {
        consensus_queue_bytes: 3 << 20,
        consensus_max_len_bytes: 1 << 20,
        bulk_queue_bytes: 3 << 20,
        bulk_max_len_bytes: 1 << 20,
        ..quick()
    };
    let nodes = connected(2, &limits);
    // The receiver takes no events, so its socket fills up.
    nodes[1].full.store(true, std::sync::atomic::Ordering::SeqCst);
    let handle = nodes[0].network.handle();
    let overflow = |channel, enough: &dyn Fn() -> bool| {
        for n in 0..1_000_000 {
            if enough() {
                return;
            }
            // The command queue may be full for a moment.
            if handle.send(PeerId(1), channel, pattern(n, 1 << 20)).is_err() {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        panic!("no overflow");
    };
    overflow(Channel::Bulk, &|| nodes[0].network.stats().channel(Channel::Bulk).dropped_messages > 3);
    assert_eq!(nodes[0].network.stats().closed(CloseReason::SendQueueFull), 0);
    overflow(Channel::Consensus, &|| nodes[0].network.stats().closed(CloseReason::SendQueueFull) > 0);
    assert_eq!(nodes[0].next(), Event::Disconnected(PeerId(1), CloseReason::SendQueueFull));
}

#[test]
fn bad_configurations_are_refused_with_their_remedy() {
    struct Nothing;
    impl constellation_net::Sink for Nothing {
        fn deliver(&mut self, _: Event) -> Result<(), Event> {
            Ok(())
        }
    }
    let address = "127.0.0.1:0".parse().unwrap();
    let config = |identity: Identity, peers| Config {
        listen: address,
        identity,
        network_id: [0; 8],
        peers,
        limits: Limits::default(),
    };
    let peer = Peer { public_key: identity(1).public_key(), address };
    let twice = Network::start(config(identity(1), vec![peer, peer]), Nothing);
    assert!(matches!(twice, Err(NetError::DuplicatePeer { index: 1 })));
    let taken = TcpListener::bind(address).unwrap();
    let mut busy = config(identity(1), vec![peer]);
    busy.listen = taken.local_addr().unwrap();
    let error = Network::start(busy, Nothing).err().map(|e| e.to_string()).unwrap_or_default();
    assert!(error.contains("cannot listen on"), "{error}");
}
