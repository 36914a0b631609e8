"""Turns a checked file into one canonical RGB image: upright, opaque, 8 bits, sRGB, first frame.

Runs in the decoder child, where Pillow may be killed.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from PIL import ExifTags, Image, ImageChops, ImageFile
from PIL.AvifImagePlugin import AvifImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from gateway.images.decoder import heic, preflight
from gateway.images.decoder.bmp import BmpFile
from gateway.images.decoder.checks.alpha import with_alpha_size
from gateway.images.decoder.checks.checked_file import CheckedFile
from gateway.images.decoder.checks.png import png_pixels_missing
from gateway.images.decoder.damage import jpeg, tiff, webp, zeros
from gateway.images.decoder.damage.report import Damage, captured_errors
from gateway.images.decoder.refusals import with_image_errors
from gateway.images.formats import DecodeLimits, ImageFormat, sniff_format
from shared.errors import ImageDecodeFailed, ImageTruncated
from shared.pixels import colours
from shared.pixels.png import split_bands
from shared.pixels.samples import add_alpha, scale_samples
from shared.pixels.transparency import clear_outside, flatten

#: The plugin's own class: Image.open hides why it failed, and takes some JPEGs for MPO albums.
_OPENERS: dict[ImageFormat, Callable[[io.BytesIO], ImageFile.ImageFile]] = {
    "JPEG": JpegImageFile,
    "PNG": PngImageFile,
    "WebP": WebPImageFile,
    "BMP": BmpFile,
    "TIFF": TiffImageFile,
    "GIF": GifImageFile,
    "AVIF": AvifImageFile,
    "HEIC": heic.open_file,
}
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIDEWAYS = frozenset((5, 6, 7, 8))
_TIFF_PHOTOMETRIC = 262
_WHITE_IS_ZERO = 0
_PLAIN_MODES = frozenset(("RGB", "RGBX", "RGBA", "L", "LA", "P", "1"))


@dataclass(slots=True)
class CanonicalPixels:
    """What a file became."""

    image: Image.Image
    format: ImageFormat
    #: Pixels of the file, seen upright: width, height.
    source: tuple[int, int]
    #: (code, detail) of each thing that was done to it.
    notices: list[tuple[str, str]] = field(default_factory=list)

    def content_id(self) -> str:
        """Return `img_` and the SHA-256 of its size and pixels: equal pixels, equal id."""
        digest = hashlib.sha256(f"{self.image.width}x{self.image.height}\n".encode())
        for band in split_bands(self.image):
            digest.update(band.tobytes())
        return f"img_{digest.hexdigest()}"


def canonicalize(data: bytes, limits: DecodeLimits) -> CanonicalPixels:
    """Decode a file; raises ImageError, or MemoryError beyond the process' memory limit."""
    fmt = sniff_format(data)
    return with_image_errors(fmt, data, lambda: _new_decoder(fmt, data, limits).decode())


def read_size(data: bytes, limits: DecodeLimits) -> tuple[int, int]:
    """Return width and height in pixels, upright, from the header alone; raises ImageError."""
    fmt = sniff_format(data)
    return with_image_errors(fmt, data, lambda: _new_decoder(fmt, data, limits).open()[2])


def _new_decoder(fmt: ImageFormat, data: bytes, limits: DecodeLimits) -> _ImageDecoder:
    return _ImageDecoder(fmt, preflight.check_file(fmt, data, limits), limits)


class _ImageDecoder:
    """Turns one checked file into canonical pixels."""

    def __init__(self, fmt: ImageFormat, checked: CheckedFile, limits: DecodeLimits) -> None:
        self.format = fmt
        self.checked = checked
        self.limits = limits
        self.notices: list[tuple[str, str]] = list(checked.notices)

    def decode(self) -> CanonicalPixels:
        """Open, check, load, then convert in the order that keeps memory small."""
        file, orientation, (width, height) = self.open()
        self._note_frames(file)
        info = dict(file.info)
        image = self._to_eight_bits(self._load(file))
        image = self._reduce(image)
        if orientation in _UPRIGHT:
            self._add_notice(
                "image_rotated", f"Rotated upright according to its EXIF orientation {orientation}."
            )
            # Pillow has turned a TIFF already
            image = image if self.format == "TIFF" else image.transpose(_UPRIGHT[orientation])
        image = self._to_rgb(self._flatten(image), info)
        if image.size != (width, height):
            self._add_notice("image_reduced", f"{width}x{height} → {image.width}x{image.height}")
        return CanonicalPixels(image, self.format, (width, height), self.notices)

    def open(self) -> tuple[ImageFile.ImageFile, int, tuple[int, int]]:
        """Return the file unread, its EXIF orientation and its size as seen upright."""
        file = self._open_file()
        self.limits.check(*file.size, reducible=self.checked.reducible)
        orientation = _read_orientation(file)
        width, height = file.size
        if orientation in _SIDEWAYS and self.format != "TIFF":
            width, height = height, width
        return file, orientation, (width, height)

    def _open_file(self) -> ImageFile.ImageFile:
        data = self.checked.data
        try:
            return _OPENERS[self.format](io.BytesIO(data))
        except (SyntaxError, ValueError):
            # libavif refuses alpha channels that tell no size, which browsers show
            repaired = with_alpha_size(data) if self.format == "AVIF" else None
            if repaired is None:
                raise
            return _OPENERS[self.format](io.BytesIO(repaired))

    def _add_notice(self, code: str, detail: str) -> None:
        self.notices.append((code, detail))

    def _note_frames(self, file: ImageFile.ImageFile) -> None:
        animated = self.checked.animated
        if self.format in ("TIFF", "AVIF", "HEIC"):
            # a broken second frame is no reason to refuse the first
            with contextlib.suppress(Exception):
                animated = bool(getattr(file, "is_animated", False))
        if animated:
            self._add_notice("image_first_frame", "Only the first frame or page was used.")

    def _load(self, file: ImageFile.ImageFile) -> Image.Image:
        if self.checked.reducible:
            file.draft(None, self.limits.kept_size(*file.size))
        header_size = file.size
        covered = file.tile[0][1] if self.format == "GIF" and file.tile else None
        self._load_pixels(file)
        if self.format == "HEIC":
            self._check_heic(file, header_size)
        if self.format == "PNG" and _may_lack_pixels(file):
            self._refuse_missing_pixels()
        if self.format == "JPEG" and file.mode == "CMYK" and "adobe" not in file.info:
            # Pillow inverts every CMYK JPEG, but only Adobe stores them inverted
            return ImageChops.invert(file)
        if covered and covered != (0, 0, *file.size):
            self._add_notice("image_flattened", "Its first frame covers a part of it alone.")
            return clear_outside(file, covered)
        return file

    def _load_pixels(self, file: ImageFile.ImageFile) -> None:
        """Decode; what the libraries call damaged is refused or noted."""
        with captured_errors() as messages:
            file.load()
        if damage := self._find_damage(file, messages):
            self.notices.append(damage.notice())

    def _find_damage(self, file: ImageFile.ImageFile, messages: list[str]) -> Damage | None:
        data = self.checked.data
        if isinstance(file, TiffImageFile):
            return tiff.read_damage(data, file, messages)
        if self.format == "JPEG":
            return jpeg.read_damage(data)
        if self.format in ("AVIF", "HEIC"):
            return zeros.find_in_boxes(data)
        return webp.find_damage(data, self._can_be_decoded) if self.format == "WebP" else None

    def _can_be_decoded(self, data: bytes) -> bool:
        with contextlib.suppress(OSError, SyntaxError, ValueError, EOFError):
            _OPENERS[self.format](io.BytesIO(data)).load()
            return True
        return False

    def _check_heic(self, file: ImageFile.ImageFile, header_size: tuple[int, int]) -> None:
        if file.size != header_size:
            raise ImageDecodeFailed("Image decode failed: its size differs from its header.")
        if file.info.get("original_orientation") not in (None, 1):
            self._add_notice("image_rotated", "Rotated upright according to the file's container.")
        if (bits := file.info.get("bit_depth", 8)) > 8:
            self._add_notice("image_converted", f"Samples scaled from {bits} to 8 bits.")

    def _refuse_missing_pixels(self) -> None:
        if png_pixels_missing(self.checked.data):
            raise ImageTruncated("The PNG's pixel data ends too early.")

    def _to_eight_bits(self, image: Image.Image) -> Image.Image:
        """Return the image in a mode that resizes well, its transparency as a channel."""
        mode = image.mode
        if mode == "F" or mode.startswith("I"):
            scaled, depth = scale_samples(image, white_is_zero=_white_is_zero(image))
            self._add_notice("image_converted", f"Samples scaled from {depth} to 8 bits.")
            return scaled
        if mode not in _PLAIN_MODES:
            self._add_notice("image_converted", f"Colours converted from {mode} to RGB.")
        if mode == "PA" or (mode != "CMYK" and "transparency" in image.info):
            return add_alpha(image)
        if mode == "P":
            return image.convert("RGB")
        if mode in ("RGBa", "La"):
            return image.convert(mode.upper())
        return image.convert("L") if mode == "1" else image

    def _reduce(self, image: Image.Image) -> Image.Image:
        size = self.limits.kept_size(*image.size)
        if size == image.size:
            return image
        return image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)

    def _flatten(self, image: Image.Image) -> Image.Image:
        if image.mode not in ("RGBA", "LA"):
            return image
        opaque, ground = flatten(image)
        if ground == "white":
            self._add_notice("image_flattened", "Transparency was replaced by white.")
        elif ground:
            self._add_notice(
                "image_flattened",
                f"Transparency was replaced by {ground}: on white its light ink would vanish.",
            )
        return opaque

    def _to_rgb(self, image: Image.Image, info: Mapping[str | tuple[int, int], Any]) -> Image.Image:
        profile = info.get("icc_profile")
        if isinstance(profile, bytes) and profile:
            image, notices = colours.convert_profile(image, profile)
            self.notices += notices
            return image
        code = self.checked.colour_code
        space = colours.coded_space(*code) if code else None
        if self.format == "PNG" and not code:
            space = colours.png_space(info)
        image = image.convert("RGB")
        if space is None:
            return image
        self.notices.append(colours.converted_notice(space.name))
        return colours.convert_space(image, space)


def _read_orientation(file: ImageFile.ImageFile) -> int:
    # a broken EXIF block leaves the image as it is
    with contextlib.suppress(Exception):
        return int(file.getexif().get(ExifTags.Base.Orientation, 1))
    return 1


def _white_is_zero(file: Image.Image) -> bool:
    tags = getattr(file, "tag_v2", {})
    return bool(tags.get(_TIFF_PHOTOMETRIC) == _WHITE_IS_ZERO)


def _may_lack_pixels(file: ImageFile.ImageFile) -> bool:
    """Tell whether the last row is empty: Pillow leaves the rows that a cut file lacks zero."""
    if file.info.get("interlace"):
        return True
    last = file.crop((0, file.height - 1, file.width, file.height))
    return last.getbbox(alpha_only=False) is None
