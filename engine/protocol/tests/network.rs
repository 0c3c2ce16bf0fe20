//! Whole networks in the simulator: what is sent is committed, once, alike on every node, through kills, restarts and forks.

#![allow(clippy::unwrap_used, reason = "a test that meets the unexpected must stop")]

mod common;

use common::{assert_sound, network};
use constellation_acs::Message as SubsetMessage;
use constellation_chain::{
    BlackHole, Hash, Misconduct, MisconductKind, Reason, SecretKey, StarHead, Tier, Transaction,
};
use constellation_protocol::{Admission, Answer, Event, Message, Query, TransactionState};
use constellation_simulator::node::{Deceit, Network, Stars, star_key};

const SECOND_US: u64 = 1_000_000;

fn load(network: &mut Network, stars: &mut Stars, transfers: usize, gap_us: u64) {
    for _ in 0..transfers {
        stars.send_one(network);
        network.run(gap_us);
    }
}

#[test]
fn everything_sent_is_committed_alike_everywhere() {
    for (seed, nodes, seats) in [(1, 4, 4), (2, 7, 4), (3, 1, 1), (4, 2, 2), (5, 10, 7)] {
        let mut network = network(seed, nodes, seats, 40);
        let mut stars = Stars::new(40);
        network.run(50_000);
        load(&mut network, &mut stars, 60, 7_000);
        network.run(3 * SECOND_US);
        for index in 0..nodes {
            assert!(stars.all_applied(&network, index), "{nodes} nodes, {seats} seats: node {index} lacks something");
            assert_eq!(network.height(index), network.height(0));
        }
        assert_sound(&network);
        assert_eq!(network.faults, [], "nobody was faulty");
    }
}

#[test]
fn an_idle_network_makes_no_black_holes() {
    let mut network = network(1, 4, 4, 4);
    network.run(5 * SECOND_US);
    assert_eq!(network.height(0), 0);
}

#[test]
fn of_a_fork_sent_to_two_nodes_exactly_one_stands_and_the_pair_is_evidence() {
    for seed in 0..20 {
        let mut network = network(seed, 4, 4, 4);
        network.run(50_000);
        let start = StarHead::default();
        let (one, rival) = (network.transfer((0, start), (1, start), 5), network.transfer((0, start), (2, start), 5));
        network.submit(0, &one);
        network.submit(3, &rival);
        network.run(3 * SECOND_US);
        assert_sound(&network);
        for index in 0..4 {
            let applied = network.applied(index);
            assert_eq!(applied.contains(&one.id()) as u8 + applied.contains(&rival.id()) as u8, 1, "seed {seed}");
            let log = &network.disks[index].log;
            let evidence: Vec<_> = log.iter().flat_map(|(black_hole, _)| &black_hole.evidence).collect();
            assert_eq!(evidence.len(), 1, "seed {seed}: node {index}");
            assert!([one.id(), rival.id()].contains(&evidence[0].standing));
            assert!([one.id(), rival.id()].contains(&evidence[0].rival) && evidence[0].rival != evidence[0].standing);
            let censored: Vec<_> =
                log.iter().flat_map(|(black_hole, _)| black_hole.outcomes()).filter_map(|(_, reason)| reason).collect();
            assert_eq!(censored, [Reason::Fork]);
        }
    }
}

#[test]
fn a_node_that_was_away_catches_up_and_takes_part_again() {
    let mut network = network(7, 4, 4, 40);
    let mut stars = Stars::new(40);
    load(&mut network, &mut stars, 30, 10_000);
    network.kill(2);
    load(&mut network, &mut stars, 60, 10_000);
    network.run(SECOND_US);
    assert!(network.height(0) > network.height(2) + 3, "commits go on without it");
    network.start(2);
    network.run(3 * SECOND_US);
    assert!(stars.all_applied(&network, 2));
    // It takes part: with another one gone the network needs it.
    network.kill(0);
    load(&mut network, &mut stars, 20, 10_000);
    network.run(3 * SECOND_US);
    stars.resend(&mut network);
    network.run(3 * SECOND_US);
    assert!(stars.all_applied(&network, 2));
    assert_sound(&network);
}

#[test]
fn with_two_of_four_gone_commits_stop_and_go_on_when_one_comes_back() {
    for seed in 0..10 {
        let mut network = network(seed, 4, 4, 40);
        let mut stars = Stars::new(40);
        load(&mut network, &mut stars, 20 + seed as usize, 9_000);
        network.kill(1);
        network.kill(3);
        network.run(SECOND_US / 10);
        let stopped_at = network.height(0).max(network.height(2));
        load(&mut network, &mut stars, 20, 9_000);
        network.run(2 * SECOND_US);
        assert!(network.height(0).max(network.height(2)) <= stopped_at, "seed {seed}: two of four cannot commit");
        network.start(3);
        network.run(4 * SECOND_US);
        stars.resend(&mut network);
        network.run(4 * SECOND_US);
        for index in [0, 2, 3] {
            assert!(stars.all_applied(&network, index), "seed {seed}: node {index}");
        }
        assert_sound(&network);
    }
}

#[test]
fn kills_at_any_moment_lose_nothing_and_contradict_nothing() {
    for seed in 100..130 {
        let mut network = network(seed, 4, 4, 40);
        let mut stars = Stars::new(40);
        for _ in 0..6 {
            load(&mut network, &mut stars, 6, 3_000);
            let count = 1 + network.chance.index(4);
            let victims: Vec<usize> = (0..count).map(|_| network.chance.index(4)).collect();
            for &victim in &victims {
                network.kill(victim);
            }
            let away_us = network.chance.below(200_000);
            network.run(away_us);
            for victim in victims {
                if !network.is_up(victim) {
                    network.start(victim);
                }
            }
        }
        for _ in 0..4 {
            network.run(3 * SECOND_US);
            stars.resend(&mut network);
        }
        network.run(4 * SECOND_US);
        for index in 0..4 {
            assert!(
                stars.all_applied(&network, index),
                "seed {seed}: node {index} at height {}",
                network.height(index)
            );
        }
        assert_sound(&network);
        assert_eq!(network.faults, [], "seed {seed}: a restarted node contradicted itself");
    }
}

#[test]
fn garbage_from_a_peer_is_blamed_and_changes_nothing() {
    let mut network = network(9, 4, 4, 40);
    let mut stars = Stars::new(40);
    network.run(50_000);
    for i in 0..200u64 {
        let len = network.chance.index(90);
        let bytes: Vec<u8> = (0..len).map(|_| network.chance.below(256) as u8).collect();
        network.give(0, Event::Message { from: 3, bytes });
        let message = SubsetMessage::Payload { proposer: 0, seal: [0; 64], payload: [1; 100].into() };
        let far = Message::Round { tier: Tier::Galaxy, round: i * 1000, message }.to_bytes();
        network.give(0, Event::Message { from: 3, bytes: far });
    }
    load(&mut network, &mut stars, 20, 5_000);
    network.run(3 * SECOND_US);
    assert!((0..4).all(|index| stars.all_applied(&network, index)));
    assert!(network.faults.iter().any(|(by, fault)| (*by, fault.node) == (0, 3)));
    assert!(network.faults.iter().all(|(_, fault)| fault.node == 3), "{:?}", network.faults);
}

#[test]
fn clients_see_what_becomes_of_a_transaction() {
    let mut network = network(3, 4, 4, 4);
    network.run(50_000);
    let start = StarHead::default();
    let good = network.transfer((0, start), (1, start), 5);
    let overdraft = network.transfer((2, start), (3, start), 2_000_000);
    let tickets = [network.submit(1, &good), network.submit(1, &overdraft)];
    let Answer::Transaction(state) = network.ask(1, Query::Transaction(good.id())).unwrap() else { panic!() };
    assert_eq!(state, TransactionState::Admitted);
    network.run(2 * SECOND_US);
    assert!(tickets.iter().all(|ticket| network.admissions[ticket] == [Admission::Admitted]));
    let again = network.submit(2, &good);
    network.run(1_000);
    assert_eq!(network.admissions[&again], [Admission::Final]);
    let outcomes: Vec<_> = network.disks[0]
        .log
        .iter()
        .flat_map(|(black_hole, _)| black_hole.outcomes())
        .map(|(one, why)| (one.id(), why))
        .collect();
    assert!(outcomes.contains(&(good.id(), None)) && outcomes.contains(&(overdraft.id(), Some(Reason::Balance))));
    let Answer::Star(star) = network.ask(2, Query::Star(star_key(1).public_key())).unwrap() else { panic!() };
    assert_eq!((star.balance, star.head), (1_000_005, StarHead { sequence: 1, head: good.id() }));
    assert_eq!(network.status(0).unwrap().pool, 0);
}

#[test]
fn an_audit_finds_every_kind_of_tampering() {
    let mut network = network(11, 4, 4, 10);
    let mut stars = Stars::new(10);
    load(&mut network, &mut stars, 20, 20_000);
    network.run(SECOND_US);
    let log = std::mem::take(&mut network.disks[0].log);
    assert!(log.len() >= 3);
    let mut auditor = network.auditor();
    auditor.next(&log[0].0, &log[0].1).unwrap();
    let complaint = |change: &dyn Fn(&mut BlackHole)| {
        let mut black_hole = (*log[1].0).clone();
        change(&mut black_hole);
        let mut auditor = network.auditor();
        auditor.next(&log[0].0, &log[0].1).unwrap();
        auditor.next(&black_hole, &log[1].1).unwrap_err().to_string()
    };
    assert!(complaint(&|hole| hole.header.state.0[0] ^= 1).contains("does not verify"));
    assert!(complaint(&|hole| hole.header.previous.0[0] ^= 1).contains("does not follow"));
    assert!(complaint(&|hole| hole.lsh_blocks.clear()).contains("than was certified"));
    let forged = complaint(&|hole| {
        let mut sealed = (*hole.lsh_blocks[0]).clone();
        sealed.block.header.sketch[0] ^= 1;
        hole.lsh_blocks[0] = sealed.into();
    });
    assert!(forged.contains("does not verify"), "{forged}");
    let unsigned = complaint(&|hole| {
        let mut sealed = (*hole.lsh_blocks[0]).clone();
        let mut bytes = sealed.block.transactions[0].to_bytes();
        bytes[200] ^= 1;
        sealed.block.transactions[0] = Transaction::decode(&bytes, hole.header.network).unwrap().into();
        hole.lsh_blocks[0] = sealed.into();
    });
    assert!(unsigned.contains("signature of"), "{unsigned}");
    assert!(auditor.next(&log[2].0, &log[2].1).unwrap_err().to_string().contains("it follows black hole 1"));
}

#[test]
fn a_node_that_lost_its_journal_never_contradicts_itself() {
    for seed in 0..10 {
        let mut network = network(seed, 4, 4, 40);
        let mut stars = Stars::new(40);
        load(&mut network, &mut stars, 20, 9_000);
        network.kill(1);
        network.disks[1].journal.clear();
        network.start_without_journal(1);
        load(&mut network, &mut stars, 60, 9_000);
        for _ in 0..3 {
            network.run(2 * SECOND_US);
            stars.resend(&mut network);
        }
        assert_eq!(network.faults, [], "seed {seed}");
        assert!(stars.all_applied(&network, 1), "seed {seed}");
        // It speaks again: with another one gone the network needs it.
        network.kill(0);
        load(&mut network, &mut stars, 10, 9_000);
        for _ in 0..3 {
            network.run(2 * SECOND_US);
            stars.resend(&mut network);
        }
        assert!(stars.all_applied(&network, 1), "seed {seed}: it stays silent");
        assert_sound(&network);
    }
}

#[test]
fn what_waits_in_vain_makes_no_black_holes() {
    let mut network = network(1, 4, 4, 4);
    network.run(50_000);
    let gap = network.transfer((0, StarHead { sequence: 7, head: Hash([1; 32]) }), (1, StarHead::default()), 1);
    network.submit(0, &gap);
    network.run(5 * SECOND_US);
    assert_eq!(network.height(0), 0);
    assert_eq!(network.status(2).unwrap().pool, 1);
}

#[test]
fn a_spoilt_certificate_in_a_proposal_is_judged_alike_by_all() {
    for seed in 0..10 {
        let mut network = network(seed, 7, 4, 20);
        network.deceive(6, Deceit::SpoiltCertificates);
        let mut stars = Stars::new(20);
        load(&mut network, &mut stars, 30, 20_000);
        network.run(4 * SECOND_US);
        assert_sound(&network);
        assert!((0..6).all(|index| network.height(index) > 3), "seed {seed}");
    }
}

#[test]
fn a_copy_with_a_spoilt_signature_does_not_displace_the_good_one() {
    for seed in 0..10 {
        let mut network = network(seed, 4, 4, 20);
        network.deceive(2, Deceit::SpoiltProposals);
        let mut stars = Stars::new(20);
        load(&mut network, &mut stars, 30, 20_000);
        network.run(4 * SECOND_US);
        assert_sound(&network);
        assert!(stars.all_applied(&network, 0), "seed {seed}");
        assert_eq!(network.rounds_that_lack_proposals(), [0; 0]);
        assert!(network.faults.iter().all(|(_, fault)| fault.node == 2), "seed {seed}: {:?}", network.faults);
    }
}

/// A peer that serves spoilt records is blamed, and others are asked: the node that was away comes back all the same.
#[test]
fn a_peer_that_serves_bad_black_holes_is_blamed_and_replaced() {
    for seed in 0..5 {
        let mut network = network(seed, 4, 4, 40);
        let mut stars = Stars::new(40);
        network.kill(2);
        load(&mut network, &mut stars, 80, 20_000);
        network.run(2 * SECOND_US);
        let liar = seed as usize % 2;
        network.deceive(liar, Deceit::SpoiltRecords);
        network.start(2);
        network.run(4 * SECOND_US);
        assert!(stars.all_applied(&network, 2), "seed {seed}");
        assert_sound(&network);
        assert!(network.faults.iter().any(|(by, fault)| (*by, fault.node) == (2, liar as u16)), "seed {seed}");
    }
}

/// Who signs two blocks of one round is found out as soon as both signatures meet, and the proof is in the chain, where anybody can check it.
#[test]
fn a_double_signer_is_proven_guilty_in_the_chain_and_stops_nobody() {
    for seed in 0..5 {
        let mut network = network(seed, 4, 4, 20);
        network.deceive(2, Deceit::DoubleSigns);
        let mut stars = Stars::new(20);
        load(&mut network, &mut stars, 40, 20_000);
        network.run(4 * SECOND_US);
        assert_sound(&network);
        assert!(stars.all_applied(&network, 0), "seed {seed}");
        let guilty = SecretKey::from_seed([102; 32]).public_key();
        assert!(network.misconduct(0).count() > 0, "seed {seed}");
        assert!(network.misconduct(0).all(|proof| proof.member == guilty), "seed {seed}");
    }
}

/// Who proposes one thing to some and another to others is found out as soon as two of them compare: both payloads are sealed, and the two seals
/// are in the chain.
#[test]
fn who_proposes_two_things_is_proven_guilty_in_the_chain_and_stops_nobody() {
    for (seed, nodes) in [(0, 4), (1, 4), (2, 7)] {
        let mut network = network(seed, nodes, nodes, 20);
        network.deceive(2, Deceit::Equivocates);
        let mut stars = Stars::new(20);
        load(&mut network, &mut stars, 40, 20_000);
        network.run(4 * SECOND_US);
        assert_sound(&network);
        assert!(stars.all_applied(&network, 0), "seed {seed}");
        let guilty = SecretKey::from_seed([102; 32]).public_key();
        assert!(network.misconduct(0).count() > 0, "seed {seed}");
        let is_right = |proof: &Misconduct| proof.member == guilty && proof.kind() == MisconductKind::TwoProposals;
        assert!(network.misconduct(0).all(is_right), "seed {seed}");
    }
}

/// Where messages take longer than rounds have to wait for each other, a round broadcasts while the one before agrees.
#[test]
fn rounds_overlap_where_messages_take_long() {
    let mut network = network(5, 4, 4, 400);
    network.latency_min_us = 50_000;
    let mut stars = Stars::new(400);
    load(&mut network, &mut stars, 200, 5_000);
    network.run(5 * SECOND_US);
    assert_sound(&network);
    assert!(stars.all_applied(&network, 0));
    assert_eq!(network.rounds_that_lack_proposals(), [0; 0]);
    assert!(network.proposals_ahead > 8, "{} proposals ahead of a certificate", network.proposals_ahead);
}
