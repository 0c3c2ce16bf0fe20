//! A data directory whose log one real node has written, a network of its own.

#![allow(clippy::unwrap_used, reason = "a test that meets the unexpected must stop")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use constellation_chain::{
    BlackHole, Certificate, Genesis, GenesisNode, GenesisStar, Offer, SecretKey, StarHead, Transaction,
};
use constellation_node::{LOG_RECORD_KIND_BLACK_HOLE, VerifyEngine};
use constellation_protocol::{Action, Config, Event, Node};
use constellation_storage::{Directory, Log, LogError, LogOptions};

/// A data directory with a genesis and the log of a network of one node.
pub struct DataDirectory {
    folder: tempfile::TempDir,
    genesis: Genesis,
}

impl DataDirectory {
    /// Lets a node make `black_holes` black holes, with a transfer in each, and writes them to its log.
    pub fn with_black_holes(black_holes: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let genesis = genesis();
        std::fs::write(folder.path().join("genesis.toml"), genesis.to_toml()).unwrap();
        let directory = Self { folder, genesis };
        directory.append(&chain(&directory.genesis, black_holes));
        directory
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn log_path(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// The path of the data directory as an argument.
    pub fn argument(&self) -> &str {
        self.path().to_str().unwrap()
    }

    pub fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    /// A process that another test has just forked holds copies of this process' locks until it runs its own program.
    fn open_log(&self) -> Log<Directory> {
        let options = || LogOptions { segment_len_bytes: 1 << 16, reserve_len_bytes: 0 };
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            match Log::open(&self.log_path(), options()) {
                Ok((log, _)) => return log,
                Err(LogError::Locked { .. }) if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Appends black holes to the log, whatever they are worth.
    pub fn append(&self, black_holes: &[(Arc<BlackHole>, Certificate)]) {
        let mut log = self.open_log();
        for (black_hole, certificate) in black_holes {
            log.append(LOG_RECORD_KIND_BLACK_HOLE, &[&black_hole.to_bytes(certificate)]).unwrap();
        }
        log.sync().unwrap();
    }
}

fn node_key() -> SecretKey {
    SecretKey::from_seed([1; 32])
}

fn genesis() -> Genesis {
    let node = GenesisNode::new(node_key().public_key(), "127.0.0.1:7000".parse().unwrap());
    let star = GenesisStar { public_key: SecretKey::from_seed([2; 32]).public_key(), balance: 1_000 };
    Genesis::new("test", 1, vec![node], vec![star]).unwrap()
}

/// What a node of its own network makes of one transfer at a time.
fn chain(genesis: &Genesis, black_holes: u64) -> Vec<(Arc<BlackHole>, Certificate)> {
    const STEP_US: u64 = 10_000;
    const STEPS_MAX: u64 = 10_000;
    let mut node = Node::new(Config::new(genesis.clone(), node_key()), Arc::new(VerifyEngine::detect())).unwrap();
    let mut chain = Vec::new();
    let mut heads = (StarHead::default(), StarHead::default());
    for step in 1..STEPS_MAX {
        if chain.len() as u64 == black_holes {
            return chain;
        }
        if heads.0.sequence == chain.len() as u64 {
            let transactions = vec![Arc::new(transfer(genesis, &mut heads))];
            node.handle(step * STEP_US, Event::Submit { ticket: step, transactions });
        }
        for action in node.poll(step * STEP_US) {
            if let Action::Append { black_hole, certificate } = action {
                chain.push((black_hole, certificate));
            }
        }
    }
    panic!("a node alone made {} black holes in {STEPS_MAX} steps", chain.len());
}

/// The next transfer between two stars, and their heads behind it.
fn transfer(genesis: &Genesis, heads: &mut (StarHead, StarHead)) -> Transaction {
    let (from, to) = (SecretKey::from_seed([2; 32]), SecretKey::from_seed([3; 32]));
    let offer = Offer::transfer(genesis.network_id(), &from, heads.0, to.public_key(), 10);
    let transaction = offer.countersign(&to, heads.1).unwrap();
    for head in [&mut heads.0, &mut heads.1] {
        *head = StarHead { sequence: head.sequence + 1, head: transaction.id() };
    }
    transaction
}
