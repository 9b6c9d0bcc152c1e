//! Walks over a network's parameters: which of them learn, their gradients, their steps.

use std::collections::HashMap;

use bit_model::{BitForImageClassification, named_parameters};
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::{Device, Gradients, Tensor};

use crate::train::freeze::Freeze;
use crate::train::optimizer::Optimizer;

/// A flat tensor for each of some parameters.
pub(crate) type Flat = HashMap<ParamId, Tensor<1>>;

/// Ids of all parameters by transformers' names, in the order of the network.
pub(crate) fn ids(model: &BitForImageClassification) -> Vec<(String, ParamId)> {
    let parameters = named_parameters(model).into_iter();
    parameters
        .map(|parameter| (parameter.name, parameter.id))
        .collect()
}

/// Lets everything learn that is not frozen.
pub(crate) fn freeze(model: BitForImageClassification, freeze: Freeze) -> BitForImageClassification {
    struct Learns(HashMap<ParamId, bool>);
    impl ModuleMapper for Learns {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let learns = self.0.get(&param.id).copied().unwrap_or(true);
            param.set_require_grad(learns)
        }
    }
    let learns = ids(&model)
        .into_iter()
        .map(|(name, id)| (id, !freeze.holds(&name)));
    let mut mapper = Learns(learns.collect());
    model.map(&mut mapper)
}

/// The gradients of everything that learns.
pub(crate) fn gradients(model: &BitForImageClassification, gradients: &mut Gradients) -> Flat {
    struct Gather<'a> {
        gradients: &'a mut Gradients,
        found: Flat,
    }
    impl ModuleVisitor for Gather<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if !param.is_require_grad() {
                return;
            }
            if let Some(gradient) = param.val().grad_remove(self.gradients) {
                self.found.insert(param.id, flat(gradient));
            }
        }
    }
    let found = Flat::new();
    let mut gather = Gather { gradients, found };
    model.visit(&mut gather);
    gather.found
}

/// Adds gradients to the sums of those before.
pub(crate) fn add(sums: &mut Flat, gradients: Flat) {
    for (id, gradient) in gradients {
        let sum = match sums.remove(&id) {
            Some(sum) => sum + gradient,
            None => gradient,
        };
        sums.insert(id, sum);
    }
}

/// The same tensors on another device.
pub(crate) fn moved(tensors: Flat, device: &Device) -> Flat {
    let moved = |(id, tensor): (ParamId, Tensor<1>)| (id, tensor.to_device(device));
    tensors.into_iter().map(moved).collect()
}

/// Takes an optimizer step; parameters without a gradient stay as they are.
pub(crate) fn update(
    model: BitForImageClassification,
    gradients: Flat,
    optimizer: &mut Optimizer,
    rate: f64,
    step: usize,
) -> BitForImageClassification {
    struct Update<'a> {
        gradients: Flat,
        optimizer: &'a mut Optimizer,
        rate: f64,
        step: usize,
    }
    impl ModuleMapper for Update<'_> {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let Some(gradient) = self.gradients.remove(&param.id) else {
                return param;
            };
            let id = param.id;
            param.map(|tensor| {
                let shape = tensor.shape();
                let value = flat(tensor.inner());
                let value = self.optimizer.update(id, value, gradient, self.rate, self.step);
                Tensor::from_inner(value.reshape(shape)).require_grad()
            })
        }
    }
    model.map(&mut Update {
        gradients,
        optimizer,
        rate,
        step,
    })
}

/// The first parameter with an infinite value or one that is no number.
pub(crate) fn first_not_finite(model: &BitForImageClassification) -> Option<String> {
    struct Find(Option<ParamId>);
    impl ModuleVisitor for Find {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if self.0.is_none() && !param.val().inner().is_finite().all().into_scalar::<bool>() {
                self.0 = Some(param.id);
            }
        }
    }
    let mut find = Find(None);
    model.visit(&mut find);
    let id = find.0?;
    let (name, _) = ids(model).into_iter().find(|(_, found)| *found == id)?;
    Some(name)
}

/// Moves the running means of the weights that learn towards them; the first call starts them there.
pub(crate) fn average(model: &BitForImageClassification, means: &mut Flat, keep: f64) {
    struct Average<'a> {
        means: &'a mut Flat,
        keep: f64,
    }
    impl ModuleVisitor for Average<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            // A mean of equal values would round them.
            if !param.is_require_grad() {
                return;
            }
            let value = flat(param.val().inner());
            let mean = match self.means.remove(&param.id) {
                Some(mean) => mean * self.keep + value * (1.0 - self.keep),
                None => value,
            };
            self.means.insert(param.id, mean);
        }
    }
    model.visit(&mut Average { means, keep });
}

/// The network with other values, without gradients; those that are not given stay.
pub(crate) fn with_values(model: &BitForImageClassification, values: &Flat) -> BitForImageClassification {
    struct Replace<'a>(&'a Flat);
    impl ModuleMapper for Replace<'_> {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            match self.0.get(&param.id) {
                Some(value) => param.map(|tensor| value.clone().reshape(tensor.shape())),
                None => param,
            }
        }
    }
    model.valid().map(&mut Replace(values))
}

fn flat<const D: usize>(tensor: Tensor<D>) -> Tensor<1> {
    tensor.flatten(0, D - 1)
}
