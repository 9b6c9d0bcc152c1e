//! Weight standardization, done once instead of in every forward pass.

/// transformers' epsilon in every convolution of BiT.
const EPSILON: f64 = 1e-8;

/// Outputs of a kernel, `weights` values of f32 each, at mean 0 and (biased) variance 1.
pub(crate) fn standardize(outputs: &mut [u8], weights: usize) {
    for output in outputs.as_chunks_mut::<4>().0.chunks_mut(weights.max(1)) {
        standardize_one(output);
    }
}

fn standardize_one(output: &mut [[u8; 4]]) {
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
    use super::*;

    #[test]
    fn each_output_has_mean_0_and_variance_1() {
        let values = [1f32, 2.0, 3.0, 4.0, -8.0, 0.0, 8.0, 16.0];
        let mut folded = values.map(f32::to_le_bytes).concat();
        standardize(&mut folded, 4);
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
