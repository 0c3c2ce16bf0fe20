//! When clusters split and merge, and when stars move: at the end of an epoch, by its traffic.
//!
//! A star is active in an epoch in which it initiates something that applies. A cluster with more active stars than its bound splits, while there may be more clusters.
//! Where none does, the two with the fewest merge if they have half the bound together, while there may be fewer: the halves of a split have all of the bound, so
//! the same load does not split and merge in turn.

use crate::genesis::Genesis;
use crate::keys::PublicKey;
use crate::placement::{MoveLimits, Placement, Traffic};
use std::collections::{BTreeMap, BTreeSet};

/// A placement to go to, and the clusters that give stars away for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Where stars are to belong.
    pub to: Placement,
    /// Whom some leave.
    pub leaves: BTreeSet<u32>,
}

/// What the end of an epoch changes, if anything; `active` are its active stars, each once.
pub fn next_placement<'a>(
    genesis: &Genesis,
    now: &Placement,
    active: impl Iterator<Item = &'a PublicKey>,
    traffic: Option<&Traffic>,
) -> Option<Change> {
    let mut change = Change { to: now.clone(), leaves: BTreeSet::new() };
    if genesis.is_elastic() {
        change.resize(genesis, residents(now, active));
    }
    if let Some(traffic) = traffic {
        let moves = change.to.moves(traffic, MoveLimits::default());
        change.to.apply(&moves);
        change.leaves.extend(moves.iter().map(|one| now.cluster_of(&one.star)));
    }
    (!change.leaves.is_empty()).then_some(change)
}

/// The active stars of each live cluster.
fn residents<'a>(placement: &Placement, active: impl Iterator<Item = &'a PublicKey>) -> BTreeMap<u32, u64> {
    let mut residents: BTreeMap<u32, u64> = placement.live().into_iter().map(|cluster| (cluster, 0)).collect();
    for star in active {
        *residents.entry(placement.cluster_of(star)).or_default() += 1;
    }
    residents
}

impl Change {
    fn resize(&mut self, genesis: &Genesis, residents: BTreeMap<u32, u64>) {
        let most = genesis.growth().cluster_stars_max;
        let mut count = residents.len() as u32;
        for (cluster, _) in residents.iter().filter(|(_, stars)| **stars > most) {
            if count < genesis.clusters_max() && self.to.split(*cluster).is_some() {
                self.leaves.insert(*cluster);
                count += 1;
            }
        }
        let mut smallest: Vec<(u64, u32)> = residents.into_iter().map(|(cluster, stars)| (stars, cluster)).collect();
        smallest.sort_unstable();
        if let [(few, from), (more, into), ..] = smallest[..]
            && self.leaves.is_empty()
            && count > genesis.clusters()
            && few + more <= most / 2
        {
            self.to.merge(from, into);
            self.leaves.insert(from);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{GenesisNode, Growth, SecretKey};

    fn genesis(clusters: u32, clusters_max: u32) -> Genesis {
        let node = GenesisNode::new(SecretKey::from_seed([1; 32]).public_key(), "127.0.0.1:1".parse().unwrap());
        let growth = Growth { clusters_max: Some(clusters_max), cluster_stars_max: 40, ..Growth::default() };
        Genesis::new("a", 1, vec![node], vec![]).unwrap().with_clusters(clusters).unwrap().with_growth(growth).unwrap()
    }

    fn stars(count: u16) -> Vec<PublicKey> {
        let key = |number: u16| {
            let mut key = [0; 32];
            key[..2].copy_from_slice(&number.to_le_bytes());
            PublicKey(key)
        };
        (0..count).map(key).collect()
    }

    /// The live clusters after so many epochs with so many stars.
    fn settles(genesis: &Genesis, placement: &mut Placement, count: u16) -> usize {
        let stars = stars(count);
        for _ in 0..20 {
            let Some(change) = next_placement(genesis, placement, stars.iter(), None) else { break };
            let gives = |star: &&PublicKey| placement.cluster_of(star) != change.to.cluster_of(star);
            let givers: BTreeSet<u32> = stars.iter().filter(gives).map(|star| placement.cluster_of(star)).collect();
            assert!(givers.is_subset(&change.leaves));
            *placement = change.to;
        }
        assert_eq!(next_placement(genesis, placement, stars.iter(), None), None, "it comes to rest");
        placement.live().len()
    }

    #[test]
    fn clusters_follow_the_stars_within_their_bounds_and_come_to_rest() {
        let genesis = genesis(2, 16);
        let mut placement = Placement::new(2);
        assert_eq!(settles(&genesis, &mut placement, 80), 2);
        assert_eq!(settles(&genesis, &mut placement, 81), 3);
        assert_eq!(settles(&genesis, &mut placement, 400), 16);
        assert_eq!(settles(&genesis, &mut placement, 4000), 16);
        assert_eq!(settles(&genesis, &mut placement, 20), 2);
        let fixed = super::tests::genesis(2, 2);
        assert_eq!(next_placement(&fixed, &Placement::new(2), stars(4000).iter(), None), None);
    }
}
