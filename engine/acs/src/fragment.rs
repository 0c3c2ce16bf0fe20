//! Fragments of a payload in the coded broadcast, and the Merkle tree whose root commits to them. Knows no votes.
//!
//! The tree is over the n pieces of the codeword, as in RFC 6962: neighbours are hashed in pairs, and a node without a
//! partner is promoted. The committee's size and a fragment's index fix the shape of its branch and the side on which
//! each sibling is hashed, so a piece has a branch at its own index only. Leaves, inner nodes and the root are hashed
//! with BLAKE3 under a key each, so none can pass for another, nor for the plain hash that names a payload in the digest
//! form: no root names payloads in both forms. The root covers the payload's length, hence the pieces' length too. A piece is
//! padded as a payload is in the digest form (`digest`).
//!
//! ```text
//! root = H(ROOT, payload_len:8 ‖ top)    inner = H(NODE, left:32 ‖ right:32)    leaf = H(LEAF, piece ‖ zeros ‖ len:8)
//! ```

use std::sync::Arc;

use crate::digest::keyed_digest;
use crate::erasure::Code;
use crate::message::Root;
use crate::seal::Seal;

const LEAF: &[u8; 32] = b"constellation.acs.fragment.leaf.";
const NODE: &[u8; 32] = b"constellation.acs.fragment.node.";
const ROOT: &[u8; 32] = b"constellation.acs.fragment.root.";

type Hash = [u8; 32];

/// One piece of a payload, with the way from it to the root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// Which piece, below the committee's size. Piece i is kept by the i-th node after the proposer, in a circle.
    pub index: usize,
    /// The proposer's seal of the root.
    pub seal: Seal,
    /// Length of the whole payload, below 2^32.
    pub payload_len_bytes: usize,
    /// The siblings on the way up from the piece, [`branch_len`] of them.
    pub branch: Vec<[u8; 32]>,
    /// The piece.
    pub bytes: Arc<[u8]>,
}

impl Fragment {
    /// Whether this is piece `index` of whatever `root` commits to, in a committee of `total`.
    pub(crate) fn is_of(&self, root: &Root, code: &Code, total: usize) -> bool {
        self.index < total
            && self.bytes.len() == code.piece_len(self.payload_len_bytes)
            && self.branch.len() == branch_len(total, self.index)
            && self.root(total) == *root
    }

    fn root(&self, total: usize) -> Root {
        let mut hash = leaf(&self.bytes);
        let mut siblings = self.branch.iter();
        for side in path(total, self.index) {
            hash = match side {
                Side::Alone => hash,
                Side::Left => siblings.next().map_or(hash, |right| inner(&hash, right)),
                Side::Right => siblings.next().map_or(hash, |left| inner(left, &hash)),
            };
        }
        root_of(self.payload_len_bytes, &hash)
    }
}

/// A payload cut up, and its tree.
#[derive(Debug)]
pub(crate) struct Commitment {
    payload_len: usize,
    pieces: Vec<Arc<[u8]>>,
    tree: Tree,
}

impl Commitment {
    pub fn to(payload: &[u8], code: &Code) -> Self {
        let mut pieces = Vec::new();
        code.encode(payload, |piece| pieces.push(piece.into()));
        Self::to_pieces(payload.len(), pieces)
    }

    /// Whether the pieces are a payload's is not looked at.
    pub fn to_pieces(payload_len: usize, pieces: Vec<Arc<[u8]>>) -> Self {
        let leaves = pieces.iter().map(|piece| leaf(piece)).collect();
        Self { payload_len, pieces, tree: Tree::over(leaves) }
    }

    pub fn root(&self) -> Root {
        root_of(self.payload_len, self.tree.top())
    }

    /// Every fragment, by index, under the proposer's seal of the root.
    pub fn fragments(&self, seal: Seal) -> impl Iterator<Item = Fragment> {
        self.pieces.iter().enumerate().map(move |(index, piece)| Fragment {
            index,
            seal,
            payload_len_bytes: self.payload_len,
            branch: self.tree.branch(index),
            bytes: piece.clone(),
        })
    }
}

/// The root of a payload, without keeping its pieces.
pub(crate) fn coded_root(payload: &[u8], code: &Code) -> Root {
    let mut leaves = Vec::new();
    code.encode(payload, |piece| leaves.push(leaf(piece)));
    root_of(payload.len(), Tree::over(leaves).top())
}

/// The levels of a tree from the leaves to the top, none of them empty.
#[derive(Debug)]
struct Tree(Vec<Vec<Hash>>);

impl Tree {
    fn over(leaves: Vec<Hash>) -> Self {
        let mut levels = vec![leaves];
        while let Some(level) = levels.last()
            && level.len() > 1
        {
            let (pairs, odd) = level.as_chunks::<2>();
            let above = pairs.iter().map(|[left, right]| inner(left, right)).chain(odd.iter().copied());
            levels.push(above.collect());
        }
        Self(levels)
    }

    fn top(&self) -> &Hash {
        &self.0[self.0.len() - 1][0]
    }

    fn branch(&self, index: usize) -> Vec<Hash> {
        let siblings = self.0.iter().enumerate().map(|(depth, level)| level.get((index >> depth) ^ 1));
        siblings.flatten().copied().collect()
    }
}

/// On which side of its pair a node is.
enum Side {
    Left,
    Right,
    Alone,
}

/// The way up from a leaf to the top of a tree over `total` leaves.
fn path(total: usize, index: usize) -> impl Iterator<Item = Side> {
    let mut place = (total, index);
    std::iter::from_fn(move || {
        let (width, at) = place;
        place = (width.div_ceil(2), at / 2);
        (width > 1).then_some(match at % 2 {
            1 => Side::Right,
            _ if at + 1 < width => Side::Left,
            _ => Side::Alone,
        })
    })
}

/// How many siblings the branch of piece `index` of `total` has.
pub(crate) fn branch_len(total: usize, index: usize) -> usize {
    path(total, index).filter(|side| !matches!(side, Side::Alone)).count()
}

fn leaf(piece: &[u8]) -> Hash {
    keyed_digest(LEAF, piece)
}

fn keyed(key: &[u8; 32], bytes: &[u8]) -> Hash {
    *blake3::keyed_hash(key, bytes).as_bytes()
}

fn inner(left: &Hash, right: &Hash) -> Hash {
    let mut bytes = [0; 64];
    bytes[..32].copy_from_slice(left);
    bytes[32..].copy_from_slice(right);
    keyed(NODE, &bytes)
}

fn root_of(payload_len: usize, top: &Hash) -> Root {
    let mut bytes = [0; 40];
    bytes[..8].copy_from_slice(&(payload_len as u64).to_le_bytes());
    bytes[8..].copy_from_slice(top);
    keyed(ROOT, &bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::committee::Committee;

    fn code(n: usize) -> Code {
        Code::of(&Committee::new(0, n))
    }

    #[test]
    fn every_fragment_is_of_its_root_at_its_own_index_only() {
        for n in 1..=128 {
            let code = code(n);
            // No two pieces alike.
            let payload: Vec<_> = (0..16 * n).map(|i| (i * 31 % 251) as u8).collect();
            let commitment = Commitment::to(&payload, &code);
            let root = commitment.root();
            assert_eq!(root, coded_root(&payload, &code));
            for fragment in commitment.fragments([0; 64]) {
                assert!(fragment.is_of(&root, &code, n), "{} of {n}", fragment.index);
                for index in [fragment.index ^ 1, fragment.index + 1, n - 1 - fragment.index] {
                    let moved = Fragment { index, ..fragment.clone() };
                    assert!(index == fragment.index || !moved.is_of(&root, &code, n), "{index} of {n}");
                }
            }
        }
    }

    #[test]
    fn nothing_of_a_fragment_can_be_changed() {
        let code = code(7);
        let commitment = Commitment::to(&[7; 300], &code);
        let root = commitment.root();
        for fragment in commitment.fragments([0; 64]) {
            let refused = |change: fn(&mut Fragment)| {
                let mut changed = fragment.clone();
                change(&mut changed);
                assert!(!changed.is_of(&root, &code, 7));
            };
            refused(|f| f.payload_len_bytes -= 1);
            refused(|f| f.payload_len_bytes += 100);
            refused(|f| f.branch[0][31] ^= 1);
            refused(|f| f.branch.truncate(1));
            refused(|f| f.branch.push([0; 32]));
            refused(|f| f.bytes = f.bytes[1..].into());
            refused(|f| Arc::make_mut(&mut f.bytes)[0] ^= 1);
        }
    }

    #[test]
    fn a_root_is_of_one_payload_and_one_form() {
        let root = |payload: &[u8]| coded_root(payload, &code(4));
        assert_ne!(root(&[]), root(&[0]), "padding is told from payload");
        assert_ne!(root(&[1]), root(&[1, 0]));
        assert_ne!(root(&[1]), crate::digest::digest_root(&[1]));
        let alone = coded_root(&[1, 2], &code(1));
        assert_eq!(alone, root_of(2, &keyed(LEAF, &[1, 2, 2, 0, 0, 0, 0, 0, 0, 0])));
    }
}
