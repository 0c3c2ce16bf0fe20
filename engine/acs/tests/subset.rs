//! Common subsets without an adversary, message by message. With adversaries they are in the simulator's own tests.

use constellation_acs::{Config, Message, Outgoing, Subset, Target, Vote};
use constellation_simulator::acs::OpenCoin;

const PAYLOAD_MAX_BYTES: usize = 64;
const FORMS: [usize; 2] = [0, usize::MAX];

fn machines(n: usize, coded_from_bytes: usize) -> Vec<Subset<OpenCoin>> {
    let config = |me| Config { me, n, payload_max_bytes: PAYLOAD_MAX_BYTES, coded_from_bytes };
    let mut nodes: Vec<_> = (0..n).map(|me| Subset::new(config(me), OpenCoin { me, seed: 1 })).collect();
    for (me, node) in nodes.iter_mut().enumerate() {
        node.propose(vec![me as u8; 8].into());
    }
    nodes
}

/// All nodes in step, nobody faulty: what a step calls for leaves as one message, and no second round begins. In the coded
/// form fragments go besides.
#[test]
fn the_common_case_takes_seven_messages_a_node_and_one_round() {
    for (n, coded_from_bytes) in [1, 2, 4, 7, 31].into_iter().flat_map(|n| FORMS.map(|form| (n, form))) {
        let mut nodes = machines(n, coded_from_bytes);
        let (mut votes_messages, mut pieces) = (0, 0);
        for _ in 0..8 {
            let sent: Vec<_> = nodes.iter_mut().map(Subset::take_outgoing).collect();
            for (from, outgoing) in sent.into_iter().enumerate() {
                for (target, message) in outgoing.messages {
                    match &message {
                        Message::Votes(votes) => {
                            votes_messages += 1;
                            assert!(target == Target::All && votes.iter().all(in_round_0), "{votes:?}");
                        }
                        Message::Payload { .. } => assert!(target == Target::All && coded_from_bytes > 0),
                        Message::Fragment { .. } | Message::Pull { .. } | Message::Seal { .. } => {
                            pieces += usize::from(target != Target::All)
                        }
                    }
                    for (to, node) in nodes.iter_mut().enumerate() {
                        if [Target::All, Target::One(to)].contains(&target) {
                            node.handle(from, message.clone());
                        }
                    }
                }
            }
        }
        for node in &mut nodes {
            assert!(node.is_finished() && node.take_faults().is_empty());
            assert_eq!(node.output().map(<[_]>::len), Some(n));
        }
        // ECHO, READY, echo, echo2, echo3, DECIDED; a payload is its proposer's ECHO, a fragment is not. Alone, all at once.
        let steps = if coded_from_bytes == 0 { 7 } else { 6 };
        assert_eq!(votes_messages, if n == 1 { 1 } else { steps * n });
        assert_eq!(pieces > 0, coded_from_bytes == 0 && n > 1);
    }
}

/// A node that has lost everything but its journal, and hears everything again, has nothing to add to what it said, but
/// that it sends the fragments of its own proposal again.
#[test]
fn a_restored_node_repeats_nothing_and_comes_to_the_same_output() {
    for coded_from_bytes in FORMS {
        let n = 4;
        let mut nodes = machines(n, coded_from_bytes);
        let (mut journal, mut heard, mut handed_out) = (Vec::new(), Vec::new(), Vec::new());
        while !nodes.iter().all(Subset::is_finished) {
            for from in 0..n {
                let outgoing = nodes[from].take_outgoing();
                for (target, message) in outgoing.messages {
                    for (to, node) in nodes.iter_mut().enumerate() {
                        if [Target::All, Target::One(to)].contains(&target) {
                            node.handle(from, message.clone());
                        }
                    }
                    match &message {
                        Message::Fragment { proposer: 0, .. } if from == 0 => handed_out.push((target, message)),
                        _ if [Target::All, Target::One(0)].contains(&target) => heard.push((from, message)),
                        _ => {}
                    }
                }
                if from == 0 {
                    journal.extend(outgoing.journal);
                }
            }
        }
        journal.extend(nodes[0].take_outgoing().journal);
        let config = Config { me: 0, n, payload_max_bytes: PAYLOAD_MAX_BYTES, coded_from_bytes: 1 };
        let mut restored = Subset::restore(config, OpenCoin { me: 0, seed: 1 }, journal);
        assert!(restored.has_proposed());
        handed_out.truncate(n - 1);
        assert_eq!(restored.take_outgoing(), Outgoing { messages: handed_out, ..Outgoing::default() });
        for (from, message) in heard {
            restored.handle(from, message);
        }
        let outgoing = restored.take_outgoing();
        assert_eq!(outgoing.journal, []);
        // Pulls, and answers to them.
        assert!(outgoing.messages.iter().all(|(target, _)| *target != Target::All), "{outgoing:?}");
        assert_eq!(restored.output(), nodes[0].output());
        assert!(restored.is_finished() && restored.take_faults().is_empty());
    }
}

fn in_round_0(vote: &Vote) -> bool {
    match vote {
        Vote::Agree { round, .. } => *round == 0,
        Vote::Coin { .. } | Vote::CoinMin { .. } => false,
        Vote::Echo { .. } | Vote::Ready { .. } | Vote::ReadyAsEchoed { .. } | Vote::Decided { .. } => true,
    }
}
