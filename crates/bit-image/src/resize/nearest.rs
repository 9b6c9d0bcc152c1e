//! Nearest-neighbour index rules: Pillow's accumulated `f64`, torch's nearest-exact in `f32`.

use super::weights::Axis;

/// Pillow's source index of every output in the window: a position that starts at half a step and is stepped by
/// repeated addition, whose rounding decides ties.
pub(crate) fn pillow(axis: &Axis) -> Vec<usize> {
    let step = axis.input as f64 / axis.output as f64;
    let mut position = step * 0.5;
    let mut indices = Vec::with_capacity(axis.window.len());
    for i in 0..axis.window.end {
        if axis.window.contains(&i) {
            indices.push((position as usize).min(axis.input - 1));
        }
        position += step;
    }
    indices
}

/// torch's nearest-exact; small outputs (height + width at most 128) go through another kernel there.
pub(crate) fn torch(axis: &Axis, small: bool) -> Vec<usize> {
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
    axis.window.clone().map(index).collect()
}
