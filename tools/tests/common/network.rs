//! A network as an operator makes and runs it: `init`, and a process of `galaxy run` for each node.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use constellation_node::api::Client;
use constellation_protocol::NodeStatus;
use serde_json::Value;
use tempfile::TempDir;

use super::process::{Process, wait_until};
use super::{command, run};

/// Nodes on loopback, in a directory that goes with them.
pub struct Network {
    dir: TempDir,
    /// What `init --json` said.
    pub made: Value,
    nodes: Vec<Option<Process>>,
}

impl Network {
    /// Makes the network; nothing runs yet.
    pub fn new(count: u16) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let first = free_ports(2 * count);
        let (port, api_port) = (first.to_string(), (first + count).to_string());
        let (count, path) = (count.to_string(), dir.path().to_str().unwrap());
        let made = run(&["init", "--json", "--dir", path, "--nodes", &count, "--port", &port, "--api-port", &api_port]);
        assert_eq!((made.code, made.stderr.as_str()), (0, ""));
        let made = made.json();
        let nodes = made["nodes"].as_array().unwrap().iter().map(|_| None).collect();
        Self { dir, made, nodes }
    }

    /// Makes the network, starts all nodes, and waits until each has a session with every other.
    pub fn start(count: u16) -> Self {
        let mut network = Self::new(count);
        (0..network.len()).for_each(|index| network.run(index));
        network.wait_until_connected();
        network
    }

    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub fn node_dir(&self, index: usize) -> PathBuf {
        PathBuf::from(self.made["nodes"][index]["dir"].as_str().unwrap())
    }

    /// A node's address for clients.
    pub fn api(&self, index: usize) -> &str {
        self.made["nodes"][index]["api"].as_str().unwrap()
    }

    /// A node's address for other nodes.
    pub fn listen(&self, index: usize) -> &str {
        self.made["nodes"][index]["listen"].as_str().unwrap()
    }

    /// Starts a process for a node, and waits until it says that it runs.
    pub fn run(&mut self, index: usize) {
        let mut process = Process::start(command(&["galaxy", "run", "--dir", self.node_dir(index).to_str().unwrap()]));
        process.wait_for(" runs: ");
        self.nodes[index] = Some(process);
    }

    /// Takes a node's process out of the network's care.
    pub fn take(&mut self, index: usize) -> Process {
        self.nodes[index].take().unwrap()
    }

    pub fn status(&self, index: usize) -> Option<NodeStatus> {
        Client::connect(self.api(index)).and_then(|mut client| client.status()).ok()
    }

    pub fn wait_until_connected(&self) {
        let others = self.len() - 1;
        for index in 0..self.len() {
            wait_until("a node has a session with every other", || {
                self.status(index).is_some_and(|status| status.peers_connected == others)
            });
        }
    }

    /// Waits until nothing is on its way and all nodes stand at the same black hole, and gives its height.
    pub fn wait_until_level(&self) -> u64 {
        let mut height = 0;
        wait_until("all nodes stand at the same black hole", || {
            let all: Vec<_> = (0..self.len()).filter_map(|index| self.status(index)).collect();
            height = all.iter().map(|status| status.height).max().unwrap_or(0);
            let is_done = |status: &NodeStatus| status.pool == 0 && status.black_hole == all[0].black_hole;
            all.len() == self.len() && all.iter().all(is_done)
        });
        height
    }
}

/// The first of `count` ports in a row that are free on loopback.
///
/// They are below those that the system gives to outgoing connections, and tests of one program never get the same.
pub fn free_ports(count: u16) -> u16 {
    const RANGE: std::ops::Range<u16> = 12_000..32_000;
    static NEXT: Mutex<Option<u16>> = Mutex::new(None);
    let mut next = NEXT.lock().unwrap();
    // Programs that run at once start at different places.
    let start = RANGE.start + (std::process::id() * 64 % u32::from(RANGE.end - RANGE.start)) as u16;
    let mut first = next.unwrap_or(start);
    for _ in RANGE {
        if first + count > RANGE.end {
            first = RANGE.start;
        }
        let is_free = |port| TcpListener::bind(("127.0.0.1", port)).is_ok();
        if (first..first + count).all(is_free) {
            *next = Some(first + count);
            return first;
        }
        first += 1;
    }
    panic!("no {count} free ports in a row on loopback");
}
