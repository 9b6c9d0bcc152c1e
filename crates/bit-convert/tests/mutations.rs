//! Damaged files never panic and never cost more memory than stated: sixteen times the file plus 1 MiB, or what
//! deflate can pack into it.
#![allow(clippy::unwrap_used)]

use bit_convert::Checkpoint;
use peak_alloc::PeakAlloc;
use proptest::prelude::*;
use std::path::Path;
use std::sync::Mutex;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// One measurement at a time.
static MEASURING: Mutex<()> = Mutex::new(());

const FIXTURES: [&str; 18] = [
    "preactivation/model.safetensors",
    "sharded/model.safetensors.index.json",
    "burn_pack.bpk",
    "pytorch_zip.bin",
    "protocol4.bin",
    "legacy.bin",
    "python2.bin",
    "timm_training.pth.tar",
    "training.pth",
    "bit.pth.tar",
    "google.npz",
    "google_numbered.npz",
    "google_compressed.npz",
    "jax_conv_head.npz",
    "jax_dense_head.npz",
    "midas.pt",
    "attack.bin",
    "channels_last.bin",
];

/// Deflate packs at most 1032 bytes into one; a buffer that grows may double.
const DEFLATE: usize = 2 * 1032;

/// Opens the bytes and reads what can be read, whatever comes of it.
fn read_everything(path: &Path) {
    let Ok(checkpoint) = Checkpoint::open(path) else {
        return;
    };
    for info in checkpoint.tensors() {
        let _ = checkpoint.read(&info.name);
    }
    if let Ok(network) = checkpoint.to_transformers() {
        let _ = (network.config(), network.processor());
        for info in network.tensors() {
            let _ = network.read(&info.name);
        }
    }
}

fn assert_bounded(name: &str, bytes: &[u8]) {
    let _one = MEASURING.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    std::fs::write(&path, bytes).unwrap();
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    read_everything(&path);
    let used = MEMORY.peak_usage().saturating_sub(before);
    let factor = if name.contains("compressed") { DEFLATE } else { 16 };
    assert!(
        used <= factor * bytes.len() + (1 << 20),
        "{name}: {used} bytes for a file of {}",
        bytes.len()
    );
}

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/fixtures")
            .join(name),
    )
    .unwrap()
}

/// Where damage does most: the first and last kilobytes hold headers and directories.
fn position(len: usize) -> impl Strategy<Value = usize> {
    prop_oneof![0..len, 0..len.min(3000), len.saturating_sub(6000)..len]
}

fn damaged() -> impl Strategy<Value = (&'static str, Vec<u8>)> {
    prop::sample::select(&FIXTURES[..]).prop_flat_map(|name| {
        let whole = fixture(name);
        let len = whole.len();
        let byte = prop_oneof![any::<u8>(), Just(0), Just(0xff), Just(b'('), Just(b'R')];
        let changes = prop::collection::vec((position(len), byte), 1..8);
        let cut = prop_oneof![4 => Just(len), 1 => 0..len];
        (changes, cut).prop_map(move |(changes, cut)| {
            let mut bytes = whole.clone();
            changes.iter().for_each(|&(i, byte)| bytes[i] = byte);
            bytes.truncate(cut);
            (name, bytes)
        })
    })
}

#[test]
fn whole_files_stay_within_the_bound() {
    FIXTURES
        .iter()
        .for_each(|name| assert_bounded(name, &fixture(name)));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damaged_files_never_panic_and_stay_within_the_bound((name, bytes) in damaged()) {
        assert_bounded(name, &bytes);
    }

    #[test]
    fn noise_behind_a_known_beginning_never_panics(
        start in prop::sample::select(vec![&b"PK\x03\x04"[..], b"NRUB\x01\x00", b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", b"\x40\0\0\0\0\0\0\0{", b""]),
        noise in prop::collection::vec(any::<u8>(), 0..600),
    ) {
        assert_bounded("noise", &[start, &noise].concat());
    }
}
