"""The prompt as the model reads it: token ids, M-RoPE positions, where each image lies."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from shared.prediction.visual_tokens import VisualSize
from worker.engine.api import ImageInput
from worker.engine.input.chat_template import LaidOut

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ImageSpan:
    """The place of one image's visual tokens in the prompt, and the key of their features."""

    source: ImageInput
    size: VisualSize
    start: int
    #: Differs when pixels, size after scaling, model or scope differ.
    key: str

    @property
    def end(self) -> int:
        """Index after the last visual token."""
        return self.start + self.size.tokens


@dataclass(frozen=True, slots=True)
class Prompt:
    """A conversation of n tokens."""

    #: (n,); each visual token has the id of images.
    ids: Ints
    #: (3, n): temporal, row and column position of each token.
    positions: Ints
    images: tuple[ImageSpan, ...]
    #: (n,): equal where the model's inputs are equal; an image's contents count.
    identity: Ints
    #: The assistant begins within its thinking.
    opened: bool = False

    @property
    def next_position(self) -> int:
        """Position of the first generated token."""
        return int(self.positions.max()) + 1

    @property
    def image_tokens(self) -> int:
        """Visual tokens of all images."""
        return sum(span.size.tokens for span in self.images)


def build_prompt(
    laid_out: LaidOut,
    *,
    image_token: int,
    factor: int,
    size_of: Callable[[ImageInput], VisualSize],
    key_of: Callable[[ImageInput, VisualSize], str],
) -> Prompt:
    """Lay out tokens one after another; an image advances the position by its longer side.

    `factor` is the pixels of a side that one visual token covers. Raises what `size_of` raises.
    """
    ids: list[int] = []
    positions: list[Ints] = []
    spans: list[ImageSpan] = []
    position = 0
    for element in laid_out.elements:
        if isinstance(element, int):
            ids.append(element)
            positions.append(np.full((3, 1), position))
            position += 1
            continue
        size = size_of(element)
        spans.append(ImageSpan(element, size, len(ids), key_of(element, size)))
        ids += [image_token] * size.tokens
        rows, columns = size.height // factor, size.width // factor
        positions.append(_grid_positions(position, rows, columns))
        position += max(rows, columns)
    id_array = np.array(ids, dtype=np.int64)
    identity = _identity(id_array, spans)
    return Prompt(
        id_array, np.concatenate(positions, 1), tuple(spans), identity, opened=laid_out.opened
    )


def _grid_positions(start: int, rows: int, columns: int) -> Ints:
    """Return (3, rows * columns) positions of an image's visual tokens."""
    row, column = np.divmod(np.arange(rows * columns), columns)
    return start + np.stack([np.zeros_like(row), row, column])


def _identity(ids: Ints, spans: Iterable[ImageSpan]) -> Ints:
    """Return the ids with a negative number made of the image's key for each visual token."""
    identity = ids.copy()
    for span in spans:
        digest = hashlib.sha256(span.key.encode()).digest()
        identity[span.start : span.end] = -1 - (int.from_bytes(digest[:8], "little") >> 1)
    return identity
