//! Peers that authenticate and then misbehave, played over a blocking socket against a real network: each closes its
//! own connection, with the counted reason.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use crate::frame::{Class, Kind, MAX_PLAIN_LEN, MESSAGE_HEADER_LEN};
use crate::gossip::wire;
use crate::handshake::{Handshake, Local, Progress};
use crate::{Channel, CloseReason, Config, Event, GossipStats, Identity, Limits, Network, Peer, PeerId, Sink};

const NETWORK: [u8; 8] = *b"hostile!";
const PATIENCE: Duration = Duration::from_secs(20);

/// Where the node's events go, and whether the node has room for pushed items.
struct Events(Sender<Event>, bool);

impl Sink for Events {
    fn deliver(&mut self, event: Event) -> Result<(), Event> {
        self.0.send(event).map_err(|error| error.0).or(Ok(()))
    }

    fn has_room_for_items(&self) -> bool {
        self.1
    }
}

fn identity(seed: u8) -> Identity {
    Identity::from_seed([seed; 32].into())
}

/// An honest node with the largest key, so that all others dial it, and the seeds of the others.
struct Victim {
    network: Network,
    events: Receiver<Event>,
    peers: Vec<Peer>,
    seeds: Vec<u8>,
}

impl Victim {
    fn new(limits: Limits) -> Self {
        Self::with_room(limits, true)
    }

    fn with_room(limits: Limits, room: bool) -> Self {
        let mut seeds = vec![1, 2, 3];
        seeds.sort_by_key(|seed| identity(*seed).public_key());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address: SocketAddr = listener.local_addr().unwrap();
        let peers: Vec<_> =
            seeds.iter().map(|seed| Peer { public_key: identity(*seed).public_key(), address }).collect();
        let config =
            Config { listen: address, identity: identity(seeds[2]), network_id: NETWORK, peers: peers.clone(), limits };
        let (sender, events) = channel();
        let network = Network::start_on(listener, config, Events(sender, room)).unwrap();
        Self { network, events, peers, seeds }
    }

    fn attack(&self, index: usize) -> Attacker {
        let local = Local::new(identity(self.seeds[index]), NETWORK, &self.peers).unwrap();
        Attacker::connect(&local, self.network.local_addr())
    }

    fn expect(&self, event: Event) {
        assert_eq!(self.events.recv_timeout(PATIENCE).unwrap(), event);
    }

    fn wait_gossip(&self, holds: impl Fn(&GossipStats) -> bool) {
        let start = Instant::now();
        while !holds(&self.network.stats().gossip) {
            assert!(start.elapsed() < PATIENCE, "{:?}", self.network.stats().gossip);
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// The attacker's connection closes for `reason`, and only that one: a message of the other peer still arrives.
    fn expect_closed(&self, mut attacker: Attacker, reason: CloseReason, other: &mut Attacker) {
        self.expect(Event::Disconnected(PeerId(0), reason));
        attacker.wait_closed();
        assert_eq!(self.network.stats().closed(reason), 1);
        other.send_message(Kind::Consensus, b"still here");
        let bytes = b"still here".to_vec();
        self.expect(Event::Message { from: PeerId(1), channel: Channel::Consensus, bytes });
    }
}

struct Attacker {
    stream: TcpStream,
    noise: Box<snow::TransportState>,
}

impl Attacker {
    fn connect(local: &Local, address: SocketAddr) -> Self {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let (mut out, mut input) = (Vec::new(), Vec::new());
        let mut handshake = Handshake::start(local, Some(PeerId(2)), &mut out).unwrap();
        loop {
            stream.write_all(&out).unwrap();
            out.clear();
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            input.push(byte[0]);
            let (used, progress) = handshake.advance(local, &input, &mut out).unwrap();
            input.drain(..used);
            match progress {
                Progress::Waiting(next) => handshake = next,
                Progress::Done(_, noise) => {
                    stream.write_all(&out).unwrap();
                    return Self { stream, noise };
                }
            }
        }
    }

    fn send_plain(&mut self, plain: &[u8]) {
        let mut sealed = vec![0; plain.len() + 16];
        let len = self.noise.write_message(plain, &mut sealed).unwrap();
        self.send_raw(&[&(len as u16).to_le_bytes()[..], &sealed].concat());
    }

    fn send_message(&mut self, kind: Kind, body: &[u8]) {
        let plain = [&[kind.class() as u8, kind as u8][..], &(body.len() as u32).to_le_bytes(), body].concat();
        self.send_plain(&plain);
    }

    fn send_raw(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    fn wait_closed(&mut self) {
        let mut rest = Vec::new();
        if let Err(error) = self.stream.read_to_end(&mut rest) {
            assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}");
        }
    }
}

/// A victim with both peers connected.
fn scene(limits: Limits) -> (Victim, Attacker, Attacker) {
    scene_with(limits, true)
}

fn scene_with(limits: Limits, room: bool) -> (Victim, Attacker, Attacker) {
    let victim = Victim::with_room(limits, room);
    let attacker = victim.attack(0);
    victim.expect(Event::Connected(PeerId(0)));
    let other = victim.attack(1);
    victim.expect(Event::Connected(PeerId(1)));
    (victim, attacker, other)
}

fn header(kind: u8, len: u32) -> Vec<u8> {
    [&[kind][..], &len.to_le_bytes()].concat()
}

#[test]
fn malformed_frames_and_messages_close_that_connection() {
    let max = Limits::default().consensus_max_len_bytes;
    let plain = |class: Class, stream: Vec<u8>| [vec![class as u8], stream].concat();
    let cases: Vec<(Vec<u8>, CloseReason)> = vec![
        (plain(Class::Consensus, header(0, max + 1)), CloseReason::MessageTooLarge),
        (plain(Class::Bulk, header(2, u32::MAX)), CloseReason::MessageTooLarge),
        (plain(Class::Consensus, header(0, 0)), CloseReason::MessageInvalid),
        (plain(Class::Consensus, header(77, 1)), CloseReason::MessageInvalid),
        (plain(Class::Consensus, header(2, 1)), CloseReason::MessageInvalid),
        (plain(Class::Control, [header(17, 33), vec![0; 33]].concat()), CloseReason::MessageInvalid),
        (plain(Class::Gossip, [header(19, 40), vec![255; 40]].concat()), CloseReason::MessageInvalid),
        (vec![9, 1, 2, 3], CloseReason::FrameInvalid),
        (vec![], CloseReason::FrameInvalid),
    ];
    for (bytes, reason) in cases {
        let (victim, mut attacker, mut other) = scene(Limits::default());
        attacker.send_plain(&bytes);
        victim.expect_closed(attacker, reason, &mut other);
    }
}

#[test]
fn frames_that_are_not_sealed_by_the_session_close_that_connection() {
    for (len, reason) in
        [(0u16, CloseReason::FrameInvalid), (17, CloseReason::FrameInvalid), (99, CloseReason::DecryptFailed)]
    {
        let (victim, mut attacker, mut other) = scene(Limits::default());
        attacker.send_raw(&[&len.to_le_bytes()[..], &vec![7; usize::from(len)]].concat());
        victim.expect_closed(attacker, reason, &mut other);
    }
}

#[test]
fn replayed_frame_closes_that_connection() {
    let (victim, mut attacker, mut other) = scene(Limits::default());
    let mut sealed = vec![0; 100];
    let plain = [&[0][..], &header(0, 1), &[5]].concat();
    let len = attacker.noise.write_message(&plain, &mut sealed).unwrap();
    let frame = [&(len as u16).to_le_bytes()[..], &sealed[..len]].concat();
    attacker.send_raw(&frame);
    attacker.send_raw(&frame);
    victim.expect(Event::Message { from: PeerId(0), channel: Channel::Consensus, bytes: vec![5] });
    victim.expect_closed(attacker, CloseReason::DecryptFailed, &mut other);
}

#[test]
fn silent_peer_is_closed() {
    let limits = Limits { ping_interval_ms: 50, idle_timeout_ms: 300, ..Limits::default() };
    let victim = Victim::new(limits);
    let mut attacker = victim.attack(0);
    victim.expect(Event::Connected(PeerId(0)));
    victim.expect(Event::Disconnected(PeerId(0), CloseReason::Idle));
    attacker.wait_closed();
}

#[test]
fn newer_connection_replaces_the_older_one() {
    let (victim, mut old, _other) = scene(Limits::default());
    let mut new = victim.attack(0);
    victim.expect(Event::Disconnected(PeerId(0), CloseReason::Replaced));
    victim.expect(Event::Connected(PeerId(0)));
    old.wait_closed();
    new.send_message(Kind::Consensus, b"new");
    victim.expect(Event::Message { from: PeerId(0), channel: Channel::Consensus, bytes: b"new".to_vec() });
}

#[test]
fn own_identity_and_wrong_direction_are_refused() {
    let victim = Victim::new(Limits::default());
    victim.attack(2).wait_closed();
    assert_eq!(victim.network.stats().closed(CloseReason::UnknownPeer), 1);
    // A second victim, whose key is the smallest, is dialled by one that should have waited to be dialled.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut peers = victim.peers.clone();
    peers.swap(0, 2);
    let config = Config {
        listen: address,
        identity: identity(victim.seeds[0]),
        network_id: NETWORK,
        peers: peers.clone(),
        limits: Limits::default(),
    };
    let (sender, _events) = channel();
    let network = Network::start_on(listener, config, Events(sender, true)).unwrap();
    let local = Local::new(identity(victim.seeds[1]), NETWORK, &peers).unwrap();
    Attacker::connect(&local, address).wait_closed();
    let start = Instant::now();
    while network.stats().closed(CloseReason::WrongDirection) == 0 {
        assert!(start.elapsed() < PATIENCE);
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A peer pushes to a node that has no room for what it did not ask for: nothing of it reaches the node before it asks.
#[test]
fn pushes_without_room_reach_nobody_until_they_are_asked_for() {
    let (victim, mut attacker, _other) = scene_with(Limits::default(), false);
    let items = wire::encode_items(&[([1; 32], [1u8; 10]), ([2; 32], [2u8; 10])]);
    attacker.send_message(Kind::Deliver, &items);
    attacker.send_message(Kind::Consensus, b"after");
    victim.expect(Event::Message { from: PeerId(0), channel: Channel::Consensus, bytes: b"after".to_vec() });
    victim.wait_gossip(|gossip| gossip.deferred == 2 && gossip.requested == 2);
    attacker.send_message(Kind::Deliver, &items);
    let items = vec![([1; 32], [1u8; 10][..].into()), ([2; 32], [2u8; 10][..].into())];
    victim.expect(Event::Items { from: PeerId(0), items });
}

#[test]
fn a_flood_of_pushes_is_read_no_faster_than_its_budget() {
    let limits = Limits { gossip_receive_bytes_per_s: 10_000, ..Limits::default() };
    let (victim, mut attacker, mut other) = scene(limits);
    let push = |first: u8| {
        wire::encode_items(
            &(0..50).map(|n| ([[first; 16], [n; 16]].concat().try_into().unwrap(), [9u8; 1000])).collect::<Vec<_>>(),
        )
    };
    (0..2).for_each(|first| attacker.send_message(Kind::Deliver, &push(first)));
    other.send_message(Kind::Deliver, &wire::encode_items(&[([200; 32], [2u8; 10])]));
    // The first push overdraws the budget, and the second has to wait until the debt is paid; the other peer's does not.
    let mut order = Vec::new();
    while order.len() < 3 {
        let Event::Items { from, items } = victim.events.recv_timeout(PATIENCE).unwrap() else { continue };
        order.push((from.0, items.len()));
    }
    assert_eq!(order[2], (0, 50));
    assert!(victim.network.stats().throttled > 0);
}

#[test]
fn one_frame_full_of_tiny_messages_is_delivered_whole() {
    let (victim, mut attacker, _other) = scene(Limits::default());
    let count = (MAX_PLAIN_LEN - 1) / (MESSAGE_HEADER_LEN + 1);
    let plain: Vec<u8> = std::iter::once(0).chain((0..count).flat_map(|_| [header(0, 1), vec![3]].concat())).collect();
    attacker.send_plain(&plain);
    for _ in 0..count {
        victim.expect(Event::Message { from: PeerId(0), channel: Channel::Consensus, bytes: vec![3] });
    }
}
