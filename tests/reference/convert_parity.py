"""Checks that transformers, timm and ONNX Runtime load what bit-convert writes and compute the same logits.

    python convert_parity.py [--convert PATH_OF_EXAMPLE] [--load PATH_OF_EXAMPLE] [--full] [--memory]

A seeded model is saved by transformers, sent through every writer by the example `convert` of bit-convert, and each
result is run on the same images by the library it was written for. Prints one row a case, exits with 1 when a bar is
missed. `--full` adds R50x1 at full size, `--memory` the resident memory of converting R152x4 (3.7 GB, twice in a
temporary folder) and R50x1 with 21,843 classes from and to the formats, and the time in which R50x1 is loaded.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

import numpy as np
import onnx
import onnxruntime
import timm
import torch
from safetensors.torch import load_file
from timm.layers import GroupNormAct, StdConv2d
from timm.models.resnetv2 import ResNetV2
from transformers import BitConfig, BitForImageClassification

ROOT = Path(__file__).resolve().parents[2]
FLAVOURS = {
    "preactivation": dict(),
    "bottleneck": dict(layer_type="bottleneck", global_padding="SAME", embedding_dynamic_padding=True),
    "same": dict(global_padding="SAME", embedding_dynamic_padding=True),
    "stride8": dict(output_stride=8),
    "bottleneck8": dict(layer_type="bottleneck", output_stride=8),
    "gelu": dict(hidden_act="gelu"),
    "gelu_new": dict(hidden_act="gelu_new"),
    "swish": dict(hidden_act="swish"),
}
TINY = dict(embedding_size=16, hidden_sizes=[32, 64, 96, 128], depths=[1, 2, 1, 1], num_groups=8, num_labels=7)
# max |difference| over max |logit|: the same arithmetic in another order, then rounding to 11 and 8 bits.
BARS = {"f32": 1e-5, "f16": 5e-3, "bf16": 5e-2}


def seeded(seed=0, **config):
    torch.manual_seed(seed)
    model = BitForImageClassification(BitConfig(**config)).eval()
    for name, parameter in model.named_parameters():
        if "norm" in name:
            torch.nn.init.normal_(parameter, mean=1.0 if name.endswith("weight") else 0.0, std=0.2)
    return model


class Converter:
    def __init__(self, binary):
        self.binary = binary

    def __call__(self, source, destination, to="hf", dtype=None, *flags):
        """Converts, and returns seconds and the peak of resident memory in MB."""
        command = [self.binary, str(source), str(destination), "--to", to, *flags]
        command += ["--dtype", dtype] if dtype else []
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        peak = 0  # of the process itself; getrusage would count what it had before exec
        while process.poll() is None:
            peak = max(peak, high_water(process.pid))
            time.sleep(0.002)
        if process.returncode != 0:
            raise RuntimeError(f"{' '.join(command)}: {process.stderr.read().decode()}")
        return time.perf_counter() - start, peak


def high_water(pid):
    """Peak resident memory in MB of a running process."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return max((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), default=0)


def with_transformers(folder, x):
    return BitForImageClassification.from_pretrained(folder).float().eval()(x).logits.numpy()


def with_torch_load(folder, x):
    model = BitForImageClassification(BitConfig.from_pretrained(folder)).eval()
    model.load_state_dict(torch.load(folder / "pytorch_model.bin", weights_only=True, mmap=True))
    return model(x).logits.numpy()


def with_onnx(path, x):
    onnx.checker.check_model(str(path), full_check=True)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(["logits"], {"pixel_values": x.numpy()})[0]


def tiny_timm(path, x, config):
    model = ResNetV2(
        layers=config.depths, channels=config.hidden_sizes, num_classes=config.num_labels, stem_type="fixed",
        stem_chs=config.embedding_size, conv_layer=partial(StdConv2d, eps=1e-8),
        norm_layer=partial(GroupNormAct, num_groups=config.num_groups),
    )  # fmt: skip
    model.load_state_dict(load_file(path))
    return model.eval()(x).numpy()


def timm_npz(path, x, config):
    """timm's own reader of Google's files."""
    model = ResNetV2(
        layers=config.depths, channels=config.hidden_sizes, num_classes=config.num_labels, stem_type="fixed",
        stem_chs=config.embedding_size, conv_layer=partial(StdConv2d, eps=1e-8),
        norm_layer=partial(GroupNormAct, num_groups=config.num_groups),
    )  # fmt: skip
    model.load_pretrained(str(path))
    return model.eval()(x).numpy()


class Table:
    def __init__(self):
        self.failed = False

    def row(self, case, bar, expected, found):
        try:
            found = found()
            difference = float(np.abs(found - expected).max() / np.abs(expected).max())
            ok, shown = difference <= bar, f"{difference:.1e}"
        except Exception as error:  # a loader that fails is a row that fails
            ok, shown = False, f"{type(error).__name__}: {error}"
        self.failed |= not ok
        print(f"| {case:44} | {shown:9} | {bar:.0e} | {'ok' if ok else 'FAILED'} |", flush=True)


def images(size, batch=2, seed=1):
    return torch.rand((batch, 3, *size), generator=torch.Generator().manual_seed(seed)) * 2 - 1


@torch.no_grad()
def tiny(table, convert, folder):
    for flavour, options in FLAVOURS.items():
        model = seeded(**TINY, **options)
        source = folder / flavour
        model.save_pretrained(source)
        x = images((64, 64))
        expected = model(x).logits.numpy()
        for dtype, bar in BARS.items():
            to = lambda target: folder / f"{flavour}-{target}-{dtype}"
            if flavour in ("preactivation", "bottleneck"):
                convert(source, to("hf"), "hf", dtype)
                table.row(f"{flavour} -> hf {dtype} -> transformers", bar, expected, lambda: with_transformers(to("hf"), x))
                convert(source, to("pytorch"), "pytorch", dtype)
                table.row(f"{flavour} -> pytorch {dtype} -> torch.load", bar, expected, lambda: with_torch_load(to("pytorch"), x))
            if flavour == "preactivation":
                path = to("timm").with_suffix(".safetensors")
                convert(source, path, "timm", dtype)
                table.row(f"{flavour} -> timm {dtype} -> timm", bar, expected, lambda: tiny_timm(path, x, model.config))
                npz = to("google").with_suffix(".npz")
                if dtype != "bf16":  # NumPy has no such type
                    convert(source, npz, "google", dtype)
                    table.row(f"{flavour} -> google {dtype} -> timm", bar, expected, lambda: timm_npz(npz, x, model.config))
            if dtype == "f32" or flavour == "preactivation":
                path = to("onnx").with_suffix(".onnx")
                convert(source, path, "onnx", dtype)
                for size in [(64, 64), (51, 75)]:
                    x2 = images(size, batch=3)
                    reference = model(x2).logits.numpy()
                    table.row(f"{flavour} -> onnx {dtype} -> ONNX Runtime {size}", bar, reference, lambda: with_onnx(path, x2))
    model = seeded(**TINY)
    convert(folder / "preactivation", folder / "external.onnx", "onnx", None, "--max-shard-bytes", "100000")
    assert (folder / "external.onnx.data").stat().st_size > 100000, "the tensors are not in another file"
    expected = model(x).logits.numpy()
    table.row("onnx with its tensors in another file", 1e-5, expected, lambda: with_onnx(folder / "external.onnx", x))
    chain(table, convert, folder)


def chain(table, convert, folder):
    """One format after the other, and back where it began."""
    model = seeded(**{**TINY, "num_groups": 32, "embedding_size": 64, "hidden_sizes": [128, 256, 256, 384]})
    model.save_pretrained(folder / "chain")
    x = images((64, 64))
    steps = [("google", "chain.npz"), ("timm", "chain.safetensors"), ("burnpack", "chain.bpk"), ("pytorch", "chain.bin"), ("hf", "chain-hf")]
    source = folder / "chain"
    for target, name in steps:
        (folder / name).parent.mkdir(exist_ok=True)
        convert(source, folder / name, target)
        source = folder / name
    table.row("hf -> google -> timm -> burnpack -> pytorch -> hf", 0, model(x).logits.numpy(), lambda: with_transformers(source, x))


@torch.no_grad()
def full(table, convert, folder):
    model = seeded(num_labels=1000)
    source = folder / "r50x1"
    model.save_pretrained(source)
    (source / "preprocessor_config.json").write_text((folder / "r50x1-processor.json").read_text())
    x = images((224, 224), batch=1)
    expected = model(x).logits.numpy()
    for target in ["hf", "pytorch", "timm", "google", "onnx"]:
        convert(source, folder / f"r50x1-{target}", target)
    table.row("R50x1 -> hf -> transformers", 1e-5, expected, lambda: with_transformers(folder / "r50x1-hf", x))
    table.row("R50x1 -> pytorch -> torch.load", 1e-5, expected, lambda: with_torch_load(folder / "r50x1-pytorch", x))
    local = f"local-dir:{folder / 'r50x1-timm'}"
    table.row("R50x1 -> timm folder -> timm", 1e-5, expected, lambda: timm.create_model(local, pretrained=True).eval()(x).numpy())
    named = timm.create_model("resnetv2_50x1_bit", num_classes=1000)
    named.load_pretrained(str(folder / "r50x1-google" / "model.npz"))
    table.row("R50x1 -> google -> timm", 1e-5, expected, lambda: named.eval()(x).numpy())
    table.row("R50x1 -> onnx -> ONNX Runtime", 1e-5, expected, lambda: with_onnx(folder / "r50x1-onnx" / "model.onnx", x))
    back = folder / "r50x1-back"
    convert(folder / "r50x1-google", back)  # no configuration: it is told from the tensors
    table.row("R50x1 -> google (no config) -> transformers", 1e-5, expected, lambda: with_transformers(back, x))


PROCESSOR = """{"image_processor_type": "BitImageProcessor", "size": {"shortest_edge": 448},
"crop_size": {"height": 448, "width": 448}, "resample": 2, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}"""


def load_time(program, folder, runs=15):
    """How long the example `load` takes from R50x1's folder to a network on the CPU, as a user's program does, and to
    its numbers alone. The file was just written, so the page cache is warm. A process that loads for the first time has
    to be given its memory; one that loads again has it. Processor time is that of the whole process."""
    source = folder / "load"
    seeded(num_labels=1000).save_pretrained(source)
    size = (source / "model.safetensors").stat().st_size / 1e6

    def times(what, runs):
        command = [program, what, source, str(runs)]
        lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
        return [float(line.split()[0]) for line in lines]

    def used():
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return (usage.ru_utime + usage.ru_stime) * 1e3

    for what in ["network", "numbers"]:
        before = used()
        first = statistics.median(times(what, 1)[0] for _ in range(runs))
        processor = (used() - before) / runs
        again = statistics.median(times(what, runs + 1)[1:])
        print(
            f"| R50x1 ({size:.0f} MB) loaded, {what} | {first:.0f} ms in a new process, of them {processor:.0f} of the "
            f"processor; {again:.0f} ms again (medians of {runs}) |",
            flush=True,
        )


def save_large(folder, config):
    """Writes a folder of random weights; returns the size of the largest tensor in MB."""
    from safetensors.torch import save_file

    folder.mkdir()
    config.architectures = ["BitForImageClassification"]
    config.save_pretrained(folder)
    with torch.device("meta"):
        shapes = {k: v.shape for k, v in BitForImageClassification(config).state_dict().items()}
    generator = torch.Generator().manual_seed(0)
    state = {k: torch.randn(s, generator=generator) for k, s in shapes.items()}
    save_file(state, folder / "model.safetensors", {"format": "pt"})
    return max(4 * s.numel() for s in shapes.values()) / 1e6


def memory(convert, load, folder):
    load_time(load, folder)
    wide = dict(embedding_size=256, hidden_sizes=[1024, 2048, 4096, 8192], depths=[3, 8, 36, 3])
    memory_rows(convert, folder, "R152x4", BitConfig(**wide, num_labels=1000))
    memory_rows(convert, folder, "R50x1, 21843 classes", BitConfig(num_labels=21843))


def memory_rows(convert, folder, name, config):
    """Peak memory from safetensors to each format, and from the others back; in MB, beside the largest tensor's."""
    source = folder / "large"
    largest = save_large(source, config)
    size = (source / "model.safetensors").stat().st_size / 1e6

    def row(label, *arguments):
        seconds, peak = convert(*arguments)
        label = f"{name} ({size:.0f} MB, largest tensor {largest:.0f} MB): {label}"
        print(f"| {label:78} | {seconds:5.1f} s | {peak:5.0f} MB resident |", flush=True)

    for target, file in [("hf", "out"), ("burnpack", "out.bpk"), ("onnx", "out.onnx")]:
        row(f"hf -> {target}", source, folder / file, target)
        remove(folder.glob("out*"))
    row("hf -> hf, f16", source, folder / "out", "hf", "f16")
    remove(folder.glob("out*"))
    for target, file in [("pytorch", "source.bin"), ("google", "source.npz")]:
        row(f"hf -> {target}", source, folder / file, target)
        row(f"{target} -> hf", folder / file, folder / "out", "hf")
        remove(folder.glob("out*"))
    if size < 1000:  # to compress more takes minutes
        compress(folder / "source.npz", folder / "compressed.npz")
        row("google, compressed -> hf", folder / "compressed.npz", folder / "out", "hf")
    remove([source, *folder.glob("out*"), *folder.glob("source.*"), *folder.glob("compressed.npz")])


def compress(source, destination):
    with np.load(source) as arrays:
        np.savez_compressed(destination, **arrays)


def remove(paths):
    for path in paths:
        subprocess.run(["rm", "-r", path], check=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--convert", help="the example `convert`, built with --release")
    parser.add_argument("--load", help="the example `load`, likewise")
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--memory", action="store_true")
    args = parser.parse_args()
    if not args.convert:
        packages = ["-p", "bit-convert", "-p", "bit-pretrained", "--example", "convert", "--example", "load"]
        subprocess.run(["cargo", "build", "--release", *packages], cwd=ROOT, check=True)
        folder = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release/examples"
        args.convert, args.load = folder / "convert", folder / "load"
    convert, table = Converter(args.convert), Table()
    print("| case | max difference / max logit | bar | |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        (folder / "r50x1-processor.json").write_text(PROCESSOR)
        tiny(table, convert, folder)
        if args.full:
            full(table, convert, folder)
        if args.memory:
            memory(convert, args.load, folder)
    sys.exit(table.failed)


if __name__ == "__main__":
    main()
