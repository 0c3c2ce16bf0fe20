//! A whole network in one thread and in virtual time: the nodes' real state machines, a seeded network that delays and reorders between
//! links, nodes that are killed with all they had in memory and come back with their log and journal.

#![allow(clippy::unwrap_used, reason = "a simulator that meets the unexpected must stop")]

use constellation_chain::{
    BlackHole, Certificate, CheckSignatures, Genesis, GenesisNode, GenesisStar, Hash, Misconduct, NetworkId, Offer,
    PublicKey, Reader, Reason, RoundId, SecretKey, Share, SignedMessage, StarHead, Tier, Transaction,
    elect_facilitators,
};
use constellation_protocol::{
    Action, Admission, Answer, Auditor, Compute, Config, Event, JournalRecord, Message, Node, NodeIndex, NodeStatus,
    Query,
};
use constellation_verify::{Engine, OwnedBatch};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

pub struct RealEngine(Engine);

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

/// SplitMix64: the simulator's only source of chance.
pub struct Chance(pub u64);

impl Chance {
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

/// What survives a kill.
#[derive(Default)]
pub struct Disk {
    pub log: Vec<(Arc<BlackHole>, Certificate)>,
    pub journal: Vec<JournalRecord>,
}

pub struct Network {
    pub now_us: u64,
    pub chance: Chance,
    pub nodes: Vec<Option<Node>>,
    pub disks: Vec<Disk>,
    pub admissions: HashMap<u64, Vec<Admission>>,
    pub answers: HashMap<u64, Answer>,
    pub dropped: Vec<(Hash, Option<Reason>)>,
    pub faults: Vec<(usize, constellation_protocol::Fault)>,
    keys: Vec<SecretKey>,
    genesis: Genesis,
    engine: Arc<RealEngine>,
    /// In flight: by time of arrival and order of sending.
    flights: BTreeMap<(u64, u64), (usize, Event)>,
    /// Arrival of the last message on a link: links keep order.
    links: HashMap<(usize, usize), u64>,
    sent: u64,
    next_ticket: u64,
    latency_max_us: u64,
    /// A node whose galaxy proposals carry certificates with a spoilt signature.
    pub spoil_certificates_of: Option<usize>,
    /// A node whose cluster proposals are copies of what others were sent, with spoilt signatures.
    pub spoil_proposals_of: Option<usize>,
    /// A node whose black holes, served to who is behind, have a spoilt byte.
    pub spoil_served_of: Option<usize>,
    /// A node that signs another block for its neighbour than for the rest.
    pub double_signer: Option<usize>,
    submitted: Vec<Arc<Transaction>>,
    tampered: HashMap<(Tier, u64), Vec<u8>>,
    /// What each honest facilitator proposed, by round and key.
    proposed: HashMap<(u64, PublicKey), BTreeSet<Hash>>,
}

pub fn star_key(index: usize) -> SecretKey {
    let mut seed = [7; 32];
    seed[..8].copy_from_slice(&(index as u64).to_le_bytes());
    SecretKey::from_seed(seed)
}

impl Network {
    pub fn new(seed: u64, node_count: usize, seats: usize, stars: usize) -> Self {
        let keys: Vec<SecretKey> = (0..node_count).map(|i| SecretKey::from_seed([100 + i as u8; 32])).collect();
        let nodes = keys
            .iter()
            .map(|key| GenesisNode { public_key: key.public_key(), address: "127.0.0.1:7000".parse().unwrap() })
            .collect();
        let stars =
            (0..stars).map(|i| GenesisStar { public_key: star_key(i).public_key(), balance: 1_000_000 }).collect();
        let genesis = Genesis::new("simulation", seats, nodes, stars).unwrap();
        let mut network = Network {
            now_us: 1,
            chance: Chance(seed),
            nodes: (0..node_count).map(|_| None).collect(),
            disks: (0..node_count).map(|_| Disk::default()).collect(),
            admissions: HashMap::new(),
            answers: HashMap::new(),
            dropped: Vec::new(),
            faults: Vec::new(),
            keys,
            genesis,
            engine: Arc::new(RealEngine(Engine::detect())),
            flights: BTreeMap::new(),
            links: HashMap::new(),
            sent: 0,
            next_ticket: 0,
            latency_max_us: 3_000,
            spoil_certificates_of: None,
            spoil_proposals_of: None,
            spoil_served_of: None,
            double_signer: None,
            submitted: Vec::new(),
            tampered: HashMap::new(),
            proposed: HashMap::new(),
        };
        for index in 0..node_count {
            network.start(index);
        }
        network
    }

    pub fn up(&self) -> Vec<usize> {
        (0..self.nodes.len()).filter(|&index| self.nodes[index].is_some()).collect()
    }

    /// Starts a node from its disk.
    pub fn start(&mut self, index: usize) {
        let config = Config::new(self.genesis.clone(), self.keys[index].clone());
        let mut node = Node::new(config, self.engine.clone()).unwrap();
        for (black_hole, _) in &self.disks[index].log {
            node.replay(black_hole).unwrap();
        }
        node.restore(self.disks[index].journal.iter().cloned());
        self.bring_up(index, node);
    }

    /// Starts a node whose journal is gone, and that knows it.
    pub fn start_without_journal(&mut self, index: usize) {
        self.disks[index].journal.clear();
        let config = Config::new(self.genesis.clone(), self.keys[index].clone());
        let mut node = Node::new(config, self.engine.clone()).unwrap();
        for (black_hole, _) in &self.disks[index].log {
            node.replay(black_hole).unwrap();
        }
        node.sit_out();
        self.bring_up(index, node);
    }

    fn bring_up(&mut self, index: usize, node: Node) {
        self.nodes[index] = Some(node);
        for peer in self.up().into_iter().filter(|&peer| peer != index) {
            self.fly(peer, index, Event::Connected(peer as NodeIndex));
            self.fly(index, peer, Event::Connected(index as NodeIndex));
        }
    }

    /// Kills a node: memory, links and messages in flight are lost.
    pub fn kill(&mut self, index: usize) {
        self.nodes[index] = None;
        self.flights.retain(|_, (to, event)| {
            let from_dead = matches!(event, Event::Message { from, .. } if *from as usize == index);
            *to != index && !from_dead
        });
        for peer in self.up() {
            self.fly(index, peer, Event::Disconnected(index as NodeIndex));
        }
    }

    fn fly(&mut self, from: usize, to: usize, event: Event) {
        let latency_us = 50 + self.chance.below(self.latency_max_us);
        let last = self.links.entry((from, to)).or_default();
        let at_us = (self.now_us + latency_us).max(*last + 1);
        *last = at_us;
        self.sent += 1;
        self.flights.insert((at_us, self.sent), (to, event));
    }

    /// Runs for `duration_us` of virtual time.
    pub fn run(&mut self, duration_us: u64) {
        const STEP_US: u64 = 1_000;
        let end_us = self.now_us + duration_us;
        while self.now_us < end_us {
            self.now_us += STEP_US;
            while let Some(entry) = self.flights.first_entry().filter(|entry| entry.key().0 <= self.now_us) {
                let (to, event) = entry.remove();
                if let Some(node) = &mut self.nodes[to] {
                    node.handle(self.now_us, event);
                }
            }
            for index in self.up() {
                self.poll(index);
            }
        }
    }

    fn poll(&mut self, index: usize) {
        let Some(node) = &mut self.nodes[index] else { return };
        for action in node.poll(self.now_us) {
            self.carry_out(index, action);
        }
    }

    fn carry_out(&mut self, index: usize, action: Action) {
        match action {
            Action::Journal(record) => self.disks[index].journal.push(record),
            Action::Retire { tier, round, .. } => {
                self.disks[index].journal.retain(|record| (record.tier, record.round) != (tier, round));
            }
            Action::Send { to, bytes, .. } => {
                if self.nodes[to as usize].is_some() {
                    let bytes = self.tamper(index, to as usize, bytes.to_vec());
                    let event = Event::Message { from: index as NodeIndex, bytes };
                    self.fly(index, to as usize, event);
                }
            }
            Action::Serve { to, height } => {
                let (black_hole, certificate) = &self.disks[index].log[height as usize - 1];
                let mut bytes = Message::BlackHole(black_hole.to_bytes(certificate)).to_bytes();
                if self.spoil_served_of == Some(index) {
                    // A signature of the certificate, or the end of the contents.
                    let at = if height % 2 == 0 { 1 + 288 + 16 + 5 } else { bytes.len() - 20 };
                    bytes[at] ^= 1;
                }
                self.fly(index, to as usize, Event::Message { from: index as NodeIndex, bytes });
            }
            Action::Verify { job, transactions } => {
                let verdicts = transactions.iter().map(|transaction| self.verifies(transaction)).collect();
                self.fly(index, index, Event::Verified { job, verdicts });
            }
            Action::Gossip(transactions) => {
                for peer in self.up().into_iter().filter(|&peer| peer != index) {
                    self.fly(index, peer, Event::Gossiped(transactions.clone()));
                }
            }
            Action::GossipOffer(offer) => {
                for peer in self.up().into_iter().filter(|&peer| peer != index) {
                    self.fly(index, peer, Event::Offer { ticket: None, offer: offer.clone() });
                }
            }
            Action::Append { black_hole, certificate } => self.disks[index].log.push((black_hole, certificate)),
            Action::Submitted { ticket, admissions } => {
                self.admissions.insert(ticket, admissions);
            }
            Action::Dropped { id, reason } => self.dropped.push((id, reason)),
            Action::Answer { ticket, answer } => {
                self.answers.insert(ticket, answer);
            }
            Action::Fault(fault) => self.faults.push((index, fault)),
            Action::Halt(why) => panic!("node {index} halted: {why}"),
        }
    }

    /// What a node that lies sends instead; the same lie to everybody.
    fn tamper(&mut self, index: usize, to: usize, bytes: Vec<u8>) -> Vec<u8> {
        if self.double_signer == Some(index) && to == (index + 1) % self.nodes.len() {
            return self.sign_otherwise(index, bytes);
        }
        let Ok(Message::Round { tier, round, message: constellation_acs::Message::Payload { proposer, payload } }) =
            Message::decode(&bytes, 128)
        else {
            return bytes;
        };
        let lie = match tier {
            Tier::Galaxy if self.spoil_certificates_of == Some(index) => {
                // Proof (80), header (312), signers (16), then the first signature.
                let mut lie = payload.to_vec();
                if let Some(byte) = lie.get_mut(80 + 312 + 16 + 5) {
                    *byte ^= 1;
                }
                lie
            }
            Tier::Cluster(_) if self.spoil_proposals_of == Some(index) => {
                let copies = self.submitted.iter().rev().take(20).flat_map(|transaction| {
                    let mut copy = transaction.to_bytes();
                    copy[170] ^= 1;
                    copy
                });
                // No proofs of misconduct, then the copies.
                std::iter::once(0).chain(copies).collect()
            }
            Tier::Cluster(_) => {
                let key = self.keys[index].public_key();
                // Its own comes first; what it sends later is other proposers', for those who lack it.
                let network = self.genesis.network_id();
                self.proposed.entry((round, key)).or_insert_with(|| ids_in(&payload, network));
                return bytes;
            }
            Tier::Galaxy => return bytes,
        };
        let message = constellation_acs::Message::Payload { proposer, payload: lie.into() };
        let bytes = Message::Round { tier, round, message }.to_bytes();
        self.tampered.entry((tier, round)).or_insert(bytes).clone()
    }

    /// Another share in place of the one in `bytes`, if that is one.
    fn sign_otherwise(&self, index: usize, bytes: Vec<u8>) -> Vec<u8> {
        match Message::decode(&bytes, 128) {
            Ok(Message::Share { tier, round, .. }) => {
                let id = RoundId { network: self.genesis.network_id(), tier, number: round };
                let share = Share::sign(&id, Hash([0xee; 32]), &self.keys[index]);
                Message::Share { tier, round, share }.to_bytes()
            }
            _ => bytes,
        }
    }

    /// Every LSH block, or the one before, holds all that its honest proposers proposed.
    pub fn assert_blocks_hold_what_honest_facilitators_proposed(&self) {
        let candidates: Vec<PublicKey> = self.genesis.nodes().iter().map(|node| node.public_key).collect();
        let log = &self.disks[0].log;
        let beacon_at = |height: u64| match height {
            0 => self.genesis.hash(),
            height => log[height as usize - 1].0.header.beacon,
        };
        let mut before = BTreeSet::new();
        for sealed in log.iter().flat_map(|(black_hole, _)| &black_hole.lsh_blocks) {
            let header = &sealed.block.header;
            let (beacon, seats) = (beacon_at(header.black_hole_height()), self.genesis.cluster_facilitators());
            let committee = elect_facilitators(&beacon, header.cluster(), header.round(), &candidates, seats);
            let own: BTreeSet<Hash> = sealed.block.transactions.iter().map(|transaction| transaction.id()).collect();
            assert!(own.is_disjoint(&before), "round {} holds again what the one before held", header.round());
            let held = &own | &before;
            for proposer in header.proposers().iter().filter_map(|index| committee.get(index)) {
                let proposed = self.proposed.get(&(header.round(), *proposer));
                assert!(proposed.is_none_or(|proposed| proposed.is_subset(&held)), "round {}", header.round());
            }
            before = own;
        }
    }

    fn verifies(&self, transaction: &Transaction) -> bool {
        let messages = transaction.signed_messages();
        self.engine.check(&transaction.signatures(&messages).collect::<Vec<_>>()).iter().all(|valid| *valid)
    }

    pub fn give(&mut self, index: usize, event: Event) {
        self.nodes[index].as_mut().unwrap().handle(self.now_us, event);
    }

    pub fn submit(&mut self, index: usize, transaction: &Arc<Transaction>) -> u64 {
        assert!(self.verifies(transaction));
        self.submitted.push(transaction.clone());
        self.next_ticket += 1;
        self.give(index, Event::Submit { ticket: self.next_ticket, transactions: vec![transaction.clone()] });
        self.next_ticket
    }

    pub fn ask(&mut self, index: usize, query: Query) -> Answer {
        self.next_ticket += 1;
        self.give(index, Event::Query { ticket: self.next_ticket, query });
        self.poll(index);
        self.answers.remove(&self.next_ticket).unwrap()
    }

    pub fn status(&mut self, index: usize) -> NodeStatus {
        let Answer::Status(status) = self.ask(index, Query::Status) else { panic!("not a status") };
        status
    }

    pub fn transfer(
        &self,
        (from, at): (usize, StarHead),
        (to, to_at): (usize, StarHead),
        amount: u64,
    ) -> Arc<Transaction> {
        let offer = Offer::transfer(self.genesis.network_id(), &star_key(from), at, star_key(to).public_key(), amount);
        Arc::new(offer.countersign(&star_key(to), to_at).unwrap())
    }

    /// Ids that applied in a node's log.
    pub fn applied(&self, index: usize) -> BTreeSet<Hash> {
        let log = &self.disks[index].log;
        log.iter()
            .flat_map(|(black_hole, _)| black_hole.outcomes())
            .filter(|(_, reason)| reason.is_none())
            .map(|(transaction, _)| transaction.id())
            .collect()
    }

    pub fn height(&self, index: usize) -> usize {
        self.disks[index].log.len()
    }

    pub fn auditor(&self) -> Auditor {
        Auditor::new(self.genesis.clone(), self.engine.clone())
    }

    /// All nodes' logs hold from the first byte, and agree as far as they go.
    pub fn assert_logs_agree(&self) {
        let longest = self.disks.iter().max_by_key(|disk| disk.log.len()).unwrap();
        for (index, disk) in self.disks.iter().enumerate() {
            let mut auditor = self.auditor();
            for ((black_hole, certificate), (theirs, _)) in disk.log.iter().zip(&longest.log) {
                assert_eq!(black_hole.contents_digest(), theirs.contents_digest(), "node {index} differs");
                auditor.next(black_hole, certificate).unwrap();
            }
        }
    }
}

/// Light clients that pay each other in a ring of pairs: each keeps its own chain, as real ones do.
pub struct Stars {
    heads: Vec<StarHead>,
    pub sent: Vec<Arc<Transaction>>,
}

impl Stars {
    pub fn new(count: usize) -> Self {
        Stars { heads: vec![StarHead::default(); count], sent: Vec::new() }
    }

    /// One random transfer to one random node that is up.
    pub fn send_one(&mut self, network: &mut Network) {
        let count = self.heads.len() as u64;
        let from = network.chance.below(count) as usize;
        let to = (from + 1 + network.chance.below(count - 1) as usize) % count as usize;
        let up = network.up();
        let node = up[network.chance.below(up.len() as u64) as usize];
        let transaction = network.transfer((from, self.heads[from]), (to, self.heads[to]), 1);
        for (star, half) in [(from, transaction.initiator_half()), (to, transaction.counterparty_half().unwrap())] {
            self.heads[star] = StarHead { sequence: half.sequence(), head: transaction.id() };
        }
        network.submit(node, &transaction);
        self.sent.push(transaction);
    }

    /// Sends again what no log holds, as clients do until they see it final.
    pub fn resend(&self, network: &mut Network) {
        let up = network.up();
        let done = network.applied(up[0]);
        for transaction in self.sent.iter().filter(|transaction| !done.contains(&transaction.id())) {
            network.submit(up[0], transaction);
        }
    }

    pub fn all_applied(&self, network: &Network, index: usize) -> bool {
        let applied = network.applied(index);
        self.sent.iter().all(|transaction| applied.contains(&transaction.id()))
    }
}

fn ids_in(payload: &[u8], network: NetworkId) -> BTreeSet<Hash> {
    let mut reader = Reader::new(payload);
    let proofs = reader.u8().unwrap();
    (0..proofs).for_each(|_| assert!(Misconduct::read(&mut reader).is_ok()));
    let mut ids = BTreeSet::new();
    while !reader.is_empty() {
        ids.insert(Transaction::read(&mut reader, network).unwrap().id());
    }
    ids
}

pub fn round_message(tier: Tier, round: u64, bytes: &[u8]) -> Vec<u8> {
    let payload = Arc::from(bytes);
    Message::Round { tier, round, message: constellation_acs::Message::Payload { proposer: 0, payload } }.to_bytes()
}
