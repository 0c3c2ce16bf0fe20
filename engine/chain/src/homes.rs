//! Which cluster may order what a star initiates, while stars change their cluster: exactly one at any time, or for a moment none.
//!
//! An LSH block is final for its cluster's members once it is certified, before the galaxy has ordered it. That holds only if no other cluster can
//! order the same star's transactions meanwhile. Rounds of a cluster are named by black holes, three ahead; so a star goes in two steps:
//! 1. From the black hole that decides it on, rounds that are named in the old cluster hold none of its transactions any more. Those named before still do.
//! 2. When the last of these is in a black hole, rounds that are named in the new cluster hold them.
//!
//! The old cluster must therefore get through its named rounds, if need be with empty blocks ([`Homes::must_finish`]). There is one such
//! *handover* at a time: the next decision waits for its end.

use crate::hash::{Hash, Hasher};
use crate::keys::PublicKey;
use crate::placement::Placement;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Each star's cluster, after one black hole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Homes {
    now: Arc<Placement>,
    /// The hash of `now`, and its live clusters: asked with every black hole, and with every batch of transactions.
    digest: Hash,
    live: usize,
    handover: Option<Arc<Handover>>,
}

/// Stars on their way.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Handover {
    before: Arc<Placement>,
    /// Clusters that give stars away, and the last round of each that may still hold their transactions; those whose last round is accepted are out.
    open: BTreeMap<u32, u64>,
}

impl Homes {
    /// Every star at home by its key.
    pub fn new(clusters: u32) -> Self {
        Homes::settled(Placement::new(clusters))
    }

    fn settled(placement: Placement) -> Self {
        Homes { digest: placement.hash(), live: placement.live().len(), now: Arc::new(placement), handover: None }
    }

    /// Where stars belong, or are on their way to.
    pub fn placement(&self) -> &Placement {
        &self.now
    }

    /// Clusters that stars belong to.
    pub fn live_clusters(&self) -> usize {
        self.live
    }

    /// The cluster that a star belongs to, or is on its way to.
    pub fn cluster_of(&self, star: &PublicKey) -> u32 {
        self.now.cluster_of(star)
    }

    /// Whether a round of `cluster` that is named now may hold what `star` initiates.
    pub fn serves(&self, cluster: u32, star: &PublicKey) -> bool {
        if self.now.cluster_of(star) != cluster {
            return false;
        }
        self.handover.as_ref().is_none_or(|handover| {
            let from = handover.before.cluster_of(star);
            from == cluster || !handover.open.contains_key(&from)
        })
    }

    /// Whether every star has arrived.
    pub fn is_settled(&self) -> bool {
        self.handover.is_none()
    }

    /// Whether `cluster` must come to the end of `round` for the sake of stars that left it.
    pub fn must_finish(&self, cluster: u32, round: u64) -> bool {
        let handover = self.handover.as_ref();
        handover.and_then(|handover| handover.open.get(&cluster)).is_some_and(|last| round <= *last)
    }

    /// Lets stars go where `to` has them; `named` tells of each cluster the last round that is named already. Only for homes that are settled.
    pub fn change(&mut self, to: Placement, leaves: impl IntoIterator<Item = u32>, named: impl Fn(u32) -> u64) {
        debug_assert!(self.is_settled());
        let open = leaves.into_iter().map(|cluster| (cluster, named(cluster))).collect();
        let before = std::mem::replace(self, Homes::settled(to)).now;
        self.handover = Some(Arc::new(Handover { before, open }));
    }

    /// Takes note of the last accepted round of each cluster.
    pub fn settle(&mut self, accepted: impl Fn(u32) -> u64) {
        let Some(handover) = &mut self.handover else { return };
        if handover.open.iter().any(|(cluster, last)| accepted(*cluster) >= *last) {
            Arc::make_mut(handover).open.retain(|cluster, last| accepted(*cluster) < *last);
        }
        if handover.open.is_empty() {
            self.handover = None;
        }
    }

    /// A commitment to where every star belongs, and to what is on its way.
    pub fn hash(&self) -> Hash {
        let mut hasher = Hasher::new(b"cst.home");
        hasher.update(&self.digest.0);
        for (cluster, last) in self.handover.iter().flat_map(|handover| &handover.open) {
            hasher.update(&cluster.to_le_bytes()).update(&last.to_le_bytes());
        }
        hasher.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn star(number: u8) -> PublicKey {
        let mut key = [0; 32];
        key[0] = number;
        PublicKey(key)
    }

    #[test]
    fn no_star_has_two_clusters_and_each_arrives() {
        let mut homes = Homes::new(2);
        let mut to = homes.placement().clone();
        assert_eq!(to.split(0), Some(2));
        let owners = |homes: &Homes, star| (0..3).filter(|cluster| homes.serves(*cluster, &star)).collect::<Vec<_>>();
        // With four slots those that are 2 modulo 4 leave cluster 0.
        assert_eq!(owners(&homes, star(2)), [0]);
        homes.change(to, [0], |_| 7);
        assert_eq!(
            (owners(&homes, star(2)), owners(&homes, star(4)), owners(&homes, star(1))),
            (vec![], vec![0], vec![1])
        );
        assert!(homes.must_finish(0, 7) && !homes.must_finish(0, 8) && !homes.must_finish(1, 7));
        let on_the_way = homes.hash();
        homes.settle(|_| 6);
        assert_eq!((homes.is_settled(), homes.hash()), (false, on_the_way));
        homes.settle(|_| 7);
        assert_eq!((homes.is_settled(), owners(&homes, star(2)), homes.live_clusters()), (true, vec![2], 3));
        assert_ne!(homes.hash(), on_the_way);
    }
}
