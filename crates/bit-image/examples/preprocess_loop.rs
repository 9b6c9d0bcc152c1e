//! Preprocesses files on request and tells how long it took: the contender that `tests/reference/bench_images.py`
//! measures beside transformers.
//!
//! Each line of standard input is `{"processor": "pil" or "torchvision", "threads": N, "files": […]}`; the answer is
//! the seconds it took to turn the files into a batch, read from disk each time, in memory that is kept as a service
//! would keep it. Without `"threads"` the files are prepared one after the other into one buffer.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::error::Error;
use std::io::BufRead;
use std::path::PathBuf;
use std::time::Instant;

use bit_config::ImageProcessorConfig;
use bit_image::{ImageInput, PreprocessOptions, Processor, ProcessorKind};
use serde_json::Value;

fn main() -> Result<(), Box<dyn Error>> {
    let processor = |kind| Processor::new(kind, ImageProcessorConfig::default());
    let (pil, torchvision) = (
        processor(ProcessorKind::Pil)?,
        processor(ProcessorKind::Torchvision)?,
    );
    let pool = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    // Kept, as a service would.
    let mut pools = BTreeMap::new();
    let (mut tensor, mut batch) = (Vec::new(), Vec::new());
    for line in std::io::stdin().lock().lines() {
        let request: Value = serde_json::from_str(&line?)?;
        let processor = if request["processor"] == "pil" {
            &pil
        } else {
            &torchvision
        };
        let files = request["files"].as_array().ok_or("`files` is missing")?;
        let files = files.iter().filter_map(Value::as_str).map(PathBuf::from);
        let files: Vec<ImageInput<'_>> = files.map(ImageInput::from).collect();
        let options = PreprocessOptions::default();
        let seconds = match request["threads"].as_u64() {
            Some(threads) => {
                let pool = match pools.entry(threads) {
                    Entry::Occupied(pool) => pool.into_mut(),
                    Entry::Vacant(place) => place.insert(pool(threads as usize)?),
                };
                let start = Instant::now();
                pool.install(|| processor.preprocess_batch_into(&files, &options, &mut batch))?;
                start.elapsed()
            }
            None => {
                let start = Instant::now();
                for file in &files {
                    processor.preprocess_into(file, &options, &mut tensor)?;
                }
                start.elapsed()
            }
        };
        println!("{}", seconds.as_secs_f64());
    }
    Ok(())
}
