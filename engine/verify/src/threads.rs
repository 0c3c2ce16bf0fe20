//! How the work on one batch is shared between threads: cut into pieces, of which a thread takes another one when it is free. A
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
    /// How many there are.
    pub(crate) fn count(self) -> usize {
        match self {
            Self::One => 1,
            Self::Pool => rayon::current_num_threads(),
        }
    }

    /// Does `work` on all of `pieces`. Neighbours mostly stay on one thread, and on the same one when their like are worked on
    /// next: what it wrote is in its caches, and far away for the others.
    ///
    /// A thread that waits for the others may take up another batch meanwhile: nobody may hold a lock here.
    pub(crate) fn for_each<P: Send>(self, pieces: impl Iterator<Item = P>, work: impl Fn(P) + Send + Sync) {
        match self {
            Self::One => pieces.for_each(work),
            Self::Pool => pieces.collect::<Vec<_>>().into_par_iter().with_max_len(1).for_each(work),
        }
    }

    /// The same for few and large pieces, the largest first: they are taken in order, so that threads end together.
    pub(crate) fn for_each_in_order<P: Send>(
        self,
        pieces: impl Iterator<Item = P> + Send,
        work: impl Fn(P) + Send + Sync,
    ) {
        match self {
            Self::One => pieces.for_each(work),
            Self::Pool => pieces.par_bridge().for_each(work),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_piece_is_done_once() {
        for threads in [Threads::One, Threads::Pool] {
            for len in [0, 1, 2, 3, 100] {
                let mut done = vec![0; len];
                threads.for_each(done.iter_mut(), |done| *done += 1);
                threads.for_each_in_order(done.iter_mut(), |done| *done += 2);
                assert_eq!(done, vec![3; len], "{threads:?}");
            }
            assert_eq!(threads.join(|| 1, || "b"), (1, "b"));
        }
    }
}
