"""A store and its model, side by side, under a clock that can be put forward."""

from __future__ import annotations

from collections import Counter
from random import Random

from shared.jobs.image import StoredImage
from shared.settings import Settings
from shared.store import Claim, Store, keys
from shared.store.connection import Client, connect
from shared.store.jobs.tile_store import TileStore
from shared.store.session_store import SessionStore
from shared.store.uploads.image_store import ImageStore
from tests.integration.store.model.rows import TERMINAL, Row
from tests.integration.store.model.rules import Model

TENANTS = ["a", "ab", "b"]
SESSIONS = ["", "", "", "s1", "s2"]
PICTURES = [
    StoredImage(f"img_{n:064x}", f"picture {n}".encode(), 8, 8, (8, 8), "PNG") for n in range(4)
]
IN_FLIGHT = 12
ROOM = 3
#: Shortest step of the clock that is allowed near the end of something, ms.
MARGIN_MS = 3000

_STEERED = """
local real_redis = redis
local redis = setmetatable({call = function(name, ...)
  local shift = tonumber(real_redis.call('GET', 'walk:shift') or 0)
  if name == 'TIME' then
    local time = real_redis.call('TIME')
    return {time[1] + math.floor(shift / 1000), tonumber(time[2]) + shift % 1000 * 1000}
  elseif name == 'PEXPIREAT' then
    local key, at = ...
    return real_redis.call('PEXPIREAT', key, string.format('%.0f', at - shift))
  end
  return real_redis.call(name, ...)
end}, {__index = real_redis})
"""


def steer(client: Client) -> Client:
    """Let the scripts of a client go by a clock that can be put forward."""
    register = client.register_script
    client.register_script = lambda text: register(_STEERED + text)
    return client


class World:
    """A store and its model, side by side, under one clock."""

    def __init__(self, redis_url: str, seed: int) -> None:
        self.dice = Random(seed)
        self.settings = Settings(
            redis_url=redis_url, lease_s=100, reap_s=60, max_attempts=3, session_ttl_s=7200
        )
        self.redis = steer(connect(self.settings))
        self.redis.flushall()
        self.store = Store(self.settings, self.redis)
        self.tiles = TileStore(self.store)
        self.sessions = SessionStore(self.redis)
        self.images = ImageStore(self.settings, steer(connect(self.settings, text=False)))
        self.model = Model(lease_ms=100_000, gap_ms=180_000, attempts=3, talk_ms=7.2e6, room=ROOM)
        self.shift = 0
        #: Claims that are or once were good, the newest last.
        self.claims: list[Claim] = []
        self.done: Counter[str] = Counter()
        self.redis.hset(keys.WEIGHTS, "b", 2)
        #: Ids of erased jobs, of which nothing may be left.
        self.erased: set[str] = set()
        #: Owner tokens that have ended a job.
        self.finished: set[str] = set()
        #: The owner token that gave a row back last, and that split a job.
        self.released: dict[str, str] = {}
        self.split_by: dict[str, str] = {}
        #: Owner tokens that have ended a tile, with the tile's long job.
        self.tile_ends: dict[str, str] = {}

    # the clock

    def now(self) -> float:
        seconds, micros = self.redis.time()
        return float(seconds * 1000 + micros / 1000 + self.shift)

    def pass_near_moments(self) -> None:
        """Pass what would be over soon: on a slow machine it may be in the middle of a step."""
        for row in self.unfinished():
            # its worker never ends it, and its indexes would be gone before it
            if row.images_ms - self.now() < 10 * MARGIN_MS:
                self.erase_row(row)
        if any(abs(self.now() - moment) < MARGIN_MS for moment in self.model.moments()):
            self.advance(0)

    def unfinished(self) -> list[Row]:
        """Return the jobs that have not ended."""
        rows = self.model.rows.values()
        return [row for row in rows if not row.parent and row.status not in TERMINAL]

    def erase_row(self, row: Row) -> None:
        """Erase a job, as its caller does."""
        self.store.erase(row.id, row.tenant)
        self.model.erase(row)
        self.erased.add(row.id)
        self.check_images_gone(row)

    def advance(self, step_ms: int) -> None:
        """Put the clock forward, past no moment so closely that it could be taken for another.

        Nor past twice the life of a job that nobody has ended: somebody reaps every few seconds.
        """
        left_ms = [row.images_ms - self.now() for row in self.unfinished()]
        step_ms = max(0, int(min(step_ms, *left_ms, 1e9) - 5 * MARGIN_MS))
        while any(
            abs(self.now() + step_ms - moment) < MARGIN_MS for moment in self.model.moments()
        ):
            step_ms += MARGIN_MS
        self.shift += step_ms
        self.redis.set("walk:shift", self.shift)
        for key in list(self.redis.scan_iter("sl:*", count=1000)):
            left = self.redis.pttl(key)
            if left > step_ms:
                self.redis.pexpire(key, left - step_ms)
            elif left > 0:
                self.redis.delete(key)
        self.model.expire(self.now())

    def check_images_gone(self, erased: Row) -> None:
        """An image that no other job and no conversation can need is gone with its job."""
        for image_id in erased.images:
            others = [row for row in self.model.jobs(erased.tenant) if image_id in row.images]
            talks = [name for name in self.model.talks if name[0] == erased.tenant]
            if not others and not talks:
                assert self.images.pngs(erased.tenant, [image_id]) == [None], image_id

    def reap(self) -> None:
        self.store.reap()
        self.model.reap(self.now())
