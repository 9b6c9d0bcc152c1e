//! Threads that wait for tasks awake.
//!
//! rayon's threads soon go to sleep when there is nothing to do: the one that waits for the end of an operation as well
//! as the one that waits for the next. Waking them costs tens of microseconds, a hundred times a forward. A team's
//! threads watch one word in memory instead.

use std::any::Any;
use std::cell::UnsafeCell;
use std::hint::spin_loop;
use std::mem::transmute;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// Rounds of waiting after which a thread offers its processor to other programs.
const PATIENCE: usize = 1 << 14;
/// Rounds of waiting for tasks between two looks at the pool's other work.
const LOOK_AROUND: usize = 64;

/// The bit of [`Team::gate`] that lets helpers in; below it they are counted, above it the times it was set.
const OPEN: usize = 1 << 16;

/// What the tasks of an operation do; the team forgets the lifetime, and [`Team::run`] keeps it.
type Task = dyn Fn(usize) + Sync;

/// One leader, who has operations of many tasks to run, and helpers.
pub(super) struct Team {
    gate: AtomicUsize,
    task: UnsafeCell<Option<*const Task>>,
    shares: Vec<Share>,
    dismissed: AtomicBool,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

// SAFETY: `task` is written by the leader while no helper is inside the gate, and read by those inside.
unsafe impl Sync for Team {}

impl Team {
    /// A team of so many members, the leader included.
    pub(super) fn new(members: usize) -> Team {
        Team {
            gate: AtomicUsize::new(0),
            task: UnsafeCell::new(None),
            shares: (0..members).map(|_| Share::default()).collect(),
            dismissed: AtomicBool::new(false),
            panic: Mutex::new(None),
        }
    }

    /// As the member `leader`, runs `task` for every index with the helpers that have nothing else to do.
    ///
    /// # Safety
    /// No other call of this team's `run` is under way.
    ///
    /// # Panics
    /// When a task does.
    pub(super) unsafe fn run<'a>(&self, leader: usize, tasks: usize, task: &'a (dyn Fn(usize) + Sync + 'a)) {
        let members = self.shares.len();
        for (member, share) in self.shares.iter().enumerate() {
            share.set(tasks * member / members, tasks * (member + 1) / members);
        }
        // SAFETY: the type differs in the lifetime alone, and below nobody is left who could call the task. The last
        // call closed the gate and saw it empty, so nobody reads what is written here.
        unsafe {
            *self.task.get() = Some(transmute::<*const (dyn Fn(usize) + Sync + 'a), *const Task>(task))
        };
        // The bit is not set, so this sets it, and counts.
        self.gate.fetch_add(OPEN, Ordering::Release);
        self.work(leader, task);
        // Clears the bit and keeps the count above.
        self.gate.fetch_add(OPEN, Ordering::Relaxed);
        let mut waiting = Waiting::default();
        while !self.gate.load(Ordering::Acquire).is_multiple_of(OPEN) {
            waiting.round();
        }
        let panic = self.panic.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
    }

    /// Helps the leader as the given member, until dismissed.
    pub(super) fn help(&self, member: usize) {
        let (mut last, mut waiting) = (0, Waiting::default());
        while !self.dismissed.load(Ordering::Acquire) {
            let gate = self.gate.load(Ordering::Relaxed);
            if gate & OPEN == 0 || gate / OPEN == last {
                waiting.round();
                if waiting.0.is_multiple_of(LOOK_AROUND) {
                    rayon::yield_now();
                }
                continue;
            }
            // Those who enter after all are counted before they look whether the gate is still open.
            let gate = self.gate.fetch_add(1, Ordering::Acquire);
            if gate & OPEN > 0 {
                // SAFETY: the leader waits until nobody is inside before it writes the task or lets it go.
                if let Some(task) = unsafe { *self.task.get() } {
                    // SAFETY: as above.
                    self.work(member, unsafe { &*task });
                }
                last = gate / OPEN;
            }
            self.gate.fetch_sub(1, Ordering::Release);
            waiting = Waiting::default();
        }
    }

    /// Lets the helpers go.
    pub(super) fn dismiss(&self) {
        self.dismissed.store(true, Ordering::Release);
    }

    /// The member's own tasks, then those that others have not come to.
    fn work(&self, member: usize, task: &(dyn Fn(usize) + Sync)) {
        let all = || {
            while let Some(index) = self.shares[member].first() {
                task(index);
            }
            for share in &self.shares {
                while let Some(index) = share.last() {
                    task(index);
                }
            }
        };
        if let Err(panic) = catch_unwind(AssertUnwindSafe(all)) {
            *self.panic.lock().unwrap_or_else(PoisonError::into_inner) = Some(panic);
        }
    }
}

/// Rounds of waiting so far.
#[derive(Default)]
struct Waiting(usize);

impl Waiting {
    fn round(&mut self) {
        self.0 += 1;
        if self.0.is_multiple_of(PATIENCE) {
            thread::yield_now();
        }
        spin_loop();
    }
}

/// A member's tasks that nobody has begun: the first one in the upper half, the end in the lower. Neighbours share no
/// cache line (two, because processors fetch them in pairs).
#[derive(Default)]
#[repr(align(128))]
struct Share(AtomicU64);

impl Share {
    fn set(&self, first: usize, end: usize) {
        self.0.store((first as u64) << 32 | end as u64, Ordering::Relaxed);
    }

    /// Takes the first task.
    fn first(&self) -> Option<usize> {
        self.take(|first, end| (first + 1, end)).map(|(first, _)| first)
    }

    /// Takes the last task.
    fn last(&self) -> Option<usize> {
        self.take(|first, end| (first, end - 1)).map(|(_, end)| end - 1)
    }

    /// Replaces what there is, if there is any, and returns what there was.
    fn take(&self, less: impl Fn(usize, usize) -> (usize, usize)) -> Option<(usize, usize)> {
        let halves = |both: u64| ((both >> 32) as usize, both as u32 as usize);
        let taken = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |both| {
            let (first, end) = halves(both);
            let (first, end) = (first < end).then(|| less(first, end))?;
            Some((first as u64) << 32 | end as u64)
        });
        taken.ok().map(halves)
    }
}
