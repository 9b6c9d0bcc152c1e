//! What a run does, decided before it starts: the BiT-HyperRule and what the user puts in its place.

use bit_config::BitConfig;
use bit_config::hyperrule::{self, Resolution, Schedule};
use serde::{Deserialize, Serialize};

use crate::TransferError;
use crate::data::LabelTask;
use crate::train::facts::DataFacts;
use crate::train::freeze::Freeze;
use crate::train::identity::first_difference;
use crate::train::optimizer::{BETAS, MOMENTUM};

/// What is put in the place of the HyperRule's choices; `None` and the defaults keep them.
#[derive(Clone, Debug, Default)]
pub struct RecipeOptions {
    /// What the pretrained model is called. This and the next two choose nothing here: they are kept in the recipe.
    pub model: String,
    /// How many images of each class were sampled from the data, where not all were taken.
    pub examples_per_class: Option<usize>,
    /// Share of the data that was set aside for validation.
    pub validation_split: Option<f64>,
    /// Whether all weights are drawn anew: the baseline that shows what transfer is worth.
    pub from_scratch: bool,
    /// Optimizer steps; the schedule's boundaries move in proportion.
    pub steps: Option<usize>,
    /// Images in an optimizer step.
    pub batch_size: Option<usize>,
    /// Parts a batch is divided into, one in memory at a time.
    pub batch_split: Option<usize>,
    /// Learning rate after the warm-up and before the first decay.
    pub base_learning_rate: Option<f64>,
    /// Parameter of mixup's Beta distribution; 0 is no mixup.
    pub mixup_alpha: Option<f64>,
    /// Sides of the resized image and of the crop.
    pub resolution: Option<Resolution>,
    /// Whether not to mirror images at random.
    pub no_flip: bool,
    /// What keeps its weights.
    pub freeze: Freeze,
    /// Share of each target that is spread over all classes.
    pub label_smoothing: f64,
    /// Factor of the weights that is added to their gradient (SGD) or taken from them (AdamW).
    pub weight_decay: f64,
    /// Share of the old in the running mean of the weights.
    pub ema: Option<f64>,
    /// How gradients become steps.
    pub optimizer: OptimizerKind,
    /// Decides every random choice.
    pub seed: u64,
}

/// Everything a run does, number by number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// What the pretrained model is called.
    #[serde(default)]
    pub model: String,
    /// How many images of each class were sampled from the data; absent where all were taken.
    #[serde(default)]
    pub examples_per_class: Option<usize>,
    /// Share of the data that was set aside for validation; absent where the data has a part for it.
    #[serde(default)]
    pub validation_split: Option<f64>,
    /// Training images.
    pub examples: usize,
    /// Outputs of the new head.
    pub classes: usize,
    /// Cross entropy over one label an image, or binary cross entropy over several.
    pub task: LabelTask,
    /// Whether all weights are drawn anew, instead of being the pretrained ones below the head.
    #[serde(default)]
    pub from_scratch: bool,
    /// Sides of the resized image and of the crop.
    pub resolution: Resolution,
    /// Whether images are mirrored at random.
    pub flip: bool,
    /// Images in an optimizer step.
    pub batch_size: usize,
    /// Parts a batch is divided into.
    pub batch_split: usize,
    /// How gradients become steps.
    pub optimizer: OptimizerKind,
    /// SGD's momentum, as the optimizer has it.
    #[serde(default)]
    pub momentum: Option<f64>,
    /// AdamW's decay of both moments, as the optimizer has them.
    #[serde(default)]
    pub betas: Option<(f64, f64)>,
    /// Learning rate after the warm-up and before the first decay.
    pub base_learning_rate: f64,
    /// Steps of the warm-up, of the decays, and of the end.
    pub schedule: Schedule,
    /// Factor of the weights that is added to their gradient (SGD) or taken from them (AdamW).
    pub weight_decay: f64,
    /// Parameter of mixup's Beta distribution; 0 is no mixup.
    pub mixup_alpha: f64,
    /// Share of each target that is spread over all classes.
    pub label_smoothing: f64,
    /// What keeps its weights.
    pub freeze: Freeze,
    /// Share of the old in the running mean of the weights, which is then what is evaluated and saved; less in the
    /// first steps.
    pub ema: Option<f64>,
    /// Decides every random choice.
    pub seed: u64,
}

/// How gradients become steps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OptimizerKind {
    /// Stochastic gradient descent with momentum 0.9: BiT's.
    #[default]
    Sgd,
    /// Adam with decoupled weight decay, betas 0.9 and 0.999.
    AdamW,
}

impl Recipe {
    /// Applies the HyperRule to the data, and the options to the HyperRule.
    ///
    /// ```
    /// use bit_transfer::data::LabelTask;
    /// use bit_transfer::train::{DataFacts, Recipe, RecipeOptions};
    ///
    /// let task = LabelTask::SingleLabel;
    /// let cifar = DataFacts { examples: 50_000, classes: 10, task, image_size: Some([32, 32]) };
    /// let recipe = Recipe::resolve(&RecipeOptions::default(), &cifar)?;
    /// assert_eq!((recipe.resolution.resize, recipe.resolution.crop), (160, 128));
    /// assert_eq!((recipe.schedule.end, recipe.mixup_alpha), (10_000, 0.1));
    /// # Ok::<(), bit_transfer::TransferError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`TransferError::Argument`] when a number is out of range, or there is nothing to choose the resolution by.
    pub fn resolve(options: &RecipeOptions, data: &DataFacts) -> Result<Self, TransferError> {
        let schedule = Schedule::for_examples(data.examples);
        let by_size = || {
            let [height, width] = data.image_size?;
            Some(hyperrule::resolution(height, width))
        };
        let resolution = options.resolution.or_else(by_size).ok_or_else(|| {
            let message = "neither a resolution nor the size of the images is known; one of them is needed";
            TransferError::Argument(message.to_owned())
        })?;
        let recipe = Self {
            model: options.model.clone(),
            examples_per_class: options.examples_per_class,
            validation_split: options.validation_split,
            examples: data.examples,
            classes: data.classes,
            task: data.task,
            from_scratch: options.from_scratch,
            resolution,
            flip: !options.no_flip,
            batch_size: options.batch_size.unwrap_or(hyperrule::BATCH_SIZE),
            batch_split: options.batch_split.unwrap_or(1),
            optimizer: options.optimizer,
            momentum: (options.optimizer == OptimizerKind::Sgd).then_some(MOMENTUM),
            betas: (options.optimizer == OptimizerKind::AdamW).then_some(BETAS),
            base_learning_rate: options
                .base_learning_rate
                .unwrap_or(hyperrule::BASE_LEARNING_RATE),
            schedule: options.steps.map_or(schedule, |steps| schedule.in_steps(steps)),
            weight_decay: options.weight_decay,
            mixup_alpha: options
                .mixup_alpha
                .unwrap_or_else(|| hyperrule::mixup_alpha(data.examples)),
            label_smoothing: options.label_smoothing,
            freeze: options.freeze,
            ema: options.ema,
            seed: options.seed,
        };
        recipe.check()?;
        Ok(recipe)
    }

    fn check(&self) -> Result<(), TransferError> {
        let Resolution { resize, crop } = self.resolution;
        let rules: [(bool, &str, String, &str); 9] = [
            (
                self.classes > 0,
                "the number of classes",
                self.classes.to_string(),
                "at least 1",
            ),
            (
                self.schedule.end > 0,
                "steps",
                self.schedule.end.to_string(),
                "at least 1",
            ),
            (
                self.batch_size > 0,
                "the batch size",
                self.batch_size.to_string(),
                "at least 1",
            ),
            (
                (1..=self.batch_size.max(1)).contains(&self.batch_split),
                "the batch split",
                self.batch_split.to_string(),
                "between 1 and the batch size",
            ),
            (
                self.base_learning_rate.is_finite() && self.base_learning_rate >= 0.0,
                "the base learning rate",
                self.base_learning_rate.to_string(),
                "a number of at least 0",
            ),
            (
                // Below, the logarithms of its Beta distribution leave the range of numbers.
                self.mixup_alpha == 0.0 || (1e-6..=8.0).contains(&self.mixup_alpha),
                "mixup",
                self.mixup_alpha.to_string(),
                "0, or between 0.000001 and 8",
            ),
            (
                (0.0..1.0).contains(&self.label_smoothing),
                "label smoothing",
                self.label_smoothing.to_string(),
                "at least 0 and below 1",
            ),
            (
                self.weight_decay.is_finite() && self.weight_decay >= 0.0,
                "the weight decay",
                self.weight_decay.to_string(),
                "a number of at least 0",
            ),
            (
                self.ema.is_none_or(|ema| (0.0..1.0).contains(&ema)),
                "ema",
                self.ema.unwrap_or_default().to_string(),
                "at least 0 and below 1",
            ),
        ];
        if let Some((_, what, found, wanted)) = rules.into_iter().find(|(fits, ..)| !fits) {
            return Err(TransferError::Argument(format!(
                "{what} is {found}; it must be {wanted}"
            )));
        }
        if crop == 0 || crop > resize || resize > 1 << 14 {
            return Err(TransferError::Argument(format!(
                "a crop of {crop} pixels out of {resize} is impossible; the crop must be at least 1 and at most \
                 the resized side, and that at most {}",
                1 << 14
            )));
        }
        Ok(())
    }

    /// Whether the recipe and the network fit together.
    ///
    /// # Errors
    ///
    /// [`TransferError::Argument`] when a stage is to be frozen that the network does not have.
    pub fn check_network(&self, config: &BitConfig) -> Result<(), TransferError> {
        match self.freeze {
            Freeze::Stage(last) if last > config.depths.len() => Err(TransferError::Argument(format!(
                "cannot freeze up to stage{last}: the network has {} stages",
                config.depths.len()
            ))),
            _ => Ok(()),
        }
    }

    /// The learning rate of a step, counted from 0; `None` once training is over.
    pub fn learning_rate(&self, step: usize) -> Option<f64> {
        self.schedule.learning_rate(step, self.base_learning_rate)
    }

    /// The first number in which another recipe differs, in words.
    pub fn difference(&self, other: &Self) -> Option<String> {
        let [ours, others] = [self, other].map(|recipe| serde_json::to_value(recipe).unwrap_or_default());
        first_difference(&ours, &others)
    }

    /// As indented JSON with a line break at the end.
    pub fn to_json(&self) -> String {
        let json =
            serde_json::to_string_pretty(self).expect("invariant: a recipe has text keys and finite numbers");
        json + "\n"
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const DIGITS: DataFacts = DataFacts {
        examples: 1000,
        classes: 10,
        task: LabelTask::SingleLabel,
        image_size: Some([8, 8]),
    };

    #[test]
    fn without_options_it_is_the_papers() {
        let recipe = Recipe::resolve(&RecipeOptions::default(), &DIGITS).unwrap();
        assert_eq!(recipe.schedule, Schedule::for_examples(1000));
        assert_eq!((recipe.batch_size, recipe.batch_split), (512, 1));
        assert_eq!((recipe.base_learning_rate, recipe.mixup_alpha), (0.003, 0.0));
        assert_eq!(
            (recipe.flip, recipe.optimizer, recipe.freeze),
            (true, OptimizerKind::Sgd, Freeze::Nothing)
        );
        assert_eq!(
            (recipe.weight_decay, recipe.label_smoothing, recipe.ema),
            (0.0, 0.0, None)
        );
    }

    #[test]
    fn it_survives_json_to_the_last_bit() {
        let options = RecipeOptions {
            base_learning_rate: Some(0.1 + 0.2),
            freeze: Freeze::Stage(3),
            ema: Some(0.999),
            ..RecipeOptions::default()
        };
        let recipe = Recipe::resolve(&options, &DIGITS).unwrap();
        assert_eq!(serde_json::from_str::<Recipe>(&recipe.to_json()).unwrap(), recipe);
    }

    #[test]
    fn a_different_recipe_is_told_by_the_number() {
        let recipe = |seed| {
            Recipe::resolve(
                &RecipeOptions {
                    seed,
                    ..RecipeOptions::default()
                },
                &DIGITS,
            )
            .unwrap()
        };
        assert_eq!(recipe(1).difference(&recipe(1)), None);
        assert_eq!(recipe(1).difference(&recipe(2)).unwrap(), "seed 1 instead of 2");
    }

    #[test]
    fn impossible_numbers_are_named() {
        let message = |options: RecipeOptions| Recipe::resolve(&options, &DIGITS).unwrap_err().to_string();
        let default = RecipeOptions::default;
        let found = message(RecipeOptions {
            batch_size: Some(4),
            batch_split: Some(5),
            ..default()
        });
        assert_eq!(
            found,
            "the batch split is 5; it must be between 1 and the batch size"
        );
        assert!(
            message(RecipeOptions {
                steps: Some(0),
                ..default()
            })
            .contains("steps is 0")
        );
        assert!(
            message(RecipeOptions {
                ema: Some(1.0),
                ..default()
            })
            .contains("ema is 1")
        );
        for alpha in [-0.1, 1e-310, 8.5, f64::NAN] {
            let mixup_alpha = Some(alpha);
            assert!(
                message(RecipeOptions {
                    mixup_alpha,
                    ..default()
                })
                .contains("mixup is")
            );
        }
        let nan = RecipeOptions {
            base_learning_rate: Some(f64::NAN),
            ..default()
        };
        assert!(message(nan).contains("learning rate is NaN"));
        let resolution = Some(Resolution { resize: 8, crop: 9 });
        assert!(
            message(RecipeOptions {
                resolution,
                ..default()
            })
            .contains("a crop of 9 pixels out of 8")
        );
    }
}
