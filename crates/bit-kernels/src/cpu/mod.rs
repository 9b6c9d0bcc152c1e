//! Kernels for the processor: BiT's layers over channels-last `f32` buffers, without a framework.
//!
//! Activations lie as `[images, height, width, channels]` from the stem to the pooling. GroupNorm costs no pass of its
//! own: whoever writes activations also returns their [`Moments`], [`Moments::group_norm`] makes an [`Affine`] (a scale
//! and a shift a channel and image) of them, and whoever reads the activations applies it on the way
//! ([`Activations::normalized`]). Weights are packed once ([`PreparedConv::new`]).
//!
//! | step | function |
//! |---|---|
//! | standardize a weight | [`standardize_weight`] |
//! | convolution or linear layer | [`PreparedConv::forward`], [`PreparedConv::accumulate`] |
//! | the stem's pool, after padding with zeros | [`max_pool`] |
//! | statistics of activations made elsewhere | [`moments`] |
//! | normalization as a pass | [`normalize`] |
//! | end of a post-activation block | [`add`] |
//! | pooling before the head | [`global_average_pool`] |
//! | change of layout | [`to_channels_last`], [`to_channels_first`] |
//!
//! A pre-activation block with a projection:
//!
//! ```text
//! let norm1 = moments.group_norm(32, weight1, bias1, 1e-5, true);
//! let input = Activations::new(&x, shape).normalized(&norm1);
//! let mut shortcut = downsample.forward(input, Padding::default(), None, false);
//! let h = conv1.forward(input, Padding::default(), None, true);
//! let norm2 = h.moments.unwrap().group_norm(32, weight2, bias2, 1e-5, true);
//! let h = conv2.forward(Activations::new(&h.data, h.shape).normalized(&norm2), Padding::same(1), None, true);
//! let norm3 = h.moments.unwrap().group_norm(32, weight3, bias3, 1e-5, true);
//! let h = Activations::new(&h.data, h.shape).normalized(&norm3);
//! let next = conv3.accumulate(h, Padding::default(), &mut shortcut.data, true); // the next norm1's moments
//! ```
//!
//! Results are [`Buffer`]s, whose memory is reused once they are dropped: fresh pages cost a tenth of a forward.
//!
//! Work runs on rayon's pool; [`keep_awake`] around a whole forward makes its threads a team that waits awake.
//! [`Isa::active`] chooses the instruction set (see [`ISA_VARIABLE`]).

mod affine;
pub mod backward;
mod conv;
mod cut;
mod fold;
mod gather;
mod groups;
mod layout;
mod memory;
mod micro;
mod moments;
mod parallel;
mod pointwise;
mod pool;
mod product;
mod shape;
mod simd;
mod strassen;
mod team;
mod weights;
mod winograd;

pub use affine::{Activations, Affine};
pub use conv::{ConvOutput, PreparedConv};
pub use layout::{to_channels_first, to_channels_last};
pub(crate) use memory::keep_buffers_of_training;
pub use memory::{Buffer, release_memory};
pub use moments::{Moments, moments};
pub use parallel::keep_awake;
pub use pointwise::{add, normalize};
pub use pool::{global_average_pool, max_pool};
pub use shape::{Padding, Shape, Window};
pub use simd::{ISA_VARIABLE, Isa};
pub use weights::standardize_weight;

#[cfg(test)]
mod tests;
