//! The coin-aware scheduler: it sees everything that is sent, orders all messages, votes for the faulty nodes, and tries to keep
//! agreements from ending. It is a strategy against this protocol, step by step, so its gates follow the steps of `constellation_acs`'s agreement.
//!
//! **How it holds a round.** The honest nodes' estimates must stay mixed. It lets some of them have the besieged broadcast and withholds it from the
//! others until they vote against it, so they start mixed. In each round it fixes a bit v, the opposite of the coin if it can know that:
//! - only v's echoes are let through until a node has cast echo3, so all cast echo2(v) and echo3(v); with the faulty nodes' votes any v that
//!   one honest node has goes through;
//! - *bottoms* get both bits approved, then the faulty nodes' echo3(⊥) first: y = ⊥; the rest get y = v.
//!
//! With a fixed coin 1−v that is all: the rest go on with v, bottoms with 1−v. Later rounds: the faulty nodes make everybody cast echo5(⊥); once every
//! node's coin is known, *zeros*, with the coin 1−v, get n−f echo5(⊥), and the rest, with the faulty nodes' echo5(v), end with v at grade 1. It loses
//! when every node's coin is v: v is bound before the first share is sent, that is the whole point of the protocol. The faulty nodes' own shares
//! it knows in advance; it sends those that help.
//!
//! **How it splits a coin.** Let s be the smallest share with the low bit 1−v. It keeps the smaller ones with their owners until all is over, so
//! everybody else's coin is s's. It fails when more than f are smaller: the f+1 smallest all have the bit v, with probability 2^−(f+1).
//!
//! Where a plan fails, or nothing is left to deliver, it gives the agreement up and lets everything through: links are reliable.

use constellation_acs::{Coin as _, Step, Value};

use super::coin::OpenCoin;
use super::siege_view::{Nodes, Sight, contains};
use crate::chance::Chance;
use crate::votes::Vote;

/// It gives up after so many rounds; a fair coin lets it come that far once in 10^14 runs.
pub(crate) const ROUNDS_MAX: u32 = 64;
/// Agreements besieged at once, at most.
const TARGETS_MAX: usize = 3;
const FIRST_COIN_ROUND: u32 = 2;

/// A vote of a faulty node to one other.
pub(crate) type Forged = (usize, usize, Vote);

pub(crate) struct Siege {
    n: usize,
    quorum: u32,
    faulty: Vec<usize>,
    honest: Nodes,
    splits_coins: bool,
    seed: u64,
    /// By instance.
    targets: Vec<Option<Target>>,
}

/// A besieged agreement.
struct Target {
    /// Who may have the broadcast's READY votes before it has an estimate.
    early: Nodes,
    rounds: Vec<Round>,
    is_over: bool,
    is_held: bool,
}

#[derive(Default)]
struct Round {
    sights: Vec<Sight>,
    /// v, and who is to output ⊥, once all honest nodes are there.
    plan: Option<(bool, Nodes)>,
    coin: Option<CoinPlan>,
    /// Who is to go on with its coin.
    zeros: Option<Nodes>,
}

struct CoinPlan {
    /// Owners of the shares that nobody else is to see.
    hidden: Nodes,
    /// The share that everybody is to see first.
    first: Option<usize>,
}

impl Siege {
    pub fn new(n: usize, faulty: Vec<usize>, splits_coins: bool, seed: u64, chance: &mut Chance) -> Self {
        let faulty_max = super::faulty_max(n);
        let all: Nodes = if n == 128 { !0 } else { (1 << n) - 1 };
        let honest = faulty.iter().fold(all, |honest, node| honest & !(1 << node));
        let mut targets: Vec<_> = (0..n).map(|_| None).collect();
        for instance in chance.nodes(faulty_max.min(TARGETS_MAX), n) {
            let early = proper_part(honest, chance);
            targets[instance] = Some(Target { early, rounds: Vec::new(), is_over: false, is_held: false });
        }
        Self { n, quorum: (n - faulty_max) as u32, faulty, honest, splits_coins, seed, targets }
    }

    /// The agreements it tries to hold.
    pub fn instances(&self) -> impl Iterator<Item = u16> {
        self.targets.iter().enumerate().filter(|(_, target)| target.is_some()).map(|(instance, _)| instance as u16)
    }

    /// An agreement that it held until it gave up.
    pub fn held(&self) -> Option<u16> {
        let held = |target: &Option<Target>| target.as_ref().is_some_and(|target| target.is_held);
        self.targets.iter().position(held).map(|instance| instance as u16)
    }

    /// Whether a faulty node's own machine is to be heard: not in besieged agreements.
    pub fn is_free(&self, vote: &Vote) -> bool {
        place(vote).is_none_or(|(instance, _)| self.targets[usize::from(instance)].is_none())
    }

    /// An honest node has cast a vote; the faulty nodes' answers are added to `forged`.
    pub fn on_cast(&mut self, node: usize, vote: &Vote, chance: &mut Chance, forged: &mut Vec<Forged>) {
        let Some((instance, round)) = place(vote) else { return };
        let Some(target) = &mut self.targets[usize::from(instance)] else { return };
        target.round_mut(round, self.n).sights[node].on_cast(node, vote);
        self.go_on(instance, round, chance, forged);
    }

    /// A vote has reached an honest node.
    pub fn on_delivered(
        &mut self,
        (from, to): (usize, usize),
        vote: &Vote,
        chance: &mut Chance,
        forged: &mut Vec<Forged>,
    ) {
        let Some((instance, round)) = place(vote).filter(|_| contains(self.honest, to)) else { return };
        let Some(target) = &mut self.targets[usize::from(instance)] else { return };
        target.round_mut(round, self.n).sights[to].on_delivered(from, vote);
        if matches!(vote, Vote::CoinMin { .. }) {
            self.go_on(instance, round, chance, forged);
        }
    }

    /// Nothing that it would let through is left.
    pub fn give_up(&mut self) {
        for target in self.targets.iter_mut().flatten() {
            target.is_over = true;
        }
    }

    /// Whether the vote may reach `to` now.
    pub fn allows(&self, from: usize, to: usize, vote: &Vote) -> bool {
        let instance = match vote {
            Vote::Ready { proposer, .. } | Vote::ReadyAsEchoed { proposer } => *proposer,
            _ => place(vote).map_or(usize::MAX, |(instance, _)| usize::from(instance)),
        };
        let Some(Some(target)) = self.targets.get(instance) else { return true };
        if target.is_over || !contains(self.honest, to) {
            return true;
        }
        let has_estimate = |round: usize| target.rounds.get(round).is_some_and(|r| r.sights[to].estimate.is_some());
        let Some((_, number)) = place(vote) else {
            return contains(target.early, to) || has_estimate(0);
        };
        let Some(round) = target.rounds.get(number as usize) else { return false };
        has_estimate(number as usize + 1) || self.is_open(round, from, to, vote)
    }

    fn is_open(&self, round: &Round, from: usize, to: usize, vote: &Vote) -> bool {
        let Some((v, bottoms)) = round.plan else { return false };
        let (v, sight, quorum) = (Value::from(v), &round.sights[to], self.quorum);
        match vote {
            Vote::Agree { step: Step::Echo, value, .. } => *value == v || sight.has_cast(Step::Echo3),
            Vote::Agree { step: Step::Echo2, .. } => true,
            Vote::Agree { step: Step::Echo3, .. } => {
                let is_doubtful = sight.approves(Value::Zero, quorum) && sight.approves(Value::One, quorum);
                !contains(bottoms, to) || is_doubtful || self.faulty.contains(&from)
            }
            Vote::Agree { step: Step::Echo4, value, .. } => *value == Value::Bottom || sight.has_cast(Step::Echo5),
            Vote::Agree { step: Step::Echo5, .. } => round.zeros.is_some_and(|zeros| {
                let is_doubtful = sight.approves_second(v, quorum) && sight.approves_second(Value::Bottom, quorum);
                contains(zeros, to) || is_doubtful || self.faulty.contains(&from)
            }),
            Vote::Coin { .. } | Vote::CoinMin { .. } => round.coin.as_ref().is_some_and(|plan| {
                let is_ready = plan.first.is_none_or(|first| contains(sight.shares, first) || from == first);
                is_ready && !contains(plan.hidden, from) && sight.coin(quorum).is_none()
            }),
            Vote::Echo { .. } | Vote::Ready { .. } | Vote::ReadyAsEchoed { .. } | Vote::Decided { .. } => true,
        }
    }

    /// Makes the plans that can be made by now.
    fn go_on(&mut self, instance: u16, number: u32, chance: &mut Chance, forged: &mut Vec<Forged>) {
        let Some(target) = &mut self.targets[usize::from(instance)] else { return };
        if target.is_over {
            return;
        }
        let mut round = std::mem::take(target.round_mut(number, self.n));
        let before = forged.len();
        let goes_on = self.plan_values(&mut round, (instance, number), chance, forged)
            && self.plan_coin(&mut round, (instance, number), forged)
            && self.plan_ends(&mut round, (instance, number), chance, forged);
        if let Some(target) = &mut self.targets[usize::from(instance)] {
            target.rounds[number as usize] = round;
            target.is_over = !goes_on;
            target.is_held |= number >= ROUNDS_MAX;
            if target.is_over {
                forged.truncate(before);
            }
        }
    }

    /// Chooses v and the bottoms; false when the round is lost.
    fn plan_values(
        &self,
        round: &mut Round,
        (instance, number): (u16, u32),
        chance: &mut Chance,
        forged: &mut Vec<Forged>,
    ) -> bool {
        let mut estimates = self.honest_nodes().map(|node| round.sights[node].estimate);
        if round.plan.is_some() || estimates.clone().any(|estimate| estimate.is_none()) {
            return true;
        }
        let first = estimates.next().flatten();
        if estimates.all(|estimate| estimate == first) || number >= ROUNDS_MAX {
            return false;
        }
        let coin = match number {
            0 => true,
            1 => false,
            _ => self.known_coin(round, instance, number).unwrap_or_else(|| chance.one_in(2)),
        };
        let bottoms = proper_part(self.honest, chance);
        round.plan = Some((!coin, bottoms));
        let v = Value::from(!coin);
        let mut votes = vec![(Step::Echo, v), (Step::Echo, Value::from(coin)), (Step::Echo2, v)];
        if number >= FIRST_COIN_ROUND {
            votes.extend([(Step::Echo4, Value::Bottom), (Step::Echo4, v)]);
        }
        for (step, value) in votes {
            self.forge(self.honest, agree(instance, number, step, value), forged);
        }
        self.forge(bottoms, agree(instance, number, Step::Echo3, Value::Bottom), forged);
        self.forge(self.honest & !bottoms, agree(instance, number, Step::Echo3, v), forged);
        true
    }

    /// The coin, if all honest shares are out before v is chosen: a protocol that allows this can be held for ever.
    fn known_coin(&self, round: &Round, instance: u16, number: u32) -> Option<bool> {
        let all_known = self.honest_nodes().all(|node| round.sights[node].has_released);
        let smallest = self.honest_nodes().map(|node| self.output(node, instance, number)).min();
        smallest.filter(|_| all_known).map(|output| output[31] & 1 == 1)
    }

    /// Chooses which shares are seen, once all honest ones are out; false when the round is lost.
    fn plan_coin(&self, round: &mut Round, (instance, number): (u16, u32), forged: &mut Vec<Forged>) -> bool {
        let Some((v, _)) = round.plan else { return true };
        let all_released = self.honest_nodes().all(|node| round.sights[node].has_released);
        if round.coin.is_some() || !all_released || number < FIRST_COIN_ROUND {
            return true;
        }
        let helps = |node: usize| (self.output(node, instance, number)[31] & 1 == 1) != v;
        let mut ranked: Vec<usize> = (0..self.n).collect();
        ranked.sort_by_key(|node| self.output(*node, instance, number));
        let smaller = ranked.iter().position(|node| helps(*node)).unwrap_or(self.n);
        if self.splits_coins && smaller as u32 > self.n as u32 - self.quorum {
            return false;
        }
        let (hidden, first) = if self.splits_coins {
            (ranked[..smaller].iter().fold(0, |hidden, node| hidden | 1 << node), Some(ranked[smaller]))
        } else {
            (0, None)
        };
        round.coin = Some(CoinPlan { hidden, first });
        for &from in &self.faulty {
            if helps(from) {
                let proof = self.share(from, instance, number);
                self.forge_from(from, self.honest, Vote::Coin { instance, round: number, proof }, forged);
            }
            if let Some(owner) = first {
                let proof = self.share(owner, instance, number);
                self.forge_from(from, self.honest, Vote::CoinMin { instance, round: number, owner, proof }, forged);
            }
        }
        true
    }

    /// Chooses who goes on with its coin, once all coins are known; false when the round is lost.
    fn plan_ends(
        &self,
        round: &mut Round,
        (instance, number): (u16, u32),
        chance: &mut Chance,
        forged: &mut Vec<Forged>,
    ) -> bool {
        let Some((v, _)) = round.plan.filter(|_| round.coin.is_some()) else { return true };
        let mut coins = self.honest_nodes().map(|node| round.sights[node].coin(self.quorum));
        let hidden = round.coin.as_ref().map_or(0, |plan| plan.hidden);
        let is_known = |(node, coin): (usize, Option<bool>)| coin.is_some() || contains(hidden, node);
        if round.zeros.is_some() || !self.honest_nodes().zip(coins.clone()).all(is_known) {
            return true;
        }
        let mut zeros = self.honest_nodes().zip(&mut coins).fold(0, |zeros: Nodes, (node, coin)| match coin {
            Some(coin) if coin != v => zeros | 1 << node,
            _ => zeros,
        });
        if zeros == 0 {
            return false;
        }
        if zeros == self.honest {
            zeros = proper_part(self.honest, chance);
        }
        round.zeros = Some(zeros);
        self.forge(zeros, agree(instance, number, Step::Echo5, Value::Bottom), forged);
        self.forge(self.honest & !zeros, agree(instance, number, Step::Echo5, Value::from(v)), forged);
        true
    }

    fn honest_nodes(&self) -> impl Iterator<Item = usize> + Clone {
        let honest = self.honest;
        (0..self.n).filter(move |node| contains(honest, *node))
    }

    fn share(&self, node: usize, instance: u16, round: u32) -> Vec<u8> {
        OpenCoin { me: node, seed: self.seed }.share(instance, round)
    }

    fn output(&self, node: usize, instance: u16, round: u32) -> [u8; 32] {
        OpenCoin::output(&self.share(node, instance, round))
    }

    /// Every faulty node says this to those nodes.
    fn forge(&self, to: Nodes, vote: Vote, forged: &mut Vec<Forged>) {
        for &from in &self.faulty {
            self.forge_from(from, to, vote.clone(), forged);
        }
    }

    fn forge_from(&self, from: usize, to: Nodes, vote: Vote, forged: &mut Vec<Forged>) {
        forged.extend((0..self.n).filter(|node| contains(to, *node)).map(|to| (from, to, vote.clone())));
    }
}

impl Target {
    fn round_mut(&mut self, round: u32, n: usize) -> &mut Round {
        let index = round as usize;
        if index >= self.rounds.len() {
            self.rounds.resize_with(index + 1, || Round { sights: vec![Sight::default(); n], ..Round::default() });
        }
        &mut self.rounds[index]
    }
}

/// Some of `nodes`, but not all: neither is empty if there are two.
fn proper_part(nodes: Nodes, chance: &mut Chance) -> Nodes {
    let mut members: Vec<usize> = (0..128).filter(|node| contains(nodes, *node)).collect();
    let count = if members.len() > 1 { 1 + chance.index(members.len() - 1) } else { 0 };
    (0..count).fold(0, |part, _| part | 1 << members.swap_remove(chance.index(members.len())))
}

fn agree(instance: u16, round: u32, step: Step, value: Value) -> Vote {
    Vote::Agree { instance, round, step, value }
}

/// The round of an agreement that a vote belongs to.
fn place(vote: &Vote) -> Option<(u16, u32)> {
    match vote {
        Vote::Agree { instance, round, .. }
        | Vote::Coin { instance, round, .. }
        | Vote::CoinMin { instance, round, .. } => Some((*instance, *round)),
        Vote::Echo { .. } | Vote::Ready { .. } | Vote::ReadyAsEchoed { .. } | Vote::Decided { .. } => None,
    }
}
