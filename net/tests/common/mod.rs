//! Networks on loopback in one process, for the tests of this folder.
#![allow(dead_code, reason = "each test file uses its part")]

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use constellation_net::{Channel, CloseReason, Config, Event, Identity, Limits, Network, Peer, PeerId, Sink, Stats};

/// How long a test waits for what must happen before it fails.
const PATIENCE: Duration = Duration::from_secs(20);
pub const NETWORK: [u8; 8] = *b"test-net";

/// A sink that can be closed: it gives every event back until it is opened again.
struct TestSink {
    sender: Sender<Event>,
    full: Arc<AtomicBool>,
}

impl Sink for TestSink {
    fn deliver(&mut self, event: Event) -> Result<(), Event> {
        if self.full.load(Ordering::SeqCst) {
            return Err(event);
        }
        // A test that is over has dropped its receiver.
        self.sender.send(event).map_err(|error| error.0).or(Ok(()))
    }
}

pub struct Node {
    pub id: PeerId,
    pub network: Network,
    pub full: Arc<AtomicBool>,
    events: Mutex<Receiver<Event>>,
}

impl Node {
    pub fn next(&self) -> Event {
        match self.events.lock().unwrap().recv_timeout(PATIENCE) {
            Ok(event) => event,
            Err(error) => panic!("node {:?}: no event: {error}; {:?}", self.id, self.network.stats()),
        }
    }

    pub fn next_within(&self, time: Duration) -> Option<Event> {
        match self.events.lock().unwrap().recv_timeout(time) {
            Ok(event) => Some(event),
            Err(RecvTimeoutError::Timeout) => None,
            Err(error) => panic!("{error}"),
        }
    }

    /// Waits for connections to so many peers.
    pub fn wait_connected(&self, count: usize) {
        let mut connected = 0;
        while connected < count {
            match self.next() {
                Event::Connected(_) => connected += 1,
                Event::Disconnected(..) => connected -= 1,
                _ => {}
            }
        }
    }

    pub fn next_message(&self) -> (PeerId, Channel, Vec<u8>) {
        loop {
            if let Event::Message { from, channel, bytes } = self.next() {
                return (from, channel, bytes);
            }
        }
    }

    pub fn send(&self, to: &Node, channel: Channel, bytes: Vec<u8>) {
        self.network.handle().send(to.id, channel, bytes).unwrap();
    }

    pub fn wait_closed(&self, reason: CloseReason, count: u64) {
        self.wait_stats(&format!("{count} closed for {reason}"), |stats| stats.closed(reason) >= count);
    }

    pub fn wait_stats(&self, what: &str, fits: impl Fn(&Stats) -> bool) {
        let start = Instant::now();
        while !fits(&self.network.stats()) {
            assert!(start.elapsed() < PATIENCE, "waiting for {what}: {:?}", self.network.stats());
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    pub fn raw(&self) -> TcpStream {
        TcpStream::connect(self.network.local_addr()).unwrap()
    }
}

/// Seeds sorted by public key: an earlier node dials a later one.
pub fn seeds(count: usize) -> Vec<u8> {
    let mut seeds: Vec<u8> = (1..=count as u8).collect();
    seeds.sort_by_key(|seed| identity(*seed).public_key());
    seeds
}

pub fn identity(seed: u8) -> Identity {
    Identity::from_seed([seed; 32].into())
}

/// Deadlines short enough for tests.
pub fn quick() -> Limits {
    Limits { redial_min_ms: 10, redial_max_ms: 100, penalty_ms: 50, ..Limits::default() }
}

pub struct Plan {
    pub seeds: Vec<u8>,
    pub peers: Vec<Peer>,
    listeners: Vec<Option<TcpListener>>,
}

impl Plan {
    pub fn new(count: usize) -> Self {
        let seeds = seeds(count);
        let listeners: Vec<_> = (0..count).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let peer = |(seed, listener): (&u8, &TcpListener)| Peer {
            public_key: identity(*seed).public_key(),
            address: listener.local_addr().unwrap(),
        };
        let peers = seeds.iter().zip(&listeners).map(peer).collect();
        Self { seeds, peers, listeners: listeners.into_iter().map(Some).collect() }
    }

    pub fn config(&self, index: usize, limits: Limits) -> Config {
        Config {
            listen: self.peers[index].address,
            identity: identity(self.seeds[index]),
            network_id: NETWORK,
            peers: self.peers.clone(),
            limits,
        }
    }

    /// Starts a node; when it is started again, on the address it had.
    pub fn start(&mut self, index: usize, limits: Limits) -> Node {
        let config = self.config(index, limits);
        self.start_with(index, config)
    }

    pub fn start_with(&mut self, index: usize, config: Config) -> Node {
        let (sender, events) = channel();
        let full = Arc::new(AtomicBool::new(false));
        let sink = TestSink { sender, full: full.clone() };
        let network = match self.listeners[index].take() {
            Some(listener) => Network::start_on(listener, config, sink).unwrap(),
            None => Network::start(config, sink).unwrap(),
        };
        Node { id: PeerId(index as u16), network, full, events: Mutex::new(events) }
    }

    pub fn address(&self, index: usize) -> SocketAddr {
        self.peers[index].address
    }
}

/// So many nodes, all connected.
pub fn connected(count: usize, limits: &Limits) -> Vec<Node> {
    let mut plan = Plan::new(count);
    let nodes: Vec<_> = (0..count).map(|index| plan.start(index, limits.clone())).collect();
    for node in &nodes {
        node.wait_connected(count - 1);
    }
    nodes
}

/// Bytes that differ by position and seed.
pub fn pattern(seed: usize, len: usize) -> Vec<u8> {
    (0..len).map(|i| (seed.wrapping_mul(31) ^ i ^ (i >> 8)) as u8).collect()
}
