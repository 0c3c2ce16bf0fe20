//! The real state machines at small size, in virtual time, beside the model of that very network.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::thread;

use constellation_chain::FIXED_LEN_BYTES;
use constellation_node::VerifyEngine;
use constellation_simulator::chance::Chance;
use constellation_simulator::node::{LATENCY_MIN_US, LATENCY_SPREAD_US, Network, Options, STEP_US, Stars, Violation};
use serde::Serialize;

use crate::plan::VERIFY_PER_S;
use crate::scale::links::Links;
use crate::scale::model::{Galaxy, Roles, Site, State};

/// How far the model may be from the machines, as a share of theirs.
pub const AGREEMENT: f64 = 0.2;

/// What is compared: every node is validator and facilitator, as the tools make networks.
const LAYOUTS: [Layout; 5] = [
    Layout { nodes: 4, clusters: 1, stars: 100 },
    Layout { nodes: 4, clusters: 4, stars: 200 },
    Layout { nodes: 4, clusters: 8, stars: 400 },
    Layout { nodes: 7, clusters: 2, stars: 200 },
    Layout { nodes: 8, clusters: 3, stars: 240 },
];

/// Transactions a second that each star sends. A choice: few enough that a star seldom waits for its own last one.
const RATE_PER_STAR_S: f64 = 0.4;

/// Virtual time before anything is counted, in microseconds.
const WARM_UP_US: u64 = 300_000;

/// A small network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Layout {
    /// Nodes.
    pub nodes: u32,
    /// Star clusters.
    pub clusters: u32,
    /// Stars.
    pub stars: u32,
}

/// A small network's numbers, of the machines and of the model. Field names are stable.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// The network.
    #[serde(flatten)]
    pub layout: Layout,
    /// What was sent a second.
    pub offered_per_s: f64,
    /// The numbers.
    pub quantities: Vec<Quantity>,
}

/// One number twice.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Quantity {
    /// Its name, with its unit.
    pub name: &'static str,
    /// What the machines did.
    pub machines: f64,
    /// What the model says.
    pub model: f64,
    /// The model's over the machines'.
    pub ratio: f64,
}

impl Quantity {
    /// The same number of the machines and of the model.
    pub fn new(name: &'static str, machines: f64, model: f64) -> Self {
        Self { name, machines, model, ratio: model / machines }
    }

    /// Whether the model is near enough. What is no number is not.
    pub fn agrees(&self) -> bool {
        (self.ratio - 1.0).abs() <= AGREEMENT
    }
}

/// What machines did between two moments.
#[derive(Clone, Copy, Default)]
struct Counts {
    sent: f64,
    committed: f64,
    lsh_blocks: f64,
    black_holes: f64,
    messages: f64,
    bytes: f64,
    at_s: f64,
}

/// Runs every small network for so long, and its model.
///
/// # Errors
/// A run in which the machines broke their protocol: nothing that they did then counts.
pub fn compare(virtual_s: u32, seed: u64) -> Result<Vec<Comparison>, Violation> {
    let compute = Arc::new(VerifyEngine::detect());
    thread::scope(|scope| {
        let run = |layout: Layout| {
            let compute = compute.clone();
            scope.spawn(move || compare_one(layout, virtual_s, seed, compute))
        };
        let runs = LAYOUTS.map(run);
        runs.into_iter().map(|run| run.join().unwrap_or_else(|cause| resume_unwind(cause))).collect()
    })
}

fn compare_one(layout: Layout, virtual_s: u32, seed: u64, compute: Arc<VerifyEngine>) -> Result<Comparison, Violation> {
    let Layout { nodes, clusters, stars } = layout;
    let options = Options::new(seed, nodes as usize, (clusters, nodes as usize), stars as usize);
    let mut run = Run {
        network: Network::new(options, compute),
        stars: Stars::new(stars as usize),
        chance: Chance::new(seed),
        gap_us: 1e6 / (f64::from(stars) * RATE_PER_STAR_S),
        next_us: 0.0,
    };
    run.load(WARM_UP_US);
    let before = run.counts();
    run.load(u64::from(virtual_s) * 1_000_000);
    let after = run.counts();
    if let Some(violation) = run.network.violation() {
        return Err(violation.clone());
    }
    let seconds = after.at_s - before.at_s;
    let offered_per_s = (after.sent - before.sent) / seconds;
    let committed = after.committed - before.committed;
    let state = modelled(layout, offered_per_s);
    let quantities = vec![
        Quantity::new("committed_per_s", committed / seconds, state.committed_per_s),
        Quantity::new("lsh_blocks_per_s", (after.lsh_blocks - before.lsh_blocks) / seconds, state.lsh_blocks_per_s),
        Quantity::new("black_holes_per_s", (after.black_holes - before.black_holes) / seconds, state.black_holes_per_s),
        Quantity::new(
            "messages_per_transaction",
            (after.messages - before.messages) / committed,
            state.messages_per_transaction,
        ),
        Quantity::new("bytes_per_transaction", (after.bytes - before.bytes) / committed, state.bytes_per_transaction),
        Quantity::new("finality_mean_ms", run.finality_mean_ms(), state.finality_s * 1e3),
    ];
    Ok(Comparison { layout, offered_per_s, quantities })
}

/// The model of a small network: its links, and no time for computing.
fn modelled(layout: Layout, offered_per_s: f64) -> State {
    let seconds = |us: u64| us as f64 / 1e6;
    let links = Links::Spread {
        least_s: seconds(LATENCY_MIN_US),
        spread_s: seconds(LATENCY_SPREAD_US),
        step_s: seconds(STEP_US),
    };
    let site = Site {
        links,
        link_bytes_per_s: f64::INFINITY,
        cores: 1.0,
        verify_per_s: VERIFY_PER_S,
        transaction_bytes: FIXED_LEN_BYTES as f64,
        slowness: 0.0,
    };
    let Layout { nodes, clusters, .. } = layout;
    let galaxy = Galaxy { clusters, facilitators: nodes, validators: nodes, roles: Roles::Shared, offered_per_s };
    galaxy.steady(&site)
}

/// A network under load.
struct Run {
    network: Network,
    stars: Stars,
    chance: Chance,
    /// Between two transactions, on the average.
    gap_us: f64,
    next_us: f64,
}

impl Run {
    /// Stars send by chance, with no memory of when they did before, for so long.
    fn load(&mut self, duration_us: u64) {
        let end_us = self.network.now_us() + duration_us;
        while self.next_us < end_us as f64 {
            let now_us = self.network.now_us();
            self.network.run((self.next_us as u64).saturating_sub(now_us));
            self.stars.send_one(&mut self.network);
            // More than zero, at most one.
            let uniform = (self.chance.below(1 << 53) + 1) as f64 / (1u64 << 53) as f64;
            self.next_us += -uniform.ln() * self.gap_us;
        }
        self.network.run(end_us.saturating_sub(self.network.now_us()));
    }

    fn counts(&self) -> Counts {
        let log = &self.network.disks[0].log;
        Counts {
            sent: self.stars.sent.len() as f64,
            committed: self.network.applied(0).len() as f64,
            lsh_blocks: log.iter().map(|(black_hole, _)| black_hole.lsh_blocks.len()).sum::<usize>() as f64,
            black_holes: log.len() as f64,
            messages: self.network.sent.messages as f64,
            bytes: self.network.sent.bytes as f64,
            at_s: self.network.now_us() as f64 / 1e6,
        }
    }

    fn finality_mean_ms(&self) -> f64 {
        let latencies_us = self.network.latencies_us();
        let count = latencies_us.len();
        latencies_us.sum::<u64>() as f64 / count as f64 / 1e3
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fifth_is_near_enough_and_more_is_not() {
        let agrees = |machines, model| Quantity::new("anything", machines, model).agrees();
        assert!(agrees(10.0, 11.9) && agrees(10.0, 8.1));
        assert!(!agrees(10.0, 12.1) && !agrees(10.0, 7.9) && !agrees(0.0, 0.0));
    }
}
