//! Any bytes as an array of an archive that is otherwise sound.
#![no_main]

use bit_fuzz::{read_everything, stored_zip};

libfuzzer_sys::fuzz_target!(|array: &[u8]| {
    read_everything(&stored_zip(&[("resnet/root_block/standardized_conv2d/kernel.npy", array)]));
});
