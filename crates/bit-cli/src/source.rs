//! From what a user calls a model to its files.

use anyhow::{Result, anyhow};
use bit_config::{BitConfig, ConfigError, ImageProcessorConfig};
use bit_convert::{Checkpoint, ConvertError};
use bit_pretrained::{ModelSource, Pretrained, PretrainedError};

use crate::download;

/// Opens a model, and fetches it first if it is not on this machine.
pub fn open_model(name: &str) -> Result<Pretrained> {
    let source = name.parse()?;
    named(name, Pretrained::from_source(&source, &download::hub()))
}

/// Puts the model's name before a fault that does not say where it is: those of a configuration.
pub fn named<T, E: Into<PretrainedError>>(name: &str, result: Result<T, E>) -> Result<T> {
    use PretrainedError::{Config, Convert, Image, Model};
    match result.map_err(Into::into) {
        Err(error @ Convert(ConvertError::Config(ConfigError::InFile { .. }))) => Err(error.into()),
        Err(error @ (Config(_) | Image(_) | Model(_) | Convert(ConvertError::Config(_)))) => {
            Err(anyhow!("{name}: {error}"))
        }
        other => Ok(other?),
    }
}

/// A checkpoint, found by name, whose tensors may turn out to be anything.
pub enum Source {
    /// A folder or file on this machine.
    Local(Checkpoint),
    /// A builtin or a published model.
    Named(Box<Pretrained>),
}

impl Source {
    /// Opens the files.
    pub fn open(name: &str) -> Result<Self> {
        Ok(match name.parse()? {
            ModelSource::Path(path) => Self::Local(Checkpoint::open(&path)?),
            source => Self::Named(Box::new(named(
                name,
                Pretrained::from_source(&source, &download::hub()),
            )?)),
        })
    }

    /// The weights' files.
    pub fn checkpoint(&self) -> &Checkpoint {
        match self {
            Self::Local(checkpoint) => checkpoint,
            Self::Named(pretrained) => pretrained.checkpoint(),
        }
    }

    /// The configuration, where it is known without looking beside or into the tensors.
    pub fn config(&self) -> Option<BitConfig> {
        match self {
            Self::Local(_) => None,
            Self::Named(pretrained) => Some(pretrained.config().clone()),
        }
    }

    /// The image processor's configuration, likewise.
    pub fn processor(&self) -> Option<ImageProcessorConfig> {
        match self {
            Self::Local(_) => None,
            Self::Named(pretrained) => pretrained.processor_config().ok(),
        }
    }
}
