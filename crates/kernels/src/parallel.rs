//! Threads, and pointers that may be given to them.
//!
//! Work is split by shape, never by the number of threads, and partial sums are added in the order of
//! their index; so results do not depend on the number of threads.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rayon::prelude::*;

/// Runs `task(0) … task(tasks − 1)`, on the threads of the current rayon pool if it has several.
///
/// A single-threaded pool is not entered at all: waking its thread costs more than a small kernel.
pub(crate) fn each(tasks: usize, task: impl Fn(usize) + Sync + Send) {
    if tasks <= 1 || rayon::current_num_threads() == 1 {
        (0..tasks).for_each(task);
    } else {
        (0..tasks).into_par_iter().with_max_len(1).for_each(task);
    }
}

/// Runs several kernels on a thread of the current rayon pool, which is entered once instead of once for each kernel, and
/// keeps the pool's other threads awake meanwhile: a kernel takes a fraction of a millisecond, and between two of them the
/// others would fall asleep, to be woken by the system again and again.
///
/// Where there is one thread, or kernels run together already, it just runs them.
pub fn together<R: Send>(kernels: impl FnOnce() -> R + Send) -> R {
    if rayon::current_num_threads() == 1 || TOGETHER.get() {
        return kernels();
    }
    rayon::scope(|_| {
        let _awake = Awake::new();
        kernels()
    })
}

thread_local! {
    /// Whether this thread is within [`together`].
    static TOGETHER: Cell<bool> = const { Cell::new(false) };
}

/// How long a thread looks for work in vain. It must end, since a thread may begin to look while others wait for what it
/// has begun.
const PATIENCE: Duration = Duration::from_micros(300);

/// While it lives, the other threads of the pool do not sleep before they have looked for work for some time. They let any
/// other thread before them that has some.
struct Awake {
    over: Arc<AtomicBool>,
}

impl Awake {
    /// To be made on a thread of the pool.
    fn new() -> Self {
        let awake = Self { over: Arc::default() };
        TOGETHER.set(true);
        let (over, own) = (Arc::clone(&awake.over), rayon::current_thread_index());
        rayon::spawn_broadcast(move |thread| {
            let mut worked = Instant::now();
            while Some(thread.index()) != own && !over.load(Ordering::Relaxed) {
                if rayon::yield_now() == Some(rayon::Yield::Executed) {
                    worked = Instant::now();
                } else if worked.elapsed() > PATIENCE {
                    break;
                } else {
                    std::thread::yield_now();
                }
            }
        });
        awake
    }
}

impl Drop for Awake {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        TOGETHER.set(false);
    }
}

/// The `i`-th of `parts` nearly equal parts of `0..total`.
pub(crate) fn part(total: usize, parts: usize, i: usize) -> std::ops::Range<usize> {
    total * i / parts..total * (i + 1) / parts
}

/// A pointer to values of which each task writes others.
#[derive(Debug)]
pub(crate) struct Shared<T = f32>(*mut T);

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Shared<T> {}

// SAFETY: it is only a number; whoever writes through it must see to it that tasks do not overlap.
unsafe impl<T: Send> Send for Shared<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Shared<T> {}

impl<T> Shared<T> {
    /// Of a slice that outlives the tasks.
    pub(crate) fn new(values: &mut [T]) -> Self {
        Self(values.as_mut_ptr())
    }

    /// The pointer `offset` values further on.
    ///
    /// # Safety
    /// `offset` must lie within the slice, and the values written through the pointer must be neither
    /// read nor written by another task.
    #[inline(always)]
    pub(crate) unsafe fn at(self, offset: usize) -> *mut T {
        self.0.add(offset)
    }

    /// A part of the slice.
    ///
    /// # Safety
    /// The part must lie within the slice, and no other task may touch it.
    #[inline(always)]
    pub(crate) unsafe fn part<'a>(self, offset: usize, len: usize) -> &'a mut [T] {
        std::slice::from_raw_parts_mut(self.0.add(offset), len)
    }
}

impl Shared {
    /// The same values, each to be read before it is overwritten.
    pub(crate) fn source(self) -> Source {
        Source(self.0)
    }
}

/// A pointer to values that tasks read, perhaps in place of those that they write.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source(*const f32);

// SAFETY: it is only a number; whoever reads through it must see to it that nobody else writes there.
unsafe impl Send for Source {}
// SAFETY: as above.
unsafe impl Sync for Source {}

impl Source {
    /// Of values that outlive the tasks.
    pub(crate) fn new(values: *const f32) -> Self {
        Self(values)
    }

    /// The pointer `offset` values further on.
    ///
    /// # Safety
    /// `offset` must lie within the values.
    #[inline(always)]
    pub(crate) unsafe fn at(self, offset: usize) -> *const f32 {
        self.0.add(offset)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;

    #[test]
    fn others_are_awake_until_the_kernels_are_done() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
        pool.install(|| {
            let all = Barrier::new(3); // hangs if a thread does not come
            let sum = together(|| {
                assert!(TOGETHER.get());
                each(3, |_| _ = all.wait());
                together(|| 1) + 1
            });
            assert_eq!(sum, 2);
            assert!(!TOGETHER.get());
            // A kernel that fails must not leave the others looking for work for ever.
            let failed = std::panic::catch_unwind(|| together(|| panic!("a kernel fails")));
            assert!(failed.is_err() && !TOGETHER.get());
            each(3, |_| _ = all.wait());
        });
    }

    #[test]
    fn looking_for_work_holds_up_nobody() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
        let [begun, together_now, done] = std::array::from_fn(|_| Arc::new(AtomicBool::new(false)));
        let set = |flag: &AtomicBool| flag.store(true, Ordering::SeqCst);
        let wait = |flag: &AtomicBool| while !flag.load(Ordering::SeqCst) {};
        pool.install(|| {
            let flags = (begun.clone(), together_now.clone(), done.clone());
            rayon::spawn(move || {
                set(&flags.0);
                wait(&flags.1);
                // The other thread begins to look for work amid what the kernels wait for; with endless patience this hangs.
                assert_eq!(rayon::yield_now(), Some(rayon::Yield::Executed));
                set(&flags.2);
            });
            wait(&begun);
            together(|| {
                set(&together_now);
                wait(&done);
            });
        });
    }
}
