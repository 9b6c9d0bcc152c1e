//! Where one picture's pixels are.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where one picture's pixels are. `Display` names it as errors do.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ImageSource {
    /// A picture file.
    Path(PathBuf),
    /// The bytes of a picture file.
    Encoded {
        /// What errors call it.
        name: Arc<str>,
        /// The file's content.
        bytes: Arc<[u8]>,
    },
}

impl From<&Path> for ImageSource {
    fn from(path: &Path) -> Self {
        Self::Path(path.to_owned())
    }
}

impl fmt::Display for ImageSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => path.display().fmt(f),
            Self::Encoded { name, .. } => f.write_str(name),
        }
    }
}
