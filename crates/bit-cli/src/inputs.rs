//! From the IMAGE arguments to the images they mean.

use std::collections::HashSet;
use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

use bit_image::{ImageError, ImageInput, Limits};
use walkdir::WalkDir;

/// One image, or a place where one was expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A file. Whether it is there turns out when it is read.
    File(PathBuf),
    /// Standard input.
    Stdin,
    /// An argument that leads to no image, and why.
    Nothing {
        /// The argument, or the folder inside it.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) | Self::Nothing { path, .. } => write!(f, "{}", path.display()),
            Self::Stdin => f.write_str("-"),
        }
    }
}

impl Input {
    /// The image for a processor, or why there is none.
    pub fn image(&self, limits: &Limits) -> Result<ImageInput<'_>, String> {
        match self {
            Self::File(path) => Ok(path.into()),
            Self::Stdin => Ok(read_stdin(limits).map_err(|error| error.to_string())?.into()),
            Self::Nothing { reason, .. } => Err(reason.clone()),
        }
    }
}

fn read_stdin(limits: &Limits) -> Result<Vec<u8>, ImageError> {
    let limit = limits.max_file_bytes;
    let mut bytes = Vec::new();
    std::io::stdin()
        .lock()
        .take(limit.saturating_add(1))
        .read_to_end(&mut bytes)?;
    match bytes.len() as u64 > limit {
        true => Err(ImageError::FileTooLarge { limit }),
        false => Ok(bytes),
    }
}

/// Extensions that make a file in a folder an image. A file that is named itself may have any.
const EXTENSIONS: &[&str] = &["bmp", "gif", "jpeg", "jpg", "png", "tif", "tiff", "webp"];

/// All images in the order of the arguments, those of a folder or a glob sorted; each file once.
pub fn collect(arguments: &[PathBuf]) -> Vec<Input> {
    let mut seen = HashSet::new();
    let inputs = arguments.iter().flat_map(|argument| expand(argument));
    inputs.filter(|input| seen.insert(identity(input))).collect()
}

/// `a.png` and `./a.png` are one file; a link and what it leads to are two.
fn identity(input: &Input) -> PathBuf {
    match input {
        Input::File(path) | Input::Nothing { path, .. } => {
            std::path::absolute(path).unwrap_or_else(|_| path.clone())
        }
        Input::Stdin => PathBuf::from("-"),
    }
}

fn expand(argument: &Path) -> Vec<Input> {
    match argument.to_str() {
        Some("-") => vec![Input::Stdin],
        _ if argument.is_dir() => folder(argument),
        // A file may have such a name, too.
        Some(pattern) if pattern.contains(['*', '?', '[']) && !argument.exists() => matches(pattern),
        _ => vec![Input::File(argument.to_path_buf())],
    }
}

fn nothing(path: &Path, reason: impl Into<String>) -> Input {
    Input::Nothing {
        path: path.to_path_buf(),
        reason: reason.into(),
    }
}

/// The image files below a folder, without hidden ones.
fn folder(path: &Path) -> Vec<Input> {
    let walk = WalkDir::new(path).follow_links(true).sort_by_file_name();
    let visible = |entry: &walkdir::DirEntry| {
        entry.depth() == 0 || !entry.file_name().as_encoded_bytes().starts_with(b".")
    };
    let mut found = Vec::new();
    for entry in walk.into_iter().filter_entry(visible) {
        match entry {
            Ok(entry) if entry.file_type().is_file() && is_image(entry.path()) => {
                found.push(Input::File(entry.into_path()));
            }
            Ok(_) => {}
            Err(error) => found.push(nothing(error.path().unwrap_or(path), unreadable(&error))),
        }
    }
    if found.is_empty() {
        found.push(nothing(
            path,
            format!(
                "no image in this folder: no file ends in {}",
                EXTENSIONS.join(", ")
            ),
        ));
    }
    found
}

fn unreadable(error: &walkdir::Error) -> String {
    match error.io_error() {
        Some(error) => format!("cannot be searched: {error}"),
        None => "a link that leads back to a folder above it".to_owned(),
    }
}

fn is_image(path: &Path) -> bool {
    let extension = path
        .extension()
        .and_then(|extension| extension.to_str())
        .map(str::to_ascii_lowercase);
    extension.is_some_and(|extension| EXTENSIONS.contains(&extension.as_str()))
}

fn matches(pattern: &str) -> Vec<Input> {
    let paths = match glob::glob(pattern) {
        Ok(paths) => paths,
        Err(error) => return vec![nothing(Path::new(pattern), format!("not a glob: {error}"))],
    };
    let found: Vec<_> = paths
        .flat_map(|path| match path {
            Ok(path) if path.is_dir() => folder(&path),
            Ok(path) => vec![Input::File(path)],
            Err(error) => vec![nothing(
                error.path(),
                format!("cannot be searched: {}", error.error()),
            )],
        })
        .collect();
    match found.is_empty() {
        true => vec![nothing(Path::new(pattern), "no file matches")],
        false => found,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn tree(files: &[&str]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for file in files {
            let path = root.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        root
    }

    fn names(root: &Path, inputs: &[Input]) -> Vec<String> {
        let name = |input: &Input| input.to_string().replace(&format!("{}/", root.display()), "");
        inputs.iter().map(name).collect()
    }

    #[test]
    fn a_folder_is_its_images_in_order_of_their_names() {
        let root = tree(&[
            "b.PNG",
            "a/2.jpeg",
            "a/10.webp",
            "notes.txt",
            ".hidden.png",
            ".git/x.png",
        ]);
        let found = collect(&[root.path().to_path_buf()]);
        assert_eq!(names(root.path(), &found), ["a/10.webp", "a/2.jpeg", "b.PNG"]);
    }

    #[test]
    fn an_image_named_twice_is_one_and_the_first_place_counts() {
        let root = tree(&["a.png", "b.png"]);
        let (a, b) = (root.path().join("a.png"), root.path().join("b.png"));
        let found = collect(&[b, root.path().join("./a.png"), root.path().to_path_buf(), a]);
        assert_eq!(found.len(), 2);
        assert!(found[0].to_string().ends_with("b.png"));
    }

    #[test]
    fn a_glob_matches_files_and_folders() {
        let root = tree(&["x1.png", "x2/y.png", "z.png"]);
        let found = collect(&[root.path().join("x*")]);
        assert_eq!(names(root.path(), &found), ["x1.png", "x2/y.png"]);
    }

    #[test]
    fn an_argument_without_images_says_so() {
        let root = tree(&["notes.txt"]);
        for argument in [root.path().to_path_buf(), root.path().join("*.png")] {
            let found = collect(std::slice::from_ref(&argument));
            assert!(
                matches!(&found[..], [Input::Nothing { path, .. }] if *path == argument),
                "{found:?}"
            );
        }
    }

    #[test]
    fn a_file_whose_name_looks_like_a_glob_is_that_file() {
        let root = tree(&["a[1].png"]);
        let path = root.path().join("a[1].png");
        assert_eq!(collect(std::slice::from_ref(&path)), [Input::File(path)]);
    }

    #[test]
    #[cfg(unix)]
    fn a_link_that_leads_back_ends_the_search() {
        let root = tree(&["a/x.png"]);
        std::os::unix::fs::symlink(root.path(), root.path().join("a/up")).unwrap();
        let found = collect(&[root.path().to_path_buf()]);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(matches!(&found[0], Input::Nothing { reason, .. } if reason.contains("leads back")));
    }
}
