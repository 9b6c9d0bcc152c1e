//! `bit finetune`, `bit evaluate` and `bit explain`.

use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};

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

/// Uniform numbers in [0, 1) from a seed: xorshift64.
fn random(mut state: u64) -> impl FnMut() -> f64 {
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Starts a run and kills it when `when` says so; false when it ended before.
fn kill_when(args: &[&str], mut when: impl FnMut() -> bool) -> bool {
    let mut child = start(args);
    loop {
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        if when() {
            child.kill().unwrap();
            child.wait().unwrap();
            return true;
        }
        std::thread::sleep(Duration::from_micros(200));
    }
}

/// Kills runs at random moments between their start and where an undisturbed one ends, one before its first checkpoint and
/// one while it writes its result; resumes each, and compares what it comes to.
fn assert_kills_change_nothing(kills: usize, seed: u64, more: &[&str]) {
    const STEPS: usize = 24;
    let steps = STEPS.to_string();
    let root = tempfile::tempdir().unwrap();
    let data = path(&digit_folders(root.path()));
    let recipe = [
        "--steps",
        &steps,
        "--mixup",
        "0.2",
        "--ema",
        "0.9",
        "--batch-split",
        "2",
        "--resume",
    ];
    let recipe = [&recipe, more].concat();
    let often = [&recipe[..], &["--save-every", "1", "--evaluate-every", "3"]].concat();
    let never = [&recipe[..], &["--evaluate-every", "100"]].concat();
    let whole = root.path().join("whole");
    let begin = Instant::now();
    bit(&finetune(&data, &path(&whole), &often)).ok();
    let duration = begin.elapsed();

    let check = |name: &str, options: &[&str], when: &mut dyn FnMut(&Path, Instant) -> bool| {
        let killed = root.path().join(name);
        let output = path(&killed);
        let begin = Instant::now();
        let was_killed = kill_when(&finetune(&data, &output, options), || when(&killed, begin));
        if let Ok(folder) = killed.join("checkpoints").canonicalize() {
            std::fs::write(folder.join(".tmpAbCdEf"), "half of a checkpoint").unwrap();
        }
        bit(&finetune(&data, &output, &often)).ok();
        assert_eq!(steps_logged(&killed), STEPS, "every step is logged once");
        assert_eq!(
            listing(&killed.join("checkpoints")),
            ["best.safetensors", "last.safetensors"]
        );
        assert!(result(&whole) == result(&killed), "{name}: the results differ");
        was_killed
    };
    assert!(
        check("early", &never, &mut |folder, _| steps_logged(folder) > 3),
        "it ended before its first checkpoint"
    );
    check("late", &often, &mut |folder, _| folder.join("README.md").exists());
    let mut random = random(seed);
    for _ in 0..kills {
        let share = random();
        let moment = duration.mul_f64(share);
        let name = format!("after {share:.3} of the time");
        check(&name, &often, &mut |_, begin| begin.elapsed() >= moment);
    }
}

#[test]
fn a_run_that_is_killed_at_random_moments_ends_bit_for_bit_as_an_undisturbed_one() {
    assert_kills_change_nothing(10, 0x2545_f491_4f6c_dd1d, &[]);
}

#[cfg(feature = "ndarray")]
#[test]
fn a_run_on_two_devices_that_is_killed_ends_bit_for_bit_as_an_undisturbed_one() {
    assert_kills_change_nothing(3, 7, &["--device", "cpu,ndarray"]);
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

/// Arguments of a run whose weights are soon not numbers.
const DIVERGING: [&str; 6] = [
    "--steps",
    "20",
    "--weight-decay",
    "1e30",
    "--evaluate-every",
    "20",
];

#[test]
fn a_loss_that_is_not_finite_ends_the_run_with_a_clear_message() {
    let root = tempfile::tempdir().unwrap();
    let (data, output) = (
        path(&digit_folders(root.path())),
        path(&root.path().join("model")),
    );
    bit(&finetune(&data, &output, &DIVERGING)).fails_with(&[
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
fn training_pictures_that_cannot_be_read_are_left_out_counted_and_named() {
    let root = tempfile::tempdir().unwrap();
    let (data, output) = (digit_folders(root.path()), root.path().join("model"));
    std::fs::write(data.join("3/0-bad.png"), "no picture").unwrap();
    let (data, name) = (path(&data), path(&output));
    let args = ["--steps", "8", "--validation-split", "0"];
    let args = |more: &[&'static str]| {
        let small = [
            "--batch-size",
            "8",
            "--resolution",
            "36:32",
            "--data",
            &data,
            "--output",
            &name,
        ];
        let all = [&with_mnist(&["finetune"])[..], &small, &args, more].concat();
        bit(&all)
    };
    args(&["--strict"]).fails_with(&["0-bad.png: not an image"]);
    let found = args(&[]);
    assert_eq!(found.status, 1, "{found:?}");
    assert_eq!(
        found.stderr.matches("0-bad.png: left out: not an image").count(),
        1,
        "{found:?}"
    );
    assert!(found.stdout.contains("\n1 image left out\n"), "{found:?}");
    let card = std::fs::read_to_string(output.join("README.md")).unwrap();
    assert!(
        card.contains("1 of them could not be used and was left out."),
        "{card}"
    );
    let found = args(&["--resume", "--format", "json"]);
    let report: Value = serde_json::from_str(&found.stdout).unwrap();
    assert_eq!(report["left_out"], 0, "nothing was left to do");

    let report = root.path().join("report");
    let report_name = path(&report);
    let evaluate = ["evaluate", "--data", &data, "--output", &report_name];
    let found = bit(&with_mnist(&evaluate));
    assert!(
        found.stdout.contains("images 30\n1 image left out\n"),
        "{found:?}"
    );
    assert_eq!(json(&report.join("report.json"))["left_out"], 1);
}

#[test]
fn a_run_that_diverges_has_said_which_pictures_were_left_out() {
    let root = tempfile::tempdir().unwrap();
    let (data, output) = (digit_folders(root.path()), path(&root.path().join("model")));
    for class in listing(&data) {
        std::fs::write(data.join(class).join("bad.png"), "no picture").unwrap();
    }
    let found = bit(&finetune(&path(&data), &output, &DIVERGING));
    assert_eq!(found.status, 1);
    let diverged = found.stderr.find("training has diverged");
    assert!(found.stderr.find("bad.png: left out") < diverged, "{found:?}");
    assert!(found.stderr.contains("bad.png: left out"), "{found:?}");
}

#[test]
fn pictures_are_looked_at_for_their_size_only_where_no_resolution_is_given() {
    let root = tempfile::tempdir().unwrap();
    let (data, output) = (digit_folders(root.path()), path(&root.path().join("model")));
    for class in listing(&data) {
        for name in listing(&data.join(&class)) {
            std::fs::write(data.join(&class).join(name), "no picture").unwrap();
        }
    }
    let (data, args) = (path(&data), ["--steps", "1"]);
    let found = bit(&finetune(&data, &output, &args));
    assert!(found.stderr.contains("training data: no images"), "{found:?}");
    let args = ["finetune", "--data", &data, "--output", &output];
    bit(&with_mnist(&args)).fails_with(&["the data: no images"]);
}

#[test]
fn a_damaged_parquet_file_is_an_error_of_one_line() {
    let fixture = "../bit-transfer/tests/fixtures/parquet/hub/data/train-00000-of-00002.parquet";
    let bytes = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(fixture)).unwrap();
    let root = tempfile::tempdir().unwrap();
    let (file, output) = (
        root.path().join("train.parquet"),
        path(&root.path().join("model")),
    );
    // The reader panics on each of these.
    for place in [896, 1307, 1702] {
        let mut damaged = bytes.clone();
        damaged[place] = 0;
        std::fs::write(&file, damaged).unwrap();
        let run = bit(&finetune(&path(&file), &output, &["--steps", "1"]));
        run.fails_with(&["train.parquet: a damaged", "the reader gave up"]);
    }
}

#[test]
fn a_run_is_resumed_with_the_model_that_it_was_started_with() {
    let root = tempfile::tempdir().unwrap();
    let (data, output) = (path(&digit_folders(root.path())), root.path().join("result"));
    let name = path(&output);
    let copy = path(&mnist_copy(root.path()));
    let small = [
        "--batch-size",
        "8",
        "--resolution",
        "36:32",
        "--steps",
        "1",
        "--optimizer",
        "adamw",
    ];
    let run = |model: &str| {
        let args = [
            "finetune", "--data", &data, "--output", &name, "--resume", "--model", model,
        ];
        bit(&[&args[..], &small].concat())
    };
    run(&copy).ok();
    run("builtin:mnist").fails_with(&["holds a run with model", "instead of \"builtin:mnist\""]);
    let recipe = json(&output.join("recipe.json"));
    assert_eq!(recipe["model"], copy);
    assert_eq!(recipe["betas"], serde_json::json!([0.9, 0.999]));
    assert_eq!(
        (&recipe["momentum"], &recipe["examples_per_class"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(recipe["validation_split"], 0.1);
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
fn a_probe_that_was_killed_while_writing_can_be_done_again() {
    let root = tempfile::tempdir().unwrap();
    let (data, output) = (path(&digit_folders(root.path())), root.path().join("model"));
    let name = path(&output);
    let args = [
        "finetune",
        "--probe",
        "--data",
        &data,
        "--output",
        &name,
        "--resolution",
        "36:32",
    ];
    let probe = |more: &[&'static str]| bit(&[&with_mnist(&args)[..], more].concat());
    probe(&["--examples-per-class", "2"]).ok();
    let recipe = json(&output.join("recipe.json"));
    assert_eq!(
        (&recipe["examples_per_class"], &recipe["model"]),
        (&2.into(), &"builtin:mnist".into())
    );
    let finished = std::fs::read(output.join("model.safetensors")).unwrap();
    probe(&["--examples-per-class", "2"]).fails_with(&["holds a model already"]);
    // The card comes last.
    std::fs::remove_file(output.join("README.md")).unwrap();
    probe(&["--examples-per-class", "1"]).fails_with(&["holds a model already"]);
    probe(&["--examples-per-class", "2"]).ok();
    assert!(std::fs::read(output.join("model.safetensors")).unwrap() == finished);
    assert!(output.join("README.md").exists());
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
