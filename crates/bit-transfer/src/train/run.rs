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
use crate::train::card::{CardFacts, model_card, training_method};
use crate::train::evaluate::evaluate;
use crate::train::folder::{RunFolder, write_for_timm, write_whole};
use crate::train::identity::Identity;
use crate::train::log::RunLog;
use crate::train::observer::Observer;
use crate::train::options::{RunData, RunOptions};
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
    identity: Identity,
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
        let identity = Identity::of(&trainer, data.fingerprints());
        let mut best = None;
        if options.resume && folder.last().exists() {
            state::restore(&mut trainer, &identity, &folder.last())?;
            best = state::read_score(&identity, &folder.best())?;
        }
        Ok(Self {
            log: RunLog::open(&folder, trainer.step_number())?,
            processor: recipe_processor(trainer.recipe().resolution.crop),
            trainer,
            data,
            identity,
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
            true => {
                let best = Checkpoint::open(&self.folder.best())?;
                state::read_weights(self.trainer.network(), &best, "")?
            }
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
        let first_step = self.trainer.step_number();
        self.observer.begin(first_step, steps);
        // A run that ended during an evaluation had saved before it.
        if first_step > 0 && self.due().0 && !self.log.scored() {
            self.keep_best()?;
        }
        let mut loader = self.loader(first_step)?;
        let mut stopped = false;
        while self.trainer.step_number() < steps && !stopped {
            self.step(&mut loader)?;
            stopped = self.observer.stop();
            // What was asked for meanwhile waits for a step that is saved.
            stopped |= self.checkpoint(stopped)? && self.observer.stop();
        }
        self.tell(loader.skipped());
        Ok(stopped && self.trainer.step_number() < steps)
    }

    /// Saves and evaluates after a step, where that is due or it is the last one for now; whether it has saved.
    fn checkpoint(&mut self, stopped: bool) -> Result<bool, TransferError> {
        // An evaluation that is due belongs to the run; one because of a stop must not change what it resumes to.
        let (evaluate, save) = self.due();
        if save || stopped {
            self.trainer.check_finite()?;
            state::save(&self.trainer, &self.identity, &self.folder.last())?;
        }
        if evaluate {
            self.keep_best()?;
        }
        Ok(save || stopped)
    }

    /// Whether an evaluation and a checkpoint belong after the steps that were taken. Each evaluation, which takes long,
    /// has a checkpoint before it: whoever ends the run there loses nothing.
    fn due(&self) -> (bool, bool) {
        let (steps, done) = (self.trainer.recipe().schedule.end, self.trainer.step_number());
        let evaluate_every = self.options.evaluate_every.unwrap_or(steps / 10).max(1);
        let save_every = self.options.save_every.unwrap_or(evaluate_every).max(1);
        let evaluate = done.is_multiple_of(evaluate_every) || done == steps;
        (evaluate, evaluate || done.is_multiple_of(save_every))
    }

    /// Notes pictures that were left out, and tells each once.
    fn tell(&mut self, pictures: Vec<Skipped>) {
        for picture in pictures {
            if !self.skipped.contains(&picture) {
                self.observer.left_out(&picture);
                self.skipped.push(picture);
            }
        }
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
        let ended = || TransferError::Argument("the training data ended before the last step".to_owned());
        let batch = loader.next().transpose()?.ok_or_else(ended)?;
        self.tell(loader.newly_skipped());
        let report = self.trainer.take_step(batch)?;
        let images_per_second = report.images as f64 / start.elapsed().as_secs_f64().max(f64::MIN_POSITIVE);
        self.observer.step(&report, images_per_second);
        self.log.step(&report, images_per_second)
    }

    fn keep_best(&mut self) -> Result<(), TransferError> {
        let Some(score) = self.score()? else {
            return Ok(());
        };
        if self.best.is_none_or(|best| score.beats(&best)) {
            let network = self.trainer.network();
            state::save_best(&network, &self.identity, &score, &self.folder.best())?;
            self.best = Some(score);
        }
        // Last, because a line of the log says that all of this is done.
        self.log.score(&score)
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
        self.tell(skipped);
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
        let base_model = self.options.base_model.as_deref();
        let base_model = base_model.filter(|_| !recipe.from_scratch);
        let card = model_card(&CardFacts {
            model: &self.options.model_name,
            base_model,
            data: &self.options.data_name,
            sets: self.data,
            crop: recipe.resolution.crop,
            method: &training_method(recipe, self.trainer.step_number(), validation),
            left_out: self.skipped.len(),
            recipe: recipe.to_json(),
            validation,
            test,
        });
        write_whole(&self.folder.card(), &card)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::path::Path;

    use bit_config::hyperrule::Resolution;

    use super::*;
    use crate::data::{Example, ImageSource, LabelTask};
    use crate::panics::catch_quietly;
    use crate::train::RecipeOptions;
    use crate::train::test_support::small_trainer;

    fn png(shade: u8) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, 8, 8);
        encoder.set_color(png::ColorType::Grayscale);
        let pixels: Vec<u8> = (0..64).map(|place| shade.wrapping_mul(place)).collect();
        encoder.write_header().unwrap().write_image_data(&pixels).unwrap();
        bytes
    }

    /// Six pictures of three classes, then those of these bytes.
    fn pictures(more: &[&[u8]]) -> Arc<DataSet> {
        let pictures = (1..7).map(png).chain(more.iter().map(|bytes| bytes.to_vec()));
        let example = |(index, bytes): (usize, Vec<u8>)| Example {
            image: ImageSource::Encoded {
                name: format!("picture {index}").into(),
                bytes: bytes.into(),
            },
            labels: vec![index % 3],
        };
        Arc::new(DataSet {
            classes: (0..3).map(|class| format!("class {class}")).collect(),
            examples: pictures.enumerate().map(example).collect(),
            task: LabelTask::SingleLabel,
        })
    }

    fn data(validated: bool) -> RunData {
        RunData {
            train: pictures(&[]),
            validation: validated.then(|| pictures(&[])),
            test: None,
        }
    }

    /// A run of six steps, scored after every second.
    fn run(
        folder: &Path,
        data: &RunData,
        resume: bool,
        observer: &mut dyn Observer,
    ) -> Result<Outcome, TransferError> {
        let recipe = RecipeOptions {
            steps: Some(6),
            batch_size: Some(4),
            resolution: Some(Resolution { resize: 18, crop: 16 }),
            ..RecipeOptions::default()
        };
        let options = RunOptions {
            resume,
            evaluate_every: Some(2),
            save_every: Some(100),
            threads: 1,
            ..RunOptions::new(folder)
        };
        finetune(small_trainer(&recipe, 3), data, &options, observer)
    }

    struct Nobody;
    impl Observer for Nobody {}

    fn files(folder: &Path) -> [Vec<u8>; 3] {
        let files = [
            "model.safetensors",
            "checkpoints/last.safetensors",
            "checkpoints/best.safetensors",
        ];
        files.map(|file| std::fs::read(folder.join(file)).unwrap())
    }

    #[test]
    fn the_best_of_a_run_that_has_no_checkpoint_is_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let other = small_trainer(&RecipeOptions::default(), 3);
        let score = Score {
            steps: 3,
            loss: 0.0,
            top1: 1.0,
            top5: 1.0,
        };
        let best = folder.path().join("checkpoints/best.safetensors");
        std::fs::create_dir(best.parent().unwrap()).unwrap();
        std::fs::write(folder.path().join("checkpoints/.tmpAbCdEf"), "half").unwrap();
        let identity = Identity::of(&other, data(false).fingerprints());
        state::save_best(&other.network(), &identity, &score, &best).unwrap();
        for resume in [false, true] {
            let outcome = run(folder.path(), &data(false), resume, &mut Nobody).unwrap();
            assert_eq!((outcome.validation, best.exists()), (None, false));
        }
        assert!(!folder.path().join("checkpoints/.tmpAbCdEf").exists());
    }

    /// Ends the process, as it were, during the evaluation of this number.
    struct Killer(usize);
    impl Observer for Killer {
        fn evaluating(&mut self, done: usize, _: usize) {
            self.0 -= usize::from(done == 0);
            assert!(self.0 > 0, "killed");
        }
    }

    #[test]
    fn a_run_that_ends_during_an_evaluation_loses_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (whole, killed) = (folder.path().join("whole"), folder.path().join("killed"));
        run(&whole, &data(true), false, &mut Nobody).unwrap();
        for (evaluation, resume) in [(2, false), (1, true), (2, true)] {
            let result = catch_quietly(|| run(&killed, &data(true), resume, &mut Killer(evaluation)));
            assert!(result.is_none(), "it was to be killed");
            assert!(killed.join("checkpoints/last.safetensors").exists());
        }
        run(&killed, &data(true), true, &mut Nobody).unwrap();
        assert!(files(&whole) == files(&killed), "the results differ");
        let log = std::fs::read_to_string(killed.join("metrics.jsonl")).unwrap();
        let scored: Vec<&str> = log.lines().filter(|line| line.contains("validation")).collect();
        assert_eq!(scored.len(), 3, "{scored:?}");
    }

    /// Asks for the end during the first evaluation.
    #[derive(Default)]
    struct Impatient {
        asked: bool,
    }
    impl Observer for Impatient {
        fn evaluating(&mut self, _: usize, _: usize) {
            self.asked = true;
        }
        fn stop(&mut self) -> bool {
            self.asked
        }
    }

    #[test]
    fn a_stop_during_an_evaluation_ends_the_run_after_it() {
        let folder = tempfile::tempdir().unwrap();
        let outcome = run(folder.path(), &data(true), false, &mut Impatient::default()).unwrap();
        assert_eq!((outcome.steps, outcome.stopped), (2, true));
        assert_eq!(outcome.validation.map(|score| score.steps), Some(2));
    }

    #[derive(Default)]
    struct Listener(Vec<String>);
    impl Observer for Listener {
        fn left_out(&mut self, picture: &Skipped) {
            self.0.push(picture.image.clone());
        }
    }

    #[test]
    fn pictures_that_are_left_out_are_told_once_and_counted_in_the_card() {
        let folder = tempfile::tempdir().unwrap();
        let data = RunData {
            train: pictures(&[b"bad"]),
            validation: Some(pictures(&[b"bad"])),
            test: None,
        };
        let mut listener = Listener::default();
        let outcome = run(folder.path(), &data, false, &mut listener).unwrap();
        assert_eq!(
            (listener.0, outcome.skipped.len()),
            (vec!["picture 6".to_owned()], 1)
        );
        let card = std::fs::read_to_string(folder.path().join("README.md")).unwrap();
        assert!(
            card.contains("1 of them could not be used and was left out."),
            "{card}"
        );
    }
}
