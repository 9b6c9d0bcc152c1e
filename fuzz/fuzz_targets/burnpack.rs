//! Any bytes as the table of a Burnpack file that is otherwise sound: its length is right, and 64 KiB of tensors follow
//! where they should.
#![no_main]

use bit_fuzz::read_everything;

libfuzzer_sys::fuzz_target!(|table: &[u8]| {
    let mut file = [b"NRUB\x01\x00", &(table.len() as u32).to_le_bytes()[..], table].concat();
    file.resize(file.len().next_multiple_of(256) + (64 << 10), 0);
    read_everything(&file);
});
