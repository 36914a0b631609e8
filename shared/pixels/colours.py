"""Converts colours to sRGB: by ICC profile, a PNG's gamma and primaries, or code points."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

_MAX_PROFILE_BYTES = 2 << 20
_ICC_MODES = {b"RGB ": "RGB", b"CMYK": "CMYK", b"GRAY": "L"}
#: x and y of red, green, blue and white.
_SRGB = (0.64, 0.33, 0.30, 0.60, 0.15, 0.06, 0.3127, 0.3290)
_PRIMARIES = {
    1: _SRGB,
    9: (0.708, 0.292, 0.170, 0.797, 0.131, 0.046, 0.3127, 0.3290),
    11: (0.680, 0.320, 0.265, 0.690, 0.150, 0.060, 0.314, 0.351),
    12: (0.680, 0.320, 0.265, 0.690, 0.150, 0.060, 0.3127, 0.3290),
}
_PRIMARY_NAMES = {9: "BT.2020", 11: "DCI-P3", 12: "Display P3"}
_TRANSFER_NAMES = {4: "gamma 2.2", 5: "gamma 2.8", 8: "linear", 16: "PQ", 18: "HLG"}
#: Luminance of white paper in HDR, in cd/m2: BT.2408.
_PAPER_WHITE = 203.0
_BAND_ROWS = 256
_USUAL_GAMMA, _TOLERANCE = 1 / 2.2, 0.03
_ONE_PRIMARY = 0.005

Floats = NDArray[np.float32]
Notice = tuple[str, str]
#: A code for "as sRGB".
_UNCHANGED_TRANSFERS = frozenset((1, 2, 6, 13, 14, 15))


@dataclass(frozen=True, slots=True)
class ColourSpace:
    """Colours that are not sRGB, given by numbers instead of a profile."""

    name: str
    #: Light of each of the 256 levels, paper white is 1.
    light: tuple[float, ...]
    #: x and y of red, green, blue and white.
    primaries: tuple[float, ...] = _SRGB


def png_space(info: Mapping[str | tuple[int, int], object]) -> ColourSpace | None:
    """Return the colours that a PNG's gAMA and cHRM give, unless they are those of sRGB."""
    if "srgb" in info:
        return None
    gamma, points = info.get("gamma"), info.get("chromaticity")
    if not isinstance(gamma, float) or not 0.1 < gamma < 10:
        gamma = _USUAL_GAMMA
    if not isinstance(points, tuple) or not _are_primaries(points):
        points = _SRGB
    else:
        # Pillow gives the white point first
        points = (*points[2:], *points[:2])
    usual_gamma = abs(gamma / _USUAL_GAMMA - 1) < _TOLERANCE
    if usual_gamma and np.allclose(points, _SRGB, atol=_ONE_PRIMARY):
        return None
    light = _srgb_light() if usual_gamma else _levels(lambda level: level ** (1 / gamma))
    return ColourSpace(f"gamma {1 / gamma:.2f} and its own primaries", light, points)


def coded_space(primaries: int, transfer: int) -> ColourSpace | None:
    """Return the colours of code points of H.273, unless they are those of sRGB or unknown."""
    curves: dict[int, Callable[[float], float]] = {
        4: lambda level: level**2.2,
        5: lambda level: level**2.8,
        8: lambda level: level,
        16: _pq_light,
        18: _hlg_light,
    }
    same_light = transfer in _UNCHANGED_TRANSFERS or transfer not in curves
    if same_light and primaries not in _PRIMARY_NAMES:
        return None
    light = _srgb_light() if same_light else _levels(curves[transfer])
    names = [_PRIMARY_NAMES.get(primaries), _TRANSFER_NAMES.get(transfer)]
    return ColourSpace(" ".join(filter(None, names)), light, _PRIMARIES.get(primaries, _SRGB))


def convert_space(image: Image.Image, space: ColourSpace) -> Image.Image:
    """Return an RGB image in sRGB; what is brighter than paper white is white."""
    levels = np.array(space.light, np.float32)
    matrix = _matrix_to_srgb(space.primaries)
    result = Image.new("RGB", image.size)
    for top in range(0, image.height, _BAND_ROWS):
        rows = image.crop((0, top, image.width, min(image.height, top + _BAND_ROWS)))
        result.paste(Image.fromarray(_convert_rows(np.asarray(rows), levels, matrix)), (0, top))
    return result


def convert_profile(image: Image.Image, profile: bytes) -> tuple[Image.Image, list[Notice]]:
    """Return the image as RGB in sRGB by its ICC profile, and notices."""
    if 128 <= len(profile) <= _MAX_PROFILE_BYTES:
        # with a broken profile the image is used without it
        with contextlib.suppress(ImageCms.PyCMSError, OSError, ValueError, TypeError):
            return _apply_profile(image, profile)
    return image.convert("RGB"), [
        (
            "image_profile_ignored",
            "Its colour profile is broken or far too large and was ignored.",
        )
    ]


def _apply_profile(image: Image.Image, profile: bytes) -> tuple[Image.Image, list[Notice]]:
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    space = _ICC_MODES.get(profile[16:20])
    if space == "RGB" and image.mode == "L":
        image = image.convert("RGB")
    name = ImageCms.getProfileDescription(source).strip()
    if name.startswith("sRGB"):
        return image.convert("RGB"), []
    if space != image.mode:
        return image.convert("RGB"), [
            (
                "image_profile_ignored",
                "Its colour profile is for a different colour space and was ignored.",
            )
        ]
    srgb = ImageCms.createProfile("sRGB")
    managed = ImageCms.profileToProfile(image, source, srgb, outputMode="RGB")
    if managed is None:
        return image.convert("RGB"), []
    return managed, [converted_notice(name[:60] or "a profile")]


def converted_notice(name: str) -> Notice:
    """Return the notice of colours that were converted."""
    return "image_converted", f"Colours converted from {name} to sRGB."


def _convert_rows(rows: NDArray[np.uint8], levels: Floats, matrix: Floats) -> NDArray[np.uint8]:
    light = np.clip(levels[rows] @ matrix.T, 0, 1)
    small = light <= 0.0031308
    encoded = np.where(small, 12.92 * light, 1.055 * np.maximum(light, 1e-9) ** (1 / 2.4) - 0.055)
    rounded: NDArray[np.uint8] = (encoded * 255).round().astype(np.uint8)
    return rounded


def _matrix_to_srgb(primaries: tuple[float, ...]) -> Floats:
    if primaries == _SRGB:
        return np.eye(3, dtype=np.float32)
    matrix = np.linalg.inv(_matrix_to_xyz(_SRGB)) @ _matrix_to_xyz(primaries)
    # white stays white
    white: Floats = (matrix / matrix.sum(axis=1, keepdims=True)).astype(np.float32)
    return white


def _matrix_to_xyz(primaries: tuple[float, ...]) -> NDArray[np.float64]:
    points = np.array([(x / y, 1, (1 - x - y) / y) for x, y in np.reshape(primaries, (4, 2))]).T
    return points[:, :3] * np.linalg.solve(points[:, :3], points[:, 3])


def _are_primaries(points: tuple[object, ...]) -> bool:
    if len(points) != 8:
        return False
    pairs = np.array(points, float).reshape(4, 2)
    area = np.linalg.det(np.column_stack((pairs[1:], np.ones(3))))
    return bool((pairs[:, 1] > 0.001).all() and (abs(pairs) < 2).all() and abs(area) > 0.001)


def _levels(curve: Callable[[float], float]) -> tuple[float, ...]:
    return tuple(curve(level / 255) for level in range(256))


def _srgb_light() -> tuple[float, ...]:
    return _levels(lambda v: v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4)


def _pq_light(level: float) -> float:
    root = level ** (1 / 78.84375)
    nits = 10_000 * (max(0.0, root - 0.8359375) / (18.8515625 - 18.6875 * root)) ** (
        1 / 0.1593017578125
    )
    return float(nits / _PAPER_WHITE)


def _hlg_light(level: float) -> float:
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = level**2 / 3 if level <= 0.5 else (np.exp((level - c) / a) + b) / 12
    # on a screen of 1000 cd/m2
    return float(1000 * scene**1.2 / _PAPER_WHITE)
