//! Any bytes as a file of any format. Seed it with `tests/fixtures`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bit_convert_fuzz::read_everything(bytes));
