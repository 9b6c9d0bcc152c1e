//! One optimizer step after the other.

use bit_config::{BitConfig, ProblemType};
use bit_model::{BitForImageClassification, load_parameters};
use bit_pretrained::{Head, LoadOptions, Loaded, Pretrained, PretrainedModel};
use burn::module::Module;
use burn::tensor::{DType, Device, TensorData};

use crate::TransferError;
use crate::data::{Batch, LabelTask};
use crate::train::freeze::Freeze;
use crate::train::mixup::Mix;
use crate::train::optimizer::Optimizer;
use crate::train::parallel::{Replica, differentiate};
use crate::train::parameters::{self, Flat};
use crate::train::recipe::Recipe;
use crate::train::targets::{SoftTargets, check_batch};

/// A network in training: all that the next step depends on, besides its batch.
#[derive(Debug)]
pub struct Trainer {
    /// The network on the first device.
    pub(crate) replica: Replica,
    /// Devices that share the work.
    others: Vec<Device>,
    pub(crate) config: BitConfig,
    recipe: Recipe,
    pub(crate) optimizer: Optimizer,
    /// Running means of the weights, when the recipe asks for them.
    pub(crate) means: Flat,
    pub(crate) step: usize,
}

/// What a step did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepReport {
    /// The step, counted from 0.
    pub step: usize,
    /// Mean loss over its images, before the update.
    pub loss: f64,
    /// Its learning rate.
    pub learning_rate: f64,
    /// How many images it saw.
    pub images: usize,
}

impl Trainer {
    /// The network with a new head of zeros for `classes`, before its first step. Of a run from scratch the
    /// pretrained model gives the architecture alone.
    ///
    /// # Errors
    ///
    /// When the weights cannot be read, or the recipe does not fit the network or the classes.
    pub fn new(
        pretrained: &Pretrained,
        classes: &[String],
        recipe: Recipe,
        device: &Device,
    ) -> Result<Self, TransferError> {
        let device = device.clone().autodiff();
        recipe.check_network(pretrained.config())?;
        if recipe.classes != classes.len() {
            let (recipe, found) = (recipe.classes, classes.len());
            let message = format!("the recipe is for {recipe} classes, and the data has {found}");
            return Err(TransferError::Argument(message));
        }
        let (model, config) = if recipe.from_scratch {
            let config = labelled(pretrained.config(), classes, recipe.task);
            device.seed(recipe.seed);
            (BitForImageClassification::from_config(&config, &device)?, config)
        } else {
            classifier(pretrained, classes, recipe.task, &device)?
        };
        let mut trainer = Self {
            optimizer: Optimizer::new(&recipe),
            replica: Replica::new(zero_head(model), device),
            others: Vec::new(),
            means: Flat::new(),
            step: 0,
            config,
            recipe,
        };
        trainer.settle();
        Ok(trainer)
    }

    /// Divides every batch between the trainer's device and these: data parallel.
    ///
    /// Each device gets the same number of parts of [`Recipe::batch_split`], rounded up. The parts' gradients are added
    /// up in their order on the first device, so that the result is that of one device with as many parts, within
    /// rounding, and is the same each time. The slowest device sets the pace.
    ///
    /// # Errors
    ///
    /// [`TransferError::Argument`] when the network has stochastic depth: devices may share one stream of random
    /// numbers, and a run would then not be repeatable.
    pub fn with_devices(mut self, others: &[Device]) -> Result<Self, TransferError> {
        if self.config.drop_path_rate > 0.0 && !others.is_empty() {
            let rate = self.config.drop_path_rate;
            return Err(TransferError::Argument(format!(
                "the network has stochastic depth (drop_path_rate {rate}), whose draws several devices would share; \
                 train it on one device"
            )));
        }
        self.others = others.iter().map(|device| device.clone().autodiff()).collect();
        Ok(self)
    }

    /// After the weights were put in: what follows from them.
    pub(crate) fn settle(&mut self) {
        let (replica, freeze) = (&mut self.replica, self.recipe.freeze);
        replica.change(|model| parameters::freeze(model, freeze));
        replica.frozen = (freeze == Freeze::Backbone).then(|| replica.model().bit.valid());
        if let Some(keep) = self.recipe.ema.filter(|_| self.means.is_empty()) {
            parameters::average(replica.model(), &mut self.means, keep);
        }
    }

    /// The network's configuration, with the classes as labels.
    pub fn config(&self) -> &BitConfig {
        &self.config
    }

    /// What the run does.
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// The number of the next step, counted from 0.
    pub fn step_number(&self) -> usize {
        self.step
    }

    /// The device without gradients, on which evaluation runs.
    pub fn device(&self) -> Device {
        self.replica.device.clone().without_autodiff()
    }

    /// The network as it would be saved now, without gradients; with an EMA, the mean of its weights.
    pub fn network(&self) -> BitForImageClassification {
        parameters::with_values(self.replica.model(), &self.means)
    }

    /// Takes the recipe's next step with its batch.
    ///
    /// # Errors
    ///
    /// [`TransferError::Diverged`] when the loss is not finite, [`TransferError::Argument`] when training is over or the
    /// batch holds something else, and when the pictures do not fit the network. The weights are then as before.
    pub fn take_step(&mut self, batch: Batch) -> Result<StepReport, TransferError> {
        let Recipe {
            mixup_alpha, seed, ..
        } = self.recipe;
        check_batch(&batch, self.recipe.classes, self.recipe.task)?;
        let images = batch.shape[0];
        let mix = (mixup_alpha > 0.0).then(|| Mix::draw(mixup_alpha, images, seed, self.step));
        self.take_mixed_step(batch, mix.as_ref())
    }

    /// As [`take_step`](Self::take_step), with a mixture that is not drawn but given.
    ///
    /// # Errors
    ///
    /// As [`take_step`](Self::take_step), and when the mixture is not for this many images.
    pub fn take_mixed_step(
        &mut self,
        mut batch: Batch,
        mix: Option<&Mix>,
    ) -> Result<StepReport, TransferError> {
        let Some(learning_rate) = self.recipe.learning_rate(self.step) else {
            let steps = self.recipe.schedule.end;
            return Err(TransferError::Argument(format!(
                "training ended after {steps} steps"
            )));
        };
        check_batch(&batch, self.recipe.classes, self.recipe.task)?;
        let mut targets = SoftTargets::new(&batch.labels, self.recipe.classes, self.recipe.label_smoothing);
        if let Some(mix) = mix {
            mix.check(batch.shape[0])?;
            mix.apply(&mut batch, &mut targets);
        }
        // What is random inside the network, such as stochastic depth, is then a function of seed and step.
        let seed = self.recipe.seed ^ (self.step as u64).rotate_left(32);
        self.replica.device.seed(seed);
        let split = self.recipe.batch_split.next_multiple_of(self.others.len() + 1);
        let (loss, gradients) = differentiate(&self.replica, &self.others, split, &batch, &targets)?;
        if !loss.is_finite() {
            return Err(self.diverged(format!("the loss is {loss}")));
        }
        let (optimizer, step) = (&mut self.optimizer, self.step);
        let update = |model| parameters::update(model, gradients, optimizer, learning_rate, step);
        self.replica.change(update);
        if let Some(keep) = self.recipe.ema {
            parameters::average(self.replica.model(), &mut self.means, warmed_up(keep, self.step));
        }
        let report = StepReport {
            step: self.step,
            loss,
            learning_rate,
            images: batch.shape[0],
        };
        self.step += 1;
        Ok(report)
    }

    /// Whether the weights may be saved. A finite loss does not tell: its gradients can overflow.
    pub(crate) fn check_finite(&self) -> Result<(), TransferError> {
        match parameters::first_not_finite(self.replica.model()) {
            Some(name) => Err(self.diverged(format!("`{name}` has values that are not finite"))),
            None => Ok(()),
        }
    }

    fn diverged(&self, what: String) -> TransferError {
        TransferError::Diverged {
            steps: self.step,
            what,
            base_learning_rate: self.recipe.base_learning_rate,
        }
    }
}

/// The share of the old in the running mean after a step: small at first, because the head starts from zeros, which a
/// mean of 0.999 would still half remember after 500 steps.
fn warmed_up(keep: f64, step: usize) -> f64 {
    let step = step as f64;
    keep.min((1.0 + step) / (10.0 + step))
}

/// The pretrained network with a head for other classes, drawn anew, and its configuration.
pub(crate) fn classifier(
    pretrained: &Pretrained,
    classes: &[String],
    task: LabelTask,
    device: &Device,
) -> Result<(BitForImageClassification, BitConfig), TransferError> {
    let options = LoadOptions {
        head: Head::Fresh {
            num_labels: classes.len(),
        },
        ..LoadOptions::default()
    };
    let Loaded { model, .. } = pretrained.load(options, device)?;
    Ok((model, labelled(pretrained.config(), classes, task)))
}

fn labelled(config: &BitConfig, classes: &[String], task: LabelTask) -> BitConfig {
    BitConfig {
        problem_type: Some(match task {
            LabelTask::SingleLabel => ProblemType::SingleLabelClassification,
            LabelTask::MultiLabel => ProblemType::MultiLabelClassification,
        }),
        ..config.clone().with_labels(classes)
    }
}

fn zero_head(model: BitForImageClassification) -> BitForImageClassification {
    load_parameters(model, DType::F32, |name, shape| {
        let zeros = || TensorData::zeros::<f32, _>(shape.to_vec());
        name.starts_with("classifier.").then(zeros)
    })
}
