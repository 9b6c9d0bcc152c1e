"""What transfer is worth on real data, beside the Python reference with the same recipe: from `builtin:mnist` (28x28
MNIST digits) to scikit-learn's 8x8 digits, with 1, 5 and 10 examples a class and with all, three samples each.

Both sides learn from the same sample, in the same batches of the same crops: a training with other batches is another
by a point or two, which would be noise between two medians of three. So the reference draws what bit-transfer draws.

`cargo xtask transfer` runs this; it prints a Markdown table."""

import argparse
import io
import json
import statistics
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch
from PIL import Image
from transformers import BitForImageClassification

import big_transfer

MODEL = Path(__file__).resolve().parents[2] / "crates/bit-pretrained/builtin/mnist"
SHOTS = [1, 5, 10, None]
SEEDS = [0, 1, 2]
STEPS, BATCH, BASE_LR, RESIZE, CROP = 200, 64, 0.01, 36, 32
# The BiT-HyperRule's boundaries for a small data set, in proportion.
SUPPORTS = [STEPS * at // 500 for at in (100, 200, 300, 400, 500)]
BITS = 2**64 - 1


def mixed(bits: int) -> int:
    """SplitMix64's finalizer."""
    bits = (bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9 & BITS
    bits = (bits ^ (bits >> 27)) * 0x94D049BB133111EB & BITS
    return bits ^ (bits >> 31)


class Random:
    """bit-transfer's streams of random numbers, one for each seed, purpose and index (its data/random.rs)."""

    def __init__(self, seed: int, purpose: str, index: int):
        name = 0xCBF29CE484222325
        for byte in purpose.encode():
            name = (name ^ byte) * 0x100000001B3 & BITS
        self.state = mixed(mixed(mixed(seed) ^ name) ^ index)

    def below(self, end: int) -> int:
        self.state = self.state + 0x9E3779B97F4A7C15 & BITS
        return mixed(self.state) * end >> 64

    def permutation(self, count: int) -> list[int]:
        order = list(range(count))
        for last in range(count - 1, 0, -1):
            other = self.below(last + 1)
            order[last], order[other] = order[other], order[last]
        return order


def batch_of(step: int, examples: int, seed: int) -> list[int]:
    """Which pictures a step gets (its data/loader/order.rs)."""
    if BATCH > examples:
        random = Random(seed, "replacement", step)
        return [random.below(examples) for _ in range(BATCH)]
    epoch, place = divmod(step, -(-examples // BATCH))
    return Random(seed, "epoch", epoch).permutation(examples)[place * BATCH :][:BATCH]


def crop_of(draw: int, seed: int) -> tuple[slice, slice]:
    """Which rows and columns of a picture are kept (its data/transform.rs)."""
    random = Random(seed, "augment", draw)
    top, left = (random.below(RESIZE - CROP + 1) for _ in range(2))
    return slice(top, top + CROP), slice(left, left + CROP)


def few_shot(table, shots: int | None, seed: int):
    """The same examples for everybody."""
    if shots is None:
        return table
    labels = np.array(table["label"])
    rng = np.random.default_rng(seed)
    chosen = [rng.permutation(np.flatnonzero(labels == label))[:shots] for label in range(10)]
    return table.take(np.sort(np.concatenate(chosen)))


def pictures(table, side: int) -> torch.Tensor:
    """Resized as torchvision resizes Pillow's pictures, in [-1, 1]."""
    images = [Image.open(io.BytesIO(image["bytes"])).convert("RGB") for image in table["image"].to_pylist()]
    pixels = np.stack([np.array(image.resize((side, side), Image.BILINEAR)) for image in images])
    return (torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255 - 0.5) / 0.5


def reference(train, test, seed: int) -> tuple[float, list[float]]:
    """The accuracy of transformers' network in big_transfer's loop, and the loss of every step."""
    model = BitForImageClassification.from_pretrained(MODEL).train()
    for parameter in model.classifier[1].parameters():
        torch.nn.init.zeros_(parameter)
    images, labels = pictures(train, RESIZE), torch.tensor(train["label"].to_pylist())
    optim, losses = big_transfer.optimizer(model), []
    for step in range(STEPS):
        batch = batch_of(step, len(labels), seed)
        crops = [images[(i, slice(None), *crop_of(step * BATCH + slot, seed))] for slot, i in enumerate(batch)]
        micro_batch = (torch.stack(crops), labels[batch], None)
        lr = big_transfer.get_lr(step, SUPPORTS, BASE_LR)
        losses.append(big_transfer.train_step(lambda x: model(x).logits, optim, lr, [micro_batch]))
    with torch.no_grad():
        predicted = model.eval()(pictures(test, CROP)).logits.argmax(1)
    return (predicted == torch.tensor(test["label"].to_pylist())).float().mean().item(), losses


def ours(program: str, train: Path, test: Path, seed: int, *more: str) -> tuple[float, list[float]]:
    """The same of this project."""
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "model"
        command = [program, "finetune", "--model", "builtin:mnist", "--data", train, "--test", test, "--output", model,
                   "--validation-split", "0", "--steps", STEPS, "--batch-size", BATCH, "--base-lr", BASE_LR,
                   "--resolution", f"{RESIZE}:{CROP}", "--no-flip", "--seed", seed, "--format", "json", *more]  # fmt: skip
        found = subprocess.run(list(map(str, command)), check=True, stdout=subprocess.PIPE, text=True).stdout
        log = model / "metrics.jsonl"
        lines = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    return json.loads(found)["test"]["top1"], [line["loss"] for line in lines if "learning_rate" in line]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--program", help="bit; without it only the reference runs")
    parser.add_argument("--data", type=Path, required=True, help="as digits.py writes it")
    arguments = parser.parse_args()
    train, test = (pq.read_table(arguments.data / f"digits8x8-{part}.parquet") for part in ("train", "test"))
    print(f"Top-1 of {test.num_rows} pictures: median and range of {len(SEEDS)} samples; {STEPS} steps of {BATCH} "
          f"pictures at {RESIZE}:{CROP}, base rate {BASE_LR}, no flips. Both sides of the difference learn from the "
          f"same sample in the same batches of the same crops, which the reference draws as bit-transfer does; the last "
          f"column is the largest difference between their losses at any step.\n")  # fmt: skip
    print("| examples a class | bit-burn | transformers in big_transfer's loop | difference of the medians "
          "| bit-burn, probe | bit-burn from scratch | losses differ by |\n|---|---|---|---|---|---|---|")  # fmt: skip
    for shots in SHOTS:
        columns: list[list[float]] = [[], [], [], []]
        apart = 0.0
        for seed in SEEDS:
            sample = few_shot(train, shots, seed)
            top1, losses = reference(sample, test, seed)
            columns[1].append(top1)
            if not arguments.program:
                continue
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "train.parquet"
                pq.write_table(sample, path)
                where = (arguments.program, path, arguments.data / "digits8x8-test.parquet", seed)
                for column, more in [(2, ("--probe",)), (3, ("--from-scratch",)), (0, ())]:
                    top1, found = ours(*where, *more)
                    columns[column].append(top1)
            apart = max(apart, *(abs(a - b) for a, b in zip(found, losses, strict=True)))
        medians = [statistics.median(column) if column else float("nan") for column in columns]
        cells = [f"{100 * median:.1f}% ({100 * min(column):.1f} to {100 * max(column):.1f})" if column else "-"
                 for median, column in zip(medians, columns)]  # fmt: skip
        difference = f"{round(100 * (medians[0] - medians[1]), 1) + 0.0:+.1f} points"
        print(f"| {shots or 'all'} | {cells[0]} | {cells[1]} | {difference} | {cells[2]} | {cells[3]} | {apart:.0e} |",
              flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
