"""What of an image the model looks at where text is read: its ink, without wide blanks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

from PIL import Image

from shared.jobs import Notice
from shared.prediction.visual_tokens import VisualSize, visual_tokens
from worker.engine.api import ImageInput, ModelInfo
from worker.tiling.ink import ink_runs
from worker.tiling.tile import Box

#: Pixels around the ink that stay.
_MARGIN = 16
#: Blank rows between ink that stay, and from how many on the others are left out.
_BLANK, _WIDE_BLANK = 64, 128
#: Longer side over shorter side of what is looked at.
_SLIM = 100
#: Share of the visual tokens that must be saved.
_WORTH = 0.1
#: The warning about it.
BLANKS_LEFT_OUT = "blanks_left_out"


def tight_look(image: Image.Image, box: Box) -> Box:
    """Return the part of a box that has ink, with a margin; the box itself where nothing has."""
    rows, columns = ink_runs(image, box, "y"), ink_runs(image, box, "x")
    if not rows or not columns:
        return box
    left, top, right, bottom = (
        max(box[0], columns[0][0] - _MARGIN),
        max(box[1], rows[0][0] - _MARGIN),
        min(box[2], columns[-1][1] + _MARGIN),
        min(box[3], rows[-1][1] + _MARGIN),
    )
    longer, shorter = max(right - left, bottom - top), min(right - left, bottom - top)
    return (left, top, right, bottom) if longer <= _SLIM * shorter else box


@dataclass(frozen=True, slots=True)
class TightImage:
    """An image without its blank parts, and what the caller is told of them."""

    source: ImageInput
    notice: Notice


def leave_out_blanks(source: ImageInput, info: ModelInfo) -> TightImage | None:
    """Return an image without margins and wide blank bands; None where that saves little."""
    whole: Box = (0, 0, *source.image.size)
    left, top, right, bottom = tight_look(source.image, whole)
    bands = list(_inked_bands(source.image, (left, top, right, bottom)))
    size = right - left, sum(stop - start for start, stop in bands)
    if max(size) > _SLIM * min(size):
        return None
    before, after = _seen(source.image.size, source, info), _seen(size, source, info)
    larger = after.width / size[0] * source.image.width / before.width
    if after.tokens > (1 - _WORTH) * before.tokens and larger < 1 + _WORTH:
        return None
    tight, y = Image.new("RGB", size), 0
    for start, stop in bands:
        tight.paste(source.image.crop((left, start, right, stop)), (0, y))
        y += stop - start
    detail = (
        f"{source.id}: blank margins and bands were left out: {after.tokens} visual tokens"
        f" instead of {before.tokens}, at {larger:.2f} times the size."
    )
    kept = replace(source, image=tight, variant=f"{source.variant}@ink")
    return TightImage(kept, Notice(code=BLANKS_LEFT_OUT, detail=detail))


def shrink_letters(source: ImageInput, info: ModelInfo) -> ImageInput:
    """Return a part of an image with letters that are not too large for the model."""
    if info.tallest_letters is None:
        return source
    # OpenCV is imported only where it is needed
    from worker.enhance.enhance import shrink_large_letters

    image = shrink_large_letters(source.image, info.letter_height, info.tallest_letters)
    if image is None:
        return source
    size = "x".join(map(str, image.size))
    return replace(source, image=image, variant=f"{source.variant}@{size}")


def _seen(size: tuple[int, int], source: ImageInput, info: ModelInfo) -> VisualSize:
    budget = min(source.max_pixels, info.max_pixels)
    return visual_tokens(*size, budget, min_pixels=info.min_pixels, factor=info.token_side)


def _inked_bands(image: Image.Image, box: Box) -> Iterator[tuple[int, int]]:
    """Yield the rows that stay: (start, stop) of each stretch without a wide blank."""
    start = box[1]
    for (_, above), (below, _) in pairwise(ink_runs(image, box, "y")):
        if below - above >= _WIDE_BLANK:
            yield start, above + _BLANK // 2
            start = below - _BLANK // 2
    yield start, box[3]
