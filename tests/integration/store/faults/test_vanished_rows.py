"""Rows that somebody else has deleted (an operator, a flush) leave nothing full for ever."""

from __future__ import annotations

import pytest

from shared.errors import TooManyInFlight, TooManyQueued
from shared.jobs import JobInput, JobStatus, TileInfo, TileOutcome, Tiling, TilingTask
from shared.jobs.image import StoredImage
from shared.settings import Settings
from shared.store import Claim, NewJob, Store, Verdict, keys
from shared.store.access.rate_limits import RateLimits
from shared.store.jobs.tile_store import NewTile, TileStore
from shared.store.uploads.image_store import ImageStore

QUESTION = JobInput(prompt="what?")


@pytest.fixture
def store(redis_server) -> Store:
    return Store(Settings(redis_url=redis_server.url))


def add(store: Store, **limits: int) -> str:
    return store.add(NewJob("t", QUESTION, limits=RateLimits(**limits))).doorbell.job_id


def vanish(store: Store, *job_ids: str) -> None:
    store.redis.delete(*map(keys.job, job_ids))


def claim(store: Store, job_id: str) -> Claim:
    claimed = store.claim(job_id, "w")
    assert isinstance(claimed, Claim), claimed
    return claimed


def test_vanished_jobs_do_not_fill_the_limit_of_unfinished_jobs(store):
    vanish(store, *(add(store, in_flight=5) for _ in range(3)))
    alive = [add(store, in_flight=5) for _ in range(5)]
    with pytest.raises(TooManyInFlight):
        add(store, in_flight=5)
    assert store.redis.smembers(keys.UNFINISHED + "t") == set(alive)


def test_vanished_jobs_do_not_fill_the_limit_of_queued_jobs(store):
    vanish(store, *(add(store, queued=5) for _ in range(5)))
    alive = [add(store, queued=5) for _ in range(5)]
    with pytest.raises(TooManyQueued):
        add(store, queued=5)
    assert store.redis.zrange(keys.LINE + "t", 0, -1) == alive
    assert [store.position(job_id, "t") for job_id in alive] == list(range(5))


def test_the_reaper_forgets_vanished_jobs_of_every_state(store):
    running, queued, alive = (add(store) for _ in range(3))
    claim(store, running)
    vanish(store, running, queued)
    store.reap()
    assert store.redis.smembers(keys.UNFINISHED + "t") == {alive}
    for name in (keys.LEASES, keys.EXPIRY, keys.QUEUED, keys.QUEUED_SINCE, keys.LINE + "t"):
        assert {running, queued}.isdisjoint(store.redis.zrange(name, 0, -1)), name
    for job_id in (running, queued):
        assert store.redis.keys(f"*{job_id}*") == []
    assert store.load().depths["default"] == 1


def test_the_reaper_looks_through_many_jobs_a_piece_at_a_time(store):
    ids = [add(store) for _ in range(450)]
    vanish(store, *ids[::3])
    store.redis.config_resetstat()
    store.reap()
    assert store.redis.info("commandstats")["cmdstat_exists"]["calls"] < 400
    for _ in range(20):
        store.reap()
    assert store.redis.scard(keys.UNFINISHED + "t") == 300


class LongJob:
    """A job that is cut into three tiles, one of which a worker has."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self.tiles = TileStore(store)
        tiling = Tiling(task=TilingTask.READ, budget=1 << 20, planned=3)
        question = JobInput(prompt="read", tiling=tiling)
        self.id = store.add(NewJob("t", question)).doorbell.job_id
        parent = claim(store, self.id)
        infos = []
        for number in range(3):
            image = StoredImage(f"img_{number:064x}", b"png", 8, 8, (8, 8), "PNG")
            ImageStore(settings).put("t", image, job_id=self.id, owner=parent.owner)
            infos.append(TileInfo(id=image.id, box=(0, 0, 8, 8), mark=""))
        work = [NewTile(JobInput(prompt="read", images=(info.id,)), live=True) for info in infos]
        doorbells = self.tiles.split(parent, infos, work, together=False, room=2)
        assert doorbells is not None
        self.children = [doorbell.job_id for doorbell in doorbells]
        self.tile = claim(store, self.children[0])


def no_ghost_of(store: Store, job: LongJob) -> bool:
    return store.redis.keys(keys.job(job.id) + "*") == []


def test_the_tiles_of_a_vanished_job_go_and_do_not_bring_it_back(store, settings):
    job = LongJob(store, settings)
    vanish(store, job.id)
    reported = store.report(job.tile.row.id, job.tile.owner, "a", progress={"percent": 5})
    assert reported.verdict is Verdict.LOST
    assert job.tiles.finish(job.tile, TileOutcome(text="text"), 2) == []
    for _ in range(3):
        store.reap()
    assert store.claim_next("w") == "nothing"
    assert no_ghost_of(store, job)
    assert store.redis.keys(keys.JOB + "*") == []
    assert not store.redis.exists(keys.TILES_LIVE, keys.LONG, keys.UNFINISHED + "t")


@pytest.mark.parametrize("loses", ["lease", "release", "claim"])
def test_a_tile_without_its_job_is_not_queued_again(store, settings, loses):
    job = LongJob(store, settings)
    vanish(store, job.id)
    if loses == "lease":
        store.redis.zadd(keys.LEASES, {job.tile.row.id: 1})
        assert store.reap() == []
    elif loses == "release":
        assert store.release(job.tile.row.id, job.tile.owner) is None
    assert store.claim_next("w") == "nothing"
    store.reap()
    assert no_ghost_of(store, job)


def test_a_job_beside_vanished_ones_is_worked_on(store):
    vanish(store, *(add(store) for _ in range(250)))
    alive = add(store)
    claimed = store.claim_next("w")
    assert isinstance(claimed, Claim)
    assert claimed.row.id == alive
    assert store.finish(alive, claimed.owner, JobStatus.SUCCEEDED, {})
