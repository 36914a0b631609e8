"""One tenant's jobs, worked on by hand, and a search through every key."""

from __future__ import annotations

from typing import Any

from shared.jobs import JobInput, JobStatus, TileInfo, Tiling, TilingTask, Turn
from shared.jobs.image import StoredImage
from shared.settings import Settings
from shared.store import Claim, NewJob, Store, keys
from shared.store.jobs.tile_store import NewTile, TileStore
from shared.store.session_store import SessionStore
from shared.store.uploads.image_store import ImageStore
from shared.store.webhooks.delivery_store import DeliveryStore
from shared.webhooks import Webhook, WebhookEvent

WORDS = "nobody but me may read this"
BYTES = "bytes-of-a-private-picture"
HOOK = Webhook("https://example.com/private-hook", "https://example.com", tuple(WebhookEvent))


def image(number: int) -> StoredImage:
    return StoredImage(f"img_{number:064x}", f"{BYTES}-{number}".encode(), 8, 8, (8, 8), "PNG")


class Desk:
    """One tenant's jobs, worked on by hand."""

    def __init__(self, settings: Settings) -> None:
        self.store = Store(settings)
        self.redis = self.store.redis
        self.images = ImageStore(settings)
        self.tiles = TileStore(self.store)
        self.sessions = SessionStore(self.redis)
        self.deliveries = DeliveryStore(settings, self.redis)

    def put(self, number: int = 1, **options: Any) -> StoredImage:
        picture = image(number)
        assert self.images.put("t", picture, **options)
        return picture

    def add(self, *pictures: StoredImage, **fields: Any) -> str:
        tiling = Tiling(task=TilingTask.READ, budget=1 << 20, planned=3)
        ids = tuple(picture.id for picture in pictures)
        question = JobInput(prompt=WORDS, images=ids, tiling=tiling)
        return self.store.add(NewJob("t", question, **fields)).doorbell.job_id

    def claim(self, job_id: str) -> Claim:
        claim = self.store.claim(job_id, "w")
        assert isinstance(claim, Claim), claim
        return claim

    def finish(self, job_id: str, claim: Claim | None = None) -> None:
        claim = claim or self.claim(job_id)
        row = claim.row
        turn = None
        if row.session_id:
            turn = Turn(
                job_id=job_id,
                prompt=WORDS,
                images=row.input.images,
                max_pixels=1,
                text=WORDS,
                finish_reason="stop",
                created_ms=row.created_ms,
            )
        output = {"output": {"text": WORDS, "partial": False}}
        assert self.store.finish(job_id, claim.owner, JobStatus.SUCCEEDED, output, turn=turn)

    def cut(self, claim: Claim) -> list[TileInfo]:
        """Store the tiles of a job as its worker does before it splits the job."""
        infos = []
        for number in range(100, 103):
            tile = self.put(number, job_id=claim.row.id, owner=claim.owner)
            infos.append(TileInfo(id=tile.id, box=(0, 0, 8, 8), mark="", seam={}))
        return infos

    def split(self, job_id: str) -> list[Claim]:
        """Split a job and claim its tiles."""
        claim = self.claim(job_id)
        infos = self.cut(claim)
        work = [NewTile(JobInput(prompt=WORDS, images=(info.id,)), live=True) for info in infos]
        doorbells = self.tiles.split(claim, infos, work, together=False, room=9)
        assert doorbells is not None
        return [self.claim(doorbell.job_id) for doorbell in doorbells]

    def mentions(self, *needles: str) -> list[str]:
        """Return every key whose name or content has one of the needles."""
        return sorted(
            key
            for key in self.redis.scan_iter("*")
            if not key.startswith(keys.GONE)
            and any(needle in f"{key} {self.content(key)}" for needle in needles)
        )

    def content(self, key: str) -> str:
        raw = self.images._redis
        match raw.type(key).decode():
            case "string":
                return str(raw.get(key))
            case "hash":
                return str(raw.hgetall(key))
            case "list":
                return str(raw.lrange(key, 0, -1))
            case "set":
                return str(raw.smembers(key))
            case "zset":
                return str(raw.zrange(key, 0, -1))
            case _:
                return str(raw.xrange(key))
