"""Writes the committed fixtures: `cargo xtask fixtures`, or this file run with the pinned Python.

`tests/fixtures/models/CASE/` is a folder as transformers' save_pretrained writes it, with `expected.safetensors`
(the inputs and every output) beside. The outputs are transformers' own, computed in float64 and rounded, so that
they carry no error of their own and the same bytes come out on every machine.
"""

import argparse
import copy
import shutil
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

import mnist
import reference
import training
from cases import CASES, Case

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"

# float32 rounding alone must stay well inside the bar that the project is held to (1e-4).
CONDITIONING = 2e-5


def answers(model: torch.nn.Module, case: Case, tensors: dict, dtype: torch.dtype) -> dict[str, torch.Tensor]:
    model = copy.deepcopy(model).to(dtype)
    tensors = {name: t.to(dtype) if t.is_floating_point() else t for name, t in tensors.items()}
    found = reference.forward(model, tensors["pixel_values"])
    if case.labels:
        loss = reference.backward(model, tensors["pixel_values"], tensors["labels"])
        found |= loss if case.gradients else {"loss": loss["loss"]}
    return {name: tensor.to(torch.float32).contiguous().clone() for name, tensor in found.items()}


def check_conditioning(case: Case, exact: dict, single: dict) -> None:
    """A case whose answer drowns in rounding tests nothing: draw another seed or shape for it."""
    for name, tensor in exact.items():
        difference, size = reference.ratio(single[name].numpy(), tensor.numpy())
        bar = CONDITIONING * (10 if name.startswith("grads.") else 1)
        if difference > bar * size:
            sys.exit(f"{case.name}: {name} is ill-conditioned: {difference:.2e} of {size:.2e}")


def write(case: Case, folder: Path) -> None:
    options = case.options()
    model = reference.build(case.model, case.name, options)
    model.config.architectures = [case.model]
    tensors = {
        "pixel_values": reference.inputs(case.name, case.batch, options["num_channels"], case.height, case.width)
    }
    if case.labels:
        tensors["labels"] = reference.labels(case.name, case.labels, case.batch, options["num_labels"])
    exact = answers(model, case, tensors, torch.float64)
    check_conditioning(case, exact, answers(model, case, tensors, torch.float32))
    model.save_pretrained(folder)
    save_file(tensors | exact, folder / "expected.safetensors")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=FIXTURES, help="where to write, instead of tests/fixtures")
    output = parser.parse_args().output
    shutil.rmtree(output / "models", ignore_errors=True)
    for case in CASES:
        write(case, output / "models" / case.name)
    mnist.write(output / "mnist")
    training.write(output / "training")
    total = sum(path.stat().st_size for path in output.rglob("*") if path.is_file())
    print(f"{len(CASES)} models and MNIST in {output}: {total / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
