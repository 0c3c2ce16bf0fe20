//! The pool: transactions that wait for a block, and those in a certified LSH block that wait for the black hole.
//!
//! Stars sign ahead: a transaction may follow one that is itself still waiting. The pool therefore keeps, beside the ledger's heads, where
//! each star's chain will stand once the certified LSH blocks are folded, and proposes a transaction when it extends those.

use crate::config::Config;
use crate::event::{Admission, TransactionState};
use constellation_chain::{Hash, Ledger, PublicKey, Reason, StarHead, Transaction};
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;

/// Rival transactions of one initiator and number that are kept: two show the fork, more show nothing new.
const RIVALS_MAX: usize = 2;

struct Entry {
    transaction: Arc<Transaction>,
    state: State,
    admitted_us: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    Sealed,
}

/// Where a star's chain will stand once the LSH block of `round` is folded.
struct Ahead {
    round: u64,
    head: StarHead,
}

/// Who proposes a transaction in a round: each initiator falls to one seat, another in each round.
pub(crate) struct Share {
    pub salt: u64,
    pub seats: usize,
    pub me: usize,
}

impl Share {
    /// Rendezvous hashing: the seat with the largest mix of salt, seat and initiator. It only has to spread; who proposes what is no
    /// consensus rule, and the salt comes from the beacon.
    fn is_mine(&self, initiator: &PublicKey) -> bool {
        let (word, _) = initiator.0.split_first_chunk::<8>().expect("a key has 32 bytes");
        let weight = |seat: usize| mix(u64::from_le_bytes(*word) ^ mix(self.salt ^ seat as u64));
        let mine = weight(self.me);
        (0..self.seats).all(|seat| weight(seat) <= mine)
    }
}

/// The finaliser of SplitMix64.
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[derive(Default)]
pub(crate) struct Pool {
    entries: HashMap<Hash, Entry>,
    /// Waiting transactions of each initiator, by number. An emptied queue stays until its turn comes, so that every queue is in
    /// `turns` exactly once.
    waiting: HashMap<PublicKey, BTreeMap<(u64, Hash), Arc<Transaction>>>,
    /// Initiators in the order in which they get their turn.
    turns: VecDeque<PublicKey>,
    ahead: HashMap<PublicKey, Ahead>,
    waiting_count: usize,
}

/// A transaction that left the pool without a block, and why; no reason when it waited too long.
pub(crate) type Dropped = (Hash, Option<Reason>);

impl Pool {
    /// Takes a transaction whose signatures hold.
    pub fn admit(&mut self, transaction: Arc<Transaction>, ledger: &Ledger, config: &Config, now_us: u64) -> Admission {
        let id = transaction.id();
        if self.entries.contains_key(&id) {
            return Admission::Known;
        }
        match ledger.judge(&transaction) {
            Some(Reason::Duplicate) => return Admission::Final,
            Some(reason @ (Reason::Stale | Reason::Orphan)) => return Admission::Censored { reason },
            Some(Reason::Fork) if !ledger.would_prove_fork(&transaction) => {
                return Admission::Censored { reason: Reason::Fork };
            }
            // Who has never been paid cannot pay; who has may be paid by something that is on its way.
            Some(reason @ Reason::Balance) if ledger.account(&transaction.initiator()).is_none() => {
                return Admission::Censored { reason };
            }
            Some(Reason::Fork | Reason::Gap | Reason::Balance) | None => {}
        }
        let (initiator, sequence) = (transaction.initiator(), transaction.initiator_half().sequence());
        let busy = Admission::Busy { retry_after_ms: (config.round_interval_us / 500) as u32 + 20 };
        if self.waiting_count >= config.pool_max || self.turns.len() >= 2 * config.pool_max {
            return busy;
        }
        if let Some(queue) = self.waiting.get(&initiator) {
            if queue.range((sequence, Hash::ZERO)..=(sequence, Hash([0xff; 32]))).count() >= RIVALS_MAX {
                return Admission::Censored { reason: Reason::Fork };
            }
            if queue.len() >= config.pool_star_max {
                return busy;
            }
        }
        self.entries.insert(id, Entry { transaction: transaction.clone(), state: State::Waiting, admitted_us: now_us });
        self.start_waiting(transaction);
        Admission::Admitted
    }

    /// Transactions that wait for a block.
    pub fn waiting_count(&self) -> usize {
        self.waiting_count
    }

    /// Where a transaction stands.
    pub fn state_of(&self, id: &Hash) -> TransactionState {
        match self.entries.get(id).map(|entry| entry.state) {
            None => TransactionState::Unknown,
            Some(State::Waiting) => TransactionState::Admitted,
            Some(State::Sealed) => TransactionState::ClusterFinal,
        }
    }

    /// Whether these very bytes, signatures included, were verified on their way into the pool.
    pub fn has_verified(&self, transaction: &Transaction) -> bool {
        self.entries.get(&transaction.id()).is_some_and(|entry| *entry.transaction == *transaction)
    }

    /// Picks what this node proposes in a round: its share of the initiators, in turn, each star's transactions in their order, as many as
    /// fit. What can never apply is dropped on the way, except a fork that is not in the evidence yet: that is proposed for the record.
    ///
    /// What is `in_flight` may be in the block of the round before, and waits for that to be known; so do those that follow it.
    pub fn compose(
        &mut self,
        share: &Share,
        in_flight: &HashSet<Hash>,
        ledger: &Ledger,
        max_bytes: usize,
        dropped: &mut Vec<Dropped>,
    ) -> Composed {
        let mut picked = Vec::new();
        let mut is_any_ready = false;
        let mut len_bytes = 0;
        let mut heads: HashMap<PublicKey, StarHead> = HashMap::new();
        let mut dead: Vec<(Arc<Transaction>, Reason)> = Vec::new();
        for _ in 0..self.turns.len() {
            let Some(initiator) = self.turns.pop_front() else { break };
            if self.waiting.get(&initiator).is_none_or(BTreeMap::is_empty) {
                self.waiting.remove(&initiator);
                continue;
            }
            self.turns.push_back(initiator);
            if !share.is_mine(&initiator) {
                is_any_ready = is_any_ready || self.has_ready(&initiator, in_flight, ledger);
                continue;
            }
            for transaction in self.waiting.get(&initiator).into_iter().flat_map(BTreeMap::values) {
                if in_flight.contains(&transaction.id()) {
                    break;
                }
                match self.readiness(transaction, &heads, ledger) {
                    Readiness::Ready => {
                        for (star, half) in transaction.halves() {
                            heads.insert(star, StarHead { sequence: half.sequence(), head: transaction.id() });
                        }
                    }
                    Readiness::Evidence => {}
                    Readiness::NotYet => break,
                    Readiness::Never(reason) => {
                        dead.push((transaction.clone(), reason));
                        continue;
                    }
                }
                if len_bytes + transaction.len_bytes() > max_bytes {
                    break;
                }
                len_bytes += transaction.len_bytes();
                picked.push(transaction.clone());
            }
            if len_bytes + constellation_chain::FIXED_LEN_BYTES > max_bytes {
                break;
            }
        }
        for (transaction, reason) in dead {
            self.entries.remove(&transaction.id());
            self.stop_waiting(&transaction);
            dropped.push((transaction.id(), Some(reason)));
        }
        is_any_ready |= !picked.is_empty();
        Composed { picked, is_any_ready }
    }

    fn has_ready(&self, initiator: &PublicKey, in_flight: &HashSet<Hash>, ledger: &Ledger) -> bool {
        let first = self.waiting.get(initiator).and_then(|queue| queue.values().next());
        first.filter(|transaction| !in_flight.contains(&transaction.id())).is_some_and(|transaction| {
            matches!(self.readiness(transaction, &HashMap::new(), ledger), Readiness::Ready | Readiness::Evidence)
        })
    }

    /// The transactions of a certified LSH block stop waiting; the heads they make count from now on.
    pub fn seal(&mut self, round: u64, transactions: &[Arc<Transaction>]) {
        for transaction in transactions {
            if let Some(entry) = self.entries.get_mut(&transaction.id()) {
                let was = std::mem::replace(&mut entry.state, State::Sealed);
                if was == State::Waiting {
                    self.stop_waiting(transaction);
                }
            }
            for (star, half) in transaction.halves() {
                let head = StarHead { sequence: half.sequence(), head: transaction.id() };
                let ahead = self.ahead.entry(star).or_insert(Ahead { round, head });
                if head.sequence > ahead.head.sequence {
                    *ahead = Ahead { round, head };
                }
            }
        }
    }

    /// Takes over what a black hole did. A gap goes back to waiting: its predecessor may still come.
    pub fn settle<'a>(&mut self, outcomes: impl Iterator<Item = (&'a Arc<Transaction>, Option<Reason>)>, round: u64) {
        for (transaction, reason) in outcomes {
            for (star, _) in transaction.halves() {
                if self.ahead.get(&star).is_some_and(|ahead| ahead.round <= round) {
                    self.ahead.remove(&star);
                }
            }
            if reason == Some(Reason::Gap) {
                self.wait_again(&transaction.id());
            } else if let Some(entry) = self.entries.remove(&transaction.id())
                && entry.state == State::Waiting
            {
                self.stop_waiting(transaction);
            }
        }
    }

    /// Drops what was admitted before `oldest_us` and still waits.
    pub fn expire(&mut self, oldest_us: u64, dropped: &mut Vec<Dropped>) {
        let is_old = |entry: &Entry| entry.state == State::Waiting && entry.admitted_us < oldest_us;
        let old: Vec<Arc<Transaction>> =
            self.entries.values().filter(|entry| is_old(entry)).map(|entry| entry.transaction.clone()).collect();
        for transaction in old {
            self.entries.remove(&transaction.id());
            self.stop_waiting(&transaction);
            dropped.push((transaction.id(), None));
        }
    }

    fn readiness(&self, transaction: &Transaction, heads: &HashMap<PublicKey, StarHead>, ledger: &Ledger) -> Readiness {
        let mut worst = Readiness::Ready;
        for (star, half) in transaction.halves() {
            let moving = heads.get(&star).or_else(|| self.ahead.get(&star).map(|ahead| &ahead.head)).copied();
            let head = moving.unwrap_or_else(|| ledger.head(&star));
            let next = head.sequence.saturating_add(1);
            if half.sequence() == next && half.previous == head.head {
                continue;
            }
            // While a head is moving, what does not extend it may still do so when the black hole says otherwise.
            if half.sequence() > next || moving.is_some() {
                worst = Readiness::NotYet;
                continue;
            }
            return match ledger.judge(transaction) {
                Some(Reason::Fork) if ledger.would_prove_fork(transaction) => Readiness::Evidence,
                Some(Reason::Gap) | None => Readiness::NotYet,
                Some(reason) => Readiness::Never(reason),
            };
        }
        worst
    }

    fn start_waiting(&mut self, transaction: Arc<Transaction>) {
        let initiator = transaction.initiator();
        let queue = self.waiting.entry(initiator).or_insert_with(|| {
            self.turns.push_back(initiator);
            BTreeMap::new()
        });
        queue.insert((transaction.initiator_half().sequence(), transaction.id()), transaction);
        self.waiting_count += 1;
    }

    fn stop_waiting(&mut self, transaction: &Transaction) {
        if let Some(queue) = self.waiting.get_mut(&transaction.initiator())
            && queue.remove(&(transaction.initiator_half().sequence(), transaction.id())).is_some()
        {
            self.waiting_count -= 1;
        }
    }

    fn wait_again(&mut self, id: &Hash) {
        if let Some(entry) = self.entries.get_mut(id)
            && entry.state != State::Waiting
        {
            entry.state = State::Waiting;
            let transaction = entry.transaction.clone();
            self.start_waiting(transaction);
        }
    }
}

/// What a node proposes in a round.
pub(crate) struct Composed {
    pub picked: Vec<Arc<Transaction>>,
    /// Whether anything could be proposed, if only by others: reason enough for a round, for they may be gone.
    pub is_any_ready: bool,
}

enum Readiness {
    Ready,
    Evidence,
    NotYet,
    Never(Reason),
}

#[cfg(test)]
#[path = "pool_tests.rs"]
mod tests;
