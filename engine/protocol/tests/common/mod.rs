//! What the tests of whole networks share: real signature checking under the simulator.

#![allow(dead_code, reason = "no file of tests uses all of it")]

use constellation_chain::{CheckSignatures, Hash, PublicKey, SignedMessage};
use constellation_protocol::Compute;
use constellation_simulator::node::{Network, Options};
use constellation_verify::{Engine, OwnedBatch};
use std::sync::Arc;

struct RealEngine(Engine);

impl CheckSignatures for RealEngine {
    fn check(&self, items: &[SignedMessage<'_>]) -> Vec<bool> {
        let mut batch = OwnedBatch::new();
        for item in items {
            batch.push(&item.public_key.0, &item.signature.0, &[item.message]).unwrap();
        }
        self.0.verify(&batch.as_batch()).iter().collect()
    }
}

impl Compute for RealEngine {
    fn sketch(&self, key: &Hash, accounts: &[PublicKey]) -> [u8; 128] {
        constellation_verify::sketch(&key.0, accounts.iter().map(|account| &account.0))
    }
}

pub fn engine() -> Arc<dyn Compute> {
    Arc::new(RealEngine(Engine::detect()))
}

/// A network of so many nodes, of which `seats` are a round's facilitators.
pub fn network(seed: u64, nodes: usize, seats: usize, stars: usize) -> Network {
    Network::new(Options::new(seed, nodes, (1, seats), stars), engine())
}

/// All logs hold and agree, and nobody honest contradicted itself or was blamed.
pub fn assert_sound(network: &Network) {
    network.check_logs().unwrap();
    assert_eq!(network.violation(), None);
}
