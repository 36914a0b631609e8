"""A command whose answer was lost is sent again: the second time changes nothing."""

from __future__ import annotations

import secrets
from typing import Any

import pytest
from redis.commands.core import Script

from shared.errors import Erased, IdempotencyKeyReused, NotFound
from shared.jobs import JobInput, JobStatus, TileOutcome, new_job_id
from shared.settings import Settings
from shared.store import Claim, Doorbell, NewJob, Store, keys
from shared.store.access.api_key_store import ApiKeyStore
from shared.store.access.rate_limits import RateLimits
from shared.store.jobs.tile_store import NewTile
from tests.integration.store.desk import Desk

QUESTION = JobInput(prompt="what?")


@pytest.fixture
def jobs(redis_server) -> Store:
    return Store(Settings(redis_url=redis_server.url))


@pytest.mark.parametrize("idempotency", [None, ("key", "fingerprint")])
def test_a_job_that_is_added_twice_under_its_id_is_one_job(jobs, idempotency):
    job = NewJob("t", QUESTION, idempotency=idempotency)
    first, again = (jobs.add(job) for _ in range(2))
    assert first == again
    assert not again.replayed
    assert jobs.load().depths["default"] == 1
    assert jobs.redis.zcard(keys.LINE + "t") == jobs.redis.scard(keys.UNFINISHED + "t") == 1
    assert jobs.counters()["jobs.submitted"] == 1


def test_a_request_whose_admission_is_sent_again_is_charged_once(jobs, monkeypatch):
    store, limits = ApiKeyStore(jobs.redis), RateLimits(2, 0, 0, 0)
    monkeypatch.setattr(secrets, "token_hex", lambda _: "one")
    first, again = (store.admit("", "yes", "requests", limits) for _ in range(2))
    assert [first.used.requests, again.used.requests] == [1, 1]
    assert again.queue_position is not None
    monkeypatch.setattr(secrets, "token_hex", lambda _: "two")
    last, repeated = (store.admit("", "yes", "requests", limits) for _ in range(2))
    assert (last.used.requests, last.refused_s, repeated.refused_s) == (2, None, None)
    monkeypatch.setattr(secrets, "token_hex", lambda _: "three")
    assert store.admit("", "yes", "requests", limits).refused_s


def test_a_key_whose_job_is_gone_makes_a_new_one(jobs):
    first = jobs.add(NewJob("t", QUESTION, idempotency=("key", "one")))
    with pytest.raises(IdempotencyKeyReused):
        jobs.add(NewJob("t", QUESTION, idempotency=("key", "two")))
    jobs.redis.delete(keys.job(first.doorbell.job_id))
    second = jobs.add(NewJob("t", QUESTION, idempotency=("key", "two")))
    assert not second.replayed
    assert jobs.add(NewJob("t", QUESTION, idempotency=("key", "two"))).replayed


def test_erasing_a_job_keeps_the_key_that_a_later_job_has_taken(jobs):
    first = jobs.add(NewJob("t", QUESTION, idempotency=("key", "one"))).doorbell.job_id
    row = jobs.redis.hgetall(keys.job(first))
    jobs.redis.delete(keys.job(first))
    second = jobs.add(NewJob("t", QUESTION, idempotency=("key", "one"))).doorbell.job_id
    jobs.redis.hset(keys.job(first), mapping=row)
    jobs.erase(first, "t")
    again = jobs.add(NewJob("t", QUESTION, idempotency=("key", "one")))
    assert (again.doorbell.job_id, again.replayed) == (second, True)


def test_an_erased_job_is_gone_for_its_owner_and_unknown_to_others(jobs):
    job_id = jobs.add(NewJob("t", QUESTION)).doorbell.job_id
    jobs.erase(job_id, "t")
    with pytest.raises(Erased):
        jobs.get(job_id, "t")
    with pytest.raises(NotFound):
        jobs.get(job_id, "other")


def test_a_page_begins_after_an_erased_job_but_not_after_anothers(jobs):
    ids = [jobs.add(NewJob("t", QUESTION)).doorbell.job_id for _ in range(3)]
    jobs.erase(ids[1], "t")
    rows, more = jobs.page("t", limit=5, after=ids[1])
    assert ([row.id for row in rows], more) == ([ids[0]], False)
    for cursor in (ids[2], ids[1], new_job_id()):
        with pytest.raises(NotFound):
            jobs.page("other", limit=5, after=cursor)


class Twice:
    """Sends every script two times, as a client does whose first answer was lost."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        send = Script.__call__
        self._on = False

        def send_twice(script: Script, *args: Any, **options: Any) -> Any:
            first = send(script, *args, **options)
            return send(script, *args, **options) if self._on else first

        monkeypatch.setattr(Script, "__call__", send_twice)

    def __enter__(self) -> None:
        self._on = True

    def __exit__(self, *_: object) -> None:
        self._on = False


@pytest.fixture
def twice(monkeypatch) -> Twice:
    return Twice(monkeypatch)


def test_a_claim_that_is_sent_again_gets_the_same_job_once(jobs, twice):
    ids = [jobs.add(NewJob("t", QUESTION)).doorbell.job_id for _ in range(2)]
    with twice:
        claim = jobs.claim_next("w")
    assert isinstance(claim, Claim)
    assert (claim.row.id, claim.row.attempt, claim.row.status) == (ids[0], 1, JobStatus.RUNNING)
    assert jobs.get(ids[1], "t").status is JobStatus.QUEUED
    with twice:
        named = jobs.claim(ids[1], "w")
    assert isinstance(named, Claim)
    assert (named.row.id, named.row.attempt) == (ids[1], 1)
    assert claim.owner != named.owner


def test_a_release_that_is_sent_again_rings_and_takes_one_attempt_back(jobs, twice):
    job_id = jobs.add(NewJob("t", QUESTION)).doorbell.job_id
    for _ in range(2):
        claim = jobs.claim(job_id, "w")
        with twice:
            assert jobs.release(job_id, claim.owner) == Doorbell(job_id, "default")
        assert jobs.get(job_id, "t").attempt == 0
    assert jobs.counters()["jobs.released"] == 2
    jobs.claim(job_id, "w")
    # too late: another attempt is under way
    assert jobs.release(job_id, claim.owner) is None


def test_a_split_and_the_ends_of_its_tiles_ring_also_when_they_are_sent_again(settings, twice):
    desk = Desk(settings)
    job_id = desk.add(desk.put())
    claim = desk.claim(job_id)
    infos = desk.cut(claim)
    work = [NewTile(JobInput(prompt="read", images=(info.id,))) for info in infos]
    with twice:
        doorbells = desk.tiles.split(claim, infos, work, together=False, room=2)
    assert len(doorbells) == 2
    first, second = (desk.claim(doorbell.job_id) for doorbell in doorbells)
    with twice:
        [third] = desk.tiles.finish(first, TileOutcome(text="one"), 2)
        # this one is to be tried again
        assert desk.tiles.finish(second, None, 2) == [Doorbell(second.row.id, "default")]
    assert third.job_id not in (first.row.id, second.row.id)
    for child in (second.row.id, third.job_id):
        tile = desk.claim(child)
        with twice:
            doorbells = desk.tiles.finish(tile, TileOutcome(text="more"), 2)
    assert [doorbell.job_id for doorbell in doorbells] == [job_id]
    assert desk.redis.hmget(keys.job(job_id), "tiles_done", "phase") == ["3", "merge"]
    assert desk.store.counters()["tiles.done"] == 3
    with twice:
        desk.finish(job_id)
    assert desk.store.get(job_id, "t").commits == 1
    # nobody else may end what was ended
    assert desk.tiles.finish(first, TileOutcome(text="late"), 2) is None


def test_a_tile_whose_long_job_was_deleted_by_somebody_brings_nothing_back(settings, twice):
    desk = Desk(settings)
    job_id = desk.add(desk.put())
    first, second, third = desk.split(job_id)
    desk.redis.delete(keys.job(job_id), keys.job(job_id) + keys.JOB_TILES)
    with twice:
        assert not desk.tiles.finish(first, TileOutcome(text="one"), 9)
        assert not desk.tiles.finish(second, None, 9)
    assert not desk.redis.exists(keys.job(job_id), keys.job(job_id) + keys.JOB_TILES)
    assert not desk.redis.exists(keys.job(first.row.id), keys.job(second.row.id))
    assert desk.redis.exists(keys.job(third.row.id))
