//! The Merkle root of a block: leaf 0 is the previous block's hash, so that folding an agreed pool and extending
//! the chain are one operation (the paper's HyloChain).
//!
//! The tree is that of RFC 6962 (certificate transparency): leaves and inner nodes are hashed in domains of their
//! own, and a node without a partner is promoted unchanged, so no list of leaves shares a root with another.

use crate::hash::Hash;

const LEAF: &[u8; 8] = b"cst.leaf";
const NODE: &[u8; 8] = b"cst.node";

/// Root over `previous` as leaf 0 and then `leaves`, each given as its raw bytes.
pub fn merkle_root<'a>(previous: &Hash, leaves: impl IntoIterator<Item = &'a [u8]>) -> Hash {
    let mut level = vec![Hash::of(LEAF, &previous.0)];
    level.extend(leaves.into_iter().map(|leaf| Hash::of(LEAF, leaf)));
    let mut len = level.len();
    while len > 1 {
        for pair in 0..len / 2 {
            level[pair] = Hash::of(NODE, bytemuck::cast_slice(&level[2 * pair..2 * pair + 2]));
        }
        if !len.is_multiple_of(2) {
            level[len / 2] = level[len - 1];
        }
        len = len.div_ceil(2);
    }
    level[0]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::Hasher;
    use proptest::prelude::*;

    #[test]
    fn a_lone_previous_hash_is_its_own_leaf() {
        assert_eq!(merkle_root(&Hash::ZERO, []), Hash::of(LEAF, &[0; 32]));
    }

    #[test]
    fn three_leaves_promote_the_last() {
        let leaf = |byte: u8| Hash::of(LEAF, &[byte; 4]);
        let pair = Hasher::new(NODE).update(&Hash::of(LEAF, &Hash::ZERO.0).0).update(&leaf(1).0).finish();
        let root = Hasher::new(NODE).update(&pair.0).update(&leaf(2).0).finish();
        assert_eq!(merkle_root(&Hash::ZERO, [&[1u8; 4][..], &[2u8; 4][..]]), root);
    }

    proptest! {
        #[test]
        fn every_leaf_and_the_order_count(mut leaves in prop::collection::vec(prop::array::uniform4(any::<u8>()), 1..40), at in any::<prop::sample::Index>()) {
            let root = |leaves: &[[u8; 4]]| merkle_root(&Hash([9; 32]), leaves.iter().map(|leaf| &leaf[..]));
            let before = root(&leaves);
            prop_assert_ne!(before, merkle_root(&Hash([8; 32]), leaves.iter().map(|leaf| &leaf[..])));
            let mut longer = leaves.clone();
            longer.push(*leaves.last().unwrap());
            prop_assert_ne!(before, root(&longer));
            let at = at.index(leaves.len());
            leaves[at][0] ^= 1;
            prop_assert_ne!(before, root(&leaves));
        }
    }
}
