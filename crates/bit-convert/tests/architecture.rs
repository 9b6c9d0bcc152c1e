//! What a network is told from: its tensors, the files beside it, its name.
#![allow(clippy::unwrap_used)]

use bit_config::{BitConfig, ImageProcessorConfig, LayerType, Resample, SizeDict, zoo};
use bit_convert::Checkpoint;
use serde_json::json;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

/// A safetensors file with these parameters, all zero. The zeros are a hole in the file and take no room.
fn write_sparse(path: &Path, parameters: &[(String, Vec<usize>)]) {
    let mut end = 0;
    let mut header = serde_json::Map::new();
    for (name, shape) in parameters {
        let start = end;
        end += 4 * shape.iter().product::<usize>();
        header.insert(
            name.clone(),
            json!({"dtype": "F32", "shape": shape, "data_offsets": [start, end]}),
        );
    }
    let header = serde_json::to_vec(&header).unwrap();
    let mut file = File::create(path).unwrap();
    file.write_all(&(header.len() as u64).to_le_bytes()).unwrap();
    file.write_all(&header).unwrap();
    file.set_len((8 + header.len() + end) as u64).unwrap();
}

fn parameters(config: &BitConfig) -> Vec<(String, Vec<usize>)> {
    config
        .parameters()
        .into_iter()
        .map(|parameter| (parameter.name, parameter.shape))
        .collect()
}

fn small() -> BitConfig {
    BitConfig {
        hidden_sizes: vec![128, 256, 256],
        depths: vec![1, 12, 2],
        ..BitConfig::default()
    }
    .with_num_labels(7)
}

/// The message of inferring the small network after a change to its parameters.
fn refusal(change: impl FnOnce(&mut Vec<(String, Vec<usize>)>)) -> String {
    let folder = tempfile::tempdir().unwrap();
    let mut parameters = parameters(&small());
    change(&mut parameters);
    write_sparse(&folder.path().join("model.safetensors"), &parameters);
    let checkpoint = Checkpoint::open(folder.path()).unwrap();
    checkpoint
        .to_transformers()
        .unwrap()
        .inferred_config()
        .unwrap_err()
        .to_string()
}

#[test]
fn shapes_show_depths_widths_kind_and_classes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let bottleneck = BitConfig {
        layer_type: LayerType::Bottleneck,
        global_padding: Some(bit_config::GlobalPadding::Same),
        embedding_dynamic_padding: true,
        depths: vec![3, 4, 9],
        hidden_sizes: vec![256, 512, 1024],
        ..BitConfig::default()
    };
    for config in [small(), small().with_num_labels(0), bottleneck.with_num_labels(0)] {
        write_sparse(&path, &parameters(&config));
        let checkpoint = Checkpoint::open(&path).unwrap();
        assert_eq!(checkpoint.to_transformers().unwrap().config().unwrap(), config);
    }
}

#[test]
fn every_published_architecture_is_recognised_from_its_shapes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    for architecture in &zoo::ARCHITECTURES {
        write_sparse(&path, &parameters(&architecture.config(21843)));
        let checkpoint = Checkpoint::open(&path).unwrap();
        let network = checkpoint.to_transformers().unwrap();
        let models = network.zoo_models().unwrap();
        assert_eq!(models.len(), 1, "{}", architecture.name);
        assert_eq!(&models[0].architecture, architecture);
        assert_eq!(network.config().unwrap(), models[0].config());
        assert_eq!(
            network.processor().unwrap().crop_size,
            Some(SizeDict::square(224))
        );
    }
}

#[test]
fn models_that_differ_only_in_their_processor_are_told_by_name_or_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let config = zoo::find("google/bit-50").unwrap().architecture.config(1000);
    let path = folder.path().join("model.safetensors");
    write_sparse(&path, &parameters(&config));
    let message = Checkpoint::open(&path)
        .unwrap()
        .to_transformers()
        .unwrap()
        .processor()
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("goog_distilled_in1k") && message.contains("preprocessor_config.json"),
        "{message}"
    );

    let named = folder
        .path()
        .join("resnetv2_50x1_bit.goog_distilled_in1k.safetensors");
    fs::rename(&path, &named).unwrap();
    let checkpoint = Checkpoint::open(&named).unwrap();
    let network = checkpoint.to_transformers().unwrap();
    assert_eq!(network.processor().unwrap().resample, Some(Resample::Bicubic));
    assert_eq!(network.config().unwrap().label(281), "tabby, tabby cat");
}

#[test]
fn timm_says_how_to_prepare_images() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/timm");
    let processor = Checkpoint::open(&path)
        .unwrap()
        .to_transformers()
        .unwrap()
        .processor()
        .unwrap();
    let expected = ImageProcessorConfig {
        size: Some(SizeDict::ShortestEdge(36)), // 32 / 0.875 = 36.57
        crop_size: Some(SizeDict::square(32)),
        resample: Some(Resample::Bilinear),
        image_mean: Some(bit_config::PerChannel::Each(vec![0.5; 3])),
        image_std: Some(bit_config::PerChannel::Each(vec![0.5; 3])),
        ..ImageProcessorConfig::default()
    };
    assert_eq!(processor, expected);
}

#[test]
fn the_backbone_of_a_larger_model_has_its_configuration_inside_of_that_models() {
    let folder = tempfile::tempdir().unwrap();
    let config = BitConfig {
        num_groups: 4,
        ..small()
    };
    write_sparse(&folder.path().join("model.safetensors"), &parameters(&config));
    let bit: serde_json::Value = serde_json::from_str(&config.to_json()).unwrap();
    let outer = json!({"model_type": "vit-hybrid", "backbone_config": bit});
    fs::write(folder.path().join("config.json"), outer.to_string()).unwrap();
    let checkpoint = Checkpoint::open(folder.path()).unwrap();
    assert_eq!(
        checkpoint.to_transformers().unwrap().config().unwrap().num_groups,
        4
    );
}

#[test]
fn an_invalid_configuration_is_named_with_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    write_sparse(&folder.path().join("model.safetensors"), &parameters(&small()));
    let invalid = [
        ("config.json", r#"{"model_type": "bit", "hidden_act": "prelu"}"#),
        ("preprocessor_config.json", r#"{"resample": 99}"#),
    ];
    for (name, text) in invalid {
        fs::write(folder.path().join(name), text).unwrap();
    }
    let checkpoint = Checkpoint::open(folder.path()).unwrap();
    let tensors = checkpoint.to_transformers().unwrap();
    let messages = [
        tensors.config().unwrap_err().to_string(),
        tensors.processor().unwrap_err().to_string(),
    ];
    for ((name, _), message) in invalid.iter().zip(messages) {
        let path = folder.path().join(name);
        assert!(message.starts_with(&format!("{}: ", path.display())), "{message}");
    }
}

#[test]
fn a_missing_tensor_is_named() {
    let message = refusal(|p| p.retain(|(name, _)| name != "bit.encoder.stages.1.layers.4.norm2.bias"));
    assert!(
        message.contains("`bit.encoder.stages.1.layers.4.norm2.bias` is missing"),
        "{message}"
    );
}

#[test]
fn a_missing_block_is_noticed() {
    let message = refusal(|p| p.retain(|(name, _)| !name.starts_with("bit.encoder.stages.1.layers.4.")));
    assert!(
        message.contains("stages.1.layers.5") && message.contains("not all blocks before it"),
        "{message}"
    );
}

#[test]
fn a_tensor_too_many_is_named() {
    let message = refusal(|p| {
        p.push((
            "bit.encoder.stages.0.layers.0.downsample.norm.bias".into(),
            vec![128],
        ))
    });
    assert!(
        message.contains("downsample.norm.bias` belongs to no layer"),
        "{message}"
    );
}

#[test]
fn a_tensor_of_another_shape_is_shown_with_both() {
    let message = refusal(|p| p[3].1 = vec![96]);
    assert!(message.contains("[96]") && message.contains("[64]"), "{message}");
}
