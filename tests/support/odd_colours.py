"""Image files of every colour type and transparency, each with the pixels and notices to expect."""

import struct
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from PIL import Image, ImageCms

from tests.support.bmp_files import masked_bmp, palette_bmp, run_length_bmp
from tests.support.image_bytes import (
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
from tests.support.odd_images import JPEG_LOSS, Odd

_CLEAR_RED = (*RED, 0)


def _half_clear(mode: str = "RGBA") -> Image.Image:
    image = quarters().convert("RGBA")
    image.paste(_CLEAR_RED, (0, 12, 32, 24))
    return image.convert(mode)


def _lower_half_white() -> Image.Image:
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
        lambda: saved(_half_clear(), "PNG"),
        _lower_half_white,
        ("image_flattened",),
    ),
    Odd(
        "webp with colour hidden under alpha",
        lambda: saved(_half_clear(), "WEBP", lossless=True, exact=True),
        _lower_half_white,
        ("image_flattened",),
    ),
    Odd(
        "tiff with alpha",
        lambda: saved(_half_clear(), "TIFF"),
        _lower_half_white,
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
        lambda: saved(_half_clear(), "AVIF", quality=100, subsampling="4:4:4"),
        _lower_half_white,
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


def _words(*values: int, photometric: int = 1) -> bytes:
    data = np.array(values, "<u2").tobytes()
    return tiff(len(values), 1, data, bits=(16,), photometric=photometric)


def _fixed(value: float) -> bytes:
    return round(value * 100_000).to_bytes(4, "big")


def _row(*greys: int) -> Callable[[], Image.Image]:
    return lambda: Image.fromarray(np.array([[(g, g, g) for g in greys]], np.uint8))


_HALF = (128, 128, 128)
_SCALED = ("image_converted",)

DEPTH = [
    Odd(
        "16-bit grey png", lambda: png(ihdr(4, 4, 16, 0), rows(4, b"\x80\x00" * 4)), _HALF, _SCALED
    ),
    Odd(
        "16-bit grey png with alpha",
        lambda: png(ihdr(4, 4, 16, 4), rows(4, b"\0\0\x80\0" * 4)),
        (127,) * 3,
        ("image_flattened",),
        1,
    ),
    Odd("16-bit rgb png", lambda: png(ihdr(4, 4, 16, 2), rows(4, b"\x80\0" * 12)), _HALF),
    Odd("16-bit tiff", lambda: tiff(4, 4, b"\0\x80" * 16, bits=(16,)), _HALF, _SCALED),
    Odd(
        "16-bit tiff where white is zero",
        lambda: tiff(4, 4, b"\xff\xff" * 16, bits=(16,), photometric=0),
        BLACK,
        _SCALED,
    ),
    Odd(
        "16-bit tiff of big-endian words",
        lambda: saved(Image.fromarray(np.full((4, 4), 0x8000, ">u2")), "TIFF"),
        _HALF,
        _SCALED,
    ),
    Odd(
        "32-bit tiff of 16-bit values",
        lambda: tiff(2, 1, struct.pack("<2I", 0, 65_535), bits=(32,)),
        _row(0, 255),
        _SCALED,
    ),
    Odd("float tiff from 0 to 1", lambda: _floats(0, 0.5, 1), _row(0, 128, 255), _SCALED, 1),
    Odd("float tiff from 0 to 255", lambda: _floats(0, 128, 255), _row(0, 128, 255), _SCALED),
    Odd("float tiff of heights", lambda: _floats(-100, 1900, 3900), _row(0, 128, 255), _SCALED, 1),
    Odd(
        "float tiff with infinities and no numbers",
        lambda: _floats(np.nan, np.inf, -np.inf, 0, 1),
        _row(0, 0, 0, 0, 255),
        _SCALED,
    ),
    Odd("float tiff of no number at all", lambda: _floats(np.nan, np.nan), BLACK, _SCALED),
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
    Odd("cmyk jpeg of Adobe", lambda: _cmyk_jpeg(adobe=True), (0, 255, 255), _SCALED, 4),
    Odd("cmyk jpeg without Adobe", lambda: _cmyk_jpeg(adobe=False), (0, 255, 255), _SCALED, 4),
    Odd(
        "cmyk tiff",
        lambda: saved(Image.new("CMYK", (8, 8), (0, 255, 0, 0)), "TIFF"),
        (255, 0, 255),
        _SCALED,
    ),
    Odd(
        "lab tiff",
        lambda: saved(Image.new("LAB", (8, 8), (255, 128, 128)), "TIFF"),
        WHITE,
        _SCALED,
        3,
    ),
    Odd("grey jpeg", lambda: saved(Image.new("L", (32, 24), 90), "JPEG"), (90, 90, 90), loss=2),
    Odd("png with a profile of its own", _profiled("PNG"), _blue_for_red, _SCALED, 3),
    Odd(
        "jpeg with a profile of its own",
        _profiled("JPEG", quality=95, subsampling=0),
        _blue_for_red,
        _SCALED,
        JPEG_LOSS,
    ),
    Odd(
        "webp with a profile of its own",
        _profiled("WEBP", lossless=True),
        _blue_for_red,
        _SCALED,
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


def _upper_half_white() -> Image.Image:
    image = quarters()
    image.paste(WHITE, (0, 0, 32, 12))
    return image


def _light_ink(mode: str = "RGBA") -> Image.Image:
    image = Image.new("RGBA", (32, 24), (0, 0, 0, 0))
    image.paste((255, 255, 255, 255), (4, 4, 20, 20))
    return image.convert(mode)


def _light_ink_on_black() -> Image.Image:
    image = Image.new("RGB", (32, 24), BLACK)
    image.paste(WHITE, (4, 4, 20, 20))
    return image


BMP = [
    *(Odd(f"bmp of {bits} bits", partial(palette_bmp, bits)) for bits in (2, 4, 8)),
    *(Odd(f"os/2 bmp of {bits} bits", partial(palette_bmp, bits, os2=True)) for bits in (4, 8)),
    *(
        Odd(f"bmp with a header of {size} bytes", partial(palette_bmp, 8, size=size))
        for size in (52, 56, 64, 108, 124)
    ),
    *(
        Odd(f"bmp of {bits} bits with masks {masks}", partial(masked_bmp, bits, masks), loss=1)
        for bits, masks in (
            (16, (0x7C00, 0x3E0, 0x1F)),
            (16, (0xF800, 0x7E0, 0x1F)),
            (16, (0xF00, 0xF0, 0xF)),
            (16, (0xE0, 0x1C, 0x3)),
            (32, (0xFF0000, 0xFF00, 0xFF)),
            (32, (0xFF, 0xFF00, 0xFF0000)),
            (32, (0x3FF00000, 0xFFC00, 0x3FF)),
        )
    ),
    Odd("bmp of 16 bits", partial(masked_bmp, 16, (0x7C00, 0x3E0, 0x1F), packing=0)),
    Odd(
        "bmp of 16 bits with alpha",
        partial(masked_bmp, 16, (0xF00, 0xF0, 0xF, 0xF000), size=108),
    ),
    Odd(
        "bmp of 32 bits with alpha in a short header",
        partial(masked_bmp, 32, (0xFF0000, 0xFF00, 0xFF, 0xFF000000), packing=6),
    ),
    *(Odd(f"bmp in run lengths of {bits} bits", partial(run_length_bmp, bits)) for bits in (4, 8)),
    Odd(
        "bmp whose run lengths leave out a half",
        partial(run_length_bmp, 8, skips=True),
        _upper_half_white,
        ("image_flattened",),
    ),
]


def _gif_on_larger_screen() -> bytes:
    data = bytearray(saved(Image.new("P", (8, 8), 0), "GIF", palette=bytes((*RED, *BLUE))))
    data[6] = 16
    return bytes(data)


def _red_beside_white() -> Image.Image:
    image = Image.new("RGB", (16, 8), WHITE)
    image.paste(RED, (0, 0, 8, 8))
    return image


def _avif_whose_alpha_has_no_size() -> bytes:
    data = bytearray(saved(_half_clear(), "AVIF", quality=100, subsampling="4:4:4"))
    # of two items with four properties each, the second loses its first, the size
    table = data.index(b"ipma") + 8
    second = table + 4 + 3 + 4 + 3
    assert data[second] == 1
    data[second] = data[second + 1]
    return bytes(data)


def _grey_png(*before: bytes) -> Callable[[], bytes]:
    return lambda: png(ihdr(4, 4), rows(4, b"\x80" * 12), *before)


def _coded_avif(primaries: int, transfer: int) -> bytes:
    data = bytearray(saved(Image.new("RGB", (16, 16), _HALF), "AVIF", quality=100))
    at = data.index(b"colrnclx") + 8
    data[at : at + 4] = struct.pack(">HH", primaries, transfer)
    return bytes(data)


_WIDE = struct.pack(">8I", 31_270, 32_900, 70_800, 29_200, 17_000, 79_700, 13_100, 4_600)

RANGES = [
    Odd("tiff of 10-bit samples", lambda: _words(0, 512, 1023), _row(0, 128, 255), _SCALED),
    Odd("tiff of 12-bit samples", lambda: _words(0, 2048, 4095), _row(0, 128, 255), _SCALED),
    Odd("tiff of 14-bit samples", lambda: _words(0, 8192, 16_383), _row(0, 128, 255), _SCALED),
    Odd("tiff of 16-bit samples", lambda: _words(0, 32_768, 65_535), _row(0, 128, 255), _SCALED),
    Odd(
        "tiff of 12-bit samples where white is zero",
        lambda: _words(0, 2048, 4095, photometric=0),
        _row(255, 127, 0),
        _SCALED,
    ),
    Odd(
        "png of light ink on a clear ground",
        lambda: saved(_light_ink(), "PNG"),
        _light_ink_on_black,
        ("image_flattened",),
    ),
    Odd(
        "grey png of light ink on a clear ground",
        lambda: saved(_light_ink("LA"), "PNG"),
        _light_ink_on_black,
        ("image_flattened",),
    ),
    Odd(
        "gif on a larger screen", _gif_on_larger_screen, _red_beside_white, ("image_flattened",) * 2
    ),
    Odd(
        "avif whose alpha tells no size",
        _avif_whose_alpha_has_no_size,
        _lower_half_white,
        ("image_flattened",),
        24,
    ),
    Odd("png of linear light", _grey_png(chunk(b"gAMA", _fixed(1.0))), (188,) * 3, _SCALED, 1),
    Odd("png of the usual gamma", _grey_png(chunk(b"gAMA", _fixed(0.45455))), _HALF),
    Odd(
        "png that names sRGB and a gamma",
        _grey_png(chunk(b"sRGB", b"\0"), chunk(b"gAMA", _fixed(1.0))),
        _HALF,
    ),
    Odd(
        "png of wide primaries",
        lambda: png(ihdr(4, 4), rows(4, bytes((200, 100, 50)) * 4), chunk(b"cHRM", _WIDE)),
        (241, 76, 29),
        _SCALED,
        2,
    ),
    Odd(
        "png of PQ by code points",
        lambda: png(ihdr(4, 4), rows(4, bytes((148,) * 12)), chunk(b"cICP", bytes((9, 16, 0, 1)))),
        WHITE,
        _SCALED,
        3,
    ),
    Odd("avif of PQ", lambda: _coded_avif(9, 16), (177,) * 3, _SCALED, 4),
    Odd("avif of HLG", lambda: _coded_avif(9, 18), (137,) * 3, _SCALED, 4),
    Odd("avif of Display P3", lambda: _coded_avif(12, 13), _HALF, _SCALED, 4),
]

COLOURS = [*BMP, *RANGES, *ALPHA, *DEPTH, *COLOUR]
