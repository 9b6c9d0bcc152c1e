"""The MNIST test pictures and what transformers says of them with the builtin model and the Pillow processor.

The pictures are the PNG files of `mnist/test.safetensors` itself (`png`, cut at `offsets`); only the logits are
computed anew, so the file is its own source.
"""

import io
from pathlib import Path

import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import BitForImageClassification, BitImageProcessorPil

ROOT = Path(__file__).resolve().parents[2]
PICTURES = ROOT / "tests/fixtures/mnist"
MODEL = ROOT / "crates/bit-pretrained/builtin/mnist"


def pictures(test: dict[str, torch.Tensor]) -> list[Image.Image]:
    png, offsets = test["png"].numpy().tobytes(), test["offsets"].tolist()
    return [Image.open(io.BytesIO(png[start:end])) for start, end in zip(offsets, offsets[1:])]


def logits(model: Path, images: list[Image.Image]) -> torch.Tensor:
    """In float64, rounded: the same bytes on every machine."""
    processor = BitImageProcessorPil.from_pretrained(model)
    network = BitForImageClassification.from_pretrained(model).double().eval()
    pixel_values = processor(images, return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        return network(pixel_values.double()).logits.float()


def write(output: Path) -> None:
    output.mkdir(parents=True, exist_ok=True)
    test = load_file(PICTURES / "test.safetensors")
    test["logits"] = logits(MODEL, pictures(test)).contiguous()
    save_file(test, output / "test.safetensors")
