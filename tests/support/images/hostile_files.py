"""Image files that must be refused: broken, lying or hostile, each with its error code."""

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from tests.support.images.image_bytes import (
    BLUE,
    RED,
    chunk,
    heic,
    ihdr,
    noise,
    png,
    quarters,
    resized_header,
    rows,
    saved,
    segment,
    tiff,
    vp8l,
    vp8x,
    webp,
    with_segment,
)

CUT, BAD, SIZE, ASPECT, FORMAT = (
    "image_truncated",
    "image_decode_failed",
    "image_dimensions",
    "image_aspect",
    "unsupported_image_format",
)


@dataclass(frozen=True)
class Refused:
    """A file to build, and the refusal to expect."""

    name: str
    build: Callable[[], bytes]
    code: str
    #: A part of the message that the sender needs.
    says: str = ""


def _jpeg(**options: Any) -> bytes:
    return saved(noise(), "JPEG", quality=90, **options)


def _scans(count: int) -> bytes:
    """Return a progressive JPEG whose last scan is repeated `count` times."""
    data = saved(noise(), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * count + b"\xff\xd9"


def _two_frames() -> bytes:
    data = _jpeg()
    at = data.index(b"\xff\xc0")
    frame = data[at : at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")]
    return data[:at] + frame + data[at:]


def _thumbnail_whole_main_cut() -> bytes:
    thumbnail = saved(quarters(), "JPEG")
    data = with_segment(_jpeg(), 0xE1, b"Exif\0\0" + thumbnail)
    return data[: len(data) * 3 // 4]


def _palette(crc: int | None = None) -> bytes:
    return chunk(b"PLTE", bytes((*RED, *BLUE)), crc=crc)


def _cut(fmt: str, part: float, **options: Any) -> bytes:
    data = saved(noise(), fmt, **options)
    return data[: int(len(data) * part)]


def _avif_lying() -> bytes:
    data = saved(noise(), "AVIF")
    at = data.index(b"ispe") + 8
    return data[:at] + struct.pack(">II", 20_000, 20_000) + data[at + 8 :]


def _heic_lying(side: int) -> bytes:
    data = heic(noise())
    at = data.index(b"ispe") + 8
    return data[:at] + struct.pack(">II", side, side) + data[at + 8 :]


def _gif_frame_of(width: int, height: int) -> bytes:
    head = b"GIF89a" + struct.pack("<HHBBB", 8, 8, 0x80, 0, 0) + bytes((*RED, *BLUE))
    return head + b"," + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\x02\x01\x4c\0;"


def _bmp_of(width: int, height: int) -> bytes:
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54 + 64, 0, 0, 54) + header + b"\0" * 64


_HEADER = ihdr(4, 4)
_RAW = rows(4, b"\x80" * 12)
_GREY_RGB = png(_HEADER, _RAW)
_SHORT = zlib.compress(rows(2, b"\x80" * 12))

PNG = [
    Refused("png of one row and 170 million columns", lambda: png(ihdr(170_000_000, 1), b""), SIZE),
    Refused("png of one column", lambda: png(ihdr(1, 20_000), b""), ASPECT),
    Refused("png of 65535 squared", lambda: png(ihdr(65_535, 65_535), b""), SIZE),
    Refused("png of 2^31 squared", lambda: png(ihdr(2**31 - 1, 2**31 - 1), b""), SIZE),
    Refused("png of 51 megapixels", lambda: png(ihdr(10_200, 5_000), b""), SIZE, "50000000"),
    Refused("png without width", lambda: png(ihdr(0, 10), b""), SIZE),
    Refused("png 2001 times as wide as high", lambda: png(ihdr(20_010, 10), b""), ASPECT, "2000"),
    Refused("png 201 times as wide as 7 rows", lambda: png(ihdr(1407, 7), b""), ASPECT, "8"),
    Refused(
        "png with a wrong IDAT checksum",
        lambda: png(_HEADER, idat=chunk(b"IDAT", zlib.compress(_RAW), crc=1)),
        BAD,
        "checksum",
    ),
    Refused(
        "png with a wrong IHDR checksum", lambda: png(_HEADER[:-1] + b"\0", _RAW), BAD, "checksum"
    ),
    Refused(
        "png with a wrong PLTE checksum",
        lambda: png(ihdr(4, 4, 8, 3), rows(4, bytes(4)), _palette(crc=1)),
        BAD,
        "checksum",
    ),
    Refused("png cut at half", lambda: _cut("PNG", 0.5), CUT),
    Refused("png cut at 99 %", lambda: _cut("PNG", 0.99), CUT),
    Refused("png without IEND", lambda: png(_HEADER, _RAW, end=False), CUT),
    Refused("png signature alone", lambda: _GREY_RGB[:8], CUT),
    Refused("png cut inside its header", lambda: _GREY_RGB[:20], CUT),
    Refused(
        "png whose pixels stop half-way, all checksums right",
        lambda: png(_HEADER, idat=chunk(b"IDAT", _SHORT)),
        CUT,
    ),
    Refused(
        "interlaced png whose pixels stop half-way",
        lambda: png(ihdr(4, 4, interlace=1), idat=chunk(b"IDAT", _SHORT)),
        CUT,
    ),
    Refused(
        "png whose deflate stream is cut",
        lambda: png(
            ihdr(64, 64), idat=chunk(b"IDAT", zlib.compress(noise(64, 64).tobytes())[:900])
        ),
        CUT,
    ),
    Refused("png without image data", lambda: png(_HEADER, idat=b""), BAD),
    Refused(
        "png with garbage for image data",
        lambda: png(_HEADER, idat=chunk(b"IDAT", b"garbage" * 9)),
        BAD,
    ),
    Refused("png with an unknown critical chunk", lambda: png(_HEADER, _RAW, chunk(b"EVIL")), BAD),
    Refused(
        "png that starts with another chunk", lambda: png(chunk(b"gAMA", b"\0" * 4), _RAW), BAD
    ),
    Refused("png with a short header", lambda: png(chunk(b"IHDR", b"\0\0\0\1"), _RAW), BAD),
    Refused("png of a colour type that is none", lambda: png(ihdr(4, 4, 8, 5), _RAW), BAD),
    Refused("png of 3 bits", lambda: png(ihdr(4, 4, 3, 0), _RAW), BAD),
    Refused("png with 60,000 chunks", lambda: png(_HEADER, _RAW, chunk(b"prVt") * 60_000), BAD),
    Refused(
        "png with a chunk of 4 GiB",
        lambda: png(_HEADER, idat=chunk(b"IDAT", b"x", length=2**32 - 1)),
        CUT,
    ),
]

JPEG = [
    Refused("jpeg cut at half", lambda: _cut("JPEG", 0.5), CUT),
    Refused("jpeg cut at 99 %", lambda: _cut("JPEG", 0.99), CUT),
    Refused("jpeg without its end marker", lambda: _jpeg()[:-2], CUT),
    Refused("jpeg cut inside a marker", lambda: _jpeg()[:-1], CUT),
    Refused("jpeg of three bytes", lambda: b"\xff\xd8\xff", CUT),
    Refused("jpeg cut before its scan", lambda: _jpeg()[:200], CUT),
    Refused("jpeg cut, zeros after it", lambda: _jpeg()[:-40] + b"\0" * 99, CUT),
    Refused("jpeg whose thumbnail is whole and whose image is cut", _thumbnail_whole_main_cut, CUT),
    Refused("progressive jpeg cut at half", lambda: _cut("JPEG", 0.5, progressive=True), CUT),
    Refused("jpeg of 5,000 scans", lambda: _scans(5_000), BAD, "100 scans"),
    Refused("jpeg of 101 scans", lambda: _scans(101), BAD, "100 scans"),
    Refused("jpeg of 400 megapixels", lambda: resized_header(_jpeg(), 20_000, 20_000), SIZE),
    Refused(
        "progressive jpeg of 100 megapixels",
        lambda: resized_header(_jpeg(progressive=True), 10_000, 10_000),
        SIZE,
    ),
    Refused(
        "lossless jpeg of 100 megapixels",
        lambda: resized_header(_jpeg(), 10_000, 10_000, kind=0xC3),
        SIZE,
    ),
    Refused("jpeg with a side of 65,535", lambda: resized_header(_jpeg(), 65_535, 400), SIZE),
    Refused("jpeg of no height", lambda: resized_header(_jpeg(), 64, 0), SIZE),
    Refused("jpeg 3000 times as high as wide", lambda: resized_header(_jpeg(), 5, 15_000), ASPECT),
    Refused("jpeg with two frames", _two_frames, BAD, "2 frames"),
    Refused("jpeg without a scan", lambda: b"\xff\xd8" + segment(0xFE, b"hi") + b"\xff\xd9", BAD),
    Refused("jpeg with an empty segment", lambda: b"\xff\xd8\xff\xe0\0\0" + _jpeg()[2:], BAD),
    Refused(
        "jpeg without tables",
        lambda: (d := _jpeg())[:2] + d[d.index(b"\xff\xc0") :].replace(b"\xff\xc4", b"\xff\xe9"),
        BAD,
    ),
]

WEBP = [
    Refused("webp of 13,000 squared in 40 bytes", lambda: webp(vp8l(13_000, 13_000)), SIZE),
    Refused("webp canvas of 16 million squared", lambda: webp(vp8x(1 << 24, 1 << 24)), SIZE),
    Refused(
        "webp with a small canvas and a huge image",
        lambda: webp(vp8x(64, 64), vp8l(16_384, 16_384)),
        BAD,
    ),
    Refused(
        "lossy webp of 16,383 squared",
        lambda: webp(
            (b"VP8 ", b"\x10\x00\x00\x9d\x01\x2a" + struct.pack("<HH", 16_383, 16_383) + bytes(9))
        ),
        SIZE,
    ),
    Refused("webp cut at half", lambda: _cut("WEBP", 0.5), CUT),
    Refused("webp cut by a byte", lambda: saved(noise(), "WEBP", lossless=True)[:-1], CUT),
    Refused("webp of a header alone", lambda: b"RIFF\x04\0\0\0WEBP", CUT),
    Refused("webp without an image", lambda: webp((b"EXIF", bytes(40))), BAD),
    Refused("webp with garbage for an image", lambda: webp((b"VP8L", b"\x2f" + b"\x11" * 60)), BAD),
    Refused("webp 357 times as wide as high", lambda: webp(vp8l(2500, 7)), ASPECT),
    Refused(
        "animated webp whose frames are garbage",
        lambda: webp(vp8x(64, 64, 2), (b"ANIM", bytes(6)), (b"ANMF", b"\x07" * 60)),
        BAD,
    ),
]

TIFF = [
    Refused("tiff cut at half", lambda: _cut("TIFF", 0.5), CUT),
    Refused("packed tiff cut at half", lambda: _cut("TIFF", 0.5, compression="tiff_lzw"), CUT),
    Refused("tiff of 8 bytes", lambda: b"II*\0\x08\0\0\0", CUT),
    Refused("tiff of 100,000 squared", lambda: tiff(100_000, 100_000, bytes(64)), SIZE),
    Refused("tiff of 60 megapixels", lambda: tiff(10_000, 6_000, bytes(64)), SIZE),
    Refused("tiff whose strip is too short", lambda: tiff(500, 500, bytes(64), t279=250_000), CUT),
    Refused(
        "tiff whose strip lies behind its end", lambda: tiff(8, 8, bytes(64), t273=1 << 30), CUT
    ),
    Refused("tiff without directory entries", lambda: b"II*\0\x08\0\0\0" + bytes(20), BAD),
    Refused("tiff of an unknown compression", lambda: tiff(8, 8, bytes(64), t259=9_999), BAD),
    Refused("tiff of garbage packed as deflate", lambda: tiff(8, 8, b"\xaa" * 64, t259=8), BAD),
    Refused("tiff of garbage packed as jpeg", lambda: tiff(8, 8, b"\xaa" * 64, t259=7), BAD),
    Refused("tiff of 17 bits", lambda: tiff(8, 8, bytes(500), bits=(17,)), BAD),
    Refused("tiff of 40,000 samples", lambda: tiff(8, 8, bytes(64), t277=40_000), BAD),
    Refused(
        "tiff of huge tiles",
        lambda: tiff(8, 8, bytes(64), t259=8, t322=1 << 30, t323=1 << 30, t324=8, t325=64),
        BAD,
    ),
    Refused("tiff 1,000 times as wide as high", lambda: tiff(1000, 1, bytes(1000)), ASPECT),
]

_HEIC_BRANDS = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"

OTHERS = [
    Refused("gif of 65,535 squared", lambda: b"GIF89a\xff\xff\xff\xff\0\0\0" + bytes(64), BAD),
    Refused(
        "gif whose frame is far larger than its screen", lambda: _gif_frame_of(65_000, 60_000), SIZE
    ),
    Refused("gif cut at half", lambda: _cut("GIF", 0.5), CUT),
    Refused("gif of a header alone", lambda: b"GIF89a\x08\0\x08\0", CUT),
    Refused("gif whose pixels stop early", lambda: _gif_frame_of(200, 200), CUT),
    Refused("gif without a frame", lambda: b"GIF89a\x08\0\x08\0\0\0\0;", BAD),
    Refused("bmp of 60,000 squared", lambda: _bmp_of(60_000, 60_000), SIZE),
    Refused("bmp of 2^31 squared", lambda: _bmp_of(2**31 - 1, -(2**31) + 1), SIZE),
    Refused("bmp whose pixels are missing", lambda: _bmp_of(4_000, 4_000), CUT),
    Refused("bmp cut at half", lambda: _cut("BMP", 0.5), CUT),
    Refused("bmp cut in its header", lambda: _bmp_of(8, 8)[:40], CUT),
    Refused("bmp of no width", lambda: _bmp_of(0, 8), BAD),
    Refused("avif cut at half", lambda: _cut("AVIF", 0.5), CUT),
    Refused("avif that lies about its size", _avif_lying, BAD),
    Refused("avif of a brand alone", lambda: b"\0\0\0\x14ftypavif\0\0\0\0avif", CUT),
    Refused(
        "avif with a box of 3 bytes", lambda: b"\0\0\0\x14ftypavif\0\0\0\0avif\0\0\0\x03meta", BAD
    ),
    Refused("heic cut at half", lambda: (whole := heic(noise()))[: len(whole) // 2], CUT),
    Refused("heic that tells of 20,000 squared", lambda: _heic_lying(20_000), SIZE),
    Refused("heic that tells of 4,000 squared", lambda: _heic_lying(4_000), BAD),
    Refused("heic that tells of 16 squared", lambda: _heic_lying(16), BAD),
    Refused("heic of brands alone", lambda: _HEIC_BRANDS, BAD),
    Refused("heic of zeros", lambda: _HEIC_BRANDS + bytes(64), BAD),
    Refused("heif without an image", lambda: _HEIC_BRANDS[:8] + b"mif1" + bytes(76), BAD),
]

_MP4 = b"\0\0\0\x18ftypisom\0\0\0\0isommp42" + bytes(64)
_FOREIGN = {
    "PDF": b"%PDF-1.7\n%\xe2\xe3",
    "SVG": b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>',
    "HTML": b"<!doctype html><html><img src=x></html>",
    "EPS": b"%!PS-Adobe-3.0 EPSF-3.0\n",
    "PostScript": b"\xc5\xd0\xd3\xc6" + bytes(40),
    "PSD": b"8BPS\0\1" + bytes(40),
    "JPEG XL": b"\xff\x0a" + bytes(40),
    "JPEG 2000": b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(40),
    "icon": b"\0\0\1\0\1\0" + bytes(40),
    "MP4": _MP4,
    "WebM": b"\x1a\x45\xdf\xa3" + bytes(40),
    "ZIP": b"PK\x03\x04" + bytes(40),
    "gzip": b"\x1f\x8b\x08" + bytes(40),
    "CR2": b"II*\0\x10\0\0\0CR\x02\0" + bytes(40),
    "text": b"BMW drives; this is a sentence.",
    "twice": b"iVBORw0KGgoAAAANSUhEUg",
    "data: URI": b"data:image/png;base64,iVBORw0KGgo",
    "DICOM": bytes(128) + b"DICM",
    "not an image": bytes(range(1, 200)),
    "Supported formats: JPEG, PNG, WebP, BMP, TIFF, GIF, AVIF": b"\0",
}

FOREIGN = [
    Refused(f"a file that is {name}", partial(bytes, data), FORMAT, name)
    for name, data in _FOREIGN.items()
] + [
    Refused("html before a jpeg", lambda: b"<script>1</script>" + _jpeg(), FORMAT),
    Refused("a jpeg after an empty line", lambda: b"\n" + _jpeg(), FORMAT),
]

REFUSED = [*PNG, *JPEG, *WEBP, *TIFF, *OTHERS, *FOREIGN]
