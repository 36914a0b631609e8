"""The work of checking a file grows with its size, whatever the file repeats."""

import contextlib
import struct
import time
import zlib

import pytest

from gateway.images.decoder.canonical import canonicalize
from gateway.images.decoder.checks.png import png_pixels_missing
from gateway.images.decoder.preflight import check_file
from gateway.images.formats import DecodeLimits
from gateway.images.uploads import Upload
from shared.errors import ImageError
from tests.support.images.image_bytes import chunk, ihdr, noise, png, quarters, rows, saved, segment

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
_PICTURE = b",\0\0\0\0\1\0\1\0\0\2\2D\1\0"
_FREE = b"\0\0\0\x08free"


def _webp_with_chunks(size: int) -> bytes:
    chunks = saved(noise(), "WEBP")[12:] + b"ABCD\0\0\0\0" * (size // 8)
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WEBP" + chunks


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
    "gif of comments before its picture": ("GIF", _filled(_GIF, b"!\xfe\1x\0", _PICTURE)),
    "gif of tiny pieces before its picture": (
        "GIF",
        _filled(_GIF + b"!\xfe", b"\1x", b"\0" + _PICTURE),
    ),
    "gif of comments behind its picture": ("GIF", _filled(_GIF + _PICTURE, b"!\xfe\1x\0")),
    "gif of a picture in tiny pieces": ("GIF", _filled(_GIF + _PICTURE[:-1], b"\1\1", b"\0;")),
    "gif of pictures": ("GIF", _filled(_GIF, _PICTURE)),
    "gif of stray bytes": ("GIF", _filled(_GIF, b"\0", _PICTURE)),
    "jpeg of stuffed zeros": ("JPEG", _filled(_JPEG[:-2], b"\xff\0", b"\xff\xd9")),
    "tiff of empty directories": (
        "TIFF",
        lambda size: _TIFF + b"".join(struct.pack("<HI", 0, 6 * n + 14) for n in range(size // 6)),
    ),
    "webp of chunks behind its picture": ("WebP", _webp_with_chunks),
    "avif of boxes behind its picture": ("AVIF", _filled(saved(noise(), "AVIF"), _FREE)),
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
def test_the_largest_hostile_file_is_decoded_long_before_its_time_is_up(name):
    data = HOSTILE[name][1](20 << 20)
    start = time.process_time()
    with contextlib.suppress(ImageError):
        canonicalize(data, LIMITS)
    assert time.process_time() - start < TIMEOUT_S / 3


def test_a_gif_is_read_up_to_its_first_picture(decoder):
    comments = b"!\xfe\1x\0" * 900
    one = decoder.decode(Upload(_GIF + comments + _PICTURE + comments + b";"))
    two = decoder.decode(Upload(_GIF + comments + _PICTURE + b"\0" + comments + _PICTURE + b";"))
    assert one.id == two.id
    assert [
        "image_first_frame" in {notice["code"] for notice in image.notices} for image in (one, two)
    ] == [False, True]
    with pytest.raises(ImageError, match="more than 1000 blocks before a picture"):
        decoder.decode(Upload(_GIF + b"!\xfe\1x\0" * 1001 + _PICTURE + b";"))
    with pytest.raises(ImageError, match="no picture"):
        decoder.decode(Upload(_GIF + comments + b";"))


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
