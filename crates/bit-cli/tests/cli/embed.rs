//! `bit embed`.

use std::path::Path;

use bit_convert::{Checkpoint, DType};

use crate::support::*;

/// Shape and values of the tensor in a safetensors file.
fn read(file: &Path) -> (Vec<usize>, Vec<f32>) {
    let checkpoint = Checkpoint::open(file).unwrap();
    let tensor = checkpoint.read("embeddings").unwrap();
    assert_eq!((checkpoint.tensors().len(), tensor.dtype), (1, DType::F32));
    (tensor.shape.clone(), tensor.to_f32().unwrap())
}

fn embed(file: &Path, args: &[&str]) -> Run {
    bit(&[
        &with_mnist(&["embed", "--output", file.to_str().unwrap()])[..],
        args,
    ]
    .concat())
}

fn two_digits() -> [String; 2] {
    [digit("5-0"), digit("2-1")]
}

#[test]
fn every_feature_has_its_shape() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.safetensors");
    let [a, b] = two_digits();
    let shapes: &[(&str, &[usize])] = &[
        ("logits", &[2, 10]),
        ("pixel_values", &[2, 3, 32, 32]),
        ("hidden_states.0", &[2, 16, 8, 8]),
    ];
    for (feature, shape) in shapes {
        assert_eq!(embed(&file, &[&a, &b, "--feature", feature]).ok(), "");
        let (found, values) = read(&file);
        assert_eq!(&found, shape, "{feature}");
        assert!(values.iter().all(|value| value.is_finite()));
    }
    let shape = |feature| {
        embed(&file, &[&a, &b, "--feature", feature]).ok();
        read(&file).0
    };
    let (pooled, map) = (shape("pooler_output"), shape("last_hidden_state"));
    assert_eq!((pooled.len(), map.len()), (2, 4));
    assert_eq!(pooled[..], map[..2]);
}

#[test]
fn pooled_features_are_the_means_of_the_last_hidden_state() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.safetensors");
    let [a, b] = two_digits();
    embed(&file, &[&a, &b, "--feature", "last_hidden_state"]).ok();
    let (shape, maps) = read(&file);
    embed(&file, &[&a, &b]).ok();
    let (_, pooled) = read(&file);
    let pixels = shape[2] * shape[3];
    for (map, mean) in maps.chunks(pixels).zip(pooled) {
        assert!((map.iter().sum::<f32>() / pixels as f32 - mean).abs() < 1e-4);
    }
}

#[test]
fn logits_are_those_that_classify_prints() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.safetensors");
    embed(&file, &[&digit("3-0"), "--feature", "logits"]).ok();
    let args = [
        "classify",
        &digit("3-0"),
        "--top-k",
        "0",
        "--scores",
        "logits",
        "--format",
        "json",
    ];
    let image = bit(&with_mnist(&args)).json();
    let (_, values) = read(&file);
    for prediction in image[0]["predictions"].as_array().unwrap() {
        let value = values[prediction["index"].as_u64().unwrap() as usize];
        assert!((prediction["score"].as_f64().unwrap() - f64::from(value)).abs() < 1e-5);
    }
}

#[test]
fn the_images_are_named_in_input_order_in_the_metadata() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.safetensors");
    let [a, b] = two_digits();
    embed(&file, &[&b, &a]).ok();
    let checkpoint = Checkpoint::open(&file).unwrap();
    let paths: Vec<String> = serde_json::from_str(&checkpoint.metadata()["paths"]).unwrap();
    assert_eq!(paths, [b, a]);
    assert_eq!(checkpoint.metadata()["feature"], "pooler_output");
    assert_eq!(checkpoint.metadata()["model"], "builtin:mnist");
}

#[test]
fn a_bad_image_is_left_out_and_the_rest_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let (file, bad) = (folder.path().join("x.safetensors"), folder.path().join("bad.png"));
    std::fs::write(&bad, "").unwrap();
    let [a, b] = two_digits();
    embed(&file, &[&a, bad.to_str().unwrap(), &b]).fails_with(&["bad.png", "empty"]);
    let checkpoint = Checkpoint::open(&file).unwrap();
    let paths: Vec<String> = serde_json::from_str(&checkpoint.metadata()["paths"]).unwrap();
    assert_eq!(paths, [a, b]);
    assert_eq!(checkpoint.tensors()[0].shape[0], 2);
}

#[test]
fn npy_and_csv_hold_the_same_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let [a, b] = two_digits();
    let files = ["x.safetensors", "x.npy", "x.csv"].map(|name| folder.path().join(name));
    for file in &files {
        embed(file, &[&a, &b, "--feature", "logits"]).ok();
    }
    let (_, expected) = read(&files[0]);

    let npy = std::fs::read(&files[1]).unwrap();
    let length = usize::from(u16::from_le_bytes([npy[8], npy[9]]));
    let header = std::str::from_utf8(&npy[10..10 + length]).unwrap();
    assert!(
        npy.starts_with(b"\x93NUMPY\x01\x00") && (10 + length).is_multiple_of(64) && header.ends_with('\n')
    );
    assert!(
        header.contains("'descr': '<f4'") && header.contains("'shape': (2, 10, )"),
        "{header}"
    );
    let values: Vec<f32> = npy[10 + length..]
        .as_chunks()
        .0
        .iter()
        .map(|bytes| f32::from_le_bytes(*bytes))
        .collect();
    assert_eq!(values, expected);

    let csv = std::fs::read_to_string(&files[2]).unwrap();
    let rows: Vec<Vec<&str>> = csv.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!(
        (rows.len(), rows[0][0], rows[0][10], rows[2][0]),
        (3, "image", "9", b.as_str())
    );
    let values: Vec<f32> = rows[1..]
        .iter()
        .flat_map(|row| &row[1..])
        .map(|value| value.parse().unwrap())
        .collect();
    assert_eq!(values, expected);
}

#[test]
fn parquet_holds_the_same_numbers_beside_the_names() {
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::{ListAccessor, RowAccessor};

    let folder = tempfile::tempdir().unwrap();
    let [a, b] = two_digits();
    let files = ["x.safetensors", "x.parquet"].map(|name| folder.path().join(name));
    for file in &files {
        embed(file, &[&a, &b, "--feature", "hidden_states.4"]).ok();
    }
    let (shape, expected) = read(&files[0]);

    let reader = SerializedFileReader::new(std::fs::File::open(&files[1]).unwrap()).unwrap();
    let metadata = reader
        .metadata()
        .file_metadata()
        .key_value_metadata()
        .unwrap()
        .clone();
    let stored = metadata.iter().find(|pair| pair.key == "shape").unwrap();
    let row_shape: Vec<usize> = serde_json::from_str(stored.value.as_ref().unwrap()).unwrap();
    assert_eq!(row_shape, shape[1..]);
    let rows: Vec<_> = reader
        .get_row_iter(None)
        .unwrap()
        .map(|row| row.unwrap())
        .collect();
    let names: Vec<_> = rows
        .iter()
        .map(|row| row.get_string(0).unwrap().clone())
        .collect();
    assert_eq!(names, [a, b]);
    let values: Vec<f32> = rows
        .iter()
        .map(|row| row.get_list(1).unwrap())
        .flat_map(|list| {
            (0..list.len())
                .map(|i| list.get_float(i).unwrap())
                .collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(values, expected);
}

#[test]
fn a_file_name_that_says_no_format_is_a_usage_error_that_says_which_do() {
    for name in ["x", "x.arrow", "x.NPY"] {
        let run = embed(Path::new(name), &[&digit("0-0")]);
        assert_eq!(run.status, 2, "{run:?}");
        assert!(
            run.stderr.contains(".safetensors, .npy, .csv, .parquet"),
            "{run:?}"
        );
    }
}

#[test]
fn a_hidden_state_that_is_not_there_is_an_error_that_says_which_are() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.safetensors");
    embed(&file, &[&digit("0-0"), "--feature", "hidden_states.9"])
        .fails_with(&["hidden_states.0 to hidden_states."]);
    assert!(listing(folder.path()).is_empty());
}

#[test]
fn without_a_single_good_image_there_is_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.npy");
    let run = embed(&file, &["missing.png"]);
    assert_eq!(run.status, 1);
    assert!(
        run.stderr.contains("missing.png") && run.stderr.contains("not written"),
        "{run:?}"
    );
    assert!(listing(folder.path()).is_empty());
}

#[test]
fn images_of_different_shapes_are_an_error_and_not_a_broken_file() {
    let folder = tempfile::tempdir().unwrap();
    let copy = mnist_copy(folder.path());
    let processor = copy.join("preprocessor_config.json");
    let text = std::fs::read_to_string(&processor).unwrap();
    let mut json: serde_json::Value = serde_json::from_str(&text).unwrap();
    (json["do_resize"], json["do_center_crop"]) = (false.into(), false.into());
    std::fs::write(&processor, json.to_string()).unwrap();
    let (small, file) = (folder.path().join("small.png"), folder.path().join("x.npy"));
    std::fs::write(&small, SMALL_PNG).unwrap();
    let images = [digit("0-0"), path(&small)];
    let args = [
        "embed",
        &images[0],
        &images[1],
        "--model",
        copy.to_str().unwrap(),
        "--output",
        file.to_str().unwrap(),
    ];
    bit(&[&args[..], &["--feature", "hidden_states.0"]].concat())
        .fails_with(&["small.png", "do_center_crop"]);
    assert!(!file.exists());
    bit(&args).ok();
}

/// 8x8 gray pixels.
const SMALL_PNG: &[u8] = &[
    137, 80, 78, 71, 13, 10, 26, 10, 0, 0, 0, 13, 73, 72, 68, 82, 0, 0, 0, 8, 0, 0, 0, 8, 8, 0, 0, 0, 0, 225,
    100, 225, 87, 0, 0, 0, 12, 73, 68, 65, 84, 120, 156, 99, 96, 160, 14, 0, 0, 0, 72, 0, 1, 46, 184, 60,
    126, 0, 0, 0, 0, 73, 69, 78, 68, 174, 66, 96, 130,
];
