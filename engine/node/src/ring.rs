//! Bounded lock-free rings between stages.
//!
//! Contract:
//! - Any number of producers, one consumer; first in, first out for each producer. Each ring carries one kind of item from one kind of stage to one other.
//! - `push` never blocks, never allocates and takes no lock: a slot is claimed by one compare-and-swap (`crossbeam`'s `ArrayQueue`, allocated once
//!   at its full capacity). A full ring gives the item back; what to do then (slow down, answer "busy", drop and count) is the producer's to
//!   decide, and nothing is overwritten: a producer that laps the consumer is refused at the consumer's heels.
//! - A consumer with nothing to do sleeps on its [`Bell`](crate::bell), which any of its rings rings; it never spins.
//! - A producer that dies between two pushes leaves the ring whole: what it had pushed arrives, and others go on.

use crate::bell::Bell;
use crossbeam::queue::ArrayQueue;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A bounded ring into a stage.
pub(crate) struct Ring<T> {
    queue: ArrayQueue<T>,
    bell: Arc<Bell>,
}

impl<T> Ring<T> {
    pub fn new(capacity: usize, bell: &Arc<Bell>) -> Arc<Self> {
        Arc::new(Ring { queue: ArrayQueue::new(capacity), bell: bell.clone() })
    }

    /// Appends an item, or gives it back when there is no room.
    pub fn push(&self, item: T) -> Result<(), T> {
        self.queue.push(item)?;
        self.bell.ring();
        Ok(())
    }

    /// Appends an item, sleeping in short steps while there is no room; gives it back when `stop` is set meanwhile.
    pub fn push_waiting(&self, mut item: T, stop: &AtomicBool) -> Result<(), T> {
        const STEP: Duration = Duration::from_micros(500);
        while let Err(back) = self.push(item) {
            if stop.load(Ordering::Relaxed) {
                return Err(back);
            }
            item = back;
            std::thread::sleep(STEP);
        }
        Ok(())
    }

    /// Takes the oldest item.
    pub fn pop(&self) -> Option<T> {
        self.queue.pop()
    }

    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub fn len(&self) -> usize {
        self.queue.len()
    }

    pub fn capacity(&self) -> usize {
        self.queue.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_ring_gives_the_item_back() {
        let ring = Ring::new(2, &Bell::new());
        assert_eq!([ring.push(1), ring.push(2), ring.push(3)], [Ok(()), Ok(()), Err(3)]);
        assert_eq!((ring.pop(), ring.push(3)), (Some(1), Ok(())));
    }

    #[test]
    fn nothing_is_lost_or_reordered_under_contention_and_every_item_wakes() {
        const COUNT: u64 = 20_000;
        let bell = Bell::new();
        let ring = Ring::new(64, &bell);
        let never = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for producer in 0..2u64 {
                let (ring, never) = (ring.clone(), &never);
                scope.spawn(move || (0..COUNT).for_each(|i| ring.push_waiting((producer, i), never).unwrap()));
            }
            let mut next = [0; 2];
            while next != [COUNT; 2] {
                match ring.pop() {
                    Some((producer, i)) => {
                        assert_eq!(i, next[producer as usize]);
                        next[producer as usize] += 1;
                    }
                    // A wake-up that is lost would sleep far longer than this test may take.
                    None => bell.sleep(Duration::from_secs(3600), || !ring.is_empty()),
                }
            }
        });
    }

    #[test]
    fn a_waiting_producer_stops_when_told() {
        let ring = Ring::new(1, &Bell::new());
        ring.push(1).unwrap();
        assert_eq!(ring.push_waiting(2, &AtomicBool::new(true)), Err(2));
    }

    /// A producer that is faster than its consumer laps the ring many times over, and then dies in the middle of its work.
    #[test]
    fn a_producer_that_laps_the_ring_and_dies_leaves_it_whole() {
        const ACCEPTED: u64 = 1000;
        let bell = Bell::new();
        let ring = Ring::new(7, &bell);
        let dying = {
            let ring = ring.clone();
            std::thread::spawn(move || {
                let (mut next, mut refused) = (0, 0);
                while next < ACCEPTED || refused == 0 {
                    match ring.push(next) {
                        Ok(()) => next += 1,
                        Err(back) => {
                            assert_eq!(back, next);
                            refused += 1;
                            std::thread::yield_now();
                        }
                    }
                }
                std::panic::resume_unwind(Box::new(next));
            })
        };
        let mut got = 0;
        while !dying.is_finished() || !ring.is_empty() {
            match ring.pop() {
                Some(item) => {
                    assert_eq!(item, got);
                    got += 1;
                }
                None => bell.sleep(Duration::from_millis(1), || !ring.is_empty()),
            }
        }
        let accepted = *dying.join().unwrap_err().downcast::<u64>().unwrap();
        assert_eq!(got, accepted);
        assert_eq!((ring.push(5), ring.pop(), ring.pop()), (Ok(()), Some(5), None));
    }
}
