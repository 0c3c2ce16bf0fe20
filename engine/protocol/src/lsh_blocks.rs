//! How certified LSH blocks reach those who did not make them: members of a round give theirs to validators without a seat in it, and who still lacks
//! one asks for it.

use crate::event::{FaultKind, NodeIndex, Priority};
use crate::message::Message;
use crate::node::{Job, Node};
use constellation_chain::{Hash, LshHeader, Reader, SealedLshBlock};
use std::sync::Arc;

/// Bytes of LSH blocks that wait for their turn, of all clusters together: what has no room is fetched when it is missed.
const GIVEN_MAX_BYTES: usize = 64 << 20;

impl Node {
    /// Validators without a seat in the round need the block too: each is given it by one member, another in each round, and fetches it where that
    /// one fails.
    pub(crate) fn give_to_bystanders(&mut self, cluster: usize, sealed: &SealedLshBlock) {
        let round = sealed.block.header.round();
        let Some(committee) = self.clusters[cluster].naming(round).map(|naming| &naming.committee) else { return };
        let Some(me) = committee.index_of(&self.public_key) else { return };
        let turn = |validator: usize| (validator as u64).wrapping_add(round) as usize % committee.len() == me;
        let bystanders = self.validators().members().iter().enumerate();
        let mine: Vec<NodeIndex> = bystanders
            .filter(|(validator, key)| turn(*validator) && committee.index_of(key).is_none())
            .filter_map(|(_, key)| self.directory.index(Some(key)))
            .collect();
        if !mine.is_empty() {
            let mut bytes = Vec::with_capacity(sealed.block.header.contents_len_bytes() + 1024);
            sealed.write(&mut bytes);
            let message = Message::LshBlock(bytes);
            mine.into_iter().for_each(|to| self.send(to, Priority::Bulk, &message));
        }
    }

    /// Asks `from`, who has spoken of later rounds, for the LSH block this node lacks.
    pub(crate) fn want_lsh_block(&mut self, cluster: usize, from: NodeIndex, certified_round: u64) {
        const ASK_AGAIN_US: u64 = 200_000;
        let round = self.clusters[cluster].current();
        let asked = self.clusters[cluster]
            .asked
            .is_some_and(|(asked, at_us)| asked == round && self.now_us < at_us + ASK_AGAIN_US);
        if certified_round < round || asked || self.clusters[cluster].naming(round).is_none() {
            return;
        }
        self.clusters[cluster].asked = Some((round, self.now_us));
        self.send(from, Priority::Consensus, &Message::GetLshBlock { cluster: cluster as u32, round });
    }

    /// Serves a certified LSH block that is in no black hole yet; later the black hole itself is served.
    pub(crate) fn serve_lsh_block(&mut self, to: NodeIndex, cluster: u32, round: u64) {
        let sealed = self.clusters.get(cluster as usize).and_then(|cluster| cluster.sealed.get(&round));
        match sealed {
            Some(sealed) => {
                let mut bytes = Vec::with_capacity(sealed.block.header.contents_len_bytes() + 1024);
                sealed.write(&mut bytes);
                self.send(to, Priority::Bulk, &Message::LshBlock(bytes));
            }
            None => self.send_status(to, false),
        }
    }

    /// Takes a certified LSH block from a peer. Decoding is work: only what was asked for, or what a member of the round gives to one that has no seat
    /// in it, is worth it.
    pub(crate) fn take_lsh_block(&mut self, from: NodeIndex, bytes: Vec<u8>) {
        let Some((id, round)) = LshHeader::place_at(&bytes) else { return };
        let cluster = id as usize;
        let Some(own) = self.clusters.get(cluster) else { return };
        let current = own.current();
        if round == current && own.adopting.is_none() && own.asked.is_some_and(|(asked, _)| asked == current) {
            return self.adopt_lsh_block(cluster, from, &bytes);
        }
        let is_open = round >= current && own.naming(round).is_some() && !own.given.contains_key(&round);
        let given = self.clusters.iter().flat_map(|cluster| cluster.given.values());
        let has_room = given.map(|(_, bytes)| bytes.len()).sum::<usize>() + bytes.len() <= GIVEN_MAX_BYTES;
        let (tier, me) = (own.tier(), self.index());
        if is_open && has_room && self.has_seat(from, tier, round) && !self.has_seat(me, tier, round) {
            self.clusters[cluster].given.insert(round, (from, bytes));
        }
    }

    /// Takes up the next of the LSH blocks that were given to this node.
    pub(crate) fn adopt_given(&mut self, cluster: usize) {
        let own = &mut self.clusters[cluster];
        if own.given.is_empty() {
            return;
        }
        let current = own.current();
        own.given = own.given.split_off(&current);
        if own.adopting.is_none()
            && let Some((from, bytes)) = own.given.remove(&current)
        {
            self.adopt_lsh_block(cluster, from, &bytes);
        }
    }

    /// Its transactions are verified before anything is built on it.
    fn adopt_lsh_block(&mut self, cluster: usize, from: NodeIndex, bytes: &[u8]) {
        let mut reader = Reader::new(bytes);
        let sealed = match SealedLshBlock::read(&mut reader, self.network) {
            Ok(sealed) => sealed,
            Err(error) => return self.blame(from, FaultKind::BadBlock(error.to_string())),
        };
        let header = sealed.block.header;
        if let Err(what) = self.check_lsh_header(&header, &sealed.certificate) {
            return self.blame(from, FaultKind::BadBlock(what));
        }
        if header.previous != self.clusters[cluster].certified.1 {
            return self.blame(from, FaultKind::BadBlock("LSH block does not follow the cluster's last one".into()));
        }
        if let Err(what) = self.check_lsh_contents(&sealed.block) {
            return self.blame(from, FaultKind::BadBlock(what));
        }
        let sealed = Arc::new(sealed);
        let unverified =
            sealed.block.transactions.iter().filter(|one| !self.pools[cluster].has_verified(one)).cloned().collect();
        self.clusters[cluster].adopting = Some((sealed, from));
        self.verify(Job::AdoptLshBlock(cluster, header.hash()), unverified);
    }

    pub(crate) fn lsh_block_verified(&mut self, cluster: usize, hash: Hash, all_valid: bool) {
        let Some((sealed, from)) =
            self.clusters[cluster].adopting.take_if(|(sealed, _)| sealed.block.header.hash() == hash)
        else {
            return;
        };
        if !all_valid {
            return self.blame(from, FaultKind::BadBlock("LSH block with a transaction that does not verify".into()));
        }
        self.seal(cluster, sealed);
        self.clusters[cluster].asked = None;
    }
}
