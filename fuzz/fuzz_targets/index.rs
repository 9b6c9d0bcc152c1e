//! Any bytes as the index of two sound shards, of a network that is whole in them.
#![no_main]

use bit_fuzz::read_index;

const NAMES: [&str; 2] = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
const FIRST: &[u8] =
    include_bytes!("../../crates/bit-convert/tests/fixtures/sharded/model-00001-of-00002.safetensors");
const SECOND: &[u8] =
    include_bytes!("../../crates/bit-convert/tests/fixtures/sharded/model-00002-of-00002.safetensors");

libfuzzer_sys::fuzz_target!(|index: &[u8]| read_index(index, [(NAMES[0], FIRST), (NAMES[1], SECOND)]));
