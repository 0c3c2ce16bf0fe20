//! What the machines of one node have to say, gathered until the caller takes it; and the faults they saw.
//!
//! Votes that are the same but for the broadcast or agreement become one, so that what n of them have to say takes little
//! more than what one has. Taken out of the order they were cast in, they leave in the order of rounds and steps: whoever reads them,
//! a peer or this node after a crash, sees an agreement's rounds one after the other, each beginning with an echo.

use std::sync::Arc;

use crate::committee::InstanceSet;
use crate::fault::{Fault, FaultKind, MAX_PENDING_FAULTS};
use crate::fragment::Fragment;
use crate::message::{JournalEntry, Message, Outgoing, Root, Step, Target, Value, Vote};
use crate::seal::Seal;

/// Filled by the machines, emptied by `take_outgoing`.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    payloads: Vec<JournalEntry>,
    messages: Vec<(Target, Message)>,
    votes: Bundle,
    /// By peer.
    repeats: Vec<(usize, Bundle)>,
    faults: Vec<Fault>,
    has_result: bool,
}

impl Outbox {
    /// A vote for everybody; its caster has counted it already.
    pub fn vote(&mut self, vote: Vote) {
        self.votes.push(vote);
    }

    /// Votes that all have been sent before, for a peer that could not store them.
    pub fn repeat(&mut self, to: usize, votes: Vec<Vote>) {
        let index = self.repeats.iter().position(|(peer, _)| *peer == to).unwrap_or_else(|| {
            self.repeats.push((to, Bundle::default()));
            self.repeats.len() - 1
        });
        for vote in votes {
            self.repeats[index].1.push(vote);
        }
    }

    /// My own proposal, for everybody.
    pub fn propose(&mut self, proposer: usize, seal: Seal, payload: Arc<[u8]>) {
        let message = Message::Payload { proposer, seal, payload };
        self.payloads.push(JournalEntry::Sent(message.clone()));
        self.messages.push((Target::All, message));
    }

    /// A payload that I am about to vouch for.
    pub fn hold(&mut self, proposer: usize, seal: Seal, payload: Arc<[u8]>) {
        self.payloads.push(JournalEntry::Held { proposer, seal, payload });
    }

    /// My fragment of a payload, which I am about to vouch for.
    pub fn hold_fragment(&mut self, proposer: usize, root: Root, fragment: Fragment) {
        self.payloads.push(JournalEntry::HeldFragment { proposer, root, fragment });
    }

    /// As [`send`](Self::send), to everybody.
    pub fn send_all(&mut self, message: Message) {
        self.messages.push((Target::All, message));
    }

    /// Something that repeats what is journalled, or needs no journal.
    pub fn send(&mut self, to: usize, message: Message) {
        self.messages.push((Target::One(to), message));
    }

    pub fn blame(&mut self, node: usize, kind: FaultKind) {
        let fault = Fault { node, kind };
        if self.faults.len() < MAX_PENDING_FAULTS && !self.faults.contains(&fault) {
            self.faults.push(fault);
        }
    }

    /// Payloads come before the votes that vouch for them, in the journal as on the wire.
    pub fn take_outgoing(&mut self) -> Outgoing {
        let mut outgoing =
            Outgoing { journal: std::mem::take(&mut self.payloads), messages: std::mem::take(&mut self.messages) };
        let votes = self.votes.take();
        if !votes.is_empty() {
            let votes = Message::Votes(votes);
            outgoing.journal.push(JournalEntry::Sent(votes.clone()));
            outgoing.messages.push((Target::All, votes));
        }
        for (peer, mut votes) in self.repeats.drain(..) {
            outgoing.messages.push((Target::One(peer), Message::Votes(votes.take())));
        }
        outgoing
    }

    /// A broadcast has delivered, or an agreement decided: what the others may have been waiting for.
    pub fn note_result(&mut self) {
        self.has_result = true;
    }

    /// Whether there was a result since the last call.
    pub fn take_result(&mut self) -> bool {
        std::mem::take(&mut self.has_result)
    }

    pub fn take_faults(&mut self) -> Vec<Fault> {
        std::mem::take(&mut self.faults)
    }
}

/// Votes that leave in one message.
#[derive(Debug, Default)]
struct Bundle {
    /// Of broadcasts, with roots, in the order they were cast.
    broadcasts: Vec<Vote>,
    ready_as_echoed: InstanceSet,
    /// By round, step and value. There are few at a time: rounds in progress, and most agreements are in the same step.
    agree: Vec<((u32, Step, Value), InstanceSet)>,
    /// Coins, in the order they were cast.
    coins: Vec<Vote>,
    /// By value.
    decided: [InstanceSet; 2],
}

impl Bundle {
    fn push(&mut self, vote: Vote) {
        match vote {
            Vote::Echo { .. } | Vote::Ready { .. } => self.broadcasts.push(vote),
            Vote::Coin { .. } | Vote::CoinMin { .. } => self.coins.push(vote),
            Vote::ReadyAsEchoed { proposers } => self.ready_as_echoed.extend(proposers),
            Vote::Decided { instances, value } => self.decided[usize::from(value)].extend(instances),
            Vote::Agree { instances, round, step, value } => {
                let slot = (round, step, value);
                match self.agree.iter_mut().find(|(other, _)| *other == slot) {
                    Some((_, others)) => others.extend(instances),
                    None => self.agree.push((slot, instances)),
                }
            }
        }
    }

    /// Who is ready for what it echoed comes after its echoes, and coins after the echoes of their rounds.
    fn take(&mut self) -> Vec<Vote> {
        let Self { broadcasts, ready_as_echoed, mut agree, coins, decided } = std::mem::take(self);
        agree.sort_unstable_by_key(|((round, step, value), _)| (*round, *step as u8, *value as u8));
        let mut votes = broadcasts;
        if !ready_as_echoed.is_empty() {
            votes.push(Vote::ReadyAsEchoed { proposers: ready_as_echoed });
        }
        let agree = agree.into_iter();
        votes.extend(agree.map(|((round, step, value), instances)| Vote::Agree { instances, round, step, value }));
        votes.extend(coins);
        for (value, instances) in [false, true].into_iter().zip(decided) {
            if !instances.is_empty() {
                votes.push(Vote::Decided { instances, value });
            }
        }
        votes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agree(instance: u16, round: u32, step: Step) -> Vote {
        Vote::Agree { instances: InstanceSet::one(instance), round, step, value: Value::One }
    }

    fn decided(instances: u128, value: bool) -> Vote {
        Vote::Decided { instances: InstanceSet::from_bits(instances), value }
    }

    #[test]
    fn votes_that_differ_in_the_instance_only_leave_as_one_in_the_order_of_rounds() {
        let mut out = Outbox::default();
        let coin = Vote::Coin { instance: 0, round: 2, proof: vec![1] };
        let echo = Vote::Echo { proposer: 0, root: [1; 32] };
        let ready = |proposers| Vote::ReadyAsEchoed { proposers: InstanceSet::from_bits(proposers) };
        let cast = [
            ready(1 << 2),
            decided(1 << 3, true),
            coin.clone(),
            agree(0, 2, Step::Echo),
            agree(5, 1, Step::Echo2),
            agree(5, 2, Step::Echo),
            agree(5, 1, Step::Echo),
            echo.clone(),
            decided(1 << 1, true),
            ready(1 << 0),
        ];
        for vote in cast {
            out.vote(vote);
        }
        let both =
            Vote::Agree { instances: InstanceSet::from_bits(0b10_0001), round: 2, step: Step::Echo, value: Value::One };
        let (first, second) = (agree(5, 1, Step::Echo), agree(5, 1, Step::Echo2));
        let votes = vec![echo, ready(0b101), first, second, both, coin, decided(0b1010, true)];
        let votes = Message::Votes(votes);
        let expected =
            Outgoing { journal: vec![JournalEntry::Sent(votes.clone())], messages: vec![(Target::All, votes)] };
        assert_eq!(out.take_outgoing(), expected);
        assert_eq!(out.take_outgoing(), Outgoing::default());
    }

    #[test]
    fn what_is_repeated_for_a_peer_is_one_message_and_not_journalled() {
        let mut out = Outbox::default();
        for (peer, instance) in [(2, 0), (1, 0), (2, 1)] {
            out.repeat(peer, vec![agree(instance, 7, Step::Echo)]);
        }
        let Outgoing { journal, messages } = out.take_outgoing();
        let votes = |instances| {
            let instances = InstanceSet::from_bits(instances);
            Message::Votes(vec![Vote::Agree { instances, round: 7, step: Step::Echo, value: Value::One }])
        };
        assert_eq!((journal, messages), (vec![], vec![(Target::One(2), votes(3)), (Target::One(1), votes(1))]));
    }
}
