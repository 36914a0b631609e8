"""The engine's interface: requests in, events out; knows no torch, Celery or Redis."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from shared.jobs import (
    CacheState,
    FinishReason,
    GenerationParams,
    ImagePlaces,
    Notice,
    Stage,
    TextLine,
    Usage,
)
from shared.jobs.abilities import Ability
from shared.jobs.layout import lay_out
from shared.jobs.parameters.enhancement import LETTER_HEIGHT
from shared.prediction.curves import UNKNOWN, Curve
from shared.prediction.image_memory import UNBOUNDED, ImageRoom
from shared.prediction.visual_tokens import TOKEN_SIDE

if TYPE_CHECKING:
    from PIL.Image import Image

    from shared.errors import ServiceError

#: Code of the notice that an answer was cut off before it satisfied its constraint.
UNFINISHED = "answer_unfinished"


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """The loaded model, as `/v1/models` and the job show it."""

    #: From the setting or the checkpoint.
    name: str
    #: Distinguishes weights: the features of one revision are not those of another.
    revision: str
    #: Tokens of prompt, images and answer together.
    context_tokens: int
    numerics: str
    #: Why these, for people.
    numerics_reason: str = ""
    #: What computes them on this machine, for people.
    arithmetic: str = ""
    #: Pixels between which the model's image processor keeps an image.
    min_pixels: int = 4096
    max_pixels: int = 16_777_216
    #: Pixels of a side that one visual token covers.
    token_side: int = TOKEN_SIDE
    #: Memory for the images of one request.
    image_room: ImageRoom = UNBOUNDED
    #: Height in pixels of the lowest letters that the model reads well.
    letter_height: float = LETTER_HEIGHT
    #: Height in pixels of the tallest letters that it reads well; None where nothing bounds them.
    tallest_letters: float | None = None
    #: Letters that the model reads well in one look; None where nothing bounds them.
    letters_at_once: float | None = None
    #: Sampling that the checkpoint recommends, by parameter.
    sampling: Mapping[str, float] = field(default_factory=dict)
    #: It can think before it answers.
    thinks: bool = False
    demo: bool = False
    simulated: bool = False
    #: What computes it: `sightline`, `transformers` or `simulated`.
    engine: str = "sightline"
    #: Abilities that it has not, out of `shared.jobs.abilities`.
    lacks: tuple[str, ...] = ()

    @property
    def points(self) -> bool:
        """Tell whether the model can point at things."""
        return not self.demo and Ability.POINTING not in self.lacks


@dataclass(frozen=True, slots=True)
class ImageInput:
    """An RGB image and what identifies its pixels."""

    #: Image id `img_<sha256>` of the canonical pixels.
    id: str
    image: Image
    #: Pixel budget: the engine scales the image down to it, keeping its aspect.
    max_pixels: int
    #: Names the enhancement of those pixels; "" for none.
    variant: str = ""
    #: Id of the stored file that it is a picture of; "" for the image's own.
    file_id: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: str
    text: str
    images: tuple[ImageInput, ...] = ()
    #: Generated ids of an assistant's turn, so that its text is not tokenised again; what it has
    #: thought before its answer is not among them.
    token_ids: tuple[int, ...] | None = None
    image_places: ImagePlaces = ()

    @property
    def parts(self) -> list[ImageInput | str]:
        """Return images and texts in the order in which the model reads them."""
        parts = lay_out(self.text, self.images, self.image_places)
        return [text if image is None else image for image, text in parts]


#: A text, or the ids of a generated one.
Reference = str | tuple[int, ...]


@dataclass(frozen=True, slots=True)
class EngineRequest:
    """One question to the model, with the conversation before it."""

    id: str
    messages: tuple[Message, ...]
    params: GenerationParams
    #: `time.monotonic()` at which the answer is cut off; None for never.
    deadline: float | None = None
    #: Requests of one scope may share keys and values: a tenant's session. "" shares nothing.
    scope: str = ""
    #: Requests of one scope may share image features: a tenant. "" shares nothing.
    feature_scope: str = ""
    #: End once the images' features are cached; the prompt is not answered.
    encode_only: bool = False
    #: A part of a long job: other requests go first.
    background: bool = False
    #: What the answer may follow, likeliest first: it comes faster then and is the same.
    references: tuple[Reference, ...] = ()


@dataclass(frozen=True, slots=True)
class UsedImage:
    """The size at which the model sees one image."""

    id: str
    #: Width and height in pixels.
    used: tuple[int, int]
    tokens: int


@dataclass(frozen=True, slots=True)
class Started:
    """The sizes of prompt and images; sent once, before any work on the tower."""

    prompt_tokens: int
    images: tuple[UsedImage, ...]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one stage has come, 0 to 1."""

    stage: Stage
    fraction: float


@dataclass(frozen=True, slots=True)
class Delta:
    """New text of the answer; whole characters only."""

    text: str
    output_tokens: int


@dataclass(frozen=True, slots=True)
class Thought:
    """New text of what the model thinks before it answers; whole characters only."""

    text: str
    #: All tokens so far, those of an answer included.
    output_tokens: int


@dataclass(frozen=True, slots=True)
class Timings:
    """Seconds that this request spent in each stage; waiting for others is part of it."""

    encode_s: float = 0.0
    prefill_s: float = 0.0
    decode_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Completion:
    """The end of an answer; also sent for canceled and overdue ones, with the text so far."""

    text: str
    finish_reason: FinishReason
    usage: Usage
    timings: Timings
    token_ids: tuple[int, ...] = ()
    features: CacheState | None = None
    prefix: CacheState | None = None
    #: Geometric mean of the tokens' probabilities; None without any.
    confidence: float | None = None
    lines: tuple[TextLine, ...] | None = None
    #: About unmet constraints and repetitions.
    notices: tuple[Notice, ...] = ()
    #: What the model has thought before the answer; None where it did not.
    reasoning: str | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """The request ended in an error; other requests go on."""

    error: ServiceError


Event = Started | Progress | Thought | Delta | Completion | Failed


@dataclass(frozen=True, slots=True)
class Rates:
    """Measured speeds, 0 while unknown; moving averages over recent work."""

    encode_tokens_per_s: float = 0.0
    prefill_tokens_per_s: float = 0.0
    decode_tokens_per_s: float = 0.0
    #: Requests that share a pass of the model, averaged over its seconds.
    batch_requests: float = 0.0
    #: Seconds of one image over its visual tokens.
    encode: Curve = UNKNOWN
    #: Seconds of one pass over the prompt tokens in it.
    prefill: Curve = UNKNOWN
    #: Seconds of one pass over the answers that it gives a token to.
    step: Curve = UNKNOWN


@dataclass(slots=True)
class Ticket:
    """The queue of one request's events: the engine puts them, one job thread gets them."""

    request: EngineRequest
    #: Takes what the answer may follow, of an engine that drafts.
    _refer: Callable[[Reference], None] | None = None
    _events: queue.SimpleQueue[Event] = field(default_factory=queue.SimpleQueue)
    _canceled: threading.Event = field(default_factory=threading.Event)

    def put(self, event: Event) -> None:
        """Queue an event; called by the engine only."""
        self._events.put(event)

    def get(self, timeout_s: float) -> Event | None:
        """Return the next event, or None when none came in time."""
        try:
            return self._events.get(timeout=timeout_s)
        except queue.Empty:
            return None

    def refer(self, reference: Reference) -> None:
        """Add what the answer may follow while it is written; safe from any thread."""
        if self._refer is not None:
            self._refer(reference)

    def cancel(self) -> None:
        """Ask the engine to stop this request within one step; safe from any thread."""
        self._canceled.set()

    @property
    def canceled(self) -> bool:
        """Tell whether `cancel` was called."""
        return self._canceled.is_set()

    @property
    def end_reason(self) -> FinishReason | None:
        """Why the request must end now: canceled or past its deadline; None if it need not."""
        if self.canceled:
            return FinishReason.CANCELED
        deadline = self.request.deadline
        if deadline is not None and time.monotonic() >= deadline:
            return FinishReason.DEADLINE
        return None

    def events(self, poll_s: float = 1.0) -> Iterator[Event]:
        """Yield events until the last one, a Completion or a Failed."""
        while True:
            event = self.get(poll_s)
            if event is None:
                continue
            yield event
            if isinstance(event, Completion | Failed):
                return


class ByteStore(Protocol):
    """Where workers share image features; it may lose anything at any time."""

    def get(self, key: str) -> bytes | None:
        """Return what was put, or None."""

    def put(self, key: str, value: bytes) -> None:
        """Store the value if there is space for it."""

    def forget(self, mark: str) -> None:
        """Delete all values whose keys begin with this mark and a colon."""


class Engine(Protocol):
    """A loaded model that answers requests, as many at once as it can."""

    @property
    def info(self) -> ModelInfo:
        """Return what is loaded."""

    @property
    def rates(self) -> Rates:
        """Return the speeds measured so far."""

    def forget_rates(self) -> None:
        """Measure all speeds anew, as first passes are slow."""

    @property
    def alive(self) -> bool:
        """Tell whether the thread that owns the model still works."""

    def submit(self, request: EngineRequest) -> Ticket:
        """Queue a request; raises an InputError when it can never be answered."""

    def forget(self, marks: frozenset[str]) -> None:
        """Drop what was computed from files with these marks, and keep nothing of them.

        That holds until the next call, which names other marks.
        """

    def close(self) -> None:
        """Stop the engine; every unfinished request ends as canceled."""
