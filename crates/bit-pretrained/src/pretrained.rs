//! From a model's name to its configuration, its processor and its network.

use std::path::Path;

use bit_config::{BitConfig, ImageProcessorConfig};
use bit_convert::Checkpoint;
use bit_image::{Processor, ProcessorKind};
use bit_model::load_parameters;
use burn::tensor::{DType, Device};

use crate::architecture::PretrainedModel;
use crate::builtin::BUILTINS;
use crate::error::PretrainedError;
use crate::hub::Hub;
use crate::loading::Loading;
use crate::report::LoadReport;
use crate::source::ModelSource;

/// A model that was found: its configuration is read, its weights are still in their file.
#[derive(Debug)]
pub struct Pretrained {
    checkpoint: Checkpoint,
    config: BitConfig,
    /// The text of a builtin's `preprocessor_config.json`; that of a file is read when it is asked for.
    builtin_processor: Option<&'static str>,
}

/// Where the classifier comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Head {
    /// From the file. It is an error when the file has none.
    #[default]
    Stored,
    /// Drawn anew for this many labels. The file's own, if any, is left unused.
    Fresh {
        /// Number of outputs.
        num_labels: usize,
    },
}

/// How to load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoadOptions {
    /// Where the classifier comes from.
    pub head: Head,
    /// Element type of the parameters on the device.
    pub dtype: DType,
}

impl Default for LoadOptions {
    /// The stored head, in f32 whatever the file's type.
    fn default() -> Self {
        Self {
            head: Head::Stored,
            dtype: DType::F32,
        }
    }
}

/// A loaded model.
#[derive(Debug)]
pub struct Loaded<M> {
    /// The network on its device.
    pub model: M,
    /// Its configuration, with the labels of the head it has.
    pub config: BitConfig,
    /// What happened to each tensor.
    pub report: LoadReport,
}

impl Pretrained {
    /// Finds a model by what a user writes: `builtin:NAME`, a folder, a file, a Hub repository, or the name of one of
    /// Google's files. What is on the Hub or Google's server is taken from this machine's caches and, with the feature
    /// `hub`, fetched when it is not there; [`Hub`] says by which rules.
    ///
    /// # Errors
    ///
    /// When there is no such model, it cannot be fetched, or its configuration or its table of tensors is invalid.
    pub fn open(model: &str) -> Result<Self, PretrainedError> {
        Self::from_source(&model.parse()?, &Hub::from_env())
    }

    /// As [`open`](Self::open), for a place that is already known, with other rules or somebody who watches.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn from_source(source: &ModelSource, hub: &Hub) -> Result<Self, PretrainedError> {
        match source {
            ModelSource::Builtin(name) => Self::from_builtin(name),
            ModelSource::Path(path) => Self::from_path(path),
            ModelSource::Hub { repository, revision } => {
                Self::from_path(&hub.repository(repository, revision)?)
            }
            ModelSource::Google { file } => Self::from_path(&hub.google(file)?),
        }
    }

    fn from_builtin(name: &str) -> Result<Self, PretrainedError> {
        let found = BUILTINS.iter().find(|builtin| builtin.name == name);
        let builtin = found.ok_or_else(|| PretrainedError::UnknownBuiltin {
            found: name.to_owned(),
            known: BUILTINS
                .iter()
                .map(|builtin| builtin.name)
                .collect::<Vec<_>>()
                .join(", "),
        })?;
        Ok(Self {
            checkpoint: Checkpoint::embedded(&format!("builtin:{name}"), builtin.weights)?,
            config: BitConfig::from_json(builtin.config)?,
            builtin_processor: Some(builtin.processor),
        })
    }

    fn from_path(path: &Path) -> Result<Self, PretrainedError> {
        let checkpoint = Checkpoint::open(path)?;
        let tensors = checkpoint.to_transformers()?;
        let config = tensors.config()?;
        Ok(Self {
            checkpoint,
            config,
            builtin_processor: None,
        })
    }

    /// The configuration as stored.
    pub fn config(&self) -> &BitConfig {
        &self.config
    }

    /// The weights' file.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The image processor's configuration: `preprocessor_config.json`, timm's `pretrained_cfg`, or that of the
    /// published model with these shapes.
    ///
    /// # Errors
    ///
    /// When there is none, or it is invalid.
    pub fn processor_config(&self) -> Result<ImageProcessorConfig, PretrainedError> {
        match self.builtin_processor {
            Some(text) => Ok(ImageProcessorConfig::from_json(text)?),
            None => Ok(self.checkpoint.to_transformers()?.processor()?),
        }
    }

    /// The image processor with the arithmetic of `kind`.
    ///
    /// # Errors
    ///
    /// As [`processor_config`](Self::processor_config), and when the configuration cannot work.
    pub fn processor(&self, kind: ProcessorKind) -> Result<Processor, PretrainedError> {
        Ok(Processor::new(kind, self.processor_config()?)?)
    }

    /// Loads the weights into a model on `device`.
    ///
    /// A model without a head leaves a stored one unused; everything else that is missing, unused or of another
    /// shape is an error unless [`LoadOptions::head`] asked for it.
    ///
    /// # Errors
    ///
    /// When the tensors do not fit the model, or cannot be read.
    pub fn load<M: PretrainedModel>(
        &self,
        options: LoadOptions,
        device: &Device,
    ) -> Result<Loaded<M>, PretrainedError> {
        let config = match options.head {
            Head::Stored => self.config.clone(),
            Head::Fresh { num_labels } => self.config.clone().with_num_labels(num_labels),
        };
        let tensors = self.checkpoint.to_transformers()?;
        let fresh_head = matches!(options.head, Head::Fresh { .. });
        let mut loading = Loading::new(&tensors, M::PREFIX, fresh_head);
        let model = M::from_config(&config, device)?;
        let model = load_parameters(model, options.dtype, |name, shape| loading.load(name, shape));
        let report = loading.finish()?;
        let fits = match M::HAS_HEAD && !fresh_head {
            true => report.is_complete(),
            false => report.backbone_is_complete(),
        };
        match fits {
            true => Ok(Loaded {
                model,
                config,
                report,
            }),
            false => Err(PretrainedError::Mismatch {
                path: self.checkpoint.path().to_path_buf(),
                report: Box::new(report),
            }),
        }
    }
}
