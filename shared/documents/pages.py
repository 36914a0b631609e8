"""Which pages of a document a request names: `1-3,7,-1`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import chain

from shared.errors import BadParameters, PageOutOfRange

_POINTER = "/pages"
#: Longer texts name pages twice; so much is read in some milliseconds.
_MAX_PARTS, _MAX_CHARS, _MAX_NAMED = 2000, 40_000, 50_000
_RANGE = re.compile(r"(-?\d{1,9})?(?:\s*(-)\s*(-?\d{1,9})?)?", re.ASCII)
#: What people type for a hyphen and for a comma.
_LOOKALIKES = str.maketrans({"–": "-", "—": "-", "−": "-", "，": ",", "、": ",", ";": ","})
_HINT = 'Name pages as in "1-3,7,-1": from 1, and from -1 backwards from the last one.'


def parse_pages(spec: str | int | Sequence[str | int], count: int) -> list[int]:
    """Return page numbers from 1, in the order of `spec`, each once; `count` pages exist.

    A part is a page (`7`), a page from the end (`-1`), or a range (`3-5`, `8-`, `-3--1`), which may
    run backwards. An empty text means all pages. Raises BadParameters and PageOutOfRange.
    """
    parts = list(_split_parts(spec))
    if len(parts) > _MAX_PARTS:
        raise BadParameters(f"pages names more than {_MAX_PARTS} parts.", pointer=_POINTER)
    if not parts:
        return list(range(1, count + 1))
    ranges = [_expand(part, count) for part in parts]
    if sum(map(len, ranges)) > _MAX_NAMED:
        raise BadParameters("pages names the same pages again and again.", pointer=_POINTER)
    return list(dict.fromkeys(chain.from_iterable(ranges)))


def _split_parts(spec: str | int | Sequence[str | int]) -> Iterator[str]:
    entries = [spec] if isinstance(spec, str | int) else spec
    if sum(len(entry) for entry in entries if isinstance(entry, str)) > _MAX_CHARS:
        raise BadParameters(f"pages has more than {_MAX_CHARS} characters.", pointer=_POINTER)
    for entry in entries:
        if isinstance(entry, bool) or not isinstance(entry, str | int):
            raise BadParameters(
                "pages contains something other than page numbers.", pointer=_POINTER
            )
        text = str(entry).translate(_LOOKALIKES)
        yield from (part.strip() for part in text.split(",") if part.strip())


def _expand(part: str, count: int) -> range:
    match = _RANGE.fullmatch(part)
    if not match:
        raise BadParameters(f'"{part}" does not name any pages.', pointer=_POINTER, hint=_HINT)
    first, hyphen, last = match.groups()
    if first is None and last is None:
        raise BadParameters(f'"{part}" does not name any pages.', pointer=_POINTER, hint=_HINT)
    start = _resolve(first or "1", count)
    if not hyphen:
        return range(start, start + 1)
    end = _resolve(last or "-1", count)
    return range(start, end + 1) if start <= end else range(start, end - 1, -1)


def _resolve(text: str, count: int) -> int:
    number = int(text)
    page = count + 1 + number if number < 0 else number
    if not 1 <= page <= count:
        pages = "1 page" if count == 1 else f"{count} pages"
        raise PageOutOfRange(
            f"Page {number} does not exist: the document has {pages}.", pointer=_POINTER
        )
    return page
