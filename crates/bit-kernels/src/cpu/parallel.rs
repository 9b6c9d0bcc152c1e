//! Work shared by rayon's threads, and keeping those threads awake between one operation and the next.

use std::hint::spin_loop;
use std::sync::atomic::{AtomicBool, Ordering};

use rayon::Yield;
use rayon::prelude::*;

/// A pointer into an output that tasks fill without overlap.
#[derive(Clone, Copy)]
pub(super) struct Shared<T>(pub(super) *mut T);

// SAFETY: tasks write disjoint places, and the owner waits for all of them before it looks.
unsafe impl<T> Send for Shared<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for Shared<T> {}

impl<T> Shared<T> {
    /// The place `by` values on.
    ///
    /// # Safety
    /// It is inside the allocation.
    pub(super) unsafe fn at(&self, by: usize) -> *mut T {
        // SAFETY: the caller's promise.
        unsafe { self.0.add(by) }
    }
}

/// Runs `task` for every index, in parallel.
pub(super) fn for_each(tasks: usize, task: impl Fn(usize) + Sync + Send) {
    (0..tasks).into_par_iter().with_max_len(1).for_each(task);
}

/// Runs `work`, a sequence of kernels such as one forward, on a thread of rayon's pool while the others stay awake.
///
/// A forward is a hundred operations of a fraction of a millisecond; a thread that goes to sleep between two of them
/// comes back late for the second (a twentieth of R50x1's time at batch 1). Meanwhile the waking threads take any
/// other work of the pool's. Within another `keep_awake`, or beside one, it just runs `work`.
pub fn keep_awake<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    static AWAKE: AtomicBool = AtomicBool::new(false);

    /// Lets the threads go, also when `work` panics.
    struct Release<'a>(&'a AtomicBool);
    impl Drop for Release<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Release);
            AWAKE.store(false, Ordering::Release);
        }
    }

    let done = AtomicBool::new(false);
    rayon::scope(|scope| {
        if AWAKE.swap(true, Ordering::AcqRel) {
            return work();
        }
        let _release = Release(&done);
        let (done, worker) = (&done, rayon::current_thread_index());
        scope.spawn_broadcast(move |_, context| {
            while Some(context.index()) != worker && !done.load(Ordering::Acquire) {
                if rayon::yield_now() != Some(Yield::Executed) {
                    (0..16).for_each(|_| spin_loop());
                }
            }
        });
        work()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_may_keep_awake_within_and_panic() {
        let sum = |n: u64| (0..n).into_par_iter().sum::<u64>();
        assert_eq!(keep_awake(|| keep_awake(|| sum(100)) + sum(10)), 4950 + 45);
        assert!(std::panic::catch_unwind(|| keep_awake(|| panic!("expected"))).is_err());
        assert_eq!(keep_awake(|| sum(5)), 10);
    }
}
