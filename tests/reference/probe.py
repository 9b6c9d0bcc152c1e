"""The few-shot classifier of google-research/big_vision's evaluators/fewshot_lsr.py in numpy, on random features:
writes crates/bit-transfer/src/probe/ridge_by_numpy.json."""

import json
from pathlib import Path

import numpy as np

OUTPUT = Path(__file__).resolve().parents[2] / "crates/bit-transfer/src/probe/ridge_by_numpy.json"


def scores(x: np.ndarray, y: np.ndarray, l2: float) -> np.ndarray:
    """Fitted on `x` and `y` in ±1, and applied to `x`."""
    x = (x - x.mean(0, keepdims=True)) / (x.std(0, keepdims=True) + 1e-5)
    x = np.pad(x, ((0, 0), (0, 1)), constant_values=100.0)
    if x.shape[0] >= x.shape[1]:
        eigs, q = np.linalg.eigh(x.T @ x)
        lhs, rhs = q, q.T @ (x.T @ y)
    else:
        eigs, q = np.linalg.eigh(x @ x.T)
        lhs, rhs = x.T @ q, q.T @ y
    return x @ ((lhs / (eigs + l2)) @ rhs)


def case(name: str, images: int, width: int, classes: int, l2: float) -> dict:
    rng = np.random.default_rng(images)
    features = (rng.normal(size=(images, width)) * 2 + 1).astype(np.float32)
    features[:, 0] = 0.5  # whose standard deviation is 0
    targets = 2.0 * np.eye(classes)[rng.integers(classes, size=images)] - 1.0
    found = scores(features.astype(np.float64), targets, l2)
    return {"name": name, "l2": l2, "features": features.tolist(), "targets": targets.tolist(),
            "scores": found.round(7).tolist()}  # fmt: skip


if __name__ == "__main__":
    cases = [case("more images than features", 30, 6, 3, 1024.0), case("more features than images", 6, 12, 3, 1024.0),
             case("hardly regularized", 9, 6, 2, 0.5)]  # fmt: skip
    OUTPUT.write_text(json.dumps(cases) + "\n")
