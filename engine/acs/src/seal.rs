//! A proposer's seal: its signature over the root of what it proposes. Votes are not signed, so what a node sees of them
//! convinces nobody else; two sealed roots of one proposer in one broadcast convince anybody who knows its key.

use crate::message::Root;

/// A seal in bytes, which mean nothing to this crate.
pub type Seal = [u8; 64];

/// A root and its proposer's seal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealedRoot {
    /// The payload proposed.
    pub root: Root,
    /// The proposer's signature over it.
    pub seal: Seal,
}

/// The caller's signatures, bound to keys, tier and round. Pure, and nobody can make another node's.
pub trait Seals {
    /// My seal; the same bytes each time.
    fn seal(&self, root: &Root) -> Seal;
    /// Whether that node made the seal of that root. Asked once for each proposal in the common case.
    fn is_sealed(&self, proposer: usize, root: &Root, seal: &Seal) -> bool;
}
