//! Progress bars, drawn on standard error and only when that is a terminal.

use indicatif::{ProgressBar, ProgressStyle};

/// Counts images.
pub fn images(count: usize) -> ProgressBar {
    bar(
        count as u64,
        "{wide_bar} {pos}/{len} images, {per_sec}, {eta} left",
    )
}

/// Counts bytes; the total is set as it becomes known.
pub fn bytes() -> ProgressBar {
    bar(0, "{wide_bar} {bytes}/{total_bytes}, {bytes_per_sec}, {eta} left")
}

/// Counts the bytes of a file, whose name is the message.
pub fn file() -> ProgressBar {
    bar(
        0,
        "{msg} {wide_bar} {bytes}/{total_bytes}, {bytes_per_sec}, {eta} left",
    )
}

fn bar(length: u64, template: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(template).expect("invariant: the templates are valid");
    ProgressBar::new(length).with_style(style)
}
