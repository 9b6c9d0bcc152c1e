//! What keeps its weights in training.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What keeps the weights it was loaded with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Freeze {
    /// Nothing: BiT trains every parameter.
    #[default]
    Nothing,
    /// The stem.
    Stem,
    /// The stem and the stages up to this one, counted from 1.
    Stage(usize),
    /// Everything but the head.
    Backbone,
}

impl Freeze {
    /// Whether a parameter, by transformers' name, keeps its value.
    pub fn holds(self, name: &str) -> bool {
        let stage = || {
            name.strip_prefix("bit.encoder.stages.")?
                .split('.')
                .next()?
                .parse()
                .ok()
        };
        match self {
            Self::Nothing => false,
            Self::Stem => name.starts_with("bit.embedder."),
            Self::Stage(last) => {
                name.starts_with("bit.embedder.") || stage().is_some_and(|index: usize| index < last)
            }
            Self::Backbone => name.starts_with("bit."),
        }
    }
}

impl fmt::Display for Freeze {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("nothing"),
            Self::Stem => f.write_str("stem"),
            Self::Stage(last) => write!(f, "stage{last}"),
            Self::Backbone => f.write_str("backbone"),
        }
    }
}

impl FromStr for Freeze {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "nothing" => Ok(Self::Nothing),
            "stem" => Ok(Self::Stem),
            "backbone" => Ok(Self::Backbone),
            _ => {
                let stage = text.strip_prefix("stage").and_then(|digits| digits.parse().ok());
                let stage = stage.filter(|last| *last > 0).map(Self::Stage);
                stage.ok_or_else(|| "there are nothing, stem, stage1, stage2, … and backbone".to_owned())
            }
        }
    }
}

impl From<Freeze> for String {
    fn from(freeze: Freeze) -> Self {
        freeze.to_string()
    }
}

impl TryFrom<String> for Freeze {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn frozen_parts_are_told_by_the_parameters_names() {
        let names = [
            "bit.embedder.convolution.weight",
            "bit.encoder.stages.0.layers.0.conv1.weight",
            "bit.encoder.stages.1.layers.0.conv1.weight",
            "bit.norm.weight",
            "classifier.1.weight",
        ];
        let held = |freeze: &str| names.map(|name| freeze.parse::<Freeze>().unwrap().holds(name));
        assert_eq!(held("nothing"), [false; 5]);
        assert_eq!(held("stem"), [true, false, false, false, false]);
        assert_eq!(held("stage1"), [true, true, false, false, false]);
        assert_eq!(held("stage4"), [true, true, true, false, false]);
        assert_eq!(held("backbone"), [true, true, true, true, false]);
        for text in ["stage0", "stage", "all", ""] {
            assert!(text.parse::<Freeze>().is_err(), "{text}");
        }
    }
}
