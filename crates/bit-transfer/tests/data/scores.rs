//! Measured numbers are scikit-learn's.

use bit_transfer::TransferError;
use bit_transfer::data::{LabelTask, Targets};
use bit_transfer::metrics::{Average, Evaluation};
use serde_json::Value;

use crate::support::fixture;

struct Case {
    expected: Value,
    scores: Vec<f32>,
    images: Vec<String>,
    evaluation: Evaluation,
}

/// Reads the fixture, and evaluates it in two batches.
fn case(name: &str, task: LabelTask) -> Case {
    let expected: Value = serde_json::from_slice(&std::fs::read(fixture(name)).unwrap()).unwrap();
    let scores: Vec<f32> = serde_json::from_value(expected["scores"].clone()).unwrap();
    let targets: Vec<usize> = serde_json::from_value(expected["targets"].clone()).unwrap();
    let number = expected["number"].as_u64().unwrap() as usize;
    let classes: Vec<String> = (0..number).map(|class| format!("class {class}")).collect();
    let images: Vec<String> = (0..scores.len() / number)
        .map(|image| format!("{image}.png"))
        .collect();
    let mut evaluation = Evaluation::new(&classes, task).with_worst(5);
    let half = images.len() / 3;
    for range in [0..half, half..images.len()] {
        let of_range = range.start * number..range.end * number;
        let targets = match task {
            LabelTask::SingleLabel => Targets::Classes(targets[range.clone()].to_vec()),
            LabelTask::MultiLabel => Targets::MultiHot {
                values: targets[of_range.clone()]
                    .iter()
                    .map(|target| *target as f32)
                    .collect(),
                classes: number,
            },
        };
        evaluation
            .add(&scores[of_range], &targets, &images[range])
            .unwrap();
    }
    Case {
        expected,
        scores,
        images,
        evaluation,
    }
}

fn close(found: f64, expected: &Value, what: &str) {
    let expected = expected.as_f64().unwrap();
    assert!(
        (found - expected).abs() <= 1e-6 * expected.abs().max(1.0),
        "{what}: {found}, expected {expected}"
    );
}

fn close_average(found: &Average, expected: [&Value; 3], what: &str) {
    for (found, expected) in [found.precision, found.recall, found.f1]
        .into_iter()
        .zip(expected)
    {
        close(found, expected, what);
    }
}

#[test]
fn numbers_are_scikit_learns() {
    for (name, task) in [
        ("single_label.json", LabelTask::SingleLabel),
        ("multi_label.json", LabelTask::MultiLabel),
    ] {
        let Case {
            expected, evaluation, ..
        } = case(name, task);
        let report = evaluation.report();
        for (found, what) in [
            (report.loss, "loss"),
            (report.top1, "top1"),
            (report.top5, "top5"),
            (report.calibration_error, "calibration_error"),
        ] {
            close(found, &expected[what], what);
        }
        let list = |key: &str| [0, 1, 2].map(|index| &expected[key][index]);
        close_average(&report.macro_average, list("macro"), "macro average");
        close_average(&report.weighted_average, list("weighted"), "weighted average");
        for (class, expected) in report.classes.iter().zip(expected["classes"].as_array().unwrap()) {
            close(class.images as f64, &expected["images"], &class.label);
            let scores = ["precision", "recall", "f1"].map(|key| &expected[key]);
            close_average(&class.scores, scores, &class.label);
        }
    }
}

#[test]
fn the_confusion_matrix_is_scikit_learns() {
    let case = case("single_label.json", LabelTask::SingleLabel);
    let expected: Vec<u64> = serde_json::from_value(case.expected["confusion"].clone()).unwrap();
    let confusion = case.evaluation.confusion().unwrap();
    let found: Vec<u64> = (0..64).map(|cell| confusion.count(cell / 8, cell % 8)).collect();
    assert_eq!(found, expected);
}

#[test]
fn the_worst_mistakes_come_first() {
    let case = case("single_label.json", LabelTask::SingleLabel);
    let worst = case.evaluation.report().worst;
    assert_eq!(worst.len(), 5);
    assert!(worst.windows(2).all(|pair| pair[0].loss >= pair[1].loss));
    assert!(worst.iter().all(|mistake| mistake.labels != mistake.predicted));
    let all = case.evaluation.clone().with_worst(100).report();
    let wrong = ((1.0 - all.top1) * all.images as f64).round() as usize;
    assert_eq!(all.worst.len(), wrong);
    assert_eq!(all.worst[..5], worst);
}

#[test]
fn what_does_not_fit_together_is_refused_and_not_counted() {
    let Case {
        mut scores,
        images,
        mut evaluation,
        ..
    } = case("single_label.json", LabelTask::SingleLabel);
    let before = evaluation.report();
    scores.truncate(16);
    let images = &images[..2];
    let mut refused = |scores: &[f32], targets: Targets, message: &str| {
        let error = evaluation.add(scores, &targets, images).unwrap_err();
        assert!(
            matches!(error, TransferError::Argument(_)) && error.to_string().contains(message),
            "{error}"
        );
    };
    refused(&scores[1..], Targets::Classes(vec![0, 1]), "15 scores");
    refused(&scores, Targets::Classes(vec![0]), "1 targets for 2 images");
    refused(&scores, Targets::Classes(vec![0, 8]), "target 8");
    refused(
        &scores,
        Targets::MultiHot {
            values: vec![0.0; 16],
            classes: 8,
        },
        "another kind",
    );
    scores[9] = f32::NAN;
    refused(
        &scores,
        Targets::Classes(vec![0, 1]),
        "1.png: the score of \"class 1\" is NaN",
    );
    assert_eq!(evaluation.report(), before);
}

#[test]
fn nothing_measured_is_zero_and_serializes() {
    let report = Evaluation::new(&["a".to_string()], LabelTask::SingleLabel).report();
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(
        (json["images"].as_u64(), json["loss"].as_f64()),
        (Some(0), Some(0.0))
    );
    assert_eq!(json["classes"][0]["precision"], 0.0);
}
