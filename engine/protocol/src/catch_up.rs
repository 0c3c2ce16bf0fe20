//! Catching up: a node that is behind fetches certified black holes from peers, checks them whole, and joins the rounds again.

use crate::event::{FaultKind, NodeIndex, Priority};
use crate::message::Message;
use crate::node::{Job, Node};
use constellation_chain::{BlackHole, Certificate, Hash, Transaction};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Black holes fetched ahead of the one being checked.
const WINDOW: u64 = 8;
/// After this long another peer is asked.
const ASK_AGAIN_US: u64 = 1_000_000;
/// A node one black hole behind waits this long for its own round to finish before it asks.
const PATIENCE_US: u64 = 100_000;

/// What this node knows of its peers' positions.
#[derive(Default)]
pub(crate) struct Peers {
    connected: BTreeSet<NodeIndex>,
    heights: BTreeMap<NodeIndex, u64>,
}

impl Peers {
    pub fn connect(&mut self, peer: NodeIndex) {
        self.connected.insert(peer);
    }

    pub fn disconnect(&mut self, peer: NodeIndex) {
        self.connected.remove(&peer);
    }

    pub fn connected(&self) -> impl Iterator<Item = NodeIndex> {
        self.connected.iter().copied()
    }

    pub fn connected_count(&self) -> usize {
        self.connected.len()
    }

    /// A peer has shown that it holds all black holes up to `height`.
    pub fn reached(&mut self, peer: NodeIndex, height: u64) {
        let known = self.heights.entry(peer).or_default();
        *known = height.max(*known);
    }

    pub fn best_height(&self) -> u64 {
        self.connected.iter().filter_map(|peer| self.heights.get(peer)).max().copied().unwrap_or(0)
    }

    fn holders_of(&self, height: u64) -> Vec<NodeIndex> {
        let holds = |peer: &NodeIndex| self.heights.get(peer).is_some_and(|&reached| reached >= height);
        self.connected.iter().copied().filter(holds).collect()
    }
}

struct Fetched {
    black_hole: Arc<BlackHole>,
    certificate: Certificate,
    from: NodeIndex,
}

#[derive(Default)]
pub(crate) struct CatchUp {
    asked: BTreeMap<u64, u64>,
    fetched: BTreeMap<u64, Fetched>,
    checking: Option<(u64, Hash)>,
    behind_since_us: Option<u64>,
    turn: usize,
}

impl Node {
    /// Asks for what is missing; called on every tick.
    pub(crate) fn ask_for_black_holes(&mut self) {
        let (height, best) = (self.tip.height, self.peers.best_height());
        if best <= height {
            self.catch_up.behind_since_us = None;
            return;
        }
        let since_us = *self.catch_up.behind_since_us.get_or_insert(self.now_us);
        if best == height + 1 && self.now_us < since_us + PATIENCE_US {
            return;
        }
        self.catch_up.asked = self.catch_up.asked.split_off(&(height + 1));
        self.catch_up.fetched = self.catch_up.fetched.split_off(&(height + 1));
        for wanted in height + 1..=best.min(height + WINDOW) {
            let asked = self.catch_up.asked.get(&wanted).is_some_and(|&at_us| self.now_us < at_us + ASK_AGAIN_US);
            if asked || self.catch_up.fetched.contains_key(&wanted) {
                continue;
            }
            let holders = self.peers.holders_of(wanted);
            if holders.is_empty() {
                break;
            }
            self.catch_up.turn += 1;
            let peer = holders[self.catch_up.turn % holders.len()];
            self.catch_up.asked.insert(wanted, self.now_us);
            self.send(peer, Priority::Consensus, &Message::GetBlackHole { height: wanted });
        }
    }

    /// Takes a black hole that was asked for. What was not is dropped: a late answer, or a peer that pushes.
    pub(crate) fn take_black_hole(&mut self, from: NodeIndex, bytes: &[u8]) {
        // Decoding is work: only what was asked for is worth it. The height sits at bytes 16..24 of the header.
        let wanted = |height: &[u8; 8]| self.catch_up.asked.contains_key(&u64::from_le_bytes(*height));
        if !bytes.get(16..24).and_then(|height| height.first_chunk()).is_some_and(wanted) {
            return;
        }
        let (black_hole, certificate) = match BlackHole::decode(bytes, self.network) {
            Ok(decoded) => decoded,
            Err(error) => return self.blame(from, FaultKind::BadBlock(error.to_string())),
        };
        let height = black_hole.header.height();
        if height <= self.tip.height || !self.catch_up.asked.contains_key(&height) {
            return;
        }
        let fetched = Fetched { black_hole: Arc::new(black_hole), certificate, from };
        self.catch_up.fetched.entry(height).or_insert(fetched);
    }

    /// Checks the next fetched black hole; true when anything moved.
    pub(crate) fn progress_catch_up(&mut self) -> bool {
        let next = self.tip.height + 1;
        if self.catch_up.checking.is_some() {
            return false;
        }
        let Some(fetched) = self.catch_up.fetched.get(&next) else { return false };
        let (black_hole, certificate, from) = (fetched.black_hole.clone(), fetched.certificate.clone(), fetched.from);
        if let Err(what) = self.check_black_hole(&black_hole, &certificate) {
            self.refuse_black_hole(next, from, what);
            return true;
        }
        let hash = black_hole.header.hash();
        if let Some(mine) = self.galaxy.signing() {
            // The ledger stands behind this height already: only the certificate was missing.
            if mine.header.hash() == hash {
                let mine = mine.clone();
                self.finish_black_hole(mine, certificate);
            } else {
                let mine = mine.header.hash();
                self.halt(format!("black hole {next}: this node computed {mine}, a quorum certified {hash}"));
            }
            return true;
        }
        let unverified: Vec<Arc<Transaction>> =
            black_hole.transactions().filter(|one| !self.pool.has_verified(one)).cloned().collect();
        self.catch_up.checking = Some((next, hash));
        self.verify(Job::BlackHole(hash), unverified);
        true
    }

    pub(crate) fn black_hole_verified(&mut self, hash: Hash, all_valid: bool) {
        let Some((height, _)) = self.catch_up.checking.take_if(|(_, checking)| *checking == hash) else { return };
        let next = self.tip.height + 1;
        // This node's own round may have settled that height meanwhile.
        let Some(fetched) = self.catch_up.fetched.remove(&height).filter(|_| height == next) else { return };
        if !all_valid {
            return self.refuse_black_hole(next, fetched.from, "a transaction in it does not verify".into());
        }
        // While the signatures were verified, this node's own round may have come to the point of applying.
        if self.galaxy.signing().is_some() {
            self.catch_up.fetched.insert(next, fetched);
            return;
        }
        if let Err(what) = self.apply_certified(&fetched.black_hole) {
            return self.halt(what);
        }
        self.finish_black_hole(fetched.black_hole, fetched.certificate);
    }

    /// Everything about a black hole that can be checked before its transactions are verified and applied.
    pub(crate) fn check_black_hole(&self, black_hole: &BlackHole, certificate: &Certificate) -> Result<(), String> {
        let header = &black_hole.header;
        if header.previous != self.tip.hash {
            return Err("it does not follow this node's last black hole".into());
        }
        certificate
            .verify(&header.round_id(), &header.hash(), &self.validators, &*self.compute)
            .map_err(|error| error.to_string())?;
        let (mut last, mut previous) = self.cluster.accepted;
        for sealed in &black_hole.lsh_blocks {
            let lsh = &sealed.block.header;
            if lsh.round() != last + 1 || lsh.previous != previous {
                return Err("an LSH block in it does not follow the cluster's last one".into());
            }
            self.check_lsh_header(lsh, &sealed.certificate)?;
            if !sealed.block.misconduct.iter().all(|proof| self.is_proof(proof)) {
                return Err("a proof of misconduct in it proves nothing".into());
            }
            (last, previous) = (lsh.round(), lsh.hash());
        }
        Ok(())
    }

    /// Applies a black hole that a quorum certified. If the ledger then differs from what was signed, this node (or the quorum) is broken,
    /// and going on would make it worse.
    pub(crate) fn apply_certified(&mut self, black_hole: &BlackHole) -> Result<(), String> {
        let height = black_hole.header.height();
        let application = self.ledger.apply(black_hole.transactions().map(|transaction| &**transaction));
        let rounds = black_hole.lsh_blocks.iter().map(|sealed| sealed.block.header.round());
        let checks = [
            ("state", self.ledger.state() == black_hole.header.state),
            ("censored list", application.censored == black_hole.censored),
            ("evidence", application.evidence == black_hole.evidence),
            (
                "facilitators",
                self.next_facilitators(&black_hole.header.beacon, rounds) == black_hole.header.facilitators,
            ),
        ];
        match checks.iter().find(|(_, same)| !same) {
            Some((what, _)) => {
                Err(format!("black hole {height}: this node computes another {what} than was certified"))
            }
            None => Ok(()),
        }
    }

    fn refuse_black_hole(&mut self, height: u64, from: NodeIndex, what: String) {
        self.catch_up.fetched.remove(&height);
        self.catch_up.asked.remove(&height);
        self.blame(from, FaultKind::BadBlock(format!("black hole {height}: {what}")));
    }
}
