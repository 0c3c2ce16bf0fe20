//! The coin-aware scheduler: it sees everything that is sent, orders all messages, votes for the faulty nodes, and attacks single agreements. It
//! is a strategy against this protocol, step by step, so its gates (`round`) and plans (`plan`) follow the steps of `constellation_acs`'s agreement.
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
//! **What works only against less.** Other plans come to something only if the protocol lacks a guard: that one node's part of a round can be left open
//! until the others' shares are out (binding), that nodes with different shares flip different coins (the coin's quorums), that a forged share passes,
//! that one node decides what the rest need not (grades). In the first two no chance is left: every node hears the shares of the n−f nodes from itself
//! on, cyclically, until its coin is known. Some of those f to n−f−1 places further are honest, and between them and itself they have heard all n, so
//! with the coin's quorums in place everybody's smallest share is the smallest of all.
//!
//! **How it outruns a node.** While it holds an agreement one honest node hears nothing of it; then the faulty fall silent, and the others need that
//! node, which could not store what they said in rounds so far ahead.
//!
//! Where a plan fails, somebody has decided, or nothing is left to deliver, it gives the agreement up and lets everything through: links are reliable.

mod plan;
mod round;
mod sight;

use super::coin::OpenCoin;
use crate::chance::Chance;
use crate::votes::Vote;
use round::Round;

/// Agreements besieged at once, at most.
const TARGETS_MAX: usize = 3;
const FIRST_COIN_ROUND: u32 = 2;

/// A set of nodes, by bit.
pub(crate) type Nodes = u128;

pub(crate) fn contains(nodes: Nodes, node: usize) -> bool {
    nodes >> node & 1 == 1
}

/// A vote of a faulty node to one other.
pub(crate) type Forged = (usize, usize, Vote);

/// What the besieged agreements are to come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Goal {
    /// No end.
    Hold,
    /// No end, by splitting coins too.
    HoldBySplitting,
    /// No end, by fixing a round's bit after its coin.
    HoldUnbound,
    /// No end, by shares that are not valid.
    HoldByForgery,
    /// No end, by coins that differ though no share's value is looked at.
    HoldByScattering,
    /// As `HoldBySplitting`, while one honest node hears nothing; then it lets go.
    Outrun,
    /// Two ends.
    Disagree,
}

impl Goal {
    /// It gives up after so many rounds. If only chance can stop it, a fair coin lets it come that far once in 10^11 times.
    pub fn rounds_max(self) -> u32 {
        match self {
            Self::Hold | Self::HoldBySplitting | Self::HoldByForgery | Self::Disagree => 40,
            Self::HoldUnbound | Self::HoldByScattering | Self::Outrun => 8,
        }
    }

    /// Whether no claim excludes that it holds an agreement until it gives up.
    pub fn may_hold(self) -> bool {
        matches!(self, Self::HoldBySplitting | Self::Outrun)
    }

    /// Every node is to hear of the shares of n−f others only, whatever their values.
    fn has_windows(self) -> bool {
        matches!(self, Self::HoldUnbound | Self::HoldByScattering)
    }
}

pub(crate) struct Siege {
    n: usize,
    quorum: u32,
    faulty: Vec<usize>,
    /// All others, but for the one that it outruns.
    honest: Nodes,
    outrun: Option<usize>,
    goal: Goal,
    seed: u64,
    /// By instance.
    targets: Vec<Option<Target>>,
}

/// A besieged agreement.
#[derive(Default)]
struct Target {
    /// Who may have the broadcast's READY votes before it has an estimate.
    early: Nodes,
    rounds: Vec<Round>,
    /// Some honest node has decided: this is its last round.
    is_decided: bool,
    is_over: bool,
    is_held: bool,
}

impl Siege {
    pub fn new(n: usize, faulty: Vec<usize>, goal: Goal, seed: u64, chance: &mut Chance) -> Self {
        let faulty_max = super::faulty_max(n);
        let honest = faulty.iter().fold(all(n), |honest, node| honest & !(1 << node));
        let outrun = (goal == Goal::Outrun && !faulty.is_empty()).then(|| {
            loop {
                let node = chance.index(n);
                if contains(honest, node) {
                    break node;
                }
            }
        });
        let honest = outrun.map_or(honest, |node| honest & !(1 << node));
        let mut targets: Vec<_> = (0..n).map(|_| None).collect();
        for instance in chance.nodes(faulty_max.min(TARGETS_MAX), n) {
            let early = plan::proper_part(honest, chance);
            targets[instance] = Some(Target { early, ..Target::default() });
        }
        Self { n, quorum: (n - faulty_max) as u32, faulty, honest, outrun, goal, seed, targets }
    }

    /// The agreements it attacks.
    pub fn instances(&self) -> impl Iterator<Item = u16> {
        self.targets.iter().enumerate().filter(|(_, target)| target.is_some()).map(|(instance, _)| instance as u16)
    }

    /// An agreement that it held until it gave up.
    pub fn held(&self) -> Option<u16> {
        let held = |target: &Option<Target>| target.as_ref().is_some_and(|target| target.is_held);
        self.targets.iter().position(held).map(|instance| instance as u16)
    }

    fn faulty_set(&self) -> Nodes {
        self.faulty.iter().fold(0, |set, node| set | 1 << node)
    }

    /// Whether `to` is to hear of shares from a node: anybody, or one of the n−f from itself on.
    fn hears_shares(&self, from: usize, to: usize) -> bool {
        !self.goal.has_windows() || (from + self.n - to) % self.n < self.quorum as usize
    }

    /// Whether a faulty node's own machine is to be heard: not in besieged agreements.
    pub fn is_free(&self, vote: &Vote) -> bool {
        let instance = match vote {
            Vote::Decided { instance, .. } => Some(*instance),
            _ => place(vote).map(|(instance, _)| instance),
        };
        instance.is_none_or(|instance| self.targets[usize::from(instance)].is_none())
    }

    /// An honest node has cast votes; the faulty nodes' answers are added to `forged`.
    pub fn on_cast(&mut self, node: usize, votes: &[Vote], chance: &mut Chance, forged: &mut Vec<Forged>) {
        let mut places = Vec::new();
        for vote in votes {
            if let Vote::Decided { instance, .. } = vote
                && let Some(target) = &mut self.targets[usize::from(*instance)]
            {
                target.is_decided = true;
            }
            let Some((instance, round)) = place(vote) else { continue };
            let Some(target) = &mut self.targets[usize::from(instance)] else { continue };
            target.round_mut(round, self.n).sights[node].on_cast(node, vote);
            if !places.contains(&(instance, round)) {
                places.push((instance, round));
            }
        }
        // All of them are seen before anything is planned.
        for (instance, round) in places {
            self.go_on(instance, round, chance, forged);
        }
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

    /// Nothing that it lets through is left: it opens the next gates of its plans, or gives up those that have none.
    pub fn ease(&mut self) {
        for target in self.targets.iter_mut().flatten() {
            let begun = target.rounds.iter_mut().rev().find(|round| round.is_begun);
            let is_eased = begun.is_some_and(Round::ease);
            target.is_over |= !is_eased;
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
            return target.is_over || self.outrun != Some(to);
        }
        let has_estimate = |round: usize| target.rounds.get(round).is_some_and(|r| r.sights[to].estimate.is_some());
        let Some((_, number)) = place(vote) else {
            return contains(target.early, to) || has_estimate(0);
        };
        let Some(round) = target.rounds.get(number as usize) else { return false };
        has_estimate(number as usize + 1) || round.is_open((from, to), vote, self)
    }

    /// Makes the plans that can be made by now.
    fn go_on(&mut self, instance: u16, number: u32, chance: &mut Chance, forged: &mut Vec<Forged>) {
        let Some(target) = &mut self.targets[usize::from(instance)] else { return };
        if target.is_over {
            return;
        }
        if target.is_decided && !target.round_mut(number, self.n).is_begun {
            target.is_over = true;
            return;
        }
        let mut round = std::mem::take(target.round_mut(number, self.n));
        let before = forged.len();
        let goes_on = self.plan(&mut round, (instance, number), chance, forged);
        if let Some(target) = &mut self.targets[usize::from(instance)] {
            target.rounds[number as usize] = round;
            target.is_over = !goes_on;
            target.is_held |= number >= self.goal.rounds_max();
            if target.is_over {
                forged.truncate(before);
            }
        }
    }
}

impl Target {
    fn round_mut(&mut self, round: u32, n: usize) -> &mut Round {
        let index = round as usize;
        if index >= self.rounds.len() {
            self.rounds.resize_with(index + 1, || Round::new(n));
        }
        &mut self.rounds[index]
    }
}

fn all(n: usize) -> Nodes {
    !0 >> (Nodes::BITS as usize - n)
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
