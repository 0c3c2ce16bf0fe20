//! What became final, for clients that ask later and for those that follow: a bounded index of recent outcomes and a bounded broadcast.

use super::wire;
use axum::body::Bytes;
use constellation_chain::{Hash, KeyMap, Reason};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::broadcast;

/// Blocks a subscriber may be behind before it misses some.
const FEED_BLOCKS: usize = 64;

/// What a black hole did to its transactions, in their canonical order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FinalBlock {
    /// The black hole's height.
    pub height: u64,
    /// Its hash.
    pub black_hole: Hash,
    /// Each transaction's id, and why it was censored; `None` when it applied.
    pub outcomes: Vec<(Hash, Option<Reason>)>,
}

/// A final block and its binary frame, encoded once for all subscribers.
#[derive(Debug)]
pub struct FinalNotice {
    /// The block.
    pub block: FinalBlock,
    /// Its bytes as [`wire::encode_final`] writes them.
    pub frame: Bytes,
}

/// Where and how a transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FinalOutcome {
    /// Height of the black hole it stands in.
    pub height: u64,
    /// Hash of that black hole.
    pub black_hole: Hash,
    /// Why it was censored; `None` when it applied.
    pub reason: Option<Reason>,
}

/// The final transactions a node still remembers, and the subscribers that are told of new ones.
pub struct FinalFeed {
    recent: Mutex<Recent>,
    notices: broadcast::Sender<Arc<FinalNotice>>,
}

struct Recent {
    outcomes: BoundedMap<FinalOutcome>,
    dropped: BoundedMap<Option<Reason>>,
}

impl FinalFeed {
    /// Transactions remembered unless the operator says otherwise.
    pub const RECENT_MAX: usize = 262_144;

    /// A feed that remembers the last `recent_max` final transactions, and as many dropped ones.
    pub fn new(recent_max: usize) -> Self {
        let recent = Recent { outcomes: BoundedMap::new(recent_max), dropped: BoundedMap::new(recent_max) };
        FinalFeed { recent: Mutex::new(recent), notices: broadcast::Sender::new(FEED_BLOCKS) }
    }

    /// Remembers a block and tells the subscribers. Never waits for any of them.
    pub fn publish(&self, block: FinalBlock) {
        self.remember(&block);
        if self.notices.receiver_count() > 0 {
            let frame = Bytes::from(wire::encode_final(&block));
            // It fails only when the last subscriber left in between: then nobody misses it.
            self.notices.send(Arc::new(FinalNotice { block, frame })).ok();
        }
    }

    fn remember(&self, block: &FinalBlock) {
        let mut recent = self.recent();
        for &(id, reason) in &block.outcomes {
            // A resend of what applied is censored as a duplicate: it stands all the same.
            let stands = |outcome: &FinalOutcome| outcome.reason.is_none();
            if reason.is_some() && recent.outcomes.get(&id).is_some_and(stands) {
                continue;
            }
            recent.outcomes.insert(id, FinalOutcome { height: block.height, black_hole: block.black_hole, reason });
        }
    }

    /// How a transaction ended, if it did so recently.
    pub fn outcome(&self, id: &Hash) -> Option<FinalOutcome> {
        self.recent().outcomes.get(id).copied()
    }

    /// Remembers a transaction that left the pool without a block; `reason` is `None` when it waited too long.
    pub fn dropped(&self, id: Hash, reason: Option<Reason>) {
        self.recent().dropped.insert(id, reason);
    }

    /// Why a transaction left the pool without a block, if it did so recently.
    pub fn dropped_reason(&self, id: &Hash) -> Option<Option<Reason>> {
        self.recent().dropped.get(id).copied()
    }

    /// Follows new blocks. Who falls more than 64 blocks behind is told how many it missed.
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<FinalNotice>> {
        self.notices.subscribe()
    }

    fn recent(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// A map that forgets its oldest key when it is full. A key set again keeps its age.
struct BoundedMap<V> {
    max: usize,
    values: KeyMap<Hash, V>,
    order: VecDeque<Hash>,
}

impl<V> BoundedMap<V> {
    fn new(max: usize) -> Self {
        BoundedMap { max: max.max(1), values: KeyMap::default(), order: VecDeque::new() }
    }

    fn insert(&mut self, id: Hash, value: V) {
        if self.values.insert(id, value).is_some() {
            return;
        }
        if self.order.len() == self.max
            && let Some(oldest) = self.order.pop_front()
        {
            self.values.remove(&oldest);
        }
        self.order.push_back(id);
    }

    fn get(&self, id: &Hash) -> Option<&V> {
        self.values.get(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(height: u64, outcomes: &[(u8, Option<Reason>)]) -> FinalBlock {
        let outcomes = outcomes.iter().map(|&(id, reason)| (Hash([id; 32]), reason)).collect();
        FinalBlock { height, black_hole: Hash([height as u8; 32]), outcomes }
    }

    #[test]
    fn forgets_the_oldest_first() {
        let feed = FinalFeed::new(3);
        feed.publish(block(1, &[(1, None), (2, None)]));
        feed.publish(block(2, &[(3, None), (4, Some(Reason::Gap))]));
        assert_eq!(feed.outcome(&Hash([1; 32])), None);
        let expected = FinalOutcome { height: 2, black_hole: Hash([2; 32]), reason: Some(Reason::Gap) };
        assert_eq!(feed.outcome(&Hash([4; 32])), Some(expected));
        assert_eq!(feed.outcome(&Hash([2; 32])).map(|outcome| outcome.height), Some(1));
    }

    #[test]
    fn what_applied_stays_applied_and_what_was_censored_may_apply_later() {
        let feed = FinalFeed::new(8);
        feed.publish(block(1, &[(1, None), (2, Some(Reason::Gap))]));
        feed.publish(block(2, &[(1, Some(Reason::Duplicate)), (2, None)]));
        let ends = [1, 2].map(|id| feed.outcome(&Hash([id; 32])).map(|outcome| (outcome.height, outcome.reason)));
        assert_eq!(ends, [Some((1, None)), Some((2, None))]);
    }

    #[test]
    fn dropped_transactions_are_bounded_too() {
        let feed = FinalFeed::new(2);
        (1..=3).for_each(|id| feed.dropped(Hash([id; 32]), None));
        feed.dropped(Hash([3; 32]), Some(Reason::Stale));
        let known = [1, 2, 3].map(|id| feed.dropped_reason(&Hash([id; 32])));
        assert_eq!(known, [None, Some(None), Some(Some(Reason::Stale))]);
    }

    #[test]
    fn subscribers_share_one_frame() {
        let feed = FinalFeed::new(8);
        let (mut first, mut second) = (feed.subscribe(), feed.subscribe());
        feed.publish(block(7, &[(1, None)]));
        let (first, second) = (first.try_recv().unwrap(), second.try_recv().unwrap());
        assert!(Arc::ptr_eq(&first, &second));
        assert_eq!(wire::decode_final(&first.frame).unwrap(), first.block);
    }
}
