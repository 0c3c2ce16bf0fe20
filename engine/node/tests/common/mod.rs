//! Real nodes on loopback, in one process: each with its own data directory, ports, threads and log.

#![allow(
    clippy::unwrap_used,
    dead_code,
    reason = "a test that meets the unexpected must stop, and each uses its own part"
)]

use constellation_chain::{
    Genesis, GenesisNode, GenesisStar, Hash, NetworkId, Offer, SecretKey, StarHead, Transaction,
};
use constellation_node::api::{Client, TransactionStatus};
use constellation_node::{
    AuditReport, DataDir, JournalSync, Listeners, NodeConfig, RunningNode, VerifyEngine, audit_log, create_journal,
    write_new_key,
};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub struct TestNetwork {
    pub dir: tempfile::TempDir,
    pub genesis: Genesis,
    pub nodes: Vec<Option<RunningNode>>,
    pub addresses: Vec<(SocketAddr, SocketAddr)>,
}

pub fn star_key(index: u64) -> SecretKey {
    let mut seed = [9; 32];
    seed[..8].copy_from_slice(&index.to_le_bytes());
    SecretKey::from_seed(seed)
}

impl TestNetwork {
    pub fn start(count: usize, stars: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let listeners: Vec<(TcpListener, TcpListener)> = (0..count)
            .map(|_| (TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap()))
            .collect();
        let addresses: Vec<(SocketAddr, SocketAddr)> =
            listeners.iter().map(|(nodes, api)| (nodes.local_addr().unwrap(), api.local_addr().unwrap())).collect();
        let keys: Vec<SecretKey> = (0..count).map(|i| SecretKey::from_seed([50 + i as u8; 32])).collect();
        let nodes =
            keys.iter().zip(&addresses).map(|(key, address)| GenesisNode::new(key.public_key(), address.0)).collect();
        let stars =
            (0..stars).map(|i| GenesisStar { public_key: star_key(i).public_key(), balance: 1_000_000 }).collect();
        let genesis = Genesis::new("test", count, nodes, stars).unwrap();
        let mut network = TestNetwork { dir, genesis, nodes: Vec::new(), addresses };
        for (index, (key, (nodes, api))) in keys.iter().zip(listeners).enumerate() {
            let data_dir = network.data_dir(index);
            std::fs::create_dir_all(data_dir.path()).unwrap();
            write_new_key(&data_dir.key_path(), key).unwrap();
            std::fs::write(data_dir.genesis_path(), network.genesis.to_toml()).unwrap();
            std::fs::create_dir_all(data_dir.journal_path()).unwrap();
            create_journal(&data_dir.journal_path()).unwrap();
            let listeners = Listeners { nodes: Some(nodes), api: Some(api) };
            network.nodes.push(Some(RunningNode::start_on(&data_dir, network.config(index), listeners).unwrap()));
        }
        network
    }

    pub fn data_dir(&self, index: usize) -> DataDir {
        DataDir::new(self.dir.path().join(format!("node-{index}")))
    }

    fn config(&self, index: usize) -> NodeConfig {
        let (listen, api) = self.addresses[index];
        NodeConfig { journal_sync: JournalSync::Process, segment_mib: 40, ..NodeConfig::new(listen, api) }
    }

    pub fn stop(&mut self, index: usize) {
        self.nodes[index].take().unwrap().stop().unwrap();
    }

    pub fn restart(&mut self, index: usize) {
        self.nodes[index] = Some(RunningNode::start(&self.data_dir(index), self.config(index)).unwrap());
    }

    pub fn client(&self, index: usize) -> Client {
        Client::connect(&self.addresses[index].1.to_string()).unwrap()
    }

    pub fn network_id(&self) -> NetworkId {
        self.genesis.network_id()
    }

    pub fn transfer(&self, (from, at): (u64, StarHead), (to, to_at): (u64, StarHead), amount: u64) -> Transaction {
        let to_key = star_key(to);
        let offer = Offer::transfer(self.network_id(), &star_key(from), at, to_key.public_key(), amount);
        offer.countersign(&to_key, to_at).unwrap()
    }

    /// Stops what runs, and audits every log.
    pub fn audit(&mut self) -> Vec<AuditReport> {
        for index in 0..self.nodes.len() {
            if self.nodes[index].is_some() {
                self.stop(index);
            }
        }
        let engine = Arc::new(VerifyEngine::detect());
        (0..self.nodes.len())
            .map(|index| audit_log(&self.data_dir(index).log_path(), &self.genesis, engine.clone()).unwrap())
            .collect()
    }
}

/// Waits until `done`, at most a generous time: how fast it comes is no matter of tests.
pub fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !done() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

pub fn applied(client: &mut Client, id: &Hash) -> bool {
    matches!(client.transaction(id).unwrap(), TransactionStatus::Applied { .. })
}
