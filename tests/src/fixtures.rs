//! The committed fixtures: small models with transformers' answers (see `tests/fixtures/README.md`).

use std::path::{Path, PathBuf};

use bit_convert::{Checkpoint, DType as StoredDType};
use bit_model::{BitBackbone, BitForImageClassification, BitModel, Labels};
use bit_pretrained::{LoadOptions, Pretrained, PretrainedModel};
use burn::tensor::{Device, Int, Tensor, TensorData};

/// The folder `tests/fixtures`.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

/// A model with transformers' answers.
pub struct Case {
    /// The folder's name.
    pub name: String,
    /// Configuration and weights.
    pub pretrained: Pretrained,
    /// Inputs and answers.
    pub expected: Checkpoint,
}

/// How far a value is from transformers', in units of the largest value.
#[derive(Debug)]
pub struct Difference {
    /// Case and output.
    pub what: String,
    /// Largest absolute difference, divided by the largest absolute value expected.
    pub relative: f64,
}

/// All cases, by name.
pub fn cases() -> Vec<Case> {
    let entries = std::fs::read_dir(folder().join("models")).expect("the fixtures are committed");
    let mut folders: Vec<PathBuf> = entries
        .map(|entry| entry.expect("a readable folder").path())
        .collect();
    folders.sort();
    folders.iter().map(|folder| Case::open(folder)).collect()
}

/// One case by name.
pub fn case(name: &str) -> Case {
    Case::open(&folder().join("models").join(name))
}

impl Case {
    fn open(folder: &Path) -> Self {
        let text = folder.to_str().expect("fixtures have plain names");
        let name = folder
            .file_name()
            .expect("a folder")
            .to_string_lossy()
            .into_owned();
        let pretrained = Pretrained::open(text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let expected = Checkpoint::open(&folder.join("expected.safetensors"));
        Self {
            expected: expected.unwrap_or_else(|error| panic!("{name}: {error}")),
            pretrained,
            name,
        }
    }

    /// Loads the model on `device`.
    pub fn load<M: PretrainedModel>(&self, device: &Device) -> M {
        let loaded = self.pretrained.load::<M>(LoadOptions::default(), device);
        loaded
            .unwrap_or_else(|error| panic!("{}: {error}", self.name))
            .model
    }

    /// A tensor of `expected.safetensors`.
    pub fn tensor<const D: usize>(&self, name: &str, device: &Device) -> Tensor<D> {
        Tensor::from_data(self.data(name), device)
    }

    /// Whether `expected.safetensors` holds a tensor.
    pub fn has(&self, name: &str) -> bool {
        self.expected.info(name).is_some()
    }

    /// The values of a tensor of `expected.safetensors`; a scalar has shape `[]`.
    pub fn data(&self, name: &str) -> TensorData {
        let stored = self
            .expected
            .read(name)
            .unwrap_or_else(|error| panic!("{}: {error}", self.name));
        let dtype = match stored.dtype {
            StoredDType::F32 => burn::tensor::DType::F32,
            StoredDType::I64 => burn::tensor::DType::I64,
            other => panic!("{}: {name} is {other}", self.name),
        };
        TensorData::from_bytes_vec(stored.bytes, stored.shape, dtype)
    }

    /// The labels of a loss case: class indices where they are integers.
    pub fn labels(&self, device: &Device) -> Labels {
        let info = self.expected.info("labels").expect("a loss case has labels");
        match (info.dtype, info.shape.len()) {
            (StoredDType::I64, _) => {
                Labels::Classes(Tensor::<1, Int>::from_data(self.data("labels"), device))
            }
            (_, 1) => Labels::Targets(self.tensor::<1>("labels", device).unsqueeze_dim(1)),
            _ => Labels::Targets(self.tensor("labels", device)),
        }
    }

    /// transformers' class of this case.
    pub fn architecture(&self) -> &str {
        self.pretrained.config().extra["architectures"][0]
            .as_str()
            .expect("a class name")
    }

    /// Runs the model of this case and compares every output that transformers gave.
    pub fn differences(&self, device: &Device) -> Vec<Difference> {
        let x = self.tensor::<4>("pixel_values", device);
        let mut found = Vec::new();
        let states = match self.architecture() {
            BitBackbone::ARCHITECTURE => {
                let output = self
                    .load::<BitBackbone>(device)
                    .forward_with_hidden_states(x)
                    .expect("it fits");
                self.compare_all(&mut found, "feature_maps", &output.feature_maps);
                output.hidden_states
            }
            BitModel::ARCHITECTURE => self.compare_base(&mut found, &self.load::<BitModel>(device), x),
            _ => {
                let model = self.load::<BitForImageClassification>(device);
                let logits = model.forward(x.clone()).expect("it fits").logits;
                found.push(self.compare("logits", logits));
                self.compare_base(&mut found, &model.bit, x)
            }
        };
        self.compare_all(&mut found, "hidden_states", &states.expect("they were asked for"));
        found
    }

    fn compare_base(
        &self,
        found: &mut Vec<Difference>,
        model: &BitModel,
        x: Tensor<4>,
    ) -> Option<Vec<Tensor<4>>> {
        let output = model.forward_with_hidden_states(x).expect("it fits");
        found.push(self.compare("last_hidden_state", output.last_hidden_state));
        found.push(self.compare("pooler_output", output.pooler_output));
        output.hidden_states
    }

    fn compare_all(&self, found: &mut Vec<Difference>, name: &str, tensors: &[Tensor<4>]) {
        let listed = self
            .expected
            .tensors()
            .iter()
            .filter(|info| info.name.starts_with(&format!("{name}.")));
        assert_eq!(tensors.len(), listed.count(), "{}: number of {name}", self.name);
        for (i, tensor) in tensors.iter().enumerate() {
            found.push(self.compare(&format!("{name}.{i}"), tensor.clone()));
        }
    }

    /// Compares one output with transformers'.
    pub fn compare<const D: usize>(&self, name: &str, found: Tensor<D>) -> Difference {
        let expected = self.data(name);
        let what = format!("{} {name}", self.name);
        assert_eq!(
            found.dims().as_slice(),
            expected.shape().as_slice(),
            "shape of {what}"
        );
        Difference {
            relative: relative_difference(&found.into_data(), &expected),
            what,
        }
    }
}

/// Largest absolute difference, divided by the largest absolute value expected; infinite for NaN.
pub fn relative_difference(found: &TensorData, expected: &TensorData) -> f64 {
    let largest = expected
        .iter::<f64>()
        .fold(f64::MIN_POSITIVE, |largest, value| largest.max(value.abs()));
    let differences = found
        .iter::<f64>()
        .zip(expected.iter::<f64>())
        .map(|(a, b)| (a - b).abs());
    differences
        .map(|d| if d.is_nan() { f64::INFINITY } else { d })
        .fold(0.0, f64::max)
        / largest
}

/// Fails with every output that is further from transformers than `bar`.
pub fn assert_within(bar: f64, differences: Vec<Difference>) {
    assert!(!differences.is_empty(), "nothing was compared");
    let missed: Vec<&Difference> = differences
        .iter()
        .filter(|difference| difference.relative > bar)
        .collect();
    assert!(
        missed.is_empty(),
        "{} of {} outputs miss {bar}: {missed:#?}",
        missed.len(),
        differences.len()
    );
}
