//! What inference derives from a convolution's weight, once.

use std::fmt;
use std::sync::{Arc, OnceLock};

use burn::module::{
    Content, Devices, Module, ModuleDisplay, ModuleDisplayDefault, ModuleMapper, ModuleVisitor,
};
use burn::tensor::{Device, Tensor};

#[cfg(feature = "flex")]
use crate::cpu::PreparedConv;

/// Holds the standardized and the packed form of a convolution's weight.
///
/// It is a module so that it sees every way in which a parameter can change: loading, optimizer steps, casts
/// and moves all go through [`Module::map`], [`Module::fork`] or [`Module::to_device`], and each of them
/// leaves an empty cache behind. It has no parameters, so nothing of it is saved.
#[derive(Clone, Default)]
pub struct PreparedWeight(Arc<Forms>);

#[derive(Default)]
struct Forms {
    standardized: OnceLock<Tensor<4>>,
    #[cfg(feature = "flex")]
    packed: OnceLock<PreparedConv>,
}

impl PreparedWeight {
    /// What is packed already.
    #[cfg(feature = "flex")]
    pub(crate) fn of(packed: PreparedConv) -> Self {
        Self(Arc::new(Forms {
            standardized: OnceLock::new(),
            packed: OnceLock::from(packed),
        }))
    }

    #[cfg(feature = "flex")]
    pub(crate) fn is_packed(&self) -> bool {
        self.0.packed.get().is_some()
    }

    /// The standardized weight, computed by `compute` when there is none yet.
    pub(crate) fn standardized(&self, compute: impl FnOnce() -> Tensor<4>) -> Tensor<4> {
        self.0.standardized.get_or_init(compute).clone()
    }

    /// The packed weight, computed by `compute` when there is none yet.
    #[cfg(feature = "flex")]
    pub(crate) fn packed(&self, compute: impl FnOnce() -> PreparedConv) -> &PreparedConv {
        self.0.packed.get_or_init(compute)
    }
}

impl fmt::Debug for PreparedWeight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PreparedWeight").finish_non_exhaustive()
    }
}

impl Module for PreparedWeight {
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

impl ModuleDisplayDefault for PreparedWeight {
    fn content(&self, content: Content) -> Option<Content> {
        content.optional()
    }
}

impl ModuleDisplay for PreparedWeight {}
