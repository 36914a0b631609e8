"""The second reader as a worker has it: found at the start, loaded when it is needed first."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFont

from shared.errors import InferenceFailed
from shared.prediction.cost_model import READING_UNIT
from shared.settings import Settings
from worker.jobs.load_meter import LoadMeter
from worker.reader.page import Box
from worker.reader.weights import ReaderIncomplete, ReaderWeights, find_weights

if TYPE_CHECKING:
    from worker.reader.reader import SecondReader

_log = logging.getLogger(__name__)

#: A page that is read once to measure it: its size in pixels, the height of its letters, its lines.
_SIZE, _LETTERS, _LINES = (640, 448), 20, 12
_WORDS = "The quick brown fox jumps over 1,234 lazy dogs."


def find_reader(settings: Settings) -> InstalledReader | None:
    """Return the second reader of this machine; None where it is off or not installed.

    An installation that lacks a file is logged, and the worker goes on without the reader.
    """
    if not settings.second_reader:
        return None
    try:
        weights = find_weights()
    except ReaderIncomplete as error:
        _log.info("reader.absent", extra={"cause": str(error)})
        return None
    return InstalledReader(weights, settings.reader_threads or settings.threads)


class InstalledReader:
    """The second reader's weights on this machine; thread-safe."""

    def __init__(self, weights: ReaderWeights, threads: int) -> None:
        """All readings together will use `threads` cores."""
        self.name = weights.name
        self._weights = weights
        self._threads = threads
        self._lock = threading.Lock()
        self._loaded: SecondReader | None = None
        self._closed = False

    def load(self) -> SecondReader:
        """Return the reader; raises InferenceFailed when it cannot be loaded."""
        with self._lock:
            if self._loaded is None:
                self._loaded = self._load()
            return self._loaded

    def _load(self) -> SecondReader:
        try:
            # OpenCV and onnxruntime are imported only where something is really read
            from worker.reader.reader import SecondReader

            reader = SecondReader(self._weights, self._threads)
        except Exception as error:
            _log.exception("reader.failed")
            cause = f"{type(error).__name__}: {error}"
            raise InferenceFailed(f"The second reader cannot be loaded: {cause}") from error
        _log.info("reader.ready", extra={"reader": self.name})
        return reader

    def measure(self, meter: LoadMeter) -> None:
        """Load it and read a page, so that the first job is predicted and finds it warm."""
        page = Image.new("RGB", _SIZE, "white")
        pen, font = ImageDraw.Draw(page), ImageFont.load_default(_LETTERS)
        for line in range(_LINES):
            pen.text((20, 20 + 34 * line), _WORDS, font=font, fill="black")
        try:
            reader = self.load()
            # the first reading of all is slower
            reader.read(page)
            reading = reader.start(page)
            reading.result()
        except Exception:  # noqa: BLE001 - the first job that needs it fails with the cause
            # a worker that is stopped while it measures has lost nothing
            if not self._closed:
                _log.exception("reader.failed")
            return
        meter.add_reading(page.width * page.height / READING_UNIT, reading.seconds)

    def find_text(self, image: Image.Image) -> list[Box]:
        """Return boxes around the stretches of text in an RGB image; none where it cannot look."""
        try:
            return self.load().find_text(image)
        except Exception:  # noqa: BLE001 - the model reads all the same
            _log.exception("reader.failed")
            return []

    def find_turn(self, image: Image.Image) -> int | None:
        """Return the clockwise degrees by which to turn an RGB image upright; None if unsure."""
        try:
            return self.load().find_turn(image)
        except Exception:  # noqa: BLE001 - it is read as it is, and the caller is told
            _log.exception("reader.failed")
            return None

    def close(self) -> None:
        """End its threads; a reading that goes on fails."""
        with self._lock:
            self._closed = True
            if self._loaded is not None:
                self._loaded.close()
