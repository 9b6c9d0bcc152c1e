//! The way back: gradients of the layers over channels-last buffers.
//!
//! | of | function |
//! |---|---|
//! | a convolution, with respect to its input | [`DataGradient`] |
//! | a convolution, with respect to its weight | [`weight_gradient`] |
//! | the standardization of a weight | [`unstandardize`] |
//! | GroupNorm and the ReLU after it | [`group_norm_gradient`] |
//! | max pooling | [`max_pool_gradient`] |
//! | global average pooling | [`global_average_pool_gradient`] |
//! | a sum, then ReLU | [`relu_gradient`] |
//!
//! Where several readers of one activation add up their gradients, `onto` is the sum so far, which is added to in
//! place.

mod data;
mod group_norm;
mod norm_passes;
mod outer;
mod pointwise;
mod pool;
mod standardize;
mod weight;
mod weight_packing;

pub use data::DataGradient;
pub use group_norm::{AffineGradient, GroupNormGradient, group_norm_gradient};
pub use pointwise::{add_copy, add_in_place, global_average_pool_gradient, relu_gradient};
pub use pool::max_pool_gradient;
pub use standardize::{Standardization, standardized, unstandardize};
pub use weight::{WeightGradient, weight_gradient};
