"""What operators see of all tenants: pages of jobs of a bounded cost, and how the queue was."""

from __future__ import annotations

import pytest

from shared.errors import Erased, NotFound
from shared.jobs import JobInput, JobStatus
from shared.jobs.parameters.route import Route
from shared.prediction.heartbeat import Heartbeat
from shared.settings import Settings
from shared.store import NewJob, keys
from shared.store.fleet.worker_registry import WorkerRegistry
from shared.store.operations.job_board import JobBoard, Place, Standing, Wanted
from shared.store.operations.queue_history import QueueHistory
from tests.integration.store.desk import Desk

ANY = Wanted()


@pytest.fixture
def desk(settings: Settings) -> Desk:
    return Desk(settings)


@pytest.fixture
def board(desk: Desk) -> JobBoard:
    return JobBoard(desk.redis)


def add(desk: Desk, tenant: str, **fields) -> str:
    return desk.store.add(NewJob(tenant, JobInput(prompt="?"), **fields)).doorbell.job_id


def fail(desk: Desk, job_id: str, code: str = "out_of_memory") -> None:
    claim = desk.claim(job_id)
    error = {"error": {"code": code, "message": "m", "hint": "h"}}
    assert desk.store.finish(job_id, claim.owner, JobStatus.FAILED, error)


def ids(board: JobBoard, standing: Standing, wanted: Wanted = ANY, limit: int = 50) -> list[str]:
    """Return all jobs, read in pages."""
    listed, after = [], None
    while True:
        page = board.page(standing, wanted, after, limit)
        listed += [job.id for job in page.jobs]
        if page.next is None:
            return listed
        after = page.next


def test_each_job_of_any_tenant_stands_once_where_it_belongs(desk, board):
    waiting = [add(desk, tenant) for tenant in "ttu"]
    later = [add(desk, "u")]
    desk.store.cancel(later[0], "u")
    failed = [add(desk, tenant, route=Route("m2")) for tenant in "tu"]
    for job in failed:
        fail(desk, job)
    held = add(desk, "u")
    claim = desk.claim(held)
    long = desk.add(desk.put(1))
    desk.split(long)
    assert ids(board, Standing.QUEUED, limit=2) == waiting
    assert ids(board, Standing.CANCELED) == later
    assert ids(board, Standing.FAILED, limit=1) == failed[::-1]
    # a tile is no job, and its job runs without a worker of its own
    assert ids(board, Standing.RUNNING, limit=1) == [held, long]
    assert ids(board, Standing.FAILED, Wanted(tenant="u")) == failed[1:]
    assert ids(board, Standing.FAILED, Wanted(tenant="u", model="m1")) == []
    assert ids(board, Standing.FAILED, Wanted(code="out_of_memory", model="m2")) == failed[::-1]
    assert ids(board, Standing.FAILED, Wanted(code="poison")) == []
    assert ids(board, Standing.RUNNING, Wanted(worker="w", tenant="u")) == [held]
    desk.finish(held, claim)
    desk.store.cancel(long, "t")
    assert ids(board, Standing.RUNNING) == []
    assert ids(board, Standing.SUCCEEDED) == [held]
    assert ids(board, Standing.CANCELED) == [long, later[0]]
    assert board.get(failed[0]).error["code"] == "out_of_memory"
    desk.store.erase(failed[0], "t")
    assert ids(board, Standing.FAILED) == failed[1:]
    with pytest.raises(Erased):
        board.get(failed[0])
    with pytest.raises(NotFound):
        board.get("job_" + "0" * 36)


def test_a_page_goes_on_behind_its_cursor_whatever_came_and_went(desk, board):
    jobs = [add(desk, "t") for _ in range(9)]
    for job in jobs:
        fail(desk, job)
    # all have ended in the same millisecond, and stand in the order of their names
    index = keys.ENDED + "failed"
    desk.redis.zadd(index, dict.fromkeys(jobs, 1_000_000))
    expected = sorted(jobs, reverse=True)
    page = board.page(Standing.FAILED, ANY, None, 4)
    assert [job.id for job in page.jobs] == expected[:4]
    assert Place.parse(str(page.next)) == page.next
    desk.store.erase(expected[3], "t")
    fail(desk, add(desk, "t"))
    rest = board.page(Standing.FAILED, ANY, page.next, 50)
    assert ([job.id for job in rest.jobs], rest.next) == (expected[4:], None)
    # forward too, behind a job that has left its place
    waiting = [add(desk, "t") for _ in range(5)]
    desk.redis.zadd(keys.QUEUED_SINCE, dict.fromkeys(waiting, 1_000_000))
    waiting.sort()
    page = board.page(Standing.QUEUED, ANY, None, 2)
    desk.store.cancel(waiting[1], "t")
    assert ids(board, Standing.QUEUED) == [waiting[0], *waiting[2:]]
    assert [job.id for job in board.page(Standing.QUEUED, ANY, page.next, 50).jobs] == waiting[2:]


def test_a_page_looks_at_so_many_jobs_and_says_where_it_stopped(desk, board):
    index = keys.ENDED + "failed"
    desk.redis.zadd(index, {f"job_{n:036d}": n for n in range(10_400)})
    fail(desk, last := add(desk, "t"))
    assert desk.redis.zcard(index) <= 10_000
    page = board.page(Standing.FAILED, Wanted(tenant="nobody"), None, 50)
    assert page.jobs == []
    assert page.next is not None
    # whose rows had expired are out of the index now
    assert 8_000 < desk.redis.zcard(index) <= 9_100
    assert ids(board, Standing.FAILED) == [last]
    assert desk.redis.zcard(index) == 1


def test_a_minute_has_one_point_whoever_writes_it(desk):
    history = QueueHistory(desk.redis)
    add(desk, "t")
    assert [history.record() for _ in range(3)] == [True, False, False]
    assert history.read(60) == []
    ((point, minute),) = desk.redis.zrange(keys.QUEUE_HISTORY, 0, -1, withscores=True)
    # that was five minutes ago
    at_ms, *rest = point.split(":")
    older = ":".join([str(int(at_ms) - 300_000), *rest])
    desk.redis.delete(keys.QUEUE_HISTORY)
    desk.redis.zadd(keys.QUEUE_HISTORY, {older: minute - 5, "9:9:9:9:9:9:9:9:9:9": minute + 7})
    fail(desk, add(desk, "t"))
    assert history.record()
    (known,) = history.read(60)
    assert known.seconds >= 300
    assert (known.queued, known.submitted, known.failed) == (1, 1, 1)
    assert known.oldest_wait_s >= 0
    assert history.read(3) == []
    desk.redis.zadd(keys.QUEUE_HISTORY, {f"{n}:0:0:0:0:0:0:0:0:0": n for n in range(1, 3000)})
    desk.redis.zremrangebyscore(keys.QUEUE_HISTORY, minute, "+inf")
    assert history.record()
    assert desk.redis.zcard(keys.QUEUE_HISTORY) == 1441


def test_a_worker_learns_with_its_beat_that_it_is_drained(desk):
    registry = WorkerRegistry(desk.redis, 5.0)
    beat = Heartbeat(id="w@h:1", model="m")
    assert not registry.beat(beat)
    registry.drain("w@h:1")
    assert registry.beat(beat)
    assert registry.drained(["w@h:1", "w@h:2"]) == {"w@h:1"}
    registry.resume("w@h:1")
    assert not registry.beat(beat)
    registry.drain("w@h:1")
    registry.forget("w@h:1")
    assert registry.drained(["w@h:1"]) == set()
