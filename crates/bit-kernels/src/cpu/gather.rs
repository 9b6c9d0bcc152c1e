//! Packing of a convolution's input: the values under each output pixel's window, normalized as they are read and
//! with zeros in the padding, laid out as the micro-kernel wants a tile (implicit im2col; see `micro`).

use super::affine::Reading;
use super::memory::Scratch;
use super::micro::BLOCK;
use super::shape::Geometry;
use super::simd::{Kernel, Simd};

/// Packs the tile of `rows` output pixels from `first_row` of one image.
///
/// Its fields' contract: `source` is that image's first value, `to` holds `micro::tile_len(rows, depth)` floats.
pub(super) struct Gather<'a> {
    pub(super) geometry: &'a Geometry,
    pub(super) source: *const f32,
    pub(super) reading: Reading,
    pub(super) first_row: usize,
    pub(super) rows: usize,
    pub(super) to: *mut f32,
}

impl Kernel for Gather<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: the fields' contract.
        unsafe {
            if self.geometry.input.channels.is_multiple_of(BLOCK) {
                self.by_blocks::<S>()
            } else {
                self.by_rows()
            }
        }
    }
}

impl Gather<'_> {
    fn output_pixel(&self, row: usize) -> [usize; 2] {
        let row = self.first_row + row;
        [row / self.geometry.output.width, row % self.geometry.output.width]
    }

    /// Every tap's channels are whole blocks: vectors go straight to their places.
    #[inline(always)]
    unsafe fn by_blocks<S: Simd>(&self) {
        let [tall, wide] = self.geometry.window.kernel;
        let channels = self.geometry.input.channels;
        let stride = self.rows * BLOCK;
        for row in 0..self.rows {
            let pixel = self.output_pixel(row);
            for tap in 0..tall * wide {
                let from = self.geometry.source(pixel, [tap / wide, tap % wide]);
                // SAFETY: `source()` is inside the image, and blocks × rows × BLOCK is the tile's length.
                unsafe {
                    let to = self.to.add(tap * channels * self.rows + row * BLOCK);
                    match from.map(|at| self.source.add(at * channels)) {
                        None => zero_blocks::<S>(to, stride, channels),
                        Some(from) if self.reading.scale.is_null() => {
                            copy_blocks::<S>(from, to, stride, channels)
                        }
                        Some(from) => read_blocks::<S>(from, self.reading, to, stride, channels),
                    }
                }
            }
        }
    }

    /// Any number of channels: each row is gathered on its own and then cut into blocks.
    unsafe fn by_rows(&self) {
        let depth = self.geometry.depth();
        let mut line = Scratch::take(depth.next_multiple_of(BLOCK));
        for row in 0..self.rows {
            line.fill(0.0);
            // SAFETY: as in `by_blocks`.
            unsafe {
                self.gather_row(self.output_pixel(row), &mut line);
                for (i, block) in line.chunks_exact(BLOCK).enumerate() {
                    let to = self.to.add((i * self.rows + row) * BLOCK);
                    to.copy_from_nonoverlapping(block.as_ptr(), BLOCK);
                }
            }
        }
    }

    /// Writes what lies under the window at output pixel `[oy, ox]` over the zeros of `line`.
    unsafe fn gather_row(&self, [oy, ox]: [usize; 2], line: &mut [f32]) {
        let [tall, wide] = self.geometry.window.kernel;
        let channels = self.geometry.input.channels;
        let adjacent = self.geometry.window.dilation[1] == 1;
        for ky in 0..tall {
            let mut kx = 0;
            while kx < wide {
                let Some(at) = self.geometry.source([oy, ox], [ky, kx]) else {
                    kx += 1;
                    continue;
                };
                // Without dilation the taps up to the image's edge lie side by side in memory.
                let left = self.geometry.input.width - at % self.geometry.input.width;
                let taps = if adjacent { left.min(wide - kx) } else { 1 };
                let to = &mut line[(ky * wide + kx) * channels..][..taps * channels];
                // SAFETY: `taps` pixels from `at` are inside the image.
                unsafe { self.copy(self.source.add(at * channels), to) };
                kx += taps;
            }
        }
    }

    unsafe fn copy(&self, from: *const f32, to: &mut [f32]) {
        // SAFETY: the caller vouches for `to.len()` floats at `from`, which start with channel 0.
        unsafe {
            if self.reading.scale.is_null() {
                to.as_mut_ptr().copy_from_nonoverlapping(from, to.len());
                return;
            }
            let channels = self.geometry.input.channels;
            for (i, to) in to.iter_mut().enumerate() {
                *to = self.reading.value(from.add(i), i % channels);
            }
        }
    }
}

/// Zeros for a pixel's channels; blocks are `stride` floats apart.
#[inline(always)]
unsafe fn zero_blocks<S: Simd>(to: *mut f32, stride: usize, channels: usize) {
    for block in 0..channels / BLOCK {
        for lane in (0..BLOCK).step_by(S::LANES) {
            // SAFETY: the caller made room for the channels' blocks.
            unsafe { S::store(to.add(block * stride + lane), S::splat(0.0)) };
        }
    }
}

/// A pixel's channels as they are.
#[inline(always)]
unsafe fn copy_blocks<S: Simd>(from: *const f32, to: *mut f32, stride: usize, channels: usize) {
    for block in 0..channels / BLOCK {
        for lane in (0..BLOCK).step_by(S::LANES) {
            // SAFETY: the caller vouches for the pixel and made room for its blocks.
            unsafe {
                S::store(
                    to.add(block * stride + lane),
                    S::load(from.add(block * BLOCK + lane)),
                )
            };
        }
    }
}

/// A pixel's channels, normalized.
#[inline(always)]
unsafe fn read_blocks<S: Simd>(
    from: *const f32,
    reading: Reading,
    to: *mut f32,
    stride: usize,
    channels: usize,
) {
    for block in 0..channels / BLOCK {
        for lane in (0..BLOCK).step_by(S::LANES) {
            let channel = block * BLOCK + lane;
            // SAFETY: the caller vouches for the pixel and made room for its blocks.
            unsafe {
                let [scale, shift, floor] = reading.channels::<S>(channel);
                let value = S::fma(S::load(from.add(channel)), scale, shift);
                S::store(to.add(block * stride + lane), S::max(floor, value));
            }
        }
    }
}
