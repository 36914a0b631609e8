"""Reading order: a page is cut between blocks and columns, but not through tables."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from statistics import median

from shared.documents.text.rows import find_rows
from shared.documents.text.words import Word

#: Parts of the median height of words.
_BLOCK_GAP = 0.55
_COLUMN_GAP = 0.75
#: Usual gaps between words that a gap between columns is wider than, and the widest usual one.
_SPACES, _WIDEST_SPACE = 1.5, 1.2
#: Rows that columns must have, on each side.
_LEAST_ROWS = 2
_LEAST_ROWS_OF_ONE = 3
#: Rows at the same heights on both sides are a table, unless they are filled with prose: their
#: words' part of the width, and their words' length in heights.
_PROSE_FILL = 0.62
_PROSE_LENGTH = 6.5
_TABLE_ALIGNED = 0.75
_SAME_HEIGHT = 0.35
#: A table that parts what is above from what is below: gaps and cells of its rows, and rows.
_CELL_GAP = 1.6
_LEAST_CELLS, _LEAST_TABLE_ROWS, _MOST_LINES = 3, 2, 3
#: Words of such a row, and words from which the usual gap is told.
_MOST_WORDS, _SAMPLE = 80, 200
#: Share of numbers in what stands beside the lines of a statement, and is no column of its own.
_MOST_NUMBERS = 0.6
#: Tables have many.
_MOST_GAPS = 4
#: Deeper nesting is noise.
_MAX_DEPTH = 12

Rows = list[list[Word]]


def find_blocks(words: list[Word]) -> list[Rows]:
    """Return the rows of each block of text, in reading order."""
    return list(_split(words, _SPACES * _space_between(words), 0)) if words else []


def _space_between(words: list[Word]) -> float:
    """Return the usual gap between two words of a row."""
    sample = words[:_SAMPLE]
    height = median(word.height for word in sample)
    gaps = (b.room[0] - a.room[2] for row in find_rows(sample) for a, b in pairwise(row))
    return median([0.0, *(gap for gap in gaps if 0 < gap < _WIDEST_SPACE * height)])


def _split(words: list[Word], least_gap: float, depth: int) -> Iterator[Rows]:
    """Yield the rows of each block; columns are further apart than `least_gap`."""
    height = max(0.5, median(word.height for word in words))
    strips = _cut_across(words, _BLOCK_GAP * height)
    if depth >= _MAX_DEPTH:
        yield from ([*find_rows(strip)] for strip in strips)
        return
    for section, column_edge in _join_columns(strips, max(_COLUMN_GAP * height, least_gap)):
        if column_edge is None:
            yield find_rows(section)
            continue
        left = [word for word in section if word.room[2] <= column_edge]
        right = [word for word in section if word.room[2] > column_edge]
        yield from _split(left, least_gap, depth + 1)
        yield from _split(right, least_gap, depth + 1)


def _cut_across(words: list[Word], gap: float) -> list[list[Word]]:
    """Return words in strips, from top to bottom, parted where nothing stands for `gap`."""
    strips: list[list[Word]] = []
    bottom = float("-inf")
    for word in sorted(words, key=lambda one: one.room[1]):
        if word.room[1] - bottom > gap:
            strips.append([])
        strips[-1].append(word)
        bottom = max(bottom, word.room[3])
    return strips


def _join_columns(
    strips: list[list[Word]], gap: float
) -> Iterator[tuple[list[Word], float | None]]:
    """Yield as many strips at once as share a gap between columns, with that gap's place."""
    tables = [_is_table_row(strip) for strip in strips]
    first = 0
    while first < len(strips):
        rows = _count_rows(tables[first:])
        if rows:
            yield [word for strip in strips[first : first + rows] for word in strip], None
            first += rows
            continue
        most = min(_count_sharing(strips[first:], gap), _count_before_rows(tables[first:]))
        section, edge, count = strips[first], None, 1
        # a table below columns may share their gap: fewer strips are tried then
        for part in (1.0, 0.75, 0.5, 0.25, 0.0):
            tried = max(1, round(most * part))
            union = [word for strip in strips[first : first + tried] for word in strip]
            candidate = _column_edge(union, gap)
            if candidate is not None:
                section, edge, count = union, candidate, tried
                break
        yield section, edge
        first += count


def _is_table_row(strip: list[Word]) -> bool:
    """Tell whether a strip is one row of three short cells or more, some of them of a few lines."""
    if not _LEAST_CELLS <= len(strip) <= _MOST_WORDS:
        return False
    rows = find_rows(strip)
    if len(rows) > _MOST_LINES:
        return False
    height = median(word.height for word in strip)
    cells = max((_occupied_intervals(row, _CELL_GAP * height) for row in rows), key=len)
    return len(cells) >= _LEAST_CELLS and _PROSE_LENGTH * height > median(b - a for a, b in cells)


def _count_rows(tables: Sequence[bool]) -> int:
    """Return how many strips, from the first, are rows of one table; a table has two at least."""
    count = next((at for at, is_row in enumerate(tables) if not is_row), len(tables))
    return count if count >= _LEAST_TABLE_ROWS else 0


def _count_before_rows(tables: Sequence[bool]) -> int:
    """Return how many strips, from the first, there are before a table begins."""
    return next((at for at in range(len(tables)) if _count_rows(tables[at:])), len(tables))


def _count_sharing(strips: list[list[Word]], gap: float) -> int:
    """Return how many strips, from the first, leave a gap of this width free together."""
    free = [(-math.inf, math.inf)]
    for count, strip in enumerate(strips):
        free = [
            (max(a, c), min(b, d))
            for a, b in free
            for c, d in _free_intervals(strip)
            if min(b, d) - max(a, c) > gap
        ]
        if count and not any(math.isfinite(a) and math.isfinite(b) for a, b in free):
            return count
    return len(strips)


def _free_intervals(words: list[Word]) -> list[tuple[float, float]]:
    """Return where no word stands, as left and right; the first and last go on without end."""
    intervals, right = [], -math.inf
    for word in sorted(words, key=lambda one: one.room[0]):
        if word.room[0] > right:
            intervals.append((right, word.room[0]))
        right = max(right, word.room[2])
    return [*intervals, (right, math.inf)]


def _column_edge(words: list[Word], gap: float) -> float | None:
    """Return where the widest gap between two columns begins, if there are columns."""
    gaps = [
        (end - start, start)
        for start, end in _free_intervals(words)
        if gap < end - start < math.inf
    ]
    for _, edge in sorted(gaps, reverse=True)[:_MOST_GAPS]:
        left = [word for word in words if word.room[2] <= edge]
        right = [word for word in words if word.room[2] > edge]
        if _are_columns(left, right):
            return edge
    return None


def _are_columns(left: list[Word], right: list[Word]) -> bool:
    left_rows, right_rows = find_rows(left), find_rows(right)
    fewer, more = sorted((left_rows, right_rows), key=len)
    if len(fewer) < _LEAST_ROWS or len(more) < _LEAST_ROWS_OF_ONE:
        return False
    if _has_numbers(left) != _has_numbers(right):
        return False
    if _aligned_share(fewer, more) < _TABLE_ALIGNED:
        return True
    return _is_prose(left_rows) and _is_prose(right_rows)


def _has_numbers(words: list[Word]) -> bool:
    """Tell whether words are mostly numbers, with signs and units of one letter at most."""
    numbers = sum(
        any(map(str.isdigit, word.text)) and sum(map(str.isalpha, word.text)) < 2 for word in words
    )
    return numbers > _MOST_NUMBERS * len(words)


def _aligned_share(fewer: Rows, more: Rows) -> float:
    """Return the share of rows beside which another stands at the same height."""
    heights = [median(word.middle for word in row) for row in more]
    aligned = 0
    for row in fewer:
        middle, height = median(w.middle for w in row), median(w.height for w in row)
        aligned += any(abs(middle - other) < _SAME_HEIGHT * height for other in heights)
    return aligned / len(fewer)


def _is_prose(rows: Rows) -> bool:
    """Tell whether rows hold much text and fill their columns, as the cells of tables do not."""
    words = [word for row in rows for word in row]
    height = median(word.height for word in words)
    columns = _occupied_intervals(words, _COLUMN_GAP * height)
    width = sum(end - start for start, end in columns)
    written = median(sum(word.room[2] - word.room[0] for word in row) for row in rows)
    return written >= max(_PROSE_FILL * width, _PROSE_LENGTH * height * len(columns))


def _occupied_intervals(words: list[Word], gap: float) -> list[tuple[float, float]]:
    """Return where words stand, as left and right, parted by free space wider than `gap`."""
    free = _free_intervals(words)
    free = [free[0], *(part for part in free[1:-1] if part[1] - part[0] > gap), free[-1]]
    return [(before[1], after[0]) for before, after in pairwise(free)]
