//! Which stages a backbone returns: `out_features` and `out_indices`, kept aligned.

use crate::error::ConfigError;

/// The maps that a `BitBackbone` returns; by default the last stage's only.
///
/// Source: transformers' `BackboneConfigMixin`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BackboneOutputs(
    /// `None` is the last stage, so that a default stays right when `depths` changes.
    Option<Aligned>,
);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Aligned {
    features: Vec<String>,
    /// As they were given: negative ones stay negative.
    indices: Vec<isize>,
}

impl BackboneOutputs {
    /// Checks both lists against the stages and derives the one that is missing.
    ///
    /// # Errors
    /// [`ConfigError::OutFeatures`] with transformers' message.
    pub fn new(
        stages: &[String],
        features: Option<Vec<String>>,
        indices: Option<Vec<isize>>,
    ) -> Result<Self, ConfigError> {
        if let Some(features) = &features {
            check_features(stages, features)?;
        }
        if let Some(indices) = &indices {
            check_indices(stages, indices)?;
        }
        let name = |index: &isize| stages[position(stages, *index)].clone();
        let place = |feature: &String| {
            stages
                .iter()
                .position(|s| s == feature)
                .map_or(-1, |p| p as isize)
        };
        let aligned = match (features, indices) {
            (None, None) => return Ok(Self(None)),
            (Some(features), None) => Aligned {
                indices: features.iter().map(place).collect(),
                features,
            },
            (None, Some(indices)) => Aligned {
                features: indices.iter().map(name).collect(),
                indices,
            },
            (Some(features), Some(indices)) => {
                if features.len() != indices.len() {
                    return fail("out_features and out_indices should have the same length if both are set");
                }
                if !indices.iter().map(name).eq(features.iter().cloned()) {
                    return fail(
                        "out_features and out_indices should correspond to the same stages if both are set",
                    );
                }
                Aligned { features, indices }
            }
        };
        let last = [stages.len() as isize - 1];
        Ok(Self((aligned.indices != last).then_some(aligned)))
    }

    /// The names of the maps, in the order of the stages.
    pub(crate) fn features(&self, stages: &[String]) -> Vec<String> {
        match &self.0 {
            Some(aligned) => aligned.features.clone(),
            None => stages.last().cloned().into_iter().collect(),
        }
    }

    /// Their indices in the list of stages, as they were given.
    pub(crate) fn indices(&self, stages: &[String]) -> Vec<isize> {
        match &self.0 {
            Some(aligned) => aligned.indices.clone(),
            None => vec![stages.len() as isize - 1],
        }
    }

    /// Checks once more, for stages that have changed since.
    pub(crate) fn check(&self, stages: &[String]) -> Result<(), ConfigError> {
        match &self.0 {
            None => Ok(()),
            Some(a) => Self::new(stages, Some(a.features.clone()), Some(a.indices.clone())).map(drop),
        }
    }
}

fn fail<T>(message: impl Into<String>) -> Result<T, ConfigError> {
    Err(ConfigError::OutFeatures(message.into()))
}

/// Where `index` points, Python's way; valid after `check_indices`.
fn position(stages: &[String], index: isize) -> usize {
    index.rem_euclid(stages.len().max(1) as isize) as usize
}

fn check_features(stages: &[String], features: &[String]) -> Result<(), ConfigError> {
    let (all, got) = (python_list(stages), python_list(features));
    if features.iter().any(|f| !stages.contains(f)) {
        return fail(format!(
            "out_features must be a subset of stage_names: {all} got {got}"
        ));
    }
    if has_duplicates(features) {
        return fail(format!("out_features must not contain any duplicates, got {got}"));
    }
    let sorted: Vec<String> = stages.iter().filter(|s| features.contains(s)).cloned().collect();
    if sorted != features {
        let sorted = python_list(&sorted);
        return fail(format!(
            "out_features must be in the same order as stage_names, expected {sorted} got {got}"
        ));
    }
    Ok(())
}

fn check_indices(stages: &[String], indices: &[isize]) -> Result<(), ConfigError> {
    // transformers wraps -6 of five stages to 4 and then fails to look it up; here it is out of range at
    // once.
    let valid = -(stages.len() as isize)..stages.len() as isize;
    if indices.iter().any(|i| !valid.contains(i)) {
        let all = python_list(stages);
        return fail(format!(
            "out_indices must be valid indices for stage_names {all}, got {indices:?}"
        ));
    }
    let positive: Vec<usize> = indices.iter().map(|i| position(stages, *i)).collect();
    if has_duplicates(&positive) {
        let tuple = positive
            .iter()
            .map(usize::to_string)
            .collect::<Vec<_>>()
            .join(", ");
        return fail(format!(
            "out_indices must not contain any duplicates, got {indices:?}(equivalent to ({tuple})))"
        ));
    }
    if !positive.is_sorted() {
        let mut sorted = indices.to_vec();
        sorted.sort_by_key(|i| position(stages, *i));
        return fail(format!(
            "out_indices must be in the same order as stage_names, expected {sorted:?} got {indices:?}"
        ));
    }
    Ok(())
}

fn has_duplicates<T: PartialEq>(items: &[T]) -> bool {
    items
        .iter()
        .enumerate()
        .any(|(i, item)| items[..i].contains(item))
}

/// A list of strings as Python prints it.
fn python_list(items: &[String]) -> String {
    let quoted: Vec<String> = items.iter().map(|item| format!("'{item}'")).collect();
    format!("[{}]", quoted.join(", "))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use crate::config::BitConfig;

    #[test]
    fn features_and_indices_stay_aligned() {
        let mut config = BitConfig::default();
        assert_eq!(
            (config.out_features(), config.out_indices()),
            (vec!["stage4".into()], vec![4])
        );
        config.set_out_features(&["stem", "stage3"]).unwrap();
        assert_eq!(config.out_indices(), [0, 3]);
        config.set_out_indices(&[1, 2]).unwrap();
        assert_eq!(config.out_features(), ["stage1", "stage2"]);
    }

    #[test]
    fn negative_indices_are_kept() {
        let mut config = BitConfig::default();
        config.set_out_indices(&[-5, -1]).unwrap();
        assert_eq!(
            (config.out_features(), config.out_indices()),
            (vec!["stem".into(), "stage4".into()], vec![-5, -1])
        );
        assert_eq!(BitConfig::from_json(&config.to_json()).unwrap(), config);
    }

    #[test]
    fn default_follows_the_depths() {
        let config = BitConfig {
            depths: vec![1],
            hidden_sizes: vec![256],
            ..BitConfig::default()
        };
        assert_eq!(
            (config.out_features(), config.out_indices()),
            (vec!["stage1".into()], vec![1])
        );
    }

    #[test]
    fn index_before_the_first_stage_is_refused() {
        let message = BitConfig::default()
            .set_out_indices(&[-6])
            .unwrap_err()
            .to_string();
        assert!(
            message.starts_with("out_indices must be valid indices for stage_names ['stem', "),
            "{message}"
        );
    }
}
