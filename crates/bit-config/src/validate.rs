//! What cannot work, found before any layer is built.

use crate::config::{BitConfig, GlobalPadding, LayerType, ProblemType};
use crate::error::ConfigError;
use crate::label_map::MAX_LABELS;

/// Most stages; published networks have 3 or 4.
const MAX_STAGES: usize = 16;
/// Most blocks in one stage; the largest published has 36.
const MAX_DEPTH: usize = 1024;
/// Most channels or groups; the largest published is 8192.
const MAX_CHANNELS: usize = 1 << 20;
/// Most parameters; the largest published has 1.1e9.
const MAX_PARAMETERS: u64 = 1 << 40;

impl BitConfig {
    /// Checks everything that would make the network impossible to build.
    ///
    /// # Errors
    /// [`ConfigError`] with transformers' message where it has one.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.check_ranges()?;
        if self.global_padding == Some(GlobalPadding::Valid) {
            return Err(ConfigError::ValidPadding);
        }
        if self.problem_type == Some(ProblemType::SingleLabelClassification) && self.num_labels() == 1 {
            return Err(ConfigError::SingleLabel);
        }
        self.backbone.check(&self.stage_names())?;
        self.check_groups()?;
        match self.checked_parameter_count() {
            Some(count) if count <= MAX_PARAMETERS => Ok(()),
            found => Err(ConfigError::TooManyParameters {
                found: found.map_or("more than 2^64".into(), |count| count.to_string()),
                limit: MAX_PARAMETERS,
            }),
        }
    }

    /// Every number within limits, so that nothing derived from them can overflow.
    fn check_ranges(&self) -> Result<(), ConfigError> {
        let stages = self.depths.len();
        if self.hidden_sizes.len() != stages {
            return Err(ConfigError::StageCount {
                hidden_sizes: self.hidden_sizes.len(),
                depths: stages,
            });
        }
        in_range("the length of depths", stages, 1, MAX_STAGES)?;
        in_range("num_channels", self.num_channels, 1, MAX_CHANNELS)?;
        in_range("embedding_size", self.embedding_size, 1, MAX_CHANNELS)?;
        in_range("num_groups", self.num_groups, 1, MAX_CHANNELS)?;
        in_range("width_factor", self.width_factor, 1, MAX_CHANNELS)?;
        in_range("the number of labels", self.num_labels(), 0, MAX_LABELS)?;
        for (i, (size, depth)) in self.hidden_sizes.iter().zip(&self.depths).enumerate() {
            in_range(&format!("hidden_sizes[{i}]"), *size, 1, MAX_CHANNELS)?;
            let wide = size.saturating_mul(self.width_factor);
            in_range(
                &format!("hidden_sizes[{i}] * width_factor"),
                wide,
                1,
                MAX_CHANNELS,
            )?;
            in_range(&format!("depths[{i}]"), *depth, 1, MAX_DEPTH)?;
        }
        if !(0.0..1.0).contains(&self.drop_path_rate) {
            return Err(ConfigError::Field {
                field: "drop_path_rate".into(),
                expected: "at least 0 and below 1".into(),
                found: self.drop_path_rate.to_string(),
            });
        }
        Ok(())
    }

    /// Every GroupNorm's channels must be a multiple of `num_groups`.
    fn check_groups(&self) -> Result<(), ConfigError> {
        let check = |channels: usize, layer: String| match channels % self.num_groups {
            0 => Ok(()),
            _ => Err(ConfigError::Groups {
                groups: self.num_groups,
                channels,
                layer,
            }),
        };
        let preactivation = self.layer_type == LayerType::Preactivation;
        if !preactivation {
            check(self.stem_channels(), "bit.embedder.norm".into())?;
        }
        for (i, stage) in self.stages().iter().enumerate() {
            let prefix = format!("bit.encoder.stages.{i}.layers.0");
            if preactivation {
                check(stage.in_channels, format!("{prefix}.norm1"))?;
            }
            check(stage.mid_channels, format!("{prefix}.norm2"))?;
            check(stage.out_channels, format!("bit.encoder.stages.{i}"))?;
        }
        Ok(())
    }
}

fn in_range(field: &str, found: usize, least: usize, most: usize) -> Result<(), ConfigError> {
    if (least..=most).contains(&found) {
        return Ok(());
    }
    let expected = format!("between {least} and {most}");
    Err(ConfigError::Field {
        field: field.into(),
        expected,
        found: found.to_string(),
    })
}
