"""This project beside ONNX Runtime and PyTorch, in one run: `cargo xtask bench`.

Every contender is a process of its own (see peers.py for the protocol). They take short turns, in an order that rotates,
so that a slow minute of the machine is everybody's. Their logits must agree.
"""

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

os.environ.setdefault("BIT_BURN_THREADS", str(min(2, os.cpu_count() or 1)))
# What each of the contenders reads to know how many threads it may use.
os.environ.update(dict.fromkeys(["OMP_NUM_THREADS", "RAYON_NUM_THREADS"], os.environ["BIT_BURN_THREADS"]))

import cold
import full_size
import machine
import numpy as np
import reference
from peers import PEERS, export_onnx
from safetensors.numpy import load_file, save_file

OURS = "bit-burn"
LOGITS_BAR = 1e-4
# Runtimes keep spinning for a while after a pass, waiting for the next; the one whose turn it is must not pay.
PAUSE = 0.1
# Forward passes that count in a turn, as in a service that is busy.
PASSES = 4


@dataclass
class Case:
    model: full_size.Model
    batch: int
    size: int
    peers: list[str] = field(default_factory=lambda: list(PEERS))

    @property
    def name(self) -> str:
        return f"R{self.model.name}, batch {self.batch}, {self.size}x{self.size}"


R50X1 = full_size.MODELS[0]
R101X3 = full_size.Model("101x3", [3, 4, 23, 3], 3)
CASES = [Case(R50X1, 1, 224), Case(R50X1, 1, 448), Case(R50X1, 8, 224), Case(R101X3, 1, 224, ["onnxruntime"])]


class Contender:
    """A process that loaded the model and waits for its turns."""

    def __init__(self, name: str, command: list):
        self.name, self.times = name, []
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.ready = float(self.answer().removeprefix("ready "))

    def answer(self) -> str:
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"{self.name} ended with {self.process.wait()}")
        return line.strip()

    def ask(self, line: str) -> str:
        print(line, file=self.process.stdin, flush=True)
        return self.answer()

    def turn(self) -> None:
        """One pass to warm the caches that the others emptied, and those that count."""
        self.ask("run")
        self.times += [float(self.ask("run")) for _ in range(PASSES)]
        time.sleep(PAUSE)

    def logits(self, folder: Path) -> np.ndarray:
        path = folder / f"{self.name}.safetensors"
        self.ask(f"logits {path}")
        return load_file(path)["logits"]

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def prepare(case: Case, folder: Path) -> None:
    """The model, once for all cases of it, and the case's input."""
    if not (folder / "model.onnx").exists():
        full_size.build(case.model).save_pretrained(folder)
        export_onnx(folder)
    pixels = reference.inputs(case.name, case.batch, 3, case.size, case.size)
    save_file({"pixel_values": pixels.numpy()}, folder / "inputs.safetensors")


def check_logits(contenders: list[Contender], folder: Path) -> None:
    logits = {contender.name: contender.logits(folder) for contender in contenders}
    for name, found in logits.items():
        difference, size = reference.ratio(found, logits["onnxruntime"])
        if difference > LOGITS_BAR * size:
            sys.exit(f"{name}'s logits differ by {difference:.2e} of {size:.2e}: nothing was measured")


def measure(case: Case, runner: Path, rounds: int, folder: Path) -> list[Contender]:
    prepare(case, folder)
    arguments = [folder, folder / "inputs.safetensors"]
    script = Path(__file__).with_name("peers.py")
    with contextlib.ExitStack() as stack:
        contenders = [Contender(OURS, [runner, *arguments])]
        contenders += [Contender(name, [sys.executable, script, name, *arguments]) for name in case.peers]
        for contender in contenders:
            stack.callback(contender.close)
        check_logits(contenders, folder)
        for turn in range(rounds):
            first = turn % len(contenders)
            for contender in contenders[first:] + contenders[:first]:
                contender.turn()
        for contender in contenders:
            contender.peak = machine.peak_memory(contender.process.pid)
    return contenders


def table(case: Case, contenders: list[Contender], flops: float, best: float) -> str:
    ours = np.median(contenders[0].times)
    lines = [
        f"**{case.name}** ({flops / 1e9:.1f} GFLOP)\n",
        "| | median ms | quartiles | times ours | GFLOP/s | of the peak | ready ms | peak MiB |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for contender in contenders:
        low, median, high = np.percentile(contender.times, [25, 50, 75])
        rate = flops / median / 1e6
        lines.append(
            f"| {contender.name} | {median:.1f} | {low:.1f} - {high:.1f} | {median / ours:.2f} | {rate:.0f} |"
            f" {rate / best:.0%} | {contender.ready:.0f} | {contender.peak / 2**20:.0f} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runner", type=Path, required=True, help="the program bench-model")
    parser.add_argument("--bit", type=Path, required=True, help="the program bit")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--photos", type=int, default=1000, help="pictures in the folder to classify")
    parser.add_argument("--markdown", type=Path, help="also write the tables here")
    arguments = parser.parse_args()
    best = machine.peak_rate()
    sections = [machine.describe(best, arguments.rounds, PASSES)]
    print(sections[0], flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        for case in CASES:
            folder = Path(temporary) / case.model.name
            contenders = measure(case, arguments.runner, arguments.rounds, folder)
            sections.append(table(case, contenders, full_size.flops(case.model, case.batch, case.size), best))
            print(sections[-1], flush=True)
        sections.append(cold.table(arguments.bit, Path(temporary) / R50X1.name, arguments.photos))
        print(sections[-1], flush=True)
        sections.append(cold.largest(arguments.bit, Path(temporary) / "152x4"))
        print(sections[-1], flush=True)
    if arguments.markdown:
        arguments.markdown.write_text("\n".join(sections))


if __name__ == "__main__":
    main()
