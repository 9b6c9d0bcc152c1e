//! Files that the real libraries wrote (`fixtures/make_fixtures.py`) are read with every bit in place.
#![allow(clippy::unwrap_used)]

use bit_convert::{Checkpoint, Format};
use std::path::{Path, PathBuf};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

fn open(name: &str) -> Checkpoint {
    Checkpoint::open(&fixture(name)).unwrap()
}

/// Every tensor of the transformers folder is in `other` under the same name with the same bits.
fn assert_same_as_transformers(other: &Checkpoint) {
    let reference = open("preactivation");
    assert_eq!(other.tensors().len(), reference.tensors().len());
    for info in reference.tensors() {
        assert_eq!(
            other.read(&info.name).unwrap(),
            reference.read(&info.name).unwrap(),
            "{}",
            info.name
        );
    }
}

#[test]
fn formats_are_told_by_content() {
    for (name, format) in [
        ("preactivation", Format::Safetensors),
        ("sharded", Format::Safetensors),
        ("pytorch_zip.bin", Format::PytorchZip),
        ("sharded_bin", Format::PytorchZip),
        ("bit.pth.tar", Format::PytorchLegacy),
        ("google.npz", Format::Npz),
    ] {
        assert_eq!(open(name).format(), format, "{name}");
    }
}

#[test]
fn every_container_of_a_state_dict_gives_the_same_tensors() {
    for name in [
        "sharded",
        "sharded_bin",
        "pytorch_zip.bin",
        "protocol4.bin",
        "legacy.bin",
        "python2.bin",
        "channels_last.bin",
    ] {
        assert_same_as_transformers(&open(name));
    }
}

#[test]
fn a_training_checkpoint_shows_its_nested_tensors_under_dotted_names() {
    let checkpoint = open("training.pth");
    let nested = checkpoint.read("state_dict.module.bit.norm.weight").unwrap();
    assert_eq!(nested, open("preactivation").read("bit.norm.weight").unwrap());
}

#[test]
fn stored_and_compressed_npz_members_hold_the_same_arrays() {
    let (stored, compressed) = (open("google.npz"), open("google_compressed.npz"));
    for info in stored.tensors() {
        assert_eq!(
            stored.read(&info.name).unwrap(),
            compressed.read(&info.name).unwrap(),
            "{}",
            info.name
        );
    }
}

#[test]
fn the_index_file_itself_opens_the_shards_and_their_configuration() {
    let index = open("sharded/model.safetensors.index.json");
    assert_same_as_transformers(&index);
    let config = |checkpoint: &Checkpoint| checkpoint.to_transformers().unwrap().config().unwrap();
    assert_eq!(config(&index), config(&open("sharded")));
}

#[test]
fn a_header_whose_length_looks_like_json_is_not_taken_for_an_index() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    // Lengths whose first byte is `{`, and whose first two are a space and `{`.
    for length in [0x7b, 0x7b20] {
        let mut header = br#"{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}"#.to_vec();
        header.resize(length, b' ');
        let file = [&(length as u64).to_le_bytes()[..], &header, &[5, 6]].concat();
        std::fs::write(&path, file).unwrap();
        let opened = Checkpoint::open(&path).unwrap();
        assert_eq!(opened.format(), Format::Safetensors);
        assert_eq!(opened.read("a").unwrap().bytes, [5, 6]);
    }
}

#[test]
fn an_index_that_names_a_tensor_twice_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors.index.json");
    std::fs::write(
        &path,
        r#"{"weight_map":{"a":"1.safetensors","a":"2.safetensors"}}"#,
    )
    .unwrap();
    let message = Checkpoint::open(&path).unwrap_err().to_string();
    assert!(message.contains("`a` occurs twice"), "{message}");
}

#[test]
fn a_checkpoint_that_would_run_a_command_is_refused_by_name() {
    let message = Checkpoint::open(&fixture("attack.bin")).unwrap_err().to_string();
    assert!(
        message.contains("attack.bin") && message.contains("`posix.system`"),
        "{message}"
    );
}

#[test]
fn other_files_are_refused_with_what_they_are() {
    let folder = tempfile::tempdir().unwrap();
    for (content, expected) in [
        (&b""[..], "an empty file"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0",
            "git lfs pull",
        ),
        (b"<!DOCTYPE html>", "a failed download"),
        (b"\x89PNG\r\n", "89, 50, 4e, 47"),
    ] {
        let path = folder.path().join("model.safetensors");
        std::fs::write(&path, content).unwrap();
        let message = Checkpoint::open(folder.path()).unwrap_err().to_string();
        assert!(
            message.contains("model.safetensors") && message.contains(expected),
            "{message}"
        );
    }
}

#[test]
fn an_empty_folder_says_what_was_looked_for() {
    let folder = tempfile::tempdir().unwrap();
    let message = Checkpoint::open(folder.path()).unwrap_err().to_string();
    assert!(
        message.contains("model.safetensors") && message.contains("pytorch_model.bin"),
        "{message}"
    );
}
