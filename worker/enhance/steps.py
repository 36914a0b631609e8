"""The steps of the enhancement: each takes RGB pixels, measures them and returns what it made.

A step that has nothing to do returns the reason as text. The constants are tuned with
`python -m bench.quality.enhance` (errors of readings with and without enhancement), and so that
tests/unit/worker/enhance leave clean drawings alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from cv2.typing import MatLike
from numpy.typing import NDArray

from shared.jobs.parameters.enhancement import EnhanceStep
from worker.enhance import measures, page

#: (height, width, 3) RGB.
Pixels = NDArray[np.uint8]

#: Pixels on which an image is measured, at most.
_MEASURED = 1_000_000

#: Degrees of skew that are corrected at least: requested by name, by auto.
_SKEW_LEAST, _SKEW_AUTO = 0.1, 0.5
#: For auto: how much sharper lines must become in all of a text and in each half of it (a few
#: letters are level at many angles, both halves of a text only at one), and pixels that a line of
#: the text's width rises.
_SKEW_GAIN, _SKEW_STEADY, _SKEW_RISE = 1.35, 1.15, 3

#: Grey levels of grain that are smoothed: requested by name, by auto.
_GRAIN_LEAST, _GRAIN_AUTO = 2, 14
#: Pixels up to which grain is removed by the slow and better way.
_SLOW_DENOISING = 1_500_000
#: Its strength in grey levels of grain, and the sides in pixels of what is compared and searched.
_SLOW_STRENGTH, _SLOW_PATCH, _SLOW_SEARCH = 0.9, 5, 15
#: The fast way: diameter in pixels, reach in grey levels of grain and in pixels.
_FAST_DIAMETER, _FAST_LEVELS, _FAST_PIXELS = 5, 3, 2
#: Pixels over which colours are averaged.
_COLOUR_BLUR = (5, 5)

#: Height in pixels that letters are enlarged to: at least, and in heights that the model needs.
_LETTER_WANTED, _LETTER_MARGIN = 14.0, 1.4
#: Factor of enlargement: at least, or it is not worth it; at most.
_ENLARGED_LEAST, _ENLARGED_MOST = 1.25, 4.0
#: Share of the tallest letters that others are shrunk to.
_SHRUNK_TO = 0.7
#: Factor of shrinking: at most, or it is not worth it; at least. Share of the image that a letter
#: is high at most, as in a picture of one line.
_SHRUNK_MOST, _SHRUNK_LEAST, _TALL_SHARE = 0.8, 0.125, 0.95

#: Grey levels of contrast that auto raises: from, below.
_CONTRAST_FAINT, _CONTRAST_ENOUGH = 6, 60
#: Grey levels by which the light must differ to be evened out.
_UNEVEN = 30
#: CLAHE: bound of the contrast, and tiles across and down.
_CLAHE_CLIP, _CLAHE_TILES = 2.0, (4, 4)
#: Percentiles of brightness that become black and white.
_BLACK, _WHITE = 0.5, 99.5

#: Brightness of the paper below which ink is lighter than paper.
_DARK_PAPER = 96
#: Pixels around each that decide what is ink: a sixteenth of the shorter side, at least these.
_AROUND_SHARE, _AROUND_LEAST = 16, 15
#: Grey levels by which ink is darker than its surroundings.
_INK = 15


@dataclass(frozen=True, slots=True)
class StepOptions:
    """How a step works."""

    #: Act on what is measured only where it is clearly not that of a clean image.
    careful: bool
    #: Pixels that the model will keep of the image.
    max_pixels: int
    #: Height in pixels of the lowest letters that the model reads well.
    letter_height: float
    #: That of the tallest ones; None where nothing bounds them.
    tallest_letters: float | None = None


@dataclass(frozen=True, slots=True)
class StepResult:
    """What a step made of an image."""

    pixels: Pixels
    #: What was measured and done, for the user.
    report: str
    #: (3, 3): maps places before it to places after it; None where all stay, but for the scale.
    matrix: NDArray[np.float64] | None = None


Step = Callable[[Pixels, StepOptions], StepResult | str]


def perspective(pixels: Pixels, options: StepOptions) -> StepResult | str:
    """Cut out a page that is seen at an angle on darker ground."""
    del options
    corners = page.find_corners(_grey(pixels))
    if corners is None:
        return "no page with four corners on a darker background was found"
    straight, matrix = page.straighten(pixels, corners)
    places = " ".join(f"({x:.0f}, {y:.0f})" for x, y in corners)
    report = f"a page with corners {places} was cropped and straightened"
    return StepResult(straight, report, matrix)


def deskew(pixels: Pixels, options: StepOptions) -> StepResult | str:
    """Turn the image until its lines are level."""
    grey = _grey(_shrunk(pixels))
    skew = measures.skew(grey)
    if abs(skew.angle) < _SKEW_LEAST or abs(skew.angle) >= measures.MOST_SKEW:
        return f"no skew between {_SKEW_LEAST:g}° and {measures.MOST_SKEW:g}° was found"
    if options.careful and not _is_skewed(skew):
        return f"its skew of {abs(skew.angle):.1f}° is too small or too uncertain"
    turned, matrix = _turn(pixels, skew.angle)
    return StepResult(turned, f"a skew of {abs(skew.angle):.1f}° was corrected", matrix)


def _is_skewed(skew: measures.Skew) -> bool:
    sure = skew.gain >= _SKEW_GAIN and skew.steady >= _SKEW_STEADY and skew.rise >= _SKEW_RISE
    return sure and abs(skew.angle) >= _SKEW_AUTO


def denoise(pixels: Pixels, options: StepOptions) -> StepResult | str:
    """Remove grain from the brightness, and blotches from the colours."""
    grain = measures.grain(_grey(_middle(pixels)))
    if grain < (_GRAIN_AUTO if options.careful else _GRAIN_LEAST):
        return f"its noise of {grain:.1f} grey levels is too low"
    light, *colours = _split(pixels)
    smooth = _without_grain(light, grain)
    rgb = _merge([smooth, *(cv2.blur(colour, _COLOUR_BLUR) for colour in colours)])
    return StepResult(rgb, f"noise of {grain:.0f} grey levels was smoothed")


def _without_grain(light: MatLike, grain: float) -> MatLike:
    if light.size <= _SLOW_DENOISING:
        strength = _SLOW_STRENGTH * grain
        return cv2.fastNlMeansDenoising(light, None, strength, _SLOW_PATCH, _SLOW_SEARCH)
    return cv2.bilateralFilter(light, _FAST_DIAMETER, _FAST_LEVELS * grain, _FAST_PIXELS)


def downscale(pixels: Pixels, options: StepOptions) -> StepResult | str:
    """Shrink large letters, as far as small ones beside them stay readable."""
    tallest = options.tallest_letters
    if tallest is None and options.careful:
        return "the model reads letters of any size"
    least = max(_LETTER_WANTED, _LETTER_MARGIN * options.letter_height)
    wanted = least if tallest is None else max(least, _SHRUNK_TO * tallest)
    if tallest is None or not options.careful:
        tallest = wanted
    tall = _large_letters(pixels)
    if tall is None:
        return "no letters were found"
    if tall <= tallest:
        return f"its letters of {tall:.0f} pixels are not large"
    small = measures.small_print(_grey(_middle(pixels)), tall)
    smallest = _SHRUNK_LEAST if small is None else options.letter_height / small
    factor = round(max(wanted / tall, smallest), 2)
    if factor > _SHRUNK_MOST:
        return f"the letters of {small or tall:.0f} pixels beside large ones would be too small"
    shrunk = np.asarray(
        cv2.resize(pixels, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA), dtype=np.uint8
    )
    after = _large_letters(shrunk)
    if after is None or after < options.letter_height:
        return f"it is not sure that its letters have {tall:.0f} pixels"
    return StepResult(
        shrunk,
        f"letters of {tall:.0f} pixels were shrunk to {factor:.0%}",
    )


def _large_letters(pixels: Pixels) -> float | None:
    """Return the median height of letters in pixels, also of a single line of large ones."""
    whole = _shrunk(pixels)
    scale = pixels.shape[0] / whole.shape[0]
    far = measures.letter_height(_grey(whole), _TALL_SHARE)
    if whole is pixels:
        return far
    near = measures.letter_height(_grey(_middle(pixels)), _TALL_SHARE)
    heights = ([] if far is None else [far * scale]) + ([] if near is None else [near])
    return min(heights, default=None)


def upscale(pixels: Pixels, options: StepOptions) -> StepResult | str:
    """Enlarge small letters as far as the pixel budget allows."""
    tall = measures.letter_height(_grey(_middle(pixels)))
    if tall is None:
        return "no letters were found"
    wanted = max(_LETTER_WANTED, _LETTER_MARGIN * options.letter_height)
    if tall >= (options.letter_height if options.careful else wanted):
        return f"its letters of {tall:.0f} pixels are not small"
    within_budget = math.sqrt(options.max_pixels / (pixels.shape[0] * pixels.shape[1]))
    factor = round(min(wanted / tall, within_budget, _ENLARGED_MOST), 2)
    if factor < _ENLARGED_LEAST:
        return f"its letters of {tall:.0f} pixels cannot be enlarged within the pixel budget"
    enlarged = cv2.resize(pixels, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
    return StepResult(
        np.asarray(enlarged, dtype=np.uint8),
        f"letters of {tall:.1f} pixels were enlarged {factor:g} times",
    )


def contrast(pixels: Pixels, options: StepOptions) -> StepResult | str:
    """Even out the light, spread the brightness and sharpen local contrast by CLAHE."""
    small = _grey(_shrunk(pixels))
    levels, unevenness = measures.contrast(small), measures.unevenness(small)
    if options.careful and not _CONTRAST_FAINT <= levels < _CONTRAST_ENOUGH:
        return f"its contrast of {levels:.0f} grey levels is high enough"
    light, *colours = _split(pixels)
    if unevenness > _UNEVEN:
        clahe = cv2.createCLAHE(clipLimit=_CLAHE_CLIP, tileGridSize=_CLAHE_TILES)
        light = clahe.apply(light)
    rgb = _merge([_stretch(np.asarray(light, dtype=np.uint8)), *colours])
    return StepResult(rgb, f"a contrast of {levels:.0f} grey levels was increased")


def binarize(pixels: Pixels, options: StepOptions) -> StepResult | str:
    """Make ink black and paper white by what surrounds each pixel; light ink becomes dark."""
    if options.careful:
        return "conversion to black and white only happens on request"
    grey = _grey(pixels)
    if measures.background(grey) < _DARK_PAPER:
        grey = np.asarray(255 - grey, dtype=np.uint8)
    side = max(_AROUND_LEAST, min(grey.shape) // _AROUND_SHARE) | 1
    black = cv2.adaptiveThreshold(
        grey, 255, cv2.ADAPTIVE_THRESH_GAUSSIAN_C, cv2.THRESH_BINARY, side, _INK
    )
    return StepResult(np.repeat(black[:, :, None], 3, axis=2), "converted to black and white")


STEPS: dict[EnhanceStep, Step] = {
    EnhanceStep.PERSPECTIVE: perspective,
    EnhanceStep.DESKEW: deskew,
    EnhanceStep.DENOISE: denoise,
    EnhanceStep.DOWNSCALE: downscale,
    EnhanceStep.UPSCALE: upscale,
    EnhanceStep.CONTRAST: contrast,
    EnhanceStep.BINARIZE: binarize,
}


def _grey(pixels: Pixels) -> NDArray[np.uint8]:
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), dtype=np.uint8)


def _split(pixels: Pixels) -> Sequence[MatLike]:
    """Return the brightness and two channels of colour, (height, width) each."""
    return cv2.split(cv2.cvtColor(pixels, cv2.COLOR_RGB2YCrCb))


def _merge(channels: Sequence[MatLike]) -> Pixels:
    """Return the RGB pixels of what `_split` returned."""
    return np.asarray(cv2.cvtColor(cv2.merge(channels), cv2.COLOR_YCrCb2RGB), dtype=np.uint8)


def _shrunk(pixels: Pixels) -> Pixels:
    """Return the whole image, small enough to be measured."""
    scale = math.sqrt(_MEASURED / (pixels.shape[0] * pixels.shape[1]))
    if scale >= 1:
        return pixels
    size = (max(1, int(pixels.shape[1] * scale)), max(1, int(pixels.shape[0] * scale)))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _middle(pixels: Pixels) -> Pixels:
    """Return the middle of the image, not scaled, small enough to be measured."""
    height, width = pixels.shape[:2]
    side = math.isqrt(_MEASURED)
    top, left = max(0, (height - side) // 2), max(0, (width - side) // 2)
    return pixels[top : top + max(side, _MEASURED // width), left : left + max(side, 1)]


def _turn(pixels: Pixels, angle: float) -> tuple[Pixels, NDArray[np.float64]]:
    """Turn counter-clockwise by degrees; what becomes visible has the border's usual colour.

    Returns the (3, 3) matrix of the turn as well.
    """
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
    return np.asarray(turned, dtype=np.uint8), np.vstack([matrix, (0.0, 0.0, 1.0)])


def _stretch(light: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Stretch brightness so that its darkest and lightest parts become black and white."""
    low, high = np.percentile(light, (_BLACK, _WHITE))
    if high - low < 1:
        return light
    table = np.clip((np.arange(256) - low) * (255 / (high - low)), 0, 255)
    return np.asarray(cv2.LUT(light, np.rint(table).astype(np.uint8)), dtype=np.uint8)
