"""From picture files to answers: the command line beside transformers, processors included."""

import json
import subprocess
import tempfile
from pathlib import Path

import full_size
import mnist
import numpy as np
import reference
import timm
import torch
import transformers
from PIL import Image
from report import Report
from safetensors.numpy import load_file

PROCESSORS = {"pil": "BitImageProcessorPil", "torchvision": "BitImageProcessor"}

# google/bit-50's.
PROCESSOR = dict(
    do_resize=True, size={"shortest_edge": 448}, resample=2,
    do_center_crop=True, crop_size={"height": 448, "width": 448},
    do_rescale=True, rescale_factor=1 / 255,
    do_normalize=True, image_mean=[0.5] * 3, image_std=[0.5] * 3, do_convert_rgb=True,
)  # fmt: skip


def photo(width: int, height: int) -> Image.Image:
    """A picture as smooth and as busy as a photograph: noise of every scale."""
    rng = reference.generator("photo")
    pixels = np.zeros((height, width, 3))
    for scale in (4, 16, 64, 256):
        coarse = Image.fromarray(rng.integers(0, 256, (-(-height // scale), -(-width // scale), 3), dtype=np.uint8))
        pixels += np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC), np.float64) * scale**0.5
    pixels -= pixels.min()
    return Image.fromarray((pixels * (255 / pixels.max())).astype(np.uint8))


def classify(bit: Path, device: str, processor: str, model: str, images: list[Path]) -> np.ndarray:
    """Raw scores of all classes, in the order of the classes."""
    options = ["--device", device, "--processor", processor, "--top-k", "0", "--scores", "logits", "--format", "json"]
    out = subprocess.run([bit, "classify", *images, "--model", model, *options], check=True, stdout=subprocess.PIPE)
    predictions = [sorted(image["predictions"], key=lambda p: p["index"]) for image in json.loads(out.stdout)]
    return np.array([[p["score"] for p in image] for image in predictions], np.float32)


def embed(bit: Path, device: str, processor: str, feature: str, model: Path, image: Path, folder: Path) -> np.ndarray:
    output = folder / "embeddings.safetensors"
    options = ["--device", device, "--processor", processor, "--feature", feature, "--output", output]
    subprocess.run([bit, "embed", image, "--model", model, *options], check=True)
    return load_file(output)["embeddings"]


def compare_mnist(bit: Path, device: str, report: Report) -> None:
    images = sorted((mnist.PICTURES / "images").glob("*.png"))
    network = transformers.BitForImageClassification.from_pretrained(mnist.MODEL).eval()
    for processor, name in PROCESSORS.items():
        pixels = getattr(transformers, name).from_pretrained(mnist.MODEL)(
            [Image.open(path) for path in images], return_tensors="pt"
        )["pixel_values"]
        expected = reference.forward(network, pixels)["logits"].numpy()
        found = classify(bit, device, processor, "builtin:mnist", images)
        report.compare(f"30 digits, {processor}", device, {"logits": expected}, {"logits": found})


def compare_photo(bit: Path, device: str, report: Report) -> None:
    network = full_size.build(full_size.MODELS[0])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        image = folder / "photo.png"
        photo(640, 480).save(image)
        network.save_pretrained(folder / "model")
        transformers.BitImageProcessor(**PROCESSOR).save_pretrained(folder / "model")
        for processor, name in PROCESSORS.items():
            pixels = getattr(transformers, name)(**PROCESSOR)(Image.open(image), return_tensors="pt")["pixel_values"]
            expected = reference.forward(network, pixels) | {"pixel_values": pixels}
            expected = {key: expected[key].numpy() for key in ("pixel_values", "pooler_output", "logits")}
            found = {
                feature: embed(bit, device, processor, feature, folder / "model", image, folder)
                for feature in ("pixel_values", "pooler_output", "logits")
            }
            found["pooler_output"] = found["pooler_output"].reshape(expected["pooler_output"].shape)
            report.compare(f"R50x1 448 from PNG, {processor}", device, expected, found)


def compare_finetuned(bit: Path, device: str, report: Report) -> None:
    """A step of `bit finetune`, whose result transformers and timm read: `builtin:mnist` is no architecture of timm's."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        full_size.build(full_size.MODELS[0]).save_pretrained(folder / "model")
        for index, label in enumerate(["left", "right"] * 2):
            (folder / "data" / label).mkdir(parents=True, exist_ok=True)
            photo(80, 60 + index).save(folder / "data" / label / f"{index}.png")
        output = folder / "finetuned"
        options = ["--steps", "2", "--batch-size", "2", "--resolution", "64", "--validation-split", "0"]
        command = [bit, "finetune", "--data", folder / "data", "--model", folder / "model", "--output", output]
        subprocess.run([*command, *options, "--device", device], check=True, stdout=subprocess.PIPE)
        pixels = reference.inputs("finetuned", 2, 3, 64, 64)
        network = transformers.BitForImageClassification.from_pretrained(output).eval()
        timm_network = timm.create_model(f"local-dir:{output / 'timm'}", pretrained=True).eval()
        expected = {"logits": network(pixels).logits.numpy()}
        report.compare("finetuned R50x1, read by timm", device, expected, {"logits": timm_network(pixels).numpy()})


def compare(bit: Path, device: str, report: Report) -> None:
    with torch.no_grad():
        compare_mnist(bit, device, report)
        compare_photo(bit, device, report)
        compare_finetuned(bit, device, report)
