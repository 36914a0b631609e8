"""Reads one page: by its own text, or its picture in as many tiles as it needs, all at once."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from PIL.Image import Image

from shared.documents.model import PageText, RenderedPage
from shared.errors import InferenceFailed
from shared.jobs import (
    MAX_REFERENCE_CHARS,
    DocumentInput,
    FinishReason,
    JobInput,
    Notice,
    PageOutcome,
    PageSource,
    TextLine,
    TileOutcome,
    TilingTask,
    Usage,
)
from shared.prediction.proportions import MIN_SIDE
from shared.prediction.tile_plan import tiling_for
from worker.engine.api import ModelInfo
from worker.jobs.claimed_job import ClaimedJob
from worker.jobs.leases import JobReleased
from worker.jobs.paged.pages import PageReader, page_warnings, takes_text, text_warnings
from worker.jobs.paged.places import place_page, seen_page_lines, text_layer_lines
from worker.jobs.questions import pixel_budget
from worker.jobs.results import EngineAnswer
from worker.jobs.tiled.outcomes import make_outcome, mean_confidence, worst_reason
from worker.jobs.tiled.prompts import DOCUMENT, build_part_prompt
from worker.jobs.tiled.tiles import UNCONSTRAINED, is_blank
from worker.jobs.upright import of_page
from worker.pipeline.looks import BLANKS_LEFT_OUT
from worker.places.seen import SeenImage
from worker.places.tiles import join_tiles
from worker.tiling import Tile, cut, merge

_BLANK = PageOutcome(source=PageSource.BLANK)


class PageWork:
    """Makes the outcome of one page of a claimed job."""

    def __init__(self, pages: PageReader, info: ModelInfo) -> None:
        self._pages = pages
        self._info = info

    def own_text(self, job: ClaimedJob, document: DocumentInput, number: int) -> PageOutcome | None:
        """Return a page's outcome if no model is needed for it.

        Raises DocumentErrors, DocumentGone and LeaseLost.
        """
        return _from_text(job.row.input, document, number, self._pages.text(job, document, number))

    def read(self, job: ClaimedJob, document: DocumentInput, number: int) -> PageOutcome:
        """Return what a page says; raises ServiceErrors, LeaseLost and JobReleased."""
        text = self._pages.text(job, document, number)
        outcome = _from_text(job.row.input, document, number, text)
        if outcome is not None:
            return outcome
        picture, rendered = self._pages.picture(job, document, number)
        warnings = (*text_warnings(document, text), *page_warnings(rendered))
        if rendered.blank:
            return _BLANK.model_copy(update={"notices": page_warnings(rendered)})
        # a text that is doubted may still be right in most places
        doubted = () if text is None or not text.text else (text.text[:MAX_REFERENCE_CHARS],)
        read = self._read_picture(job, document, picture, warnings, doubted)
        if job.row.input.boxes == "none":
            return read.outcome
        page = self._pages.info(job, document).pages[number - 1]
        lines = place_page(job.row.input, read.outcome.text, read.lines, read.seen, page, rendered)
        return read.outcome.model_copy(update={"lines": lines})

    def ask(self, job: ClaimedJob, document: DocumentInput, number: int) -> PageOutcome:
        """Return what a page answers to the job's question; raises as `read`."""
        text = self._pages.text(job, document, number)
        if text is not None and text.blank:
            return _BLANK
        prompt, pictures = job.row.input.prompt, dict[str, Image]()
        question = build_part_prompt(prompt, number, document.page_count, DOCUMENT)
        warnings, source = text_warnings(document, text), PageSource.MODEL
        rendered: RenderedPage | None = None
        if text is not None and takes_text(document, text):
            question = f"{text.text.strip()}\n\n{question}"
            source = PageSource.TEXT_LAYER
        if source is PageSource.MODEL or (text is not None and text.figures):
            picture, rendered = self._pages.picture(
                job, document, number, pixel_budget(job.row.input)
            )
            warnings = (*warnings, *page_warnings(rendered))
            if rendered.blank and source is PageSource.MODEL:
                return _BLANK.model_copy(update={"notices": warnings})
            pictures[picture_id(picture)] = picture
        asked = _question_input(job.row.input, question, tuple(pictures), free=True)
        looks = job.row.input.evidence and source is PageSource.MODEL
        answers = self._run(job, [asked.model_copy(update={"evidence": looks})], pictures)
        tiles = len(pictures)
        outcome = self._combine(answers, [(Tile(0, (0, 0, 1, 1)), 0)], warnings, source, tiles)
        if not job.row.input.evidence:
            return outcome
        if source is PageSource.TEXT_LAYER and text is not None:
            lines = text_layer_lines("word", text, number)
        else:
            page = self._pages.info(job, document).pages[number - 1]
            seen = answers[0].seen
            lines = seen_page_lines(seen, page, rendered) if seen and rendered else ()
        return outcome.model_copy(update={"lines": lines})

    def _read_picture(
        self,
        job: ClaimedJob,
        document: DocumentInput,
        picture: Image,
        warnings: tuple[Notice, ...],
        references: tuple[str, ...],
    ) -> _ReadPicture:
        """Read all tiles of a page as one batch; the texts may follow the references."""
        pictures, asked, parts = dict[str, Image](), list[JobInput](), list[tuple[Tile, int]]()
        for tile in self._cut(job.row.input, document, picture):
            pixels = picture.crop(tile.box)
            if is_blank(pixels):
                parts.append((tile, -1))
                continue
            image_id = picture_id(pixels)
            pictures[image_id] = pixels
            parts.append((tile, len(asked)))
            asked.append(_question_input(job.row.input, job.row.input.prompt, (image_id,)))
        answers = self._run(job, asked, pictures, references)
        outcome = self._combine(answers, parts, warnings, PageSource.MODEL, len(asked))
        lines = tuple(line for one in answers for line in one.completion.lines or ())
        seen = join_tiles(
            [
                (tile, images[0].rows)
                for tile, at in parts
                if at >= 0 and (images := answers[at].seen)
            ]
        )
        return _ReadPicture(outcome, lines, tuple(seen))

    def _cut(self, job: JobInput, document: DocumentInput, picture: Image) -> list[Tile]:
        whole = [Tile(0, (0, 0, *picture.size))]
        if not document.cut or min(picture.size) < MIN_SIDE:
            return whole
        budget = min(pixel_budget(job), self._info.max_pixels)
        tiling = tiling_for(*picture.size, budget, task=None, reads=True)
        return cut(picture, budget) if tiling else whole

    def _run(
        self,
        job: ClaimedJob,
        asked: Sequence[JobInput],
        pictures: dict[str, Image],
        references: tuple[str, ...] = (),
    ) -> list[EngineAnswer]:
        questions = [
            replace(
                job.build_question(one, pictures), scope="", background=True, references=references
            )
            for one in asked
        ]
        answers = job.answer_together(questions)
        reasons = {answer.completion.finish_reason for answer in answers}
        if FinishReason.CANCELED in reasons:
            raise JobReleased
        if FinishReason.DEADLINE in reasons:
            raise InferenceFailed("It took longer than one attempt may take.")
        return answers

    def _combine(
        self,
        answers: Sequence[EngineAnswer],
        parts: Sequence[tuple[Tile, int]],
        warnings: tuple[Notice, ...],
        source: PageSource,
        tiles: int,
    ) -> PageOutcome:
        """Return one outcome of all tiles; each part names the answer about it, -1 for none."""
        outcomes = [make_outcome(one.completion, self._info.revision) for one in answers]
        texts = [(tile, outcomes[at].text if at >= 0 else "") for tile, at in parts]
        notices = [notice for one in answers for notice in (*one.notices, *one.completion.notices)]
        # its picture is made for the model alone: margins of that are nobody's pixels
        notices = of_page([one for one in notices if one.code != BLANKS_LEFT_OUT])
        if any(one.finish_reason is FinishReason.LENGTH for one in outcomes):
            detail = "The page has more text than max_new_tokens allows."
            notices.append(Notice(code="page_cut_short", detail=detail))
        return PageOutcome(
            text=merge(texts).strip("\n"),
            source=source,
            tiles=tiles,
            notices=(*warnings, *notices),
            **add_up(outcomes, self._info.revision),
        )


@dataclass(frozen=True, slots=True)
class _ReadPicture:
    """What the picture of a page gave."""

    outcome: PageOutcome
    #: The model's lines, as far as it tells how sure it is of each.
    lines: tuple[TextLine, ...]
    #: What the second reader has seen in it, where boxes are wanted.
    seen: tuple[SeenImage, ...]


def _from_text(
    job: JobInput, document: DocumentInput, number: int, text: PageText | None
) -> PageOutcome | None:
    """Return the outcome of a page whose own text says what it shows."""
    if text is None or not (takes_text(document, text) or text.blank):
        return None
    if text.blank:
        return _BLANK
    warnings = text_warnings(document, text)
    return PageOutcome(
        text=text.text.strip("\n"),
        source=PageSource.TEXT_LAYER,
        notices=warnings,
        lines=text_layer_lines(job.boxes, text, number),
    )


def add_up(outcomes: Sequence[TileOutcome], revision: str) -> dict[str, Any]:
    """Return what the answers about the tiles of a page cost together; they ran side by side."""
    return {
        "revision": revision,
        "finish_reason": worst_reason(outcomes),
        "usage": Usage.total(one.usage for one in outcomes),
        "tokens": sum(one.tokens for one in outcomes),
        "confidence": mean_confidence(outcomes),
        "encode_s": max((one.encode_s for one in outcomes), default=0.0),
        "prefill_s": max((one.prefill_s for one in outcomes), default=0.0),
        "decode_s": max((one.decode_s for one in outcomes), default=0.0),
    }


def _question_input(
    job: JobInput, prompt: str, images: tuple[str, ...], *, free: bool = False
) -> JobInput:
    """Return the question about a page; a `free` one is not held to the form of the answer."""
    return JobInput(
        prompt=prompt,
        images=images,
        reader="model" if free else job.reader,
        boxes="none" if free else job.boxes,
        # a page need not say it, so that it cannot be held to the answer's form
        params=job.params.model_copy(update=UNCONSTRAINED) if free else job.params,
        max_pixels=pixel_budget(job),
        enhance=job.enhance,
        preset=None if free else job.preset,
    )


def picture_id(picture: Image) -> str:
    """Return the image id of a picture's pixels."""
    digest = hashlib.sha256(f"{picture.width}x{picture.height}\n".encode())
    digest.update(picture.tobytes())
    return f"img_{digest.hexdigest()}"


def is_reading(job: JobInput) -> bool:
    """Tell whether the pages of a job are read, and not asked."""
    return job.tiling is not None and job.tiling.task is TilingTask.READ
