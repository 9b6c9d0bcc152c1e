"""What the figures were measured on."""

import importlib.metadata
import os
import platform
import time
from pathlib import Path

import torch

PACKAGES = ("onnxruntime", "torch", "transformers")


def processor() -> str:
    """The name, and the widest vectors."""
    text = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    fields = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    fields = {name.strip(): value.strip() for name, value in fields.items()}
    flags = fields.get("flags", "").split()
    vectors = next((name for flag, name in [("avx512f", "AVX-512"), ("avx2", "AVX2")] if flag in flags), "")
    name = fields.get("model name", platform.processor() or platform.machine())
    return f"{name} (family {fields.get('cpu family', '?')}, model {fields.get('model', '?')}) {vectors}".strip()


def peak_memory(pid: int) -> int:
    """The most resident memory that a process had so far, in bytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def peak_rate(size: int = 2048, repeats: int = 10) -> float:
    """The best GFLOP/s of a large f32 matrix product."""
    torch.set_num_threads(int(os.environ["BIT_BURN_THREADS"]))
    a, b = torch.rand(size, size), torch.rand(size, size)
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        a @ b
        times.append(time.perf_counter() - start)
    return 2 * size**3 / min(times) / 1e9


def describe(best: float, rounds: int, passes: int) -> str:
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES)
    return (
        f"{processor()}, {os.environ['BIT_BURN_THREADS']} threads; {versions}. Every contender is a process; they"
        f" take turns, {rounds} times each: a pass that warms the caches, then {passes} that count. `torch-folded` is"
        f" transformers with standardized weights folded and channels last. The peak is a matrix product of 2048x2048"
        f" in PyTorch: {best:.0f} GFLOP/s. GFLOP are those of the plain algorithm, of which Winograd's convolutions do"
        f" less: a share can pass 100%.\n"
    )
