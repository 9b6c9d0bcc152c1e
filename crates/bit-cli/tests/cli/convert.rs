//! `bit convert`.

use std::path::Path;

use serde_json::Value;

use crate::support::*;

fn convert(source: &str, dest: &Path, args: &[&str]) -> Run {
    bit(&[&["convert", source, dest.to_str().unwrap()], args].concat())
}

/// Raw scores of one digit.
fn logits(model: &Path) -> Value {
    let args = [
        "classify",
        &digit("4-1"),
        "--model",
        model.to_str().unwrap(),
        "--top-k",
        "0",
    ];
    let mut image = bit(&[&args[..], &["--scores", "logits", "--format", "json"]].concat()).json();
    image[0]["predictions"].take()
}

#[test]
fn every_format_is_written_read_back_and_gives_the_same_logits() {
    let folder = tempfile::tempdir().unwrap();
    for target in ["hf", "pytorch", "burnpack"] {
        let dest = folder.path().join(target);
        let output = convert("builtin:mnist", &dest, &["--to", target, "--verify"]).ok();
        assert!(
            output.contains("all bits equal; logits of one image differ by 0.0e0"),
            "{output}"
        );
        assert_eq!(logits(&dest), logits(Path::new("builtin:mnist")), "{target}");
    }
}

#[test]
fn the_printed_files_are_those_that_were_written() {
    let folder = tempfile::tempdir().unwrap();
    let dest = folder.path().join("model");
    let output = convert("builtin:mnist", &dest, &[]).ok();
    let mut printed: Vec<_> = output
        .lines()
        .map(|line| line.rsplit('/').next().unwrap().to_owned())
        .collect();
    printed.sort();
    assert_eq!(
        printed,
        ["config.json", "model.safetensors", "preprocessor_config.json"]
    );
    assert_eq!(printed, listing(&dest));
}

#[test]
fn the_extension_of_the_destination_says_the_format() {
    let folder = tempfile::tempdir().unwrap();
    for (name, format) in [
        ("m.bin", "PyTorch (zip)"),
        ("m.npz", "NumPy npz"),
        ("m.bpk", "burnpack"),
    ] {
        let dest = folder.path().join(name);
        let output = convert("builtin:mnist", &dest, &["--verify"]).ok();
        assert!(output.contains("all bits equal"), "{output}");
        let report = bit(&["inspect", dest.to_str().unwrap(), "--format", "json"]).stdout;
        let report: Value = serde_json::from_str(&report).unwrap();
        assert_eq!(report["format"], format);
    }
}

#[test]
fn onnx_is_written_but_cannot_be_verified() {
    let folder = tempfile::tempdir().unwrap();
    let dest = folder.path().join("model.onnx");
    convert("builtin:mnist", &dest, &["--verify"]).fails_with(&["ONNX"]);
    assert!(listing(folder.path()).is_empty());
    convert("builtin:mnist", &dest, &[]).ok();
    assert_eq!(listing(folder.path()), ["model.onnx"]);
}

#[test]
fn half_precision_is_verified_within_its_rounding() {
    let folder = tempfile::tempdir().unwrap();
    for dtype in ["f16", "bf16"] {
        let output = convert(
            "builtin:mnist",
            &folder.path().join(dtype),
            &["--dtype", dtype, "--verify"],
        )
        .ok();
        assert!(output.contains("rounded by at most"), "{output}");
        let report = bit(&[
            "inspect",
            folder.path().join(dtype).to_str().unwrap(),
            "--format",
            "json",
        ])
        .json();
        let name = if dtype == "f16" { "float16" } else { "bfloat16" };
        assert_eq!(
            report["dtypes"].as_object().unwrap().keys().collect::<Vec<_>>(),
            [name]
        );
    }
}

#[test]
fn names_that_are_not_the_expected_ones_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (timm, dest) = (mnist_copy(folder.path()), folder.path().join("out"));
    convert("builtin:mnist", &dest, &["--from", "timm"]).fails_with(&["builtin:mnist", "transformers"]);
    assert!(!dest.exists());
    convert(
        "builtin:mnist",
        &timm.join("model.safetensors"),
        &["--to", "timm"],
    )
    .ok();
    convert(timm.to_str().unwrap(), &dest, &["--from", "hf"]).fails_with(&["timm", "--from"]);
    convert(timm.to_str().unwrap(), &dest, &["--from", "timm", "--verify"]).ok();
    assert_eq!(logits(&dest), logits(Path::new("builtin:mnist")));
}

#[test]
fn a_damaged_source_leaves_no_weights_behind() {
    let folder = tempfile::tempdir().unwrap();
    let copy = mnist_copy(folder.path());
    let weights = copy.join("model.safetensors");
    let bytes = std::fs::read(&weights).unwrap();
    std::fs::write(&weights, &bytes[..bytes.len() / 2]).unwrap();
    let dest = folder.path().join("out");
    convert(copy.to_str().unwrap(), &dest, &[]).fails_with(&["model.safetensors"]);
    assert!(!dest.exists());
}

#[test]
fn other_weights_in_the_destination_are_refused_and_never_verified_instead() {
    let folder = tempfile::tempdir().unwrap();
    let dest = folder.path().join("model");
    convert("builtin:mnist", &dest, &[]).ok();
    convert(
        "builtin:mnist",
        &dest,
        &["--to", "pytorch", "--dtype", "f16", "--verify"],
    )
    .fails_with(&["model.safetensors", "is there already"]);
    let file = dest.join("pytorch_model.bin");
    let output = convert("builtin:mnist", &file, &["--dtype", "f16", "--verify"]).ok();
    assert!(output.contains("rounded by at most"), "{output}");
}

#[test]
fn a_configuration_beside_a_file_that_contradicts_it_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let dest = folder.path().join("model.bpk");
    convert("builtin:mnist", &dest, &["--verify"]).ok();
    let copy = mnist_copy(folder.path());
    let config = std::fs::read_to_string(copy.join("config.json")).unwrap();
    let mut config: Value = serde_json::from_str(&config).unwrap();
    config["num_groups"] = 1.into();
    std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    convert("builtin:mnist", &dest, &["--verify"])
        .fails_with(&["configuration was read back with other values"]);
}
