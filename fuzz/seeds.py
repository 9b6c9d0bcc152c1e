"""Cuts the seeds of the targets `pytorch` and `npz` out of the fixtures: pickles and small arrays."""

import zipfile
from pathlib import Path

HERE = Path(__file__).parent
SUFFIXES = {"pytorch": "data.pkl", "npz": ".npy"}

for target, suffix in SUFFIXES.items():
    folder = HERE / "corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    for fixture in (HERE.parent / "crates" / "bit-convert" / "tests" / "fixtures").iterdir():
        if not zipfile.is_zipfile(fixture):
            continue
        archive = zipfile.ZipFile(fixture)
        for i, info in enumerate(archive.infolist()):
            if info.filename.endswith(suffix) and info.file_size < 4000:
                (folder / f"{fixture.name}-{i}").write_bytes(archive.read(info))
