//! This project as a contender of `cargo xtask bench --training`: training steps of one batch as `bit finetune` takes them,
//! with the protocol of tests/reference/train_peer.py.

use std::io;
use std::time::Instant;

use anyhow::{Result, ensure};
use bit_config::hyperrule::{Resolution, Schedule};
use bit_pretrained::Pretrained;
use bit_tests::runner::{Arguments, milliseconds, say};
use bit_transfer::data::{Batch, LabelTask, Targets};
use bit_transfer::train::{DataFacts, Recipe, RecipeOptions, Trainer};

/// The learning rate; the peer has the same, and the same momentum.
const RATE: f64 = 1e-3;

fn main() -> Result<()> {
    let arguments = Arguments::parse()?;
    let batch = batch(&arguments)?;
    let start = Instant::now();
    let pretrained = Pretrained::open(&arguments.folder)?;
    let config = pretrained.config();
    let classes: Vec<String> = (0..config.num_labels())
        .map(|index| config.label(index))
        .collect();
    let recipe = recipe(&batch, classes.len())?;
    let mut trainer = Trainer::new(&pretrained, &classes, recipe, &arguments.device)?;
    say(&format!("ready {:.3}", milliseconds(start)))?;
    for line in io::stdin().lines() {
        let line = line?;
        ensure!(line.trim() == "step", "`{line}` is not `step`");
        let batch = batch.clone();
        let start = Instant::now();
        let report = trainer.take_step(batch)?;
        say(&format!("{:.3} {}", milliseconds(start), report.loss))?;
    }
    Ok(())
}

/// The pictures of the file, of the classes 0, 1, 2, …
fn batch(arguments: &Arguments) -> Result<Batch> {
    let pixels = arguments.pixel_values()?;
    let shape = pixels.dims();
    Ok(Batch {
        pixels: pixels.into_data().iter::<f32>().collect(),
        shape,
        labels: Targets::Classes((0..shape[0]).collect()),
        examples: (0..shape[0]).collect(),
    })
}

/// SGD at one rate, without end.
fn recipe(batch: &Batch, classes: usize) -> Result<Recipe> {
    let [examples, _, _, side] = batch.shape;
    let options = RecipeOptions {
        batch_size: Some(examples),
        base_learning_rate: Some(RATE),
        resolution: Some(Resolution {
            resize: side,
            crop: side,
        }),
        ..RecipeOptions::default()
    };
    let facts = DataFacts {
        examples,
        classes,
        task: LabelTask::SingleLabel,
        image_size: None,
    };
    let schedule = Schedule {
        warmup: 0,
        decays: [usize::MAX; 3],
        end: usize::MAX,
    };
    Ok(Recipe {
        schedule,
        ..Recipe::resolve(&options, &facts)?
    })
}
