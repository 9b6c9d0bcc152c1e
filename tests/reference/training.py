"""Training step by step: google-research/big_transfer's model and loop, and this project, on the same batches.

`write` makes the committed case (tests/fixtures/training); run as a script this is `cargo xtask parity --training`.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file, save_file
from transformers import BitConfig

import big_transfer

STEPS = 20
LOSS_BAR = 1e-4
WEIGHT_BAR = 1e-3
# Warm-up, decays and end within the steps, so that every rule of the schedule is passed.
SUPPORTS = [5, 10, 14, 17, STEPS]


@dataclass
class Network:
    name: str
    depths: list[int]
    stem: int
    widths: list[int]
    groups: int
    classes: int
    side: int
    batch: int
    base_lr: float

    def build(self, seed: int) -> torch.nn.Module:
        """Weights of standard deviation 0.3: big_transfer adds 1e-10 to their variance and transformers 1e-8, which
        has to be small beside it for the two to be the same network."""
        torch.manual_seed(seed)
        model = big_transfer.ResNetV2(self.depths, self.stem, self.widths, self.groups, self.classes)
        for name, parameter in model.named_parameters():
            if parameter.ndim == 4 and not name.startswith("head."):
                torch.nn.init.normal_(parameter, std=0.3)
            elif ".gn" in name:
                offset = 1.0 if name.endswith("weight") else 0.0
                torch.nn.init.normal_(parameter, mean=offset, std=0.1)
        return model

    def config(self) -> BitConfig:
        return BitConfig(embedding_size=self.stem, hidden_sizes=self.widths, depths=self.depths,
                         num_groups=self.groups, global_padding=None, num_labels=self.classes,
                         architectures=["BitForImageClassification"])  # fmt: skip


SMALL = Network("small", [1, 1], 16, [32, 64], 4, 5, 24, 6, 0.03)
R50X1 = Network("R50x1", [3, 4, 6, 3], 64, [256, 512, 1024, 2048], 32, 10, 64, 8, 0.003)


@dataclass
class Variant:
    name: str
    mixup: bool
    split: int


VARIANTS = [Variant(f"{'mixup' if mixup else 'plain'}-split{split}", mixup, split)
            for mixup in (False, True) for split in (1, 2)]  # fmt: skip


def batches(network: Network, seed: int) -> dict[str, np.ndarray]:
    """Pictures in bytes, labels, and for mixup a lambda a step and permutations within halves of the batch, because
    big_transfer mixes within a micro-batch."""
    rng = np.random.default_rng(seed)
    side, half = network.side, network.batch // 2
    tensors = {}
    for step in range(STEPS):
        labels = rng.integers(network.classes, size=network.batch)
        # The classes differ in brightness and grain, so that there is something to learn.
        grain = rng.normal(size=(network.batch, 3, side, side)) * (20 + 8 * labels[:, None, None, None])
        pixels = 100 + 20 * labels[:, None, None, None] - 10 * np.arange(3)[None, :, None, None] + grain
        tensors[f"pixels.{step}"] = np.clip(pixels, 0, 255).astype(np.uint8)
        tensors[f"labels.{step}"] = labels.astype(np.int64)
        tensors[f"lambda.{step}"] = np.array([rng.beta(0.4, 0.4)], np.float32)
        tensors[f"partner.{step}"] = np.concatenate([rng.permutation(half), half + rng.permutation(half)])
    return tensors


def transformers_names(model: torch.nn.Module) -> dict[str, np.ndarray]:
    tensors = {}
    for name, parameter in model.named_parameters():
        parts = name.split(".")
        if parts[0] == "root":
            name = "bit.embedder.convolution.weight"
        elif parts[0] == "body":
            stage, layer = int(parts[1][5:]) - 1, int(parts[2][4:]) - 1
            part = {"downsample": "downsample.conv"}.get(parts[3], parts[3].replace("gn", "norm"))
            name = f"bit.encoder.stages.{stage}.layers.{layer}.{part}.{parts[4]}"
        else:
            name = {"gn": "bit.norm", "conv": "classifier.1"}[parts[1]] + "." + parts[2]
        value = parameter.detach().numpy()
        tensors[name] = (value[..., 0, 0] if name == "classifier.1.weight" else value).copy()
    return tensors


def train(network: Network, variant: Variant, data: dict[str, np.ndarray], dtype=torch.float32) -> dict:
    """What big_transfer comes to: the loss of every step, and the weights at the end."""
    model, losses = network.build(0).to(dtype), []
    optim = big_transfer.optimizer(model)
    size = network.batch // variant.split
    for step in range(STEPS):
        x = torch.from_numpy(data[f"pixels.{step}"]).to(dtype) / 127.5 - 1
        y = torch.from_numpy(data[f"labels.{step}"])
        partner = torch.from_numpy(data[f"partner.{step}"])
        parts = [slice(at, at + size) for at in range(0, network.batch, size)]
        micro_batches = [(x[part], y[part], partner[part] - part.start) for part in parts]
        mixup_l = float(data[f"lambda.{step}"][0]) if variant.mixup else None
        lr = big_transfer.get_lr(step, SUPPORTS, network.base_lr)
        losses.append(big_transfer.train_step(model, optim, lr, micro_batches, mixup_l))
    return {"losses": np.array(losses, np.float32)} | transformers_names(model.float())


def recipe(network: Network, variant: Variant) -> dict:
    return {
        "examples": STEPS * network.batch,
        "classes": network.classes,
        "task": "single_label",
        "resolution": {"resize": network.side, "crop": network.side},
        "flip": False,
        "batch_size": network.batch,
        "batch_split": variant.split,
        "optimizer": "sgd",
        "base_learning_rate": network.base_lr,
        "schedule": {"warmup": SUPPORTS[0], "decays": SUPPORTS[1:4], "end": SUPPORTS[4]},
        "weight_decay": 0.0,
        "mixup_alpha": 0.4 if variant.mixup else 0.0,
        "label_smoothing": 0.0,
        "freeze": "nothing",
        "ema": None,
        "seed": 0,
    }


def write_start(network: Network, folder: Path) -> dict[str, np.ndarray]:
    """The untrained network as a folder of transformers, and the batches."""
    folder.mkdir(parents=True, exist_ok=True)
    network.config().save_pretrained(folder)
    save_file(transformers_names(network.build(0)), folder / "model.safetensors", {"format": "pt"})
    data = batches(network, seed=1)
    save_file(data, folder / "batches.safetensors")
    for variant in VARIANTS:
        (folder / f"{variant.name}.json").write_text(json.dumps(recipe(network, variant), indent=2) + "\n")
    return data


def write(output: Path) -> None:
    """In float64, rounded: the same bytes on every machine."""
    data = write_start(SMALL, output)
    for variant in VARIANTS:
        save_file(train(SMALL, variant, data, torch.float64), output / f"{variant.name}.safetensors")


def compare(expected: dict[str, np.ndarray], found: dict[str, np.ndarray]) -> tuple[float, float]:
    """The largest relative difference of a loss, and of a weight by its tensor's largest value."""
    losses = np.abs(found["losses"] - expected["losses"]) / expected["losses"]
    names = [name for name in expected if name != "losses"]
    weights = [np.abs(found[name] - expected[name]).max() / np.abs(expected[name]).max() for name in names]
    return losses.max(), max(weights)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--program", required=True, help="train-batches")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--full", action="store_true", help="also R50x1")
    arguments = parser.parse_args()
    missed = 0
    print(f"{STEPS} steps beside big_transfer's PyTorch code, torch {torch.__version__}, on {arguments.device}\n")
    print("| network | variant | first loss | last loss | losses differ by | weights differ by | |")
    print("|---|---|---|---|---|---|---|")
    for network in [SMALL, R50X1] if arguments.full else [SMALL]:
        with tempfile.TemporaryDirectory() as folder:
            folder = Path(folder)
            data = write_start(network, folder)
            for variant in VARIANTS:
                expected, output = train(network, variant, data), folder / "output.safetensors"
                command = [arguments.program, folder, variant.name, output, "--device", arguments.device]
                subprocess.run(command, check=True)
                losses, weights = compare(expected, load_file(output))
                ok = losses <= LOSS_BAR and weights <= WEIGHT_BAR
                missed += not ok
                ends = expected["losses"][[0, -1]]
                print(f"| {network.name} | {variant.name} | {ends[0]:.4f} | {ends[1]:.4f} | {losses:.1e} (bar "
                      f"{LOSS_BAR:.0e}) | {weights:.1e} (bar {WEIGHT_BAR:.0e}) | {'ok' if ok else 'MISSED'} |",
                      flush=True)  # fmt: skip
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
