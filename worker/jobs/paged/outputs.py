"""What callers get of the pages of a document, and of all of them together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from shared.errors import PageFailed, ServiceError
from shared.jobs import FinishReason, Notice, PageOutcome, PageOutput, Usage
from worker.engine.api import Completion, Timings
from worker.jobs.paged.running_lines import PageLines, RunningLine, find_running_lines
from worker.jobs.tiled.outcomes import add_costs, mean_confidence, worst_reason
from worker.objects.pointing import ABOUT_SEARCHES

#: Notices about single pages that a job has at most; each page has its own warnings as well.
_MOST_NOTICES = 50


def make_page_gap(error: ServiceError) -> PageOutcome:
    """Return the outcome of a page that failed."""
    notice = Notice(code="page_failed", detail=f"The page could not be read: {error.detail}")
    return PageOutcome(gap=True, error=error.as_dict(), notices=(notice,))


def check_any_page(outcomes: Sequence[PageOutcome]) -> None:
    """Raise PageFailed where no page could be read."""
    failures = [one.error for one in outcomes if one.gap]
    if failures and len(failures) == len(outcomes):
        pages = "The page" if len(outcomes) == 1 else f"None of the {len(outcomes)} pages"
        negated = " could not" if len(outcomes) == 1 else " could"
        raise PageFailed(f"{pages}{negated} be read: {_cause(failures[0])}")


def page_lines(numbers: Sequence[int], outcomes: Sequence[PageOutcome]) -> list[PageLines | None]:
    """Return the lines of each page; None for one that could not be read."""
    return [
        None if one.gap else PageLines.of(number, one.text)
        for number, one in zip(numbers, outcomes, strict=True)
    ]


def join_outcomes(text: str, outcomes: Sequence[PageOutcome]) -> Completion:
    """Return the text of all pages as one answer, with what the pages cost together."""
    completion = Completion(
        text,
        worst_reason(outcomes),
        Usage(),
        Timings(),
        confidence=mean_confidence(outcomes),
    )
    return add_costs(completion, outcomes)


def page_outputs(
    numbers: Sequence[int], outcomes: Sequence[PageOutcome], evidence: frozenset[int] | None = None
) -> tuple[PageOutput, ...]:
    """Return what callers get of each page.

    `evidence` are the places, from 0, of the pages that an answer rests on; None for a reading,
    which has headers and footers instead.
    """
    lines = page_lines(numbers, outcomes) if evidence is None else []
    return tuple(
        PageOutput(
            page=number,
            text=None if one.gap else one.text,
            source=one.source,
            confidence=one.confidence,
            gap=one.gap,
            evidence=evidence is not None and place in evidence,
            warnings=one.notices,
            tiles=one.tiles,
            **_running(lines, place),
        )
        for place, (number, one) in enumerate(zip(numbers, outcomes, strict=True))
    )


def _running(lines: Sequence[PageLines | None], place: int) -> dict[str, str | None]:
    page = lines[place] if lines else None
    if page is None:
        return {}
    running = find_running_lines(lines, place)
    return {"header": _text(page, running.header), "footer": _text(page, running.footer)}


def _text(page: PageLines, running: Sequence[RunningLine]) -> str | None:
    return "\n".join(page.lines[line.place] for line in running) or None


def page_notices(numbers: Sequence[int], outcomes: Sequence[PageOutcome]) -> list[Notice]:
    """Return what a job says about its pages; what a page was warned about stays with it."""
    count, notices = len(outcomes), []
    if before := sum(one.taken_over for one in outcomes):
        detail = f"{before} of {count} pages were reused from the job that this one retries."
        notices.append(Notice(code="pages_taken_over", detail=detail))
    about_pages = list(_notices_of_pages(numbers, outcomes))
    notices += islice(about_pages, _MOST_NOTICES)
    more = len(about_pages) - _MOST_NOTICES
    if more > 0:
        detail = f"{more} more pages have gaps or were cut short; see output.pages."
        notices.append(Notice(code="page_failed", detail=detail))
    return notices


def _notices_of_pages(numbers: Sequence[int], outcomes: Sequence[PageOutcome]) -> Iterator[Notice]:
    for number, one in zip(numbers, outcomes, strict=True):
        if one.gap:
            detail = f"Page {number} could not be read: {_cause(one.error)}"
            yield Notice(code="page_failed", detail=detail)
            continue
        about = [notice for notice in one.notices if notice.code in ABOUT_SEARCHES]
        yield from (Notice(code=n.code, detail=f"Page {number}: {n.detail}") for n in about)
        if one.finish_reason is FinishReason.LENGTH and not about:
            detail = f"Page {number} has more text than max_new_tokens allows."
            yield Notice(code="page_cut_short", detail=detail)


def _cause(error: dict[str, Any] | None) -> Any:
    return (error or {}).get("message", PageFailed.title())
