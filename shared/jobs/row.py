"""A job's row in Redis as typed values, and how it is read from its hash."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, model_validator

from shared.errors import JobTooNew
from shared.jobs.answers.review import Review, ReviewState
from shared.jobs.model import ROW_VERSION, JobInput, JobStatus, TileInfo
from shared.jobs.parameters.route import Route
from shared.jobs.response_api import ResponseFields
from shared.slow_json import dump_slowly, load_slowly


def _from_json(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) and value else (value or None)


def _none_if_empty(value: Any) -> Any:
    return None if value == "" else value


JsonDict = Annotated[dict[str, Any] | None, BeforeValidator(_from_json)]
JsonList = Annotated[tuple[dict[str, Any], ...], BeforeValidator(lambda v: _from_json(v) or ())]
TileList = Annotated[tuple[TileInfo, ...], BeforeValidator(lambda v: _from_json(v) or ())]
_Blank = BeforeValidator(_none_if_empty)


class JobRow(BaseModel):
    """Everything that Redis stores of one job; times are milliseconds of Redis' clock."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str
    tenant: str
    version: int
    status: JobStatus
    queue: str
    attempt: int
    max_attempts: int
    #: Times that a worker lost the job's lease.
    lost: int = 0
    #: Accepted finishes: never more than one.
    commits: int = 0
    created_ms: int
    queued_ms: int
    started_ms: Annotated[int | None, _Blank] = None
    completed_ms: Annotated[int | None, _Blank] = None
    #: When the row is deleted (terminal) or expires (queued).
    expires_ms: int
    #: When an unfinished job expires: its deadline or its time to live.
    expire_ms: int
    ttl_ms: int
    input: Annotated[JobInput, BeforeValidator(_from_json)]
    #: ImageInfo of each image.
    images: JsonList = ()
    notices: JsonList = ()
    #: How many of the notices came with the submission; None in rows of older versions.
    first_notices: int | None = None
    #: The model that has it, or that it is meant for; see Route. Of older rows any of the fleet.
    model: str = ""
    asked: str = ""
    pool: str = ""
    session_id: Annotated[str | None, _Blank] = None
    #: Tells its conversation from another of the same id; None in rows of an older version.
    session_generation: Annotated[int | None, _Blank] = None
    metadata: JsonDict = None
    retry_of: Annotated[str | None, _Blank] = None
    #: It may not start earlier, and only within these hours of a day.
    not_before_ms: Annotated[int | None, _Blank] = None
    window: Annotated[str | None, _Blank] = None
    #: The group that its caller has put it into.
    group: Annotated[str | None, _Blank] = None
    #: Of a job that the Responses API made.
    response: Annotated[ResponseFields | None, BeforeValidator(_from_json)] = None
    webhook: Annotated[str | None, _Blank] = None
    #: Names between commas.
    webhook_events: str = ""
    webhook_origin: str = ""
    trace: JsonDict = None
    #: Predicted seconds, from when the job was accepted.
    predicted: JsonDict = None
    #: Predicted busy time of a full worker, milliseconds.
    busy_ms: int = 0
    #: What it asks of a worker, as `Demand` dumps it; "" in rows of older versions.
    demand: str = ""
    #: Of a tiled job: "tiles" until its last tile ends, then "merge".
    phase: str = ""
    #: Of a job that is done page by page: the numbers of the pages.
    pages: Annotated[tuple[int, ...], BeforeValidator(lambda v: _from_json(v) or ())] = ()
    #: Of a tiled job: its tiles in reading order.
    tiles: TileList = ()
    #: Of a tiled job: one prompt is asked about all tiles.
    together: Annotated[bool, BeforeValidator(lambda v: v == "1")] = False
    #: Of a tiled job: milliseconds in the queue before its image was cut.
    waited_ms: int = 0
    #: Of a tile: its tiled job, and its number.
    parent: Annotated[str | None, _Blank] = None
    tile: int = 0
    #: Of a tile: its text is streamed while it is read.
    live: Annotated[bool, BeforeValidator(lambda v: v == "1")] = False
    cancel: Annotated[bool, BeforeValidator(lambda v: v == "1")] = False
    worker: Annotated[str | None, _Blank] = None
    progress: JsonDict = None
    output: JsonDict = None
    #: The model's own words, of a job whose rules may have changed them in the output.
    raw_text: str | None = None
    usage: JsonDict = None
    cache: JsonDict = None
    metrics: JsonDict = None
    error: JsonDict = None
    #: What people have said of the answer, how often that has changed, and whether something of it
    #: is left to look at; the state is "" where nobody asked and nobody has said anything.
    review: Annotated[Review, BeforeValidator(lambda v: _from_json(v) or {})] = Review()
    review_version: int = 0
    review_state: ReviewState | Literal[""] = ""

    @model_validator(mode="before")
    @classmethod
    def _runs_until_merged(cls, fields: Any) -> Any:
        """Show a tiled job as running while it waits for workers between its steps."""
        if isinstance(fields, dict) and fields.get("phase") and fields.get("status") == "queued":
            return fields | {"status": JobStatus.RUNNING.value}
        return fields

    @property
    def route(self) -> Route:
        """Return which workers it is for."""
        return Route(self.model, self.asked, self.pool)

    @property
    def predicted_run_s(self) -> float | None:
        """Return the seconds from start to end that were predicted; None where none were."""
        if not self.predicted:
            return None
        stages = ("prepare_s", "encode_s", "prefill_s", "decode_s", "read_s")
        # an older gateway has predicted no reading
        return round(sum(self.predicted.get(stage) or 0.0 for stage in stages), 3)

    @property
    def doubtful_parts(self) -> list[str]:
        """Return the JSON pointers of what a person should look at in the output."""
        return list((self.output or {}).get("review") or ())

    @property
    def reasoning(self) -> str:
        """Return what the model has thought before its answer; empty where it has not."""
        return (self.output or {}).get("reasoning") or ""

    @property
    def streamed_text(self) -> str | None:
        """Return what the stream of an ended job says; None where no answer or nothing is known."""
        if self.raw_text is not None or self.output is None:
            return self.raw_text
        # an older worker has not kept what its rules have changed
        return None if self.input.postprocess else str(self.output["text"])


def read_row(fields: Mapping[str, Any]) -> JobRow:
    """Return a row from the fields of its hash; fields that a newer version added are ignored.

    Raises JobTooNew if a newer version's row cannot be read.
    """
    try:
        return JobRow.model_validate(_with_output(fields))
    except ValidationError as error:
        if int(fields.get("version") or 0) > ROW_VERSION:
            raise JobTooNew from error
        raise


def _with_output(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the fields with the output as a value, as that of a document is megabytes of JSON."""
    output = fields.get("output")
    return {**fields, "output": load_slowly(output)} if output else fields


def read_listed_row(fields: Mapping[str, Any]) -> JobRow:
    """Return a row for a list, with what is readable of one that a newer version made.

    Raises JobTooNew if not even its status can be read.
    """
    try:
        return read_row(fields)
    except JobTooNew:
        return read_row(_without_unknown(fields))


def _without_unknown(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that can be read, with a notice that others are missing."""
    known = dict(fields)
    try:
        JobRow.model_validate(fields)
    except ValidationError as error:
        for fault in error.errors():
            known.pop(str(fault["loc"][0]), None)
    known.setdefault("input", JobInput(prompt="").model_dump_json())
    notice = {"code": JobTooNew.code, "detail": "A newer version made this job; parts are missing."}
    notices = _from_json(known.get("notices")) or ()
    return known | {"notices": [*notices, notice]}


def dump(value: Any) -> str:
    """Return a value as compact JSON, as rows store it."""
    return dump_slowly(value, ensure_ascii=False, separators=(",", ":"))
