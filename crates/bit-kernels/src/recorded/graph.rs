//! Nodes of our own in Burn's autodiff graph.
//!
//! Burn keeps the order: a node's backward runs after those of everything that read it. What it carries along the edges
//! between two of our nodes is a placeholder; the gradient itself waits in a [`Slot`], into which each reader adds in
//! place, channels last. Only parameters and the tensors at both ends get gradients that Burn sees.

use std::fmt::{self, Debug};
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, PoisonError};

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::NoCheckpointing};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, NodeGuard, Ops, OpsKind};
use burn::backend::autodiff::{Autodiff, NodeId};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{AutodiffBackend, Flex};
use burn::tensor::{Tensor, TensorData};

use crate::cpu::Buffer;

/// A tensor of Burn's that records gradients, and thereby a node of its graph.
pub(super) type Node = FloatTensor<Autodiff<Flex>>;

/// The node of a tensor; a new one, which wants no gradient, if it is on a device without them.
pub(super) fn node_of<const D: usize>(tensor: Tensor<D>) -> Node {
    match tensor.clone().try_into_primitive::<Autodiff<Flex>>() {
        Ok(node) => node,
        Err(_) => {
            let constant = tensor.try_into_primitive::<Flex>();
            Autodiff::<Flex>::from_inner(constant.expect("invariant: on the device of the map it meets"))
        }
    }
}

/// The f32 values of a tensor in their order, as a tensor of Flex's.
pub(super) fn values(tensor: &FlexTensor) -> FlexTensor {
    tensor.to_contiguous()
}

/// `values` as a tensor of Flex's.
pub(super) fn flex<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape))
}

/// Stands for a tensor or a gradient that lies elsewhere.
fn placeholder() -> FlexTensor {
    flex(vec![0.0], [1])
}

/// The gradient of a map, channels last, as its readers add to it.
#[derive(Clone, Default)]
pub(super) struct Slot(Arc<Mutex<Option<Buffer>>>);

impl Slot {
    /// Replaces what is there by what `update` makes of it.
    pub(super) fn update(&self, update: impl FnOnce(Option<Buffer>) -> Buffer) {
        let mut gradient = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *gradient = Some(update(gradient.take()));
    }

    /// The sum of what the readers added.
    pub(super) fn take(&self) -> Buffer {
        self.take_if_filled()
            .expect("invariant: Burn calls a node after its readers, each of which filled the slot")
    }

    /// The sum of what the readers have added so far.
    pub(super) fn take_if_filled(&self) -> Option<Buffer> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot").finish_non_exhaustive()
    }
}

/// The way back through a layer with `N` inputs, and what it has to remember for that.
pub(super) trait Reverse<const N: usize>: Clone + Debug + Send + 'static {
    /// Hands gradients to the inputs that want one; `gradient` is the output's, a placeholder if that is a map.
    fn reverse(self, gradient: FlexTensor, inputs: Inputs<'_, N>);
}

/// The inputs of a layer, on the way back.
pub(super) struct Inputs<'a, const N: usize> {
    ids: [Option<NodeId>; N],
    gradients: &'a mut Gradients,
}

impl<const N: usize> Inputs<'_, N> {
    /// Gives the tensor `index` its gradient, if it wants one.
    pub(super) fn give(&mut self, index: usize, gradient: impl FnOnce() -> FlexTensor) {
        if let Some(Some(id)) = self.ids.get(index) {
            self.gradients.register::<Flex>(*id, gradient());
        }
    }

    /// Lets `update` add to the gradient of the map `index`, which is in `slot`, if it wants one.
    pub(super) fn add(&mut self, index: usize, slot: &Slot, update: impl FnOnce(Option<Buffer>) -> Buffer) {
        self.give(index, || {
            slot.update(update);
            placeholder()
        });
    }
}

/// Burn's step for a layer of ours.
struct Step<L>(PhantomData<fn() -> L>);

impl<L> Debug for Step<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::any::type_name::<L>())
    }
}

impl<const N: usize, L: Reverse<N>> Backward<Flex, N> for Step<L> {
    type State = L;

    fn backward(self, ops: Ops<L, N>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<Flex>(&ops.node);
        let ids = ops.parents.map(|parent| parent.map(|parent| parent.id));
        ops.state.reverse(gradient, Inputs { ids, gradients });
    }
}

/// The node of `output`, which a layer made of `inputs`. `layer` is not asked for where no input wants a gradient.
pub(super) fn record<const N: usize, L: Reverse<N>>(
    inputs: [NodeGuard; N],
    output: FlexTensor,
    layer: impl FnOnce() -> L,
) -> Node {
    let step = Step::<L>(PhantomData).prepare::<NoCheckpointing>(inputs);
    match step.compute_bound().stateful() {
        OpsKind::Tracked(step) => step.finish(layer(), output),
        OpsKind::UnTracked(step) => step.finish(output),
    }
}

/// As [`record`], for an output that is a map.
pub(super) fn record_map<const N: usize, L: Reverse<N>>(
    inputs: [NodeGuard; N],
    layer: impl FnOnce() -> L,
) -> Node {
    record(inputs, placeholder(), layer)
}
