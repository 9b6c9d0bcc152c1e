//! Convolutions with weights prepared once.

use super::affine::Activations;
use super::moments::Moments;
use super::product;
use super::shape::{Geometry, Padding, Shape, Window};
use super::simd::Isa;
use super::weights::Packed;
use super::winograd;

/// A convolution (no groups) whose weights have been packed for this processor.
pub struct PreparedConv {
    weights: Packed,
    inputs: usize,
    window: Window,
}

/// What is added to a convolution's output.
#[derive(Debug, Default)]
pub enum Residual<'a> {
    /// Nothing.
    #[default]
    None,
    /// These values, laid out as the output.
    Add(&'a [f32]),
    /// These values, whose memory becomes the output's.
    Into(Vec<f32>),
}

/// A convolution's result.
pub struct ConvOutput {
    /// `[images, height, width, channels]`
    pub data: Vec<f32>,
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

    /// Bytes of prepared weights.
    pub fn bytes(&self) -> usize {
        self.weights.bytes()
    }

    /// Convolves `input` padded by zeros (after its normalization), adds `residual`, and returns the statistics of
    /// the result if `want_moments`.
    ///
    /// # Panics
    /// When the input has another number of channels or is smaller than the window, or the residual's length is not
    /// the output's.
    pub fn forward(
        &self,
        input: Activations<'_>,
        padding: Padding,
        residual: Residual<'_>,
        want_moments: bool,
    ) -> ConvOutput {
        let shape = self.window.output(input.shape, padding, self.channels());
        let Some(shape) = shape.filter(|_| input.shape.channels == self.inputs) else {
            panic!(
                "{:?} over {} channels does not fit {:?}, {padding:?}",
                self.window, self.inputs, input.shape
            );
        };
        let geometry = Geometry {
            input: input.shape,
            output: shape,
            window: self.window,
            padding,
        };
        let (mut data, add) = match residual {
            Residual::None => (Vec::with_capacity(shape.len()), std::ptr::null()),
            Residual::Add(values) => {
                assert_eq!(
                    values.len(),
                    shape.len(),
                    "the residual has the output's shape {shape:?}"
                );
                (Vec::with_capacity(shape.len()), values.as_ptr())
            }
            Residual::Into(mut values) => {
                assert_eq!(
                    values.len(),
                    shape.len(),
                    "the residual has the output's shape {shape:?}"
                );
                let at = values.as_mut_ptr();
                (values, at.cast_const())
            }
        };
        // SAFETY: `data` has room for the output, all of which is written; `add` is null or as long.
        let moments = unsafe {
            let winograd = winograd::applies(&geometry, &self.weights);
            let convolve = if winograd {
                winograd::convolve
            } else {
                product::convolve
            };
            let moments = convolve(
                &geometry,
                &self.weights,
                input,
                data.as_mut_ptr(),
                add,
                want_moments,
            );
            data.set_len(shape.len());
            moments
        };
        ConvOutput { data, shape, moments }
    }
}
