//! The search for a better placement: sweeps over the stars, each moved where it serves the objective most. The module above says what that is.

use std::cmp::Reverse;

use super::graph::{Graph, Star};
use super::{MoveLimits, TRANSFER_WEIGHT};

/// A placement on its way to a better one.
#[derive(Debug)]
pub(super) struct Search<'a> {
    graph: &'a Graph,
    limits: MoveLimits,
    /// The cluster of each star: before, and now.
    before: Vec<u32>,
    now: Vec<u32>,
    /// How many of them differ.
    moved: usize,
    star_loads: Vec<u64>,
    /// Of each cluster.
    loads: Vec<u64>,
    ceiling: u64,
    /// The weight between one star and each cluster; all zero between two uses.
    weights: Vec<u64>,
}

/// Where a star should go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Choice {
    pub to: u32,
    /// What it takes off the cut; negative where relief costs something.
    pub gain: i64,
    /// Whether the cluster that it leaves is overloaded.
    pub is_relief: bool,
}

impl<'a> Search<'a> {
    /// A search that starts with each star in the cluster `before` tells.
    pub fn new(graph: &'a Graph, before: Vec<u32>, clusters: u32, limits: MoveLimits) -> Self {
        let star_loads: Vec<u64> = (0..graph.stars.len()).map(|star| graph.load(star as Star)).collect();
        let mut loads = vec![0; clusters as usize];
        for (cluster, load) in before.iter().zip(&star_loads) {
            loads[*cluster as usize] += load;
        }
        let ceiling = ceiling(&loads, limits.overload_percent);
        let weights = vec![0; clusters as usize];
        Self { graph, limits, now: before.clone(), before, moved: 0, star_loads, loads, ceiling, weights }
    }

    /// Sweeps until nothing moves or the limits end it; gives the cluster of each star.
    pub fn run(mut self) -> Vec<u32> {
        for _ in 0..self.limits.sweeps {
            if self.sweep() == 0 {
                break;
            }
        }
        debug_assert_eq!(self.moved, self.before.iter().zip(&self.now).filter(|(before, now)| before != now).count());
        self.now
    }

    /// Lets each star that wants to move do so, relief first, then by gain, then by key. What a star wants is asked again when its turn comes. Returns how many moved.
    fn sweep(&mut self) -> usize {
        let mut turns = Vec::new();
        for star in 0..self.graph.stars.len() as Star {
            if let Some(Choice { gain, is_relief, .. }) = self.choose(star) {
                turns.push((Reverse((is_relief, gain)), star));
            }
        }
        turns.sort_unstable();
        let mut count = 0;
        for (_, star) in turns {
            let has_moved = self.now[star as usize] != self.before[star as usize];
            if !has_moved && self.moved == self.limits.moves {
                continue;
            }
            if let Some(choice) = self.choose(star) {
                self.go(star, choice.to);
                count += 1;
            }
        }
        count
    }

    /// Where `star` should go, if anywhere.
    pub fn choose(&mut self, star: Star) -> Option<Choice> {
        let from = self.now[star as usize];
        let neighbours = self.graph.neighbours(star);
        for (neighbour, weight) in neighbours {
            self.weights[self.now[*neighbour as usize] as usize] += u64::from(*weight);
        }
        let is_relief = self.loads[from as usize] > self.ceiling;
        let traded = neighbours.iter().map(|(neighbour, _)| self.now[*neighbour as usize]);
        let lightest = is_relief.then(|| self.lightest());
        let options = traded.chain(lightest).filter(|to| *to != from && self.has_room(*to, star));
        let to = options.max_by_key(|to| (self.weights[*to as usize], Reverse(*to)));
        let choice = to.map(|to| {
            let gain = self.weights[to as usize] as i64 - self.weights[from as usize] as i64;
            Choice { to, gain, is_relief }
        });
        for (neighbour, _) in neighbours {
            self.weights[self.now[*neighbour as usize] as usize] = 0;
        }
        choice.filter(|choice| is_relief || choice.gain >= i64::from(TRANSFER_WEIGHT))
    }

    fn has_room(&self, cluster: u32, star: Star) -> bool {
        self.loads[cluster as usize] + self.star_loads[star as usize] <= self.ceiling
    }

    fn lightest(&self) -> u32 {
        (0..self.loads.len() as u32).min_by_key(|cluster| self.loads[*cluster as usize]).unwrap_or_default()
    }

    fn go(&mut self, star: Star, to: u32) {
        let (load, before) = (self.star_loads[star as usize], self.before[star as usize]);
        let from = std::mem::replace(&mut self.now[star as usize], to);
        self.loads[from as usize] -= load;
        self.loads[to as usize] += load;
        self.moved = self.moved + usize::from(from == before) - usize::from(to == before);
    }
}

/// The load up to which a cluster may take stars.
pub(super) fn ceiling(loads: &[u64], overload_percent: u32) -> u64 {
    let total: u128 = loads.iter().copied().map(u128::from).sum();
    (total * (100 + u128::from(overload_percent)) / (100 * loads.len() as u128)) as u64
}
