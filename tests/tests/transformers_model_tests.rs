//! What transformers' own BiT model tests claim, each as a test of the same claim here.
#![allow(clippy::unwrap_used)]

use bit_config::{BitConfig, LayerType};
use bit_model::{BitBackbone, BitForImageClassification, BitModel, named_parameters};
use bit_pretrained::{Head, LoadOptions, Pretrained, PretrainedError, save_pretrained};
use bit_tests::noise::noise;
use burn::tensor::{Device, Tensor, TensorData};

/// The configuration of transformers' `BitModelTester`.
fn tester(layer_type: LayerType) -> BitConfig {
    BitConfig {
        embedding_size: 10,
        hidden_sizes: vec![8, 16, 32, 64],
        depths: vec![1, 1, 2, 1],
        num_groups: 1,
        layer_type,
        ..BitConfig::default()
    }
    .with_num_labels(3)
}

/// The same pixels at every call; a device's seed is shared with the tests that run beside this one.
fn pictures(batch: usize) -> Tensor<4> {
    Tensor::from_data(noise(&[batch, 3, 32, 32], 7), &Device::flex())
}

const LAYER_TYPES: [LayerType; 2] = [LayerType::Preactivation, LayerType::Bottleneck];

#[test]
fn the_base_model_gives_transformers_shapes() {
    for layer_type in LAYER_TYPES {
        let model = BitModel::new(&tester(layer_type), &Device::flex()).unwrap();
        let output = model.forward(pictures(3)).unwrap();
        assert_eq!(output.last_hidden_state.dims(), [3, 64, 1, 1]);
        assert_eq!(output.pooler_output.dims(), [3, 64, 1, 1]);
        assert!(output.hidden_states.is_none());
    }
}

#[test]
fn the_classifier_gives_a_logit_for_each_label() {
    let model = BitForImageClassification::new(&tester(LayerType::Preactivation), &Device::flex()).unwrap();
    assert_eq!(model.forward(pictures(3)).unwrap().logits.dims(), [3, 3]);
}

#[test]
fn the_backbone_gives_the_maps_of_its_out_features() {
    let mut config = tester(LayerType::Preactivation);
    config.set_out_features(&["stage2", "stage3", "stage4"]).unwrap();
    let backbone = BitBackbone::new(&config, &Device::flex()).unwrap();
    let maps = backbone.forward(pictures(3)).unwrap().feature_maps;
    assert_eq!(maps.len(), 3);
    assert_eq!(maps[0].dims(), [3, 16, 4, 4]);
    assert_eq!(backbone.channels(), &config.hidden_sizes[1..]);
}

#[test]
fn the_backbone_without_out_features_gives_the_last_stage() {
    let config = tester(LayerType::Preactivation);
    let backbone = BitBackbone::new(&config, &Device::flex()).unwrap();
    let maps = backbone.forward(pictures(3)).unwrap().feature_maps;
    assert_eq!(maps.len(), 1);
    assert_eq!(maps[0].dims(), [3, 64, 1, 1]);
    assert_eq!(backbone.channels(), [64]);
}

#[test]
fn negative_out_indices_count_from_the_end_and_are_kept_as_they_are() {
    let mut config = tester(LayerType::Preactivation);
    config.set_out_indices(&[-2, -1]).unwrap();
    assert_eq!(config.out_features(), ["stage3", "stage4"]);
    assert_eq!(config.out_indices(), [-2, -1]);
    let backbone = BitBackbone::new(&config, &Device::flex()).unwrap();
    assert_eq!(backbone.channels(), [32, 64]);
}

#[test]
fn there_is_a_hidden_state_for_the_stem_and_each_stage_and_the_first_is_a_quarter_of_the_input() {
    for layer_type in LAYER_TYPES {
        let model = BitModel::new(&tester(layer_type), &Device::flex()).unwrap();
        let states = model
            .forward_with_hidden_states(pictures(3))
            .unwrap()
            .hidden_states
            .unwrap();
        assert_eq!(states.len(), 5);
        assert_eq!(states[0].dims()[2..], [8, 8]);
    }
}

#[test]
fn fresh_norms_are_one_and_zero() {
    let model = BitModel::new(&tester(LayerType::Bottleneck), &Device::flex()).unwrap();
    for parameter in named_parameters(&model)
        .into_iter()
        .filter(|p| p.name.contains("norm"))
    {
        let expected = if parameter.name.ends_with("weight") {
            1.0
        } else {
            0.0
        };
        assert!(parameter.into_data().iter::<f32>().all(|value| value == expected));
    }
}

#[test]
fn fresh_convolutions_are_kaiming_normal_over_the_fan_out() {
    let device = Device::flex();
    device.seed(3);
    let config = BitConfig {
        hidden_sizes: vec![256],
        depths: vec![1],
        ..BitConfig::default()
    };
    let model = BitModel::new(&config, &device).unwrap();
    let named = named_parameters(&model);
    let conv = named
        .into_iter()
        .find(|p| p.name == "encoder.stages.0.layers.0.conv2.weight")
        .unwrap();
    let values: Vec<f64> = conv.into_data().iter().collect();
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let deviation = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n).sqrt();
    let expected = (2.0 / (64.0 * 9.0f64)).sqrt();
    assert!(mean.abs() < 4.0 * expected / n.sqrt(), "mean {mean}");
    assert!(
        (deviation / expected - 1.0).abs() < 0.02,
        "deviation {deviation}, expected {expected}"
    );
    let beyond = values.iter().filter(|v| v.abs() > 2.0 * expected).count() as f64 / n;
    assert!(
        (beyond - 0.0455).abs() < 0.006,
        "a normal has 4.55% beyond two deviations, found {beyond}"
    );
}

#[test]
fn a_fresh_classifier_is_uniform_within_one_over_the_root_of_its_inputs() {
    let device = Device::flex();
    device.seed(3);
    let config = tester(LayerType::Preactivation).with_num_labels(1000);
    let model = BitForImageClassification::new(&config, &device).unwrap();
    let bound = 1.0 / 64f32.sqrt();
    for parameter in named_parameters(&model)
        .into_iter()
        .filter(|p| p.name.starts_with("classifier"))
    {
        let values: Vec<f32> = parameter.into_data().iter().collect();
        let largest = values
            .iter()
            .fold(0f32, |largest, value| largest.max(value.abs()));
        assert!(
            largest <= bound && largest > 0.98 * bound,
            "largest {largest}, bound {bound}"
        );
        let mean = values.iter().sum::<f32>() / values.len() as f32;
        assert!(mean.abs() < 0.01, "mean {mean}");
    }
}

#[test]
fn a_saved_model_loads_to_equal_outputs() {
    let device = Device::flex();
    for layer_type in LAYER_TYPES {
        let config = tester(layer_type);
        let model = BitForImageClassification::new(&config, &device).unwrap();
        let folder = tempfile::tempdir().unwrap();
        save_pretrained(&model, &config, None, folder.path()).unwrap();
        let pretrained = Pretrained::open(folder.path().to_str().unwrap()).unwrap();
        assert_eq!(pretrained.config().hidden_sizes, config.hidden_sizes);
        let loaded = pretrained
            .load::<BitForImageClassification>(LoadOptions::default(), &device)
            .unwrap();
        assert!(loaded.report.is_complete());
        assert_eq!(logits(&loaded.model, 2), logits(&model, 2));
    }
}

fn logits(model: &BitForImageClassification, batch: usize) -> TensorData {
    model.forward(pictures(batch)).unwrap().logits.into_data()
}

#[test]
fn a_batch_equals_its_pictures_one_by_one() {
    let model = BitForImageClassification::new(&tester(LayerType::Preactivation), &Device::flex()).unwrap();
    let batch = pictures(4);
    let together = model.forward(batch.clone()).unwrap().logits;
    for i in 0..4 {
        let alone = model.forward(batch.clone().narrow(0, i, 1)).unwrap().logits;
        let difference = (together.clone().narrow(0, i, 1) - alone)
            .abs()
            .max()
            .into_scalar::<f32>();
        assert!(difference < 1e-5, "picture {i}: {difference}");
    }
}

#[test]
fn two_runs_are_equal() {
    let model = BitForImageClassification::new(&tester(LayerType::Preactivation), &Device::flex()).unwrap();
    assert_eq!(logits(&model, 3), logits(&model, 3));
}

fn saved_classifier() -> (tempfile::TempDir, Pretrained) {
    let config = tester(LayerType::Preactivation);
    let model = BitForImageClassification::new(&config, &Device::flex()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    save_pretrained(&model, &config, None, folder.path()).unwrap();
    let pretrained = Pretrained::open(folder.path().to_str().unwrap()).unwrap();
    (folder, pretrained)
}

#[test]
fn a_classifier_file_loads_into_the_base_model_and_the_backbone() {
    let (_folder, pretrained) = saved_classifier();
    let device = Device::flex();
    let base = pretrained
        .load::<BitModel>(LoadOptions::default(), &device)
        .unwrap();
    assert_eq!(base.report.unused, ["classifier.1.weight", "classifier.1.bias"]);
    let backbone = pretrained
        .load::<BitBackbone>(LoadOptions::default(), &device)
        .unwrap();
    assert_eq!(backbone.report.unused.len(), 2);
    let classifier = pretrained
        .load::<BitForImageClassification>(LoadOptions::default(), &device)
        .unwrap()
        .model;
    let expected = classifier
        .bit
        .forward(pictures(1))
        .unwrap()
        .pooler_output
        .into_data();
    assert_eq!(
        base.model.forward(pictures(1)).unwrap().pooler_output.into_data(),
        expected
    );
}

#[test]
fn a_base_file_needs_a_fresh_head_to_become_a_classifier() {
    let config = tester(LayerType::Preactivation);
    let device = Device::flex();
    let folder = tempfile::tempdir().unwrap();
    save_pretrained(
        &BitModel::new(&config, &device).unwrap(),
        &config,
        None,
        folder.path(),
    )
    .unwrap();
    let pretrained = Pretrained::open(folder.path().to_str().unwrap()).unwrap();
    let refused = pretrained
        .load::<BitForImageClassification>(LoadOptions::default(), &device)
        .unwrap_err();
    assert!(matches!(refused, PretrainedError::Mismatch { .. }));
    assert!(
        refused
            .to_string()
            .contains("2 missing in the file: classifier.1.weight"),
        "{refused}"
    );
    let options = LoadOptions {
        head: Head::Fresh { num_labels: 7 },
        ..LoadOptions::default()
    };
    let loaded = pretrained
        .load::<BitForImageClassification>(options, &device)
        .unwrap();
    assert_eq!(
        loaded.report.missing,
        ["classifier.1.weight", "classifier.1.bias"]
    );
    assert_eq!(loaded.model.forward(pictures(1)).unwrap().logits.dims(), [1, 7]);
}

#[test]
fn a_head_of_the_wrong_size_is_an_error_unless_a_fresh_one_is_asked_for() {
    let (folder, _) = saved_classifier();
    let path = folder.path().join("config.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let five = BitConfig::from_json(&text).unwrap().with_num_labels(5);
    std::fs::write(&path, five.to_json()).unwrap();
    let pretrained = Pretrained::open(folder.path().to_str().unwrap()).unwrap();
    let device = Device::flex();
    let refused = pretrained
        .load::<BitForImageClassification>(LoadOptions::default(), &device)
        .unwrap_err();
    let message = refused.to_string();
    assert!(
        message.contains("classifier.1.weight (expected [5, 64], found [3, 64])"),
        "{message}"
    );
    let options = LoadOptions {
        head: Head::Fresh { num_labels: 5 },
        ..LoadOptions::default()
    };
    let loaded = pretrained
        .load::<BitForImageClassification>(options, &device)
        .unwrap();
    assert_eq!(loaded.config.num_labels(), 5);
    assert_eq!(loaded.report.unused, ["classifier.1.weight", "classifier.1.bias"]);
}

#[test]
fn pixels_of_another_channel_count_are_refused_with_transformers_message() {
    let model = BitModel::new(&tester(LayerType::Preactivation), &Device::flex()).unwrap();
    let message = model
        .forward(Tensor::zeros([1, 1, 32, 32], &Device::flex()))
        .unwrap_err()
        .to_string();
    assert!(message.starts_with(
        "Make sure that the channel dimension of the pixel values match with the one set in the configuration."
    ));
}

#[test]
fn an_empty_batch_is_an_error_and_no_panic() {
    let model = BitModel::new(&tester(LayerType::Preactivation), &Device::flex()).unwrap();
    for shape in [[0, 3, 32, 32], [1, 3, 0, 32], [1, 3, 32, 0]] {
        let message = model
            .forward(Tensor::zeros(shape, &Device::flex()))
            .unwrap_err()
            .to_string();
        assert!(message.contains("hold no picture"), "{message}");
    }
}
