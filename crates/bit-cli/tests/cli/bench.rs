//! `bit bench`.

use crate::support::*;

#[test]
fn the_report_holds_together() {
    let args = [
        "bench",
        "--model",
        "builtin:mnist",
        "--size",
        "32",
        "--batch",
        "2",
        "--repeat",
        "3",
    ];
    let report = bit(&[&args[..], &["--format", "json"]].concat()).json();
    let number = |key: &str| report[key].as_f64().unwrap();
    assert_eq!(
        (number("size"), number("batch"), number("repeats")),
        (32.0, 2.0, 3.0)
    );
    assert!(number("min_ms") <= number("median_ms") && number("median_ms") <= number("max_ms"));
    assert!((number("images_per_second") * number("median_ms") - 2000.0).abs() < 1e-6);
    assert!(
        bit(&args)
            .ok()
            .starts_with("builtin:mnist on cpu, batch 2 at 32: median ")
    );
}
