"""A line and its words or cells, of which one is corrected and the others go with it."""

from __future__ import annotations

import re
from typing import Any

_BAR = re.compile(r"(?<!\\)\|")
_WORD = re.compile(r"\S+")


def with_text(line: dict[str, Any], text: str) -> dict[str, Any]:
    """Return a line that says something else, with those of its words and cells that still fit."""
    changed = line | {"text": text}
    for name, own in (("cells", _cells_of(text)), ("words", text.split())):
        known = line.get(name)
        if known and len(known) == len(own):
            pairs = zip(known, own, strict=True)
            changed[name] = [part | {"text": word} for part, word in pairs]
        elif known:
            # their boxes are those of other words
            del changed[name]
    return changed


def line_with_part(line: dict[str, Any], name: str, number: int, value: str) -> dict[str, Any]:
    """Return a line one of whose `cells` or `words` says something else.

    Its text stays where it cannot be told which part of it that is.
    """
    plain = " ".join(value.split())
    parts = [*line[name]]
    old = parts[number]["text"]
    parts[number] = parts[number] | {"text": value}
    replaced = _with_cell if name == "cells" else _with_word
    text = replaced(line["text"], number, len(parts), plain)
    if text is None and old and line["text"].count(old) == 1:
        text = line["text"].replace(old, plain)
    return line | {name: parts, "text": line["text"] if text is None else text}


def _with_cell(row: str, number: int, count: int, value: str) -> str | None:
    cells = _BAR.split(row)
    if len(cells) - 2 != count:
        return None
    cells[number + 1] = " " + _BAR.sub(r"\\|", value) + " "
    return "|".join(cells)


def _with_word(text: str, number: int, count: int, value: str) -> str | None:
    words = list(_WORD.finditer(text))
    if len(words) != count:
        return None
    start, stop = words[number].span()
    return text[:start] + value + text[stop:]


def _cells_of(row: str) -> list[str]:
    return [part.strip() for part in _BAR.split(row)[1:-1]]
