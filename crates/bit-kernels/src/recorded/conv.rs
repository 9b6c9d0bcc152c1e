//! Convolution with weight standardization.

use std::sync::Arc;

use burn::backend::flex::FlexTensor;

use super::RecordedMap;
use super::graph::{Inputs, Reverse, Slot, flex, node_of, record_map, values};
use crate::conv::StandardizedConv;
use crate::cpu::backward::{
    DataGradient, Standardization, WeightGradient, add_in_place, standardized, unstandardize, weight_gradient,
};
use crate::cpu::{Buffer, Padding, PreparedConv, Window, keep_awake};
use crate::fast::{FastMap, padding};
use crate::feature_map::Pad;

/// A convolution's weight before standardization.
#[derive(Clone, Debug)]
struct Weight {
    /// `[channels, inputs, kernel height, kernel width]`
    values: FlexTensor,
    dims: [usize; 4],
    filters: Arc<Vec<Standardization>>,
    window: Window,
}

impl Weight {
    fn pack(&self) -> PreparedConv {
        let [channels, inputs, ..] = self.dims;
        let values = standardized(self.values.storage(), &self.filters);
        PreparedConv::new(&values, channels, inputs, self.window, None)
    }

    fn reversed(&self) -> DataGradient {
        DataGradient::new(self.values.storage(), &self.filters, self.dims[1], self.window)
    }
}

/// Inputs: the activations, the weight and, where there is one, the shortcut.
#[derive(Clone, Debug)]
struct Conv {
    input: FastMap,
    input_gradient: Slot,
    weight: Weight,
    padding: Padding,
    shortcut: Option<Slot>,
    output: Slot,
}

impl Conv {
    fn weight_gradient(&self, gradient: &[f32]) -> FlexTensor {
        let [channels, ..] = self.weight.dims;
        let mut of_weight = weight_gradient(WeightGradient {
            input: self.input.activations(),
            gradient,
            channels,
            window: self.weight.window,
            padding: self.padding,
        });
        unstandardize(&mut of_weight, self.weight.values.storage(), &self.weight.filters);
        flex(of_weight, self.weight.dims)
    }

    fn input_gradient(&self, gradient: &[f32], onto: Option<Buffer>) -> Buffer {
        self.weight
            .reversed()
            .run(gradient, self.input.shape, self.padding, onto)
    }
}

impl<const N: usize> Reverse<N> for Conv {
    fn reverse(self, _: FlexTensor, mut inputs: Inputs<'_, N>) {
        let gradient = self.output.take();
        keep_awake(|| {
            inputs.give(1, || self.weight_gradient(&gradient));
            inputs.add(0, &self.input_gradient, |onto| {
                self.input_gradient(&gradient, onto)
            });
            if let Some(shortcut) = &self.shortcut {
                inputs.add(2, shortcut, |onto| add_in_place(onto, gradient));
            }
        });
    }
}

impl RecordedMap {
    /// Convolves with zero padding and the standardized `weight`, and adds onto `shortcut` where there is one;
    /// `statistics` says whether a norm follows.
    pub(crate) fn conv(
        self,
        layer: &StandardizedConv<'_>,
        pads: [Pad; 2],
        shortcut: Option<Self>,
        statistics: bool,
    ) -> Self {
        let weight = layer.weight.val();
        let (dims, node) = (weight.dims(), node_of(weight));
        let values = values(node.primitive());
        let filters = Standardization::of_filters(values.storage(), dims[0], layer.eps);
        let weight = Weight {
            values,
            dims,
            filters: Arc::new(filters),
            window: Window {
                kernel: [dims[2], dims[3]],
                stride: [layer.stride; 2],
                dilation: [layer.dilation; 2],
            },
        };
        let packed = weight.pack();
        let (shortcut, shortcut_node) = match shortcut {
            Some(Self { map, node, gradient }) => (Some((map, gradient)), Some(node)),
            None => (None, None),
        };
        let (onto, shortcut) = shortcut.unzip();
        let map = match onto {
            Some(onto) => self.map.conv_onto(&packed, pads, onto),
            None => self.map.conv(&packed, pads, statistics),
        };
        let gradient = Slot::default();
        let step = || Conv {
            input: self.map,
            input_gradient: self.gradient,
            weight,
            padding: padding(pads),
            shortcut,
            output: gradient.clone(),
        };
        let node = match shortcut_node {
            Some(shortcut) => record_map([self.node.node(), node.node(), shortcut.node()], step),
            None => record_map([self.node.node(), node.node()], step),
        };
        Self { map, node, gradient }
    }
}
