//! `--device`, for what is compiled in and what is not.

use crate::support::*;

#[cfg(any(feature = "ndarray", feature = "wgpu"))]
fn agrees_with_the_cpu(device: &str) {
    let logits = |device: &str| -> Vec<f64> {
        let args = [
            "classify",
            &digit("4-2"),
            "--device",
            device,
            "--top-k",
            "0",
            "--scores",
            "logits",
        ];
        let run = bit(&with_mnist(&[&args[..], &["--format", "json"]].concat()));
        // A driver may have something to say on standard error.
        assert_eq!(run.status, 0, "{run:?}");
        let image: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
        let mut found = image[0]["predictions"].as_array().unwrap().clone();
        found.sort_by_key(|prediction| prediction["index"].as_u64());
        found
            .iter()
            .map(|prediction| prediction["score"].as_f64().unwrap())
            .collect()
    };
    for (expected, found) in logits("cpu").iter().zip(logits(device)) {
        assert!(
            (expected - found).abs() < 1e-2,
            "{device}: {found}, expected {expected}"
        );
    }
}

#[test]
#[cfg(feature = "ndarray")]
fn ndarray_gives_the_same_answers() {
    agrees_with_the_cpu("ndarray");
}

#[test]
#[cfg(feature = "wgpu")]
fn a_graphics_device_is_found_by_default_and_by_index() {
    for device in ["wgpu", "wgpu:0"] {
        agrees_with_the_cpu(device);
    }
    let run = bit(&with_mnist(&["classify", &digit("0-0"), "--device", "wgpu:99"]));
    assert!(
        run.status == 1 && run.stderr.contains("error: --device wgpu:99"),
        "{run:?}"
    );
}

#[test]
#[cfg(not(feature = "cuda"))]
fn a_device_that_is_not_compiled_in_says_which_feature_would_help() {
    bit(&with_mnist(&["classify", &digit("0-0"), "--device", "cuda:0"]))
        .fails_with(&["cuda", "--features cuda"]);
}
