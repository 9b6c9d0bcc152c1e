"""From a cold process: one photo, and a folder of photos, by the command line and by Python.

As a program, `cold.py onnxruntime|transformers FOLDER PHOTO` is what a Python user would write.
"""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

REPEATS = 5


@dataclass
class Cost:
    seconds: float
    processor_seconds: float
    peak: float


# A process is charged with the memory of the one that started it, so a small one does the starting.
LAUNCH = """
import os, sys, time
start = time.perf_counter()
quiet = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=quiet)
_, status, usage = os.wait4(pid, 0)
seconds = time.perf_counter() - start
print(status, seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)
"""


def cost(command: list) -> Cost:
    """Wall time, processor time and peak memory of one process."""
    launch = [sys.executable, "-I", "-S", "-c", LAUNCH, *command]
    status, *numbers = subprocess.run(launch, check=True, stdout=subprocess.PIPE, text=True).stdout.split()
    if status != "0":
        sys.exit(f"{command[0]} ended with {os.waitstatus_to_exitcode(int(status))}")
    seconds, processor_seconds, peak = map(float, numbers)
    return Cost(seconds, processor_seconds, peak)


def prepare(folder: Path, side: int, photos: int) -> Path:
    """A processor for this size beside the model in `folder`, and a folder of photos."""
    import end_to_end
    import transformers

    size = dict(size={"shortest_edge": side}, crop_size={"height": side, "width": side})
    transformers.BitImageProcessorPil(**end_to_end.PROCESSOR | size).save_pretrained(folder)
    pictures = folder / "photos"
    pictures.mkdir()
    for i in range(photos):
        end_to_end.photo(640, 480).rotate(i).save(pictures / f"{i:04}.jpg", quality=90)
    return pictures


def table(bit: Path, folder: Path, photos: int) -> str:
    """`folder` holds R50x1."""
    pictures = prepare(folder, 224, photos)
    ours = [bit, "classify", "--model", folder]
    one = pictures / "0000.jpg"
    rows = {"bit classify": [*ours, one]}
    rows |= {name: [sys.executable, __file__, name, folder, one] for name in PROGRAMS}
    lines = [f"**R50x1 at 224, a cold process, one photo** (median of {REPEATS})\n",
             "| | seconds | peak MiB |", "|---|---|---|"]  # fmt: skip
    for name, command in rows.items():
        costs = [cost(command) for _ in range(REPEATS)]
        seconds, peak = np.median([c.seconds for c in costs]), np.median([c.peak for c in costs])
        lines.append(f"| {name} | {seconds:.2f} | {peak / 2**20:.0f} |")
    whole = cost([*ours, pictures])
    lines.append(f"\n**A folder of {photos} photos of 640x480**: {photos / whole.seconds:.1f} photos a second,"
                 f" {whole.processor_seconds / whole.seconds:.2f} cores busy, {whole.peak / 2**20:.0f} MiB.")  # fmt: skip
    return "\n".join(lines) + "\n"


def largest(bit: Path, folder: Path) -> str:
    """What the largest model of the zoo needs, from its file."""
    import full_size

    full_size.build(full_size.Model("152x4", [3, 8, 36, 3], 4)).save_pretrained(folder)
    pictures = prepare(folder, 480, 1)
    one = cost([bit, "classify", "--model", folder, pictures])
    return f"\n**R152x4 (936 M parameters) at 480, a cold process, one photo**: {one.seconds:.1f} s, {one.peak / 2**30:.2f} GiB.\n"


def run_transformers(folder: Path, photo: str) -> np.ndarray:
    import torch
    from PIL import Image
    from transformers import BitForImageClassification, BitImageProcessorPil, logging

    logging.disable_progress_bar()
    model = BitForImageClassification.from_pretrained(folder).eval()
    inputs = BitImageProcessorPil.from_pretrained(folder)(Image.open(photo), return_tensors="pt")
    with torch.no_grad():
        return model(**inputs).logits.numpy()


def run_onnxruntime(folder: Path, photo: str) -> np.ndarray:
    """Without transformers: Pillow and numpy, the least that does the job."""
    import onnxruntime
    from PIL import Image

    image = Image.open(photo).convert("RGB")
    scale = 224 / min(image.size)
    image = image.resize((int(image.width * scale), int(image.height * scale)), Image.Resampling.BILINEAR)
    left, top = (image.width - 224) // 2, (image.height - 224) // 2
    pixels = np.asarray(image.crop((left, top, left + 224, top + 224)), np.float32) / 127.5 - 1
    session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    return session.run(["logits"], {"pixel_values": pixels.transpose(2, 0, 1)[None]})[0]


PROGRAMS = {"onnxruntime": run_onnxruntime, "transformers": run_transformers}

if __name__ == "__main__":
    print(PROGRAMS[sys.argv[1]](Path(sys.argv[2]), sys.argv[3]).argmax())
