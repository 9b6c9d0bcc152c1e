//! Memory that is kept between calls, so that a forward allocates nothing once it has run: [`Buffer`]s for results,
//! which any thread may give back, and [`Scratch`] for a task, which stays with its thread and thus in its cache.

use std::cell::RefCell;
use std::fmt;
use std::mem::take;
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, PoisonError};

/// One cache line; memory is made of whole ones so that packed rows never straddle two.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; 16]);

/// Results kept for reuse; BiT's widest block has five alive at a time.
const KEPT_BUFFERS: usize = 6;

static BUFFERS: Mutex<Kept> = Mutex::new(Kept(Vec::new()));

thread_local! {
    static SCRATCH: RefCell<Kept> = const { RefCell::new(Kept(Vec::new())) };
}

/// Memory given back, the smallest first.
struct Kept(Vec<Vec<Line>>);

impl Kept {
    /// The smallest that holds `lines`, or the largest of all.
    fn best(&mut self, lines: usize) -> Vec<Line> {
        let fits = self.0.iter().position(|kept| kept.len() >= lines);
        fits.map(|at| self.0.remove(at))
            .or_else(|| self.0.pop())
            .unwrap_or_default()
    }

    /// Keeps `lines`, but no more than `most` allocations.
    fn keep(&mut self, lines: Vec<Line>, most: usize) {
        let at = self.0.partition_point(|kept| kept.len() < lines.len());
        self.0.insert(at, lines);
        if self.0.len() > most {
            self.0.remove(0);
        }
    }
}

/// `kept` if it holds `lines`, else a fresh allocation: growing would copy contents that nobody wants.
fn at_least(lines: usize, kept: Vec<Line>) -> Vec<Line> {
    if kept.len() >= lines {
        kept
    } else {
        vec![Line([0.0; 16]); lines]
    }
}

/// The values a kernel has computed: `f32`s, aligned to a cache line, in memory that is reused once dropped.
pub struct Buffer(Floats);

impl Buffer {
    /// A buffer of `len` unspecified values.
    pub(super) fn take(len: usize) -> Buffer {
        let lines = len.div_ceil(16);
        let kept = BUFFERS.lock().unwrap_or_else(PoisonError::into_inner).best(lines);
        Buffer(Floats {
            lines: at_least(lines, kept),
            len,
        })
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        BUFFERS
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .keep(take(&mut self.0.lines), KEPT_BUFFERS);
    }
}

impl Deref for Buffer {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        self.0.as_slice()
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        self.0.as_mut_slice()
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Buffer of {} values", self.len())
    }
}

/// A task's working memory: unspecified values, aligned to a cache line.
pub(super) struct Scratch(Floats);

impl Scratch {
    /// `len` values.
    pub(super) fn take(len: usize) -> Scratch {
        let lines = len.div_ceil(16);
        let kept = SCRATCH.with_borrow_mut(|kept| kept.best(lines));
        Scratch(Floats {
            lines: at_least(lines, kept),
            len,
        })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        SCRATCH.with_borrow_mut(|kept| kept.keep(take(&mut self.0.lines), usize::MAX));
    }
}

impl Deref for Scratch {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        self.0.as_slice()
    }
}

impl DerefMut for Scratch {
    fn deref_mut(&mut self) -> &mut [f32] {
        self.0.as_mut_slice()
    }
}

/// `len` floats in as many lines as they need, or more.
struct Floats {
    lines: Vec<Line>,
    len: usize,
}

impl Floats {
    fn as_slice(&self) -> &[f32] {
        // SAFETY: `Line` is 16 initialised floats without padding, and there are at least `len` of them in all.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.len) }
    }

    fn as_mut_slice(&mut self) -> &mut [f32] {
        // SAFETY: as in `as_slice`, and the borrow is unique.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.len) }
    }
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
        release_memory();
        let (first, second) = (Scratch::take(1000), Scratch::take(10));
        assert_ne!(first.as_ptr(), second.as_ptr());
        let at = first.as_ptr();
        drop(second);
        drop(first);
        assert_eq!(Scratch::take(500).as_ptr(), at);
    }

    #[test]
    fn the_smallest_sufficient_memory_is_taken_and_only_so_much_is_kept() {
        let mut kept = Kept(Vec::new());
        [5, 3, 9, 7]
            .into_iter()
            .for_each(|n| kept.keep(vec![Line([0.0; 16]); n], 3));
        assert_eq!(kept.0.iter().map(Vec::len).collect::<Vec<_>>(), [5, 7, 9]);
        assert_eq!(
            [
                kept.best(6).len(),
                kept.best(100).len(),
                kept.best(1).len(),
                kept.best(1).len()
            ],
            [7, 9, 5, 0]
        );
    }
}
