//! Weights as the micro-kernel reads them, and weight standardization.

use rayon::prelude::*;

use super::memory::Floats;
use super::simd::Isa;

/// Weights cut into panels of adjacent output channels: `[panels][taps][input channels][panel width]`, zeros beyond
/// the last output channel.
pub(super) struct Packed {
    pub(super) isa: Isa,
    /// Products summed for one output value.
    pub(super) depth: usize,
    /// Output channels.
    pub(super) channels: usize,
    panels: Floats,
    bias: Option<Vec<f32>>,
}

impl Packed {
    /// Packs `weight`, `[channels, inputs, taps]`, and `bias`, `[channels]`.
    pub(super) fn new(
        isa: Isa,
        weight: &[f32],
        [channels, inputs, taps]: [usize; 3],
        bias: Option<&[f32]>,
    ) -> Packed {
        let (width, depth) = (isa.panel_width(), taps * inputs);
        let padded = channels.next_multiple_of(width);
        let mut panels = Floats::zeroed(padded * depth);
        let pack = |(panel, to): (usize, &mut [f32])| {
            for column in 0..width.min(channels - panel * width) {
                let from = &weight[(panel * width + column) * depth..][..depth];
                for (input, values) in from.chunks_exact(taps).enumerate() {
                    for (tap, value) in values.iter().enumerate() {
                        to[(tap * inputs + input) * width + column] = *value;
                    }
                }
            }
        };
        panels
            .par_chunks_mut((width * depth).max(1))
            .enumerate()
            .for_each(pack);
        let bias = bias.map(|bias| {
            let mut padded_bias = bias.to_vec();
            padded_bias.resize(padded, 0.0);
            padded_bias
        });
        Packed {
            isa,
            depth,
            channels,
            panels,
            bias,
        }
    }

    /// Of panels that are in order already, `[panels][depth][panel width]`.
    pub(super) fn from_panels(isa: Isa, depth: usize, channels: usize, panels: Floats) -> Packed {
        assert_eq!(
            panels.len(),
            channels.next_multiple_of(isa.panel_width()) * depth,
            "panels of {channels} channels"
        );
        Packed {
            isa,
            depth,
            channels,
            panels,
            bias: None,
        }
    }

    /// Panels in all.
    pub(super) fn count(&self) -> usize {
        self.channels.div_ceil(self.isa.panel_width())
    }

    /// Output channels of panel `panel`.
    pub(super) fn columns(&self, panel: usize) -> usize {
        self.isa
            .panel_width()
            .min(self.channels - panel * self.isa.panel_width())
    }

    /// The packed weights of panel `panel`.
    pub(super) fn panel(&self, panel: usize) -> &[f32] {
        let len = self.depth * self.isa.panel_width();
        &self.panels[panel * len..][..len]
    }

    /// The bias of panel `panel`, null without one.
    pub(super) fn bias(&self, panel: usize) -> *const f32 {
        self.bias.as_ref().map_or(std::ptr::null(), |bias| {
            bias[panel * self.isa.panel_width()..].as_ptr()
        })
    }

    /// The weights as they came, `[channels, inputs, taps]`.
    pub(super) fn unpack(&self, inputs: usize) -> Vec<f32> {
        let (width, taps) = (self.isa.panel_width(), self.depth / inputs.max(1));
        let value = |channel: usize, input: usize, tap: usize| {
            self.panel(channel / width)[(tap * inputs + input) * width + channel % width]
        };
        let filter =
            |channel| (0..inputs).flat_map(move |input| (0..taps).map(move |tap| (channel, input, tap)));
        let places = (0..self.channels).flat_map(filter);
        places
            .map(|(channel, input, tap)| value(channel, input, tap))
            .collect()
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> usize {
        4 * (self.panels.len() + self.bias.as_ref().map_or(0, Vec::len))
    }
}

/// Standardizes a convolution's weight in place: zero mean and unit (biased) variance over each output channel's
/// values, `(w - mean) / sqrt(variance + epsilon)` (transformers' `WeightStandardizedConv2d`, epsilon 1e-8). Returns each
/// channel's mean and root.
///
/// # Panics
/// When `channels` does not divide the number of values.
pub fn standardize_weight(weight: &mut [f32], channels: usize, epsilon: f64) -> Vec<[f64; 2]> {
    assert!(
        channels > 0 && weight.len().is_multiple_of(channels),
        "one filter for each of {channels} channels"
    );
    let size = weight.len() / channels;
    let standardize = |filter: &mut [f32]| {
        let count = filter.len() as f64;
        let mean = filter.iter().map(|&w| f64::from(w)).sum::<f64>() / count;
        let variance = filter.iter().map(|&w| (f64::from(w) - mean).powi(2)).sum::<f64>() / count;
        let root = (variance + epsilon).sqrt();
        let factor = 1.0 / root;
        filter
            .iter_mut()
            .for_each(|w| *w = ((f64::from(*w) - mean) * factor) as f32);
        [mean, root]
    };
    weight.par_chunks_mut(size.max(1)).map(standardize).collect()
}
