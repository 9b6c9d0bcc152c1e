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
        let mut bytes = bytes.into_owned();
        for output in bytes.as_chunks_mut::<4>().0.chunks_mut(weights) {
            standardize(output);
        }
        Ok(Cow::Owned(bytes))
    })
}

fn standardize(output: &mut [[u8; 4]]) {
    let count = output.len() as f64;
    let value = |bytes: &[u8; 4]| f64::from(f32::from_le_bytes(*bytes));
    let mean = output.iter().map(value).sum::<f64>() / count;
    let variance = output
        .iter()
        .map(|bytes| (value(bytes) - mean).powi(2))
        .sum::<f64>()
        / count;
    let scale = (variance + EPSILON).sqrt().recip();
    for bytes in output {
        *bytes = (((value(bytes) - mean) * scale) as f32).to_le_bytes();
    }
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
