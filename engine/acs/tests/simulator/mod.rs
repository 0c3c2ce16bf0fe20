//! A network of machines in one thread, driven by a seed: who is faulty and how, in what order messages arrive, who
//! crashes. Everything a run does follows from its seed.

mod fragments;

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use constellation_acs::{
    Coin, Config, FaultKind, InstanceSet, JournalEntry, Message, Root, Step, Subset, Target, Value, Vote, digest_root,
};
use fragments::Scheme;

pub const PAYLOAD_MAX_BYTES: usize = 64;
const DELIVERIES_MAX: usize = 400_000;
const IDLE_TICKS_MAX: usize = 64;

/// SplitMix64.
pub struct Rng(pub u64);

impl Rng {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

/// Shares that everybody can compute, checked like real ones.
pub struct TestCoin {
    pub me: usize,
    pub seed: u64,
}

impl Coin for TestCoin {
    fn share(&self, instance: u16, round: u32) -> Vec<u8> {
        let mut input = self.seed.to_le_bytes().to_vec();
        input.extend([self.me as u8, instance as u8, round as u8]);
        blake3::hash(&input).as_bytes()[..16].to_vec()
    }

    fn check(&self, node: usize, instance: u16, round: u32, proof: &[u8]) -> Option<[u8; 32]> {
        let seed = self.seed;
        let share = TestCoin { me: node, seed }.share(instance, round);
        (share == proof).then(|| *blake3::hash(proof).as_bytes())
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Nature {
    Honest,
    Silent,
    /// Runs a machine, and one in so many of its votes to a peer is dropped, changed, invented.
    Liar {
        drop: usize,
        change: usize,
        invent: usize,
    },
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Order {
    Random,
    LastFirst,
    /// That node's links deliver when nothing else is left.
    SlowNode(usize),
    /// One link in so many is slow.
    SlowLinks(usize),
    /// Two sides that hear each other after so many deliveries only.
    Partition {
        side: u128,
        heals_at: usize,
    },
}

type Bytes = Rc<[u8]>;

struct Packet {
    from: usize,
    to: usize,
    bytes: Bytes,
}

struct Node {
    nature: Nature,
    /// How the node sends out its proposal if it is a liar.
    schemes: Vec<Scheme>,
    machine: Subset<TestCoin>,
    journal: Vec<Vec<u8>>,
    sent: Vec<(Target, Bytes)>,
}

/// What happened in a run, so that a test can tell that it tested something.
#[derive(Default, Debug)]
pub struct Report {
    pub coins: usize,
    pub pulls: usize,
    pub fragments: usize,
    pub bad_branches: usize,
    pub bad_encodings: usize,
    pub faults: usize,
    pub crashes: usize,
    pub round_max: u32,
}

pub struct Network {
    seed: u64,
    rng: Rng,
    n: usize,
    nodes: Vec<Node>,
    order: Order,
    slow_links: BTreeSet<(usize, usize)>,
    /// By proposer and variant.
    coded_roots: BTreeMap<(usize, usize), Root>,
    fast: Vec<Packet>,
    slow: Vec<Packet>,
    deliveries: usize,
    duplicates: bool,
    /// Deliveries at which somebody crashes.
    crashes: Vec<usize>,
    pub report: Report,
}

/// What a liar proposes instead of variant 0, to some.
const VARIANTS: usize = 3;

fn payload(proposer: usize, variant: usize) -> Arc<[u8]> {
    let text = format!("payload {variant} of {proposer}").repeat(1 + proposer % 3);
    text.into_bytes().into()
}

impl Network {
    pub fn new(seed: u64) -> Self {
        let mut rng = Rng(seed);
        let n = [4, 4, 7, 10][rng.below(4)];
        let natures = natures(&mut rng, n);
        let order = match rng.below(5) {
            0 => Order::Random,
            1 => Order::LastFirst,
            2 => Order::SlowNode(rng.below(n)),
            3 => Order::SlowLinks(2 + rng.below(4)),
            _ => Order::Partition { side: rng.next().into(), heals_at: rng.below(200 * n) },
        };
        let mut slow_links = BTreeSet::new();
        for link in (0..n).flat_map(|from| (0..n).map(move |to| (from, to))) {
            let slow = match order {
                Order::SlowNode(node) => link.0 == node || link.1 == node,
                Order::SlowLinks(share) => rng.one_in(share),
                Order::Partition { side, .. } => (side >> link.0) & 1 != (side >> link.1) & 1,
                Order::Random | Order::LastFirst => false,
            };
            if slow {
                slow_links.insert(link);
            }
        }
        let crashes = match rng.below(3) {
            0 => (0..1 + rng.below(4)).map(|_| rng.below(60 * n)).collect(),
            _ => Vec::new(),
        };
        // Decoding is what a run with the coded form spends its time on, so a quarter of the runs has it, pure or mixed.
        let coded_one_in = if rng.one_in(4) { 1 + rng.below(2) } else { usize::MAX };
        let nodes = natures.into_iter().enumerate().map(|(me, nature)| {
            let coded = rng.one_in(coded_one_in);
            Node {
                nature,
                schemes: match nature {
                    Nature::Liar { .. } => fragments::schemes(&mut rng, (me, n)),
                    Nature::Honest | Nature::Silent => Vec::new(),
                },
                machine: Subset::new(config(me, n, coded), TestCoin { me, seed }),
                journal: Vec::new(),
                sent: Vec::new(),
            }
        });
        let nodes = nodes.collect();
        Self {
            seed,
            n,
            nodes,
            order,
            slow_links,
            coded_roots: BTreeMap::new(),
            fast: Vec::new(),
            slow: Vec::new(),
            deliveries: 0,
            duplicates: rng.one_in(2),
            crashes,
            report: Report::default(),
            rng,
        }
    }

    /// Runs until every honest node is finished, and checks what they agreed on.
    pub fn run(&mut self) {
        for me in 0..self.n {
            if self.nodes[me].nature != Nature::Silent {
                self.nodes[me].machine.propose(payload(me, 0));
                self.flush(me);
            }
        }
        let mut idle_ticks = 0;
        while !self.honest().all(|node| node.machine.is_finished()) {
            self.disturb();
            match self.pick() {
                Some(packet) => {
                    self.deliver(packet);
                    idle_ticks = 0;
                }
                None => {
                    self.let_time_pass();
                    idle_ticks += 1;
                }
            }
            assert!(self.deliveries < DELIVERIES_MAX, "{}: too long", self.about());
            assert!(idle_ticks < IDLE_TICKS_MAX, "{}: stuck", self.about());
        }
        self.check();
    }

    fn honest(&self) -> impl Iterator<Item = &Node> {
        let honest = |node: &&Node| node.nature == Nature::Honest;
        self.nodes.iter().filter(honest)
    }

    fn about(&self) -> String {
        let natures: Vec<_> = self.nodes.iter().map(|node| node.nature).collect();
        format!("seed {} (ACS_SEED={} runs it alone), {:?}, {natures:?}", self.seed, self.seed, self.order)
    }

    fn pick(&mut self) -> Option<Packet> {
        if let Order::Partition { heals_at, .. } = self.order
            && self.deliveries >= heals_at
        {
            self.fast.append(&mut self.slow);
            self.slow_links.clear();
        }
        let slow_turn = self.fast.is_empty() || self.rng.one_in(500);
        let queue = if slow_turn && !self.slow.is_empty() { &mut self.slow } else { &mut self.fast };
        if queue.is_empty() {
            return None;
        }
        if self.order == Order::LastFirst && !self.rng.one_in(50) {
            return queue.pop();
        }
        let index = self.rng.below(queue.len());
        Some(queue.swap_remove(index))
    }

    fn deliver(&mut self, packet: Packet) {
        self.deliveries += 1;
        let Packet { from, to, bytes } = packet;
        if self.nodes[to].nature == Nature::Silent {
            return;
        }
        let message = Message::decode(&bytes, self.n).expect("only encoded messages are sent");
        self.nodes[to].machine.handle(from, message);
        if self.duplicates && self.rng.one_in(20) {
            self.push(from, to, bytes);
        }
        // What several deliveries call for leaves together.
        if self.rng.one_in(3) {
            self.flush(to);
        }
    }

    fn let_time_pass(&mut self) {
        for me in 0..self.n {
            if self.nodes[me].nature != Nature::Silent {
                self.flush(me);
                if self.fast.is_empty() && self.slow.is_empty() {
                    self.nodes[me].machine.tick();
                    self.flush(me);
                }
            }
        }
    }

    /// Ticks, replays and crashes that do not wait for anything.
    fn disturb(&mut self) {
        let node = self.rng.below(self.n);
        if self.nodes[node].nature == Nature::Silent {
            return;
        }
        if self.rng.one_in(100) {
            self.nodes[node].machine.tick();
        }
        if self.duplicates && self.rng.one_in(1000) {
            let peer = self.rng.below(self.n);
            self.replay(node, peer);
        }
        let due = self.crashes.iter().position(|at| *at <= self.deliveries);
        if let Some(index) = due
            && self.nodes[node].nature == Nature::Honest
        {
            self.crashes.swap_remove(index);
            let everybody = self.rng.one_in(3);
            for node in 0..self.n {
                let chosen = everybody || self.rng.one_in(self.n);
                if chosen && self.nodes[node].nature == Nature::Honest {
                    self.crash(node);
                }
            }
            for me in 0..self.n {
                self.flush(me);
            }
        }
    }

    /// Loses all that the node has not journalled, and all that is on its way to it.
    fn crash(&mut self, me: usize) {
        self.report.crashes += 1;
        self.check_faults(me);
        let decode = |bytes: &Vec<u8>| JournalEntry::decode(bytes, self.n).expect("as encoded");
        let entries: Vec<_> = self.nodes[me].journal.iter().map(decode).collect();
        let sent = entries.iter().filter_map(|entry| match entry {
            JournalEntry::Sent(message) => Some((Target::All, encode(message))),
            JournalEntry::Held { .. } | JournalEntry::HeldFragment { .. } => None,
        });
        self.nodes[me].sent = sent.collect();
        let seed = self.seed;
        // The form that is configured may have changed meanwhile.
        let coded = self.rng.one_in(2);
        let machine = Subset::restore(config(me, self.n, coded), TestCoin { me, seed }, entries);
        self.nodes[me].machine = machine;
        self.nodes[me].machine.propose(payload(me, 0));
        self.fast.retain(|packet| packet.to != me);
        self.slow.retain(|packet| packet.to != me);
        for peer in 0..self.n {
            self.replay(me, peer);
            self.replay(peer, me);
        }
    }

    /// Sends all that `from` has sent to `to` again.
    fn replay(&mut self, from: usize, to: usize) {
        let for_peer = |target| target == Target::All || target == Target::One(to);
        let sent = self.nodes[from].sent.iter();
        let again: Vec<_> = sent.filter(|(target, _)| for_peer(*target)).collect();
        let again: Vec<_> = again.into_iter().map(|(_, bytes)| bytes.clone()).collect();
        for bytes in again {
            self.push(from, to, bytes);
        }
    }

    fn push(&mut self, from: usize, to: usize, bytes: Bytes) {
        if from == to || self.nodes[to].nature == Nature::Silent {
            return;
        }
        let packet = Packet { from, to, bytes };
        if self.slow_links.contains(&(from, to)) {
            self.slow.push(packet);
        } else {
            self.fast.push(packet);
        }
    }

    fn flush(&mut self, me: usize) {
        let outgoing = self.nodes[me].machine.take_outgoing();
        for entry in outgoing.journal {
            let mut bytes = Vec::new();
            entry.encode(&mut bytes);
            self.nodes[me].journal.push(bytes);
        }
        for (target, message) in outgoing.messages {
            match self.nodes[me].nature {
                Nature::Honest => self.send(me, target, &message),
                Nature::Silent => {}
                Nature::Liar { .. } => {
                    for to in (0..self.n).filter(|to| target == Target::All || target == Target::One(*to)) {
                        if let Some(message) = self.lie(me, &message) {
                            self.send(me, Target::One(to), &message);
                        }
                    }
                }
            }
        }
    }

    fn send(&mut self, from: usize, target: Target, message: &Message) {
        if self.nodes[from].nature == Nature::Honest {
            self.observe(message);
        }
        let bytes = encode(message);
        for to in (0..self.n).filter(|to| target == Target::All || target == Target::One(*to)) {
            self.push(from, to, bytes.clone());
        }
        self.nodes[from].sent.push((target, bytes));
    }

    fn observe(&mut self, message: &Message) {
        match message {
            Message::Pull { .. } => self.report.pulls += 1,
            Message::Fragment { .. } => self.report.fragments += 1,
            Message::Payload { .. } => {}
            Message::Votes(votes) => {
                for vote in votes {
                    match vote {
                        Vote::Agree { round, .. } => {
                            self.report.round_max = self.report.round_max.max(*round);
                        }
                        Vote::CoinMin { .. } => self.report.coins += 1,
                        _ => {}
                    }
                }
            }
        }
    }

    /// What a liar makes of a message to one peer.
    fn lie(&mut self, me: usize, message: &Message) -> Option<Message> {
        let Nature::Liar { drop, change, invent } = self.nodes[me].nature else {
            return None;
        };
        match message {
            Message::Payload { proposer, .. } if *proposer == me => match self.rng.below(3) {
                0 => None,
                variant => Some(Message::Payload { proposer: me, payload: payload(me, variant) }),
            },
            Message::Fragment { proposer, root, fragment } if *proposer == me => {
                let scheme = self.rng.below(self.nodes[me].schemes.len());
                self.nodes[me].schemes[scheme].in_place_of(me, root, fragment, &mut self.rng)
            }
            Message::Fragment { proposer, root, fragment } => {
                if self.rng.one_in(drop) {
                    return None;
                }
                let (mut root, mut fragment) = (*root, fragment.clone());
                if self.rng.one_in(change) {
                    fragments::spoil(&mut root, &mut fragment, &mut self.rng);
                }
                Some(Message::Fragment { proposer: *proposer, root, fragment })
            }
            Message::Votes(votes) => {
                let mut lies = Vec::new();
                for vote in votes.iter().flat_map(one_by_one) {
                    if !self.rng.one_in(drop) {
                        let changed = self.rng.one_in(change);
                        lies.push(if changed { self.changed(&vote) } else { vote });
                    }
                    if self.rng.one_in(invent) {
                        lies.push(self.invented());
                    }
                }
                Some(Message::Votes(lies))
            }
            other => Some(other.clone()),
        }
    }

    fn changed(&mut self, vote: &Vote) -> Vote {
        let mut vote = vote.clone();
        match &mut vote {
            Vote::Echo { proposer, root } | Vote::Ready { proposer, root } => {
                let variant = self.rng.below(VARIANTS + 1);
                let coded = *self.coded_roots.entry((*proposer, variant)).or_insert_with(|| {
                    let (root, _) = fragments::proposal((*proposer, self.n), variant);
                    root
                });
                let digest = digest_root(&payload(*proposer, variant));
                *root = if self.rng.one_in(2) { digest } else { coded };
            }
            Vote::Agree { value, .. } => *value = Value::ALL[self.rng.below(3)],
            Vote::Coin { proof, .. } => proof[0] ^= 1,
            Vote::CoinMin { owner, instance, round, proof } => {
                *owner = self.rng.below(self.n);
                let coin = TestCoin { me: *owner, seed: self.seed };
                *proof = coin.share(*instance, *round);
                proof[0] ^= u8::from(self.rng.one_in(4));
            }
            Vote::Decided { value, .. } => *value = !*value,
        }
        vote
    }

    fn invented(&mut self) -> Vote {
        let instance = self.rng.below(self.n) as u16;
        if self.rng.one_in(20) {
            let value = self.rng.one_in(2);
            return Vote::Decided { instances: InstanceSet::one(instance), value };
        }
        Vote::Agree {
            instances: InstanceSet::one(instance),
            round: self.rng.below(4) as u32,
            step: Step::ALL[self.rng.below(5)],
            value: Value::ALL[self.rng.below(3)],
        }
    }

    fn check(&mut self) {
        for me in 0..self.n {
            self.check_faults(me);
        }
        let mut outputs = self.honest().map(|node| node.machine.output());
        let output = outputs.next().flatten().expect("a finished node has an output");
        assert!(outputs.all(|other| other == Some(output)), "{}: outputs differ", self.about());
        let enough = self.n - (self.n - 1) / 3;
        assert!(output.len() >= enough, "{}: {} entries", self.about(), output.len());
        for (proposer, accepted) in output {
            let honest = self.nodes[*proposer].nature == Nature::Honest;
            let mut proposed = (0..if honest { 1 } else { VARIANTS }).map(|variant| payload(*proposer, variant));
            assert!(proposed.any(|payload| payload == *accepted), "{}: {accepted:?} of {proposer}", self.about());
        }
    }

    /// An honest node is never blamed, whatever crashed, came twice or came late.
    fn check_faults(&mut self, me: usize) {
        let faults = self.nodes[me].machine.take_faults();
        if self.nodes[me].nature != Nature::Honest {
            return;
        }
        self.report.faults += faults.len();
        for fault in faults {
            self.report.bad_branches += usize::from(matches!(fault.kind, FaultKind::BadBranch { .. }));
            self.report.bad_encodings += usize::from(matches!(fault.kind, FaultKind::BadEncoding { .. }));
            let ahead = matches!(fault.kind, FaultKind::TooFarAhead { .. });
            let honest = self.nodes[fault.node].nature == Nature::Honest;
            assert!(ahead || !honest, "{}: {fault:?} at {me}", self.about());
        }
    }
}

/// The same vote in one agreement at a time: a liar need not say the same in all.
fn one_by_one(vote: &Vote) -> Vec<Vote> {
    let (Vote::Agree { instances, .. } | Vote::Decided { instances, .. }) = vote else {
        return vec![vote.clone()];
    };
    let one = |instance| {
        let mut vote = vote.clone();
        if let Vote::Agree { instances, .. } | Vote::Decided { instances, .. } = &mut vote {
            *instances = InstanceSet::one(instance);
        }
        vote
    };
    instances.iter().map(one).collect()
}

fn natures(rng: &mut Rng, n: usize) -> Vec<Nature> {
    let mut natures = vec![Nature::Honest; n];
    for _ in 0..(n - 1) / 3 {
        let node = rng.below(n);
        let mut rate = || [2, 5, 30, usize::MAX][rng.below(4)];
        let liar = Nature::Liar { drop: rate(), change: rate(), invent: rate() };
        natures[node] = if rng.one_in(4) { Nature::Silent } else { liar };
    }
    natures
}

fn config(me: usize, n: usize, coded: bool) -> Config {
    Config { me, n, payload_max_bytes: PAYLOAD_MAX_BYTES, coded_from_bytes: if coded { 0 } else { usize::MAX } }
}

fn encode(message: &Message) -> Bytes {
    let mut bytes = Vec::new();
    message.encode(&mut bytes);
    bytes.into()
}
