//! What the nodes' logs hold, and whether they hold.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use constellation_chain::{BlackHole, Hash, Misconduct, NetworkId, PublicKey, Reader, Transaction, elect_facilitators};
use constellation_protocol::Auditor;

use super::network::Network;
use super::watch::Violation;

/// How often who takes part changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Clusters that were added.
    pub splits: u64,
    /// Clusters that were taken away.
    pub merges: u64,
    /// Clusters that got other facilitators because theirs made no block.
    pub elected_anew: u64,
    /// Times that there were other validators.
    pub validators: u64,
}

impl Network {
    /// Ids that applied in a node's log.
    pub fn applied(&self, index: usize) -> BTreeSet<Hash> {
        let log = &self.disks[index].log;
        log.iter()
            .flat_map(|(black_hole, _)| black_hole.outcomes())
            .filter(|(_, reason)| reason.is_none())
            .map(|(transaction, _)| transaction.id())
            .collect()
    }

    /// Black holes in a node's log.
    pub fn height(&self, index: usize) -> usize {
        self.disks[index].log.len()
    }

    /// Somebody who checks a log from its first byte.
    pub fn auditor(&self) -> Auditor {
        Auditor::new(self.genesis.clone(), self.compute.clone())
    }

    /// All nodes' logs hold from the first byte, and agree as far as they go. Tells what changed in them.
    ///
    /// # Errors
    /// The first that does not.
    pub fn check_logs(&self) -> Result<Changes, Violation> {
        let longest = (0..self.disks.len()).max_by_key(|&index| self.height(index)).unwrap_or_default();
        let reference = &self.disks[longest].log;
        let mut auditor = self.auditor();
        let mut changes = Changes::default();
        for (black_hole, certificate) in reference {
            let before = (auditor.clusters(), auditor.validators().clone());
            auditor
                .next(black_hole, certificate)
                .map_err(|error| Violation::BadLog { node: longest, why: error.to_string() })?;
            let live = auditor.clusters();
            changes.splits += live.iter().filter(|cluster| !before.0.contains(cluster)).count() as u64;
            changes.merges += before.0.iter().filter(|cluster| !live.contains(cluster)).count() as u64;
            changes.elected_anew += black_hole.reelected.len() as u64;
            changes.validators += u64::from(*auditor.validators() != before.1);
        }
        for (index, disk) in self.disks.iter().enumerate() {
            let differs = |((one, _), (other, _)): (&(Arc<BlackHole>, _), &(Arc<BlackHole>, _))| {
                one.contents_digest() != other.contents_digest()
            };
            if let Some(place) = disk.log.iter().zip(reference).position(differs) {
                return Err(Violation::Fork { one: index, other: longest, height: place + 1 });
            }
        }
        Ok(changes)
    }

    /// No star ever had two clusters: where its transactions change from one to another, the last block of the old one was in a black hole before
    /// the first of the new one was named.
    ///
    /// # Errors
    /// The first star that had.
    pub fn check_owners(&self) -> Result<(), Violation> {
        let longest = (0..self.disks.len()).max_by_key(|&index| self.height(index)).unwrap_or_default();
        // Of each star: the cluster that served it last, and when that block was accepted.
        let mut owners: BTreeMap<PublicKey, (u32, u64)> = BTreeMap::new();
        for (black_hole, _) in &self.disks[longest].log {
            for sealed in &black_hole.lsh_blocks {
                let (cluster, named_at) = (sealed.block.header.cluster(), sealed.block.header.black_hole_height());
                for star in sealed.block.transactions.iter().map(|transaction| transaction.initiator()) {
                    let before = owners.insert(star, (cluster, black_hole.header.height()));
                    if before.is_some_and(|(owner, accepted_at)| owner != cluster && accepted_at > named_at) {
                        return Err(Violation::TwoOwners { star, height: black_hole.header.height() });
                    }
                }
            }
        }
        Ok(())
    }

    /// The proofs of misconduct in a node's log.
    pub fn misconduct(&self, index: usize) -> impl Iterator<Item = &Misconduct> {
        let blocks = self.disks[index].log.iter().flat_map(|(black_hole, _)| &black_hole.lsh_blocks);
        blocks.flat_map(|sealed| &sealed.block.misconduct)
    }

    /// Rounds whose LSH block, in node 0's log, lacks something that an honest proposer of it proposed and the block before does not hold, or holds
    /// something again that the block before does.
    pub fn rounds_that_lack_proposals(&self) -> Vec<u64> {
        let candidates: Vec<PublicKey> = self.genesis.nodes().iter().map(|node| node.public_key).collect();
        let log = &self.disks[0].log;
        let beacon_at = |height: u64| match height {
            0 => self.genesis.hash(),
            height => log[height as usize - 1].0.header.beacon,
        };
        let mut lacking = Vec::new();
        let mut before: BTreeMap<u32, BTreeSet<Hash>> = BTreeMap::new();
        for sealed in log.iter().flat_map(|(black_hole, _)| &black_hole.lsh_blocks) {
            let header = &sealed.block.header;
            let (beacon, seats) = (beacon_at(header.black_hole_height()), self.genesis.cluster_facilitators());
            let committee = elect_facilitators(&beacon, header.cluster(), header.round(), &candidates, seats);
            let own: BTreeSet<Hash> = sealed.block.transactions.iter().map(|transaction| transaction.id()).collect();
            let before = before.entry(header.cluster()).or_default();
            if !own.is_disjoint(before) {
                lacking.push(header.round());
            }
            let held = &own | &*before;
            for proposer in header.proposers().iter().filter_map(|index| committee.get(index)) {
                let proposed = self.proposed.get(&(header.cluster(), header.round(), *proposer));
                if proposed.is_some_and(|proposed| !proposed.is_subset(&held)) {
                    lacking.push(header.round());
                }
            }
            *before = own;
        }
        lacking
    }
}

/// The transactions of a proposal.
pub(super) fn ids_in(payload: &[u8], network: NetworkId) -> BTreeSet<Hash> {
    let mut reader = Reader::new(payload);
    let mut ids = BTreeSet::new();
    for _ in 0..reader.u8().unwrap_or(0) {
        if Misconduct::read(&mut reader).is_err() {
            break;
        }
    }
    while !reader.is_empty() {
        let Ok(transaction) = Transaction::read(&mut reader, network) else { break };
        ids.insert(transaction.id());
    }
    ids
}
