//! Who takes part changes: clusters split and merge, validators come and go, the absent are replaced. A failing run of a scenario names the words with which
//! `constellation sim node` replays it.

#![allow(clippy::unwrap_used, reason = "a test that meets the unexpected must stop")]

mod common;

use common::{assert_sound, engine, network};
use constellation_chain::{Growth, Kind, StarHead};
use constellation_simulator::node::{Adversary, Changes, Network, Options, Scenario, Stars};

const SECOND_US: u64 = 1_000_000;

fn run_all(adversary: Adversary, sizes: &[usize], seeds: std::ops::Range<u64>) -> Changes {
    let engine = engine();
    let mut sum = Changes::default();
    for (nodes, seed) in sizes.iter().flat_map(|nodes| seeds.clone().map(|seed| (*nodes, seed))) {
        let scenario = Scenario::new(nodes, 0, adversary, seed).unwrap();
        let outcome = scenario.run(engine.clone());
        if let Some(violation) = outcome.violation {
            panic!("{violation}\nreplay it: constellation sim node {scenario}");
        }
        let Changes { splits, merges, elected_anew, validators } = outcome.report.changes;
        sum.splits += splits;
        sum.merges += merges;
        sum.elected_anew += elected_anew;
        sum.validators += validators;
    }
    sum
}

#[test]
fn clusters_split_and_merge_and_nothing_is_lost() {
    let changes = run_all(Adversary::Resize, &[4, 5], 0..6);
    assert!(changes.splits >= 12 && changes.merges >= 12, "{changes:?}");
}

#[test]
fn members_come_and_go_and_nothing_is_lost() {
    let changes = run_all(Adversary::Churn, &[1, 2, 4, 5, 8], 0..8);
    assert!(changes.validators >= 24 && changes.splits >= 12, "{changes:?}");
}

/// Five nodes, two clusters that do not change, and epochs of eight black holes.
fn small() -> (Network, Stars) {
    let growth = Growth { epoch_black_holes: 8, validators_min: 3, ..Growth::default() };
    let network = Network::new(Options { growth, ..Options::new(3, 5, (2, 5), 20) }, engine());
    (network, Stars::new(20))
}

fn load(network: &mut Network, stars: &mut Stars, transfers: usize) {
    for _ in 0..transfers {
        stars.send_one(network);
        network.run(10_000);
    }
}

#[test]
fn who_leaves_is_out_when_the_epoch_ends_and_follows_and_can_come_back() {
    let (mut network, mut stars) = small();
    network.run(50_000);
    let leave = network.request(4, Kind::Leave, StarHead::default());
    network.submit(0, &leave);
    // Nothing else happens: that somebody wants to leave is reason enough for the epoch to end.
    network.run(3 * SECOND_US);
    let status = network.status(4).unwrap();
    assert_eq!((status.is_validator, status.validators, status.seats_open), (false, 4, 0), "it can be switched off");
    load(&mut network, &mut stars, 30);
    network.run(3 * SECOND_US);
    let status = network.status(4).unwrap();
    assert_eq!(status.height, network.status(0).unwrap().height);
    assert!(stars.all_applied(&network, 4), "it follows");

    network.kill(4);
    load(&mut network, &mut stars, 30);
    network.start(4);
    let join = network.request(4, Kind::Join, StarHead { sequence: 1, head: leave.id() });
    network.submit(4, &join);
    network.run(3 * SECOND_US);
    load(&mut network, &mut stars, 10);
    network.run(2 * SECOND_US);
    let status = network.status(4).unwrap();
    assert!(status.is_validator && status.seats_open > 0, "{status:?}");
    assert!((0..5).all(|index| stars.all_applied(&network, index)));
    assert_sound(&network);
}

#[test]
fn a_cluster_whose_facilitators_are_gone_gets_others() {
    let mut elected_anew = 0;
    for seed in 0..6 {
        // Seven validators bear two that are gone; four facilitators, of whom both may be two, do not.
        let mut network = network(seed, 7, 4, 40);
        let mut stars = Stars::new(40);
        network.run(50_000);
        network.kill(5);
        network.kill(6);
        load(&mut network, &mut stars, 60);
        for _ in 0..10 {
            network.run(3 * SECOND_US);
            stars.resend(&mut network);
        }
        assert!((0..5).all(|index| stars.all_applied(&network, index)), "seed {seed}");
        assert_eq!(network.violation(), None);
        elected_anew += network.check_logs().unwrap().elected_anew;
    }
    assert!(elected_anew > 0, "no committee had both");
}

#[test]
fn two_in_five_gone_without_a_word_stall_the_galaxy_and_lose_nothing() {
    let (mut network, mut stars) = small();
    load(&mut network, &mut stars, 20);
    network.run(SECOND_US);
    network.kill(3);
    network.kill(4);
    load(&mut network, &mut stars, 20);
    network.run(20 * SECOND_US);
    assert!(!stars.all_applied(&network, 0), "three of five are no quorum");
    network.start(3);
    for _ in 0..6 {
        network.run(3 * SECOND_US);
        stars.resend(&mut network);
    }
    assert!((0..4).all(|index| stars.all_applied(&network, index)));
    network.start(4);
    network.run(3 * SECOND_US);
    assert!(stars.all_applied(&network, 4));
    assert_sound(&network);
}
