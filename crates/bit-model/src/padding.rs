//! How much zero padding a convolution adds, and the padding that depends on the size of its input.

use bit_config::GlobalPadding;
use bit_kernels::{FeatureMap, Pad, pad_zeros};

/// The padding of one convolution (transformers' `get_padding_value`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConvPadding {
    /// The same number of zeros on all four sides.
    Static(usize),
    /// TensorFlow's SAME: as many zeros as the input's size asks for, the odd one after.
    Dynamic(DynamicPad2d),
}

impl ConvPadding {
    /// Resolves a configuration's `global_padding` for a square kernel.
    pub fn new(padding: Option<GlobalPadding>, kernel: usize, stride: usize, dilation: usize) -> Self {
        let span = dilation * (kernel - 1);
        match padding {
            Some(GlobalPadding::Valid) => Self::Static(0),
            Some(GlobalPadding::Same) if stride != 1 || !span.is_multiple_of(2) => {
                Self::Dynamic(DynamicPad2d {
                    kernel,
                    stride,
                    dilation,
                })
            }
            _ => Self::Static((stride - 1 + span) / 2),
        }
    }

    /// Padding of the height and of the width for an input of `[height, width]` pixels.
    pub fn for_size(&self, size: [usize; 2]) -> [Pad; 2] {
        match self {
            Self::Static(pad) => [(*pad, *pad); 2],
            Self::Dynamic(dynamic) => dynamic.for_size(size),
        }
    }
}

/// TensorFlow's SAME padding with zeros (transformers' `DynamicPad2d`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DynamicPad2d {
    /// Height and width of the kernel that follows.
    pub kernel: usize,
    /// Stride of the kernel that follows.
    pub stride: usize,
    /// Dilation of the kernel that follows.
    pub dilation: usize,
}

impl DynamicPad2d {
    /// Padding of the height and of the width for an input of `[height, width]` pixels.
    pub fn for_size(&self, size: [usize; 2]) -> [Pad; 2] {
        size.map(|pixels| {
            let covered = (pixels.div_ceil(self.stride).max(1) - 1) * self.stride;
            let total = (covered + (self.kernel - 1) * self.dilation + 1).saturating_sub(pixels);
            (total / 2, total - total / 2)
        })
    }

    /// Pads `x` with zeros.
    ///
    /// # Shapes
    ///
    /// - x: `[batch, channels, height, width]`
    /// - output: `[batch, channels, height + padding, width + padding]`
    pub fn forward(&self, x: FeatureMap) -> FeatureMap {
        let [_, _, height, width] = x.dims();
        pad_zeros(x, self.for_size([height, width]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_padding_is_symmetric_and_keeps_the_size_at_stride_one() {
        assert_eq!(ConvPadding::new(None, 7, 2, 1), ConvPadding::Static(3));
        assert_eq!(ConvPadding::new(None, 3, 1, 1), ConvPadding::Static(1));
        assert_eq!(ConvPadding::new(None, 3, 1, 2), ConvPadding::Static(2));
        assert_eq!(ConvPadding::new(None, 1, 2, 1), ConvPadding::Static(0));
    }

    #[test]
    fn same_padding_is_dynamic_only_with_a_stride() {
        assert_eq!(
            ConvPadding::new(Some(GlobalPadding::Same), 3, 1, 1),
            ConvPadding::Static(1)
        );
        assert!(matches!(
            ConvPadding::new(Some(GlobalPadding::Same), 7, 2, 1),
            ConvPadding::Dynamic(_)
        ));
    }

    #[test]
    fn dynamic_padding_puts_the_odd_pixel_after() {
        let pad = DynamicPad2d {
            kernel: 3,
            stride: 2,
            dilation: 1,
        };
        assert_eq!(pad.for_size([4, 5]), [(0, 1), (1, 1)]);
        let pad = DynamicPad2d {
            kernel: 1,
            stride: 2,
            dilation: 1,
        };
        assert_eq!(pad.for_size([4, 5]), [(0, 0), (0, 0)]);
    }
}
