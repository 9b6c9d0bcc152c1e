//! Any text as `config.json` and `preprocessor_config.json`: what is accepted can be written and read again.

#![no_main]

use bit_config::{BitConfig, ImageProcessorConfig};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(config) = BitConfig::from_json(text) {
        let again = BitConfig::from_json(&config.to_json()).expect("what was written is valid");
        assert_eq!(again.to_json(), config.to_json());
        let _ = (config.stages(), config.parameter_count());
    }
    if let Ok(processor) = ImageProcessorConfig::from_json(text) {
        let again = ImageProcessorConfig::from_json(&processor.to_json()).expect("what was written is valid");
        assert_eq!(again.to_json(), processor.to_json());
    }
});
