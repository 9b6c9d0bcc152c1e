//! From one floating-point type to another, and looking for values that are not numbers.

use crate::tensor::{DType, Tensor};
use half::{bf16, f16};

impl Tensor {
    /// The elements as `f32`, whatever floating-point type they are stored as; `None` for integers.
    pub fn to_f32(&self) -> Option<Vec<f32>> {
        if !self.dtype.is_float() {
            return None;
        }
        let bytes = cast(&self.bytes, self.dtype, DType::F32);
        Some(elements(&bytes).map(f32::from_le_bytes).collect())
    }

    /// How many elements are infinite or not a number.
    pub fn non_finite(&self) -> usize {
        match self.dtype {
            DType::F64 => elements(&self.bytes)
                .filter(|&b| !f64::from_le_bytes(b).is_finite())
                .count(),
            DType::F32 => elements(&self.bytes)
                .filter(|&b| !f32::from_le_bytes(b).is_finite())
                .count(),
            DType::F16 => elements(&self.bytes)
                .filter(|&b| !f16::from_le_bytes(b).is_finite())
                .count(),
            DType::BF16 => elements(&self.bytes)
                .filter(|&b| !bf16::from_le_bytes(b).is_finite())
                .count(),
            _ => 0,
        }
    }
}

fn elements<const N: usize>(bytes: &[u8]) -> impl ExactSizeIterator<Item = [u8; N]> {
    bytes.as_chunks::<N>().0.iter().copied()
}

/// Elements of one floating-point type as another, rounded to nearest even.
pub(crate) fn cast(bytes: &[u8], from: DType, to: DType) -> Vec<u8> {
    match from {
        DType::F64 => narrow(elements(bytes).map(f64::from_le_bytes), to),
        DType::F16 => narrow(elements(bytes).map(|b| f16::from_le_bytes(b).to_f64()), to),
        DType::BF16 => narrow(elements(bytes).map(|b| bf16::from_le_bytes(b).to_f64()), to),
        _ => narrow(elements(bytes).map(|b| f64::from(f32::from_le_bytes(b))), to),
    }
}

/// `f64` holds every value of the others, so a cast from any of them rounds once.
fn narrow(values: impl ExactSizeIterator<Item = f64>, to: DType) -> Vec<u8> {
    match to {
        DType::F64 => collect(values.map(f64::to_le_bytes)),
        DType::F16 => collect(values.map(|v| f16::from_f64(v).to_le_bytes())),
        DType::BF16 => collect(values.map(|v| bf16::from_f64(v).to_le_bytes())),
        _ => collect(values.map(|v| (v as f32).to_le_bytes())),
    }
}

fn collect<const N: usize>(elements: impl ExactSizeIterator<Item = [u8; N]>) -> Vec<u8> {
    let mut bytes = vec![0; elements.len() * N];
    for (to, from) in bytes.as_chunks_mut::<N>().0.iter_mut().zip(elements) {
        *to = from;
    }
    bytes
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn casting_rounds_to_nearest_even() {
        // 1 + 2^-11 lies half way between two f16, 1 + 2^-8 between two bf16.
        let values = [1.0f32 + 2f32.powi(-11), 1.0 + 2f32.powi(-8), 65520.0];
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        let half: Vec<_> = elements(&cast(&bytes, DType::F32, DType::F16))
            .map(f16::from_le_bytes)
            .collect();
        assert_eq!(half[0], f16::ONE);
        assert_eq!(half[2], f16::INFINITY);
        let brain: Vec<_> = elements(&cast(&bytes, DType::F32, DType::BF16))
            .map(bf16::from_le_bytes)
            .collect();
        assert_eq!(brain[1], bf16::ONE);
    }

    #[test]
    fn widening_and_narrowing_again_keeps_every_bit() {
        let all: Vec<u8> = (0..=u16::MAX)
            .filter(|b| f16::from_bits(*b).is_finite())
            .flat_map(u16::to_le_bytes)
            .collect();
        for wide in [DType::F32, DType::F64] {
            assert_eq!(cast(&cast(&all, DType::F16, wide), wide, DType::F16), all);
        }
    }

    #[test]
    fn infinities_and_nans_are_counted() {
        let bytes = [1.0f32, f32::NAN, f32::NEG_INFINITY]
            .iter()
            .flat_map(|v| v.to_le_bytes())
            .collect();
        let tensor = Tensor {
            dtype: DType::F32,
            shape: vec![3],
            bytes,
        };
        assert_eq!(tensor.non_finite(), 2);
        assert_eq!(tensor.to_f32().unwrap()[0], 1.0);
    }
}
