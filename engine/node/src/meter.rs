//! What each stage does with its time, for operators: busy, waiting for work, held up by the stage behind it.

use serde::Serialize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// One stage's counters. Written by its thread alone, read by anybody.
#[derive(Default)]
pub(crate) struct Meter {
    busy_us: AtomicU64,
    waiting_us: AtomicU64,
    held_up_us: AtomicU64,
    items: AtomicU64,
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
    pub busy_us: u64,
    pub waiting_us: u64,
    pub back_pressured_us: u64,
    pub items: u64,
    pub queued: usize,
}

impl Meter {
    /// Books the time since `since`, and starts anew.
    pub fn book(&self, since: &mut Instant, spent: Spent) {
        let now = Instant::now();
        let counter = match spent {
            Spent::Busy => &self.busy_us,
            Spent::Waiting => &self.waiting_us,
            Spent::HeldUp => &self.held_up_us,
        };
        counter.fetch_add(now.duration_since(*since).as_micros() as u64, Ordering::Relaxed);
        *since = now;
    }

    pub fn count(&self, items: usize) {
        self.items.fetch_add(items as u64, Ordering::Relaxed);
    }

    pub fn read(&self, queued: usize) -> Reading {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Reading {
            busy_us: load(&self.busy_us),
            waiting_us: load(&self.waiting_us),
            back_pressured_us: load(&self.held_up_us),
            items: load(&self.items),
            queued,
        }
    }
}
