"""Recognises Markdown tables in lines of text, and keeps one that crosses a seam in one piece."""

from __future__ import annotations

import re
from collections.abc import Sequence

from worker.tiling.likeness import likeness

_RULE = re.compile(r"\|?\s*:?-{3,}:?\s*(\|\s*:?-{3,}:?\s*)*\|?\s*")
_BAR = re.compile(r"(?<!\\)\|")
#: A row that is this much like the header is the header, read again; `make tiling`.
_SAME_HEADER = 0.8


def is_row(line: str) -> bool:
    """Tell whether a line is a row of a table, its rule included."""
    text = line.strip()
    return len(text) > 1 and text.startswith("|") and text.endswith("|")


def is_rule(line: str) -> bool:
    """Tell whether a line is the rule between a table's header and its rows."""
    return is_row(line) and _RULE.fullmatch(line.strip()) is not None


def count_columns(row: str) -> int:
    """Count the cells of a row."""
    return len(_BAR.findall(row.strip())) - 1


def continue_table(above: Sequence[str], below: Sequence[str]) -> list[str]:
    """Return `below` as it continues the table that `above` ends with.

    Its rule is left out, and its header if it is that of the table above; without a table at both
    sides, or with another number of columns, `below` stays as it is.
    """
    if not _adjoin(above, below) or count_columns(above[-1]) != count_columns(below[0]):
        return list(below)
    rest = [line for number, line in enumerate(below) if not (number < 2 and is_rule(line))]
    header = find_header(above)
    if header is not None and rest and is_row(rest[0]) and _is_same(header, rest[0]):
        rest = rest[1:]
    return rest


def must_separate(above: Sequence[str], below: Sequence[str]) -> bool:
    """Tell whether an empty line must keep two tables from becoming one."""
    return _adjoin(above, below)


def _adjoin(above: Sequence[str], below: Sequence[str]) -> bool:
    return bool(above) and bool(below) and is_row(above[-1]) and is_row(below[0])


def find_header(lines: Sequence[str]) -> str | None:
    """Return the header of the table at the end of `lines`."""
    first = len(lines)
    while first > 0 and is_row(lines[first - 1]):
        first -= 1
    return lines[first] if first + 1 < len(lines) and is_rule(lines[first + 1]) else None


def _is_same(header: str, row: str) -> bool:
    return count_columns(header) == count_columns(row) and likeness(header, row) >= _SAME_HEADER
