"""Makes the committed fixtures of bit-image: small pictures and what transformers' two processors make of them.

    make_fixtures.py            rewrites files/, decoded/ and cases.json beside this script

Needs transformers 5.23.0, Pillow 13.0.0, torch 2.15.0, torchvision 0.29.2 on a CPU with AVX2. Each case holds the
shape and the CRC-32 of the result's little-endian float32 values, and the first values for people to read.
"""

import json
import os
import sys
import zlib
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
import logging
import warnings

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)

import numpy as np
import odd_files
import PIL.Image
from PIL.PngImagePlugin import PngInfo
from transformers import BitImageProcessor, BitImageProcessorPil

HERE = Path(__file__).parent
FILES = HERE / "files"
DECODED = HERE / "decoded"
# Those that only libjpeg-turbo decodes to the same pixels, which DECODED holds; all other JPEGs are baseline in colour.
LIBJPEG = """gray cmyk progressive adobe-gray adobe-rgb adobe-unknown cmyk-plain junk rgb-411 rgb-440 rgb-441 turned-junk
 ycck""".split()
PROCESSORS = {"pil": BitImageProcessorPil, "torchvision": BitImageProcessor}
FILTERS = {"pil": range(6), "torchvision": range(4)}
RAW = {"do_rescale": False, "do_normalize": False}
WHOLE = {"do_resize": False, "do_center_crop": False, **RAW}
REDUCED = {"palette.bmp", "gray-32.tif", "gray-float.tif"}  # whose values are not kept here without conversion to RGB
REDUCED_ODD = ("page-signed-16", "page-unsigned-32", "os2-palette")
DEPARTURES = ("page-none", "frames.webp")  # errors here, or in torchvision only
TORCH_SUFFIXES = {".png", ".jpg", ".gif", ".webp"}


def noise(height, width, channels, seed=0):
    """Noise on a gradient, with saturated stripes."""
    rng = np.random.default_rng([height, width, channels, seed])
    y, x, c = np.mgrid[0:height, 0:width, 0:channels]
    data = 90 * np.sin(x / 5 + c) + 60 * np.cos(y / 7) + 128 + rng.normal(0, 30, (height, width, channels))
    data[:, :: max(3, width // 6)] = 255
    return data.clip(0, 255).astype(np.uint8)


def image(mode, height, width):
    channels = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4, "CMYK": 4}[mode]
    data = noise(height, width, channels)
    return PIL.Image.fromarray(data[..., 0] if channels == 1 else data, mode)


def write_files():
    """One picture a mode and format; returns their names."""
    FILES.mkdir(exist_ok=True)
    for old in FILES.iterdir():
        old.unlink()

    def save(name, picture, **options):
        picture.save(FILES / name, **options)

    rgb, gray = image("RGB", 37, 53), image("L", 31, 43)
    for suffix in ("png", "bmp", "tif"):
        save(f"rgb.{suffix}", rgb)
        save(f"gray.{suffix}", gray)
    save("rgb-lossless.webp", rgb, lossless=True)
    save("rgb-lossy.webp", rgb, quality=70)
    save("rgba.webp", image("RGBA", 25, 30), lossless=True)
    save("rgba.png", image("RGBA", 41, 29))
    save("gray-alpha.png", image("LA", 29, 41))
    save("bilevel.png", gray.convert("1"))
    save("bilevel.bmp", gray.convert("1"))
    save("palette.png", rgb.quantize(200))
    save("palette-4-bit.png", rgb.quantize(13))
    save("palette.bmp", rgb.quantize(60))
    save("palette.gif", rgb.quantize(64))
    save("palette-alphas.png", rgb.quantize(30), transparency=bytes(range(0, 250, 10)))
    save("palette-one-clear.png", rgb.quantize(30), transparency=7)
    save("palette-one-clear.gif", rgb.quantize(30), transparency=7)
    save("gray.gif", gray)
    save("rgb-key.png", rgb, transparency=tuple(int(v) for v in np.asarray(rgb)[2, 3]))
    save("gray-key.png", gray, transparency=int(np.asarray(gray)[2, 3]))
    save("gray-16.png", PIL.Image.fromarray((noise(20, 30, 1)[..., 0].astype(np.uint16) * 5)))
    save("cmyk.tif", image("CMYK", 23, 31), compression="tiff_lzw")
    save("palette.tif", rgb.quantize(60), compression="tiff_lzw")
    save("gray-alpha.tif", image("LA", 23, 31))
    wide = noise(20, 30, 1)[..., 0].astype(np.float32)
    save("gray-32.tif", PIL.Image.fromarray((wide * 3 - 100).astype(np.int32)))
    save("gray-float.tif", PIL.Image.fromarray(wide * 1.7 - 30))
    save("gray.jpg", gray, quality=80)
    save("cmyk.jpg", image("CMYK", 33, 35), quality=85)
    for name, subsampling in (("444", 0), ("422", 1), ("420", 2)):
        save(f"rgb-{name}.jpg", rgb, quality=80, subsampling=subsampling)
        save(f"wide-{name}.jpg", image("RGB", 75, 171), quality=85, subsampling=subsampling)
    save("progressive.jpg", rgb, quality=60, subsampling=2, progressive=True)
    save("restart.jpg", rgb, quality=75, subsampling=2, restart_marker_blocks=3)
    for orientation in range(1, 9):
        exif = PIL.Image.Exif()
        exif[0x0112] = orientation
        save(f"turned-{orientation}.jpg", rgb.resize((24, 16)), quality=90, exif=exif)
    save("turned-6.png", rgb.resize((24, 16)), exif=exif_of(6))
    save("turned-8.webp", rgb.resize((24, 16)), exif=exif_of(8), lossless=True)
    # XMP says the orientation, unless EXIF does; also when EXIF names one that does not exist.
    small, xmp = rgb.resize((24, 16)), b'<rdf:Description tiff:Orientation="6"/>'
    text = PngInfo()
    text.add_itxt("XML:com.adobe.xmp", xmp.decode())
    save("xmp-6.jpg", small, quality=90, xmp=xmp)
    save("xmp-6.png", small, pnginfo=text)
    save("xmp-6.webp", small, lossless=True, xmp=xmp)
    save("xmp-6-exif-3.jpg", small, quality=90, xmp=xmp, exif=exif_of(3))
    save("xmp-6-exif-0.jpg", small, quality=90, xmp=xmp, exif=exif_of(0))
    save("tall.png", image("RGB", 190, 17))
    save("wide.png", image("RGB", 9, 210))
    # Only the first frame counts.
    frames = [image("RGB", 22, 22).rotate(90 * i) for i in range(3)]
    save("frames.webp", frames[0], save_all=True, append_images=frames[1:], lossless=True)
    save("frames.png", frames[0], save_all=True, append_images=frames[1:], disposal=1)
    save("frames.tif", frames[0], save_all=True, append_images=frames[1:], compression="tiff_adobe_deflate")
    for name, data in raw_arrays().items():
        (FILES / f"{name}.bin").write_bytes(data.tobytes())
    names = sorted(p.name for p in FILES.iterdir() if p.suffix != ".bin")
    for name, data in odd_files.files(image):
        (FILES / name).write_bytes(data)
    DECODED.mkdir(exist_ok=True)
    for name in LIBJPEG:
        PIL.Image.open(FILES / f"{name}.jpg").convert("RGB").save(DECODED / f"{name}.png", optimize=True)
    return names, sorted({p.name for p in FILES.iterdir() if p.suffix != ".bin"} - set(names))


def exif_of(orientation):
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    return exif


def raw_arrays():
    arrays = {}
    for channels in (1, 3, 4):
        data = noise(19, 26, channels, seed=1)
        arrays[f"raw-u8-{channels}"] = data
        arrays[f"raw-unit-{channels}"] = (data / np.float32(255)).astype(np.float32)
        arrays[f"raw-whole-{channels}-first"] = np.ascontiguousarray(data.transpose(2, 0, 1)).astype(np.float32)
    return arrays


def cases(names, odd):
    def case(kind, source, name, note, **config):
        return {"processor": kind, "input": {source: name}, "note": note, "config": config}

    for kind in PROCESSORS:
        # Every filter: smaller, larger, mixed, and tall enough for Pillow 13's vertical-first order.
        for name in ("rgb.png", "tall.png", "wide.png", "rgba.png", "gray-alpha.png", "gray.png"):
            for resample in FILTERS[kind]:
                for height, width in ((11, 17), (60, 71), (12, 90), (80, 6)):
                    yield case(kind, "picture", name, "filters", size=[height, width], resample=resample,
                               do_convert_rgb=name in ("tall.png", "wide.png"), do_center_crop=False, **RAW)
        # Every file, by path and opened.
        for name in names:
            if kind == "pil" or Path(name).suffix in TORCH_SUFFIXES and not name.startswith(DEPARTURES):
                yield case(kind, "path", name, "files", **WHOLE)
                yield case(kind, "path", name, "files", size=20, crop_size=24)
            yield case(kind, "picture", name, "files", **WHOLE)
            if name not in REDUCED:
                yield case(kind, "picture", name, "files", do_convert_rgb=False, **WHOLE)
        for name in odd:
            # Where a frame leaves the screen, torchvision shows memory that nobody wrote.
            if name.startswith(DEPARTURES) or kind == "torchvision" and name.startswith("beyond"):
                continue
            if kind == "pil" or Path(name).suffix in TORCH_SUFFIXES:
                yield case(kind, "path", name, "odd files", **WHOLE)
            if kind == "pil":
                if not name.endswith("ramp-clear.gif"):  # where Pillow gives up
                    yield case(kind, "picture", name, "odd files", **WHOLE)
                if not name.startswith(REDUCED_ODD):
                    yield case(kind, "picture", name, "odd files", do_convert_rgb=False, **WHOLE)
        # Size dictionaries, defaults and crops.
        for size in ({"shortest_edge": 30}, {"shortest_edge": 30, "longest_edge": 40}, {"max_height": 20, "max_width": 60},
                     {"height": 21, "width": 22}, 25, [14, 33]):
            for square in (False, True):
                yield case(kind, "picture", "rgb.png", "sizes", size=size, default_to_square=square, do_center_crop=False, **RAW)
        for crop in (1, 16, 37, [40, 20], [20, 60], [61, 62]):
            for resize in (False, True):
                yield case(kind, "picture", "rgb.png", "crops", do_resize=resize, size=31, crop_size=crop)
        # Rescale and normalize, alone and together.
        for config in ({}, {"do_rescale": False}, {"do_normalize": False}, {"rescale_factor": 1 / 127.5},
                       {"image_mean": 0.5, "image_std": 0.25}, RAW):
            yield case(kind, "picture", "rgb.png", "values", size=18, crop_size=18, **config)
        yield case(kind, "picture", "rgb.png", "padding", size=18, crop_size=18, do_pad=True, pad_size={"height": 25, "width": 20})
        # Raw arrays of each type; floats go through their own resize in torch.
        for name in raw_arrays():
            for resample in FILTERS[kind]:
                for convert in (True, False):
                    yield case(kind, "raw", name, "raw", do_convert_rgb=convert, resample=resample, size=[13, 33], do_center_crop=False,
                               do_normalize=convert)


    # Pillow 12 always runs the horizontal pass first; at these sizes Pillow 13 runs the vertical one first.
    for name in ("tall.png", "rgb.png", "rgba.png", "gray-alpha.png"):
        for resample in (1, 2, 3, 4, 5):
            for height, width in ((11, 90), (7, 60)):
                yield case("pil", "picture", name, "order", size=[height, width], resample=resample,
                           do_convert_rgb=name in ("tall.png", "rgb.png"), do_center_crop=False, **RAW) | {"order": "pillow12"}


PILLOW_13 = PIL.Image.Image.resize


def resize_as_pillow_12(self, size, resample=None, box=None, reducing_gap=None):
    """Two resizes of one pass each. Modes with alpha come back here premultiplied."""
    if self.mode not in ("LA", "RGBA"):
        self = PILLOW_13(self, (size[0], self.height), resample)
    return PILLOW_13(self, size, resample)


def reference(case):
    PIL.Image.Image.resize = resize_as_pillow_12 if "order" in case else PILLOW_13
    processor = PROCESSORS[case["processor"]](**case["config"])
    ((source, name),) = case["input"].items()
    if source == "raw":
        data = raw_arrays()[name]
        case["input"] |= {"dtype": "u8" if data.dtype == np.uint8 else "f32", "shape": list(data.shape)}
    picture = {"path": str(FILES / name), "raw": raw_arrays().get(name)}.get(source)
    picture = PIL.Image.open(FILES / name) if source == "picture" else picture
    return processor(picture, return_tensors="np")["pixel_values"][0].astype("<f4")


def main():
    answers = []
    for case in cases(*write_files()):
        try:
            values = reference(case)
        except Exception as error:
            answers.append(case | {"error": str(error)[:120]})
            continue
        first = [round(float(v), 6) for v in values.ravel()[:4]]
        answers.append(case | {"shape": list(values.shape), "crc32": zlib.crc32(values.tobytes()), "first": first})
    lines = ",\n".join(json.dumps(answer, separators=(",", ":")) for answer in answers)
    (HERE / "cases.json").write_text(f"[\n{lines}\n]\n")
    size = sum(p.stat().st_size for p in HERE.rglob("*") if p.is_file())
    print(f"{len(answers)} cases, {sum('error' in a for a in answers)} of them errors, {size / 1024:.0f} KiB")


if __name__ == "__main__":
    sys.exit(main())
