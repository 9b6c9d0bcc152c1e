"""Cuts the seeds of the framed targets out of the fixtures: pickles, small arrays, headers, tables and indices, and
pictures with a configuration before them."""

import struct
import zipfile
from pathlib import Path

HERE = Path(__file__).parent
FIXTURES = HERE.parent / "crates" / "bit-convert" / "tests" / "fixtures"
PICTURES = HERE.parent / "crates" / "bit-image" / "tests" / "reference" / "files"
CONFIGURATIONS = [bytes(values) for values in ((0x10, 2, 31, 17), (0x52, 9, 40, 50), (0x0E, 1, 90, 3), (0x37, 15, 7, 60))]
SUFFIXES = {"data.pkl": "pytorch", ".npy": "npz"}


def seeds(path):
    """The targets and seeds that a file gives."""
    data = path.read_bytes()
    if path.parent == PICTURES:
        yield "decode_process", CONFIGURATIONS[len(path.name) % len(CONFIGURATIONS)] + data
        return
    if zipfile.is_zipfile(path):
        archive = zipfile.ZipFile(path)
        for info in archive.infolist():
            for suffix, target in SUFFIXES.items():
                if info.filename.endswith(suffix) and info.file_size < 4000:
                    yield target, archive.read(info)
    elif path.suffix == ".safetensors":
        (length,) = struct.unpack_from("<Q", data)
        yield "safetensors", struct.pack("<H", len(data) - 8 - length) + data[8 : 8 + length]
    elif path.suffix == ".bpk":
        (length,) = struct.unpack_from("<I", data, 6)
        yield "burnpack", data[10 : 10 + length]
    elif path.name.endswith(".index.json"):
        yield "index", data


for path in sorted(FIXTURES.rglob("*")) + sorted(PICTURES.iterdir()):
    if not path.is_file():
        continue
    for i, (target, seed) in enumerate(seeds(path)):
        folder = HERE / "corpus" / target
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{path.parent.name}-{path.name}-{i}").write_bytes(seed)
