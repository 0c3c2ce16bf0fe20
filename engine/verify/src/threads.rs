//! How the work on one batch is shared between threads: cut into pieces, of which each thread takes the next one when it is free. A
//! thread alone does the same pieces in a row.

use rayon::prelude::*;

/// Who works on a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Threads {
    /// The calling thread alone.
    One,
    /// All of the pool that the calling thread belongs to.
    Pool,
}

impl Threads {
    /// Does `work` on all of `pieces`, which are taken in order: where they differ in size, the large ones should come first.
    ///
    /// A thread that waits for the others may take up another batch meanwhile: nobody may hold a lock here.
    pub(crate) fn for_each<P: Send>(self, pieces: impl Iterator<Item = P>, work: impl Fn(P) + Send + Sync) {
        match self {
            Self::One => pieces.for_each(work),
            Self::Pool => pieces.collect::<Vec<_>>().into_par_iter().with_max_len(1).for_each(work),
        }
    }

    /// Does both, side by side where there are threads for it.
    pub(crate) fn join<A: Send, B: Send>(
        self,
        first: impl FnOnce() -> A + Send,
        second: impl FnOnce() -> B + Send,
    ) -> (A, B) {
        match self {
            Self::One => (first(), second()),
            Self::Pool => rayon::join(first, second),
        }
    }
}
