//! Files that lie are refused with the file, the place and the contradiction, before memory is spent on them.
#![allow(clippy::unwrap_used)]

use bit_convert::{Checkpoint, DType, Entry, write_npz, write_pytorch};
use std::io::Write;
use std::path::Path;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// What opening these bytes and reading every tensor fails with.
fn refusal(bytes: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.bin");
    std::fs::write(&path, bytes).unwrap();
    let result = Checkpoint::open(&path).and_then(|opened| {
        opened
            .tensors()
            .iter()
            .try_for_each(|info| opened.read(&info.name).map(drop))
    });
    let message = result.expect_err("the file should be refused").to_string();
    assert!(message.contains("model.bin"), "{message}");
    message
}

fn assert_refused(bytes: &[u8], expected: &str) {
    let message = refusal(bytes);
    assert!(
        message.contains(expected),
        "{message}\nshould contain: {expected}"
    );
}

fn zip(members: &[(&str, &[u8])], method: CompressionMethod) -> Vec<u8> {
    let mut writer = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in members {
        writer
            .start_file(*name, SimpleFileOptions::default().compression_method(method))
            .unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn written(write: impl FnOnce(&Path)) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    write(&path);
    std::fs::read(path).unwrap()
}

/// Replaces every occurrence; there must be some.
fn patched(bytes: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    assert_eq!(old.len(), new.len());
    let mut out = bytes.to_vec();
    let places: Vec<_> = bytes
        .windows(old.len())
        .enumerate()
        .filter(|(_, w)| *w == old)
        .map(|(i, _)| i)
        .collect();
    assert!(!places.is_empty());
    places
        .into_iter()
        .for_each(|i| out[i..i + new.len()].copy_from_slice(new));
    out
}

/// A NumPy array of zeros with this header text and as many bytes of data.
fn npy(text: &str, data: usize) -> Vec<u8> {
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend_from_slice(&(text.len() as u16).to_le_bytes());
    bytes.extend_from_slice(text.as_bytes());
    bytes.resize(bytes.len() + data, 0);
    bytes
}

fn f4(shape: &str) -> String {
    format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({shape}), }}")
}

mod npz {
    use super::*;

    #[test]
    fn an_array_larger_than_its_member_is_refused() {
        let array = npy(&f4("300000000, 300"), 16);
        assert_refused(
            &zip(&[("w.npy", &array)], CompressionMethod::Stored),
            "tensor `w`: has 16 bytes, expected 360000000000",
        );
    }

    #[test]
    fn a_shape_that_overflows_is_refused() {
        let array = npy(&f4("9223372036854775807, 9"), 16);
        assert_refused(
            &zip(&[("w.npy", &array)], CompressionMethod::Stored),
            "more elements than memory",
        );
    }

    #[test]
    fn a_bomb_is_refused_by_its_claim_and_never_unpacked() {
        let text = f4("536870912");
        let array = npy(&text, 8192); // more than the header, which is read
        let bomb = zip(&[("w.npy", &array)], CompressionMethod::Deflated);
        let claim = (array.len() as u64 - 8192 + (2 << 30)) as u32;
        let bomb = patched(&bomb, &(array.len() as u32).to_le_bytes(), &claim.to_le_bytes());
        assert_refused(&bomb, "above the limit of 1073741824 for compressed arrays");
    }

    #[test]
    fn a_member_that_unpacks_to_less_than_it_claims_is_refused() {
        let array = npy(&f4("25"), 50);
        let file = zip(&[("w.npy", &array)], CompressionMethod::Deflated);
        let claim = array.len() as u32 + 50;
        assert_refused(
            &patched(&file, &(array.len() as u32).to_le_bytes(), &claim.to_le_bytes()),
            "tensor `w`",
        );
    }

    #[test]
    fn damaged_bytes_do_not_match_their_checksum() {
        for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
            let mut array = npy(&f4("16"), 64);
            array[100..].fill(0x5a);
            let mut file = zip(&[("w.npy", &array)], method);
            let last = file.windows(4).position(|w| w == b"PK\x01\x02").unwrap() - 6;
            file[last] ^= 0x40;
            assert!(refusal(&file).contains("tensor `w`"));
        }
    }

    #[test]
    fn a_name_that_occurs_twice_is_refused() {
        let array = npy(&f4("4"), 16);
        let file = zip(&[("a.npy", &array), ("b.npy", &array)], CompressionMethod::Stored);
        assert_refused(&patched(&file, b"b.npy", b"a.npy"), "zip directory");
    }

    #[test]
    fn members_that_share_bytes_are_refused() {
        let array = npy(&f4("4"), 16);
        let file = zip(&[("a.npy", &array), ("b.npy", &array)], CompressionMethod::Stored);
        let second = file.windows(4).rposition(|w| w == b"PK\x03\x04").unwrap() as u32;
        let mut overlapping = file.clone();
        let central = file.windows(4).rposition(|w| w == b"PK\x01\x02").unwrap();
        assert_eq!(file[central + 42..central + 46], second.to_le_bytes());
        overlapping[central + 42..central + 46].copy_from_slice(&0u32.to_le_bytes());
        assert_refused(&overlapping, "two members share the same bytes");
    }

    #[test]
    fn arrays_of_python_objects_are_refused() {
        let text = "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }";
        assert_refused(
            &zip(&[("w.npy", &npy(text, 8))], CompressionMethod::Stored),
            "not that of a plain numeric array",
        );
    }

    #[test]
    fn every_cut_is_refused() {
        let whole = written(|path| {
            write_npz(path, vec![Entry::from_bytes("w", DType::F32, &[8], vec![1; 32])]).unwrap()
        });
        for len in 0..whole.len() {
            refusal(&whole[..len]);
        }
    }
}

mod pytorch {
    use super::*;

    fn text(text: &str) -> Vec<u8> {
        [&b"X"[..], &(text.len() as u32).to_le_bytes(), text.as_bytes()].concat()
    }

    fn long(value: u64) -> Vec<u8> {
        [&[0x8a, 9][..], &value.to_le_bytes(), &[0]].concat()
    }

    fn int(value: u64) -> Vec<u8> {
        match i64::try_from(value) {
            Ok(value) => [&[0x8a, 8][..], &value.to_le_bytes()].concat(),
            Err(_) => long(value),
        }
    }

    fn tuple(values: &[u64]) -> Vec<u8> {
        [
            b"(".to_vec(),
            values.iter().flat_map(|&v| int(v)).collect(),
            b"t".to_vec(),
        ]
        .concat()
    }

    /// `_rebuild_tensor_v2` of float storage `0`.
    fn tensor(storage: u64, offset: u64, shape: &[u64], stride: &[u64]) -> Vec<u8> {
        [
            b"ctorch._utils\n_rebuild_tensor_v2\n((".to_vec(),
            text("storage"),
            b"ctorch\nFloatStorage\n".to_vec(),
            text("0"),
            text("cpu"),
            int(storage),
            b"tQ".to_vec(),
            int(offset),
            tuple(shape),
            tuple(stride),
            b"\x89NtR".to_vec(),
        ]
        .concat()
    }

    fn dictionary(items: &[(&str, Vec<u8>)]) -> Vec<u8> {
        let items = items
            .iter()
            .flat_map(|(name, value)| [text(name), value.clone()].concat());
        [b"\x80\x02}(".to_vec(), items.collect(), b"u.".to_vec()].concat()
    }

    fn file(pickle: &[u8], storage: &[u8]) -> Vec<u8> {
        zip(
            &[("m/data.pkl", pickle), ("m/data/0", storage)],
            CompressionMethod::Stored,
        )
    }

    fn one(tensor: Vec<u8>, storage: usize) -> Vec<u8> {
        file(&dictionary(&[("w", tensor)]), &vec![0; storage])
    }

    #[test]
    fn a_tensor_of_the_right_size_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.bin");
        std::fs::write(&path, one(tensor(4, 1, &[3], &[1]), 16)).unwrap();
        assert_eq!(Checkpoint::open(&path).unwrap().read("w").unwrap().bytes, [0; 12]);
    }

    #[test]
    fn a_shape_that_overflows_is_refused() {
        assert_refused(
            &one(tensor(4, 0, &[1 << 62, 1 << 62], &[1, 1]), 16),
            "more elements than memory",
        );
        assert_refused(
            &one(tensor(4, 0, &[u64::MAX], &[1]), 16),
            "not a tuple of at most 16 counts",
        );
    }

    #[test]
    fn views_outside_of_their_storage_are_refused() {
        for view in [
            tensor(4, 2, &[3], &[1]),
            tensor(4, 0, &[2], &[1 << 62]),
            tensor(4, u64::MAX >> 1, &[1], &[1]),
        ] {
            assert_refused(&one(view, 16), "does not fit its storage of 4 elements");
        }
    }

    #[test]
    fn a_view_that_repeats_elements_cannot_claim_more_than_the_storage() {
        assert_refused(
            &one(tensor(4, 0, &[1 << 40], &[0]), 16),
            "does not fit its storage",
        );
        assert_refused(
            &one(tensor(1 << 40, 0, &[1 << 40], &[0]), 4),
            "needs 4398046511104 bytes of storage `0`, which has 4",
        );
    }

    #[test]
    fn more_dimensions_than_any_network_has_are_refused() {
        assert_refused(
            &one(tensor(4, 0, &[1; 17], &[1; 17]), 16),
            "tensor `w`: its shape or stride is not a tuple of at most 16 counts",
        );
    }

    #[test]
    fn names_that_grow_beyond_any_network_are_refused() {
        // One long key and one tensor, shared by dictionaries that multiply.
        let long = "n".repeat(1000);
        let shared = dictionary(&[(&long, tensor(4, 0, &[4], &[1]))]);
        let mut pickle = [&shared[..shared.len() - 1], b"q\x00"].concat();
        for level in 1..5u8 {
            let items = (0..10).flat_map(|i| [text(&i.to_string()), vec![b'h', level - 1]].concat());
            pickle.extend([b"}(".to_vec(), items.collect(), vec![b'u', b'q', level]].concat());
        }
        pickle.push(b'.');
        assert_refused(&file(&pickle, &[0; 16]), "more than 4194304 bytes");
        let key = tensor(4, 0, &[4], &[1]);
        let at = key.windows(6).position(|bytes| bytes == text("0")).unwrap();
        let key = [&key[..at], &text(&"0".repeat(129)), &key[at + 6..]].concat();
        assert_refused(&one(key, 16), "size or name of its storage is out of bounds");
    }

    #[test]
    fn a_part_of_another_storage_is_refused() {
        let whole = tensor(4, 0, &[4], &[1]);
        let at = whole.windows(2).position(|bytes| bytes == b"tQ").unwrap();
        let part = [&whole[..at], &tuple(&[0, 1, 2]), &whole[at..]].concat();
        assert_refused(&one(part, 16), "only PyTorch before 0.4 wrote");
    }

    #[test]
    fn a_storage_shorter_than_declared_or_absent_is_refused() {
        assert_refused(
            &one(tensor(100, 0, &[100], &[1]), 16),
            "needs 400 bytes of storage `0`, which has 16",
        );
        let absent = zip(
            &[("m/data.pkl", &dictionary(&[("w", tensor(4, 0, &[4], &[1]))]))],
            CompressionMethod::Stored,
        );
        assert_refused(&absent, "storage `0` is not in the file");
    }

    #[test]
    fn a_name_that_occurs_twice_is_refused() {
        let twice = dictionary(&[("w", tensor(4, 0, &[4], &[1])), ("w", tensor(4, 0, &[2], &[1]))]);
        assert_refused(&file(&twice, &[0; 16]), "tensor `w`: occurs twice");
    }

    #[test]
    fn a_dictionary_inside_itself_is_refused() {
        let cycle = [b"\x80\x02}q\x00".to_vec(), text("a"), b"h\x00s.".to_vec()].concat();
        assert_refused(&file(&cycle, &[]), "does one contain itself?");
    }

    #[test]
    fn dictionaries_that_multiply_are_refused() {
        // Each level holds the one below ten times.
        let mut pickle = b"\x80\x02}q\x00".to_vec();
        for level in 1..30u8 {
            let items: Vec<u8> = (0..10)
                .flat_map(|i| [text(&i.to_string()), vec![b'h', level - 1]].concat())
                .collect();
            pickle.extend([b"}(".to_vec(), items, vec![b'u', b'q', level]].concat());
        }
        pickle.push(b'.');
        assert_refused(&file(&pickle, &[]), "more than 65536 entries");
    }

    #[test]
    fn compressed_members_are_refused() {
        let pickle = dictionary(&[("w", tensor(4, 0, &[4], &[1]))]);
        let bomb = zip(
            &[("m/data.pkl", &pickle), ("m/data/0", &vec![0; 1 << 20])],
            CompressionMethod::Deflated,
        );
        assert_refused(&bomb, "is compressed, which torch.save never does");
    }

    #[test]
    fn a_big_endian_file_is_refused() {
        let pickle = dictionary(&[("w", tensor(4, 0, &[4], &[1]))]);
        let members = [
            ("m/data.pkl", &pickle[..]),
            ("m/byteorder", b"big"),
            ("m/data/0", &[0; 16]),
        ];
        assert_refused(&zip(&members, CompressionMethod::Stored), "little-endian");
    }

    #[test]
    fn a_pickle_that_is_no_dictionary_is_refused() {
        assert_refused(&file(b"\x80\x02]q\x00.", &[]), "expected a dictionary of tensors");
    }

    #[test]
    fn every_cut_is_refused() {
        let entry = Entry::from_bytes("w", DType::F32, &[8], vec![1; 32]);
        let whole = written(|path| write_pytorch(path, vec![entry]).unwrap());
        for len in 0..whole.len() {
            refusal(&whole[..len]);
        }
    }

    /// `torch.save` in the legacy format, of storages of four floats.
    fn legacy(pickle: &[u8], storages: &[&str]) -> Vec<u8> {
        const START: &[u8] = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}X\x0d\0\0\0little_endian\x88s.";
        let keys: Vec<u8> = storages.iter().flat_map(|key| text(key)).collect();
        let data = [&4u64.to_le_bytes()[..], &[0; 16]]
            .concat()
            .repeat(storages.len());
        [START, pickle, b"\x80\x02](", &keys, b"e.", &data].concat()
    }

    #[test]
    fn storages_of_tensors_outside_of_dictionaries_are_skipped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.bin");
        let list = |items: Vec<u8>| [b"](".to_vec(), items, b"e".to_vec()].concat();
        let other = patched(&tensor(4, 0, &[4], &[1]), &text("0"), &text("1"));
        let pickle = dictionary(&[("momenta", list(other)), ("w", tensor(4, 1, &[3], &[1]))]);
        std::fs::write(&path, legacy(&pickle, &["1", "0"])).unwrap();
        let opened = Checkpoint::open(&path).unwrap();
        assert_eq!(opened.tensors().len(), 1);
        assert_eq!(opened.read("w").unwrap().bytes, [0; 12]);
    }

    #[test]
    fn a_legacy_storage_of_two_sizes_is_refused() {
        let pickle = dictionary(&[
            ("a", tensor(4, 0, &[4], &[1])),
            ("w", tensor(1 << 40, 0, &[1 << 40], &[0])),
        ]);
        assert_refused(
            &legacy(&pickle, &["0"]),
            "storage `0` is declared twice and differently",
        );
        let pickle = dictionary(&[("w", tensor(1 << 40, 0, &[1 << 40], &[0]))]);
        assert_refused(&legacy(&pickle, &["0"]), "its tensors expect 1099511627776");
    }

    #[test]
    fn every_cut_of_a_legacy_file_is_refused() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/legacy.bin");
        let whole = std::fs::read(path).unwrap();
        for len in (0..whole.len()).step_by(41) {
            refusal(&whole[..len]);
        }
    }
}

mod burnpack {
    use super::*;
    use bit_convert::write_burnpack;

    fn whole() -> Vec<u8> {
        let entry = Entry::from_bytes("weight", DType::F32, &[24], vec![1; 96]);
        written(|path| write_burnpack(path, vec![entry], &Default::default()).unwrap())
    }

    #[test]
    fn every_cut_is_refused() {
        let whole = whole();
        for len in 0..whole.len() {
            refusal(&whole[..len]);
        }
    }

    #[test]
    fn a_shape_that_does_not_fit_the_offsets_is_refused() {
        // CBOR writes 24 as 0x18 0x18.
        assert_refused(
            &patched(&whole(), &[0x81, 0x18, 24], &[0x81, 0x18, 25]),
            "do not hold 100 bytes",
        );
    }

    #[test]
    fn a_name_that_occurs_twice_is_refused() {
        let entry = |name: &str| Entry::from_bytes(name, DType::F32, &[1], vec![1; 4]);
        let two = written(|path| {
            write_burnpack(path, vec![entry("weight"), entry("height")], &Default::default()).unwrap();
        });
        assert_refused(&patched(&two, b"height", b"weight"), "`weight` occurs twice");
        let metadata = ["kay", "key"].map(|key| (key.to_owned(), String::new()));
        let two = written(|path| write_burnpack(path, vec![], &metadata.into()).unwrap());
        assert_refused(&patched(&two, b"kay", b"key"), "`key` occurs twice");
    }

    #[test]
    fn another_version_is_refused() {
        let mut bytes = whole();
        bytes[4] = 2;
        assert_refused(&bytes, "version 2");
    }
}
