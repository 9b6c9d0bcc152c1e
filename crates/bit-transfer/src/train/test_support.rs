//! A small training to test with.
#![allow(clippy::unwrap_used)]

use bit_pretrained::Pretrained;
use burn::tensor::Device;

use crate::data::{Batch, LabelTask, Random, Targets};
use crate::train::{DataFacts, Recipe, RecipeOptions, Trainer};

/// `builtin:mnist` with a new head, before 20 steps on the CPU unless told otherwise.
pub(crate) fn small_trainer(options: &RecipeOptions, classes: usize) -> Trainer {
    let options = RecipeOptions {
        steps: options.steps.or(Some(20)),
        ..options.clone()
    };
    let facts = DataFacts {
        examples: 4,
        classes,
        task: LabelTask::SingleLabel,
        image_size: Some([8, 8]),
    };
    let recipe = Recipe::resolve(&options, &facts).unwrap();
    let pretrained = Pretrained::open("builtin:mnist").unwrap();
    let names: Vec<String> = (0..classes).map(|class| format!("class {class}")).collect();
    Trainer::new(&pretrained, &names, recipe, &Device::flex()).unwrap()
}

/// A random batch of 4 pictures a step.
pub(crate) fn take_steps(trainer: &mut Trainer, until: usize) {
    while trainer.step_number() < until {
        let mut random = Random::new(0, "test", trainer.step_number() as u64);
        let batch = Batch {
            pixels: (0..4 * 3 * 16 * 16).map(|_| random.unit() as f32 - 0.5).collect(),
            shape: [4, 3, 16, 16],
            labels: Targets::Classes(vec![0, 1, 2, 1]),
            examples: vec![0, 1, 2, 3],
        };
        trainer.take_step(batch).unwrap();
    }
}
