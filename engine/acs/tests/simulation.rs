//! Whole common subsets under adversarial orders of delivery, lying nodes and crashes. `ACS_SEED=<number>` runs one seed.

mod simulator;

use constellation_acs::{Config, Message, Outgoing, Subset, Target, Vote};
use simulator::{Network, PAYLOAD_MAX_BYTES, Report, TestCoin};

const RUNS: u64 = 8000;

#[test]
fn honest_nodes_agree_and_finish() {
    if let Ok(seed) = std::env::var("ACS_SEED") {
        let seed = seed.parse().expect("ACS_SEED is a number");
        return Network::new(seed).run();
    }
    let mut total = Report::default();
    for seed in 0..RUNS {
        let mut network = Network::new(seed);
        network.run();
        total.coins += network.report.coins;
        total.pulls += network.report.pulls;
        total.faults += network.report.faults;
        total.crashes += network.report.crashes;
        total.round_max = total.round_max.max(network.report.round_max);
    }
    println!("{total:?}");
    let Report { coins, pulls, faults, crashes, round_max } = total;
    assert!(coins > 0 && pulls > 0 && faults > 0 && crashes > 0 && round_max >= 2);
}

/// All nodes in step, nobody faulty: what a step calls for leaves as one message, and no second round begins.
#[test]
fn the_common_case_takes_seven_messages_a_node_and_one_round() {
    for n in [1, 2, 4, 7, 31] {
        let config = |me| Config { me, n, payload_max_bytes: PAYLOAD_MAX_BYTES };
        let coin = |me| TestCoin { me, seed: 1 };
        let mut nodes: Vec<_> = (0..n).map(|me| Subset::new(config(me), coin(me))).collect();
        for (me, node) in nodes.iter_mut().enumerate() {
            node.propose(vec![me as u8; 8].into());
        }
        let mut votes_messages = 0;
        for _ in 0..8 {
            let sent: Vec<_> = nodes.iter_mut().map(Subset::take_outgoing).collect();
            for (from, outgoing) in sent.into_iter().enumerate() {
                for (target, message) in outgoing.messages {
                    assert_eq!(target, Target::All);
                    if let Message::Votes(votes) = &message {
                        votes_messages += 1;
                        assert!(votes.iter().all(in_round_0), "{votes:?}");
                    }
                    for node in &mut nodes {
                        node.handle(from, message.clone());
                    }
                }
            }
        }
        for node in &mut nodes {
            assert!(node.is_finished() && node.take_faults().is_empty());
            assert_eq!(node.output().map(<[_]>::len), Some(n));
        }
        // ECHO of the own payload, ECHO of the rest, READY, echo, echo2, echo3, DECIDED. Alone, all at once.
        assert_eq!(votes_messages, if n == 1 { 1 } else { 7 * n });
    }
}

/// A node that has lost everything but its journal, and hears everything again, has nothing to add to what it said.
#[test]
fn a_restored_node_repeats_nothing_and_comes_to_the_same_output() {
    let n = 4;
    let config = |me| Config { me, n, payload_max_bytes: PAYLOAD_MAX_BYTES };
    let coin = |me| TestCoin { me, seed: 1 };
    let mut nodes: Vec<_> = (0..n).map(|me| Subset::new(config(me), coin(me))).collect();
    let (mut journal, mut heard) = (Vec::new(), Vec::new());
    for (me, node) in nodes.iter_mut().enumerate() {
        node.propose(vec![me as u8; 8].into());
    }
    while !nodes.iter().all(Subset::is_finished) {
        for from in 0..n {
            let outgoing = nodes[from].take_outgoing();
            for (_, message) in outgoing.messages {
                heard.push((from, message.clone()));
                for node in &mut nodes {
                    node.handle(from, message.clone());
                }
            }
            if from == 0 {
                journal.extend(outgoing.journal);
            }
        }
    }
    journal.extend(nodes[0].take_outgoing().journal);
    let mut restored = Subset::restore(config(0), coin(0), journal);
    assert!(restored.has_proposed());
    for (from, message) in heard {
        restored.handle(from, message);
    }
    assert_eq!(restored.take_outgoing(), Outgoing::default());
    assert_eq!(restored.output(), nodes[0].output());
    assert!(restored.is_finished() && restored.take_faults().is_empty());
}

fn in_round_0(vote: &Vote) -> bool {
    match vote {
        Vote::Agree { round, .. } => *round == 0,
        Vote::Coin { .. } | Vote::CoinMin { .. } => false,
        Vote::Echo { .. } | Vote::Ready { .. } | Vote::Decided { .. } => true,
    }
}
