"""Erased means erased: no key still has the bytes, the words or the id of what was deleted."""

from __future__ import annotations

from typing import Any

import pytest

from shared.errors import Erased, NotFound
from shared.jobs import JobStatus, TileOutcome
from shared.jobs.image import StoredImage, stored_file_mark
from shared.settings import Settings
from shared.store import Claim, keys
from shared.store.feature_store import RedisFeatures
from shared.store.jobs.waiters import Waiters, new_waiter
from shared.store.uploads.erased_files import ErasedFiles
from tests.integration.store.desk import BYTES, HOOK, WORDS, Desk, image


@pytest.fixture
def desk(settings) -> Desk:
    return Desk(settings)


def queued(desk: Desk, job_id: str) -> None:
    Waiters(desk.redis).leave(job_id, "t", new_waiter(), for_good=False)


def running(desk: Desk, job_id: str) -> None:
    claim = desk.claim(job_id)
    desk.store.report(job_id, claim.owner, WORDS, progress={"percent": 3})


def being_cut(desk: Desk, job_id: str) -> None:
    desk.cut(desk.claim(job_id))


def in_tiles(desk: Desk, job_id: str) -> None:
    claims = desk.split(job_id)
    desk.store.report(claims[0].row.id, claims[0].owner, WORDS, progress={"percent": 30})
    desk.tiles.finish(claims[1], TileOutcome(text=WORDS), 9)


def merging(desk: Desk, job_id: str) -> None:
    for claim in desk.split(job_id):
        desk.tiles.finish(claim, TileOutcome(text=WORDS), 9)


def finished(desk: Desk, job_id: str) -> None:
    desk.finish(job_id)


def canceled(desk: Desk, job_id: str) -> None:
    in_tiles(desk, job_id)
    desk.store.cancel(job_id, "t")


def delivering(desk: Desk, job_id: str) -> None:
    finished(desk, job_id)
    for delivery in desk.deliveries.take(5).deliveries:
        desk.redis.hset(keys.DELIVERY + delivery.id, "body", WORDS)


STATES = [queued, running, being_cut, in_tiles, merging, finished, canceled, delivering]


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("session_id", [None, "talk"])
def test_nothing_is_left_of_a_job_in_any_state(desk, state, session_id):
    desk.put(1)
    job_id = desk.add(
        image(1), session_id=session_id, webhook=HOOK, idempotency=("order-1", "fingerprint")
    )
    state(desk, job_id)
    assert desk.mentions(BYTES, WORDS, job_id)
    desk.store.erase(job_id, "t")
    if session_id:
        desk.sessions.delete("t", session_id)
    assert desk.mentions(BYTES, WORDS, job_id, job_id[4:], "order-1", "private-hook", "talk") == []
    with pytest.raises(Erased):
        desk.store.get(job_id, "t")


def test_workers_are_told_which_jobs_were_erased(desk):
    desk.put(1)
    # another job keeps the image
    erased, kept = desk.add(image(1)), desk.add(image(1))
    finished(desk, erased)
    desk.store.erase(erased, "t")
    with pytest.raises(NotFound):
        desk.store.erase(kept, "u")
    assert ErasedFiles(desk.redis).read() == {stored_file_mark("t", erased)}


@pytest.mark.parametrize("state", STATES)
def test_no_late_worker_brings_anything_back(desk, state):
    desk.put(1)
    job_id = desk.add(image(1), session_id="talk", webhook=HOOK)
    desk.store.redis.delete(keys.LEASES)
    claims: list[Claim] = []
    claim_before = desk.store.claim

    def remember(*args: Any) -> Claim | str:
        claim = claim_before(*args)
        if isinstance(claim, Claim):
            claims.append(claim)
        return claim

    desk.store.claim = remember
    state(desk, job_id)
    desk.store.erase(job_id, "t")
    desk.sessions.delete("t", "talk")
    for claim in claims:
        row, owner = claim.row, claim.owner
        desk.store.report(row.id, owner, WORDS, progress={"percent": 9})
        desk.store.beat([(row.id, owner)])
        assert desk.store.release(row.id, owner) is None
        assert not desk.images.put("t", image(100), job_id=row.id, owner=owner)
        assert desk.tiles.finish(claim, TileOutcome(text=WORDS), 9) is None
        assert desk.tiles.split(claim, [], [], together=False, room=9) is None
        assert not desk.store.finish(
            row.id, owner, JobStatus.SUCCEEDED, {"output": {"text": WORDS}}
        )
        desk.tiles.stream(row.id, 0, [WORDS])
    assert Waiters(desk.redis).leave(job_id, "t", new_waiter(), for_good=True) == "missing"
    desk.store.reap()
    assert desk.mentions(BYTES, WORDS, job_id) == []


def test_tiles_that_were_stored_before_the_split_are_erased_with_the_job(desk):
    desk.put(1)
    job_id = desk.add(image(1))
    claim = desk.claim(job_id)
    infos = desk.cut(claim)
    desk.store.erase(job_id, "t")
    for info in infos:
        with pytest.raises(NotFound):
            desk.images.header("t", info.id)
    assert not desk.images.put("t", image(100), job_id=job_id, owner=claim.owner)
    assert desk.mentions(BYTES) == []


FEATURES = b"features-of-a-private-picture"


class ForgetfulWorkers:
    """Stands for all workers: they share features, and forget those of erased files."""

    def __init__(self, desk: Desk, settings: Settings) -> None:
        self.features = RedisFeatures(settings)
        self.erased = ErasedFiles(desk.redis)

    def compute(self, *pictures: StoredImage) -> None:
        for picture in pictures:
            for size in ("8x8", "4x4"):
                self.features.put(f"{stored_file_mark('t', picture.id)}:{size}", FEATURES)

    def forget(self) -> None:
        for mark in self.erased.read():
            self.features.forget(mark)


@pytest.fixture
def workers(desk: Desk, settings: Settings) -> ForgetfulWorkers:
    return ForgetfulWorkers(desk, settings)


@pytest.mark.parametrize("state", STATES)
def test_no_features_are_left_of_a_job_in_any_state(desk, workers, state):
    workers.compute(desk.put(1))
    job_id = desk.add(image(1), session_id="talk")
    state(desk, job_id)
    workers.compute(*(image(number) for number in range(100, 103)))
    workers.forget()
    assert desk.mentions(FEATURES.decode())
    desk.store.erase(job_id, "t")
    desk.sessions.delete("t", "talk")
    workers.forget()
    # tiles that were never stored cannot have been computed
    is_cut = state in (being_cut, in_tiles, merging, canceled)
    left = [key for key in desk.mentions(FEATURES.decode()) if not key.startswith(keys.FEATURES)]
    assert left == []
    marks = [stored_file_mark("t", image(n).id) for n in (1, *((100, 101, 102) if is_cut else ()))]
    assert desk.mentions(*(keys.FEATURES + mark for mark in marks)) == []
    assert desk.mentions(BYTES, WORDS, *(image(n).id[4:] for n in (1, 100, 101, 102))) == []


def test_features_stay_until_the_last_job_with_the_same_picture_goes(desk, workers):
    workers.compute(desk.put(1))
    jobs = [desk.add(image(1)) for _ in range(2)]
    for job_id, keys_left in zip(jobs, (2, 0), strict=True):
        desk.store.erase(job_id, "t")
        workers.forget()
        assert len(desk.mentions(FEATURES.decode())) == keys_left


def test_an_uploaded_picture_that_is_deleted_takes_its_features_along(desk, workers):
    workers.compute(desk.put(1, uploaded=True))
    desk.store.erase(desk.add(image(1)), "t")
    workers.forget()
    assert desk.mentions(FEATURES.decode())
    desk.images.delete("t", image(1).id)
    workers.forget()
    assert desk.mentions(FEATURES.decode()) == []
    # who sends it again may use what is computed anew
    workers.compute(desk.put(1))
    workers.forget()
    assert desk.mentions(FEATURES.decode())
