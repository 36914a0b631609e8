"""Makes the content of a result from the output that a job's row stores."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from gateway.results.contents.blocks import Page, ResultContent
from gateway.results.contents.html_tables import split_blocks
from gateway.results.contents.markdown_tables import split_prose
from gateway.results.words import Language, knows, say

#: Pages whose text the model wrote, so that tables in it are marked as such.
_MARKED = ("model",)


def read_content(output: Mapping[str, Any], title: str, language: Language) -> ResultContent:
    """Return the pages, tables, values and notes of a job's output."""
    pages, images = output.get("pages"), output.get("images")
    read: Iterable[Page] = (Page(tuple(split_blocks(output["text"]))),)
    if pages:
        read = _read_pages(pages)
    elif images:
        read = _read_images(images)
    notes = _notes(output, language)
    return ResultContent(title, tuple(read), output.get("fields") or {}, tuple(notes))


def _read_pages(pages: list[dict[str, Any]]) -> Iterator[Page]:
    for page in pages:
        text = page.get("text") or ""
        is_marked = page.get("source") in _MARKED and not page.get("gap")
        blocks = split_blocks(text) if is_marked else split_prose(text.split("\n"))
        yield Page(
            blocks=tuple(blocks),
            number=int(page["page"]),
            is_gap=bool(page.get("gap")),
            warnings=tuple(_warning(warning) for warning in page.get("warnings") or ()),
        )


def _read_images(images: list[dict[str, Any]]) -> Iterator[Page]:
    for image in images:
        blocks = tuple(split_blocks(image["text"]))
        yield Page(blocks, int(image["image"]) + 1, "image", is_gap=bool(image.get("gap")))


def _warning(warning: Any) -> str:
    return str(warning.get("detail") if isinstance(warning, Mapping) else warning)


def _notes(output: Mapping[str, Any], language: Language) -> Iterator[str]:
    """Yield what keeps the result from being whole."""
    reason = str(output.get("finish_reason"))
    if reason != "stop" and knows(reason):
        yield say(reason, language)
    elif output.get("partial"):
        yield say("partial", language)
