"""Pictures that few programs write: made by editing bytes, since Pillow does not write them either."""

import io
import struct
import zlib

import numpy as np
import PIL.Image

TYPES = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i"}


def files(image):
    """The name and the bytes of each; `image(mode, height, width)` makes a picture."""
    yield from jpegs(image)
    yield from orientations(image)
    yield from gifs(image)
    yield from tiffs()
    yield from bmps()


def saved(picture, kind, **options):
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


# JPEG


def segment(marker, body):
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def after_start(jpeg, data):
    return jpeg[:2] + data + jpeg[2:]


def reshaped(jpeg, height, width, factors):
    """The same blocks under other sampling factors: a scrambled picture, and a valid file."""
    at = jpeg.index(b"\xff\xc0")
    header = bytearray(jpeg[at : at + 19])
    struct.pack_into(">HH", header, 5, height, width)
    header[11] = factors
    return jpeg[:at] + bytes(header) + jpeg[at + 19 :]


def jpegs(image):
    rgb, small, cmyk = image("RGB", 40, 64), image("RGB", 32, 64), image("CMYK", 24, 40)
    plain = saved(rgb, "JPEG", quality=80, subsampling=0)
    yield "jfif-2.jpg", plain.replace(b"JFIF\0\1", b"JFIF\0\2")
    yield "junk.jpg", plain[:20] + b"junk" + plain[20:]
    adobe = lambda transform: segment(0xEE, b"Adobe\0\x64" + bytes(4) + bytes([transform]))
    # Without a JFIF header, which would decide about the colours.
    yield "adobe-unknown.jpg", plain[:2] + adobe(7) + plain[20:]
    yield "adobe-gray.jpg", after_start(saved(image("L", 24, 40), "JPEG"), adobe(1))
    yield "adobe-rgb.jpg", saved(rgb, "JPEG", quality=80, keep_rgb=True)
    yield "rgb-440.jpg", reshaped(saved(rgb, "JPEG", quality=80, subsampling=1), 64, 40, 0x12)
    yield "rgb-411.jpg", reshaped(saved(small, "JPEG", quality=80, subsampling=2), 32, 64, 0x41)
    yield "rgb-441.jpg", reshaped(saved(small, "JPEG", quality=80, subsampling=2), 64, 32, 0x14)
    inks = saved(cmyk, "JPEG", quality=80)
    at = inks.index(b"Adobe")
    yield "ycck.jpg", inks[: at + 11] + b"\2" + inks[at + 12 :]
    yield "cmyk-plain.jpg", inks[: at - 4] + inks[at + 12 :]


# Orientations


def exif(kind, value, order="<"):
    """An EXIF block with an orientation of this TIFF type."""
    value = struct.pack(order + TYPES[kind], value).ljust(4, b"\0")
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "IH", 8, 1)
    return head + struct.pack(order + "HHI", 0x0112, kind, 1) + value + bytes(4)


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def orientations(image):
    picture = image("RGB", 16, 24)
    jpeg, png = saved(picture, "JPEG", quality=90), saved(picture, "PNG")
    app1 = lambda data: segment(0xE1, b"Exif\0\0" + data)
    xmp = b"http://ns.adobe.com/xap/1.0/\0<rdf:Description tiff:Orientation=\"8\"/>"
    early, late = (lambda data: png[:33] + data + png[33:]), (lambda data: png[:-12] + data + png[-12:])
    for name, kind, order in (("long", 4, "<"), ("long-big", 4, ">"), ("byte", 1, "<"), ("signed", 8, ">")):
        yield f"turned-{name}.jpg", after_start(jpeg, app1(exif(kind, 6, order)))
    yield "turned-byte-xmp.jpg", after_start(jpeg, app1(exif(1, 6)) + segment(0xE1, xmp))
    yield "turned-after-xmp.jpg", after_start(jpeg, segment(0xE1, xmp) + app1(exif(3, 6)))
    yield "turned-junk.jpg", after_start(jpeg, b"\xff\0junk" + app1(exif(3, 6)))
    yield "turned-two-parts.jpg", after_start(jpeg, app1(exif(3, 6)[:12]) + app1(exif(3, 6)[12:]))
    yield "turned-twice.jpg", after_start(jpeg, app1(b"Exif\0\0" + exif(3, 6)))
    yield "turned-prefix.png", early(chunk(b"eXIf", b"Exif\0\0" + exif(3, 6)))
    yield "turned-late.png", late(chunk(b"eXIf", exif(3, 6)))
    yield "turned-prefix.webp", saved(picture, "WEBP", lossless=True, exif=b"Exif\0\0" + exif(3, 6))
    digits = (b"Exif\0\0" + exif(3, 6)).hex()
    text = f"\nexif\n{len(digits) // 2:8}\n{digits[:50]}\n{digits[50:]}\n".encode()
    keyword = b"Raw profile type exif\0"
    yield "turned-raw.png", early(chunk(b"tEXt", keyword + text))
    yield "turned-raw-packed.png", late(chunk(b"zTXt", keyword + b"\0" + zlib.compress(text)))
    yield "turned-xmp-text.png", early(chunk(b"tEXt", b"XML:com.adobe.xmp\0" + xmp))


# GIF


def frame(picture, left, top, palette, clear=None):
    """A frame with a palette of its own."""
    gif = saved(picture, "GIF")
    at = 13 + 3 * (2 << (gif[10] & 7))
    at = gif.index(b",", at)
    _, _, _, width, height, flags = struct.unpack_from("<BHHHHB", gif, at)
    size = (len(palette) // 3).bit_length() - 2
    control = b"" if clear is None else b"!\xf9\4\1\0\0" + bytes([clear]) + b"\0"
    head = struct.pack("<BHHHHB", ord(","), left, top, width, height, (flags & 0x40) | 0x80 | size)
    return control + head + palette + gif[at + 10 : -1]


def gif(width, height, palette, background, *frames):
    size = (len(palette) // 3).bit_length() - 2
    screen = struct.pack("<HHBBB", width, height, 0xF0 | size, background, 0)
    return b"GIF89a" + screen + palette + b"".join(frames) + b";"


def gifs(image):
    rng = np.random.default_rng(5)
    colours = [rng.integers(1, 255, 3 * 32, dtype=np.uint8).tobytes() for _ in range(3)]
    ramp = bytes(v for i in range(32) for v in (i, i, i))
    indices = (np.asarray(image("L", 14, 18)) // 8).astype(np.uint8)
    picture = PIL.Image.fromarray(indices, "P")
    picture.putpalette(ramp)
    second = frame(picture, 0, 0, colours[2])
    for name, palette in (("colour", colours[1]), ("ramp", ramp)):
        for clear in (None, 9):
            suffix = "" if clear is None else "-clear"
            first = frame(picture, 5, 3, palette, clear)
            yield f"offset-{name}{suffix}.gif", gif(30, 20, colours[0], 7, first, second)
            yield f"beyond-{name}{suffix}.gif", gif(20, 12, colours[0], 7, first, second)
        yield f"whole-{name}-clear.gif", gif(18, 14, colours[0], 7, frame(picture, 0, 0, palette, 9), second)


# TIFF


def tiff(fields, data, order="<", width=13, height=7):
    """An uncompressed page; fields are type and values by tag."""
    page = {256: (3, [width]), 257: (3, [height]), 259: (3, [1]), 277: (3, [1]), 278: (3, [height]),
            279: (4, [len(data)])} | fields
    start = 8 + 2 + 12 * (len(page) + (273 not in page)) + 4
    page.setdefault(273, (4, [start]))
    entries, outside = b"", data + bytes(len(data) % 2)
    for tag, (kind, values) in sorted(page.items()):
        value = struct.pack(order + TYPES[kind] * len(values), *values)
        if len(value) > 4:
            place = struct.pack(order + "I", start + len(outside))
            outside += value + bytes(len(value) % 2)
            value = place
        entries += struct.pack(order + "HHI", tag, kind, len(values)) + value.ljust(4, b"\0")
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    return head + struct.pack(order + "H", len(page)) + entries + bytes(4) + outside


def tiffs():
    rng = np.random.default_rng(6)

    def page(name, photometric, bits, samples=1, format=None, extra=None, order="<", width=13, fields=None):
        row = -(-width * bits * samples // 8)
        data = rng.integers(0, 256, 7 * row, dtype=np.uint8).tobytes()
        tags = {258: (3, [bits] * samples), 262: (3, [photometric]), 277: (3, [samples])} | (fields or {})
        tags |= {} if format is None else {339: (3, [format] * samples)}
        tags |= {} if extra is None else {338: (3, extra)}
        return f"page-{name}.tif", tiff(tags, data, order, width)

    for bits in (1, 2, 4):
        yield page(f"gray-{bits}", 1, bits)
        yield page(f"white-{bits}", 0, bits, order=">")
        yield page(f"reversed-{bits}", 1, bits, fields={266: (3, [2])})
        colours = rng.integers(0, 65536, 3 << bits).tolist()
        yield page(f"palette-{bits}", 3, bits, fields={320: (3, colours)})
    yield page("white-8", 0, 8)
    yield page("reversed-8", 1, 8, fields={266: (3, [2])})
    yield page("signed-8", 1, 8, format=2)
    yield page("gray-16", 1, 16)
    yield page("white-16", 0, 16)
    yield page("signed-16", 1, 16, format=2, order=">")
    yield page("unsigned-32", 1, 32, format=1)
    yield page("gray-unknown", 1, 8, 2, extra=[0])
    yield page("gray-alpha", 1, 8, 2, extra=[2])
    yield page("palette-unknown", 3, 8, 2, extra=[0], fields={320: (3, rng.integers(0, 65536, 768).tolist())})
    yield page("rgb-16", 2, 16, 3, order=">")
    yield page("rgb-unknown", 2, 8, 4, extra=[0])
    yield page("rgb-six", 2, 8, 6, extra=[0, 0, 0])
    yield page("rgba-nothing", 2, 8, 4)
    yield page("rgba-alpha", 2, 8, 4, extra=[2])
    yield page("rgba-associated", 2, 8, 4, extra=[1])
    yield page("rgba-associated-five", 2, 8, 5, extra=[1, 0])
    yield page("rgba-associated-16", 2, 16, 4, extra=[1], order=">")
    yield page("cmyk-16", 5, 16, 4)
    yield page("cmyk-unknown", 5, 8, 5, extra=[0])
    yield page("rgb-one-depth", 2, 8, 3, fields={258: (3, [8])})
    yield page("turned", 2, 8, 3, fields={274: (4, [6])})
    xmp = list(b'<rdf:Description tiff:Orientation="8"/>')
    yield page("turned-xmp", 1, 8, fields={700: (1, xmp)})
    yield planes("planes", rng)
    # Kinds that are errors here.
    yield page("none-lab", 8, 8, 3)
    yield page("none-ycbcr", 6, 8, 3, fields={530: (3, [1, 1])})
    yield page("none-gray-associated", 1, 8, 2, extra=[1])
    yield page("none-palette-alpha", 3, 8, 2, extra=[2], fields={320: (3, rng.integers(0, 65536, 768).tolist())})
    yield page("none-gray-12", 1, 12)
    yield page("none-gray-nothing", 1, 8, 2)


def planes(name, rng):
    """Red, green and blue one after the other."""
    data = rng.integers(0, 256, (3, 7, 13), dtype=np.uint8)
    start = 8 + 2 + 12 * 10 + 4
    tags = {258: (3, [8] * 3), 262: (3, [2]), 277: (3, [3]), 284: (3, [2]), 279: (4, [91] * 3),
            273: (4, [start + 91 * i for i in range(3)])}
    file = tiff(tags, data.tobytes())
    assert file[start : start + 91] == data[0].tobytes()
    return f"page-{name}.tif", file


# BMP


def bmps():
    """OS/2's first header has 12 bytes and colours of three."""
    rng = np.random.default_rng(7)
    ramp = lambda count: bytes(v for i in range(count) for v in (i, i, i))
    colours = lambda count: rng.integers(0, 256, 3 * count, dtype=np.uint8).tobytes()
    table = (("rgb", 24, b""), ("palette", 8, colours(256)), ("ramp", 8, ramp(256)), ("palette-4", 4, colours(16)),
             ("palette-1", 1, colours(2)), ("bilevel", 1, b"\0\0\0\xff\xff\xff"))
    for name, bits, palette in table:
        width, height = 21, 9
        row = -(-width * bits // 32) * 4
        offset = 14 + 12 + len(palette)
        data = rng.integers(0, 256, row * height, dtype=np.uint8).tobytes()
        head = b"BM" + struct.pack("<IHHI", offset + len(data), 0, 0, offset)
        yield f"os2-{name}.bmp", head + struct.pack("<IHHHH", 12, width, height, 1, bits) + palette + data
