"""What transfer is worth on real data, beside the Python reference with the same recipe: from `builtin:mnist` (28x28
MNIST digits) to scikit-learn's 8x8 digits, with 1, 5 and 10 examples a class and with all, three samples each.

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


def reference(train, test, seed: int) -> float:
    """The accuracy of transformers' network in big_transfer's loop."""
    torch.manual_seed(seed)
    model = BitForImageClassification.from_pretrained(MODEL).train()
    for parameter in model.classifier[1].parameters():
        torch.nn.init.zeros_(parameter)
    images, labels = pictures(train, RESIZE), torch.tensor(train["label"].to_pylist())
    optim, order = big_transfer.optimizer(model), []
    for step in range(STEPS):
        if BATCH > len(labels):
            batch = torch.randint(len(labels), (BATCH,))
        else:
            order = order if len(order) else torch.randperm(len(labels))
            batch, order = order[:BATCH], order[BATCH:]
        offsets = torch.randint(RESIZE - CROP + 1, (len(batch), 2)).tolist()
        crops = [images[i, :, y : y + CROP, x : x + CROP] for i, (y, x) in zip(batch, offsets)]
        micro_batch = (torch.stack(crops), labels[batch], None)
        lr = big_transfer.get_lr(step, SUPPORTS, BASE_LR)
        big_transfer.train_step(lambda x: model(x).logits, optim, lr, [micro_batch])
    with torch.no_grad():
        predicted = model.eval()(pictures(test, CROP)).logits.argmax(1)
    return (predicted == torch.tensor(test["label"].to_pylist())).float().mean().item()


def ours(program: str, train: Path, test: Path, seed: int, *more: str) -> float:
    with tempfile.TemporaryDirectory() as folder:
        command = [program, "finetune", "--model", "builtin:mnist", "--data", train, "--test", test, "--output",
                   f"{folder}/model", "--validation-split", "0", "--steps", STEPS, "--batch-size", BATCH,
                   "--base-lr", BASE_LR, "--resolution", f"{RESIZE}:{CROP}", "--no-flip", "--seed", seed,
                   "--format", "json", *more]  # fmt: skip
        found = subprocess.run(list(map(str, command)), check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(found)["test"]["top1"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--program", help="bit; without it only the reference runs")
    parser.add_argument("--data", type=Path, required=True, help="as digits.py writes it")
    arguments = parser.parse_args()
    train, test = (pq.read_table(arguments.data / f"digits8x8-{part}.parquet") for part in ("train", "test"))
    print(f"Top-1 of {test.num_rows} pictures: median and range of {len(SEEDS)} samples; {STEPS} steps of {BATCH} "
          f"pictures at {RESIZE}:{CROP}, base rate {BASE_LR}, no flips.\n")  # fmt: skip
    print("| examples a class | bit-burn | transformers in big_transfer's loop | difference of the medians "
          "| bit-burn, probe | bit-burn from scratch |\n|---|---|---|---|---|---|")  # fmt: skip
    for shots in SHOTS:
        columns: list[list[float]] = [[], [], [], []]
        for seed in SEEDS:
            sample = few_shot(train, shots, seed)
            columns[1].append(reference(sample, test, seed))
            if not arguments.program:
                continue
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "train.parquet"
                pq.write_table(sample, path)
                where = (arguments.program, path, arguments.data / "digits8x8-test.parquet", seed)
                for column, more in [(0, ()), (2, ("--probe",)), (3, ("--from-scratch",))]:
                    columns[column].append(ours(*where, *more))
        medians = [statistics.median(column) if column else float("nan") for column in columns]
        cells = [f"{100 * median:.1f}% ({100 * min(column):.1f} to {100 * max(column):.1f})" if column else "-"
                 for median, column in zip(medians, columns)]  # fmt: skip
        difference = f"{100 * (medians[0] - medians[1]):+.1f} points"
        print(f"| {shots or 'all'} | {cells[0]} | {cells[1]} | {difference} | {cells[2]} | {cells[3]} |", flush=True)


if __name__ == "__main__":
    main()
