//! Loss and gradients of a batch, part by part, on one device or several at a time.
//!
//! The way of Burn's own strategy for several devices (burn-train 0.22's `MultiDevicesTrainStep`): a thread a device,
//! which forks the network, and gradients that move to the first device. That one cannot be used here: it gives each
//! device a share of the data set and a batch of its own, adds gradients up in the order in which they arrive, and
//! saves at ends of epochs. Here the parts of one batch are divided, and their gradients are added in their order,
//! so that several devices compute what one does, and a resumed run ends with the same bits.

use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::{self, Scope};

use bit_model::{BitForImageClassification, BitModel};
use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};

use crate::TransferError;
use crate::data::Batch;
use crate::train::loss::partial_loss;
use crate::train::parameters::{self, Flat};
use crate::train::targets::SoftTargets;

/// The network on one device.
#[derive(Debug)]
pub(crate) struct Replica {
    /// Always there but for the time of a change.
    model: Option<BitForImageClassification>,
    /// The network below the head when it keeps its weights: it then runs as fast as inference does.
    pub frozen: Option<BitModel>,
    /// Where gradients are recorded.
    pub device: Device,
}

/// Some images of a batch, with their targets.
struct Part<'a> {
    pixels: &'a [f32],
    /// `[batch, channels, height, width]`
    shape: [usize; 4],
    targets: &'a [f32],
}

/// A part's share of the loss and of the gradients.
type Share = Result<(f64, Flat), TransferError>;

/// Loss and gradients of a batch that is divided into `split` parts: the network and its copies on `others` take turns,
/// each with one part in memory at a time.
pub(crate) fn differentiate(
    network: &Replica,
    others: &[Device],
    split: usize,
    batch: &Batch,
    targets: &SoftTargets,
) -> Share {
    let [images, channels, height, width] = batch.shape;
    let size = images.div_ceil(split).max(1);
    let pixels = batch.pixels.chunks(size * channels * height * width);
    let parts: Vec<Part> = pixels
        .zip(targets.values.chunks(size * targets.classes))
        .map(|(pixels, values)| Part {
            pixels,
            shape: [values.len() / targets.classes, channels, height, width],
            targets: values,
        })
        .collect();
    let lanes = others.len() + 1;
    let share = |network: &Replica, part: &Part| network.share(part, targets, images);
    thread::scope(|scope| {
        let shares_of_lane = |(device, lane)| {
            let copy = network.on(device);
            let parts = parts.iter().skip(lane).step_by(lanes);
            let home = network.device.clone().without_autodiff();
            ahead(
                scope,
                parts.map(move |part| {
                    let (loss, gradients) = share(&copy, part)?;
                    Ok((loss, parameters::moved(gradients, &home)))
                }),
            )
        };
        let others: Vec<Receiver<Share>> = others.iter().zip(1..).map(shares_of_lane).collect();
        let (mut loss, mut sums) = (0.0, Flat::new());
        for (number, part) in parts.iter().enumerate() {
            let (added, gradients) = match (number % lanes).checked_sub(1) {
                None => share(network, part)?,
                Some(lane) => others[lane]
                    .recv()
                    .expect("invariant: a thread answers for each of its parts")?,
            };
            loss += added;
            parameters::add(&mut sums, gradients);
        }
        Ok((loss, sums))
    })
}

/// Computes items on a thread of its own, one ahead of the receiver.
fn ahead<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    items: impl Iterator<Item = T> + Send + 'scope,
) -> Receiver<T> {
    let (sender, receiver) = sync_channel(1);
    scope.spawn(move || {
        for item in items {
            if sender.send(item).is_err() {
                break;
            }
        }
    });
    receiver
}

impl Replica {
    pub fn new(model: BitForImageClassification, device: Device) -> Self {
        Self {
            model: Some(model),
            frozen: None,
            device,
        }
    }

    pub fn model(&self) -> &BitForImageClassification {
        self.model
            .as_ref()
            .expect("invariant: it is away only inside of `change`")
    }

    /// Puts another network in the place of this one, which is given away: a copy would keep the old weights in memory
    /// beside the new ones.
    pub fn change(&mut self, change: impl FnOnce(BitForImageClassification) -> BitForImageClassification) {
        self.model = self.model.take().map(change);
    }

    /// A copy on another device.
    fn on(&self, device: &Device) -> Self {
        let plain = device.clone().without_autodiff();
        Self {
            model: Some(self.model().clone().fork(device)),
            frozen: self.frozen.clone().map(|frozen| frozen.fork(&plain)),
            device: device.clone(),
        }
    }

    fn share(&self, part: &Part, targets: &SoftTargets, images: usize) -> Share {
        let logits = self.logits(TensorData::new(part.pixels.to_vec(), part.shape))?;
        let values = TensorData::new(part.targets.to_vec(), [part.shape[0], targets.classes]);
        let values = Tensor::from_data(values, &self.device);
        let loss = partial_loss(logits, values, targets.task, images);
        let value = f64::from(loss.clone().into_scalar::<f32>());
        Ok((value, parameters::gradients(self.model(), &mut loss.backward())))
    }

    fn logits(&self, pixels: TensorData) -> Result<Tensor<2>, TransferError> {
        match &self.frozen {
            Some(backbone) => {
                let plain = self.device.clone().without_autodiff();
                let features = backbone.pooled(Tensor::from_data(pixels, &plain))?;
                Ok(self.model().classify(Tensor::from_inner(features)))
            }
            None => Ok(self
                .model()
                .forward(Tensor::from_data(pixels, &self.device))?
                .logits),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use bit_model::named_parameters;

    use super::*;
    use crate::train::test_support::{small_trainer, take_steps};
    use crate::train::{Freeze, RecipeOptions};

    /// All weights after some steps.
    fn trained(split: usize, freeze: Freeze, others: &[Device]) -> Vec<(String, TensorData)> {
        let options = RecipeOptions {
            base_learning_rate: Some(0.03),
            batch_split: Some(split),
            freeze,
            ..RecipeOptions::default()
        };
        let mut trainer = small_trainer(&options, 3).with_devices(others).unwrap();
        take_steps(&mut trainer, 10);
        let parameters = named_parameters(&trainer.network()).into_iter();
        parameters
            .map(|parameter| (parameter.name.clone(), parameter.into_data()))
            .collect()
    }

    #[test]
    fn several_devices_learn_what_one_learns_from_as_many_parts() {
        let device = Device::flex();
        for freeze in [Freeze::Nothing, Freeze::Backbone] {
            // 4 images on 2, 4 and 3 devices; one of 5 gets no part.
            for (split, others, parts) in [(1, 1, 2), (3, 1, 4), (2, 2, 3), (1, 4, 4)] {
                let found = trained(split, freeze, &vec![device.clone(); others]);
                assert_eq!(
                    found,
                    trained(parts, freeze, &[]),
                    "{split} x {others}, {freeze:?}"
                );
            }
        }
    }

    #[cfg(feature = "ndarray")]
    #[test]
    #[allow(deprecated)] // by Burn; users ask for it
    fn devices_of_different_backends_learn_together() {
        for freeze in [Freeze::Nothing, Freeze::Stage(1), Freeze::Backbone] {
            let alone = trained(2, freeze, &[]);
            let together = trained(2, freeze, &[Device::ndarray()]);
            for ((name, found), (_, expected)) in together.iter().zip(&alone) {
                let pairs = found.iter::<f32>().zip(expected.iter::<f32>());
                let apart = pairs.fold(0.0, |most: f32, (a, b)| most.max((a - b).abs()));
                assert!(apart <= 1e-5, "{name}: {apart}, {freeze:?}");
            }
        }
    }

    #[test]
    fn stochastic_depth_needs_a_device_of_its_own() {
        let mut trainer = small_trainer(&RecipeOptions::default(), 3);
        trainer.config.drop_path_rate = 0.1;
        let error = trainer.with_devices(&[Device::flex()]).unwrap_err().to_string();
        assert!(error.contains("stochastic depth (drop_path_rate 0.1)"), "{error}");
    }
}
