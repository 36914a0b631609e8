"""On which pages an answer rests that one prompt about all of them gave."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence

from shared.jobs import PageOutput, PageSource

_LABEL = re.compile(r"\bpages?\s+(\d{1,5})|第\s*(\d{1,5})\s*页", re.IGNORECASE)
_SPACE = re.compile(r"\s+")
#: A shorter answer stands on any page.
_LEAST_CHARS = 3


def mark_evidence(
    outputs: Sequence[PageOutput], answer: str, texts: Mapping[int, str]
) -> tuple[PageOutput, ...]:
    """Return the pages with those marked that the answer names, or whose own text contains it.

    `texts` are the pages' own texts by number; what a page that is a picture says is not known.
    """
    shown = [one.page for one in outputs if one.source is not PageSource.BLANK and not one.gap]
    evidence = _find_evidence(shown, answer, texts)
    return tuple(one.model_copy(update={"evidence": one.page in evidence}) for one in outputs)


def _find_evidence(shown: Sequence[int], answer: str, texts: Mapping[int, str]) -> set[int]:
    if not answer.strip():
        return set()
    if len(shown) == 1:
        return set(shown)
    named = {int(first or second) for first, second in _LABEL.findall(answer)} & set(shown)
    said = _flatten(answer).strip(" .。")
    if named or len(said) < _LEAST_CHARS:
        return named
    return {number for number in shown if said in _flatten(texts.get(number, ""))}


def _flatten(text: str) -> str:
    return _SPACE.sub(" ", unicodedata.normalize("NFKC", text)).casefold()
