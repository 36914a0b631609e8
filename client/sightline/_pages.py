"""The pages of a document that is read, taken from a job's events as they become ready."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sightline._transport.sse import Event
from sightline.types import JobData


@dataclass(frozen=True, slots=True)
class Page:
    """A page that was read."""

    #: From 1; 1 also for a picture, which has no pages.
    number: int
    text: str
    #: `text_layer`, `model` or `blank`.
    source: str
    #: It could not be read; its text is a mark.
    gap: bool = False
    warnings: list[dict[str, str]] = field(default_factory=list)


def pages_of(job: JobData) -> list[Page]:
    """Return the pages of an ended job in their order; a picture is one page."""
    output = job["output"]
    if output is None:
        return []
    pages = output.get("pages")
    if pages is None:
        return [Page(1, output["text"], "model")]
    return [_page(page) for page in pages]


def _page(data: Any) -> Page:
    return Page(
        data["page"],
        data.get("text") or "",
        data["source"],
        bool(data.get("gap")),
        list(data.get("warnings") or ()),
    )


class PageCollector:
    """Finds in the events of one job the pages that were not seen before."""

    def __init__(self) -> None:
        self._seen: set[int] = set()

    def take(self, event: Event) -> list[Page]:
        """Return the new pages that an event brings; the last one brings what was missed."""
        pages: list[Page] = []
        if event.type == "output.page":
            pages = [_page(event.data)]
        elif event.terminal and event.data.get("output"):
            pages = pages_of(event.data)  # type: ignore[arg-type]
        new = [page for page in pages if page.number not in self._seen]
        self._seen.update(page.number for page in new)
        return new
