//! Statistics of 16-bit tensors are computed in f32: squares of f16 activations overflow past 256.

use burn::tensor::{DType, FloatDType, Tensor};

/// Runs `statistics` on `x` widened to f32 where `x` is a 16-bit float, and narrows its result again.
pub(crate) fn in_f32<const D: usize, const E: usize>(
    x: Tensor<D>,
    statistics: impl FnOnce(Tensor<D>) -> Tensor<E>,
) -> Tensor<E> {
    match x.dtype() {
        DType::F16 | DType::BF16 => {
            let narrow: FloatDType = x.dtype().into();
            statistics(x.cast(FloatDType::F32)).cast(narrow)
        }
        _ => statistics(x),
    }
}
