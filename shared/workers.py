"""The workers that are up: their heartbeats, speeds and what they have loaded."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, field

from shared import keys
from shared.connection import Client, guard
from shared.memory import ImageRoom
from shared.row import dump
from shared.vision import TOKEN_SIDE


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
    extra: dict[str, float] = field(default_factory=dict)

    @property
    def image_room(self) -> ImageRoom:
        """Its memory for the images of one request."""
        return ImageRoom(self.work_bytes, self.image_token_bytes, self.tower_token_bytes)


class WorkerRegistry:
    """Heartbeats in Redis; a worker that stops beating fades out by itself."""

    def __init__(self, client: Client, ttl_s: float) -> None:
        self._redis = client
        self._ttl_s = ttl_s

    def beat(self, heartbeat: Heartbeat) -> None:
        """Publish a heartbeat; it is fresh for the registry's time to live."""
        with guard():
            pipe = self._redis.pipeline(transaction=True)
            pipe.set(keys.worker(heartbeat.id), dump(asdict(heartbeat)), px=int(self._ttl_s * 1000))
            pipe.zadd(keys.WORKERS, {heartbeat.id: time.time()})
            pipe.execute()

    def forget(self, worker_id: str) -> None:
        """Take a worker that has stopped off the list."""
        with guard():
            self._redis.delete(keys.worker(worker_id))
            self._redis.zrem(keys.WORKERS, worker_id)

    def fresh(self) -> list[Heartbeat]:
        """Return the heartbeats that have not faded."""
        with guard():
            ids = self._redis.zrange(keys.WORKERS, 0, -1)
            values = self._redis.mget([keys.worker(i) for i in ids]) if ids else []
            faded = [i for i, value in zip(ids, values, strict=True) if value is None]
            if faded:
                self._redis.zrem(keys.WORKERS, *faded)
        return [_parse(value) for value in values if value is not None]


def _parse(text: str) -> Heartbeat:
    fields = json.loads(text)
    known = Heartbeat.__dataclass_fields__
    # a newer worker may tell more than we know
    return Heartbeat(**{name: value for name, value in fields.items() if name in known})


def backlog_s(jobs: int, workers: list[Heartbeat]) -> float | None:
    """Predict the seconds that one worker would need for these jobs; None without experience."""
    if not jobs:
        return 0.0
    known = [worker.seconds_per_job for worker in workers if worker.seconds_per_job > 0]
    return jobs * sum(known) / len(known) if known else None
