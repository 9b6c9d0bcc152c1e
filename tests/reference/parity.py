"""Runs transformers and this project on the same weights and inputs: `cargo xtask parity [--full]`.

Prints one table, a row a case with the output that fits worst, and exits with 1 when a row misses its bar.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("BIT_BURN_THREADS", str(os.cpu_count() or 1))

import end_to_end
import full_size
import reference
from cases import CASES, Case
from report import Report
from safetensors.numpy import load_file, save_file

# Of the largest value, as the project's design sets them: the default device, and every other one.
BARS = {"cpu": 1e-4, "flex": 1e-4}
OTHER_BAR = 1e-3


def run_model(runner: Path, device: str, folder: Path) -> dict:
    """This project's outputs for a folder that holds a model and inputs.safetensors."""
    outputs = folder / "outputs.safetensors"
    subprocess.run([runner, folder, folder / "inputs.safetensors", outputs, "--device", device], check=True)
    return load_file(outputs)


def small(case: Case, runner: Path, device: str, report: Report) -> None:
    options = case.options()
    model = reference.build(case.model, case.name, options)
    model.config.architectures = [case.model]
    pixels = reference.inputs(case.name, case.batch, options["num_channels"], case.height, case.width)
    expected = {name: tensor.numpy() for name, tensor in reference.forward(model, pixels).items()}
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        save_file({"pixel_values": pixels.numpy()}, Path(folder) / "inputs.safetensors")
        report.compare(case.name, device, expected, run_model(runner, device, Path(folder)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runner", type=Path, required=True, help="the program run-model")
    parser.add_argument("--bit", type=Path, required=True, help="the program bit")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--markdown", type=Path, help="also write the table here")
    arguments = parser.parse_args()
    report = Report(BARS.get(arguments.device, OTHER_BAR))
    for case in CASES:
        small(case, arguments.runner, arguments.device, report)
    if arguments.full:
        for model in full_size.MODELS:
            full_size.compare(model, lambda folder: run_model(arguments.runner, arguments.device, folder),
                              arguments.device, report)
        end_to_end.compare(arguments.bit, arguments.device, report)
    if arguments.markdown:
        arguments.markdown.write_text(report.markdown())
    sys.exit(report.finish())


if __name__ == "__main__":
    main()
