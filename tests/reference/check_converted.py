"""Whether a converted model gives the logits of its source: `check_converted.py FOLDER ARCHITECTURE SOURCE`.

transformers loads the converted FOLDER. The SOURCE (a folder or file, or what `bit` fetched: a Hub repository or one of
Google's files) is loaded by the library whose names it has: transformers, big_transfer's own code, or timm, whose name
of the network ARCHITECTURE is. Both see the same input.
"""

import json
import sys
from pathlib import Path

import big_transfer
import reference
import timm
import torch
from huggingface_hub import cached_assets_path, snapshot_download
from timm.models import load_state_dict
from transformers import BitConfig, BitForImageClassification

BAR = 1e-4
WEIGHTS = ["model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json"]


def place(source: str) -> Path:
    """Where the source is on this machine."""
    path = Path(source)
    if path.exists():
        return path
    if path.suffix == ".npz":
        return cached_assets_path("bit-burn", "google", "bit_models") / source
    return Path(snapshot_download(source, local_files_only=True))


def files(path: Path) -> list[Path]:
    """The source's files of tensors: itself, or the first that `bit` would read of a folder, or the shards of that."""
    if path.is_dir():
        known = [path / name for name in WEIGHTS if (path / name).exists()]
        path = [*known, *(file for file in sorted(path.iterdir()) if file.suffix != ".json")][0]
    if path.suffix == ".json":
        return [path.parent / name for name in sorted(set(json.loads(path.read_text())["weight_map"].values()))]
    return [path]


def network(architecture: str, source: Path, config: BitConfig) -> torch.nn.Module:
    """The source as its own library reads it."""
    first, *more = files(source)
    if first.suffix == ".npz":
        model = timm.create_model(architecture, num_classes=config.num_labels)
        model.load_pretrained(str(first))
        return model
    tensors = load_state_dict(first)
    for file in more:
        tensors |= load_state_dict(file)
    if "bit.embedder.convolution.weight" in tensors:
        model = BitForImageClassification(config)
    elif "root.conv.weight" in tensors:
        widths = config.hidden_sizes, config.num_groups, config.num_labels
        model = big_transfer.ResNetV2(config.depths, config.embedding_size, *widths)
    else:
        model = timm.create_model(architecture, num_classes=config.num_labels)
    model.load_state_dict(tensors)
    return model


@torch.no_grad()
def main() -> None:
    folder, architecture, source = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    converted = BitForImageClassification.from_pretrained(folder).eval()
    pixels = reference.inputs(folder.name, 1, 3, 128, 128)
    found = converted(pixels).logits.numpy()
    peer = network(architecture, place(source), converted.config).eval()
    expected = peer(pixels)
    expected = getattr(expected, "logits", expected).numpy()
    difference, size = reference.ratio(found, expected)
    library = type(peer).__module__.split(".")[0]
    print(f"{folder.name}: logits differ from those of {library} by {difference:.2e} of {size:.3g}")
    sys.exit(difference > BAR * size)


if __name__ == "__main__":
    main()
