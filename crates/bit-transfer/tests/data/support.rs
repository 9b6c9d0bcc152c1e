//! Files to test with.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bit_config::hyperrule::Resolution;
use bit_transfer::TransferError;
use bit_transfer::data::{
    self, DataSet, LoaderOptions, OpenOptions, Random, Splits, TrainLoader, TrainTransform,
};

/// A file of `tests/fixtures`.
pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

/// Opens data with the usual options.
pub fn open(path: &Path) -> Result<Splits, TransferError> {
    data::open(path, &OpenOptions::default())
}

/// A small PNG whose pixels follow from the seed.
pub fn png(seed: u64) -> Vec<u8> {
    let mut random = Random::new(seed, "png", 0);
    let pixels: Vec<u8> = (0..6 * 5 * 3).map(|_| random.bits() as u8).collect();
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, 6, 5);
    encoder.set_color(png::ColorType::Rgb);
    encoder.write_header().unwrap().write_image_data(&pixels).unwrap();
    bytes
}

/// Writes a file and the folders down to it.
pub fn write(path: &Path, content: impl AsRef<[u8]>) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::File::create(path)
        .unwrap()
        .write_all(content.as_ref())
        .unwrap();
}

/// A folder with this many pictures of each class.
pub fn class_folders(folder: &Path, classes: &[(&str, usize)]) {
    for (class, count) in classes {
        fs::create_dir_all(folder.join(class)).unwrap();
        for index in 0..*count {
            write(
                &folder.join(class).join(format!("{index}.png")),
                png(index as u64),
            );
        }
    }
}

/// Labels of all pictures, each with its classes' names.
pub fn labels(set: &DataSet) -> Vec<Vec<&str>> {
    let names = |labels: &Vec<usize>| labels.iter().map(|label| set.classes[*label].as_str()).collect();
    set.examples
        .iter()
        .map(|example| names(&example.labels))
        .collect()
}

/// A loader of small crops.
pub fn train_loader(
    set: DataSet,
    options: LoaderOptions,
    first_step: usize,
) -> Result<TrainLoader, TransferError> {
    let transform = TrainTransform::new(Resolution { resize: 8, crop: 6 });
    TrainLoader::new(Arc::new(set), transform, options, first_step)
}
