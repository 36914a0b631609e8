"""Turns a checked file into one canonical RGB image: upright, opaque, 8 bits, sRGB, first frame.

Runs in the decoder child, where Pillow may be killed.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageChops, ImageCms, ImageFile
from PIL.AvifImagePlugin import AvifImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from gateway.images.decoder import heic, preflight
from gateway.images.decoder.png import split_bands
from gateway.images.formats import DecodeLimits, ImageFormat, sniff_format
from shared.errors import ImageDecodeFailed, ImageError, ImageTruncated

#: The plugin's own class: Image.open hides why it failed, and takes some JPEGs for MPO albums.
_OPENERS: dict[ImageFormat, Callable[[io.BytesIO], ImageFile.ImageFile]] = {
    "JPEG": JpegImageFile,
    "PNG": PngImageFile,
    "WebP": WebPImageFile,
    "BMP": BmpImageFile,
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
_MAX_PROFILE_BYTES = 2 << 20
_TIFF_PHOTOMETRIC = 262
_WHITE_IS_ZERO = 0
_ICC_MODES = {b"RGB ": "RGB", b"CMYK": "CMYK", b"GRAY": "L"}
_PLAIN_MODES = frozenset(("RGB", "RGBX", "RGBA", "L", "LA", "P", "1"))

T = TypeVar("T")


@dataclass(slots=True)
class CanonicalPixels:
    """What a file became."""

    image: Image.Image
    format: ImageFormat
    #: Pixels of the file, seen upright: width, height.
    source: tuple[int, int]
    #: (code, detail) of everything that was done to it.
    notices: list[tuple[str, str]] = field(default_factory=list)

    def id(self) -> str:
        """Return the name that its pixels give it; equal pixels, equal name."""
        digest = hashlib.sha256(f"{self.image.width}x{self.image.height}\n".encode())
        for band in split_bands(self.image):
            digest.update(band.tobytes())
        return f"img_{digest.hexdigest()}"


def canonicalize(data: bytes, limits: DecodeLimits) -> CanonicalPixels:
    """Decode `data`; raise ImageError, or MemoryError when the process has no room left."""
    return _with_image_errors(lambda: _new_decoder(data, limits).run())


def read_size(data: bytes, limits: DecodeLimits) -> tuple[int, int]:
    """Return width and height as seen upright, from the header alone; raises like the above."""
    return _with_image_errors(lambda: _new_decoder(data, limits).open()[2])


def _new_decoder(data: bytes, limits: DecodeLimits) -> _ImageDecoder:
    fmt = sniff_format(data)
    return _ImageDecoder(fmt, preflight.check_file(fmt, data, limits), limits)


def _with_image_errors(work: Callable[[], T]) -> T:
    try:
        return work()
    except (ImageError, MemoryError):
        raise
    except Exception as error:
        raise _image_error(error) from error


def _image_error(error: Exception) -> ImageError:
    text = " ".join(str(error).split())[:160] or type(error).__name__
    if "truncated" in text.lower() or isinstance(error, EOFError):
        return ImageTruncated(f"The image file is cut off: {text}.")
    return ImageDecodeFailed(f"Image decode failed: {text}.")


class _ImageDecoder:
    """One image on its way from file to canonical pixels."""

    def __init__(
        self, fmt: ImageFormat, checked: preflight.CheckedFile, limits: DecodeLimits
    ) -> None:
        self.format = fmt
        self.checked = checked
        self.limits = limits
        self.notices: list[tuple[str, str]] = list(checked.notices)

    def run(self) -> CanonicalPixels:
        """Open, check, load, then convert in the order that keeps memory small."""
        file, orientation, (width, height) = self.open()
        self._tell_frames(file)
        profile = file.info.get("icc_profile")
        image = self._eight_bits(self._load(file))
        image = self._reduce(image)
        if orientation in _UPRIGHT:
            self._tell("image_rotated", f"Turned upright by its EXIF orientation {orientation}.")
            # Pillow has turned a TIFF already.
            image = image if self.format == "TIFF" else image.transpose(_UPRIGHT[orientation])
        image = self._to_rgb(self._flatten(image), profile)
        if image.size != (width, height):
            self._tell("image_reduced", f"{width}x{height} → {image.width}x{image.height}")
        return CanonicalPixels(image, self.format, (width, height), self.notices)

    def open(self) -> tuple[ImageFile.ImageFile, int, tuple[int, int]]:
        """Return the file unread, its EXIF orientation and its size as seen upright."""
        file = _OPENERS[self.format](io.BytesIO(self.checked.data))
        self.limits.check(*file.size, reducible=self.checked.reducible)
        orientation = _read_orientation(file)
        width, height = file.size
        if orientation in _SIDEWAYS and self.format != "TIFF":
            width, height = height, width
        return file, orientation, (width, height)

    def _tell(self, code: str, detail: str) -> None:
        self.notices.append((code, detail))

    def _tell_frames(self, file: ImageFile.ImageFile) -> None:
        animated = self.checked.animated
        if self.format in ("GIF", "TIFF", "AVIF", "HEIC"):
            # A broken second frame is no reason to refuse the first.
            with contextlib.suppress(Exception):
                animated = bool(getattr(file, "is_animated", False))
        if animated:
            self._tell("image_first_frame", "Only the first frame or page is used.")

    def _load(self, file: ImageFile.ImageFile) -> Image.Image:
        if self.checked.reducible:
            file.draft(None, self.limits.kept(*file.size))
        told = file.size
        file.load()
        if self.format == "HEIC":
            self._check_heic(file, told)
        if self.format == "PNG" and _may_lack_pixels(file):
            self._refuse_missing_pixels()
        if self.format == "JPEG" and file.mode == "CMYK" and "adobe" not in file.info:
            # Pillow inverts every CMYK JPEG, but only Adobe stores them inverted.
            return ImageChops.invert(file)
        if file.mode.startswith("I;16") and _white_is_zero(file):
            return Image.fromarray(~np.asarray(file))
        return file

    def _check_heic(self, file: ImageFile.ImageFile, told: tuple[int, int]) -> None:
        if file.size != told:
            raise ImageDecodeFailed("Image decode failed: its size is not the one that it tells.")
        if file.info.get("original_orientation") not in (None, 1):
            self._tell("image_rotated", "Turned upright as the file's container says.")
        if (bits := file.info.get("bit_depth", 8)) > 8:
            self._tell("image_converted", f"Samples scaled from {bits} to 8 bits.")

    def _refuse_missing_pixels(self) -> None:
        if preflight.png_pixels_missing(self.checked.data):
            raise ImageTruncated("The PNG's pixels end before the image does.")

    def _eight_bits(self, image: Image.Image) -> Image.Image:
        """Return the image in a mode that resizes well, its transparency as a channel."""
        mode = image.mode
        if mode == "F" or mode.startswith("I"):
            self._tell("image_converted", f"Samples scaled from {_depth_name(mode)} to 8 bits.")
            return _scale_samples(image)
        if mode not in _PLAIN_MODES:
            self._tell("image_converted", f"Colours converted from {mode} to RGB.")
        if mode == "PA" or (mode != "CMYK" and "transparency" in image.info):
            return _add_alpha(image)
        if mode == "P":
            return image.convert("RGB")
        if mode in ("RGBa", "La"):
            return image.convert(mode.upper())
        return image.convert("L") if mode == "1" else image

    def _reduce(self, image: Image.Image) -> Image.Image:
        size = self.limits.kept(*image.size)
        if size == image.size:
            return image
        return image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)

    def _flatten(self, image: Image.Image) -> Image.Image:
        if image.mode not in ("RGBA", "LA"):
            return image
        alpha = image.getchannel("A")
        opaque = image.convert(image.mode[:-1])
        if alpha.getextrema() == (255, 255):
            return opaque
        self._tell("image_flattened", "Transparency was laid on white.")
        paper = Image.new(opaque.mode, image.size, "white")
        paper.paste(opaque, mask=alpha)
        return paper

    def _to_rgb(self, image: Image.Image, profile: object) -> Image.Image:
        if not isinstance(profile, bytes) or not profile:
            return image.convert("RGB")
        if 128 <= len(profile) <= _MAX_PROFILE_BYTES:
            # A broken profile costs its colours, not the image.
            with contextlib.suppress(ImageCms.PyCMSError, OSError, ValueError, TypeError):
                return self._managed(image, profile)
        self._tell("image_profile_ignored", "Its colour profile is broken or far too large.")
        return image.convert("RGB")

    def _managed(self, image: Image.Image, profile: bytes) -> Image.Image:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        space = _ICC_MODES.get(profile[16:20])
        if space == "RGB" and image.mode == "L":
            image = image.convert("RGB")
        name = ImageCms.getProfileDescription(source).strip()
        if name.startswith("sRGB"):
            return image.convert("RGB")
        if space != image.mode:
            self._tell("image_profile_ignored", "Its colour profile is of another kind of colours.")
            return image.convert("RGB")
        srgb = ImageCms.createProfile("sRGB")
        managed = ImageCms.profileToProfile(image, source, srgb, outputMode="RGB")
        if managed is None:
            return image.convert("RGB")
        self._tell("image_converted", f"Colours converted from {name[:60] or 'a profile'} to sRGB.")
        return managed


def _read_orientation(file: ImageFile.ImageFile) -> int:
    # EXIF is a hint from a camera; a broken one leaves the image as it is.
    with contextlib.suppress(Exception):
        return int(file.getexif().get(ExifTags.Base.Orientation, 1))
    return 1


def _white_is_zero(file: ImageFile.ImageFile) -> bool:
    tags = getattr(file, "tag_v2", {})
    return bool(tags.get(_TIFF_PHOTOMETRIC) == _WHITE_IS_ZERO)


def _may_lack_pixels(file: ImageFile.ImageFile) -> bool:
    """Rows that never came are left zero, so a last row with a value proves them all."""
    if file.info.get("interlace"):
        return True
    last = file.crop((0, file.height - 1, file.width, file.height))
    return last.getbbox(alpha_only=False) is None


def _depth_name(mode: str) -> str:
    return {"F": "floating point", "I": "32 bits"}.get(mode, "16 bits")


def _add_alpha(image: Image.Image) -> Image.Image:
    value = image.info.get("transparency")
    if isinstance(value, tuple) and max(value) > 255:
        image.info["transparency"] = tuple(v >> 8 for v in value)
    return image.convert("LA" if image.mode == "L" else "RGBA")


def _scale_samples(image: Image.Image) -> Image.Image:
    samples = np.array(image)
    if image.mode.startswith("I;16"):
        grey = Image.fromarray((samples >> 8).astype(np.uint8))
        clear = image.info.get("transparency")
        if isinstance(clear, int):
            alpha = np.where(samples == clear, np.uint8(0), np.uint8(255))
            return Image.merge("LA", (grey, Image.fromarray(alpha)))
        return grey
    return Image.fromarray(_stretch_samples(samples.astype(np.float32, copy=False)))


def _stretch_samples(samples: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Scale from 0..1, 0..255 or 0..65535 if the samples fill one of these, else end to end."""
    finite = np.isfinite(samples)
    samples[~finite] = 0
    low = float(samples.min(where=finite, initial=np.inf))
    high = float(samples.max(where=finite, initial=-np.inf))
    for top in (1.0, 255.0, 65535.0):
        if top / 4 < high <= 1.1 * top and low >= -0.1 * top:
            low, high = 0.0, top
    if high > low:
        samples -= low
        samples *= 255 / (high - low)
    return np.clip(samples, 0, 255, out=samples).round(out=samples).astype(np.uint8)
