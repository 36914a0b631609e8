"""Writes image files byte by byte, so that tests can make them lie."""

import io
import struct
import zlib

import numpy as np
import pillow_heif
from PIL import Image, ImageCms

RED, GREEN, BLUE, WHITE, BLACK = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255,) * 3, (0,) * 3


def quarters(width=32, height=24):
    """Red, green over blue, white: every turn and flip of it looks different."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[: height // 2, : width // 2] = RED
    pixels[: height // 2, width // 2 :] = GREEN
    pixels[height // 2 :, : width // 2] = BLUE
    pixels[height // 2 :, width // 2 :] = WHITE
    return Image.fromarray(pixels)


def noise(width=96, height=80, seed=7):
    return Image.fromarray(
        np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    )


def saved(image, fmt, **options):
    out = io.BytesIO()
    image.save(out, fmt, **options)
    return out.getvalue()


def heic(image, **options):
    out = io.BytesIO()
    pillow_heif.from_pillow(image).save(out, **options)
    return out.getvalue()


def chunk(kind, data=b"", *, crc=None, length=None):
    crc = zlib.crc32(kind + data) if crc is None else crc
    length = len(data) if length is None else length
    return struct.pack(">I", length) + kind + data + struct.pack(">I", crc)


def ihdr(width, height, depth=8, colour=2, interlace=0):
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace))


def png(header, raw=None, *before, idat=None, after=(), end=True):
    """A PNG of `header`, the chunks `before`, deflated `raw` (or a whole `idat`), and `after`."""
    middle = chunk(b"IDAT", zlib.compress(raw, 1)) if idat is None else idat
    parts = [b"\x89PNG\r\n\x1a\n", header, *before, middle, *after]
    return b"".join(parts) + (chunk(b"IEND") if end else b"")


def rows(count, row):
    return (b"\0" + row) * count


def segment(marker, data):
    return bytes((0xFF, marker)) + struct.pack(">H", len(data) + 2) + data


def with_segment(jpeg, marker, data):
    return jpeg[:2] + segment(marker, data) + jpeg[2:]


def resized_header(jpeg, width, height, kind=None):
    """The same JPEG whose frame header tells another size, or another kind of frame."""
    at = min(i for i in (jpeg.find(bytes((0xFF, k))) for k in (0xC0, 0xC2)) if i > 0)
    kind = jpeg[at + 1] if kind is None else kind
    size = struct.pack(">HH", height, width)
    return jpeg[: at + 1] + bytes((kind,)) + jpeg[at + 2 : at + 5] + size + jpeg[at + 9 :]


def exif(orientation):
    block = Image.Exif()
    block[0x0112] = orientation
    return block.tobytes()


def tiff(width, height, data, *, bits=(8,), photometric=1, sample_format=1, next_ifd=0, **changed):
    """A little-endian TIFF of one uncompressed strip; `changed` overrides tags as t<number>."""
    tags = {256: width, 257: height, 258: bits[0], 259: 1, 262: photometric, 273: 8}
    tags |= {277: len(bits), 278: height, 279: len(data), 339: sample_format}
    tags |= {int(name[1:]): value for name, value in changed.items()}
    where = 8 + len(data)
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, tags[tag]) for tag in sorted(tags))
    directory = struct.pack("<H", len(tags)) + entries + struct.pack("<I", next_ifd)
    return b"II*\0" + struct.pack("<I", where) + data + directory


def webp(*chunks):
    body = b"WEBP" + b"".join(
        kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)
        for kind, data in chunks
    )
    return b"RIFF" + struct.pack("<I", len(body)) + body


def vp8l(width, height):
    """A lossless bitstream's header and too few bits after it."""
    size = struct.pack("<I", (width - 1) | (height - 1) << 14)
    return (b"VP8L", b"\x2f" + size + b"\x88\x88\x08" + b"\0" * 8)


def vp8x(width, height, flags=0):
    dims = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return (b"VP8X", bytes((flags, 0, 0, 0)) + dims)


def swapped_profile():
    """An ICC profile in which red and blue have changed places."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    at = {bytes(data[i : i + 4]): i for i in range(132, 132 + 12 * data[131], 12)}
    red, blue = at[b"rXYZ"], at[b"bXYZ"]
    data[red + 4 : red + 12], data[blue + 4 : blue + 12] = (
        data[blue + 4 : blue + 12],
        data[red + 4 : red + 12],
    )
    return bytes(data).replace("sRGB".encode("utf-16-be"), "swap".encode("utf-16-be"))
