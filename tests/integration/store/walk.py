"""Walk at random through the lives of jobs: `python -m tests.integration.store.walk --seeds 50`.

Each step does the same to the store and to a model; then both must say the same of every job, line,
list, image and conversation. The clock of Redis is steered, so that leases, deadlines and rows run
out.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

from shared.errors import Erased, NotFound, SessionBusy, TooManyInFlight
from shared.jobs import (
    JobInput,
    JobStatus,
    Priority,
    TileInfo,
    TileOutcome,
    Tiling,
    TilingTask,
    Turn,
)
from shared.jobs.image import StoredImage
from shared.queue import broker_lists
from shared.settings import Settings
from shared.store import Claim, NewJob, Store, Verdict, keys
from shared.store.connection import Client, connect
from shared.store.image_store import ImageStore
from shared.store.job_events import EventReader
from shared.store.rate_limits import RateLimits
from shared.store.session_store import SessionStore
from shared.store.tile_store import NewTile, TileStore
from tests.integration.store.job_model import TERMINAL, Model, Row
from tests.support.harness import running_redis

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


class Walk:
    """A store and its model, and one random way through both."""

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

    # the clock

    def now(self) -> float:
        seconds, micros = self.redis.time()
        return float(seconds * 1000 + micros / 1000 + self.shift)

    def advance(self, step_ms: int) -> None:
        """Put the clock forward, past no moment so closely that it could be taken for another.

        Nor past twice the life of a job that nobody has ended: somebody reaps every few seconds.
        """
        unfinished = [row for row in self.model.rows.values() if row.status not in TERMINAL]
        left_ms = [row.images_ms - self.now() for row in unfinished if not row.parent]
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

    # steps of callers

    def add(self) -> None:
        dice, tenant = self.dice, self.dice.choice(TENANTS)
        session, priority = dice.choice(SESSIONS), dice.choice(list(Priority))
        pictures = dice.sample(PICTURES, dice.randint(0, 2))
        is_long = dice.random() < 0.4
        tiling = Tiling(task=TilingTask.READ, budget=1 << 20, planned=3, strict=dice.random() < 0.3)
        ttl_s = dice.choice([600, 7000, 90_000])
        deadline_s = dice.choice([None, None, float(dice.randint(50, 500))])
        job = NewJob(
            tenant,
            JobInput(
                prompt="what?",
                images=tuple(picture.id for picture in pictures),
                tiling=tiling if is_long else None,
            ),
            priority=priority,
            ttl_s=ttl_s,
            deadline_s=deadline_s,
            session_id=session or None,
            limits=RateLimits(in_flight=IN_FLIGHT),
        )
        for picture in pictures:
            self.images.put(tenant, picture, job_id=job.id)
        talk = self.model.talks.get((tenant, session)) if session else None
        try:
            self.store.add(job)
        except SessionBusy:
            assert talk
            assert talk.busy in self.model.rows
        except TooManyInFlight:
            assert len(self.model.unfinished(tenant)) >= IN_FLIGHT
        else:
            assert not (talk and talk.busy), "two questions of a conversation at once"
            assert len(self.model.unfinished(tenant)) < IN_FLIGHT
            row = Row(job.id, tenant, 0, 0, ttl_ms=1000 * ttl_s, session=session)
            row.images = {picture.id for picture in pictures}
            row.strict = tiling.strict
            deadline_ms = None if deadline_s is None else 1000 * deadline_s
            self.model.add(row, list(Priority).index(priority), deadline_ms, self.now())
            if dice.random() < 0.1:
                assert self.store.add(job).doorbell.job_id == job.id, "sent twice"
            return
        self.images.release(tenant, [picture.id for picture in pictures], job.id)

    def any_job(self) -> Row | None:
        jobs = [row for row in self.model.rows.values() if not row.parent]
        return self.dice.choice(jobs) if jobs else None

    def cancel(self) -> None:
        if row := self.any_job():
            outcome = self.store.cancel(row.id, row.tenant)
            was = row.status
            self.model.cancel(row, self.now())
            expected = "canceling" if row.status == "running" else row.status
            assert outcome == (was if was in TERMINAL else expected)

    def erase(self) -> None:
        if row := self.any_job():
            self.store.erase(row.id, row.tenant)
            self.model.erase(row)
            self.erased.add(row.id)
            self.check_images_gone(row)

    def check_images_gone(self, erased: Row) -> None:
        """An image that no other job and no conversation can need is gone with its job."""
        for image_id in erased.images:
            others = [row for row in self.model.jobs(erased.tenant) if image_id in row.images]
            talks = [name for name in self.model.talks if name[0] == erased.tenant]
            if not others and not talks:
                assert self.images.pngs(erased.tenant, [image_id]) == [None], image_id

    def delete_session(self) -> None:
        if self.model.talks:
            tenant, name = self.dice.choice(sorted(self.model.talks))
            had_images = self.redis.exists(keys.session(tenant, name) + keys.SESSION_IMAGES)
            self.sessions.delete(tenant, name)
            del self.model.talks[tenant, name]
            if had_images:
                self.model.next_number()

    def vanish(self) -> None:
        """An operator deletes a row; the reaper forgets it in time."""
        row = self.any_job()
        if row and row.status not in TERMINAL and not row.phase:
            self.redis.delete(keys.job(row.id))
            talk = self.model.talks.get((row.tenant, row.session))
            if talk and talk.busy == row.id:
                talk.busy = ""
            self.model.forget(row)
            for _ in TENANTS:
                self.reap()

    # steps of workers

    def claim_next(self) -> None:
        claim = self.store.claim_next("w")
        row = self.model.claim_next(self.now())
        if row is None:
            assert claim == "nothing"
            return
        assert isinstance(claim, Claim), (claim, row)
        assert claim.row.id == row.id, "not whose turn it was"
        row.owner = claim.owner
        self.claims.append(claim)

    def claim_one(self) -> None:
        queued = [row for row in self.model.rows.values() if row.status == "queued"]
        if not queued:
            return
        row = self.dice.choice(queued)
        claim = self.store.claim(row.id, "w")
        if self.model.refuses(row, self.now()):
            assert claim == "expired"
            return
        assert isinstance(claim, Claim)
        self.model.start(row, self.now(), in_turn=False)
        row.owner = claim.owner
        self.claims.append(claim)

    def held(self) -> tuple[Claim, Row | None] | None:
        """Return a claim, often a late one, and its row if it is still good."""
        if not self.claims:
            return None
        recent = self.claims[-12:]
        claim = self.dice.choice(recent)
        row = self.model.rows.get(claim.row.id)
        good = row is not None and row.status == "running" and row.owner == claim.owner
        return claim, row if good else None

    def beat(self) -> None:
        if held := self.held():
            claim, row = held
            [verdict] = self.store.beat([(claim.row.id, claim.owner)])
            assert verdict is verdict_of(row)
            if row:
                row.lease_ms = self.now() + 100_000

    def report(self) -> None:
        if held := self.held():
            claim, row = held
            events = [("output.delta", {"text": "x"})]
            verdict = self.store.report(claim.row.id, claim.owner, events, {"percent": 5})
            assert verdict is (Verdict.GO_ON if row and row.parent else verdict_of(row))

    def release(self) -> None:
        if held := self.held():
            claim, row = held
            doorbell = self.store.release(claim.row.id, claim.owner)
            if row:
                self.model.release(row, self.now())
            assert bool(doorbell) == bool(row and row.status == "queued")

    def finish(self) -> None:
        if not (held := self.held()):
            return
        claim, row = held
        if claim.row.parent:
            self.finish_tile(claim, row)
            return
        status = self.dice.choice([JobStatus.SUCCEEDED, JobStatus.SUCCEEDED, JobStatus.FAILED])
        fields = {"output": {"text": "x", "partial": False}}
        turn = None
        if claim.row.session_id and status is JobStatus.SUCCEEDED:
            turn = Turn(
                job_id=claim.row.id,
                prompt="what?",
                images=claim.row.input.images,
                max_pixels=1,
                text="x",
                finish_reason="stop",
                created_ms=1,
            )
        assert self.store.finish(claim.row.id, claim.owner, status, fields, turn=turn) == bool(row)
        if row:
            self.model.finish(row, status.value, self.now())

    def finish_tile(self, claim: Claim, row: Row | None) -> None:
        outcome = self.dice.choice([TileOutcome(text="x"), TileOutcome(gap=True), None])
        doorbells = self.tiles.finish(claim, outcome, ROOM)
        assert (doorbells is None) == (row is None)
        if row is None:
            return
        if outcome is None:
            self.model.requeue(row, self.now())
        else:
            self.model.end_tile(row, self.now(), gap=outcome.gap)

    def split(self) -> None:
        if not (held := self.held()):
            return
        claim, row = held
        if claim.row.parent or claim.row.input.tiling is None or claim.row.phase:
            return
        infos, work = [], []
        for number in range(self.dice.randint(1, 5)):
            picture = StoredImage(f"img_{100 + number:064x}", b"tile", 8, 8, (8, 8), "PNG")
            stored = self.images.put(
                claim.row.tenant, picture, job_id=claim.row.id, owner=claim.owner
            )
            assert stored == bool(row)
            seam = {"image": 0}
            infos.append(TileInfo(id=picture.id, box=(0, 0, 8, 8), mark="[?]", seam=seam))
            is_blank = self.dice.random() < 0.2
            work.append(NewTile(TileOutcome() if is_blank else JobInput(prompt="read")))
        doorbells = self.tiles.split(claim, infos, work, together=False, room=ROOM)
        assert (doorbells is None) == (row is None)
        if row:
            tiles = self.redis.hgetall(keys.job(row.id) + keys.JOB_TILES)
            children = [tiles.get(f"id:{number}", "") for number in range(len(infos))]
            images = {info.id for info in infos}
            row.images |= images
            self.model.split(row, [] if row.canceled else children, images, self.now())

    # steps of time

    def reap(self) -> None:
        self.store.reap()
        self.model.reap(self.now())

    def lose_lease(self) -> None:
        if leased := sorted(self.model.leased()):
            row = self.model.rows[self.dice.choice(leased)]
            self.redis.zadd(keys.LEASES, {row.id: 1})
            row.lease_ms = 1
            self.reap()

    def reconcile(self) -> None:
        queued = {row.id for row in self.model.rows.values() if row.status == "queued"}
        assert {doorbell.job_id for doorbell in self.store.reconcile(broker_lists())} <= queued

    def tick(self) -> None:
        self.advance(self.dice.choice([5_000, 20_000, 60_000]))

    def sleep(self) -> None:
        self.advance(self.dice.choice([150_000, 1_000_000, 8_000_000, 100_000_000]))

    # the walk

    def run(self, steps: int, check_every: int) -> None:
        """Take so many steps, and compare all after each few; raises AssertionError."""
        weights = {
            self.add: 22,
            self.claim_next: 22,
            self.claim_one: 3,
            self.beat: 4,
            self.report: 5,
            self.finish: 16,
            self.split: 8,
            self.release: 4,
            self.cancel: 3,
            self.erase: 3,
            self.lose_lease: 4,
            self.reap: 5,
            self.reconcile: 1,
            self.tick: 4,
            self.sleep: 1,
            self.delete_session: 1,
            self.vanish: 1,
        }
        for number in range(steps):
            [step] = self.dice.choices(list(weights), list(weights.values()))
            self.done[step.__name__] += 1
            try:
                step()
                if number % check_every == 0 or number == steps - 1:
                    self.check()
            except Exception as error:
                error.add_note(f"in step {number}, {step.__name__}")
                raise

    # comparing

    def check(self) -> None:
        """Compare all that the store says with the model; raises AssertionError."""
        self.check_rows()
        self.check_sets()
        self.check_lists()
        self.check_positions()
        self.check_sessions()
        self.check_keys()

    def check_rows(self) -> None:
        for row in self.model.rows.values():
            stored = self.redis.hgetall(keys.job(row.id))
            seen = (
                *(stored.get("status"), stored.get("owner"), int(stored.get("attempt", -1))),
                *(int(stored.get("lost", 0)), int(stored.get("commits", 0))),
            )
            assert seen == (row.status, row.owner, row.attempt, row.lost, row.commits), (seen, row)
            if not row.parent:
                self.check_events(row)
                if row.status in TERMINAL or self.now() < row.images_ms:
                    needed = sorted(row.images)
                    assert None not in self.images.pngs(row.tenant, needed), row

    def check_events(self, row: Row) -> None:
        events = EventReader(self.redis, 1.0).read(row.id, 0)
        assert [event.seq for event in events] == list(range(1, len(events) + 1))
        ends = [event.type for event in events if event.terminal]
        assert ends == ([f"job.{row.status}"] if row.status in TERMINAL else [])
        assert not ends or events[-1].terminal

    def check_sets(self) -> None:
        model, rows = self.model, self.model.rows.values()
        for tenant in TENANTS:
            assert self.redis.smembers(keys.UNFINISHED + tenant) == model.unfinished(tenant)
        queued = {row.id for row in rows if row.status == "queued"}
        for name in (keys.QUEUED, keys.QUEUED_SINCE):
            assert set(self.redis.zrange(name, 0, -1)) == queued, name
        assert set(self.redis.zrange(keys.LEASES, 0, -1)) == model.leased()
        assert set(self.redis.zrange(keys.EXPIRY, 0, -1)) == {
            row.id for row in rows if not row.parent and row.status not in TERMINAL
        }
        assert self.redis.smembers(keys.TILES_LIVE) == model.live
        assert dict(self.redis.zrange(keys.LONG, 0, -1, withscores=True)) == model.long

    def check_lists(self) -> None:
        for tenant in TENANTS:
            for status in (None, *JobStatus):
                listed = list(self.listed(tenant, status=status))
                mine = self.model.jobs(tenant, status.value if status else None)
                assert listed == [row.id for row in mine], (status, listed, mine)
            for session in ("s1", "s2"):
                mine = [row for row in self.model.jobs(tenant) if row.session == session]
                listed = list(self.listed(tenant, session_id=session))
                assert listed == [row.id for row in mine], (listed, mine)

    def listed(self, tenant: str, **chosen: Any) -> Iterator[str]:
        after, more = None, True
        while more:
            rows, more = self.store.page(tenant, limit=4, after=after, **chosen)
            yield from (row.id for row in rows)
            after = rows[-1].id if rows else None

    def check_positions(self) -> None:
        queue = self.model.queue
        assert dict(self.redis.zrange(keys.TURNS, 0, -1, withscores=True)) == queue.turns
        for line, jobs in queue.lines.items():
            assert self.redis.zrange(keys.LINE + line, 0, -1) == [row_id for _, row_id in jobs]
        assert self.redis.zcard(keys.SLOTS) == sum(map(len, queue.lines.values()))
        for row_id, place in queue.positions().items():
            row = self.model.rows[row_id]
            if not row.parent:
                assert self.store.position(row_id, row.tenant) == place, row

    def check_sessions(self) -> None:
        for tenant in TENANTS:
            for name in ("s1", "s2"):
                talk = self.model.talks.get((tenant, name))
                turns = self.sessions.turns(tenant, name)
                assert [turn.job_id for turn in turns] == (talk.turns if talk else [])
                if talk:
                    busy = self.sessions.get(tenant, name).busy or ""
                    # a row that vanished blocks nothing, but is still named
                    assert (busy if busy in self.model.rows else "") == talk.busy
                    shown = sorted({image for turn in turns for image in turn.images})
                    assert None not in self.images.pngs(tenant, shown)

    def check_keys(self) -> None:
        """No row comes into being that nobody made, and of erased jobs only the tombstone stays."""
        for key in self.redis.scan_iter(keys.JOB + "*", count=1000):
            name = key.removeprefix(keys.JOB).partition(":")[0]
            assert name in self.model.rows, key
        for job_id in self.erased:
            try:
                self.store.get(job_id, self.model_tenant(job_id))
            except (Erased, NotFound):
                continue
            raise AssertionError(f"{job_id} is back")

    def model_tenant(self, job_id: str) -> str:
        _, _, tenant = (self.redis.get(keys.GONE + job_id) or "").partition(":")
        return str(tenant)

    def clear(self) -> None:
        """Erase all; raises AssertionError if anything is left but counters and tombstones."""
        for row in [row for row in self.model.rows.values() if not row.parent]:
            self.store.erase(row.id, row.tenant)
        for tenant, name in self.model.talks:
            self.sessions.delete(tenant, name)
        left = {
            key
            for key in self.redis.scan_iter("sl:*", count=1000)
            if not key.startswith((keys.GONE, keys.IMAGE, keys.PASSED))
            and not key.endswith(keys.JOBS_FILED_AT)
        }
        owned = {keys.COUNTERS, keys.SEQUENCE, keys.TURN, keys.REAPED_AT, keys.TILES_ROOM}
        assert left <= owned | {keys.WEIGHTS, keys.RECONCILE_LOCK, keys.CURSORS}, left


def verdict_of(row: Row | None) -> Verdict:
    """Return what the owner of a row should be answered; None is a claim that is no longer good."""
    if row is None:
        return Verdict.LOST
    return Verdict.STOP if row.canceled else Verdict.GO_ON


def walk(redis_url: str, seed: int, steps: int, check_every: int = 10) -> Counter[str]:
    """Take one walk and return how often each step was taken; raises AssertionError."""
    one = Walk(redis_url, seed)
    try:
        one.run(steps, check_every)
        one.clear()
    except Exception as error:
        error.add_note(f"seed {seed}: again with --seed {seed} --seeds 1 --steps {steps}")
        raise
    return one.done


def main() -> int:
    """Take walks from one seed after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--seeds", type=int, default=50, help="how many walks")
    parser.add_argument("--steps", type=int, default=2000, help="steps of each")
    parser.add_argument("--check-every", type=int, default=10, help="steps between two comparisons")
    options = parser.parse_args()
    started, done = time.monotonic(), Counter[str]()
    with tempfile.TemporaryDirectory() as folder, running_redis(Path(folder)) as server:
        for seed in range(options.seed, options.seed + options.seeds):
            done += walk(server.url, seed, options.steps, options.check_every)
            sys.stderr.write(f"seed {seed}: the store and the model agree\n")
    print(f"{done.total()} steps in {time.monotonic() - started:.0f} s: {dict(done)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
