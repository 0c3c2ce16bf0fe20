//! What happened in a run, in numbers, and in many runs. Counts only, so that sums do not depend on their order.

use std::collections::BTreeSet;

use constellation_acs::Step;

use crate::votes::Vote;

/// The numbers of a run. A round is one of an agreement; a delay is one message after another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Rounds until an agreement's last honest node decided, of all agreements and of those that the adversary meant to hold.
    pub rounds: Rounds,
    /// The same of the agreements that the adversary meant to hold.
    pub besieged: Rounds,
    /// Whether it held one until it gave up.
    pub is_held: bool,
    /// Longest chain of messages, each sent because of the one before, up to the last honest node's output.
    pub delays: u32,
    /// Coins flipped: rounds of agreements in which an honest node released its share.
    pub coins: u64,
    /// Messages that honest nodes sent, one for each receiver.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Messages delivered to anybody.
    pub deliveries: u64,
    /// Payloads that honest nodes asked for.
    pub pulls: u64,
    /// Faults that honest nodes saw.
    pub faults: u64,
    /// Crashes of honest nodes.
    pub restarts: u64,
}

/// Rounds of some agreements.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rounds {
    /// Of all of them together.
    pub sum: u64,
    /// How many they are.
    pub agreements: u64,
    /// Of the one that took longest.
    pub max: u32,
}

impl Rounds {
    /// The mean; none of no agreements.
    pub fn mean(&self) -> Option<f64> {
        (self.agreements > 0).then(|| self.sum as f64 / self.agreements as f64)
    }

    fn add(&mut self, other: &Self) {
        self.sum += other.sum;
        self.agreements += other.agreements;
        self.max = self.max.max(other.max);
    }
}

/// The numbers of many runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// How many runs.
    pub runs: u64,
    /// Runs in which the adversary held an agreement until it gave up.
    pub held: u64,
    /// Sums, and the largest where the largest counts.
    pub total: Report,
    /// Sum of the runs' delays.
    pub delays_sum: u64,
}

impl Summary {
    /// Adds a run.
    pub fn add(&mut self, report: &Report) {
        let delays_sum = u64::from(report.delays);
        self.merge(&Self { runs: 1, held: u64::from(report.is_held), total: report.clone(), delays_sum });
    }

    /// Adds other runs.
    pub fn merge(&mut self, other: &Self) {
        self.runs += other.runs;
        self.held += other.held;
        self.delays_sum += other.delays_sum;
        let (total, other) = (&mut self.total, &other.total);
        total.rounds.add(&other.rounds);
        total.besieged.add(&other.besieged);
        total.is_held |= other.is_held;
        total.delays = total.delays.max(other.delays);
        total.coins += other.coins;
        total.messages += other.messages;
        total.bytes += other.bytes;
        total.deliveries += other.deliveries;
        total.pulls += other.pulls;
        total.faults += other.faults;
        total.restarts += other.restarts;
    }
}

/// Gathers what honest nodes write down.
pub(crate) struct Tally {
    /// By node and agreement: the last round entered.
    entered: Vec<Vec<u32>>,
    /// The same when it decided.
    decided: Vec<Vec<Option<u32>>>,
    coins: BTreeSet<(u16, u32)>,
}

impl Tally {
    pub fn new(n: usize) -> Self {
        Self { entered: vec![vec![0; n]; n], decided: vec![vec![None; n]; n], coins: BTreeSet::new() }
    }

    /// Votes that a node cast.
    pub fn note(&mut self, node: usize, votes: &[Vote]) {
        for vote in votes {
            match vote {
                Vote::Agree { instance, round, step: Step::Echo, .. } => {
                    let entered = &mut self.entered[node][usize::from(*instance)];
                    *entered = (*entered).max(*round);
                }
                Vote::Decided { instance, .. } => {
                    let instance = usize::from(*instance);
                    self.decided[node][instance] = Some(self.entered[node][instance]);
                }
                Vote::Coin { instance, round, .. } => {
                    self.coins.insert((*instance, *round));
                }
                Vote::Agree { .. }
                | Vote::Echo { .. }
                | Vote::Ready { .. }
                | Vote::ReadyAsEchoed { .. }
                | Vote::CoinMin { .. } => {}
            }
        }
    }

    /// Sums up.
    pub fn fill(&self, report: &mut Report, besieged: &[u16]) {
        for instance in 0..self.entered.len() {
            let decided = self.decided.iter().filter_map(|by_instance| by_instance[instance]);
            let max = decided.max().map_or(0, |round| round + 1);
            let rounds = Rounds { sum: u64::from(max), agreements: 1, max };
            report.rounds.add(&rounds);
            if besieged.contains(&(instance as u16)) {
                report.besieged.add(&rounds);
            }
        }
        report.coins = self.coins.len() as u64;
    }
}
