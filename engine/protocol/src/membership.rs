//! Who takes part, and what each black hole makes of it: the galaxy's validators, the facilitators of each cluster's rounds, and the stars' clusters.
//! It follows from black holes alone, so that everybody computes the same; the hash over it is in their headers.

use crate::cluster::{Cluster, Naming};
use crate::config::Config;
use crate::event::NodeIndex;
use crate::node::Node;
use crate::proposal::ROUNDS_AHEAD_OF_GALAXY;
use constellation_chain::{
    Censored, Committee, Genesis, Hash, Hasher, Homes, KeySet, Kind, Outcome, PublicKey, Roster, SealedLshBlock,
    Traffic, TrafficLimits, Transaction, elect_facilitators, next_placement,
};
use std::collections::HashMap;
use std::sync::Arc;

/// The genesis' nodes: a node's place in the list is its name between nodes.
pub(crate) struct Directory {
    keys: Vec<PublicKey>,
    indices: HashMap<PublicKey, NodeIndex>,
}

impl Directory {
    pub fn new(config: &Config) -> Self {
        let keys: Vec<PublicKey> = config.genesis.nodes().iter().map(|node| node.public_key).collect();
        Directory { indices: keys.iter().copied().zip(0..).collect(), keys }
    }

    pub fn index(&self, key: Option<&PublicKey>) -> Option<NodeIndex> {
        self.indices.get(key?).copied()
    }

    pub fn key(&self, node: NodeIndex) -> Option<&PublicKey> {
        self.keys.get(usize::from(node))
    }

    /// The members' indices; every committee is drawn from the genesis' nodes.
    pub fn indices(&self, committee: &Committee) -> Vec<NodeIndex> {
        committee.members().iter().filter_map(|key| self.index(Some(key))).collect()
    }
}

/// Who takes part after a black hole.
#[derive(Clone)]
pub(crate) struct Membership {
    pub roster: Roster,
    pub homes: Homes,
}

impl Membership {
    pub fn new(config: &Config) -> Self {
        Membership { roster: Roster::new(&config.genesis), homes: Homes::new(config.genesis.clusters()) }
    }

    fn draw(&self, config: &Config, beacon: &Hash, cluster: u32, round: u64) -> Committee {
        let seats = config.genesis.cluster_facilitators();
        elect_facilitators(beacon, cluster, round, self.roster.candidates(), seats)
    }
}

/// What the stars have done, as far as their clusters depend on it.
pub(crate) struct Activity {
    /// Who initiated something in this epoch, where clusters split and merge: bounded by what its black holes hold.
    active: KeySet<PublicKey>,
    counts_active: bool,
    /// Bytes of transactions in LSH blocks, and the bytes that they could have held: of this epoch, and of the last.
    filled: [(u64, u64); 2],
    /// Who trades with whom, where stars are placed by it.
    traffic: Option<Traffic>,
}

impl Activity {
    pub fn new(genesis: &Genesis) -> Self {
        let traffic = || Traffic::new(TrafficLimits::default(), genesis.hash());
        Activity {
            active: KeySet::default(),
            counts_active: genesis.is_elastic(),
            filled: [(0, 0); 2],
            traffic: genesis.growth().place_stars.then(traffic),
        }
    }

    /// Takes note of what an LSH block did.
    pub fn note(&mut self, outcomes: &[Outcome<'_>]) {
        if !self.counts_active && self.traffic.is_none() {
            return;
        }
        for (transaction, _) in outcomes.iter().filter(|(_, reason)| reason.is_none()) {
            if self.counts_active {
                self.active.insert(transaction.initiator());
            }
            if let (Some(traffic), Some(counterparty)) = (&mut self.traffic, transaction.counterparty()) {
                traffic.record(transaction.initiator(), counterparty);
            }
        }
    }

    /// Takes note of how full an LSH block is.
    pub fn note_fill(&mut self, len_bytes: usize, max_bytes: usize) {
        let [(filled, capacity), _] = &mut self.filled;
        (*filled, *capacity) = (*filled + len_bytes as u64, *capacity + max_bytes as u64);
    }

    fn end_epoch(&mut self, beacon: Hash) {
        self.filled = [(0, 0), self.filled[0]];
        self.active.clear();
        if let Some(traffic) = &mut self.traffic {
            traffic.end_epoch(beacon);
        }
    }
}

/// What of a black hole decides who takes part after it.
pub(crate) struct Decisive<'a> {
    pub height: u64,
    pub beacon: Hash,
    pub blocks: &'a [Arc<SealedLshBlock>],
    pub censored: &'a [Censored],
    pub reelected: &'a [u32],
}

impl Decisive<'_> {
    /// What nodes ask for with the transactions that apply.
    fn requests(&self) -> impl Iterator<Item = &Arc<Transaction>> {
        let is_censored = |index: &u32| self.censored.binary_search_by_key(index, |one| one.index).is_ok();
        let transactions = self.blocks.iter().flat_map(|sealed| &sealed.block.transactions);
        let requests = (0..).zip(transactions).filter(|(_, one)| matches!(one.kind(), Kind::Join | Kind::Leave));
        requests.filter(move |(index, _)| !is_censored(index)).map(|(_, transaction)| transaction)
    }
}

/// Who takes part after a black hole, in force once that is certified.
pub(crate) struct Succession {
    membership: Membership,
    /// Rounds it names, with their facilitators: by cluster, and each cluster's in rising order.
    named: Vec<(u32, u64, Committee)>,
}

impl Succession {
    /// What the black hole's header says of it.
    pub fn hash(&self) -> Hash {
        let mut hasher = Hasher::new(b"cst.faci");
        for (cluster, round, committee) in &self.named {
            hasher.update(&cluster.to_le_bytes()).update(&round.to_le_bytes()).update(&committee.hash().0);
        }
        hasher.update(&self.membership.roster.hash().0).update(&self.membership.homes.hash().0).finish()
    }
}

impl Node {
    /// The galaxy's committee for the next black hole.
    pub(crate) fn validators(&self) -> &Committee {
        self.membership.roster.validators()
    }

    /// The last height that the present validators decide.
    pub(crate) fn epoch_end(&self) -> u64 {
        let epoch = self.config.genesis.growth().epoch_black_holes;
        (self.tip.height / epoch + 1) * epoch
    }

    /// The cluster that orders what a star initiates.
    pub(crate) fn home(&self, star: &PublicKey) -> usize {
        self.membership.homes.cluster_of(star) as usize
    }

    /// Clusters whose blocks would be half full under the load of the last epoch; as many as at the start, at least.
    pub fn clusters_wanted(&self) -> usize {
        let [_, (filled, capacity)] = self.activity.filled;
        let clusters = self.membership.homes.live_clusters() as u64;
        let wanted = if capacity == 0 { 0 } else { (2 * clusters * filled).div_ceil(capacity) };
        wanted.max(u64::from(self.config.genesis.clusters())) as usize
    }

    /// Everybody's first clusters and facilitators.
    pub(crate) fn first_clusters(config: &Config, membership: &Membership) -> Vec<Cluster> {
        let hash = config.genesis.hash();
        let first = |id: u32| {
            let mut cluster = Cluster::new(id);
            for round in 1..=ROUNDS_AHEAD_OF_GALAXY {
                let committee = membership.draw(config, &hash, id, round);
                let homes = membership.homes.clone();
                cluster.name(round, Naming { height: 0, black_hole: hash, beacon: hash, committee, homes });
            }
            cluster
        };
        (0..config.genesis.clusters()).map(first).collect()
    }

    /// What a black hole makes of who takes part. The ledger stands behind that black hole already; everything else, before it.
    pub(crate) fn succession(&self, hole: &Decisive<'_>) -> Succession {
        let Membership { mut roster, mut homes } = self.membership.clone();
        hole.requests().for_each(|transaction| roster.note(transaction));
        let mut accepted: Vec<u64> = self.clusters.iter().map(|cluster| cluster.accepted.0).collect();
        for header in hole.blocks.iter().map(|sealed| &sealed.block.header) {
            let cluster = header.cluster() as usize;
            accepted[cluster] = header.round();
            if let Some(naming) = self.clusters[cluster].naming(header.round()) {
                roster.note_block(&naming.committee, header.proposers());
            }
        }
        for cluster in hole.reelected {
            accepted[*cluster as usize] += ROUNDS_AHEAD_OF_GALAXY;
        }
        let accepted_of = |cluster: u32| accepted.get(cluster as usize).copied().unwrap_or(0);
        homes.settle(accepted_of);
        let genesis = &self.config.genesis;
        if hole.height.is_multiple_of(genesis.growth().epoch_black_holes) {
            roster.end_epoch();
            let (active, traffic) = (self.activity.active.iter(), self.activity.traffic.as_ref());
            if homes.is_settled()
                && let Some(change) = next_placement(genesis, homes.placement(), active, traffic)
            {
                let named = |cluster: u32| self.clusters[cluster as usize].accepted.0 + ROUNDS_AHEAD_OF_GALAXY;
                homes.change(change.to, change.leaves, named);
                homes.settle(accepted_of);
            }
        }
        let accepts = hole.blocks.iter().map(|sealed| &sealed.block.header);
        let after_blocks = accepts.map(|header| (header.cluster(), header.round() + ROUNDS_AHEAD_OF_GALAXY));
        let born = self.clusters.len() as u32..homes.placement().clusters();
        let anew = hole.reelected.iter().copied().chain(born).flat_map(|cluster| {
            let last = accepted_of(cluster);
            (last + 1..=last + ROUNDS_AHEAD_OF_GALAXY).map(move |round| (cluster, round))
        });
        let membership = Membership { roster, homes };
        let named = after_blocks.chain(anew);
        let draw = |(cluster, round)| (cluster, round, membership.draw(&self.config, &hole.beacon, cluster, round));
        Succession { named: named.map(draw).collect(), membership }
    }

    /// Puts a succession into force, its black hole being the tip and the clusters past its LSH blocks.
    pub(crate) fn succeed(&mut self, succession: Succession) {
        let Succession { membership, named } = succession;
        let has_moved = membership.homes != self.membership.homes;
        if membership.roster.validators() != self.validators() {
            self.clusters.iter_mut().for_each(|cluster| cluster.note_validators(membership.roster.validators()));
        }
        self.membership = membership;
        for id in self.clusters.len() as u32..self.membership.homes.placement().clusters() {
            self.clusters.push(Cluster::new(id));
            self.pools.push(Default::default());
        }
        if self.tip.height.is_multiple_of(self.config.genesis.growth().epoch_black_holes) {
            self.activity.end_epoch(self.tip.beacon);
        }
        let (tip, homes) = (self.tip, &self.membership.homes);
        for (cluster, round, committee) in named {
            let naming = Naming {
                height: tip.height,
                black_hole: tip.hash,
                beacon: tip.beacon,
                committee,
                homes: homes.clone(),
            };
            self.clusters[cluster as usize].name(round, naming);
        }
        if has_moved || !self.membership.homes.is_settled() {
            self.bring_transactions_home();
        }
    }

    /// What waits goes where its initiator belongs. While stars are on their way this is done after every black hole: a transaction may wait again
    /// that a block of the old cluster held.
    fn bring_transactions_home(&mut self) {
        for cluster in 0..self.pools.len() {
            let homes = &self.membership.homes;
            let strangers = self.pools[cluster].take_out(|star| homes.cluster_of(star) as usize != cluster);
            for (transaction, admitted_us) in strangers {
                let home = self.home(&transaction.initiator());
                self.pools[home].take_in(transaction, admitted_us);
            }
        }
    }
}
