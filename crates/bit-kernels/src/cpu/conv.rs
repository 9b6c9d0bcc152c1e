//! Convolutions with weights prepared once.

use super::affine::Activations;
use super::fold::Folded;
use super::memory::Buffer;
use super::moments::Moments;
use super::product;
use super::shape::{Geometry, Padding, Shape, Window};
use super::simd::Isa;
use super::weights::Packed;
use super::winograd;

/// A convolution (no groups) whose weights have been packed for this processor.
pub struct PreparedConv {
    weights: Packed,
    /// The same for a folded image, where that is better.
    folded: Option<Folded>,
    inputs: usize,
    window: Window,
}

/// A convolution's result.
pub struct ConvOutput {
    /// `[images, height, width, channels]`
    pub data: Buffer,
    /// The shape of `data`.
    pub shape: Shape,
    /// Statistics of `data` (after the residual), where they were asked for.
    pub moments: Option<Moments>,
}

impl PreparedConv {
    /// Packs `weight`, `[channels, inputs, kernel height, kernel width]`, for this processor.
    ///
    /// # Panics
    /// When the weight or the bias has another length, or a size, stride or dilation is zero.
    pub fn new(
        weight: &[f32],
        channels: usize,
        inputs: usize,
        window: Window,
        bias: Option<&[f32]>,
    ) -> PreparedConv {
        Self::with_isa(Isa::active(), weight, channels, inputs, window, bias)
    }

    /// [`PreparedConv::new`] for a given instruction set.
    ///
    /// # Panics
    /// As [`PreparedConv::new`].
    pub fn with_isa(
        isa: Isa,
        weight: &[f32],
        channels: usize,
        inputs: usize,
        window: Window,
        bias: Option<&[f32]>,
    ) -> PreparedConv {
        let taps = window.taps();
        assert_eq!(
            weight.len(),
            channels * inputs * taps,
            "the weight of {channels}x{inputs} {window:?}"
        );
        assert!(
            bias.is_none_or(|bias| bias.len() == channels),
            "a bias for each of {channels} channels"
        );
        let sizes = [window.kernel, window.stride, window.dilation].concat();
        assert!(
            channels > 0 && inputs > 0 && sizes.iter().all(|&size| size > 0),
            "no size of {window:?} is zero"
        );
        PreparedConv {
            weights: Packed::new(isa, weight, [channels, inputs, taps], bias),
            folded: Folded::new(isa, weight, [channels, inputs], window, bias),
            inputs,
            window,
        }
    }

    /// A convolution whose weights are packed already.
    pub(super) fn from_packed(weights: Packed, inputs: usize, window: Window) -> PreparedConv {
        PreparedConv {
            weights,
            folded: None,
            inputs,
            window,
        }
    }

    /// A fully connected layer: `weight` is `[outputs, inputs]`.
    ///
    /// # Panics
    /// As [`PreparedConv::new`].
    pub fn linear(weight: &[f32], outputs: usize, inputs: usize, bias: Option<&[f32]>) -> PreparedConv {
        Self::new(weight, outputs, inputs, Window::square(1, 1), bias)
    }

    /// Its window.
    pub fn window(&self) -> Window {
        self.window
    }

    /// Output channels.
    pub fn channels(&self) -> usize {
        self.weights.channels
    }

    /// Input channels.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// The weight it was prepared from, `[channels, inputs, kernel height, kernel width]`.
    pub fn weight(&self) -> Vec<f32> {
        self.weights.unpack(self.inputs)
    }

    /// Bytes of prepared weights.
    pub fn bytes(&self) -> usize {
        self.weights.bytes() + self.folded.as_ref().map_or(0, Folded::bytes)
    }

    /// Convolves `input` padded by zeros (after its normalization), adds `residual`, and returns the statistics of
    /// the sum if `want_moments`.
    ///
    /// # Panics
    /// When the input has another number of channels or is smaller than the window, or the residual's length is not
    /// the output's.
    pub fn forward(
        &self,
        input: Activations<'_>,
        padding: Padding,
        residual: Option<&[f32]>,
        want_moments: bool,
    ) -> ConvOutput {
        let geometry = self.geometry(input.shape, padding);
        let shape = geometry.output;
        assert!(
            residual.is_none_or(|values| values.len() == shape.len()),
            "the residual is of shape {shape:?}"
        );
        let mut data = Buffer::take(shape.len());
        let residual = residual.map_or(std::ptr::null(), <[f32]>::as_ptr);
        // SAFETY: `data` is as long as the output; `residual` is null or as long.
        let moments = unsafe { self.run(&geometry, input, data.as_mut_ptr(), residual, want_moments) };
        ConvOutput { data, shape, moments }
    }

    /// Adds the convolution of `input` to `onto`, which is the shortcut before and the output after, and returns
    /// its statistics if `want_moments`.
    ///
    /// # Panics
    /// As [`PreparedConv::forward`].
    pub fn accumulate(
        &self,
        input: Activations<'_>,
        padding: Padding,
        onto: &mut [f32],
        want_moments: bool,
    ) -> Option<Moments> {
        let geometry = self.geometry(input.shape, padding);
        assert_eq!(
            onto.len(),
            geometry.output.len(),
            "the residual is of shape {:?}",
            geometry.output
        );
        let out = onto.as_mut_ptr();
        // SAFETY: `onto` is as long as the output.
        unsafe { self.run(&geometry, input, out, out, want_moments) }
    }

    fn geometry(&self, input: Shape, padding: Padding) -> Geometry {
        let output = self.window.output(input, padding, self.channels());
        let Some(output) = output.filter(|_| input.channels == self.inputs) else {
            panic!(
                "{:?} over {} channels does not fit {input:?} with {padding:?}",
                self.window, self.inputs
            );
        };
        Geometry {
            input,
            output,
            window: self.window,
            padding,
        }
    }

    /// # Safety
    /// As `product::convolve`.
    unsafe fn run(
        &self,
        geometry: &Geometry,
        input: Activations<'_>,
        out: *mut f32,
        residual: *const f32,
        want_moments: bool,
    ) -> Option<Moments> {
        if let Some(folded) = &self.folded
            && let Some(image) = folded.geometry(geometry, input)
        {
            // SAFETY: the caller's promise.
            return unsafe { folded.convolve(geometry, &image, input, out, residual, want_moments) };
        }
        let winograd = winograd::applies(geometry, &self.weights);
        let convolve = if winograd {
            winograd::convolve
        } else {
            product::convolve
        };
        // SAFETY: the caller's promise.
        unsafe { convolve(geometry, &self.weights, input, out, residual, want_moments) }
    }
}
