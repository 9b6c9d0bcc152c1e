"""Full-size models from a seed: transformers' folder, timm's model with the same weights, and this project."""

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

import reference
import timm
import torch
import transformers
from report import Report
from safetensors.numpy import save_file


@dataclass
class Model:
    name: str
    depths: list[int]
    width: int

    @property
    def options(self) -> dict:
        """A wide model has wide sizes: transformers' own width_factor cannot run."""
        hidden_sizes = [size * self.width for size in (256, 512, 1024, 2048)]
        return dict(depths=self.depths, hidden_sizes=hidden_sizes, embedding_size=64 * self.width, num_labels=1000)


MODELS = [
    Model("50x1", [3, 4, 6, 3], 1),
    Model("101x1", [3, 4, 23, 3], 1),
    Model("50x3", [3, 4, 6, 3], 3),
]

# transformers' names to timm's, first match first.
NAMES = [
    (r"^bit\.embedder\.convolution\.", "stem.conv."),
    (r"^bit\.encoder\.stages\.(\d+)\.layers\.", r"stages.\1.blocks."),
    (r"^bit\.norm\.", "norm."),
    (r"^classifier\.1\.", "head.fc."),
]


def timm_name(name: str) -> str:
    for pattern, replacement in NAMES:
        name, count = re.subn(pattern, replacement, name)
        if count:
            return name
    raise ValueError(f"no timm name for {name}")


def timm_logits(model: Model, weights: dict[str, torch.Tensor], pixel_values: torch.Tensor) -> torch.Tensor:
    network = timm.create_model(f"resnetv2_{model.name}_bit", pretrained=False, num_classes=1000).eval()
    renamed = {timm_name(name): tensor for name, tensor in weights.items()}
    renamed["head.fc.weight"] = renamed["head.fc.weight"][:, :, None, None]
    network.load_state_dict(renamed)
    with torch.no_grad():
        return network(pixel_values)


def build(model: Model) -> torch.nn.Module:
    """Seeded weights of the size that training leaves: standardization forgives any scale of a convolution, and
    a head of 0.3 would give logits in the hundreds."""
    network = reference.build("BitForImageClassification", model.name, model.options)
    with torch.no_grad():
        network.classifier[1].weight.mul_(0.1)
    network.config.architectures = ["BitForImageClassification"]
    return network


def flops(model: Model, batch: int, size: int) -> float:
    """Arithmetic of one pass: two operations for each product in a convolution or the classifier."""
    total = 0

    def count(layer: torch.nn.Module, _, output: torch.Tensor) -> None:
        nonlocal total
        total += 2 * output.numel() * layer.weight[0].numel()

    with torch.device("meta"):
        network = transformers.BitForImageClassification(transformers.BitConfig(**model.options))
        for layer in network.modules():
            if isinstance(layer, (torch.nn.Conv2d, torch.nn.Linear)):
                layer.register_forward_hook(count)
        network(torch.empty(batch, 3, size, size))
    return total


def compare(model: Model, run: Callable[[Path], dict], device: str, report: Report) -> None:
    network = build(model)
    pixel_values = reference.inputs(model.name, 1, 3, 224, 224)
    expected = {name: tensor.numpy() for name, tensor in reference.forward(network, pixel_values).items()}
    logits = timm_logits(model, network.state_dict(), pixel_values)
    report.compare(f"R{model.name} 224 (timm)", "torch", {"logits": expected["logits"]}, {"logits": logits.numpy()})
    with tempfile.TemporaryDirectory() as folder:
        network.save_pretrained(folder)
        save_file({"pixel_values": pixel_values.numpy()}, Path(folder) / "inputs.safetensors")
        report.compare(f"R{model.name} 224", device, expected, run(Path(folder)))
