"""`cargo xtask convert` on seeded networks under published names: `convert_zoo.py --xtask PROGRAM`.

R50x1 with random values is written as it comes from elsewhere: Google's npz by numpy, a folder like `google/bit-50` by
transformers, a file by timm, one by big_transfer. The conversion is killed after its first model, run again without the
Python reference and then with it, once more when nothing is left to do, and after a file was damaged. Prints a row a
claim, exits with 1 when one does not hold. Needs a gigabyte and a half of disk.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import big_transfer
import numpy as np
import reference
import timm
import torch
from safetensors.torch import save_file
from transformers import BitConfig, BitForImageClassification

CLASSES = 1000


def values(name: str, shape, rng) -> np.ndarray:
    """Near one for the gains of norms, small elsewhere, so that logits are neither all alike nor beyond numbers."""
    is_gain = len(shape) == 1 and name.endswith("weight")
    return rng.normal(1.0 if is_gain else 0.0, 0.1 if len(shape) < 4 else 0.02, tuple(shape)).astype(np.float32)


def seeded(network: torch.nn.Module, seed: str) -> torch.nn.Module:
    rng = reference.generator(seed)
    state = {name: torch.from_numpy(values(name, t.shape, rng)) for name, t in network.state_dict().items()}
    network.load_state_dict(state)
    return network


def npz_name(name: str) -> str:
    """big_transfer's name of a parameter in its npz files."""
    path, kind = name.rsplit(".", 1)
    parts = path.split(".")
    if parts[0] == "head":
        found = {"gn": ["group_norm"], "conv": ["head", "conv2d"]}[parts[1]]
    elif parts[0] == "root":
        found = ["root_block", "standardized_conv2d"]
    elif parts[-1] == "downsample":
        found = [*parts[1:3], "a", "proj", "standardized_conv2d"]
    else:
        layer, number = parts[-1][:-1], int(parts[-1][-1])
        found = [*parts[1:3], "abc"[number - 1], {"conv": "standardized_conv2d", "gn": "group_norm"}[layer]]
    is_norm = found[-1] == "group_norm"
    found.append({"weight": "gamma" if is_norm else "kernel", "bias": "beta" if is_norm else "bias"}[kind])
    return "/".join(["resnet", *found])


def write_npz(seed: str, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    state = seeded(big_transfer.R50x1(CLASSES), seed).state_dict()
    kernels = {npz_name(name): t.numpy().transpose(2, 3, 1, 0) if t.ndim == 4 else t.numpy() for name, t in state.items()}
    np.savez(path, **kernels)


def write_sources(folder: Path) -> None:
    """A file or folder for each of `MODELS`."""
    write_npz("BiT-S", folder / "BiT-S-R50x1.npz")
    write_npz("distilled", folder / "distill/R50x1_160.npz")
    hub = folder / "google/bit-50"
    network = seeded(BitForImageClassification(BitConfig(num_labels=CLASSES)), "Hub")
    network.config.architectures = ["BitForImageClassification"]
    network.config.save_pretrained(hub)
    torch.save(network.state_dict(), hub / "pytorch_model.bin")
    network = seeded(timm.create_model("resnetv2_50x1_bit", num_classes=CLASSES), "timm")
    save_file(network.state_dict(), folder / f"{MODELS[3]}.safetensors", {"format": "pt"})
    network = seeded(big_transfer.R50x1(21843), "training")
    state = {f"module.{name}": tensor for name, tensor in network.state_dict().items()}
    torch.save({"step": 1, "model": state}, folder / f"{MODELS[4]}.pth.tar")


MODELS = [
    "BiT-S-R50x1",
    "R50x1_160",
    "resnetv2_50x1_bit.goog_in21k_ft_in1k",
    "resnetv2_50x1_bit.goog_distilled_in1k",
    "resnetv2_50x1_bit.goog_in21k",
]


class Zoo:
    def __init__(self, xtask: str, folder: Path):
        self.command = [xtask, "convert", *MODELS, "--from", folder / "from", "--output", folder / "to"]
        self.manifest = folder / "to/manifest.json"
        self.failed = False

    def start(self, python: str) -> subprocess.Popen:
        environment = os.environ | {"BIT_BURN_PYTHON": python}
        pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        return subprocess.Popen(self.command, env=environment, start_new_session=True, **pipes)

    def run(self, python: str) -> str:
        process = self.start(python)
        text = process.communicate()[0]
        self.claim("it ends well", process.returncode == 0, text)
        return text

    def kill_after_first(self) -> None:
        process = self.start("none")
        while process.poll() is None and not self.listed():
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()

    def listed(self) -> dict:
        return json.loads(self.manifest.read_text()) if self.manifest.exists() else {}

    def claim(self, what: str, holds: bool, why: str = "") -> None:
        self.failed |= not holds
        print(f"| {what:72} | {'ok' if holds else 'FAILED'} |", flush=True)
        if not holds:
            print(why)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--xtask", required=True, help="the program behind `cargo xtask`")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        write_sources(folder / "from")
        zoo = Zoo(arguments.xtask, folder)
        zoo.kill_after_first()
        kept = zoo.listed()
        zoo.claim("killed after the first model, the manifest lists it alone", list(kept) == MODELS[:1], str(kept))
        text = zoo.run("none")
        zoo.claim("run again without Python, the others are converted", text.count(": converting") == 4, text)
        text = zoo.run(sys.executable)
        zoo.claim("run again with Python, nothing is converted", ": converting" not in text, text)
        zoo.claim("and every model is compared with the library of its source", text.count("logits differ") == 5, text)
        for library in ["timm", "transformers", "big_transfer"]:
            zoo.claim(f"which is {library} for some", f"those of {library}" in text, text)
        verified = [entry["verified"] for entry in zoo.listed().values()]
        zoo.claim("which the manifest says", all("check_converted.py" in names for names in verified), str(verified))
        text = zoo.run(sys.executable)
        zoo.claim("run again, there is nothing to do", not any(w in text for w in [": converting", "logits differ"]), text)
        (folder / "to" / MODELS[1] / "config.json").write_text("{}")
        text = zoo.run(sys.executable)
        zoo.claim("a damaged folder is converted and compared again", text.count(": converting") == 1 == text.count("logits differ"), text)
    sys.exit(zoo.failed)


if __name__ == "__main__":
    main()
