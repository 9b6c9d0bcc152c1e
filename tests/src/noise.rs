//! Numbers that look random and are the same in every run, whatever else draws from a device's generator.

use bit_model::load_parameters;
use burn::module::Module;
use burn::tensor::{DType, TensorData};

/// Values between -1 and 1; another `seed` gives others.
pub fn noise(shape: &[usize], seed: u64) -> TensorData {
    let mut state = seed;
    let values = (0..shape.iter().product::<usize>()).map(|_| {
        // Knuth's generator; only the high bits are good.
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    });
    TensorData::new(values.collect::<Vec<_>>(), shape.to_vec())
}

/// The same model with [`noise`] for parameters, each with its own; what scales a norm is near one.
pub fn with_noise<M: Module>(model: M) -> M {
    let mut seed = 0;
    load_parameters(model, DType::F32, |name, shape| {
        seed += 1;
        let values = noise(shape, seed);
        let is_scale = shape.len() == 1 && name.ends_with("weight");
        Some(match is_scale {
            true => TensorData::new(
                values.iter::<f32>().map(|x| 1.0 + x / 4.0).collect::<Vec<_>>(),
                shape.to_vec(),
            ),
            false => values,
        })
    })
}
