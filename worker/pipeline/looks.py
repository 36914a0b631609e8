"""What of an image the model looks at where text is read: its ink, without margins."""

from __future__ import annotations

from PIL import Image

from worker.tiling.ink import ink_box
from worker.tiling.tile import Box

#: Pixels around the ink that stay.
_MARGIN = 16


def tight_look(image: Image.Image, box: Box) -> Box:
    """Return the part of a box that has ink, with a margin; the box itself where nothing has."""
    inked = ink_box(image, box)
    if inked is None:
        return box
    left, top, right, bottom = inked
    return (
        max(box[0], left - _MARGIN),
        max(box[1], top - _MARGIN),
        min(box[2], right + _MARGIN),
        min(box[3], bottom + _MARGIN),
    )
