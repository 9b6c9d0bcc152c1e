//! The published BiT models, one row each.
//!
//! ```
//! use bit_config::zoo;
//!
//! let model = zoo::find("google/bit-50").expect("a published model");
//! assert_eq!(model.name, "resnetv2_50x1_bit.goog_in21k_ft_in1k");
//! assert_eq!(model.config().label(281), "tabby, tabby cat");
//! ```

use crate::config::BitConfig;
use crate::label_map::Labels;
use crate::labels;
use crate::pixel_values::{PerChannel, Resample};
use crate::processor::ImageProcessorConfig;
use crate::size::SizeDict;

/// Depth and width of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Architecture {
    /// The paper's name: `R50x1`.
    pub name: &'static str,
    /// Blocks in each stage.
    pub depths: [usize; 4],
    /// Factor on all channels.
    pub width: usize,
}

impl Architecture {
    /// The configuration of a network with this many outputs. The width is written into `embedding_size` and
    /// `hidden_sizes`, because transformers cannot run another `width_factor` than 1.
    pub fn config(&self, num_labels: usize) -> BitConfig {
        let base = BitConfig::default();
        BitConfig {
            embedding_size: base.embedding_size * self.width,
            hidden_sizes: base.hidden_sizes.iter().map(|size| size * self.width).collect(),
            depths: self.depths.to_vec(),
            labels: Labels::numbered(num_labels),
            ..base
        }
    }
}

/// The six architectures of the paper.
pub static ARCHITECTURES: [Architecture; 6] = [R50X1, R50X3, R101X1, R101X3, R152X2, R152X4];

const R50X1: Architecture = Architecture {
    name: "R50x1",
    depths: [3, 4, 6, 3],
    width: 1,
};
const R50X3: Architecture = Architecture {
    name: "R50x3",
    depths: [3, 4, 6, 3],
    width: 3,
};
const R101X1: Architecture = Architecture {
    name: "R101x1",
    depths: [3, 4, 23, 3],
    width: 1,
};
const R101X3: Architecture = Architecture {
    name: "R101x3",
    depths: [3, 4, 23, 3],
    width: 3,
};
const R152X2: Architecture = Architecture {
    name: "R152x2",
    depths: [3, 8, 36, 3],
    width: 2,
};
const R152X4: Architecture = Architecture {
    name: "R152x4",
    depths: [3, 8, 36, 3],
    width: 4,
};

/// A published model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ZooModel {
    /// timm's name, or for models that timm lacks the name of Google's file without `.npz`.
    pub name: &'static str,
    /// Depth and width.
    pub architecture: Architecture,
    /// Number of outputs: 1000 or 21,843.
    pub classes: usize,
    /// Side of the square image, in pixels.
    pub input: usize,
    /// Share of the resized image's shorter edge that the crop keeps.
    pub crop_pct: f64,
    /// Filter of the resize.
    pub interpolation: Resample,
    /// Accuracy on ImageNet-1k in percent, top-1 and top-5, as timm measured it.
    pub accuracy: Option<(f64, f64)>,
    /// timm's older name.
    pub old_name: Option<&'static str>,
    /// Hub repositories with the weights, the preferred one first.
    pub repositories: &'static [&'static str],
    /// Google's file, below <https://storage.googleapis.com/bit_models/>.
    pub npz: &'static str,
}

/// Mean and standard deviation of every published model, in each channel.
pub const MEAN_AND_STD: f64 = 0.5;

impl ZooModel {
    /// The configuration, with the names of its labels.
    pub fn config(&self) -> BitConfig {
        let config = self.architecture.config(self.classes);
        match labels::for_count(self.classes) {
            Some(list) => config.with_labels(list.iter().map(|class| class.name.clone())),
            None => config,
        }
    }

    /// The image processor: the shorter edge to `floor(input / crop_pct)`, then the center crop.
    pub fn processor(&self) -> ImageProcessorConfig {
        let half = PerChannel::Each(vec![MEAN_AND_STD; 3]);
        ImageProcessorConfig {
            size: Some(SizeDict::ShortestEdge(
                (self.input as f64 / self.crop_pct) as usize,
            )),
            crop_size: Some(SizeDict::square(self.input)),
            resample: Some(self.interpolation),
            image_mean: Some(half.clone()),
            image_std: Some(half),
            ..ImageProcessorConfig::default()
        }
    }

    /// The short name of Google's file: `bit-m-r50x1`.
    pub fn short_name(&self) -> String {
        self.npz_names()[1].to_ascii_lowercase()
    }

    /// Whether `name` is that of Google's file, with or without its folder and `.npz`, in capitals or not.
    pub fn is_npz(&self, name: &str) -> bool {
        let name = name.strip_suffix(".npz").unwrap_or(name);
        self.npz_names()
            .iter()
            .any(|known| known.eq_ignore_ascii_case(name))
    }

    /// With the folder, and without it.
    fn npz_names(&self) -> [&'static str; 2] {
        let path = self.npz.trim_end_matches(".npz");
        [path, path.rsplit('/').next().unwrap_or(path)]
    }

    /// Whether a user may mean this model by `name`.
    fn is_called(&self, name: &str) -> bool {
        name == self.name
            || self.old_name == Some(name)
            || self.repositories.contains(&name)
            || self.is_npz(name)
    }
}

/// Finds a model by timm's name, old or new, a Hub repository, or the name of Google's file, with or
/// without its folder and `.npz`, in capitals or not.
pub fn find(name: &str) -> Option<&'static ZooModel> {
    ZOO.iter().find(|model| model.is_called(name))
}

/// All published models: fine-tuned on ImageNet-1k, distilled, BiT-M on ImageNet-21k, BiT-S on ImageNet-1k.
#[rustfmt::skip]
pub static ZOO: &[ZooModel] = &[
    ZooModel {
        name: "resnetv2_50x1_bit.goog_in21k_ft_in1k", architecture: R50X1, classes: 1000,
        input: 448, crop_pct: 1.0, interpolation: Resample::Bilinear, accuracy: Some((80.386, 95.694)),
        old_name: Some("resnetv2_50x1_bitm"), repositories: &["google/bit-50", "timm/resnetv2_50x1_bit.goog_in21k_ft_in1k"],
        npz: "BiT-M-R50x1-ILSVRC2012.npz",
    },
    ZooModel {
        name: "resnetv2_50x3_bit.goog_in21k_ft_in1k", architecture: R50X3, classes: 1000,
        input: 448, crop_pct: 1.0, interpolation: Resample::Bilinear, accuracy: Some((83.982, 97.130)),
        old_name: Some("resnetv2_50x3_bitm"), repositories: &["timm/resnetv2_50x3_bit.goog_in21k_ft_in1k"],
        npz: "BiT-M-R50x3-ILSVRC2012.npz",
    },
    ZooModel {
        name: "resnetv2_101x1_bit.goog_in21k_ft_in1k", architecture: R101X1, classes: 1000,
        input: 448, crop_pct: 1.0, interpolation: Resample::Bilinear, accuracy: Some((82.332, 96.524)),
        old_name: Some("resnetv2_101x1_bitm"), repositories: &["timm/resnetv2_101x1_bit.goog_in21k_ft_in1k"],
        npz: "BiT-M-R101x1-ILSVRC2012.npz",
    },
    ZooModel {
        name: "resnetv2_101x3_bit.goog_in21k_ft_in1k", architecture: R101X3, classes: 1000,
        input: 448, crop_pct: 1.0, interpolation: Resample::Bilinear, accuracy: Some((84.430, 97.380)),
        old_name: Some("resnetv2_101x3_bitm"), repositories: &["timm/resnetv2_101x3_bit.goog_in21k_ft_in1k"],
        npz: "BiT-M-R101x3-ILSVRC2012.npz",
    },
    ZooModel {
        name: "resnetv2_152x2_bit.goog_in21k_ft_in1k", architecture: R152X2, classes: 1000,
        input: 448, crop_pct: 1.0, interpolation: Resample::Bilinear, accuracy: Some((84.468, 97.432)),
        old_name: Some("resnetv2_152x2_bitm"), repositories: &["timm/resnetv2_152x2_bit.goog_in21k_ft_in1k"],
        npz: "BiT-M-R152x2-ILSVRC2012.npz",
    },
    ZooModel {
        name: "resnetv2_152x4_bit.goog_in21k_ft_in1k", architecture: R152X4, classes: 1000,
        input: 480, crop_pct: 1.0, interpolation: Resample::Bilinear, accuracy: Some((84.936, 97.456)),
        old_name: Some("resnetv2_152x4_bitm"), repositories: &["timm/resnetv2_152x4_bit.goog_in21k_ft_in1k"],
        npz: "BiT-M-R152x4-ILSVRC2012.npz",
    },
    ZooModel {
        name: "resnetv2_50x1_bit.goog_distilled_in1k", architecture: R50X1, classes: 1000,
        input: 224, crop_pct: 0.875, interpolation: Resample::Bicubic, accuracy: Some((82.820, 96.526)),
        old_name: Some("resnetv2_50x1_bit_distilled"), repositories: &["timm/resnetv2_50x1_bit.goog_distilled_in1k"],
        npz: "distill/R50x1_224.npz",
    },
    ZooModel {
        name: "resnetv2_152x2_bit.goog_teacher_in21k_ft_in1k", architecture: R152X2, classes: 1000,
        input: 224, crop_pct: 0.875, interpolation: Resample::Bicubic, accuracy: Some((82.918, 96.568)),
        old_name: Some("resnetv2_152x2_bit_teacher"), repositories: &["timm/resnetv2_152x2_bit.goog_teacher_in21k_ft_in1k"],
        npz: "distill/R152x2_T_224.npz",
    },
    ZooModel {
        name: "resnetv2_152x2_bit.goog_teacher_in21k_ft_in1k_384", architecture: R152X2, classes: 1000,
        input: 384, crop_pct: 1.0, interpolation: Resample::Bicubic, accuracy: Some((83.858, 97.130)),
        old_name: Some("resnetv2_152x2_bit_teacher_384"), repositories: &["timm/resnetv2_152x2_bit.goog_teacher_in21k_ft_in1k_384"],
        npz: "distill/R152x2_T_384.npz",
    },
    ZooModel {
        name: "R50x1_160", architecture: R50X1, classes: 1000,
        input: 160, crop_pct: 0.875, interpolation: Resample::Bicubic, accuracy: None,
        old_name: None, repositories: &[],
        npz: "distill/R50x1_160.npz",
    },
    ZooModel {
        name: "resnetv2_50x1_bit.goog_in21k", architecture: R50X1, classes: 21843,
        input: 224, crop_pct: 0.875, interpolation: Resample::Bilinear, accuracy: None,
        old_name: Some("resnetv2_50x1_bitm_in21k"), repositories: &["timm/resnetv2_50x1_bit.goog_in21k"],
        npz: "BiT-M-R50x1.npz",
    },
    ZooModel {
        name: "resnetv2_50x3_bit.goog_in21k", architecture: R50X3, classes: 21843,
        input: 224, crop_pct: 0.875, interpolation: Resample::Bilinear, accuracy: None,
        old_name: Some("resnetv2_50x3_bitm_in21k"), repositories: &["timm/resnetv2_50x3_bit.goog_in21k"],
        npz: "BiT-M-R50x3.npz",
    },
    ZooModel {
        name: "resnetv2_101x1_bit.goog_in21k", architecture: R101X1, classes: 21843,
        input: 224, crop_pct: 0.875, interpolation: Resample::Bilinear, accuracy: None,
        old_name: Some("resnetv2_101x1_bitm_in21k"), repositories: &["timm/resnetv2_101x1_bit.goog_in21k"],
        npz: "BiT-M-R101x1.npz",
    },
    ZooModel {
        name: "resnetv2_101x3_bit.goog_in21k", architecture: R101X3, classes: 21843,
        input: 224, crop_pct: 0.875, interpolation: Resample::Bilinear, accuracy: None,
        old_name: Some("resnetv2_101x3_bitm_in21k"), repositories: &["timm/resnetv2_101x3_bit.goog_in21k"],
        npz: "BiT-M-R101x3.npz",
    },
    ZooModel {
        name: "resnetv2_152x2_bit.goog_in21k", architecture: R152X2, classes: 21843,
        input: 224, crop_pct: 0.875, interpolation: Resample::Bilinear, accuracy: None,
        old_name: Some("resnetv2_152x2_bitm_in21k"), repositories: &["timm/resnetv2_152x2_bit.goog_in21k"],
        npz: "BiT-M-R152x2.npz",
    },
    ZooModel {
        name: "resnetv2_152x4_bit.goog_in21k", architecture: R152X4, classes: 21843,
        input: 224, crop_pct: 0.875, interpolation: Resample::Bilinear, accuracy: None,
        old_name: Some("resnetv2_152x4_bitm_in21k"), repositories: &["timm/resnetv2_152x4_bit.goog_in21k"],
        npz: "BiT-M-R152x4.npz",
    },
    ZooModel {
        name: "BiT-S-R50x1", architecture: R50X1, classes: 1000,
        input: 224, crop_pct: 0.875, interpolation: Resample::Bilinear, accuracy: None,
        old_name: None, repositories: &[],
        npz: "BiT-S-R50x1.npz",
    },
    ZooModel {
        name: "BiT-S-R50x3", architecture: R50X3, classes: 1000,
        input: 224, crop_pct: 0.875, interpolation: Resample::Bilinear, accuracy: None,
        old_name: None, repositories: &[],
        npz: "BiT-S-R50x3.npz",
    },
    ZooModel {
        name: "BiT-S-R101x1", architecture: R101X1, classes: 1000,
        input: 224, crop_pct: 0.875, interpolation: Resample::Bilinear, accuracy: None,
        old_name: None, repositories: &[],
        npz: "BiT-S-R101x1.npz",
    },
    ZooModel {
        name: "BiT-S-R101x3", architecture: R101X3, classes: 1000,
        input: 224, crop_pct: 0.875, interpolation: Resample::Bilinear, accuracy: None,
        old_name: None, repositories: &[],
        npz: "BiT-S-R101x3.npz",
    },
    ZooModel {
        name: "BiT-S-R152x2", architecture: R152X2, classes: 1000,
        input: 224, crop_pct: 0.875, interpolation: Resample::Bilinear, accuracy: None,
        old_name: None, repositories: &[],
        npz: "BiT-S-R152x2.npz",
    },
    ZooModel {
        name: "BiT-S-R152x4", architecture: R152X4, classes: 1000,
        input: 224, crop_pct: 0.875, interpolation: Resample::Bilinear, accuracy: None,
        old_name: None, repositories: &[],
        npz: "BiT-S-R152x4.npz",
    },
];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Architecture, tensors, parameters with 1000 and with 21,843 outputs.
    const COUNTS: [(&str, usize, u64, u64); 6] = [
        ("R50x1", 153, 25_549_352, 68_256_659),
        ("R50x3", 153, 217_319_080, 345_399_315),
        ("R101x1", 306, 44_541_480, 87_248_787),
        ("R101x3", 306, 387_934_888, 516_015_123),
        ("R152x2", 459, 236_335_208, 321_728_979),
        ("R152x4", 459, 936_533_224, 1_107_299_923),
    ];

    #[test]
    fn every_model_has_the_published_number_of_parameters() {
        for model in ZOO {
            let (_, tensors, small, large) = COUNTS
                .iter()
                .find(|row| row.0 == model.architecture.name)
                .unwrap();
            let config = model.config();
            config.validate().unwrap();
            assert_eq!(config.parameters().len(), *tensors, "{}", model.name);
            let expected = if model.classes == 1000 { small } else { large };
            assert_eq!(config.parameter_count(), *expected, "{}", model.name);
        }
    }

    #[test]
    fn every_name_finds_its_own_model() {
        for model in ZOO {
            let names = model
                .repositories
                .iter()
                .chain(&model.old_name)
                .chain([&model.name, &model.npz]);
            for name in names {
                assert_eq!(find(name).map(|found| found.name), Some(model.name), "{name}");
            }
        }
        assert_eq!(
            find("R50x1_224.npz").unwrap().name,
            "resnetv2_50x1_bit.goog_distilled_in1k"
        );
        assert_eq!(find("bit-m-r50x1").unwrap().name, "resnetv2_50x1_bit.goog_in21k");
        assert_eq!(find("BiT-M-R50x1").unwrap().name, "resnetv2_50x1_bit.goog_in21k");
        assert!(find("resnet50").is_none());
    }

    #[test]
    fn processor_resizes_to_the_input_over_the_crop_share() {
        let edges = |name: &str| {
            let processor = find(name).unwrap().processor();
            (
                processor.size.unwrap(),
                processor.crop_size.unwrap(),
                processor.resample.unwrap(),
            )
        };
        let tuned = (
            SizeDict::ShortestEdge(448),
            SizeDict::square(448),
            Resample::Bilinear,
        );
        assert_eq!(edges("google/bit-50"), tuned);
        let distilled = (
            SizeDict::ShortestEdge(256),
            SizeDict::square(224),
            Resample::Bicubic,
        );
        assert_eq!(edges("resnetv2_50x1_bit_distilled"), distilled);
        let teacher = (
            SizeDict::ShortestEdge(384),
            SizeDict::square(384),
            Resample::Bicubic,
        );
        assert_eq!(edges("distill/R152x2_T_384.npz"), teacher);
    }

    #[test]
    fn every_configuration_survives_its_json() {
        for model in ZOO {
            assert_eq!(
                BitConfig::from_json(&model.config().to_json()).unwrap(),
                model.config()
            );
            let processor = model.processor();
            assert_eq!(
                ImageProcessorConfig::from_json(&processor.to_json()).unwrap(),
                processor
            );
        }
    }
}
