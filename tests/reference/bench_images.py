"""Times bit-image beside transformers' two processors on the same files, contenders taking turns.

    bench_images.py --program preprocess_loop [--rounds N] [--dir FOLDER]

A 1920x1080 4:2:0 JPEG made from a seed is turned into a [3, 224, 224] tensor, from the file each time: the median of
N rounds and the ratio to transformers, one thread each. Then a folder (24 such pictures four times, unless --dir names
one) is prepared as one batch with one thread and with two, by turns: the median of the rounds' ratios. Prints which bars
are met, and ends with 3 when one is missed.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
import logging
import warnings

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)

import numpy as np
import PIL.Image
import torch
from transformers import BitImageProcessor, BitImageProcessorPil

torch.set_num_threads(1)
# How many times as fast as transformers' processor, and as one thread.
BARS = {"pil": 3.5, "torchvision": 1.6}
TWO_THREADS = 1.9
MISSED = 3  # the exit status that xtask knows


def photo(seed, height=1080, width=1920):
    """A picture with the detail of a photograph: a sum of smoothed noises."""
    rng = np.random.default_rng(seed)
    picture = np.zeros((height, width, 3))
    for scale, strength in [(120, 60), (30, 30), (8, 15), (2, 7), (1, 3)]:
        noise = rng.normal(0, strength, (height // scale + 2, width // scale + 2, 3))
        planes = [PIL.Image.fromarray(noise[..., c].astype(np.float32)).resize((width, height), 2) for c in range(3)]
        picture += np.stack([np.asarray(plane) for plane in planes], -1)
    return PIL.Image.fromarray((picture + 128).clip(0, 255).astype(np.uint8))


class Ours:
    def __init__(self, program):
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __call__(self, processor, files, threads=None):
        request = {"processor": processor, "files": [str(file) for file in files]}
        if threads:
            request["threads"] = threads
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())


def timed(work):
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--program", required=True)
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--dir")
    args = parser.parse_args()
    ours, peers = Ours(args.program), {"pil": BitImageProcessorPil(), "torchvision": BitImageProcessor()}
    with tempfile.TemporaryDirectory() as work:
        files = [Path(work, f"{seed}.jpg") for seed in range(24)]
        for seed, file in enumerate(files):
            photo(seed).save(file, quality=90, subsampling=2)
        contenders = {}
        for name, peer in peers.items():
            contenders[f"transformers {name}"] = lambda peer=peer: timed(lambda: peer(str(files[0]), return_tensors="pt"))
            contenders[f"bit-image {name}"] = lambda name=name: ours(name, files[:1])
        times = {name: [] for name in contenders}
        for _ in range(args.rounds + 2):
            for name, run in contenders.items():
                times[name].append(run())
        median = {name: statistics.median(values[2:]) * 1e3 for name, values in times.items()}
        print("1920x1080 4:2:0 JPEG to 224, one thread, from the file:")
        for name, value in median.items():
            print(f"  {name:24} {value:7.2f} ms  (fastest {min(times[name]) * 1e3:.2f})")
        met = []
        for name in peers:
            ratio = median[f"transformers {name}"] / median[f"bit-image {name}"]
            met.append(ratio >= BARS[name])
            print(f"  ratio {name}: {ratio:.2f} (bar {BARS[name]}: {'met' if met[-1] else 'missed'})")

        # Four times, because whoever ends first waits for one picture of the other thread.
        files = files * 4
        if args.dir:
            files = sorted(p for p in Path(args.dir).rglob("*") if p.suffix.lower() in (".png", ".jpg", ".jpeg"))
        print(f"{len(files)} files as one batch:")
        for name in peers:
            rounds = [[ours(name, files, threads) for threads in (1, 2)] for _ in range(args.rounds + 2)]
            one, two = (statistics.median(values) for values in zip(*rounds[2:]))
            ratio = statistics.median(one / two for one, two in rounds[2:])
            met.append(ratio >= TWO_THREADS)
            print(f"  bit-image {name:12} one thread {one * 1e3:.0f} ms, two {two * 1e3:.0f} ms: {ratio:.2f} times as fast "
                  f"(bar {TWO_THREADS}: {'met' if met[-1] else 'missed'})")
    ours.process.stdin.close()
    ours.process.wait()
    sys.exit(0 if all(met) else MISSED)


if __name__ == "__main__":
    main()
