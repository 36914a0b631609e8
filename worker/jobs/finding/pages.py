"""Looks for things on one page: among its own text, or in its picture as in an image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from PIL.Image import Image

from shared.documents.model import PageInfo, PageText, RenderedPage
from shared.errors import InferenceFailed
from shared.jobs import (
    DocumentInput,
    FinishReason,
    FoundObject,
    JobInput,
    PageOutcome,
    PageSource,
    SearchTerms,
    TextLayer,
)
from shared.jobs.answers.find import most_on_page
from shared.jobs.answers.lines import Corner, box_around, corners_of
from shared.prediction.proportions import MIN_SIDE
from shared.prediction.tile_plan import tiling_for
from worker.engine.api import ModelInfo
from worker.jobs.claimed_job import ClaimedJob
from worker.jobs.finding.image import NOT_ASKED, find_in_image, point_at
from worker.jobs.finding.summing import bound_objects, objects_of_images
from worker.jobs.leases import JobReleased
from worker.jobs.paged.pages import PageReader, page_warnings, takes_text, text_warnings
from worker.jobs.paged.places import text_layer_lines, way_back
from worker.jobs.paged.reading import add_up, picture_id
from worker.jobs.questions import pixel_budget
from worker.jobs.results import EngineAnswer
from worker.jobs.tiled.outcomes import make_outcome
from worker.jobs.tiled.tiles import is_blank
from worker.objects.merging import join_objects
from worker.places.geometry import map_rows, round_box, round_corners
from worker.places.seen import SeenImage
from worker.places.tiles import join_tiles
from worker.tiling import Tile, cut

#: Digits behind the point of places on pages.
_DIGITS = 1
_BLANK = PageOutcome(source=PageSource.BLANK)


class PageSearch:
    """Makes the outcome of one page of a claimed job that looks for something."""

    def __init__(self, pages: PageReader, info: ModelInfo) -> None:
        self._pages = pages
        self._info = info

    def own_text(self, job: ClaimedJob, document: DocumentInput, number: int) -> PageOutcome | None:
        """Return a page's outcome if its picture is not needed for it.

        Raises DocumentErrors, DocumentGone and LeaseLost.
        """
        return self._from_text(job, document, number, self._pages.text(job, document, number))

    def find(self, job: ClaimedJob, document: DocumentInput, number: int) -> PageOutcome:
        """Return what is on a page; raises ServiceErrors, LeaseLost and JobReleased."""
        text = self._pages.text(job, document, number)
        outcome = self._from_text(job, document, number, text)
        if outcome is not None:
            return outcome
        picture, rendered = self._pages.picture(job, document, number)
        warnings = (*text_warnings(document, text), *page_warnings(rendered))
        own = text if text is not None and takes_text(document, text) else None
        if rendered.blank and own is None:
            return _BLANK.model_copy(update={"notices": page_warnings(rendered)})
        printed = [] if own is None else _printed(job.row.input, own, number)
        answers = self._look(job, document, picture, printed if own is not None else None)
        page = self._pages.info(job, document).pages[number - 1]
        objects = _place(job.row.input, answers, page, rendered)
        kept, notices = bound_objects([*printed, *objects], most_on_page(document.page_count))
        outcomes = [make_outcome(one.completion, self._info.revision) for one in answers.values()]
        about = [n for one in answers.values() for n in (*one.notices, *one.completion.notices)]
        return PageOutcome(
            source=PageSource.MODEL if own is None else PageSource.TEXT_LAYER,
            tiles=len(answers),
            notices=(*warnings, *about, *notices),
            objects=tuple(kept),
            read_s=sum(one.read_s for one in answers.values()),
            **add_up(outcomes, self._info.revision),
        )

    def _from_text(
        self, job: ClaimedJob, document: DocumentInput, number: int, text: PageText | None
    ) -> PageOutcome | None:
        """Return the outcome of a page whose own text is enough: the model has not to look too."""
        if text is None or not (takes_text(document, text) or text.blank):
            return None
        if text.blank:
            return _BLANK
        wanted = job.row.input
        printed = _printed(wanted, text, number)
        asks = wanted.reader == "both" and document.text_layer is not TextLayer.ONLY
        asks = asks and bool(_missing(wanted, printed))
        if asks and self._info.points:
            return None
        kept, notices = bound_objects(printed, most_on_page(document.page_count))
        about = [NOT_ASKED] if asks else []
        return PageOutcome(
            source=PageSource.TEXT_LAYER,
            notices=(*text_warnings(document, text), *notices, *about),
            objects=tuple(kept),
        )

    def _look(
        self,
        job: ClaimedJob,
        document: DocumentInput,
        picture: Image,
        printed: Sequence[FoundObject] | None,
    ) -> dict[Tile, EngineAnswer]:
        """Return what each tile of a page's picture gave.

        `printed` is what stands in the page's own text, whose picture is not read then.
        """
        answers = {}
        for tile in self._cut(job.row.input, document, picture):
            pixels = picture.crop(tile.box)
            if is_blank(pixels):
                continue
            image_id = picture_id(pixels)
            asked = _question_input(job.row.input, image_id)
            question = replace(
                job.build_question(asked, {image_id: pixels}), scope="", background=True
            )
            if printed is None:
                answer = find_in_image(job, question)
            else:
                answer = point_at(job, question, _missing(job.row.input, printed))
            _check_end(answer)
            answers[tile] = answer
        return answers

    def _cut(self, job: JobInput, document: DocumentInput, picture: Image) -> list[Tile]:
        """Return the tiles of a long page; others are looked at as a whole."""
        budget = min(pixel_budget(job), self._info.max_pixels)
        tiling = tiling_for(*picture.size, budget, task=None)
        if not document.cut or min(picture.size) < MIN_SIDE or tiling is None:
            return [Tile(0, (0, 0, *picture.size))]
        return cut(picture, budget)


def _printed(job: JobInput, text: PageText, number: int) -> list[FoundObject]:
    """Return what stands in the own text of a page."""
    from worker.objects.texts import find_in_text

    return find_in_text(_terms(job), text_layer_lines("word", text, number), _DIGITS)


def _missing(job: JobInput, printed: Sequence[FoundObject]) -> list[str]:
    known = {one.label for one in printed}
    return [label for label in _terms(job).labels if label not in known]


def _terms(job: JobInput) -> SearchTerms:
    if job.find is None:
        raise ValueError("the job looks for nothing")
    return job.find


def _question_input(job: JobInput, image_id: str) -> JobInput:
    """Return the question about a picture of a page, or a tile of it."""
    return JobInput(
        prompt=job.prompt,
        images=(image_id,),
        reader=job.reader,
        params=job.params,
        max_pixels=pixel_budget(job),
        enhance=job.enhance,
        preset=job.preset,
        find=job.find,
    )


def _check_end(answer: EngineAnswer) -> None:
    """Raise JobReleased or InferenceFailed where an answer was interrupted."""
    reason = answer.completion.finish_reason
    if reason is FinishReason.CANCELED:
        raise JobReleased
    if reason is FinishReason.DEADLINE:
        raise InferenceFailed("It took longer than one attempt may take.")


def _place(
    job: JobInput, answers: dict[Tile, EngineAnswer], page: PageInfo, rendered: RenderedPage
) -> list[FoundObject]:
    """Return what the tiles of a page's picture gave, with places on the page."""
    back = way_back(page, rendered)
    parts = [(tile, one.seen[0].rows) for tile, one in answers.items() if one.seen]
    seen = [SeenImage(map_rows(one.rows, back), one.image) for one in join_tiles(parts)]
    pointed = join_objects([(tile, one.objects or ()) for tile, one in answers.items()])
    moved = [_move(one, back) for one in pointed]
    objects = objects_of_images(_terms(job), seen, moved, _DIGITS)
    return [one.model_copy(update={"image": None, "page": page.number}) for one in objects]


def _move(one: FoundObject, back: Callable[[Corner], Corner]) -> FoundObject:
    """Return an object of a page's picture as one of the page."""
    box = round_box(box_around([back(corner) for corner in corners_of(one.box)]), _DIGITS)
    if one.polygon is None:
        return one.model_copy(update={"box": box})
    first, second, third, fourth = map(back, one.polygon)
    polygon = round_corners((first, second, third, fourth), _DIGITS)
    return one.model_copy(update={"box": box, "polygon": polygon})
