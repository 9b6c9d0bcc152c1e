"""The programs that this project is measured beside, each a process that speaks the same protocol.

    peers.py onnxruntime|torch-folded|transformers FOLDER INPUTS.safetensors

It loads and prepares the model and writes `ready MILLISECONDS`. Then it answers lines on standard input: `run` with
the milliseconds of one forward pass, `logits FILE` by writing them as safetensors and saying `written`.
`bench-model FOLDER INPUTS.safetensors` of this project does the same.
"""

import functools
import os
import sys
import time
from pathlib import Path
from typing import Callable

import numpy as np
from safetensors.numpy import load_file, save_file

THREADS = int(os.environ["BIT_BURN_THREADS"])

Forward = Callable[[], np.ndarray]


def standardize(model) -> None:
    """Every convolution gets its standardized weight once, and becomes a plain one."""
    import torch
    from transformers.models.bit.modeling_bit import WeightStandardizedConv2d

    def plain(conv, pixels):
        pixels = pixels if conv.pad is None else conv.pad(pixels)
        return torch.nn.functional.conv2d(pixels, conv.weight, None, conv.stride, conv.padding, conv.dilation)

    for module in model.modules():
        if isinstance(module, WeightStandardizedConv2d):
            weight = module.weight.data
            variance, mean = torch.var_mean(weight, dim=(1, 2, 3), correction=0, keepdim=True)
            module.weight.data = (weight - mean) / torch.sqrt(variance + module.eps)
            module.forward = functools.partial(plain, module)


def load_torch(folder: Path):
    import torch
    from transformers import BitForImageClassification, logging

    logging.disable_progress_bar()
    torch.set_num_threads(THREADS)
    torch.set_grad_enabled(False)
    return BitForImageClassification.from_pretrained(folder).eval()


def transformers(folder: Path, pixel_values: np.ndarray) -> Forward:
    import torch

    model, pixels = load_torch(folder), torch.from_numpy(pixel_values)
    return lambda: model(pixels).logits.numpy()


def torch_folded(folder: Path, pixel_values: np.ndarray) -> Forward:
    """PyTorch at its best without a compiler: weights folded, channels last."""
    import torch

    model = load_torch(folder)
    standardize(model)
    model = model.to(memory_format=torch.channels_last)
    pixels = torch.from_numpy(pixel_values).contiguous(memory_format=torch.channels_last)
    return lambda: model(pixels).logits.numpy()


def onnxruntime(folder: Path, pixel_values: np.ndarray) -> Forward:
    """The file that export_onnx made, with every optimization of the runtime."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    session = onnxruntime.InferenceSession(folder / "model.onnx", options, providers=["CPUExecutionProvider"])
    return lambda: session.run(["logits"], {"pixel_values": pixel_values})[0]


def export_onnx(folder: Path) -> None:
    """`model.onnx` beside the weights: standardization folded, any batch and size."""
    import warnings

    import torch

    warnings.simplefilter("ignore")
    model = load_torch(folder)
    standardize(model)
    # The input's axes are free; 64 is only what the tracer runs on.
    example = torch.zeros(1, model.config.num_channels, 64, 64)

    class Logits(torch.nn.Module):
        def forward(self, pixel_values):
            return self.model(pixel_values).logits

    logits = Logits()
    logits.model = model
    torch.onnx.export(
        logits, (example,), folder / "model.onnx", dynamo=False, opset_version=17,
        input_names=["pixel_values"], output_names=["logits"],
        dynamic_axes={"pixel_values": {0: "batch", 2: "height", 3: "width"}, "logits": {0: "batch"}},
    )  # fmt: skip


PEERS = {"onnxruntime": onnxruntime, "torch-folded": torch_folded, "transformers": transformers}


def milliseconds(function: Callable) -> tuple[float, object]:
    start = time.perf_counter()
    result = function()
    return (time.perf_counter() - start) * 1e3, result


def main() -> None:
    kind, folder, inputs = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
    pixel_values = load_file(inputs)["pixel_values"]
    took, forward = milliseconds(lambda: PEERS[kind](folder, pixel_values))
    print(f"ready {took:.3f}", flush=True)
    for line in sys.stdin:
        match line.split(maxsplit=1):
            case ["run"]:
                print(f"{milliseconds(forward)[0]:.3f}", flush=True)
            case ["logits", path]:
                save_file({"logits": np.ascontiguousarray(forward())}, path.strip())
                print("written", flush=True)


if __name__ == "__main__":
    main()
