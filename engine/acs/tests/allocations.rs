//! Votes cost no allocation each: what a node allocates in an epoch follows from its messages and the size of its state.

#![allow(clippy::unwrap_used, reason = "a test that meets the unexpected must stop")]

use constellation_acs::{CODED_FROM_BYTES, Coin, Config, Message, Root, Seal, Seals, Subset, Vote};

const N: usize = 31;

/// Nobody asks for a coin in the common case.
struct NoCoin;

impl Coin for NoCoin {
    fn share(&self, _: u16, _: u32) -> Vec<u8> {
        unreachable!("no round has a coin")
    }

    fn check(&self, _: usize, _: u16, _: u32, _: &[u8]) -> Option<[u8; 32]> {
        unreachable!("no round has a coin")
    }
}

impl Seals for NoCoin {
    fn seal(&self, _: &Root) -> Seal {
        [0; 64]
    }

    fn is_sealed(&self, _: usize, _: &Root, _: &Seal) -> bool {
        true
    }
}

/// A message as it is sent, and how many votes are in it.
struct Sent {
    from: usize,
    bytes: Vec<u8>,
    votes: u64,
}

/// What node 0 heard, and what it took to decode and handle it.
#[derive(Debug, Default)]
struct Heard {
    messages: u64,
    votes: u64,
    allocations: u64,
}

#[test]
fn the_common_case_allocates_for_messages_and_not_for_votes() {
    let config = |me| Config { me, n: N, payload_max_bytes: 8, coded_from_bytes: CODED_FROM_BYTES };
    let mut nodes: Vec<_> = (0..N).map(|me| Subset::new(config(me), NoCoin)).collect();
    for (me, node) in nodes.iter_mut().enumerate() {
        node.propose(vec![me as u8; 8].into());
    }
    let mut heard = Heard::default();
    while !nodes.iter().all(Subset::is_finished) {
        let sent: Vec<Sent> = nodes.iter_mut().enumerate().flat_map(|(from, node)| speak(from, node)).collect();
        for message in sent {
            for (to, node) in nodes.iter_mut().enumerate().filter(|(to, _)| *to != message.from) {
                let taken = allocation_counter::measure(|| {
                    node.handle(message.from, Message::decode(&message.bytes, N).unwrap());
                });
                if to == 0 && message.votes > 0 {
                    heard.messages += 1;
                    heard.votes += message.votes;
                    heard.allocations += taken.count_total;
                }
            }
        }
    }
    // One ECHO message without the sender's own broadcast, and five that speak of all.
    let (n, others) = (N as u64, N as u64 - 1);
    assert_eq!((heard.messages, heard.votes), (6 * others, others * (others + 5 * n)));
    // The votes of a message are one list; each agreement has a list of rounds; a few more are what this node has to say.
    assert!(heard.allocations <= heard.messages + n + 20, "{heard:?}");
}

fn speak(from: usize, node: &mut Subset<NoCoin>) -> Vec<Sent> {
    let messages = node.take_outgoing().messages.into_iter();
    let sent = messages.map(|(_, message)| {
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        let votes = match message {
            Message::Votes(votes) => votes.iter().map(count).sum(),
            _ => 0,
        };
        Sent { from, bytes, votes }
    });
    sent.collect()
}

fn count(vote: &Vote) -> u64 {
    match vote {
        Vote::ReadyAsEchoed { proposers: set }
        | Vote::Agree { instances: set, .. }
        | Vote::Decided { instances: set, .. } => set.iter().count() as u64,
        Vote::Echo { .. } | Vote::Ready { .. } | Vote::Coin { .. } | Vote::CoinMin { .. } => 1,
    }
}
