//! `bit finetune`, `bit evaluate` and `bit explain`.

use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::Duration;

use serde_json::Value;

use crate::support::*;

/// A folder a digit, with three pictures each.
fn digit_folders(root: &Path) -> PathBuf {
    let data = root.join("digits");
    for name in listing(Path::new(&digits())) {
        let class = data.join(&name[..1]);
        std::fs::create_dir_all(&class).unwrap();
        std::fs::copy(format!("{}/{name}", digits()), class.join(name)).unwrap();
    }
    data
}

/// A run of a few small steps from `builtin:mnist`, one picture of each digit set aside.
fn finetune<'a>(data: &'a str, output: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let small = [
        "finetune",
        "--data",
        data,
        "--output",
        output,
        "--batch-size",
        "8",
        "--resolution",
        "36:32",
        "--no-flip",
        "--validation-split",
        "0.34",
        "--base-lr",
        "0.01",
        "--threads",
        "1",
    ];
    [&with_mnist(&small), more].concat()
}

fn json(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn a_folder_of_digits_becomes_a_model_that_the_other_commands_read() {
    let root = tempfile::tempdir().unwrap();
    let (data, output) = (path(&digit_folders(root.path())), root.path().join("model"));
    let model = path(&output);
    let text = bit(&finetune(&data, &model, &["--steps", "6", "--test", &data])).ok();
    for part in [
        "20 images of 10 classes",
        "\"batch_size\": 8",
        "validation: top-1",
        "test: top-1",
        "6 steps",
    ] {
        assert!(text.contains(part), "no `{part}` in {text}");
    }
    let files = listing(&output);
    for file in [
        "README.md",
        "checkpoints",
        "config.json",
        "metrics.jsonl",
        "model.safetensors",
        "recipe.json",
    ] {
        assert!(files.iter().any(|name| name == file), "no {file} in {files:?}");
    }
    assert!(files.iter().any(|name| name.starts_with("events.out.tfevents.")));
    assert_eq!(
        json(&output.join("config.json"))["problem_type"],
        "single_label_classification"
    );
    assert_eq!(json(&output.join("recipe.json"))["schedule"]["end"], 6);
    assert!(
        std::fs::read_to_string(output.join("README.md"))
            .unwrap()
            .contains("| test |")
    );
    let report = bit(&["evaluate", "--data", &data, "--model", &model, "--format", "json"]).json();
    assert_eq!(report["images"], 30);
    assert!(report["top1"].as_f64() > Some(0.5), "{report}");
    let seen = bit(&["classify", &digit("3-1"), "--model", &model, "--format", "json"]).json();
    assert_eq!(seen[0]["predictions"].as_array().unwrap().len(), 5);
}

#[test]
fn every_line_of_the_log_is_json_and_rates_are_the_schedules() {
    let root = tempfile::tempdir().unwrap();
    let (data, output) = (path(&digit_folders(root.path())), root.path().join("model"));
    bit(&finetune(
        &data,
        &path(&output),
        &["--steps", "5", "--evaluate-every", "2", "--ema", "0.5"],
    ))
    .ok();
    let log = std::fs::read_to_string(output.join("metrics.jsonl")).unwrap();
    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let rates: Vec<f64> = lines
        .iter()
        .filter_map(|line| line["learning_rate"].as_f64())
        .collect();
    assert_eq!(rates, [0.0, 0.01, 0.01, 0.001, 0.0001]);
    let scored: Vec<u64> = lines.iter().filter_map(|line| line["steps"].as_u64()).collect();
    assert_eq!(scored, [2, 4, 5]);
}

#[test]
fn a_run_in_a_folder_that_holds_one_needs_resume_and_the_same_recipe() {
    let root = tempfile::tempdir().unwrap();
    let (data, output) = (
        path(&digit_folders(root.path())),
        path(&root.path().join("model")),
    );
    let run = |more: &[&str]| bit(&finetune(&data, &output, more));
    run(&["--steps", "2"]).ok();
    run(&["--steps", "2"]).fails_with(&["holds a training run already", "--resume"]);
    run(&["--steps", "2", "--seed", "1", "--resume"]).fails_with(&["seed 0 instead of 1", "the arguments"]);
    // Nothing is left to do: the result is written again.
    let before = std::fs::read(root.path().join("model/model.safetensors")).unwrap();
    run(&["--steps", "2", "--resume"]).ok();
    assert_eq!(
        std::fs::read(root.path().join("model/model.safetensors")).unwrap(),
        before
    );
    // Pictures that were exchanged make it another run, and those of a folder that was moved do not.
    let moved = root.path().join("moved");
    std::fs::rename(&data, &moved).unwrap();
    let (data, picture) = (path(&moved), moved.join("0").join(&listing(&moved.join("0"))[0]));
    let run = |more: &[&str]| bit(&finetune(&data, &output, more));
    run(&["--steps", "2", "--resume"]).ok();
    std::fs::copy(
        Path::new(&digits()).join(&listing(Path::new(&digits()))[9]),
        picture,
    )
    .unwrap();
    let exchanged = run(&["--steps", "2", "--resume"]);
    exchanged.fails_with(&[
        "images of other names, sizes, labels or order",
        "the data that the run",
    ]);
}

/// Steps that the log of a run holds.
fn steps_logged(output: &Path) -> usize {
    let log = std::fs::read_to_string(output.join("metrics.jsonl")).unwrap_or_default();
    log.lines().filter(|line| line.contains("learning_rate")).count()
}

/// Starts a run and waits until it has taken so many steps, or has ended.
fn run_until(args: &[&str], output: &Path, steps: usize) -> Child {
    let mut child = start(args);
    while steps_logged(output) < steps && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(1));
    }
    child
}

/// The files that a run is judged by.
fn result(output: &Path) -> Vec<Vec<u8>> {
    let files = [
        "model.safetensors",
        "checkpoints/last.safetensors",
        "checkpoints/best.safetensors",
        "README.md",
    ];
    files.map(|file| std::fs::read(output.join(file)).unwrap()).into()
}

/// Kills a run again and again, resumes it each time, and compares what it comes to.
fn assert_kills_change_nothing(kills: usize, more: &[&str]) {
    let steps = 4 * kills + 4;
    let steps_text = steps.to_string();
    let root = tempfile::tempdir().unwrap();
    let data = path(&digit_folders(root.path()));
    let (whole, killed) = (root.path().join("whole"), root.path().join("killed"));
    let (whole_name, killed_name) = (path(&whole), path(&killed));
    let recipe = [
        "--steps",
        &steps_text,
        "--save-every",
        "1",
        "--mixup",
        "0.2",
        "--ema",
        "0.9",
        "--batch-split",
        "2",
    ];
    let recipe = [&recipe, more].concat();
    bit(&finetune(&data, &whole_name, &recipe)).ok();
    let resume = [&recipe[..], &["--resume"]].concat();
    let args = finetune(&data, &killed_name, &resume);
    for kill in 0..kills {
        let mut child = run_until(&args, &killed, 4 * kill + 2);
        // A few more moments, so that it is hit in the middle of things: a step, a checkpoint, a line of the log.
        std::thread::sleep(Duration::from_micros(1700 * (kill as u64 * 7 % 10)));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    std::fs::write(killed.join("checkpoints/.tmpAbCdEf"), "half of a checkpoint").unwrap();
    bit(&args).ok();
    assert_eq!(steps_logged(&killed), steps, "every step is logged once");
    assert_eq!(
        listing(&killed.join("checkpoints")),
        ["best.safetensors", "last.safetensors"]
    );
    assert!(result(&whole) == result(&killed), "the results differ");
}

#[test]
fn a_run_that_is_killed_ten_times_ends_bit_for_bit_as_an_undisturbed_one() {
    assert_kills_change_nothing(10, &[]);
}

#[cfg(feature = "ndarray")]
#[test]
fn a_run_on_two_devices_that_is_killed_ends_bit_for_bit_as_an_undisturbed_one() {
    assert_kills_change_nothing(3, &["--device", "cpu,ndarray"]);
}

#[test]
fn a_device_works_once_and_a_probe_on_one() {
    let root = tempfile::tempdir().unwrap();
    let (data, output) = (
        path(&digit_folders(root.path())),
        path(&root.path().join("model")),
    );
    let run = |more: &[&str]| bit(&finetune(&data, &output, more));
    run(&["--device", "cpu,cpu"]).fails_with(&["--device cpu: is there twice"]);
    #[cfg(feature = "ndarray")]
    bit(&with_mnist(&[
        "finetune",
        "--probe",
        "--data",
        &data,
        "--output",
        &output,
        "--device",
        "cpu,ndarray",
    ]))
    .fails_with(&["--probe: works on one device, not 2"]);
}

#[cfg(unix)]
#[test]
fn ctrl_c_finishes_the_step_and_saves_a_model_and_resume_goes_on() {
    let root = tempfile::tempdir().unwrap();
    let data = path(&digit_folders(root.path()));
    let (whole, stopped) = (root.path().join("whole"), root.path().join("stopped"));
    let (whole_name, stopped_name) = (path(&whole), path(&stopped));
    let recipe = ["--steps", "40", "--optimizer", "adamw", "--freeze", "stage1"];
    bit(&finetune(&data, &whole_name, &recipe)).ok();
    let mut child = run_until(&finetune(&data, &stopped_name, &recipe), &stopped, 9);
    let interrupt = std::process::Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(interrupt.unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let report = bit(&[
        "evaluate",
        "--data",
        &data,
        "--model",
        &stopped_name,
        "--format",
        "json",
    ])
    .json();
    assert_eq!(report["images"], 30);
    bit(&finetune(
        &data,
        &stopped_name,
        &[&recipe[..], &["--resume"]].concat(),
    ))
    .ok();
    assert!(result(&whole) == result(&stopped), "the results differ");
}

#[test]
fn a_loss_that_is_not_finite_ends_the_run_with_a_clear_message() {
    let root = tempfile::tempdir().unwrap();
    let (data, output) = (
        path(&digit_folders(root.path())),
        path(&root.path().join("model")),
    );
    let args = [
        "--steps",
        "20",
        "--weight-decay",
        "1e30",
        "--evaluate-every",
        "20",
    ];
    bit(&finetune(&data, &output, &args)).fails_with(&[
        "training has diverged",
        "learning rate 0.01",
        "is NaN",
    ]);
    // Nothing was saved that is not finite: the folder takes the next attempt.
    bit(&finetune(&data, &output, &["--steps", "2"])).ok();
}

#[test]
fn weights_that_are_not_finite_are_never_saved() {
    let root = tempfile::tempdir().unwrap();
    let (data, output) = (path(&digit_folders(root.path())), root.path().join("model"));
    // The first step overflows, and its loss does not show it.
    let args = ["--steps", "1", "--weight-decay", "1e300"];
    bit(&finetune(&data, &path(&output), &args)).fails_with(&["training has diverged", "not finite"]);
    assert_eq!(listing(&output.join("checkpoints")), [""; 0]);
    assert!(!output.join("model.safetensors").exists());
}

#[test]
fn a_folder_with_a_readme_of_its_own_is_left_alone() {
    let root = tempfile::tempdir().unwrap();
    let (data, output) = (path(&digit_folders(root.path())), root.path().join("project"));
    std::fs::create_dir(&output).unwrap();
    for file in ["README.md", ".tmpfile"] {
        std::fs::write(output.join(file), "mine").unwrap();
    }
    bit(&finetune(&data, &path(&output), &["--steps", "1"])).fails_with(&["project", "README.md"]);
    assert_eq!(std::fs::read_to_string(output.join("README.md")).unwrap(), "mine");
    std::fs::remove_file(output.join("README.md")).unwrap();
    bit(&finetune(&data, &path(&output), &["--steps", "1"])).ok();
    bit(&finetune(&data, &path(&output), &["--steps", "1", "--resume"])).ok();
    assert!(
        output.join(".tmpfile").exists(),
        "only temporary files of ours are removed"
    );
}

#[test]
fn other_data_is_used_by_the_part_that_is_meant() {
    let root = tempfile::tempdir().unwrap();
    let data = digit_folders(root.path());
    let other = root.path().join("other");
    for (part, count) in [("train", 3), ("validation", 2), ("test", 1)] {
        for class in listing(&data) {
            let folder = other.join(part).join(&class);
            std::fs::create_dir_all(&folder).unwrap();
            for name in &listing(&data.join(&class))[..count] {
                std::fs::copy(data.join(&class).join(name), folder.join(name)).unwrap();
            }
        }
    }
    let (data, other, output) = (path(&data), path(&other), path(&root.path().join("model")));
    let args = ["--steps", "1", "--validation", &other, "--test", &other];
    let text = bit(&finetune(&data, &output, &args)).ok();
    assert!(
        text.contains("30 images of 10 classes to learn from, 20 to validate with, 10 to test with"),
        "{text}"
    );
}

#[test]
fn test_data_that_cannot_be_read_does_not_cost_the_model() {
    let root = tempfile::tempdir().unwrap();
    let (data, output) = (path(&digit_folders(root.path())), root.path().join("model"));
    let test = root.path().join("test");
    for class in 0..10 {
        std::fs::create_dir_all(test.join(class.to_string())).unwrap();
        std::fs::write(test.join(format!("{class}/bad.png")), "no picture").unwrap();
    }
    let args = ["--steps", "1", "--strict", "--test", &path(&test)];
    bit(&finetune(&data, &path(&output), &args)).fails_with(&["bad.png"]);
    bit(&["classify", &digit("3-1"), "--model", &path(&output)]).ok();
}

#[test]
fn one_image_a_class_is_enough_to_learn_from() {
    let root = tempfile::tempdir().unwrap();
    let data = digit_folders(root.path());
    for class in listing(&data) {
        for name in &listing(&data.join(&class))[1..] {
            std::fs::remove_file(data.join(&class).join(name)).unwrap();
        }
    }
    let (data, output) = (path(&data), path(&root.path().join("model")));
    let args = [
        "finetune",
        "--data",
        &data,
        "--output",
        &output,
        "--steps",
        "1",
        "--resolution",
        "32",
    ];
    let found = bit(&with_mnist(&args));
    assert_eq!(found.status, 0, "{found:?}");
    assert!(found.stderr.contains("no images are set aside"), "{found:?}");
    assert!(
        found
            .stdout
            .contains("10 images of 10 classes to learn from, 0 to validate with"),
        "{found:?}"
    );
}

#[cfg(unix)]
#[test]
fn a_link_to_a_picture_that_is_gone_is_left_out_and_named() {
    let root = tempfile::tempdir().unwrap();
    let data = digit_folders(root.path());
    std::os::unix::fs::symlink("gone.png", data.join("3/link.png")).unwrap();
    let evaluate = |more: &[&str]| bit(&[&with_mnist(&["evaluate", "--data", &path(&data)]), more].concat());
    let found = evaluate(&[]);
    assert!(
        found.stderr.contains("link.png") && found.stdout.contains("images 30"),
        "{}",
        found.stderr
    );
    assert_eq!(found.status, 1);
    evaluate(&["--strict"]).fails_with(&["link.png"]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_folder_whose_name_is_not_unicode_can_take_the_model() {
    use std::ffi::{OsStr, OsString};
    use std::os::unix::ffi::OsStrExt;
    let root = tempfile::tempdir().unwrap();
    let data = path(&digit_folders(root.path()));
    let args = finetune(&data, "PLACE", &["--steps", "1", "--format", "json"]);
    let output = root.path().join(OsStr::from_bytes(b"caf\xe9"));
    let args = args.into_iter().map(|arg| match arg {
        "PLACE" => output.clone().into_os_string(),
        arg => OsString::from(arg),
    });
    let found = bit(&args.collect::<Vec<_>>()).json();
    assert!(found["output"].as_str().unwrap().ends_with("caf\u{fffd}"));
}

#[test]
fn frozen_parts_keep_their_weights() {
    let root = tempfile::tempdir().unwrap();
    let data = path(&digit_folders(root.path()));
    let original = mnist_copy(root.path());
    for (freeze, changed) in [
        ("backbone", "classifier"),
        ("stage3", "stages.3"),
        ("nothing", "embedder"),
    ] {
        let output = root.path().join(freeze);
        bit(&finetune(
            &data,
            &path(&output),
            &["--steps", "3", "--freeze", freeze],
        ))
        .ok();
        let tensors = |folder: &Path| {
            let file = bit_convert::Checkpoint::open(folder).unwrap();
            let read =
                |info: &bit_convert::TensorInfo| (info.name.clone(), file.read(&info.name).unwrap().bytes);
            file.tensors()
                .iter()
                .map(read)
                .collect::<std::collections::BTreeMap<_, _>>()
        };
        let (before, after) = (tensors(&original), tensors(&output));
        assert!(before.keys().eq(after.keys()));
        let kept = |part: &str| {
            before
                .iter()
                .filter(|(name, _)| name.contains(part))
                .all(|(n, v)| after[n] == *v)
        };
        assert!(!kept(changed), "{freeze}: {changed} did not learn");
        assert_eq!(kept("embedder"), freeze != "nothing", "{freeze}");
    }
}

#[test]
fn a_probe_fits_a_head_in_one_pass() {
    let root = tempfile::tempdir().unwrap();
    let (data, output) = (
        path(&digit_folders(root.path())),
        path(&root.path().join("model")),
    );
    let probe = with_mnist(&[
        "finetune",
        "--probe",
        "--data",
        &data,
        "--output",
        &output,
        "--resolution",
        "36:32",
        "--validation-split",
        "0.34",
    ]);
    let found = bit(&[&probe[..], &["--test", &data, "--format", "json"]].concat()).json();
    assert_eq!(found["recipe"]["l2"], 1024.0);
    assert!(found["test"]["top1"].as_f64() > Some(0.8), "{found}");
    let report = bit(&[
        "evaluate", "--data", &data, "--model", &output, "--format", "json",
    ])
    .json();
    assert_eq!(report["top1"], found["test"]["top1"]);
}

#[test]
fn a_table_with_several_labels_an_image_trains_a_yes_or_no_for_each() {
    let root = tempfile::tempdir().unwrap();
    let mut table = "image,labels\n".to_owned();
    for name in listing(Path::new(&digits())) {
        let digit: usize = name[..1].parse().unwrap();
        let labels = ["even", "large"]
            .into_iter()
            .zip([digit.is_multiple_of(2), digit > 4]);
        let labels: Vec<&str> = labels.filter(|(_, is)| *is).map(|(label, _)| label).collect();
        table += &format!("{}/{name},{}\n", digits(), labels.join("|"));
    }
    let (data, output) = (root.path().join("digits.csv"), root.path().join("model"));
    std::fs::write(&data, table).unwrap();
    bit(&finetune(&path(&data), &path(&output), &["--steps", "30"])).ok();
    let config = json(&output.join("config.json"));
    assert_eq!(config["problem_type"], "multi_label_classification");
    assert_eq!(config["id2label"]["1"], "large");
    let report = bit(&[
        "evaluate",
        "--data",
        &path(&data),
        "--model",
        &path(&output),
        "--format",
        "json",
    ])
    .json();
    assert_eq!(
        (report["images"].as_u64(), report["task"].as_str()),
        (Some(30), Some("multi_label"))
    );
    // The model's kind decides, not what this data happens to hold.
    let table: String = std::fs::read_to_string(&data).unwrap();
    let single = table
        .lines()
        .filter(|line| !line.contains('|') && !line.ends_with(','));
    std::fs::write(&data, single.collect::<Vec<_>>().join("\n")).unwrap();
    let args = [
        "evaluate",
        "--data",
        &path(&data),
        "--model",
        &path(&output),
        "--format",
        "json",
    ];
    assert_eq!(bit(&args).json()["task"], "multi_label");
    assert!(report["loss"].as_f64() < Some(std::f64::consts::LN_2), "{report}");
}

#[test]
fn an_evaluation_lists_mistakes_and_writes_its_files() {
    let root = tempfile::tempdir().unwrap();
    let (data, output) = (path(&digit_folders(root.path())), root.path().join("report"));
    let text = bit(&with_mnist(&[
        "evaluate",
        "--data",
        &data,
        "--output",
        &path(&output),
    ]))
    .ok();
    for part in [
        "images 30",
        "top-1 ",
        "calibration error",
        "precision",
        "(mean of the classes)",
        "worst mistakes:",
        "7-0.png: 7, taken for ",
    ] {
        assert!(text.contains(part), "no `{part}` in {text}");
    }
    assert_eq!(
        listing(&output),
        ["confusion.csv", "confusion.png", "report.json"]
    );
    assert!(json(&output.join("report.json"))["top1"].as_f64() > Some(0.9));
}

#[test]
fn data_whose_classes_are_not_the_models_is_an_error() {
    let root = tempfile::tempdir().unwrap();
    let data = digit_folders(root.path());
    std::fs::rename(data.join("7"), data.join("seven")).unwrap();
    let run = bit(&with_mnist(&["evaluate", "--data", &path(&data)]));
    run.fails_with(&["seven"]);
}

#[test]
fn bad_data_and_bad_recipes_are_errors_of_one_line() {
    let root = tempfile::tempdir().unwrap();
    let (data, output) = (
        path(&digit_folders(root.path())),
        path(&root.path().join("model")),
    );
    let empty = path(&root.path().join("nothing"));
    bit(&finetune(&empty, &output, &[])).fails_with(&["nothing"]);
    bit(&finetune(&data, &output, &["--freeze", "stage9"])).fails_with(&["stage9", "4 stages"]);
    bit(&finetune(&data, &output, &["--batch-split", "9"])).fails_with(&["the batch split is 9"]);
    bit(&finetune(&data, &output, &["--mixup", "100"])).fails_with(&["mixup is 100"]);
    bit(&finetune(&data, &output, &["--examples-per-class", "5"])).fails_with(&["at least 5"]);
    assert!(!Path::new(&output).exists(), "nothing is left behind");
}

#[test]
fn an_explanation_is_a_picture() {
    let root = tempfile::tempdir().unwrap();
    let output = root.path().join("heat.png");
    let (image, file) = (digit("3-1"), path(&output));
    let explain = |more: &[&str]| bit(&[&with_mnist(&["explain", &image, "--output", &file]), more].concat());
    let found = explain(&["--format", "json"]).json();
    assert_eq!(
        (found["label"].as_str(), found["stage"].as_str()),
        (Some("3"), Some("stage4"))
    );
    assert!(std::fs::read(&output).unwrap().starts_with(b"\x89PNG"));
    assert!(
        explain(&["--class", "8", "--stage", "stage2"])
            .ok()
            .starts_with("8 (logit ")
    );
    explain(&["--class", "cat"]).fails_with(&["--class cat", "10 labels"]);
    explain(&["--stage", "stage5"]).fails_with(&["--stage stage5", "stem, stage1"]);
}
