//! What happened to each tensor while loading.

use std::fmt;

/// A tensor whose shape is not the parameter's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShapeMismatch {
    /// transformers' name.
    pub name: String,
    /// The parameter's shape.
    pub expected: Vec<usize>,
    /// The file's shape.
    pub found: Vec<usize>,
}

/// The outcome of loading, by transformers' names (the file's own for what is unused).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoadReport {
    /// Loaded from the file.
    pub applied: Vec<String>,
    /// In the model but not in the file: these keep their fresh values.
    pub missing: Vec<String>,
    /// In the file but not in the model.
    pub unused: Vec<String>,
    /// In both, with different shapes: these keep their fresh values.
    pub mismatched: Vec<ShapeMismatch>,
    /// In the file, outside the network: the rest of a larger model such as a ViT-hybrid. Never an error.
    pub outside: Vec<String>,
}

/// What every tensor of the head starts with.
pub(crate) const HEAD: &str = "classifier.";

impl LoadReport {
    /// Whether the network below the head came whole from the file, and the file held nothing else.
    pub fn backbone_is_complete(&self) -> bool {
        let foreign = |names: &[String]| names.iter().any(|name| !name.starts_with(HEAD));
        let misshapen = self
            .mismatched
            .iter()
            .any(|tensor| !tensor.name.starts_with(HEAD));
        !foreign(&self.missing) && !foreign(&self.unused) && !misshapen
    }

    /// Whether the head, too, came whole from the file.
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty() && self.unused.is_empty() && self.mismatched.is_empty()
    }
}

impl fmt::Display for LoadReport {
    /// One line a kind, each with at most five names.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} tensors applied", self.applied.len())?;
        names(f, "missing in the file", &self.missing)?;
        names(f, "not part of the model", &self.unused)?;
        let mismatched: Vec<String> = self
            .mismatched
            .iter()
            .map(|tensor| {
                format!(
                    "{} (expected {:?}, found {:?})",
                    tensor.name, tensor.expected, tensor.found
                )
            })
            .collect();
        names(f, "of another shape", &mismatched)
    }
}

fn names(f: &mut fmt::Formatter<'_>, kind: &str, names: &[String]) -> fmt::Result {
    const SHOWN: usize = 5;
    if names.is_empty() {
        return Ok(());
    }
    write!(
        f,
        "\n{} {kind}: {}",
        names.len(),
        names[..names.len().min(SHOWN)].join(", ")
    )?;
    match names.len().saturating_sub(SHOWN) {
        0 => Ok(()),
        more => write!(f, " and {more} more"),
    }
}
