//! A convolution's gradient with respect to its input: the convolution of the output's gradient by the weight with
//! inputs and outputs exchanged and both axes of the kernel reversed.

use rayon::prelude::*;

use super::pointwise::add_in_place;
use super::standardize::Standardization;
use crate::cpu::affine::Activations;
use crate::cpu::conv::PreparedConv;
use crate::cpu::memory::{Buffer, Floats};
use crate::cpu::shape::{Padding, Shape, Window};
use crate::cpu::simd::Isa;
use crate::cpu::weights::Packed;

/// The way back through a convolution to its input.
pub struct DataGradient {
    reversed: PreparedConv,
    window: Window,
}

impl DataGradient {
    /// Packs `weight`, `[channels, inputs, kernel height, kernel width]`, with the standardization of each filter.
    ///
    /// # Panics
    /// When the weight has another length.
    pub fn new(weight: &[f32], filters: &[Standardization], inputs: usize, window: Window) -> DataGradient {
        let reversed = reversed(Isa::active(), weight, filters, [inputs, window.taps()]);
        let every_pixel = Window {
            stride: [1; 2],
            ..window
        };
        DataGradient {
            reversed: PreparedConv::from_packed(reversed, filters.len(), every_pixel),
            window,
        }
    }

    /// The gradient of an input of shape `input` that was padded by `padding`, added to `onto`; `gradient` is the
    /// output's.
    ///
    /// # Panics
    /// When the window does not fit the input, or a length is not its shape's.
    pub fn run(&self, gradient: &[f32], input: Shape, padding: Padding, onto: Option<Buffer>) -> Buffer {
        let Some(output) = self.window.output(input, padding, self.reversed.inputs()) else {
            panic!("{:?} does not fit {input:?} with {padding:?}", self.window);
        };
        let gradient = Activations::new(gradient, output);
        if self.window.stride == [1; 2]
            && let Some(padding) = self.reversed_padding(padding)
        {
            return self.convolve(gradient, padding, onto);
        }
        if self.window.taps() == 1 {
            let dense = self.reversed.forward(gradient, Padding::default(), None, false);
            let spread = self.spread(
                &dense.data,
                dense.shape,
                input,
                [padding.top, padding.left].map(|pad| -signed(pad)),
            );
            return add_in_place(onto, spread);
        }
        let reach = self.reach();
        let padded = Shape {
            height: input.height + reach[0],
            width: input.width + reach[1],
            channels: output.channels,
            ..input
        };
        let origin = [
            signed(reach[0]) - signed(padding.top),
            signed(reach[1]) - signed(padding.left),
        ];
        let spread = self.spread(gradient.data, output, padded, origin);
        self.convolve(Activations::new(&spread, padded), Padding::default(), onto)
    }

    fn convolve(&self, gradient: Activations<'_>, padding: Padding, onto: Option<Buffer>) -> Buffer {
        match onto {
            None => self.reversed.forward(gradient, padding, None, false).data,
            Some(mut onto) => {
                self.reversed.accumulate(gradient, padding, &mut onto, false);
                onto
            }
        }
    }

    /// Pixels from the first tap to the last.
    fn reach(&self) -> [usize; 2] {
        [0, 1].map(|axis| self.window.dilation[axis] * (self.window.kernel[axis] - 1))
    }

    /// The padding with which the reversed convolution gives an output as large as the input; `None` where the
    /// input had more zeros around it than the window reaches.
    fn reversed_padding(&self, padding: Padding) -> Option<Padding> {
        let [down, across] = self.reach();
        Some(Padding {
            top: down.checked_sub(padding.top)?,
            bottom: down.checked_sub(padding.bottom)?,
            left: across.checked_sub(padding.left)?,
            right: across.checked_sub(padding.right)?,
        })
    }

    /// The pixels of `values`, a stride apart from `origin` on, among zeros; those outside `to` are left out.
    fn spread(&self, values: &[f32], from: Shape, to: Shape, origin: [isize; 2]) -> Buffer {
        let mut spread = Buffer::take(to.len());
        let [down, across] = self.window.stride;
        let place = |at: usize, stride: usize, origin: isize, size: usize| {
            usize::try_from(signed(at * stride) + origin)
                .ok()
                .filter(|&at| at < size)
        };
        let image = |(to_image, from_image): (&mut [f32], &[f32])| {
            to_image.fill(0.0);
            for (pixel, values) in from_image.chunks_exact(from.channels).enumerate() {
                let y = place(pixel / from.width, down, origin[0], to.height);
                let x = place(pixel % from.width, across, origin[1], to.width);
                if let (Some(y), Some(x)) = (y, x) {
                    to_image[(y * to.width + x) * to.channels..][..to.channels].copy_from_slice(values);
                }
            }
        };
        spread
            .par_chunks_mut((to.pixels() * to.channels).max(1))
            .zip(values.par_chunks((from.pixels() * from.channels).max(1)))
            .for_each(image);
        spread
    }
}

fn signed(pixels: usize) -> isize {
    isize::try_from(pixels).expect("invariant: images are smaller than memory")
}

/// Standardizes `[channels, inputs, taps]` and packs it as the weight of `inputs` from `channels`, the last tap first.
fn reversed(isa: Isa, weight: &[f32], filters: &[Standardization], [inputs, taps]: [usize; 2]) -> Packed {
    let (width, channels) = (isa.panel_width(), filters.len());
    assert_eq!(
        weight.len(),
        channels * inputs * taps,
        "a weight of {channels}x{inputs}x{taps}"
    );
    let depth = taps * channels;
    let mut panels = Floats::zeroed(inputs.next_multiple_of(width) * depth);
    let pack = |(panel, to): (usize, &mut [f32])| {
        let first = panel * width;
        let columns = width.min(inputs - first);
        for (channel, with) in filters.iter().enumerate() {
            let from = &weight[(channel * inputs + first) * taps..][..columns * taps];
            for tap in 0..taps {
                let row = &mut to[((taps - 1 - tap) * channels + channel) * width..][..columns];
                for (to, from) in row.iter_mut().zip(from[tap..].iter().step_by(taps)) {
                    *to = with.apply(*from);
                }
            }
        }
    };
    panels
        .par_chunks_mut((width * depth).max(1))
        .enumerate()
        .for_each(pack);
    Packed::from_panels(isa, depth, inputs, panels)
}
