//! BiT's forward pass as ONNX nodes, after transformers' `modeling_bit.py`.

use super::activation;
use super::graph::Attribute::{Float, Int, Ints, Text};
use super::graph::{Axis, Graph, onnx_type};
use crate::tensor::{DType, TensorInfo};
use bit_config::{BitConfig, BlockSpec, GlobalPadding, LayerType};
use std::collections::HashMap;

/// Epsilon of every GroupNorm.
const NORM_EPSILON: f32 = 1e-5;

/// The graph of a network whose parameters are initializers under transformers' names; or why there is none.
pub(super) fn build<'a>(
    config: &BitConfig,
    parameters: impl Iterator<Item = &'a TensorInfo>,
) -> Result<Graph, String> {
    let mut network = Network {
        config,
        graph: Graph::default(),
        parameters: HashMap::new(),
        norm_inputs: None,
    };
    for info in parameters {
        network.parameter(info);
    }
    network.forward()?;
    Ok(network.graph)
}

struct Network<'a> {
    config: &'a BitConfig,
    graph: Graph,
    /// Where each parameter is found as f32.
    parameters: HashMap<String, String>,
    /// What all norms share: the grouped shape, scales of 1 and offsets of 0.
    norm_inputs: Option<[String; 3]>,
}

impl Network<'_> {
    /// Parameters of another type than f32 are cast before use.
    fn parameter(&mut self, info: &TensorInfo) {
        let value = match info.dtype {
            DType::F32 => info.name.clone(),
            _ => self.graph.node(
                "Cast",
                &[&info.name],
                &[("to", Int(onnx_type(DType::F32) as i64))],
            ),
        };
        self.parameters.insert(info.name.clone(), value);
    }

    fn get(&self, name: &str) -> Result<String, String> {
        self.parameters
            .get(name)
            .cloned()
            .ok_or_else(|| format!("parameter `{name}` is missing"))
    }

    fn forward(&mut self) -> Result<(), String> {
        let image = [
            Axis::Free("batch"),
            Axis::Fixed(self.config.num_channels),
            Axis::Free("height"),
            Axis::Free("width"),
        ];
        self.graph.input("pixel_values", &image);
        let mut x = self.stem("pixel_values")?;
        for (i, stage) in self.config.stages().iter().enumerate() {
            for (j, block) in stage.blocks.iter().enumerate() {
                let prefix = format!("bit.encoder.stages.{i}.layers.{j}");
                x = match self.config.layer_type {
                    LayerType::Preactivation => self.preactivation_block(&x, &prefix, block)?,
                    LayerType::Bottleneck => self.bottleneck_block(&x, &prefix, block)?,
                };
            }
        }
        if self.config.has_final_norm() {
            x = self.norm(&x, "bit.norm", true)?;
        }
        self.outputs(&x)
    }

    fn outputs(&mut self, x: &str) -> Result<(), String> {
        let channels = self.config.out_channels();
        self.graph
            .named_node("GlobalAveragePool", &[x], &[], "pooler_output");
        if let (Ok(weight), Ok(bias)) = (self.get("classifier.1.weight"), self.get("classifier.1.bias")) {
            let flat = self
                .graph
                .node("Flatten", &["pooler_output"], &[("axis", Int(1))]);
            self.graph
                .named_node("Gemm", &[&flat, &weight, &bias], &[("transB", Int(1))], "logits");
            self.graph.output(
                "logits",
                &[Axis::Free("batch"), Axis::Fixed(self.config.num_labels())],
            );
        }
        let pooled = [
            Axis::Free("batch"),
            Axis::Fixed(channels),
            Axis::Fixed(1),
            Axis::Fixed(1),
        ];
        self.graph.output("pooler_output", &pooled);
        Ok(())
    }

    /// `BitEmbeddings`: with zeros around the image's map before the pool, which is not what a padded pool does.
    fn stem(&mut self, image: &str) -> Result<String, String> {
        let mut x = self.conv(image, "bit.embedder.convolution", 7, 2, 1)?;
        if self.config.global_padding != Some(GlobalPadding::Same) {
            let border = self.graph.ints(&[0, 0, 1, 1, 0, 0, 1, 1]);
            x = self.graph.node("Pad", &[&x, &border], &[]);
        }
        if self.config.layer_type == LayerType::Bottleneck {
            x = self.norm(&x, "bit.embedder.norm", true)?;
        }
        if self.config.embedding_dynamic_padding {
            x = self.pad_for_pool(&x);
        }
        Ok(self.graph.node(
            "MaxPool",
            &[&x],
            &[("kernel_shape", Ints(&[3, 3])), ("strides", Ints(&[2, 2]))],
        ))
    }

    /// `DynamicPad2d` for a 3x3 pool with stride 2: one row more at the end, and one at the start if the size is odd.
    fn pad_for_pool(&mut self, x: &str) -> String {
        let shape = self.graph.node("Shape", &[x], &[("start", Int(2))]);
        let two = self.graph.ints(&[2]);
        let odd = self.graph.node("Mod", &[&shape, &two], &[]);
        let (channels, ones) = (self.graph.ints(&[0, 0]), self.graph.ints(&[1, 1]));
        let border = self.graph.node(
            "Concat",
            &[&channels, &odd, &channels, &ones],
            &[("axis", Int(0))],
        );
        self.graph.node("Pad", &[x, &border], &[])
    }

    /// `BitPreActivationBottleneckLayer`.
    fn preactivation_block(&mut self, x: &str, prefix: &str, block: &BlockSpec) -> Result<String, String> {
        let active = self.norm(x, &format!("{prefix}.norm1"), true)?;
        let shortcut = match block.has_projection {
            true => self.conv(&active, &format!("{prefix}.downsample.conv"), 1, block.stride, 1)?,
            false => x.to_owned(),
        };
        let y = self.conv(&active, &format!("{prefix}.conv1"), 1, 1, 1)?;
        let y = self.norm(&y, &format!("{prefix}.norm2"), true)?;
        let y = self.conv(&y, &format!("{prefix}.conv2"), 3, block.stride, block.dilation)?;
        let y = self.norm(&y, &format!("{prefix}.norm3"), true)?;
        let y = self.conv(&y, &format!("{prefix}.conv3"), 1, 1, 1)?;
        Ok(self.graph.node("Add", &[&y, &shortcut], &[]))
    }

    /// `BitBottleneckLayer`.
    fn bottleneck_block(&mut self, x: &str, prefix: &str, block: &BlockSpec) -> Result<String, String> {
        let mut shortcut = x.to_owned();
        if block.has_projection {
            let projected = self.conv(x, &format!("{prefix}.downsample.conv"), 1, block.stride, 1)?;
            shortcut = self.norm(&projected, &format!("{prefix}.downsample.norm"), false)?;
        }
        let mut y = x.to_owned();
        let steps = [
            (1, 1, 1, true),
            (3, block.stride, block.dilation, true),
            (1, 1, 1, false),
        ];
        for (k, (kernel, stride, dilation, active)) in (1..).zip(steps) {
            y = self.conv(&y, &format!("{prefix}.conv{k}"), kernel, stride, dilation)?;
            y = self.norm(&y, &format!("{prefix}.norm{k}"), active)?;
        }
        let sum = self.graph.node("Add", &[&y, &shortcut], &[]);
        self.activation(&sum)
    }

    /// `WeightStandardizedConv2d` with its kernel standardized already.
    fn conv(
        &mut self,
        x: &str,
        name: &str,
        kernel: usize,
        stride: usize,
        dilation: usize,
    ) -> Result<String, String> {
        let weight = self.get(&format!("{name}.weight"))?;
        let [k, s, d] = [kernel, stride, dilation].map(|n| n as i64);
        let same = self.config.global_padding == Some(GlobalPadding::Same);
        let static_padding = !same || (stride == 1 && (dilation * (kernel - 1)).is_multiple_of(2));
        let pads = [(s - 1 + d * (k - 1)) / 2; 4];
        let padding = match static_padding {
            true => ("pads", Ints(&pads)),
            false => ("auto_pad", Text("SAME_UPPER")),
        };
        let attributes = [
            ("kernel_shape", Ints(&[k, k])),
            ("strides", Ints(&[s, s])),
            ("dilations", Ints(&[d, d])),
            padding,
        ];
        Ok(self.graph.node("Conv", &[x, &weight], &attributes))
    }

    /// `BitGroupNormActivation`. ONNX has instance norm for every opset; grouped channels are its instances.
    fn norm(&mut self, x: &str, name: &str, active: bool) -> Result<String, String> {
        let (weight, bias) = (
            self.get(&format!("{name}.weight"))?,
            self.get(&format!("{name}.bias"))?,
        );
        let [grouped, ones, zeros] = self.norm_inputs();
        let shape = self.graph.node("Shape", &[x], &[]);
        let y = self.graph.node("Reshape", &[x, &grouped], &[]);
        let epsilon = [("epsilon", Float(NORM_EPSILON))];
        let y = self
            .graph
            .node("InstanceNormalization", &[&y, &ones, &zeros], &epsilon);
        let y = self.graph.node("Reshape", &[&y, &shape], &[]);
        let y = self.graph.node("Mul", &[&y, &weight], &[]);
        let y = self.graph.node("Add", &[&y, &bias], &[]);
        if active { self.activation(&y) } else { Ok(y) }
    }

    fn norm_inputs(&mut self) -> [String; 3] {
        let groups = self.config.num_groups;
        let graph = &mut self.graph;
        let made = self.norm_inputs.get_or_insert_with(|| {
            [
                graph.ints(&[0, groups as i64, -1]),
                graph.filled(1.0, groups),
                graph.filled(0.0, groups),
            ]
        });
        made.clone()
    }

    fn activation(&mut self, x: &str) -> Result<String, String> {
        activation::apply(&mut self.graph, self.config.hidden_act, x)
    }
}
