//! What the GPU thread, its callers and the operator see of each other: whether the GPU takes requests, and what it did.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::device::{DeviceError, StageTimes};
use super::self_test::Calibration;

/// Why the CPU does what the GPU was handed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Lost,
    OutOfMemory,
    Late,
    Garbled,
    /// No fault of this request: the GPU was given up before it came to it.
    NotStarted,
}

impl Fault {
    /// Whether what is left of the device is of no use.
    pub(super) fn ends_the_device(self) -> bool {
        matches!(self, Self::Lost | Self::OutOfMemory)
    }

    /// What an operator can do about it.
    pub(super) fn remedy(self) -> &'static str {
        match self {
            Self::Lost | Self::NotStarted => {
                "see the kernel's log for the GPU's fault; if it happens again, update the driver"
            }
            Self::OutOfMemory => {
                "free memory of the GPU, which other programs may hold; smaller batches are tried next"
            }
            Self::Late => {
                "see whether another program keeps the GPU busy; if it happens again, allow a longer deadline"
            }
            Self::Garbled => "suspect the GPU's memory or its driver; if it happens again, choose a CPU backend",
        }
    }
}

impl From<&DeviceError> for Fault {
    fn from(error: &DeviceError) -> Self {
        match error {
            DeviceError::OutOfMemory(_) => Self::OutOfMemory,
            DeviceError::Busy => Self::Late,
            DeviceError::NoAdapter(_) | DeviceError::Lost(_) | DeviceError::Refused(_) => Self::Lost,
        }
    }
}

/// What the GPU was given and what became of it, since the start. Each request handed over is counted once more: as
/// answered, or as redone for one reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GpuCounters {
    /// Requests handed to the GPU.
    pub requests: u64,
    /// Requests that the GPU answered and whose result was used.
    pub answered: u64,
    /// Redone by the CPU: the device was lost or refused a call.
    pub redone_lost: u64,
    /// Redone by the CPU: the device ran out of memory.
    pub redone_out_of_memory: u64,
    /// Redone by the CPU: no result before the deadline.
    pub redone_late: u64,
    /// Redone by the CPU: the result carried a wrong nonce or tag.
    pub redone_garbled: u64,
    /// Done by the CPU: the GPU was given up, for another request's sake, before it came to this one.
    pub redone_not_started: u64,
    /// Signatures whose verdict is the GPU's.
    pub signatures_gpu: u64,
    /// Signatures whose verdict is the CPU's: its share, what it redid, and all while the GPU was not there.
    pub signatures_cpu: u64,
    /// Bytes that went up in requests whose result came down, right or wrong.
    pub uploaded_bytes: u64,
    /// Bytes of results that came down.
    pub downloaded_bytes: u64,
    /// How often a GPU passed the self-test and was taken in.
    pub taken_in: u64,
}

impl GpuCounters {
    /// Requests that the CPU had to do although they were handed to the GPU.
    #[must_use]
    pub fn redone(&self) -> u64 {
        self.redone_lost + self.redone_out_of_memory + self.redone_late + self.redone_garbled + self.redone_not_started
    }

    pub(super) fn count(&mut self, fault: Fault) {
        *match fault {
            Fault::Lost => &mut self.redone_lost,
            Fault::OutOfMemory => &mut self.redone_out_of_memory,
            Fault::Late => &mut self.redone_late,
            Fault::Garbled => &mut self.redone_garbled,
            Fault::NotStarted => &mut self.redone_not_started,
        } += 1;
    }
}

/// Speeds in signatures a second: moving averages, zero until measured.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Speeds {
    pub(super) gpu: f64,
    pub(super) cpu: f64,
    /// What a request takes however few signatures it has, in seconds.
    pub(super) gpu_latency_s: f64,
}

impl Speeds {
    /// How many of `len` signatures the GPU should do so that it ends together with the CPU; none where the CPU alone is sooner done.
    /// `None` while one of the two is not measured.
    pub(super) fn gpu_share(&self, len: usize) -> Option<usize> {
        let &Self { gpu, cpu, gpu_latency_s } = self;
        if gpu <= 0.0 || cpu <= 0.0 {
            return None;
        }
        // latency + share / gpu = (len − share) / cpu
        let share = (len as f64 / cpu - gpu_latency_s) * gpu * cpu / (gpu + cpu);
        Some((share.max(0.0).round() as usize).min(len))
    }
}

/// The weight of the newest measurement in a moving average.
const NEWEST_WEIGHT: f64 = 0.2;

/// Takes a measurement of `items` in `elapsed` into an average.
pub(super) fn average(speed: &mut f64, items: usize, elapsed: Duration) {
    let newest = items as f64 / elapsed.as_secs_f64().max(1e-9);
    *speed = if *speed == 0.0 { newest } else { *speed + NEWEST_WEIGHT * (newest - *speed) };
}

#[derive(Default)]
struct State {
    device: Option<String>,
    last_fault: Option<String>,
    counters: GpuCounters,
    times: StageTimes,
    speeds: Speeds,
}

/// See the module.
#[derive(Default)]
pub(super) struct Shared {
    /// Items a request may hold; 0 while the GPU takes none.
    request_len: AtomicUsize,
    state: Mutex<State>,
    opened: Condvar,
}

impl Shared {
    /// Items a request may hold; 0 while the GPU takes none.
    pub(super) fn request_len(&self) -> usize {
        self.request_len.load(Ordering::Acquire)
    }

    /// The GPU takes requests from now on.
    pub(super) fn open(&self, device: String, found: Calibration) {
        let mut state = self.state();
        state.device = Some(device);
        state.counters.taken_in += 1;
        state.speeds.gpu = found.signatures_per_s;
        state.speeds.gpu_latency_s = found.latency.as_secs_f64();
        self.request_len.store(found.batch, Ordering::Release);
        self.opened.notify_all();
    }

    /// The GPU takes none from now on, until it is opened again.
    pub(super) fn close(&self) {
        self.request_len.store(0, Ordering::Release);
    }

    /// Whether the GPU takes requests, after waiting for that until `until`.
    pub(super) fn wait_open(&self, until: Instant) -> bool {
        let mut state = self.state();
        while self.request_len() == 0 {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state = self.opened.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    pub(super) fn device(&self) -> Option<String> {
        self.state().device.clone()
    }

    pub(super) fn last_fault(&self) -> Option<String> {
        self.state().last_fault.clone()
    }

    pub(super) fn set_last_fault(&self, fault: String) {
        self.state().last_fault = Some(fault);
    }

    pub(super) fn counters(&self) -> GpuCounters {
        self.state().counters
    }

    pub(super) fn count(&self, change: impl FnOnce(&mut GpuCounters)) {
        change(&mut self.state().counters);
    }

    pub(super) fn times(&self) -> StageTimes {
        self.state().times
    }

    /// A result came down, of `result_words` words, for a request of `request_words`.
    pub(super) fn add_result(&self, request_words: usize, result_words: usize, times: StageTimes) {
        let mut state = self.state();
        state.times += times;
        state.counters.uploaded_bytes += 4 * request_words as u64;
        state.counters.downloaded_bytes += 4 * result_words as u64;
    }

    pub(super) fn speeds(&self) -> Speeds {
        self.state().speeds
    }

    pub(super) fn measure(&self, change: impl FnOnce(&mut Speeds)) {
        change(&mut self.state().speeds);
    }

    /// Plain numbers and text: a thread that panicked while it held them left nothing half done that matters.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
