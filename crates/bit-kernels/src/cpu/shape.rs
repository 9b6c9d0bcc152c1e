//! Shapes of channels-last activations and the geometry of a convolution over them.

/// The shape of activations in channels-last order: `[images, height, width, channels]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Images in the batch.
    pub images: usize,
    /// Rows of pixels.
    pub height: usize,
    /// Pixels in a row.
    pub width: usize,
    /// Floats in a pixel.
    pub channels: usize,
}

impl Shape {
    /// The shape `[images, height, width, channels]`.
    pub fn new(images: usize, height: usize, width: usize, channels: usize) -> Shape {
        Shape {
            images,
            height,
            width,
            channels,
        }
    }

    /// Pixels in one image.
    pub fn pixels(&self) -> usize {
        self.height * self.width
    }

    /// Floats in all.
    pub fn len(&self) -> usize {
        self.images * self.pixels() * self.channels
    }

    /// Whether there is not one float.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Zeros around an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Padding {
    /// Rows above.
    pub top: usize,
    /// Rows below.
    pub bottom: usize,
    /// Pixels before each row.
    pub left: usize,
    /// Pixels after each row.
    pub right: usize,
}

impl Padding {
    /// The same on all four sides.
    pub fn same(pixels: usize) -> Padding {
        Padding {
            top: pixels,
            bottom: pixels,
            left: pixels,
            right: pixels,
        }
    }
}

/// A window that slides over padded images; the convolution's or the pool's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Height and width of the kernel, in taps.
    pub kernel: [usize; 2],
    /// Steps down and right from one output pixel to the next.
    pub stride: [usize; 2],
    /// Steps down and right from one tap to the next.
    pub dilation: [usize; 2],
}

impl Window {
    /// A square window of `kernel` taps without dilation.
    pub fn square(kernel: usize, stride: usize) -> Window {
        Window {
            kernel: [kernel; 2],
            stride: [stride; 2],
            dilation: [1; 2],
        }
    }

    /// Taps in the window.
    pub fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    /// The output of a window over `input` padded by `padding`, with `channels` channels; `None` where the
    /// window is larger than the padded image or a size is zero.
    pub fn output(&self, input: Shape, padding: Padding, channels: usize) -> Option<Shape> {
        let axis = |size: usize, pad: usize, i: usize| {
            let reach = self.dilation[i] * self.kernel[i].checked_sub(1)? + 1;
            Some((size + pad).checked_sub(reach)?.checked_div(self.stride[i])? + 1)
        };
        let height = axis(input.height, padding.top + padding.bottom, 0)?;
        let width = axis(input.width, padding.left + padding.right, 1)?;
        Some(Shape {
            images: input.images,
            height,
            width,
            channels,
        })
    }
}

/// Where each output pixel of a convolution reads: everything the packing of its input needs to know.
#[derive(Debug, Clone, Copy)]
pub(super) struct Geometry {
    pub(super) input: Shape,
    pub(super) output: Shape,
    pub(super) window: Window,
    pub(super) padding: Padding,
}

impl Geometry {
    /// Products summed for one output value.
    pub(super) fn depth(&self) -> usize {
        self.window.taps() * self.input.channels
    }

    /// The input pixel under tap `(ky, kx)` of output pixel `(oy, ox)`, or `None` in the padding.
    #[inline(always)]
    pub(super) fn source(&self, [oy, ox]: [usize; 2], [ky, kx]: [usize; 2]) -> Option<usize> {
        let Window { stride, dilation, .. } = self.window;
        let y = (oy * stride[0] + ky * dilation[0]).wrapping_sub(self.padding.top);
        let x = (ox * stride[1] + kx * dilation[1]).wrapping_sub(self.padding.left);
        (y < self.input.height && x < self.input.width).then(|| y * self.input.width + x)
    }
}
