"""The data of a job: its input, parameters, status and output, as pydantic models."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable
from enum import StrEnum
from typing import Any, Literal

from pydantic import (
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
)

from shared.jobs.answers.evidence import Evidence
from shared.jobs.answers.find import FoundObject, SearchTerms
from shared.jobs.answers.lines import Boxes, SeenRow, TextLine
from shared.jobs.answers.review import ReviewRule
from shared.jobs.document import DocumentInput, PageSource, TextLayer
from shared.jobs.parameters.enhancement import Enhancement, EnhanceStep
from shared.jobs.parameters.generation import Frozen, GenerationParams

#: Incremented when a row's fields change meaning; a worker refuses rows newer than itself.
ROW_VERSION = 5

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
    #: The second reader reads.
    READ = "read"


#: Pixels that one image may keep for the model: 1 megapixel is about 1,024 visual tokens.
DETAIL_PIXELS = {"low": 262_144, "auto": 1_048_576, "high": 4_194_304}


#: The places in a text of the images that it is about, in characters, as many as there are images;
#: none where all of them come before it. A place within the text lies at the line break between
#: two parts, which is not part of the prompt.
ImagePlaces = tuple[int, ...]

#: What reads the text of images: the model, the second reader, or both, which are compared.
Reader = Literal["model", "second", "both"]


def _without_places(fields: dict[str, Any]) -> dict[str, Any]:
    """Leave out places that an older worker does not know and that change nothing."""
    if not fields["image_places"]:
        del fields["image_places"]
    return fields


class ConversationMessage(Frozen):
    """A message of a conversation that the caller sends as a whole with each request."""

    role: Literal["system", "user", "assistant"]
    text: str
    images: tuple[str, ...] = ()
    #: Pixel budget of the images, so that they are scaled as before.
    max_pixels: int = DETAIL_PIXELS["auto"]
    image_places: ImagePlaces = ()

    @model_serializer(mode="wrap")
    def _without_unused(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return _without_places(dump(self))


class TilingTask(StrEnum):
    """What is done with the tiles of a long image."""

    #: Each is read by itself, and the texts are joined.
    READ = "read"
    #: All of them give one answer.
    ASK = "ask"


class Tiling(Frozen):
    """How a job's images are cut into tiles."""

    task: TilingTask
    #: Pixels of one tile.
    budget: int
    #: Tiles expected from the sizes alone; the cut may need one more or less.
    planned: int
    #: A tile that cannot be read fails the job instead of leaving a gap.
    strict: bool = False
    #: No image is cut: each of several is read by itself, as a whole.
    whole: bool = False

    @model_serializer(mode="wrap")
    def _without_unused(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what an older worker does not know and that changes nothing."""
        fields: dict[str, Any] = dump(self)
        return fields if self.whole else {k: v for k, v in fields.items() if k != "whole"}


#: Members that came with version 5 of a row, and values of them that change nothing.
_LATE_INPUTS: dict[str, Any] = {
    "reference": "",
    "reader": "model",
    "boxes": "none",
    "evidence": False,
    "find": None,
    "review": None,
    "keep_all": False,
    "document": None,
}


class JobInput(Frozen):
    """What a worker needs to run the job; stored in the row as JSON."""

    prompt: str
    #: Messages before the prompt, oldest first; a session's turns come before them.
    before: tuple[ConversationMessage, ...] = ()
    #: Id of a conversation that the caller keeps; its cached keys and values are reused.
    thread: str = ""
    #: Image ids `img_<sha256>` in the order of the request.
    images: tuple[str, ...] = ()
    image_places: ImagePlaces = ()
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
    #: A text that the answer may follow, which makes it faster and does not change it.
    reference: str = ""
    #: What reads the images.
    reader: Reader = "model"
    #: Whether the lines that are read have their places; the second reader finds them.
    boxes: Boxes = "none"
    #: Whether the values of a JSON answer are looked up among what the second reader sees.
    evidence: bool = False
    #: What is looked for instead of an answer: each part of a long job is searched by itself.
    find: SearchTerms | None = None
    #: What of the answer a person should look at.
    review: ReviewRule | None = None
    #: Fail where the conversation does not fit, instead of leaving out its oldest part.
    keep_all: bool = False
    #: What is read or asked about page by page; its tiling says how.
    document: DocumentInput | None = None

    @property
    def row_version(self) -> int:
        """Return the version of its row: the first one that has all that it uses."""
        has_places = bool(self.image_places) or any(m.image_places for m in self.before)
        is_whole = self.tiling is not None and self.tiling.whole
        reads_new = self.needs_reader or self.wants_places or self.find is not None
        shrinks = isinstance(self.enhance, tuple) and EnhanceStep.DOWNSCALE in self.enhance
        asks_new = self.keep_all or reads_new or shrinks or bool(self.reference or self.review)
        is_new = has_places or is_whole or asks_new or self.document is not None
        return ROW_VERSION if is_new else self.params.row_version

    @property
    def needs_reader(self) -> bool:
        """Tell whether only a worker with the second reader can run it."""
        if self.find is not None:
            return self.wants_places and not self._brings_text
        return self.reader != "model" or (self.wants_places and not self._brings_text)

    @property
    def wants_places(self) -> bool:
        """Tell whether it is to be known where text stands."""
        searches_text = self.find is not None and self.reader != "model"
        return self.boxes != "none" or self.evidence or searches_text

    @property
    def _brings_text(self) -> bool:
        """Tell whether only texts are taken that the pages of a document bring along."""
        return self.document is not None and self.document.text_layer is TextLayer.ONLY

    @model_serializer(mode="wrap")
    def _without_unused(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields = _without_places(dump(self))
        unused = {name for name, value in _LATE_INPUTS.items() if getattr(self, name) == value}
        return {name: value for name, value in fields.items() if name not in unused}

    @property
    def every_image(self) -> tuple[str, ...]:
        """Return the ids of all images that the job needs, each once, oldest first."""
        earlier = [image for message in self.before for image in message.images]
        return tuple(dict.fromkeys([*earlier, *self.images]))


class ImageInfo(Frozen):
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
    #: File name that it was sent under; None if none is known.
    name: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the image as a row and the API show it, without a single tile or no name."""
        plain = {"tiles": self.tiles == 1, "name": self.name is None}
        return self.model_dump(mode="json", exclude={key for key, is_so in plain.items() if is_so})


class Notice(Frozen):
    """Something done to the input that the caller should know."""

    code: str
    detail: str


#: Members of Usage that older workers do not know.
_LATE_COUNTS = ("draft_tokens", "accepted_tokens", "reasoning_tokens")


class Usage(Frozen):
    """Token counts of one answer."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    image_tokens: int = 0
    cached_tokens: int = 0
    #: Of the answer: guessed ahead and checked by the model, and those of them that were right.
    draft_tokens: int = 0
    accepted_tokens: int = 0
    #: Of the answer: what the model has thought before it.
    reasoning_tokens: int = 0

    @model_serializer(mode="wrap")
    def _without_unused(self, dump: SerializerFunctionWrapHandler) -> dict[str, int]:
        """Leave out what an older worker does not know where there is nothing to tell."""
        counts: dict[str, int] = dump(self)
        return {name: count for name, count in counts.items() if count or name not in _LATE_COUNTS}

    @classmethod
    def total(cls, usages: Iterable[Usage]) -> Usage:
        """Return the counts of several answers together."""
        each = list(usages)
        return cls(**{name: sum(getattr(u, name) for u in each) for name in cls.model_fields})

    @property
    def answer_tokens(self) -> int:
        """Return the tokens of the answer itself, without what the model has thought before it."""
        return self.completion_tokens - self.reasoning_tokens

    @property
    def in_every_version(self) -> Usage:
        """Return the counts that every version knows."""
        return self.model_copy(update=dict.fromkeys(_LATE_COUNTS, 0))

    def as_dict(self) -> dict[str, int]:
        """Return the counts with their total, as OpenAI names them."""
        return self.model_dump() | {"total_tokens": self.prompt_tokens + self.completion_tokens}


def _without_unset(fields: dict[str, Any], *names: str) -> dict[str, Any]:
    """Leave out members that an older worker or gateway does not know, where they say nothing."""
    return {name: value for name, value in fields.items() if name not in names or value}


class TileInfo(Frozen):
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
    seam: dict[str, Any] = Field(default_factory=dict)

    @property
    def placed(self) -> dict[str, Any]:
        """Return its box and seam; the box is within the image as it was read, maybe turned."""
        return {"box": self.box} | {name: v for name, v in self.seam.items() if name != "turn"}

    @property
    def turn(self) -> int:
        """Return the degrees by which its image was turned clockwise to be read."""
        return int(self.seam.get("turn", 0))

    @property
    def doubtful(self) -> bool:
        """Tell whether it could not be told how its image lies."""
        return self.seam.get("turn") == 0

    @property
    def size(self) -> tuple[int, int]:
        """Return width and height in pixels."""
        left, top, right, bottom = self.box
        return right - left, bottom - top

    @property
    def image(self) -> int:
        """Return which of the job's images it is part of, from 0."""
        return int(self.seam.get("image", 0))


class TileOutcome(Frozen):
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
    #: Seconds of the second reader, and its text where the model has read as well.
    read_s: float = 0.0
    second_text: str = ""
    #: What the second reader has seen and where, within the tile; () unless places are wanted.
    rows: tuple[SeenRow, ...] = ()
    #: What the job looks for, as far as the model has pointed at it within the tile; on a page also
    #: what stands in its text.
    objects: tuple[FoundObject, ...] = ()

    @model_serializer(mode="wrap")
    def _without_second(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return _without_unset(dump(self), "read_s", "second_text", "rows", "lines", "objects")


class PageOutcome(TileOutcome):
    """The outcome of one page of a document; its notices are the page's own warnings."""

    source: PageSource = PageSource.MODEL
    #: Tiles that the page was read in; 0 where the model did not see it.
    tiles: int = 0
    #: Its lines and their places, or what was seen on it; () unless places are wanted.
    lines: tuple[TextLine, ...] = ()


class PageOutput(Frozen):
    """What one page of a document gave."""

    #: Its number in the document, from 1.
    page: int
    #: What it says, or its own answer; None where one prompt was about all pages, or in a gap.
    text: str | None = None
    source: PageSource = PageSource.MODEL
    #: Geometric mean of the probabilities of its tokens; None where no model has read it.
    confidence: float | None = None
    #: It could not be read.
    gap: bool = False
    #: The answer rests on it.
    evidence: bool = False
    warnings: tuple[Notice, ...] = ()
    tiles: int = 0
    #: The lines at its top and bottom that other pages have too, with their line breaks.
    header: str | None = None
    footer: str | None = None


class TileOutput(Frozen):
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


class ImageOutput(Frozen):
    """The text of one of several images that were read."""

    #: Which of the job's images, from 0.
    image: int
    text: str
    #: A part of it could not be read.
    gap: bool = False


#: Members of an output that it has only where there is something to say.
_UNASKED = ("evidence", "objects", "review", "reasoning")


class Output(Frozen):
    """The answer."""

    text: str = ""
    #: What the model has thought before it answered; None where it did not.
    reasoning: str | None = None
    json_value: Any = Field(None, serialization_alias="json")
    fields: dict[str, list[str]] = Field(default_factory=dict)
    finish_reason: FinishReason = FinishReason.STOP
    partial: bool = False
    #: Geometric mean of the probabilities of its tokens; None if unknown.
    confidence: float | None = None
    lines: tuple[TextLine, ...] | None = None
    #: The parts of a long image, in reading order.
    tiles: tuple[TileOutput, ...] | None = None
    #: The pages of a document, in the order in which they were asked for.
    pages: tuple[PageOutput, ...] | None = None
    #: The text of each image, where several were read.
    images: tuple[ImageOutput, ...] | None = None
    #: What has read the images.
    reader: Reader | None = None
    #: Of each value of `json`, by JSON pointer: whether it is printed, and where; None unless it
    #: is wanted.
    evidence: dict[str, Evidence] | None = None
    #: Of a job that looks for something: each place where it was seen.
    objects: tuple[FoundObject, ...] | None = None
    #: JSON pointers of the parts that a person should look at; None unless they are wanted.
    review: tuple[str, ...] | None = None

    @model_serializer(mode="wrap")
    def _without_unasked(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields: dict[str, Any] = dump(self)
        unasked = [name for name in _UNASKED if fields[name] is None]
        return _without_unset(fields, *unasked)


#: What a conversation has of a turn.
TurnPart = Literal["both", "question", "answer"]
#: What begins the ids of turns that no job has answered: those that a caller has added.
ADDED_TURN = "msg_"


class Turn(Frozen):
    """A turn of a session: a prompt and its answer, as the next turn needs them."""

    # a newer worker may have stored more fields
    model_config = ConfigDict(frozen=True, extra="ignore")

    job_id: str
    prompt: str
    preset: str | None = None
    images: tuple[str, ...] = ()
    image_places: ImagePlaces = ()
    #: Ids of the tiles that the model saw instead of the images.
    tiles: tuple[str, ...] = ()
    #: All tiles of the images, for prompts that need them one by one.
    parts: tuple[TileInfo, ...] = ()
    #: The document that it is about.
    document: DocumentInput | None = None
    #: Pixel budget of the images or tiles, so that they are scaled as before.
    max_pixels: int
    #: Enhancement of the images, for the same reason.
    enhance: Enhancement = "off"
    text: str
    #: The answer's tokens: the text might be tokenised differently.
    token_ids: tuple[int, ...] = ()
    #: The model that wrote them; "" of an older worker.
    model: str = ""
    finish_reason: str
    created_ms: int
    #: Who says the prompt.
    role: Literal["user", "system"] = "user"
    #: One half alone, where the other was deleted or never was.
    part: TurnPart = "both"

    @property
    def is_added(self) -> bool:
        """Tell whether its caller has added it; no job has answered it."""
        return self.job_id.startswith(ADDED_TURN)

    @property
    def has_question(self) -> bool:
        """Tell whether its prompt is a part of the conversation."""
        return self.part != "answer"

    @property
    def has_answer(self) -> bool:
        """Tell whether its answer is a part of the conversation."""
        return self.part != "question"

    def read_by(self, model: str) -> Turn:
        """Return it as a model reads it: the tokens of another one mean something else to it."""
        return self if self.model in ("", model) else self.model_copy(update={"token_ids": ()})

    def without(self, part: TurnPart) -> Turn | None:
        """Return it without its question or its answer; None where nothing is left."""
        if self.part == part:
            return None
        return self._answer_alone() if part == "question" else self._question_alone()

    def _question_alone(self) -> Turn:
        return self.model_copy(update={"part": "question", "text": "", "token_ids": ()})

    def _answer_alone(self) -> Turn:
        shown = {"images": (), "image_places": (), "tiles": (), "parts": (), "document": None}
        return self.model_copy(update={"part": "answer", "prompt": "", **shown})


#: Whether something was in a cache.
CacheState = Literal["hit", "miss"]
