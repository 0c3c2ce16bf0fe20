//! One besieged round: what the scheduler has chosen in it, and which votes it lets through by that.

use constellation_acs::{Step, Value};

use super::sight::Sight;
use super::{Nodes, Siege, contains};
use crate::votes::Vote;

/// How a round is fought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Tactic {
    /// v before the first share, ends once the coins are known.
    #[default]
    Hold,
    /// As above, but bottoms cast echo3(⊥) themselves, and nobody approves more than it must.
    Doubt,
    /// As Hold with v = 1, and forged shares as small as can be.
    Bluff,
    /// Everybody goes on with its coin.
    Scatter,
    /// The late ones vote only when the others' shares are out, and then for the bit that the coin is not.
    Late { late: Nodes },
    /// Some are to decide v, the rest to go on with something else; everybody sees v's echo4 first, or only those.
    Decide { first: Nodes },
    /// These alone are to output v, and alone hear the faulty nodes' echo4(v); nobody hears more of the faulty.
    Strand { first: Nodes },
}

/// Where the nodes are to go from a round with a coin; who is in neither set, to v at grade 1.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ends {
    pub coin: Nodes,
    pub decide: Nodes,
}

/// Which shares are to be seen.
#[derive(Debug)]
pub(super) struct CoinPlan {
    /// Owners of the shares that nobody else is to see.
    pub hidden: Nodes,
    /// The share that everybody is to see first.
    pub first: Option<usize>,
}

/// Gates of a late round that open one by one, when nothing else is left.
const STAGE_ECHO2: u32 = 1;
const STAGE_BOTH: u32 = 2;
const STAGE_ECHO3: u32 = 3;
const STAGE_LATE_ECHO2: u32 = 5;
const STAGE_LATE_ECHO3: u32 = 6;
const STAGE_ALL: u32 = 7;

#[derive(Debug, Default)]
pub(super) struct Round {
    /// By node; the honest ones' are kept.
    pub sights: Vec<Sight>,
    /// All honest nodes are there.
    pub is_begun: bool,
    pub tactic: Tactic,
    /// v, and who is to output ⊥.
    pub values: Option<(bool, Nodes)>,
    pub coin: Option<CoinPlan>,
    pub ends: Option<Ends>,
    /// In a late round: who is to see the bit 1 first, and how many gates are open.
    pub ones: Nodes,
    stage: u32,
}

impl Round {
    pub fn new(n: usize) -> Self {
        Self { sights: vec![Sight::default(); n], ..Self::default() }
    }

    /// Opens the next gate; false if there is none.
    pub fn ease(&mut self) -> bool {
        let is_late = matches!(self.tactic, Tactic::Late { .. });
        self.stage += u32::from(is_late);
        is_late && self.stage <= STAGE_ALL
    }

    /// Whether the vote may reach `to`, which is in this round.
    pub fn is_open(&self, (from, to): (usize, usize), vote: &Vote, siege: &Siege) -> bool {
        if !self.is_begun {
            return false;
        }
        let is_first_part = matches!(vote, Vote::Agree { step: Step::Echo | Step::Echo2 | Step::Echo3, .. });
        match (self.tactic, self.values) {
            (Tactic::Late { late }, _) if is_first_part => self.is_open_late(late, to, vote),
            (_, None) => false,
            (Tactic::Doubt, Some(values)) => self.is_open_doubtful(values, to, vote, siege),
            (_, Some((v, bottoms))) => self.is_open_planned((v, bottoms), (from, to), vote, siege),
        }
    }

    fn is_open_planned(
        &self,
        (v, bottoms): (bool, Nodes),
        (from, to): (usize, usize),
        vote: &Vote,
        siege: &Siege,
    ) -> bool {
        let (v, sight) = (Value::from(v), &self.sights[to]);
        let &Siege { honest, quorum, .. } = siege;
        match vote {
            Vote::Agree { step: Step::Echo, value, .. } => *value == v || sight.has_cast(Step::Echo3),
            Vote::Agree { step: Step::Echo2, .. } => true,
            Vote::Agree { step: Step::Echo3, .. } => {
                let is_doubtful = sight.approves(Value::Zero, quorum) && sight.approves(Value::One, quorum);
                !contains(bottoms, to) || is_doubtful || !contains(honest, from)
            }
            Vote::Agree { step: Step::Echo4, value, .. } => {
                let first = match self.tactic {
                    Tactic::Decide { first } if contains(first, to) => v,
                    Tactic::Strand { first } if contains(first, to) => v,
                    _ => Value::Bottom,
                };
                // Before, it would echo what f+1 have echoed, and then not what it comes to itself.
                sight.has_cast(Step::Echo4) && (*value == first || sight.has_cast(Step::Echo5))
            }
            Vote::Agree { step: Step::Echo5, value, .. } => self.ends.is_some_and(|ends| {
                // Only then does it doubt before it decides.
                let doubted = sight.votes(Step::Echo5, Value::Bottom) | sight.votes(Step::Echo5, v);
                let is_doubtful = sight.approves_second(v, quorum)
                    && sight.approves_second(Value::Bottom, quorum)
                    && siege.faulty_set() & !doubted == 0;
                let is_wanted = match (contains(ends.coin, to), contains(ends.decide, to)) {
                    (true, _) => *value == Value::Bottom,
                    (_, true) => *value == v,
                    (false, false) => is_doubtful,
                };
                is_wanted || !contains(honest, from)
            }),
            Vote::Coin { .. } | Vote::CoinMin { .. } => self.is_open_to_coin((from, to), siege),
            Vote::Echo { .. } | Vote::Ready { .. } | Vote::ReadyAsEchoed { .. } | Vote::Decided { .. } => true,
        }
    }

    fn is_open_doubtful(&self, (v, bottoms): (bool, Nodes), to: usize, vote: &Vote, siege: &Siege) -> bool {
        let Vote::Agree { step, value, .. } = vote else { return true };
        let (sight, v, is_bottom) = (&self.sights[to], Value::from(v), contains(bottoms, to));
        match step {
            Step::Echo if *value == v => true,
            Step::Echo if is_bottom => sight.has_cast(Step::Echo2),
            // With this one, and its own in answer, it does not approve yet.
            Step::Echo => sight.has_cast(Step::Echo3) && sight.echoes(*value) + 2 < siege.quorum,
            Step::Echo2 => !is_bottom || sight.has_cast(Step::Echo3),
            _ => {
                !is_bottom
                    || *value == Value::Bottom
                    || (bottoms | siege.faulty_set()) & !sight.votes(Step::Echo3, Value::Bottom) == 0
            }
        }
    }

    fn is_open_to_coin(&self, (from, to): (usize, usize), siege: &Siege) -> bool {
        let sight = &self.sights[to];
        self.coin.as_ref().is_some_and(|plan| {
            let is_ready = plan.first.is_none_or(|first| contains(sight.shares, first) || from == first);
            let is_seen = siege.hears_shares(from, to) && !contains(plan.hidden, from);
            is_ready && is_seen && sight.coin(siege.quorum).is_none()
        })
    }

    fn is_open_late(&self, late: Nodes, to: usize, vote: &Vote) -> bool {
        let Vote::Agree { step, value, .. } = vote else { return false };
        if contains(late, to) {
            let Some((v, _)) = self.values else { return false };
            return self.stage >= STAGE_ALL
                || *value == Value::from(v)
                    && match step {
                        Step::Echo => true,
                        Step::Echo2 => self.stage >= STAGE_LATE_ECHO2,
                        _ => self.stage >= STAGE_LATE_ECHO3,
                    };
        }
        let is_first = *value == Value::from(contains(self.ones, to));
        let opens_at = match step {
            Step::Echo if is_first => 0,
            Step::Echo => STAGE_BOTH,
            Step::Echo2 if is_first => STAGE_ECHO2,
            _ => STAGE_ECHO3,
        };
        self.values.is_some() || self.stage >= opens_at
    }
}
