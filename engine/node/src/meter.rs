//! What each stage does with its time, for operators: busy, waiting for work, held up by the stage behind it; and the processor time it used.

use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Between two looks at a thread's processor time, which costs a system call.
const CPU_LOOK: Duration = Duration::from_millis(10);

/// One stage's counters. Written by its thread alone, read by anybody.
#[derive(Default)]
pub(crate) struct Meter {
    busy_us: AtomicU64,
    waiting_us: AtomicU64,
    held_up_us: AtomicU64,
    cpu_us: AtomicU64,
    turns: AtomicU64,
    items: AtomicU64,
}

/// The time that a stage's thread has not booked yet.
pub(crate) struct Stretch {
    since: Instant,
    cpu_looked: Instant,
}

impl Stretch {
    pub fn new() -> Self {
        let now = Instant::now();
        Stretch { since: now, cpu_looked: now }
    }
}

/// How a stage spent a stretch of time.
#[derive(Clone, Copy)]
pub(crate) enum Spent {
    Busy,
    Waiting,
    HeldUp,
}

/// A reading of a [`Meter`].
#[derive(Serialize)]
pub(crate) struct Reading {
    /// With work in hand, whether or not there was a processor to do it on.
    pub busy_us: u64,
    pub waiting_us: u64,
    pub back_pressured_us: u64,
    /// On a processor.
    pub cpu_us: u64,
    /// Stretches of work; with `items` they tell how large batches are.
    pub turns: u64,
    pub items: u64,
    pub queued: usize,
}

/// Processor time of the calling thread.
pub(crate) fn thread_cpu_us() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000 + time.tv_nsec as u64 / 1000
}

impl Meter {
    /// Books the time since the last booking.
    pub fn book(&self, stretch: &mut Stretch, spent: Spent) {
        let now = Instant::now();
        let counter = match spent {
            Spent::Busy => &self.busy_us,
            Spent::Waiting => &self.waiting_us,
            Spent::HeldUp => &self.held_up_us,
        };
        counter.fetch_add(now.duration_since(stretch.since).as_micros() as u64, Ordering::Relaxed);
        stretch.since = now;
        if now.duration_since(stretch.cpu_looked) >= CPU_LOOK {
            self.cpu_us.store(thread_cpu_us(), Ordering::Relaxed);
            stretch.cpu_looked = now;
        }
    }

    /// Counts the items of one stretch of work.
    pub fn count(&self, items: usize) {
        self.turns.fetch_add(u64::from(items > 0), Ordering::Relaxed);
        self.items.fetch_add(items as u64, Ordering::Relaxed);
    }

    pub fn read(&self, queued: usize) -> Reading {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Reading {
            busy_us: load(&self.busy_us),
            waiting_us: load(&self.waiting_us),
            back_pressured_us: load(&self.held_up_us),
            cpu_us: load(&self.cpu_us),
            turns: load(&self.turns),
            items: load(&self.items),
            queued,
        }
    }
}
