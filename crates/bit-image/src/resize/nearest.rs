//! Nearest-neighbour index rules: Pillow's accumulated `f64`, torch's nearest-exact in `f32`.

use super::Resize;
use super::weights::Axis;

/// For each pixel of the window, the row and the column that it copies.
#[derive(Debug, Default)]
pub(crate) struct Indices {
    rows: Vec<usize>,
    columns: Vec<usize>,
}

impl Indices {
    /// Pillow's NEAREST.
    pub(crate) fn pillow(&mut self, resize: &Resize) -> &mut Self {
        pillow(&resize.rows, &mut self.rows);
        pillow(&resize.columns, &mut self.columns);
        self
    }

    /// torch's nearest-exact; small outputs (height + width at most 128) go through another kernel there.
    pub(crate) fn torch(&mut self, resize: &Resize) -> &mut Self {
        let small = resize.rows.output + resize.columns.output <= 128;
        torch(&resize.rows, small, &mut self.rows);
        torch(&resize.columns, small, &mut self.columns);
        self
    }

    /// Copies pixels of `channels` interleaved values, `width` a row.
    pub(crate) fn pick<T: Copy>(&self, source: &[T], width: usize, channels: usize, out: &mut Vec<T>) {
        out.clear();
        for &y in &self.rows {
            let row = &source[y * width * channels..][..width * channels];
            for &x in &self.columns {
                out.extend_from_slice(&row[x * channels..][..channels]);
            }
        }
    }
}

/// The source index of every output in the window: a position that starts at half a step and is stepped by repeated
/// addition, whose rounding decides ties.
fn pillow(axis: &Axis, indices: &mut Vec<usize>) {
    let step = axis.input as f64 / axis.output as f64;
    let mut position = step * 0.5;
    indices.clear();
    for i in 0..axis.window.end {
        if axis.window.contains(&i) {
            indices.push((position as usize).min(axis.input - 1));
        }
        position += step;
    }
}

fn torch(axis: &Axis, small: bool, indices: &mut Vec<usize>) {
    let scale = axis.input as f32 / axis.output as f32;
    let index = |i: usize| {
        let center = i as f32 + 0.5;
        let position = if small {
            center * scale
        } else {
            scale.mul_add(center, -0.5).max(0.0) + 0.5
        };
        (position.floor() as usize).min(axis.input - 1)
    };
    indices.clear();
    indices.extend(axis.window.clone().map(index));
}
