//! Everything the next step depends on, in one file that appears whole or not at all.

use std::borrow::Cow;
use std::path::Path;

use bit_convert::{Checkpoint, DType as StoredDType, Entry, TensorInfo, write_safetensors};
use bit_model::{BitForImageClassification, load_parameters, named_parameters};
use burn::tensor::{DType, Device, Tensor, TensorData};

use crate::TransferError;
use crate::train::identity::{Identity, field, json, refuse};
use crate::train::outcome::Score;
use crate::train::parameters;
use crate::train::trainer::Trainer;

/// Metadata that makes a safetensors file a training state.
const FORMAT: &str = "bit-burn training state 1";
const MODEL: &str = "model";
const MEAN: &str = "mean";
/// Metadata of the best weights.
const SCORE: &str = "score";

/// Writes weights, the optimizer's slots, the running means and the step.
pub(crate) fn save(trainer: &Trainer, run: &Identity, path: &Path) -> Result<(), TransferError> {
    let mut entries = weights(trainer.replica.model(), &format!("{MODEL}."));
    let slots = trainer.optimizer.slot_names();
    for (name, id) in parameters::ids(trainer.replica.model()) {
        for (slot, tensor) in slots.iter().zip(trainer.optimizer.slots(id)) {
            entries.push(flat_entry(format!("{slot}.{name}"), tensor));
        }
        if let Some(mean) = trainer.means.get(&id) {
            entries.push(flat_entry(format!("{MEAN}.{name}"), mean));
        }
    }
    let mut metadata = run.metadata();
    metadata.insert("format".to_owned(), FORMAT.to_owned());
    metadata.insert("step".to_owned(), trainer.step.to_string());
    Ok(write_safetensors(path, entries, &metadata)?)
}

/// Puts a saved state into the trainer of the same run.
pub(crate) fn restore(trainer: &mut Trainer, run: &Identity, path: &Path) -> Result<(), TransferError> {
    let file = Checkpoint::open(path)?;
    let metadata = file.metadata();
    if metadata.get("format").map(String::as_str) != Some(FORMAT) {
        let found = "not the state of a training run".to_owned();
        return Err(refuse(
            path,
            found,
            "a file written by `bit finetune` would be right",
        ));
    }
    run.check(path, metadata)?;
    let step = field(path, metadata, "step")?;
    let model = read_weights(trainer.replica.model().clone(), &file, &format!("{MODEL}."))?;
    trainer.replica.change(|_| model);
    restore_slots(trainer, &file)?;
    trainer.step = step;
    trainer.settle();
    Ok(())
}

/// Writes the weights that scored best, with their score: one file, so that the two always belong together.
pub(crate) fn save_best(
    network: &BitForImageClassification,
    run: &Identity,
    score: &Score,
    path: &Path,
) -> Result<(), TransferError> {
    let mut metadata = run.metadata();
    metadata.insert("format".to_owned(), "pt".to_owned());
    metadata.insert(SCORE.to_owned(), json(score));
    Ok(write_safetensors(path, weights(network, ""), &metadata)?)
}

/// The score of the run's best weights; `None` when nothing was evaluated yet.
pub(crate) fn read_score(run: &Identity, path: &Path) -> Result<Option<Score>, TransferError> {
    if !path.exists() {
        return Ok(None);
    }
    let file = Checkpoint::open(path)?;
    run.check(path, file.metadata())?;
    field(path, file.metadata(), SCORE).map(Some)
}

/// A network's parameters as entries of a file, their names after a prefix.
pub(crate) fn weights(model: &BitForImageClassification, prefix: &str) -> Vec<Entry<'static>> {
    let entry = |parameter: bit_model::NamedParameter| {
        let info = TensorInfo {
            name: format!("{prefix}{}", parameter.name),
            dtype: StoredDType::F32,
            shape: parameter.shape.clone(),
        };
        Entry::new(info, || Ok(bytes(parameter.into_data())))
    };
    named_parameters(model).into_iter().map(entry).collect()
}

/// A network with the weights of a file, every one of them.
pub(crate) fn read_weights(
    model: BitForImageClassification,
    file: &Checkpoint,
    prefix: &str,
) -> Result<BitForImageClassification, TransferError> {
    let mut failed = None;
    let model = load_parameters(model, DType::F32, |name, shape| {
        let data = read(file, &format!("{prefix}{name}"), shape);
        data.map_err(|error| failed.get_or_insert(error)).ok()
    });
    failed.map_or(Ok(model), Err)
}

fn restore_slots(trainer: &mut Trainer, file: &Checkpoint) -> Result<(), TransferError> {
    let device = trainer.device();
    let names = trainer.optimizer.slot_names();
    trainer.means.clear();
    for parameter in named_parameters(trainer.replica.model()) {
        let (name, elements) = (&parameter.name, parameter.shape.iter().product());
        let slot = |slot: &&str| read_flat(file, &format!("{slot}.{name}"), elements, &device).transpose();
        let slots = names.iter().filter_map(slot).collect::<Result<Vec<_>, _>>()?;
        if slots.len() == names.len() {
            trainer.optimizer.restore(parameter.id, slots);
        }
        if let Some(mean) = read_flat(file, &format!("{MEAN}.{name}"), elements, &device)? {
            trainer.means.insert(parameter.id, mean);
        }
    }
    Ok(())
}

/// `None` when the file does not have it: a frozen parameter, or one before its first step.
fn read_flat(
    file: &Checkpoint,
    name: &str,
    elements: usize,
    device: &Device,
) -> Result<Option<Tensor<1>>, TransferError> {
    if file.info(name).is_none() {
        return Ok(None);
    }
    let data = read(file, name, &[elements])?;
    Ok(Some(Tensor::from_data(data, (device, DType::F32))))
}

fn read(file: &Checkpoint, name: &str, shape: &[usize]) -> Result<TensorData, TransferError> {
    let tensor = file.read(name)?;
    if tensor.shape != shape || tensor.dtype != StoredDType::F32 {
        let found = format!("`{name}` is {} {:?}", tensor.dtype, tensor.shape);
        let expected = format!("float32 {shape:?} would be right");
        return Err(refuse(file.path(), found, &expected));
    }
    Ok(TensorData::from_bytes_vec(tensor.bytes, tensor.shape, DType::F32))
}

fn flat_entry(name: String, tensor: &Tensor<1>) -> Entry<'static> {
    let tensor = tensor.clone();
    let info = TensorInfo {
        name,
        dtype: StoredDType::F32,
        shape: tensor.dims().to_vec(),
    };
    Entry::new(info, move || Ok(bytes(tensor.into_data())))
}

fn bytes(data: TensorData) -> Cow<'static, [u8]> {
    Cow::Owned(data.convert::<f32>().into_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use super::*;
    use crate::data::{DataSet, Example, ImageSource, LabelTask};
    use crate::train::options::Fingerprints;
    use crate::train::test_support::{small_trainer, take_steps};
    use crate::train::{OptimizerKind, RecipeOptions, RunData};

    fn trainer(optimizer: OptimizerKind, classes: usize) -> Trainer {
        let options = RecipeOptions {
            optimizer,
            ema: Some(0.5),
            mixup_alpha: Some(0.3),
            ..RecipeOptions::default()
        };
        small_trainer(&options, classes)
    }

    /// Fingerprints of so many pictures, the first of them of this class.
    fn data(images: usize, first: usize, validation: bool) -> Fingerprints {
        let example = |index: usize| Example {
            image: ImageSource::Path(format!("{index}.png").into()),
            labels: vec![if index == 0 { first } else { 1 }],
        };
        let set = Arc::new(DataSet {
            classes: vec!["a".to_owned(), "b".to_owned()],
            examples: (0..images).map(example).collect(),
            task: LabelTask::SingleLabel,
        });
        let data = RunData {
            validation: validation.then(|| set.clone()),
            train: set,
            test: None,
        };
        data.fingerprints()
    }

    fn run(trainer: &Trainer) -> Identity {
        Identity::of(trainer, data(4, 0, true))
    }

    fn file(folder: &tempfile::TempDir, name: &str) -> std::path::PathBuf {
        folder.path().join(name)
    }

    #[test]
    fn a_restored_trainer_goes_on_to_the_same_bits() {
        let folder = tempfile::tempdir().unwrap();
        for optimizer in [OptimizerKind::Sgd, OptimizerKind::AdamW] {
            let (mut whole, mut resumed) = (trainer(optimizer, 3), trainer(optimizer, 3));
            take_steps(&mut whole, 7);
            let run = run(&whole);
            save(&whole, &run, &file(&folder, "at 7")).unwrap();
            restore(&mut resumed, &run, &file(&folder, "at 7")).unwrap();
            for trainer in [&mut whole, &mut resumed] {
                take_steps(trainer, 12);
            }
            save(&whole, &run, &file(&folder, "whole")).unwrap();
            save(&resumed, &run, &file(&folder, "resumed")).unwrap();
            let bytes = |name: &str| std::fs::read(file(&folder, name)).unwrap();
            assert!(bytes("whole") == bytes("resumed"), "{optimizer:?}");
        }
    }

    #[test]
    fn the_best_weights_carry_their_score_to_the_last_bit() {
        let folder = tempfile::tempdir().unwrap();
        let score = Score {
            steps: 5,
            loss: 0.1 + 0.2,
            top1: 0.7,
            top5: 1.0,
        };
        let path = file(&folder, "best");
        let trainer = trainer(OptimizerKind::Sgd, 3);
        let this = run(&trainer);
        assert_eq!(read_score(&this, &path).unwrap(), None);
        save_best(&trainer.network(), &this, &score, &path).unwrap();
        assert_eq!(read_score(&this, &path).unwrap(), Some(score));
    }

    #[test]
    fn the_best_weights_of_another_run_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let score = Score {
            steps: 5,
            loss: 0.5,
            top1: 1.0,
            top5: 1.0,
        };
        let (ours, other) = (trainer(OptimizerKind::Sgd, 3), trainer(OptimizerKind::AdamW, 3));
        let path = file(&folder, "best");
        save_best(&other.network(), &run(&other), &score, &path).unwrap();
        let error = read_score(&run(&ours), &path).unwrap_err().to_string();
        assert!(
            error.contains("optimizer \"adamw\" instead of \"sgd\""),
            "{error}"
        );
        save_best(
            &ours.network(),
            &Identity::of(&ours, data(5, 0, true)),
            &score,
            &path,
        )
        .unwrap();
        let error = read_score(&run(&ours), &path).unwrap_err().to_string();
        assert!(error.contains("5 training images instead of 4"), "{error}");
    }

    #[test]
    fn a_network_that_computes_something_else_is_refused_by_the_field_that_differs() {
        let folder = tempfile::tempdir().unwrap();
        let mut ours = trainer(OptimizerKind::Sgd, 3);
        save(&ours, &run(&ours), &file(&folder, "state")).unwrap();
        ours.config.num_groups = 4;
        let this = run(&ours);
        let error = restore(&mut ours, &this, &file(&folder, "state"))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("num_groups 8 instead of 4") && error.contains("the model that"),
            "{error}"
        );
    }

    #[test]
    fn a_file_that_is_not_this_runs_state_is_refused_and_says_why() {
        let folder = tempfile::tempdir().unwrap();
        let mut found = trainer(OptimizerKind::Sgd, 3);
        take_steps(&mut found, 2);
        save(&found, &run(&found), &file(&folder, "state")).unwrap();
        let message = |trainer: &mut Trainer, name: &str| {
            let this = run(trainer);
            restore(trainer, &this, &file(&folder, name))
                .unwrap_err()
                .to_string()
        };
        assert!(
            message(&mut trainer(OptimizerKind::AdamW, 3), "state")
                .contains("optimizer \"sgd\" instead of \"adamw\"")
        );
        assert!(message(&mut trainer(OptimizerKind::Sgd, 4), "state").contains("classes 3 instead of 4"));

        let other_data = |data: Fingerprints| {
            let mut trainer = trainer(OptimizerKind::Sgd, 3);
            let this = Identity::of(&trainer, data);
            let error = restore(&mut trainer, &this, &file(&folder, "state"));
            error.unwrap_err().to_string()
        };
        for (data, message) in [
            (data(5, 0, true), "4 training images instead of 5"),
            (
                data(4, 1, true),
                "4 training images of other names, sizes, labels or order",
            ),
            (data(4, 0, false), "4 validation images instead of 0"),
        ] {
            let error = other_data(data);
            assert!(
                error.contains(message) && error.contains("the data that"),
                "{error}"
            );
        }

        let weights = weights(found.replica.model(), "");
        write_safetensors(&file(&folder, "model"), weights, &BTreeMap::new()).unwrap();
        assert!(message(&mut found, "model").contains("not the state of a training run"));

        let bytes = std::fs::read(file(&folder, "state")).unwrap();
        std::fs::write(file(&folder, "cut"), &bytes[..bytes.len() / 2]).unwrap();
        assert!(message(&mut found, "cut").contains("cut"));

        let state = Checkpoint::open(&file(&folder, "state")).unwrap();
        let kept = state
            .entries()
            .into_iter()
            .filter(|entry| entry.info.name != "model.bit.norm.bias");
        write_safetensors(&file(&folder, "less"), kept.collect(), state.metadata()).unwrap();
        assert!(message(&mut found, "less").contains("model.bit.norm.bias"));
    }
}
