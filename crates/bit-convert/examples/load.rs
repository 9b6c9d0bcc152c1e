//! How long a checkpoint of f32 tensors takes to read into memory: `cargo run --release -p bit-convert --example load -- FILE`.

use bit_convert::Checkpoint;
use std::path::Path;
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("usage: load FILE_OR_FOLDER")?;
    for _ in 0..5 {
        let start = Instant::now();
        let checkpoint = Checkpoint::open(Path::new(&path))?;
        let network = checkpoint.to_transformers()?;
        let opened = start.elapsed();
        let tensors = network
            .tensors()
            .iter()
            .map(|info| network.read_f32(&info.name))
            .collect::<Result<Vec<_>, _>>()?;
        let elements: usize = tensors.iter().flatten().map(Vec::len).sum();
        let megabytes = (elements * size_of::<f32>()) as f64 / 1e6;
        let (opened, all) = (opened.as_secs_f64() * 1e3, start.elapsed().as_secs_f64() * 1e3);
        println!("{megabytes:.0} MB: open {opened:.1} ms, open and read {all:.1} ms");
    }
    Ok(())
}
