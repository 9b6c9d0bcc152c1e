//! A value derived from a parameter, computed once for inference and dropped when the parameter changes.

use std::sync::{Arc, OnceLock};

use burn::module::{
    Content, Devices, Module, ModuleDisplay, ModuleDisplayDefault, ModuleMapper, ModuleVisitor, Param,
};
use burn::tensor::{Device, Tensor};

/// Holds the standardized form of a convolution's weight.
///
/// It is a module so that it sees every way in which a parameter can change: loading, optimizer steps, casts
/// and moves all go through [`Module::map`], [`Module::fork`] or [`Module::to_device`], and each of them
/// leaves an empty cache behind. It has no parameters, so nothing of it is saved.
#[derive(Debug, Clone, Default)]
pub(crate) struct Standardized(Arc<OnceLock<Tensor<4>>>);

impl Standardized {
    /// The cached value, computed from `weight` when there is none yet.
    ///
    /// While gradients are recorded nothing is cached: the graph must reach the weight at every call.
    pub(crate) fn get_or_compute(
        &self,
        weight: &Param<Tensor<4>>,
        compute: impl FnOnce(Tensor<4>) -> Tensor<4>,
    ) -> Tensor<4> {
        let value = weight.val();
        match value.device().is_autodiff() {
            true => compute(value),
            false => self.0.get_or_init(|| compute(value)).clone(),
        }
    }
}

impl Module for Standardized {
    fn collect_devices(&self, devices: Devices) -> Devices {
        devices
    }

    fn fork(self, _device: &Device) -> Self {
        Self::default()
    }

    fn to_device(self, _device: &Device) -> Self {
        Self::default()
    }

    fn train(self) -> Self {
        Self::default()
    }

    fn valid(&self) -> Self {
        Self::default()
    }

    fn materialize(self) -> Self {
        Self::default()
    }

    fn visit<V: ModuleVisitor>(&self, _visitor: &mut V) {}

    fn map<M: ModuleMapper>(self, _mapper: &mut M) -> Self {
        Self::default()
    }
}

impl ModuleDisplayDefault for Standardized {
    fn content(&self, content: Content) -> Option<Content> {
        content.optional()
    }
}

impl ModuleDisplay for Standardized {}
