//! What faulty nodes do with fragments. Fragments of nothing need a tree of their own, made here from its description in
//! `constellation_acs`: that honest machines take them shows that the description is right.

use constellation_acs::{Fragment, Message, Root, Subset};

use super::coin::{OpenCoin, seal};
use super::nodes::{PAYLOAD_MAX_BYTES, config, payload, sealed_payload};
use crate::chance::Chance;

type Hash = [u8; 32];

/// Payloads that a faulty node may come to propose.
pub(crate) const VARIANTS: u64 = 3;

/// How a faulty node sends out its proposal in the coded form.
#[derive(Clone, Debug)]
pub(crate) enum Scheme {
    /// As it should.
    Right,
    /// Not at all.
    Withheld,
    /// Fragments of another root, by index: another payload's, or nothing's.
    Other(Root, Vec<Option<Fragment>>),
    /// This variant of the payload, whole.
    Whole(u64),
    /// Fragments that do not belong to their root.
    Spoilt,
}

/// It chooses anew for every message; often there is one scheme only, as no lie comes to a quorum otherwise.
pub(crate) fn schemes(chance: &mut Chance, me: usize, n: usize) -> Vec<Scheme> {
    let count = 1 + chance.below(3);
    (0..count).map(|_| scheme(chance, me, n)).collect()
}

fn scheme(chance: &mut Chance, me: usize, n: usize) -> Scheme {
    match chance.below(9) {
        0..=2 => Scheme::Right,
        8 => {
            // To each what is for its neighbour.
            let (root, mut fragments) = proposal(me, n, 0);
            fragments.rotate_left(1);
            Scheme::Other(root, fragments)
        }
        3 => Scheme::Withheld,
        4 => {
            let (root, fragments) = proposal(me, n, chance.below(VARIANTS));
            Scheme::Other(root, fragments)
        }
        5 => {
            let (root, fragments) = fragments_of_nothing(chance, me, n);
            Scheme::Other(root, fragments)
        }
        6 => Scheme::Whole(chance.below(VARIANTS)),
        _ => Scheme::Spoilt,
    }
}

impl Scheme {
    /// What is sent instead of a fragment of the sender's own proposal.
    pub fn in_place_of(&self, me: usize, root: &Root, fragment: &Fragment, chance: &mut Chance) -> Option<Message> {
        let (mut root, mut fragment) = (*root, fragment.clone());
        match self {
            Self::Right => {}
            Self::Withheld => return None,
            Self::Other(other, fragments) => {
                root = *other;
                fragment = fragments[fragment.index].clone()?;
            }
            Self::Whole(variant) => return Some(sealed_payload(me, *variant)),
            Self::Spoilt => spoil(&mut root, &mut fragment, chance),
        }
        Some(Message::Fragment { proposer: me, root, fragment })
    }
}

/// The root and the fragments of a payload, as a machine that proposes it sends them; its own it keeps.
pub(crate) fn proposal(proposer: usize, n: usize, variant: u64) -> (Root, Vec<Option<Fragment>>) {
    let mut machine = Subset::new(config(proposer, n, true), OpenCoin { me: proposer, seed: 0 });
    machine.propose(payload(proposer, variant));
    let (mut root, mut fragments) = ([0; 32], vec![None; n]);
    for (_, message) in machine.take_outgoing().messages {
        if let Message::Fragment { root: its, fragment, .. } = message {
            root = its;
            let index = fragment.index;
            fragments[index] = Some(fragment);
        }
    }
    (root, fragments)
}

/// Changes one thing about a fragment.
pub(crate) fn spoil(root: &mut Root, fragment: &mut Fragment, chance: &mut Chance) {
    match chance.below(5) {
        0 => root[0] ^= 1,
        4 => fragment.seal[0] ^= 1,
        1 => fragment.payload_len_bytes ^= 1 << chance.below(8),
        2 if !fragment.branch.is_empty() => fragment.branch[0][0] ^= 1,
        _ => fragment.bytes = fragment.bytes.iter().map(|byte| byte ^ 1).collect(),
    }
}

/// Pieces that are no payload's, rightly hashed up to a root.
fn fragments_of_nothing(chance: &mut Chance, me: usize, n: usize) -> (Root, Vec<Option<Fragment>>) {
    let payload_len_bytes = 1 + chance.index(PAYLOAD_MAX_BYTES);
    let piece_len = payload_len_bytes.div_ceil(n - 2 * super::faulty_max(n)).next_multiple_of(2);
    let pieces: Vec<Vec<u8>> = (0..n).map(|_| (0..piece_len).map(|_| chance.bits() as u8).collect()).collect();
    let leaf = |piece: &Vec<u8>| keyed("leaf", &[&piece[..], &(piece_len as u64).to_le_bytes()].concat());
    let leaves: Vec<Hash> = pieces.iter().map(leaf).collect();
    let (top, branches) = tree(&leaves);
    let root = keyed("root", &[&(payload_len_bytes as u64).to_le_bytes()[..], &top].concat());
    let fragments = pieces.into_iter().zip(branches).enumerate().map(|(index, (piece, branch))| {
        Some(Fragment { index, seal: seal(me, &root), payload_len_bytes, branch, bytes: piece.into() })
    });
    (root, fragments.collect())
}

/// The top of a tree over `leaves`, and each leaf's way to it.
fn tree(leaves: &[Hash]) -> (Hash, Vec<Vec<Hash>>) {
    if let [leaf] = leaves {
        return (*leaf, vec![vec![]]);
    }
    // The left half of a tree of pairs is the largest full one.
    let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
    let ((left, mut branches), (right, right_branches)) = (tree(left), tree(right));
    branches.iter_mut().for_each(|branch| branch.push(right));
    branches.extend(right_branches.into_iter().map(|branch| [branch, vec![left]].concat()));
    (keyed("node", &[left, right].concat()), branches)
}

fn keyed(what: &str, bytes: &[u8]) -> Hash {
    let key = format!("constellation.acs.fragment.{what}.").into_bytes();
    *blake3::keyed_hash(&key.try_into().expect("32 bytes"), bytes).as_bytes()
}
