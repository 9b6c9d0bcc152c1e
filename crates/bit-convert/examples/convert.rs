//! Converts a checkpoint and says what came of it:
//! `cargo run --release -p bit-convert --example convert -- SOURCE DESTINATION [--to hf] [--dtype f16] [--max-shard-bytes N]`.

use bit_convert::{Checkpoint, ConvertOptions, DType, Target, convert};
use std::path::Path;
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [source, destination, flags @ ..] = &arguments[..] else {
        return Err(
            "usage: convert SOURCE DESTINATION [--to FORMAT] [--dtype f32|f16|bf16] [--max-shard-bytes N]"
                .into(),
        );
    };
    let flag = |name: &str| {
        flags
            .chunks(2)
            .find(|pair| pair[0] == name)
            .and_then(|pair| pair.get(1))
    };
    let target: Target = flag("--to").map_or(Ok(Target::Transformers), |name| name.parse())?;
    let dtype = match flag("--dtype").map(String::as_str) {
        None => None,
        Some("f32") => Some(DType::F32),
        Some("f16") => Some(DType::F16),
        Some("bf16") => Some(DType::BF16),
        Some(other) => return Err(format!("--dtype {other}: there are f32, f16 and bf16").into()),
    };

    let start = Instant::now();
    let checkpoint = Checkpoint::open(Path::new(source))?;
    eprintln!(
        "{}: {}, {} tensors",
        source,
        checkpoint.format(),
        checkpoint.tensors().len()
    );
    let options = ConvertOptions {
        dtype,
        ..ConvertOptions::default()
    };
    let converted = convert(&checkpoint, Path::new(destination), target, &options)?;
    for file in &converted.files {
        println!("{}", file.display());
    }
    if let Some(why) = converted.no_processor {
        eprintln!("no preprocessor_config.json: {why}");
    }
    eprintln!("{:.2} s", start.elapsed().as_secs_f64());
    Ok(())
}
