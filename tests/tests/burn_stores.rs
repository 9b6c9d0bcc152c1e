//! Burn's own stores and this project read each other's files, though a layer is an enum here, whose variant those put
//! into the names of its parameters.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use bit_config::{BitConfig, LayerType};
use bit_convert::{Checkpoint, ConvertOptions, Target, convert};
use bit_model::{BitForImageClassification, named_parameters};
use burn::tensor::Device;
use burn_store::{BurnpackStore, ModuleSnapshot, SafetensorsStore};

fn config(layer_type: LayerType) -> BitConfig {
    BitConfig {
        layer_type,
        embedding_size: 8,
        hidden_sizes: vec![16, 24],
        depths: vec![1, 2],
        num_groups: 4,
        ..BitConfig::default()
    }
    .with_num_labels(5)
}

fn model(config: &BitConfig) -> BitForImageClassification {
    BitForImageClassification::new(config, &Device::flex()).unwrap()
}

/// The bytes of every parameter, in the order of the module.
fn bytes(model: &BitForImageClassification) -> Vec<(String, Vec<u8>)> {
    let parameters = named_parameters(model).into_iter();
    parameters
        .map(|parameter| {
            (
                parameter.name.clone(),
                parameter.into_data().into_bytes().to_vec(),
            )
        })
        .collect()
}

fn assert_same(path: &Path, model: &BitForImageClassification, config: &BitConfig) {
    let checkpoint = Checkpoint::open(path).unwrap();
    let tensors = checkpoint.to_transformers().unwrap();
    tensors.check(config).unwrap();
    let expected = bytes(model);
    assert_eq!(tensors.tensors().len(), expected.len());
    for (name, bytes) in expected {
        assert_eq!(tensors.read(&name).unwrap().bytes, bytes, "{name}");
    }
}

#[test]
fn what_burns_stores_save_of_a_model_is_read_here() {
    for layer_type in [LayerType::Preactivation, LayerType::Bottleneck] {
        let folder = tempfile::tempdir().unwrap();
        let config = config(layer_type);
        let model = model(&config);
        let pack = folder.path().join("model.bpk");
        model.save_into(&mut BurnpackStore::from_file(&pack)).unwrap();
        assert_same(&pack, &model, &config);
        let file = folder.path().join("model.safetensors");
        model.save_into(&mut SafetensorsStore::from_file(&file)).unwrap();
        assert_same(&file, &model, &config);
    }
}

#[test]
fn burns_stores_load_what_is_written_here_when_they_are_told_of_the_variants() {
    for (layer_type, variant) in [
        (LayerType::Preactivation, "Preactivation"),
        (LayerType::Bottleneck, "Bottleneck"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let config = config(layer_type);
        let (saved, file) = (model(&config), folder.path().join("saved.safetensors"));
        saved.save_into(&mut SafetensorsStore::from_file(&file)).unwrap();
        let source = Checkpoint::open(&file).unwrap();
        let options = ConvertOptions {
            config: Some(config.clone()),
            ..ConvertOptions::default()
        };
        for (target, name) in [
            (Target::Transformers, "out.safetensors"),
            (Target::Burnpack, "out.bpk"),
        ] {
            convert(&source, &folder.path().join(name), target, &options).unwrap();
        }

        let mut loaded = model(&config);
        assert_ne!(bytes(&loaded), bytes(&saved));
        let file = folder.path().join("out.safetensors");
        let mut store = SafetensorsStore::from_file(file).skip_enum_variants(true);
        loaded.load_from(&mut store).unwrap();
        assert_eq!(bytes(&loaded), bytes(&saved));

        let mut loaded = model(&config);
        let variant = format!("layers.$1.{variant}.");
        let mut store = BurnpackStore::from_file(folder.path().join("out.bpk"))
            .with_remap_pattern(r"layers\.(\d+)\.", variant);
        loaded.load_from(&mut store).unwrap();
        assert_eq!(bytes(&loaded), bytes(&saved));
    }
}
