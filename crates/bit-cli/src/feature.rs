//! What `bit embed` takes out of the network.

use std::fmt;
use std::str::FromStr;

/// A feature of an image, by transformers' name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feature {
    PoolerOutput,
    LastHiddenState,
    HiddenState(usize),
    Logits,
    PixelValues,
}

const NAMES: &[(Feature, &str)] = &[
    (Feature::PoolerOutput, "pooler_output"),
    (Feature::LastHiddenState, "last_hidden_state"),
    (Feature::Logits, "logits"),
    (Feature::PixelValues, "pixel_values"),
];
const HIDDEN_STATE: &str = "hidden_states.";

impl FromStr for Feature {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let named = NAMES.iter().find(|row| row.1 == text).map(|row| row.0);
        let hidden_state = || {
            text.strip_prefix(HIDDEN_STATE)?
                .parse()
                .map(Self::HiddenState)
                .ok()
        };
        named.or_else(hidden_state).ok_or_else(|| {
            let names: Vec<_> = NAMES.iter().map(|row| row.1).collect();
            format!("there are {} and {HIDDEN_STATE}N", names.join(", "))
        })
    }
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HiddenState(index) => write!(f, "{HIDDEN_STATE}{index}"),
            other => {
                let row = NAMES.iter().find(|row| row.0 == *other);
                f.write_str(row.expect("invariant: the table has every other feature").1)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn features_are_printed_as_they_are_typed() {
        for text in [
            "pooler_output",
            "last_hidden_state",
            "hidden_states.3",
            "logits",
            "pixel_values",
        ] {
            assert_eq!(text.parse::<Feature>().unwrap().to_string(), text);
        }
        for text in ["", "hidden_states", "hidden_states.-1", "attentions"] {
            assert!(text.parse::<Feature>().is_err(), "{text}");
        }
    }
}
