//! Catching up: a node that is behind fetches certified black holes from peers, checks them whole, and joins the rounds again.
//!
//! Peers serve the records of their logs as they are. A window of them is asked for ahead, from all who hold them in turn. What arrives is decoded
//! and its certificate checked at once, so that only what a quorum signed costs more; then the signatures of everything that has arrived
//! meanwhile are verified as one batch, while the black holes of the batch before are applied. Who serves what does not hold is blamed, and
//! another is asked.

use crate::event::{FaultKind, NodeIndex, Priority};
use crate::membership::{Decisive, Succession};
use crate::message::Message;
use crate::node::{Job, Node};
use constellation_chain::{BlackHole, Certificate, Hash, LshHeader, Transaction};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Black holes asked for ahead of the last one applied.
const WINDOW: u64 = 32;
/// Bytes of fetched black holes above which only the next one is asked for.
const WINDOW_BYTES: usize = 64 << 20;
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

/// A black hole that a quorum signed.
struct Fetched {
    black_hole: Arc<BlackHole>,
    certificate: Certificate,
    from: NodeIndex,
    len_bytes: usize,
    signatures: Signatures,
}

/// What is known of its transactions' signatures.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Signatures {
    Unknown,
    Asked,
    Hold,
}

/// What a job verifies of a black hole.
struct Part {
    height: u64,
    hash: Hash,
    count: usize,
}

#[derive(Default)]
pub(crate) struct CatchUp {
    asked: BTreeMap<u64, u64>,
    fetched: BTreeMap<u64, Fetched>,
    /// The job that is open.
    parts: Option<Vec<Part>>,
    behind_since_us: Option<u64>,
    /// Peers that served what does not hold: not asked again, while there are others, until this node has caught up.
    distrusted: BTreeSet<NodeIndex>,
    turn: usize,
}

impl Node {
    /// Asks for what is missing; called on every tick.
    pub(crate) fn ask_for_black_holes(&mut self) {
        let (height, best) = (self.tip.height, self.peers.best_height());
        if best <= height {
            self.catch_up.behind_since_us = None;
            self.catch_up.distrusted.clear();
            return;
        }
        let since_us = *self.catch_up.behind_since_us.get_or_insert(self.now_us);
        if best == height + 1 && self.now_us < since_us + PATIENCE_US {
            return;
        }
        self.catch_up.asked = self.catch_up.asked.split_off(&(height + 1));
        self.catch_up.fetched = self.catch_up.fetched.split_off(&(height + 1));
        let fetched_bytes: usize = self.catch_up.fetched.values().map(|fetched| fetched.len_bytes).sum();
        let window = if fetched_bytes < WINDOW_BYTES { WINDOW } else { 1 };
        // Who certifies the next epoch's is known at the end of this one.
        for wanted in height + 1..=best.min(height + window).min(self.epoch_end()) {
            let asked = self.catch_up.asked.get(&wanted).is_some_and(|&at_us| self.now_us < at_us + ASK_AGAIN_US);
            if asked || self.catch_up.fetched.contains_key(&wanted) {
                continue;
            }
            let holders = self.peers.holders_of(wanted);
            if holders.is_empty() {
                break;
            }
            self.catch_up.turn += 1;
            let distrusted = &self.catch_up.distrusted;
            let trusted: Vec<_> = holders.iter().copied().filter(|peer| !distrusted.contains(peer)).collect();
            let askable = if trusted.is_empty() { &holders } else { &trusted };
            let peer = askable[self.catch_up.turn % askable.len()];
            self.catch_up.asked.insert(wanted, self.now_us);
            self.send(peer, Priority::Consensus, &Message::GetBlackHole { height: wanted });
        }
    }

    /// Takes a black hole that was asked for. What was not is dropped: a late answer, or a peer that pushes.
    pub(crate) fn take_black_hole(&mut self, from: NodeIndex, bytes: &[u8]) {
        // Decoding is work: only what was asked for is worth it. The height sits at bytes 16..24 of the header.
        let Some(height) = bytes.get(16..24).and_then(|height| height.first_chunk()) else { return };
        let height = u64::from_le_bytes(*height);
        if height <= self.tip.height || !self.catch_up.asked.contains_key(&height) {
            return;
        }
        let (black_hole, certificate) = match BlackHole::decode(bytes, self.network) {
            Ok(decoded) => decoded,
            Err(error) => return self.refuse_black_hole(height, from, error.to_string()),
        };
        if let Err(what) = self.check_black_hole_certificate(&black_hole, &certificate) {
            return self.refuse_black_hole(height, from, what);
        }
        let signatures = Signatures::Unknown;
        let fetched =
            Fetched { black_hole: Arc::new(black_hole), certificate, from, len_bytes: bytes.len(), signatures };
        self.catch_up.fetched.entry(height).or_insert(fetched);
    }

    /// Verifies what has been fetched and applies what follows; true when anything moved.
    pub(crate) fn progress_catch_up(&mut self) -> bool {
        let asked = self.verify_fetched();
        self.apply_fetched() || asked
    }

    /// Asks for the signatures of all that has been fetched since the last time, as one job.
    fn verify_fetched(&mut self) -> bool {
        if self.catch_up.parts.is_some() {
            return false;
        }
        let mut unverified: Vec<Arc<Transaction>> = Vec::new();
        let mut parts = Vec::new();
        let homes = &self.membership.homes;
        let unknown = |fetched: &&mut Fetched| fetched.signatures == Signatures::Unknown;
        for fetched in self.catch_up.fetched.values_mut().filter(unknown) {
            let before = unverified.len();
            let black_hole = &fetched.black_hole;
            let verified =
                |one: &&Arc<Transaction>| self.pools[homes.cluster_of(&one.initiator()) as usize].has_verified(one);
            unverified.extend(black_hole.transactions().filter(|one| !verified(one)).cloned());
            fetched.signatures = Signatures::Asked;
            let count = unverified.len() - before;
            parts.push(Part { height: black_hole.header.height(), hash: black_hole.header.hash(), count });
        }
        if parts.is_empty() {
            return false;
        }
        self.catch_up.parts = Some(parts);
        self.verify(Job::BlackHoles, unverified);
        true
    }

    /// The verdicts on the open job, in order.
    pub(crate) fn black_holes_verified(&mut self, mut verdicts: &[bool]) {
        for part in self.catch_up.parts.take().unwrap_or_default() {
            let (own, rest) = verdicts.split_at_checked(part.count).unwrap_or_default();
            verdicts = rest;
            let holds = own.len() == part.count && own.iter().all(|valid| *valid);
            // This node's own round may have settled that height meanwhile.
            let Some(fetched) = self.catch_up.fetched.get_mut(&part.height) else { continue };
            if fetched.black_hole.header.hash() != part.hash {
                continue;
            }
            fetched.signatures = Signatures::Hold;
            let from = fetched.from;
            if !holds {
                self.refuse_black_hole(part.height, from, "a transaction in it does not verify".into());
            }
        }
    }

    /// Applies the next black hole if its signatures hold.
    fn apply_fetched(&mut self) -> bool {
        let next = self.tip.height + 1;
        let holds = |fetched: &Fetched| fetched.signatures == Signatures::Hold;
        if !self.catch_up.fetched.get(&next).is_some_and(holds) {
            return false;
        }
        let Some(Fetched { black_hole, certificate, from, .. }) = self.catch_up.fetched.remove(&next) else {
            return false;
        };
        if let Err(what) = self.check_black_hole_place(&black_hole) {
            self.refuse_black_hole(next, from, what);
            return true;
        }
        let hash = black_hole.header.hash();
        if let Some(mine) = self.galaxy.signing().map(|mine| mine.header.hash()) {
            if mine != hash {
                self.halt(format!("black hole {next}: this node computed {mine}, a quorum certified {hash}"));
            } else if let Some((mine, succession)) = self.galaxy.take_signing() {
                // The ledger stands behind this height already: only the certificate was missing.
                self.finish_black_hole(mine, certificate, succession);
            }
            return true;
        }
        match self.apply_certified(&black_hole) {
            Ok(succession) => self.finish_black_hole(black_hole, certificate, succession),
            Err(what) => self.halt(what),
        }
        true
    }

    /// Everything about a black hole that can be checked before its transactions are verified and applied.
    pub(crate) fn check_black_hole(&self, black_hole: &BlackHole, certificate: &Certificate) -> Result<(), String> {
        self.check_black_hole_place(black_hole)?;
        self.check_black_hole_certificate(black_hole, certificate)
    }

    fn check_black_hole_certificate(&self, black_hole: &BlackHole, certificate: &Certificate) -> Result<(), String> {
        let header = &black_hole.header;
        certificate
            .verify(&header.round_id(), &header.hash(), self.validators(), &*self.compute)
            .map_err(|error| error.to_string())
    }

    /// Whether it follows what this node has, with the LSH blocks that may stand in it.
    fn check_black_hole_place(&self, black_hole: &BlackHole) -> Result<(), String> {
        if black_hole.header.previous != self.tip.hash {
            return Err("it does not follow this node's last black hole".into());
        }
        let headers = || black_hole.lsh_blocks.iter().map(|sealed| &sealed.block.header);
        let has_none = |cluster: u32| headers().all(|header| header.cluster() != cluster);
        let mut before: Option<&LshHeader> = None;
        for sealed in &black_hole.lsh_blocks {
            let lsh = &sealed.block.header;
            if before.is_some_and(|before| before.cluster() > lsh.cluster()) {
                return Err("its LSH blocks are not in the order of their clusters".into());
            }
            let (last, previous) = match before.filter(|before| before.cluster() == lsh.cluster()) {
                Some(before) => (before.round(), before.hash()),
                None => self.clusters.get(lsh.cluster() as usize).map(|cluster| cluster.accepted).ok_or_else(|| {
                    format!("an LSH block in it is of cluster {}, which this network does not have", lsh.cluster())
                })?,
            };
            if lsh.round() != last + 1 || lsh.previous != previous {
                return Err("an LSH block in it does not follow the cluster's last one".into());
            }
            self.check_lsh_header(lsh, &sealed.certificate)?;
            self.check_lsh_contents(&sealed.block)?;
            before = Some(lsh);
        }
        let is_void = |id: &u32| self.clusters.get(*id as usize).is_some_and(|_| has_none(*id));
        if !black_hole.reelected.iter().all(is_void) {
            return Err("a cluster in it was elected anew that has a block, or that does not exist".into());
        }
        Ok(())
    }

    /// Applies a black hole that a quorum certified. If the ledger then differs from what was signed, this node (or the quorum) is broken,
    /// and going on would make it worse.
    pub(crate) fn apply_certified(&mut self, black_hole: &BlackHole) -> Result<Succession, String> {
        let height = black_hole.header.height();
        let application = self.ledger.apply(black_hole.transactions().map(|transaction| &**transaction));
        let succession = self.succession(&Decisive {
            height,
            beacon: black_hole.header.beacon,
            blocks: &black_hole.lsh_blocks,
            censored: &application.censored,
            reelected: &black_hole.reelected,
        });
        let checks = [
            ("state", self.ledger.state() == black_hole.header.state),
            ("censored list", application.censored == black_hole.censored),
            ("evidence", application.evidence == black_hole.evidence),
            ("membership", succession.hash() == black_hole.header.facilitators),
        ];
        match checks.iter().find(|(_, same)| !same) {
            Some((what, _)) => {
                Err(format!("black hole {height}: this node computes another {what} than was certified"))
            }
            None => Ok(succession),
        }
    }

    fn refuse_black_hole(&mut self, height: u64, from: NodeIndex, what: String) {
        self.catch_up.fetched.remove(&height);
        self.catch_up.asked.remove(&height);
        self.catch_up.distrusted.insert(from);
        self.blame(from, FaultKind::BadBlock(format!("black hole {height}: {what}")));
    }
}
