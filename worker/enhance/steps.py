"""The steps of the enhancement: each takes RGB pixels, measures them and returns what it made."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from shared.jobs.enhancement import EnhanceStep
from worker.enhance import measures, page

#: (height, width, 3) RGB.
Pixels = NDArray[np.uint8]

#: Pixels on which an image is measured, at most.
_MEASURED = 1_000_000
#: How much sharper the lines of each half of a text must stand apart.
_STEADY = 1.15
#: Pixels up to which grain is taken out by the slow and good way.
_PATIENT = 1_500_000


@dataclass(frozen=True, slots=True)
class StepOptions:
    """How a step is to be taken."""

    #: Act on what is measured only where it is clearly not that of a clean image.
    careful: bool
    #: Pixels that the model will keep of the image.
    max_pixels: int
    #: Height in pixels of the lowest letters that the model reads well.
    letter_height: float


@dataclass(frozen=True, slots=True)
class StepResult:
    """What a step made of an image."""

    pixels: Pixels
    #: What was measured and done.
    told: str


Step = Callable[[Pixels, StepOptions], StepResult | str]


def perspective(pixels: Pixels, request: StepOptions) -> StepResult | str:
    """Cut out a page that is seen askew on darker ground."""
    del request
    found = page.corners(_grey(pixels))
    if found is None:
        return "no page with four corners on a darker background was found"
    straight = page.straightened(pixels, found)
    places = " ".join(f"({x:.0f}, {y:.0f})" for x, y in found)
    return StepResult(straight, f"a page with corners {places} was cropped and straightened")


def deskew(pixels: Pixels, request: StepOptions) -> StepResult | str:
    """Turn the image until its lines are level."""
    grey = _grey(_shrunk(pixels))
    found = measures.skew(grey)
    if abs(found.angle) < 0.1 or abs(found.angle) >= measures.MOST_SKEW:
        return f"no skew between 0.1° and {measures.MOST_SKEW:g}° was found"
    if request.careful and not _is_skewed(found):
        return f"its skew of {abs(found.angle):.1f}° is too small or too uncertain"
    turned = _turned(pixels, found.angle)
    return StepResult(turned, f"a skew of {abs(found.angle):.1f}° was corrected")


def _is_skewed(found: measures.Skew) -> bool:
    # a few letters stand level at many angles, but both halves of a text at the same
    sure = found.gain >= 1.35 and found.steady >= _STEADY and found.rise >= 3
    return sure and abs(found.angle) >= 0.5


def denoise(pixels: Pixels, request: StepOptions) -> StepResult | str:
    """Take out grain from the brightness, and blotches from the colours."""
    grain = measures.grain(_grey(_cut(pixels)))
    if grain < (14 if request.careful else 2):
        return f"its noise of {grain:.1f} grey levels is too low"
    light, *colours = cv2.split(cv2.cvtColor(pixels, cv2.COLOR_RGB2YCrCb))
    if light.size <= _PATIENT:
        calm = cv2.fastNlMeansDenoising(light, None, 0.9 * grain, 5, 15)
    else:
        calm = cv2.bilateralFilter(light, 5, 3 * grain, 2)
    merged = cv2.merge([calm, *(cv2.blur(c, (5, 5)) for c in colours)])
    rgb = np.asarray(cv2.cvtColor(merged, cv2.COLOR_YCrCb2RGB), dtype=np.uint8)
    return StepResult(rgb, f"noise of {grain:.0f} grey levels was smoothed")


def upscale(pixels: Pixels, request: StepOptions) -> StepResult | str:
    """Enlarge small letters as far as the pixel budget allows."""
    tall = measures.letter_height(_grey(_cut(pixels)))
    if tall is None:
        return "no letters were found"
    wanted = max(14.0, 1.4 * request.letter_height)
    if tall >= (request.letter_height if request.careful else wanted):
        return f"its letters of {tall:.0f} pixels are not small"
    room = math.sqrt(request.max_pixels / (pixels.shape[0] * pixels.shape[1]))
    factor = round(min(wanted / tall, room, 4.0), 2)
    if factor < 1.25:
        return f"its letters of {tall:.0f} pixels cannot be enlarged within the pixel budget"
    grown = cv2.resize(pixels, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
    return StepResult(
        np.asarray(grown, dtype=np.uint8),
        f"letters of {tall:.1f} pixels were enlarged {factor:g} times",
    )


def contrast(pixels: Pixels, request: StepOptions) -> StepResult | str:
    """Even out the light, spread the brightness and sharpen local contrast by CLAHE."""
    small = _grey(_shrunk(pixels))
    found, uneven = measures.contrast(small), measures.unevenness(small)
    if request.careful and (found >= 60 or found < 6):
        return f"its contrast of {found:.0f} grey levels is high enough"
    light, *colours = cv2.split(cv2.cvtColor(pixels, cv2.COLOR_RGB2YCrCb))
    if uneven > 30:
        light = cv2.createCLAHE(clipLimit=2.0, tileGridSize=(4, 4)).apply(light)
    spread = _spread(np.asarray(light, dtype=np.uint8))
    merged = cv2.merge([spread, *colours])
    rgb = np.asarray(cv2.cvtColor(merged, cv2.COLOR_YCrCb2RGB), dtype=np.uint8)
    return StepResult(rgb, f"a contrast of {found:.0f} grey levels was increased")


def binarize(pixels: Pixels, request: StepOptions) -> StepResult | str:
    """Make ink black and paper white by what surrounds each pixel; light ink becomes dark."""
    if request.careful:
        return "conversion to black and white only happens on request"
    grey = _grey(pixels)
    if measures.background(grey) < 96:
        grey = np.asarray(255 - grey, dtype=np.uint8)
    side = max(15, min(grey.shape) // 16) | 1
    black = cv2.adaptiveThreshold(
        grey, 255, cv2.ADAPTIVE_THRESH_GAUSSIAN_C, cv2.THRESH_BINARY, side, 15
    )
    return StepResult(np.repeat(black[:, :, None], 3, axis=2), "converted to black and white")


STEPS: dict[EnhanceStep, Step] = {
    EnhanceStep.PERSPECTIVE: perspective,
    EnhanceStep.DESKEW: deskew,
    EnhanceStep.DENOISE: denoise,
    EnhanceStep.UPSCALE: upscale,
    EnhanceStep.CONTRAST: contrast,
    EnhanceStep.BINARIZE: binarize,
}


def _grey(pixels: Pixels) -> NDArray[np.uint8]:
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), dtype=np.uint8)


def _shrunk(pixels: Pixels) -> Pixels:
    """Return the whole image, small enough to be measured."""
    scale = math.sqrt(_MEASURED / (pixels.shape[0] * pixels.shape[1]))
    if scale >= 1:
        return pixels
    size = (max(1, int(pixels.shape[1] * scale)), max(1, int(pixels.shape[0] * scale)))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _cut(pixels: Pixels) -> Pixels:
    """Return the middle of the image in its own size, small enough to be measured."""
    height, width = pixels.shape[:2]
    side = math.isqrt(_MEASURED)
    top, left = max(0, (height - side) // 2), max(0, (width - side) // 2)
    return pixels[top : top + max(side, _MEASURED // width), left : left + max(side, 1)]


def _turned(pixels: Pixels, angle: float) -> Pixels:
    """Turn counter-clockwise by degrees on a sheet large enough, filled with the background."""
    height, width = pixels.shape[:2]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle, 1.0)
    cos, sin = abs(matrix[0, 0]), abs(matrix[0, 1])
    wide, tall = math.ceil(width * cos + height * sin), math.ceil(height * cos + width * sin)
    matrix[0, 2] += (wide - width) / 2
    matrix[1, 2] += (tall - height) / 2
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    filling = [float(v) for v in np.median(border, axis=0)]
    turned = cv2.warpAffine(
        pixels, matrix, (wide, tall), flags=cv2.INTER_CUBIC, borderValue=filling
    )
    return np.asarray(turned, dtype=np.uint8)


def _spread(light: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Stretch brightness so that its darkest and lightest hundredth become black and white."""
    low, high = np.percentile(light, (0.5, 99.5))
    if high - low < 1:
        return light
    table = np.clip((np.arange(256) - low) * (255 / (high - low)), 0, 255)
    return np.asarray(cv2.LUT(light, np.rint(table).astype(np.uint8)), dtype=np.uint8)
