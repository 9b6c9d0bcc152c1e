"""Training steps of this project beside PyTorch's, in one run: `cargo xtask bench --training`.

As in bench.py every contender is a process and they take turns. They train the same model on the same batch, so their
losses must agree at every step.
"""

import argparse
import contextlib
import sys
import tempfile
import time
from pathlib import Path

import bench
import full_size
import machine
import numpy as np
import reference
from safetensors.numpy import save_file

PEERS = ["transformers", "channels-last"]
BATCH, SIZE = 16, 128
# Steps that count in a turn.
STEPS = 2
LOSS_BAR = 1e-3


class Contender(bench.Contender):
    losses: list[float]

    def step(self) -> float:
        took, loss = map(float, self.ask("step").split())
        self.losses.append(loss)
        return took

    def turn(self) -> None:
        self.step()
        self.times += [self.step() for _ in range(STEPS)]
        time.sleep(bench.PAUSE)


def contenders(folder: Path, runner: Path, peers: list[str]) -> list[Contender]:
    arguments = [folder, folder / "inputs.safetensors"]
    script = Path(__file__).with_name("train_peer.py")
    commands = {bench.OURS: [runner, *arguments]}
    commands |= {name: [sys.executable, script, name, *arguments] for name in peers}
    found = [Contender(name, command) for name, command in commands.items()]
    for contender in found:
        contender.losses = []
    return found


def check_losses(found: list[Contender]) -> None:
    expected = np.array(found[-1].losses)
    for contender in found:
        difference = np.abs(np.array(contender.losses) - expected).max() / np.abs(expected).max()
        if difference > LOSS_BAR:
            sys.exit(f"{contender.name}'s losses differ by {difference:.2e}: {contender.losses}, {expected}")


def measure(runner: Path, rounds: int, folder: Path, peers: list[str]) -> list[Contender]:
    full_size.build(bench.R50X1).save_pretrained(folder)
    pixels = reference.inputs("training", BATCH, 3, SIZE, SIZE)
    save_file({"pixel_values": pixels.numpy()}, folder / "inputs.safetensors")
    with contextlib.ExitStack() as stack:
        found = contenders(folder, runner, peers)
        for contender in found:
            stack.callback(contender.close)
        for turn in range(rounds):
            first = turn % len(found)
            for contender in found[first:] + found[:first]:
                contender.turn()
        for contender in found:
            contender.peak = machine.peak_memory(contender.process.pid)
    check_losses(found)
    return found


def table(found: list[Contender]) -> str:
    ours = np.median(found[0].times)
    lines = [
        f"**R{bench.R50X1.name}, training step, batch {BATCH}, {SIZE}x{SIZE}** (forward, backward, SGD with momentum)\n",
        "| | median ms | least ms | quartiles | times ours | ready ms | peak MiB |",
        "|---|---|---|---|---|---|---|",
    ]
    for contender in found:
        low, median, high = np.percentile(contender.times, [25, 50, 75])
        lines.append(
            f"| {contender.name} | {median:.0f} | {min(contender.times):.0f} | {low:.0f} - {high:.0f} |"
            f" {median / ours:.2f} | {contender.ready:.0f} | {contender.peak / 2**20:.0f} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runner", type=Path, required=True, help="the program bench-train")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--peers", nargs="*", default=PEERS, choices=PEERS)
    parser.add_argument("--markdown", type=Path, help="also write the table here")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        text = table(measure(arguments.runner, arguments.rounds, Path(folder), arguments.peers))
    print(text, flush=True)
    if arguments.markdown:
        arguments.markdown.write_text(text)


if __name__ == "__main__":
    main()
