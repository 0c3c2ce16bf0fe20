//! One round of an agreement: its votes and the rules that turn votes into votes. What a round's outcome means for the
//! next, and why all this is right, is in `agreement`.

use crate::coin::{Coin, CoinRound, Counted, Phase, Share};
use crate::committee::{Committee, InstanceSet, NodeSet};
use crate::message::{COIN_PROOF_MAX_BYTES, Step, Value, Vote};
use crate::outbox::Outbox;

/// Rounds before this one have a fixed coin.
pub(crate) const FIRST_COIN_ROUND: u32 = 2;

/// How a round ended for this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// The next round's estimate.
    pub estimate: bool,
    /// The estimate is decided.
    pub decide: bool,
}

/// Which round of which agreement, for whom.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub committee: Committee,
    pub instance: u16,
    pub round: u32,
}

/// The votes of a round. My own votes are among them: a bit of mine says that I have sent that vote.
#[derive(Debug, Default)]
pub(crate) struct Round {
    /// By step and value.
    votes: [[NodeSet; 3]; 5],
    coin: CoinRound,
    /// Output of the first crusader agreement.
    bound: Option<Value>,
}

impl Round {
    /// Whether that step exists in that round and may carry that value.
    pub fn allows(round: u32, step: Step, value: Value) -> bool {
        match step {
            Step::Echo | Step::Echo2 => value != Value::Bottom,
            Step::Echo3 => true,
            Step::Echo4 | Step::Echo5 => round >= FIRST_COIN_ROUND,
        }
    }

    /// Whether the node has voted in this step.
    pub fn voted(&self, node: usize, step: Step) -> bool {
        self.votes[step as usize].iter().any(|set| set.contains(node))
    }

    /// Whether anybody has echoed: a round is entered with an echo.
    pub fn is_opened(&self) -> bool {
        self.voters(Step::Echo) > 0
    }

    /// Counts a vote. The first stands: a second one that an honest node would not cast besides it is wrong.
    pub fn count(&mut self, from: usize, step: Step, value: Value) -> Counted {
        let slot = &mut self.votes[step as usize];
        let cast = |value: Value| slot[value as usize].contains(from);
        if cast(value) {
            return Counted::Repeat;
        }
        let wrong = match (step, value.bit()) {
            (Step::Echo, _) | (Step::Echo4, None) => false,
            (Step::Echo4, Some(b)) => cast(Value::from(!b)),
            _ => Value::ALL.into_iter().any(cast),
        };
        let is_refused = guard!(FirstVoteCounts, wrong, false);
        if guard!(OneVote, is_refused, false) {
            return Counted::Wrong;
        }
        slot[value as usize].insert(from);
        Counted::New
    }

    /// Whether the vote just counted can set off a rule: each waits for f+1 or n−f votes, of one value or of all together,
    /// and who has decided for somebody to open the next round. Most votes are none of these, so no rule is tried for them.
    pub fn is_turning_point(&self, committee: &Committee, step: Step, value: Value) -> bool {
        let voters = self.voters(step);
        let is_threshold = |count| committee.is_threshold(count);
        #[cfg(acs_mutants)]
        if !crate::mutant::is_whole() {
            return true;
        }
        is_threshold(self.votes[step as usize][value as usize].len())
            || is_threshold(voters)
            || (step == Step::Echo && voters == 1)
    }

    /// Counts a coin vote.
    pub fn count_coin(&mut self, place: &Place, from: usize, phase: Phase, share: Share, coin: &impl Coin) -> Counted {
        self.coin.count(from, phase, share, |share| coin.check(share.owner, place.instance, place.round, &share.proof))
    }

    /// Takes back a COIN2 of mine that the journal holds.
    pub fn restore_smallest(&mut self, place: &Place, share: Share, coin: &impl Coin) {
        let me = place.committee.me;
        self.count_coin(place, me, Phase::Smallest, share.clone(), coin);
        self.coin.set_sent_smallest(share, &place.committee);
    }

    /// Casts my echo of the estimate, unless the journal has one: the first echo of a round is its estimate.
    pub fn open(&mut self, place: &Place, estimate: bool, out: &mut Outbox) {
        if !self.voted(place.committee.me, Step::Echo) {
            self.vote(place, Step::Echo, estimate.into(), out);
        }
    }

    /// Casts every vote that is due. One pass is enough: a rule depends on rules above it only.
    pub fn step(&mut self, place: &Place, coin: &impl Coin, out: &mut Outbox) {
        self.step_first(place, out);
        if place.round < FIRST_COIN_ROUND {
            return;
        }
        if let Some(value) = self.bound {
            if !self.voted(place.committee.me, Step::Echo4) {
                self.vote(place, Step::Echo4, value, out);
            }
            self.release_share(place, coin, out);
        }
        #[cfg(acs_mutants)]
        if crate::mutant::is_out(crate::mutant::Guard::ShareAfterBinding) {
            self.release_share(place, coin, out);
        }
        self.step_second(place, out);
        if let Some(Share { owner, proof }) = self.coin.next_smallest(&place.committee) {
            out.vote(Vote::CoinMin { instance: place.instance, round: place.round, owner, proof });
        }
    }

    /// The binding crusader agreement over the estimates.
    fn step_first(&mut self, place: &Place, out: &mut Outbox) {
        let Committee { me, .. } = place.committee;
        self.amplify(place, Step::Echo, &Value::ALL[..2], out);
        let mut approved = Value::ALL[..2].iter().filter(|value| self.is_carried(place, Step::Echo, **value));
        let first_approved = approved.next();
        let both_approved = approved.next().is_some();
        if let Some(value) = first_approved
            && self.may_vote(me, Step::Echo2)
        {
            self.vote(place, Step::Echo2, *value, out);
        }
        if self.may_vote(me, Step::Echo3) {
            let carried = self.with_quorum(place, Step::Echo2);
            let is_doubtful = guard!(BothApprovedForEcho3, both_approved, first_approved.is_some());
            if let Some(value) = carried.or(is_doubtful.then_some(Value::Bottom)) {
                self.vote(place, Step::Echo3, value, out);
            }
        }
        if self.bound.is_none() {
            // n−f echo3 of ⊥ alone include an honest one, but its approvals may still be on their way.
            let carried = self.with_quorum(place, Step::Echo3);
            let voters = self.voters(Step::Echo3);
            let any = guard!(BothApprovedForBottom, both_approved, true)
                && guard!(BottomQuorum, place.committee.is_quorum(voters), place.committee.has_honest(voters));
            self.bound = carried.filter(|value| *value != Value::Bottom).or(any.then_some(Value::Bottom));
        }
    }

    /// The crusader agreement over the outputs of the first.
    fn step_second(&mut self, place: &Place, out: &mut Outbox) {
        self.amplify(place, Step::Echo4, &Value::ALL, out);
        if let Some(value) = self.with_quorum(place, Step::Echo4)
            && self.may_vote(place.committee.me, Step::Echo5)
        {
            self.vote(place, Step::Echo5, value, out);
        }
    }

    /// Repeats what f+1 have echoed.
    fn amplify(&mut self, place: &Place, step: Step, values: &[Value], out: &mut Outbox) {
        for &value in values {
            let echoes = self.votes[step as usize][value as usize];
            let is_due = guard!(EchoHonest, place.committee.has_honest(echoes.len()), echoes.len() > 0);
            if is_due && !echoes.contains(place.committee.me) {
                self.vote(place, step, value, out);
            }
        }
    }

    fn release_share(&mut self, place: &Place, coin: &impl Coin, out: &mut Outbox) {
        let Committee { me, .. } = place.committee;
        if self.coin.voted(Phase::Share, &place.committee) {
            return;
        }
        let proof = own_proof(place, coin);
        let share = Share { owner: me, proof: proof.clone() };
        self.count_coin(place, me, Phase::Share, share, coin);
        out.vote(Vote::Coin { instance: place.instance, round: place.round, proof });
    }

    /// How the round ends, once it does; `None` while votes or the coin are awaited.
    pub fn outcome(&self, place: &Place) -> Option<Outcome> {
        match place.round {
            0 => self.outcome_with_fixed(true),
            1 => self.outcome_with_fixed(false),
            _ => self.outcome_graded(place),
        }
    }

    fn outcome_with_fixed(&self, coin: bool) -> Option<Outcome> {
        self.bound.map(|value| Outcome {
            estimate: value.bit().unwrap_or(coin),
            decide: guard!(DecideCoin, value.bit() == Some(coin), value.bit().is_some()),
        })
    }

    fn outcome_graded(&self, place: &Place) -> Option<Outcome> {
        let settled = |estimate, decide| Some(Outcome { estimate, decide });
        match self.with_quorum(place, Step::Echo5).map(Value::bit) {
            Some(Some(value)) => return settled(value, true),
            Some(None) => return settled(self.coin.value(&place.committee)?, false),
            None => {}
        }
        let approved = |value: &Value| self.is_carried(place, Step::Echo4, *value);
        let mut approved = Value::ALL.into_iter().filter(approved);
        // ⊥ comes last, so of two approved values the first is the bit.
        let (first, _) = (approved.next()?, approved.next()?);
        if !place.committee.is_quorum(self.voters(Step::Echo5)) {
            return None;
        }
        settled(guard!(GradeOne, first.bit()?, self.coin.value(&place.committee)?), false)
    }

    /// My votes of this round, for a node that could not store them when they were cast.
    pub fn own_votes(&self, place: &Place, coin: &impl Coin) -> Vec<Vote> {
        let Place { committee, instance, round } = *place;
        let mut votes = Vec::new();
        for step in Step::ALL {
            for value in Value::ALL {
                if self.votes[step as usize][value as usize].contains(committee.me) {
                    votes.push(agree(place, step, value));
                }
            }
        }
        if self.coin.voted(Phase::Share, &committee) {
            votes.push(Vote::Coin { instance, round, proof: own_proof(place, coin) });
        }
        if let Some(Share { owner, proof }) = self.coin.sent_smallest().cloned() {
            votes.push(Vote::CoinMin { instance, round, owner, proof });
        }
        votes
    }

    fn vote(&mut self, place: &Place, step: Step, value: Value, out: &mut Outbox) {
        if self.count(place.committee.me, step, value) == Counted::New {
            out.vote(agree(place, step, value));
        }
    }

    /// How many votes a step has; in a once-only step, of as many nodes.
    fn voters(&self, step: Step) -> u32 {
        self.votes[step as usize].iter().map(NodeSet::len).sum()
    }

    /// The value that n−f have voted for.
    fn with_quorum(&self, place: &Place, step: Step) -> Option<Value> {
        Value::ALL.into_iter().find(|value| self.is_carried(place, step, *value))
    }

    /// Whether n−f have voted for a value.
    fn is_carried(&self, place: &Place, step: Step, value: Value) -> bool {
        let votes = self.votes[step as usize][value as usize].len();
        #[cfg(acs_mutants)]
        if crate::mutant::is_quorum_out(step) {
            return place.committee.has_honest(votes);
        }
        place.committee.is_quorum(votes)
    }

    /// Whether my vote in a once-only step is still to be cast.
    fn may_vote(&self, me: usize, step: Step) -> bool {
        guard!(OneVote, !self.voted(me, step), true)
    }
}

fn agree(place: &Place, step: Step, value: Value) -> Vote {
    Vote::Agree { instances: InstanceSet::one(place.instance), round: place.round, step, value }
}

fn own_proof(place: &Place, coin: &impl Coin) -> Vec<u8> {
    let proof = coin.share(place.instance, place.round);
    assert!(
        proof.len() <= COIN_PROOF_MAX_BYTES,
        "the coin's own proof has {} bytes, above {COIN_PROOF_MAX_BYTES}",
        proof.len()
    );
    proof
}
