//! Bounded lock-free rings between stages, and the bell that wakes a stage.
//!
//! Contract: any number of producers, one consumer, first in first out for each producer. `push` never blocks and never allocates; a full
//! ring gives the item back, and what to do then (slow down, answer "busy", drop and count) is the producer's to decide. A consumer with
//! nothing to do sleeps on its bell, which any of its rings rings; it never spins. A producer that dies leaves the ring whole.

use crossbeam::queue::ArrayQueue;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::thread::Thread;
use std::time::Duration;

/// Wakes the one thread that consumes from a stage's rings.
#[derive(Default)]
pub(crate) struct Bell {
    sleeping: AtomicBool,
    sleeper: OnceLock<Thread>,
}

impl Bell {
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Wakes the consumer if it sleeps.
    pub fn ring(&self) {
        // Pairs with the fence in `sleep`: either the consumer sees what was pushed, or this sees that it sleeps.
        fence(Ordering::SeqCst);
        if self.sleeping.load(Ordering::Relaxed)
            && self.sleeping.swap(false, Ordering::Relaxed)
            && let Some(sleeper) = self.sleeper.get()
        {
            sleeper.unpark();
        }
    }

    /// Sleeps until rung, or for `timeout`, unless `has_work` says there is something to do. One thread alone may call this.
    pub fn sleep(&self, timeout: Duration, has_work: impl Fn() -> bool) {
        self.sleeper.get_or_init(std::thread::current);
        self.sleeping.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        if !has_work() {
            std::thread::park_timeout(timeout);
        }
        self.sleeping.store(false, Ordering::Relaxed);
    }
}

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
}
