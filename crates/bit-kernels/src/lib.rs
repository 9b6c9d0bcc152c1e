//! The few operations of BiT where a stock composition of Burn operations is slow or imprecise.
//!
//! Every operation here has a portable body made of Burn operations, which runs on every backend and is the
//! reference that the fast paths are tested against.
//!
//! ```
//! use bit_kernels::standardize;
//! use burn::tensor::{Device, Distribution, Tensor};
//!
//! let device = Device::flex();
//! let weight = Tensor::<4>::random([8, 4, 3, 3], Distribution::Default, &device);
//! let standardized = standardize(weight, 1e-8);
//! assert!(standardized.mean().into_scalar::<f32>().abs() < 1e-6);
//! ```

mod group_norm;
mod precision;
mod standardize;

pub use group_norm::group_norm;
pub use standardize::standardize;
