"""What a job leaves behind: the fields of its row, its turn of the session, its line in the log."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from shared.errors import ServiceError
from shared.jobs import FinishReason, JobStatus, Notice, Output, TileInfo, TileOutput, Turn
from shared.jobs.row import JobRow
from shared.store.job_metrics import JobMetrics
from worker.engine.api import Completion, UsedImage
from worker.engine.generation.notices import UNFINISHED
from worker.postprocess import Processed

_STATUS = {
    FinishReason.CANCELED: JobStatus.CANCELED,
    FinishReason.DEADLINE: JobStatus.EXPIRED,
}


@dataclass(frozen=True, slots=True)
class TiledPart:
    """What the parts of a long image add to its answer."""

    tiles: tuple[TileOutput, ...]
    #: Image ids of the tiles that were looked at.
    seen: tuple[str, ...]
    #: All of them.
    parts: tuple[TileInfo, ...]
    #: One at least could not be looked at.
    partial: bool


@dataclass(frozen=True, slots=True)
class EngineAnswer:
    """What the engine has answered."""

    done: Completion
    seen: tuple[UsedImage, ...] = ()
    notices: tuple[Notice, ...] = ()
    whole: TiledPart | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """The end of a job."""

    status: JobStatus
    #: Fields of the row.
    fields: dict[str, Any]
    turn: Turn | None = None
    #: What it adds to the service's figures.
    tally: JobMetrics = field(default_factory=JobMetrics)


def answered(
    row: JobRow, answer: EngineAnswer, processed: Processed, *, model: str, worker: str
) -> Result:
    """Return the end of a job that the engine has answered, in full or in part.

    Callers get the processed text; the session keeps the model's own, which its tokens spell.
    """
    done, whole = answer.done, answer.whole
    status = _STATUS.get(done.finish_reason, JobStatus.SUCCEEDED)
    output = Output(
        text=processed.text,
        fields=processed.fields,
        finish_reason=done.finish_reason,
        partial=status is not JobStatus.SUCCEEDED or bool(whole and whole.partial),
        json_value=_parsed(done) if row.input.params.wants_json else None,
        confidence=done.confidence,
        lines=done.lines,
        tiles=whole.tiles if whole else None,
    )
    told = (*answer.notices, *done.notices, *processed.notices)
    metrics = _metrics(row, worker, done)
    fields = {
        "model": model,
        "images": _as_seen(row, answer.seen),
        "notices": [*row.notices, *(notice.model_dump() for notice in told)],
        "output": output.model_dump(mode="json", by_alias=True),
        "usage": done.usage.as_dict(),
        "cache": {"features": done.features, "prefix": done.prefix},
        "metrics": metrics,
    }
    kept = status is JobStatus.SUCCEEDED and not row.input.encode_only
    turn = _turn(row, done, whole) if kept and row.session_id else None
    return Result(status, fields, turn, _tally(metrics, done))


def _parsed(done: Completion) -> Any:
    """Return the JSON that the answer is, None for one that was cut off."""
    if any(notice.code == UNFINISHED for notice in done.notices):
        return None
    try:
        return json.loads(done.text)
    except ValueError:
        return None


def failed(row: JobRow, error: ServiceError, *, worker: str) -> Result:
    """Return the end of a job that could not be answered."""
    metrics = _metrics(row, worker, None)
    fields = {"error": error.as_dict(), "metrics": metrics}
    tally = _tally(metrics, None)
    tally.add("job_errors", code=error.code)
    return Result(JobStatus.FAILED, fields, tally=tally)


def log_line(row: JobRow, result: Result) -> dict[str, Any]:
    """Return the members of the one line that tells a job's whole story, without its content."""
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


def _turn(row: JobRow, done: Completion, whole: TiledPart | None) -> Turn:
    # a question about an earlier turn's image leaves that turn to speak for it
    looked_at = whole if whole and row.input.images else None
    return Turn(
        job_id=row.id,
        prompt=row.input.prompt,
        preset=row.input.preset,
        images=row.input.images,
        tiles=looked_at.seen if looked_at else (),
        parts=looked_at.parts if looked_at else (),
        max_pixels=row.input.max_pixels,
        enhance=row.input.enhance,
        text=done.text,
        token_ids=done.token_ids,
        finish_reason=done.finish_reason.value,
        created_ms=row.created_ms,
    )


def _metrics(row: JobRow, worker: str, done: Completion | None) -> dict[str, Any]:
    told: dict[str, Any] = {
        "queue_s": _queue_s(row),
        "attempt": row.attempt,
        "worker": worker,
    }
    if done:
        told |= {
            "encode_s": done.timings.encode_s,
            "prefill_s": done.timings.prefill_s,
            "decode_s": done.timings.decode_s,
        }
    return {k: round(v, 3) if isinstance(v, float) else v for k, v in told.items()}


def _tally(metrics: dict[str, Any], done: Completion | None) -> JobMetrics:
    """Return what a job adds to the figures; a stage that it never reached is not counted."""
    tally = JobMetrics()
    tally.observe("stage_seconds", metrics["queue_s"], stage="queue")
    if done is None:
        return tally
    for stage in ("encode", "prefill", "decode"):
        if metrics[f"{stage}_s"] > 0:
            tally.observe("stage_seconds", metrics[f"{stage}_s"], stage=stage)
    for kind, tokens in done.usage.model_dump().items():
        tally.add("tokens", tokens, kind=kind.removesuffix("_tokens"))
    for cache, state in (("features", done.features), ("prefix", done.prefix)):
        if state:
            tally.add("cache_lookups", cache=cache, state=state)
    return tally


def _queue_s(row: JobRow) -> float:
    waited_ms = row.waited_ms if row.phase else (row.started_ms or 0) - row.queued_ms
    return waited_ms / 1000


def _as_seen(row: JobRow, seen: Sequence[UsedImage]) -> list[dict[str, Any]]:
    """Return the row's images with what the model really saw of them."""
    told = {image.id: {"used": list(image.used), "tokens": image.tokens} for image in seen}
    return [image | told.get(image["id"], {}) for image in row.images]
