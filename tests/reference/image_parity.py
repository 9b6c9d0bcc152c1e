"""Compares bit-image with transformers' two processors, pixel for pixel.

    image_parity.py --program process_cases [--cases N] [--dir FOLDER] [--seed S]

Random cases cover sizes, modes, file formats, filters, crops, padding, options of the configuration and of a call,
batches, raw arrays and Pillow 12's order of passes; with --dir every picture in a folder is compared instead, opened and
by path, with both processors. Prints one row a processor, filter and stage (`pixels`: before normalization, `floats`:
after), then the faults that both report, and exits with 1 when anything differs or fewer than N cases were compared.

A case is compared when both give values. Where both give an error, transformers' text has to be ours, or the pair has
to be one of FAULTS; such cases are counted apart.

References: transformers 5.23.0, Pillow 13.0.0, torch 2.15.0, torchvision 0.29.2.
"""

import argparse
import itertools
import json
import os
import re
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
RESIZED = []  # what torchvision's resize was asked for


# Faults that are reported in other words here: what the reference says, and what we say.
FAULTS = [
    # torch normalizes one channel in place, and names the shapes.
    (r"output with shape .* doesn't match the broadcast shape", r"The size of tensor a \(\d+\) must match the size of tensor b"),
    # numpy and torch say that a list does not become an array.
    (r"inhomogeneous shape|stack expects each tensor to be equal size", r"images of a batch must have one shape"),
    # torch prints its own type.
    (r"Padding dimensions are negative.*image_size=torch.Size", r"Padding dimensions are negative"),
    (r"Input and output sizes should be greater than 0", r"height and width must be > 0"),
    (r"Input Error: Only 3D, 4D and 5D input Tensors supported .*\(got (box|hamming)\)", r"(box|hamming) is not implemented by torchvision"),
    # The pixels of a 16-bit picture are whole numbers there and floats here.
    (r"outside the range \[0, 255\], got \[\d+, \d+\]", r"outside the range \[0, 255\], got \[\d+\.0, \d+\.0\]"),
    # A TIFF of 64-bit floats.
    (r"UnidentifiedImageError: cannot identify image file", r"not an image|does not support"),
    # Two faults at once: torchvision's backend resizes all of a batch before it normalizes any, and looks at the filter
    # before it looks at the size.
    (r"Input and output sizes should be greater than 0", r"The size of tensor a \(\d+\) must match the size of tensor b"),
    (r"Input Error: Only 3D, 4D and 5D input Tensors supported .*\(got (box|hamming)\)", r"height and width must be > 0"),
    (r"Cannot handle this data type: \(1, 1, \d+\)", r"expected 1 to 4 channels, found"),
]

PILLOW_13 = PIL.Image.Image.resize


def resize_as_pillow_12(self, size, resample=None, box=None, reducing_gap=None):
    """The horizontal pass first, always. Modes with alpha come back here premultiplied."""
    if self.mode not in ("LA", "RGBA"):
        self = PILLOW_13(self, (size[0], self.height), resample)
    return PILLOW_13(self, size, resample)


def spy(image, size, *args, resize=backends.tvF.resize, **kwargs):
    RESIZED.append((image.dtype, size[1]))
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
    layout = str(rng.choice(["channels_first", "channels_last"]))
    if layout == "channels_first":
        data = np.ascontiguousarray(data.transpose(2, 0, 1))
    path = folder / f"case-{index}.bin"
    path.write_bytes(data.tobytes())
    return path, data, dtype, layout


def random_config(rng, kind):
    """Random options; every third case is a plain resize, the rest mix all steps."""
    resample = int(rng.choice(TORCH_FILTERS if kind == "torchvision" else list(FILTERS)))
    if rng.integers(40) == 0:
        resample = int(rng.integers(6))
    sizes = [
        {"shortest_edge": int(rng.integers(1, 160))},
        {"height": int(rng.integers(1, 300)), "width": int(rng.integers(1, 300))},
        {"shortest_edge": int(rng.integers(1, 200)), "longest_edge": int(rng.integers(50, 300))},
        {"max_height": int(rng.integers(5, 300)), "max_width": int(rng.integers(5, 300))},
        int(rng.integers(1, 160)),
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


def one_shape(rng, config):
    """Makes most batches end with one shape, by a crop, an exact size, or padding to the largest."""
    way = rng.integers(4)
    if way == 0:
        config |= {"do_center_crop": True}
    elif way == 1:
        config |= {"do_resize": True, "size": [int(rng.integers(1, 200)), int(rng.integers(1, 200))]}
    elif way == 2:
        config |= {"do_pad": True, "pad_size": None}


def overrides(rng, kind):
    """What a call says otherwise than the configuration."""
    other = random_config(rng, kind)
    other.pop("default_to_square")
    return {key: value for key, value in other.items() if rng.integers(3) == 0}


def raw_batch(rng, folder, index, count):
    """Arrays of one kind: all numpy or all torch, all of one type. Also returns their layouts."""
    arrays = [raw(rng, folder, f"{index}-{i}") for i in range(count)]
    arrays = [array for array in arrays if array[2] == arrays[0][2]]
    inputs = [{"raw": str(path), "dtype": dtype[:3].strip(), "shape": list(data.shape)} for path, data, dtype, _ in arrays]
    wrap = torch.from_numpy if rng.integers(2) else np.asarray
    return inputs, [wrap(array[1]) for array in arrays], f"raw {arrays[0][2]}", {array[3] for array in arrays}


def picture_batch(rng, folder, index, count, kind):
    files = []
    while len(files) < count:
        try:
            files.append(picture(rng, folder, f"{index}-{len(files)}"))
        except OSError:  # Pillow's JPEG writer cannot encode some tiny noisy pictures
            continue
    # torchvision decodes only these; here the other formats work by path too.
    decodable = kind == "pil" or all(path.suffix in TORCH_SUFFIXES for path, _ in files)
    source = "path" if rng.integers(3) == 0 and decodable else "picture"
    return [{source: str(path)} for path, _ in files], None, f"{source} {files[0][1]}"


def random_case(rng, folder, index):
    kind = str(rng.choice(list(PROCESSORS)))
    config = random_config(rng, kind)
    count = int(rng.integers(2, 5)) if rng.integers(5) == 0 else 1
    if count > 1:
        one_shape(rng, config)
    options = overrides(rng, kind) if rng.integers(4) == 0 else {}
    if rng.integers(4) == 0:
        inputs, arrays, note, layouts = raw_batch(rng, folder, index, count)
        if rng.integers(4) == 0 and len(layouts) == 1:
            options["input_data_format"] = layouts.pop()
    else:
        inputs, arrays, note = picture_batch(rng, folder, index, count, kind)
    case = {"processor": kind, "config": config, "options": options, "inputs": inputs}
    if kind == "pil" and rng.integers(4) == 0:
        case["order"] = "pillow12"
    return case, arrays, note


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
                        yield {"processor": kind, "config": config, "inputs": [{source: str(path)}]}, None, f"{source} {path.suffix}"
                without = {"do_convert_rgb": False, "do_center_crop": False, "resample": 2, **RAW}
                yield {"processor": kind, "config": without, "inputs": [{source: str(path)}]}, None, f"{source} {path.suffix}"


def reference(case, arrays):
    RESIZED.clear()
    PIL.Image.Image.resize = resize_as_pillow_12 if case.get("order") else PILLOW_13
    processor = PROCESSORS[case["processor"]](**case["config"])
    images = arrays or [source.get("path") or PIL.Image.open(source["picture"]) for source in case["inputs"]]
    images = images[0] if len(images) == 1 else images
    values = processor(images, return_tensors="np", **case.get("options", {}))["pixel_values"]
    if values.dtype == object:
        raise ValueError("inhomogeneous shape")  # an array of arrays, which is no tensor
    # torchvision makes an image of every frame of an animated GIF; here it is the first one.
    return values[:1] if len(case["inputs"]) == 1 else values


def same_fault(reference, ours):
    """True when transformers' words are ours, or the two are known to mean the same."""
    if reference.split(": ", 1)[1] in ours:
        return True
    return any(re.search(theirs, reference) and re.search(mine, ours) for theirs, mine in FAULTS)


def is_fault_of_torch(error):
    """Results of 1x1 are an internal assertion; one row is repeated when floats are resized to a width of 1."""
    return "INTERNAL ASSERT" in (error or "") or any(dtype != torch.uint8 and width == 1 for dtype, width in RESIZED)


IMAGE = re.compile(r"^(image \d+ \([a-z ]+\)|/\S+): ")  # what a fault is about


def shortened(fault):
    """Without what differs from case to case."""
    return re.sub(r"[-\d.e+]*\d(?:[.,x ]+\d+)*|/\S+", "N", fault)[:150].replace("|", "/")


class Tally:
    def __init__(self, name_files):
        self.name_files = name_files
        self.rows = defaultdict(lambda: dict(cases=0, values=0, differing=0, largest=0.0))
        self.failures = []
        self.faults = defaultdict(int)
        self.skipped = 0
        self.kinds = defaultdict(int)

    @property
    def compared(self):
        return sum(row["cases"] for row in self.rows.values())

    def add(self, case, note, expected, found, error, ours_error):
        if is_fault_of_torch(error):
            self.skipped += 1
        elif error and ours_error:
            file = Path(next(iter(case["inputs"][0].values()))).name + ": " if self.name_files else ""
            self.faults[file + shortened(error), shortened(IMAGE.sub("", ours_error))] += 1
            if not same_fault(error, ours_error):
                self.failures.append((note, case, f"reference: {error[:200]}; here: {ours_error}"))
        elif error or ours_error:
            self.failures.append((note, case, f"reference: {error or 'ok'}; here: {ours_error or 'ok'}"))
        elif expected.shape != found.shape:
            self.failures.append((note, case, f"reference shape {expected.shape}, here {found.shape}"))
        else:
            self.compare(case, note, expected.astype(np.float32), found)

    def compare(self, case, note, expected, found):
        config = case["config"] | case.get("options", {})
        stage = "pixels" if not config.get("do_rescale", True) and not config.get("do_normalize", True) else "floats"
        name = FILTERS[config["resample"]] if config.get("do_resize", True) else "no resize"
        self.kinds["batches"] += len(case["inputs"]) > 1
        self.kinds["padded to the batch"] += bool(config.get("do_pad") and not config.get("pad_size"))
        self.kinds["with options of the call"] += bool(case.get("options"))
        self.kinds["in Pillow 12's order"] += "order" in case
        row = self.rows[case["processor"], name, stage]
        row["cases"] += 1
        row["values"] += expected.size
        differing = ~((expected == found) | (np.isnan(expected) & np.isnan(found)))
        if differing.any():
            count, largest = int(differing.sum()), float(np.abs(expected.astype(np.float64) - found)[differing].max())
            row["differing"] += count
            row["largest"] = max(row["largest"], largest)
            self.failures.append((note, case, f"{count} of {expected.size} differ, by up to {largest:g}"))

    def report(self, least):
        print(f"| {'processor':11} | {'filter':9} | {'stage':6} | {'cases':>6} | {'values':>12} | {'differing':>9} | {'largest':>8} |")
        print("|---|---|---|---:|---:|---:|---:|")
        for (kind, name, stage), row in sorted(self.rows.items()):
            print(f"| {kind:11} | {name:9} | {stage:6} | {row['cases']:6} | {row['values']:12} | {row['differing']:9} | {row['largest']:8.3g} |")
        total = {key: sum(row[key] for row in self.rows.values()) for key in ("cases", "values", "differing")}
        print(f"total: {total['cases']} cases, {total['values']} values, {total['differing']} differing; {len(self.failures)} cases disagree")
        kinds = ", ".join(f"{count} {kind}" for kind, count in self.kinds.items() if count)
        print(f"of them {kinds}" * bool(kinds), end="\n" * bool(kinds))
        print(f"not among them: {sum(self.faults.values())} cases that are errors in both, {self.skipped} that torch gets wrong")
        for (theirs, ours), count in sorted(self.faults.items(), key=lambda item: -item[1]):
            print(f"  {count} x {theirs}" + (f"\n      here: {ours}" if theirs.rsplit("Error: ", 1)[-1] not in ours else ""))
        groups = defaultdict(list)
        for note, case, what in self.failures:
            groups[note, case["processor"]].append((case, what))
        for (note, kind), items in sorted(groups.items(), key=lambda item: -len(item[1]))[:25]:
            print(f"\n{len(items)} x {kind} {note}: e.g.")
            for case, what in items[:2]:
                print(f"    {what[:300]}\n    {json.dumps(case)}")
        return 1 if self.failures or self.compared < least else 0


def run(program, cases, tally):
    with tempfile.TemporaryDirectory() as work:
        listing, output = Path(work, "cases.jsonl"), Path(work, "output.bin")
        listing.write_text("".join(json.dumps(case) + "\n" for case, _, _ in cases))
        answers = subprocess.run([program, listing, output], check=True, capture_output=True, text=True).stdout
        answers = [json.loads(line) for line in answers.splitlines()]
        values, offset = np.fromfile(output, "<f4"), 0
        for (case, arrays, note), answer in zip(cases, answers, strict=True):
            expected = found = error = None
            try:
                expected = reference(case, arrays)
            except Exception as e:  # any failure of the reference is an answer to compare with
                error = f"{type(e).__name__}: {e}"
            if "shape" in answer:
                size = int(np.prod(answer["shape"]))
                found, offset = values[offset : offset + size].reshape(answer["shape"]), offset + size
            tally.add(case, note, expected, found, error, answer.get("error"))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--program", required=True)
    parser.add_argument("--cases", type=int, default=10000, help="least number of random cases that give values")
    parser.add_argument("--dir")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--chunk", type=int, default=400)
    args = parser.parse_args()
    tally = Tally(name_files=bool(args.dir))
    with tempfile.TemporaryDirectory() as work:
        if args.dir:
            cases = folder_cases(args.dir)
        else:
            cases = (random_case(np.random.default_rng([args.seed, i]), Path(work), i) for i in itertools.count())
        while chunk := list(itertools.islice(cases, args.chunk)):
            run(args.program, chunk, tally)
            for file in Path(work).iterdir():
                file.unlink()
            if not args.dir and tally.compared >= args.cases:
                break
    sys.exit(tally.report(0 if args.dir else args.cases))


if __name__ == "__main__":
    main()
