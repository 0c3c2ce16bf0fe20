//! The pool: transactions that wait for a block, and those in a certified LSH block that wait for the black hole.
//!
//! Stars sign ahead: a transaction may follow one that is itself still waiting. The pool therefore keeps, beside the ledger's heads, where
//! each star's chain will stand once the certified LSH blocks are folded, and proposes a transaction when it extends those.

use crate::config::Config;
use crate::event::{Admission, TransactionState};
use constellation_chain::{Hash, KeyMap, KeySet, Ledger, PublicKey, Reason, StarHead, Transaction, record_claim};
use slab::Slab;
use std::collections::VecDeque;
use std::hint::black_box;
use std::sync::Arc;

/// Rival transactions of one initiator and number that are kept: two show the fork, more show nothing new.
const RIVALS_MAX: usize = 2;
/// Transactions of a block that are looked up together before the first is worked on.
const AHEAD_MAX: usize = 128;

struct Entry {
    transaction: Arc<Transaction>,
    state: State,
    admitted_us: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// In the queue of its initiator, which has this place.
    Waiting(usize),
    Sealed,
}

/// A waiting transaction, and its initiator's number.
type Numbered = (u64, Arc<Transaction>);

/// An initiator's waiting transactions, by number and then by id.
struct Queue {
    initiator: PublicKey,
    waiting: Vec<Numbered>,
}

impl Queue {
    /// Where a transaction is in the queue, or would be.
    fn search(&self, transaction: &Transaction) -> Result<usize, usize> {
        let wanted = transaction.initiator_half().sequence();
        let order =
            |number: u64, other: &Transaction| number.cmp(&wanted).then_with(|| other.id().cmp(&transaction.id()));
        self.waiting.binary_search_by(|(number, other)| order(*number, other))
    }
}

/// Where a star's chain will stand once the LSH block of a round is folded.
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

/// What a pool takes.
pub(crate) struct Limits {
    pub waiting_max: usize,
    /// Of one star.
    pub star_max: usize,
    /// When there may be room again.
    pub retry_after_ms: u32,
}

impl Limits {
    /// The bounds of each of so many clusters' pools.
    pub fn new(config: &Config, clusters: usize) -> Self {
        Limits {
            waiting_max: config.pool_max.div_ceil(clusters),
            star_max: config.pool_star_max,
            retry_after_ms: (config.round_interval_us / 500) as u32 + 20,
        }
    }
}

/// What a proposal may hold.
pub(crate) struct Bounds<'a> {
    /// What may be in the block of the round before.
    pub in_flight: &'a KeySet<Hash>,
    /// Whether the round may hold what a star initiates.
    pub serves: &'a dyn Fn(&PublicKey) -> bool,
    pub max_bytes: usize,
}

#[derive(Default)]
pub(crate) struct Pool {
    entries: KeyMap<Hash, Entry>,
    /// Places of initiators in `queues`. An emptied queue stays until its turn comes, so that every queue is in `turns` exactly once.
    places: KeyMap<PublicKey, usize>,
    queues: Slab<Queue>,
    /// Queues in the order in which they get their turn.
    turns: VecDeque<usize>,
    /// Of the stars that certified LSH blocks touch which are in no black hole yet: no more than the cluster runs ahead.
    ahead: KeyMap<PublicKey, Ahead>,
    waiting_count: usize,
}

/// A transaction that left the pool without a block, and why; no reason when it waited too long.
pub(crate) type Dropped = (Hash, Option<Reason>);

impl Pool {
    /// Looks up all that admitting these transactions will look up one by one: what many look-ups wait for comes from memory together.
    pub fn look_ahead<'a>(&self, transactions: impl Iterator<Item = &'a Arc<Transaction>> + Clone, ledger: &Ledger) {
        let is_here = |one: &&Arc<Transaction>| self.entries.contains_key(&one.id());
        let has_queue = |one: &&Arc<Transaction>| self.places.contains_key(&one.initiator());
        black_box(transactions.clone().filter(is_here).count());
        black_box(transactions.clone().filter(has_queue).count());
        ledger.look_ahead(transactions.map(|one| &**one));
    }

    /// Takes a transaction whose signatures hold.
    pub fn admit(&mut self, transaction: Arc<Transaction>, ledger: &Ledger, limits: &Limits, now_us: u64) -> Admission {
        let id = transaction.id();
        if self.entries.contains_key(&id) {
            return Admission::Known;
        }
        match ledger.judge(&transaction) {
            Some(Reason::Duplicate) => return Admission::Final,
            Some(reason @ (Reason::Stale | Reason::Orphan | Reason::Uncertified)) => {
                return Admission::Censored { reason };
            }
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
        let &Limits { waiting_max, star_max, retry_after_ms } = limits;
        let busy = Admission::Busy { retry_after_ms };
        if self.waiting_count >= waiting_max || self.turns.len() >= 2 * waiting_max {
            return busy;
        }
        let place = self.places.get(&initiator).copied();
        if let Some(place) = place {
            let waiting = &self.queues[place].waiting;
            if waiting.iter().filter(|(number, _)| *number == sequence).count() >= RIVALS_MAX {
                return Admission::Censored { reason: Reason::Fork };
            }
            if waiting.len() >= star_max {
                return busy;
            }
        }
        let place = place.unwrap_or_else(|| self.open_queue(initiator));
        self.start_waiting(place, transaction.clone());
        self.entries.insert(id, Entry { transaction, state: State::Waiting(place), admitted_us: now_us });
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
            Some(State::Waiting(_)) => TransactionState::Admitted,
            Some(State::Sealed) => TransactionState::ClusterFinal,
        }
    }

    /// The waiting transactions with these very bytes: they need not be decoded, hashed or verified again. Step by step for all of them, so
    /// that what one step of many look-ups waits for comes from memory together.
    pub fn find(&self, records: &[&[u8]]) -> Vec<Option<Arc<Transaction>>> {
        let claims = records.iter().map(|record| record_claim(record));
        let queues: Vec<Option<(&Queue, u64)>> = claims
            .map(|claim| {
                let (initiator, sequence) = claim?;
                Some((&self.queues[*self.places.get(initiator)?], sequence))
            })
            .collect();
        let candidates = queues.into_iter().map(|queue| {
            let (queue, sequence) = queue?;
            let first = queue.waiting.iter().position(|(number, _)| *number == sequence)?;
            Some(&queue.waiting[first..])
        });
        let candidates: Vec<Option<&[Numbered]>> = candidates.collect();
        let is_it = |one: &Transaction, record: &[u8]| **one.record() == *record;
        let found = candidates.into_iter().zip(records).map(|(candidates, record)| {
            candidates?.iter().map(|(_, one)| one).take(RIVALS_MAX).find(|one| is_it(one, record)).cloned()
        });
        found.collect()
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
        &Bounds { in_flight, serves, max_bytes }: &Bounds<'_>,
        ledger: &Ledger,
        dropped: &mut Vec<Dropped>,
    ) -> Composed {
        let mut picked = Vec::new();
        let mut is_any_ready = false;
        let mut len_bytes = 0;
        let mut heads: KeyMap<PublicKey, StarHead> = KeyMap::default();
        let mut dead: Vec<(Arc<Transaction>, Reason)> = Vec::new();
        for _ in 0..self.turns.len() {
            let Some(place) = self.turns.pop_front() else { break };
            let queue = &self.queues[place];
            if queue.waiting.is_empty() {
                let Queue { initiator, .. } = self.queues.remove(place);
                self.places.remove(&initiator);
                continue;
            }
            self.turns.push_back(place);
            // Who is on the way to this cluster is reason enough for its rounds, which bring the ones that serve it.
            if !share.is_mine(&queue.initiator) || !serves(&queue.initiator) {
                is_any_ready = is_any_ready || self.has_ready(queue, in_flight, ledger);
                continue;
            }
            for (_, transaction) in &queue.waiting {
                if in_flight.contains(&transaction.id()) {
                    break;
                }
                match self.readiness(transaction, &heads, ledger) {
                    Readiness::Ready => {
                        for (star, half) in transaction.halves() {
                            heads.insert(*star, StarHead { sequence: half.sequence(), head: transaction.id() });
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
            self.remove(&transaction.id());
            dropped.push((transaction.id(), Some(reason)));
        }
        is_any_ready |= !picked.is_empty();
        Composed { picked, is_any_ready }
    }

    fn has_ready(&self, queue: &Queue, in_flight: &KeySet<Hash>, ledger: &Ledger) -> bool {
        let first = queue.waiting.first().filter(|(_, transaction)| !in_flight.contains(&transaction.id()));
        first.is_some_and(|(_, transaction)| {
            let readiness = self.readiness(transaction, &KeyMap::default(), ledger);
            matches!(readiness, Readiness::Ready | Readiness::Evidence)
        })
    }

    /// The transactions of a certified LSH block stop waiting; the heads they make count from now on.
    pub fn seal(&mut self, round: u64, transactions: &[Arc<Transaction>]) {
        for group in transactions.chunks(AHEAD_MAX) {
            black_box(group.iter().filter(|one| self.entries.contains_key(&one.id())).count());
            self.seal_group(round, group);
        }
    }

    fn seal_group(&mut self, round: u64, transactions: &[Arc<Transaction>]) {
        for transaction in transactions {
            if let Some(entry) = self.entries.get_mut(&transaction.id())
                && let State::Waiting(place) = std::mem::replace(&mut entry.state, State::Sealed)
            {
                self.stop_waiting(place, transaction);
            }
            for (star, half) in transaction.halves() {
                let head = StarHead { sequence: half.sequence(), head: transaction.id() };
                let ahead = self.ahead.entry(*star).or_insert(Ahead { round, head });
                if head.sequence > ahead.head.sequence {
                    *ahead = Ahead { round, head };
                }
            }
        }
    }

    /// Takes over what the black hole that settles the rounds up to `round` did. A gap goes back to waiting: its predecessor may still come.
    pub fn settle<'a>(&mut self, outcomes: impl Iterator<Item = (&'a Arc<Transaction>, Option<Reason>)>, round: u64) {
        self.ahead.retain(|_, ahead| ahead.round > round);
        for (transaction, reason) in outcomes {
            if reason == Some(Reason::Gap) {
                self.wait_again(&transaction.id());
            } else {
                self.remove(&transaction.id());
            }
        }
    }

    /// Whether anything could be proposed.
    pub fn has_any_ready(&self, ledger: &Ledger) -> bool {
        let nothing = KeySet::default();
        self.queues.iter().any(|(_, queue)| self.has_ready(queue, &nothing, ledger))
    }

    /// Takes over the outcome of a transaction that a block of another cluster held.
    pub fn settle_elsewhere(&mut self, id: &Hash, reason: Option<Reason>) {
        if reason != Some(Reason::Gap) {
            self.remove(id);
        }
    }

    /// The named rounds are void: what their certified blocks held waits again.
    pub fn reopen(&mut self) {
        self.ahead.clear();
        let sealed = self.entries.iter().filter(|(_, entry)| entry.state == State::Sealed);
        let ids: Vec<Hash> = sealed.map(|(id, _)| *id).collect();
        ids.iter().for_each(|id| self.wait_again(id));
    }

    /// Hands out the waiting transactions of initiators that do not belong here any more, each with the time of its admission.
    pub fn take_out(&mut self, is_stranger: impl Fn(&PublicKey) -> bool) -> Vec<(Arc<Transaction>, u64)> {
        let strangers = self.queues.iter().filter(|(_, queue)| is_stranger(&queue.initiator));
        let waiting: Vec<Hash> =
            strangers.flat_map(|(_, queue)| &queue.waiting).map(|(_, transaction)| transaction.id()).collect();
        let take = |id: Hash| {
            let entry = self.entries.get(&id).map(|entry| (entry.transaction.clone(), entry.admitted_us));
            self.remove(&id);
            entry
        };
        waiting.into_iter().filter_map(take).collect()
    }

    /// Takes what another cluster's pool handed out. It was admitted there, and is within the bounds of all pools together.
    pub fn take_in(&mut self, transaction: Arc<Transaction>, admitted_us: u64) {
        let (id, initiator) = (transaction.id(), transaction.initiator());
        if !self.entries.contains_key(&id) {
            let place = self.places.get(&initiator).copied().unwrap_or_else(|| self.open_queue(initiator));
            self.start_waiting(place, transaction.clone());
            self.entries.insert(id, Entry { transaction, state: State::Waiting(place), admitted_us });
        }
    }

    /// Drops what was admitted before `oldest_us` and still waits.
    pub fn expire(&mut self, oldest_us: u64, dropped: &mut Vec<Dropped>) {
        let is_old = |entry: &Entry| matches!(entry.state, State::Waiting(_)) && entry.admitted_us < oldest_us;
        let old: Vec<Hash> = self.entries.iter().filter(|(_, entry)| is_old(entry)).map(|(id, _)| *id).collect();
        for id in old {
            self.remove(&id);
            dropped.push((id, None));
        }
    }

    /// Where a star's chain will stand once all certified LSH blocks are folded, if one of them touches it.
    fn head_ahead(&self, star: &PublicKey) -> Option<StarHead> {
        self.ahead.get(star).map(|ahead| ahead.head)
    }

    fn readiness(&self, transaction: &Transaction, heads: &KeyMap<PublicKey, StarHead>, ledger: &Ledger) -> Readiness {
        let mut worst = Readiness::Ready;
        for (star, half) in transaction.halves() {
            let moving = heads.get(star).copied().or_else(|| self.head_ahead(star));
            let head = moving.unwrap_or_else(|| ledger.head(star));
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

    /// Makes an initiator's queue; its place.
    fn open_queue(&mut self, initiator: PublicKey) -> usize {
        let place = self.queues.insert(Queue { initiator, waiting: Vec::new() });
        self.places.insert(initiator, place);
        self.turns.push_back(place);
        place
    }

    /// Puts a transaction into its initiator's queue.
    fn start_waiting(&mut self, place: usize, transaction: Arc<Transaction>) {
        let queue = &mut self.queues[place];
        if let Err(at) = queue.search(&transaction) {
            queue.waiting.insert(at, (transaction.initiator_half().sequence(), transaction));
            self.waiting_count += 1;
        }
    }

    fn stop_waiting(&mut self, place: usize, transaction: &Transaction) {
        let queue = &mut self.queues[place];
        if let Ok(at) = queue.search(transaction) {
            queue.waiting.remove(at);
            self.waiting_count -= 1;
        }
    }

    fn remove(&mut self, id: &Hash) {
        if let Some(entry) = self.entries.remove(id)
            && let State::Waiting(place) = entry.state
        {
            self.stop_waiting(place, &entry.transaction);
        }
    }

    fn wait_again(&mut self, id: &Hash) {
        let Some(entry) = self.entries.get(id).filter(|entry| entry.state == State::Sealed) else { return };
        let transaction = entry.transaction.clone();
        let initiator = transaction.initiator();
        let place = self.places.get(&initiator).copied().unwrap_or_else(|| self.open_queue(initiator));
        self.start_waiting(place, transaction);
        self.entries.entry(*id).and_modify(|entry| entry.state = State::Waiting(place));
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
