//! Any bytes as the pickle of a zip that is otherwise sound, and as the pickles of the legacy format.
#![no_main]

use bit_fuzz::{read_everything, stored_zip};

libfuzzer_sys::fuzz_target!(|pickle: &[u8]| {
    read_everything(&stored_zip(&[("m/data.pkl", pickle), ("m/data/0", &[0; 256])]));
    const LEGACY: &[u8] = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}X\x0d\0\0\0little_endian\x88s.";
    read_everything(&[LEGACY, pickle].concat());
});
