"""Which steps are taken with an image, and what became of it."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field

import cv2
import numpy as np
from PIL import Image

from shared.jobs.enhancement import LETTER_HEIGHT, Enhancement, EnhanceStep
from worker.enhance.steps import STEPS, Pixels, StepOptions, StepResult

#: An image is not worked on in more pixels than this many times its budget, and at most _LARGEST.
_SPARE = 4
_LARGEST = 8_000_000
#: Shorter side below which an image is left alone.
_LEAST = 8


@dataclass(frozen=True, slots=True)
class EnhancedImage:
    """An image after its enhancement."""

    image: Image.Image
    #: Names the new pixels; "" where nothing was done.
    variant: str = ""
    #: What was measured and done, step by step.
    told: tuple[str, ...] = ()
    #: Steps asked for by name that found nothing to do, each with the reason.
    left_out: tuple[str, ...] = field(default=())


def enhance(
    image: Image.Image, wish: Enhancement, max_pixels: int, letter_height: float = LETTER_HEIGHT
) -> EnhancedImage:
    """Take the steps of `wish` with an RGB image of which the model keeps `max_pixels`.

    Letters lower than `letter_height` pixels count as too small for the model.
    Deterministic; time and memory are linear in the pixels and bounded, as a large image is
    scaled down first. `variant` is equal where image, steps and outcome are.
    """
    careful = wish == "auto"
    asked = [step for step in EnhanceStep if careful or step in wish]
    if wish == "off" or not asked or min(image.size) < _LEAST:
        return EnhancedImage(image)
    # the engine's threads own the cores
    cv2.setNumThreads(1)
    request = StepOptions(careful, max_pixels, letter_height)
    pixels = _workable(image, max_pixels)
    told: list[str] = []
    left_out: list[str] = []
    for step in asked:
        if step is EnhanceStep.DESKEW and any("straightened" in done for done in told):
            continue
        taken = STEPS[step](pixels, request)
        if isinstance(taken, StepResult):
            pixels = taken.pixels
            told.append(f"{step.value}: {taken.told}")
        else:
            left_out.append(f"{step.value}: {taken}")
    kept = () if careful else tuple(left_out)
    if not told:
        return EnhancedImage(image, left_out=kept)
    return EnhancedImage(Image.fromarray(pixels), _variant(pixels), tuple(told), kept)


def _workable(image: Image.Image, max_pixels: int) -> Pixels:
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
