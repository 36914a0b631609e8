"""Puts all pages of a document into one prompt, as long as the context lasts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from PIL.Image import Image

from shared.documents.model import DocumentInfo, PageInfo, PageText, RenderedPage
from shared.jobs import (
    DocumentInput,
    JobInput,
    Notice,
    PageOutput,
    PageSource,
    TextLayer,
    TextLine,
)
from shared.prediction.page_size import page_pixels
from shared.prediction.visual_tokens import visual_tokens
from worker.engine.api import ModelInfo
from worker.jobs.claimed_job import ClaimedJob
from worker.jobs.paged.pages import PageReader, page_warnings, takes_text, text_warnings
from worker.jobs.paged.places import seen_page_lines, text_layer_lines
from worker.jobs.paged.reading import picture_id
from worker.jobs.questions import TEMPLATE_TOKENS, answer_room, pixel_budget
from worker.jobs.results import ReadSource
from worker.places.seen import SeenImage

#: Bytes of a token, on average, in texts of all languages: what fits by this mostly fits.
_BYTES_PER_TOKEN = 3
#: Tokens of the line above a page.
_MARK_TOKENS = 8


@dataclass(slots=True)
class Prompt:
    """The text of a prompt about pages, and the pictures in it."""

    text: str = ""
    pictures: dict[str, Image] = field(default_factory=dict)
    #: Ids of the pictures in their order, and their places in the text.
    shown: list[str] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    outputs: list[PageOutput] = field(default_factory=list)
    #: The own texts of pages that have some, by number.
    own_texts: dict[int, str] = field(default_factory=dict)
    #: Of each picture, in their order: its page, and how it was drawn.
    drawn: list[tuple[int, RenderedPage]] = field(default_factory=list)
    #: The lines of own texts, with the places of their words.
    lines: list[TextLine] = field(default_factory=list)

    def add_line(self, line: str) -> None:
        """Add text on a line of its own."""
        self.text += f"\n{line}" if self.text else line

    def add_picture(self, picture: Image, number: int, rendered: RenderedPage) -> None:
        """Show the picture of a page behind the text so far."""
        self.drawn.append((number, replace(rendered, png=b"")))
        image_id = picture_id(picture)
        self.pictures[image_id] = picture
        self.shown.append(image_id)
        self.places.append(len(self.text))

    def source(self, info: DocumentInfo, seen: Sequence[SeenImage]) -> ReadSource:
        """Return what stands on the pages: their own texts, and what was seen in pictures."""
        lines = list(self.lines)
        for (number, rendered), one in zip(self.drawn, seen, strict=bool(seen)):
            if number not in self.own_texts:
                lines += seen_page_lines([one], info.pages[number - 1], rendered)
        unread = [number for number, _ in self.drawn if number in self.own_texts or not seen]
        return ReadSource(tuple(lines), complete=not unread)

    def as_input(self, job: JobInput) -> JobInput:
        """Return the question of a job about what the prompt shows."""
        self.add_line(job.prompt)
        return job.model_copy(
            update={
                "prompt": self.text,
                "images": tuple(self.shown),
                "image_places": tuple(self.places),
                "max_pixels": pixel_budget(job),
                "tiling": None,
                "document": None,
                "evidence": job.evidence and job.needs_reader and bool(self.shown),
            }
        )


class OnePrompt:
    """Builds prompts that show all pages of a document."""

    def __init__(self, pages: PageReader, info: ModelInfo) -> None:
        self._pages = pages
        self._info = info

    def build(self, job: ClaimedJob, document: DocumentInput, info: DocumentInfo) -> Prompt | None:
        """Return the prompt; None where the context does not last for all pages.

        Raises DocumentErrors, DocumentGone and LeaseLost.
        """
        texts = self._read_texts(job, document, info)
        if texts is None:
            return None
        prompt = Prompt()
        for number, text in texts.items():
            prompt.add_line(f"[page {number}]")
            prompt.outputs.append(self._add_page(prompt, job, document, number, text))
        return prompt

    def _read_texts(
        self, job: ClaimedJob, document: DocumentInput, info: DocumentInfo
    ) -> dict[int, PageText | None] | None:
        """Return the text layers of all pages; None once they and the pictures are too much."""
        room = self._room(job.row.input)
        visual: list[int] = []
        texts: dict[int, PageText | None] = {}
        for number in document.pages:
            text = self._pages.text(job, document, number)
            texts[number] = text
            room -= _MARK_TOKENS
            if takes_text(document, text) and text is not None:
                room -= len(text.text.encode("utf-8", "replace")) // _BYTES_PER_TOKEN
            if _needs_picture(document, text):
                visual.append(self._page_tokens(job.row.input, document, info.pages[number - 1]))
            if room < sum(visual) or not self._info.image_room.holds(visual):
                return None
        return texts

    def _room(self, job: JobInput) -> int:
        """Return the tokens that a prompt has beside question and answer."""
        words = len(job.prompt.encode("utf-8", "replace"))
        said = sum(len(message.text.encode("utf-8", "replace")) for message in job.before)
        taken = words + said // _BYTES_PER_TOKEN + TEMPLATE_TOKENS
        return self._info.context_tokens - taken - answer_room(job, self._info)

    def _page_tokens(self, job: JobInput, document: DocumentInput, page: PageInfo) -> int:
        dpi = document.dpi if document.kind == "pdf" else None
        budget = min(pixel_budget(job), self._info.max_pixels)
        try:
            size = visual_tokens(
                *page_pixels(page.width, page.height, dpi),
                budget,
                min_pixels=self._info.min_pixels,
                factor=self._info.token_side,
            )
        except ValueError:
            # too long and narrow to be seen as a whole: its picture will say so
            return self._info.context_tokens
        return size.tokens

    def _add_page(
        self,
        prompt: Prompt,
        job: ClaimedJob,
        document: DocumentInput,
        number: int,
        text: PageText | None,
    ) -> PageOutput:
        """Add a page's text, its picture, or both; return what callers get of it."""
        warnings, source = text_warnings(document, text), PageSource.MODEL
        if text is not None and text.blank:
            return PageOutput(page=number, source=PageSource.BLANK)
        if takes_text(document, text) and text is not None:
            prompt.add_line(text.text.strip())
            prompt.own_texts[number] = text.text
            if job.row.input.evidence:
                prompt.lines += text_layer_lines("word", text, number)
            source = PageSource.TEXT_LAYER
        if _needs_picture(document, text):
            budget = pixel_budget(job.row.input)
            picture, rendered = self._pages.picture(job, document, number, budget)
            warnings = (*warnings, *page_warnings(rendered))
            if rendered.blank and source is PageSource.MODEL:
                return PageOutput(page=number, source=PageSource.BLANK, warnings=warnings)
            prompt.add_picture(picture, number, rendered)
        tiles = int(source is PageSource.MODEL)
        return PageOutput(page=number, source=source, warnings=warnings, tiles=tiles)


def _needs_picture(document: DocumentInput, text: PageText | None) -> bool:
    """Tell whether a page is shown: it has no text of its own, or figures beside it."""
    if text is None or document.text_layer is TextLayer.ONLY:
        return text is None
    return not text.blank and (not takes_text(document, text) or bool(text.figures))


def blank_notices(outputs: Sequence[PageOutput]) -> list[Notice]:
    """Return which pages show nothing."""
    blank = [output.page for output in outputs if output.source is PageSource.BLANK]
    if not blank:
        return []
    pages = ", ".join(map(str, blank[:20])) + (" …" if len(blank) > 20 else "")
    return [Notice(code="pages_blank", detail=f"Blank pages: {pages}.")]
