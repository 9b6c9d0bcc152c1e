//! `bit inspect`.

use std::collections::BTreeMap;
use std::path::Path;

use bit_convert::{Checkpoint, DType, Entry, write_safetensors};

use crate::support::*;

fn write(file: &Path, name: &str, values: &[f32]) {
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let entry = Entry::from_bytes(name, DType::F32, &[values.len()], bytes);
    write_safetensors(file, vec![entry], &BTreeMap::new()).unwrap();
}

#[test]
fn json_describes_the_file_and_the_network() {
    let report = bit(&["inspect", "builtin:mnist", "--format", "json", "--size", "32"]).json();
    assert_eq!(report["format"], "safetensors");
    assert_eq!(
        report["dtypes"]["float32"].as_u64(),
        Some(report["tensors"].as_array().unwrap().len() as u64)
    );
    assert_eq!(report["dialect"], "transformers");
    let network = &report["network"];
    assert_eq!(
        (&network["layer_type"], &network["hidden_sizes"][3]),
        (&"preactivation".into(), &128.into())
    );
    assert_eq!(
        (&network["num_labels"], &network["size"]),
        (&10.into(), &32.into())
    );
    let elements = |shape: &serde_json::Value| -> u64 {
        shape
            .as_array()
            .unwrap()
            .iter()
            .map(|extent| extent.as_u64().unwrap())
            .product()
    };
    let tensors = report["tensors"].as_array().unwrap();
    let parameters: u64 = tensors.iter().map(|tensor| elements(&tensor["shape"])).sum();
    assert_eq!(report["parameters"], parameters);
    assert_eq!(report["bytes"], parameters * 4);
    assert!(network["multiply_adds"].as_u64().unwrap() > parameters);
    assert_eq!(
        (&report["error"], report["unknown"].as_array().unwrap().len()),
        (&serde_json::Value::Null, 0)
    );
}

#[test]
fn text_says_the_same_to_a_person() {
    let text = bit(&["inspect", "builtin:mnist"]).ok();
    for part in [
        "safetensors",
        "preactivation",
        "labels: 10",
        "multiply-adds at 224x224",
        "classifier.1.weight",
    ] {
        assert!(text.contains(part), "no `{part}` in {text}");
    }
}

#[test]
fn a_file_of_something_else_is_described_and_said_to_be_no_bit() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("other.safetensors");
    write(&file, "embedding", &[1.0, f32::NAN, f32::INFINITY]);
    let run = bit(&["inspect", file.to_str().unwrap(), "--format", "json"]);
    run.fails_with(&["other.safetensors", "not a BiT checkpoint"]);
    let report: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert!(report["dialect"].is_null() && report["network"].is_null());
    assert_eq!(
        (&report["tensors"][0]["name"], &report["tensors"][0]["non_finite"]),
        (&"embedding".into(), &2.into())
    );
}

#[test]
fn a_tensor_that_cannot_be_read_is_named_and_the_others_are_described() {
    let folder = tempfile::tempdir().unwrap();
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bit-convert/tests/fixtures/google.npz");
    let mut bytes = std::fs::read(fixture).unwrap();
    let name = b"resnet/root_block/standardized_conv2d/kernel.npy";
    let at = bytes
        .windows(name.len())
        .position(|window| window == name)
        .unwrap();
    bytes[at + name.len() + 400] ^= 1; // its checksum is another one now
    let file = folder.path().join("model.npz");
    std::fs::write(&file, bytes).unwrap();
    let file = file.to_str().unwrap();
    let damaged = "resnet/root_block/standardized_conv2d/kernel";
    let run = bit(&["inspect", file, "--format", "json"]);
    let report: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    let tensors = report["tensors"].as_array().unwrap();
    assert!(tensors.len() > 20);
    for tensor in tensors {
        let is_damaged = tensor["name"] == damaged;
        assert_eq!(tensor["non_finite"].is_null(), is_damaged, "{tensor}");
        assert_eq!(tensor["error"].is_string(), is_damaged, "{tensor}");
    }
    assert_eq!(report["dialect"], "big_transfer (npz)");
    let run = bit(&["inspect", file]);
    assert!(
        run.stdout.contains(&format!("cannot be read: {damaged}")),
        "{run:?}"
    );
    assert_eq!(run.status, 1);
}

#[test]
fn a_network_with_batch_norms_is_not_described_as_bit() {
    let folder = tempfile::tempdir().unwrap();
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bit-convert/tests/fixtures");
    let timm = Checkpoint::open(&fixtures.join("timm/model.safetensors")).unwrap();
    let mut entries = timm.entries();
    let name = "stages.0.blocks.0.norm1.running_mean";
    entries.push(Entry::from_bytes(name, DType::F32, &[8], vec![0; 32]));
    let file = folder.path().join("model.safetensors");
    write_safetensors(&file, entries, &BTreeMap::new()).unwrap();
    let run = bit(&["inspect", file.to_str().unwrap()]);
    run.fails_with(&[name, "batch norm, which BiT does not have"]);
    assert!(!run.stdout.contains("network:"), "{run:?}");
}

#[test]
fn every_reader_of_checkpoints_is_behind_it() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bit-convert/tests/fixtures");
    for (file, dialect) in [
        ("timm", "timm"),
        ("google.npz", "big_transfer (npz)"),
        ("bit.pth.tar", "big_transfer (PyTorch)"),
        ("legacy.bin", "transformers"),
    ] {
        let report = bit(&[
            "inspect",
            fixtures.join(file).to_str().unwrap(),
            "--format",
            "json",
        ]);
        let report: serde_json::Value = serde_json::from_str(&report.stdout).unwrap();
        assert_eq!(report["dialect"], dialect, "{file}");
    }
}

#[test]
fn a_terminal_gets_no_control_characters_from_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("other.safetensors");
    write(&file, "a\u{1b}[2Jb", &[f32::NAN]);
    let run = bit(&["inspect", file.to_str().unwrap()]);
    assert!(run.stdout.contains("1 values of a\\u{1b}[2Jb"), "{run:?}");
    assert!(
        !format!("{}{}", run.stdout, run.stderr).contains('\u{1b}'),
        "{run:?}"
    );
    let missing = folder.path().join("c\u{1b}[2Jd");
    let run = bit(&["inspect", missing.to_str().unwrap()]);
    run.fails_with(&["c\\u{1b}[2Jd"]);
}

#[test]
fn integer_weights_are_an_error_and_never_a_prediction() {
    let folder = tempfile::tempdir().unwrap();
    let copy = mnist_copy(folder.path());
    let source = Checkpoint::open(&copy).unwrap();
    let bias = "classifier.1.bias";
    for dtype in [DType::I32, DType::I64] {
        let mut entries = source.entries();
        entries.retain(|entry| entry.info.name != bias);
        entries.push(Entry::from_bytes(bias, dtype, &[10], vec![1; 10 * dtype.size()]));
        let file = folder.path().join("integers.safetensors");
        write_safetensors(&file, entries, &BTreeMap::new()).unwrap();
        let file = file.to_str().unwrap();
        let parts = [bias, &dtype.to_string(), "expected floating-point numbers"];
        bit(&["inspect", file]).fails_with(&parts);
        bit(&["classify", &digit("4-1"), "--model", file]).fails_with(&parts);
    }
}
