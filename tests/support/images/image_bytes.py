"""Writes image files byte by byte, so that a test can falsify any part of them."""

import io
import struct
import zlib
from collections.abc import Iterable
from typing import Any

import numpy as np
import pillow_heif
from PIL import Image, ImageCms, ImageDraw, ImageFont

RED, GREEN, BLUE, WHITE, BLACK = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255,) * 3, (0,) * 3


def quarters(width: int = 32, height: int = 24) -> Image.Image:
    """Return red and green over blue and white: no rotation or flip of it looks the same."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[: height // 2, : width // 2] = RED
    pixels[: height // 2, width // 2 :] = GREEN
    pixels[height // 2 :, : width // 2] = BLUE
    pixels[height // 2 :, width // 2 :] = WHITE
    return Image.fromarray(pixels)


def noise(width: int = 96, height: int = 80, seed: int = 7) -> Image.Image:
    return Image.fromarray(
        np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    )


def saved(image: Image.Image, fmt: str, **options: Any) -> bytes:
    """Return an image as a file in a format of Pillow."""
    out = io.BytesIO()
    image.save(out, fmt, **options)
    return out.getvalue()


def plain_png(
    colour: str | tuple[int, int, int] = "red", width: int = 64, height: int = 64
) -> bytes:
    """Return a PNG of one colour."""
    return saved(Image.new("RGB", (width, height), colour), "PNG")


def text_png(text: str, width: int = 320, height: int = 64) -> bytes:
    """Return a PNG of dark text on white."""
    image = Image.new("RGB", (width, height), "white")
    ImageDraw.Draw(image).text((8, 10), text, fill="black", font=ImageFont.load_default(26))
    return saved(image, "PNG")


def screenshot(width: int, height: int, fmt: str = "PNG") -> bytes:
    """Return an image file with bars of ink like the lines of a page."""
    image = Image.new("RGB", (width, height), "white")
    pen = ImageDraw.Draw(image)
    for number, top in enumerate(range(10, height - 20, 40)):
        pen.rectangle((10, top, width - 10 - number % 7 * width // 12, top + 16), fill="black")
    return saved(image, fmt)


def heic(image: Image.Image, **options: Any) -> bytes:
    out = io.BytesIO()
    pillow_heif.from_pillow(image).save(out, **options)
    return out.getvalue()


def chunk(
    kind: bytes, data: bytes = b"", *, crc: int | None = None, length: int | None = None
) -> bytes:
    crc = zlib.crc32(kind + data) if crc is None else crc
    length = len(data) if length is None else length
    return struct.pack(">I", length) + kind + data + struct.pack(">I", crc)


def ihdr(width: int, height: int, depth: int = 8, colour: int = 2, interlace: int = 0) -> bytes:
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace))


def png(
    header: bytes,
    raw: bytes = b"",
    *before: bytes,
    idat: bytes | None = None,
    after: Iterable[bytes] = (),
    end: bool = True,
) -> bytes:
    """Return a PNG: `header`, chunks `before`, `raw` deflated (or an `idat` chunk), `after`."""
    middle = chunk(b"IDAT", zlib.compress(raw, 1)) if idat is None else idat
    parts = [b"\x89PNG\r\n\x1a\n", header, *before, middle, *after]
    return b"".join(parts) + (chunk(b"IEND") if end else b"")


def rows(count: int, row: bytes) -> bytes:
    return (b"\0" + row) * count


def segment(marker: int, data: bytes) -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", len(data) + 2) + data


def with_segment(jpeg: bytes, marker: int, data: bytes) -> bytes:
    return jpeg[:2] + segment(marker, data) + jpeg[2:]


def resized_header(jpeg: bytes, width: int, height: int, kind: int | None = None) -> bytes:
    """Return the JPEG with another size, or another kind of frame, in its frame header."""
    at = min(i for i in (jpeg.find(bytes((0xFF, k))) for k in (0xC0, 0xC2)) if i > 0)
    kind = jpeg[at + 1] if kind is None else kind
    size = struct.pack(">HH", height, width)
    return jpeg[: at + 1] + bytes((kind,)) + jpeg[at + 2 : at + 5] + size + jpeg[at + 9 :]


def exif(orientation: int) -> bytes:
    block = Image.Exif()
    block[0x0112] = orientation
    return block.tobytes()


def tiff(
    width: int,
    height: int,
    data: bytes,
    *,
    bits: tuple[int, ...] = (8,),
    photometric: int = 1,
    sample_format: int = 1,
    next_ifd: int = 0,
    **changed: int,
) -> bytes:
    """Return a little-endian TIFF of one strip; `changed` overrides tags as t<number>."""
    tags = {256: width, 257: height, 258: bits[0], 259: 1, 262: photometric, 273: 8}
    tags |= {277: len(bits), 278: height, 279: len(data), 339: sample_format}
    tags |= {int(name[1:]): value for name, value in changed.items()}
    directory_offset = 8 + len(data)
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, tags[tag]) for tag in sorted(tags))
    directory = struct.pack("<H", len(tags)) + entries + struct.pack("<I", next_ifd)
    return b"II*\0" + struct.pack("<I", directory_offset) + data + directory


def webp(*chunks: tuple[bytes, bytes]) -> bytes:
    body = b"WEBP" + b"".join(
        kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)
        for kind, data in chunks
    )
    return b"RIFF" + struct.pack("<I", len(body)) + body


def vp8l(width: int, height: int) -> tuple[bytes, bytes]:
    """Return a VP8L chunk: the header of a lossless bitstream and too few bits after it."""
    size = struct.pack("<I", (width - 1) | (height - 1) << 14)
    return (b"VP8L", b"\x2f" + size + b"\x88\x88\x08" + b"\0" * 8)


def vp8x(width: int, height: int, flags: int = 0) -> tuple[bytes, bytes]:
    dims = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return (b"VP8X", bytes((flags, 0, 0, 0)) + dims)


def swapped_profile() -> bytes:
    """Return an ICC profile with red and blue exchanged."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    at = {bytes(data[i : i + 4]): i for i in range(132, 132 + 12 * data[131], 12)}
    red, blue = at[b"rXYZ"], at[b"bXYZ"]
    data[red + 4 : red + 12], data[blue + 4 : blue + 12] = (
        data[blue + 4 : blue + 12],
        data[red + 4 : red + 12],
    )
    return bytes(data).replace("sRGB".encode("utf-16-be"), "swap".encode("utf-16-be"))
