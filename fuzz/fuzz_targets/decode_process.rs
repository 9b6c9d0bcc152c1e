//! Any bytes: decoding gives a picture or an error, and every picture can be processed, by both processors and with any
//! configuration, which the first four bytes choose.

#![no_main]

use bit_config::{ImageProcessorConfig, Resample, SizeDict};
use bit_image::{ImageInput, Limits, PassOrder, Picture, PreprocessOptions, Processor, ProcessorKind};
use libfuzzer_sys::fuzz_target;

const FILTERS: [Resample; 6] = [
    Resample::Nearest,
    Resample::Lanczos,
    Resample::Bilinear,
    Resample::Bicubic,
    Resample::Box,
    Resample::Hamming,
];

fuzz_target!(|data: &[u8]| {
    let Some((&[steps, filter, height, width], file)) = data.split_first_chunk() else { return };
    let limits = Limits { max_pixels: 1 << 20, ..Limits::default() };
    let Ok(picture) = Picture::from_bytes(file, &limits) else { return };
    let step = |bit: u8| steps >> bit & 1 == 1;
    let (height, width) = (usize::from(height) + 1, usize::from(width) + 1);
    let options = PreprocessOptions {
        do_resize: Some(!step(0)),
        size: Some(match filter / 6 % 4 {
            0 => SizeDict::HeightWidth { height, width },
            1 => SizeDict::ShortestEdge(height),
            2 => SizeDict::ShortestLongest { shortest_edge: height, longest_edge: width },
            _ => SizeDict::MaxHeightWidth { max_height: height, max_width: width },
        }),
        resample: Some(FILTERS[usize::from(filter) % FILTERS.len()]),
        do_center_crop: Some(step(1)),
        crop_size: Some(SizeDict::HeightWidth { height: width, width: height }),
        do_pad: Some(step(2)),
        pad_size: step(3).then_some(SizeDict::HeightWidth { height: 256, width: 256 }),
        do_convert_rgb: Some(step(4)),
        do_normalize: Some(step(4) && step(5)),
        ..Default::default()
    };
    let order = if step(6) { PassOrder::Pillow12 } else { PassOrder::Pillow13 };
    for kind in [ProcessorKind::Pil, ProcessorKind::Torchvision] {
        let processor = Processor::new(kind, ImageProcessorConfig::default()).expect("the defaults are valid");
        let processor = processor.with_limits(limits).with_pass_order(order);
        for input in [ImageInput::from(&picture), ImageInput::from(file)] {
            // Sizes may be beyond the limit, and 16-bit values out of Pillow's range: errors, not panics.
            let _ = processor.preprocess_one(&input, &options);
        }
    }
});
