//! Models in 16-bit floats, and the two bodies of every operation against each other.
#![allow(clippy::unwrap_used)]

use bit_config::{BitConfig, LayerType};
use bit_model::{BitForImageClassification, cast_parameters};
use bit_tests::fixtures::relative_difference;
use bit_tests::noise::{noise, with_noise};
use burn::module::Module;
use burn::tensor::{DType, Device, FloatDType, Tensor};

fn config(layer_type: LayerType) -> BitConfig {
    let small = BitConfig {
        hidden_sizes: vec![32, 64, 96],
        depths: vec![2, 1, 2],
        ..BitConfig::default()
    };
    BitConfig {
        embedding_size: 24,
        num_groups: 8,
        layer_type,
        ..small
    }
    .with_num_labels(5)
}

fn pictures([height, width]: [usize; 2]) -> Tensor<4> {
    Tensor::from_data(noise(&[2, 3, height, width], 9), &Device::flex())
}

fn model(layer_type: LayerType, device: &Device) -> BitForImageClassification {
    with_noise(BitForImageClassification::new(&config(layer_type), device).unwrap())
}

#[test]
fn sixteen_bit_models_agree_with_f32_to_their_precision() {
    let device = Device::flex();
    for (dtype, bar) in [(DType::F16, 1e-2), (DType::BF16, 8e-2)] {
        assert!(
            device.supports_dtype(dtype),
            "the flex device computes in {dtype:?}"
        );
        let model = model(LayerType::Preactivation, &device);
        let x = pictures([33, 47]);
        let expected = model.forward(x.clone()).unwrap().logits.into_data();
        let narrow = cast_parameters(model, dtype);
        let found = narrow.forward(x.cast(FloatDType::from(dtype))).unwrap().logits;
        assert_eq!(found.dtype(), dtype);
        let relative = relative_difference(&found.into_data(), &expected);
        assert!(relative < bar, "{dtype:?}: {relative}");
    }
}

/// A device that records gradients with checkpointing runs the portable composition, one without checkpointing the kernels
/// and their way back, and the same weights on a device without gradients the kernels alone.
#[test]
fn the_fast_kernels_agree_with_the_portable_composition_over_sizes_and_layer_types() {
    let checkpointing = Device::flex().autodiff().gradient_checkpointing();
    for layer_type in [LayerType::Preactivation, LayerType::Bottleneck] {
        let trained = model(layer_type, &checkpointing);
        let plain = trained.valid();
        let recording = plain.clone().train();
        for size in [[1, 1], [7, 5], [32, 32], [33, 47], [64, 65]] {
            let x = pictures(size);
            let logits = |model: &BitForImageClassification, x| model.forward(x).unwrap().logits.into_data();
            let portable = logits(&trained, Tensor::from_data(x.to_data(), &checkpointing));
            let recorded = logits(&recording, Tensor::from_inner(x.clone()));
            let fast = logits(&plain, x);
            for (found, which) in [(fast, "inference"), (recorded, "training")] {
                let relative = relative_difference(&found, &portable);
                assert!(relative < 1e-4, "{which}, {layer_type:?} at {size:?}: {relative}");
            }
        }
    }
}

#[test]
fn a_model_in_validation_does_not_keep_kernels_of_older_weights() {
    let device = Device::flex();
    let model = model(LayerType::Preactivation, &device);
    let x = pictures([32, 32]);
    let before = model.forward(x.clone()).unwrap().logits.into_data();
    let rescaled = bit_model::load_parameters(model, DType::F32, |name, shape| {
        name.ends_with("conv2.weight").then(|| noise(shape, 99))
    });
    let after = rescaled.forward(x).unwrap().logits.into_data();
    assert!(relative_difference(&after, &before) > 1e-2);
}
