//! Whoever named and laid out the tensors, `to_transformers` gives transformers' names, shapes and bits.
#![allow(clippy::unwrap_used)]

use bit_convert::{BitTensors, Checkpoint, DType, Dialect, Entry, write_burnpack, write_safetensors};
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
        ("timm_training.pth.tar", Dialect::Timm, "state_dict."),
        ("python2.bin", Dialect::Transformers, "bit."),
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
    let hybrid = [Dialect::Transformers, Dialect::Timm, Dialect::VitNpz];
    let [transformers, timm, npz] = hybrid;
    for (name, dialect, prefix, of_others) in [
        (
            "vit_hybrid.safetensors",
            transformers,
            "vit.embeddings.patch_embeddings.backbone.bit.",
            "cls_token",
        ),
        (
            "dpt_hybrid.safetensors",
            transformers,
            "dpt.embeddings.backbone.bit.",
            "neck.convs.0.weight",
        ),
        (
            "timm_hybrid.safetensors",
            timm,
            "patch_embed.backbone.",
            "cls_token",
        ),
        (
            "midas.pt",
            timm,
            "pretrained.model.patch_embed.backbone.",
            "pretrained.model.cls_token",
        ),
        ("vit_hybrid.npz", npz, "", "cls"),
    ] {
        let checkpoint = open(name);
        let found = checkpoint.to_transformers().unwrap();
        assert_eq!((found.dialect(), found.prefix()), (dialect, prefix), "{name}");
        let network = assert_bits(&found, "bottleneck");
        assert_eq!(network, open("bottleneck").tensors().len() - 2, "{name}");
        assert_eq!(
            found.unused().len(),
            checkpoint.tensors().len() - network,
            "{name}"
        );
        assert!(found.unused().iter().any(|unused| unused == of_others), "{name}");
    }
}

/// The tiny timm network with one more tensor in it.
fn timm_and(name: &str, folder: &Path) -> Checkpoint {
    let path = folder.join("model.safetensors");
    let timm = open("timm");
    let mut entries = timm.entries();
    entries.push(Entry::from_bytes(name, DType::F32, &[8], vec![0; 32]));
    write_safetensors(&path, entries, &Default::default()).unwrap();
    Checkpoint::open(&path).unwrap()
}

#[test]
fn a_network_of_other_layers_is_no_bit_though_it_has_all_its_names_and_shapes() {
    let folder = tempfile::tempdir().unwrap();
    let batch_norm = "batch norm, which BiT does not have";
    let other = "a parameter that this layer of BiT does not have";
    for (name, what) in [
        ("norm.running_mean", batch_norm),
        ("stages.0.blocks.0.norm1.running_var", batch_norm),
        ("stages.1.blocks.1.norm3.num_batches_tracked", batch_norm),
        ("stages.1.blocks.1.conv2.bias", other),
        ("stem.conv.bias", other),
    ] {
        let checkpoint = timm_and(name, folder.path());
        let message = checkpoint.to_transformers().unwrap_err().to_string();
        assert!(
            message.contains(&format!("not a BiT checkpoint: `{name}`: {what}")),
            "{message}"
        );
    }
    for name in [
        "cls_token",
        "stages.0.blocks.0.attention.weight",
        "optimizer.norm.running_mean",
    ] {
        let checkpoint = timm_and(name, folder.path());
        assert_eq!(checkpoint.to_transformers().unwrap().unused(), [name]);
    }
}

#[test]
fn a_checkpoint_without_blocks_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("stem.safetensors");
    let stem = Entry::from_bytes("stem.conv.weight", DType::F32, &[1, 1, 7, 7], vec![0; 196]);
    write_safetensors(&path, vec![stem], &Default::default()).unwrap();
    let checkpoint = Checkpoint::open(&path).unwrap();
    let message = checkpoint
        .to_transformers()
        .unwrap()
        .config()
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("no blocks, such as one with `stages.0.blocks.0.conv1.weight`"),
        "{message}"
    );
}

#[test]
fn variants_that_burns_stores_put_into_names_are_left_out() {
    for (reference, variant) in [("preactivation", "Preactivation"), ("bottleneck", "Bottleneck")] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.bpk");
        let plain = open(reference);
        let named = plain.entries().into_iter().map(|entry| {
            let name = entry.info.name.clone();
            match name.split_once(".layers.") {
                Some((stage, rest)) => {
                    let (layer, rest) = rest.split_once('.').unwrap();
                    entry.renamed(format!("{stage}.layers.{layer}.{variant}.{rest}"))
                }
                None => entry,
            }
        });
        write_burnpack(&path, named.collect(), &Default::default()).unwrap();
        let checkpoint = Checkpoint::open(&path).unwrap();
        let found = checkpoint.to_transformers().unwrap();
        assert_eq!(assert_bits(&found, reference), plain.tensors().len());
        assert!(found.unused().is_empty());
    }
}

#[test]
fn a_checkpoint_of_something_else_says_what_was_looked_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.safetensors");
    let other = Entry::from_bytes("wte.weight", DType::F32, &[1], vec![0; 4]);
    write_safetensors(&path, vec![other], &Default::default()).unwrap();
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
