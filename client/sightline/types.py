"""The shapes of the service's responses for type checkers; at run time they are plain dicts.

A newer service may send more fields than are named here.
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

JobStatus = Literal["queued", "running", "succeeded", "failed", "canceled", "expired"]
FinishReason = Literal["stop", "length", "loop", "canceled", "deadline"]
Detail = Literal["auto", "low", "high"]
#: The forms of a result; `pdf` and `hocr` need a job with `boxes`.
ResultForm = Literal["text", "markdown", "json", "html", "csv", "xlsx", "docx", "pdf", "hocr"]
Priority = Literal["high", "default", "low"]
WebhookEventName = Literal["completed", "started", "progress", "needs_review"]

#: A terminal status never changes.
TERMINAL = frozenset({"succeeded", "failed", "canceled", "expired"})


class SubmitOptions(TypedDict, total=False):
    """Options of a submission besides prompt and images; the service's /docs has their limits."""

    #: A name from /v1/models; with `@` and a revision only that one.
    model: str
    #: Accept the job although nobody serves its model now.
    wait_for_model: bool
    preset: str
    lang: Literal["en", "zh"]
    fields: list[str]
    #: What the preset `find` looks for; `Client.find` sets them.
    labels: list[str]
    phrase: str
    fuzzy: bool
    session_id: str
    #: A name for jobs that belong together; see /v1/groups.
    group: str
    #: RFC 3339 with a zone, and hours of each day such as `22:00-06:00+08:00` or
    #: `22:00-06:00 Europe/Berlin`.
    not_before: str
    window: str
    detail: Detail
    max_pixels: int
    max_new_tokens: int
    #: Whether a model that can think before it answers does so, and for how many tokens; and the
    #: tokens of thinking and answer together.
    enable_thinking: bool
    max_reasoning_tokens: int
    max_total_tokens: int
    do_sample: bool
    temperature: float
    top_p: float
    top_k: int
    min_p: float
    presence_penalty: float
    frequency_penalty: float
    repetition_penalty: float
    seed: int
    stop: list[str]
    response_format: dict[str, Any]
    choices: list[str]
    regex: str
    loop_guard: bool
    uncertain_below: float
    line_confidence: bool
    reference: str
    postprocess: list[str]
    enhance: str | list[str]
    tiling: Literal["auto", "off", "read", "ask"]
    #: Of a document: `"1-3,7,-1"`, or numbers.
    pages: str | list[int]
    text_layer: Literal["auto", "only", "ignore"]
    password: str
    dpi: int
    running_lines: Literal["once", "keep", "drop"]
    reader: Literal["model", "second", "both"]
    #: Whether `output.lines` tells where lines, or words too, stand.
    boxes: Literal["none", "line", "word"]
    #: Whether `output.evidence` tells where the values of a JSON answer are printed.
    evidence: bool
    #: Lists what a person should look at in `output.review`; JSON answers need `evidence`.
    review: ReviewRule
    strict: bool
    sha256: list[str]
    bytes: list[int]
    priority: Priority
    ttl_s: int
    deadline_s: float
    webhook: str
    webhook_events: list[WebhookEventName]
    metadata: dict[str, Any]


class ReviewRule(TypedDict):
    """Which parts of an answer a person should look at: those less sure than `below`, 0 to 1."""

    below: float


class Queue(TypedDict):
    """Where a job waits; `wait_s` is a prediction."""

    name: str
    position: int
    wait_s: float | None


class Progress(TypedDict, total=False):
    """Progress of a running job."""

    stage: Literal["encode", "prefill", "decode", "merge", "read"]
    percent: int
    output_tokens: int
    tiles_done: int
    tiles_total: int
    pages_done: int
    pages_total: int
    eta_s: float | None


class Output(TypedDict):
    """The answer."""

    text: str
    #: What the model has thought before it answered, where it did.
    reasoning: NotRequired[str]
    json: Any
    fields: dict[str, list[str]]
    finish_reason: FinishReason
    partial: bool
    #: Of a list: only the beginning of the text is here.
    shortened: NotRequired[bool]
    confidence: NotRequired[float | None]
    lines: NotRequired[list[TextLine] | None]
    tiles: NotRequired[list[dict[str, Any]] | None]
    images: NotRequired[list[ImageText] | None]
    pages: NotRequired[list[PageText] | None]
    #: What has read the images.
    reader: NotRequired[Literal["model", "second", "both"] | None]
    #: By JSON pointer into `json`, with the option `evidence`.
    evidence: NotRequired[dict[str, EvidenceData]]
    #: Of the preset `find`: each place; [] where nothing was found.
    objects: NotRequired[list[FoundObject]]
    #: JSON pointers of what a person should look at, with the option `review`.
    review: NotRequired[list[str]]


class FoundObject(TypedDict):
    """One place where something that was looked for was seen; boxes are as in TextLine."""

    label: str
    box: list[float]
    #: Of a slanted box, and of each line of a phrase that is broken.
    polygon: NotRequired[list[list[float]]]
    parts: NotRequired[list[list[list[float]]]]
    #: What is printed there, where it is text.
    text: NotRequired[str]
    image: NotRequired[int]
    page: NotRequired[int]
    confidence: float | None
    source: Literal["model", "reader"]


class EvidenceData(TypedDict):
    """Whether a value of a JSON answer is printed, and where; boxes are as in TextLine."""

    status: Literal["supported", "unverified", "not_found"]
    text: str | None
    box: list[float] | None
    image: NotRequired[int]
    page: NotRequired[int]
    confidence: float | None


class PlacedText(TypedDict):
    """A word of a line, or a cell of a table's row; `box` is left, top, right, bottom."""

    text: str
    box: list[float] | None


class TextLine(TypedDict):
    """A line of the text; the rest is there with `boxes`, `reader="both"` or `line_confidence`.

    Boxes are pixels of the stored image, or points of a PDF's page; None where that is not sure.
    """

    text: str
    confidence: float | None
    agreement: NotRequired[float]
    other: NotRequired[str | None]
    box: NotRequired[list[float] | None]
    polygon: NotRequired[list[list[float]] | None]
    image: NotRequired[int]
    page: NotRequired[int]
    words: NotRequired[list[PlacedText]]
    cells: NotRequired[list[PlacedText]]


class ImageText(TypedDict):
    """The text of one of several images that were read; `image` counts from 0."""

    image: int
    text: str
    gap: bool


class PageText(TypedDict):
    """A page of a document that was read, or looked at; `page` is its number, from 1."""

    page: int
    text: str | None
    source: Literal["text_layer", "model", "blank"]
    confidence: float | None
    gap: bool
    warnings: list[dict[str, str]]
    tiles: int
    evidence: bool
    header: str | None
    footer: str | None


class StatementData(TypedDict):
    """Who has said something and when; `by` is the name of the API key."""

    by: str
    reviewer: str | None
    at: str


class EarlierData(StatementData):
    """A correction that was replaced."""

    value: Any


class CorrectionData(StatementData):
    """What should stand at a place of the output; `before` is what the answer says there."""

    pointer: str
    value: Any
    before: Any
    earlier: list[EarlierData]


class ConfirmationData(StatementData):
    """A part of the output that was seen to be right."""

    pointer: str


class ReviewData(TypedDict):
    """What people have said of an answer; of a list's long answers only state and version."""

    state: Literal["open", "done"]
    version: int
    pointers: list[str] | None
    corrections: list[CorrectionData] | None
    confirmed: list[ConfirmationData] | None


class JobData(TypedDict):
    """A job as `GET /v1/jobs/{id}` shows it; times are RFC 3339."""

    id: str
    object: Literal["job"]
    status: JobStatus
    created_at: str
    started_at: str | None
    completed_at: str | None
    expires_at: str
    queue: Queue
    #: Predicted seconds until it ends.
    eta_s: NotRequired[float | None]
    progress: Progress | None
    input: dict[str, Any]
    output: Output | None
    #: What people have said of the answer, if anybody has, or was asked to.
    review: NotRequired[ReviewData | None]
    warnings: list[dict[str, str]]
    usage: dict[str, int] | None
    cache: dict[str, str | None] | None
    metrics: dict[str, Any] | None
    error: dict[str, Any] | None
    retry_of: str | None
    not_before: str | None
    window: str | None
    session_id: str | None
    group: str | None
    metadata: dict[str, Any]
    urls: dict[str, str]


class ImageData(TypedDict):
    """A stored image; `used` is the width and height in pixels that the model sees."""

    id: str
    object: Literal["image"]
    width: int
    height: int
    used: list[int]
    tokens: int
    predicted_s: float | None
    format: str
    bytes: int
    warnings: list[dict[str, str]]
    expires_in_s: int
    warm_job: str | None


class EstimateData(TypedDict):
    """What a job would cost; `seconds` is None until a worker has measured its speed."""

    object: Literal["estimate"]
    images: list[dict[str, Any]]
    image_tokens: int
    expected_tokens: int
    tiles: int
    seconds: dict[str, float] | None
    queue: dict[str, Any]
    warnings: list[dict[str, str]]
    admitted: bool
    refusal: dict[str, Any] | None


class Turn(TypedDict):
    """A question and its answer; one that was added to the conversation has no job."""

    job_id: str | None
    created_at: str
    #: `system`: the prompt is an instruction to the model. Older services do not tell it.
    role: NotRequired[Literal["user", "system"]]
    part: NotRequired[Literal["both", "question", "answer"]]
    prompt: str
    images: list[str]
    text: str
    finish_reason: FinishReason


class UsageSums(TypedDict):
    """Sums over jobs that have ended; `work_s` is how long readers and model have worked."""

    jobs: int
    succeeded: int
    failed: int
    canceled: int
    expired: int
    images: int
    pages: int
    prompt_tokens: int
    completion_tokens: int
    image_tokens: int
    work_s: float


class UsagePeriod(UsageSums):
    """What one key has used in a day or a month in UTC."""

    period: str
    key: str


class BudgetData(TypedDict):
    """A budget of a key for this month."""

    budget: Literal["jobs", "pages", "tokens"]
    month: str
    limit: int
    used: int


UsageReport = TypedDict(
    "UsageReport",
    {
        "object": Literal["list"],
        "from": str,
        "to": str,
        "by": Literal["day", "month"],
        "data": list[UsagePeriod],
        "total": UsageSums,
        "budgets": list[BudgetData],
    },
)


class SessionSummary(TypedDict):
    """A conversation without its turns; `busy` is its unfinished job."""

    id: str
    object: Literal["session"]
    created_at: str
    updated_at: str
    expires_at: str
    busy: str | None


class SessionData(SessionSummary):
    """A conversation with its turns, oldest first."""

    turns: list[Turn]
    images: list[str]


class Attempt(TypedDict):
    """One attempt to deliver a webhook; `status` is None without a response."""

    at: str
    status: int | None
    ms: int
    body: str
    error: str | None


class DeliveryData(TypedDict):
    """A webhook delivery with all its attempts."""

    id: str
    object: Literal["delivery"]
    job_id: str | None
    type: str
    url: str
    status: Literal["pending", "delivered", "failed"]
    reason: str | None
    created_at: str
    next_attempt_at: str | None
    ended_at: str | None
    attempts: list[Attempt]


class SecretData(TypedDict):
    """The secret that signs webhooks; `secret` is shown once and None afterwards."""

    object: Literal["webhook_secret"]
    secret: str | None
    hint: str
    created_at: str
    previous_hint: str | None
    previous_until: str | None


class PresetData(TypedDict):
    """A preset with everything that it sets; `prompt` is by language."""

    name: str
    object: Literal["preset"]
    description: str
    builtin: bool
    prompt: dict[str, str]
    needs: list[Literal["prompt", "fields", "labels"]]
    params: dict[str, Any]
    postprocess: list[str]
    enhance: str | list[str]


class RuleData(TypedDict):
    """A rule for answers; `field` is the member of `output.fields` that it fills."""

    name: str
    description: str
    kind: Literal["clean", "extract"]
    field: str | None
    builtin: bool


class WorkerData(TypedDict):
    """A running worker; speeds are 0 while unknown."""

    id: str
    model: str
    simulated: bool
    slots: int
    busy: int
    draining: bool
    reader: NotRequired[str]
    thinks: NotRequired[bool]
    seconds_per_job: float
    encode_tokens_per_s: float
    prefill_tokens_per_s: float
    decode_tokens_per_s: float
    version: str


class QueueDepth(TypedDict):
    """The number of jobs that wait in a queue."""

    name: str
    depth: int


class ModelQueue(TypedDict):
    """The load of one model; without workers its jobs wait until one comes."""

    model: str
    queued: int
    running: int
    oldest_wait_s: float
    wait_s: float | None
    workers: int
    default: bool
    slots: int


class StartingData(TypedDict):
    """A worker that has no model yet, or could not get one: then `problem` is why."""

    model: str
    kind: Literal["download", "load", "prepare"]
    step: str
    percent: int | None
    seconds_left: float | None
    problem: str


class QueueData(TypedDict):
    """The load of the service."""

    queues: list[QueueDepth]
    queued: int
    running: int
    oldest_wait_s: float
    wait_s: NotRequired[float | None]
    workers: list[WorkerData]
    models: NotRequired[list[ModelQueue]]
    starting: NotRequired[list[StartingData]]


class ModelData(TypedDict):
    """A loaded model; `sampling` is what its makers recommend."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    revision: str
    numerics: str
    engine: NotRequired[str]
    not_available: NotRequired[list[str]]
    numerics_reason: NotRequired[str]
    arithmetic: str
    context_tokens: int
    sampling: NotRequired[dict[str, float]]
    #: It can think before it answers.
    thinks: NotRequired[bool]
    demo: bool
    simulated: bool
    revisions: NotRequired[list[str]]
    #: IDs of the workers that serve it, and the jobs that they can run at once.
    workers: NotRequired[list[str]]
    slots: NotRequired[int]
    default: NotRequired[bool]
    aliases: NotRequired[list[str]]
