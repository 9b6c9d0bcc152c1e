//! The form of a [`FeatureMap`](crate::FeatureMap) that records gradients: a [`FastMap`] with a node in Burn's graph.
//!
//! | file | layer |
//! |---|---|
//! | `graph.rs` | how a layer of ours becomes a node of Burn's graph |
//! | `ends.rs` | from tensor to map and back |
//! | `conv.rs`, `norm.rs`, `pool.rs` | the layers: what they remember, and their way back |

mod conv;
mod ends;
mod graph;
mod norm;
mod pool;

use burn::tensor::{Device, GradientCheckpointingStrategy, Tensor};

use self::graph::{Node, Slot};
use crate::fast::FastMap;

/// Channels-last activations that know how gradients get back from them.
#[derive(Clone, Debug)]
pub struct RecordedMap {
    map: FastMap,
    node: Node,
    gradient: Slot,
}

impl RecordedMap {
    /// Whether a tensor can take this form: as [`FastMap::supports`], on a device that records gradients without
    /// checkpointing.
    pub(crate) fn supports(tensor: &Tensor<4>) -> bool {
        let device = tensor.device();
        FastMap::supports_values(tensor)
            && device == Device::flex()
            && device.gradient_checkpointing_strategy() == Some(GradientCheckpointingStrategy::Disabled)
    }

    pub(crate) fn dims(&self) -> [usize; 4] {
        self.map.dims()
    }
}

#[cfg(test)]
mod tests;
