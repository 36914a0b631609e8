"""Valid image files of unusual structure, each with the pixels and notices to expect."""

import struct
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from PIL import Image

from tests.support.images.image_bytes import (
    BLACK,
    GREEN,
    RED,
    WHITE,
    chunk,
    exif,
    ihdr,
    noise,
    png,
    quarters,
    rows,
    saved,
    tiff,
    webp,
    with_segment,
)

JPEG_LOSS = 12


@dataclass(frozen=True)
class Odd:
    """A file to build, and what becomes of it."""

    name: str
    build: Callable[[], bytes]
    #: The canonical image, or one colour that fills it.
    expected: Callable[[], Image.Image] | tuple[int, int, int] = quarters
    notices: tuple[str, ...] = ()
    #: Largest difference of a sample from the expected one, 0 to 255.
    loss: int = 0

    def pixels(self, size: tuple[int, int]) -> Image.Image:
        if isinstance(self.expected, tuple):
            return Image.new("RGB", size, self.expected)
        return self.expected()


_TURNS = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def _lying_down(orientation: int) -> Image.Image:
    turn = _TURNS[orientation]
    return quarters() if turn is None else quarters().transpose(turn)


def _turned(fmt: str, orientation: int, **options: Any) -> Callable[[], bytes]:
    return lambda: saved(_lying_down(orientation), fmt, exif=exif(orientation), **options)


def _turned_tiff(orientation: int) -> Callable[[], bytes]:
    return lambda: saved(_lying_down(orientation), "TIFF", tiffinfo={274: orientation})


def _with_tail(tail: bytes) -> Callable[[], bytes]:
    return lambda: saved(quarters(), "JPEG", quality=95, subsampling=0) + tail


def _with_segment(marker: int, data: bytes) -> bytes:
    return with_segment(_with_tail(b"")(), marker, data)


def _with_comment_length(length: int) -> bytes:
    whole = _with_tail(b"")()
    return whole[:2] + b"\xff\xfe" + length.to_bytes(2, "big") + whole[2:]


#: Application segments and comments that end before what they should hold.
_SHORT_SEGMENTS = (
    (0xE0, b"JFIF"),
    (0xE0, b"JFIF\0\1"),
    (0xE2, b"ICC_PROFILE\0"),
    (0xE2, b"MPF\0"[:3]),
    (0xED, b"Photoshop 3.0\x008BIM\4\4"),
    (0xEE, b"Adobe"),
    (0xEE, b"Adobe\0"),
    (0xFE, b"c"),
)


def _small_webp() -> bytes:
    """Return one black pixel in the fewest bytes that the format needs."""
    # no transform, no cache; each of five codes has one symbol, zero
    codes = sum(1 << (3 + 4 * code) for code in range(5))
    return webp((b"VP8L", b"\x2f" + bytes(4) + codes.to_bytes(3, "little")))


def _mpo() -> bytes:
    second = Image.new("RGB", (32, 24), BLACK)
    return saved(
        quarters(), "MPO", save_all=True, append_images=[second], quality=95, subsampling=0
    )


def _rle_bmp() -> bytes:
    palette = bytes((*RED[::-1], 0)) * 2
    data = b"\x08\x00\x00\x00" * 8 + b"\0\1"
    header = struct.pack("<IiiHHIIiiII", 40, 8, 8, 1, 8, 1, len(data), 0, 0, 2, 0)
    return b"BM" + struct.pack("<IHHI", 62 + len(data), 0, 0, 62) + header + palette + data


def _top_down_bmp() -> bytes:
    pixels = np.asarray(quarters())[..., ::-1].tobytes()
    header = struct.pack("<IiiHHIIiiII", 40, 32, -24, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54 + len(pixels), 0, 0, 54) + header + pixels


ORIENTED = (
    [
        Odd(
            f"jpeg of orientation {n}",
            _turned("JPEG", n, quality=95, subsampling=0),
            notices=("image_rotated",) if n > 1 else (),
            loss=JPEG_LOSS,
        )
        for n in _TURNS
    ]
    + [
        Odd(f"{fmt} of orientation {n}", build, notices=("image_rotated",))
        for n in (3, 5, 6, 8)
        for fmt, build in (
            ("png", _turned("PNG", n)),
            ("webp", _turned("WEBP", n, lossless=True)),
            ("tiff", _turned_tiff(n)),
        )
    ]
    + [
        Odd(
            "avif of orientation 6",
            _turned("AVIF", 6, quality=100, subsampling="4:4:4"),
            notices=("image_rotated",),
            loss=24,
        ),
        Odd(
            "jpeg of orientation 9",
            lambda: with_segment(_with_tail(b"")(), 0xE1, exif(9)),
            loss=JPEG_LOSS,
        ),
        Odd(
            "jpeg with broken EXIF",
            lambda: with_segment(_with_tail(b"")(), 0xE1, b"Exif\0\0II*\0\xff\xff\xff\xff"),
            loss=JPEG_LOSS,
        ),
    ]
)

_BOMB = zlib.compress(bytes(64 << 20))


def _quarters_png(*before: bytes, after: Iterable[bytes] = (), tail: bytes = b"") -> bytes:
    raw = b"".join(b"\0" + bytes(row) for row in np.asarray(quarters()))
    return png(ihdr(32, 24), raw, *before, after=after) + tail


def _animation(fmt: str) -> bytes:
    second = Image.new("RGB", (32, 24), BLACK)
    return saved(quarters(), fmt, save_all=True, append_images=[second], **_LOSSLESS[fmt])


_LOSSLESS: dict[str, dict[str, Any]] = {
    "PNG": {},
    "WEBP": {"lossless": True},
    "TIFF": {},
    "GIF": {},
}

CHUNKS = [
    Odd("png with a zTXt bomb", lambda: _quarters_png(chunk(b"zTXt", b"k\0\0" + _BOMB))),
    Odd("png with an iTXt bomb", lambda: _quarters_png(chunk(b"iTXt", b"k\0\1\0\0\0" + _BOMB))),
    Odd(
        "png with an iCCP bomb",
        lambda: _quarters_png(chunk(b"iCCP", b"k\0\0" + _BOMB)),
        notices=("image_metadata_dropped",),
    ),
    Odd("png with 4 MB of text", lambda: _quarters_png(chunk(b"tEXt", b"k\0" + b"x" * (4 << 20)))),
    Odd(
        "png with a wrong checksum on its text",
        lambda: _quarters_png(chunk(b"tEXt", b"k\0v", crc=1)),
    ),
    Odd(
        "png with a wrong checksum on its gamma",
        lambda: _quarters_png(chunk(b"gAMA", b"\0\0\0\0", crc=1)),
        notices=("image_metadata_dropped",),
    ),
    Odd("png with broken EXIF", lambda: _quarters_png(chunk(b"eXIf", b"II*\0\xff\xff\xff\xff"))),
    Odd(
        "png with a broken profile",
        lambda: _quarters_png(chunk(b"iCCP", b"k\0\0" + zlib.compress(b"\xff" * 400))),
        notices=("image_profile_ignored",),
    ),
    Odd("png followed by a zip", lambda: _quarters_png(tail=b"PK\x03\x04" + bytes(99))),
    Odd(
        "png whose data inflate far beyond its pixels",
        lambda: png(ihdr(32, 24), rows(24, bytes(RED) * 32) + bytes(64 << 20)),
        RED,
    ),
    Odd("png whose rows end in black", lambda: png(ihdr(32, 24), bytes(24 * 97)), BLACK),
    Odd("animated png", lambda: _animation("PNG"), notices=("image_first_frame",)),
    Odd("animated webp", lambda: _animation("WEBP"), notices=("image_first_frame",)),
    Odd("tiff of two pages", lambda: _animation("TIFF"), notices=("image_first_frame",)),
    Odd("animated gif", lambda: _animation("GIF"), notices=("image_first_frame",)),
    Odd(
        "animated gif cut in its second frame",
        lambda: _animation("GIF")[:-30],
        notices=("image_first_frame",),
    ),
    Odd(
        "tiff whose next page is itself",
        lambda: tiff(32, 24, bytes(32 * 24), next_ifd=8 + 32 * 24),
        BLACK,
    ),
]

OTHERS = [
    Odd("jpeg followed by a zip", _with_tail(b"PK\x03\x04" + bytes(99)), loss=JPEG_LOSS),
    Odd("jpeg followed by a script", _with_tail(b"<script>alert(1)</script>"), loss=JPEG_LOSS),
    Odd("jpeg with a second picture", _mpo, notices=("image_first_frame",), loss=JPEG_LOSS),
    *(
        Odd(
            f"jpeg with {len(data)} bytes of {data[:5]!r} in {marker:x}",
            partial(_with_segment, marker, data),
            loss=JPEG_LOSS,
        )
        for marker, data in _SHORT_SEGMENTS
    ),
    *(
        Odd(
            f"jpeg with a comment whose length is {length}",
            partial(_with_comment_length, length),
            loss=JPEG_LOSS,
        )
        for length in (0, 1)
    ),
    Odd("webp of 28 bytes", _small_webp, BLACK),
    Odd(
        "progressive jpeg",
        lambda: saved(quarters(), "JPEG", progressive=True, quality=95, subsampling=0),
        loss=JPEG_LOSS,
    ),
    Odd(
        "jpeg with a thousand scan markers in a comment",
        lambda: with_segment(_with_tail(b"")(), 0xFE, b"\xff\xda" * 1000),
        loss=JPEG_LOSS,
    ),
    Odd(
        "jpeg with end markers in a comment",
        lambda: with_segment(_with_tail(b"")(), 0xFE, b"\xff\xd9" * 9),
        loss=JPEG_LOSS,
    ),
    Odd(
        "jpeg with filling before a marker",
        lambda: (d := _with_tail(b"")())[:2] + b"\xff" * 9 + d[2:],
        loss=JPEG_LOSS,
    ),
    Odd(
        "jpeg with restart markers",
        lambda: saved(quarters(), "JPEG", quality=95, subsampling=0, restart_marker_blocks=1),
        loss=JPEG_LOSS,
    ),
    Odd(
        "jpeg whose data hold stuffed bytes",
        lambda: saved(noise(), "JPEG", quality=100, subsampling=0),
        noise,
        loss=8,
    ),
    Odd("one pixel", lambda: saved(Image.new("RGB", (1, 1), GREEN), "PNG"), GREEN),
    Odd(
        "png 200 times as wide as high",
        lambda: saved(Image.new("RGB", (2000, 10), GREEN), "PNG"),
        GREEN,
    ),
    Odd("run-length bmp", _rle_bmp, RED),
    Odd("top-down bmp", _top_down_bmp),
    Odd("one-bit bmp", lambda: saved(Image.new("1", (9, 9), 1), "BMP"), WHITE),
    Odd("deflated tiff", lambda: saved(quarters(), "TIFF", compression="tiff_adobe_deflate")),
    Odd("lzw tiff", lambda: saved(quarters(), "TIFF", compression="tiff_lzw")),
    Odd("packbits tiff", lambda: saved(quarters(), "TIFF", compression="packbits")),
    Odd(
        "jpeg in a tiff", lambda: saved(quarters(), "TIFF", compression="jpeg", quality=95), loss=60
    ),
    Odd("big tiff", lambda: saved(quarters(), "TIFF", big_tiff=True)),
]

STRUCTURE = [*ORIENTED, *CHUNKS, *OTHERS]
