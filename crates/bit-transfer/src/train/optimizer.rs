//! The optimizers, with torch's arithmetic and a state that can be written to a file under the parameters' names.
//!
//! Burn's own optimizers key their state by random numbers that a process draws for its parameters, scale a momentum
//! by a dampening, and hide AdamW's moments; a resumed run would have to reconstruct all of that.

use std::collections::HashMap;

use burn::module::ParamId;
use burn::tensor::Tensor;

use crate::train::recipe::{OptimizerKind, Recipe};

/// SGD's.
pub(crate) const MOMENTUM: f64 = bit_config::hyperrule::MOMENTUM;
/// AdamW's decay of both moments, and what keeps its divisor from being zero: torch's defaults.
pub(crate) const BETAS: (f64, f64) = (0.9, 0.999);
const EPS: f64 = 1e-8;

/// Turns gradients into steps.
#[derive(Debug)]
pub(crate) struct Optimizer {
    kind: OptimizerKind,
    weight_decay: f64,
    /// What each parameter has gathered: SGD's velocity, or AdamW's two moments. Flat.
    slots: HashMap<ParamId, Vec<Tensor<1>>>,
}

impl Optimizer {
    pub fn new(recipe: &Recipe) -> Self {
        Self {
            kind: recipe.optimizer,
            weight_decay: recipe.weight_decay,
            slots: HashMap::new(),
        }
    }

    /// What the slots are called in a file.
    pub fn slot_names(&self) -> &'static [&'static str] {
        match self.kind {
            OptimizerKind::Sgd => &["momentum"],
            OptimizerKind::AdamW => &["exp_avg", "exp_avg_sq"],
        }
    }

    /// A parameter's slots, in the order of their names; none before its first step.
    pub fn slots(&self, id: ParamId) -> &[Tensor<1>] {
        self.slots.get(&id).map_or(&[], Vec::as_slice)
    }

    /// Puts stored slots back.
    pub fn restore(&mut self, id: ParamId, slots: Vec<Tensor<1>>) {
        self.slots.insert(id, slots);
    }

    /// The value after a step; `step` counts from 0.
    ///
    /// # Shapes
    ///
    /// - value, gradient and output: `[elements]`
    pub fn update(
        &mut self,
        id: ParamId,
        value: Tensor<1>,
        gradient: Tensor<1>,
        rate: f64,
        step: usize,
    ) -> Tensor<1> {
        let slots = self.slots.remove(&id);
        let (value, slots) = match self.kind {
            OptimizerKind::Sgd => self.sgd(value, gradient, slots, rate),
            OptimizerKind::AdamW => self.adamw(value, gradient, slots, rate, step),
        };
        self.slots.insert(id, slots);
        value
    }

    /// torch's `SGD(momentum=0.9)`: the first velocity is the first gradient.
    fn sgd(
        &self,
        value: Tensor<1>,
        gradient: Tensor<1>,
        slots: Option<Vec<Tensor<1>>>,
        rate: f64,
    ) -> (Tensor<1>, Vec<Tensor<1>>) {
        let gradient = match self.weight_decay {
            0.0 => gradient,
            decay => gradient + value.clone() * decay,
        };
        let velocity = match slots.and_then(|mut slots| slots.pop()) {
            Some(velocity) => velocity * MOMENTUM + gradient,
            None => gradient,
        };
        (value - velocity.clone() * rate, vec![velocity])
    }

    /// torch's `AdamW`.
    fn adamw(
        &self,
        value: Tensor<1>,
        gradient: Tensor<1>,
        slots: Option<Vec<Tensor<1>>>,
        rate: f64,
        step: usize,
    ) -> (Tensor<1>, Vec<Tensor<1>>) {
        let zeros = || value.zeros_like();
        let [mean, square] = slots
            .and_then(|slots| <[Tensor<1>; 2]>::try_from(slots).ok())
            .unwrap_or_else(|| [zeros(), zeros()]);
        let mean = mean * BETAS.0 + gradient.clone() * (1.0 - BETAS.0);
        let square = square * BETAS.1 + gradient.square() * (1.0 - BETAS.1);
        let bias = |beta: f64| 1.0 - beta.powi(i32::try_from(step + 1).unwrap_or(i32::MAX));
        let divisor = square.clone().sqrt() / bias(BETAS.1).sqrt() + EPS;
        let value = value * (1.0 - rate * self.weight_decay);
        (
            value - mean.clone() / divisor * (rate / bias(BETAS.0)),
            vec![mean, square],
        )
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use burn::tensor::{Device, Tolerance};

    use super::*;

    /// Three steps on two weights with the gradients (1, -2), (0.5, 0), (-1, 4).
    fn three_steps(kind: OptimizerKind, weight_decay: f64) -> Vec<f32> {
        let device = Device::flex();
        let mut optimizer = Optimizer {
            kind,
            weight_decay,
            slots: HashMap::new(),
        };
        let id = ParamId::new();
        let mut value = Tensor::<1>::from_floats([1.0, -3.0], &device);
        for (step, gradient) in [[1.0, -2.0], [0.5, 0.0], [-1.0, 4.0]].into_iter().enumerate() {
            value = optimizer.update(id, value, Tensor::from_floats(gradient, &device), 0.1, step);
        }
        value.into_data().try_into_vec::<f32>().unwrap()
    }

    fn assert_near(found: Vec<f32>, expected: [f32; 2]) {
        let (found, expected) = (burn::tensor::TensorData::from(found.as_slice()), expected.into());
        found.assert_approx_eq::<f32>(&expected, Tolerance::absolute(1e-6));
    }

    #[test]
    fn steps_are_those_of_torch() {
        // torch 2.x: SGD(lr=0.1, momentum=0.9) and AdamW(lr=0.1), without and with weight decay.
        let table = [
            (OptimizerKind::Sgd, 0.0, [0.733_999_97, -2.858]),
            (OptimizerKind::Sgd, 0.01, [0.728_824_7, -2.841_944_2]),
            (OptimizerKind::AdamW, 0.0, [0.795_703_77, -2.866_997_7]),
            (OptimizerKind::AdamW, 0.01, [0.792_999_9, -2.858_273_5]),
        ];
        for (kind, weight_decay, expected) in table {
            assert_near(three_steps(kind, weight_decay), expected);
        }
    }
}
