//! Stopping on Ctrl-C and SIGTERM: the first asks for an orderly end, a second ends the program at once.

use crate::exit::{Exit, Failure};
use signal_hook::consts::{SIGINT, SIGTERM};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Set by the first signal.
#[derive(Clone)]
pub struct StopSignal {
    flag: Arc<AtomicBool>,
}

impl StopSignal {
    /// Starts listening.
    pub fn install() -> Result<Self, Failure> {
        let flag = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            // In this order: the second signal finds the flag set, and ends the program.
            signal_hook::flag::register_conditional_shutdown(signal, 128 + signal, flag.clone())
                .and_then(|_| signal_hook::flag::register(signal, flag.clone()))
                .map_err(|error| Failure::new(Exit::Machine, format_args!("cannot listen for signals: {error}")))?;
        }
        Ok(StopSignal { flag })
    }

    /// Whether a signal has come.
    pub fn is_set(&self) -> bool {
        self.flag.load(Ordering::Relaxed)
    }

    /// Asks for an orderly end as a signal does.
    pub fn set(&self) {
        self.flag.store(true, Ordering::Relaxed);
    }

    /// The flag itself, for work that polls it.
    pub fn flag(&self) -> &AtomicBool {
        &self.flag
    }
}
