//! Packing of a convolution's input: the values under each output pixel's window, normalized as they are read and
//! with zeros in the padding, laid out as the micro-kernel wants a tile (implicit im2col; see `micro`).

use super::affine::Reading;
use super::memory::Scratch;
use super::micro::BLOCK;
use super::shape::Geometry;
use super::simd::{Kernel, Simd};

/// Packs the tile of `rows` output pixels from `first_row` of one image.
///
/// Its fields' contract: `source` is that image's first value, `to` holds `rows` times the depth, rounded up to whole blocks.
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
                self.by_rows::<S>()
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
    #[inline(always)]
    unsafe fn by_rows<S: Simd>(&self) {
        let depth = self.geometry.depth();
        let mut line = Scratch::take(depth.next_multiple_of(BLOCK) + S::LANES);
        for row in 0..self.rows {
            let pixel = self.output_pixel(row);
            // SAFETY: as in `by_blocks`; the line has a vector to spare.
            unsafe {
                match self.inside::<S>(pixel) {
                    Some(from) => self.gather_vectors::<S>(from, line.as_mut_ptr()),
                    None => {
                        line.fill(0.0);
                        self.gather_row(pixel, &mut line);
                    }
                }
                let from = line.as_ptr();
                for block in 0..depth.div_ceil(BLOCK) {
                    let to = self.to.add((block * self.rows + row) * BLOCK);
                    copy_vectors::<S>(from.add(block * BLOCK), to, BLOCK);
                }
            }
        }
    }

    /// The first value under the window at `pixel`, if all of it can be copied as it is and in whole vectors.
    #[inline(always)]
    fn inside<S: Simd>(&self, pixel: [usize; 2]) -> Option<*const f32> {
        let [tall, wide] = self.geometry.window.kernel;
        let (input, adjacent) = (self.geometry.input, self.geometry.window.dilation[1] == 1);
        let first = self.geometry.source(pixel, [0, 0])?;
        let last = self.geometry.source(pixel, [tall - 1, wide - 1])?;
        let end = (last + 1) * input.channels + S::LANES;
        let plain = adjacent && self.reading.scale.is_null() && end <= input.pixels() * input.channels;
        plain.then(|| self.source.wrapping_add(first * input.channels))
    }

    /// Writes the window that starts at `from`; each of its rows ends up to a vector too far, where the next one begins.
    #[inline(always)]
    unsafe fn gather_vectors<S: Simd>(&self, from: *const f32, to: *mut f32) {
        let (input, window) = (self.geometry.input, self.geometry.window);
        let len = window.kernel[1] * input.channels;
        let step = window.dilation[0] * input.width * input.channels;
        for ky in 0..window.kernel[0] {
            // SAFETY: `inside` has seen that the window and a vector more are in the image.
            unsafe { copy_vectors::<S>(from.add(ky * step), to.add(ky * len), len) };
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

/// Copies `len` floats and what follows them, to a whole vector.
#[inline(always)]
unsafe fn copy_vectors<S: Simd>(from: *const f32, to: *mut f32, len: usize) {
    for at in (0..len).step_by(S::LANES) {
        // SAFETY: the caller vouches for both places, rounded up.
        unsafe { S::store(to.add(at), S::load(from.add(at))) };
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
        // SAFETY: the caller vouches for the pixel and made room for its blocks.
        unsafe { copy_vectors::<S>(from.add(block * BLOCK), to.add(block * stride), BLOCK) };
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
