//! Which star cluster a star belongs to, how clusters split and merge, and the rule by which stars that trade together come to live together.
//!
//! **Home by key.** A key's first word, modulo the number of *slots*, gives a slot, and each slot belongs to a cluster: at the start slot i to cluster
//! i. A cluster that splits gives the upper half of its slots away; where it has but one, all slots are doubled first, which moves no star. One
//! that merges gives all of its slots to another. So only the stars of the cluster that splits or merges change their home (extendible hashing, Fagin et
//! al. 1979, on a modulus).
//!
//! A transfer between two clusters waits for the galaxy to order it; one inside a cluster does not. So [`Placement::moves`] looks for
//! a placement of the stars in which little of the [`Traffic`] lies between clusters (the *cut*, in weight of transfers) and no cluster has much
//! more than its share of the work. A cluster's *load* is the weight of the transfers that its stars take part in, each counted at both ends; it may
//! exceed the mean by a quarter ([`MoveLimits::overload_percent`]), and what it has above this *ceiling* is its *overload*. The objective,
//! to be made small, is the pair (sum of all overloads, cut), the first before the second: below the ceiling an imbalance costs nothing, above
//! it costs more than any cut.
//!
//! Stars move one at a time, as in label propagation and in Louvain's local moving, here with the clusters as labels; TxAllo (Zhang, Pan, Yu, ICDE
//! 2023) showed how far community detection goes on real traffic. A move is made for one of two reasons:
//! - *Gain*: it takes at least [`TRANSFER_WEIGHT`] off the cut, one transfer of the last epoch: what gains less is not worth a star's move. The
//!   star goes where most of its traffic is, among clusters that stay below the ceiling with it.
//! - *Relief*: the star's cluster is overloaded. It goes likewise, at whatever loss; without traffic anywhere else, to the least loaded cluster.
//!
//! **It ends.** No move makes an overload: its target stays below the ceiling. Relief makes the sum of overloads smaller; a gain never makes it
//! larger, and makes the cut smaller. So each move makes the pair smaller in lexicographic order, and integers that are not negative cannot fall
//! for ever. [`MoveLimits::sweeps`] ends it sooner. A star too heavy for any cluster stays where it is, and its cluster sheds the others.
//!
//! **All nodes compute the same.** Integers only; stars are walked in the order of relief, gain and key; nothing depends on the order in which an
//! epoch's transfers came.

mod graph;
mod search;
mod traffic;

use std::collections::{BTreeMap, BTreeSet};

use crate::hash::{Hash, Hasher};
use crate::keys::PublicKey;
use graph::Graph;
use search::Search;
pub use traffic::{TRANSFER_WEIGHT, Traffic, TrafficLimits};

/// The most star clusters of one galaxy: three LSH blocks of each fit one black hole.
pub const CLUSTERS_MAX: u32 = 256;

/// The cluster, of so many, whose facilitators order what a star initiates. Keys are spread evenly; who searches for one that falls to a cluster of
/// its choice gains nothing by it.
pub fn home_cluster(star: &PublicKey, clusters: u32) -> u32 {
    let (word, _) = star.0.split_first_chunk::<8>().expect("a key has 32 bytes");
    (u64::from_le_bytes(*word) % u64::from(clusters)) as u32
}

/// Slots, at most: 16 times the clusters.
const SLOTS_MAX: usize = 16 * CLUSTERS_MAX as usize;

/// Which cluster each star belongs to: its home by key, unless it was moved. Holds one entry for each star that lives away from home, and only stars of
/// finalized transfers move: so never more than the ledger has accounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// The cluster of each slot.
    slots: Vec<u32>,
    /// Clusters that there ever were.
    clusters: u32,
    moved: BTreeMap<PublicKey, u32>,
}

/// One star's move to another cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Move {
    /// Who moves.
    pub star: PublicKey,
    /// The cluster it leaves.
    pub from: u32,
    /// The cluster it belongs to from now on.
    pub to: u32,
}

/// How much may be moved at the end of one epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MoveLimits {
    /// The most stars that move.
    pub moves: usize,
    /// How much of the mean load, in percent, a cluster may have above the mean.
    pub overload_percent: u32,
    /// The most sweeps over all stars; each takes time in proportion to the traffic's edges, and sorts the stars that want to move.
    pub sweeps: u32,
}

impl Default for MoveLimits {
    /// 4,096 stars, a quarter, eight sweeps.
    fn default() -> Self {
        Self { moves: 4096, overload_percent: 25, sweeps: 8 }
    }
}

impl Placement {
    /// Every star at home by its key, in so many clusters.
    ///
    /// # Panics
    /// Without a cluster.
    pub fn new(clusters: u32) -> Self {
        assert!(clusters > 0, "a galaxy has a cluster");
        Self { slots: (0..clusters).collect(), clusters, moved: BTreeMap::new() }
    }

    /// The cluster of `star`.
    pub fn cluster_of(&self, star: &PublicKey) -> u32 {
        let moved = if self.moved.is_empty() { None } else { self.moved.get(star) };
        moved.copied().unwrap_or_else(|| self.home(star))
    }

    fn home(&self, star: &PublicKey) -> u32 {
        self.slots[home_cluster(star, self.slots.len() as u32) as usize]
    }

    /// Clusters that there ever were: their ids are those below.
    pub fn clusters(&self) -> u32 {
        self.clusters
    }

    /// Clusters that have a home to give, in rising order. The others have merged into these.
    pub fn live(&self) -> Vec<u32> {
        self.slots.iter().copied().collect::<BTreeSet<u32>>().into_iter().collect()
    }

    /// How many stars live away from home.
    pub fn away(&self) -> usize {
        self.moved.len()
    }

    /// Gives the upper half of a live cluster's slots to a new one, which takes the smallest id that is free; its id, or none where there are too many
    /// clusters or slots. Stars that were moved stay where they are.
    pub fn split(&mut self, cluster: u32) -> Option<u32> {
        let live = self.live();
        let new = (0..CLUSTERS_MAX).find(|id| live.binary_search(id).is_err())?;
        live.binary_search(&cluster).ok()?;
        if self.slots_of(cluster).len() == 1 {
            if 2 * self.slots.len() > SLOTS_MAX {
                return None;
            }
            self.slots.extend_from_within(..);
        }
        let slots = self.slots_of(cluster);
        for slot in &slots[slots.len() / 2..] {
            self.slots[*slot] = new;
        }
        self.clusters = self.clusters.max(new + 1);
        self.bring_home();
        Some(new)
    }

    /// Gives all stars of one cluster to another.
    pub fn merge(&mut self, from: u32, into: u32) {
        let clusters = self.slots.iter_mut().chain(self.moved.values_mut());
        clusters.filter(|cluster| **cluster == from).for_each(|cluster| *cluster = into);
        self.bring_home();
    }

    fn slots_of(&self, cluster: u32) -> Vec<usize> {
        (0..self.slots.len()).filter(|slot| self.slots[*slot] == cluster).collect()
    }

    /// Forgets moves to what has become a star's home.
    fn bring_home(&mut self) {
        let mut moved = std::mem::take(&mut self.moved);
        moved.retain(|star, to| *to != self.home(star));
        self.moved = moved;
    }

    /// The moves that `traffic` asks for, in the order of the stars' keys: each star at most once, and never more than `limits` allow. Once
    /// they are applied no cluster is above the ceiling, but one that was there before, and that one is no higher.
    pub fn moves(&self, traffic: &Traffic, limits: MoveLimits) -> Vec<Move> {
        let live = self.live();
        let graph = Graph::new(traffic.edges());
        let place =
            |star| live.binary_search(&self.cluster_of(star)).expect("every star belongs to a live cluster") as u32;
        let before: Vec<u32> = graph.stars.iter().map(place).collect();
        let after = Search::new(&graph, before.clone(), live.len() as u32, limits).run();
        let moves = graph.stars.iter().zip(before).zip(after).filter(|((_, from), to)| from != to);
        let id = |place: u32| live[place as usize];
        moves.map(|((star, from), to)| Move { star: *star, from: id(from), to: id(to) }).collect()
    }

    /// Lets stars live where they moved to.
    pub fn apply(&mut self, moves: &[Move]) {
        for Move { star, to, .. } in moves {
            if *to == self.home(star) {
                self.moved.remove(star);
            } else {
                self.moved.insert(*star, *to);
            }
        }
    }

    /// A commitment to every star's cluster.
    pub fn hash(&self) -> Hash {
        let mut hasher = Hasher::new(b"cst.plac");
        hasher.update(&self.clusters.to_le_bytes()).update(&(self.slots.len() as u64).to_le_bytes());
        self.slots.iter().for_each(|cluster| {
            hasher.update(&cluster.to_le_bytes());
        });
        for (star, cluster) in &self.moved {
            hasher.update(&star.0).update(&cluster.to_le_bytes());
        }
        hasher.finish()
    }
}

#[cfg(test)]
mod tests;
