"""Whether a converted model gives timm's logits: `check_converted.py FOLDER NAME SOURCE`.

transformers loads the converted FOLDER, timm loads the SOURCE by itself (a folder, a .safetensors or .npz file, or
what `bit` fetched: a Hub repository or one of Google's files), and both see the same input.
"""

import json
import sys
from pathlib import Path

import reference
import timm
import torch
from huggingface_hub import cached_assets_path, hf_hub_download
from transformers import BitForImageClassification

BAR = 1e-4


def timm_model(name: str, classes: int, source: str) -> torch.nn.Module:
    """timm's network; it reads Google's files by itself."""
    path = Path(source)
    if path.is_dir():
        path /= "model.safetensors"
    elif not path.exists() and path.suffix == ".npz":
        path = cached_assets_path("bit-burn", "google", "bit_models") / source
    elif not path.exists():
        path = Path(hf_hub_download(source, "model.safetensors", local_files_only=True))
    network = timm.create_model(name.split(".")[0], pretrained=False, num_classes=classes).eval()
    if path.suffix == ".npz":
        network.load_pretrained(str(path))
    else:
        timm.models.load_checkpoint(network, str(path))
    return network


def main() -> None:
    folder, name, source = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    classes = len(json.loads((folder / "config.json").read_text())["id2label"])
    pixels = reference.inputs(name, 1, 3, 128, 128)
    with torch.no_grad():
        expected = timm_model(name, classes, source)(pixels).numpy()
        found = BitForImageClassification.from_pretrained(folder).eval()(pixels).logits.numpy()
    difference, size = reference.ratio(found, expected)
    print(f"{name}: logits differ from timm's by {difference:.2e} of {size:.3g}")
    sys.exit(difference > BAR * size)


if __name__ == "__main__":
    main()
