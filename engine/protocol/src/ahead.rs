//! Messages of rounds this node has not entered yet, kept within bounds. What does not fit is dropped: the sender sends all of a
//! round's messages again when this node, once there, says where it stands.

use crate::event::NodeIndex;
use crate::round::RoundMessage;
use constellation_chain::Tier;
use std::collections::{BTreeMap, BTreeSet};

/// How far ahead of its own round a node listens.
const ROUNDS_AHEAD_MAX: u64 = 2;
/// Votes and shares of one peer for one round, beside its payloads.
const VOTES_MAX_BYTES: usize = 256 << 10;

#[derive(Default)]
pub(crate) struct Ahead {
    rounds: BTreeMap<(Tier, u64), Kept>,
    /// Who was too far ahead since a round was last left behind.
    far: BTreeSet<NodeIndex>,
}

#[derive(Default)]
struct Kept {
    messages: Vec<(NodeIndex, RoundMessage)>,
    bytes: BTreeMap<NodeIndex, usize>,
}

impl Ahead {
    /// Keeps a message for `round`, `current` or later, unless it is too far ahead or over the sender's budget. Whether it is the sender's first
    /// that is too far ahead since this node last left a round behind.
    pub fn keep(
        &mut self,
        (tier, round, current): (Tier, u64, u64),
        from: NodeIndex,
        message: RoundMessage,
        (len_bytes, payload_max_bytes): (usize, usize),
    ) -> bool {
        if round > current.saturating_add(ROUNDS_AHEAD_MAX) {
            return self.far.insert(from);
        }
        let kept = self.rounds.entry((tier, round)).or_default();
        let used = kept.bytes.entry(from).or_default();
        if *used + len_bytes <= payload_max_bytes + VOTES_MAX_BYTES {
            *used += len_bytes;
            kept.messages.push((from, message));
        }
        false
    }

    /// How many have spoken in `round`.
    pub fn senders(&self, tier: Tier, round: u64) -> usize {
        self.rounds.get(&(tier, round)).map_or(0, |kept| kept.bytes.len())
    }

    /// Hands out the messages of a round this node enters.
    pub fn take(&mut self, tier: Tier, round: u64) -> Vec<(NodeIndex, RoundMessage)> {
        self.rounds.remove(&(tier, round)).map(|kept| kept.messages).unwrap_or_default()
    }

    /// Forgets the rounds of `tier` up to `round`: this node will not enter them any more.
    pub fn forget_through(&mut self, tier: Tier, round: u64) {
        self.rounds.retain(|&(other, number), _| other != tier || number > round);
        self.far.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_noticed_once_a_round_and_keeps_what_fits() {
        let mut ahead = Ahead::default();
        let share = || RoundMessage::Subset(constellation_acs::Message::Votes(Vec::new()));
        let keep = |ahead: &mut Ahead, round| ahead.keep((Tier::Galaxy, round, 7), 3, share(), (1000, 50_000));
        let far: Vec<u64> = (7..10_007).filter(|&round| keep(&mut ahead, round)).collect();
        assert_eq!(far, [10], "the first of those too far ahead");
        assert_eq!(ahead.rounds.keys().map(|(_, round)| *round).collect::<Vec<_>>(), [7, 8, 9]);
        (0..10_000).for_each(|_| assert!(!keep(&mut ahead, 9)));
        assert_eq!(ahead.take(Tier::Galaxy, 9).len(), (50_000 + VOTES_MAX_BYTES) / 1000);
        ahead.forget_through(Tier::Galaxy, 7);
        assert!(keep(&mut ahead, 11) && !keep(&mut ahead, 12));
    }
}
