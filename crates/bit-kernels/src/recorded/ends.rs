//! From tensor to map, and back.

use burn::backend::Autodiff;
use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use burn::tensor::Tensor;

use super::RecordedMap;
use super::graph::{Inputs, Reverse, Slot, flex, node_of, record, record_map, values};
use crate::cpu::backward::add_in_place;
use crate::cpu::{Shape, keep_buffers_of_training, to_channels_first, to_channels_last};
use crate::fast::FastMap;

/// A tensor became a map.
#[derive(Clone, Debug)]
struct Enter {
    output: Slot,
    shape: Shape,
}

impl Reverse<1> for Enter {
    fn reverse(self, _: FlexTensor, mut inputs: Inputs<'_, 1>) {
        let gradient = self.output.take();
        inputs.give(0, || channels_first(&gradient, self.shape));
    }
}

/// A map became a tensor.
#[derive(Clone, Debug)]
struct Leave {
    input: Slot,
    shape: Shape,
}

impl Reverse<1> for Leave {
    fn reverse(self, gradient: FlexTensor, mut inputs: Inputs<'_, 1>) {
        inputs.add(0, &self.input, |onto| {
            let gradient = values(&gradient);
            let gradient = to_channels_last(gradient.storage(), self.shape);
            add_in_place(onto, gradient)
        });
    }
}

fn channels_first(values: &[f32], shape: Shape) -> FlexTensor {
    let dims = [shape.images, shape.channels, shape.height, shape.width];
    flex(to_channels_first(values, shape).to_vec(), dims)
}

impl RecordedMap {
    pub(crate) fn from_tensor(tensor: Tensor<4>) -> Self {
        keep_buffers_of_training();
        let (dims, node) = (tensor.dims(), node_of(tensor));
        let map = FastMap::from_values(values(node.primitive()).storage(), dims);
        let gradient = Slot::default();
        let (output, shape) = (gradient.clone(), map.shape);
        let node = record_map([node.node()], || Enter { output, shape });
        Self { map, node, gradient }
    }

    pub(crate) fn into_tensor(self) -> Tensor<4> {
        let (shape, input) = (self.map.shape, self.gradient);
        let output = channels_first(&self.map.settled().data, shape);
        let node = record([self.node.node()], output, || Leave { input, shape });
        Tensor::from_primitive::<Autodiff<Flex>>(node)
    }
}
