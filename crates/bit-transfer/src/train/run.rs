//! A run from its first step to its result.

use std::sync::Arc;
use std::time::Instant;

use bit_config::ImageProcessorConfig;
use bit_convert::Checkpoint;
use bit_image::{Processor, ProcessorKind};
use bit_model::BitForImageClassification;
use bit_pretrained::{PretrainedError, save_pretrained};

use crate::TransferError;
use crate::data::{DataSet, LoaderOptions, Skipped, TrainLoader, TrainTransform, recipe_processor};
use crate::metrics::Report;
use crate::train::card::{CardFacts, model_card};
use crate::train::evaluate::evaluate;
use crate::train::folder::{RunFolder, write_for_timm, write_whole};
use crate::train::log::RunLog;
use crate::train::observer::Observer;
use crate::train::options::{Fingerprints, RunData, RunOptions};
use crate::train::outcome::{Outcome, Score};
use crate::train::state;
use crate::train::trainer::Trainer;

/// Trains until the recipe's end and writes the result as a folder that transformers reads.
///
/// The folder also gets `recipe.json`, `metrics.jsonl`, TensorBoard event files, `checkpoints/last.safetensors`, from
/// which a killed run continues to the same bits, and `checkpoints/best.safetensors`.
///
/// # Errors
///
/// When the folder holds another run, the data or the model cannot be used, or the loss is not finite.
pub fn finetune(
    trainer: Trainer,
    data: &RunData,
    options: &RunOptions,
    observer: &mut dyn Observer,
) -> Result<Outcome, TransferError> {
    Run::open(trainer, data, options, observer)?.finish()
}

struct Run<'a> {
    trainer: Trainer,
    data: &'a RunData,
    fingerprints: Fingerprints,
    options: &'a RunOptions,
    observer: &'a mut dyn Observer,
    folder: RunFolder,
    log: RunLog,
    processor: ImageProcessorConfig,
    /// That of the weights in the file of the best.
    best: Option<Score>,
    /// That of the last evaluation.
    latest: Option<Score>,
    skipped: Vec<Skipped>,
}

impl<'a> Run<'a> {
    fn open(
        mut trainer: Trainer,
        data: &'a RunData,
        options: &'a RunOptions,
        observer: &'a mut dyn Observer,
    ) -> Result<Self, TransferError> {
        let folder = RunFolder::open(&options.output, trainer.recipe(), options.resume)?;
        let fingerprints = data.fingerprints();
        let mut best = None;
        if options.resume && folder.last().exists() {
            state::restore(&mut trainer, &fingerprints, &folder.last())?;
            best = state::read_score(&folder.best())?;
        }
        Ok(Self {
            log: RunLog::open(&folder, trainer.step_number())?,
            processor: recipe_processor(trainer.recipe().resolution.crop),
            trainer,
            data,
            fingerprints,
            options,
            observer,
            folder,
            best,
            latest: None,
            skipped: Vec::new(),
        })
    }

    fn finish(mut self) -> Result<Outcome, TransferError> {
        let stopped = self.train()?;
        let measured = self
            .latest
            .filter(|score| score.steps == self.trainer.step_number());
        let now = match stopped && measured.is_none() {
            true => self.score()?,
            false => measured,
        };
        let best_is_result = match (&self.best, &now) {
            (Some(best), Some(now)) => !now.beats(best),
            (best, _) => best.is_some(),
        };
        let validation = if best_is_result { self.best } else { now };
        let network = match best_is_result {
            true => state::read_weights(
                self.trainer.network(),
                &Checkpoint::open(&self.folder.best())?,
                "",
            )?,
            false => self.trainer.network(),
        };
        // The model comes first: whatever is wrong with the test data must not cost it.
        self.write_card(validation.as_ref(), None)?;
        self.write_model(&network)?;
        let test = match self.data.test.clone() {
            Some(test) => Some(self.measure(&network, &test)?),
            None => None,
        };
        if test.is_some() {
            self.write_card(validation.as_ref(), test.as_ref())?;
        }
        Ok(Outcome {
            steps: self.trainer.step_number(),
            stopped,
            validation,
            test,
            skipped: self.skipped,
        })
    }

    /// Takes the steps that are left; true when it was stopped before the last.
    fn train(&mut self) -> Result<bool, TransferError> {
        let steps = self.trainer.recipe().schedule.end;
        let tenth = (steps / 10).max(1);
        let evaluate_every = self.options.evaluate_every.unwrap_or(tenth).max(1);
        let save_every = self.options.save_every.unwrap_or(evaluate_every).max(1);
        let first_step = self.trainer.step_number();
        self.observer.begin(first_step, steps);
        let mut loader = self.loader(first_step)?;
        let mut stopped = false;
        while self.trainer.step_number() < steps && !stopped {
            self.step(&mut loader)?;
            let done = self.trainer.step_number();
            stopped = self.observer.stop() && done < steps;
            // An evaluation that is due belongs to the run; one because of a stop must not change what it resumes to.
            let evaluate = done.is_multiple_of(evaluate_every) || done == steps;
            let save = done.is_multiple_of(save_every) || done == steps || stopped;
            if evaluate || save {
                self.trainer.check_finite()?;
            }
            if evaluate {
                self.keep_best()?;
            }
            if save {
                state::save(&self.trainer, &self.fingerprints, &self.folder.last())?;
            }
        }
        self.skipped.extend(loader.skipped());
        Ok(stopped)
    }

    fn loader(&self, first_step: usize) -> Result<TrainLoader, TransferError> {
        let recipe = self.trainer.recipe();
        let transform = TrainTransform {
            resolution: recipe.resolution,
            flip: recipe.flip,
            processor: self.processor.clone(),
        };
        let options = LoaderOptions {
            batch_size: recipe.batch_size,
            seed: recipe.seed,
            cache: self.options.cache,
            ..self.loader_options()
        };
        TrainLoader::new(self.data.train.clone(), transform, options, first_step)
    }

    fn loader_options(&self) -> LoaderOptions {
        LoaderOptions {
            strict: self.options.strict,
            threads: self.options.threads,
            ..LoaderOptions::default()
        }
    }

    fn step(&mut self, loader: &mut TrainLoader) -> Result<(), TransferError> {
        let start = Instant::now();
        let batch = loader.next().transpose()?.ok_or_else(|| {
            TransferError::Argument("the training data ended before the last step".to_owned())
        })?;
        let report = self.trainer.take_step(batch)?;
        let images_per_second = report.images as f64 / start.elapsed().as_secs_f64().max(f64::MIN_POSITIVE);
        self.observer.step(&report, images_per_second);
        self.log.step(&report, images_per_second)
    }

    fn keep_best(&mut self) -> Result<(), TransferError> {
        let Some(score) = self.score()? else {
            return Ok(());
        };
        self.log.score(&score)?;
        if self.best.is_none_or(|best| score.beats(&best)) {
            state::save_best(&self.trainer.network(), &score, &self.folder.best())?;
            self.best = Some(score);
        }
        Ok(())
    }

    /// Validation scores of the weights as they are.
    fn score(&mut self) -> Result<Option<Score>, TransferError> {
        let Some(validation) = self.data.validation.clone() else {
            return Ok(None);
        };
        let report = self.measure(&self.trainer.network(), &validation)?;
        let score = Score {
            steps: self.trainer.step_number(),
            loss: report.loss,
            top1: report.top1,
            top5: report.top5,
        };
        self.observer.evaluated(&score);
        self.latest = Some(score);
        Ok(Some(score))
    }

    fn measure(
        &mut self,
        network: &BitForImageClassification,
        data: &Arc<DataSet>,
    ) -> Result<Report, TransferError> {
        let processor = Processor::new(ProcessorKind::Pil, self.processor.clone());
        let processor = processor.map_err(PretrainedError::from)?;
        let recipe = self.trainer.recipe();
        let options = LoaderOptions {
            batch_size: recipe.batch_size.div_ceil(recipe.batch_split),
            ..self.loader_options()
        };
        let observer = &mut *self.observer;
        let mut go_on = |done| {
            observer.evaluating(done, data.len());
            true
        };
        let device = self.trainer.device();
        let (evaluation, skipped) = evaluate(network, data, processor, options, &device, &mut go_on)?;
        for picture in skipped {
            if !self.skipped.contains(&picture) {
                self.skipped.push(picture);
            }
        }
        Ok(evaluation.report())
    }

    /// Everything but the card: a folder for transformers, and one inside it for timm where timm knows the
    /// architecture.
    fn write_model(&self, network: &BitForImageClassification) -> Result<(), TransferError> {
        let (config, root) = (self.trainer.config(), self.folder.root());
        save_pretrained(network, config, Some(&self.processor), root)?;
        write_for_timm(root, config)
    }

    fn write_card(&self, validation: Option<&Score>, test: Option<&Report>) -> Result<(), TransferError> {
        let recipe = self.trainer.recipe();
        let (steps, end) = (self.trainer.step_number(), recipe.schedule.end);
        let chosen = validation.filter(|score| score.steps != steps).map(|score| {
            let steps = score.steps;
            format!(" These are the weights after {steps} steps, which scored best.")
        });
        let card = model_card(&CardFacts {
            model: &self.options.model_name,
            base_model: self
                .options
                .base_model
                .as_deref()
                .filter(|_| !recipe.from_scratch),
            data: &self.options.data_name,
            sets: self.data,
            crop: recipe.resolution.crop,
            method: &format!(
                "{} It follows the BiT-HyperRule with the numbers below; {steps} of {end} steps were taken.{}",
                match recipe.from_scratch {
                    true => "It started from random weights.",
                    false => "It started from the pretrained weights.",
                },
                chosen.unwrap_or_default()
            ),
            recipe: recipe.to_json(),
            validation,
            test,
        });
        write_whole(&self.folder.card(), &card)
    }
}
