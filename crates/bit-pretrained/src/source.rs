//! Where a model comes from, told from what the user wrote.

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use bit_config::zoo::{self, ARCHITECTURES, ZooModel};

use crate::error::PretrainedError;

/// A model's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelSource {
    /// Inside the program: `builtin:mnist`.
    Builtin(String),
    /// A folder or a single file.
    Path(PathBuf),
    /// A repository of the Hugging Face Hub: `google/bit-50`, `timm/name@revision`.
    Hub {
        /// `owner/name`.
        repository: String,
        /// Branch, tag or commit.
        revision: String,
    },
    /// A file of Google's server: `bit-m-r50x1`, `BiT-M-R50x1.npz`, `vtab/BiT-M-R50x1-run0-caltech101.npz`.
    Google {
        /// Its path below <https://storage.googleapis.com/bit_models/>.
        file: Cow<'static, str>,
    },
}

const BUILTIN: &str = "builtin:";
const DEFAULT_REVISION: &str = "main";

impl FromStr for ModelSource {
    type Err = PretrainedError;

    /// A path that exists wins over a published model of the same name, as in transformers. The names of Google's
    /// files mean these files, timm's names without an owner the first repository that has the model.
    fn from_str(text: &str) -> Result<Self, PretrainedError> {
        if let Some(name) = text.strip_prefix(BUILTIN) {
            return Ok(Self::Builtin(name.to_owned()));
        }
        if Path::new(text).exists() {
            return Ok(Self::Path(PathBuf::from(text)));
        }
        if let Some(model) = zoo::find(text).filter(|model| !model.repositories.contains(&text)) {
            return Ok(Self::published(model, text));
        }
        if is_vtab(text) {
            return Ok(Self::Google {
                file: text.to_owned().into(),
            });
        }
        let (repository, revision) = text.split_once('@').unwrap_or((text, DEFAULT_REVISION));
        if !is_repository(repository) || revision.is_empty() {
            return Err(PretrainedError::UnknownSource {
                found: text.to_owned(),
            });
        }
        Ok(Self::Hub {
            repository: repository.to_owned(),
            revision: revision.to_owned(),
        })
    }
}

impl ModelSource {
    fn published(model: &ZooModel, name: &str) -> Self {
        match model.repositories.first() {
            Some(repository) if !model.is_npz(name) => Self::Hub {
                repository: (*repository).to_owned(),
                revision: DEFAULT_REVISION.to_owned(),
            },
            _ => Self::Google {
                file: model.npz.into(),
            },
        }
    }
}

/// `vtab/BiT-M-R50x1-run0-TASK.npz`: a model fine-tuned to one of VTAB's tasks, in one of three runs.
fn is_vtab(text: &str) -> bool {
    let name = text
        .strip_prefix("vtab/BiT-M-")
        .and_then(|name| name.strip_suffix(".npz"));
    let Some((architecture, Some((run, task)))) = name
        .and_then(|name| name.split_once("-run"))
        .map(|(architecture, rest)| (architecture, rest.split_once('-')))
    else {
        return false;
    };
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    ARCHITECTURES.iter().any(|known| known.name == architecture)
        && ["0", "1", "2"].contains(&run)
        && !task.is_empty()
        && task.chars().all(allowed)
}

/// `owner/name` in the characters that the Hub allows; no way out of the cache's folder.
fn is_repository(text: &str) -> bool {
    let part = |part: &str| {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        !part.is_empty() && part.len() <= 96 && !part.starts_with('.') && part.chars().all(allowed)
    };
    matches!(text.split_once('/'), Some((owner, name)) if part(owner) && part(name))
}

impl fmt::Display for ModelSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Builtin(name) => write!(f, "{BUILTIN}{name}"),
            Self::Path(path) => write!(f, "{}", path.display()),
            Self::Hub { repository, revision } if revision == DEFAULT_REVISION => f.write_str(repository),
            Self::Hub { repository, revision } => write!(f, "{repository}@{revision}"),
            Self::Google { file } => f.write_str(file),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_kind_of_name_is_recognised_and_printed_as_it_was_written() {
        for text in [
            "builtin:mnist",
            "google/bit-50",
            "timm/resnetv2_50x1_bit.goog_in21k@v1.0",
            "distill/R50x1_224.npz",
            "src/lib.rs",
        ] {
            assert_eq!(text.parse::<ModelSource>().unwrap().to_string(), text);
        }
        assert!(matches!("src".parse().unwrap(), ModelSource::Path(_)));
    }

    #[test]
    fn a_published_model_is_found_by_googles_and_by_timms_name() {
        for (text, found) in [
            ("bit-m-r50x1", "BiT-M-R50x1.npz"),
            ("bit-s-r152x4.npz", "BiT-S-R152x4.npz"),
            ("BiT-M-R50x1-ILSVRC2012", "BiT-M-R50x1-ILSVRC2012.npz"),
            ("r50x1_224", "distill/R50x1_224.npz"),
            (
                "resnetv2_50x1_bit.goog_in21k",
                "timm/resnetv2_50x1_bit.goog_in21k",
            ),
            ("resnetv2_50x1_bitm", "google/bit-50"),
        ] {
            assert_eq!(text.parse::<ModelSource>().unwrap().to_string(), found);
        }
    }

    #[test]
    fn vtabs_models_are_googles_files_and_nothing_else_below_their_folder_is() {
        let google = |text: &str| matches!(text.parse(), Ok(ModelSource::Google { file }) if file == text);
        assert!(google("vtab/BiT-M-R50x1-run0-caltech101.npz"));
        assert!(google("vtab/BiT-M-R152x4-run2-dsprites-loc_16.npz"));
        for text in [
            "vtab/BiT-M-R50x1-run3-caltech101.npz",
            "vtab/BiT-M-R50x2-run0-caltech101.npz",
            "vtab/BiT-M-R50x1-run0-.npz",
            "vtab/BiT-M-R50x1-run0-../x.npz",
            "vtab/BiT-M-R50x1-run0-caltech101",
        ] {
            assert!(!google(text), "{text}");
        }
    }

    #[test]
    fn a_name_that_could_leave_the_cache_is_no_repository() {
        for text in [
            "../secret",
            "a/..",
            "a/b/c",
            "/etc/none",
            "no-owner",
            "a/b@",
            "",
            "a/b c",
        ] {
            assert!(text.parse::<ModelSource>().is_err(), "{text}");
        }
    }
}
