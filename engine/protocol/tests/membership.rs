//! Who takes part changes: clusters split and merge, validators come and go. A failing run names the scenario that replays it: `constellation sim
//! node` takes its words.

#![allow(clippy::unwrap_used, reason = "a test that meets the unexpected must stop")]

mod common;

use common::engine;
use constellation_simulator::node::{Adversary, Report, Scenario};

fn run_all(adversary: Adversary, sizes: &[usize], seeds: std::ops::Range<u64>) -> Vec<Report> {
    let engine = engine();
    let scenarios = sizes.iter().flat_map(|nodes| seeds.clone().map(|seed| (*nodes, seed)));
    let run = |(nodes, seed)| {
        let scenario = Scenario::new(nodes, 0, adversary, seed).unwrap();
        let outcome = scenario.run(engine.clone());
        if let Some(violation) = outcome.violation {
            panic!("{violation}\nreplay it: constellation sim node {scenario}");
        }
        outcome.report
    };
    scenarios.map(run).collect()
}

#[test]
fn clusters_split_and_merge_and_nothing_is_lost() {
    let reports = run_all(Adversary::Resize, &[4, 7], 0..12);
    println!("{reports:?}");
}

#[test]
fn members_come_and_go_and_nothing_is_lost() {
    let reports = run_all(Adversary::Churn, &[5, 8], 0..12);
    println!("{reports:?}");
}

#[test]
fn dbg() {
    let get = |n: &str| std::env::var(n).unwrap();
    let adversary: Adversary = get("ADV").parse().unwrap();
    let scenario = Scenario::new(get("N").parse().unwrap(), 0, adversary, get("SEED").parse().unwrap()).unwrap();
    let o = scenario.run(engine());
    println!("{:?}", o);
}
