//! The run itself: delivers, crashes and repeats as planned, and checks what must hold.

use std::collections::BTreeMap;

use constellation_acs::{FaultKind, JournalEntry, Message, Root, Target, digest_root};

use super::check::Violation;
use super::coin::seal;
use super::faulty_max;
use super::fragments::VARIANTS;
use super::nodes::{Endpoint, Liar, payload};
use super::plan::{Nature, Order, Plan};
use super::queue::{Packet, Queue};
use super::report::{Report, Tally};
use super::siege::{Forged, Siege, contains};
use crate::chance::Chance;
use crate::said::Said;
use crate::votes::{Bytes, Vote, encode, message_of, votes_of};

/// Ticks in which honest nodes have nothing to write down before those who wait are stuck, and two more for each node.
const IDLE_TICKS_MAX: usize = 64;
/// Messages that flooders and liars make up, at most.
const FLOODS_MAX: usize = 100;
/// All nodes, as receivers.
const EVERYBODY: u128 = !0;

pub(crate) struct Network {
    plan: Plan,
    seed: u64,
    chance: Chance,
    /// One for each node, then one more for each that has a twin.
    endpoints: Vec<Endpoint>,
    /// The second endpoint of a node.
    twins: Vec<Option<usize>>,
    /// What each honest node said.
    said: Vec<Said>,
    queue: Queue,
    siege: Option<Siege>,
    floods: usize,
    /// Journal entries of honest nodes.
    written: u64,
    roots: BTreeMap<(usize, u64), Root>,
    tally: Tally,
    report: Report,
}

impl Network {
    pub fn new(plan: Plan, seed: u64, mut chance: Chance) -> Self {
        let n = plan.n;
        let side = |node: usize| contains(plan.side, node);
        let mut endpoint = |node: usize, side| {
            Endpoint::new((node, n), (plan.natures[node], side, plan.is_coded[node]), seed, &mut chance)
        };
        let mut endpoints: Vec<_> = (0..n).map(|node| endpoint(node, side(node))).collect();
        let mut twins = vec![None; n];
        for node in (0..n).filter(|node| plan.natures[*node] == Nature::Twins) {
            twins[node] = Some(endpoints.len());
            endpoints.push(endpoint(node, !side(node)));
        }
        let siege = match plan.order {
            Order::Siege(goal) => {
                let faulty = (0..n).filter(|node| plan.natures[*node] != Nature::Honest).collect();
                Some(Siege::new(n, faulty, goal, seed, &mut chance))
            }
            Order::InStep | Order::Random | Order::LastFirst | Order::Slow { .. } => None,
        };
        Self {
            queue: Queue::new(plan.order.clone()),
            said: (0..n).map(|_| Said::default()).collect(),
            tally: Tally::new(n),
            plan,
            seed,
            chance,
            endpoints,
            twins,
            siege,
            floods: 0,
            written: 0,
            roots: BTreeMap::new(),
            report: Report::default(),
        }
    }

    /// Runs until every honest node is finished.
    pub fn run(&mut self) -> Result<(), Violation> {
        for me in 0..self.endpoints.len() {
            let Endpoint { node, nature, .. } = self.endpoints[me];
            if nature != Nature::Silent {
                let variant = u64::from(me >= self.plan.n);
                self.endpoints[me].machine.propose(payload(node, variant));
            }
        }
        let deliveries_max = 400_000 + 10_000 * (self.plan.n * self.plan.n) as u64;
        let (mut idle_ticks, mut written) = (0, 0);
        while self.unfinished().next().is_some() {
            match self.queue.next(self.report.deliveries, self.siege.as_mut(), &mut self.chance) {
                Some(packet) => self.deliver(&packet)?,
                None if self.flush_all()? => {}
                None => {
                    self.tick_all()?;
                    // Asking and answering alone is no progress.
                    idle_ticks = if self.written == written { idle_ticks + 1 } else { 0 };
                    written = self.written;
                }
            }
            if self.report.deliveries > deliveries_max {
                return Err(Violation::TooLong { deliveries: self.report.deliveries });
            }
            if idle_ticks > IDLE_TICKS_MAX + 2 * self.plan.n {
                return Err(Violation::Stuck { unfinished: self.unfinished().collect() });
            }
        }
        self.check_outputs()?;
        self.check_siege()
    }

    pub fn into_report(mut self) -> Report {
        let honest = self.endpoints.iter().filter(|endpoint| endpoint.is_honest());
        self.report.delays = honest.filter_map(|endpoint| endpoint.output_depth).max().unwrap_or_default();
        let besieged: Vec<u16> = self.siege.iter().flat_map(Siege::instances).collect();
        self.report.is_held = self.siege.as_ref().is_some_and(|siege| siege.held().is_some());
        self.tally.fill(&mut self.report, &besieged);
        self.report
    }

    fn unfinished(&self) -> impl Iterator<Item = usize> {
        let waits = |endpoint: &&Endpoint| endpoint.is_honest() && !endpoint.is_finished;
        self.endpoints.iter().filter(waits).map(|endpoint| endpoint.node)
    }

    fn deliver(&mut self, packet: &Packet) -> Result<(), Violation> {
        self.report.deliveries += 1;
        let message = Message::decode(&packet.bytes, self.plan.n).expect("only encoded messages are sent");
        let endpoint = &mut self.endpoints[packet.to];
        endpoint.depth = endpoint.depth.max(packet.depth);
        endpoint.machine.handle(packet.from, message);
        self.look_at(packet.to)?;
        if let (Some(siege), Some(vote)) = (&mut self.siege, &packet.vote) {
            let mut forged = Vec::new();
            siege.on_delivered((packet.from, packet.to_node), vote, &mut self.chance, &mut forged);
            self.push_forged(forged);
        }
        self.disturb(packet)?;
        // What several deliveries call for leaves together.
        let is_flushed = match self.plan.order {
            Order::InStep => false,
            Order::Siege(_) => true,
            Order::Random | Order::LastFirst | Order::Slow { .. } => self.chance.one_in(3),
        };
        if is_flushed { self.flush(packet.to) } else { Ok(()) }
    }

    /// Ticks, repeats, replays and crashes that do not wait for anything.
    fn disturb(&mut self, packet: &Packet) -> Result<(), Violation> {
        if self.siege.is_none() && self.chance.one_in(100) {
            self.endpoints[packet.to].machine.tick();
        }
        if self.chance.one_in(self.plan.repeat_one_in) {
            self.push_to(packet.from, packet.to, packet.depth, &packet.bytes);
        }
        if self.chance.one_in(self.plan.replay_one_in) {
            let (from, to) = (self.chance.index(self.endpoints.len()), self.chance.index(self.plan.n));
            self.replay(from, to);
        }
        if self.report.restarts < self.plan.crashes_max && self.chance.one_in(self.plan.crash_one_in) {
            let everybody = self.chance.one_in(3);
            for me in 0..self.plan.n {
                let is_chosen = me == packet.to || everybody || self.chance.one_in(self.plan.n as u64);
                if is_chosen && self.endpoints[me].is_honest() {
                    self.crash(me)?;
                }
            }
        }
        Ok(())
    }

    /// A node loses all that it has not written down, and all that is on its way to it. It may crash before, while or after it writes.
    fn crash(&mut self, me: usize) -> Result<(), Violation> {
        self.report.restarts += 1;
        let mut outgoing = self.endpoints[me].machine.take_outgoing();
        let reach = match self.chance.below(4) {
            0 => {
                outgoing.journal.clear();
                None
            }
            1 => {
                outgoing.journal.truncate(self.chance.index(outgoing.journal.len() + 1));
                None
            }
            2 => None,
            _ => Some(self.chance.side(self.plan.n)),
        };
        self.write(me, &outgoing.journal)?;
        if let Some(reach) = reach {
            self.say(me, &outgoing.messages, reach);
        }
        let is_coded = self.chance.one_in(2);
        self.endpoints[me].restart(self.plan.n, self.seed, is_coded);
        self.look_at(me)?;
        self.queue.forget(me);
        for peer in (0..self.endpoints.len()).filter(|peer| *peer != me) {
            self.replay(me, self.endpoints[peer].node);
            self.replay(peer, me);
        }
        Ok(())
    }

    fn tick_all(&mut self) -> Result<(), Violation> {
        for endpoint in &mut self.endpoints {
            endpoint.machine.tick();
        }
        self.flush_all()?;
        Ok(())
    }

    /// Whether anything left.
    fn flush_all(&mut self) -> Result<bool, Violation> {
        let before = self.queue.len();
        for me in 0..self.endpoints.len() {
            self.flush(me)?;
        }
        Ok(self.queue.len() > before)
    }

    fn flush(&mut self, me: usize) -> Result<(), Violation> {
        let outgoing = self.endpoints[me].machine.take_outgoing();
        self.write(me, &outgoing.journal)?;
        self.say(me, &outgoing.messages, EVERYBODY);
        Ok(())
    }

    /// Keeps what an honest node writes down, and what others can know from it.
    fn write(&mut self, me: usize, journal: &[JournalEntry]) -> Result<(), Violation> {
        let endpoint = &mut self.endpoints[me];
        if !endpoint.is_honest() {
            return Ok(());
        }
        for entry in journal {
            let mut bytes = Vec::new();
            entry.encode(&mut bytes);
            endpoint.journal.push(bytes.into());
            self.written += 1;
            let contradiction = |what| Violation::Contradiction { node: me, what };
            self.said[me].note_entry(me, entry).map_err(contradiction)?;
            if let JournalEntry::Sent(message) = entry {
                self.tally.note(me, &votes_of(message));
            }
        }
        Ok(())
    }

    /// Sends what a node has to say to those of its receivers that are in `reach`.
    fn say(&mut self, me: usize, messages: &[(Target, Message)], reach: u128) {
        for (target, message) in messages {
            if self.siege.is_some() {
                self.say_vote_by_vote(me, *target, message);
            } else if self.endpoints[me].is_honest() {
                self.report.pulls += u64::from(matches!(message, Message::Pull { .. }));
                self.send(me, *target, encode(message), reach);
            } else {
                self.lie(me, *target, message);
            }
        }
    }

    fn lie(&mut self, me: usize, target: Target, message: &Message) {
        let nature = self.endpoints[me].nature;
        if nature == Nature::Silent {
            return;
        }
        for to in self.receivers(me, target) {
            let mut liar = Liar { n: self.plan.n, seed: self.seed, chance: &mut self.chance, roots: &mut self.roots };
            let is_other_side = self.endpoints[to].side != self.endpoints[me].side;
            let messages = self.endpoints[me].instead((target, message), (to, is_other_side), &mut liar);
            for message in messages {
                self.send(me, Target::One(to), encode(&message), EVERYBODY);
            }
        }
        if matches!(nature, Nature::Liar { .. }) && self.floods < FLOODS_MAX {
            // Somebody else's proposal, as if it were at hand; faulty nodes have each other's keys.
            self.floods += 1;
            let proposer = self.chance.index(self.plan.n);
            let is_honest = self.endpoints[proposer].nature == Nature::Honest;
            let (sealer, payload) = (if is_honest { self.endpoints[me].node } else { proposer }, payload(proposer, 1));
            let message = Message::Payload { proposer, seal: seal(sealer, &digest_root(&payload)), payload };
            self.send(me, Target::All, encode(&message), EVERYBODY);
        }
        if nature == Nature::Flooder && self.floods < FLOODS_MAX && self.chance.one_in(2) {
            self.floods += 1;
            let mut liar = Liar { n: self.plan.n, seed: self.seed, chance: &mut self.chance, roots: &mut self.roots };
            let flood = encode(&liar.flood());
            self.send(me, Target::All, flood, EVERYBODY);
        }
    }

    /// In a siege every vote travels alone, and the faulty nodes' machines keep out of what is besieged.
    fn say_vote_by_vote(&mut self, me: usize, target: Target, message: &Message) {
        let votes = votes_of(message);
        if votes.is_empty() {
            return self.send(me, target, encode(message), EVERYBODY);
        }
        let depth = self.endpoints[me].depth + 1;
        let mut forged = Vec::new();
        let is_honest = self.endpoints[me].is_honest();
        let Some(siege) = &mut self.siege else { return };
        if is_honest {
            siege.on_cast(me, &votes, &mut self.chance, &mut forged);
        }
        let votes: Vec<Vote> = votes.into_iter().filter(|vote| is_honest || siege.is_free(vote)).collect();
        for vote in votes {
            let bytes = encode(&message_of(vec![vote.clone()]));
            for to in self.receivers(me, target) {
                self.count_sent(me, &bytes);
                let (bytes, vote) = (bytes.clone(), Some(vote.clone()));
                self.queue.push(Packet { from: me, to, to_node: to, depth, bytes, vote });
            }
        }
        self.push_forged(forged);
    }

    fn push_forged(&mut self, forged: Vec<Forged>) {
        for (from, to, vote) in forged {
            let bytes = encode(&message_of(vec![vote.clone()]));
            let depth = self.endpoints[from].depth;
            self.queue.push(Packet { from, to, to_node: to, depth, bytes, vote: Some(vote) });
        }
    }

    fn send(&mut self, me: usize, target: Target, bytes: Bytes, reach: u128) {
        let depth = self.endpoints[me].depth + 1;
        for to in self.receivers(me, target).filter(|to| contains(reach, *to)) {
            self.count_sent(me, &bytes);
            self.push(me, to, depth, &bytes);
        }
        self.endpoints[me].sent.push((target, bytes));
    }

    fn receivers(&self, me: usize, target: Target) -> impl Iterator<Item = usize> + use<> {
        let node = self.endpoints[me].node;
        (0..self.plan.n).filter(move |to| *to != node && (target == Target::All || target == Target::One(*to)))
    }

    fn count_sent(&mut self, me: usize, bytes: &Bytes) {
        if self.endpoints[me].is_honest() {
            self.report.messages += 1;
            self.report.bytes += bytes.len() as u64;
        }
    }

    /// Sends all that an endpoint has sent to a node again.
    fn replay(&mut self, from: usize, to: usize) {
        let is_own = self.endpoints[from].node == to;
        let is_meant = |target: Target| !is_own && (target == Target::All || target == Target::One(to));
        let sent = self.endpoints[from].sent.iter().filter(|(target, _)| is_meant(*target));
        let again: Vec<Bytes> = sent.map(|(_, bytes)| bytes.clone()).collect();
        let depth = self.endpoints[from].depth + 1;
        for bytes in again {
            self.push(from, to, depth, &bytes);
        }
    }

    /// Puts a message on its way from an endpoint to a node: a twin speaks to its side only.
    fn push(&mut self, from: usize, to: usize, depth: u32, bytes: &Bytes) {
        for endpoint in [Some(to), self.twins[to]].into_iter().flatten() {
            let speaks = self.endpoints[from].nature != Nature::Twins
                || self.endpoints[endpoint].side == self.endpoints[from].side;
            if speaks {
                self.push_to(self.endpoints[from].node, endpoint, depth, bytes);
            }
        }
    }

    fn push_to(&mut self, from: usize, to: usize, depth: u32, bytes: &Bytes) {
        let Endpoint { node: to_node, nature, .. } = self.endpoints[to];
        if nature != Nature::Silent {
            self.queue.push(Packet { from, to, to_node, depth, bytes: bytes.clone(), vote: None });
        }
    }

    /// Notes how far an endpoint has come, and whom it blames.
    fn look_at(&mut self, me: usize) -> Result<(), Violation> {
        let endpoint = &mut self.endpoints[me];
        let faults = endpoint.machine.take_faults();
        if !endpoint.is_honest() {
            return Ok(());
        }
        endpoint.is_finished = endpoint.machine.is_finished();
        if endpoint.output_depth.is_none() && endpoint.machine.output().is_some() {
            endpoint.output_depth = Some(endpoint.depth);
        }
        let rounds = endpoint.machine.rounds_stored();
        if rounds > self.tally.rounds_needed(me) {
            return Err(Violation::Memory { node: me, what: format!("the votes of {rounds} rounds") });
        }
        self.report.faults += faults.len() as u64;
        for fault in faults {
            let is_ahead = matches!(fault.kind, FaultKind::TooFarAhead { .. });
            if !is_ahead && self.plan.natures[fault.node] == Nature::Honest {
                return Err(Violation::HonestBlamed { by: me, node: fault.node, what: fault.kind.to_string() });
            }
        }
        Ok(())
    }

    fn check_outputs(&self) -> Result<(), Violation> {
        let honest: Vec<&Endpoint> = self.endpoints.iter().filter(|endpoint| endpoint.is_honest()).collect();
        let first = honest[0];
        let output = first.machine.output().unwrap_or_default();
        if let Some(other) = honest.iter().find(|other| other.machine.output() != Some(output)) {
            return Err(Violation::OutputsDiffer { one: first.node, other: other.node });
        }
        let least = self.plan.n - faulty_max(self.plan.n);
        if output.len() < least {
            return Err(Violation::TooFewEntries { entries: output.len(), least });
        }
        let is_right = |proposer: usize, accepted: &[u8]| match self.plan.natures[proposer] {
            Nature::Honest => self.said[proposer].proposed() == Some(blake3::hash(accepted).as_bytes()),
            // Faulty ones may be seen to propose only what they can have proposed.
            _ => (0..VARIANTS).any(|variant| *payload(proposer, variant) == *accepted),
        };
        match output.iter().find(|(proposer, accepted)| !is_right(*proposer, accepted)) {
            Some((proposer, _)) => Err(Violation::WrongPayload { proposer: *proposer }),
            None => Ok(()),
        }
    }

    /// A scheduler that cannot split coins must not hold a round.
    fn check_siege(&self) -> Result<(), Violation> {
        match (&self.plan.order, self.siege.as_ref().and_then(Siege::held)) {
            (Order::Siege(goal), Some(instance)) if !goal.may_hold() => {
                Err(Violation::Held { instance, rounds: goal.rounds_max() })
            }
            _ => Ok(()),
        }
    }
}
