//! torch's antialiased resize of `f32` pixels.
//!
//! torch computes each axis's weights in `f32` (with `f64` where C's promotion rules say so), and its compiler fuses
//! some of the multiplications with additions; both are copied here, so that float inputs agree bit for bit.

use std::f32::consts::PI;
use std::ops::Range;

use super::filter::sinc;
use super::weights::Axis;
use super::{Buffers, Filter, Resize};

/// Interleaved `f32` pixels.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FloatPlane<'a> {
    pub(crate) data: &'a [f32],
    pub(crate) width: usize,
    pub(crate) channels: usize,
}

/// Memory that is kept from resize to resize.
#[derive(Debug, Default)]
pub(crate) struct FloatBuffers {
    rows: AxisWeights,
    columns: AxisWeights,
    between: Vec<f32>,
}

/// Resizes `source` into `out` as torch does; no filter means nearest-exact.
pub(crate) fn resize_f32(
    resize: &Resize,
    source: FloatPlane<'_>,
    filter: Option<Filter>,
    buffers: &mut Buffers,
    out: &mut Vec<f32>,
) {
    let Some(filter) = filter else {
        let indices = buffers.indices.torch(resize);
        return indices.pick(source.data, source.width, source.channels, out);
    };
    let FloatBuffers {
        rows,
        columns,
        between,
    } = &mut buffers.floats;
    columns.fill(&resize.columns, filter);
    rows.fill(&resize.rows, filter);
    horizontal(source, columns, between);
    vertical(between, columns.taps.len() * source.channels, rows, out);
}

/// The weights of an axis's window.
#[derive(Debug, Default)]
struct AxisWeights {
    /// For each output its first tap, and where its weights start.
    taps: Vec<(usize, usize)>,
    values: Vec<f32>,
}

impl AxisWeights {
    fn fill(&mut self, axis: &Axis, filter: Filter) {
        self.taps.clear();
        self.values.clear();
        for i in axis.window.clone() {
            let start = self.values.len();
            let first = if axis.is_copy() {
                self.values.push(1.0);
                i
            } else {
                output_weights(axis, filter, i, &mut self.values)
            };
            self.taps.push((first, start));
        }
    }

    /// Each output's first tap and its weights.
    fn outputs(&self) -> impl Iterator<Item = (usize, &[f32])> {
        let ends = self.taps.iter().skip(1).map(|&(_, start)| start);
        let ends = ends.chain([self.values.len()]);
        self.taps
            .iter()
            .zip(ends)
            .map(|(&(first, start), end)| (first, &self.values[start..end]))
    }
}

/// Appends the weights of output `i`, and returns its first tap.
fn output_weights(axis: &Axis, filter: Filter, i: usize, out: &mut Vec<f32>) -> usize {
    let scale = axis.input as f32 / axis.output as f32;
    let support = if scale >= 1.0 {
        filter.support() as f32 * scale
    } else {
        filter.support() as f32
    };
    let center = (f64::from(scale) * (i as f64 + 0.5)) as f32;
    let inverse = if scale >= 1.0 {
        (1.0 / f64::from(scale)) as f32
    } else {
        1.0
    };
    let taps = taps(center, support, axis.input);
    let start = out.len();
    out.extend((0..taps.len()).map(|j| {
        let distance = f64::from((j + taps.start) as f32 - center) + 0.5;
        weight(filter, (distance * f64::from(inverse)) as f32)
    }));
    let weights = &mut out[start..];
    let sum = weights.iter().fold(0.0, |sum: f32, weight| sum + weight);
    if sum != 0.0 {
        weights.iter_mut().for_each(|weight| *weight /= sum);
    }
    taps.start
}

fn taps(center: f32, support: f32, input: usize) -> Range<usize> {
    let first = (f64::from(center - support) + 0.5) as usize;
    let end = ((f64::from(center + support) + 0.5) as usize).min(input);
    first.min(end)..end
}

/// The filters as torch evaluates them in `f32`.
fn weight(filter: Filter, x: f32) -> f32 {
    const A: f32 = -0.5;
    match filter {
        Filter::Bicubic if x.abs() < 1.0 => {
            let x = x.abs();
            ((A + 2.0).mul_add(x, -(A + 3.0)) * x).mul_add(x, 1.0)
        }
        Filter::Bicubic if x.abs() < 2.0 => {
            let x = x.abs();
            A.mul_add(x, -5.0 * A).mul_add(x, 8.0 * A).mul_add(x, -4.0 * A)
        }
        Filter::Bicubic => 0.0,
        Filter::Bilinear => (1.0 - x.abs()).max(0.0),
        // The first factor is a C float, and the second a double, because it is given `x / 3.0`.
        Filter::Lanczos if x.abs() < 3.0 => {
            let angle = x.abs() * PI;
            let near = if x == 0.0 { 1.0 } else { angle.sin() / angle };
            (f64::from(near) * sinc(f64::from(x.abs()) / 3.0)) as f32
        }
        other => other.weight(f64::from(x)) as f32,
    }
}

/// The weighted sum in the order of torch's compiled loop: the first product alone, then groups of four that are
/// multiplied together and added one by one, then fused multiply-adds for the rest.
fn sum_taps(mut value: impl FnMut(usize) -> f32, weights: &[f32]) -> f32 {
    let Some((&first, rest)) = weights.split_first() else {
        return 0.0;
    };
    let grouped = rest.len() / 4 * 4;
    let mut sum = value(0) * first;
    for (i, &weight) in rest.iter().enumerate() {
        let value = value(i + 1);
        sum = if i < grouped {
            sum + value * weight
        } else {
            value.mul_add(weight, sum)
        };
    }
    sum
}

fn horizontal(source: FloatPlane<'_>, weights: &AxisWeights, out: &mut Vec<f32>) {
    let channels = source.channels;
    out.clear();
    for row in source.data.chunks_exact(source.width * channels) {
        for (first, weights) in weights.outputs() {
            for c in 0..channels {
                out.push(sum_taps(|tap| row[(first + tap) * channels + c], weights));
            }
        }
    }
}

fn vertical(source: &[f32], stride: usize, weights: &AxisWeights, out: &mut Vec<f32>) {
    out.clear();
    for (first, weights) in weights.outputs() {
        for x in 0..stride {
            out.push(sum_taps(|tap| source[(first + tap) * stride + x], weights));
        }
    }
}
