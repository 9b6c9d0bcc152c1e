//! Group normalization, and the ReLU after it.

use burn::backend::flex::FlexTensor;

use super::RecordedMap;
use super::graph::{Inputs, Reverse, Slot, flex, node_of, record_map, values};
use crate::cpu::backward::{GroupNormGradient, group_norm_gradient};
use crate::cpu::keep_awake;
use crate::fast::FastMap;
use crate::group_norm::GroupNorm;

/// Inputs: the activations, the weight and the bias.
#[derive(Clone, Debug)]
struct Norm {
    /// The activations, with the normalization that their readers apply.
    map: FastMap,
    input: Slot,
    weight: FlexTensor,
    groups: usize,
    eps: f64,
    output: Slot,
}

impl Norm {
    fn gradient(&self) -> GroupNormGradient<'_> {
        let invariant = "invariant: the map was normalized";
        GroupNormGradient {
            input: &self.map.data,
            shape: self.map.shape,
            moments: self.map.moments.as_ref().expect(invariant),
            affine: self.map.normalization.as_ref().expect(invariant),
            groups: self.groups,
            weight: self.weight.storage(),
            epsilon: self.eps,
        }
    }
}

impl Reverse<3> for Norm {
    fn reverse(self, _: FlexTensor, mut inputs: Inputs<'_, 3>) {
        let onto = self.input.take_if_filled();
        let output = self.output.take();
        let (gradient, parameters) = keep_awake(|| group_norm_gradient(self.gradient(), output, onto));
        inputs.add(0, &self.input, |_| gradient);
        let channels = self.map.shape.channels;
        inputs.give(1, || flex(parameters.weight, [channels]));
        inputs.give(2, || flex(parameters.bias, [channels]));
    }
}

impl RecordedMap {
    /// Group normalization, then ReLU if `relu`, left to the reader.
    pub(crate) fn group_norm(self, layer: &GroupNorm<'_>, relu: bool) -> Self {
        let (weight, bias) = (node_of(layer.weight.val()), node_of(layer.bias.val()));
        let [weight_values, bias_values] = [&weight, &bias].map(|node| values(node.primitive()));
        let &GroupNorm { groups, eps, .. } = layer;
        let map = self
            .map
            .group_norm(groups, weight_values.storage(), bias_values.storage(), eps, relu);
        let gradient = Slot::default();
        let node = record_map([self.node.node(), weight.node(), bias.node()], || Norm {
            map: map.clone(),
            input: self.gradient,
            weight: weight_values,
            groups,
            eps,
            output: gradient.clone(),
        });
        Self { map, node, gradient }
    }
}
