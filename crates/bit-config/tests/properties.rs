//! Round trips of arbitrary configurations, and arbitrary JSON that must never panic.
#![allow(clippy::unwrap_used)]

use bit_config::{
    Activation, BitConfig, ChannelDimension, GlobalPadding, ImageProcessorConfig, Labels, LayerType,
    PerChannel, ProblemType, Resample, SizeDict,
};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value};

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (0u64..9).prop_map(Value::from),
        "[a-z0-9]{0,4}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            btree_map("[0-3a-c]", inner, 0..4)
                .prop_map(|map| Value::from(map.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

fn labels() -> impl Strategy<Value = Labels> {
    prop_oneof![
        (0usize..20).prop_map(Labels::numbered),
        vec(".{0,6}", 0..6).prop_map(Labels::named)
    ]
}

fn extra() -> impl Strategy<Value = Map<String, Value>> {
    btree_map("x_[a-z]{1,5}", json(), 0..3).prop_map(|map| map.into_iter().collect())
}

prop_compose! {
    fn config()(
        shape in vec((1usize..9, 1usize..4), 1..5),
        (num_channels, embedding, output_stride) in (1usize..5, 1usize..9, 0usize..70),
        layer_type in select(vec![LayerType::Preactivation, LayerType::Bottleneck]),
        hidden_act in select(Activation::ALL),
        global_padding in option::of(Just(GlobalPadding::Same)),
        (drop_path_rate, embedding_dynamic_padding, labels) in (0.0..1.0, any::<bool>(), labels()),
        problem_type in option::of(select(vec![ProblemType::Regression, ProblemType::MultiLabelClassification])),
        (dtype, extra) in (option::of("float(16|32)"), extra()),
        stage in option::of(any::<prop::sample::Index>()),
    ) -> BitConfig {
        let (sizes, depths): (Vec<usize>, Vec<usize>) = shape.into_iter().map(|(size, depth)| (size * 8, depth)).unzip();
        let mut config = BitConfig {
            num_channels, embedding_size: embedding * 8, hidden_sizes: sizes, depths, layer_type, hidden_act,
            global_padding, num_groups: 8, drop_path_rate, embedding_dynamic_padding, output_stride, labels,
            problem_type, dtype, extra, ..BitConfig::default()
        };
        if let Some(stage) = stage {
            let names = config.stage_names();
            config.set_out_features(&[stage.get(&names)]).unwrap();
        }
        config
    }
}

fn size() -> impl Strategy<Value = SizeDict> {
    (1usize..999, 1usize..999, 0..6).prop_map(|(a, b, kind)| match kind {
        0 => SizeDict::HeightWidth { height: a, width: b },
        1 => SizeDict::ShortestEdge(a),
        2 => SizeDict::ShortestLongest {
            shortest_edge: a,
            longest_edge: b,
        },
        3 => SizeDict::LongestEdge(a),
        4 => SizeDict::MaxHeightWidth {
            max_height: a,
            max_width: b,
        },
        _ => SizeDict::Pixels {
            min_pixels: a,
            max_pixels: b,
        },
    })
}

fn stats() -> impl Strategy<Value = PerChannel> {
    prop_oneof![
        (0.1..9.0).prop_map(PerChannel::All),
        vec(0.1..9.0, 1..5).prop_map(PerChannel::Each)
    ]
}

prop_compose! {
    fn processor()(
        sizes in (option::of(size()), option::of(size()), option::of(size())),
        flags in prop::array::uniform7(option::of(any::<bool>())),
        resample in option::of(select(Resample::ALL.to_vec())),
        stats in (option::of(stats()), option::of(stats()), option::of(0.0..1.0)),
        formats in prop::array::uniform2(option::of(select(vec![ChannelDimension::First, ChannelDimension::Last]))),
        extra in extra(),
    ) -> ImageProcessorConfig {
        let [do_convert_rgb, do_resize, default_to_square, do_center_crop, do_rescale, do_normalize, do_pad] = flags;
        ImageProcessorConfig {
            do_convert_rgb, do_resize, default_to_square, do_center_crop, do_rescale, do_normalize, do_pad, resample,
            size: sizes.0, crop_size: sizes.1, pad_size: sizes.2,
            image_mean: stats.0, image_std: stats.1, rescale_factor: stats.2,
            data_format: formats[0], input_data_format: formats[1], extra, ..ImageProcessorConfig::default()
        }
    }
}

/// An object with some of the real keys and arbitrary values.
fn hostile(keys: &'static [&'static str]) -> impl Strategy<Value = String> {
    btree_map(select(keys), json(), 0..5).prop_map(|map| {
        let mut map: Map<String, Value> = map.into_iter().map(|(k, v)| (k.to_owned(), v)).collect();
        map.insert("model_type".into(), "bit".into());
        Value::from(map).to_string()
    })
}

proptest! {
    // No file of past failures: what fails becomes a test of its own.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_config_survives_its_json(config in config()) {
        prop_assert_eq!(BitConfig::from_json(&config.to_json()).unwrap(), config);
    }

    #[test]
    fn every_processor_survives_its_json(processor in processor()) {
        prop_assert_eq!(ImageProcessorConfig::from_json(&processor.to_json()).unwrap(), processor);
    }

    #[test]
    fn plan_of_every_valid_config_chains_its_channels(config in config()) {
        let mut channels = config.stem_channels();
        for block in config.stages().iter().flat_map(|stage| &stage.blocks) {
            prop_assert_eq!(block.in_channels, channels);
            channels = block.out_channels;
        }
        prop_assert_eq!(channels, config.out_channels());
    }

    #[test]
    fn hostile_config_is_an_error_or_a_valid_config(text in hostile(&[
        "num_channels", "embedding_size", "hidden_sizes", "depths", "layer_type", "hidden_act", "global_padding",
        "num_groups", "drop_path_rate", "output_stride", "width_factor", "out_features", "out_indices", "num_labels",
        "id2label", "label2id", "problem_type", "dtype", "model_type",
    ])) {
        if let Ok(config) = BitConfig::from_json(&text) {
            prop_assert_eq!(BitConfig::from_json(&config.to_json()).unwrap(), config);
        }
    }

    #[test]
    fn hostile_processor_is_an_error_or_a_valid_processor(text in hostile(&[
        "do_resize", "size", "crop_size", "pad_size", "resample", "rescale_factor", "image_mean", "image_std",
        "data_format", "default_to_square",
    ])) {
        if let Ok(processor) = ImageProcessorConfig::from_json(&text) {
            prop_assert_eq!(ImageProcessorConfig::from_json(&processor.to_json()).unwrap(), processor);
        }
    }

    #[test]
    fn arbitrary_text_never_panics(text in ".{0,80}") {
        let is_object = serde_json::from_str::<Map<String, Value>>(&text).is_ok();
        prop_assert_eq!(ImageProcessorConfig::from_json(&text).is_ok(), is_object);
        prop_assert!(BitConfig::from_json(&text).is_err());
    }
}
