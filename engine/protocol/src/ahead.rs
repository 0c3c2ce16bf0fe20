//! Messages of rounds this node has not entered yet, kept within bounds. What does not fit is dropped: the sender sends all of a
//! round's messages again when this node, once there, says where it stands.

use crate::event::NodeIndex;
use crate::round::RoundMessage;
use constellation_chain::Tier;
use std::collections::BTreeMap;

/// How far ahead of its own round a node listens.
const ROUNDS_AHEAD_MAX: u64 = 2;
/// No honest node is this far ahead of one that settles black holes with the others.
const LEAD_MAX: u64 = 64;
/// Votes and shares of one peer for one round, beside its payloads.
const VOTES_MAX_BYTES: usize = 256 << 10;

#[derive(Default)]
pub(crate) struct Ahead {
    rounds: BTreeMap<(Tier, u64), Kept>,
    /// Who spoke further than [`LEAD_MAX`] ahead since the last black hole, and where.
    far: BTreeMap<NodeIndex, (Tier, u64)>,
}

#[derive(Default)]
struct Kept {
    messages: Vec<(NodeIndex, RoundMessage)>,
    bytes: BTreeMap<NodeIndex, usize>,
}

impl Ahead {
    /// Keeps a message for `round`, `current` or later, unless it is too far ahead or over the sender's budget.
    pub fn keep(
        &mut self,
        (tier, round, current): (Tier, u64, u64),
        from: NodeIndex,
        message: RoundMessage,
        (len_bytes, payload_max_bytes): (usize, usize),
    ) {
        if round > current.saturating_add(ROUNDS_AHEAD_MAX) {
            if round > current.saturating_add(LEAD_MAX) {
                self.far.insert(from, (tier, round));
            }
            return;
        }
        let kept = self.rounds.entry((tier, round)).or_default();
        let used = kept.bytes.entry(from).or_default();
        if *used + len_bytes <= payload_max_bytes + VOTES_MAX_BYTES {
            *used += len_bytes;
            kept.messages.push((from, message));
        }
    }

    /// Who spoke far ahead since this was last asked, and where.
    pub fn take_far(&mut self) -> BTreeMap<NodeIndex, (Tier, u64)> {
        std::mem::take(&mut self.far)
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
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_flood_what_fits_is_kept_and_the_flooder_is_known() {
        let mut ahead = Ahead::default();
        let votes = || RoundMessage::Subset(constellation_acs::Message::Votes(Vec::new()));
        let keep = |ahead: &mut Ahead, round| ahead.keep((Tier::Galaxy, round, 7), 3, votes(), (1000, 50_000));
        (7..=7 + LEAD_MAX).for_each(|round| keep(&mut ahead, round));
        assert!(ahead.take_far().is_empty(), "an honest node may be there");
        (7..10_007).for_each(|round| keep(&mut ahead, round));
        assert_eq!(ahead.take_far(), BTreeMap::from([(3, (Tier::Galaxy, 10_006))]));
        assert!(ahead.take_far().is_empty());
        assert_eq!(ahead.rounds.keys().map(|(_, round)| *round).collect::<Vec<_>>(), [7, 8, 9]);
        (0..10_000).for_each(|_| keep(&mut ahead, 9));
        assert_eq!(ahead.take(Tier::Galaxy, 9).len(), (50_000 + VOTES_MAX_BYTES) / 1000);
    }
}
