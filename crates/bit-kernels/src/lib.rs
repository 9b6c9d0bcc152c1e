//! The operations of BiT where a stock composition of Burn operations is slow or imprecise.
//!
//! Every operation has a portable body made of Burn operations, which runs on every device and is what the fast
//! bodies are tested against. The fast bodies run on the `flex` device in f32, with gradients of their own where
//! gradients are recorded: [`FeatureMap::fastest`] decides, and the maps that come out of one operation decide for the
//! next.
//!
//! ```
//! use bit_kernels::{FeatureMap, global_average_pool, max_pool};
//! use burn::tensor::{Device, Distribution, Tensor};
//!
//! let device = Device::flex();
//! let x = Tensor::<4>::random([1, 8, 9, 9], Distribution::Default, &device);
//! let pool = |x| global_average_pool(max_pool(x, 3, 2, [(0, 0); 2]));
//! let (portable, fast) = (pool(x.clone().into()), pool(FeatureMap::fastest(x)));
//! assert!((portable - fast).abs().max().into_scalar::<f32>() < 1e-6);
//! ```

mod conv;
#[cfg(feature = "flex")]
pub mod cpu;
#[cfg(feature = "flex")]
mod fast;
mod feature_map;
mod group_norm;
mod pool;
mod precision;
mod prepared;
#[cfg(feature = "flex")]
mod recorded;
mod standardize;

pub use conv::{PackedAlone, StandardizedConv, Then};
#[cfg(feature = "flex")]
pub use fast::FastMap;
pub use feature_map::{FeatureMap, Pad};
pub use group_norm::GroupNorm;
pub use pool::{add, add_relu, global_average_pool, max_pool, pad_zeros};
pub use prepared::PreparedWeight;
#[cfg(feature = "flex")]
pub use recorded::RecordedMap;
pub use standardize::standardize;
