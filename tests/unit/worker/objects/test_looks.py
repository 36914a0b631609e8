"""The way back from the picture that a model is shown to the stored image, step by step."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

pytest.importorskip("cv2")

from PIL import Image, ImageDraw

from shared.jobs import JobInput
from tests.unit.worker.enhance import drawings
from worker.engine.api import ModelInfo
from worker.objects.looks import make_look

INFO = ModelInfo(name="m", revision="r", context_tokens=1, numerics="none")
MARKS = [(0.2, 0.25), (0.8, 0.3), (0.5, 0.75)]


def marked(image: Image.Image, side: int = 10) -> Image.Image:
    """Return an image with red squares at the places of MARKS."""
    draw = ImageDraw.Draw(image)
    for x, y in MARKS:
        left, top = x * image.width, y * image.height
        draw.rectangle((left - side, top - side, left + side, top + side), (230, 0, 0))
    return image


def middles(image: Image.Image) -> list[tuple[float, float]]:
    """Return the middle of each red square."""
    import cv2

    pixels = np.asarray(image.convert("RGB"), dtype=np.int16)
    red = (pixels[:, :, 0] - pixels[:, :, 1:].max(axis=2) > 90).astype(np.uint8)
    count, _, stats, centres = cv2.connectedComponentsWithStats(red)
    return [tuple(centres[number]) for number in range(1, count) if stats[number][4] > 20]


def photo() -> Image.Image:
    page = marked(drawings.page(Random(8), rows=12))
    width, height = page.size
    near = [(60, 30), (width + 20, 75), (width + 100, height + 120), (25, height + 90)]
    return drawings.photographed(page, near)


CASES = {
    "perspective": photo,
    "deskew": lambda: drawings.turned(marked(drawings.page(Random(3))), 4.2),
    "upscale": lambda: marked(drawings.page(Random(3))).resize((220, 130), Image.Resampling.BOX),
    "contrast": lambda: drawings.faded(marked(drawings.page(Random(3))), 0.6),
}


@pytest.mark.parametrize("degrees", [0, 90])
@pytest.mark.parametrize("name", CASES)
def test_every_mark_comes_back_to_its_place(name, degrees):
    stored = CASES[name]()
    steps = ("perspective", "contrast", "upscale") if name == "perspective" else (name,)
    turns = {0: None, 90: Image.Transpose.ROTATE_270}
    turned = stored if turns[degrees] is None else stored.transpose(turns[degrees])
    job = JobInput(prompt="", enhance=steps, max_pixels=1 << 20)
    if degrees and name != "perspective":
        # lines that stand upright are not level: only the turn is undone
        job = job.model_copy(update={"enhance": "off"})
    look = make_look(turned, degrees, job, INFO)
    if job.enhance != "off":
        assert any(step.startswith(name) for step in look.report), look
    wanted, seen = middles(stored), [look.back(place) for place in middles(look.image)]
    assert len(wanted) == len(seen) == len(MARKS)
    for x, y in wanted:
        assert min(abs(x - a) + abs(y - b) for a, b in seen) < 3
    assert look.variant.startswith("turn90") == bool(degrees)
