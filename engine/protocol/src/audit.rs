//! The audit of a chain from its first black hole: every signature, root, certificate, link and verdict, with nothing trusted but the genesis.

use crate::config::Config;
use crate::event::Compute;
use crate::node::Node;
use constellation_chain::{
    BlackHole, Certificate, Committee, Genesis, Hash, Ledger, PublicKey, SecretKey, SignedMessage,
};
use std::sync::Arc;

/// Walks a chain, black hole by black hole.
pub struct Auditor {
    node: Node,
    compute: Arc<dyn Compute>,
}

/// What is wrong with a chain, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("black hole {height}: {what}")]
pub struct AuditError {
    /// Height of the first black hole that does not hold.
    pub height: u64,
    /// What does not hold.
    pub what: String,
}

impl Auditor {
    /// Starts before the first black hole of the genesis' network.
    pub fn new(genesis: Genesis, compute: Arc<dyn Compute>) -> Self {
        // The audit follows the chain with a node that has no seat anywhere; its key signs nothing.
        let bystander = SecretKey::from_seed([0; 32]);
        Auditor { node: Node::bystander(Config::new(genesis, bystander), compute.clone()), compute }
    }

    /// Checks the next black hole whole and applies it.
    pub fn next(&mut self, black_hole: &BlackHole, certificate: &Certificate) -> Result<(), AuditError> {
        let height = black_hole.header.height();
        let fails = |what: String| AuditError { height, what };
        if height != self.node.tip.height + 1 {
            return Err(fails(format!("it follows black hole {}", self.node.tip.height)));
        }
        self.node.check_black_hole(black_hole, certificate).map_err(fails)?;
        self.check_signatures(black_hole).map_err(fails)?;
        self.node.replay(black_hole).map_err(|error| fails(error.to_string()))
    }

    /// Height and hash of the last black hole that held.
    pub fn tip(&self) -> (u64, Hash) {
        self.node.tip()
    }

    /// The ledger after that black hole.
    pub fn ledger(&self) -> &Ledger {
        self.node.ledger()
    }

    /// The validators that decide the next black hole.
    pub fn validators(&self) -> &Committee {
        self.node.validators()
    }

    /// The clusters that stars belong to, in rising order.
    pub fn clusters(&self) -> Vec<u32> {
        self.node.membership.homes.placement().live()
    }

    /// The cluster that a star belongs to, or is on its way to.
    pub fn home(&self, star: &PublicKey) -> u32 {
        self.node.membership.homes.cluster_of(star)
    }

    fn check_signatures(&self, black_hole: &BlackHole) -> Result<(), String> {
        let galaxies = self.node.config.genesis.galaxies();
        let messages: Vec<_> =
            black_hole.transactions().map(|transaction| transaction.signed_messages(galaxies)).collect();
        let items: Vec<SignedMessage<'_>> = black_hole
            .transactions()
            .zip(&messages)
            .flat_map(|(transaction, messages)| transaction.signatures(messages))
            .collect();
        match self.compute.check(&items).iter().position(|valid| !valid) {
            Some(bad) => Err(format!("a signature of {} in it does not verify", items[bad].public_key)),
            None => Ok(()),
        }
    }
}
