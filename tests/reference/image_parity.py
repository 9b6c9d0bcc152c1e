"""Compares bit-image with transformers' two processors, pixel for pixel.

    image_parity.py --program process_cases [--cases N] [--dir FOLDER] [--seed S]

Random cases cover sizes, modes, file formats, filters, crops, options and raw arrays; with --dir every picture in a
folder is compared instead, opened and by path, with both processors. Prints one row a processor, filter and stage
(`pixels`: before normalization, `floats`: after) and exits with 1 when anything differs.

References: transformers 5.23.0, Pillow 13.0.0, torch 2.15.0, torchvision 0.29.2.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from collections import defaultdict
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
from transformers import image_processing_backends as backends

torch.set_num_threads(1)
RESIZED = []  # what torchvision's resize was last asked for


def spy(image, size, *args, resize=backends.tvF.resize, **kwargs):
    RESIZED[:] = [image.dtype, size[1]]
    return resize(image, size, *args, **kwargs)


backends.tvF.resize = spy
PROCESSORS = {"pil": BitImageProcessorPil, "torchvision": BitImageProcessor}
FILTERS = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic", 4: "box", 5: "hamming"}
TORCH_FILTERS = [0, 1, 2, 3]
RAW = {"do_rescale": False, "do_normalize": False}
TORCH_SUFFIXES = {".png", ".jpg", ".jpeg", ".gif", ".webp"}
SUFFIXES = {".png", ".jpg", ".jpeg", ".gif", ".webp", ".bmp", ".tif", ".tiff"}


def content(rng, height, width, channels):
    """Pixels with edges, gradients, noise and saturated areas: each finds other mistakes."""
    kind = rng.integers(4)
    shape = (height, width, channels)
    if kind == 0:
        return rng.integers(0, 256, shape, dtype=np.uint8)
    if kind == 1:
        return (rng.integers(0, 2, shape) * 255).astype(np.uint8)
    y, x = np.mgrid[0:height, 0:width]
    phase = rng.random((channels, 3)) * [0.5, 0.5, 6.3]
    waves = [np.sin(a * y + b * x + c) for a, b, c in phase]
    smooth = np.stack(waves, -1) * 140 + 127
    if kind == 2:
        smooth = smooth + rng.normal(0, 20, shape)
    return smooth.clip(0, 255).astype(np.uint8)


def side(rng):
    return int(rng.choice([rng.integers(1, 12), rng.integers(12, 100), rng.integers(100, 420)]))


def picture(rng, folder, index):
    """A picture file in a random mode and format."""
    height, width = side(rng), side(rng)
    mode = str(rng.choice(["1", "L", "LA", "P", "PT", "RGB", "RGB", "RGBT", "LT", "RGBA", "CMYK", "I;16", "JPEG", "JPEG"]))
    stem = folder / f"case-{index}"

    def image(channels, pil_mode):
        data = content(rng, height, width, channels)
        return PIL.Image.fromarray(data[..., 0] if channels == 1 else data, pil_mode)

    if mode == "JPEG":
        kind = str(rng.choice(["L", "RGB", "RGB", "CMYK"]))
        im = image({"L": 1, "RGB": 3, "CMYK": 4}[kind], kind)
        options = {"quality": int(rng.integers(20, 101)), "progressive": bool(rng.integers(2))}
        if kind != "L":
            options["subsampling"] = int(rng.integers(3))
        if rng.integers(3) == 0:
            options["restart_marker_blocks"] = int(rng.integers(1, 9))
        if rng.integers(3) == 0:
            exif = PIL.Image.Exif()
            exif[0x0112] = int(rng.integers(1, 9))
            options["exif"] = exif
        im.save(stem.with_suffix(".jpg"), **options)
        return stem.with_suffix(".jpg"), f"JPEG {kind}"
    if mode == "I;16":
        data = rng.integers(0, rng.choice([256, 400, 65536]), (height, width)).astype(np.uint16)
        PIL.Image.fromarray(data).save(stem.with_suffix(".png"))
        return stem.with_suffix(".png"), mode
    if mode == "CMYK":
        image(4, "CMYK").save(stem.with_suffix(".tif"), compression=str(rng.choice(["raw", "tiff_lzw"])))
        return stem.with_suffix(".tif"), mode
    if mode in ("P", "PT"):
        im = image(3, "RGB").quantize(int(rng.integers(2, 257)))
        options = {}
        if mode == "PT":
            options["transparency"] = rng.integers(0, 256, int(rng.integers(1, 40)), dtype=np.uint8).tobytes()
        suffix = str(rng.choice([".png", ".gif"]))
        if suffix == ".gif" and options:
            options["transparency"] = int(rng.integers(0, 20))
        im.save(stem.with_suffix(suffix), **options)
        return stem.with_suffix(suffix), f"{mode}{suffix}"
    if mode == "1":
        im = image(1, "L").convert("1")
    elif mode == "LT":
        im = image(1, "L")
        im.info["transparency"] = int(np.asarray(im)[0, 0])
    elif mode == "RGBT":
        im = image(3, "RGB")
        im.info["transparency"] = tuple(int(v) for v in np.asarray(im)[0, 0])
    else:
        im = image({"L": 1, "LA": 2, "RGB": 3, "RGBA": 4}[mode], mode)
    suffixes = {"RGB": [".png", ".bmp", ".webp", ".tif", ".gif"], "RGBA": [".png", ".webp", ".tif"], "L": [".png", ".bmp", ".tif", ".gif"]}
    suffix = str(rng.choice(suffixes.get(mode, [".png"])))
    options = {"lossless": bool(rng.integers(2))} if suffix == ".webp" else {}
    if "transparency" in im.info:
        options["transparency"] = im.info["transparency"]
    im.save(stem.with_suffix(suffix), **options)
    return stem.with_suffix(suffix), f"{mode}{suffix}"


def raw(rng, folder, index):
    """A raw array, as bytes or floats, channels first or last."""
    channels = int(rng.choice([1, 3, 3, 4]))
    height, width = side(rng), side(rng)
    data = content(rng, height, width, channels)
    dtype = str(rng.choice(["u8", "f32", "f32 whole"]))
    if dtype == "f32":
        data = (data / np.float32(255)).astype(np.float32)
    elif dtype == "f32 whole":
        data = data.astype(np.float32)
    if rng.integers(2):
        data = np.ascontiguousarray(data.transpose(2, 0, 1))
    path = folder / f"case-{index}.bin"
    path.write_bytes(data.tobytes())
    return path, data, dtype


def random_config(rng, kind):
    """Random options; every third case is a plain resize, the rest mix all steps."""
    resample = int(rng.choice(TORCH_FILTERS if kind == "torchvision" else list(FILTERS)))
    if rng.integers(40) == 0:
        resample = int(rng.integers(6))
    sizes = [
        {"shortest_edge": int(rng.integers(1, 300))},
        {"height": int(rng.integers(1, 300)), "width": int(rng.integers(1, 300))},
        {"shortest_edge": int(rng.integers(1, 200)), "longest_edge": int(rng.integers(50, 300))},
        {"max_height": int(rng.integers(5, 300)), "max_width": int(rng.integers(5, 300))},
        int(rng.integers(1, 250)),
        [int(rng.integers(1, 300)), int(rng.integers(1, 300))],
    ]
    config = {
        "do_convert_rgb": bool(rng.integers(3)),
        "do_resize": bool(rng.integers(8)),
        "size": sizes[rng.integers(len(sizes))],
        "default_to_square": bool(rng.integers(2)),
        "resample": resample,
        "do_center_crop": bool(rng.integers(2)),
        "crop_size": {"height": int(rng.integers(1, 260)), "width": int(rng.integers(1, 260))},
        "do_rescale": bool(rng.integers(3)),
        "rescale_factor": float(rng.choice([1 / 255, 1 / 255, 1 / 127.5, 0.003])),
        "do_normalize": bool(rng.integers(3)),
        "image_mean": [0.48145466, 0.4578275, 0.40821073] if rng.integers(2) else 0.5,
        "image_std": [0.26862954, 0.26130258, 0.27577711] if rng.integers(2) else [0.5, 0.5, 0.5],
    }
    if rng.integers(6) == 0:
        config |= {"do_pad": True, "pad_size": {"height": int(rng.integers(200, 700)), "width": int(rng.integers(200, 700))}}
    if rng.integers(3) == 0:
        config |= RAW
    return config


def random_case(rng, folder, index):
    kind = str(rng.choice(list(PROCESSORS)))
    config = random_config(rng, kind)
    if rng.integers(4) == 0:
        path, data, dtype = raw(rng, folder, index)
        case = {"raw": str(path), "dtype": dtype[:3].strip(), "shape": list(data.shape)}
        return {"processor": kind, "config": config, "input": case}, (data if rng.integers(2) else torch.from_numpy(data)), f"raw {dtype}"
    while True:
        try:
            path, mode = picture(rng, folder, index)
            break
        except OSError:  # Pillow's JPEG writer cannot encode some tiny noisy pictures
            continue
    # torchvision decodes only these; here the other formats work by path too.
    decodable = kind == "pil" or path.suffix in TORCH_SUFFIXES
    source = "path" if rng.integers(3) == 0 and decodable else "picture"
    return {"processor": kind, "config": config, "input": {source: str(path)}}, None, f"{source} {mode}"


def folder_cases(folder):
    """Each picture of a folder: by path and opened, both processors, several filters, pixels and floats."""
    paths = sorted(p for p in Path(folder).rglob("*") if p.suffix.lower() in SUFFIXES)
    for index, path in enumerate(paths):
        for kind in PROCESSORS:
            for source in ("path", "picture"):
                if source == "path" and kind == "torchvision" and path.suffix.lower() not in TORCH_SUFFIXES:
                    continue
                filters = TORCH_FILTERS if kind == "torchvision" else list(FILTERS)
                for resample in (3, filters[index % len(filters)]):
                    for stage in (RAW, {}):
                        config = {"resample": resample, **stage}
                        yield {"processor": kind, "config": config, "input": {source: str(path)}}, None, f"{source} {path.suffix}"
                without = {"do_convert_rgb": False, "do_center_crop": False, "resample": 2, **RAW}
                yield {"processor": kind, "config": without, "input": {source: str(path)}}, None, f"{source} {path.suffix}"


def reference(case, array):
    RESIZED.clear()
    processor = PROCESSORS[case["processor"]](**case["config"])
    source = case["input"]
    if array is not None:
        image = array
    elif "path" in source:
        image = source["path"]
    else:
        image = PIL.Image.open(source["picture"])
    return processor(image, return_tensors="np")["pixel_values"][0]


class Tally:
    def __init__(self):
        self.rows = defaultdict(lambda: dict(cases=0, values=0, differing=0, largest=0.0))
        self.failures = []
        self.errors = 0

    def add(self, case, note, expected, found, error, ours_error):
        config = case["config"]
        stage = "pixels" if not config.get("do_rescale", True) and not config.get("do_normalize", True) else "floats"
        name = FILTERS[config["resample"]] if config.get("do_resize", True) else "no resize"
        if error and "INTERNAL ASSERT" in error:
            return  # a fault of torch (1x1 results), not an answer
        if RESIZED and RESIZED[0] != torch.uint8 and RESIZED[1] == 1:
            return  # torch repeats one row when floats are resized to a width of 1
        row = self.rows[case["processor"], name, stage]
        row["cases"] += 1
        if error or ours_error:
            self.errors += bool(error and ours_error)
            if not (error and ours_error):
                self.failures.append((note, case, f"reference: {error or 'ok'}; here: {ours_error or 'ok'}"))
            return
        if expected.shape != found.shape:
            self.failures.append((note, case, f"reference shape {expected.shape}, here {found.shape}"))
            return
        expected = expected.astype(np.float32)
        differing = ~((expected == found) | (np.isnan(expected) & np.isnan(found)))
        row["values"] += expected.size
        if differing.any():
            count, largest = int(differing.sum()), float(np.abs(expected.astype(np.float64) - found)[differing].max())
            row["differing"] += count
            row["largest"] = max(row["largest"], largest)
            self.failures.append((note, case, f"{count} of {expected.size} differ, by up to {largest:g}"))

    def report(self):
        print(f"| {'processor':11} | {'filter':9} | {'stage':6} | {'cases':>6} | {'values':>12} | {'differing':>9} | {'largest':>8} |")
        print("|---|---|---|---:|---:|---:|---:|")
        for (kind, name, stage), row in sorted(self.rows.items()):
            print(f"| {kind:11} | {name:9} | {stage:6} | {row['cases']:6} | {row['values']:12} | {row['differing']:9} | {row['largest']:8.3g} |")
        total = {key: sum(row[key] for row in self.rows.values()) for key in ("cases", "values", "differing")}
        print(f"total: {total['cases']} cases, {total['values']} values, {total['differing']} differing; "
              f"{self.errors} cases are errors in both, {len(self.failures)} cases disagree")
        groups = defaultdict(list)
        for note, case, what in self.failures:
            groups[note, case["processor"]].append((case, what))
        for (note, kind), items in sorted(groups.items(), key=lambda item: -len(item[1]))[:25]:
            print(f"\n{len(items)} x {kind} {note}: e.g.")
            for case, what in items[:2]:
                print(f"    {what[:300]}\n    {json.dumps(case)}")
        return 1 if self.failures else 0


def run(program, cases, tally):
    with tempfile.TemporaryDirectory() as work:
        listing, output = Path(work, "cases.jsonl"), Path(work, "output.bin")
        listing.write_text("".join(json.dumps(case) + "\n" for case, _, _ in cases))
        answers = subprocess.run([program, listing, output], check=True, capture_output=True, text=True).stdout
        answers = [json.loads(line) for line in answers.splitlines()]
        values, offset = np.fromfile(output, "<f4"), 0
        for (case, array, note), answer in zip(cases, answers, strict=True):
            expected = found = error = None
            try:
                expected = reference(case, array)
            except Exception as e:  # any failure of the reference is an answer to compare with
                error = f"{type(e).__name__}: {e}"
            if "shape" in answer:
                size = int(np.prod(answer["shape"]))
                found, offset = values[offset : offset + size].reshape(answer["shape"]), offset + size
            tally.add(case, note, expected, found, error, answer.get("error"))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--program", required=True)
    parser.add_argument("--cases", type=int, default=10600)
    parser.add_argument("--dir")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--chunk", type=int, default=400)
    args = parser.parse_args()
    tally = Tally()
    with tempfile.TemporaryDirectory() as work:
        if args.dir:
            cases = folder_cases(args.dir)
        else:
            seeds = np.random.SeedSequence(args.seed).spawn(args.cases)
            cases = (random_case(np.random.default_rng(seed), Path(work), i) for i, seed in enumerate(seeds))
        chunk = []
        for case in cases:
            chunk.append(case)
            if len(chunk) == args.chunk:
                run(args.program, chunk, tally)
                chunk = []
                for file in Path(work).iterdir():
                    file.unlink()
        if chunk:
            run(args.program, chunk, tally)
    sys.exit(tally.report())


if __name__ == "__main__":
    main()
