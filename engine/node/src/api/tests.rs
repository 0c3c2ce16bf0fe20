//! Server and client together, on loopback, before a fake node.

mod http;
mod websocket;

use super::*;
use constellation_chain::{
    GalaxyHead, Hash, NetworkId, Offer, PublicKey, Reader, Reason, SecretKey, StarHead, Transaction,
};
use constellation_protocol::{Admission, Answer, NodeStatus, Query, StarAnswer, TransactionState};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::oneshot;

const NETWORK: NetworkId = NetworkId([0xab; 8]);
/// What the fake node answers for the first, second … record of a request.
const ADMISSIONS: [Admission; 5] = [
    Admission::Admitted,
    Admission::Known,
    Admission::Final,
    Admission::Busy { retry_after_ms: 250 },
    Admission::Censored { reason: Reason::Fork },
];

/// A node that takes everything, unless told to be busy or silent.
#[derive(Default)]
struct FakeNode {
    is_busy: AtomicBool,
    is_silent: AtomicBool,
    records: AtomicU64,
    unanswered: Mutex<Vec<oneshot::Sender<SubmitReply>>>,
}

impl FakeNode {
    fn check_room(&self) -> Result<(), Busy> {
        if self.is_busy.load(Ordering::SeqCst) { Err(Busy { retry_after_ms: 1500 }) } else { Ok(()) }
    }

    fn admit(&self, records: &[u8]) -> SubmitReply {
        let mut reader = Reader::new(records);
        let mut count = 0;
        while !reader.is_empty() {
            if let Err(error) = Transaction::read(&mut reader, NETWORK) {
                return SubmitReply::Malformed(format!("record {count}: {error}"));
            }
            count += 1;
        }
        self.records.fetch_add(count as u64, Ordering::SeqCst);
        SubmitReply::Admissions(ADMISSIONS.into_iter().cycle().take(count).collect())
    }
}

impl Backend for FakeNode {
    fn submit(&self, records: Vec<u8>, reply: oneshot::Sender<SubmitReply>) -> Result<(), Busy> {
        self.check_room()?;
        if self.is_silent.load(Ordering::SeqCst) {
            self.unanswered.lock().unwrap().push(reply);
        } else {
            reply.send(self.admit(&records)).ok();
        }
        Ok(())
    }

    fn offer(&self, record: Vec<u8>, reply: oneshot::Sender<SubmitReply>) -> Result<(), Busy> {
        self.check_room()?;
        let answer = match Offer::decode(&record, NETWORK) {
            Ok(_) => SubmitReply::Admissions(vec![Admission::Known]),
            Err(error) => SubmitReply::Malformed(error.to_string()),
        };
        reply.send(answer).ok();
        Ok(())
    }

    fn query(&self, query: Query, reply: oneshot::Sender<Answer>) -> Result<(), Busy> {
        self.check_room()?;
        let answer = match query {
            Query::Status => Answer::Status(status()),
            Query::Star(star) => Answer::Star(account(&star)),
            Query::Offers(star) => {
                Answer::Offers(if star == bob().public_key() { vec![Arc::new(offer())] } else { vec![] })
            }
            Query::Galaxy(network) => {
                let head = GalaxyHead { height: 5, head: Hash([6; 32]), forked_at: None };
                Answer::Galaxy((network == NetworkId([9; 8])).then_some(head))
            }
            Query::Transaction(id) => Answer::Transaction(match id.0[0] {
                1 => TransactionState::Admitted,
                2 => TransactionState::ClusterFinal,
                _ => TransactionState::Unknown,
            }),
        };
        reply.send(answer).ok();
        Ok(())
    }

    fn metrics(&self) -> serde_json::Value {
        serde_json::json!({ "records": self.records.load(Ordering::SeqCst) })
    }

    fn network_id(&self) -> NetworkId {
        NETWORK
    }
}

fn status() -> NodeStatus {
    NodeStatus {
        network_id: NETWORK,
        public_key: bob().public_key(),
        height: 9,
        black_hole: Hash([4; 32]),
        cluster_rounds: vec![11],
        pool: 5,
        offers: 1,
        accounts: 2,
        peers_connected: 3,
        best_known_height: 10,
        state: Hash([5; 32]),
        validators: 4,
        is_validator: true,
        seats_open: 3,
        clusters: 1,
        clusters_wanted: 2,
        facilitators_wanted: 8,
    }
}

fn account(star: &PublicKey) -> StarAnswer {
    let head = StarHead { sequence: u64::from(star.0[0]), head: Hash([6; 32]) };
    StarAnswer { balance: u64::MAX - 1, head, forks: 1, height: 9 }
}

fn alice() -> SecretKey {
    SecretKey::from_seed([1; 32])
}

fn bob() -> SecretKey {
    SecretKey::from_seed([2; 32])
}

fn offer() -> Offer {
    Offer::transfer(NETWORK, &alice(), StarHead::default(), bob().public_key(), 250)
}

fn transaction() -> Transaction {
    offer().countersign(&bob(), StarHead::default()).unwrap()
}

fn block(height: u64, count: u32) -> FinalBlock {
    let id = |index: u32| {
        let mut id = [0x77; 32];
        id[..4].copy_from_slice(&index.to_be_bytes());
        Hash(id)
    };
    let outcomes = (0..count).map(|index| (id(index), (index % 3 == 0).then_some(Reason::Gap))).collect();
    FinalBlock { height, black_hole: Hash([height as u8; 32]), outcomes }
}

/// A running server before a fake node.
struct Fixture {
    node: Arc<FakeNode>,
    feed: Arc<FinalFeed>,
    server: ApiServer,
}

impl Fixture {
    fn start() -> Fixture {
        Fixture::with(ApiLimits::default())
    }

    fn with(limits: ApiLimits) -> Fixture {
        let (node, feed) = (Arc::new(FakeNode::default()), Arc::new(FinalFeed::new(10_000)));
        let loopback: std::net::SocketAddr = ([127, 0, 0, 1], 0).into();
        let server = ApiServer::start(loopback, node.clone(), feed.clone(), limits).unwrap();
        Fixture { node, feed, server }
    }

    fn address(&self) -> String {
        self.server.local_addr().to_string()
    }

    fn client(&self) -> Client {
        Client::connect(&self.address()).unwrap()
    }
}
