//! Converts a checkpoint and says what came of it:
//! `cargo run --release -p bit-convert --example convert -- SOURCE DESTINATION [--to hf] [--dtype f16] [--max-shard-bytes N]`.

use bit_convert::{Checkpoint, ConvertOptions, DType, Target, convert};
use std::path::Path;
use std::time::Instant;

const USAGE: &str =
    "usage: convert SOURCE DESTINATION [--to FORMAT] [--dtype f32|f16|bf16] [--max-shard-bytes N]";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [source, destination, flags @ ..] = &arguments[..] else {
        return Err(USAGE.into());
    };
    let mut target = Target::Transformers;
    let mut options = ConvertOptions::default();
    for pair in flags.chunks(2) {
        match pair.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["--to", name] => target = name.parse()?,
            ["--dtype", "f32"] => options.dtype = Some(DType::F32),
            ["--dtype", "f16"] => options.dtype = Some(DType::F16),
            ["--dtype", "bf16"] => options.dtype = Some(DType::BF16),
            ["--max-shard-bytes", bytes] => options.max_shard_bytes = Some(bytes.parse()?),
            _ => return Err(format!("{}: {USAGE}", pair.join(" ")).into()),
        }
    }

    let start = Instant::now();
    let checkpoint = Checkpoint::open(Path::new(source))?;
    eprintln!(
        "{}: {}, {} tensors",
        source,
        checkpoint.format(),
        checkpoint.tensors().len()
    );
    let converted = convert(&checkpoint, Path::new(destination), target, &options)?;
    for file in &converted.files {
        println!("{}", file.display());
    }
    if let Some(why) = converted.no_processor {
        eprintln!("no image processor: {why}");
    }
    eprintln!("{:.2} s", start.elapsed().as_secs_f64());
    Ok(())
}
