"""Each transition of a job, on a real Redis and without processes."""

from __future__ import annotations

import threading
import time

import pytest

from shared.errors import Erased, IdempotencyKeyReused, ImageNotFound, NotFound
from shared.jobs import ROW_VERSION, JobInput, JobStatus
from shared.jobs.image import StoredImage
from shared.jobs.parameters.route import Route
from shared.queue import broker_lists
from shared.settings import Settings
from shared.store import Claim, NewJob, Store, Verdict, keys
from shared.store.jobs.events import EventReader
from shared.store.uploads.image_store import ImageStore

IMAGE = StoredImage("img_" + "a" * 64, b"\x89PNG\x00\xff", 10, 20, (10, 20), "PNG")


@pytest.fixture
def store(redis_server) -> Store:
    # lease_s may not be shorter than a second; tests age leases by hand instead of waiting
    return Store(Settings(redis_url=redis_server.url, max_attempts=3))


def add(store: Store, tenant: str = "t", **fields) -> str:
    job = NewJob(tenant, JobInput(prompt="what?"), **fields)
    return store.add(job).doorbell.job_id


def claim(store: Store, job_id: str, worker: str = "w1") -> Claim:
    claimed = store.claim(job_id, worker)
    assert isinstance(claimed, Claim), claimed
    return claimed


def expire_lease(store: Store, job_id: str) -> None:
    store.redis.zadd(keys.LEASES, {job_id: 1})


def events(store: Store, job_id: str) -> list[str]:
    return [event.type for event in EventReader(store.redis, 1.0).read(job_id, 0)]


def test_a_job_is_claimed_by_one_worker_only(store):
    job_id = add(store)
    results: list[Claim | str] = []
    threads = [
        threading.Thread(target=lambda n=n: results.append(store.claim(job_id, f"w{n}")))
        for n in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(isinstance(result, Claim) for result in results) == 1
    assert {r for r in results if isinstance(r, str)} == {"not_queued"}


def test_a_late_worker_cannot_finish_a_job_twice(store):
    job_id = add(store)
    late = claim(store, job_id)
    expire_lease(store, job_id)
    assert [doorbell.job_id for doorbell in store.reap()] == [job_id]
    fresh = claim(store, job_id, "w2")
    assert store.finish(job_id, fresh.owner, JobStatus.SUCCEEDED, {"output": {"text": "right"}})
    assert not store.finish(job_id, late.owner, JobStatus.SUCCEEDED, {"output": {"text": "late"}})
    row = store.get(job_id, "t")
    assert row.output == {"text": "right"}
    assert (row.commits, row.attempt, row.lost) == (1, 2, 1)


def test_a_worker_that_lost_its_job_cannot_report_or_release_it(store):
    job_id = add(store)
    late = claim(store, job_id)
    expire_lease(store, job_id)
    store.reap()
    fresh = claim(store, job_id, "w2")
    assert store.report(job_id, late.owner, "x").verdict is Verdict.LOST
    assert store.beat([(job_id, late.owner)]) == [Verdict.LOST]
    assert store.release(job_id, late.owner) is None
    assert store.beat([(job_id, fresh.owner)]) == [Verdict.GO_ON]


def test_a_beat_renews_the_lease_and_tells_of_a_cancel(store):
    job_id = add(store)
    claimed = claim(store, job_id)
    expire_lease(store, job_id)
    assert store.beat([(job_id, claimed.owner)]) == [Verdict.GO_ON]
    assert store.reap() == []
    assert store.cancel(job_id, "t") == "canceling"
    assert store.beat([(job_id, claimed.owner)]) == [Verdict.STOP]


def test_poison_ends_after_three_starts(store):
    job_id = add(store)
    for attempt in (1, 2, 3):
        assert claim(store, job_id).row.attempt == attempt
        expire_lease(store, job_id)
        store.reap()
    row = store.get(job_id, "t")
    assert row.status is JobStatus.FAILED
    assert row.error["code"] == "poison"
    assert store.claim(job_id, "w1") == "not_queued"
    assert events(store, job_id)[-1] == "job.failed"


def test_a_new_attempt_is_told_once_what_the_one_before_had_written(store):
    job_id = add(store)
    first = claim(store, job_id)
    assert first.written == ""
    store.report(job_id, first.owner, "As far as 它")
    expire_lease(store, job_id)
    store.reap()
    second = claim(store, job_id)
    assert second.written == "As far as 它"
    store.release(job_id, second.owner)
    # it had written nothing itself
    assert claim(store, job_id).written == ""


def test_a_released_job_keeps_its_attempts_and_its_place(store):
    first, second = add(store), add(store)
    claimed = claim(store, first)
    assert store.position(second, "t") == 0
    doorbell = store.release(first, claimed.owner)
    assert doorbell.job_id == first
    assert [store.position(job_id, "t") for job_id in (first, second)] == [0, 1]
    assert claim(store, first).row.attempt == 1


def test_leases_are_renewed_and_not_reaped_after_everybody_was_away(store):
    job_id = add(store)
    claim(store, job_id)
    store.reap()
    expire_lease(store, job_id)
    store.redis.set(keys.REAPED_AT, int(store.redis.get(keys.REAPED_AT)) - 60_000)
    assert store.reap() == []
    assert store.get(job_id, "t").status is JobStatus.RUNNING


def test_a_canceled_job_whose_worker_died_is_canceled_and_not_tried_again(store):
    job_id = add(store)
    claim(store, job_id)
    store.cancel(job_id, "t")
    expire_lease(store, job_id)
    assert store.reap() == []
    assert store.get(job_id, "t").status is JobStatus.CANCELED


def test_a_queued_job_past_its_deadline_expires_unstarted(store):
    waiting, late = add(store), add(store, deadline_s=0.05)
    time.sleep(0.06)
    assert store.claim(late, "w1") == "expired"
    assert store.get(late, "t").status is JobStatus.EXPIRED
    also_late = add(store, deadline_s=0.05)
    time.sleep(0.06)
    store.reap()
    row = store.get(also_late, "t")
    assert (row.status, row.attempt) == (JobStatus.EXPIRED, 0)
    assert store.get(waiting, "t").status is JobStatus.QUEUED


def test_as_many_bells_are_rung_again_as_were_lost(store):
    ids = [add(store) for _ in range(3)]
    store.redis.zadd(keys.QUEUED_SINCE, dict.fromkeys(ids, 1))
    store.redis.lpush(broker_lists()[3], "a doorbell")
    doorbells = store.reconcile(broker_lists())
    assert len(doorbells) == 2
    assert {doorbell.job_id for doorbell in doorbells} < set(ids)


def test_a_young_row_is_not_looked_for(store):
    add(store)
    assert store.reconcile(broker_lists()) == []


def test_a_worker_refuses_a_row_that_is_newer_than_itself(store):
    job_id = add(store)
    store.redis.hset(keys.job(job_id), "version", ROW_VERSION + 1)
    assert store.claim(job_id, "w1") == "too_new"
    assert store.get(job_id, "t").status is JobStatus.QUEUED


def test_a_job_for_the_second_reader_waits_for_a_worker_that_has_it(store):
    reading = store.add(NewJob("t", JobInput(prompt="a", reader="second"))).doorbell.job_id
    plain = add(store)
    assert store.claim(reading, "without") == "needs_reader"
    assert store.claim_next("without").row.id == plain
    assert store.claim_next("without") == "nothing"
    assert store.get(reading, "t").status is JobStatus.QUEUED
    claim = store.claim_next("with", reads=True)
    assert (claim.row.id, claim.row.attempt, claim.row.version) == (reading, 1, ROW_VERSION)


def test_a_job_for_the_second_reader_that_comes_back_is_left_to_such_workers(store):
    reading = store.add(NewJob("t", JobInput(prompt="a", reader="both"))).doorbell.job_id
    assert store.claim_next("without") == "nothing"
    claim = store.claim_next("with", reads=True)
    store.release(reading, claim.owner)
    assert store.claim_next("without") == "nothing"
    assert store.claim_next("with", reads=True).row.id == reading


def test_a_reader_does_not_overtake_older_jobs(store):
    first = add(store)
    store.add(NewJob("t", JobInput(prompt="a", reader="second")))
    assert store.claim_next("with", reads=True).row.id == first


def test_an_idempotency_key_gives_the_first_job_again(store):
    first = store.add(NewJob("t", JobInput(prompt="a"), idempotency=("key", "body")))
    again = store.add(NewJob("t", JobInput(prompt="a"), idempotency=("key", "body")))
    assert again.replayed
    assert again.doorbell.job_id == first.doorbell.job_id
    with pytest.raises(IdempotencyKeyReused):
        store.add(NewJob("t", JobInput(prompt="b"), idempotency=("key", "other")))
    foreign = store.add(NewJob("u", JobInput(prompt="b"), idempotency=("key", "other")))
    assert not foreign.replayed


def test_an_idempotency_key_stays_the_same_when_a_second_model_comes_or_goes(store):
    def add_for(route: Route) -> str:
        job = NewJob("t", JobInput(prompt="a"), idempotency=("key", "body"), route=route)
        return store.add(job).doorbell.job_id

    first = add_for(Route("a", "a"))
    for same in (Route("a", "a", "a"), Route("a"), Route("")):
        assert add_for(same) == first
    for other in (Route("b", "b", "b"), Route("b"), Route("a", "a@1", "a@1")):
        with pytest.raises(IdempotencyKeyReused):
            add_for(other)


def test_a_foreign_job_looks_like_an_unknown_one(store):
    job_id = add(store, "t")
    for act in (store.get, store.cancel, store.erase):
        with pytest.raises(NotFound):
            act(job_id, "u")
    assert store.get(job_id, "t").status is JobStatus.QUEUED


def test_erasing_leaves_nothing_but_the_tombstone(store, settings):
    images = ImageStore(settings)
    images.put("t", IMAGE)
    job = store.add(NewJob("t", JobInput(prompt="a", images=(IMAGE.id,))))
    job_id = job.doorbell.job_id
    claimed = claim(store, job_id)
    store.erase(job_id, "t")
    with pytest.raises(Erased):
        store.get(job_id, "t")
    assert store.beat([(job_id, claimed.owner)]) == [Verdict.LOST]
    left = set(store.redis.scan_iter("sl:*"))
    assert left == {keys.GONE + job_id, keys.COUNTERS, keys.SEQUENCE, keys.ERASED_FILES}


def test_an_image_stays_while_another_job_or_its_uploader_wants_it(store, settings):
    images = ImageStore(settings)
    images.put("t", IMAGE)
    jobs = [
        store.add(NewJob("t", JobInput(prompt="a", images=(IMAGE.id,)))).doorbell.job_id
        for _ in range(2)
    ]
    store.erase(jobs[0], "t")
    assert images.pngs("t", [IMAGE.id]) == [IMAGE.png]
    store.erase(jobs[1], "t")
    assert images.pngs("t", [IMAGE.id]) == [None]
    images.put("t", IMAGE, uploaded=True)
    job = store.add(NewJob("t", JobInput(prompt="a", images=(IMAGE.id,)))).doorbell.job_id
    store.erase(job, "t")
    assert images.header("t", IMAGE.id).width == 10


def test_a_job_cannot_be_added_without_its_image(store):
    with pytest.raises(ImageNotFound) as caught:
        store.add(NewJob("t", JobInput(prompt="a", images=(IMAGE.id,))))
    assert caught.value.pointer == "/images/0"
    assert store.load().depths["default"] == 0


def test_every_key_has_a_time_to_live_or_an_owner(store, settings):
    ImageStore(settings).put("t", IMAGE)
    ended = store.add(
        NewJob("t", JobInput(prompt="a", images=(IMAGE.id,)), idempotency=("k", "b"))
    ).doorbell.job_id
    claimed = claim(store, ended)
    store.finish(ended, claimed.owner, JobStatus.SUCCEEDED, {"output": {"text": ""}})
    owned = {keys.COUNTERS, keys.SEQUENCE, keys.REAPED_AT}
    immortal = {k for k in store.redis.scan_iter("sl:*") if store.redis.ttl(k) == -1}
    assert immortal <= owned


def test_counts_return_to_nothing_when_all_jobs_have_ended(store):
    ids = [add(store) for _ in range(5)]
    store.cancel(ids[0], "t")
    store.erase(ids[1], "t")
    for job_id in ids[2:]:
        claimed = claim(store, job_id)
        store.finish(job_id, claimed.owner, JobStatus.SUCCEEDED, {})
    mine = (keys.LINE + "t", keys.UNFINISHED + "t")
    for name in (*mine, keys.TURNS, keys.TURNED, keys.LEASES, keys.QUEUED, keys.EXPIRY):
        assert not store.redis.exists(name), name


def test_pages_show_every_job_once_newest_first(store):
    ids = [add(store) for _ in range(7)]
    listed: list[str] = []
    after, more = None, True
    while more:
        rows, more = store.page("t", limit=3, after=after)
        listed += [row.id for row in rows]
        after = rows[-1].id
    assert listed == ids[::-1]


def test_events_are_numbered_from_one_without_gaps(store):
    job_id = add(store)
    claimed = claim(store, job_id)
    store.report(job_id, claimed.owner, "你好", progress={})
    store.finish(job_id, claimed.owner, JobStatus.SUCCEEDED, {})
    events_read = EventReader(store.redis, 1.0).read(job_id, 0)
    assert [event.seq for event in events_read] == [1, 2, 3, 4, 5]
    assert events_read[2].data == {"text": "你好"}
    assert events_read[-1].terminal


def test_a_second_attempt_resets_what_was_streamed(store):
    job_id = add(store)
    claimed = claim(store, job_id)
    store.report(job_id, claimed.owner, "half")
    store.release(job_id, claimed.owner)
    claim(store, job_id)
    kinds = events(store, job_id)
    assert kinds.index("output.reset") > kinds.index("output.delta")
