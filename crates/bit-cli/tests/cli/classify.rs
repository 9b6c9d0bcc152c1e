//! `bit classify`.

use serde_json::{Value, json};

use crate::support::*;

/// The file names say which digit it is. The model takes one of the thirty for another, in transformers, too.
fn wrong_digits(images: &Value) -> Vec<&Value> {
    let is_wrong = |image: &&Value| {
        let name = image["image"].as_str().unwrap().rsplit('/').next().unwrap();
        image["predictions"][0]["label"] != name[..1]
    };
    images.as_array().unwrap().iter().filter(is_wrong).collect()
}

#[test]
fn a_folder_of_digits_is_read() {
    let images = bit(&with_mnist(&["classify", &digits(), "--format", "json"])).json();
    assert_eq!(images.as_array().unwrap().len(), 30);
    assert!(wrong_digits(&images).len() <= 1, "{:#?}", wrong_digits(&images));
}

#[test]
fn json_is_an_array_with_an_object_an_image_in_input_order() {
    let (one, two) = (digit("7-1"), digit("1-2"));
    let images = bit(&with_mnist(&[
        "classify", &one, &two, "--format", "json", "--top-k", "2",
    ]))
    .json();
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    for (image, path) in images.as_array().unwrap().iter().zip([&one, &two]) {
        assert_eq!(keys(image), ["image", "predictions", "error"]);
        assert_eq!(
            (image["image"].as_str(), &image["error"]),
            (Some(path.as_str()), &Value::Null)
        );
        let predictions = image["predictions"].as_array().unwrap();
        assert_eq!(predictions.len(), 2);
        assert_eq!(keys(&predictions[0]), ["label", "index", "score"]);
        assert!(predictions[0]["score"].as_f64() >= predictions[1]["score"].as_f64());
    }
    assert_eq!(images[0]["predictions"][0]["index"], 7);
}

#[test]
fn the_batch_size_changes_neither_order_nor_answers() {
    let answers = |size: &str| {
        let args = [
            "classify",
            &digits(),
            "--format",
            "json",
            "--top-k",
            "0",
            "--batch-size",
            size,
        ];
        bit(&with_mnist(&args)).json()
    };
    let (alone, together) = (answers("1"), answers("30"));
    for (a, b) in alone.as_array().unwrap().iter().zip(together.as_array().unwrap()) {
        assert_eq!(a["image"], b["image"]);
        for (a, b) in a["predictions"]
            .as_array()
            .unwrap()
            .iter()
            .zip(b["predictions"].as_array().unwrap())
        {
            assert_eq!(a["label"], b["label"]);
            assert!((a["score"].as_f64().unwrap() - b["score"].as_f64().unwrap()).abs() < 1e-5);
        }
    }
}

#[test]
fn top_k_0_prints_all_classes_and_their_scores_sum_to_one() {
    let image = bit(&with_mnist(&[
        "classify",
        &digit("3-1"),
        "--format",
        "json",
        "--top-k",
        "0",
    ]))
    .json();
    let predictions = image[0]["predictions"].as_array().unwrap();
    assert_eq!(predictions.len(), 10);
    let sum: f64 = predictions
        .iter()
        .map(|prediction| prediction["score"].as_f64().unwrap())
        .sum();
    assert!((sum - 1.0).abs() < 1e-5, "{sum}");
}

#[test]
fn scores_are_those_of_the_logits() {
    let scores = |kind: &str| -> Vec<f64> {
        let args = [
            "classify",
            &digit("4-0"),
            "--format",
            "json",
            "--top-k",
            "0",
            "--scores",
            kind,
        ];
        let image = bit(&with_mnist(&args)).json();
        let mut found: Vec<_> = image[0]["predictions"].as_array().unwrap().clone();
        found.sort_by_key(|prediction| prediction["index"].as_u64());
        found
            .iter()
            .map(|prediction| prediction["score"].as_f64().unwrap())
            .collect()
    };
    let logits = scores("logits");
    let sum: f64 = logits.iter().map(|logit| logit.exp()).sum();
    for ((logit, softmax), sigmoid) in logits.iter().zip(scores("auto")).zip(scores("sigmoid")) {
        assert!((logit.exp() / sum - softmax).abs() < 1e-5);
        assert!((1.0 / (1.0 + (-logit).exp()) - sigmoid).abs() < 1e-5);
    }
}

#[test]
fn the_problem_type_of_the_model_decides_about_the_scores() {
    let folder = tempfile::tempdir().unwrap();
    let copy = mnist_copy(folder.path());
    let config = copy.join("config.json");
    let mut json: Value = serde_json::from_str(&std::fs::read_to_string(&config).unwrap()).unwrap();
    json["problem_type"] = json!("multi_label_classification");
    std::fs::write(&config, json.to_string()).unwrap();
    let classify = |model: &str, scores: &str| {
        let args = [
            "classify",
            &digit("5-0"),
            "--model",
            model,
            "--scores",
            scores,
            "--format",
            "json",
        ];
        bit(&args).json()
    };
    assert_eq!(
        classify(&path(&copy), "auto"),
        classify("builtin:mnist", "sigmoid")
    );
}

#[test]
fn jsonl_is_the_same_with_an_object_a_line() {
    let args = |format| with_mnist(&["classify", "--format", format]);
    let images = [digit("0-0"), digit("1-0")];
    let run = |format| bit(&[args(format), images.iter().map(String::as_str).collect()].concat());
    let lines: Vec<Value> = run("jsonl")
        .ok()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(Value::Array(lines), run("json").json());
}

#[test]
fn csv_has_a_row_a_prediction() {
    let output = bit(&with_mnist(&[
        "classify",
        &digit("2-0"),
        "--format",
        "csv",
        "-k",
        "3",
    ]))
    .ok();
    let rows: Vec<Vec<&str>> = output.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!(rows[0], ["image", "rank", "label", "index", "score", "error"]);
    assert_eq!(rows.len(), 4);
    assert_eq!((rows[1][1], rows[1][2], rows[1][3]), ("1", "2", "2"));
}

#[test]
fn text_names_the_image_and_its_classes() {
    let output = bit(&with_mnist(&["classify", &digit("9-1"), "-k", "1"])).ok();
    let lines: Vec<_> = output.lines().collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0], digit("9-1"));
    assert_eq!(lines[1].split_whitespace().nth(1), Some("9"));
}

#[test]
fn globs_folders_and_files_are_taken_once_each_in_order() {
    let glob = format!("{}/[37]-*.png", digits());
    let args = ["classify", &digit("7-1"), &glob, "--format", "json", "-k", "1"];
    let images = bit(&with_mnist(&args)).json();
    let names: Vec<_> = images
        .as_array()
        .unwrap()
        .iter()
        .map(|image| image["image"].as_str().unwrap())
        .collect();
    let expected = ["7-1", "3-0", "3-1", "3-2", "7-0", "7-2"].map(digit);
    assert_eq!(names, expected);
}

#[test]
fn standard_input_is_an_image() {
    let bytes = std::fs::read(digit("6-0")).unwrap();
    let run = bit_with_stdin(&with_mnist(&["classify", "-", "--format", "json"]), &bytes);
    let images = run.json();
    assert_eq!(images[0]["image"], "-");
    assert_eq!(images[0]["predictions"][0]["label"], "6");
}

#[test]
fn both_processors_read_the_digits() {
    for processor in ["pil", "torchvision"] {
        let args = [
            "classify",
            &digits(),
            "--processor",
            processor,
            "--format",
            "json",
        ];
        assert!(
            wrong_digits(&bit(&with_mnist(&args)).json()).len() <= 1,
            "{processor}"
        );
    }
}

#[test]
fn output_goes_to_the_file_that_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("out.json");
    let args = with_mnist(&["classify", "--format", "json", "--output", file.to_str().unwrap()]);
    let images = digit("8-0");
    assert_eq!(bit(&[args, vec![&images]].concat()).ok(), "");
    let json: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    assert_eq!(json[0]["predictions"][0]["label"], "8");
    assert_eq!(listing(folder.path()), ["out.json"]);
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let (status, stderr) = bit_into_closed_pipe(&with_mnist(&["classify", &digits(), "--format", "jsonl"]));
    assert_eq!((status, stderr.as_str()), (0, ""));
}

#[test]
fn an_image_of_another_number_of_channels_than_the_models_is_reported() {
    let four = model("four-channels");
    let args = ["classify", &digit("0-0"), "--model", four.to_str().unwrap()];
    // That model has no processor of its own; a copy of the builtin's makes it take pictures.
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("four");
    std::fs::create_dir(&copy).unwrap();
    for file in ["config.json", "model.safetensors"] {
        std::fs::copy(four.join(file), copy.join(file)).unwrap();
    }
    bit(&args).fails_with(&["preprocessor_config.json"]);
    let mnist = mnist_copy(folder.path());
    std::fs::copy(
        mnist.join("preprocessor_config.json"),
        copy.join("preprocessor_config.json"),
    )
    .unwrap();
    let args = ["classify", &digit("0-0"), "--model", copy.to_str().unwrap()];
    bit(&args).fails_with(&["0-0.png", "channel dimension", "Expected 4, found 3"]);
}
