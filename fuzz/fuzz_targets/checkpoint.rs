//! Any bytes as a file of any format. Seed it with `crates/bit-convert/tests/fixtures`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bit_fuzz::read_everything(bytes));
