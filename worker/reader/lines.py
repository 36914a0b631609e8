"""Reads the text at one place of an image: a line, upright or on its side, of any length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from worker.reader.cropping import (
    Gaps,
    Ink,
    Piece,
    cut_line,
    find_gaps,
    find_ink,
    find_rows_of_ink,
    find_widest_gap,
    take_line,
    widest_gap,
)
from worker.reader.detection import Pixels, Quad, Region
from worker.reader.page import Fragment, Polygon, Span
from worker.reader.recognition import Recogniser, Recognition, scale_line

#: Height over width from which on a line may stand on its side.
_STANDING = 1.5
#: Columns of a gap that is a blank, in a line with Chinese letters: between those and others,
#: between two of those, and between two others; and how many more beside letters with blank sides.
_BLANK, _BLANK_WIDE, _BLANK_NARROW, _MORE = 11, 16, 10, 4
_THIN = "1Il|ijt.,:;!'"
#: Chinese, Japanese and Korean letters, with their punctuation and full-width forms.
_WIDE = ((0x2E80, 0x9FFF), (0xAC00, 0xD7A3), (0xF900, 0xFAFF), (0xFF00, 0xFF60), (0x20000, 0x3FFFF))
#: Their punctuation, which has its own blank.
_WIDE_MARKS = "，。、；：？！（）《》〈〉「」『』【】〔〕“”‘’…—～·"


class LineReader:
    """Turns places with text into fragments."""

    def __init__(self, recogniser: Recogniser) -> None:
        self._recogniser = recogniser

    def read_region(self, pixels: Pixels, region: Region) -> Fragment:
        """Return the text at a place of an RGB image; empty where there is none."""
        line = take_line(pixels, region.quad)
        best, corners = self.read_line(line), region.quad
        if line.shape[0] >= _STANDING * line.shape[1]:
            for quarter in (1, 3):
                turned = self.read_line(np.rot90(line, quarter))
                if turned.confidence > best.confidence:
                    best, corners = turned, turn_corners(region.quad, quarter)
        return Fragment(
            best.text, as_polygon(corners), best.confidence, best.spans, best.certainties, best.ink
        )

    def read_line(self, pixels: Pixels) -> Recognition:
        """Return the text of an upright image of one line."""
        line = scale_line(np.ascontiguousarray(pixels))
        ink = find_ink(line)
        gaps = find_gaps(ink)
        pieces = cut_line(line, gaps)
        joined = _join(pieces, [self._recogniser.read_line(piece.pixels) for piece in pieces])
        return _fit_to_ink(_put_spaces(joined, gaps, line.shape[1]), ink)


def _fit_to_ink(line: Recognition, ink: Ink) -> Recognition:
    """Let words begin and end where their ink does: the network is sure of a letter's middle."""
    height, width = ink.shape
    top, bottom = find_rows_of_ink(ink)
    gaps = find_gaps(ink[top:bottom])
    left = gaps[0][1] if gaps and gaps[0][0] == 0 else 0
    right = gaps[-1][0] if gaps and gaps[-1][1] == width else width
    if not line.text or right <= left or bottom <= top:
        return line
    spans = _fit_words(line, gaps, width)
    spans[0] = (left / width, max(spans[0][1], left / width))
    spans[-1] = (min(spans[-1][0], right / width), right / width)
    shares = left / width, top / height, right / width, bottom / height
    return replace(line, spans=tuple(spans), ink=shares)


def _fit_words(line: Recognition, gaps: Gaps, width: int) -> list[Span]:
    """Return where letters begin and end; those beside a blank do so at the gap's edges."""
    spans = list(line.spans)
    for number in range(1, len(spans) - 1):
        if line.text[number] != " ":
            continue
        before, after = line.spans[number - 1], line.spans[number + 1]
        start, stop = find_widest_gap(gaps, sum(before) / 2 * width, sum(after) / 2 * width)
        if stop > start:
            start, stop = start / width, stop / width
            spans[number - 1] = (spans[number - 1][0], start)
            spans[number], spans[number + 1] = (start, stop), (stop, spans[number + 1][1])
    return spans


def turn_corners(corners: Quad, quarters: int) -> Quad:
    """Return corners from where text begins that was read after so many quarter turns.

    The turns are counter-clockwise, as those of numpy's rot90.
    """
    return np.roll(corners, -quarters, axis=0)


def as_polygon(corners: Quad) -> Polygon:
    """Return four corners as plain numbers."""
    first, second, third, fourth = ((float(x), float(y)) for x, y in corners)
    return first, second, third, fourth


def _join(pieces: Sequence[Piece], parts: Sequence[Recognition]) -> Recognition:
    """Return the readings of a line's pieces as one; a blank stands where words part."""
    joined = Recognition()
    for piece, part in zip(pieces, parts, strict=True):
        share = piece.stop - piece.start
        spans = [(piece.start + a * share, piece.start + b * share) for a, b in part.spans]
        text, certainties = part.text, list(part.certainties)
        if piece.spaced and joined.text and text and not is_wide(joined.text[-1] + text[0]):
            text, spans = f" {text}", [(piece.start, piece.start), *spans]
            certainties = [1.0, *certainties]
        joined = Recognition(
            joined.text + text, (*joined.spans, *spans), (*joined.certainties, *certainties)
        )
    return joined


def _put_spaces(line: Recognition, gaps: Gaps, width: int) -> Recognition:
    """Put a blank between letters that stand apart; in Chinese lines the network leaves it out."""
    if not is_wide(line.text):
        return line
    text: list[str] = []
    spans: list[Span] = []
    certainties: list[float] = []
    for number, letter in enumerate(line.text):
        if number and _may_part(line.text[number - 1], letter):
            left, right = line.spans[number - 1], line.spans[number]
            first, last = ((a + b) / 2 * width for a, b in (left, right))
            if widest_gap(gaps, first, last) >= _blank_columns(line.text[number - 1], letter):
                text.append(" ")
                spans.append((left[1], right[0]))
                certainties.append(1.0)
        text.append(letter)
        spans.append(line.spans[number])
        certainties.append(line.certainties[number])
    return Recognition("".join(text), tuple(spans), tuple(certainties))


def _blank_columns(one: str, other: str) -> int:
    """Return the columns of a gap between two letters from which on it is a blank."""
    wide = is_wide(one) + is_wide(other)
    more = _MORE if one in _THIN or other in _THIN else 0
    return more + (_BLANK_NARROW, _BLANK, _BLANK_WIDE)[wide]


def _may_part(one: str, other: str) -> bool:
    """Tell whether a blank may stand between two letters; Chinese marks have their own."""
    return " " not in (one, other) and one not in _WIDE_MARKS and other not in _WIDE_MARKS


def is_wide(letters: str) -> bool:
    """Tell whether any of these letters is one of a script without blanks."""
    return any(low <= ord(letter) <= high for letter in letters for low, high in _WIDE)
