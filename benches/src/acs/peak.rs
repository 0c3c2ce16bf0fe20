//! Memory that the process takes, and the most that it took, as the system counts them.

use std::fs;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Memory of this process now. None where the system does not tell.
pub fn resident_bytes() -> Option<u64> {
    status_bytes("VmRSS:")
}

/// A time whose peak of memory is asked for. A process has one peak, which whoever starts it anew takes from everybody: so
/// there is one of these at a time, and the next one waits.
pub struct Peak {
    _alone: MutexGuard<'static, ()>,
}

impl Peak {
    /// Starts the peak anew where the system can; else it is that of the process so far.
    pub fn start() -> Self {
        static ALONE: Mutex<()> = Mutex::new(());
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        fs::write("/proc/self/clear_refs", "5").ok();
        Self { _alone: alone }
    }

    /// The most memory of this process since the start. None where the system does not tell.
    pub fn bytes(&self) -> Option<u64> {
        status_bytes("VmHWM:")
    }
}

fn status_bytes(field: &str) -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib << 10)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_peak_sees_what_was_given_back() {
        let peak = Peak::start();
        drop(std::hint::black_box(vec![1_u8; 64 << 20]));
        assert!(peak.bytes().unwrap() >= 64 << 20);
    }
}
