//! A machine that is fed fragments, some of them of roots that are no payload's, is ready for the roots of payloads only.
#![no_main]

use std::collections::BTreeSet;

use constellation_acs::{Coin, Config, Fragment, Message, Root, Seal, Seals, Subset, Vote};
use libfuzzer_sys::fuzz_target;

const N: usize = 4;
/// Whose broadcast it is. Node i keeps piece i − 2 of four, in a circle; any two make the payload.
const PROPOSER: usize = 1;

struct OpenCoin;

impl Coin for OpenCoin {
    fn share(&self, _: u16, _: u32) -> Vec<u8> {
        vec![1]
    }

    fn check(&self, _: usize, _: u16, _: u32, proof: &[u8]) -> Option<[u8; 32]> {
        proof.first().map(|byte| [*byte; 32])
    }
}

impl Seals for OpenCoin {
    fn seal(&self, _: &Root) -> Seal {
        [0; 64]
    }

    /// Nobody else makes this node's.
    fn is_sealed(&self, proposer: usize, _: &Root, seal: &Seal) -> bool {
        proposer != 0 && seal[1] == 0
    }
}

fn machine(me: usize) -> Subset<OpenCoin> {
    Subset::new(Config { me, n: N, payload_max_bytes: 64, coded_from_bytes: 0 }, OpenCoin)
}

fn keyed(what: &str, bytes: &[u8]) -> [u8; 32] {
    let key = format!("constellation.acs.fragment.{what}.");
    *blake3::keyed_hash(key.as_bytes().try_into().expect("32 bytes"), bytes).as_bytes()
}

/// Four pieces under a root, whether or not they are a payload's.
fn hashed_up(payload_len_bytes: usize, pieces: [&[u8]; N]) -> (Root, Vec<Fragment>) {
    let leaf = |piece: &[u8]| keyed("leaf", &[piece, &(piece.len() as u64).to_le_bytes()].concat());
    let leaves = pieces.map(leaf);
    let pairs = [[leaves[0], leaves[1]], [leaves[2], leaves[3]]].map(|pair| keyed("node", pair.as_flattened()));
    let top = keyed("node", pairs.as_flattened());
    let root = keyed("root", &[&(payload_len_bytes as u64).to_le_bytes()[..], &top].concat());
    let fragment = |index: usize| {
        let branch = vec![leaves[index ^ 1], pairs[(index >> 1) ^ 1]];
        Fragment { index, seal: [0; 64], payload_len_bytes, branch, bytes: pieces[index].into() }
    };
    (root, (0..N).map(fragment).collect())
}

/// The root and the fragments that the proposer sends.
fn proposed(payload: &[u8]) -> (Root, Vec<Fragment>) {
    let mut proposer = machine(PROPOSER);
    proposer.propose(payload.into());
    let messages = proposer.take_outgoing().messages.into_iter();
    let fragments: Vec<_> = messages
        .filter_map(|(_, message)| match message {
            Message::Fragment { root, fragment, .. } => Some((root, fragment)),
            _ => None,
        })
        .collect();
    (fragments[0].0, fragments.into_iter().map(|(_, fragment)| fragment).collect())
}

fuzz_target!(|input: &[u8]| {
    let mut node = machine(0);
    let mut payloads_roots = BTreeSet::new();
    let mut echoed = None;
    let mut rest = input;
    // Whether they are a payload's, how many bytes, and the bytes; then who sends what, until a byte says otherwise.
    while let Some((&[kind, len], behind)) = rest.split_first_chunk() {
        let (bytes, behind) = behind.split_at(usize::from(len % 64).min(behind.len()));
        rest = behind;
        let (root, fragments) = if kind & 1 == 0 {
            let (root, fragments) = proposed(bytes);
            payloads_roots.insert(root);
            (root, fragments)
        } else {
            let (pieces, odd) = bytes.as_chunks::<8>();
            let piece = |at: usize| pieces.get(at).map_or(&[0; 8][..], |piece| &piece[..]);
            hashed_up(13 + odd.len() % 4, [piece(0), piece(1), piece(2), piece(3)])
        };
        while let Some((&byte, behind)) = rest.split_first() {
            rest = behind;
            let from = usize::from(byte & 3);
            match (byte >> 2) & 7 {
                which @ 0..=3 => {
                    if let Some(fragment) = fragments.get(usize::from(which)).cloned() {
                        node.handle(from, Message::Fragment { proposer: PROPOSER, root, fragment });
                    }
                }
                4 => node.handle(from, Message::Votes(vec![Vote::Echo { proposer: PROPOSER, root }])),
                5 => node.handle(from, Message::Pull { proposer: PROPOSER, root }),
                6 => node.tick(),
                _ => break,
            }
            for (_, message) in node.take_outgoing().messages {
                let Message::Votes(votes) = message else { continue };
                for vote in votes {
                    let ready = match vote {
                        Vote::Echo { root, .. } => {
                            echoed = Some(root);
                            continue;
                        }
                        Vote::Ready { root, .. } => Some(root),
                        Vote::ReadyAsEchoed { .. } => echoed,
                        _ => continue,
                    };
                    assert!(ready.is_some_and(|root| payloads_roots.contains(&root)), "nobody is ready for another");
                }
            }
        }
    }
});
