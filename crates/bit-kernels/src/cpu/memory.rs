//! Memory that is kept between calls, so that a forward allocates nothing once it has run: [`Buffer`]s for results,
//! which any thread may give back, and [`Scratch`] for a task, which stays with its thread and thus in its cache.
//!
//! Large allocations ask for huge pages where the system has them: reading weights once a forward, a page of 4 KiB
//! at a time, costs more in address translation than the arithmetic of the last layers leaves room for.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::cell::RefCell;
use std::fmt;
use std::mem::take;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Allocations are aligned to a cache line, so that packed rows never straddle two, and large ones to a huge page.
const CACHE_LINE: usize = 64;
const HUGE_PAGE: usize = 2 << 20;

/// Results kept for reuse; BiT's widest block has five alive at a time.
static KEPT_BUFFERS: AtomicUsize = AtomicUsize::new(6);
/// Results kept once gradients have been recorded: then every layer's input is alive until its way back.
const KEPT_IN_TRAINING: usize = 96;

static BUFFERS: Mutex<Kept> = Mutex::new(Kept(Vec::new()));

thread_local! {
    static SCRATCH: RefCell<Kept> = const { RefCell::new(Kept(Vec::new())) };
}

/// Aligned `f32`s.
pub(super) struct Floats {
    at: NonNull<f32>,
    len: usize,
}

// SAFETY: the values are owned, as a `Vec`'s are.
unsafe impl Send for Floats {}
// SAFETY: as above.
unsafe impl Sync for Floats {}

impl Floats {
    /// `len` zeros.
    pub(super) fn zeroed(len: usize) -> Floats {
        if len == 0 {
            return Floats::default();
        }
        let layout = Floats::layout(len);
        // SAFETY: the layout is not empty; the memory is written before it is read.
        unsafe {
            let at = alloc(layout).cast::<f32>();
            let Some(at) = NonNull::new(at) else {
                handle_alloc_error(layout)
            };
            ask_for_huge_pages(at, layout);
            at.write_bytes(0, len);
            Floats { at, len }
        }
    }

    fn layout(len: usize) -> Layout {
        let bytes = len * size_of::<f32>();
        let align = if bytes >= HUGE_PAGE { HUGE_PAGE } else { CACHE_LINE };
        Layout::from_size_align(bytes, align)
            .expect("invariant: as many floats have been asked for as there may be")
    }
}

/// Advice alone: where it is not taken, nothing changes but the speed.
fn ask_for_huge_pages(at: NonNull<f32>, layout: Layout) {
    #[cfg(all(target_os = "linux", not(miri)))]
    if layout.align() == HUGE_PAGE {
        // SAFETY: the range is whole pages of a fresh allocation of this size.
        unsafe {
            libc::madvise(
                at.as_ptr().cast(),
                layout.size() / HUGE_PAGE * HUGE_PAGE,
                libc::MADV_HUGEPAGE,
            )
        };
    }
    let _ = (at, layout);
}

impl Default for Floats {
    fn default() -> Floats {
        Floats {
            at: NonNull::dangling(),
            len: 0,
        }
    }
}

impl Drop for Floats {
    fn drop(&mut self) {
        if self.len > 0 {
            // SAFETY: allocated by `zeroed` with this layout.
            unsafe { dealloc(self.at.as_ptr().cast(), Floats::layout(self.len)) };
        }
    }
}

impl Deref for Floats {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        // SAFETY: `len` initialised floats.
        unsafe { std::slice::from_raw_parts(self.at.as_ptr(), self.len) }
    }
}

impl DerefMut for Floats {
    fn deref_mut(&mut self) -> &mut [f32] {
        // SAFETY: `len` initialised floats, uniquely borrowed.
        unsafe { std::slice::from_raw_parts_mut(self.at.as_ptr(), self.len) }
    }
}

/// Memory given back, the smallest first.
struct Kept(Vec<Floats>);

impl Kept {
    /// The smallest that holds `len` values, if necessary a new one in the place of the largest.
    fn best(&mut self, len: usize) -> Floats {
        let fits = self.0.iter().position(|kept| kept.len() >= len);
        let best = fits
            .map(|at| self.0.remove(at))
            .or_else(|| self.0.pop())
            .unwrap_or_default();
        if best.len() >= len {
            return best;
        }
        drop(best);
        Floats::zeroed(len)
    }

    /// Keeps `floats`, but no more than `most` allocations.
    fn keep(&mut self, floats: Floats, most: usize) {
        let at = self.0.partition_point(|kept| kept.len() < floats.len());
        self.0.insert(at, floats);
        if self.0.len() > most {
            self.0.remove(0);
        }
    }
}

/// The values a kernel has computed: `f32`s, aligned to a cache line, in memory that is reused once dropped.
pub struct Buffer {
    floats: Floats,
    len: usize,
}

impl Buffer {
    /// A buffer of `len` unspecified values.
    pub(super) fn take(len: usize) -> Buffer {
        Buffer {
            floats: BUFFERS.lock().unwrap_or_else(PoisonError::into_inner).best(len),
            len,
        }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        BUFFERS
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .keep(take(&mut self.floats), KEPT_BUFFERS.load(Ordering::Relaxed));
    }
}

impl Deref for Buffer {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        &self.floats[..self.len]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.floats[..self.len]
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Buffer of {} values", self.len)
    }
}

/// A task's working memory: unspecified values, aligned to a cache line.
pub(super) struct Scratch {
    floats: Floats,
    len: usize,
}

impl Scratch {
    /// `len` values.
    pub(super) fn take(len: usize) -> Scratch {
        Scratch {
            floats: SCRATCH.with_borrow_mut(|kept| kept.best(len)),
            len,
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        SCRATCH.with_borrow_mut(|kept| kept.keep(take(&mut self.floats), usize::MAX));
    }
}

impl Deref for Scratch {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        &self.floats[..self.len]
    }
}

impl DerefMut for Scratch {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.floats[..self.len]
    }
}

/// Keeps as many buffers from now on as a training step has alive.
pub(crate) fn keep_buffers_of_training() {
    KEPT_BUFFERS.store(KEPT_IN_TRAINING, Ordering::Relaxed);
}

/// Frees the memory that is kept between calls, of the calling thread and of rayon's.
pub fn release_memory() {
    let free = || SCRATCH.with_borrow_mut(|kept| *kept = Kept(Vec::new()));
    free();
    rayon::broadcast(|_| free());
    *BUFFERS.lock().unwrap_or_else(PoisonError::into_inner) = Kept(Vec::new());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scratch_is_reused_and_nested_ones_are_apart() {
        let (first, second) = (Scratch::take(1_000_000), Scratch::take(10));
        assert_ne!(first.as_ptr(), second.as_ptr());
        let at = first.as_ptr();
        drop(second);
        drop(first);
        assert_eq!(Scratch::take(999_999).as_ptr(), at);
    }

    #[test]
    fn the_smallest_sufficient_memory_is_taken_and_only_so_much_is_kept() {
        let mut kept = Kept(Vec::new());
        [5, 3, 9, 7]
            .into_iter()
            .for_each(|n| kept.keep(Floats::zeroed(n), 3));
        assert_eq!(
            kept.0.iter().map(|floats| floats.len()).collect::<Vec<_>>(),
            [5, 7, 9]
        );
        assert_eq!(
            [
                kept.best(6).len(),
                kept.best(100).len(),
                kept.best(1).len(),
                kept.best(1).len()
            ],
            [7, 100, 5, 1]
        );
    }

    #[test]
    fn large_memory_starts_at_a_huge_page_and_is_zero() {
        let floats = Floats::zeroed(HUGE_PAGE / 4 + 1);
        assert_eq!(floats.as_ptr() as usize % HUGE_PAGE, 0);
        assert!(floats.iter().step_by(1 << 12).all(|&x| x == 0.0));
        assert!(Floats::zeroed(0).is_empty());
    }
}
