//! What is between nodes: how long a step of a round takes, and how often a node speaks in one.

use constellation_meme::fault_bound;

use crate::plan::costs::{AGREEMENT_DELAYS, BROADCAST_DELAYS, CERTIFICATE_DELAYS};

/// One-way delays of a round, of a cluster or of the galaxy, in the common case.
pub const ROUND_DELAYS: f64 = BROADCAST_DELAYS + AGREEMENT_DELAYS + CERTIFICATE_DELAYS;

/// What a member says of each proposal in a round: ECHO, or the payload itself, READY, and three steps of the agreement. Its share comes once.
const VOTES_A_PROPOSAL: f64 = 5.0;

/// The links between nodes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Links {
    /// Every message takes the same time.
    Alike {
        /// That time, in seconds.
        one_way_s: f64,
    },
    /// A message takes a random time, any between two bounds alike, and nodes look at what has come once a step: the simulator's.
    Spread {
        /// The least time, in seconds.
        least_s: f64,
        /// How much more it can be, in seconds.
        spread_s: f64,
        /// Between two looks, in seconds.
        step_s: f64,
    },
}

impl Links {
    /// From a step of a round of `seats` members to the next, in seconds: until a quorum has been heard. Of n − 1 times spread evenly over a
    /// range the (q − 1)-th shortest is, on the average, (q − 1) ÷ n through the range; what comes between two looks waits half a step.
    pub fn delay_s(&self, seats: u32) -> f64 {
        match *self {
            Self::Alike { one_way_s } => one_way_s,
            Self::Spread { least_s, spread_s, step_s } => {
                let others_heard = f64::from(seats.saturating_sub(fault_bound(seats) + 1));
                least_s + spread_s * others_heard / f64::from(seats) + step_s / 2.0
            }
        }
    }

    /// One message to one node, on the average, in seconds.
    pub fn message_s(&self) -> f64 {
        match *self {
            Self::Alike { one_way_s } => one_way_s,
            Self::Spread { least_s, spread_s, step_s } => least_s + spread_s / 2.0 + step_s / 2.0,
        }
    }

    /// How often a member speaks in a round of `seats`. On links that are alike what it has to say comes up together, once a delay. Where times differ it comes up
    /// by chance, at any look of the round and of one delay more, in which who is done helps who is not: the looks at which something does.
    pub fn speeches(&self, seats: u32) -> f64 {
        match *self {
            Self::Alike { .. } => ROUND_DELAYS,
            Self::Spread { step_s, .. } => {
                let looks = (ROUND_DELAYS + 1.0) * self.delay_s(seats) / step_s;
                let votes = VOTES_A_PROPOSAL * f64::from(seats) + 1.0;
                looks * (1.0 - (-votes / looks).exp())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_larger_quorum_is_heard_later() {
        let links = Links::Spread { least_s: 0.001, spread_s: 0.004, step_s: 0.0 };
        // Two of three others; five of seven.
        assert_eq!(links.delay_s(4), 0.001 + 0.004 * 2.0 / 4.0);
        assert_eq!(links.delay_s(8), 0.001 + 0.004 * 5.0 / 8.0);
        assert_eq!(Links::Alike { one_way_s: 0.05 }.delay_s(8), 0.05);
    }

    #[test]
    fn nobody_speaks_more_often_than_it_looks_or_has_something_to_say() {
        for step_s in [1e-5, 1e-3] {
            let links = Links::Spread { least_s: 0.0, spread_s: 0.004, step_s };
            let looks = 8.0 * links.delay_s(4) / step_s;
            assert!(links.speeches(4) < looks.min(21.0) && links.speeches(4) > 0.6 * looks.min(21.0), "{step_s}");
        }
    }
}
