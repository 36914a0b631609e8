"""The second reader: finds the lines of an image and reads them, beside the model."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from statistics import mean

import numpy as np
from PIL import Image

from worker.reader.cropping import take_line
from worker.reader.detection import Detector, Pixels, Region
from worker.reader.layout import arrange
from worker.reader.lines import LineReader
from worker.reader.marks import mark_doubts
from worker.reader.network import Network
from worker.reader.page import Box, Fragment, ReadPage
from worker.reader.reading import Reading, ReadingStopped
from worker.reader.recognition import Recogniser
from worker.reader.turning import turn_back
from worker.reader.weights import ReaderWeights

#: Lines whose letters are less probable are no text.
_NO_TEXT = 0.5
#: Lines that decide which way a page is turned, at most.
_SAMPLES = 5
#: Height over width of a line on its side, and the share of lines that are so on a turned page.
_ON_ITS_SIDE, _TURNED = 2.0, 0.6
#: Mean probability of letters below which a page may stand on its head, and by how much the
#: letters of another turn must be more probable.
_DOUBTFUL, _BETTER = 0.8, 0.1


class SecondReader:
    """Both networks and the threads that run them; all jobs of a worker share it."""

    def __init__(self, weights: ReaderWeights, threads: int) -> None:
        """Load the weights; all readings together use at most `threads` cores."""
        self.name = weights.name
        self._threads = threads
        self._detector = Detector(Network(weights.detection))
        self._lines = LineReader(Recogniser(Network(weights.recognition)))
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="reader")

    def close(self) -> None:
        """End the threads; readings that go on fail."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def read(self, image: Image.Image, *, tables: bool = False) -> ReadPage:
        """Return the text of an RGB image; see `start`."""
        return self.start(image, tables=tables).result()

    def find_text(self, image: Image.Image) -> list[Box]:
        """Return upright boxes around the stretches of text in an image, from top to bottom."""
        pixels = np.asarray(image.convert("RGB"))
        regions = self._pool.submit(self._detector.find_regions, pixels).result()
        return [region.box for region in regions]

    def start(
        self,
        image: Image.Image,
        *,
        tables: bool = False,
        beside: bool = False,
        uncertain_below: float | None = None,
    ) -> Reading:
        """Begin to read an RGB image.

        With `tables` two columns are a Markdown table already. A reading `beside` the model leaves
        it half of the cores. Letters and digits below a probability become `[?]`.
        """
        lanes = max(1, self._threads // 2) if beside else self._threads
        reading = Reading()
        wishes = _Wishes(lanes, 2 if tables else 3, uncertain_below)
        task = _ReadingTask(self._detector, self._lines, self._pool, reading, wishes)
        # it only waits for the threads of the pool
        threading.Thread(target=task.run, args=(image,), daemon=True).start()
        return reading


@dataclass(frozen=True, slots=True)
class _Wishes:
    """How an image is to be read."""

    #: Lines that are read at once.
    lanes: int
    #: Columns of a table at least.
    columns: int
    uncertain_below: float | None


@dataclass(frozen=True, slots=True)
class _ReadingTask:
    """The work on one image."""

    detector: Detector
    lines: LineReader
    pool: ThreadPoolExecutor
    reading: Reading
    wishes: _Wishes

    def run(self, image: Image.Image) -> None:
        began = time.monotonic()
        outcome: ReadPage | BaseException
        try:
            outcome = self._read(np.asarray(image.convert("RGB")))
        except BaseException as error:  # noqa: BLE001 - it is the job's error and not this thread's
            outcome = error
        self.reading.end(outcome, time.monotonic() - began)

    def _read(self, pixels: Pixels) -> ReadPage:
        regions = self._find_regions(pixels)
        quarters = self._find_turn(pixels, regions)
        if quarters:
            upright = np.ascontiguousarray(np.rot90(pixels, quarters))
            page = self._read_upright(upright, self._find_regions(upright))
            return turn_back(page, quarters, pixels.shape[1], pixels.shape[0])
        return self._read_upright(pixels, regions)

    def _read_upright(self, pixels: Pixels, regions: Sequence[Region]) -> ReadPage:
        fragments = self._read_regions(pixels, regions)
        below = self.wishes.uncertain_below
        marked = [mark_doubts(fragment, below) for fragment in fragments]
        return arrange(marked, pixels, self.wishes.columns)

    def _find_regions(self, pixels: Pixels) -> list[Region]:
        return self.pool.submit(self.detector.find_regions, pixels).result()

    def _find_turn(self, pixels: Pixels, regions: Sequence[Region]) -> int:
        """Return how many quarter turns counter-clockwise show the text upright."""
        if not regions:
            return 0
        longest = sorted(regions, key=lambda r: -max(r.width, r.height))
        samples = longest[:_SAMPLES]
        standing = [r.height >= _ON_ITS_SIDE * r.width for r in longest]
        turned = sum(standing) >= _TURNED * len(regions)
        turns = (1, 3) if turned else (0, 2)
        chosen = [r for r, stands in zip(longest, standing, strict=True) if stands is turned]
        samples = (chosen or longest)[:_SAMPLES]
        certainty = self._certainty(pixels, samples, turns[0])
        if not turned and certainty >= _DOUBTFUL:
            return 0
        other = self._certainty(pixels, samples, turns[1])
        if turned and max(certainty, other) < _DOUBTFUL:
            return 0
        return turns[1] if other > certainty + (0 if turned else _BETTER) else turns[0]

    def _certainty(self, pixels: Pixels, samples: Sequence[Region], quarters: int) -> float:
        """Return the mean probability of letters in lines that are turned so."""
        crops = [np.rot90(take_line(pixels, region.quad), quarters) for region in samples]
        readings = self.pool.map(self.lines.read_line, crops)
        return mean(reading.confidence for reading in readings)

    def _read_regions(self, pixels: Pixels, regions: Sequence[Region]) -> list[Fragment]:
        """Read regions in several threads at once; raises ReadingStopped."""
        waiting = deque(regions)
        fragments: list[Fragment] = []

        def work() -> None:
            while not self.reading.stopped:
                try:
                    region = waiting.popleft()
                except IndexError:
                    return
                fragments.append(self.lines.read_region(pixels, region))

        for future in [self.pool.submit(work) for _ in range(min(self.wishes.lanes, len(regions)))]:
            future.result()
        if self.reading.stopped:
            raise ReadingStopped
        return [f for f in fragments if f.text.strip() and f.confidence >= _NO_TEXT]
