"""Valid files of rare layouts, ranges and colour codes, with the pixels and notices to expect."""

import struct
from collections.abc import Callable
from functools import partial

import numpy as np
from PIL import Image

from tests.support.images.bmp_files import masked_bmp, palette_bmp, run_length_bmp
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
    tiff,
)
from tests.support.images.odd_colours import HALF, SCALED, half_clear, lower_half_white, row
from tests.support.images.odd_images import Odd


def _words(*values: int, photometric: int = 1) -> bytes:
    data = np.array(values, "<u2").tobytes()
    return tiff(len(values), 1, data, bits=(16,), photometric=photometric)


def _fixed(value: float) -> bytes:
    return round(value * 100_000).to_bytes(4, "big")


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
    data = bytearray(saved(half_clear(), "AVIF", quality=100, subsampling="4:4:4"))
    # of two items with four properties each, the second loses its first, the size
    table = data.index(b"ipma") + 8
    second = table + 4 + 3 + 4 + 3
    assert data[second] == 1
    data[second] = data[second + 1]
    return bytes(data)


def _grey_png(*before: bytes) -> Callable[[], bytes]:
    return lambda: png(ihdr(4, 4), rows(4, b"\x80" * 12), *before)


def _coded_avif(primaries: int, transfer: int) -> bytes:
    data = bytearray(saved(Image.new("RGB", (16, 16), HALF), "AVIF", quality=100))
    at = data.index(b"colrnclx") + 8
    data[at : at + 4] = struct.pack(">HH", primaries, transfer)
    return bytes(data)


_WIDE = struct.pack(">8I", 31_270, 32_900, 70_800, 29_200, 17_000, 79_700, 13_100, 4_600)

RANGES = [
    Odd("tiff of 10-bit samples", lambda: _words(0, 512, 1023), row(0, 128, 255), SCALED),
    Odd("tiff of 12-bit samples", lambda: _words(0, 2048, 4095), row(0, 128, 255), SCALED),
    Odd("tiff of 14-bit samples", lambda: _words(0, 8192, 16_383), row(0, 128, 255), SCALED),
    Odd("tiff of 16-bit samples", lambda: _words(0, 32_768, 65_535), row(0, 128, 255), SCALED),
    Odd(
        "tiff of 12-bit samples where white is zero",
        lambda: _words(0, 2048, 4095, photometric=0),
        row(255, 127, 0),
        SCALED,
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
        lower_half_white,
        ("image_flattened",),
        24,
    ),
    Odd("png of linear light", _grey_png(chunk(b"gAMA", _fixed(1.0))), (188,) * 3, SCALED, 1),
    Odd("png of the usual gamma", _grey_png(chunk(b"gAMA", _fixed(0.45455))), HALF),
    Odd(
        "png that names sRGB and a gamma",
        _grey_png(chunk(b"sRGB", b"\0"), chunk(b"gAMA", _fixed(1.0))),
        HALF,
    ),
    Odd(
        "png of wide primaries",
        lambda: png(ihdr(4, 4), rows(4, bytes((200, 100, 50)) * 4), chunk(b"cHRM", _WIDE)),
        (241, 76, 29),
        SCALED,
        2,
    ),
    Odd(
        "png of PQ by code points",
        lambda: png(ihdr(4, 4), rows(4, bytes((148,) * 12)), chunk(b"cICP", bytes((9, 16, 0, 1)))),
        WHITE,
        SCALED,
        3,
    ),
    Odd("avif of PQ", lambda: _coded_avif(9, 16), (177,) * 3, SCALED, 4),
    Odd("avif of HLG", lambda: _coded_avif(9, 18), (137,) * 3, SCALED, 4),
    Odd("avif of Display P3", lambda: _coded_avif(12, 13), HALF, SCALED, 4),
]

FORMS = [*BMP, *RANGES]
