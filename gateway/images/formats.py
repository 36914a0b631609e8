"""The format of a file, detected from its first bytes, and the limits that an image must keep."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from gateway.images.decoder import heic
from shared.errors import ImageAspect, ImageDimensions, UnsupportedImageFormat
from shared.prediction.proportions import MIN_SIDE, is_long
from shared.prediction.visual_tokens import MAX_ASPECT

ImageFormat = Literal["JPEG", "PNG", "WebP", "BMP", "TIFF", "GIF", "AVIF", "HEIC"]

_ALWAYS: tuple[ImageFormat, ...] = ("JPEG", "PNG", "WebP", "BMP", "TIFF", "GIF", "AVIF")

#: File name endings and media types that fit each format.
EXTENSIONS: dict[ImageFormat, tuple[str, ...]] = {
    "JPEG": ("jpg", "jpeg", "jpe", "jfif", "pjpeg", "mpo"),
    "PNG": ("png", "apng", "x-png"),
    "WebP": ("webp",),
    "BMP": ("bmp", "dib", "x-bmp", "x-ms-bmp"),
    "TIFF": ("tif", "tiff"),
    "GIF": ("gif",),
    "AVIF": ("avif", "avifs"),
    "HEIC": ("heic", "heif", "heics", "heifs", "hif", "heic-sequence", "heif-sequence"),
}

_TIFF_MAGICS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
#: Header sizes that exist; two letters alone would make every text that starts with BM a bitmap.
_BMP_HEADERS = frozenset((12, 16, 40, 52, 56, 64, 108, 124))
_HEIC_BRANDS = frozenset((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"))
_AVIF_BRANDS = frozenset((b"avif", b"avis"))
_SNIFF_BYTES = 1024
_HEIC_HINT = (
    "Save it as JPEG (iPhones: Settings, Camera, Formats, Most Compatible), or ask the operator "
    f"to install HEIC support: {heic.EXTRA}."
)

_OFFICE_HINT = "Save or print it as a PDF in the program that made it, and send that as a document."
_HINTS = {
    "HEIC/HEIF": _HEIC_HINT,
    "PDF": "Send it as a document: as `document` of a job, or with POST /v1/documents.",
    "a ZIP archive or an Office document": _OFFICE_HINT,
    "an old Office document": _OFFICE_HINT,
}

_FOREIGN: tuple[tuple[int, bytes, str], ...] = (
    (0, b"%PDF", "PDF"),
    (0, b"%!PS", "EPS/PostScript"),
    (0, b"\xc5\xd0\xd3\xc6", "EPS/PostScript"),
    (0, b"8BPS", "Photoshop PSD"),
    (0, b"\0\0\0\x0cJXL ", "JPEG XL"),
    (0, b"\xff\x0a", "JPEG XL"),
    (0, b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (0, b"\xff\x4f\xff\x51", "JPEG 2000"),
    (0, b"\0\0\x01\0", "Windows icon"),
    (0, b"\0\0\x02\0", "Windows cursor"),
    (0, b"icns", "Apple icon"),
    (0, b"\x76\x2f\x31\x01", "OpenEXR"),
    (0, b"#?RADIANCE", "Radiance HDR"),
    (0, b"qoif", "QOI"),
    (0, b"DDS ", "DDS texture"),
    (128, b"DICM", "DICOM"),
    (0, b"\xd7\xcd\xc6\x9a", "WMF"),
    (0, b"gimp xcf", "GIMP XCF"),
    (0, b"IIRO", "camera raw (ORF)"),
    (0, b"IIU\0", "camera raw (RW2)"),
    (0, b"FUJIFILMCCD-RAW", "camera raw (RAF)"),
    (0, b"PK\x03\x04", "a ZIP archive or an Office document"),
    (0, b"\xd0\xcf\x11\xe0", "an old Office document"),
    (0, b"\x1f\x8b", "gzip"),
    (0, b"7z\xbc\xaf", "7z archive"),
    (0, b"Rar!", "RAR archive"),
    (0, b"\x7fELF", "ELF program"),
    (0, b"MZ", "Windows program"),
    (0, b"\x1a\x45\xdf\xa3", "WebM/Matroska video"),
    (8, b"AVI ", "AVI video"),
    (8, b"WAVE", "WAV audio"),
    (0, b"ID3", "MP3 audio"),
    (0, b"OggS", "Ogg media"),
    (0, b"iVBORw0KGgo", "base64 text, encoded twice"),
    (0, b"/9j/", "base64 text, encoded twice"),
    (0, b"data:", "a data: URI, encoded twice"),
)
_MARKUP: tuple[tuple[bytes, str], ...] = ((b"<svg", "SVG"), (b"<html", "HTML"), (b"<?xml", "XML"))


@dataclass(frozen=True, slots=True)
class DecodeLimits:
    """Limits of one image."""

    max_pixels: int
    max_pixels_jpeg: int
    max_side: int
    max_aspect: float
    #: Pixels at most of the image that is stored.
    kept_pixels: int
    #: The same for images that are cut into tiles.
    long_pixels: int
    #: This image may be cut into tiles, whatever its shape.
    detailed: bool = False

    def kept_size(self, width: int, height: int) -> tuple[int, int]:
        """Return the size at which an image of this size is stored."""
        long = self.detailed or is_long(width, height)
        most = max(self.long_pixels, self.kept_pixels) if long else self.kept_pixels
        scale = math.sqrt(min(1.0, most / (width * height)))
        return max(1, int(width * scale)), max(1, int(height * scale))

    def check(self, width: int, height: int, *, reducible: bool = False) -> None:
        """Raise ImageDimensions or ImageAspect; `reducible`: the file can be decoded smaller."""
        if width < 1 or height < 1:
            raise ImageDimensions(f"The image has no pixels: {width}x{height}.")
        if max(width, height) > self.max_side:
            raise ImageDimensions(
                f"The image is {width}x{height}; a side may have at most {self.max_side} pixels."
            )
        most = self.max_pixels_jpeg if reducible else self.max_pixels
        if width * height > most:
            raise ImageDimensions(
                f"The image is {width}x{height} = {width * height} pixels; the limit is {most}."
            )
        if max(width, height) > self.max_aspect * min(width, height):
            raise ImageAspect(
                f"The image is {width}x{height}; its longer side may be at most "
                f"{self.max_aspect:g} times the shorter."
            )
        if max(width, height) > MAX_ASPECT * min(width, height) and min(width, height) < MIN_SIDE:
            raise ImageAspect(
                f"The image is {width}x{height}; above an aspect ratio of {MAX_ASPECT:g} "
                f"the shorter side must have at least {MIN_SIDE} pixels."
            )


def accepted_formats() -> tuple[ImageFormat, ...]:
    """Return the formats that this installation can decode."""
    return (*_ALWAYS, "HEIC") if heic.is_available() else _ALWAYS


def sniff_format(data: bytes) -> ImageFormat:
    """Return the format by the first bytes; raises UnsupportedImageFormat, which names it."""
    fmt = _known_format(data)
    if fmt in accepted_formats():
        return fmt
    name = "HEIC/HEIF" if fmt else _foreign_format(data) or "not an image in a known format"
    raise UnsupportedImageFormat(
        f"The file is {name}. Supported formats: {', '.join(accepted_formats())}, and PDF as a "
        "document.",
        hint=_HINTS.get(name),
    )


def _known_format(data: bytes) -> ImageFormat | None:
    brands = _read_brands(data)
    fixed: tuple[tuple[ImageFormat, bool], ...] = (
        ("JPEG", data.startswith(b"\xff\xd8\xff")),
        ("PNG", data.startswith(b"\x89PNG\r\n\x1a\n")),
        ("GIF", data.startswith((b"GIF87a", b"GIF89a"))),
        ("WebP", data.startswith(b"RIFF") and data[8:12] == b"WEBP"),
        ("BMP", data.startswith(b"BM") and _bmp_header_size(data) in _BMP_HEADERS),
        ("TIFF", data.startswith(_TIFF_MAGICS) and data[8:10] != b"CR"),
        ("AVIF", bool(brands & _AVIF_BRANDS)),
        ("HEIC", bool(brands & _HEIC_BRANDS)),
    )
    return next((name for name, fits in fixed if fits), None)


def _bmp_header_size(data: bytes) -> int:
    return int.from_bytes(data[14:18], "little")


def _read_brands(data: bytes) -> frozenset[bytes]:
    """Return the major and compatible brands of an ISO media file, else nothing."""
    if data[4:8] != b"ftyp":
        return frozenset()
    end = min(int.from_bytes(data[:4], "big"), len(data), _SNIFF_BYTES)
    starts = [8, *range(16, end - 3, 4)]
    return frozenset(data[i : i + 4] for i in starts)


def _foreign_format(data: bytes) -> str | None:
    head = data[:_SNIFF_BYTES]
    for offset, magic, name in _FOREIGN:
        if head.startswith(magic, offset):
            return name
    if head.startswith(_TIFF_MAGICS):
        return "camera raw (CR2)"
    return _video_format(head) or _text_format(head)


def _video_format(head: bytes) -> str | None:
    return "MP4/QuickTime video" if _read_brands(head) else None


def _text_format(head: bytes) -> str | None:
    lowered = head.lower()
    for tag, name in _MARKUP:
        if tag in lowered:
            return name
    try:
        head.decode()
    except UnicodeDecodeError:
        return None
    return None if b"\0" in head else "text"
