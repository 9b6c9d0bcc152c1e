//! Any bytes: decoding gives a picture or an error, and every picture can be processed by both processors.

#![no_main]

use bit_config::{ImageProcessorConfig, Resample};
use bit_image::{ImageInput, Limits, Picture, PreprocessOptions, Processor, ProcessorKind};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits { max_pixels: 1 << 20, ..Limits::default() };
    let Ok(picture) = Picture::from_bytes(bytes, &limits) else { return };
    let resample = [Resample::Nearest, Resample::Lanczos, Resample::Bilinear, Resample::Bicubic];
    let options = PreprocessOptions {
        resample: Some(resample[bytes.len() % resample.len()]),
        do_convert_rgb: Some(bytes.len() % 3 != 0),
        do_normalize: Some(false),
        ..Default::default()
    };
    for kind in [ProcessorKind::Pil, ProcessorKind::Torchvision] {
        let processor = Processor::new(kind, ImageProcessorConfig::default()).expect("the defaults are valid");
        for input in [ImageInput::from(&picture), ImageInput::from(bytes)] {
            // 16-bit pictures that stay as they are may be out of range for Pillow: an error, not a panic.
            let _ = processor.preprocess_one(&input, &options);
        }
    }
});
