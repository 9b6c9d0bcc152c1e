//! The scale and shift a normalization boils down to, and the activations they are still to be applied to.

use super::shape::Shape;
use super::simd::Simd;

/// `x * scale + shift` for each channel of each image, then ReLU if asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Affine {
    /// Factors, `[images, channels]`.
    pub scale: Vec<f32>,
    /// Summands, `[images, channels]`.
    pub shift: Vec<f32>,
    /// Whether `max(0, x)` follows.
    pub relu: bool,
}

/// Channels-last activations, with what is still to be done to each value as it is read.
#[derive(Debug, Clone, Copy)]
pub struct Activations<'a> {
    /// `[images, height, width, channels]`
    pub data: &'a [f32],
    /// The shape of `data`.
    pub shape: Shape,
    /// The normalization to apply on reading.
    pub affine: Option<&'a Affine>,
}

impl<'a> Activations<'a> {
    /// Activations to be read as they are.
    ///
    /// # Panics
    /// When `data` has another length than `shape`.
    pub fn new(data: &'a [f32], shape: Shape) -> Activations<'a> {
        assert_eq!(
            data.len(),
            shape.len(),
            "activations of {shape:?} need as many values"
        );
        Activations {
            data,
            shape,
            affine: None,
        }
    }

    /// Activations to be normalized as they are read.
    ///
    /// # Panics
    /// When `affine` has another number of images or channels than `shape`.
    pub fn normalized(self, affine: &'a Affine) -> Activations<'a> {
        let wanted = self.shape.images * self.shape.channels;
        assert_eq!(
            [affine.scale.len(), affine.shift.len()],
            [wanted; 2],
            "a scale and a shift a channel and image"
        );
        Activations {
            affine: Some(affine),
            ..self
        }
    }

    /// One image's first value and how its values are read.
    pub(super) fn image(&self, image: usize) -> (*const f32, Reading) {
        let at = image * self.shape.channels;
        let reading = self.affine.map_or(Reading::AS_IT_IS, |affine| Reading {
            scale: affine.scale[at..].as_ptr(),
            shift: affine.shift[at..].as_ptr(),
            relu: affine.relu,
        });
        (
            self.data[image * self.shape.pixels() * self.shape.channels..].as_ptr(),
            reading,
        )
    }
}

/// One image's [`Affine`] as kernels see it: null pointers where values are read as they are.
#[derive(Clone, Copy)]
pub(super) struct Reading {
    pub(super) scale: *const f32,
    pub(super) shift: *const f32,
    pub(super) relu: bool,
}

impl Reading {
    pub(super) const AS_IT_IS: Reading = Reading {
        scale: std::ptr::null(),
        shift: std::ptr::null(),
        relu: false,
    };

    /// The vector at `from`, which holds the channels from `channel`.
    ///
    /// # Safety
    /// A vector can be read at `from`, and at `channel` of scale and shift.
    #[inline(always)]
    pub(super) unsafe fn vector<S: Simd>(&self, from: *const f32, channel: usize) -> S::V {
        // SAFETY: the caller vouches for the places.
        unsafe {
            let value = S::load(from);
            if self.scale.is_null() {
                return value;
            }
            let value = S::fma(
                value,
                S::load(self.scale.add(channel)),
                S::load(self.shift.add(channel)),
            );
            if self.relu {
                S::max(S::splat(0.0), value)
            } else {
                value
            }
        }
    }

    /// How channels from `channel` are read, without a branch: scale, shift and the least value to let through.
    ///
    /// # Safety
    /// A vector can be read at `channel` of scale and shift.
    #[inline(always)]
    pub(super) unsafe fn channels<S: Simd>(&self, channel: usize) -> [S::V; 3] {
        // SAFETY: the caller vouches for the places.
        unsafe {
            let floor = S::splat(if self.relu { 0.0 } else { f32::NEG_INFINITY });
            if self.scale.is_null() {
                return [S::splat(1.0), S::splat(0.0), floor];
            }
            [
                S::load(self.scale.add(channel)),
                S::load(self.shift.add(channel)),
                floor,
            ]
        }
    }

    /// The value at `from`, which is of channel `channel`.
    ///
    /// # Safety
    /// A float can be read at `from`, and at `channel` of scale and shift.
    #[inline(always)]
    pub(super) unsafe fn value(&self, from: *const f32, channel: usize) -> f32 {
        // SAFETY: the caller vouches for the places.
        unsafe {
            if self.scale.is_null() {
                return *from;
            }
            let value = *from * *self.scale.add(channel) + *self.shift.add(channel);
            if self.relu && value < 0.0 { 0.0 } else { value }
        }
    }
}
