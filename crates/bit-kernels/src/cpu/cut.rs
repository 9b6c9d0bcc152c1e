//! Micro-tiles whose panel is cut off by the last output channel.

use super::micro::{TALLEST, Tile, WIDEST};
use super::simd::Simd;

impl Tile {
    /// A tile whose panel is cut off by the last output channel: computed in a buffer of its own.
    #[inline(always)]
    pub(super) unsafe fn partial<S: Simd>(self) {
        let width = 2 * S::LANES;
        let (mut out, mut residual, mut moments) = (
            [0.0; TALLEST * WIDEST],
            [0.0; TALLEST * WIDEST],
            [0.0; 2 * WIDEST],
        );
        // SAFETY: rows ≤ TALLEST and columns < width ≤ WIDEST, so every copy stays inside the buffers.
        unsafe {
            for row in 0..self.rows {
                if !self.residual.is_null() {
                    let from = self.residual.add(row * self.stride);
                    residual
                        .as_mut_ptr()
                        .add(row * width)
                        .copy_from(from, self.columns);
                }
            }
            if !self.moments.is_null() {
                for half in 0..2 {
                    let from = self.moments.add(half * self.moments_stride);
                    moments
                        .as_mut_ptr()
                        .add(half * WIDEST)
                        .copy_from(from, self.columns);
                }
            }
            let inner = Tile {
                columns: width,
                out: out.as_mut_ptr(),
                stride: width,
                residual: if self.residual.is_null() {
                    self.residual
                } else {
                    residual.as_ptr()
                },
                moments: if self.moments.is_null() {
                    self.moments
                } else {
                    moments.as_mut_ptr()
                },
                moments_stride: WIDEST,
                ..self
            };
            inner.whole::<S>();
            for row in 0..self.rows {
                self.out
                    .add(row * self.stride)
                    .copy_from(out.as_ptr().add(row * width), self.columns);
            }
            if !self.moments.is_null() {
                for half in 0..2 {
                    let to = self.moments.add(half * self.moments_stride);
                    to.copy_from(moments.as_ptr().add(half * WIDEST), self.columns);
                }
            }
        }
    }
}
