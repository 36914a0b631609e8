"""Reads the text of one line: letters, their places along it, and how certain each is.

The constants are chosen with `python -m bench.quality.reader`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.reader.network import Input, Network
from worker.reader.page import WHOLE, Shares, Span

#: (height, width, 3) RGB.
Pixels = NDArray[np.uint8]

#: Rows of a line as the network sees it.
HEIGHT = 48
#: Columns of a line at least.
_LEAST = 64
#: The output that stands for no letter.
_NOTHING = 0


@dataclass(frozen=True, slots=True)
class Recognition:
    """The text of one line."""

    text: str = ""
    #: Where each character begins and ends along the line, 0 to 1.
    spans: tuple[Span, ...] = ()
    #: Probability of each character.
    certainties: tuple[float, ...] = ()
    #: Where its ink is.
    ink: Shares = WHOLE

    @property
    def confidence(self) -> float:
        """Return the mean probability of the letters, 0 without any."""
        return sum(self.certainties) / len(self.certainties) if self.certainties else 0.0


class Recogniser:
    """Reads lines; one at a time, as several together take as long as one after the other."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._letters = ["", *network.note("character").split("\n"), " "]

    def read_line(self, pixels: Pixels) -> Recognition:
        """Return the text of an upright RGB image of one line, HEIGHT rows high."""
        width = pixels.shape[1]
        likely = self._network.run(_as_input(pixels))[0]
        best = likely.argmax(axis=1)
        begins = np.flatnonzero((best != _NOTHING) & (np.diff(best, prepend=-1) != 0))
        text = "".join(self._letters[best[at]] for at in begins)
        # columns of the line that one row of the output stands for
        each = max(_LEAST, width) / len(best)
        middles = [min(1.0, (at + 0.5) * each / width) for at in begins]
        certainties = tuple(float(likely[at, best[at]]) for at in begins)
        return Recognition(text, _spans(middles), certainties)


def _as_input(pixels: Pixels) -> Input:
    values = pixels[:, :, ::-1].transpose(2, 0, 1)[None].astype(np.float32)
    values = values / 127.5 - 1
    missing = max(0, _LEAST - pixels.shape[1])
    return np.ascontiguousarray(np.pad(values, ((0, 0), (0, 0), (0, 0), (0, missing))))


def _spans(middles: list[float]) -> tuple[Span, ...]:
    """Return where letters begin and end: half way to the next."""
    if not middles:
        return ()
    edges = [(a + b) / 2 for a, b in pairwise(middles)]
    first = edges[0] - middles[0] if edges else 0.5
    last = middles[-1] - edges[-1] if edges else 0.5
    edges = [max(0.0, middles[0] - first), *edges, min(1.0, middles[-1] + last)]
    return tuple(pairwise(edges))


def scale_line(pixels: Pixels) -> Pixels:
    """Return an image of one line with HEIGHT rows."""
    height, width = pixels.shape[:2]
    across = max(1, math.ceil(width * HEIGHT / height))
    method = cv2.INTER_AREA if height > HEIGHT else cv2.INTER_CUBIC
    scaled = cv2.resize(pixels, (across, HEIGHT), interpolation=method)
    return scaled.astype(np.uint8, copy=False)
