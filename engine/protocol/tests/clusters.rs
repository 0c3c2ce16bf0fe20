//! Several clusters under one galaxy: what crosses from one to another is ordered by the galaxy, alike everywhere, through kills and lies.

#![allow(clippy::unwrap_used, reason = "a test that meets the unexpected must stop")]

mod common;

use common::{assert_sound, engine, network};
use constellation_chain::{Hash, LshHeader, PublicKey, Reason, StarHead, home_cluster};
use constellation_simulator::node::{Deceit, Network, Options, Stars, star_key};
use std::collections::BTreeSet;

const SECOND_US: u64 = 1_000_000;

/// A network of several clusters, of so many seats each.
fn clustered(seed: u64, nodes: usize, clusters_and_seats: (u32, usize), stars: usize) -> Network {
    Network::new(Options::new(seed, nodes, clusters_and_seats, stars), engine())
}

fn load(network: &mut Network, stars: &mut Stars, transfers: usize, gap_us: u64) {
    for _ in 0..transfers {
        stars.send_one(network);
        network.run(gap_us);
    }
}

fn headers(network: &Network) -> impl Iterator<Item = &LshHeader> {
    let log = network.disks[0].log.iter();
    log.flat_map(|(black_hole, _)| &black_hole.lsh_blocks).map(|sealed| &sealed.block.header)
}

/// The first star, from number `from` on, that is at home in a cluster.
fn star_of(cluster: u32, clusters: u32, from: usize) -> usize {
    (from..).find(|star| home_cluster(&star_key(*star).public_key(), clusters) == cluster).unwrap()
}

#[test]
fn everything_sent_is_committed_alike_everywhere() {
    for (seed, nodes, clusters, seats) in [(1, 4, 2, 4), (2, 8, 4, 4), (3, 7, 3, 5), (4, 1, 4, 1), (5, 8, 16, 8)] {
        let mut network = clustered(seed, nodes, (clusters, seats), 60);
        let mut stars = Stars::new(60);
        network.run(50_000);
        load(&mut network, &mut stars, 120, 5_000);
        network.run(5 * SECOND_US);
        for index in 0..nodes {
            assert!(
                stars.all_applied(&network, index),
                "{nodes} nodes, {clusters} clusters: node {index} lacks something"
            );
        }
        assert_sound(&network);
        assert_eq!(network.faults, [], "nobody was faulty");
        let seen: BTreeSet<u32> = headers(&network).map(LshHeader::cluster).collect();
        assert_eq!(seen.len(), clusters as usize, "every cluster made blocks");
        assert_eq!(network.rounds_that_lack_proposals(), []);
    }
}

#[test]
fn what_a_star_initiates_is_in_a_block_of_its_own_cluster() {
    let mut network = clustered(6, 8, (4, 4), 40);
    let mut stars = Stars::new(40);
    load(&mut network, &mut stars, 80, 5_000);
    network.run(5 * SECOND_US);
    let log = &network.disks[0].log;
    let mut count = 0;
    for sealed in log.iter().flat_map(|(black_hole, _)| &black_hole.lsh_blocks) {
        for transaction in &sealed.block.transactions {
            assert_eq!(home_cluster(&transaction.initiator(), 4), sealed.block.header.cluster());
            count += 1;
        }
    }
    assert_eq!(count, 80);
}

#[test]
fn a_double_spend_across_two_clusters_is_resolved_alike_and_leaves_evidence() {
    for seed in 0..20 {
        let mut network = clustered(seed, 8, (4, 4), 60);
        network.run(50_000);
        // The spender is at home in cluster 1; it signs its first number as initiator there, and as counterparty of a star of cluster 3.
        let spender = star_of(1, 4, 0);
        let (payee, payer) = (star_of(2, 4, 0), star_of(3, 4, 0));
        let start = StarHead::default();
        let spent = network.transfer((spender, start), (payee, start), 700_000);
        let rival = network.transfer((payer, start), (spender, start), 5);
        network.submit(0, &spent);
        network.submit(5, &rival);
        network.run(4 * SECOND_US);
        assert_sound(&network);
        let stands: Vec<BTreeSet<Hash>> = (0..8).map(|index| network.applied(index)).collect();
        assert!(stands.iter().all(|applied| *applied == stands[0]), "seed {seed}");
        assert_eq!(stands[0].len(), 1, "seed {seed}: exactly one side stands");
        for disk in &network.disks {
            let evidence: Vec<PublicKey> =
                disk.log.iter().flat_map(|(black_hole, _)| &black_hole.evidence).map(|fork| fork.star).collect();
            assert_eq!(evidence, [star_key(spender).public_key()], "seed {seed}");
            let outcomes = disk.log.iter().flat_map(|(black_hole, _)| black_hole.outcomes());
            assert_eq!(outcomes.filter_map(|(_, reason)| reason).collect::<Vec<_>>(), [Reason::Fork], "seed {seed}");
        }
    }
}

#[test]
fn nodes_without_a_seat_are_given_the_blocks_once() {
    let mut network = network(7, 8, 4, 40);
    let mut stars = Stars::new(40);
    network.run(50_000);
    load(&mut network, &mut stars, 60, 5_000);
    network.run(3 * SECOND_US);
    assert!((0..8).all(|index| stars.all_applied(&network, index)));
    assert_eq!(network.sent.lsh_blocks_asked, 0);
}

#[test]
fn it_goes_on_through_kills_and_lies() {
    for seed in 0..12 {
        let mut network = clustered(seed, 4, (3, 4), 40);
        let mut stars = Stars::new(40);
        network.run(50_000);
        if seed % 3 == 2 {
            network.deceive(3, Deceit::Lies);
        }
        for round in 0..4 {
            load(&mut network, &mut stars, 10, 10_000);
            let down: Vec<usize> = match seed % 3 {
                0 => vec![round % 4],
                1 => vec![0, 1, 2],
                _ => continue,
            };
            down.iter().for_each(|index| network.kill(*index));
            load(&mut network, &mut stars, 5, 10_000);
            down.iter().for_each(|index| network.start(*index));
        }
        for _ in 0..12 {
            network.run(3 * SECOND_US);
            stars.resend(&mut network);
        }
        network.run(3 * SECOND_US);
        for index in network.honest_up() {
            assert!(stars.all_applied(&network, index), "seed {seed}: node {index} lacks something");
        }
        assert_sound(&network);
    }
}

/// What a network of 4 nodes sends while each cluster commits so many transfers a second, for two seconds.
fn sent_under_load(clusters: u32, per_cluster_s: u64) -> (Network, u64) {
    let stars_count = 200 * clusters as usize;
    let mut network = clustered(9, 4, (clusters, 4), stars_count);
    let mut stars = Stars::new(stars_count);
    network.run(50_000);
    let transfers = 2 * per_cluster_s * u64::from(clusters);
    load(&mut network, &mut stars, transfers as usize, 2 * SECOND_US / transfers);
    network.run(2 * SECOND_US);
    assert!(stars.all_applied(&network, 0));
    assert_sound(&network);
    (network, transfers)
}

#[test]
fn what_a_transaction_costs_is_the_same_with_one_cluster_and_with_sixteen() {
    let cost = |clusters| {
        let (network, transfers) = sent_under_load(clusters, 60);
        [network.sent.messages, network.sent.bytes].map(|count| count as f64 / transfers as f64)
    };
    let one = cost(1);
    for clusters in [2, 4, 16] {
        let many = cost(clusters);
        for (one, many) in one.into_iter().zip(many) {
            assert!((many / one - 1.0).abs() <= 0.15, "{clusters} clusters: {many} a transaction, one: {one}");
        }
    }
}

#[test]
fn what_the_galaxy_says_depends_on_blocks_and_not_on_transactions() {
    let galaxy_bytes_a_block = |rate_per_s| {
        let (network, _) = sent_under_load(2, rate_per_s);
        network.sent.galaxy_bytes as f64 / headers(&network).count() as f64
    };
    let (few, many) = (galaxy_bytes_a_block(20), galaxy_bytes_a_block(600));
    assert!(many <= 1.15 * few, "{few} bytes a block, and {many} with thirty times the transactions");
}
