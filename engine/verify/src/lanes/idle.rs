//! Working memory that is kept from one use to the next.

use std::sync::{Mutex, PoisonError};

/// Memory not in use: at most as much of it as was ever in use at once.
pub(super) struct Idle<T>(Mutex<Vec<T>>);

impl<T> Default for Idle<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Default> Idle<T> {
    /// Lends memory to `work`: what was used last, which is nearest.
    pub(super) fn lend<R>(&self, work: impl FnOnce(&mut T) -> R) -> R {
        let idle = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut memory = idle().pop().unwrap_or_default();
        let result = work(&mut memory);
        idle().push(memory);
        result
    }
}
