//! What transformers' own image-processor tests claim (`tests/models/bit/test_image_processing_bit.py` and the
//! `ImageProcessingTestMixin`), for both processors.

#![allow(clippy::unwrap_used)]

use bit_config::{ChannelDimension, ImageProcessorConfig, PerChannel, Resample, SizeDict};
use bit_image::{
    BitImageProcessor, BitImageProcessorPil, ImageError, ImageInput, PixelValues, PreprocessOptions,
    Processor, ProcessorKind, RawData, RawImage,
};
use image::DynamicImage;

const BOTH: [ProcessorKind; 2] = [ProcessorKind::Pil, ProcessorKind::Torchvision];

/// The settings of transformers' `BitImageProcessingTester`.
fn config() -> ImageProcessorConfig {
    let size = r#"{"size": {"shortest_edge": 20}, "crop_size": {"height": 18, "width": 18}}"#;
    ImageProcessorConfig::from_json(size).unwrap()
}

fn processor(kind: ProcessorKind) -> Processor {
    Processor::new(kind, config()).unwrap()
}

/// Pixels that depend on the image, the place and the channel.
fn pixels(seed: usize, height: usize, width: usize, channels: usize) -> Vec<u8> {
    (0..height * width * channels)
        .map(|i| ((i * 37 + seed * 101) ^ (i / 7)) as u8)
        .collect()
}

fn channels_first(last: &[u8], channels: usize) -> Vec<u8> {
    (0..channels)
        .flat_map(|c| last.iter().skip(c).step_by(channels).copied())
        .collect()
}

/// Seven images of different sizes, 30 to 400 pixels a side.
fn batch(channels: usize) -> Vec<RawImage<'static>> {
    (0..7)
        .map(|i| {
            let (height, width) = (30 + 53 * i, 400 - 47 * i);
            RawImage::u8(pixels(i, height, width, channels), [height, width, channels])
        })
        .collect()
}

fn inputs(images: Vec<RawImage<'static>>) -> Vec<ImageInput<'static>> {
    images.into_iter().map(ImageInput::Raw).collect()
}

fn preprocess(kind: ProcessorKind, images: &[ImageInput<'_>], options: &PreprocessOptions) -> PixelValues {
    processor(kind).preprocess(images, options).unwrap()
}

/// `test_image_processor_properties`, `test_init_without_params`
#[test]
fn attributes_have_transformers_defaults() {
    let config = ImageProcessorConfig::default();
    let clip_mean = [0.48145466, 0.4578275, 0.40821073];
    let clip_std = [0.26862954, 0.26130258, 0.27577711];
    assert_eq!(config.image_mean, Some(PerChannel::Each(clip_mean.to_vec())));
    assert_eq!(config.image_std, Some(PerChannel::Each(clip_std.to_vec())));
    assert_eq!(config.resample, Some(Resample::Bicubic));
    assert_eq!(config.rescale_factor, Some(1.0 / 255.0));
    assert_eq!((config.do_pad, config.pad_size), (None, None));
    assert_eq!((config.data_format, config.input_data_format), (None, None));
    assert_eq!(config.size, Some(SizeDict::ShortestEdge(224)));
    assert_eq!(config.crop_size, Some(SizeDict::square(224)));
    assert_eq!(config.default_to_square, Some(false));
    assert_eq!(
        (config.do_resize, config.do_center_crop, config.do_convert_rgb),
        (Some(true), Some(true), Some(true))
    );
    assert_eq!((config.do_rescale, config.do_normalize), (Some(true), Some(true)));
    BitImageProcessor::new(config.clone()).unwrap();
    BitImageProcessorPil::new(config).unwrap();
}

/// `test_image_processor_from_dict_with_kwargs`
#[test]
fn keywords_override_a_dictionary_and_numbers_become_sizes() {
    let plain = config();
    assert_eq!(plain.size, Some(SizeDict::ShortestEdge(20)));
    assert_eq!(plain.crop_size, Some(SizeDict::square(18)));
    let mut dictionary: serde_json::Value = serde_json::from_str(&plain.to_json()).unwrap();
    dictionary["size"] = 42.into();
    dictionary["crop_size"] = 84.into();
    let config = ImageProcessorConfig::from_json(&dictionary.to_string()).unwrap();
    assert_eq!(config.size, Some(SizeDict::ShortestEdge(42)));
    assert_eq!(config.crop_size, Some(SizeDict::square(84)));
    for kind in BOTH {
        let processor = Processor::new(kind, config.clone()).unwrap();
        let values = processor
            .preprocess(&inputs(batch(3)), &PreprocessOptions::default())
            .unwrap();
        assert_eq!(values.shape, [7, 3, 84, 84]);
    }
}

/// `test_call_pil`
#[test]
fn opened_images_of_seven_sizes_become_one_tensor_alone_and_together() {
    let images = batch(3).into_iter().map(|image| {
        let [height, width, _] = image.shape;
        let RawData::U8(bytes) = image.data else {
            unreachable!("the batch holds bytes")
        };
        let pixels = image::RgbImage::from_raw(width as u32, height as u32, bytes.into_owned());
        DynamicImage::from(pixels.unwrap())
    });
    let images: Vec<_> = images.map(ImageInput::from).collect();
    for kind in BOTH {
        let one = preprocess(kind, &images[..1], &PreprocessOptions::default());
        assert_eq!(one.shape, [1, 3, 18, 18]);
        let all = preprocess(kind, &images, &PreprocessOptions::default());
        assert_eq!(all.shape, [7, 3, 18, 18]);
        // An opened image of RGB is the array of its pixels.
        let arrays = preprocess(kind, &inputs(batch(3)), &PreprocessOptions::default());
        assert_eq!(all.data, arrays.data);
    }
}

/// `test_call_pytorch`
#[test]
fn channels_first_arrays_of_seven_sizes_become_one_tensor_alone_and_together() {
    let images = batch(3).into_iter().map(|image| {
        let [height, width, channels] = image.shape;
        let RawData::U8(bytes) = &image.data else {
            unreachable!("the batch holds bytes")
        };
        RawImage::u8(channels_first(bytes, channels), [channels, height, width])
    });
    let images = inputs(images.collect());
    for kind in BOTH {
        let one = preprocess(kind, &images[..1], &PreprocessOptions::default());
        assert_eq!(one.shape, [1, 3, 18, 18]);
        let all = preprocess(kind, &images, &PreprocessOptions::default());
        assert_eq!(all.shape, [7, 3, 18, 18]);
        let last = preprocess(kind, &inputs(batch(3)), &PreprocessOptions::default());
        assert_eq!(all.data, last.data);
    }
}

/// `test_override_instance_attributes_does_not_affect_other_instances`
#[test]
fn a_changed_configuration_or_call_changes_no_other_processor() {
    for kind in BOTH {
        let (untouched, mut changed) = (processor(kind), config());
        changed.image_mean = Some(PerChannel::All(0.25));
        changed.size = Some(SizeDict::ShortestEdge(33));
        let changed = Processor::new(kind, changed).unwrap();
        assert_eq!(changed.config().size, Some(SizeDict::ShortestEdge(33)));
        let override_size = PreprocessOptions {
            size: Some(SizeDict::ShortestEdge(50)),
            ..Default::default()
        };
        let images = inputs(batch(3));
        untouched.clone().preprocess(&images, &override_size).unwrap();
        changed
            .preprocess(&images, &PreprocessOptions::default())
            .unwrap();
        assert_eq!(untouched.config(), &config());
        assert_eq!(untouched.config(), processor(kind).config());
        let default = PreprocessOptions::default();
        let expected = preprocess(kind, &images, &default);
        assert_eq!(untouched.preprocess(&images, &default).unwrap(), expected);
        untouched.preprocess(&images, &override_size).unwrap();
        assert_eq!(untouched.preprocess(&images, &default).unwrap(), expected);
    }
}

/// `test_explicit_none_kwarg_falls_back_to_default`
#[test]
fn an_option_that_is_none_falls_back_to_the_configuration() {
    let said = config();
    let none = PreprocessOptions {
        do_resize: None,
        size: None,
        resample: None,
        crop_size: None,
        image_mean: None,
        ..Default::default()
    };
    let same = PreprocessOptions {
        do_resize: said.do_resize,
        size: said.size,
        resample: said.resample,
        crop_size: said.crop_size,
        image_mean: said.image_mean,
        ..Default::default()
    };
    for kind in BOTH {
        let images = inputs(batch(3));
        assert_eq!(preprocess(kind, &images, &none), preprocess(kind, &images, &same));
    }
}

#[test]
fn one_image_is_a_batch_of_one() {
    for kind in BOTH {
        let one = inputs(batch(3).split_off(6));
        assert_eq!(
            preprocess(kind, &one, &PreprocessOptions::default()).shape,
            [1, 3, 18, 18]
        );
    }
}

#[test]
fn a_batch_of_seven_sizes_becomes_7_3_18_18() {
    for kind in BOTH {
        let values = preprocess(kind, &inputs(batch(3)), &PreprocessOptions::default());
        assert_eq!(values.shape, [7, 3, 18, 18]);
        assert_eq!(values.data.len(), 7 * 3 * 18 * 18);
    }
}

#[test]
fn a_batch_equals_its_images_one_by_one() {
    for kind in BOTH {
        let (processor, images) = (processor(kind), inputs(batch(3)));
        let together = processor
            .preprocess(&images, &PreprocessOptions::default())
            .unwrap();
        for (image, together) in images.iter().zip(together.data.chunks(3 * 18 * 18)) {
            let alone = processor
                .preprocess_one(image, &PreprocessOptions::default())
                .unwrap();
            assert_eq!(alone.data, together);
        }
    }
}

#[test]
fn both_layouts_of_one_image_give_the_same_values() {
    for kind in BOTH {
        for channels in [1, 3, 4] {
            let last = pixels(3, 40, 50, channels);
            let first = RawImage::u8(channels_first(&last, channels), [channels, 40, 50]);
            let last = RawImage::u8(last, [40, 50, channels]);
            let both = inputs(vec![first, last]);
            let values = preprocess(kind, &both, &PreprocessOptions::default());
            assert_eq!(values.shape, [2, 3, 18, 18], "{kind:?}, {channels} channels");
            let (first, last) = values.data.split_at(3 * 18 * 18);
            assert_eq!(first, last, "{kind:?}, {channels} channels");
        }
    }
}

#[test]
fn one_channel_becomes_three_equal_ones() {
    for kind in BOTH {
        let options = PreprocessOptions {
            do_normalize: Some(false),
            ..Default::default()
        };
        let values = preprocess(kind, &inputs(batch(1)), &options);
        assert_eq!(values.shape, [7, 3, 18, 18]);
        let (red, rest) = values.data.split_at(18 * 18);
        assert_eq!(red, &rest[..18 * 18]);
        assert_eq!(red, &rest[18 * 18..2 * 18 * 18]);
    }
}

#[test]
fn four_channels_stay_when_rgb_is_not_asked_for() {
    for kind in BOTH {
        let options = PreprocessOptions {
            do_convert_rgb: Some(false),
            image_mean: Some(PerChannel::Each(vec![0.0; 4])),
            image_std: Some(PerChannel::Each(vec![1.0; 4])),
            input_data_format: Some(ChannelDimension::Last),
            ..Default::default()
        };
        assert_eq!(
            preprocess(kind, &inputs(batch(4)), &options).shape,
            [7, 4, 18, 18]
        );
    }
}

#[test]
fn an_ambiguous_shape_is_channels_first_unless_told() {
    let data = pixels(5, 3, 8, 3);
    let plain = PreprocessOptions {
        do_resize: Some(false),
        do_center_crop: Some(false),
        ..Default::default()
    };
    let last = PreprocessOptions {
        input_data_format: Some(ChannelDimension::Last),
        ..plain.clone()
    };
    for kind in BOTH {
        let image = ImageInput::Raw(RawImage::u8(&data[..], [3, 8, 3]));
        assert_eq!(
            preprocess(kind, std::slice::from_ref(&image), &plain).shape,
            [1, 3, 8, 3]
        );
        assert_eq!(preprocess(kind, &[image], &last).shape, [1, 3, 3, 8]);
    }
}

#[test]
fn the_two_processors_are_close() {
    let images = inputs(batch(3));
    let [pil, torchvision] = BOTH.map(|kind| preprocess(kind, &images, &PreprocessOptions::default()));
    let difference = pil.data.iter().zip(&torchvision.data).map(|(a, b)| (a - b).abs());
    // transformers allows 1e-1 at most and 5e-3 on average.
    assert!(difference.clone().fold(0.0, f32::max) <= 1e-1);
    assert!(difference.sum::<f32>() / pil.data.len() as f32 <= 5e-3);
}

#[test]
fn a_call_can_override_every_step() {
    let images = inputs(batch(3).split_off(6));
    let options = PreprocessOptions {
        size: Some(SizeDict::HeightWidth {
            height: 50,
            width: 40,
        }),
        do_center_crop: Some(false),
        do_pad: Some(true),
        pad_size: Some(SizeDict::square(64)),
        ..Default::default()
    };
    for kind in BOTH {
        let values = preprocess(kind, &images, &options);
        assert_eq!(values.shape, [1, 3, 64, 64]);
        assert!(
            values
                .data
                .chunks(64)
                .take(64)
                .all(|row| row[40..].iter().all(|&value| value == 0.0))
        );
        assert!(values.data[50 * 64..64 * 64].iter().all(|&value| value == 0.0));
    }
}

#[test]
fn channels_last_output_holds_the_same_values() {
    let images = inputs(batch(3));
    let last = PreprocessOptions {
        data_format: Some(ChannelDimension::Last),
        ..Default::default()
    };
    for kind in BOTH {
        let first = preprocess(kind, &images, &PreprocessOptions::default());
        let last = preprocess(kind, &images, &last);
        assert_eq!((last.layout, last.shape), (ChannelDimension::Last, first.shape));
        for (first, last) in first.data.chunks(3 * 18 * 18).zip(last.data.chunks(3 * 18 * 18)) {
            for (i, &value) in first.iter().enumerate() {
                assert_eq!(last[i % (18 * 18) * 3 + i / (18 * 18)], value);
            }
        }
    }
}

#[test]
fn padding_to_the_batch_makes_ragged_images_one_tensor() {
    let ragged = PreprocessOptions {
        do_center_crop: Some(false),
        ..Default::default()
    };
    let padded = PreprocessOptions {
        do_pad: Some(true),
        ..ragged.clone()
    };
    for kind in BOTH {
        let images = inputs(batch(3));
        let error = processor(kind).preprocess(&images, &ragged).unwrap_err();
        let second = "image 1 (raw pixels)";
        assert!(
            matches!(&error, ImageError::Ragged { image, .. } if &**image == second),
            "{error}"
        );
        let values = preprocess(kind, &images, &padded);
        assert_eq!(values.shape[..2], [7, 3]);
        assert!(values.shape[2] > 20 && values.shape[3] > 20);
    }
}

/// `test_image_processor_to_json_string`
#[test]
fn json_round_trips_keep_every_setting() {
    let config = config();
    let again = ImageProcessorConfig::from_json(&config.to_json()).unwrap();
    assert_eq!(processor(ProcessorKind::Pil).config(), &again);
}

/// Writes what a processor is made of as `save_pretrained` does, and reads it as `from_pretrained` does.
fn saved_and_loaded(config: &ImageProcessorConfig) -> ImageProcessorConfig {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("preprocessor_config.json");
    std::fs::write(&file, config.to_json()).unwrap();
    ImageProcessorConfig::from_file(&file).unwrap()
}

/// `test_image_processor_to_json_file`, `test_image_processor_from_and_save_pretrained`
#[test]
fn a_saved_processor_is_loaded_as_it_was() {
    let mut every = config();
    every.do_pad = Some(true);
    every.pad_size = Some(SizeDict::square(40));
    every.image_mean = Some(PerChannel::All(0.1));
    every.resample = Some(Resample::Lanczos);
    every.rescale_factor = Some(1.0 / 127.5);
    every.do_convert_rgb = None;
    for kind in BOTH {
        for config in [config(), ImageProcessorConfig::default(), every.clone()] {
            let first = Processor::new(kind, config).unwrap();
            let second = Processor::new(kind, saved_and_loaded(first.config())).unwrap();
            assert_eq!(first.config(), second.config());
            let images = inputs(batch(3));
            let options = PreprocessOptions::default();
            let values = first.preprocess(&images, &options).unwrap();
            assert_eq!(second.preprocess(&images, &options).unwrap(), values);
        }
    }
}

/// `test_save_load_backends`: what one processor saved is the other's, too.
#[test]
fn a_processor_saved_by_one_backend_is_loaded_by_the_other() {
    for name in [
        "BitImageProcessor",
        "BitImageProcessorPil",
        "BitImageProcessorFast",
    ] {
        let saved = ImageProcessorConfig {
            image_processor_type: name.into(),
            ..config()
        };
        let loaded = saved_and_loaded(&saved);
        assert_eq!(loaded, saved);
        let images = inputs(batch(3));
        for kind in BOTH {
            let other = Processor::new(kind, loaded.clone()).unwrap();
            let again = Processor::new(kind, saved_and_loaded(other.config())).unwrap();
            assert_eq!(again.config(), other.config());
            let values = again.preprocess(&images, &PreprocessOptions::default());
            assert_eq!(
                values.unwrap(),
                preprocess(kind, &images, &PreprocessOptions::default())
            );
        }
    }
}

#[test]
fn an_explicit_null_survives_a_round_trip_and_is_reported_when_used() {
    let config = ImageProcessorConfig::from_json(r#"{"image_mean": null, "do_normalize": false}"#).unwrap();
    let again = ImageProcessorConfig::from_json(&config.to_json()).unwrap();
    assert_eq!(again.image_mean, None);
    for kind in BOTH {
        let processor = Processor::new(kind, again.clone()).unwrap();
        let normalize = PreprocessOptions {
            do_normalize: Some(true),
            ..Default::default()
        };
        let message = processor
            .preprocess(&inputs(batch(3)), &normalize)
            .unwrap_err()
            .to_string();
        assert_eq!(
            message,
            "`image_mean` and `image_std` must both be specified if `do_normalize` is `True`."
        );
    }
}

#[test]
fn missing_settings_have_transformers_messages() {
    let cases = [
        (
            r#"{"size": null}"#,
            "`size` and `resample` must be specified if `do_resize` is `True`.",
        ),
        (
            r#"{"resample": null}"#,
            "`size` and `resample` must be specified if `do_resize` is `True`.",
        ),
        (
            r#"{"crop_size": null}"#,
            "`crop_size` must be specified if `do_center_crop` is `True`.",
        ),
        (
            r#"{"rescale_factor": null}"#,
            "`rescale_factor` must be specified if `do_rescale` is `True`.",
        ),
    ];
    for (json, expected) in cases {
        let config = ImageProcessorConfig::from_json(json).unwrap();
        for kind in BOTH {
            assert_eq!(
                Processor::new(kind, config.clone()).unwrap_err().to_string(),
                expected
            );
        }
    }
}

#[test]
fn a_mean_of_the_wrong_length_has_transformers_message() {
    let two = PreprocessOptions {
        image_mean: Some(PerChannel::Each(vec![0.5; 2])),
        ..Default::default()
    };
    let message = processor(ProcessorKind::Pil)
        .preprocess(&inputs(batch(3)), &two)
        .unwrap_err()
        .to_string();
    assert!(
        message.ends_with("mean must have 3 elements if it is an iterable, got 2"),
        "{message}"
    );
    let message = processor(ProcessorKind::Torchvision)
        .preprocess(&inputs(batch(3)), &two)
        .unwrap_err();
    assert!(
        message
            .to_string()
            .contains("The size of tensor a (3) must match the size of tensor b (2)")
    );
}

#[test]
fn torchvision_has_no_box_and_no_hamming_filter() {
    for resample in [Resample::Box, Resample::Hamming] {
        let options = PreprocessOptions {
            resample: Some(resample),
            ..Default::default()
        };
        let error = processor(ProcessorKind::Torchvision)
            .preprocess(&inputs(batch(3)), &options)
            .unwrap_err();
        assert!(
            error.to_string().contains("is not implemented by torchvision"),
            "{error}"
        );
        preprocess(ProcessorKind::Pil, &inputs(batch(3)), &options);
    }
}

#[test]
fn numbers_of_a_call_are_checked_as_those_of_a_configuration() {
    let factor = |factor| PreprocessOptions {
        rescale_factor: Some(factor),
        ..Default::default()
    };
    let std = |std: f64| PreprocessOptions {
        image_std: Some(PerChannel::Each(vec![0.5, std, 0.5])),
        ..Default::default()
    };
    let message = |kind, options: &PreprocessOptions| {
        let error = processor(kind).preprocess(&inputs(batch(3)), options);
        error.unwrap_err().to_string()
    };
    // torchvision's processor divides by it, Pillow's multiplies.
    assert_eq!(
        message(ProcessorKind::Torchvision, &factor(0.0)),
        "`rescale_factor` must be other than 0 (with do_normalize: float division by zero), found 0"
    );
    preprocess(ProcessorKind::Pil, &inputs(batch(3)), &factor(0.0));
    for kind in BOTH {
        assert_eq!(
            message(kind, &factor(f64::NAN)),
            "`rescale_factor` must be finite, found NaN"
        );
        assert_eq!(
            message(kind, &std(0.0)),
            "`image_std` must be other than 0, found 0"
        );
        assert_eq!(
            message(kind, &std(f64::INFINITY)),
            "`image_std` must be finite, found inf"
        );
    }
}

#[test]
fn an_image_larger_than_the_padding_and_one_of_another_shape_are_named() {
    let small = PreprocessOptions {
        do_pad: Some(true),
        pad_size: Some(SizeDict::square(17)),
        ..Default::default()
    };
    let uncropped = PreprocessOptions {
        do_center_crop: Some(false),
        ..Default::default()
    };
    for kind in BOTH {
        let images = inputs(batch(3));
        let error = processor(kind).preprocess(&images, &small).unwrap_err();
        assert_eq!(
            error.to_string(),
            "image 0 (raw pixels): Padding dimensions are negative. Please make sure that the `pad_size` is larger \
             than the image size. Got pad_size=(17, 17), image_size=(18, 18)."
        );
        let error = processor(kind).preprocess(&images, &uncropped).unwrap_err();
        let message = error.to_string();
        assert!(message.contains("image 1 (raw pixels) is [3, "), "{message}");
    }
}

#[test]
fn a_side_beyond_the_limit_is_reported_as_a_side() {
    let options = PreprocessOptions {
        size: Some(SizeDict::ShortestEdge(4000)),
        ..Default::default()
    };
    let thin = ImageInput::Raw(RawImage::u8(vec![0; 2 * 9000 * 3], [2, 9000, 3]));
    for kind in BOTH {
        let result = processor(kind)
            .preprocess_one(&thin, &options)
            .map(|values| values.shape);
        let error = result.unwrap_err();
        assert!(
            error
                .to_string()
                .ends_with("the result would be 18000000x4000; no side may be longer than 16777216"),
            "{error}"
        );
    }
}
