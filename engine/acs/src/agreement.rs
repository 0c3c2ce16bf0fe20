//! Binary agreement that needs only a weak coin and no fair scheduler, after Abraham, Ben-David and Yandamuri,
//! *Efficient and Adaptively Secure Asynchronous Binary Agreement via Binding Crusader Agreement* (PODC 2022, eprint
//! 2022/711). A node goes through rounds with an estimate; round 0 has the fixed coin 1, round 1 the fixed coin 0,
//! later ones the weak coin of `coin`.
//!
//! # A round
//! *Binding crusader agreement* over the estimates, output y ∈ {0, 1, ⊥}, three message delays:
//! - cast echo(estimate); on f+1 echo(b) cast echo(b) too; on n−f echo(b), b is **approved**;
//! - on the first approved b cast echo2(b), once;
//! - on n−f echo2(b) cast echo3(b), or with both bits approved cast echo3(⊥), once, whichever holds first;
//! - y = b on n−f echo3(b); y = ⊥ with both bits approved and n−f echo3 of any kind.
//!
//! In a round with fixed coin c: y = c decides c; y = 1−c makes 1−c the estimate; y = ⊥ makes c the estimate. Unanimous
//! 1, the common case, decides in three message delays.
//!
//! From round 2, y enters a second *crusader agreement* over {0, 1, ⊥}, two message delays: echo4 is as echo, echo5 as
//! echo2; output x on n−f echo5(x), or ⊤ with two values approved and n−f echo5 of any kind. Output b decides b (grade
//! 2); ⊤ makes the approved bit the estimate (grade 1); ⊥ makes the coin the estimate (grade 0). A node releases its
//! coin share when it has y, not before.
//!
//! # Why it is right
//! 1. **Validity.** If all honest estimates are v, nobody has f+1 echo(1−v), so only v is ever approved, nobody casts
//!    echo3(⊥), and all output v, in both crusader agreements. So once all agree, the next round that can decides v.
//! 2. **Crusader.** n−f echo2(0) and n−f echo2(1) share an honest node, which casts one; so honest echo3 carry one bit
//!    v, or ⊥, and honest y ∈ {v, ⊥}. Approval of x in the second agreement stands on an honest y = x; n−f echo5(x) and
//!    n−f echo5(x') share an honest node; so its honest outputs are {x, ⊤} for one x. Grades 2 and 0 never meet.
//! 3. **Agreement.** Fixed coin: if one decides c, the rest output c or ⊥ and go on with c. Grade 2 for v: the rest
//!    have v, or ⊤ with v and ⊥ approved, and go on with v. By 1 nothing else is decided in a later round.
//! 4. **Each round ends.** The n−f ≥ 2f+1 honest nodes echo two values at most, so f+1 of them one and the same, which
//!    all then echo and approve; what one honest node approves, all do (n−f echoes contain f+1 honest). So all cast
//!    echo2. Either all honest echo2 are equal, and all can cast echo3, or both bits are approved everywhere, and all
//!    can. The same for echo3 and y, and for echo4, echo5 and the output. For this a node obeys the rules of *all* its
//!    rounds, not only the last, until it is finished.
//! 5. **Binding.** When the first honest node has y, n−f echo3 have been cast, f+1 of them honest. Either an honest one
//!    carries v, then by 2 only v can ever be an output; or f+1 honest ones carry ⊥, and no bit can get n−f. So the bit
//!    v that can be graded in this round is fixed before any honest share is known, and the coin hits it with the
//!    probability given in `coin`. A hit, or everybody at grade 0 with one coin, makes the estimates equal, and the
//!    next round decides. So the number of rounds is finite with probability 1, whatever the order of delivery; the
//!    kept rounds are as many.
//!
//! # Stopping
//! Who decides v casts DECIDED(v), once. f+1 DECIDED(v) decide v: one of them is honest. A node that has n−f DECIDED is
//! **finished** and drops its rounds: f+1 of those are honest and reach everybody, so all decide, so all finish. Until
//! then it goes on, but a node that has decided enters a further round only when somebody else has: if nobody does,
//! nobody needs its votes, and in the common case there is no second round. A node that decides without an input takes
//! the decision, which is some honest node's input, as its own.
//!
//! # Rounds ahead
//! Votes are stored for rounds up to [`ROUNDS_AHEAD_MAX`] above the own one; what is further ahead is refused. An
//! honest node can be that far ahead (n−f others suffice to get on), and its votes may be needed later, when the faulty
//! fall silent: DECIDED does not help as long as nobody decides. So what was refused is given again: when a node, in
//! round S or later, counts the first echo of a peer for round R = S − `ROUNDS_AHEAD_MAX`, it sends that peer all its
//! votes of round S. The peer's echo shows that it is in R and stores S from now on; votes of S cast later are stored
//! when they arrive; and since every round up to S is entered with an echo, no vote is lost. Each echo costs one answer
//! of a few votes, and only a laggard gets any.
//!
//! # After a crash
//! A machine rebuilt from its journal is in the last round it voted in, and its own votes count as cast, so a once-only
//! vote is never cast differently, and the first echo of a round stays its estimate. Votes of others come again. Older
//! rounds are then obeyed as before; their outcomes are no longer used, as the votes that followed from them are cast.

use crate::coin::{Coin, Counted, Phase, Share};
use crate::committee::{Committee, InstanceSet, NodeSet};
use crate::fault::FaultKind;
use crate::message::{COIN_PROOF_MAX_BYTES, Step, Value, Vote};
use crate::outbox::Outbox;
use crate::round::{FIRST_COIN_ROUND, Place, Round};

/// Votes are stored for so many rounds above the own round; one at least, or a node that has decided would not see
/// that somebody has gone on.
pub const ROUNDS_AHEAD_MAX: u32 = 4;

/// One binary agreement, as one node sees it.
#[derive(Debug)]
pub(crate) struct Agreement {
    committee: Committee,
    instance: u16,
    /// By number, up to the highest that anybody has voted in.
    rounds: Vec<Round>,
    /// The round this node is in; `None` before it has an input.
    current: Option<u32>,
    decided: Option<bool>,
    decided_by: [NodeSet; 2],
    finished: bool,
    /// [`ROUNDS_AHEAD_MAX`], except in tests that press the point.
    rounds_ahead_max: u32,
}

impl Agreement {
    pub fn new(committee: Committee, instance: u16) -> Self {
        Self {
            committee,
            instance,
            rounds: Vec::new(),
            current: None,
            decided: None,
            decided_by: Default::default(),
            finished: false,
            rounds_ahead_max: ROUNDS_AHEAD_MAX,
        }
    }

    pub fn decided(&self) -> Option<bool> {
        self.decided
    }

    pub fn is_finished(&self) -> bool {
        self.finished
    }

    /// This node's input; ignored if it has one.
    pub fn input(&mut self, value: bool, coin: &impl Coin, out: &mut Outbox) {
        if self.current.is_none() && !self.finished {
            self.enter(0, value, coin, out);
            self.advance(coin, out);
        }
    }

    /// A vote in a step of a round.
    pub fn on_agree(
        &mut self,
        from: usize,
        (round, step, value): (u32, Step, Value),
        coin: &impl Coin,
        out: &mut Outbox,
    ) {
        if !Round::allows(round, step, value) {
            return out.blame(from, FaultKind::Invalid);
        }
        let committee = self.committee;
        let far = round.saturating_add(self.rounds_ahead_max);
        let from_behind = step == Step::Echo && self.current >= Some(far);
        let Some(state) = self.open_round(from, round, out) else {
            return;
        };
        let lags = from_behind && !state.voted(from, step);
        match state.count(from, step, value) {
            Counted::New => {
                let sets_off = state.is_turning_point(&committee, step, value);
                if lags {
                    self.repeat_for_laggard(from, far, coin, out);
                }
                if sets_off {
                    self.on_new_vote(round, coin, out);
                }
            }
            Counted::Repeat => {}
            Counted::Wrong => {
                let instance = self.instance;
                out.blame(from, FaultKind::TwoVotes { instance, round, step });
            }
        }
    }

    /// A share of a round's coin, or the smallest share somebody has seen.
    pub fn on_coin(
        &mut self,
        from: usize,
        (round, phase): (u32, Phase),
        share: Share,
        coin: &impl Coin,
        out: &mut Outbox,
    ) {
        let place = self.place(round);
        if round < FIRST_COIN_ROUND || share.proof.len() > COIN_PROOF_MAX_BYTES {
            return out.blame(from, FaultKind::Invalid);
        }
        let Some(state) = self.open_round(from, round, out) else {
            return;
        };
        match state.count_coin(&place, from, phase, share, coin) {
            Counted::New => self.on_new_vote(round, coin, out),
            Counted::Repeat => {}
            Counted::Wrong => {
                let instance = self.instance;
                out.blame(from, FaultKind::BadCoin { instance, round });
            }
        }
    }

    /// Somebody's decision.
    pub fn on_decided(&mut self, from: usize, value: bool, coin: &impl Coin, out: &mut Outbox) {
        let instance = self.instance;
        if self.decided_by[usize::from(!value)].contains(from) {
            return out.blame(from, FaultKind::TwoDecisions { instance });
        }
        if self.finished {
            return;
        }
        self.decided_by[usize::from(value)].insert(from);
        self.count_decisions(coin, out);
    }

    /// Takes back a vote of mine that the journal holds.
    pub fn restore_agree(&mut self, round: u32, step: Step, value: Value) {
        let me = self.committee.me;
        if let Some(state) = self.restore_round(round) {
            state.count(me, step, value);
        }
    }

    /// Takes back a coin vote of mine that the journal holds.
    pub fn restore_coin(&mut self, round: u32, phase: Phase, share: Share, coin: &impl Coin) {
        let place = self.place(round);
        let Some(state) = self.restore_round(round) else {
            return;
        };
        match phase {
            Phase::Smallest => state.restore_smallest(&place, share, coin),
            Phase::Share => {
                state.count_coin(&place, place.committee.me, phase, share, coin);
            }
        }
    }

    /// Takes back a decision of mine that the journal holds.
    pub fn restore_decided(&mut self, value: bool) {
        self.decided = Some(value);
        self.decided_by[usize::from(value)].insert(self.committee.me);
    }

    /// Does what the state calls for: what a crash may have cut off.
    pub fn resume(&mut self, coin: &impl Coin, out: &mut Outbox) {
        for round in 0..self.rounds.len() as u32 {
            self.step(round, coin, out);
        }
        self.count_decisions(coin, out);
        self.advance(coin, out);
    }

    /// The round of a vote of mine; none if I cannot have cast it: rounds are entered one after the other, each with an echo, so
    /// only a damaged journal leaps, and room is not made for that.
    fn restore_round(&mut self, round: u32) -> Option<&mut Round> {
        if round > self.current.unwrap_or(0).saturating_add(ROUNDS_AHEAD_MAX) {
            return None;
        }
        self.current = self.current.max(Some(round));
        Some(self.round_mut(round))
    }

    /// The round's votes, unless the sender is to be refused or I am finished.
    fn open_round(&mut self, from: usize, round: u32, out: &mut Outbox) -> Option<&mut Round> {
        if self.finished {
            return None;
        }
        let last = self.current.unwrap_or(0).saturating_add(self.rounds_ahead_max);
        if round > last {
            let instance = self.instance;
            out.blame(from, FaultKind::TooFarAhead { instance, round });
            return None;
        }
        Some(self.round_mut(round))
    }

    fn round_mut(&mut self, round: u32) -> &mut Round {
        let index = round as usize;
        if index >= self.rounds.len() {
            self.rounds.resize_with(index + 1, Round::default);
        }
        &mut self.rounds[index]
    }

    /// A peer has got so far that it can store what it could not before: my votes of the round `far`.
    fn repeat_for_laggard(&self, peer: usize, far: u32, coin: &impl Coin, out: &mut Outbox) {
        let votes = self.rounds[far as usize].own_votes(&self.place(far), coin);
        out.repeat(peer, votes);
    }

    fn on_new_vote(&mut self, round: u32, coin: &impl Coin, out: &mut Outbox) {
        if self.current >= Some(round) {
            self.step(round, coin, out);
        }
        self.advance(coin, out);
    }

    fn step(&mut self, round: u32, coin: &impl Coin, out: &mut Outbox) {
        let place = self.place(round);
        self.round_mut(round).step(&place, coin, out);
    }

    fn enter(&mut self, round: u32, estimate: bool, coin: &impl Coin, out: &mut Outbox) {
        self.current = Some(round);
        let place = self.place(round);
        let state = self.round_mut(round);
        state.open(&place, estimate, out);
        state.step(&place, coin, out);
    }

    /// Goes on to the next rounds while the current one has ended.
    fn advance(&mut self, coin: &impl Coin, out: &mut Outbox) {
        while let Some(round) = self.current
            && !self.finished
        {
            let place = self.place(round);
            let Some(outcome) = self.round_mut(round).outcome(&place) else {
                return;
            };
            if outcome.decide {
                self.decide(outcome.estimate, coin, out);
            }
            let next = round + 1;
            let somebody_is_there = self.rounds.get(next as usize).is_some_and(Round::is_opened);
            if self.finished || (self.decided.is_some() && !somebody_is_there) {
                return;
            }
            self.enter(next, outcome.estimate, coin, out);
        }
    }

    /// Decides, once.
    fn decide(&mut self, value: bool, coin: &impl Coin, out: &mut Outbox) {
        if self.decided.is_some() {
            return;
        }
        self.decided = Some(value);
        self.decided_by[usize::from(value)].insert(self.committee.me);
        out.vote(Vote::Decided { instances: InstanceSet::one(self.instance), value });
        out.note_result();
        self.count_decisions(coin, out);
    }

    fn count_decisions(&mut self, coin: &impl Coin, out: &mut Outbox) {
        for value in [false, true] {
            let by = self.decided_by[usize::from(value)].len();
            if self.committee.is_quorum(by) {
                self.decide(value, coin, out);
                self.finished = true;
                self.rounds = Vec::new();
            } else if self.committee.has_honest(by) {
                self.decide(value, coin, out);
                self.input(value, coin, out);
            }
        }
    }

    fn place(&self, round: u32) -> Place {
        Place { committee: self.committee, instance: self.instance, round }
    }
}

#[cfg(test)]
#[path = "agreement_tests.rs"]
mod tests;
