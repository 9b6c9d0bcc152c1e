//! What cannot work, found before any layer is built.

use crate::config::{BitConfig, GlobalPadding, ProblemType};
use crate::error::ConfigError;
use crate::label_map::MAX_LABELS;
use crate::plan::ParameterSpec;

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
        self.check_parameters()
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

    /// Every GroupNorm's channels are a multiple of `num_groups`, and all parameters together have a sane
    /// number.
    fn check_parameters(&self) -> Result<(), ConfigError> {
        let mut total = 0u64;
        for parameter in self.parameters() {
            total = total.saturating_add(parameter.count());
            if total > MAX_PARAMETERS {
                return Err(ConfigError::TooManyParameters {
                    limit: MAX_PARAMETERS,
                });
            }
            let ParameterSpec { name, shape } = parameter;
            let norm = name.strip_suffix(".weight").filter(|_| shape.len() == 1);
            if let Some(layer) = norm.filter(|_| !shape[0].is_multiple_of(self.num_groups)) {
                return Err(ConfigError::Groups {
                    groups: self.num_groups,
                    channels: shape[0],
                    layer: layer.to_owned(),
                });
            }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::LayerType;
    use crate::label_map::Labels;

    fn fault(config: BitConfig) -> String {
        config
            .validate()
            .expect_err("the configuration cannot work")
            .to_string()
    }

    fn small() -> BitConfig {
        BitConfig {
            embedding_size: 16,
            hidden_sizes: vec![32, 64],
            depths: vec![1, 1],
            num_groups: 8,
            ..BitConfig::default()
        }
    }

    #[test]
    fn defaults_and_small_networks_are_valid() {
        assert!(BitConfig::default().validate().is_ok());
        assert!(small().validate().is_ok());
        assert!(small().with_num_labels(0).validate().is_ok());
    }

    #[test]
    fn groups_must_divide_every_norm() {
        let stem = BitConfig {
            embedding_size: 20,
            ..small()
        };
        assert_eq!(
            fault(stem.clone()),
            "num_groups=8 does not divide the 20 channels of bit.encoder.stages.0.layers.0.norm1"
        );
        let bottleneck = BitConfig {
            layer_type: LayerType::Bottleneck,
            ..stem
        };
        assert_eq!(
            fault(bottleneck),
            "num_groups=8 does not divide the 20 channels of bit.embedder.norm"
        );
        let middle = BitConfig {
            num_groups: 16,
            ..small()
        };
        assert_eq!(
            fault(middle),
            "num_groups=16 does not divide the 8 channels of bit.encoder.stages.0.layers.0.norm2"
        );
    }

    #[test]
    fn valid_padding_is_refused_because_the_residual_does_not_fit() {
        let config = BitConfig {
            global_padding: Some(GlobalPadding::Valid),
            ..small()
        };
        assert!(fault(config).starts_with("Padding strategy VALID not supported: "));
    }

    #[test]
    fn one_label_cannot_be_a_single_label_classification() {
        let config = BitConfig {
            problem_type: Some(ProblemType::SingleLabelClassification),
            labels: Labels::numbered(1),
            ..small()
        };
        assert!(fault(config).starts_with("`problem_type=\"single_label_classification\"` requires"));
    }

    #[test]
    fn impossible_sizes_are_named() {
        type Change = fn(&mut BitConfig);
        let cases: [(Change, &str); 12] = [
            (
                |c| c.depths = vec![1],
                "hidden_sizes has 2 entries but depths has 1: both need one a stage",
            ),
            (
                |c| (c.depths, c.hidden_sizes) = (vec![], vec![]),
                "`the length of depths` must be between 1 and 16, found 0",
            ),
            (
                |c| c.num_channels = 0,
                "`num_channels` must be between 1 and 1048576, found 0",
            ),
            (
                |c| c.embedding_size = usize::MAX,
                "`embedding_size` must be between 1 and 1048576, found 18446744073709551615",
            ),
            (
                |c| c.num_groups = 0,
                "`num_groups` must be between 1 and 1048576, found 0",
            ),
            (
                |c| c.width_factor = 0,
                "`width_factor` must be between 1 and 1048576, found 0",
            ),
            (
                |c| c.width_factor = 1 << 20,
                "`hidden_sizes[0] * width_factor` must be between 1 and 1048576, found 33554432",
            ),
            (
                |c| c.hidden_sizes[1] = 0,
                "`hidden_sizes[1]` must be between 1 and 1048576, found 0",
            ),
            (
                |c| c.depths[1] = 0,
                "`depths[1]` must be between 1 and 1024, found 0",
            ),
            (
                |c| c.depths[0] = usize::MAX,
                "`depths[0]` must be between 1 and 1024, found 18446744073709551615",
            ),
            (
                |c| c.drop_path_rate = f64::NAN,
                "`drop_path_rate` must be at least 0 and below 1, found NaN",
            ),
            (
                |c| c.hidden_sizes = vec![1 << 20, 1 << 20],
                "the model would have more than 1099511627776 parameters",
            ),
        ];
        for (change, message) in cases {
            let mut config = small();
            change(&mut config);
            assert_eq!(fault(config), message);
        }
    }

    #[test]
    fn maps_of_a_stage_that_is_gone_are_refused() {
        let mut config = small();
        assert!(config.set_out_features(&["stem", "stage2"]).is_ok());
        (config.depths, config.hidden_sizes) = (vec![1], vec![32]);
        assert!(
            fault(config).starts_with("out_features must be a subset of stage_names: ['stem', 'stage1']")
        );
    }
}
