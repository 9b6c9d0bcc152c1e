//! The two poolings of the network, and sums.

use burn::backend::flex::FlexTensor;
use burn::backend::{Autodiff, Flex};
use burn::tensor::Tensor;

use super::RecordedMap;
use super::graph::{Inputs, Reverse, Slot, flex, record, record_map, values};
use crate::cpu::backward::{add_copy, global_average_pool_gradient, max_pool_gradient, relu_gradient};
use crate::cpu::{Padding, Shape, Window, add, global_average_pool};
use crate::fast::{FastMap, padding};
use crate::feature_map::Pad;

#[derive(Clone, Debug)]
struct MaxPool {
    map: FastMap,
    input: Slot,
    window: Window,
    padding: Padding,
    output: Slot,
}

impl Reverse<1> for MaxPool {
    fn reverse(self, _: FlexTensor, mut inputs: Inputs<'_, 1>) {
        let gradient = self.output.take();
        inputs.add(0, &self.input, |onto| {
            max_pool_gradient(self.map.activations(), &gradient, self.window, self.padding, onto)
        });
    }
}

#[derive(Clone, Debug)]
struct GlobalAveragePool {
    shape: Shape,
    input: Slot,
}

impl Reverse<1> for GlobalAveragePool {
    fn reverse(self, gradient: FlexTensor, mut inputs: Inputs<'_, 1>) {
        inputs.add(0, &self.input, |onto| {
            global_average_pool_gradient(values(&gradient).storage(), self.shape, onto)
        });
    }
}

/// A sum of two maps, then ReLU if there is an output to see what it let through.
#[derive(Clone, Debug)]
struct Sum {
    inputs: [Slot; 2],
    relu: Option<FastMap>,
    output: Slot,
}

impl Reverse<2> for Sum {
    fn reverse(self, _: FlexTensor, mut inputs: Inputs<'_, 2>) {
        let mut gradient = self.output.take();
        if let Some(output) = &self.relu {
            gradient = relu_gradient(gradient, &output.data);
        }
        for (index, slot) in self.inputs.iter().enumerate() {
            inputs.add(index, slot, |onto| add_copy(onto, &gradient));
        }
    }
}

impl RecordedMap {
    /// Max pooling over zero padding.
    pub(crate) fn max_pool(self, kernel: usize, stride: usize, pads: [Pad; 2]) -> Self {
        let map = self.map.max_pool(kernel, stride, pads);
        let gradient = Slot::default();
        let node = record_map([self.node.node()], || MaxPool {
            map: self.map,
            input: self.gradient,
            window: Window::square(kernel, stride),
            padding: padding(pads),
            output: gradient.clone(),
        });
        Self { map, node, gradient }
    }

    /// The mean over the pixels, `[batch, channels, 1, 1]`.
    pub(crate) fn global_average_pool(self) -> Tensor<4> {
        let (shape, input) = (self.map.shape, self.gradient);
        let means = global_average_pool(self.map.activations());
        let output = flex(means, [shape.images, shape.channels, 1, 1]);
        let node = record([self.node.node()], output, || GlobalAveragePool { shape, input });
        Tensor::from_primitive::<Autodiff<Flex>>(node)
    }

    /// The sum, then ReLU if `relu`.
    pub(crate) fn add(self, other: Self, relu: bool) -> Self {
        let sum = add(self.map.activations(), other.map.activations(), relu);
        let map = FastMap::written(sum, self.map.shape, None);
        let gradient = Slot::default();
        let node = record_map([self.node.node(), other.node.node()], || Sum {
            inputs: [self.gradient, other.gradient],
            relu: relu.then(|| map.clone()),
            output: gradient.clone(),
        });
        Self { map, node, gradient }
    }
}
