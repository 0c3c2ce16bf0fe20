//! The schedule of a load test and everything that is decided while it runs, in one thread without locks.
//!
//! Time is cut into slices of a few milliseconds. In each, the transactions that have come due are signed, unless they were before, and queued
//! to the nodes in turn, and what the nodes' threads report is worked off. Nothing a node does moves the schedule; what is late is measured as late.

use super::LoadOptions;
use super::flights::{Flight, Flights};
use super::report::{LoadProgress, LoadReport, Tally};
use super::sender::{Event, Job};
use super::signing::{AMOUNT, Prepared, Signing};
use super::stars::{StarIndex, Stars};
use constellation_chain::{Hash, Reason, Transaction};
use constellation_node::api::{Admission, StarAnswer};
use constellation_node::api::{FinalBlock, TransactionStatus};
use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

const SLICE_US: u64 = 5_000;
/// Transactions signed before events are looked at again.
const SLICE_MAX: usize = 512;
/// What is later than this is not sent any more.
const LATE_MAX_US: u64 = 4_000_000;
/// Transactions in one frame, at most: two thirds of what a node takes.
const FRAME_MAX: usize = 2048;
/// A node with more than this part of a second's transactions in its queue is passed over while another has less.
const QUEUE_PART: usize = 20;
const QUEUE_MIN: usize = 64;
/// A transaction is sent again, to another node, when others that were due this much later are final, or nothing has become final for as
/// long. Age alone says nothing: in an overloaded network everything is old, and sending it all again would be more load.
const RESEND_US: u64 = 10_000_000;
/// The same once the schedule is over.
const RESEND_DRAINING_US: u64 = 5_000_000;
/// The longest wait that a busy node can impose on one transaction.
const RETRY_MAX_MS: u32 = 2_000;
/// Stars resynchronised, or fates asked for, at once.
const QUESTIONS_MAX: usize = 256;
const PROGRESS_US: u64 = 250_000;
const HOUSEKEEPING_US: u64 = 1_000_000;
/// The longest drain after the caller asked to stop.
const STOP_DRAIN_US: u64 = 5_000_000;

/// A node as the conductor knows it.
pub struct Desk {
    /// Where its jobs go.
    pub jobs: SyncSender<Job>,
    /// Whether it can be reached.
    pub is_up: bool,
    /// Whether its final blocks are followed.
    pub is_followed: bool,
    queue: VecDeque<Hash>,
    is_busy: bool,
}

impl Desk {
    /// A node without work.
    pub fn new(jobs: SyncSender<Job>, is_up: bool, is_followed: bool) -> Self {
        Desk { jobs, is_up, is_followed, queue: VecDeque::new(), is_busy: false }
    }
}

/// A place of the schedule whose stars are known.
struct Drawn {
    pair: [StarIndex; 2],
    due_us: u64,
    /// The pair's transaction, if it was signed before.
    signed: Option<Transaction>,
}

/// A running load test.
pub struct Conductor<'a> {
    options: &'a LoadOptions,
    start: Instant,
    desks: Vec<Desk>,
    stars: Stars,
    prepared: Prepared,
    flights: Flights,
    tally: Tally,
    /// The next transaction of the schedule, and where the schedule ends.
    next: u64,
    asked: u64,
    /// Whether the last transaction that was due found no free pair of stars.
    lacks_stars: bool,
    turn: usize,
    /// What busy nodes sent back, and when it goes out again.
    retries: BTreeSet<(u64, Hash)>,
    /// Transactions whose fate only a node's memory tells.
    doubtful: Vec<Hash>,
    parked: BTreeSet<StarIndex>,
    /// The node that was asked for heads, and the height its answer must have.
    asked_heads: Option<(usize, u64)>,
    first_height: u64,
    last_height: u64,
    /// When the newest transaction that is final was due.
    newest_commit_us: u64,
}

impl<'a> Conductor<'a> {
    /// A test that starts now.
    pub fn new(
        options: &'a LoadOptions,
        desks: Vec<Desk>,
        (stars, prepared): (Stars, Prepared),
        height: u64,
        node_errors: u64,
    ) -> Self {
        let mut tally = Tally::new();
        tally.counts.node_errors = node_errors;
        Conductor {
            options,
            start: Instant::now(),
            desks,
            stars,
            prepared,
            flights: Flights::default(),
            tally,
            next: 0,
            asked: options.count(),
            lacks_stars: false,
            turn: 0,
            retries: BTreeSet::new(),
            doubtful: Vec::new(),
            parked: BTreeSet::new(),
            asked_heads: None,
            first_height: height,
            last_height: height,
            newest_commit_us: 0,
        }
    }

    /// Runs the schedule, then waits until everything has ended.
    pub fn run(
        mut self,
        events: &Receiver<(usize, Event)>,
        progress: &mut dyn FnMut(&LoadProgress),
        stop: &AtomicBool,
    ) -> LoadReport {
        let drain_us = u64::try_from(self.options.drain_max.as_micros()).unwrap_or(u64::MAX);
        let mut give_up_us = self.due_us(self.asked).saturating_add(drain_us);
        let (mut progress_us, mut housekeeping_us) = (PROGRESS_US, HOUSEKEEPING_US);
        let mut is_stopped = false;
        loop {
            let now_us = self.now_us();
            if !is_stopped && stop.load(Ordering::Relaxed) {
                is_stopped = true;
                self.asked = self.next;
                give_up_us = give_up_us.min(now_us + STOP_DRAIN_US);
            }
            let has_more = self.generate(now_us);
            self.retry(now_us);
            if now_us >= housekeeping_us {
                housekeeping_us = now_us + HOUSEKEEPING_US;
                self.resend_overdue(now_us);
            }
            self.hand_out(now_us);
            if now_us >= progress_us {
                progress_us = now_us + PROGRESS_US;
                progress(&self.tally.progress(now_us, self.flights.len()));
            }
            let is_done = self.next >= self.asked && self.flights.is_empty();
            if is_done || now_us >= give_up_us {
                return self.finish();
            }
            let slice_end_us = if has_more { now_us } else { (now_us / SLICE_US + 1) * SLICE_US };
            self.listen(events, slice_end_us);
        }
    }

    fn now_us(&self) -> u64 {
        self.since_start_us(Instant::now())
    }

    fn since_start_us(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.start).as_micros()).unwrap_or(u64::MAX)
    }

    fn due_us(&self, index: u64) -> u64 {
        (u128::from(index) * 1_000_000 / u128::from(self.options.rate_per_s.max(1))).try_into().unwrap_or(u64::MAX)
    }

    /// Works off events until the slice ends.
    fn listen(&mut self, events: &Receiver<(usize, Event)>, until_us: u64) {
        loop {
            let left = Duration::from_micros(until_us.saturating_sub(self.now_us()));
            match events.recv_timeout(left) {
                Ok((node, event)) => {
                    self.take(node, event);
                    self.hand_out(self.now_us());
                }
                Err(RecvTimeoutError::Timeout) => return,
                // Every node's threads have ended, which only a bug does: the drain's end ends the test.
                Err(RecvTimeoutError::Disconnected) => {
                    std::thread::sleep(left);
                    return;
                }
            }
        }
    }

    /// Signs and queues what has come due; true when there is more than one slice's work.
    fn generate(&mut self, now_us: u64) -> bool {
        // A second's worth without an answer: more of it would only fill queues.
        let unadmitted_max = (self.options.rate_per_s as usize).max(4 * FRAME_MAX);
        let mut drawn: Vec<Drawn> = Vec::new();
        while self.next < self.asked && drawn.len() < SLICE_MAX {
            let due_us = self.due_us(self.next);
            if due_us > now_us {
                break;
            }
            if now_us - due_us > LATE_MAX_US {
                self.skip(1);
                continue;
            }
            self.lacks_stars = false;
            if self.flights.unadmitted() + drawn.len() >= unadmitted_max || self.desks.iter().all(|desk| !desk.is_up) {
                break;
            }
            let pair = match self.prepared.pair(&self.stars) {
                Some(pair) => self.stars.take(pair, AMOUNT),
                None => self.stars.draw(AMOUNT),
            };
            let Some(pair) = pair else {
                self.lacks_stars = true;
                break;
            };
            drawn.push(Drawn { pair, due_us, signed: self.prepared.take(&self.stars) });
            self.next += 1;
        }
        let is_full = drawn.len() == SLICE_MAX;
        self.start(drawn);
        is_full
    }

    /// Queues the transactions of pairs that were drawn; no star is in two of them.
    fn start(&mut self, drawn: Vec<Drawn>) {
        let mut ready = Vec::with_capacity(drawn.len());
        let mut unsigned = Vec::new();
        for mut one in drawn {
            match one.signed.take() {
                Some(transaction) => ready.push((one, transaction)),
                None => unsigned.push(one),
            }
        }
        self.tally.counts.prepared += ready.len() as u64;
        let pairs: Vec<_> = unsigned.iter().map(|one| one.pair).collect();
        let signing = Signing { network: self.options.network, threads: self.options.threads };
        ready.extend(unsigned.into_iter().zip(signing.sign(&self.stars, &pairs)));
        for (Drawn { pair, due_us, .. }, transaction) in ready {
            self.stars.advance(pair, transaction.id());
            let id = self.flights.start(transaction, pair, due_us);
            self.queue(id, None);
        }
    }

    fn skip(&mut self, count: u64) {
        self.next += count;
        self.tally.counts.not_sent += count;
        self.tally.counts.not_sent_for_want_of_stars += if self.lacks_stars { count } else { 0 };
    }

    /// Puts a transaction into the queue of the next node in turn, not `but` if another will do.
    fn queue(&mut self, id: Hash, but: Option<usize>) {
        let node = self.next_node(but);
        let Some(flight) = self.flights.get_mut(&id) else { return };
        if flight.is_queued && flight.node == node {
            return;
        }
        (flight.node, flight.is_queued) = (node, node.is_some());
        if let Some(node) = node {
            self.desks[node].queue.push_back(id);
        }
    }

    fn next_node(&mut self, but: Option<usize>) -> Option<usize> {
        let count = self.desks.len();
        self.turn = (self.turn + 1) % count;
        let in_turn = (0..count).map(|step| (self.turn + step) % count);
        let up: Vec<usize> = in_turn.filter(|node| self.desks[*node].is_up).collect();
        let others = || up.iter().copied().filter(|node| Some(*node) != but);
        let queue_max = (self.options.rate_per_s as usize / QUEUE_PART).max(QUEUE_MIN);
        let chosen = others().find(|node| self.desks[*node].queue.len() < queue_max).or_else(|| others().next());
        if let Some(node) = chosen {
            self.turn = node;
        }
        chosen.or_else(|| up.first().copied())
    }

    fn retry(&mut self, now_us: u64) {
        while self.retries.first().is_some_and(|(due_us, _)| *due_us <= now_us) {
            if let Some((_, id)) = self.retries.pop_first() {
                self.queue(id, None);
            }
        }
    }

    fn resend_overdue(&mut self, now_us: u64) {
        let patience_us = if self.next < self.asked { RESEND_US } else { RESEND_DRAINING_US };
        let is_stalled = self.tally.last_commit_us() + patience_us < now_us;
        let is_overdue = |flight: &Flight| {
            let is_passed = flight.intended_us + patience_us < self.newest_commit_us;
            let is_old = flight.sent_us.is_some_and(|sent_us| sent_us + patience_us < now_us);
            !flight.is_queued && is_old && (is_passed || is_stalled)
        };
        for id in self.flights.ids(is_overdue) {
            self.resend(id);
        }
    }

    fn resend(&mut self, id: Hash) {
        let Some(flight) = self.flights.get_mut(&id) else { return };
        let (node, was_sent) = (flight.node, flight.sent_us.is_some());
        self.tally.counts.resent += u64::from(was_sent);
        self.queue(id, node);
    }

    /// Gives every idle node its next job.
    fn hand_out(&mut self, now_us: u64) {
        for node in 0..self.desks.len() {
            if !self.desks[node].is_up || self.desks[node].is_busy {
                continue;
            }
            if let Some(job) = self.question(node).or_else(|| self.frame(node, now_us)) {
                // A thread that has ended is a node that is down; it says so itself.
                self.desks[node].is_busy = self.desks[node].jobs.try_send(job).is_ok();
            }
        }
    }

    fn question(&mut self, node: usize) -> Option<Job> {
        if !self.doubtful.is_empty() {
            let from = self.doubtful.len().saturating_sub(QUESTIONS_MAX);
            return Some(Job::Fates(self.doubtful.split_off(from)));
        }
        if self.asked_heads.is_some() {
            return None;
        }
        let settled = self.parked.iter().filter(|index| self.stars.is_settled(**index)).take(QUESTIONS_MAX);
        let stars: Vec<_> = settled.map(|index| (*index, self.stars.public_key(*index))).collect();
        self.asked_heads = (!stars.is_empty()).then_some((node, self.last_height));
        self.asked_heads.map(|_| Job::Heads(stars))
    }

    fn frame(&mut self, node: usize, now_us: u64) -> Option<Job> {
        let (mut ids, mut records) = (Vec::new(), Vec::new());
        while ids.len() < FRAME_MAX {
            let Some(id) = self.desks[node].queue.pop_front() else { break };
            let Some(flight) = self.flights.get_mut(&id).filter(|flight| flight.is_queued && flight.node == Some(node))
            else {
                continue;
            };
            flight.is_queued = false;
            self.tally.counts.sent += u64::from(flight.sent_us.replace(now_us).is_none());
            flight.transaction.write(&mut records);
            ids.push(id);
        }
        (!ids.is_empty()).then_some(Job::Submit { ids, records })
    }

    fn take(&mut self, node: usize, event: Event) {
        match event {
            Event::Submitted(admissions) => {
                self.desks[node].is_busy = false;
                let now_us = self.now_us();
                admissions.into_iter().for_each(|(id, admission)| self.take_admission(id, admission, now_us));
            }
            Event::Heads(heads) => {
                self.desks[node].is_busy = false;
                self.take_heads(heads);
            }
            Event::Fates(fates) => {
                self.desks[node].is_busy = false;
                fates.into_iter().for_each(|(id, fate)| self.take_fate(id, fate));
            }
            Event::Final(at, block) => self.take_block(node, self.since_start_us(at), block),
            Event::Down(error) => {
                tracing::debug!(node = %self.options.nodes[node], %error, "node lost");
                self.tally.counts.node_errors += 1;
                let desk = &mut self.desks[node];
                (desk.is_up, desk.is_busy) = (false, false);
                desk.queue.clear();
                self.asked_heads = self.asked_heads.filter(|(asked, _)| *asked != node);
                self.move_stranded();
            }
            Event::Up => {
                self.desks[node].is_up = true;
                self.move_stranded();
            }
            Event::Following(is_followed) => {
                self.desks[node].is_followed = is_followed;
                if !is_followed {
                    self.commit_seen(|flight| flight.node == Some(node));
                }
            }
        }
    }

    /// What was sent to a node that is lost goes to the others, unless it was seen to be final elsewhere.
    fn move_stranded(&mut self) {
        let is_up: Vec<bool> = self.desks.iter().map(|desk| desk.is_up).collect();
        let is_stranded = |flight: &Flight| flight.node.is_none_or(|node| !is_up[node]);
        self.commit_seen(is_stranded);
        for id in self.flights.ids(is_stranded) {
            self.resend(id);
        }
    }

    fn commit_seen(&mut self, pick: impl Fn(&Flight) -> bool) {
        for id in self.flights.ids(|flight| flight.seen_us.is_some() && pick(flight)) {
            self.commit_known(id);
        }
    }

    fn take_admission(&mut self, id: Hash, admission: Admission, now_us: u64) {
        match admission {
            Admission::Admitted | Admission::Known => self.admit(&id),
            Admission::Final | Admission::Censored { reason: Reason::Duplicate } => self.commit_known(id),
            Admission::Busy { retry_after_ms } => {
                self.tally.counts.busy += 1;
                let wait_ms = retry_after_ms.clamp(1, RETRY_MAX_MS);
                self.retries.insert((now_us + u64::from(wait_ms) * 1000, id));
            }
            // A node forgets what stood long ago, but may still remember that it stands.
            Admission::Censored { reason: Reason::Stale } => self.doubtful.push(id),
            Admission::Censored { reason } => self.censor(id, reason.name()),
        }
    }

    fn take_fate(&mut self, id: Hash, fate: TransactionStatus) {
        match fate {
            TransactionStatus::Applied { .. } => self.commit_known(id),
            TransactionStatus::Admitted | TransactionStatus::ClusterFinal => self.admit(&id),
            TransactionStatus::Unknown | TransactionStatus::Dropped { .. } | TransactionStatus::Censored { .. } => {
                self.censor(id, Reason::Stale.name())
            }
        }
    }

    fn take_heads(&mut self, heads: Vec<(StarIndex, StarAnswer)>) {
        let Some((_, height)) = self.asked_heads.take() else { return };
        for (index, answer) in heads {
            // A node that is behind would give a head that has moved on.
            if answer.height >= height && self.stars.is_settled(index) {
                self.parked.remove(&index);
                self.stars.resynchronise(index, answer.head, answer.balance);
            }
        }
    }

    fn take_block(&mut self, node: usize, at_us: u64, block: FinalBlock) {
        self.last_height = self.last_height.max(block.height);
        for (id, reason) in block.outcomes {
            let Some(flight) = self.flights.get_mut(&id) else { continue };
            match reason {
                None | Some(Reason::Duplicate) => {
                    let is_own = flight.node == Some(node);
                    let own_is_followed = flight.node.is_some_and(|own| self.desks[own].is_followed);
                    if is_own || !own_is_followed {
                        self.commit(id, at_us);
                    } else {
                        flight.seen_us.get_or_insert(at_us);
                    }
                }
                // The pool keeps it until its predecessor comes.
                Some(Reason::Gap) => {}
                Some(reason) => self.censor(id, reason.name()),
            }
        }
    }

    fn admit(&mut self, id: &Hash) {
        if let Some(pair) = self.flights.admit(id) {
            self.tally.counts.admitted += 1;
            self.stars.admitted(pair);
        }
    }

    /// The transaction was seen in a black hole.
    fn commit(&mut self, id: Hash, at_us: u64) {
        self.admit(&id);
        let Some(flight) = self.flights.end(&id) else { return };
        self.stars.ended(flight.pair, true);
        self.newest_commit_us = self.newest_commit_us.max(flight.intended_us);
        self.tally.commit(flight.intended_us, at_us);
    }

    /// The transaction stands, but its own node will not show it: the first sight elsewhere counts, or else this moment.
    fn commit_known(&mut self, id: Hash) {
        let now_us = self.now_us();
        let seen_us = self.flights.get_mut(&id).and_then(|flight| flight.seen_us);
        self.commit(id, seen_us.unwrap_or(now_us));
    }

    /// The transaction cannot apply, and so neither can what follows it.
    fn censor(&mut self, id: Hash, reason: &str) {
        if self.flights.get_mut(&id).is_none() {
            return;
        }
        for victim in self.flights.with_successors(id) {
            let Some(flight) = self.flights.end(&victim) else { continue };
            match flight.sent_us {
                Some(_) => self.tally.censor(if victim == id { reason } else { "predecessor" }),
                None => self.tally.counts.not_sent += 1,
            }
            self.stars.ended(flight.pair, flight.is_admitted);
            for index in flight.pair {
                self.stars.park(index);
                self.parked.insert(index);
            }
        }
    }

    fn finish(mut self) -> LoadReport {
        self.commit_seen(|_| true);
        self.skip(self.asked - self.next);
        for id in self.flights.ids(|_| true) {
            let Some(flight) = self.flights.end(&id) else { continue };
            let counts = &mut self.tally.counts;
            match (flight.sent_us, flight.is_admitted) {
                (None, _) => counts.not_sent += 1,
                (Some(_), true) => counts.lost += 1,
                (Some(_), false) => counts.not_admitted += 1,
            }
        }
        self.tally.counts.asked = self.asked;
        self.tally.counts.black_holes = self.last_height - self.first_height;
        self.tally.report()
    }
}

#[cfg(test)]
#[path = "conductor_tests.rs"]
mod tests;
