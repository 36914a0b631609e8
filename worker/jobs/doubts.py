"""Which parts of an answer a person should look at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from shared.jobs import FinishReason, Output, PageOutput, TextLine, TileOutput
from shared.jobs.answers.find import FoundObject
from shared.json_pointer import join_pointer

#: Ends of an answer that lacks something.
_CUT_OFF = (FinishReason.LENGTH, FinishReason.LOOP)


def find_doubts(output: Output, below: float, *, wants_json: bool) -> tuple[str, ...]:
    """Return the JSON pointers of the parts that are less sure than `below`, or are missing.

    Of a JSON answer these are its values, of a search what was found. Of a text they are its lines,
    or pages and tiles where nothing is known of lines, or the whole text.
    """
    is_cut = output.finish_reason in _CUT_OFF or (wants_json and output.json_value is None)
    doubts = ["/text"] if is_cut else []
    if output.objects is not None:
        doubts += _below(output.objects, "objects", below)
    else:
        doubts += _doubtful_values(output, below) if wants_json else _doubtful_text(output, below)
    for name, parts in _parts(output):
        doubts += [join_pointer((name, at)) for at, part in enumerate(parts) if part.gap]
    return tuple(dict.fromkeys(doubts))


def _doubtful_values(output: Output, below: float) -> Iterator[str]:
    for pointer, evidence in (output.evidence or {}).items():
        if evidence.status != "supported" or _is_below(evidence.confidence, below):
            yield f"/json{pointer}"


def _doubtful_text(output: Output, below: float) -> Iterator[str]:
    if output.lines is not None:
        for at, line in enumerate(output.lines):
            if _is_doubtful(line, below):
                yield join_pointer(("lines", at))
        return
    parts = _parts(output)
    for name, some in parts:
        yield from _below(some, name, below)
    if not parts and _is_below(output.confidence, below):
        yield "/text"


def _below(
    parts: Sequence[PageOutput | TileOutput | FoundObject], name: str, below: float
) -> Iterator[str]:
    for at, part in enumerate(parts):
        if _is_below(part.confidence, below):
            yield join_pointer((name, at))


def _is_doubtful(line: TextLine, below: float) -> bool:
    return _is_below(line.confidence, below) or _is_below(line.agreement, below)


def _is_below(share: float | None, below: float) -> bool:
    return share is not None and share < below


def _parts(output: Output) -> list[tuple[str, Sequence[PageOutput | TileOutput]]]:
    parts = (("pages", output.pages), ("tiles", output.tiles))
    return [(name, some) for name, some in parts if some]
