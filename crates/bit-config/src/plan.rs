//! From a configuration to the layers and parameters of the network: the one place that knows the
//! architecture.
//!
//! Source: transformers' `modeling_bit.py` (`BitEncoder`, `BitStage`, `make_div`).

use crate::config::{BitConfig, LayerType};

/// One stage of the encoder.
#[derive(Clone, Debug, PartialEq)]
pub struct StageSpec {
    /// Channels of the stage's input.
    pub in_channels: usize,
    /// Channels of every block's output.
    pub out_channels: usize,
    /// Channels inside the blocks.
    pub mid_channels: usize,
    /// Number of blocks.
    pub depth: usize,
    /// Stride of the first block, in its 3x3 convolution and its projection; the others have 1.
    pub stride: usize,
    /// Dilation that replaces strides once `output_stride` is reached. Only bottleneck blocks use it.
    pub dilation: usize,
    /// The blocks in order.
    pub blocks: Vec<BlockSpec>,
}

/// One residual block.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BlockSpec {
    /// Channels of the block's input.
    pub in_channels: usize,
    /// Channels inside the block.
    pub mid_channels: usize,
    /// Channels of the block's output.
    pub out_channels: usize,
    /// Stride of the 3x3 convolution and of the projection.
    pub stride: usize,
    /// Dilation of the 3x3 convolution; always 1 in a pre-activation block, as in transformers.
    pub dilation: usize,
    /// Whether the shortcut is a projection (`downsample`): every stage's first block.
    pub has_projection: bool,
    /// Probability with which training drops the residual branch.
    pub drop_path_rate: f64,
}

/// One tensor of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParameterSpec {
    /// transformers' name in a `BitForImageClassification` file.
    pub name: String,
    /// Convolutions `[out, in, height, width]`, the classifier `[labels, channels]`, the rest `[channels]`.
    pub shape: Vec<usize>,
}

impl ParameterSpec {
    /// Number of values; saturates at `u64::MAX`.
    pub fn count(&self) -> u64 {
        self.shape
            .iter()
            .fold(1u64, |count, n| count.saturating_mul(*n as u64))
    }
}

/// Rounds to a multiple of 8, at least 8, and not below 90% of the value.
///
/// Source: `make_div` of transformers and timm.
pub fn make_div(value: f64) -> usize {
    const DIVISOR: usize = 8;
    // `as` truncates like Python's `int` and saturates where that would overflow.
    let rounded = ((value + DIVISOR as f64 / 2.0) as usize / DIVISOR * DIVISOR).max(DIVISOR);
    if (rounded as f64) < 0.9 * value {
        rounded.saturating_add(DIVISOR)
    } else {
        rounded
    }
}

impl BitConfig {
    /// Channels of the stem's convolution: `embedding_size`, which `width_factor` does not scale.
    pub fn stem_channels(&self) -> usize {
        self.embedding_size
    }

    /// Channels of each stage's output: `make_div(hidden_size * width_factor)`.
    pub fn stage_channels(&self) -> Vec<usize> {
        let wide = |hidden: &usize| make_div(hidden.saturating_mul(self.width_factor) as f64);
        self.hidden_sizes.iter().map(wide).collect()
    }

    /// Channels of the last stage, the final norm and the classifier's input.
    pub fn out_channels(&self) -> usize {
        self.stage_channels()
            .last()
            .copied()
            .unwrap_or(self.embedding_size)
    }

    /// Whether the network has the final norm: pre-activation networks do.
    pub fn has_final_norm(&self) -> bool {
        self.layer_type == LayerType::Preactivation
    }

    /// The stages of the encoder in order.
    ///
    /// Call [`BitConfig::validate`] first on a configuration of unknown origin: it bounds the depths.
    pub fn stages(&self) -> Vec<StageSpec> {
        const STEM_STRIDE: usize = 4;
        let mut rates = self.drop_path_rates().into_iter();
        let (mut in_channels, mut total_stride, mut dilation) = (self.stem_channels(), STEM_STRIDE, 1);
        let mut stages = Vec::with_capacity(self.depths.len());
        for (i, (out_channels, depth)) in self.stage_channels().into_iter().zip(&self.depths).enumerate() {
            let mut stride = if i == 0 { 1 } else { 2 };
            if total_stride >= self.output_stride {
                dilation *= stride;
                stride = 1;
            }
            let rates = rates.by_ref().take(*depth).collect();
            stages.push(self.stage(in_channels, out_channels, stride, dilation, rates));
            in_channels = out_channels;
            total_stride *= stride;
        }
        stages
    }

    /// A stage with one block for each drop path rate.
    fn stage(
        &self,
        in_channels: usize,
        out_channels: usize,
        stride: usize,
        dilation: usize,
        rates: Vec<f64>,
    ) -> StageSpec {
        let mid_channels = make_div(out_channels as f64 * 0.25);
        let block = |(i, drop_path_rate): (usize, &f64)| BlockSpec {
            in_channels: if i == 0 { in_channels } else { out_channels },
            mid_channels,
            out_channels,
            stride: if i == 0 { stride } else { 1 },
            dilation: self.conv2_dilation(dilation, i),
            has_projection: i == 0,
            drop_path_rate: *drop_path_rate,
        };
        let blocks = rates.iter().enumerate().map(block).collect();
        StageSpec {
            in_channels,
            out_channels,
            mid_channels,
            depth: rates.len(),
            stride,
            dilation,
            blocks,
        }
    }

    /// Dilation of a block's 3x3 convolution. transformers never passes it on in pre-activation blocks.
    fn conv2_dilation(&self, stage_dilation: usize, block: usize) -> usize {
        match (self.layer_type, block) {
            (LayerType::Preactivation, _) => 1,
            (LayerType::Bottleneck, 0) => {
                if stage_dilation <= 2 {
                    1
                } else {
                    2
                }
            }
            (LayerType::Bottleneck, _) => stage_dilation,
        }
    }

    /// `linspace(0, drop_path_rate, blocks)` over all blocks, rounded to f32 as transformers does.
    fn drop_path_rates(&self) -> Vec<f64> {
        let blocks: usize = self.depths.iter().sum();
        let last = blocks.saturating_sub(1);
        let step = self.drop_path_rate / last.max(1) as f64;
        let rate = |i: usize| {
            if i == last && i > 0 {
                self.drop_path_rate
            } else {
                i as f64 * step
            }
        };
        (0..blocks).map(|i| f64::from(rate(i) as f32)).collect()
    }

    /// Every tensor of a `BitForImageClassification` checkpoint, in the order of its `state_dict`.
    pub fn parameters(&self) -> Vec<ParameterSpec> {
        let mut list = ParameterList::default();
        let preactivation = self.layer_type == LayerType::Preactivation;
        list.conv(
            "bit.embedder.convolution",
            self.stem_channels(),
            self.num_channels,
            7,
        );
        if !preactivation {
            list.norm("bit.embedder.norm", self.stem_channels());
        }
        for (i, stage) in self.stages().iter().enumerate() {
            for (j, block) in stage.blocks.iter().enumerate() {
                list.block(
                    &format!("bit.encoder.stages.{i}.layers.{j}"),
                    block,
                    preactivation,
                );
            }
        }
        if self.has_final_norm() {
            list.norm("bit.norm", self.out_channels());
        }
        if self.num_labels() > 0 {
            list.push(
                "classifier.1.weight".into(),
                &[self.num_labels(), self.out_channels()],
            );
            list.push("classifier.1.bias".into(), &[self.num_labels()]);
        }
        list.0
    }

    /// Number of values in all parameters, the classifier included; saturates at `u64::MAX`.
    pub fn parameter_count(&self) -> u64 {
        self.parameters()
            .iter()
            .fold(0u64, |sum, p| sum.saturating_add(p.count()))
    }
}

#[derive(Default)]
struct ParameterList(Vec<ParameterSpec>);

impl ParameterList {
    fn push(&mut self, name: String, shape: &[usize]) {
        self.0.push(ParameterSpec {
            name,
            shape: shape.to_vec(),
        });
    }

    fn conv(&mut self, prefix: &str, out: usize, inside: usize, kernel: usize) {
        self.push(format!("{prefix}.weight"), &[out, inside, kernel, kernel]);
    }

    fn norm(&mut self, prefix: &str, channels: usize) {
        self.push(format!("{prefix}.weight"), &[channels]);
        self.push(format!("{prefix}.bias"), &[channels]);
    }

    fn block(&mut self, prefix: &str, block: &BlockSpec, preactivation: bool) {
        let BlockSpec {
            in_channels,
            mid_channels,
            out_channels,
            ..
        } = *block;
        if block.has_projection {
            self.conv(&format!("{prefix}.downsample.conv"), out_channels, in_channels, 1);
            if !preactivation {
                self.norm(&format!("{prefix}.downsample.norm"), out_channels);
            }
        }
        let widths = [
            (in_channels, mid_channels, 1),
            (mid_channels, mid_channels, 3),
            (mid_channels, out_channels, 1),
        ];
        for (n, (inside, out, kernel)) in (1..).zip(widths) {
            if preactivation {
                self.norm(&format!("{prefix}.norm{n}"), inside);
            }
            self.conv(&format!("{prefix}.conv{n}"), out, inside, kernel);
            if !preactivation {
                self.norm(&format!("{prefix}.norm{n}"), out);
            }
        }
    }
}
