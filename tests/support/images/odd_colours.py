"""Image files of every colour type and transparency, each with the pixels and notices to expect."""

import struct
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image, ImageCms

from tests.support.images.image_bytes import (
    BLACK,
    BLUE,
    RED,
    WHITE,
    chunk,
    ihdr,
    png,
    quarters,
    rows,
    saved,
    swapped_profile,
    tiff,
)
from tests.support.images.odd_images import JPEG_LOSS, Odd

_CLEAR_RED = (*RED, 0)


def half_clear(mode: str = "RGBA") -> Image.Image:
    image = quarters().convert("RGBA")
    image.paste(_CLEAR_RED, (0, 12, 32, 24))
    return image.convert(mode)


def lower_half_white() -> Image.Image:
    image = quarters()
    image.paste(WHITE, (0, 12, 32, 24))
    return image


def _clear_palette(fmt: str) -> bytes:
    image = Image.new("P", (32, 24), 1)
    image.putpalette((*RED, *BLUE))
    return saved(image, fmt, transparency=1)


ALPHA = [
    Odd(
        "png with colour hidden under alpha",
        lambda: saved(half_clear(), "PNG"),
        lower_half_white,
        ("image_flattened",),
    ),
    Odd(
        "webp with colour hidden under alpha",
        lambda: saved(half_clear(), "WEBP", lossless=True, exact=True),
        lower_half_white,
        ("image_flattened",),
    ),
    Odd(
        "tiff with alpha",
        lambda: saved(half_clear(), "TIFF"),
        lower_half_white,
        ("image_flattened",),
    ),
    Odd(
        "tiff with premultiplied alpha",
        lambda: tiff(
            4, 4, bytes((128, 0, 0, 128)) * 16, bits=(8,) * 4, photometric=2, t258=8, t338=1
        ),
        (255, 127, 127),
        ("image_flattened",),
        1,
    ),
    Odd(
        "avif with alpha",
        lambda: saved(half_clear(), "AVIF", quality=100, subsampling="4:4:4"),
        lower_half_white,
        ("image_flattened",),
        24,
    ),
    Odd(
        "bmp of 32 bits, alpha all zero, as screenshots are",
        lambda: saved(quarters().convert("RGB"), "BMP"),
    ),
    Odd(
        "grey png with alpha",
        lambda: saved(Image.new("LA", (8, 8), (0, 128)), "PNG"),
        (127, 127, 127),
        ("image_flattened",),
        1,
    ),
    Odd("opaque png with alpha", lambda: saved(quarters().convert("RGBA"), "PNG")),
    Odd(
        "palette png with a clear entry", lambda: _clear_palette("PNG"), WHITE, ("image_flattened",)
    ),
    Odd("gif with a clear entry", lambda: _clear_palette("GIF"), WHITE, ("image_flattened",)),
    Odd(
        "palette png with half-clear entries",
        lambda: png(
            ihdr(4, 4, 8, 3), rows(4, bytes(4)), chunk(b"PLTE", bytes(RED)), chunk(b"tRNS", b"\x80")
        ),
        (255, 127, 127),
        ("image_flattened",),
        1,
    ),
    Odd(
        "rgb png with a clear colour",
        lambda: png(ihdr(4, 4), rows(4, bytes(RED) * 4), chunk(b"tRNS", b"\0\xff\0\0\0\0")),
        WHITE,
        ("image_flattened",),
    ),
    Odd(
        "grey png with a clear grey",
        lambda: png(ihdr(4, 4, 8, 0), rows(4, b"\x09" * 4), chunk(b"tRNS", b"\0\x09")),
        WHITE,
        ("image_flattened",),
    ),
    Odd(
        "one-bit png with a clear black",
        lambda: png(ihdr(8, 4, 1, 0), rows(4, b"\0"), chunk(b"tRNS", b"\0\0")),
        WHITE,
        ("image_flattened",),
    ),
    Odd(
        "16-bit rgb png with a clear colour",
        lambda: png(ihdr(4, 4, 16, 2), rows(4, b"\x20\x21" * 12), chunk(b"tRNS", b"\x20\x21" * 3)),
        WHITE,
        ("image_flattened",),
    ),
    Odd(
        "16-bit grey png with a clear grey",
        lambda: png(ihdr(4, 4, 16, 0), rows(4, b"\x20\x21" * 4), chunk(b"tRNS", b"\x20\x21")),
        WHITE,
        ("image_converted", "image_flattened"),
    ),
]


def _floats(*values: float) -> bytes:
    data = np.array(values, "<f4").tobytes()
    return tiff(len(values), 1, data, bits=(32,), sample_format=3)


def row(*greys: int) -> Callable[[], Image.Image]:
    return lambda: Image.fromarray(np.array([[(g, g, g) for g in greys]], np.uint8))


HALF = (128, 128, 128)
SCALED = ("image_converted",)

DEPTH = [
    Odd("16-bit grey png", lambda: png(ihdr(4, 4, 16, 0), rows(4, b"\x80\x00" * 4)), HALF, SCALED),
    Odd(
        "16-bit grey png with alpha",
        lambda: png(ihdr(4, 4, 16, 4), rows(4, b"\0\0\x80\0" * 4)),
        (127,) * 3,
        ("image_flattened",),
        1,
    ),
    Odd("16-bit rgb png", lambda: png(ihdr(4, 4, 16, 2), rows(4, b"\x80\0" * 12)), HALF),
    Odd("16-bit tiff", lambda: tiff(4, 4, b"\0\x80" * 16, bits=(16,)), HALF, SCALED),
    Odd(
        "16-bit tiff where white is zero",
        lambda: tiff(4, 4, b"\xff\xff" * 16, bits=(16,), photometric=0),
        BLACK,
        SCALED,
    ),
    Odd(
        "16-bit tiff of big-endian words",
        lambda: saved(Image.fromarray(np.full((4, 4), 0x8000, ">u2")), "TIFF"),
        HALF,
        SCALED,
    ),
    Odd(
        "32-bit tiff of 16-bit values",
        lambda: tiff(2, 1, struct.pack("<2I", 0, 65_535), bits=(32,)),
        row(0, 255),
        SCALED,
    ),
    Odd("float tiff from 0 to 1", lambda: _floats(0, 0.5, 1), row(0, 128, 255), SCALED, 1),
    Odd("float tiff from 0 to 255", lambda: _floats(0, 128, 255), row(0, 128, 255), SCALED),
    Odd("float tiff of heights", lambda: _floats(-100, 1900, 3900), row(0, 128, 255), SCALED, 1),
    Odd(
        "float tiff with infinities and no numbers",
        lambda: _floats(np.nan, np.inf, -np.inf, 0, 1),
        row(0, 0, 0, 0, 255),
        SCALED,
    ),
    Odd("float tiff of no number at all", lambda: _floats(np.nan, np.nan), BLACK, SCALED),
    Odd("one-bit png", lambda: saved(Image.new("1", (9, 9), 1), "PNG"), WHITE),
    Odd(
        "two-bit palette png",
        lambda: png(ihdr(4, 4, 2, 3), rows(4, b"\x55"), chunk(b"PLTE", bytes((*RED, *BLUE)))),
        BLUE,
    ),
    Odd(
        "fax tiff", lambda: saved(Image.new("1", (64, 64), 1), "TIFF", compression="group4"), WHITE
    ),
    Odd("interlaced png", lambda: png(ihdr(2, 2, 8, 0, 1), b"\0\x09\0\x09\0\x09\x09"), (9, 9, 9)),
]


def _cmyk_jpeg(*, adobe: bool) -> bytes:
    """Return pure cyan, inverted as Adobe stores it, or plain and without Adobe's marker."""
    ink = (255, 0, 0, 0) if adobe else (0, 255, 255, 255)
    data = saved(Image.new("CMYK", (32, 32), ink), "JPEG", quality=95)
    at = data.index(b"\xff\xee")
    return data if adobe else data[:at] + data[at + 16 :]


def _profiled(fmt: str, profile: bytes | None = None, **options: Any) -> Callable[[], bytes]:
    return lambda: saved(quarters(), fmt, icc_profile=profile or swapped_profile(), **options)


def _blue_for_red() -> Image.Image:
    red, green, blue = quarters().split()
    return Image.merge("RGB", (blue, green, red))


def _lab_profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()


COLOUR = [
    Odd("cmyk jpeg of Adobe", lambda: _cmyk_jpeg(adobe=True), (0, 255, 255), SCALED, 4),
    Odd("cmyk jpeg without Adobe", lambda: _cmyk_jpeg(adobe=False), (0, 255, 255), SCALED, 4),
    Odd(
        "cmyk tiff",
        lambda: saved(Image.new("CMYK", (8, 8), (0, 255, 0, 0)), "TIFF"),
        (255, 0, 255),
        SCALED,
    ),
    Odd(
        "lab tiff",
        lambda: saved(Image.new("LAB", (8, 8), (255, 128, 128)), "TIFF"),
        WHITE,
        SCALED,
        3,
    ),
    Odd("grey jpeg", lambda: saved(Image.new("L", (32, 24), 90), "JPEG"), (90, 90, 90), loss=2),
    Odd("png with a profile of its own", _profiled("PNG"), _blue_for_red, SCALED, 3),
    Odd(
        "jpeg with a profile of its own",
        _profiled("JPEG", quality=95, subsampling=0),
        _blue_for_red,
        SCALED,
        JPEG_LOSS,
    ),
    Odd(
        "webp with a profile of its own",
        _profiled("WEBP", lossless=True),
        _blue_for_red,
        SCALED,
        3,
    ),
    Odd(
        "png with an sRGB profile",
        _profiled("PNG", ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()),
    ),
    Odd(
        "png with a profile for another kind of colour",
        _profiled("PNG", _lab_profile()),
        notices=("image_profile_ignored",),
    ),
    Odd(
        "png with half a profile",
        _profiled("PNG", swapped_profile()[:300]),
        notices=("image_profile_ignored",),
    ),
]


COLOURS = [*ALPHA, *DEPTH, *COLOUR]
