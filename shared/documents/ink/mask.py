"""Which pixels of a grey picture are ink, however the paper is lit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Grey = NDArray[np.uint8]
Mask = NDArray[np.bool_]

#: Pixels of a side of the squares in which the paper is looked for.
_SQUARE = 32
#: Grey levels from paper to ink; noise asks for more.
_LEAST_CONTRAST = 28
_MOST_NOISE_CONTRAST = 90
_NOISE_FACTOR = 6.0


def find_ink(grey: Grey) -> Mask:
    """Return which pixels differ from the paper around them, (height, width), light or dark."""
    difference = np.abs(grey.astype(np.int16) - _paper(grey))
    mask: Mask = difference > contrast(grey)
    return mask


def contrast(grey: Grey) -> float:
    """Return how many grey levels part ink from paper: more for a noisy picture."""
    steps = np.abs(np.diff(grey[:: max(1, len(grey) // 400)].astype(np.int16), axis=1))
    # the paper fills most of a page, so the middle step is noise
    noise = float(np.median(steps)) if steps.size else 0.0
    return min(_MOST_NOISE_CONTRAST, max(_LEAST_CONTRAST, _NOISE_FACTOR * noise))


def _paper(grey: Grey) -> NDArray[np.int16]:
    """Return the grey of the paper at each pixel: the median of squares, smoothed."""
    height, width = grey.shape
    rows, columns = -(-height // _SQUARE), -(-width // _SQUARE)
    padded = np.pad(
        grey, ((0, rows * _SQUARE - height), (0, columns * _SQUARE - width)), mode="edge"
    )
    squares = padded.reshape(rows, _SQUARE, columns, _SQUARE)[:, ::4, :, ::4]
    medians = np.median(squares.transpose(0, 2, 1, 3).reshape(rows, columns, -1), axis=2)
    spread = np.repeat(np.repeat(medians, _SQUARE, axis=0), _SQUARE, axis=1)
    return spread[:height, :width].astype(np.int16)
