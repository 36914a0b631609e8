"""The request for a job: its parameters, checked and typed, and the image files beside them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Generic, Literal, Self, TypeVar

from flask import Request
from pydantic import (
    AfterValidator,
    AliasChoices,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic import model_validator as check
from werkzeug.datastructures import FileStorage

from gateway.http.bodies.members import cut_words, refuse_strange_members
from gateway.http.problems import from_validation
from gateway.images.uploads import UploadChecksum
from gateway.large_input import give_way, with_pauses
from gateway.schemas.jobs.groups import GROUP_PATTERN
from gateway.schemas.parameters import MAX_URL_CHARS, Sha256
from gateway.schemas.sessions import SESSION_PATTERN
from gateway.submission.body import form_files, is_form, is_json, parse_form, parse_json_object
from shared.catalog.rules import MAX_RULES
from shared.errors import BadParameters, UnsupportedMediaType
from shared.excerpt import is_longer
from shared.jobs import (
    DETAIL_PIXELS,
    MAX_CHOICES,
    MAX_REFERENCE_CHARS,
    MAX_STOPS,
    Boxes,
    Choice,
    ConversationMessage,
    GenerationParams,
    ImagePlaces,
    MaxNewTokens,
    MinP,
    Penalty,
    Priority,
    Reader,
    ReasoningTokens,
    RepetitionPenalty,
    Seed,
    Temperature,
    Threshold,
    TopK,
    TopP,
)
from shared.jobs.answers.find import MAX_LABEL_CHARS, MAX_LABELS, MAX_PHRASE_CHARS
from shared.jobs.answers.review import ReviewRule
from shared.jobs.document import DEFAULT_DPI, Dpi, RunningLines, TextLayer
from shared.jobs.parameters.enhancement import Enhancement
from shared.jobs.parameters.response_format import ResponseFormat
from shared.jobs.parameters.route import MAX_MODEL_CHARS
from shared.jobs.parameters.schedule import DailyWindow
from shared.jobs.row import dump
from shared.settings import Settings
from shared.webhooks import WebhookEvent

MAX_DEADLINE_S = 30 * 86_400
MAX_METADATA_BYTES = 4096
MAX_STOP_CHARS = 256
#: Of a preset or a rule.
_MAX_NAME_CHARS = 128
#: The most that `images_per_request` may be set to.
_MAX_FILES = 64
#: What a parameter is where neither the request nor a preset names it.
_DEFAULTS = GenerationParams()


#: The parameters that a request may name.
_PARAMS = [name for name in GenerationParams.model_fields if name != "from_model"]


def _description(parameter: str) -> str | None:
    return GenerationParams.model_fields[parameter].description


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str | int) else value


def _trim_label(label: str) -> str:
    """Return a label with single blanks; raises ValueError for one without anything to see."""
    trimmed = " ".join(label.split())
    if not any(char.isprintable() and not char.isspace() for char in trimmed):
        raise ValueError("must have a letter, a digit or a sign")
    return trimmed


def _as_document_text(value: Any) -> Any:
    """Return the one value of an object such as `{"id": "doc_…"}`."""
    if isinstance(value, dict):
        if len(value) != 1 or not value.keys() <= {"id", "url", "data"}:
            raise ValueError("must be a text, or an object with id, url or data")
        return next(iter(value.values()))
    return value


#: A page, or a range of pages. Strict: true is no page.
PageName = Annotated[str, Field(max_length=10_000)] | Annotated[int, Field(strict=True)]


class Submission(BaseModel):
    """The body of POST /v1/jobs."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    prompt: str | None = Field(
        None,
        min_length=1,
        description="The question about the images; some presets have their own.",
    )
    preset: str | None = Field(
        None,
        max_length=_MAX_NAME_CHARS,
        description="A name from `/v1/presets`; explicit parameters override the preset's.",
    )
    model: str | None = Field(
        None,
        max_length=MAX_MODEL_CHARS,
        description="A name from `/v1/models`, or one of the operator's other names for it; with "
        "`@` and a revision only that one. Default: the operator's, or the only one.",
    )
    wait_for_model: bool = Field(
        False,
        description="Accept the job although nobody serves its model now; it waits until a worker "
        "for it comes, or expires.",
    )
    lang: Literal["en", "zh"] | None = Field(
        None, description="Language of the preset's prompt; default: that of your prompt, or en."
    )
    fields: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=64)]], BeforeValidator(_as_list)
    ] = Field(
        default_factory=list,
        max_length=32,
        description="Names that the preset `fields` reads, such as `total` or `日期`.",
    )
    labels: Annotated[
        list[Annotated[str, Field(max_length=MAX_LABEL_CHARS), AfterValidator(_trim_label)]],
        BeforeValidator(_as_list),
    ] = Field(
        default_factory=list,
        max_length=MAX_LABELS,
        description="What the preset `find` looks for: words that stand in the text, or names of "
        "things, such as `Total` or `signature`.",
    )
    phrase: (
        Annotated[str, Field(max_length=MAX_PHRASE_CHARS), AfterValidator(_trim_label)] | None
    ) = Field(
        None,
        description="One phrase that the preset `find` looks for, in place of `labels`; it may be "
        "broken across lines.",
    )
    fuzzy: bool = Field(
        False,
        description="Whether `find` also takes text that is only much like what is looked for: "
        "its `confidence` says how much. Without it letters are the same but for case, accents, "
        "full-width forms and blanks.",
    )
    images: Annotated[list[str], BeforeValidator(_as_list)] = Field(
        default_factory=list,
        validation_alias=AliasChoices("images", "image", "image_url", "image_base64"),
        description="Each an http(s) URL, a data: URI, base64, or the ID of an uploaded image.",
    )
    document: Annotated[str | None, BeforeValidator(_as_document_text)] = Field(
        None,
        min_length=1,
        description="A PDF or another file of many pages: an http(s) URL, a data: URI, base64, or "
        "the ID of an uploaded document; also as an object with `url`, `data` or `id`. A document "
        "may stand among the images as well.",
    )
    pages: Annotated[list[PageName], BeforeValidator(_as_list)] = Field(
        default_factory=list,
        max_length=2000,
        description='Pages of the document, such as `"1-3,7,-1"` or `[1, 2]`; all by default. '
        "Animated images are read frame by frame only if pages are named.",
    )
    text_layer: TextLayer = Field(
        TextLayer.AUTO,
        description="Whether the text that a page brings along is taken instead of reading the "
        "page: `auto` if it says what the page shows, `only` always, `ignore` never.",
    )
    password: SecretStr | None = Field(
        None, max_length=256, description="Password of an encrypted document; it is not stored."
    )
    dpi: Dpi = Field(
        DEFAULT_DPI, description="Pixels per inch at which the pages of a PDF are drawn."
    )
    running_lines: RunningLines = Field(
        "once",
        description="How repeated headers and footers appear in the text of all pages: "
        "`once`, on every page (`keep`), or not at all (`drop`).",
    )
    session_id: str | None = Field(
        None, pattern=SESSION_PATTERN, description="Groups the jobs of a conversation."
    )
    group: str | None = Field(
        None, pattern=GROUP_PATTERN, description="Counts jobs together; see /v1/groups."
    )
    detail: str = Field("auto", pattern="^(auto|low|high)$", description="Pixel budget by name.")
    max_pixels: int | None = Field(
        None, ge=4096, le=4_194_304, description="Pixel budget of each image; overrides detail."
    )
    tiling: Literal["auto", "off", "read", "ask"] = Field(
        "auto",
        description="Whether a long image is cut into tiles: `read` joins their texts, `ask` gives "
        "one answer from all; `auto` decides by preset and shape, unless a budget is set.",
    )
    reader: Reader | None = Field(
        None,
        description="What reads the text: `model`; `second`, a small reader of print beside it, in "
        "Chinese and English; or `both`, the model's text with what the other reads differently. "
        "Default: `model`, but `second` while the bundled model runs and the preset reads. For "
        "`find`: `model` points at things, `second` looks among the text, `both` looks among the "
        "text and asks the model for what does not stand there; default: `both`, but `second` "
        "while the bundled model runs.",
    )
    boxes: Boxes = Field(
        "none",
        description="Whether `output.lines` has the places of what was read: `line` of each line "
        "and of each cell of a table, `word` of each word too. The second reader finds them, or "
        "the text layer of a page has them.",
    )
    evidence: bool = Field(
        False,
        description="Whether `output.evidence` tells of each value of a JSON answer if it is "
        "printed on the images or pages, and where: looked up among what the second reader or "
        "the text layer of a page has, never by asking the model.",
    )
    review: ReviewRule | None = Field(
        None,
        description="`output.review` lists what a person should look at: lines and fields less "
        "sure than `below`, and what could not be read. As an object, such as "
        '`{"below": 0.85}`. A JSON answer needs `evidence` for it.',
    )
    strict: bool = Field(
        False,
        description="Fail when a tile or page cannot be read, instead of leaving a gap; a chat "
        "then refuses what it would ignore or change with a warning.",
    )
    max_new_tokens: MaxNewTokens = Field(
        _DEFAULTS.max_new_tokens,
        validation_alias=AliasChoices("max_new_tokens", "max_tokens"),
        description="Maximum length of the answer, of each tile where text is read; `max_tokens` "
        "is an alias. Presets have their own defaults, and `tiling=read` has 2048.",
    )
    enable_thinking: bool | None = Field(
        _DEFAULTS.enable_thinking, description=_description("enable_thinking")
    )
    max_reasoning_tokens: ReasoningTokens | None = Field(
        _DEFAULTS.max_reasoning_tokens,
        validation_alias=AliasChoices("max_reasoning_tokens", "thinking_budget"),
        description=f"{_description('max_reasoning_tokens')} `thinking_budget` is an alias.",
    )
    max_total_tokens: MaxNewTokens | None = Field(
        _DEFAULTS.max_total_tokens, description=_description("max_total_tokens")
    )
    do_sample: bool = Field(
        _DEFAULTS.do_sample,
        description="Sample tokens instead of always taking the most likely one.",
    )
    temperature: Temperature = Field(
        _DEFAULTS.temperature, allow_inf_nan=False, description="Sampling temperature."
    )
    top_p: TopP = Field(
        _DEFAULTS.top_p,
        allow_inf_nan=False,
        description="Nucleus sampling: cumulative probability cut-off.",
    )
    top_k: TopK | None = Field(_DEFAULTS.top_k, description=_description("top_k"))
    min_p: MinP = Field(_DEFAULTS.min_p, allow_inf_nan=False, description=_description("min_p"))
    presence_penalty: Penalty = Field(
        _DEFAULTS.presence_penalty,
        allow_inf_nan=False,
        description=_description("presence_penalty"),
    )
    frequency_penalty: Penalty = Field(
        _DEFAULTS.frequency_penalty,
        allow_inf_nan=False,
        description=_description("frequency_penalty"),
    )
    repetition_penalty: RepetitionPenalty = Field(
        _DEFAULTS.repetition_penalty,
        allow_inf_nan=False,
        description=_description("repetition_penalty"),
    )
    seed: Seed | None = Field(_DEFAULTS.seed, description="Random seed for reproducible sampling.")
    stop: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=MAX_STOP_CHARS)]],
        BeforeValidator(_as_list),
    ] = Field(
        default_factory=list,
        max_length=MAX_STOPS,
        description="The answer ends before the first of these.",
    )
    choices: Annotated[list[Choice], BeforeValidator(_as_list)] = Field(
        default_factory=list,
        max_length=MAX_CHOICES,
        description=_description("choices"),
    )
    regex: str | None = Field(
        None, min_length=1, description="The whole answer must match it; RE2 syntax without `\\b`."
    )
    response_format: ResponseFormat | None = Field(
        None,
        description="`json_object`, or `json_schema` with a schema, as in OpenAI's API: the "
        "answer is JSON that conforms to it, parsed in `output.json`.",
    )
    loop_guard: bool = Field(_DEFAULTS.loop_guard, description=_description("loop_guard"))
    uncertain_below: Threshold | None = Field(
        _DEFAULTS.uncertain_below,
        allow_inf_nan=False,
        description="Letters and digits with a lower probability become `[?]`.",
    )
    line_confidence: bool = Field(
        _DEFAULTS.line_confidence, description=_description("line_confidence")
    )
    reference: str = Field(
        "",
        max_length=MAX_REFERENCE_CHARS,
        description="A text that the answer may follow, such as last year's text of a form or a "
        "draft: the answer comes faster where they agree, and is the same as without it.",
    )
    postprocess: Annotated[
        list[Annotated[str, Field(max_length=_MAX_NAME_CHARS)]] | None, BeforeValidator(_as_list)
    ] = Field(
        None,
        max_length=MAX_RULES,
        description="Rules to run on the answer, in this order, by names from `/v1/presets`: they "
        "clean `output.text` or fill `output.fields`. Overrides the preset's.",
    )
    enhance: Enhancement | None = Field(
        None,
        description="How images are improved before the model sees them: `auto` applies the steps "
        "that the image needs, a list applies those steps, `off` none. Reported in "
        "`warnings`. Overrides the preset's; `off` without a preset.",
    )
    priority: Priority = Field(Priority.DEFAULT, description="Orders the jobs of your own key.")
    ttl_s: int | None = Field(None, ge=60, description="How long the result is kept.")
    deadline_s: float | None = Field(
        None,
        gt=0,
        le=MAX_DEADLINE_S,
        allow_inf_nan=False,
        description="The job expires if it has not finished this many seconds from now.",
    )
    not_before: AwareDatetime | None = Field(
        None, description="The job does not start earlier; RFC 3339, with a zone."
    )
    window: str | None = Field(
        None,
        max_length=64,
        description="Hours of each day within which the job may start, such as "
        "`22:00-06:00+08:00`, or `22:00-06:00 Europe/Berlin` by the clock of a place with its "
        "summer time; in UTC without a zone.",
    )
    webhook: str | None = Field(
        None,
        max_length=MAX_URL_CHARS,
        description="The http(s) URL to notify, with messages signed as Standard Webhooks.",
    )
    webhook_events: Annotated[list[WebhookEvent], BeforeValidator(_as_list)] = Field(
        default_factory=lambda: [WebhookEvent.COMPLETED],
        min_length=1,
        validation_alias=AliasChoices("webhook_events", "webhook_events_filter"),
        description="Events to notify about; `completed` covers every outcome. Default: that, and "
        "`needs_review` with `review`.",
    )
    sha256: Annotated[list[Sha256], BeforeValidator(_as_list)] = Field(
        default_factory=list,
        max_length=_MAX_FILES,
        description="SHA-256 of each image, in order, files first; verified on arrival.",
    )
    file_bytes: Annotated[list[Annotated[int, Field(ge=0)]], BeforeValidator(_as_list)] = Field(
        default_factory=list,
        max_length=_MAX_FILES,
        validation_alias=AliasChoices("bytes", "file_bytes"),
        description="Size in bytes of each image, in order, files first; verified on arrival.",
    )
    metadata: dict[str, Any] = Field(default_factory=dict, description="Returned unchanged.")

    @field_validator("session_id", "group")
    @classmethod
    def _name_can_stand_in_a_url(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value in (".", ".."):
            raise BadParameters(
                f"{info.field_name}: {value!r} cannot be read or forgotten later.",
                pointer=f"/{info.field_name}",
                hint="Clients take it for a folder of a URL; add a letter or digit.",
            )
        return value

    @field_validator("window")
    @classmethod
    def _window_is_of_a_day(cls, value: str | None) -> str | None:
        if value is not None:
            DailyWindow.parse(value)
        return value

    @check(mode="after")
    def _metadata_is_small(self) -> Self:
        most = MAX_METADATA_BYTES
        if is_longer(self.metadata, most) or len(dump(self.metadata).encode()) > most:
            raise ValueError(f"metadata must be smaller than {MAX_METADATA_BYTES} bytes of JSON")
        return self

    def params(self) -> GenerationParams:
        """Return the engine's parameters; raises ValidationError where they exclude each other."""
        return GenerationParams(**{name: getattr(self, name) for name in _PARAMS})

    def explicit_params(self) -> dict[str, Any]:
        """Return those parameters of the engine that the request names."""
        params = self.params()
        explicit = self.model_fields_set.intersection(_PARAMS)
        return {name: getattr(params, name) for name in sorted(explicit)}

    def leave_open(self, names: Iterable[str]) -> None:
        """Keep the values of these parameters only for a model that recommends no others."""
        self.model_fields_set.difference_update(names)

    def pixel_budget(self) -> int:
        """Return the pixels that each image may have for the model."""
        return self.max_pixels or DETAIL_PIXELS[self.detail]

    @property
    def names_prompt(self) -> bool:
        """Tell whether the request has a prompt of its own."""
        return self.prompt is not None and "prompt" in self.model_fields_set

    @property
    def names_budget(self) -> bool:
        """Tell whether the request names a pixel budget itself."""
        return self.max_pixels is not None or self.detail != "auto"

    def checksums(self, files: int) -> dict[str, UploadChecksum]:
        """Return the checksum of each image by its pointer, `files` first; raises BadParameters.

        Those of images that are named by their id are never compared.
        """
        count = files + len(self.images) + (self.document is not None)
        for name, values in (("sha256", self.sha256), ("bytes", self.file_bytes)):
            if values and len(values) != count:
                raise BadParameters(
                    f"{name} has {len(values)} values for {count} images.", pointer=f"/{name}"
                )
        pointers = [f"/images/{at}" for at in range(count)]
        if self.document is not None:
            pointers[-1] = "/document"
        return {
            pointers[at]: UploadChecksum(
                self.sha256[at] if self.sha256 else None,
                self.file_bytes[at] if self.file_bytes else None,
            )
            for at in range(count if self.sha256 or self.file_bytes else 0)
        }

    @property
    def document_parameters(self) -> list[str]:
        """Return the names of the parameters in the request that need a document."""
        named = {*_DOCUMENT_NAMES, "password"} & self.model_fields_set
        return sorted(name for name in named if getattr(self, name) not in (None, []))

    def fingerprint(
        self,
        image_ids: list[str],
        before: Sequence[ConversationMessage] = (),
        image_places: ImagePlaces = (),
        model: str = "",
    ) -> str:
        """Return a SHA-256 that equal requests have in common, whether form or JSON.

        `image_ids` names the document too; `model` is "" where it makes no difference. No password
        becomes part of it.
        """
        content = self.model_dump(mode="json", include=self._counted_names())
        content["images"] = image_ids
        if before:
            content["before"] = [message.model_dump() for message in with_pauses(before)]
        if image_places:
            content["image_places"] = image_places
        if model:
            content["model"] = model
        if self.preset is not None:
            # a default value that is named wins over the preset's
            content["explicit"] = sorted(self.explicit_params())
        return hashlib.sha256(dump(content).encode()).hexdigest()

    def _counted_names(self) -> set[str]:
        """Return the parameters that tell this request from others.

        One that says nothing is left out, so that a request is still the same after an upgrade that
        brought it.
        """
        known = type(self).model_fields
        added = known.keys() - {*_COUNTED, *_NOT_COUNTED, *_DOCUMENT_NAMES}
        defaults = {name: known[name].get_default(call_default_factory=True) for name in added}
        said = {
            name for name in added if getattr(self, name) not in (defaults[name], None, "", False)
        }
        documents = _DOCUMENT_NAMES if self.document_parameters else ()
        return {*_COUNTED, *said, *documents}


#: Parameters that are part of each fingerprint, whatever they say. No further ones may be added: a
#: repeated request would be taken for another one during an upgrade.
_COUNTED = (
    *("prompt", "preset", "lang", "fields", "session_id", "detail", "max_pixels", "tiling"),
    *("reader", "strict", "max_new_tokens", "do_sample", "temperature", "top_p", "top_k", "min_p"),
    *("presence_penalty", "frequency_penalty", "repetition_penalty", "seed", "stop", "choices"),
    *("regex", "response_format", "loop_guard", "uncertain_below", "line_confidence"),
    *("postprocess", "enhance", "priority", "ttl_s", "deadline_s", "webhook", "webhook_events"),
    "metadata",
)
#: Parameters that are no part of it: what they bring is named otherwise, or makes no difference.
_NOT_COUNTED = ("images", "document", "password", "sha256", "file_bytes", "wait_for_model", "model")
#: Parameters that only documents have.
_DOCUMENT_NAMES = ("pages", "text_layer", "dpi", "running_lines")

S = TypeVar("S", bound=Submission)


@dataclass(frozen=True, slots=True)
class ReceivedRequest(Generic[S]):
    """A parsed request: its parameters and the files beside them."""

    submission: S
    files: list[FileStorage]


def receive_request(request: Request, settings: Settings, model: type[S]) -> ReceivedRequest[S]:
    """Parse a request of any accepted content type.

    Raises InvalidJson, UnsupportedMediaType, BadParameters.
    """
    if is_form(request):
        fields, files = parse_form(request), form_files(request)
    elif is_json(request):
        fields, files = parse_json_object(request), []
    else:
        raise UnsupportedMediaType
    submission = validate_fields(fields, model)
    check_limits(submission, len(files), settings)
    return ReceivedRequest(submission, files)


def validate_fields(fields: dict[str, Any], model: type[S]) -> S:
    """Return the fields as a submission whose parameters fit together; raises BadParameters."""
    refuse_strange_members(fields, model)
    fields = cut_words(fields, model)
    give_way()
    try:
        submission = model.model_validate(fields)
        submission.params()
    except ValidationError as error:
        raise from_validation(error) from None
    return submission


def check_limits(submission: Submission, files: int, settings: Settings) -> None:
    """Raise BadParameters where a submission with so many files passes a limit of the service."""
    count = len(submission.images) + files + (submission.document is not None)
    if count > settings.images_per_request:
        raise BadParameters(
            f"{count} images; the limit is {settings.images_per_request}.", pointer="/images"
        )
    if len(submission.prompt or "") > settings.prompt_max_chars:
        raise BadParameters(
            f"prompt has {len(submission.prompt or '')} characters; "
            f"the limit is {settings.prompt_max_chars}.",
            pointer="/prompt",
        )
    for name in ("max_new_tokens", "max_reasoning_tokens"):
        is_named = name in submission.model_fields_set
        if is_named and (getattr(submission, name) or 0) > settings.answer_max_tokens:
            raise BadParameters(
                f"{name} must be at most {settings.answer_max_tokens}.", pointer=f"/{name}"
            )
    if submission.ttl_s is not None and submission.ttl_s > settings.job_ttl_max_s:
        raise BadParameters(f"ttl_s must be at most {settings.job_ttl_max_s}.", pointer="/ttl_s")
