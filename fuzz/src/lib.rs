//! What the targets for checkpoints share.

use bit_convert::Checkpoint;
use std::cell::RefCell;
use std::fs::File;
use std::io::{Seek, Write};
use std::path::Path;
use tempfile::NamedTempFile;

thread_local! {
    /// One file for all runs, in memory where the system has a place for that.
    static FILE: RefCell<NamedTempFile> = RefCell::new(
        NamedTempFile::new_in(if Path::new("/dev/shm").is_dir() { "/dev/shm" } else { "." }).expect("a file"),
    );
}

/// Opens the bytes as a checkpoint and reads all of it, under the stored and under transformers' names.
pub fn read_everything(bytes: &[u8]) {
    FILE.with_borrow_mut(|file| {
        rewrite(file.as_file_mut(), bytes).expect("a write to memory");
        let Ok(checkpoint) = Checkpoint::open(file.path()) else { return };
        for info in checkpoint.tensors() {
            let _ = checkpoint.read(&info.name);
        }
        let Ok(network) = checkpoint.to_transformers() else { return };
        let _ = network.inferred_config();
        for info in network.tensors() {
            let _ = network.read(&info.name);
        }
    });
}

fn rewrite(file: &mut File, bytes: &[u8]) -> std::io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(bytes)
}

/// A zip of stored members with correct checksums, so that a fuzzer gets past the archive to what is inside.
pub fn stored_zip(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut directory = Vec::new();
    for (name, data) in members {
        let (offset, len) = (out.len() as u32, data.len() as u32);
        let common = [
            &[20u8, 0, 0, 0, 0, 0, 0, 0, 0x21, 0][..],
            &crc32fast::hash(data).to_le_bytes(),
            &len.to_le_bytes(),
            &len.to_le_bytes(),
            &(name.len() as u16).to_le_bytes(),
            &[0, 0],
        ]
        .concat();
        out.extend([b"PK\x03\x04", &common[..], name.as_bytes(), data].concat());
        let tail = [&[0; 10][..], &offset.to_le_bytes()].concat();
        directory.extend([b"PK\x01\x02\x14\x00", &common[..], &tail, name.as_bytes()].concat());
    }
    let count = (members.len() as u16).to_le_bytes();
    let (size, start) = ((directory.len() as u32).to_le_bytes(), (out.len() as u32).to_le_bytes());
    let end = [b"PK\x05\x06\0\0\0\0", &count[..], &count, &size, &start, &[0, 0]].concat();
    out.extend(directory);
    out.extend(end);
    out
}
