//! Common subset in the frame of Ben-Or, Kelmer and Rabin (1994), as in HoneyBadger: n broadcasts, n agreements on
//! which of them count.
//!
//! - Broadcast j delivered → input 1 to agreement j.
//! - n−f agreements decided 1 → input 0 to the rest.
//! - All agreements decided, and every payload of the ones delivered → output them, in order of index. Once.
//!
//! **All get an output.** At least n−f broadcasts have honest proposers and are delivered everywhere; so either all
//! honest nodes input 1 to those n−f agreements, which then decide 1 (validity), or somebody has input 0 because it saw
//! n−f ones already, which all honest nodes come to see. Either way n−f decide 1, so every agreement gets an input from
//! every honest node, so all decide. A 1 was some honest node's input (validity), which had the payload delivered; so
//! by totality of the broadcast everybody gets it. **All get the same**, with n−f entries at least, by agreement of
//! both parts.
//!
//! The machine keeps helping after its output: votes, pulls and rounds go on until the caller drops it.

use std::sync::Arc;

use crate::agreement::Agreement;
use crate::broadcast::{Broadcast, Form};
use crate::coin::{Coin, Phase, Share};
use crate::committee::{Committee, InstanceSet};
use crate::fault::{Fault, FaultKind};
use crate::message::{JournalEntry, Message, Outgoing, Vote};
use crate::outbox::Outbox;
use crate::seal::Seals;
use crate::tally::Kind;

/// Who a machine is and what it accepts.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// My index, below `n`.
    pub me: usize,
    /// Committee size, 1 to [`MAX_NODES`](crate::MAX_NODES).
    pub n: usize,
    /// Largest payload of anybody, in bytes; below 2^32.
    pub payload_max_bytes: usize,
    /// My own payload leaves in the coded form if it has at least so many bytes, else in the digest form. What others
    /// choose is theirs.
    pub coded_from_bytes: usize,
}

/// A proposer's index and the payload it proposed.
pub type Accepted = (usize, Arc<[u8]>);

/// One node's machine for one common subset.
#[derive(Debug)]
pub struct Subset<C: Coin + Seals> {
    committee: Committee,
    coin: C,
    broadcasts: Vec<Broadcast>,
    agreements: Vec<Agreement>,
    coded_from_bytes: usize,
    proposed: bool,
    ticks: u64,
    output: Option<Vec<Accepted>>,
    out: Outbox,
}

impl<C: Coin + Seals> Subset<C> {
    /// A machine that has said nothing yet. The coin is what holds my keys: it makes and checks seals too.
    ///
    /// # Panics
    /// When `config` is not of a committee of 1 to 128 nodes with me among them.
    pub fn new(config: Config, coin: C) -> Self {
        let Config { me, n, payload_max_bytes, coded_from_bytes } = config;
        let committee = Committee::new(me, n);
        Self {
            committee,
            coin,
            broadcasts: (0..n).map(|proposer| Broadcast::new(committee, proposer, payload_max_bytes)).collect(),
            agreements: (0..n).map(|instance| Agreement::new(committee, instance as u16)).collect(),
            coded_from_bytes,
            proposed: false,
            ticks: 0,
            output: None,
            out: Outbox::default(),
        }
    }

    /// A machine that never contradicts what it had sent: `entries` are what `take_outgoing` had returned for the
    /// journal, in order. What others had sent is not in it and has to come again from them; likewise the caller
    /// sends every [`JournalEntry::Sent`] message again to everybody, as the machine does not. A proposal of mine in the
    /// coded form is the exception: its fragments, one for each node, are in the first `take_outgoing`.
    ///
    /// # Panics
    /// As [`Subset::new`].
    pub fn restore(config: Config, coin: C, entries: impl IntoIterator<Item = JournalEntry>) -> Self {
        let mut subset = Self::new(config, coin);
        for entry in entries {
            subset.restore_entry(entry);
        }
        for broadcast in &mut subset.broadcasts {
            broadcast.resume(&mut subset.out);
        }
        for agreement in &mut subset.agreements {
            agreement.resume(&subset.coin, &mut subset.out);
        }
        subset.settle();
        subset
    }

    /// My payload, once; ignored if I have already proposed.
    ///
    /// # Panics
    /// When the payload is above `payload_max_bytes`.
    pub fn propose(&mut self, payload: Arc<[u8]>) {
        let me = &mut self.broadcasts[self.committee.me];
        assert!(
            payload.len() <= me.payload_max_bytes(),
            "my payload of {} bytes is above the committee's {}",
            payload.len(),
            me.payload_max_bytes()
        );
        if !std::mem::replace(&mut self.proposed, true) {
            let form = if payload.len() < self.coded_from_bytes { Form::Digest } else { Form::Coded };
            me.propose(payload, form, &self.coin, &mut self.out);
            self.settle();
        }
    }

    /// Whether I have proposed, before a crash or since.
    pub fn has_proposed(&self) -> bool {
        self.proposed
    }

    /// A message from a peer. Nothing in it is trusted; repeats are harmless.
    pub fn handle(&mut self, from: usize, message: Message) {
        if from >= self.committee.n || from == self.committee.me {
            return;
        }
        match message {
            Message::Payload { proposer, seal, payload } => match self.broadcasts.get_mut(proposer) {
                Some(broadcast) => broadcast.on_payload(from, payload, &seal, &self.coin, &mut self.out),
                None => self.out.blame(from, FaultKind::Invalid),
            },
            Message::Votes(votes) => {
                for vote in votes {
                    self.on_vote(from, vote);
                }
            }
            Message::Pull { proposer, root } => match self.broadcasts.get_mut(proposer) {
                Some(broadcast) => broadcast.on_pull(from, root, self.ticks, &mut self.out),
                None => self.out.blame(from, FaultKind::Invalid),
            },
            Message::Fragment { proposer, root, fragment } => match self.broadcasts.get_mut(proposer) {
                Some(broadcast) => broadcast.on_fragment(from, root, fragment, &self.coin, &mut self.out),
                None => self.out.blame(from, FaultKind::Invalid),
            },
            Message::Seal { proposer, root, seal } => match self.broadcasts.get_mut(proposer) {
                Some(broadcast) => broadcast.on_seal(from, root, &seal, &self.coin, &mut self.out),
                None => self.out.blame(from, FaultKind::Invalid),
            },
        }
        if self.out.take_result() {
            self.settle();
        }
    }

    /// Some time has passed: what is overdue is asked for. How long a tick lasts is the caller's choice; several round
    /// trips are a good one.
    pub fn tick(&mut self) {
        self.ticks += 1;
        for (broadcast, agreement) in self.broadcasts.iter_mut().zip(&self.agreements) {
            if agreement.decided() != Some(false) {
                broadcast.tick(&mut self.out);
            }
        }
        self.settle();
    }

    /// Everything that has to leave since the last call: my proposal, fragments, pulls and answers to pulls, at most one
    /// [`Message::Votes`] to all, and one to each peer that was many rounds behind.
    pub fn take_outgoing(&mut self) -> Outgoing {
        self.out.take_outgoing()
    }

    /// What peers did wrong since the last call, [`MAX_PENDING_FAULTS`](crate::MAX_PENDING_FAULTS) at most.
    pub fn take_faults(&mut self) -> Vec<Fault> {
        self.out.take_faults()
    }

    /// That member's payload, once its broadcast has delivered it; agreed on or not.
    pub fn delivered(&self, proposer: usize) -> Option<&Arc<[u8]>> {
        self.broadcasts.get(proposer)?.delivered()
    }

    /// Whether n−f broadcasts have delivered: from here on there is no more to wait for than votes.
    pub fn has_quorum_of_payloads(&self) -> bool {
        let delivered = self.broadcasts.iter().filter(|broadcast| broadcast.delivered().is_some());
        self.committee.is_quorum(delivered.count() as u32)
    }

    /// The agreed payloads with their proposers, sorted by proposer; the same at every honest node.
    pub fn output(&self) -> Option<&[Accepted]> {
        self.output.as_deref()
    }

    /// Whether the output is there and no agreement needs me any more. Peers may still pull payloads.
    pub fn is_finished(&self) -> bool {
        self.output.is_some() && self.agreements.iter().all(Agreement::is_finished)
    }

    /// Rounds of all agreements whose votes are stored: bounded by the rounds I have entered, whatever peers send.
    pub fn rounds_stored(&self) -> usize {
        self.agreements.iter().map(Agreement::rounds_stored).sum()
    }

    fn on_vote(&mut self, from: usize, vote: Vote) {
        let Self { coin, broadcasts, agreements, out, .. } = self;
        let known = match vote {
            Vote::Echo { proposer, root } => {
                broadcasts.get_mut(proposer).map(|broadcast| broadcast.on_vote(from, Kind::Echo, root, out))
            }
            Vote::Ready { proposer, root } => {
                broadcasts.get_mut(proposer).map(|broadcast| broadcast.on_vote(from, Kind::Ready, root, out))
            }
            Vote::ReadyAsEchoed { proposers } => proposers.iter().try_for_each(|proposer| {
                broadcasts.get_mut(usize::from(proposer))?.on_ready_as_echoed(from, out);
                Some(())
            }),
            Vote::Agree { instances, round, step, value } => instances.iter().try_for_each(|instance| {
                let agreement = agreements.get_mut(usize::from(instance))?;
                agreement.on_agree(from, (round, step, value), coin, out);
                Some(())
            }),
            Vote::Decided { instances, value } => instances.iter().try_for_each(|instance| {
                agreements.get_mut(usize::from(instance))?.on_decided(from, value, coin, out);
                Some(())
            }),
            Vote::Coin { .. } | Vote::CoinMin { .. } => {
                CoinVote::of(vote, from).filter(|vote| vote.share.owner < broadcasts.len()).and_then(|vote| {
                    let agreement = agreements.get_mut(vote.instance)?;
                    agreement.on_coin(from, (vote.round, vote.phase), vote.share, coin, out);
                    Some(())
                })
            }
        };
        if known.is_none() {
            out.blame(from, FaultKind::Invalid);
        }
    }

    fn restore_entry(&mut self, entry: JournalEntry) {
        let me = self.committee.me;
        match entry {
            #[cfg(acs_mutants)]
            JournalEntry::Held { proposer, .. } | JournalEntry::HeldFragment { proposer, .. }
                if proposer != me && crate::mutant::is_out(crate::mutant::Guard::PayloadsRestored) => {}
            JournalEntry::Held { proposer, seal, payload } if proposer == me => {
                self.proposed = true;
                self.broadcasts[me].restore_proposal(seal, payload, &mut self.out);
            }
            JournalEntry::Held { proposer, seal, payload }
            | JournalEntry::Sent(Message::Payload { proposer, seal, payload }) => {
                self.proposed |= proposer == me;
                if let Some(broadcast) = self.broadcasts.get_mut(proposer) {
                    broadcast.restore_payload(seal, payload);
                }
            }
            JournalEntry::HeldFragment { proposer, root, fragment } => {
                if let Some(broadcast) = self.broadcasts.get_mut(proposer) {
                    broadcast.restore_fragment(root, fragment);
                }
            }
            JournalEntry::Sent(Message::Votes(votes)) => {
                for vote in guard!(VotesRestored, votes, Vec::new()) {
                    self.restore_vote(vote);
                }
            }
            JournalEntry::Sent(Message::Pull { .. } | Message::Fragment { .. } | Message::Seal { .. }) => {}
        }
    }

    fn restore_vote(&mut self, vote: Vote) {
        let me = self.committee.me;
        match vote {
            Vote::Echo { proposer, root } => {
                if let Some(broadcast) = self.broadcasts.get_mut(proposer) {
                    broadcast.restore_vote(Kind::Echo, root);
                }
            }
            Vote::Ready { proposer, root } => {
                if let Some(broadcast) = self.broadcasts.get_mut(proposer) {
                    broadcast.restore_vote(Kind::Ready, root);
                }
            }
            Vote::ReadyAsEchoed { proposers } => {
                for broadcast in members_of(&mut self.broadcasts, proposers) {
                    broadcast.restore_ready_as_echoed();
                }
            }
            Vote::Agree { instances, round, step, value } => {
                for agreement in members_of(&mut self.agreements, instances) {
                    agreement.restore_agree(round, step, value);
                }
            }
            Vote::Decided { instances, value } => {
                for agreement in members_of(&mut self.agreements, instances) {
                    agreement.restore_decided(value);
                }
            }
            Vote::Coin { .. } | Vote::CoinMin { .. } => {
                if let Some(vote) = CoinVote::of(vote, me)
                    && let Some(agreement) = self.agreements.get_mut(vote.instance)
                {
                    agreement.restore_coin(vote.round, vote.phase, vote.share, &self.coin);
                }
            }
        }
    }

    /// Carries results from broadcasts to agreements and on to the output, until nothing changes.
    fn settle(&mut self) {
        if self.output.is_some() {
            return;
        }
        let (coin, out) = (&self.coin, &mut self.out);
        for (broadcast, agreement) in self.broadcasts.iter().zip(&mut self.agreements) {
            if guard!(InputAfterDelivery, broadcast.delivered().is_some(), broadcast.has_payload()) {
                agreement.input(true, coin, out);
            }
        }
        let ones = self.agreements.iter().filter(|agreement| agreement.decided() == Some(true)).count() as u32;
        if guard!(InputZeroLate, self.committee.is_quorum(ones), ones > 0) {
            for agreement in &mut self.agreements {
                agreement.input(false, coin, out);
            }
        }
        self.output = self.complete();
    }

    /// The output, if everything it needs is there.
    fn complete(&self) -> Option<Vec<Accepted>> {
        let mut output = Vec::new();
        for (index, agreement) in self.agreements.iter().enumerate() {
            if agreement.decided()? {
                output.push((index, self.broadcasts[index].delivered()?.clone()));
            }
        }
        Some(output)
    }
}

/// Those of the machines that are in a set.
fn members_of<T>(machines: &mut [T], set: InstanceSet) -> impl Iterator<Item = &mut T> {
    let numbered = (0..).zip(machines);
    numbered.filter(move |(number, _)| set.contains(*number)).map(|(_, machine)| machine)
}

/// The two coin votes in one shape.
struct CoinVote {
    instance: usize,
    round: u32,
    phase: Phase,
    share: Share,
}

impl CoinVote {
    /// `None` if it is another kind of vote.
    fn of(vote: Vote, from: usize) -> Option<Self> {
        let (instance, round, phase, owner, proof) = match vote {
            Vote::Coin { instance, round, proof } => (instance, round, Phase::Share, from, proof),
            Vote::CoinMin { instance, round, owner, proof } => (instance, round, Phase::Smallest, owner, proof),
            _ => return None,
        };
        Some(Self { instance: usize::from(instance), round, phase, share: Share { owner, proof } })
    }
}
