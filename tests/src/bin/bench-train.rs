//! This project as a contender of `cargo xtask bench --training`: full training steps of one batch, with the protocol of
//! tests/reference/train_peer.py.

use std::collections::HashMap;
use std::io;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use bit_model::{BitForImageClassification, Labels};
use bit_pretrained::{LoadOptions, Pretrained};
use bit_tests::runner::{Arguments, milliseconds, say};
use burn::module::{Module, ModuleMapper, Param, ParamId};
use burn::tensor::{Device, Gradients, Int, Tensor};

/// The learning rate and the momentum; the peer has the same.
const RATE: f64 = 1e-3;
const MOMENTUM: f64 = 0.9;

fn main() -> Result<()> {
    let arguments = Arguments::parse()?;
    let pixel_values = arguments.pixel_values()?;
    let device = arguments.device.autodiff();
    let start = Instant::now();
    let mut model: BitForImageClassification = Pretrained::open(&arguments.folder)?
        .load(LoadOptions::default(), &device)?
        .model;
    let mut optimizer = Sgd::default();
    say(&format!("ready {:.3}", milliseconds(start)))?;
    for line in io::stdin().lines() {
        let line = line?;
        ensure!(line.trim() == "step", "`{line}` is not `step`");
        let (start, loss);
        (model, loss, start) = step(model, &mut optimizer, &pixel_values, &device)?;
        say(&format!("{:.3} {loss}", milliseconds(start)))?;
    }
    Ok(())
}

/// One step towards the classes 0, 1, 2, …; the loss before it, and when it began.
fn step(
    model: BitForImageClassification,
    optimizer: &mut Sgd,
    pixel_values: &Tensor<4>,
    device: &Device,
) -> Result<(BitForImageClassification, f32, Instant)> {
    let [batch, ..] = pixel_values.dims();
    let classes = Tensor::<1, Int>::arange(0..i64::try_from(batch)?, device);
    let start = Instant::now();
    let pixels = Tensor::from_inner(pixel_values.clone());
    let loss = model.forward_with_labels(pixels, Labels::Classes(classes))?.loss;
    let loss = loss.context("the model has a loss")?;
    optimizer.gradients = Some(loss.backward());
    let model = model.map(optimizer);
    Ok((model, loss.into_scalar::<f32>(), start))
}

/// torch's SGD with momentum.
#[derive(Default)]
struct Sgd {
    gradients: Option<Gradients>,
    velocities: HashMap<ParamId, Tensor<1>>,
}

impl Sgd {
    fn velocity(&mut self, id: ParamId, gradient: Tensor<1>) -> Tensor<1> {
        let velocity = match self.velocities.remove(&id) {
            Some(velocity) => velocity * MOMENTUM + gradient,
            None => gradient,
        };
        self.velocities.insert(id, velocity.clone());
        velocity
    }
}

impl ModuleMapper for Sgd {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let value = param.val();
        let gradient = self
            .gradients
            .as_mut()
            .and_then(|gradients| value.grad_remove(gradients));
        drop(value);
        let Some(gradient) = gradient else { return param };
        let (elements, shape) = (gradient.shape().num_elements(), gradient.dims());
        let velocity = self.velocity(param.id, gradient.reshape([elements]));
        param.map(|value| {
            let moved = value.inner() - (velocity * RATE).reshape(shape);
            Tensor::from_inner(moved).require_grad()
        })
    }
}
