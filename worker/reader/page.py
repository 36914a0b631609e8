"""What the second reader has read: a page of lines, with the place of each letter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from shared.jobs.answers.lines import cut_across, cut_along

#: Left, top, right, bottom in pixels of the image, right and bottom excluded.
Box = tuple[int, int, int, int]
#: Left and top in pixels.
Point = tuple[float, float]
#: Top left, top right, bottom right and bottom left of a slanted box, as the text runs.
Polygon = tuple[Point, Point, Point, Point]
#: Where a letter begins and ends along its fragment, 0 to 1.
Span = tuple[float, float]
#: Left, top, right and bottom of a part of a slanted box, 0 to 1.
Shares = tuple[float, float, float, float]
#: All of a slanted box.
WHOLE: Shares = (0.0, 0.0, 1.0, 1.0)


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a fragment, and its place."""

    text: str
    #: Its first letter within the fragment's text.
    start: int
    box: Box
    #: Mean probability of its letters.
    confidence: float


@dataclass(frozen=True, slots=True)
class Fragment:
    """A stretch of text without a wide gap: a line, or one cell of a table's row."""

    text: str
    polygon: Polygon
    #: Mean probability of its letters.
    confidence: float
    #: One for each character of the text.
    spans: tuple[Span, ...] = ()
    #: Probability of each character.
    certainties: tuple[float, ...] = ()
    #: Where in its polygon, which has a margin, its ink is.
    ink: Shares = WHOLE

    @property
    def box(self) -> Box:
        """Return the upright box around it."""
        return _around([self.polygon])

    @property
    def inked(self) -> Polygon:
        """Return the slanted box around its ink."""
        left, top, right, bottom = self.ink
        return cut_across(cut_along(self.polygon, left, right), top, bottom)

    @property
    def words(self) -> list[Word]:
        """Return its words with their places."""
        words, start = [], 0
        for text in self.text.split(" "):
            if text:
                words.append(self._word(text, start))
            start += len(text) + 1
        return words

    @property
    def word_spans(self) -> list[Span]:
        """Return where each of its words begins and ends along it, 0 to 1."""
        ends = [(word.start, word.start + len(word.text) - 1) for word in self.words]
        return [(self.spans[first][0], self.spans[last][1]) for first, last in ends]

    def _word(self, text: str, start: int) -> Word:
        stop = start + len(text)
        certainties = self.certainties[start:stop]
        return Word(text, start, self.box_of(start, stop), sum(certainties) / len(certainties))

    def box_of(self, start: int, stop: int) -> Box:
        """Return the box around the characters from `start` to `stop`, excluded."""
        return _around([cut_along(self.polygon, self.spans[start][0], self.spans[stop - 1][1])])

    def moved(self, x: float, y: float) -> Fragment:
        """Return it at a place that lies `x` to the right and `y` below."""
        first, second, third, fourth = ((left + x, top + y) for left, top in self.polygon)
        return replace(self, polygon=(first, second, third, fourth))


@dataclass(frozen=True, slots=True)
class ReadLine:
    """A line of a page's text; `fragments` from left to right are what it was read from."""

    text: str
    fragments: tuple[Fragment, ...]

    @property
    def box(self) -> Box:
        """Return the upright box around it."""
        return _around([fragment.polygon for fragment in self.fragments])

    @property
    def polygon(self) -> Polygon:
        """Return the slanted box around it."""
        first, last = self.fragments[0].polygon, self.fragments[-1].polygon
        return first[0], last[1], last[2], first[3]

    @property
    def confidence(self) -> float:
        """Return the mean probability of its letters."""
        letters = sum(len(fragment.text) for fragment in self.fragments)
        total = sum(fragment.confidence * len(fragment.text) for fragment in self.fragments)
        return total / letters if letters else 0.0


@dataclass(frozen=True, slots=True)
class ReadPage:
    """An image as it was read: its lines in reading order, and the text that they make."""

    #: Lines between newlines; an empty line parts blocks, and a table has its Markdown rule.
    text: str = ""
    lines: tuple[ReadLine, ...] = field(default=())
    #: Degrees by which the image was turned clockwise to be read; places are those before.
    turned: int = 0
    #: How it lies could not be told: it was read as it is.
    doubtful: bool = False

    @property
    def confidence(self) -> float | None:
        """Return the mean probability of all letters; None without any."""
        letters = sum(len(line.text) for line in self.lines)
        if not letters:
            return None
        return sum(line.confidence * len(line.text) for line in self.lines) / letters


def _around(polygons: Sequence[Polygon]) -> Box:
    xs = [x for polygon in polygons for x, _ in polygon]
    ys = [y for polygon in polygons for _, y in polygon]
    return int(min(xs)), int(min(ys)), -int(-max(xs) // 1), -int(-max(ys) // 1)
