"""Images between the texts of a message, in the order in which the model reads them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from shared.jobs.model import ImagePlaces

T = TypeVar("T")


def lay_out(text: str, images: Sequence[T], places: ImagePlaces) -> list[tuple[T | None, str]]:
    """Return images and texts in their order: each an image, or None and a text."""
    parts: list[tuple[T | None, str]] = []
    start = 0
    for image, place in zip(images, places or (0,) * len(images), strict=True):
        if place and place >= start:
            parts.append((None, text[start:place]))
            # without the line break between two parts
            start = place + 1
        parts.append((image, ""))
    parts.append((None, text[start:]))
    return [part for part in parts if part[0] is not None or part[1]]
