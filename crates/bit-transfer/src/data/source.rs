//! Where one picture's pixels are.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bit_image::{ImageError, ImageInput, Limits, Picture, RawImage};

use super::spill::Spill;

/// Sides of CIFAR's pictures.
pub(super) const CIFAR_SIDE: usize = 32;

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
    /// A row of a file with many pictures.
    Row(ImageRow),
}

/// A row of a file with many pictures.
#[derive(Clone, Debug)]
pub struct ImageRow {
    file: Arc<Path>,
    row: u64,
    content: Content,
}

#[derive(Clone, Debug)]
enum Content {
    Encoded(Arc<[u8]>),
    Spilled {
        file: Arc<Spill>,
        offset: u64,
        bytes: usize,
    },
    /// Bytes `[3, 32, 32]` at `offset` of a whole file.
    Cifar {
        file: Arc<[u8]>,
        offset: usize,
    },
}

impl ImageSource {
    /// A picture of a CIFAR file that is held in memory.
    pub(super) fn cifar(file: &Arc<Path>, row: u64, content: &Arc<[u8]>, offset: usize) -> Self {
        Self::Row(ImageRow {
            file: file.clone(),
            row,
            content: Content::Cifar {
                file: content.clone(),
                offset,
            },
        })
    }

    /// Height and width. The picture is decoded for it.
    ///
    /// # Errors
    /// [`ImageError`] when it cannot be.
    pub fn size(&self) -> Result<[usize; 2], ImageError> {
        let limits = Limits::default();
        let picture = match self.input()? {
            ImageInput::Raw(_) => return Ok([CIFAR_SIDE; 2]),
            ImageInput::Bytes(bytes) => Picture::from_bytes(&bytes, &limits)?,
            ImageInput::Path(path) => Picture::open(&path, &limits)?,
            _ => return Err(ImageError::NoImages),
        };
        Ok([picture.height(), picture.width()])
    }

    /// The file that the picture is, or is in.
    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Path(path) => path,
            Self::Encoded { name, .. } => Path::new(&**name),
            Self::Row(row) => &row.file,
        }
    }

    /// Its row in that file, and its bytes. Those of a file that is not there are 0.
    pub(super) fn extent(&self) -> (u64, u64) {
        match self {
            Self::Path(path) => (0, path.metadata().map_or(0, |file| file.len())),
            Self::Encoded { bytes, .. } => (0, bytes.len() as u64),
            Self::Row(row) => match &row.content {
                Content::Encoded(bytes) => (row.row, bytes.len() as u64),
                Content::Spilled { bytes, .. } => (row.row, *bytes as u64),
                Content::Cifar { .. } => (row.row, (3 * CIFAR_SIDE * CIFAR_SIDE) as u64),
            },
        }
    }

    /// The picture for a processor.
    pub(super) fn input(&self) -> Result<ImageInput<'_>, ImageError> {
        Ok(match self {
            Self::Path(path) => ImageInput::from(path),
            Self::Encoded { bytes, .. } => ImageInput::from(&bytes[..]),
            Self::Row(row) => match &row.content {
                Content::Encoded(bytes) => ImageInput::from(&bytes[..]),
                Content::Spilled { file, offset, bytes } => {
                    let mut content = vec![0; *bytes];
                    file.read(*offset, &mut content)?;
                    content.into()
                }
                Content::Cifar { file, offset } => {
                    let shape = [3, CIFAR_SIDE, CIFAR_SIDE];
                    let pixels = file.get(*offset..).unwrap_or_default();
                    let pixels = pixels.get(..shape.iter().product()).unwrap_or_default();
                    RawImage::u8(Cow::Borrowed(pixels), shape).into()
                }
            },
        })
    }
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
            Self::Row(row) => write!(f, "{}, row {}", row.file.display(), row.row),
        }
    }
}

/// Keeps pictures of parquet files: in memory up to a bound, then in a temporary file without a name.
#[derive(Debug)]
pub(super) struct Store {
    memory: u64,
    spilled: Option<(Arc<Spill>, u64)>,
}

impl Store {
    pub(super) fn new(memory: u64) -> Self {
        Self {
            memory,
            spilled: None,
        }
    }

    /// Keeps the bytes of a picture file.
    pub(super) fn keep(&mut self, file: &Arc<Path>, row: u64, bytes: &[u8]) -> io::Result<ImageSource> {
        let content = match self.memory.checked_sub(bytes.len() as u64) {
            Some(left) => {
                self.memory = left;
                Content::Encoded(bytes.into())
            }
            None => self.spill(bytes)?,
        };
        let file = file.clone();
        Ok(ImageSource::Row(ImageRow { file, row, content }))
    }

    fn spill(&mut self, bytes: &[u8]) -> io::Result<Content> {
        let (file, offset) = match self.spilled.take() {
            Some(spilled) => spilled,
            None => (Arc::new(Spill::new()?), 0),
        };
        file.write(offset, bytes)?;
        self.spilled = Some((file.clone(), offset + bytes.len() as u64));
        Ok(Content::Spilled {
            file,
            offset,
            bytes: bytes.len(),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn pictures_beyond_the_memory_bound_come_back_from_the_disk() {
        let mut store = Store::new(5);
        let file: Arc<Path> = Path::new("data.parquet").into();
        let contents: [&[u8]; 4] = [b"abc", b"defg", b"hi", b"jklm"];
        let kept: Vec<ImageSource> = (1..)
            .zip(contents)
            .map(|(row, bytes)| store.keep(&file, row, bytes).unwrap())
            .collect();
        for (source, expected) in kept.iter().zip(contents) {
            match source.input().unwrap() {
                ImageInput::Bytes(bytes) => assert_eq!(&bytes[..], expected),
                other => panic!("{other:?}"),
            }
        }
        let spilled = |source: &&ImageSource| {
            matches!(
                source,
                ImageSource::Row(ImageRow {
                    content: Content::Spilled { .. },
                    ..
                })
            )
        };
        assert_eq!(kept.iter().filter(spilled).count(), 2);
        assert_eq!(kept[1].to_string(), "data.parquet, row 2");
    }
}
