"""The work of checking a file grows with its size, whatever the file repeats."""

import contextlib
import time
import zlib

import pytest

from gateway.images.decoder.checks.png import png_pixels_missing
from gateway.images.decoder.preflight import check_file
from gateway.images.formats import DecodeLimits
from gateway.images.uploads import Upload
from shared.errors import ImageError
from tests.support.image_bytes import chunk, ihdr, noise, png, quarters, rows, saved, segment

LIMITS = DecodeLimits(
    max_pixels=50_000_000,
    max_pixels_jpeg=200_000_000,
    max_side=30_000,
    max_aspect=2000,
    kept_pixels=4_000_000,
    long_pixels=4_000_000,
)
#: What an image may take.
TIMEOUT_S = 10
SMALL, LARGE = 100_000, 800_000
#: Linear work grows 8 times from SMALL to LARGE, quadratic work 64 times.
MOST = 30
#: CPU seconds below which nothing can be told.
LEAST_S = 0.02

_JPEG = saved(noise(), "JPEG")
_BOX = b"\0\0\0\x14ftypavif\0\0\0\0avif"
_GIF = b"GIF89a\x08\0\x08\0\0\0\0"
_TIFF = b"II*\0\x08\0\0\0"


def _filled(head, unit, tail=b""):
    return lambda size: head + unit * (size // len(unit)) + tail


HOSTILE = {
    "jpeg of FF": ("JPEG", _filled(b"\xff\xd8", b"\xff")),
    "jpeg of FF, then a stuffed zero": ("JPEG", _filled(b"\xff\xd8", b"\xff", b"\0")),
    "jpeg of FF and zeros": ("JPEG", _filled(b"\xff\xd8", b"\xff\0")),
    "jpeg of runs of FF": ("JPEG", _filled(b"\xff\xd8", b"\xff" * 999 + b"\0")),
    "jpeg of restart markers": ("JPEG", _filled(_JPEG[:-2], b"\xff\xd0", b"\xff\xd9")),
    "jpeg of start markers": ("JPEG", _filled(b"\xff\xd8", b"\xff\xd8")),
    "jpeg of comments": ("JPEG", _filled(b"\xff\xd8", segment(0xFE, b""), _JPEG[2:])),
    "jpeg of EXIF": ("JPEG", _filled(b"\xff\xd8", segment(0xE1, b"Exif\0\0"), _JPEG[2:])),
    "jpeg of tables": ("JPEG", _filled(b"\xff\xd8", segment(0xDB, bytes(65)), _JPEG[2:])),
    "png of empty chunks": ("PNG", _filled(png(ihdr(8, 8), end=False), chunk(b"tEXt"))),
    "png of tiny data": ("PNG", _filled(png(ihdr(8, 8), end=False), chunk(b"IDAT", b"x"))),
    "png of profiles": ("PNG", _filled(png(ihdr(8, 8), end=False), chunk(b"iCCP", b"k\0\0x"))),
    "webp of zeros": ("WebP", _filled(b"RIFF\0\0\0\0WEBPVP8X", b"\0")),
    "webp of chunks": ("WebP", _filled(b"RIFF\0\0\0\0WEBP", b"VP8X\0\0\0\0")),
    "avif of empty boxes": ("AVIF", _filled(_BOX, b"\0\0\0\x08free")),
    "avif of long boxes": ("AVIF", _filled(_BOX, b"\0\0\0\x01free" + (16).to_bytes(8, "big"))),
    "heic of empty boxes": ("HEIC", _filled(_BOX, b"\0\0\0\x08free")),
    "gif of comments": ("GIF", _filled(_GIF, b"!\xfe\1x\0")),
    "gif of extensions": ("GIF", _filled(_GIF, b"!\xff\0")),
    "gif of empty blocks": ("GIF", _filled(_GIF + b"!\xfe", b"\1x")),
    "gif of frames": ("GIF", _filled(_GIF, b",\0\0\0\0\1\0\1\0\0\2\0")),
    "tiff of zeros": ("TIFF", _filled(_TIFF, b"\0")),
    "tiff of FF": ("TIFF", _filled(_TIFF, b"\xff")),
    "tiff of entries": ("TIFF", _filled(_TIFF + b"\xff\xff", b"\0\1\0\3\0\0\0\1\0\0\0\1")),
    "bmp of FF": ("BMP", _filled(b"BM" + bytes(8) + b"\x36\0\0\0\x28\0\0\0", b"\xff")),
}


def _checking_s(fmt, data):
    """Return the least CPU seconds of three checks."""
    spent = []
    for _ in range(3):
        start = time.process_time()
        with contextlib.suppress(ImageError):
            check_file(fmt, data, LIMITS)
        spent.append(time.process_time() - start)
    return min(spent)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_check_looks_at_each_byte_a_bounded_number_of_times(name):
    fmt, build = HOSTILE[name]
    small_s, large_s = (_checking_s(fmt, build(size)) for size in (SMALL, LARGE))
    assert large_s < max(LEAST_S, MOST * small_s), f"{small_s:.4f} s, then {large_s:.4f} s"


@pytest.mark.parametrize("name", HOSTILE)
def test_the_largest_hostile_file_is_checked_long_before_its_time_is_up(name):
    fmt, build = HOSTILE[name]
    assert _checking_s(fmt, build(20 << 20)) < TIMEOUT_S / 3


def test_missing_pixels_are_counted_without_copying_the_file_for_each_piece():
    def spent_s(size):
        # rows that pack well, then empty blocks
        packer = zlib.compressobj()
        packed = packer.compress(rows(1_000, bytes(20_000))) + packer.flush(zlib.Z_SYNC_FLUSH)
        idat = chunk(b"IDAT", packed + b"\0\0\0\xff\xff" * (size // 5))
        data = png(ihdr(20_000, 2_000, 8, 0), idat=idat)
        start = time.process_time()
        assert png_pixels_missing(data)
        return time.process_time() - start

    assert spent_s(8 << 20) < 10 * spent_s(1 << 20) + LEAST_S


def test_a_jpeg_of_ff_is_refused_as_cut(decoder):

    with pytest.raises(ImageError, match="end marker is missing"):
        decoder.decode(Upload(b"\xff\xd8" + b"\xff" * 40_000))


def test_honest_files_have_far_fewer_parts_than_the_checks_allow():
    whole = saved(quarters(), "JPEG", icc_profile=bytes(600_000), comment=b"c", exif=bytes(99))
    assert check_file("JPEG", whole, LIMITS).reducible
