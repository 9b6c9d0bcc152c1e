//! `bit models`, `bit completions` and the help.

use crate::support::*;

#[test]
fn models_lists_builtins_and_the_published_ones() {
    let models = bit(&["models", "--format", "json"]).json();
    let models = models.as_array().unwrap();
    assert_eq!(
        (&models[0]["model"], &models[0]["classes"]),
        (&"builtin:mnist".into(), &10.into())
    );
    let bit50 = models
        .iter()
        .find(|model| model["model"] == "google/bit-50")
        .unwrap();
    assert_eq!(bit50["architecture"], "R50x1");
    assert_eq!(
        (&bit50["parameters"], &bit50["input"]),
        (&25_549_352.into(), &448.into())
    );
    let text = bit(&["models"]).ok();
    assert_eq!(text.lines().count(), models.len() + 1);
    assert!(text.contains("google/bit-50") && text.contains("25.5 M"));
}

#[test]
fn completions_are_printed_for_every_shell() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = bit(&["completions", shell]).ok();
        assert!(script.contains("classify") && script.contains("top-k"), "{shell}");
    }
}

#[test]
fn usage_errors_have_status_2() {
    let digit = digit("0-0");
    let cases: &[&[&str]] = &[
        &[],
        &["frobnicate"],
        &["classify"],
        &["classify", &digit, "--format", "xml"],
        &["classify", &digit, "--device", "abacus"],
        &["classify", &digit, "--batch-size", "0"],
        &["embed", &digit],
        &["embed", &digit, "--output", "x.tiff"],
        &["embed", &digit, "--output", "x.npy", "--feature", "attentions"],
        &["convert", "builtin:mnist", "out", "--to", "word"],
        &["inspect", "builtin:mnist", "--size", "0"],
        &["completions", "cmd"],
        &["finetune"],
        &["finetune", "--data", "x", "--output", "y", "--steps", "many"],
        &["finetune", "--data", "x", "--output", "y", "--optimizer", "lion"],
        &[
            "finetune",
            "--data",
            "x",
            "--output",
            "y",
            "--freeze",
            "everything",
        ],
        &[
            "finetune",
            "--data",
            "x",
            "--output",
            "y",
            "--validation-split",
            "1",
        ],
        &[
            "finetune",
            "--data",
            "x",
            "--output",
            "y",
            "--resolution",
            "160x128",
        ],
        &["finetune", "--data", "x", "--output", "y", "--probe", "--resume"],
        &["evaluate", "--data", "x"],
        &["explain", &digit],
    ];
    for args in cases {
        let run = bit(args);
        assert_eq!((run.status, run.stdout.as_str()), (2, ""), "{args:?}");
    }
}

#[test]
fn help_is_no_error() {
    for args in [&["--help"][..], &["classify", "--help"], &["--version"]] {
        assert!(!bit(args).ok().is_empty());
    }
}
