"""What an answer shows of two readings that were compared: its lines, and a warning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from shared.excerpt import excerpt
from shared.jobs import Notice, TextLine
from worker.engine.api import Completion
from worker.jobs.placing import take_line

#: Lines that a warning shows.
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class ComparedReadings:
    """The lines of an answer, and what the caller should know of them."""

    lines: tuple[TextLine, ...] | None
    notices: tuple[Notice, ...] = ()


def compare_readings(completion: Completion, second_text: str | None) -> ComparedReadings:
    """Return the lines of an answer beside the second reader's; None: only one has read."""
    if second_text is None:
        return ComparedReadings(completion.lines)
    # the extra is installed where anything was read twice
    from worker.reader.comparison import compare_texts

    comparison = compare_texts(completion.text, second_text)
    waiting = list(completion.lines or ())
    lines = [
        TextLine(
            text=line.text,
            confidence=known.confidence if (known := take_line(waiting, line.text)) else None,
            agreement=line.agreement,
            other=line.other,
        )
        for line in comparison.lines
    ]
    details = [
        f"line {number}: {excerpt(line.text)!r} / {excerpt(line.other or '')!r}"
        for number, line in enumerate(lines, start=1)
        if line.agreement != 1
    ]
    details += [f"only the second reader: {excerpt(text)!r}" for text in comparison.only_second]
    return ComparedReadings(tuple(lines), _notices(details, len(lines)))


def _notices(details: Sequence[str], lines: int) -> tuple[Notice, ...]:
    if not details:
        return ()
    shown = "; ".join(details[:_SHOWN])
    more = f"; and {len(details) - _SHOWN} more" if len(details) > _SHOWN else ""
    detail = f"{len(details)} differences in {lines} lines: {shown}{more}."
    return (Notice(code="readers_disagree", detail=detail),)
