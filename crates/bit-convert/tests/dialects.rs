//! Whoever named and laid out the tensors, `to_transformers` gives transformers' names, shapes and bits.
#![allow(clippy::unwrap_used)]

use bit_convert::{BitTensors, Checkpoint, Dialect};
use std::path::Path;

fn open(name: &str) -> Checkpoint {
    Checkpoint::open(
        &Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/fixtures")
            .join(name),
    )
    .unwrap()
}

/// Every tensor of `found` has the bits of the transformers folder `reference`; returns how many there are.
fn assert_bits(found: &BitTensors<'_>, reference: &str) -> usize {
    let reference = open(reference);
    for info in found.tensors() {
        let expected = reference.read(&info.name).unwrap();
        let values = found.read_f32(&info.name).unwrap();
        assert_eq!(values, expected.to_f32(), "{}", info.name);
        assert_eq!(found.read(&info.name).unwrap(), expected, "{}", info.name);
    }
    found.tensors().len()
}

#[test]
fn every_dialect_of_the_preactivation_network_gives_the_same_bits() {
    for (name, dialect, prefix) in [
        ("preactivation", Dialect::Transformers, "bit."),
        ("training.pth", Dialect::Transformers, "state_dict.module.bit."),
        ("bit.pth.tar", Dialect::GoogleTorch, "model.module."),
        ("timm", Dialect::Timm, ""),
        ("google.npz", Dialect::GoogleNpz, "resnet/"),
        ("google_compressed.npz", Dialect::GoogleNpz, "resnet/"),
        ("google_numbered.npz", Dialect::GoogleNpz, "resnet/"),
        ("jax_conv_head.npz", Dialect::Jax, ""),
        ("jax_dense_head.npz", Dialect::Jax, "params/"),
    ] {
        let checkpoint = open(name);
        let found = checkpoint.to_transformers().unwrap();
        assert_eq!((found.dialect(), found.prefix()), (dialect, prefix), "{name}");
        assert_eq!(
            assert_bits(&found, "preactivation"),
            open("preactivation").tensors().len(),
            "{name}"
        );
        assert!(found.unused().is_empty(), "{name}: {:?}", found.unused());
    }
}

#[test]
fn a_bare_model_gets_its_prefix_and_has_no_classifier() {
    let checkpoint = open("base_model.safetensors");
    let found = checkpoint.to_transformers().unwrap();
    assert_eq!(
        assert_bits(&found, "preactivation"),
        open("preactivation").tensors().len() - 2
    );
    assert!(found.info("classifier.1.weight").is_none());
    assert_eq!(found.stored_name("bit.norm.weight"), Some("norm.weight"));
}

#[test]
fn the_resnet_inside_larger_models_is_found_by_its_prefix() {
    for (name, dialect, prefix, unused) in [
        (
            "vit_hybrid.safetensors",
            Dialect::Transformers,
            "vit.embeddings.patch_embeddings.backbone.bit.",
            "cls_token",
        ),
        (
            "dpt_hybrid.safetensors",
            Dialect::Transformers,
            "dpt.embeddings.backbone.bit.",
            "cls_token",
        ),
        (
            "timm_hybrid.safetensors",
            Dialect::Timm,
            "patch_embed.backbone.",
            "cls_token",
        ),
        (
            "midas.pt",
            Dialect::Timm,
            "pretrained.model.patch_embed.backbone.",
            "cls_token",
        ),
        ("vit_hybrid.npz", Dialect::VitNpz, "", "cls"),
    ] {
        let checkpoint = open(name);
        let found = checkpoint.to_transformers().unwrap();
        assert_eq!((found.dialect(), found.prefix()), (dialect, prefix), "{name}");
        assert_eq!(
            assert_bits(&found, "bottleneck"),
            open("bottleneck").tensors().len() - 2,
            "{name}"
        );
        assert_eq!(found.unused(), [unused], "{name}");
    }
}

#[test]
fn a_checkpoint_of_something_else_says_what_was_looked_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.safetensors");
    let other = bit_convert::Entry::from_bytes("wte.weight", bit_convert::DType::F32, &[1], vec![0; 4]);
    bit_convert::write_safetensors(&path, vec![other], &Default::default()).unwrap();
    let message = Checkpoint::open(&path)
        .unwrap()
        .to_transformers()
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("other.safetensors") && message.contains("stem.conv.weight"),
        "{message}"
    );
}
