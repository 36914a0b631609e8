"""The data of a job: its input, parameters, status and output, as pydantic models."""

from __future__ import annotations

import secrets
import time
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from shared.jobs.enhancement import Enhancement
from shared.jobs.response_format import ResponseFormat

#: Incremented when a row's fields change meaning; a worker refuses rows newer than itself.
ROW_VERSION = 4
#: Of a row that uses nothing of what came later.
_PLAIN_VERSION = 3

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def _base32(value: int, length: int) -> str:
    return "".join(_CROCKFORD[(value >> (5 * i)) & 31] for i in reversed(range(length)))


def new_job_id() -> str:
    """Return `job_` + 10 characters of milliseconds + 26 of 130 random bits; sorts by time."""
    return "job_" + _base32(time.time_ns() // 1_000_000, 10) + _base32(secrets.randbits(130), 26)


class JobStatus(StrEnum):
    """The status of a job; the last four are terminal and never change."""

    #: Waits for a worker.
    QUEUED = "queued"
    #: A worker holds its lease.
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    #: Its deadline or its time to live passed before it ended.
    EXPIRED = "expired"

    @property
    def terminal(self) -> bool:
        """Tell whether the status can no longer change."""
        return self not in (JobStatus.QUEUED, JobStatus.RUNNING)


class Priority(StrEnum):
    """The queue that a job waits in."""

    HIGH = "high"
    DEFAULT = "default"
    LOW = "low"


class FinishReason(StrEnum):
    """Why the answer ended."""

    #: It ended its answer, or a stop string appeared.
    STOP = "stop"
    #: `max_new_tokens` or the context window was reached.
    LENGTH = "length"
    #: It repeated itself.
    LOOP = "loop"
    CANCELED = "canceled"
    DEADLINE = "deadline"


class Stage(StrEnum):
    """The current stage of a running job."""

    ENCODE = "encode"
    PREFILL = "prefill"
    DECODE = "decode"
    MERGE = "merge"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def _no_empty_stop(stop: tuple[str, ...]) -> tuple[str, ...]:
    if any(not s for s in stop):
        raise ValueError("a stop string must not be empty")
    return stop


#: Parameters that constrain the answer; at most one of them is set.
CONSTRAINTS = ("choices", "regex", "response_format")
MAX_NEW_TOKENS = 4096
MAX_STOPS = 8
MAX_CHOICES = 128
MaxNewTokens = Annotated[int, Field(ge=1, le=MAX_NEW_TOKENS)]
Temperature = Annotated[float, Field(ge=0, le=2)]
TopP = Annotated[float, Field(gt=0, le=1)]
TopK = Annotated[int, Field(ge=-1, lt=2**31)]
Penalty = Annotated[float, Field(ge=-2, le=2)]
RepetitionPenalty = Annotated[float, Field(ge=0.1, le=10)]
#: Parameters that a checkpoint recommends values of.
SAMPLING = (
    *("temperature", "top_p", "top_k"),
    *("presence_penalty", "frequency_penalty", "repetition_penalty"),
)
#: Members of parameters since version 4 of a row, which are left out where they change nothing.
_NEW_PARAMS = {
    "top_k": None,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
    "repetition_penalty": 1.0,
    "from_model": (),
}
Seed = Annotated[int, Field(ge=0, lt=2**63)]
Choice = Annotated[str, Field(min_length=1, max_length=512)]
#: A probability below which characters are marked as uncertain.
Threshold = Annotated[float, Field(gt=0, lt=1)]


class GenerationParams(_Frozen):
    """How the model generates its answer."""

    max_new_tokens: MaxNewTokens = Field(64, description="Maximum number of new tokens.")
    do_sample: bool = Field(False, description="False always takes the most likely token.")
    temperature: Temperature = Field(0.3, description="Used when do_sample is true.")
    top_p: TopP = Field(0.9, description="Used when do_sample is true.")
    top_k: TopK | None = Field(
        None,
        description="Used when do_sample is true: words beyond the so many likeliest are not "
        "drawn; 0 and -1 are no bound.",
    )
    presence_penalty: Penalty = Field(
        0.0, description="Taken from the logit of each token that the answer has already."
    )
    frequency_penalty: Penalty = Field(
        0.0, description="Taken from the logit of a token for each time that the answer has it."
    )
    repetition_penalty: RepetitionPenalty = Field(
        1.0, description="Divides the logits of tokens that question or answer have; 1 is none."
    )
    from_model: tuple[str, ...] = Field(
        (), description="Names of those above that the checkpoint may set, where it samples."
    )
    seed: Seed | None = Field(None, description="Random seed for reproducible sampling.")
    stop: Annotated[tuple[str, ...], AfterValidator(_no_empty_stop)] = Field(
        (),
        max_length=MAX_STOPS,
        description="The answer ends before the first of these strings.",
    )
    choices: tuple[Choice, ...] = Field(
        (),
        max_length=MAX_CHOICES,
        description="The answer is exactly one of these.",
    )
    regex: str | None = Field(
        None, min_length=1, max_length=1000, description="The whole answer must match it."
    )
    response_format: ResponseFormat | None = Field(
        None, description="`json_object`, or `json_schema` with a schema, as in OpenAI's API."
    )
    loop_guard: bool = Field(
        True, description="Cut the answer back to where it started to loop, and try again."
    )
    uncertain_below: Threshold | None = Field(
        None, description="Letters and digits with a lower probability become [?]."
    )
    line_confidence: bool = Field(
        False, description="Return the confidence of every line in `output.lines`."
    )

    @model_validator(mode="after")
    def _one_constraint_at_most(self) -> Self:
        names = self.constrained_by
        if len(names) > 1:
            raise ValueError(f"{' and '.join(names)} cannot be combined")
        if names and self.uncertain_below is not None:
            raise ValueError(f"uncertain_below cannot be combined with {names[0]}")
        return self

    @model_serializer(mode="wrap")
    def _without_unused(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what an older worker does not know and what changes nothing."""
        fields: dict[str, Any] = dump(self)
        unused = self.unused_new_params
        return {name: value for name, value in fields.items() if name not in unused}

    @property
    def unused_new_params(self) -> list[str]:
        """Return the names of members since version 4 that change nothing."""
        return [name for name, unused in _NEW_PARAMS.items() if getattr(self, name) == unused]

    @property
    def constrained_by(self) -> list[str]:
        """Return the names of the parameters that constrain the answer."""
        is_set = {
            "choices": bool(self.choices),
            "regex": self.regex is not None,
            "response_format": self.wants_json,
        }
        return [name for name in CONSTRAINTS if is_set[name]]

    @property
    def wants_json(self) -> bool:
        """Tell whether the answer is to be JSON."""
        return self.response_format is not None and self.response_format.type != "text"


#: Pixels that one image may keep for the model: 1 megapixel is about 1,024 visual tokens.
DETAIL_PIXELS = {"low": 262_144, "auto": 1_048_576, "high": 4_194_304}


class ConversationMessage(_Frozen):
    """A message of a conversation that the caller sends as a whole with each request."""

    role: Literal["system", "user", "assistant"]
    text: str
    images: tuple[str, ...] = ()
    #: Pixel budget of the images, so that they are scaled as before.
    max_pixels: int = DETAIL_PIXELS["auto"]


class TilingTask(StrEnum):
    """What is done with the tiles of a long image."""

    #: Each is read by itself, and the texts are joined.
    READ = "read"
    #: All of them give one answer.
    ASK = "ask"


class Tiling(_Frozen):
    """How a job's images are cut into tiles."""

    task: TilingTask
    #: Pixels of one tile.
    budget: int
    #: Tiles expected from the sizes alone; the cut may need one more or less.
    planned: int
    #: A tile that cannot be read fails the job instead of leaving a gap.
    strict: bool = False


class JobInput(_Frozen):
    """What a worker needs to run the job; stored in the row as JSON."""

    prompt: str
    #: Messages before the prompt, oldest first; a session's turns come before them.
    before: tuple[ConversationMessage, ...] = ()
    #: Id of a conversation that the caller keeps; its cached keys and values are reused.
    thread: str = ""
    #: Image ids `img_<sha256>` in the order of the request.
    images: tuple[str, ...] = ()
    params: GenerationParams = GenerationParams()
    #: Pixel budget of each image.
    max_pixels: int = DETAIL_PIXELS["auto"]
    preset: str | None = None
    #: Names of the rules for the answer, in their order.
    postprocess: tuple[str, ...] = ()
    #: Only compute and store the images' features; there is no prompt.
    encode_only: bool = False
    tiling: Tiling | None = None
    #: Enhancement of the images before the model sees them.
    enhance: Enhancement = "off"

    @property
    def row_version(self) -> int:
        """Return the version of its row: the first one that has all that it uses."""
        is_plain = len(self.params.unused_new_params) == len(_NEW_PARAMS)
        return _PLAIN_VERSION if is_plain else ROW_VERSION

    @property
    def every_image(self) -> tuple[str, ...]:
        """Return the ids of all images that the job needs, each once, oldest first."""
        earlier = [image for message in self.before for image in message.images]
        return tuple(dict.fromkeys([*earlier, *self.images]))


class ImageInfo(_Frozen):
    """An image as its job shows it."""

    # a newer gateway may have stored more
    model_config = ConfigDict(frozen=True, extra="ignore")

    #: Empty for an image that is only measured.
    id: str
    #: Pixels of the file, seen upright.
    width: int
    height: int
    #: Pixels that the model sees: width, height.
    used: tuple[int, int]
    #: Visual tokens, of all tiles where it is cut.
    tokens: int
    #: About how many tiles it is cut into.
    tiles: int = 1

    def as_dict(self) -> dict[str, Any]:
        """Return the image as a row and the API show it: `tiles` only where there are several."""
        return self.model_dump(mode="json", exclude={"tiles"} if self.tiles == 1 else None)


class Notice(_Frozen):
    """Something done to the input that the caller should know."""

    code: str
    detail: str


class Usage(_Frozen):
    """Token counts of one answer."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    image_tokens: int = 0
    cached_tokens: int = 0

    def as_dict(self) -> dict[str, int]:
        """Return the counts with their total, as OpenAI names them."""
        return self.model_dump() | {"total_tokens": self.prompt_tokens + self.completion_tokens}


class TextLine(_Frozen):
    """A line of the model's original text; `confidence` is as in Output."""

    text: str
    confidence: float


class TileInfo(_Frozen):
    """A tile of a long image, as stored in its job's row."""

    #: Image id of its pixels.
    id: str
    #: Left, top, right and bottom within the image as it is stored, right and bottom excluded.
    box: tuple[int, int, int, int]
    #: The line that replaces its text if it cannot be read.
    mark: str
    #: It is empty and is not given to the model.
    blank: bool = False
    #: How it joins the tile before it, as found by the cut.
    seam: dict[str, Any] = {}

    @property
    def size(self) -> tuple[int, int]:
        """Return width and height in pixels."""
        left, top, right, bottom = self.box
        return right - left, bottom - top

    @property
    def image(self) -> int:
        """Return which of the job's images it is part of, from 0."""
        return int(self.seam.get("image", 0))


class TileOutcome(_Frozen):
    """The outcome of one tile; stored until its job is merged."""

    text: str = ""
    #: Of the model that produced it.
    revision: str = ""
    #: It was copied from the job that this one retries.
    taken_over: bool = False
    #: It could not be read.
    gap: bool = False
    error: dict[str, Any] | None = None
    finish_reason: FinishReason = FinishReason.STOP
    usage: Usage = Usage()
    #: Tokens of its answer.
    tokens: int = 0
    confidence: float | None = None
    notices: tuple[Notice, ...] = ()
    encode_s: float = 0.0
    prefill_s: float = 0.0
    decode_s: float = 0.0


class TileOutput(_Frozen):
    """What one tile of a long image gave."""

    #: Which of the job's images it is part of, from 0.
    image: int = 0
    #: Left, top, right and bottom within the image as it is stored, pixels.
    box: tuple[int, int, int, int]
    #: What it says, or its own answer; None where all tiles were looked at together.
    text: str | None = None
    #: It could not be read.
    gap: bool = False
    #: The answer rests on it.
    evidence: bool = False
    confidence: float | None = None


class Output(_Frozen):
    """The answer."""

    text: str = ""
    json_value: Any = Field(None, serialization_alias="json")
    fields: dict[str, list[str]] = {}
    finish_reason: FinishReason = FinishReason.STOP
    partial: bool = False
    #: Geometric mean of the probabilities of its tokens; None if unknown.
    confidence: float | None = None
    lines: tuple[TextLine, ...] | None = None
    #: The parts of a long image, in reading order.
    tiles: tuple[TileOutput, ...] | None = None


class Turn(_Frozen):
    """A turn of a session: a prompt and its answer, as the next turn needs them."""

    # a newer worker may have stored more fields
    model_config = ConfigDict(frozen=True, extra="ignore")

    job_id: str
    prompt: str
    preset: str | None = None
    images: tuple[str, ...] = ()
    #: Ids of the tiles that the model saw instead of the images.
    tiles: tuple[str, ...] = ()
    #: All tiles of the images, for prompts that need them one by one.
    parts: tuple[TileInfo, ...] = ()
    #: Pixel budget of the images or tiles, so that they are scaled as before.
    max_pixels: int
    #: Enhancement of the images, for the same reason.
    enhance: Enhancement = "off"
    text: str
    #: The answer's tokens: the text might be tokenised differently.
    token_ids: tuple[int, ...] = ()
    finish_reason: str
    created_ms: int


#: Whether something was in a cache.
CacheState = Literal["hit", "miss"]
