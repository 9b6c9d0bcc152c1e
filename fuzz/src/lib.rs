//! What the targets for checkpoints share.

use bit_convert::Checkpoint;
use std::path::Path;
use tempfile::TempDir;

thread_local! {
    /// One folder for all runs, in memory where the system has a place for that.
    static FOLDER: TempDir =
        TempDir::new_in(if Path::new("/dev/shm").is_dir() { "/dev/shm" } else { "." }).expect("a folder");
}

/// Opens the bytes as a checkpoint and reads all of it, under the stored and under transformers' names, and what it says
/// of its configuration and image processor.
pub fn read_everything(bytes: &[u8]) {
    read_file("model", bytes);
}

/// As [`read_everything`], for an index of shards with two of them, of these names, beside it.
pub fn read_index(bytes: &[u8], shards: [(&str, &[u8]); 2]) {
    FOLDER.with(|folder| {
        for (name, shard) in shards {
            let path = folder.path().join(name);
            if !path.is_file() {
                std::fs::write(path, shard).expect("a write to memory");
            }
        }
    });
    read_file("model.safetensors.index.json", bytes);
}

fn read_file(name: &str, bytes: &[u8]) {
    FOLDER.with(|folder| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("a write to memory");
        let Ok(checkpoint) = Checkpoint::open(&path) else { return };
        for info in checkpoint.tensors() {
            let _ = checkpoint.read(&info.name);
        }
        let Ok(network) = checkpoint.to_transformers() else { return };
        let _ = (network.inferred_config(), network.config(), network.processor(), network.zoo_models());
        for info in network.tensors() {
            let _ = network.read(&info.name);
            let _ = network.read_f32(&info.name);
        }
    });
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
