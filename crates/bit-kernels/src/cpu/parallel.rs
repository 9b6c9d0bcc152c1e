//! Work shared by threads: rayon's, or within [`keep_awake`] a [`Team`] of them that never goes to sleep.

use std::cell::Cell;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};

use rayon::prelude::*;

use super::team::Team;

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

thread_local! {
    /// The team that this thread leads and that has nothing to do, or null.
    static LED: Cell<*const Team> = const { Cell::new(ptr::null()) };
}

/// Sets [`LED`] until it is dropped, also by a panic.
struct Leading(*const Team);

impl Leading {
    fn set(team: *const Team) -> Leading {
        Leading(LED.replace(team))
    }
}

impl Drop for Leading {
    fn drop(&mut self) {
        LED.set(self.0);
    }
}

/// Runs `task` for every index, in parallel.
pub(super) fn for_each(tasks: usize, task: impl Fn(usize) + Sync + Send) {
    let team = LED.get();
    if team.is_null() {
        (0..tasks).into_par_iter().with_max_len(1).for_each(task);
        return;
    }
    // A task that runs others of its own finds no team that is free.
    let _busy = Leading::set(ptr::null());
    // SAFETY: the team outlives `keep_awake`'s work, during which alone the pointer is set.
    // Its leader is this thread, which is in no other operation: `LED` was set.
    unsafe { (*team).run(rayon::current_thread_index().unwrap_or(0), tasks, &task) };
}

/// Runs `work`, a sequence of kernels such as one forward, on a thread of rayon's pool, with the others as its
/// `Team`.
///
/// A forward is a hundred operations of a fraction of a millisecond, and a thread that went to sleep comes back late.
/// Between two operations the team's threads take any other work of the pool's. Within another `keep_awake`, or beside
/// one, `work` just runs, and its kernels are rayon's tasks.
pub fn keep_awake<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    static AWAKE: AtomicBool = AtomicBool::new(false);

    /// Lets the threads go, also when `work` panics.
    struct Release<'a>(&'a Team);
    impl Drop for Release<'_> {
        fn drop(&mut self) {
            self.0.dismiss();
            AWAKE.store(false, Ordering::Release);
        }
    }

    let team = Team::new(rayon::current_num_threads());
    rayon::scope(|scope| {
        if AWAKE.swap(true, Ordering::AcqRel) {
            return work();
        }
        let _release = Release(&team);
        let (team, leader) = (&team, rayon::current_thread_index());
        scope.spawn_broadcast(move |_, context| {
            if Some(context.index()) != leader {
                team.help(context.index());
            }
        });
        let _leading = Leading::set(team);
        work()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    #[test]
    fn work_may_keep_awake_within_and_panic() {
        let sum = |n: u64| (0..n).into_par_iter().sum::<u64>();
        assert_eq!(keep_awake(|| keep_awake(|| sum(100)) + sum(10)), 4950 + 45);
        assert!(std::panic::catch_unwind(|| keep_awake(|| panic!("expected"))).is_err());
        assert_eq!(keep_awake(|| sum(5)), 10);
    }

    #[test]
    fn every_task_runs_once_within_and_without_a_team() {
        let all_once = |tasks: usize| {
            let counts: Vec<AtomicUsize> = (0..tasks).map(|_| AtomicUsize::new(0)).collect();
            for_each(tasks, |task| {
                counts[task].fetch_add(1, Ordering::Relaxed);
            });
            counts.iter().all(|count| count.load(Ordering::Relaxed) == 1)
        };
        let some = [0, 1, 2, 3, 100];
        assert!(some.into_iter().all(all_once));
        assert!(keep_awake(|| (0..50).flat_map(|_| some).all(all_once)));
    }

    #[test]
    fn a_task_may_run_tasks_of_its_own() {
        let count = AtomicUsize::new(0);
        keep_awake(|| {
            for_each(4, |_| {
                for_each(5, |_| {
                    count.fetch_add(1, Ordering::Relaxed);
                });
            });
        });
        assert_eq!(count.into_inner(), 20);
    }

    #[test]
    fn a_panic_in_any_task_reaches_the_caller_and_the_threads_go_on() {
        for bad in 0..8 {
            let run = || keep_awake(|| for_each(8, |task| assert_ne!(task, bad, "expected")));
            assert!(std::panic::catch_unwind(run).is_err());
        }
        assert_eq!(keep_awake(|| (0..10).into_par_iter().sum::<usize>()), 45);
    }
}
