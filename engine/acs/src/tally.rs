//! Counts the votes of one broadcast: the first ECHO and the first READY of each node stand.

use crate::committee::NodeSet;
use crate::message::Root;

/// The two kinds of vote of a broadcast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Echo,
    Ready,
}

/// A node has voted for another root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Contradiction;

/// All votes, by root and kind; at most 2n roots, since every node has two votes.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    roots: Vec<(Root, [NodeSet; 2])>,
    /// Who has voted at all, by kind.
    voted: [NodeSet; 2],
    /// Who is READY for what it echoes, but its ECHO has not come.
    ready_early: NodeSet,
}

impl Tally {
    /// How many votes of its kind the root has with this one; `None` if it is not new.
    pub fn count(&mut self, from: usize, kind: Kind, root: Root) -> Result<Option<u32>, Contradiction> {
        if self.has_voted(from, kind) {
            return if self.votes(kind, &root).contains(from) { Ok(None) } else { Err(Contradiction) };
        }
        self.voted[kind as usize].insert(from);
        let index = self.roots.iter().position(|(other, _)| *other == root).unwrap_or_else(|| {
            self.roots.push((root, Default::default()));
            self.roots.len() - 1
        });
        let votes = &mut self.roots[index].1[kind as usize];
        votes.insert(from);
        Ok(Some(votes.len()))
    }

    pub fn has_voted(&self, node: usize, kind: Kind) -> bool {
        self.voted[kind as usize].contains(node)
    }

    /// The root that a node echoed.
    pub fn echo_of(&self, node: usize) -> Option<Root> {
        let echoed = self.roots.iter().find(|(_, votes)| votes[Kind::Echo as usize].contains(node));
        echoed.map(|(root, _)| *root)
    }

    /// Keeps in mind that a node is READY for what it echoes, until its ECHO comes.
    pub fn note_ready_early(&mut self, node: usize) {
        self.ready_early.insert(node);
    }

    /// Whether the node, whose ECHO has come, was READY for it before.
    pub fn take_ready_early(&mut self, node: usize) -> bool {
        self.ready_early.remove(node)
    }

    /// Who voted for a root.
    pub fn votes(&self, kind: Kind, root: &Root) -> NodeSet {
        let votes = self.roots.iter().find(|(other, _)| other == root);
        votes.map_or_else(NodeSet::default, |(_, votes)| votes[kind as usize])
    }

    /// Who echoed something else.
    pub fn echoed_others(&self, root: &Root) -> NodeSet {
        self.voted[Kind::Echo as usize].without(&self.votes(Kind::Echo, root))
    }

    /// The first root of which `enough` holds for the number of votes of a kind.
    pub fn root_with(&self, kind: Kind, enough: impl Fn(u32) -> bool) -> Option<Root> {
        self.roots.iter().find(|(_, votes)| enough(votes[kind as usize].len())).map(|(root, _)| *root)
    }
}
