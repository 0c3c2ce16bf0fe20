//! What a light client needs of the network. A node is the door in production; a ledger in memory is one in tests.

use constellation_chain::{CheckSignatures, Hash, NetworkId, Offer, PublicKey, Reason, Transaction};
use constellation_node::VerifyEngine;
use constellation_node::api::{Admission, StarAnswer};
use constellation_node::api::{Client, ClientError, TransactionStatus};

/// What a node says of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Nothing: it never had it, dropped it, or has forgotten it.
    Unknown,
    /// On its way.
    Pending,
    /// It stands.
    Final {
        /// Height of the black hole that holds it.
        height: u64,
        /// That black hole.
        black_hole: Hash,
    },
    /// A black hole censored it.
    Censored(Reason),
}

/// The way to the network.
pub trait Door {
    /// The network it leads to.
    fn network(&self) -> NetworkId;
    /// A star's account.
    fn account(&mut self, star: &PublicKey) -> Result<StarAnswer, ClientError>;
    /// What became of a transaction.
    fn fate(&mut self, id: &Hash) -> Result<Fate, ClientError>;
    /// The offers that wait for a star.
    fn offers(&mut self, star: &PublicKey) -> Result<Vec<Offer>, ClientError>;
    /// Leaves an offer in the mailbox.
    fn submit_offer(&mut self, offer: &Offer) -> Result<Admission, ClientError>;
    /// Sends a whole transaction.
    fn submit(&mut self, transaction: &Transaction) -> Result<Admission, ClientError>;
    /// Whether the initiator did sign an offer; a node's word is not enough for that.
    fn is_signed(&self, offer: &Offer) -> bool;
}

/// A node's client API as a door.
pub struct NodeDoor {
    client: Client,
    network: NetworkId,
    engine: VerifyEngine,
}

impl NodeDoor {
    /// Connects to the node at `address`.
    pub fn connect(address: &str) -> Result<Self, ClientError> {
        let mut client = Client::connect(address)?;
        let network = client.status()?.network_id;
        Ok(NodeDoor { client, network, engine: VerifyEngine::detect() })
    }
}

impl Door for NodeDoor {
    fn network(&self) -> NetworkId {
        self.network
    }

    fn account(&mut self, star: &PublicKey) -> Result<StarAnswer, ClientError> {
        self.client.star(star)
    }

    fn fate(&mut self, id: &Hash) -> Result<Fate, ClientError> {
        Ok(match self.client.transaction(id)? {
            TransactionStatus::Unknown | TransactionStatus::Dropped { .. } => Fate::Unknown,
            TransactionStatus::Admitted | TransactionStatus::ClusterFinal => Fate::Pending,
            TransactionStatus::Applied { height, black_hole } => Fate::Final { height, black_hole },
            TransactionStatus::Censored { reason, .. } => Fate::Censored(reason),
        })
    }

    fn offers(&mut self, star: &PublicKey) -> Result<Vec<Offer>, ClientError> {
        self.client.offers(star, self.network)
    }

    fn submit_offer(&mut self, offer: &Offer) -> Result<Admission, ClientError> {
        busy_is_an_answer(self.client.submit_offer(offer))
    }

    fn submit(&mut self, transaction: &Transaction) -> Result<Admission, ClientError> {
        let mut admissions = match self.client.submit(std::slice::from_ref(transaction)) {
            Err(ClientError::Busy { retry_after_ms }) => return Ok(Admission::Busy { retry_after_ms }),
            answer => answer?,
        };
        // The client checks that there is one answer for each transaction.
        Ok(admissions.pop().unwrap_or(Admission::Busy { retry_after_ms: 0 }))
    }

    fn is_signed(&self, offer: &Offer) -> bool {
        let message = offer.message();
        self.engine.check(&[offer.signature(&message)]) == [true]
    }
}

fn busy_is_an_answer(answer: Result<Admission, ClientError>) -> Result<Admission, ClientError> {
    match answer {
        Err(ClientError::Busy { retry_after_ms }) => Ok(Admission::Busy { retry_after_ms }),
        answer => answer,
    }
}
