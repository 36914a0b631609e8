"""Tells of each value of an answer whether it is printed, and where."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from shared.jobs.answers.evidence import Evidence
from shared.jobs.answers.lines import Box, TextLine
from worker.evidence.candidates import Candidate, find_alike, find_candidates
from worker.evidence.labels import is_level, label_words, names_field, rate_label
from worker.evidence.leaves import Leaf, Path, leaves_of
from worker.evidence.numbers import read_value
from worker.evidence.sheet_text import SheetText, Span, sheets_of

#: The words of a field's name, each with others for the same thing.
Label = tuple[tuple[str, ...], ...]
#: Values that are looked up; those of longer answers are not verified.
MOST_VALUES = 1000
#: Letters of a value that stands somewhere on most pages.
_SHORT = 2
#: What a label beside a place counts, and the other values of its entry in the same row.
_LABEL, _ROW = 1.5, 2.0
#: How much better the best place must be than another.
_MARGIN = 0.2
#: A label that names its field, and a place that has none.
_NAMED, _UNNAMED = 0.85, 0.3
#: Seconds after which no more values are looked up: other jobs wait for the processor.
_LONGEST_S = 5.0


@dataclass(slots=True)
class _Search:
    """A value and the places where it may stand."""

    leaf: Leaf
    candidates: list[Candidate]
    #: For each candidate: how well its neighbours name the field, and how many of the values
    #: of the same entry stand in its row, 0 to 1.
    labels: list[float] = field(default_factory=list)
    rows: list[float] = field(default_factory=list)

    def rate(self, at: int) -> float:
        """Return how much speaks for a candidate."""
        label, row = _LABEL * self.labels[at], _ROW * self.rows[at]
        return self.candidates[at].likeness + label + row


def find_evidence(value: Any, lines: Sequence[TextLine], *, complete: bool) -> dict[str, Evidence]:
    """Return what is known of each value by its JSON pointer.

    `lines` are what was seen, with their words; `complete`: nothing was left unread.
    """
    return _Finder(sheets_of(lines), complete=complete).find(list(leaves_of(value)))


class _Finder:
    def __init__(self, sheets: Sequence[SheetText], *, complete: bool) -> None:
        self._sheets = sheets
        self._complete = complete
        #: Places that entries of a list have, by the fields of the list.
        self._taken: dict[Path, set[Span]] = {}
        self._until = time.monotonic() + _LONGEST_S
        #: Whether a sheet has any word of a label, by both.
        self._named: dict[tuple[int, Label], bool] = {}
        self._boxes: dict[Span, Box] = {}

    def find(self, leaves: Sequence[Leaf]) -> dict[str, Evidence]:
        """Return what is known of values."""
        some = leaves[:MOST_VALUES]
        searches = [search for leaf in some if (search := self._search(leaf)) is not None]
        self._rate_rows(searches)
        alike = Counter((_field(one.leaf), one.leaf.content) for one in searches if one.leaf.entry)
        evidence = {
            one.leaf.pointer: self._judge(one, alike[_field(one.leaf), one.leaf.content])
            for one in searches
        }
        unknown = Evidence(status="unverified")
        return {leaf.pointer: evidence.get(leaf.pointer, unknown) for leaf in leaves}

    @property
    def _is_late(self) -> bool:
        return time.monotonic() > self._until

    def _search(self, leaf: Leaf) -> _Search | None:
        """Return the places of a value, rated by their labels; None where the time is up."""
        if self._is_late:
            return None
        candidates = find_candidates(leaf.value, self._sheets)
        label = tuple(label_words(leaf.name))
        labels = [self._rate_label(one.span, label) for one in candidates]
        return _Search(leaf, candidates, labels, [0.0] * len(candidates))

    def _rate_label(self, span: Span, label: Label) -> float:
        sheet = self._sheets[span.sheet]
        return rate_label(sheet, span, label) if self._has_label(sheet, label) else 0.0

    def _has_label(self, sheet: SheetText, label: Label) -> bool:
        key = (sheet.number, label)
        if key not in self._named:
            self._named[key] = names_field(sheet, label)
        return self._named[key]

    def _box_of(self, span: Span) -> Box:
        if span not in self._boxes:
            self._boxes[span] = self._sheets[span.sheet].box_of(span)
        return self._boxes[span]

    def _rate_rows(self, searches: Sequence[_Search]) -> None:
        """Rate by the other values of the same entry, such as name and price of one article."""
        entries: dict[Path, list[_Search]] = {}
        for search in searches:
            if search.leaf.entry is not None:
                entries.setdefault(search.leaf.entry, []).append(search)
        for members in entries.values():
            for search in members if not self._is_late else ():
                others = [one for one in members if one is not search and one.candidates]
                for at, candidate in enumerate(search.candidates if others else ()):
                    level = sum(self._has_level(one, candidate) for one in others)
                    search.rows[at] = level / len(others)

    def _has_level(self, search: _Search, beside: Candidate) -> bool:
        box = self._box_of(beside.span)
        return any(
            one.span.sheet == beside.span.sheet
            and one.span != beside.span
            and is_level(self._box_of(one.span), box)
            for one in search.candidates
        )

    def _judge(self, search: _Search, alike: int) -> Evidence:
        """Return what is known of a value, `alike` entries of its list being the same."""
        leaf = search.leaf
        if isinstance(leaf.value, bool) or leaf.value == "":
            return Evidence(status="unverified")
        if not search.candidates:
            return self._judge_alike(leaf)
        chosen, is_sure = self._choose(search, alike)
        if chosen is None:
            return Evidence(status="unverified")
        return self._evidence(search.candidates[chosen], is_sure=is_sure)

    def _choose(self, search: _Search, alike: int) -> tuple[int | None, bool]:
        """Return the best place, None where several are as good, and whether it is sure."""
        ranked = sorted(range(len(search.candidates)), key=search.rate, reverse=True)
        best = ranked[0]
        near = [at for at in ranked if search.rate(at) > search.rate(best) - _MARGIN]
        near = [at for at in near if at == best or not self._same_place(search, at, best)]
        if len(near) > 1:
            chosen = self._next_free(search, sorted(near), alike)
            return chosen, chosen is not None
        if search.leaf.entry is not None:
            self._taken.setdefault(_field(search.leaf), set()).add(search.candidates[best].span)
        return best, self._is_sure(search, best)

    def _next_free(self, search: _Search, near: Sequence[int], alike: int) -> int | None:
        """Return the next place of as many as there are entries with the same content."""
        if search.leaf.entry is None:
            return None
        taken = self._taken.setdefault(_field(search.leaf), set())
        if len(near) == alike:
            near = [at for at in near if search.candidates[at].span not in taken]
        elif len(near) > 1:
            return None
        if near:
            taken.add(search.candidates[near[0]].span)
        return near[0] if near else None

    def _same_place(self, search: _Search, one: int, other: int) -> bool:
        first, second = search.candidates[one].span, search.candidates[other].span
        overlap = min(first.stop, second.stop) - max(first.first, second.first)
        return first.sheet == second.sheet and overlap > 0

    def _is_sure(self, search: _Search, at: int) -> bool:
        """Tell whether a place is that of the field, and not of another with the same value."""
        if search.labels[at] >= _UNNAMED or search.rows[at] > 0:
            return True
        sheet = self._sheets[search.candidates[at].span.sheet]
        if sum(map(str.isalnum, sheet.text_of(search.candidates[at].span))) <= _SHORT:
            return False
        return not read_value(search.leaf.value) or not self._is_named_elsewhere(search.leaf)

    def _is_named_elsewhere(self, leaf: Leaf) -> bool:
        """Tell whether another number stands where the field's name is printed."""
        label = tuple(label_words(leaf.name))
        return any(
            # what is not looked at to its end is not certain
            self._is_late or self._rate_label(span, label) >= _NAMED
            for sheet in self._sheets
            if self._has_label(sheet, label)
            for span, _ in sheet.numbers
        )

    def _judge_alike(self, leaf: Leaf) -> Evidence:
        """Return what is known of a value that is nowhere printed as the answer has it."""
        if self._is_late:
            return Evidence(status="unverified")
        alike = find_alike(leaf.value, self._sheets)
        if alike is not None:
            return self._evidence(alike, is_sure=False)
        return Evidence(status="not_found" if self._complete else "unverified")

    def _evidence(self, candidate: Candidate, *, is_sure: bool) -> Evidence:
        sheet, span = self._sheets[candidate.span.sheet], candidate.span
        return Evidence(
            status="supported" if is_sure else "unverified",
            text=sheet.text_of(span),
            box=sheet.box_of(span),
            image=sheet.image,
            page=sheet.page,
            confidence=round(sheet.confidence_of(span) * candidate.likeness, 4),
        )


def _field(leaf: Leaf) -> Path:
    """Return the path of a field without the numbers of entries, the same in all of them."""
    return tuple("*" if isinstance(part, int) else part for part in leaf.path)
