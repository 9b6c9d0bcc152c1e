//! How much a network computes.

use bit_config::{BitConfig, BlockSpec, GlobalPadding};

/// Multiply-adds of the convolutions and the classifier for one image of `size` x `size` pixels; `None` when the
/// image is too small for the stem's pooling.
///
/// Norms, activations and pooling are left out, as is usual.
pub fn multiply_adds(config: &BitConfig, size: usize) -> Option<u64> {
    let stem = [config.num_channels, config.stem_channels(), 7 * 7];
    let mut side = size.div_ceil(2);
    let mut total = convolution(stem, side);
    side = pooled(config, side)?;
    for block in config.stages().iter().flat_map(|stage| &stage.blocks) {
        total = total.saturating_add(block_multiply_adds(block, side));
        side = side.div_ceil(block.stride);
    }
    let classifier = (config.out_channels() as u64).saturating_mul(config.num_labels() as u64);
    Some(total.saturating_add(classifier))
}

fn block_multiply_adds(block: &BlockSpec, side: usize) -> u64 {
    let BlockSpec {
        in_channels,
        mid_channels,
        out_channels,
        ..
    } = *block;
    let after = side.div_ceil(block.stride);
    let projection = if block.has_projection {
        convolution([in_channels, out_channels, 1], after)
    } else {
        0
    };
    [
        convolution([in_channels, mid_channels, 1], side),
        convolution([mid_channels, mid_channels, 3 * 3], after),
        convolution([mid_channels, out_channels, 1], after),
    ]
    .into_iter()
    .fold(projection, u64::saturating_add)
}

/// `factors`: channels in, channels out, taps of the kernel. `side`: of the square result.
fn convolution(factors: [usize; 3], side: usize) -> u64 {
    factors
        .into_iter()
        .chain([side, side])
        .fold(1, |product, factor| product.saturating_mul(factor as u64))
}

/// The stem pads by one pixel unless the whole network pads as SAME, and then pools 3x3 with stride 2.
fn pooled(config: &BitConfig, side: usize) -> Option<usize> {
    let padded = if config.global_padding == Some(GlobalPadding::Same) {
        side
    } else {
        side + 2
    };
    match config.embedding_dynamic_padding {
        true => Some(padded.div_ceil(2)),
        false => Some(padded.checked_sub(3)? / 2 + 1),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use bit_config::zoo::ARCHITECTURES;

    #[test]
    fn r50x1_computes_four_billion_at_224_and_four_times_that_at_448() {
        let r50x1 = ARCHITECTURES[0].config(1000);
        let [small, large] = [224, 448].map(|size| multiply_adds(&r50x1, size).unwrap() as f64);
        assert!((small / 1e9 - 4.1).abs() < 0.2, "{small}");
        assert!((large / small - 4.0).abs() < 0.01, "{large}");
    }

    #[test]
    fn a_network_of_one_block_counts_as_by_hand() {
        let config = BitConfig {
            hidden_sizes: vec![32],
            depths: vec![1],
            num_groups: 8,
            embedding_size: 16,
            ..BitConfig::default()
        };
        let stem = 3 * 16 * 49 * 16 * 16;
        let block = 8 * 8 * (16 * 32 + 16 * 8 + 8 * 8 * 9 + 8 * 32);
        assert_eq!(
            multiply_adds(&config.with_num_labels(10), 32),
            Some(stem + block + 32 * 10)
        );
    }

    #[test]
    fn an_image_without_a_pixel_to_pool_has_no_count() {
        let config = BitConfig {
            global_padding: Some(GlobalPadding::Same),
            ..BitConfig::default()
        };
        assert_eq!(multiply_adds(&config, 4), None);
        assert!(multiply_adds(&BitConfig::default(), 1).is_some());
    }
}
