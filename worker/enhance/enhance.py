"""Runs the steps that an image needs or that were asked for, and reports what they did."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from shared.jobs.parameters.enhancement import LETTER_HEIGHT, Enhancement, EnhanceStep
from worker.enhance.steps import STEPS, Pixels, StepOptions, StepResult

#: Pixels of an image that is worked on, at most: in times of its budget, and in all. They bound
#: memory and seconds, which `python -m bench.quality.enhance` measures.
_SPARE = 4
_LARGEST = 8_000_000
#: Pixels of the shorter side below which an image is left alone.
_LEAST = 8


@dataclass(frozen=True, slots=True)
class EnhancedImage:
    """An image after its enhancement."""

    image: Image.Image
    #: Names the new pixels; "" where nothing was done.
    variant: str = ""
    #: What was measured and done, for the user; one sentence a step, which begins with its name.
    report: tuple[str, ...] = ()
    #: Steps requested by name that found nothing to do, each with the reason.
    skipped: tuple[str, ...] = ()
    #: (3, 3): maps places in it, in pixels, to places in the image as it was; None where nothing
    #: has moved.
    way_back: NDArray[np.float64] | None = None


def enhance(
    image: Image.Image,
    wish: Enhancement,
    max_pixels: int,
    letter_height: float = LETTER_HEIGHT,
    tallest_letters: float | None = None,
) -> EnhancedImage:
    """Run the steps of `wish` on an RGB image of which the model keeps `max_pixels`.

    Letters lower than `letter_height` pixels count as too small for the model, those above
    `tallest_letters` as too large.
    Deterministic; time and memory are linear in the pixels and bounded, as a large image is
    scaled down first. `variant` is equal where image, steps and outcome are.
    """
    careful = wish == "auto"
    steps = [step for step in EnhanceStep if careful or step in wish]
    if wish == "off" or not steps or min(image.size) < _LEAST:
        return EnhancedImage(image)
    # the engine's threads own the cores
    cv2.setNumThreads(1)
    options = StepOptions(careful, max_pixels, letter_height, tallest_letters)
    pixels = _scaled(image, max_pixels)
    way = _scale_matrix(image.size, pixels)
    report: list[str] = []
    skipped: list[str] = []
    for step in steps:
        if step is EnhanceStep.DESKEW and any("straightened" in sentence for sentence in report):
            continue
        result = STEPS[step](pixels, options)
        if isinstance(result, StepResult):
            moved = result.matrix
            way = (_scale_matrix(_size(pixels), result.pixels) if moved is None else moved) @ way
            pixels = result.pixels
            report.append(f"{step.value}: {result.report}")
        else:
            skipped.append(f"{step.value}: {result}")
    # auto skips steps as a rule, which is not worth a word
    skipped = [] if careful else skipped
    if not report:
        return EnhancedImage(image, skipped=tuple(skipped))
    enhanced = Image.fromarray(pixels)
    back = np.asarray(np.linalg.inv(way), dtype=np.float64)
    return EnhancedImage(enhanced, _variant(pixels), tuple(report), tuple(skipped), back)


def _size(pixels: Pixels) -> tuple[int, int]:
    return pixels.shape[1], pixels.shape[0]


def _scale_matrix(before: tuple[int, int], after: Pixels) -> NDArray[np.float64]:
    """Return what maps places of an image of width and height `before` to the scaled one."""
    width, height = _size(after)
    return np.diag([width / before[0], height / before[1], 1.0])


def shrink_large_letters(
    image: Image.Image, letter_height: float, tallest_letters: float
) -> Image.Image | None:
    """Return a part of an RGB image, all of which was enhanced, with smaller letters.

    None where they are not large: a heading beside small print is large only by itself.
    """
    cv2.setNumThreads(1)
    options = StepOptions(True, _LARGEST, letter_height, tallest_letters)
    result = STEPS[EnhanceStep.DOWNSCALE](np.asarray(image.convert("RGB")), options)
    return Image.fromarray(result.pixels) if isinstance(result, StepResult) else None


def _scaled(image: Image.Image, max_pixels: int) -> Pixels:
    """Return (height, width, 3) pixels of an image, scaled down to those that are worked on."""
    most = min(_SPARE * max_pixels, _LARGEST)
    scale = math.sqrt(most / (image.width * image.height))
    if scale < 1:
        size = (max(1, int(image.width * scale)), max(1, int(image.height * scale)))
        image = image.resize(size, Image.Resampling.BOX, reducing_gap=2.0)
    return np.asarray(image.convert("RGB"))


def _variant(pixels: Pixels) -> str:
    digest = hashlib.sha256(pixels.tobytes())
    digest.update(repr(pixels.shape).encode())
    return f"enhanced-{digest.hexdigest()[:32]}"
