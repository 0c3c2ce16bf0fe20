//! The core: the one thread that runs the protocol's state machine. It journals before anything leaves.

use crate::api::{FinalFeed, SubmitReply};
use crate::bell::Bell;
use crate::gossip;
use crate::journal::{Journal, JournalError};
use crate::log_stage::LogInput;
use crate::meter::{Meter, Spent, Stretch};
use crate::ring::Ring;
use crate::runtime::{Ending, Gauges, NodeError};
use crate::verify_stage::VerifyJob;
use constellation_chain::{Hash, Offer, Tier, Transaction};
use constellation_net::{Channel, Handle, Items, PeerId, SendError};
use constellation_protocol::{Action, Admission, Answer, Event, Fault, FaultKind, Node, Priority, Query};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Events handled before their actions are carried out together.
const EVENTS_MAX: usize = 256;
/// Transactions in them, from which on no more events are taken: votes must not wait for a great many of them.
const TRANSACTIONS_MAX: usize = 512;
/// The state machine looks at what is late at least this often.
const TICK: Duration = Duration::from_millis(10);

/// What comes into the core.
pub(crate) enum CoreInput {
    Net(constellation_net::Event),
    Verdicts { job: u64, verdicts: Vec<bool> },
    Submit { transactions: Vec<Arc<Transaction>>, reply: oneshot::Sender<SubmitReply> },
    Gossiped(Vec<Arc<Transaction>>),
    Offer { offer: Arc<Offer>, reply: Option<oneshot::Sender<SubmitReply>> },
    Query { query: Query, reply: oneshot::Sender<Answer> },
}

impl CoreInput {
    fn transaction_count(&self) -> usize {
        match self {
            CoreInput::Submit { transactions, .. } | CoreInput::Gossiped(transactions) => transactions.len(),
            _ => 0,
        }
    }
}

/// The rings into the core, in the order in which they are emptied.
pub(crate) struct CoreRings {
    pub bell: Arc<Bell>,
    pub verdicts: Arc<Ring<CoreInput>>,
    pub messages: Arc<Ring<CoreInput>>,
    pub queries: Arc<Ring<CoreInput>>,
    pub transactions: Arc<Ring<CoreInput>>,
    /// Bytes of the messages that wait; what bounds them is the door of the network.
    pub message_bytes: Arc<AtomicUsize>,
}

impl CoreRings {
    /// The next input: verdicts, messages, queries, transactions; but one turn in four begins at the end, so that no flood of messages can keep the
    /// rest out.
    fn pop(&self, turn: usize) -> Option<CoreInput> {
        let late = || self.queries.pop().or_else(|| self.transactions.pop());
        let early = || self.verdicts.pop().or_else(|| self.pop_message());
        if turn % 4 == 3 { late().or_else(early) } else { early().or_else(late) }
    }

    fn pop_message(&self) -> Option<CoreInput> {
        let input = self.messages.pop()?;
        if let CoreInput::Net(constellation_net::Event::Message { bytes, .. }) = &input {
            self.message_bytes.fetch_sub(bytes.len(), Ordering::Relaxed);
        }
        Some(input)
    }

    fn is_empty(&self) -> bool {
        self.verdicts.is_empty() && self.messages.is_empty() && self.queries.is_empty() && self.transactions.is_empty()
    }

    pub fn len(&self) -> usize {
        self.verdicts.len() + self.messages.len() + self.queries.len() + self.transactions.len()
    }
}

pub(crate) struct CoreStage {
    pub node: Node,
    pub journal: Journal,
    pub rings: Arc<CoreRings>,
    pub jobs: Arc<Ring<VerifyJob>>,
    pub log: Arc<Ring<LogInput>>,
    pub durable_height: Arc<AtomicU64>,
    pub net: Handle,
    pub feed: Arc<FinalFeed>,
    pub gauges: Arc<Gauges>,
    pub meter: Arc<Meter>,
    pub stop: Arc<AtomicBool>,
    pub ending: Arc<Ending>,
    pub started: Instant,
    /// Settled rounds whose black hole is not durable yet: their height, and what the journal keeps till then.
    pub retiring: VecDeque<(u64, Tier, u64)>,
}

/// Clients that wait for an answer, by ticket. Bounded by what the rings hold: every ticket is answered by the next poll.
#[derive(Default)]
struct Waiting {
    next: u64,
    submits: HashMap<u64, Submitter>,
    queries: HashMap<u64, oneshot::Sender<Answer>>,
}

/// A client that waits for what becomes of what it submitted.
struct Submitter {
    reply: oneshot::Sender<SubmitReply>,
    ids: Vec<Hash>,
}

impl CoreStage {
    pub fn run(mut self) {
        let mut waiting = Waiting::default();
        let mut since = Stretch::new();
        while !self.stop.load(Ordering::Relaxed) {
            let (mut taken, mut transactions) = (0, 0);
            while taken < EVENTS_MAX
                && transactions < TRANSACTIONS_MAX
                && let Some(input) = self.rings.pop(taken)
            {
                taken += 1;
                transactions += input.transaction_count();
                let event = waiting.event(input);
                self.node.handle(self.now_us(), event);
            }
            let actions = self.node.poll(self.now_us());
            self.meter.count(taken);
            let outcome = self.carry_out(actions, &mut waiting, &mut since).and_then(|()| self.retire_durable());
            if let Err(error) = outcome {
                self.ending.fail(error);
                return;
            }
            self.meter.book(&mut since, Spent::Busy);
            if taken == 0 {
                self.rings.bell.sleep(TICK, || !self.rings.is_empty());
                self.meter.book(&mut since, Spent::Waiting);
            }
        }
    }

    fn now_us(&self) -> u64 {
        self.started.elapsed().as_micros() as u64
    }

    /// The journal comes first: whatever the order in the list, nothing leaves before all that must precede it is kept.
    fn carry_out(&mut self, actions: Vec<Action>, waiting: &mut Waiting, since: &mut Stretch) -> Result<(), NodeError> {
        for action in &actions {
            if let Action::Journal(record) = action {
                self.journal.append(record)?;
            }
        }
        self.journal.settle()?;
        for action in actions {
            match action {
                Action::Journal(_) => {}
                Action::Retire { tier, round, height } => self.retiring.push_back((height, tier, round)),
                Action::Send { to, priority, bytes } => self.send(to, priority, bytes),
                Action::Serve { to, height } => {
                    if self.log.push(LogInput::Serve { to, height }).is_err() {
                        tracing::debug!(to, height, "the log is busy; the peer will ask again");
                    }
                }
                Action::Append { black_hole, certificate } => {
                    self.gauges.height.store(black_hole.header.height(), Ordering::Relaxed);
                    self.gauges.clusters_wanted.store(self.node.clusters_wanted() as u64, Ordering::Relaxed);
                    self.give_log(LogInput::Append { black_hole, certificate }, since)?;
                }
                Action::Verify { job, transactions } => {
                    self.jobs
                        .push_waiting(VerifyJob { job, transactions }, &self.stop)
                        .map_err(|_| NodeError::Stopped)?;
                }
                Action::Gossip(transactions) => {
                    self.publish(transactions.iter().map(|one| gossip::transaction_item(one)).collect());
                }
                Action::GossipOffer(offer) => self.publish(vec![gossip::offer_item(&offer)]),
                Action::Submitted { ticket, admissions } => {
                    self.gauges.count_admissions(&admissions);
                    waiting.answer_submit(ticket, admissions, &self.feed);
                }
                Action::Answer { ticket, answer } => waiting.answer_query(ticket, answer),
                Action::Dropped { id, reason } => self.feed.dropped(id, reason),
                Action::Fault(fault) => self.take_fault(&fault),
                Action::Halt(why) => return Err(NodeError::Diverged(why)),
            }
        }
        Ok(())
    }

    /// Lets the journal forget the rounds whose black hole is durable. Before that, losing the log's end and the journal together would leave a node
    /// free to say something else about a height that it had certified.
    fn retire_durable(&mut self) -> Result<(), NodeError> {
        let durable_height = self.durable_height.load(Ordering::Acquire);
        while let Some((_, tier, round)) = self.retiring.pop_front_if(|(height, ..)| *height <= durable_height) {
            self.journal.retire(tier, round)?;
        }
        Ok(())
    }

    fn send(&self, to: u16, priority: Priority, bytes: Arc<[u8]>) {
        let channel = match priority {
            Priority::Consensus => Channel::Consensus,
            Priority::Bulk => Channel::Bulk,
        };
        // What a peer does not get now it asks for when it says where it stands.
        if let Err(error) = self.net.send(PeerId(to), channel, bytes) {
            self.gauges.unsent.fetch_add(1, Ordering::Relaxed);
            tracing::debug!(to, %error, "a message could not be queued");
        }
    }

    fn publish(&self, items: Items) {
        match self.net.publish(items) {
            Ok(()) | Err(SendError::Stopped) => {}
            Err(error) => {
                self.gauges.unsent.fetch_add(1, Ordering::Relaxed);
                tracing::debug!(%error, "transactions could not be announced; this node proposes them itself in its turn");
            }
        }
    }

    /// A log that cannot keep up holds the core up: memory is not a place to keep blocks in.
    fn give_log(&self, input: LogInput, since: &mut Stretch) -> Result<(), NodeError> {
        let Err(back) = self.log.push(input) else { return Ok(()) };
        self.meter.book(since, Spent::Busy);
        self.log.push_waiting(back, &self.stop).map_err(|_| NodeError::Stopped)?;
        self.meter.book(since, Spent::HeldUp);
        Ok(())
    }

    fn take_fault(&self, fault: &Fault) {
        self.gauges.count_fault(fault.node);
        // An honest node can seem too far ahead to one that lags: that is counted and no more.
        if let FaultKind::Consensus(constellation_acs::FaultKind::TooFarAhead { .. }) = fault.kind {
            return tracing::debug!(node = fault.node, "a peer is rounds ahead");
        }
        tracing::warn!(node = fault.node, fault = %fault.kind, "a peer is faulty");
        let reason = match fault.kind {
            FaultKind::Malformed(_) => "malformed message",
            FaultKind::BadBlock(_) => "bad block",
            FaultKind::NoSeat { .. } => "no seat",
            FaultKind::Consensus(_)
            | FaultKind::FarAhead { .. }
            | FaultKind::Proven(_)
            | FaultKind::BadShare { .. }
            | FaultKind::BadProposal { .. } => return,
        };
        if let Err(error) = self.net.penalise(PeerId(fault.node), reason) {
            tracing::warn!(node = fault.node, %error, "could not close a faulty peer");
        }
    }
}

impl Waiting {
    fn event(&mut self, input: CoreInput) -> Event {
        self.next += 1;
        let ticket = self.next;
        match input {
            CoreInput::Net(constellation_net::Event::Connected(peer)) => Event::Connected(peer.0),
            CoreInput::Net(constellation_net::Event::Disconnected(peer, _)) => Event::Disconnected(peer.0),
            CoreInput::Net(constellation_net::Event::Message { from, bytes, .. }) => {
                Event::Message { from: from.0, bytes }
            }
            // Items go to the verifier; none come here.
            CoreInput::Net(constellation_net::Event::Items { .. }) => Event::Gossiped(Vec::new()),
            CoreInput::Verdicts { job, verdicts } => Event::Verified { job, verdicts },
            CoreInput::Gossiped(transactions) => Event::Gossiped(transactions),
            CoreInput::Submit { transactions, reply } => {
                let ids = transactions.iter().map(|transaction| transaction.id()).collect();
                self.submits.insert(ticket, Submitter { reply, ids });
                Event::Submit { ticket, transactions }
            }
            CoreInput::Offer { offer, reply } => {
                let ticket = reply.map(|reply| {
                    self.submits.insert(ticket, Submitter { reply, ids: Vec::new() });
                    ticket
                });
                Event::Offer { ticket, offer }
            }
            CoreInput::Query { query, reply } => {
                self.queries.insert(ticket, reply);
                Event::Query { ticket, query }
            }
        }
    }

    /// The ledger remembers a star's last few transactions; the feed knows of many more that they stand. Sending one of those again is
    /// answered with that, not with an error.
    fn answer_submit(&mut self, ticket: u64, mut admissions: Vec<Admission>, feed: &FinalFeed) {
        let Some(Submitter { reply, ids }) = self.submits.remove(&ticket) else { return };
        for (admission, id) in admissions.iter_mut().zip(&ids) {
            let stands = || feed.outcome(id).is_some_and(|outcome| outcome.reason.is_none());
            if matches!(admission, Admission::Censored { .. }) && stands() {
                *admission = Admission::Final;
            }
        }
        if reply.send(SubmitReply::Admissions(admissions)).is_err() {
            tracing::debug!("a client went away before its answer");
        }
    }

    fn answer_query(&mut self, ticket: u64, answer: Answer) {
        if self.queries.remove(&ticket).is_some_and(|reply| reply.send(answer).is_err()) {
            tracing::debug!("a client went away before its answer");
        }
    }
}

impl From<JournalError> for NodeError {
    fn from(error: JournalError) -> Self {
        NodeError::Journal(error)
    }
}
