//! Input that cannot work: one line that names the file and the fault, status 1, and nothing half-written.

use std::path::{Path, PathBuf};

use crate::support::*;

/// Classifies one bad file and one good one into a file in `folder`.
fn classify_bad(folder: &Path, name: &str, content: &[u8]) -> Run {
    let bad = folder.join(name);
    std::fs::write(&bad, content).unwrap();
    bit(&with_mnist(&[
        "classify",
        bad.to_str().unwrap(),
        &digit("1-0"),
        "--format",
        "json",
    ]))
}

/// A PNG that claims this size and ends soon after.
fn png_claiming(width: u32, height: u32) -> Vec<u8> {
    let sides = [width.to_be_bytes(), height.to_be_bytes()].concat();
    let header = png_chunk(b"IHDR", &[&sides[..], &[8, 2, 0, 0, 0]].concat());
    [
        b"\x89PNG\r\n\x1a\n",
        &header[..],
        &png_chunk(b"IDAT", &[0x78, 0x9c]),
    ]
    .concat()
}

fn png_chunk(kind: &[u8], data: &[u8]) -> Vec<u8> {
    let step = |crc: u32, _| {
        if crc & 1 == 1 {
            (crc >> 1) ^ 0xedb8_8320
        } else {
            crc >> 1
        }
    };
    let checked = [kind, data].concat();
    let crc = !checked
        .iter()
        .fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step));
    [
        &(data.len() as u32).to_be_bytes()[..],
        &checked,
        &crc.to_be_bytes(),
    ]
    .concat()
}

#[test]
fn a_bad_image_is_reported_and_the_rest_still_run() {
    let folder = tempfile::tempdir().unwrap();
    let whole = std::fs::read(digit("1-0")).unwrap();
    let cases: [(&str, Vec<u8>, &str); 5] = [
        ("empty.png", vec![], "the file is empty"),
        ("text.png", b"These are no pixels.".to_vec(), "not an image"),
        ("truncated.png", whole[..whole.len() / 2].to_vec(), "broken PNG"),
        ("bomb.png", png_claiming(60000, 60000), "60000x60000"),
        ("zero.png", png_claiming(0, 10), "broken PNG"),
    ];
    for (name, content, fault) in cases {
        let run = classify_bad(folder.path(), name, &content);
        run.fails_with(&[name, fault]);
        let images: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
        assert!(images[0]["error"].as_str().unwrap().contains(fault), "{images}");
        assert!(images[0]["predictions"].as_array().unwrap().is_empty());
        assert_eq!(images[1]["predictions"][0]["label"], "1", "{name}");
    }
}

#[test]
fn an_argument_that_leads_to_no_image_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().to_str().unwrap();
    let glob = format!("{empty}/*.png");
    for (argument, fault) in [
        ("missing.png", "No such file"),
        (empty, "no image in this folder"),
        (glob.as_str(), "no file matches"),
        ("[.png", "not a glob"),
    ] {
        bit(&with_mnist(&["classify", argument])).fails_with(&[argument, fault]);
    }
    bit(&with_mnist(&["classify", "-"])).fails_with(&["-: the file is empty"]);
}

#[test]
fn a_bad_image_is_an_error_in_every_format() {
    let digit = digit("1-0");
    for (format, lines) in [("text", 2), ("json", 4), ("jsonl", 2), ("csv", 3)] {
        let run = bit(&with_mnist(&[
            "classify",
            "missing.png",
            &digit,
            "--format",
            format,
            "-k",
            "1",
        ]));
        run.fails_with(&["missing.png"]);
        assert_eq!(run.stdout.lines().count(), lines, "{}", run.stdout);
        assert_eq!(run.stdout.contains("missing.png"), format != "text");
    }
}

/// Classifies with a model that something was done to.
fn with_damaged(damage: impl FnOnce(&Path)) -> (tempfile::TempDir, Run) {
    let folder = tempfile::tempdir().unwrap();
    let copy = mnist_copy(folder.path());
    damage(&copy);
    let run = bit(&["classify", &digit("0-0"), "--model", copy.to_str().unwrap()]);
    (folder, run)
}

fn edit(file: PathBuf, from: &str, to: &str) {
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains(from), "{text}");
    std::fs::write(file, text.replace(from, to)).unwrap();
}

#[test]
fn a_bad_configuration_is_named_with_its_fault() {
    let edits = [
        ("\"model_type\": \"bit\"", "\"model_type\": \"resnet\"", "resnet"),
        ("\"num_groups\": 8", "\"num_groups\": NaN", "config.json"),
        ("\"num_groups\": 8", "\"num_groups\": 7", "num_groups=7"),
        ("\"num_groups\": 8", "\"num_groups\": -8", "num_groups"),
        (
            "\"embedding_size\": 16",
            "\"embedding_size\": 1e300",
            "embedding_size",
        ),
        (
            "\"hidden_act\": \"relu\"",
            "\"hidden_act\": \"magic\"",
            "hidden_act=magic",
        ),
        (
            "\"layer_type\": \"preactivation\"",
            "\"layer_type\": \"x\"",
            "layer_type=x",
        ),
        ("{", "[", "config.json"),
    ];
    for (from, to, fault) in edits {
        let (folder, run) = with_damaged(|model| edit(model.join("config.json"), from, to));
        run.fails_with(&[folder.path().to_str().unwrap(), fault]);
    }
}

#[test]
fn bad_weights_are_named_with_their_fault() {
    fn rewrite(model: &Path, change: impl FnOnce(Vec<u8>) -> Vec<u8>) {
        let file = model.join("model.safetensors");
        std::fs::write(&file, change(std::fs::read(&file).unwrap())).unwrap();
    }
    type Damage = fn(Vec<u8>) -> Vec<u8>;
    let damages: [(&str, Damage); 5] = [
        ("truncated", |bytes| bytes[..bytes.len() - 4].to_vec()),
        ("cut in the header", |bytes| bytes[..100].to_vec()),
        ("empty", |_| vec![]),
        ("text", |_| b"<html>404</html>".to_vec()),
        ("huge header", |bytes| {
            [&u64::MAX.to_le_bytes(), &bytes[8..]].concat()
        }),
    ];
    for (name, damage) in damages {
        let (_folder, run) = with_damaged(|model| rewrite(model, damage));
        run.fails_with(&["model.safetensors"]);
        assert!(run.stdout.is_empty(), "{name}");
    }
}

#[test]
fn weights_of_another_shape_than_the_configurations_are_named() {
    let (folder, run) = with_damaged(|model| {
        edit(
            model.join("config.json"),
            "\"embedding_size\": 16",
            "\"embedding_size\": 24",
        )
    });
    run.fails_with(&[
        folder.path().to_str().unwrap(),
        "bit.embedder.convolution.weight",
        "24",
    ]);
}

#[test]
fn a_bad_image_processor_is_named_with_its_fault() {
    let processor = |model: &Path| model.join("preprocessor_config.json");
    let (folder, run) = with_damaged(|model| edit(processor(model), "\"resample\": 2", "\"resample\": 99"));
    run.fails_with(&[folder.path().to_str().unwrap(), "resample"]);
    let (folder, run) = with_damaged(|model| edit(processor(model), "\"resample\": 2", "\"resample\": NaN"));
    run.fails_with(&[folder.path().to_str().unwrap(), "not valid JSON"]);
}

#[test]
fn a_model_that_is_nowhere_says_where_it_was_looked_for() {
    let digit = digit("0-0");
    let classify = |model: &str| bit(&["classify", &digit, "--model", model]);
    classify("builtin:nothing").fails_with(&["builtin model `nothing`", "mnist"]);
    classify("no such model").fails_with(&["`no such model`"]);
    classify("google/bit-50").fails_with(&["google/bit-50", "/nonexistent"]);
    let folder = tempfile::tempdir().unwrap();
    classify(folder.path().to_str().unwrap()).fails_with(&[folder.path().to_str().unwrap(), "no checkpoint"]);
}

#[test]
fn what_cannot_be_written_is_named_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let digit = digit("0-0");
    for output in ["missing/out.npy", "."] {
        let output = path(&folder.path().join(output));
        let run = bit(&with_mnist(&["classify", &digit, "--output", &output]));
        run.fails_with(&[&output]);
    }
    assert!(listing(folder.path()).is_empty());
}

#[test]
#[cfg(unix)]
fn ctrl_c_keeps_what_is_done() {
    use std::io::{BufRead, BufReader, Read};
    use std::process::{Command, Stdio};

    // Standard input stays open, so that the second image never ends by itself.
    let (one, two) = (digit("1-0"), digit("2-0"));
    let args = [
        "classify",
        &one,
        "-",
        &two,
        "--batch-size",
        "1",
        "--format",
        "json",
    ];
    let mut child = Command::new(env!("CARGO_BIN_EXE_bit"))
        .args(with_mnist(&args))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut json = String::new();
    stdout.read_line(&mut json).unwrap();
    assert!(
        Command::new("kill")
            .args(["-INT", &child.id().to_string()])
            .status()
            .unwrap()
            .success()
    );
    let mut said = String::new();
    BufReader::new(child.stderr.take().unwrap())
        .read_line(&mut said)
        .unwrap();
    assert!(said.contains("interrupted"), "{said}");
    drop(child.stdin.take());
    stdout.read_to_string(&mut json).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let images: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(images.as_array().unwrap().len(), 1, "{images}");
    assert_eq!(images[0]["image"], one);
}
