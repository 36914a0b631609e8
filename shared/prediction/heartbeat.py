"""The heartbeat of a worker: its model, its limits, its load and its measured speed."""

from __future__ import annotations

from dataclasses import dataclass, field

from shared.jobs.abilities import Ability
from shared.prediction.image_memory import ImageRoom
from shared.prediction.visual_tokens import TOKEN_SIDE


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """What a worker publishes with every beat; its fields are part of the protocol."""

    id: str
    model: str
    revision: str = ""
    numerics: str = ""
    #: Why these numerics, for people.
    numerics_reason: str = ""
    #: What computes them on its machine, for people.
    arithmetic: str = ""
    context_tokens: int = 0
    #: Bounds of the pixels that its model looks at of one image.
    min_pixels: int = 4096
    max_pixels: int = 16_777_216
    #: Pixels of a side that one visual token covers.
    token_side: int = TOKEN_SIDE
    #: Memory for the images of one request, and bytes for each visual token; see ImageRoom.
    work_bytes: int = 0
    image_token_bytes: int = 0
    tower_token_bytes: int = 0
    #: Sampling that its checkpoint recommends, by parameter.
    sampling: dict[str, float] = field(default_factory=dict)
    #: Its model can think before it answers.
    thinks: bool = False
    demo: bool = False
    #: Names the weights of its second reader; "" without one.
    reader: str = ""
    simulated: bool = False
    #: What computes its model: `sightline`, `transformers` or `simulated`.
    engine: str = "sightline"
    #: Abilities that this engine has not, out of `shared.jobs.abilities`.
    lacks: tuple[str, ...] = ()
    #: The models, with and without revision, of which it takes the jobs that wait for them alone;
    #: () of an older worker, which takes any job.
    pools: tuple[str, ...] = ()
    #: The queue that only this worker consumes.
    queue: str = ""
    #: The shared queues that it consumes now; None of an older worker, which does not say.
    consumes: tuple[str, ...] | None = None
    host: str = ""
    pid: int = 0
    version: str = ""
    #: Jobs that it can run at once, and those that run now.
    slots: int = 1
    busy: int = 0
    #: It accepts no new jobs: it is stopping, or an operator has asked it to.
    draining: bool = False
    drained: bool = False
    #: Memory of its process, and of its machine or container; 0 while unknown.
    memory_bytes: int = 0
    memory_total_bytes: int = 0
    #: Busy seconds per finished job, 0 while unknown: its throughput under load, inverted.
    seconds_per_job: float = 0.0
    encode_tokens_per_s: float = 0.0
    prefill_tokens_per_s: float = 0.0
    decode_tokens_per_s: float = 0.0
    #: Measured curves by stage, as Speed.as_dict gives them; empty while unknown.
    speed: dict[str, list[float]] = field(default_factory=dict)
    #: Measured over predicted busy seconds, while every slot was taken.
    load_factor: float = 1.0
    #: Mean requests in one pass of its model.
    batch_requests: float = 0.0

    def takes_from(self, queue: str) -> bool:
        """Tell whether it takes jobs from a shared queue."""
        return not self.draining and (self.consumes is None or queue in self.consumes)

    @property
    def points(self) -> bool:
        """Tell whether its model can point at things."""
        return not self.demo and Ability.POINTING not in self.lacks

    @property
    def knows_sizes(self) -> bool:
        """Tell whether its images have exactly the sizes and tokens of the formula."""
        return self.engine != "transformers"

    @property
    def image_room(self) -> ImageRoom:
        """Return its memory for the images of one request."""
        return ImageRoom(self.work_bytes, self.image_token_bytes, self.tower_token_bytes)
