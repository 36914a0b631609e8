"""What the job of a document will cost: the pages that a model sees, their tokens and seconds."""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass, replace

from gateway.admission.admission import Admission, JobProfile
from gateway.images.decoder.decoder import MeasuredImage
from gateway.images.sizing import image_info
from gateway.submission.chats.conversation import EarlierMessages
from gateway.submission.content import RequestContent
from gateway.submission.documents.intake import RequestDocument
from gateway.submission.fields.submission import Submission
from gateway.submission.images.tiling import tile_budget
from gateway.submission.planning.plan import JobPlan, plan_job
from gateway.submission.planning.reader import reader_notices
from gateway.submission.resolve import ResolvedRequest
from shared.documents.model import DocumentInfo, DocumentKind, PageInfo, TextDoubt
from shared.documents.pages import parse_pages
from shared.errors import BadParameters, ImageAspect
from shared.jobs import (
    DocumentInput,
    ImageInfo,
    JobInput,
    Reader,
    TextLayer,
    Tiling,
    TilingTask,
)
from shared.jobs.answers.lines import MOST_PAGES
from shared.prediction.heartbeat import Heartbeat
from shared.prediction.page_size import page_pixels
from shared.prediction.tile_plan import tiling_for
from shared.prediction.visual_tokens import MAX_ASPECT

#: Characters of a text layer in a token, at least, and tokens of a context that no worker has told.
_CHARS_PER_TOKEN, _CONTEXT_TOKENS = 2, 32_768


@dataclass(frozen=True, slots=True)
class PageView:
    """How pages are looked at."""

    tiling: Tiling
    dpi: int
    #: A page that has more pixels than the budget is read in tiles.
    cut: bool
    text_layer: TextLayer = TextLayer.AUTO
    #: Only a long page is cut: things that are looked for may be large.
    cut_long_only: bool = False


def plan_content(
    resolved: ResolvedRequest,
    profile: JobProfile,
    content: RequestContent,
    admission: Admission,
    earlier: EarlierMessages | None = None,
) -> JobPlan:
    """Return the plan of a job about images or a document; raises as either plan does."""
    if content.document is None:
        return plan_job(resolved, profile, content.images, admission, earlier)
    return plan_document(resolved, profile, content.document, admission, earlier)


def plan_document(
    resolved: ResolvedRequest,
    profile: JobProfile,
    document: RequestDocument,
    admission: Admission,
    earlier: EarlierMessages | None = None,
) -> JobPlan:
    """Return the plan of a job about a document; raises BadParameters and PageOutOfRange."""
    forecast = admission.forecast(profile.route)
    workers = forecast.fleet.workers
    submission = resolved.submission
    numbers = parse_pages(submission.pages or "", len(document.info.pages))
    _check_boxes(submission, numbers)
    presumed = presume(document.info.pages)
    chosen = [presumed[number - 1] for number in numbers]
    view = page_view(resolved, profile.reader, workers)
    infos = page_infos(document.info.kind, chosen, view, workers)
    tiling = view.tiling.model_copy(update={"planned": sum(info.tiles for info in infos)})
    return JobPlan(
        earlier=earlier or EarlierMessages(),
        infos=infos,
        notices=[
            *(earlier.notices() if earlier else ()),
            *document.notices,
            *reader_notices(resolved, _reader(resolved, profile, tiling)),
        ],
        tiling=tiling,
        max_pixels=tiling.budget,
        prediction=admission.predict(forecast, _profile(profile, tiling, chosen, infos), infos),
        forecast=forecast,
        reader=_reader(resolved, profile, tiling),
        document=_document_input(document, numbers, submission, view),
    )


def page_infos(
    kind: DocumentKind, pages: Sequence[PageInfo], view: PageView, workers: Sequence[Heartbeat]
) -> list[ImageInfo]:
    """Return how the model will see those of the pages that it has to look at."""
    return [
        _page_info(kind, page, view, workers)
        for page in pages
        if _needs_model(page, view.text_layer)
    ]


def presume(pages: Sequence[PageInfo]) -> list[PageInfo]:
    """Return pages of which those that were not looked at are like the nearest one that was."""
    seen = [n for n, page in enumerate(pages) if page.text_doubt is not TextDoubt.NOT_CHECKED]
    if not seen or len(seen) == len(pages):
        return list(pages)
    return [_presume_like(page, pages[_nearest(seen, n)]) for n, page in enumerate(pages)]


def _nearest(places: Sequence[int], place: int) -> int:
    """Return the one of the places, which ascend, that is nearest to another."""
    at = bisect.bisect_left(places, place)
    return min(places[max(0, at - 1) : at + 1], key=lambda one: abs(one - place))


def _presume_like(page: PageInfo, seen: PageInfo) -> PageInfo:
    if page.text_doubt is not TextDoubt.NOT_CHECKED:
        return page
    return replace(
        page,
        text_characters=seen.text_characters,
        text_trusted=seen.text_trusted,
        text_doubt=seen.text_doubt,
        blank=None,
    )


def stored_page_infos(
    job: JobInput, info: DocumentInfo, workers: Sequence[Heartbeat]
) -> list[ImageInfo]:
    """Return how the model will see the pages of a job that is stored already."""
    document = job.document
    if document is None or job.tiling is None:
        return []
    finds = job.find is not None
    view = PageView(job.tiling, document.dpi, document.cut, document.text_layer, finds)
    presumed = presume(info.pages)
    chosen = [presumed[number - 1] for number in document.pages]
    return page_infos(info.kind, chosen, view, workers)


def page_view(resolved: ResolvedRequest, reader: Reader, workers: Sequence[Heartbeat]) -> PageView:
    """Return how a request wants its pages to be looked at; raises BadParameters."""
    submission = resolved.submission
    task = _task(resolved)
    budget = tile_budget(submission.pixel_budget(), workers)
    named = submission.tiling in ("read", "ask")
    cut = task is TilingTask.READ and (
        named or (submission.tiling == "auto" and not submission.names_budget)
    )
    tiling = Tiling(task=task, budget=budget, planned=1, strict=submission.strict)
    finds = resolved.find is not None
    # the model alone looks at every page
    text_layer = TextLayer.IGNORE if finds and reader == "model" else submission.text_layer
    return PageView(tiling, submission.dpi, cut, text_layer, finds)


def _task(resolved: ResolvedRequest) -> TilingTask:
    """Return what is done with the pages; raises BadParameters where a constraint forbids it."""
    name, constraints = resolved.submission.tiling, resolved.params.constrained_by
    if name == "read" and constraints:
        raise BadParameters(
            f"Joined texts cannot be constrained by {constraints[0]}; use tiling=ask.",
            pointer="/tiling",
        )
    if name == "read" or (name != "ask" and resolved.reads):
        return TilingTask.READ
    return TilingTask.ASK


def _reader(resolved: ResolvedRequest, profile: JobProfile, tiling: Tiling) -> Reader:
    """Return what reads the pages; raises BadParameters."""
    if profile.reader == "both" and resolved.submission.reader == "both" and not resolved.find:
        raise BadParameters(
            "reader=both compares the readings of images; the pages of a document have one reader.",
            pointer="/reader",
        )
    return profile.reader if tiling.task is TilingTask.READ else "model"


def _check_boxes(submission: Submission, numbers: Sequence[int]) -> None:
    """Raise BadParameters where the places on so many pages would be too much for one answer."""
    most = MOST_PAGES.get(submission.boxes, len(numbers))
    if len(numbers) > most:
        raise BadParameters(
            f"boxes={submission.boxes} works for up to {most} pages per job; "
            f"{len(numbers)} were requested.",
            pointer="/boxes",
            hint="Split the pages into several jobs; boxes=line allows more pages than boxes=word.",
        )


def _document_input(
    document: RequestDocument, numbers: Sequence[int], submission: Submission, view: PageView
) -> DocumentInput:
    return DocumentInput(
        id=document.id,
        kind=document.info.kind.value,
        page_count=len(document.info.pages),
        pages=tuple(numbers),
        text_layer=view.text_layer,
        dpi=submission.dpi,
        cut=view.cut,
        running_lines=submission.running_lines,
    )


def _needs_model(page: PageInfo, text_layer: TextLayer) -> bool:
    if text_layer is TextLayer.ONLY or page.blank:
        return False
    return text_layer is TextLayer.IGNORE or not page.text_trusted


def _page_info(
    kind: DocumentKind, page: PageInfo, view: PageView, workers: Sequence[Heartbeat]
) -> ImageInfo:
    width, height = page_pixels(page.width, page.height, view.dpi if kind == "pdf" else None)
    # the worker leaves a gap for a page that nobody can look at
    longest = int(MAX_ASPECT * min(width, height))
    image = MeasuredImage(min(width, longest), min(height, longest), (width, height))
    budget = view.tiling.budget
    tiling = None
    if view.cut:
        reads = not view.cut_long_only
        tiling = tiling_for(image.width, image.height, budget, task=None, reads=reads)
    try:
        return image_info(image, budget, workers, tiling)
    except ImageAspect:
        return ImageInfo(id="", width=width, height=height, used=(width, height), tokens=1)


def _profile(
    profile: JobProfile, tiling: Tiling, pages: Sequence[PageInfo], infos: Sequence[ImageInfo]
) -> JobProfile:
    """Return the profile of a job whose pages are read apart, or asked about together."""
    if tiling.task is TilingTask.READ:
        return replace(profile, reads=True, apart=True)
    characters = sum(page.text_characters or 0 for page in pages if page.text_trusted)
    text_tokens = characters // _CHARS_PER_TOKEN
    apart = text_tokens + sum(info.tokens for info in infos) > _CONTEXT_TOKENS
    return replace(profile, apart=apart, text_tokens=text_tokens)
