"""The end of a job: the fields of its row, its turn of the session, its log line."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from shared.errors import ServiceError
from shared.jobs import (
    FinishReason,
    FoundObject,
    ImageOutput,
    JobStatus,
    Notice,
    Output,
    PageOutput,
    PageSource,
    TextLine,
    TileInfo,
    TileOutput,
    TilingTask,
    Turn,
)
from shared.jobs.answers.brief import make_brief
from shared.jobs.answers.evidence import Evidence
from shared.jobs.model import Reader
from shared.jobs.row import JobRow
from shared.store.jobs.job_metrics import JobMetrics
from worker.engine.api import UNFINISHED, Completion, UsedImage
from worker.jobs.disagreements import compare_readings
from worker.jobs.doubts import find_doubts
from worker.jobs.placing import place_answer
from worker.places.seen import SeenImage, seen_lines
from worker.postprocess import Processed

_STATUS = {
    FinishReason.CANCELED: JobStatus.CANCELED,
    FinishReason.DEADLINE: JobStatus.EXPIRED,
}


_NOTHING_WRITTEN = Notice(
    code="answer_empty",
    detail="The model wrote nothing: it saw no text, or had no picture to look at.",
)


@dataclass(frozen=True, slots=True)
class TilingResult:
    """What the tiles of a long image add to its answer."""

    outputs: tuple[TileOutput, ...]
    #: Image ids of the tiles that the model was shown.
    shown_ids: tuple[str, ...]
    #: All tiles.
    tiles: tuple[TileInfo, ...]
    #: At least one tile failed.
    partial: bool
    #: The text of each of several images that were read.
    images: tuple[ImageOutput, ...] | None = None


@dataclass(frozen=True, slots=True)
class PagingResult:
    """What the pages of a document add to its answer."""

    outputs: tuple[PageOutput, ...]
    #: At least one page could not be read.
    partial: bool = False
    #: The lines of all pages with their places; None unless they are wanted.
    lines: tuple[TextLine, ...] | None = None


@dataclass(frozen=True, slots=True)
class ReadSource:
    """What stands on the images or pages that an answer is about, as far as it was read."""

    #: Lines with the places of their words.
    lines: tuple[TextLine, ...]
    #: Nothing was left unread.
    complete: bool = True


@dataclass(frozen=True, slots=True)
class EngineAnswer:
    """The engine's answer to a job, or what its tiles' answers were merged to."""

    completion: Completion
    used_images: tuple[UsedImage, ...] = ()
    notices: tuple[Notice, ...] = ()
    #: Of a long image.
    tiling: TilingResult | None = None
    #: Of a document.
    paging: PagingResult | None = None
    #: Seconds of the second reader, and its text where the model has read as well.
    read_s: float = 0.0
    second_text: str | None = None
    #: What it has seen in each image and where; None unless places are wanted.
    seen: tuple[SeenImage, ...] | None = None
    #: Of a document whose answer is looked up.
    source: ReadSource | None = None
    #: Of a job that looks for something; of an image what the model has pointed at, until the job
    #: ends.
    objects: tuple[FoundObject, ...] | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """The end of a job, as the store takes it."""

    status: JobStatus
    #: Fields of the row.
    fields: dict[str, Any]
    #: What the job's stream says in the end; None without an answer.
    text: str | None = None
    #: What the job's session keeps of it.
    turn: Turn | None = None
    #: What it adds to the service's metrics.
    tally: JobMetrics = field(default_factory=JobMetrics)


def make_result(
    row: JobRow, answer: EngineAnswer, processed: Processed, *, model: str, worker: str
) -> Result:
    """Return the end of a job that was answered, in full or in part.

    Callers get the processed text; the session keeps the model's own, which its tokens spell.
    """
    completion, tiling, paging = answer.completion, answer.tiling, answer.paging
    has_gaps = bool((tiling and tiling.partial) or (paging and paging.partial))
    status = _STATUS.get(completion.finish_reason, JobStatus.SUCCEEDED)
    compared = compare_readings(completion, answer.second_text)
    lines = compared.lines if paging is None else paging.lines
    if answer.seen is not None and row.input.boxes != "none":
        lines = place_answer(row.input, completion.text, compared.lines, answer.seen)
    json_value = _parse_json(completion) if row.input.params.wants_json else None
    output = Output(
        text=processed.text,
        reasoning=completion.reasoning,
        fields=processed.fields,
        finish_reason=completion.finish_reason,
        partial=status is not JobStatus.SUCCEEDED or has_gaps,
        json_value=json_value,
        confidence=completion.confidence,
        lines=lines,
        tiles=tiling.outputs if tiling else None,
        pages=paging.outputs if paging else None,
        images=tiling.images if tiling else None,
        reader=_reader(row, paging),
        evidence=_find_evidence(json_value, answer, complete=not has_gaps)
        if row.input.evidence
        else None,
        objects=answer.objects if row.input.find else None,
    )
    output = _with_doubts(row, output)
    is_empty = status is JobStatus.SUCCEEDED and not processed.text and not row.input.encode_only
    notices = (
        *answer.notices,
        *completion.notices,
        *compared.notices,
        *processed.notices,
        *([_NOTHING_WRITTEN] if is_empty else []),
    )
    metrics = _metrics(row, worker, completion, answer.read_s)
    fields: dict[str, Any] = {
        "model": model,
        "images": _add_usage(row.images, answer.used_images),
        "notices": [*row.notices, *(notice.model_dump() for notice in notices)],
        "output": output.model_dump(mode="json", by_alias=True),
        "usage": completion.usage.as_dict(),
        "cache": {"features": completion.features, "prefix": completion.prefix},
        "metrics": metrics,
    }
    if output.review is not None and status is JobStatus.SUCCEEDED:
        fields["review_state"] = "open" if output.review else "done"
    if brief := make_brief(fields["output"]):
        fields["brief"] = brief
    if row.input.postprocess:
        fields["raw_text"] = completion.text
    remembered = status is JobStatus.SUCCEEDED and not row.input.encode_only and row.session_id
    turn = _turn(row, completion, tiling, model) if remembered else None
    return Result(status, fields, completion.text, turn, _tally(metrics, completion))


def _with_doubts(row: JobRow, output: Output) -> Output:
    rule, wants_json = row.input.review, row.input.params.wants_json
    if rule is None:
        return output
    doubts = find_doubts(output, rule.below, wants_json=wants_json)
    return output.model_copy(update={"review": doubts})


def make_failure(row: JobRow, error: ServiceError, *, worker: str) -> Result:
    """Return the end of a job that could not be answered."""
    metrics = _metrics(row, worker, None)
    fields = {"error": error.as_dict(), "metrics": metrics}
    tally = _tally(metrics, None)
    tally.add("job_errors", code=error.code)
    return Result(JobStatus.FAILED, fields, tally=tally)


def log_fields(row: JobRow, result: Result) -> dict[str, Any]:
    """Return the fields of a job's one log line, without its content."""
    usage, error = result.fields.get("usage") or {}, result.fields.get("error") or {}
    return {
        "status": result.status.value,
        "code": error.get("code"),
        "tenant": row.tenant,
        "pixels": [image["used"][0] * image["used"][1] for image in row.images],
        "prompt_tokens": usage.get("prompt_tokens"),
        "completion_tokens": usage.get("completion_tokens"),
        **(row.trace or {}),
        **result.fields["metrics"],
    }


def _parse_json(completion: Completion) -> Any:
    """Return the JSON value of an answer, None for one that was cut off."""
    if any(notice.code == UNFINISHED for notice in completion.notices):
        return None
    try:
        return json.loads(completion.text)
    except ValueError:
        return None


def _find_evidence(
    value: Any, answer: EngineAnswer, *, complete: bool
) -> dict[str, Evidence] | None:
    """Return where the values of an answer stand; None where nothing was looked at."""
    source = answer.source
    if source is None and answer.seen is not None:
        source = ReadSource(seen_lines(answer.seen))
    if source is None:
        return None
    # the extra is installed where anything was seen
    from worker.evidence.finding import find_evidence

    return find_evidence(value, source.lines, complete=complete and source.complete)


def _shows(row: JobRow) -> bool:
    """Tell whether a job is about images or a document of its own."""
    return bool(row.input.images) or row.input.document is not None


def _reader(row: JobRow, paging: PagingResult | None) -> Reader | None:
    """Return what has read the images; None where there were none, or every page brought text."""
    if not _shows(row) or row.input.encode_only:
        return None
    tiling = row.input.tiling
    if paging and tiling and tiling.task is TilingTask.READ:
        was_read = any(page.source is PageSource.MODEL for page in paging.outputs)
        return row.input.reader if was_read else None
    return row.input.reader


def _turn(row: JobRow, completion: Completion, tiling: TilingResult | None, model: str) -> Turn:
    # the tiles of an earlier turn's image stay with that turn
    own = tiling if tiling and row.input.images else None
    return Turn(
        job_id=row.id,
        prompt=row.input.prompt,
        preset=row.input.preset,
        images=row.input.images,
        image_places=row.input.image_places,
        tiles=own.shown_ids if own else (),
        parts=own.tiles if own else (),
        document=row.input.document,
        max_pixels=row.input.max_pixels,
        enhance=row.input.enhance,
        text=completion.text,
        token_ids=completion.token_ids,
        model=model,
        finish_reason=completion.finish_reason.value,
        created_ms=row.created_ms,
    )


def _metrics(
    row: JobRow, worker: str, completion: Completion | None, read_s: float = 0.0
) -> dict[str, Any]:
    """Return the row's metrics; the engine's seconds only of a job that was answered."""
    metrics: dict[str, Any] = {
        "queue_s": round(_queue_s(row), 3),
        "attempt": row.attempt,
        "worker": worker,
    }
    if completion:
        metrics |= {
            "encode_s": round(completion.timings.encode_s, 3),
            "prefill_s": round(completion.timings.prefill_s, 3),
            "decode_s": round(completion.timings.decode_s, 3),
        }
    if read_s > 0:
        metrics["read_s"] = round(read_s, 3)
    return metrics


def _queue_s(row: JobRow) -> float:
    waited_ms = row.waited_ms if row.phase else (row.started_ms or 0) - row.queued_ms
    return waited_ms / 1000


def _tally(metrics: dict[str, Any], completion: Completion | None) -> JobMetrics:
    """Return what a job adds to the metrics; a stage that it never reached is not counted."""
    tally = JobMetrics()
    tally.observe("stage_seconds", metrics["queue_s"], stage="queue")
    if completion is None:
        return tally
    for stage in ("encode", "prefill", "decode", "read"):
        if metrics.get(f"{stage}_s", 0) > 0:
            tally.observe("stage_seconds", metrics[f"{stage}_s"], stage=stage)
    for kind, tokens in completion.usage.model_dump().items():
        tally.add("tokens", tokens, kind=kind.removesuffix("_tokens"))
    for cache, state in (("features", completion.features), ("prefix", completion.prefix)):
        if state:
            tally.add("cache_lookups", cache=cache, state=state)
    return tally


def _add_usage(
    images: Sequence[dict[str, Any]], used_images: Sequence[UsedImage]
) -> list[dict[str, Any]]:
    """Return the row's images with the pixels and tokens that the model really used."""
    used = {image.id: {"used": list(image.used), "tokens": image.tokens} for image in used_images}
    return [image | used.get(image["id"], {}) for image in images]
