//! What happened in a run, in numbers.

use std::collections::BTreeSet;

use constellation_acs::{Step, Vote};
use serde::Serialize;

/// The numbers of a run. A round is one of an agreement; a delay is one message after another.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Report {
    /// Rounds until the last honest node decided, the mean over the agreements.
    pub rounds_mean: f64,
    /// The same of the agreement that took longest.
    pub rounds_max: u32,
    /// The same over the agreements that the adversary meant to hold; none for adversaries that do not.
    pub besieged_rounds_mean: Option<f64>,
    /// Whether it held one until it gave up.
    pub is_held: bool,
    /// Longest chain of messages, each sent because of the one before, up to the last honest node's output.
    pub delays: u32,
    /// Coins flipped: rounds of agreements in which an honest node released its share.
    pub coins: usize,
    /// Messages that honest nodes sent, one for each receiver.
    pub messages: usize,
    /// Their bytes.
    pub bytes: usize,
    /// Messages delivered to anybody.
    pub deliveries: usize,
    /// Payloads that honest nodes asked for.
    pub pulls: usize,
    /// Faults that honest nodes saw.
    pub faults: usize,
    /// Crashes of honest nodes.
    pub restarts: usize,
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
                Vote::Agree { .. } | Vote::Echo { .. } | Vote::Ready { .. } | Vote::CoinMin { .. } => {}
            }
        }
    }

    /// Sums up.
    pub fn fill(&self, report: &mut Report, besieged: &[u16]) {
        let n = self.entered.len();
        let rounds = |instance: usize| {
            let decided = self.decided.iter().filter_map(|by_instance| by_instance[instance]);
            decided.max().map_or(0, |round| round + 1)
        };
        let mean = |instances: &mut dyn ExactSizeIterator<Item = usize>| {
            let count = instances.len();
            instances.map(|instance| f64::from(rounds(instance))).sum::<f64>() / count as f64
        };
        report.rounds_max = (0..n).map(rounds).max().unwrap_or_default();
        report.rounds_mean = mean(&mut (0..n));
        report.besieged_rounds_mean =
            (!besieged.is_empty()).then(|| mean(&mut besieged.iter().map(|instance| usize::from(*instance))));
        report.coins = self.coins.len();
    }
}
