//! The network as a source of feature maps for detectors and segmenters.

use bit_config::BitConfig;
use burn::module::Module;
use burn::tensor::{Device, Tensor};

use crate::error::ModelError;
use crate::model::BitModel;
use crate::outputs::BackboneOutput;

/// Gives the maps of chosen stages, before the final norm (transformers' `BitBackbone`).
#[derive(Module, Debug)]
pub struct BitBackbone {
    /// The network that makes the maps.
    pub bit: BitModel,
    /// Positions of the chosen stages in `stem, stage1, …`, ascending.
    #[module(skip)]
    selected: Vec<usize>,
    #[module(skip)]
    channels: Vec<usize>,
}

impl BitBackbone {
    /// A backbone with fresh weights, for the configuration's `out_features`.
    ///
    /// # Errors
    ///
    /// When the configuration describes a network that cannot be built.
    pub fn new(config: &BitConfig, device: &Device) -> Result<Self, ModelError> {
        let bit = BitModel::new(config, device)?;
        let names = config.stage_names();
        let chosen = config.out_features();
        let selected: Vec<usize> = (0..names.len()).filter(|i| chosen.contains(&names[*i])).collect();
        let widths: Vec<usize> = std::iter::once(config.stem_channels())
            .chain(config.stages().iter().map(|stage| stage.out_channels))
            .collect();
        let channels = selected.iter().map(|i| widths[*i]).collect();
        Ok(Self {
            bit,
            selected,
            channels,
        })
    }

    /// Channels of each feature map, in the order of [`BackboneOutput::feature_maps`].
    pub fn channels(&self) -> &[usize] {
        &self.channels
    }

    /// Computes the feature maps of pictures.
    ///
    /// # Shapes
    ///
    /// - pixel_values: `[batch, num_channels, height, width]`
    ///
    /// # Errors
    ///
    /// When the pixels do not fit the configuration.
    pub fn forward(&self, pixel_values: Tensor<4>) -> Result<BackboneOutput, ModelError> {
        let states = self.bit.hidden_states(pixel_values)?;
        Ok(BackboneOutput {
            feature_maps: self.select(&states),
            hidden_states: None,
        })
    }

    /// As [`forward`](Self::forward), and keeps the hidden states.
    ///
    /// # Errors
    ///
    /// As [`forward`](Self::forward).
    pub fn forward_with_hidden_states(&self, pixel_values: Tensor<4>) -> Result<BackboneOutput, ModelError> {
        let states = self.bit.hidden_states(pixel_values)?;
        Ok(BackboneOutput {
            feature_maps: self.select(&states),
            hidden_states: Some(states),
        })
    }

    fn select(&self, states: &[Tensor<4>]) -> Vec<Tensor<4>> {
        self.selected.iter().map(|i| states[*i].clone()).collect()
    }
}
