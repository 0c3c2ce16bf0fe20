//! The verifier: everything that is signed passes here, in batches as large as what has come in, before the core sees it.

use crate::api::SubmitReply;
use crate::bell::Bell;
use crate::core_stage::CoreInput;
use crate::engine::VerifyEngine;
use crate::gossip::{self, Item};
use crate::meter::{Meter, Spent, Stretch};
use crate::ring::Ring;
use crate::suspects::{Sender, Suspects};
use constellation_chain::{GenesisGalaxy, NetworkId, Offer, Reader, Transaction};
use constellation_net::{ItemId, Items, PeerId};
use constellation_verify::Senders;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::oneshot;

/// From so many transactions on, no more inputs are taken into a batch: it would gain nothing and only wait.
const BATCH_MAX: usize = 4096;
/// Inputs taken into one batch, at most: each holds at most one client request or gossip message.
const INPUTS_MAX: usize = 256;

/// Work for the verifier.
pub(crate) enum VerifyInput {
    /// A client's transactions, as bytes.
    Client { records: Vec<u8>, reply: oneshot::Sender<SubmitReply> },
    /// A client's offer, as bytes.
    ClientOffer { record: Vec<u8>, reply: oneshot::Sender<SubmitReply> },
    /// Items from a peer.
    Gossip { from: PeerId, items: Items },
}

/// Transactions of an agreed block that the core wants verified: before anything else.
pub(crate) struct VerifyJob {
    pub job: u64,
    pub transactions: Vec<Arc<Transaction>>,
}

pub(crate) struct VerifyStage {
    pub engine: VerifyEngine,
    pub network: NetworkId,
    /// Those below the network: their validators' signatures are checked too.
    pub galaxies: Vec<GenesisGalaxy>,
    pub bell: Arc<Bell>,
    pub jobs: Arc<Ring<VerifyJob>>,
    pub inputs: Arc<Ring<VerifyInput>>,
    pub core: Arc<Ring<CoreInput>>,
    /// Answers to jobs have a ring of their own, so that a flood of transactions cannot hold up a round.
    pub verdicts: Arc<Ring<CoreInput>>,
    pub net: Arc<std::sync::OnceLock<constellation_net::Handle>>,
    pub meter: Arc<Meter>,
    pub stop: Arc<AtomicBool>,
}

/// A parsed input, its transactions waiting for their verdicts.
enum Parsed {
    Client(oneshot::Sender<SubmitReply>),
    Gossip { from: PeerId, ids: Vec<ItemId> },
}

impl Parsed {
    fn sender(&self) -> Sender {
        match self {
            Self::Client(_) => Sender::Clients,
            Self::Gossip { from, .. } => Sender::Peer(*from),
        }
    }
}

/// An input with the verdicts of its transactions.
type Verified = (Parsed, Vec<Arc<Transaction>>, Vec<bool>);

impl VerifyStage {
    pub fn run(self) {
        let mut since = Stretch::new();
        let mut suspects = Suspects::default();
        while !self.stop.load(Ordering::Relaxed) {
            let batch = self.collect();
            if batch.is_empty() {
                self.bell.sleep(Duration::from_millis(100), || !self.jobs.is_empty() || !self.inputs.is_empty());
                self.meter.book(&mut since, Spent::Waiting);
                continue;
            }
            // Each sender's trust as it was when the batch was taken in, whatever the batch shows.
            let (suspect, clean): (Vec<_>, Vec<_>) =
                batch.into_iter().partition(|(parsed, _)| suspects.contains(parsed.sender()));
            let mut verified = self.verify(clean, Senders::Any);
            verified.extend(self.verify(suspect, Senders::Suspect));
            self.meter.book(&mut since, Spent::Busy);
            suspects.observe(verified.iter().map(|(parsed, _, verdicts)| (parsed.sender(), &verdicts[..])));
            for (parsed, transactions, verdicts) in verified {
                self.pass_on(parsed, transactions, verdicts);
            }
            self.meter.book(&mut since, Spent::HeldUp);
        }
    }

    /// Verifies all transactions of `batch` together, and gives each input its own verdicts.
    fn verify(&self, batch: Vec<(Parsed, Vec<Arc<Transaction>>)>, senders: Senders) -> Vec<Verified> {
        if batch.is_empty() {
            return Vec::new();
        }
        let transactions: Vec<&Transaction> =
            batch.iter().flat_map(|(_, transactions)| transactions).map(|one| &**one).collect();
        self.meter.count(transactions.len());
        // A verdict that is missing is no leave to pass.
        let verdicts = self.engine.check_transactions(senders, &transactions, &self.galaxies);
        let mut verdicts = verdicts.into_iter().chain(std::iter::repeat(false));
        let mut take = |(parsed, transactions): (Parsed, Vec<_>)| {
            let verdicts = verdicts.by_ref().take(transactions.len()).collect();
            (parsed, transactions, verdicts)
        };
        batch.into_iter().map(&mut take).collect()
    }

    /// Verifies what the core waits for: before anything else, and also while the core has no room for anything else.
    fn serve_jobs(&self) {
        while let Some(VerifyJob { job, transactions }) = self.jobs.pop() {
            let borrowed: Vec<&Transaction> = transactions.iter().map(|one| &**one).collect();
            let verdicts = self.engine.check_transactions(Senders::Proposers, &borrowed, &self.galaxies);
            self.meter.count(transactions.len());
            // The core takes verdicts first of all, and its ring has a place for every job it can have open.
            if self.verdicts.push_waiting(CoreInput::Verdicts { job, verdicts }, &self.stop).is_err() {
                tracing::debug!(job, "stopped before the verdicts of a job were taken");
            }
        }
    }

    /// Takes in what there is, jobs before each input. Offers are few and are checked on the way.
    fn collect(&self) -> Vec<(Parsed, Vec<Arc<Transaction>>)> {
        self.serve_jobs();
        let mut batch = Vec::new();
        let mut count = 0;
        while count < BATCH_MAX && batch.len() < INPUTS_MAX {
            let Some(input) = self.inputs.pop() else { break };
            self.serve_jobs();
            let parsed = match input {
                VerifyInput::Client { records, reply } => self.parse_request(&records, reply),
                VerifyInput::ClientOffer { record, reply } => {
                    self.take_client_offer(&record, reply);
                    None
                }
                VerifyInput::Gossip { from, items } => self.parse_items(from, items),
            };
            if let Some((parsed, transactions)) = parsed {
                count += transactions.len();
                batch.push((parsed, transactions));
            }
        }
        batch
    }

    fn parse_request(
        &self,
        records: &[u8],
        reply: oneshot::Sender<SubmitReply>,
    ) -> Option<(Parsed, Vec<Arc<Transaction>>)> {
        let mut reader = Reader::new(records);
        let mut transactions = Vec::new();
        while !reader.is_empty() {
            match Transaction::read(&mut reader, self.network) {
                Ok(transaction) => transactions.push(Arc::new(transaction)),
                Err(error) => {
                    refuse(reply, format!("transaction {}: {error}", transactions.len()));
                    return None;
                }
            }
        }
        Some((Parsed::Client(reply), transactions))
    }

    fn take_client_offer(&self, record: &[u8], reply: oneshot::Sender<SubmitReply>) {
        match Offer::decode(record, self.network) {
            Err(error) => refuse(reply, format!("offer: {error}")),
            Ok(offer) if !self.holds(&offer) => refuse(reply, "offer: its signature does not verify".into()),
            Ok(offer) => self.give_core(CoreInput::Offer { offer: Arc::new(offer), reply: Some(reply) }),
        }
    }

    fn holds(&self, offer: &Offer) -> bool {
        self.engine.check_offers(std::iter::once(offer)) == [true]
    }

    fn parse_items(&self, from: PeerId, items: Items) -> Option<(Parsed, Vec<Arc<Transaction>>)> {
        let mut ids = Vec::with_capacity(items.len());
        let mut transactions = Vec::with_capacity(items.len());
        let (mut bad, mut offers) = (Vec::new(), Vec::new());
        for (id, record) in items {
            match gossip::decode(&id, record, self.network) {
                Ok(Item::Transaction(transaction)) => {
                    ids.push(id);
                    transactions.push(transaction);
                }
                Ok(Item::Offer(offer)) => offers.push((id, offer)),
                Err(_) => bad.push(id),
            }
        }
        let verdicts = self.engine.check_offers(offers.iter().map(|(_, offer)| &**offer));
        for ((id, offer), holds) in offers.into_iter().zip(verdicts) {
            match holds {
                true => self.give_core(CoreInput::Offer { offer, reply: None }),
                false => bad.push(id),
            }
        }
        self.blame(from, bad);
        (!transactions.is_empty()).then_some((Parsed::Gossip { from, ids }, transactions))
    }

    fn pass_on(&self, parsed: Parsed, transactions: Vec<Arc<Transaction>>, verdicts: Vec<bool>) {
        match parsed {
            Parsed::Client(reply) => match verdicts.iter().position(|valid| !valid) {
                Some(index) => refuse(reply, format!("transaction {index}: a signature does not verify")),
                None => self.give_core(CoreInput::Submit { transactions, reply }),
            },
            Parsed::Gossip { from, ids } => {
                let bad = ids.iter().zip(&verdicts).filter(|(_, valid)| !**valid).map(|(id, _)| *id).collect();
                self.blame(from, bad);
                let good = transactions.into_iter().zip(verdicts).filter(|(_, valid)| *valid).map(|(one, _)| one);
                self.give_core(CoreInput::Gossiped(good.collect()));
            }
        }
    }

    fn give_core(&self, mut input: CoreInput) {
        const STEP: Duration = Duration::from_micros(500);
        while let Err(back) = self.core.push(input) {
            if self.stop.load(Ordering::Relaxed) {
                return tracing::debug!(
                    "stopped with verified transactions in hand; their senders will send them again"
                );
            }
            input = back;
            self.serve_jobs();
            std::thread::sleep(STEP);
        }
    }

    /// An honest node relays only what it has verified.
    fn blame(&self, from: PeerId, bad: Vec<ItemId>) {
        if bad.is_empty() {
            return;
        }
        let Some(net) = self.net.get() else { return };
        let told = net.reject(bad).and_then(|()| net.penalise(from, "gossiped an item that does not verify"));
        if let Err(error) = told {
            tracing::warn!(peer = from.0, %error, "could not close a peer that gossiped what does not verify");
        }
    }
}

fn refuse(reply: oneshot::Sender<SubmitReply>, what: String) {
    if reply.send(SubmitReply::Malformed(what)).is_err() {
        tracing::debug!("a client went away before its answer");
    }
}
