//! The silence of a node that lost its journal: it follows the chain, but says nothing in any round in which it may have spoken already,
//! since it cannot know what it said there.

use crate::cluster::Cluster;
use crate::event::NodeIndex;
use crate::node::Node;
use crate::proposal::ROUNDS_AHEAD_OF_GALAXY;
use constellation_chain::Tier;
use std::collections::BTreeMap;

/// Black holes that must follow the highest known one before a node that lost its journal speaks again.
const SILENT_HEIGHTS: u64 = 2;

/// A node that lost its journal, waiting until the network has passed every round in which it may have spoken.
pub(crate) struct Silence {
    /// The first height each peer told of.
    heard: BTreeMap<NodeIndex, u64>,
    /// Of each cluster, the round up to which it stays silent; in all of them, and in the galaxy's, until this is known.
    clusters_through: Option<Vec<u64>>,
}

impl Silence {
    /// A peer has told of its height; its first word counts, for later ones only put the end off.
    pub fn hear(&mut self, peer: NodeIndex, height: u64) {
        self.heard.entry(peer).or_insert(height);
    }
}

impl Node {
    /// Tells a node that its journal is lost: it follows the chain, but says nothing in any round in which it may have spoken, until the
    /// network has passed them all. A galaxy of one has nobody to contradict.
    pub fn sit_out(&mut self) {
        if self.validators().len() > 1 {
            self.silence = Some(Silence { heard: BTreeMap::new(), clusters_through: None });
        }
    }

    /// Whether this node may have spoken in a round and does not know what it said.
    pub(crate) fn is_silent(&self, tier: Tier, number: u64) -> bool {
        self.silence.as_ref().is_some_and(|silence| match tier {
            Tier::Cluster(id) => {
                // In a cluster that was born later it has not spoken.
                let through = |through: &Vec<u64>| through.get(id as usize).copied().unwrap_or(0);
                silence.clusters_through.as_ref().is_none_or(|all| number <= through(all))
            }
            Tier::Galaxy => silence.clusters_through.is_none(),
        })
    }

    /// Ends the silence when it can: n−f others have said where they stand, so at least one honest node that was there for every
    /// certificate has; two black holes past the highest of them lie all galaxy rounds in which this node can have spoken, and two rounds
    /// past the cluster's accepted one all cluster rounds. A liar who tells of a height far ahead keeps this one node silent, and no other.
    pub(crate) fn listen_again(&mut self) {
        let wanted = self.validators().quorum().min(self.validators().len() - 1);
        let height = self.tip.height;
        let Some(silence) = &mut self.silence else { return };
        if let Some(through) = &silence.clusters_through {
            if self.clusters.iter().zip(through).all(|(cluster, through)| cluster.accepted.0 >= *through) {
                self.silence = None;
            }
        } else if silence.heard.len() >= wanted
            && silence.heard.values().max().is_some_and(|&highest| height >= highest.saturating_add(SILENT_HEIGHTS))
        {
            let through = |cluster: &Cluster| cluster.accepted.0 + ROUNDS_AHEAD_OF_GALAXY;
            silence.clusters_through = Some(self.clusters.iter().map(through).collect());
        }
    }
}
