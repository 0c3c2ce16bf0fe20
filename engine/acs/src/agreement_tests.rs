//! One agreement among honest machines and puppets that lie by value, with inputs that differ, in orders of delivery
//! that keep the two values apart: what it takes to get to the coin, and many rounds ahead. `ACS_SEED=<number>` runs
//! one seed.

use super::*;
use crate::message::{JournalEntry, Message, Outgoing, Target};

const RUNS: u64 = 20_000;
const DELIVERIES_MAX: usize = 100_000;

struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Everybody's shares.
#[derive(Clone, Copy)]
struct TestCoin {
    me: usize,
    seed: u64,
}

impl Coin for TestCoin {
    fn share(&self, _: u16, round: u32) -> Vec<u8> {
        let share = mix(mix(self.seed ^ u64::from(round)) ^ self.me as u64);
        share.to_le_bytes().to_vec()
    }

    fn check(&self, node: usize, instance: u16, round: u32, proof: &[u8]) -> Option<[u8; 32]> {
        let coin = TestCoin { me: node, ..*self };
        let valid = coin.share(instance, round) == proof;
        valid.then(|| *blake3::hash(proof).as_bytes())
    }
}

struct Node {
    machine: Agreement,
    out: Outbox,
    sent: Vec<(Target, Vote)>,
    coin: TestCoin,
}

/// Nodes 0..honest are machines; the rest are puppets.
struct Bench {
    seed: u64,
    rng: Rng,
    n: usize,
    start: u32,
    rounds_ahead_max: u32,
    nodes: Vec<Node>,
    inputs: Vec<bool>,
    /// The honest side that the order of delivery feeds with ones.
    side: u64,
    fast: Vec<(usize, usize, Vote)>,
    slow: Vec<(usize, usize, Vote)>,
    crashes_left: usize,
    coin_votes: usize,
    repeats: usize,
    round_max: u32,
}

impl Bench {
    fn new(seed: u64) -> Self {
        let mut rng = Rng(seed);
        let n = [4, 7, 10][rng.below(3)];
        let honest = n - (n - 1) / 3;
        let rounds_ahead_max = 1 + rng.below(2) as u32;
        let node = |me| Node {
            machine: machine(me, n, rounds_ahead_max),
            out: Outbox::default(),
            sent: Vec::new(),
            coin: TestCoin { me, seed },
        };
        let unanimous = rng.one_in(5).then(|| rng.one_in(2));
        let input = |_| unanimous.unwrap_or_else(|| rng.one_in(2));
        Self {
            seed,
            n,
            rounds_ahead_max,
            nodes: (0..honest).map(node).collect(),
            inputs: (0..honest).map(input).collect(),
            start: if rng.one_in(2) { FIRST_COIN_ROUND } else { 0 },
            side: rng.next(),
            fast: Vec::new(),
            slow: Vec::new(),
            crashes_left: [0, 0, 4][rng.below(3)],
            coin_votes: 0,
            repeats: 0,
            round_max: 0,
            rng,
        }
    }

    fn run(&mut self) {
        for me in 0..self.nodes.len() {
            let Node { machine, out, coin, .. } = &mut self.nodes[me];
            // To begin with the weak coin is to begin after two rounds that were of no use.
            machine.enter(self.start, self.inputs[me], coin, out);
            machine.advance(coin, out);
            self.flush(me);
        }
        for _ in 0..DELIVERIES_MAX {
            if self.nodes.iter().all(|node| node.machine.is_finished()) {
                return self.check();
            }
            if self.crashes_left > 0 && self.rng.one_in(200) {
                self.crashes_left -= 1;
                let node = self.rng.below(self.nodes.len());
                self.crash(node);
            }
            let slow = self.fast.is_empty() || self.rng.one_in(300);
            let queue = if slow && !self.slow.is_empty() { &mut self.slow } else { &mut self.fast };
            assert!(!queue.is_empty(), "seed {}: stuck", self.seed);
            let (from, to, vote) = queue.swap_remove(self.rng.below(queue.len()));
            self.deliver(from, to, vote);
            self.flush(to);
        }
        panic!("seed {}: too long", self.seed);
    }

    fn deliver(&mut self, from: usize, to: usize, vote: Vote) {
        let Node { machine, out, coin, .. } = &mut self.nodes[to];
        match vote {
            Vote::Agree { round, step, value, .. } => machine.on_agree(from, (round, step, value), coin, out),
            Vote::Coin { round, proof, .. } => {
                let share = Share { owner: from, proof };
                machine.on_coin(from, (round, Phase::Share), share, coin, out);
            }
            Vote::CoinMin { round, owner, proof, .. } => {
                let share = Share { owner, proof };
                machine.on_coin(from, (round, Phase::Smallest), share, coin, out);
            }
            Vote::Decided { value, .. } => machine.on_decided(from, value, coin, out),
            Vote::Echo { .. } | Vote::Ready { .. } | Vote::ReadyAsEchoed { .. } => {
                unreachable!("not an agreement's vote")
            }
        }
        for fault in out.take_faults() {
            let ahead = matches!(fault.kind, FaultKind::TooFarAhead { .. });
            let honest = fault.node < self.nodes.len();
            assert!(ahead || !honest, "seed {}: {fault:?}", self.seed);
        }
    }

    fn flush(&mut self, me: usize) {
        let Outgoing { messages, .. } = self.nodes[me].out.take_outgoing();
        for (target, message) in messages {
            let Message::Votes(votes) = message else {
                continue;
            };
            self.repeats += usize::from(target != Target::All);
            for vote in votes {
                self.nodes[me].sent.push((target, vote.clone()));
                self.send(me, target, &vote);
                self.pull_strings(&vote);
            }
        }
    }

    fn send(&mut self, from: usize, target: Target, vote: &Vote) {
        for to in 0..self.nodes.len() {
            if to != from && (target == Target::All || target == Target::One(to)) {
                self.push(from, to, vote.clone());
            }
        }
    }

    /// Slow are: votes for the value that the receiver's side is not to see, and one link in three, by round and step.
    fn push(&mut self, from: usize, to: usize, vote: Vote) {
        let (slot, against) = match &vote {
            Vote::Agree { round, step, value, .. } => {
                let side = self.side >> to & 1 == 1;
                let against = value.bit().is_some_and(|value| value != side);
                (round * 8 + *step as u32, against)
            }
            Vote::Coin { round, .. } => (round * 8 + 6, false),
            Vote::CoinMin { round, .. } => (round * 8 + 7, false),
            _ => (0, false),
        };
        let link = (from * self.n + to) as u64;
        let starved = mix(self.seed ^ mix(link << 32 | u64::from(slot))).is_multiple_of(3);
        if against || starved {
            self.slow.push((from, to, vote));
        } else {
            self.fast.push((from, to, vote));
        }
    }

    /// When an honest node votes, the puppets vote in the same step, to each node what its side is to see, or anything.
    fn pull_strings(&mut self, seen: &Vote) {
        for puppet in self.nodes.len()..self.n {
            let owner = self.rng.below(self.n);
            for to in 0..self.nodes.len() {
                let mut vote = seen.clone();
                let coin = |me| TestCoin { me, seed: self.seed };
                match &mut vote {
                    Vote::Agree { value, .. } => {
                        *value = match self.rng.below(4) {
                            0 => Value::ALL[self.rng.below(3)],
                            1 => *value,
                            _ => Value::from(self.side >> to & 1 == 1),
                        };
                    }
                    Vote::Coin { round, proof, .. } => *proof = coin(puppet).share(0, *round),
                    Vote::CoinMin { round, owner: whose, proof, .. } => {
                        *whose = owner;
                        *proof = coin(owner).share(0, *round);
                    }
                    _ => continue,
                }
                if !self.rng.one_in(3) {
                    self.push(puppet, to, vote);
                }
            }
        }
        match seen {
            Vote::Agree { round, .. } => self.round_max = self.round_max.max(*round),
            Vote::CoinMin { .. } => self.coin_votes += 1,
            _ => {}
        }
    }

    /// A crash loses what has come in; what had been sent comes back from the journal, and peers send all again.
    fn crash(&mut self, me: usize) {
        self.fast.retain(|packet| packet.1 != me);
        self.slow.retain(|packet| packet.1 != me);
        let journal = self.nodes[me].sent.clone();
        let own = journal.into_iter().filter(|(to, _)| *to == Target::All);
        let own: Vec<_> = own.collect();
        let node = &mut self.nodes[me];
        node.machine = machine(me, self.n, self.rounds_ahead_max);
        let coin = &node.coin;
        for (_, vote) in own.clone() {
            restore(&mut node.machine, vote, coin);
        }
        node.machine.resume(coin, &mut node.out);
        node.sent = own.clone();
        for (_, vote) in own {
            self.send(me, Target::All, &vote);
        }
        for peer in (0..self.nodes.len()).filter(|peer| *peer != me) {
            for (target, vote) in self.nodes[peer].sent.clone() {
                if target == Target::All || target == Target::One(me) {
                    self.push(peer, me, vote);
                }
            }
        }
        self.flush(me);
    }

    fn check(&self) {
        let decided = self.nodes[0].machine.decided();
        for node in &self.nodes {
            assert_eq!(node.machine.decided(), decided, "seed {}", self.seed);
        }
        if let Some(value) = unanimous(&self.inputs) {
            assert_eq!(decided, Some(value), "seed {}", self.seed);
        }
    }
}

fn unanimous(inputs: &[bool]) -> Option<bool> {
    let first = inputs[0];
    inputs.iter().all(|input| *input == first).then_some(first)
}

fn machine(me: usize, n: usize, rounds_ahead_max: u32) -> Agreement {
    let mut machine = Agreement::new(Committee::new(me, n), 0);
    machine.rounds_ahead_max = rounds_ahead_max;
    machine
}

#[test]
fn split_inputs_and_lies_end_in_one_decision() {
    if let Ok(seed) = std::env::var("ACS_SEED") {
        return Bench::new(seed.parse().expect("ACS_SEED is a number")).run();
    }
    let (mut coin_votes, mut repeats, mut round_max) = (0, 0, 0);
    for seed in 0..RUNS {
        let mut bench = Bench::new(seed);
        bench.run();
        coin_votes += bench.coin_votes;
        repeats += bench.repeats;
        round_max = round_max.max(bench.round_max);
    }
    println!("coin votes {coin_votes}, repeats for laggards {repeats}, last round {round_max}");
    assert!(coin_votes > 0 && repeats > 0 && round_max > 3);
}

/// Node 0 of four, with the votes of the others made up so that no round decides.
#[test]
fn a_laggard_gets_again_what_it_refused() {
    let coin = |me| TestCoin { me, seed: 7 };
    let mut out = Outbox::default();
    let mut machine = machine(0, 4, ROUNDS_AHEAD_MAX);
    machine.input(true, &coin(0), &mut out);
    let last = ROUNDS_AHEAD_MAX + 1;
    for round in 0..last {
        for from in [1, 2] {
            let mut vote = |step, value| {
                machine.on_agree(from, (round, step, value), &coin(0), &mut out);
            };
            vote(Step::Echo, Value::Zero);
            vote(Step::Echo, Value::One);
            vote(Step::Echo3, Value::Bottom);
            if round >= FIRST_COIN_ROUND {
                vote(Step::Echo4, Value::Bottom);
                vote(Step::Echo5, Value::Bottom);
                for phase in [Phase::Share, Phase::Smallest] {
                    let proof = coin(from).share(0, round);
                    let share = Share { owner: from, proof };
                    machine.on_coin(from, (round, phase), share, &coin(0), &mut out);
                }
            }
        }
    }
    assert_eq!(machine.current, Some(last));
    assert_eq!(machine.decided(), None);
    let JournalEntry::Sent(Message::Votes(sent)) = &out.take_outgoing().journal[0] else {
        panic!("votes are journalled");
    };
    restores_to_the_same(&machine, sent, &coin(0));
    let sent: Vec<_> = sent.iter().filter(|vote| round_of(vote) == Some(last)).collect();
    assert!(!sent.is_empty());
    assert_eq!(out.take_faults(), []);

    for (round, expected) in [(0, ROUNDS_AHEAD_MAX), (1, last)] {
        let echo = (round, Step::Echo, Value::One);
        machine.on_agree(3, echo, &coin(0), &mut out);
        let messages = out.take_outgoing().messages;
        let again = messages.iter().find(|(to, _)| *to == Target::One(3));
        let Some((_, Message::Votes(again))) = again else {
            panic!("round {round}: {messages:?}");
        };
        assert!(again.iter().all(|vote| round_of(vote) == Some(expected)));
        if expected == last {
            assert_eq!(again.iter().collect::<Vec<_>>(), sent);
        }
        machine.on_agree(3, echo, &coin(0), &mut out);
        assert!(out.take_outgoing().messages.is_empty(), "once");
    }

    let round = last + ROUNDS_AHEAD_MAX + 1;
    machine.on_agree(3, (round, Step::Echo, Value::One), &coin(0), &mut out);
    let faults: Vec<_> = out.take_faults().into_iter().map(|f| f.kind).collect();
    assert_eq!(faults, [FaultKind::TooFarAhead { instance: 0, round }]);
}

/// From its journal alone a machine is where it was, and has nothing to say that it had not said.
fn restores_to_the_same(machine: &Agreement, sent: &[Vote], coin: &TestCoin) {
    let mut restored = Agreement::new(machine.committee, 0);
    for vote in sent.iter().cloned() {
        restore(&mut restored, vote, coin);
    }
    let mut out = Outbox::default();
    restored.resume(coin, &mut out);
    assert_eq!(out.take_outgoing(), Outgoing::default());
    assert_eq!(restored.current, machine.current);
    for round in 0..=machine.current.unwrap_or(0) {
        let votes = |of: &Agreement| of.rounds[round as usize].own_votes(&of.place(round), coin);
        assert_eq!(votes(&restored), votes(machine));
    }
    restore(&mut restored, Vote::Decided { instances: InstanceSet::one(0), value: true }, coin);
    assert_eq!(restored.decided(), Some(true));
}

/// Gives a machine its own vote back.
fn restore(machine: &mut Agreement, vote: Vote, coin: &TestCoin) {
    match vote {
        Vote::Agree { round, step, value, .. } => machine.restore_agree(round, step, value),
        Vote::Coin { round, proof, .. } => {
            machine.restore_coin(round, Phase::Share, Share { owner: coin.me, proof }, coin);
        }
        Vote::CoinMin { round, owner, proof, .. } => {
            machine.restore_coin(round, Phase::Smallest, Share { owner, proof }, coin);
        }
        Vote::Decided { value, .. } => machine.restore_decided(value),
        Vote::Echo { .. } | Vote::Ready { .. } | Vote::ReadyAsEchoed { .. } => unreachable!("not an agreement's vote"),
    }
}

fn round_of(vote: &Vote) -> Option<u32> {
    match vote {
        Vote::Agree { round, .. } | Vote::Coin { round, .. } | Vote::CoinMin { round, .. } => Some(*round),
        _ => None,
    }
}

#[test]
fn second_votes_and_wrong_shares_are_faults() {
    let coin = TestCoin { me: 0, seed: 7 };
    let mut out = Outbox::default();
    let mut machine = machine(0, 4, ROUNDS_AHEAD_MAX);
    let [zero, one, bottom] = Value::ALL;
    let votes = [
        (0, Step::Echo, zero),
        (0, Step::Echo, one),
        (0, Step::Echo, bottom),
        (0, Step::Echo2, zero),
        (0, Step::Echo2, zero),
        (0, Step::Echo2, one),
        (1, Step::Echo4, zero),
        (2, Step::Echo4, bottom),
        (2, Step::Echo4, zero),
        (2, Step::Echo4, one),
    ];
    for vote in votes {
        machine.on_agree(1, vote, &coin, &mut out);
    }
    for (round, owner, proof) in [(1, 1, 1), (2, 1, 2), (2, 1, 1)] {
        let proof = TestCoin { me: proof, ..coin }.share(0, round);
        let share = Share { owner, proof };
        machine.on_coin(1, (round, Phase::Share), share, &coin, &mut out);
    }
    machine.on_decided(1, true, &coin, &mut out);
    machine.on_decided(1, true, &coin, &mut out);
    machine.on_decided(1, false, &coin, &mut out);
    let two_votes = |round, step| FaultKind::TwoVotes { instance: 0, round, step };
    let kinds: Vec<_> = out.take_faults().into_iter().map(|f| f.kind).collect();
    let expected = [
        FaultKind::Invalid,
        two_votes(0, Step::Echo2),
        two_votes(2, Step::Echo4),
        FaultKind::BadCoin { instance: 0, round: 2 },
        FaultKind::TwoDecisions { instance: 0 },
    ];
    assert_eq!(kinds, expected);
}

/// Each vote leaves with the last vote it needs and not before. The simulation alone would not notice if those that only
/// binding rests on (echo2, echo3) left too early: its liars do not foresee the coin.
#[test]
fn votes_leave_at_their_thresholds() {
    let coin = TestCoin { me: 0, seed: 7 };
    let [zero, one, bottom] = Value::ALL;
    let mut out = Outbox::default();
    let mut machine = machine(0, 4, ROUNDS_AHEAD_MAX);
    machine.enter(2, true, &coin, &mut out);
    assert_eq!(steps(&out.take_outgoing().journal), [(Step::Echo, one)]);
    let mut cast = |from, step, value| {
        machine.on_agree(from, (2, step, value), &coin, &mut out);
        let journal = out.take_outgoing().journal;
        (steps(&journal), coins(&journal))
    };
    let nothing = (Vec::new(), 0);
    assert_eq!(cast(1, Step::Echo, zero), nothing);
    assert_eq!(cast(2, Step::Echo, zero), (vec![(Step::Echo, zero), (Step::Echo2, zero)], 0));
    assert_eq!(cast(1, Step::Echo2, zero), nothing);
    assert_eq!(cast(1, Step::Echo, one), nothing);
    assert_eq!(cast(2, Step::Echo, one), (vec![(Step::Echo3, bottom)], 0));
    assert_eq!(cast(2, Step::Echo2, zero), nothing);
    assert_eq!(cast(1, Step::Echo3, zero), nothing);
    assert_eq!(cast(2, Step::Echo3, zero), (vec![(Step::Echo4, bottom)], 1));
    assert_eq!(cast(1, Step::Echo4, zero), (Vec::new(), 0));
    assert_eq!(cast(2, Step::Echo4, zero), (vec![(Step::Echo4, zero), (Step::Echo5, zero)], 0));
    assert_eq!(cast(1, Step::Echo5, zero), (Vec::new(), 0));
    assert_eq!(cast(2, Step::Echo5, zero), (Vec::new(), 0));
    assert_eq!(machine.decided(), Some(false));
}

fn votes(journal: &[JournalEntry]) -> impl Iterator<Item = &Vote> {
    let votes = journal.iter().map(|entry| match entry {
        JournalEntry::Sent(Message::Votes(votes)) => &votes[..],
        _ => &[],
    });
    votes.flatten()
}

fn steps(journal: &[JournalEntry]) -> Vec<(Step, Value)> {
    let step = |vote: &Vote| match vote {
        Vote::Agree { step, value, .. } => Some((*step, *value)),
        _ => None,
    };
    votes(journal).filter_map(step).collect()
}

fn coins(journal: &[JournalEntry]) -> usize {
    votes(journal).filter(|vote| matches!(vote, Vote::Coin { .. })).count()
}
