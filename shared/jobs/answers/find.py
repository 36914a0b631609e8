"""What a job looks for on its images or pages, and each place where that was seen."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import SerializerFunctionWrapHandler, model_serializer

from shared.jobs.answers.lines import Box, Corners
from shared.jobs.parameters.generation import Frozen

#: Words or things that one job looks for, and characters of each, and of a phrase.
MAX_LABELS, MAX_LABEL_CHARS, MAX_PHRASE_CHARS = 32, 100, 300
#: Places that one job tells, and those of one label on one image or page.
MOST_OBJECTS, MOST_ON_SHEET = 1000, 100
#: Places that are kept of all pages of a document until it is done, and of each page at least.
_KEPT_OBJECTS, _KEPT_OF_PAGE = 20_000, 50
#: Things that the model may point at in one image or tile.
MOST_POINTED = 60
#: Tokens of a list of them, at most.
FIND_TOKENS = 2048

#: Whether the model has pointed at it, or it stands in the text that was read.
ObjectSource = Literal["model", "reader"]


class SearchTerms(Frozen):
    """What a job looks for."""

    #: Names of things, or words that stand in the text; a phrase is the only one.
    labels: tuple[str, ...]
    #: Whether text that is only much like a label counts as well.
    fuzzy: bool = False
    #: Of the sentence that sums up what was seen.
    language: Literal["en", "zh"] = "en"


class FoundObject(Frozen):
    """One place where something that was looked for was seen."""

    label: str
    #: Around all of it: pixels of the stored image, or points of a page.
    box: Box
    #: Of a slanted box, as the text runs; None for one that stands upright.
    polygon: Corners | None = None
    #: Of a phrase that is broken across lines: the part of each line.
    parts: tuple[Corners, ...] = ()
    #: What is printed there; None for what the model has pointed at.
    text: str | None = None
    #: Which of the job's images it is on, from 0, or which page of the document, from 1.
    image: int | None = None
    page: int | None = None
    #: How sure it is, 0 to 1: how well the text was seen and how much it is like the label, or the
    #: probability of the model's answer; None if unknown.
    confidence: float | None = None
    source: ObjectSource

    @model_serializer(mode="wrap")
    def _without_unused(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields: dict[str, Any] = dump(self)
        empty = {name for name in ("polygon", "text", "image", "page") if fields[name] is None}
        empty |= set() if self.parts else {"parts"}
        return {name: value for name, value in fields.items() if name not in empty}


def name_labels(labels: Sequence[str]) -> str:
    """Return labels as a prompt names them."""
    return json.dumps(list(labels), ensure_ascii=False)


_SUMMARY = {
    "en": ("Nothing was found.", "Found: {}.", "Not found: {}.", " ({})", ", ", " "),
    "zh": ("什么也没有找到。", "已找到：{}。", "未找到：{}。", "（{} 处）", "、", ""),
}


def most_on_page(page_count: int) -> int:
    """Return the places that are kept of one page of a document with so many."""
    return min(MOST_OBJECTS, max(_KEPT_OF_PAGE, _KEPT_OBJECTS // page_count))


def sum_up(terms: SearchTerms, objects: Sequence[FoundObject], *, whole: bool = True) -> str:
    """Return a plain sentence about what was seen and what was not; not `whole`: at least."""
    nothing, seen, missing, times, comma, blank = _SUMMARY[terms.language]
    if not objects:
        return nothing
    counts = {label: sum(one.label == label for one in objects) for label in terms.labels}
    more = "" if whole else "+"
    named = [label + times.format(f"{count}{more}") for label, count in counts.items() if count]
    absent = [label for label, count in counts.items() if not count]
    sentences = [seen.format(comma.join(named))]
    sentences += [missing.format(comma.join(absent))] if absent else []
    return blank.join(sentences)
