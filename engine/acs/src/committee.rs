//! The size of a committee, its two thresholds, and sets of its members and of its agreements. Nothing here knows a
//! message.

/// The largest committee: a set of nodes is one `u128`.
pub const MAX_NODES: usize = 128;

/// A set of nodes, one bit each, that knows its size: thresholds are looked at far more often than a vote comes in. In words,
/// as a single bit of a `u128` takes several times the work.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct NodeSet {
    words: [u64; MAX_NODES / 64],
    len: u32,
}

impl NodeSet {
    pub fn contains(&self, node: usize) -> bool {
        self.words[node / 64] >> (node % 64) & 1 == 1
    }

    pub fn insert(&mut self, node: usize) {
        self.len += u32::from(!self.contains(node));
        self.words[node / 64] |= 1 << (node % 64);
    }

    /// Takes a member out; whether it was one.
    pub fn remove(&mut self, node: usize) -> bool {
        let was_member = self.contains(node);
        self.len -= u32::from(was_member);
        self.words[node / 64] &= !(1 << (node % 64));
        was_member
    }

    pub fn len(&self) -> u32 {
        self.len
    }

    /// The members in order.
    pub fn iter(&self) -> impl Iterator<Item = usize> {
        (0..MAX_NODES).filter(|node| self.contains(*node))
    }

    /// The members that `other` lacks.
    pub fn without(&self, other: &Self) -> Self {
        let words = [0, 1].map(|word| self.words[word] & !other.words[word]);
        Self { words, len: words.map(u64::count_ones).iter().sum() }
    }

    /// The first member other than `but` at or after `start`, going round.
    pub fn next_member(&self, start: usize, but: usize) -> Option<usize> {
        let mut going_round = (0..MAX_NODES).map(|step| (start + step) % MAX_NODES);
        going_round.find(|&node| node != but && self.contains(node))
    }
}

/// A set of agreements, or of the broadcasts they are about, one bit each, as votes name them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InstanceSet(u128);

impl InstanceSet {
    /// The set with bit i for agreement i.
    pub const fn from_bits(bits: u128) -> Self {
        Self(bits)
    }

    /// The set of one agreement.
    ///
    /// # Panics
    /// When no committee has it: [`MAX_NODES`] or above.
    pub const fn one(instance: u16) -> Self {
        assert!((instance as usize) < MAX_NODES, "no committee has that agreement");
        Self(1 << instance)
    }

    /// Bit i for agreement i.
    pub const fn bits(self) -> u128 {
        self.0
    }

    /// Whether an agreement is in it.
    pub const fn contains(self, instance: u16) -> bool {
        (instance as usize) < MAX_NODES && self.0 >> instance & 1 == 1
    }

    /// Whether nothing is in it.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Adds all of another set.
    pub fn extend(&mut self, other: Self) {
        self.0 |= other.0;
    }

    /// Its members, in ascending order.
    pub fn iter(self) -> impl Iterator<Item = u16> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let next = (rest != 0).then(|| rest.trailing_zeros() as u16);
            rest &= rest.wrapping_sub(1);
            next
        })
    }
}

/// Who am I, among how many, and how many votes count.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Committee {
    pub me: usize,
    pub n: usize,
    /// f = ⌊(n−1)/3⌋: how many members may be faulty in any way.
    faulty_max: u32,
}

impl Committee {
    /// # Panics
    /// When `n` is 0 or above [`MAX_NODES`], or `me` is not a member: the caller's own configuration.
    pub fn new(me: usize, n: usize) -> Self {
        assert!((1..=MAX_NODES).contains(&n), "a committee has 1 to {MAX_NODES} nodes, not {n}");
        assert!(me < n, "node {me} is not one of the {n} nodes");
        Self { me, n, faulty_max: (n as u32 - 1) / 3 }
    }

    /// f, the most that may be faulty in any way.
    pub fn faulty_max(&self) -> usize {
        self.faulty_max as usize
    }

    /// Whether so many are n−f: as many as are sure to answer. Two such sets share n−2f ≥ f+1 nodes, so an honest one.
    pub fn is_quorum(&self, count: u32) -> bool {
        count >= self.n as u32 - self.faulty_max
    }

    /// Whether the last of so many votes is one of the two that a rule waits for.
    pub fn is_threshold(&self, count: u32) -> bool {
        count == self.faulty_max + 1 || count == self.n as u32 - self.faulty_max
    }

    /// Whether so many are f+1: too many to be all faulty.
    pub fn has_honest(&self, count: u32) -> bool {
        count > self.faulty_max
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn thresholds() {
        for (n, quorum, honest) in [(1, 1, 1), (3, 3, 1), (4, 3, 2), (7, 5, 3), (128, 86, 43)] {
            let committee = Committee::new(0, n);
            assert!(committee.is_quorum(quorum) && !committee.is_quorum(quorum - 1));
            assert!(committee.has_honest(honest) && !committee.has_honest(honest - 1));
            let thresholds = (1..=n as u32).filter(|count| committee.is_threshold(*count));
            assert!(thresholds.eq(BTreeSet::from([honest, quorum])));
        }
    }

    #[test]
    fn a_set_counts_and_takes_turns() {
        let mut set = NodeSet::default();
        for node in [2, 5, 127, 5, 3] {
            set.insert(node);
        }
        assert_eq!(set.len(), 4);
        assert!(set.contains(127) && !set.contains(0));
        let turns = [0, 2, 3, 6, 127, 128].map(|start| set.next_member(start, 3));
        assert_eq!(turns, [Some(2), Some(2), Some(5), Some(127), Some(127), Some(2)]);
        assert_eq!(NodeSet::default().next_member(3, 0), None);
        let mut other = NodeSet::default();
        other.insert(5);
        other.insert(6);
        let rest = set.without(&other);
        assert_eq!((rest.len(), rest.contains(5), rest.contains(3)), (3, false, true));
        assert!(other.remove(5) && !other.remove(5));
        assert_eq!((other.len(), other.contains(5), other.contains(6)), (1, false, true));
    }

    #[test]
    fn a_set_of_agreements_lists_them_in_order() {
        let mut set = InstanceSet::one(127);
        set.extend(InstanceSet::from_bits(0b1001));
        assert_eq!(set.iter().collect::<Vec<_>>(), [0, 3, 127]);
        assert_eq!(set.bits(), 1 << 127 | 0b1001);
        assert!(set.contains(3) && set.contains(127) && !set.contains(1) && !set.contains(128));
        assert_eq!(InstanceSet::default().iter().next(), None);
        assert!(InstanceSet::default().is_empty() && !set.is_empty());
    }
}
