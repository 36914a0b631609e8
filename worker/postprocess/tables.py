"""The rule that repairs Markdown tables: separator row, equal cells, no stray pipes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from shared.constraints.regex import Budget, Pattern, check_size, compile_pattern

_SEPARATOR = compile_pattern(r"\A:?[-‐‑–—―─]+:?\z")
#: Below the second row a single dash is the content of an empty cell.
_LATE_SEPARATOR = compile_pattern(r"\A:?(?:[-‐‑–─]{3,}|[—―]+):?\z")
#: Fences whose content is Markdown.
_MARKDOWN = ("", "md", "markdown", "table")
#: More columns are no table, and ragged rows would grow to all of them.
_MAX_COLUMNS = 100


@dataclass(slots=True)
class _TableReader:
    """Splits lines into plain ones and blocks that could be tables."""

    budget: Budget
    #: Inside a fence, and inside one whose content is no Markdown.
    fenced: bool = False
    foreign: bool = False
    block: list[str] = field(default_factory=list)

    def lines(self, text: str) -> Iterator[str]:
        """Yield the lines of the text with every table repaired."""
        for line in text.split("\n"):
            self._check_fence(line)
            if not self.foreign and "|" in line:
                self.block.append(line)
                continue
            yield from self._end_block()
            yield line
        yield from self._end_block()

    def _check_fence(self, line: str) -> None:
        mark = line.lstrip(" ")
        if mark.startswith(("```", "~~~")):
            self.fenced = not self.fenced
            self.foreign = self.fenced and mark.strip("`~ \t").lower() not in _MARKDOWN

    def _end_block(self) -> Sequence[str]:
        block, self.block = self.block, []
        return _repair(block, self.budget) if block else ()


def repair_tables(text: str, budget: Budget) -> str:
    """Return the text with its tables repaired; intact tables stay as they are."""
    check_size(text)
    return "\n".join(_TableReader(budget).lines(text))


def _repair(lines: list[str], budget: Budget) -> Sequence[str]:
    rows = [_cells(line) for line in lines]
    rules = [
        _is_separator(row, _SEPARATOR if at < 2 else _LATE_SEPARATOR, budget)
        for at, row in enumerate(rows)
    ]
    if not _is_table(lines, rules) or _is_intact(lines, rows, rules):
        return lines
    body = [row for row, rule in zip(rows, rules, strict=True) if not rule and any(row)]
    width = max((_used(row) for row in body), default=0)
    if not body or width > _MAX_COLUMNS or (width < 2 and not any(rules)):
        return lines
    separator = next((row for row, rule in zip(rows, rules, strict=True) if rule), [])
    marks = [_mark(cell) for cell in separator[:width]]
    marks += ["---"] * (width - len(marks))
    indent = lines[0][: len(lines[0]) - len(lines[0].lstrip())]
    return [indent + _line(row, width) for row in (body[0], marks, *body[1:])]


def _is_table(lines: Sequence[str], rules: Sequence[bool]) -> bool:
    """Tell a table from prose and commands with pipes in them."""
    if len(lines) < 2:
        return False
    opened = sum(line.lstrip().startswith("|") for line in lines)
    return any(rules) or (lines[0].lstrip().startswith("|") and 2 * opened > len(lines))


def _is_intact(lines: Sequence[str], rows: Sequence[Sequence[str]], rules: Sequence[bool]) -> bool:
    same_width = len({len(row) for row in rows}) == 1
    plain = all(mark in "-: " for cell in rows[1] for mark in cell)
    edges = len({(line.strip()[:1] == "|", line.strip()[-1:] == "|") for line in lines}) == 1
    return same_width and edges and plain and rules[1] and not rules[0]


def _cells(line: str) -> list[str]:
    r"""Return the cells between the pipes of a line; `\|` is no pipe."""
    line = line.strip()
    cells, start, escaped = [], 0, False
    for at, char in enumerate(line):
        if char == "|" and not escaped:
            cells.append(line[start:at].strip())
            start = at + 1
        escaped = char == "\\" and not escaped
    cells.append(line[start:].strip())
    if len(cells) > 1 and not cells[0]:
        cells = cells[1:]
    if len(cells) > 1 and not cells[-1]:
        cells = cells[:-1]
    return cells


def _is_separator(row: Sequence[str], pattern: Pattern, budget: Budget) -> bool:
    marks = [cell for cell in row if cell]
    return bool(marks) and all(any(pattern.find_matches(cell, budget)) for cell in marks)


def _mark(cell: str) -> str:
    """Return the separator of a column, its alignment kept."""
    return (":" if cell.startswith(":") else "") + "---" + (":" if cell[1:].endswith(":") else "")


def _used(row: Sequence[str]) -> int:
    return max((i for i, cell in enumerate(row, start=1) if cell), default=0)


def _line(row: Sequence[str], width: int) -> str:
    return "| " + " | ".join([*row, *[""] * width][:width]) + " |"
