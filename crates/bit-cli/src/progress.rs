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

/// Follows a training run: one bar, and a line that stays for each evaluation.
pub struct Training(ProgressBar);

impl Training {
    /// A run that starts or continues with this step. Without steps there is nothing but passes over images.
    pub fn new(first_step: usize, steps: usize) -> Self {
        let template = match steps {
            0 => "{msg}",
            _ => "{wide_bar} step {pos}/{len}, {eta} left, {msg}",
        };
        let bar = bar(steps as u64, template);
        bar.set_position(first_step as u64);
        // The time that is left is told by the steps of this run alone.
        bar.reset_eta();
        Self(bar)
    }

    /// After each step.
    pub fn step(&self, loss: f64, rate: f64, images_per_second: f64) {
        self.0.inc(1);
        self.0.set_message(format!(
            "loss {loss:.4}, rate {rate:.1e}, {images_per_second:.1} images/s"
        ));
    }

    /// During an evaluation.
    pub fn evaluating(&self, done: usize, images: usize) {
        self.0.set_message(format!("{done}/{images} images"));
    }

    /// Something to keep above the bar.
    pub fn line(&self, text: &str) {
        self.0.println(text);
    }

    /// Lets something else write to standard error.
    pub fn aside(&self, write: impl FnOnce()) {
        self.0.suspend(write);
    }
}

impl Drop for Training {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

fn bar(length: u64, template: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(template).expect("invariant: the templates are valid");
    ProgressBar::new(length).with_style(style)
}
