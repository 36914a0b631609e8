"""The second reader's part in a job: it reads a question's images, alone or beside the model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from shared.errors import InferenceFailed
from shared.jobs import FinishReason, JobInput, Notice, TextLine, Usage
from shared.jobs.answers.lines import ALONG, SeenPiece, SeenRow, SeenWord
from shared.prediction.cost_model import READING_UNIT
from worker.engine.api import Completion, Timings
from worker.jobs.load_meter import LoadMeter
from worker.jobs.reader_loading import InstalledReader
from worker.jobs.upright import degrees_of, doubtful_notice, turned_notice
from worker.pipeline import Question
from worker.pipeline.images import open_image
from worker.places.geometry import map_rows, turn_back
from worker.places.seen import SeenImage
from worker.reader import Fragment, Reading, ReadingStopped, ReadPage

#: The preset whose two columns are a table already.
_TABLES = "ocr_table"
#: Text between two images.
_BETWEEN = "\n\n"


@dataclass(frozen=True, slots=True)
class QuestionReading:
    """The readings of a question's images."""

    readings: tuple[Reading, ...]
    #: Width and height of each image in pixels.
    sizes: tuple[tuple[int, int], ...]
    #: Degrees by which each was turned clockwise before it was read.
    turns: tuple[int, ...]

    @property
    def text(self) -> str | None:
        """Return what was read; None before all are read, and where one failed."""
        texts = [text for one in self.readings if (text := one.text) is not None]
        return _BETWEEN.join(texts) if len(texts) == len(self.readings) else None

    def stop(self) -> None:
        """End all of them soon."""
        for reading in self.readings:
            reading.stop()


@dataclass(frozen=True, slots=True)
class ReadText:
    """What the second reader has read in a question's images."""

    text: str = ""
    #: The pages with the places of their lines, as many as there are images.
    pages: tuple[ReadPage, ...] = ()
    #: Width and height of each, and the degrees by which it was turned clockwise before.
    sizes: tuple[tuple[int, int], ...] = ()
    turns: tuple[int, ...] = ()
    #: Its seconds.
    seconds: float = 0.0

    @property
    def lines(self) -> tuple[TextLine, ...]:
        """Return its lines with the mean probability of their letters."""
        return tuple(
            TextLine(text=line.text, confidence=round(line.confidence, 4))
            for page in self.pages
            for line in page.lines
        )

    @property
    def notices(self) -> tuple[Notice, ...]:
        """Return what is told of images that the reader has turned itself, or may have had to."""
        return tuple(
            turned_notice(at, page.turned) if page.turned else doubtful_notice(at)
            for at, page in enumerate(self.pages)
            if page.turned or page.doubtful
        )

    def seen(self, job: JobInput) -> tuple[SeenImage, ...] | None:
        """Return what was seen in each image and where; None unless a job wants it."""
        if not job.wants_places:
            return None
        images = zip(self.pages, self.sizes, self.turns, strict=True)
        return tuple(
            SeenImage(_turn_rows_back(seen_rows(page), size, degrees), at)
            for at, (page, size, degrees) in enumerate(images)
        )

    @property
    def confidence(self) -> float | None:
        """Return the mean probability of all letters; None without any."""
        known = [(page.confidence, len(page.text)) for page in self.pages]
        letters = sum(count for mean, count in known if mean is not None)
        total = sum(mean * count for mean, count in known if mean is not None)
        return round(total / letters, 4) if letters else None


def _turn_rows_back(
    rows: tuple[SeenRow, ...], size: tuple[int, int], degrees: int
) -> tuple[SeenRow, ...]:
    """Return rows of an image of this size at their places before it was turned."""
    width, height = size if degrees % 180 == 0 else size[::-1]
    return map_rows(rows, lambda place: turn_back(place, degrees, width, height))


def seen_rows(page: ReadPage) -> tuple[SeenRow, ...]:
    """Return what was seen on a page and where."""
    return tuple(
        SeenRow(pieces=tuple(_piece(fragment) for fragment in line.fragments))
        for line in page.lines
    )


def _piece(fragment: Fragment) -> SeenPiece:
    left, _, right, _ = fragment.ink
    across = max(1e-9, right - left)

    def place(share: float) -> int:
        return min(ALONG, max(0, round((share - left) / across * ALONG)))

    words = tuple(
        SeenWord(
            text=word.text,
            start=place(start),
            stop=place(stop),
            confidence=round(word.confidence, 4),
        )
        for word, (start, stop) in zip(fragment.words, fragment.word_spans, strict=True)
    )
    first, second, third, fourth = ((round(x, 1), round(y, 1)) for x, y in fragment.inked)
    return SeenPiece(corners=(first, second, third, fourth), words=words)


class QuestionReader:
    """Lets the second reader read what questions show; the threads of a worker share it."""

    def __init__(self, reader: InstalledReader, meter: LoadMeter) -> None:
        self._reader = reader
        self._meter = meter

    def start(self, question: Question, *, beside: bool) -> QuestionReading:
        """Begin to read the images of a question; raises InferenceFailed when it cannot.

        A reading `beside` the model leaves it half of the cores.
        """
        job, reader = question.job, self._reader.load()
        images = [open_image(question.pngs[image_id]) for image_id in job.images]
        readings = [
            reader.start(
                image,
                tables=job.preset == _TABLES,
                beside=beside,
                uncertain_below=job.params.uncertain_below,
            )
            for image in images
        ]
        turns = tuple(degrees_of(question.variants.get(image_id)) for image_id in job.images)
        return QuestionReading(tuple(readings), tuple(image.size for image in images), turns)

    def finish(self, reading: QuestionReading, check: Callable[[], None]) -> ReadText:
        """Return what was read; `check` is called meanwhile, and what it raises stops the reading.

        Raises InferenceFailed when the reader fails.
        """
        try:
            pages = [one.result(check) for one in reading.readings]
        except ReadingStopped as error:
            raise InferenceFailed("The second reader was stopped.") from error
        finally:
            reading.stop()
        for one, (width, height) in zip(reading.readings, reading.sizes, strict=True):
            self._meter.add_reading(width * height / READING_UNIT, one.seconds)
        return ReadText(
            text=_BETWEEN.join(page.text for page in pages),
            pages=tuple(pages),
            sizes=reading.sizes,
            turns=reading.turns,
            seconds=sum(one.seconds for one in reading.readings),
        )


def as_completion(read: ReadText, question: Question) -> Completion:
    """Return what was read as the answer of a job that only the second reader works on."""
    params = question.job.params
    lines = read.lines if params.line_confidence else None
    return Completion(
        _cut_at_stop(read.text, params.stop),
        FinishReason.STOP,
        Usage(),
        Timings(),
        confidence=read.confidence,
        lines=lines,
    )


def _cut_at_stop(text: str, stops: Sequence[str]) -> str:
    ends = [at for stop in stops if (at := text.find(stop)) >= 0]
    return text[: min(ends)] if ends else text
