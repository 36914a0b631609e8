"""The second reader: finds the lines of an image and reads them, beside the model."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from worker.reader.detection import Detector, Pixels, Region
from worker.reader.layout import arrange
from worker.reader.lines import LineReader
from worker.reader.marks import mark_doubts
from worker.reader.network import Network
from worker.reader.page import Box, Fragment, ReadPage
from worker.reader.reading import Reading, ReadingStopped
from worker.reader.recognition import Recogniser, Recognition
from worker.reader.turning.back import turn_back
from worker.reader.turning.direction import LinesReader, find_direction
from worker.reader.turning.glance import are_upright, take_level_lines
from worker.reader.weights import ReaderWeights

#: Lines whose letters are less probable are no text.
_NO_TEXT = 0.5


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

    def find_turn(self, image: Image.Image) -> int | None:
        """Return the clockwise degrees by which to turn an RGB image upright; None if unsure.

        What has no text, or columns that run downwards, is upright as it is.
        """
        image = image.convert("RGB")
        if (lines := take_level_lines(image)) and are_upright(self._read_lines(lines)):
            return 0
        pixels = np.asarray(image)
        regions = self._pool.submit(self._detector.find_regions, pixels).result()
        direction = find_direction(pixels, regions, self._read_lines)
        return direction.turn if direction.sure else None

    def _read_lines(self, lines: Sequence[Pixels]) -> list[Recognition]:
        return list(self._pool.map(self._lines.read_line, lines))

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
        task = _ReadingTask(
            self._detector, self._lines, self._read_lines, self._pool, reading, wishes
        )
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
    read_lines: LinesReader
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
        direction = find_direction(pixels, regions, self.read_lines)
        if direction.quarters:
            upright = np.ascontiguousarray(np.rot90(pixels, direction.quarters))
            page = self._read_upright(upright, self._find_regions(upright))
            return turn_back(page, direction, pixels.shape[1], pixels.shape[0])
        return replace(self._read_upright(pixels, regions), doubtful=not direction.sure)

    def _read_upright(self, pixels: Pixels, regions: Sequence[Region]) -> ReadPage:
        fragments = self._read_regions(pixels, regions)
        below = self.wishes.uncertain_below
        marked = [mark_doubts(fragment, below) for fragment in fragments]
        return arrange(marked, pixels, self.wishes.columns)

    def _find_regions(self, pixels: Pixels) -> list[Region]:
        return self.pool.submit(self.detector.find_regions, pixels).result()

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
