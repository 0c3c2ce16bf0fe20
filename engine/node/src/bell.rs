//! The bell that wakes a stage: how a consumer sleeps without ever missing what a producer pushes.
//!
//! Contract: any number of producers, one consumer. A producer makes its item visible and then calls `ring`; the consumer calls `sleep`
//! with a look at its rings. Whatever the order, either the look sees the item or the ring ends the sleep: the two fences, one
//! between pushing and looking at `sleeping`, one between setting `sleeping` and looking at the rings, cannot both come before the other's
//! store (Dekker's argument). `ring` costs a fence and a load while the consumer is awake, and one wake-up for however many items while it
//! sleeps. A wake-up that comes late, when the consumer is awake again, ends its next sleep at once: harmless.
//!
//! Generic over the [`Machine`], so that tests check every interleaving of these very lines with a model of the memory (`loom`).

use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::{Arc, OnceLock};
use std::thread::Thread;
use std::time::Duration;

/// What a bell needs of the machine.
pub(crate) trait Machine {
    /// A shared bit.
    type Flag: Flag;
    /// A thread, to be woken.
    type Sleeper;
    /// A sequentially consistent fence.
    fn fence();
    /// The calling thread.
    fn current() -> Self::Sleeper;
    /// Ends a thread's sleep, or its next one.
    fn wake(sleeper: &Self::Sleeper);
    /// Sleeps until woken, for `timeout` at most, or less.
    fn park(timeout: Duration);
}

/// A shared bit. All accesses are relaxed: the fences order them. It is changed by exchanges alone, so that its changes have one order that the
/// model knows too.
pub(crate) trait Flag: Default {
    fn get(&self) -> bool;
    /// Sets it and tells what it was.
    fn exchange(&self, value: bool) -> bool;
}

/// The machine the program runs on.
pub(crate) enum Std {}

impl Machine for Std {
    type Flag = AtomicBool;
    type Sleeper = Thread;

    fn fence() {
        fence(Ordering::SeqCst);
    }

    fn current() -> Thread {
        std::thread::current()
    }

    fn wake(sleeper: &Thread) {
        sleeper.unpark();
    }

    fn park(timeout: Duration) {
        std::thread::park_timeout(timeout);
    }
}

impl Flag for AtomicBool {
    fn get(&self) -> bool {
        self.load(Ordering::Relaxed)
    }

    fn exchange(&self, value: bool) -> bool {
        self.swap(value, Ordering::Relaxed)
    }
}

/// Wakes the one thread that consumes from a stage's rings.
pub(crate) struct Bell<M: Machine = Std> {
    sleeping: M::Flag,
    sleeper: OnceLock<M::Sleeper>,
}

impl Bell {
    pub fn new() -> Arc<Self> {
        Arc::new(Self::silent())
    }
}

impl<M: Machine> Bell<M> {
    fn silent() -> Self {
        Self { sleeping: M::Flag::default(), sleeper: OnceLock::new() }
    }

    /// Wakes the consumer if it sleeps.
    pub fn ring(&self) {
        M::fence();
        if self.sleeping.get()
            && self.sleeping.exchange(false)
            && let Some(sleeper) = self.sleeper.get()
        {
            M::wake(sleeper);
        }
    }

    /// Sleeps until rung, or for `timeout`, unless `has_work` says there is something to do. One thread alone may call this.
    pub fn sleep(&self, timeout: Duration, has_work: impl Fn() -> bool) {
        self.sleeper.get_or_init(M::current);
        self.sleeping.exchange(true);
        M::fence();
        if !has_work() {
            M::park(timeout);
        }
        self.sleeping.exchange(false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use loom::sync::atomic::{AtomicBool as ModelBool, AtomicUsize as ModelCounter};

    /// A machine whose every interleaving is tried. A sleep that nobody ends is a deadlock, which the model reports.
    enum Model {}

    impl Machine for Model {
        type Flag = ModelBool;
        type Sleeper = loom::thread::Thread;

        fn fence() {
            loom::sync::atomic::fence(Ordering::SeqCst);
        }

        fn current() -> Self::Sleeper {
            loom::thread::current()
        }

        fn wake(sleeper: &Self::Sleeper) {
            sleeper.unpark();
        }

        fn park(_: Duration) {
            loom::thread::park();
        }
    }

    impl Flag for ModelBool {
        fn get(&self) -> bool {
            self.load(Ordering::Relaxed)
        }

        fn exchange(&self, value: bool) -> bool {
            self.swap(value, Ordering::Relaxed)
        }
    }

    /// Every order in which `producers` push one item each, seen by a counter weaker than any queue, ends with the consumer having seen all.
    fn consumer_sees_all(producers: usize, ring: fn(&Bell<Model>)) {
        let mut orders = loom::model::Builder::new();
        // All orders of one producer; of two, those in which threads are interrupted at most thrice: more takes minutes and found nothing.
        orders.preemption_bound = (producers > 1).then_some(3);
        orders.check(move || {
            let bell = Arc::new(Bell::<Model>::silent());
            let pushed = Arc::new(ModelCounter::new(0));
            let threads: Vec<_> = (0..producers)
                .map(|_| {
                    let (bell, pushed) = (bell.clone(), pushed.clone());
                    loom::thread::spawn(move || {
                        pushed.fetch_add(1, Ordering::Relaxed);
                        ring(&bell);
                    })
                })
                .collect();
            let mut seen = 0;
            while seen < producers {
                bell.sleep(Duration::MAX, || pushed.load(Ordering::Relaxed) > seen);
                seen = pushed.load(Ordering::Relaxed);
            }
            for thread in threads {
                thread.join().unwrap();
            }
        });
    }

    #[test]
    fn no_order_of_one_or_two_producers_loses_a_wake_up() {
        consumer_sees_all(1, Bell::ring);
        consumer_sees_all(2, Bell::ring);
    }

    /// The model finds what the fence is there for.
    #[test]
    #[should_panic(expected = "deadlock")]
    fn without_the_producers_fence_a_wake_up_is_lost() {
        consumer_sees_all(1, |bell| {
            if bell.sleeping.get() && bell.sleeping.exchange(false) {
                Model::wake(bell.sleeper.get().unwrap());
            }
        });
    }
}
