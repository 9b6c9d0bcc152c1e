//! The linear probe: a head fitted in closed form on frozen features, in one pass over the images.

mod cholesky;
mod ridge;

use std::path::Path;
use std::sync::Arc;

use bit_image::{Processor, ProcessorKind};
use bit_model::{BitForImageClassification, load_parameters};
use bit_pretrained::{Pretrained, PretrainedError, save_pretrained};
use burn::tensor::{DType, Device, Tensor, TensorData};
use serde::Serialize;

pub use ridge::{LinearHead, Ridge};

use crate::TransferError;
use crate::data::{DataSet, EvalLoader, LoaderOptions, Skipped, Targets, recipe_processor};
use crate::train::{
    CardFacts, Observer, Outcome, Recipe, RunData, RunOptions, Score, classifier, evaluate, model_card,
    open_result, write_for_timm, write_whole,
};

/// Penalty of the squared weights in big_vision's few-shot evaluation: 2^10.
pub const PROBE_L2: f64 = 1024.0;

const CARD: &str = "README.md";

/// Everything a probe does.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProbeRecipe {
    /// What the pretrained model is called.
    pub model: String,
    /// How many images of each class were sampled from the data; absent where all were taken.
    pub examples_per_class: Option<usize>,
    /// Share of the data that was set aside for validation; absent where the data has a part for it.
    pub validation_split: Option<f64>,
    /// Decided which images these were.
    pub seed: u64,
    /// Side of the square that images are resized to.
    pub side: usize,
    /// Penalty of the squared weights.
    pub l2: f64,
    /// Images in memory at a time.
    pub batch_size: usize,
}

impl ProbeRecipe {
    /// big_vision's, on the data and images of the crop of a recipe.
    pub fn new(recipe: &Recipe) -> Self {
        Self {
            model: recipe.model.clone(),
            examples_per_class: recipe.examples_per_class,
            validation_split: recipe.validation_split,
            seed: recipe.seed,
            side: recipe.resolution.crop,
            l2: PROBE_L2,
            batch_size: 32,
        }
    }
}

/// Fits a head for the data's classes on the pretrained network and writes the result as a folder that transformers
/// reads, with its scores in the model card.
///
/// # Errors
///
/// When the folder holds a model, or the data or the network cannot be used.
pub fn probe(
    pretrained: &Pretrained,
    recipe: &ProbeRecipe,
    data: &RunData,
    options: &RunOptions,
    device: &Device,
    observer: &mut dyn Observer,
) -> Result<Outcome, TransferError> {
    ridge::check_penalty(recipe.l2)?;
    let recipe_json = serde_json::to_string_pretty(recipe).unwrap_or_default() + "\n";
    open_probe(&options.output, &recipe_json)?;
    let (model, config) = classifier(pretrained, &data.train.classes, data.train.task, device)?;
    let mut pass = Pass {
        recipe,
        options,
        device,
        observer,
        skipped: Vec::new(),
    };
    let head = pass.ridge(&model, &data.train)?.fit(recipe.l2)?;
    let model = with_head(model, &head);
    let validation = pass
        .measure(&model, data.validation.as_ref())?
        .map(|report| Score {
            steps: 0,
            loss: report.loss,
            top1: report.top1,
            top5: report.top5,
        });
    let test = pass.measure(&model, data.test.as_ref())?;
    save_pretrained(
        &model,
        &config,
        Some(&recipe_processor(recipe.side)),
        &options.output,
    )?;
    write_for_timm(&options.output, &config)?;
    let card = model_card(&CardFacts {
        model: &options.model_name,
        base_model: options.base_model.as_deref(),
        data: &options.data_name,
        sets: data,
        left_out: pass.skipped.len(),
        crop: recipe.side,
        method: "A linear head was fitted in closed form on the frozen network, as big_vision's few-shot evaluation \
                 does.",
        recipe: recipe_json,
        validation: validation.as_ref(),
        test: test.as_ref(),
    });
    // Last: a folder with a card is finished.
    write_whole(&options.output.join(CARD), &card)?;
    Ok(Outcome {
        steps: 0,
        stopped: false,
        validation,
        test,
        skipped: pass.skipped,
    })
}

/// Makes the folder and puts the recipe there; one with the same recipe and no card holds what is left of a probe that was
/// killed, which is done again.
fn open_probe(folder: &Path, recipe: &str) -> Result<(), TransferError> {
    let path = folder.join("recipe.json");
    let same = std::fs::read_to_string(&path).is_ok_and(|found| found == recipe);
    if !same || folder.join(CARD).exists() {
        open_result(folder)?;
    }
    write_whole(&path, recipe)
}

/// Passes over images without augmentation.
struct Pass<'a> {
    recipe: &'a ProbeRecipe,
    options: &'a RunOptions,
    device: &'a Device,
    observer: &'a mut dyn Observer,
    skipped: Vec<Skipped>,
}

impl Pass<'_> {
    /// The sums over all images.
    fn ridge(
        &mut self,
        model: &BitForImageClassification,
        data: &Arc<DataSet>,
    ) -> Result<Ridge, TransferError> {
        let mut loader = EvalLoader::new(data.clone(), self.processor()?, self.loader_options())?;
        let mut sums = None;
        let mut done = 0;
        while let Some(batch) = loader.next().transpose()? {
            self.observer.evaluating(done, data.len());
            done += batch.examples.len();
            let pixels = Tensor::from_data(TensorData::new(batch.pixels, batch.shape), self.device);
            let pooled = model.bit.pooled(pixels)?;
            let (width, classes) = (pooled.dims()[1], data.classes.len());
            let features: Vec<f32> = pooled.into_data().convert::<f32>().iter().collect();
            let sums = sums.get_or_insert_with(|| Ridge::new(width, classes));
            sums.add(&features, &signs(&batch.labels, classes))?;
        }
        self.tell(loader.skipped());
        Ok(sums.unwrap_or_else(|| Ridge::new(0, data.classes.len())))
    }

    fn measure(
        &mut self,
        model: &BitForImageClassification,
        data: Option<&Arc<DataSet>>,
    ) -> Result<Option<crate::metrics::Report>, TransferError> {
        let Some(data) = data else {
            return Ok(None);
        };
        let (processor, options) = (self.processor()?, self.loader_options());
        let observer = &mut *self.observer;
        let mut go_on = |done| {
            observer.evaluating(done, data.len());
            true
        };
        let (evaluation, skipped) = evaluate(model, data, processor, options, self.device, &mut go_on)?;
        self.tell(skipped);
        Ok(Some(evaluation.report()))
    }

    fn tell(&mut self, pictures: Vec<Skipped>) {
        for picture in pictures {
            self.observer.left_out(&picture);
            self.skipped.push(picture);
        }
    }

    fn processor(&self) -> Result<Processor, TransferError> {
        let processor = Processor::new(ProcessorKind::Pil, recipe_processor(self.recipe.side));
        Ok(processor.map_err(PretrainedError::from)?)
    }

    fn loader_options(&self) -> LoaderOptions {
        LoaderOptions {
            batch_size: self.recipe.batch_size,
            strict: self.options.strict,
            threads: self.options.threads,
            ..LoaderOptions::default()
        }
    }
}

/// 1 for the classes of a picture and -1 for the others, `[batch, classes]`.
fn signs(labels: &Targets, classes: usize) -> Vec<f32> {
    match labels {
        Targets::Classes(labels) => {
            let row = |label: &usize| {
                let label = *label;
                (0..classes).map(move |class| if class == label { 1.0 } else { -1.0 })
            };
            labels.iter().flat_map(row).collect()
        }
        Targets::MultiHot { values, .. } => values.iter().map(|value| 2.0 * value - 1.0).collect(),
    }
}

fn with_head(model: BitForImageClassification, head: &LinearHead) -> BitForImageClassification {
    load_parameters(model, DType::F32, |name, shape| match name {
        "classifier.1.weight" => Some(TensorData::new(head.weight.clone(), shape.to_vec())),
        "classifier.1.bias" => Some(TensorData::new(head.bias.clone(), shape.to_vec())),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_one_for_the_classes_of_a_picture_and_minus_one_for_the_others() {
        let expected = [-1.0, 1.0, 1.0, -1.0];
        assert_eq!(signs(&Targets::Classes(vec![1, 0]), 2), expected);
        let values = vec![0.0, 1.0, 1.0, 0.0];
        assert_eq!(signs(&Targets::MultiHot { values, classes: 2 }, 2), expected);
    }
}
