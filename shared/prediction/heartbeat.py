"""What a worker tells of itself: its model, its room and its measured speed."""

from __future__ import annotations

from dataclasses import dataclass, field

from shared.prediction.image_memory import ImageRoom
from shared.prediction.visual_tokens import TOKEN_SIDE


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """What a worker tells of itself every beat."""

    id: str
    model: str
    revision: str = ""
    numerics: str = ""
    context_tokens: int = 0
    #: Pixels between which its model keeps an image.
    min_pixels: int = 4096
    max_pixels: int = 16_777_216
    #: Pixels of a side that one visual token covers.
    token_side: int = TOKEN_SIDE
    #: Bytes that the images of a request may take, and take for each visual token; see ImageRoom.
    work_bytes: int = 0
    image_token_bytes: int = 0
    tower_token_bytes: int = 0
    demo: bool = False
    simulated: bool = False
    #: The queue that only this worker listens to.
    queue: str = ""
    host: str = ""
    pid: int = 0
    version: str = ""
    #: Jobs that it can answer at once, and those that it answers now.
    slots: int = 1
    busy: int = 0
    #: It takes no new jobs because it is stopping.
    draining: bool = False
    #: Busy seconds per finished job, 0 while unknown: its throughput under load, inverted.
    seconds_per_job: float = 0.0
    encode_tokens_per_s: float = 0.0
    prefill_tokens_per_s: float = 0.0
    decode_tokens_per_s: float = 0.0
    #: Measured curves by stage, as costs.Speed tells them; empty while unknown.
    speed: dict[str, list[float]] = field(default_factory=dict)
    #: Busy seconds with every slot taken, per second that the curves had predicted.
    load_factor: float = 1.0
    #: Requests that share a pass of its model, on average.
    batch_requests: float = 0.0

    @property
    def image_room(self) -> ImageRoom:
        """Its memory for the images of one request."""
        return ImageRoom(self.work_bytes, self.image_token_bytes, self.tower_token_bytes)
