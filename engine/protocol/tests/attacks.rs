//! Whole networks under attack: partitions, silent and lying nodes, floods, kills at every step.

#![allow(clippy::unwrap_used, reason = "a test that meets the unexpected must stop")]

mod common;

use common::{assert_sound, engine, network};
use constellation_simulator::node::{Adversary, Network, Report, Scenario, Stars};

const SECOND_US: u64 = 1_000_000;

fn run(nodes: usize, faulty: usize, adversary: Adversary, seed: u64) -> Report {
    let scenario = Scenario::new(nodes, faulty, adversary, seed).unwrap();
    let outcome = scenario.run(engine());
    if let Some(violation) = outcome.violation {
        panic!("{violation}\nreplay it: constellation sim node {scenario}");
    }
    outcome.report
}

#[test]
fn a_partition_of_eight_and_eight_heals() {
    run(16, 0, Adversary::Partition, 1);
}

#[test]
fn with_five_of_sixteen_silent_commits_go_on() {
    run(16, 5, Adversary::Calm, 1);
}

#[test]
fn with_five_of_sixteen_lying_commits_go_on() {
    let report = run(16, 5, Adversary::Lies, 1);
    assert!(report.faults > 0, "nobody was found out");
}

#[test]
fn three_of_four_killed_at_once_come_back_and_go_on() {
    for seed in 0..10 {
        let report = run(4, 0, Adversary::MassKill, seed);
        assert_eq!(report.kills, 6);
    }
}

#[test]
fn every_adversary_is_borne_by_small_networks() {
    for adversary in Adversary::ALL {
        let faulty = usize::from(!adversary.hurts_honest_nodes());
        for seed in 10..13 {
            run(4, faulty, adversary, seed);
        }
    }
}

/// Links are lossless and computing is free in virtual time, so what a flood costs shows in latency if it delays anybody's round.
#[test]
fn a_flood_of_future_rounds_slows_nobody_down() {
    let mean_us = |faulty, adversary| {
        let reports: Vec<Report> = (0..8).map(|seed| run(4, faulty, adversary, seed)).collect();
        let committed: u64 = reports.iter().map(|report| report.committed).sum();
        reports.iter().map(|report| report.latency_sum_us).sum::<u64>() / committed
    };
    let (calm, flooded) = (mean_us(0, Adversary::Calm), mean_us(1, Adversary::Flood));
    assert!(flooded <= calm + calm / 10, "{flooded} µs from submission to log instead of {calm}");
}

fn load(network: &mut Network, stars: &mut Stars, transfers: usize) {
    for _ in 0..transfers {
        stars.send_one(network);
        network.run(20_000);
    }
}

/// A network in the middle of its work, always the same.
fn at_work() -> (Network, Stars) {
    let mut network = network(3, 4, 4, 10);
    let mut stars = Stars::new(10);
    network.run(20_000);
    load(&mut network, &mut stars, 3);
    (network, stars)
}

/// How many actions node 0 carries out in the round of both tiers that comes next.
fn actions_of_a_round() -> u64 {
    let (mut network, mut stars) = at_work();
    let (before, height) = (network.actions[0], network.height(0));
    while network.height(0) < height + 2 {
        load(&mut network, &mut stars, 1);
    }
    network.actions[0] - before
}

/// Node 0 is killed after each single action of a round in turn, alone or with two others, and comes back.
#[test]
fn a_kill_at_every_step_of_a_round_contradicts_nothing() {
    let actions = actions_of_a_round();
    assert!(actions > 50, "{actions} actions are no round");
    for (step, others) in (0..actions).flat_map(|step| [(step, &[][..]), (step, &[1, 2][..])]) {
        let (mut network, mut stars) = at_work();
        network.kill_after_actions(0, step);
        for _ in 0..50 {
            load(&mut network, &mut stars, 1);
            if !network.is_up(0) {
                break;
            }
        }
        assert!(!network.is_up(0), "step {step} of {actions} never came");
        others.iter().for_each(|&other| network.kill(other));
        network.run(10_000);
        network.start(0);
        others.iter().for_each(|&other| network.start(other));
        for _ in 0..4 {
            network.run(SECOND_US / 2);
            if (0..4).all(|index| stars.all_applied(&network, index)) {
                break;
            }
            network.run(SECOND_US);
            stars.resend(&mut network);
        }
        for index in 0..4 {
            assert!(stars.all_applied(&network, index), "step {step}, with {others:?}: node {index} is stuck");
        }
        assert_sound(&network);
        assert_eq!(network.faults, [], "step {step}, with {others:?}");
    }
}
