//! Working memory that is kept between calls: aligned buffers a thread takes and gives back.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};

/// One cache line; buffers are made of whole ones so that packed rows never straddle two.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; 16]);

thread_local! {
    static KEPT: RefCell<Vec<Vec<Line>>> = const { RefCell::new(Vec::new()) };
}

/// A buffer of `f32`, aligned to 64 bytes, with unspecified (but initialised) contents.
pub(super) struct Scratch {
    lines: Vec<Line>,
    len: usize,
}

impl Scratch {
    /// Takes the smallest buffer kept by this thread that is at least `len` long, or makes one.
    pub(super) fn take(len: usize) -> Scratch {
        let wanted = len.div_ceil(16);
        let mut lines = KEPT.with_borrow_mut(|kept| {
            let fits = kept.iter().position(|lines| lines.len() >= wanted);
            fits.map(|at| kept.remove(at))
                .or_else(|| kept.pop())
                .unwrap_or_default()
        });
        if lines.len() < wanted {
            // A fresh allocation: growing in place would copy contents that nobody wants.
            lines = vec![Line([0.0; 16]); wanted];
        }
        Scratch { lines, len }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let lines = std::mem::take(&mut self.lines);
        KEPT.with_borrow_mut(|kept| {
            kept.push(lines);
            kept.sort_by_key(Vec::len);
        });
    }
}

impl Deref for Scratch {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        // SAFETY: `Line` is 16 floats without padding, and there are at least `len` of them in all.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.len) }
    }
}

impl DerefMut for Scratch {
    fn deref_mut(&mut self) -> &mut [f32] {
        // SAFETY: as in `deref`, and the borrow is unique.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.len) }
    }
}

/// Frees the working memory that the calling thread and rayon's threads keep between calls.
pub fn release_scratch() {
    let free = || KEPT.with_borrow_mut(|kept| *kept = Vec::new());
    free();
    rayon::broadcast(|_| free());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_reused_and_nested_ones_are_apart() {
        release_scratch();
        let (first, second) = (Scratch::take(1000), Scratch::take(10));
        assert_ne!(first.as_ptr(), second.as_ptr());
        let at = first.as_ptr();
        drop(second);
        drop(first);
        assert_eq!(Scratch::take(500).as_ptr(), at);
    }
}
