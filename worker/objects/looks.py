"""The picture in which the model points at things, and the way back to the stored image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from PIL.Image import Image

from shared.jobs import JobInput
from shared.jobs.answers.lines import Corner
from worker.engine.api import ModelInfo
from worker.places.geometry import turn_back


@dataclass(frozen=True, slots=True)
class Look:
    """A picture for the model."""

    image: Image
    #: Names what was done to it; "" for nothing.
    variant: str
    #: Maps places in it, in pixels, to places in the stored image.
    back: Callable[[Corner], Corner]
    #: What was done to it, for people: steps, and steps that were left out.
    report: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()


def make_look(image: Image, degrees: int, job: JobInput, info: ModelInfo) -> Look:
    """Return the enhanced picture of an image that was turned clockwise by 0 to 270 degrees."""
    width, height = image.size if degrees % 180 == 0 else image.size[::-1]
    turned = f"turn{degrees}" if degrees else ""

    def upright(place: Corner) -> Corner:
        return turn_back(place, degrees, width, height)

    if job.enhance == "off":
        return Look(image, turned, upright)
    # OpenCV is imported only where an image is really enhanced
    from worker.enhance import enhance

    letters = info.letter_height, info.tallest_letters
    enhanced = enhance(image, job.enhance, job.max_pixels, *letters)
    matrix = enhanced.way_back
    if matrix is None:
        return Look(image, turned, upright, (), enhanced.skipped)

    def back(place: Corner) -> Corner:
        x, y, scale = matrix @ (place[0], place[1], 1.0)
        return upright((float(x / scale), float(y / scale)))

    variant = turned + enhanced.variant
    return Look(enhanced.image, variant, back, enhanced.report, enhanced.skipped)
