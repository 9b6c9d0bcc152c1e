"""transformers' answers: seeded models and inputs, and every output that this project reproduces."""

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np
import torch
import transformers
from transformers import BitConfig

torch.set_num_threads(int(os.environ.get("BIT_BURN_THREADS", "1")))
transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()


def generator(seed: str) -> np.random.Generator:
    """numpy's generator from a string: the same numbers on every machine and with every torch."""
    return np.random.default_rng(list(seed.encode()))


def normal(rng: np.random.Generator, mean: float, deviation: float, shape) -> torch.Tensor:
    return torch.from_numpy(rng.normal(mean, deviation, tuple(shape)).astype(np.float32))


def randomize(model: torch.nn.Module, seed: str) -> None:
    """Random values for every parameter: norms left at 1 and 0 would hide a swapped or forgotten one."""
    rng = generator(f"{seed} weights")
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            is_norm_weight = "norm" in name and name.endswith("weight")
            parameter.copy_(normal(rng, 1.0 if is_norm_weight else 0.0, 0.3, parameter.shape))


def build(kind: str, seed: str, options: dict) -> torch.nn.Module:
    model = getattr(transformers, kind)(BitConfig(**options)).eval()
    randomize(model, seed)
    return model


def inputs(seed: str, batch: int, channels: int, height: int, width: int) -> torch.Tensor:
    return normal(generator(f"{seed} pixels"), 0.0, 1.0, (batch, channels, height, width))


def labels(seed: str, kind: str, batch: int, num_labels: int) -> torch.Tensor:
    rng = generator(f"{seed} labels")
    if kind == "index":
        return torch.from_numpy(rng.integers(0, num_labels, batch))
    if kind == "flags":
        return torch.from_numpy(rng.integers(0, 2, (batch, num_labels)).astype(np.float32))
    return normal(rng, 0.0, 1.0, (batch, num_labels))


def forward(model: torch.nn.Module, pixel_values: torch.Tensor) -> dict[str, torch.Tensor]:
    """Every output, named as this project names it."""
    with torch.no_grad():
        output = model(pixel_values, output_hidden_states=True)
        named = {name: output[name] for name in ("last_hidden_state", "pooler_output", "logits") if name in output}
        for kind in ("hidden_states", "feature_maps"):
            named |= {f"{kind}.{i}": tensor for i, tensor in enumerate(output.get(kind) or ())}
        if hasattr(model, "classifier"):
            base = model.bit(pixel_values)
            named |= {name: base[name] for name in ("last_hidden_state", "pooler_output")}
    return named


def backward(model: torch.nn.Module, pixel_values: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
    """The loss and the gradient of every parameter. transformers writes the inferred problem type into the
    configuration; it is put back, since a file must not contain it."""
    problem_type = model.config.problem_type
    model.zero_grad()
    loss = model(pixel_values, labels=labels).loss
    loss.backward()
    model.config.problem_type = problem_type
    return {"loss": loss.detach()} | {f"grads.{name}": p.grad for name, p in model.named_parameters()}


def ratio(found: np.ndarray, expected: np.ndarray) -> tuple[float, float]:
    """Largest difference, and largest expected value: the two numbers that every bar is made of."""
    if found.shape != expected.shape:
        return float("inf"), float(np.abs(expected).max(initial=0.0))
    difference = np.abs(found.astype(np.float64) - expected.astype(np.float64)).max(initial=0.0)
    # NaN compares false with every bar: make it infinite, so that it cannot pass.
    return float(np.nan_to_num(difference, nan=np.inf)), float(np.abs(expected).max(initial=0.0))
