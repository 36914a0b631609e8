"""The shapes of jobs, images, queues, workers and models as the OpenAPI document shows them."""

from __future__ import annotations

import functools
import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from gateway.schemas.reviews import ReviewState
from shared.errors import NotFound
from shared.jobs import FinishReason, JobStatus, PageSource, Reader, Stage
from shared.jobs.evidence import EvidenceStatus
from shared.jobs.find import ObjectSource
from shared.jobs.route import MAX_MODEL_CHARS

_JOB_ID = re.compile(r"job_[0-9A-Z]{36}")
_IMAGE_ID = re.compile(r"img_[0-9a-f]{64}")

#: Of the URL of an image or a webhook.
MAX_URL_CHARS = 4096
Sha256 = Annotated[str, Field(pattern="^[0-9A-Fa-f]{64}$")]


def known_form(pattern: re.Pattern[str]) -> AfterValidator:
    """Return a check that raises NotFound for an id of another form than ours.

    As part of a Redis key such an id could name another key.
    """

    def check(value: str) -> str:
        if not pattern.fullmatch(value):
            raise NotFound
        return value

    return AfterValidator(check)


class Parameters(BaseModel):
    """Parameters of a path, query or header.

    flask-openapi3 asks for their schema at each request, so it is cached.
    """

    @classmethod
    def model_json_schema(cls, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Return the schema, cached if called without arguments."""
        if args or kwargs:
            return super().model_json_schema(*args, **kwargs)
        return _default_schema(cls)


@functools.cache
def _default_schema(shape: type[Parameters]) -> dict[str, Any]:
    return super(Parameters, shape).model_json_schema()


class JobPath(Parameters):
    """Names a job."""

    job_id: Annotated[str, known_form(_JOB_ID)] = Field(description="`job_…`")


class ImagePath(Parameters):
    """Names an image."""

    image_id: Annotated[str, known_form(_IMAGE_ID)] = Field(description="`img_<sha256>`")


class WaitQuery(Parameters):
    """Long-poll."""

    wait: str = Field("0", description="Seconds to wait for a change of status or progress.")


class ListQuery(Parameters):
    """A page of jobs, newest first."""

    status: JobStatus | None = None
    session_id: str | None = None
    group: str | None = Field(None, description="Only jobs of this group.")
    limit: int = Field(20, ge=1, le=100)
    after: str | None = Field(
        None, pattern=f"^{_JOB_ID.pattern}$", description="The last ID of the previous page."
    )


class ResultQuery(Parameters):
    """The form of a result."""

    format: (
        Literal["text", "markdown", "json", "html", "csv", "xlsx", "docx", "pdf", "hocr"] | None
    ) = Field(None, description="Overrides `Accept`; plain text if neither names a format.")
    corrected: bool = Field(
        False,
        description="Apply the reviewers' corrections; the header `X-Sightline-Corrections` gives "
        "their number and how many of them this format can show.",
    )


class OverlayQuery(Parameters):
    """The picture whose boxes are drawn."""

    page: int | None = Field(
        None, ge=1, description="Of a document: the number of the page; the first by default."
    )
    image: int | None = Field(
        None, ge=0, description="Of several images: which, from 0; the first by default."
    )
    corrected: bool = Field(
        True,
        description="Show the reviewers' corrections, marked as such; `false` shows the answer as "
        "it was read.",
    )


class EventsQuery(Parameters):
    """Where to resume a stream."""

    starting_after: int = Field(0, ge=0, lt=2**53, description="The last event number received.")


class KeyHeader(Parameters):
    """Headers of everything that submits."""

    idempotency_key: str | None = Field(
        None,
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        description="For 24 hours, requests with the same key and body return the same job.",
    )


class SubmitHeader(KeyHeader):
    """Headers of a submission."""

    prefer: str | None = Field(
        None,
        alias="Prefer",
        description="`wait=N`: respond with 200 if the job ends within N seconds.",
    )


class QueueState(BaseModel):
    """Where a job waits."""

    name: str
    position: int = Field(description="Number of queued jobs ahead of this one.")
    wait_s: float | None = Field(
        description="Predicted wait; null until a worker has measured its speed."
    )


class ProgressState(BaseModel):
    """Progress of a running job."""

    stage: Stage
    percent: int
    output_tokens: int
    tiles_done: int | None = Field(None, description="For long images only.")
    tiles_total: int | None = Field(None, description="For long images only.")
    pages_done: int | None = Field(None, description="For documents only.")
    pages_total: int | None = Field(None, description="For documents only.")
    eta_s: float | None = None


class TileState(BaseModel):
    """A part of a long image."""

    image: int = Field(0, description="Index of the job's image that the tile belongs to, from 0.")
    box: list[int] = Field(description="Left, top, right, bottom in pixels of the stored image.")
    text: str | None = Field(
        description="The tile's text or own answer; null if all tiles shared one prompt."
    )
    gap: bool = Field(False, description="The tile could not be read.")
    evidence: bool = Field(False, description="The answer is based on this tile.")
    confidence: float | None = None


class PageState(BaseModel):
    """A page of a document."""

    page: int = Field(description="Its number in the document, from 1.")
    text: str | None = Field(
        description="The page's text, or what it says to the question; null in a gap, and if all "
        "pages shared one prompt."
    )
    source: PageSource = Field(
        PageSource.MODEL,
        description="`text_layer`: the page's own text; `model`: it was read; `blank`: it shows "
        "nothing.",
    )
    confidence: float | None = None
    gap: bool = Field(False, description="The page could not be read.")
    evidence: bool = Field(False, description="The answer is based on this page.")
    warnings: list[dict[str, str]] = Field(default_factory=list)
    tiles: int = Field(0, description="Tiles in which it was read; 0 if no model saw it.")
    header: str | None = Field(None, description="Its lines at the top that other pages have too.")
    footer: str | None = Field(
        None, description="Its lines at the bottom that other pages have too."
    )


class ImageText(BaseModel):
    """The text of one of several images."""

    image: int = Field(description="Index of the job's image, from 0.")
    text: str
    gap: bool = Field(description="A part of it could not be read.")


class PlacedPart(BaseModel):
    """A word of a line, or a cell of a table's row."""

    text: str
    box: list[float] | None = Field(
        description="Left, top, right, bottom, as of its line; null where it is not sure."
    )


class Line(BaseModel):
    """A line of the original text; with `boxes` only those that have letters or digits."""

    text: str
    confidence: float | None = Field(description="As in Output; null if unknown.")
    agreement: float | None = Field(
        None,
        description="Where the model and the second reader have both read: share of the letters "
        "that they agree on, 0 to 1.",
    )
    other: str | None = Field(None, description="What the second reader has read instead.")
    box: list[float] | None = Field(
        None,
        description="With `boxes`: left, top, right, bottom in pixels of the stored image, in "
        "points of a PDF's page, or in pixels of another document's page; right and bottom "
        "excluded. Null where it is not sure where the line stands.",
    )
    polygon: list[list[float]] | None = Field(
        None,
        description="With `boxes`: top left, top right, bottom right and bottom left of a slanted "
        "box, as the text runs.",
    )
    image: int | None = Field(None, description="Index of the job's image, from 0.")
    page: int | None = Field(None, description="Number of the document's page, from 1.")
    words: list[PlacedPart] | None = Field(None, description="With `boxes=word`.")
    cells: list[PlacedPart] | None = Field(
        None, description="Of a row of a Markdown or HTML table, or of a whole one in one line."
    )


class EvidenceState(BaseModel):
    """Whether a value of an answer is printed, and where."""

    status: EvidenceStatus = Field(
        description="`supported`: it stands there. `unverified`: it may stand there, or several "
        "places are as likely, or it cannot be told. `not_found`: it is printed nowhere."
    )
    text: str | None = Field(description="What is printed there.")
    box: list[float] | None = Field(
        description="Left, top, right, bottom, in the unit of `boxes`; null without a place."
    )
    image: int | None = Field(None, description="Index of the job's image, from 0.")
    page: int | None = Field(None, description="Number of the document's page, from 1.")
    confidence: float | None = Field(
        description="How well it was seen and how much it is like the value, 0 to 1."
    )


class ObjectState(BaseModel):
    """One place where something that was looked for was seen."""

    label: str = Field(description="As in the request.")
    box: list[float] = Field(description="Left, top, right, bottom, in the unit of `boxes`.")
    polygon: list[list[float]] | None = Field(
        None,
        description="Of a slanted box: top left, top right, bottom right and bottom left, as the "
        "text runs.",
    )
    parts: list[list[list[float]]] | None = Field(
        None, description="Of a phrase that is broken across lines: the slanted box in each line."
    )
    text: str | None = Field(None, description="What is printed there, where it is text.")
    image: int | None = Field(None, description="Index of the job's image, from 0.")
    page: int | None = Field(None, description="Number of the document's page, from 1.")
    confidence: float | None = Field(
        description="How well the text was seen and how much it is like the label, 0 to 1; of the "
        "model's boxes that of its whole answer. Null if unknown."
    )
    source: ObjectSource = Field(
        description="`reader`: it stands in the text; `model`: the model has pointed at it."
    )


class OutputState(BaseModel):
    """The answer."""

    text: str = Field(
        description="The answer after the `postprocess` rules. Streamed deltas and the turns "
        "of a session have the model's original text."
    )
    reasoning: str | None = Field(
        None, description="What the model has thought before it answered, where it did."
    )
    json_: Any = Field(
        None,
        alias="json",
        description="The parsed answer for a JSON `response_format`, if it is complete.",
    )
    fields: dict[str, list[str]] = Field(
        description="Values extracted by the `postprocess` rules, in order of appearance and "
        "without duplicates; [] if a rule found none."
    )
    finish_reason: FinishReason = Field(
        description="`length`: cut off by `max_new_tokens`, so that a constrained answer may be "
        "unfinished (see `warnings`). `loop`: it kept repeating itself after a second try."
    )
    partial: bool
    shortened: bool = Field(
        False,
        description="In a list, of more than 64 KiB: the text is its beginning, and fields, json "
        "and all parts are left out. The job by itself has all of it.",
    )
    confidence: float | None = Field(
        None,
        description="Geometric mean of the probabilities of the answer's tokens, relative to the "
        "tokens that were allowed; null without a model. The second reader's is the mean of its "
        "letters' probabilities.",
    )
    lines: list[Line] | None = Field(
        None,
        description="With `line_confidence`, `reader=both` or `boxes`: the lines of the original "
        "text.",
    )
    tiles: list[TileState] | None = Field(
        None, description="The parts of a long image, in reading order."
    )
    pages: list[PageState] | None = Field(
        None, description="The pages of a document, in the order in which they were asked for."
    )
    images: list[ImageText] | None = Field(
        None, description="The text of each image, where several images were read."
    )
    reader: Reader | None = Field(
        None,
        description="What has read the images; null where there were none, or where every page "
        "brought its own text.",
    )
    evidence: dict[str, EvidenceState] | None = Field(
        None,
        description="With `evidence`: by JSON pointer, of each value of `json` that is not null.",
    )
    objects: list[ObjectState] | None = Field(
        None,
        description="Of a preset that looks for things, such as `find`: each place; [] where "
        "nothing was found. The text sums it up.",
    )
    review: list[str] | None = Field(
        None,
        description="With `review`: JSON pointers into this output of what a person should look "
        "at, such as `/lines/3` or `/json/items/0/price`.",
    )


class Job(BaseModel):
    """A job."""

    id: str
    object: Literal["job"]
    status: JobStatus
    created_at: str
    started_at: str | None
    completed_at: str | None
    expires_at: str
    queue: QueueState
    eta_s: float | None = Field(
        None,
        description="Predicted seconds until it ends; null once it has, and while unknown.",
    )
    progress: ProgressState | None
    input: dict[str, Any]
    output: OutputState | None
    review: ReviewState | None = Field(
        description="What people have said of the answer; null where nobody asked for a review "
        "and nobody has said anything."
    )
    warnings: list[dict[str, str]]
    usage: dict[str, int] | None
    cache: dict[str, str | None] | None
    metrics: dict[str, Any] | None
    predicted: PredictedState | None
    error: dict[str, Any] | None
    retry_of: str | None
    not_before: str | None = Field(description="It does not start earlier.")
    window: str | None = Field(description="It starts only within these hours of a day.")
    session_id: str | None
    group: str | None
    metadata: dict[str, Any]
    urls: dict[str, str]


class PredictedState(BaseModel):
    """Seconds predicted when the job was accepted."""

    wait_s: float | None
    run_s: float
    total_s: float | None


class JobList(BaseModel):
    """A page of jobs."""

    object: Literal["list"]
    data: list[Job]
    has_more: bool
    last_id: str | None


class FileClaim(BaseModel):
    """What a sender says of its file, so that a loss on the way is noticed."""

    model_config = ConfigDict(populate_by_name=True)

    sha256: Sha256 | None = Field(None, description="SHA-256 of the file.")
    file_bytes: int | None = Field(None, ge=0, alias="bytes", description="Size of the file.")


class ImageUpload(FileClaim):
    """The JSON body of an upload."""

    model_config = ConfigDict(extra="forbid")

    image: str = Field(description="An http(s) URL, a data: URI or plain base64.")


class ImageState(BaseModel):
    """A stored image."""

    id: str
    object: Literal["image"]
    width: int
    height: int
    used: list[int] = Field(description="Size in pixels that the model sees by default.")
    tokens: int = Field(description="Visual tokens by default.")
    tiles: int = Field(1, description="Approximate number of tiles by default.")
    predicted_s: float | None = Field(
        description="Seconds to encode it by default; null until a worker has measured its speed."
    )
    format: str
    bytes: int
    warnings: list[dict[str, str]]
    expires_in_s: int
    warm_job: str | None = Field(description="The job that encodes it, if `warm` was set.")


class WarmQuery(Parameters):
    """Whether an uploaded image is encoded before the first question."""

    warm: bool = Field(False, description="Encode it now, with the pixel budget of `detail`.")
    detail: Literal["auto", "low", "high"] = "auto"
    model: str | None = Field(
        None, max_length=MAX_MODEL_CHARS, description="The model that encodes it; as in `Job`."
    )


class Ok(BaseModel):
    """The check passed."""

    status: str


class Ready(Ok):
    """The service takes requests."""

    blobs: Literal["ok", "down"] | None = Field(
        None,
        description="Whether the blob store answers; without it, images and files can be neither "
        "stored nor read. Absent where everything lies in Redis.",
    )


class QueueDepth(BaseModel):
    """The number of waiting jobs in one queue."""

    name: str
    depth: int


class WorkerState(BaseModel):
    """The state of a running worker."""

    id: str
    model: str
    simulated: bool = Field(description="Whether it runs the simulated engine, without a model.")
    slots: int = Field(description="Jobs that it can run at once.")
    busy: int
    draining: bool = Field(description="Whether it is stopping and accepts no new jobs.")
    reader: str = Field(description="The weights of its second reader; empty without one.")
    seconds_per_job: float = Field(description="0 while unknown.")
    encode_tokens_per_s: float
    prefill_tokens_per_s: float
    decode_tokens_per_s: float
    version: str


class ModelQueue(BaseModel):
    """The current load of one model."""

    model: str
    queued: int
    running: int
    oldest_wait_s: float
    wait_s: float | None = Field(
        description="Predicted wait of a job behind all others of this model; null without a "
        "worker, and until one has measured its speed."
    )
    workers: int = Field(description="0: its jobs wait until a worker for it comes.")
    default: bool = Field(description="Whether requests that name no model mean this one.")
    slots: int


class StartingState(BaseModel):
    """A worker that has no model yet."""

    model: str = Field(description="The model that it is to serve.")
    kind: Literal["download", "load", "prepare"]
    step: str = Field(description="What it does, in English.")
    percent: int | None = Field(None, description="What is done of the step; null while unknown.")
    seconds_left: float | None = None
    problem: str = Field(
        description="Why it gave up: no_network, server_down, access_denied, not_there, "
        "not_readable, disk_full, wrong_checksum, unfinished or not_loadable; empty while it "
        "goes on. Its log has the whole reason."
    )


class QueueView(BaseModel):
    """The current load of the service."""

    queues: list[QueueDepth]
    queued: int
    running: int
    oldest_wait_s: float
    wait_s: float | None = Field(
        None,
        description="Predicted wait of a job behind all others; null until a worker has measured "
        "its speed. Of several models the longest.",
    )
    workers: list[WorkerState]
    models: list[ModelQueue] = Field(description="Each model that is served or waited for.")
    starting: list[StartingState] = Field(
        [], description="Workers without a model yet, and those that lately could not get one."
    )


class ModelState(BaseModel):
    """A loaded model in OpenAI's format, with additional details."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    revision: str
    engine: str = Field(
        description="What computes it: `sightline`, `transformers` (the generic engine) or "
        "`simulated`."
    )
    not_available: list[str] = Field(
        description="What this engine cannot do, out of `constraints`, `drafts`, `image_features`, "
        "`pointing` and `prefix_cache`."
    )
    numerics: str
    numerics_reason: str = Field(description="Why the model is computed in these numerics.")
    arithmetic: str = Field(
        description="What computes on the worker's machine, and in which type of numbers."
    )
    context_tokens: int
    sampling: dict[str, float] = Field(
        description="What its makers recommend in generation_config.json; used for each parameter "
        "that a sampled request leaves open."
    )
    thinks: bool = Field(
        description="Whether it can think before it answers; see `enable_thinking`."
    )
    demo: bool = Field(description="Whether it is the bundled model.")
    simulated: bool = Field(
        description="Whether it is the simulated engine, for load tests and trying an integration."
    )
    revisions: list[str] = Field(
        description="Those that its workers serve; a request may name one behind `@`."
    )
    workers: list[str] = Field(description="The IDs of its workers.")
    slots: int = Field(description="Jobs that they can run at once.")
    default: bool = Field(
        description="Whether the operator has made it the model of requests that name none."
    )
    aliases: list[str] = Field(description="The operator's other names for it.")


class ModelPath(Parameters):
    """Names a model."""

    model_id: str = Field(
        description="Its ID, another name of the operator's, or `sightline` for the default model."
    )


class ModelList(BaseModel):
    """The models of the running workers."""

    object: Literal["list"]
    data: list[ModelState]
