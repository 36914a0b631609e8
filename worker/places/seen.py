"""What the second reader has seen in an image, as lines are placed by it."""

from __future__ import annotations

from dataclasses import dataclass

from shared.jobs.lines import SeenRow


@dataclass(frozen=True, slots=True)
class SeenImage:
    """What was seen in one image, in reading order and in its pixels."""

    rows: tuple[SeenRow, ...]
    #: Which image it is, from 0.
    image: int = 0
