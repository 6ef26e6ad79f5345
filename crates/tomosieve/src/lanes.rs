//! Work side by side: several pieces at a time, each on threads of its own, instead of one piece on all threads.
//!
//! Kernels of small crops have too little to do for many threads, and all of them wait for one another at the end of
//! every layer. Pieces that do not depend on each other (windows of a slice, starts of a training) need not wait.

use std::sync::{Mutex, PoisonError};

use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::{Error, Result};

/// Threads in equal parts, one part a lane.
pub struct Lanes {
    /// A pool a lane; none where there is one lane, which is the pool that calls.
    pools: Vec<ThreadPool>,
}

impl Lanes {
    /// `count` lanes, which share the threads of the current pool.
    ///
    /// # Errors
    /// [`Error::Resources`] when the system has no more threads.
    pub fn new(count: usize) -> Result<Self> {
        let threads = (rayon::current_num_threads() / count.max(1)).max(1);
        let pool = || ThreadPoolBuilder::new().num_threads(threads).build();
        let pools = if count > 1 { (0..count).map(|_| pool()).collect() } else { Ok(Vec::new()) };
        Ok(Self { pools: pools.map_err(|e| Error::Resources(format!("no threads to work with: {e}")))? })
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.pools.len().max(1)
    }

    /// What `work` makes of every item, in their order. Each lane takes the next item when it is done with one.
    ///
    /// ```
    /// let lanes = tomosieve::lanes::Lanes::new(2)?;
    /// assert_eq!(lanes.map(vec![1, 2, 3], |item| 10 * item), [10, 20, 30]);
    /// # Ok::<(), tomosieve::Error>(())
    /// ```
    pub fn map<T: Send, R: Send>(&self, items: Vec<T>, work: impl Fn(T) -> R + Sync) -> Vec<R> {
        if self.pools.is_empty() || items.len() <= 1 {
            return items.into_iter().map(work).collect();
        }
        let mut found: Vec<Option<R>> = items.iter().map(|_| None).collect();
        let open = Mutex::new(items.into_iter().zip(&mut found));
        let next = || open.lock().unwrap_or_else(PoisonError::into_inner).next();
        on_each(&self.pools, &|| {
            while let Some((item, found)) = next() {
                *found = Some(work(item));
            }
        });
        found.into_iter().flatten().collect()
    }
}

/// Runs `work` once on every pool, at the same time.
fn on_each(pools: &[ThreadPool], work: &(dyn Fn() + Sync)) {
    let Some((first, others)) = pools.split_first() else { return };
    first.in_place_scope(|scope| {
        scope.spawn(|_| work());
        on_each(others, work);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_share_the_threads_and_keep_the_order() {
        let pool = ThreadPoolBuilder::new().num_threads(4).build().unwrap();
        pool.install(|| {
            let lanes = Lanes::new(2).unwrap();
            assert_eq!(lanes.count(), 2);
            let threads = lanes.map((0..9).collect(), |item| (item, rayon::current_num_threads()));
            assert_eq!(threads, (0..9).map(|item| (item, 2)).collect::<Vec<_>>());
            let one = Lanes::new(1).unwrap();
            assert_eq!(one.map(vec![(); 2], |()| rayon::current_num_threads()), [4, 4]);
        });
    }

    #[test]
    fn two_items_are_in_work_at_once() {
        let both = std::sync::Barrier::new(2); // hangs if one has to be done before the other begins
        assert_eq!(Lanes::new(2).unwrap().map(vec![1, 2], |item| (both.wait(), item).1), [1, 2]);
    }
}
