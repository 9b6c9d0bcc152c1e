//! Any bytes as the header of a safetensors file that is otherwise sound: its length is right, and as many bytes of
//! tensors follow as the first two of the input say.
#![no_main]

use bit_fuzz::read_everything;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((&len, header)) = input.split_first_chunk::<2>() else { return };
    let data = vec![0; u16::from_le_bytes(len).into()];
    read_everything(&[&(header.len() as u64).to_le_bytes()[..], header, &data[..]].concat());
});
