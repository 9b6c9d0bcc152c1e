//! Weight standardization, done once instead of in every forward pass.

use crate::tensor::Entry;
use std::borrow::Cow;

/// transformers' epsilon in every convolution of BiT.
const EPSILON: f64 = 1e-8;

/// A kernel `[out, in, height, width]` of f32 with each output's weights at mean 0 and (biased) variance 1.
pub(super) fn fold(entry: Entry<'_>) -> Entry<'_> {
    let info = entry.info.clone();
    let weights = info.shape.iter().skip(1).product::<usize>().max(1);
    entry.map(info, move |bytes| {
        Ok(Cow::Owned(
            bytes.chunks(weights * 4).flat_map(standardized).collect(),
        ))
    })
}

fn standardized(output: &[u8]) -> impl Iterator<Item = u8> + use<> {
    let values: Vec<f64> = output
        .as_chunks::<4>()
        .0
        .iter()
        .map(|b| f64::from(f32::from_le_bytes(*b)))
        .collect();
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / count;
    let scale = (variance + EPSILON).sqrt().recip();
    values
        .into_iter()
        .flat_map(move |v| (((v - mean) * scale) as f32).to_le_bytes())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::DType;
    use std::path::Path;

    #[test]
    fn each_output_has_mean_0_and_variance_1() {
        let values = [1f32, 2.0, 3.0, 4.0, -8.0, 0.0, 8.0, 16.0];
        let bytes = values.map(f32::to_le_bytes).concat();
        let folded = fold(Entry::from_bytes("w", DType::F32, &[2, 1, 2, 2], bytes))
            .read(Path::new(""))
            .unwrap();
        let folded: Vec<_> = folded
            .as_chunks::<4>()
            .0
            .iter()
            .map(|b| f32::from_le_bytes(*b))
            .collect();
        let expected = [-1.341_640_8, -0.447_213_6, 0.447_213_6, 1.341_640_8];
        for (found, expected) in folded.iter().zip(expected.repeat(2)) {
            assert!((found - expected).abs() < 1e-6, "{found} {expected}");
        }
    }
}
