//! The fragments of one broadcast that a node has gathered: one from each of its peers, all checked against their roots.

use crate::committee::NodeSet;
use crate::erasure::Code;
use crate::fragment::{Fragment, coded_root};
use crate::message::Root;

/// A root whose fragments are not the encoding of any payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoPayload;

/// Fragments with their holders and the roots they are of; one of each holder, so n at most.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    fragments: Vec<(usize, Root, Fragment)>,
}

impl Gathered {
    /// Takes the holder's fragment, which is of `root`, unless there is one of it.
    pub fn insert(&mut self, holder: usize, root: Root, fragment: Fragment) {
        if self.fragments.iter().all(|(other, ..)| *other != holder) {
            self.fragments.push((holder, root, fragment));
        }
    }

    /// Whose fragments of a root are here.
    pub fn holders(&self, root: &Root) -> NodeSet {
        let mut holders = NodeSet::default();
        for (holder, ..) in self.fragments.iter().filter(|(_, other, _)| other == root) {
            holders.insert(*holder);
        }
        holders
    }

    /// The payload of a root of which n−2f fragments are here; `None` when they are too few.
    ///
    /// The payload is encoded again, and its root compared. If the root is of some payload's encoding, any n−2f
    /// fragments of it decode to that payload, and the comparison holds; if it is not, the comparison fails whichever
    /// fragments were taken. So all who have enough fragments of a root come to the same result.
    pub fn payload(&self, root: &Root, code: &Code) -> Option<Result<Vec<u8>, NoPayload>> {
        let mut pieces: Vec<_> = self.of(root).map(|fragment| (fragment.index, &fragment.bytes[..])).collect();
        // The first ones are the payload itself: as many as there are need not be computed.
        pieces.sort_unstable_by_key(|(index, _)| *index);
        pieces.truncate(code.data_pieces());
        if pieces.len() < code.data_pieces() {
            return None;
        }
        let payload_len = self.of(root).next()?.payload_len_bytes;
        let payload = code.decode(&pieces, payload_len);
        let proper = coded_root(&payload, code) == *root;
        Some(if proper { Ok(payload) } else { Err(NoPayload) })
    }

    /// Drops everything.
    pub fn clear(&mut self) {
        self.fragments = Vec::new();
    }

    fn of(&self, root: &Root) -> impl Iterator<Item = &Fragment> {
        self.fragments.iter().filter(move |(_, other, _)| other == root).map(|(.., fragment)| fragment)
    }
}
