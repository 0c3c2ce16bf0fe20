//! The plans of a besieged round: which bit, which shares, which ends; and the faulty nodes' votes that go with them.

use constellation_acs::{Coin as _, Step, Value};

use super::round::{CoinPlan, Ends, Round, Tactic};
use super::{FIRST_COIN_ROUND, Forged, Goal, Nodes, OpenCoin, Siege, contains};
use crate::chance::Chance;
use crate::votes::Vote;

/// An agreement's round.
type Place = (u16, u32);

impl Siege {
    /// Makes the plans that can be made; false when the round is lost.
    pub(super) fn plan(&self, round: &mut Round, place: Place, chance: &mut Chance, forged: &mut Vec<Forged>) -> bool {
        self.begin(round, place, chance, forged)
            && self.plan_late(round, place, forged)
            && self.plan_coin(round, place, forged)
            && self.plan_ends(round, place, chance, forged)
    }

    /// Chooses how to fight, once all honest nodes are there.
    fn begin(&self, round: &mut Round, place: Place, chance: &mut Chance, forged: &mut Vec<Forged>) -> bool {
        let (_, number) = place;
        let mut estimates = self.honest_nodes().map(|node| round.sights[node].estimate);
        if round.is_begun || estimates.clone().any(|estimate| estimate.is_none()) {
            return true;
        }
        let first = estimates.next().flatten();
        if estimates.all(|estimate| estimate == first) || number >= self.goal.rounds_max() {
            return false;
        }
        round.is_begun = true;
        round.tactic = self.tactic(number, chance);
        if let Tactic::Late { .. } = round.tactic {
            self.part_camps(round, chance);
            self.forge_late_echoes(round, place, forged);
            return true;
        }
        let coin = match number {
            0 => true,
            1 => false,
            _ if round.tactic == Tactic::Bluff => false,
            _ => self.known_coin(round, self.honest, place).unwrap_or_else(|| chance.one_in(2)),
        };
        let bottoms = match round.tactic {
            Tactic::Scatter => self.honest,
            Tactic::Doubt => self.few(chance),
            Tactic::Decide { first } if first != self.honest && chance.one_in(2) => 0,
            Tactic::Strand { first } => self.honest & !first,
            _ => proper_part(self.honest, chance),
        };
        self.fix(round, (!coin, bottoms), self.honest, place, forged);
        if round.tactic == Tactic::Scatter {
            let ends = Ends { coin: self.honest, decide: 0 };
            self.fix_ends(round, ends, !coin, place, forged);
        }
        true
    }

    fn tactic(&self, number: u32, chance: &mut Chance) -> Tactic {
        if number < FIRST_COIN_ROUND {
            return if self.goal == Goal::HoldUnbound { Tactic::Doubt } else { Tactic::Hold };
        }
        match self.goal {
            Goal::Hold | Goal::HoldBySplitting | Goal::Outrun => Tactic::Hold,
            Goal::HoldUnbound => Tactic::Late { late: 0 },
            Goal::HoldByForgery => Tactic::Bluff,
            Goal::HoldByScattering => Tactic::Scatter,
            Goal::Disagree => match chance.below(3) {
                0 => Tactic::Decide { first: self.honest },
                1 => Tactic::Decide { first: proper_part(self.honest, chance) },
                _ => Tactic::Strand { first: self.few(chance) },
            },
        }
    }

    /// Fixes v and the bottoms: the faulty nodes vote for v, to the bottoms for ⊥.
    fn fix(&self, round: &mut Round, (v, bottoms): (bool, Nodes), to: Nodes, place: Place, forged: &mut Vec<Forged>) {
        round.values = Some((v, bottoms));
        let (v, other) = (Value::from(v), Value::from(!v));
        self.forge_all(to, place, &[(Step::Echo, v), (Step::Echo, other), (Step::Echo2, v)], forged);
        match round.tactic {
            Tactic::Strand { first } => self.forge_all(first, place, &[(Step::Echo4, v)], forged),
            _ if place.1 < FIRST_COIN_ROUND => {}
            _ => self.forge_all(to, place, &[(Step::Echo4, Value::Bottom), (Step::Echo4, v)], forged),
        }
        self.forge_all(to & bottoms, place, &[(Step::Echo3, Value::Bottom)], forged);
        self.forge_all(to & !bottoms, place, &[(Step::Echo3, v)], forged);
    }

    /// Chooses who is late, and which bit the others see first: so that none of these has a quorum, and that the late need echo no bit but their
    /// own. As few are late as can be, for a sure coin, or as many.
    fn part_camps(&self, round: &mut Round, chance: &mut Chance) {
        const TRIES: usize = 16;
        let count = |nodes: Nodes| nodes.count_ones();
        let (faulty_max, honest_count) = (self.n as u32 - self.quorum, count(self.honest));
        let of_ones = |node: &usize| round.sights[*node].estimate == Some(true);
        let estimate_ones = self.honest_nodes().filter(of_ones).fold(0, |ones: Nodes, node| ones | 1 << node);
        for _ in 0..TRIES {
            let early_count = if chance.one_in(2) { faulty_max } else { honest_count - 1 };
            let early = some(self.honest, early_count as usize, chance);
            let late = self.honest & !early;
            let ones = some(early, early_count.div_ceil(2) as usize, chance);
            (round.tactic, round.ones) = (Tactic::Late { late }, ones);
            let can_have_both = |estimates: Nodes| count(late & estimates) + early_count > faulty_max;
            if can_have_both(estimate_ones) && can_have_both(!estimate_ones) {
                return;
            }
        }
    }

    /// Two camps that each see their bit first, and then ⊥.
    fn forge_late_echoes(&self, round: &Round, place: Place, forged: &mut Vec<Forged>) {
        let Tactic::Late { late } = round.tactic else { return };
        for bit in [false, true] {
            let camp = self.honest & !late & if bit { round.ones } else { !round.ones };
            let (bit, other) = (Value::from(bit), Value::from(!bit));
            // One of the two echo3 is for nothing, if the first vote stands.
            let votes = [(Step::Echo, bit), (Step::Echo, other), (Step::Echo2, bit)];
            let votes = [&votes[..], &[(Step::Echo3, Value::Bottom), (Step::Echo3, bit)]].concat();
            self.forge_all(camp, place, &votes, forged);
        }
    }

    /// Fixes v against the coin that the shares of those who were not late make.
    fn plan_late(&self, round: &mut Round, place: Place, forged: &mut Vec<Forged>) -> bool {
        let Tactic::Late { late } = round.tactic else { return true };
        let early = self.honest & !late;
        if let (None, Some(coin)) = (round.values, self.known_coin(round, early | !self.honest, place)) {
            self.fix(round, (!coin, early), late, place, forged);
            let v = Value::from(!coin);
            self.forge_all(early, place, &[(Step::Echo4, Value::Bottom), (Step::Echo4, v)], forged);
        }
        true
    }

    /// The coin that the shares of some nodes make, if all honest ones of them are out.
    fn known_coin(&self, round: &Round, of: Nodes, place: Place) -> Option<bool> {
        let of = || (0..self.n).filter(|node| contains(of, *node));
        let all_known = of().all(|node| round.sights[node].has_released || !contains(self.honest, node));
        let smallest = of().map(|node| self.output(node, place)).min();
        smallest.filter(|_| all_known).map(|output| output[31] & 1 == 1)
    }

    /// Chooses which shares are seen, once all honest ones are out; false when the round is lost.
    fn plan_coin(&self, round: &mut Round, place: Place, forged: &mut Vec<Forged>) -> bool {
        let (instance, number) = place;
        let Some((v, _)) = round.values else { return true };
        let is_time = self.honest_nodes().all(|node| round.sights[node].has_released);
        if round.coin.is_some() || !is_time || number < FIRST_COIN_ROUND {
            return true;
        }
        let splits = matches!(self.goal, Goal::HoldBySplitting | Goal::Outrun);
        let has_windows = self.goal.has_windows();
        let helps = |node: usize| (self.output(node, place)[31] & 1 == 1) != v;
        let mut ranked: Vec<usize> = (0..self.n).collect();
        ranked.sort_by_key(|node| self.output(*node, place));
        let smaller = ranked.iter().position(|node| helps(*node)).unwrap_or(self.n);
        // n−f shares must be left to be seen.
        let hidden_max = self.n - self.quorum as usize - usize::from(self.outrun.is_some());
        if splits && smaller > hidden_max {
            return false;
        }
        let (hidden, first) = if splits {
            (ranked[..smaller].iter().fold(0, |hidden, node| hidden | 1 << node), Some(ranked[smaller]))
        } else {
            (0, None)
        };
        round.coin = Some(CoinPlan { hidden, first });
        for &from in &self.faulty {
            let share = Vote::Coin { instance, round: number, proof: self.share(from, place) };
            if round.tactic == Tactic::Bluff {
                let proof = vec![from as u8; 16];
                self.forge(from, self.honest, &Vote::Coin { instance, round: number, proof }, forged);
            } else if matches!(round.tactic, Tactic::Strand { .. }) {
                continue;
            } else if has_windows {
                let proof = self.share(from, place);
                self.forge(from, self.honest, &share, forged);
                self.forge(from, self.honest, &Vote::CoinMin { instance, round: number, owner: from, proof }, forged);
            } else if if splits { !contains(hidden, from) } else { helps(from) } {
                self.forge(from, self.honest, &share, forged);
            }
            if let Some(owner) = first {
                let proof = self.share(owner, place);
                self.forge(from, self.honest, &Vote::CoinMin { instance, round: number, owner, proof }, forged);
            }
        }
        true
    }

    /// Chooses where everybody goes, once all coins are known; false when the round is lost.
    fn plan_ends(&self, round: &mut Round, place: Place, chance: &mut Chance, forged: &mut Vec<Forged>) -> bool {
        if let Tactic::Strand { .. } = round.tactic {
            return true;
        }
        let Some(((v, _), plan)) = round.values.zip(round.coin.as_ref()) else { return true };
        let coin = |node: usize| round.sights[node].coin(self.quorum);
        let is_known = |node: usize| coin(node).is_some() || contains(plan.hidden, node);
        if round.ends.is_some() || !self.honest_nodes().all(is_known) {
            return true;
        }
        // A forged share passes for the smallest of all, if it does; its low bit is 0.
        let is_zero = |node: usize| match round.tactic {
            Tactic::Bluff => true,
            _ => coin(node).is_some_and(|coin| coin != v),
        };
        let mut zeros =
            self.honest_nodes().filter(|node| is_zero(*node)).fold(0, |zeros: Nodes, node| zeros | 1 << node);
        let ends = match round.tactic {
            Tactic::Decide { first } if first == self.honest => Ends { coin: 0, decide: self.few(chance) },
            Tactic::Decide { first } => Ends { coin: self.honest & !first, decide: first },
            _ if zeros == 0 => return false,
            _ => {
                if zeros == self.honest {
                    zeros = proper_part(self.honest, chance);
                }
                Ends { coin: zeros, decide: 0 }
            }
        };
        self.fix_ends(round, ends, v, place, forged);
        true
    }

    /// The faulty nodes vote everybody to its end: for ⊥, for v, or for what makes it doubt.
    fn fix_ends(&self, round: &mut Round, ends: Ends, v: bool, place: Place, forged: &mut Vec<Forged>) {
        round.ends = Some(ends);
        let v = Value::from(v);
        let doubt = if matches!(round.tactic, Tactic::Decide { .. }) { Value::Bottom } else { v };
        let doubtful = self.honest & !ends.coin & !ends.decide;
        for (to, value) in [(ends.coin, Value::Bottom), (ends.decide, v), (doubtful, doubt)] {
            self.forge_all(to, place, &[(Step::Echo5, value)], forged);
        }
    }

    fn honest_nodes(&self) -> impl Iterator<Item = usize> + Clone {
        let honest = self.honest;
        (0..self.n).filter(move |node| contains(honest, *node))
    }

    /// One honest node or several, f at most: too few to make the others decide.
    fn few(&self, chance: &mut Chance) -> Nodes {
        let faulty_max = self.n - self.quorum as usize;
        some(self.honest, 1 + chance.index(faulty_max), chance)
    }

    fn share(&self, node: usize, (instance, round): Place) -> Vec<u8> {
        OpenCoin { me: node, seed: self.seed }.share(instance, round)
    }

    fn output(&self, node: usize, place: Place) -> [u8; 32] {
        OpenCoin::output(&self.share(node, place))
    }

    /// Every faulty node votes so to those nodes.
    fn forge_all(&self, to: Nodes, (instance, round): Place, votes: &[(Step, Value)], forged: &mut Vec<Forged>) {
        for &(step, value) in votes {
            for &from in &self.faulty {
                self.forge(from, to, &Vote::Agree { instance, round, step, value }, forged);
            }
        }
    }

    fn forge(&self, from: usize, to: Nodes, vote: &Vote, forged: &mut Vec<Forged>) {
        forged.extend((0..self.n).filter(|node| contains(to, *node)).map(|to| (from, to, vote.clone())));
    }
}

/// Some of `nodes`, but not all: neither is empty if there are two.
pub(super) fn proper_part(nodes: Nodes, chance: &mut Chance) -> Nodes {
    let members = nodes.count_ones() as usize;
    let count = if members > 1 { 1 + chance.index(members - 1) } else { 0 };
    some(nodes, count, chance)
}

/// So many of `nodes`.
fn some(nodes: Nodes, count: usize, chance: &mut Chance) -> Nodes {
    let mut members: Vec<usize> = (0..128).filter(|node| contains(nodes, *node)).collect();
    (0..count).fold(0, |part, _| part | 1 << members.swap_remove(chance.index(members.len())))
}
