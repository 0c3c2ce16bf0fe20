//! The clients: stars that pay each other, each keeping its own chain, as real ones do.

use std::sync::Arc;

use constellation_chain::{SecretKey, StarHead, Transaction};

use super::network::Network;

/// The key of a star, by number.
pub fn star_key(index: usize) -> SecretKey {
    let mut seed = [7; 32];
    seed[..8].copy_from_slice(&(index as u64).to_le_bytes());
    SecretKey::from_seed(seed)
}

/// Stars 0 to `count`, with what they sent.
pub struct Stars {
    heads: Vec<StarHead>,
    /// Every transfer, in order.
    pub sent: Vec<Arc<Transaction>>,
}

impl Stars {
    /// So many stars at the start of their chains.
    pub fn new(count: usize) -> Self {
        Stars { heads: vec![StarHead::default(); count], sent: Vec::new() }
    }

    /// One random transfer to one random node that is up and honest.
    pub fn send_one(&mut self, network: &mut Network) {
        self.send_one_of(network, self.heads.len());
    }

    /// The same from one of the first `active` stars.
    pub fn send_one_of(&mut self, network: &mut Network, active: usize) {
        let from = network.chance.index(active);
        let to = (from + 1 + network.chance.index(self.heads.len() - 1)) % self.heads.len();
        let doors = network.honest_up();
        let transaction = network.transfer((from, self.heads[from]), (to, self.heads[to]), 1);
        let counterparty = transaction.counterparty_half().expect("a transfer has two halves");
        for (star, half) in [(from, transaction.initiator_half()), (to, counterparty)] {
            self.heads[star] = StarHead { sequence: half.sequence(), head: transaction.id() };
        }
        if !doors.is_empty() {
            let node = network.chance.pick(&doors);
            network.submit(node, &transaction);
        }
        self.sent.push(transaction);
    }

    /// Sends again what no log holds, as clients do until they see it final.
    pub fn resend(&self, network: &mut Network) {
        let Some(&door) = network.honest_up().first() else { return };
        let done = network.applied(door);
        for transaction in self.sent.iter().filter(|transaction| !done.contains(&transaction.id())) {
            network.submit(door, transaction);
        }
    }

    /// Whether a node's log holds everything that was sent.
    pub fn all_applied(&self, network: &Network, index: usize) -> bool {
        let applied = network.applied(index);
        self.sent.iter().all(|transaction| applied.contains(&transaction.id()))
    }
}
