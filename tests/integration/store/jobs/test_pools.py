"""Each model has a pool of its own; on a real Redis, without processes."""

from __future__ import annotations

import pytest

from shared.errors import QueueFull
from shared.jobs import JobInput, JobStatus
from shared.jobs.parameters.route import Route
from shared.prediction.heartbeat import Heartbeat
from shared.settings import Settings
from shared.store import Claim, NewJob, Store, keys
from shared.store.fleet.forecasts import Forecasts
from shared.store.fleet.worker_registry import WorkerRegistry
from shared.store.jobs.types import ServedModel


@pytest.fixture
def store(redis_server) -> Store:
    return Store(Settings(redis_url=redis_server.url))


def add(store: Store, model: str, tenant: str = "t", *, pool: str | None = None) -> str:
    route = Route(model, model, model if pool is None else pool)
    return store.add(NewJob(tenant, JobInput(prompt="?"), route=route)).doorbell.job_id


def take(store: Store, model: str, revision: str = "1") -> str:
    claim = store.claim_next("w", serves=ServedModel(model, revision))
    return claim.row.id if isinstance(claim, Claim) else claim


def test_jobs_of_one_model_are_ahead_of_no_job_of_another(store):
    many = [add(store, "a") for _ in range(5)]
    [own] = [add(store, "b")]
    assert (store.position(own, "t"), store.position(many[-1], "t")) == (0, 4)
    assert [take(store, "b"), take(store, "b")] == [own, "nothing"]
    assert [take(store, "a") for _ in range(6)] == [*many, "nothing"]


def test_a_job_that_all_may_see_is_taken_by_its_own_model_alone(store):
    own = add(store, "b", pool="")
    assert [take(store, "a"), store.claim(own, "w", serves=ServedModel("a", "1"))] == [
        "nothing",
        "other_model",
    ]
    assert take(store, "b") == own
    revision = add(store, "b@2")
    assert take(store, "b") == "nothing"
    claim = store.claim_next("w", serves=ServedModel("b", "2"))
    assert isinstance(claim, Claim)
    assert claim.row.id == revision


def test_what_an_older_version_has_moved_leaves_nothing_behind(store):
    moved, ended = add(store, "a"), add(store, "a")
    # it queues a lost job again, or ends one, as if there were no pools
    store.redis.zadd(keys.LINE + "t", {moved: 1})
    store.redis.zadd(keys.TURNS, {"t": 1})
    store.redis.zadd(keys.QUEUED_SINCE, {moved: 1})
    store.redis.hset(keys.job(ended), "status", "canceled")
    assert [take(store, "a"), take(store, "a")] == [moved, "nothing"]
    names = (keys.QUEUED_SINCE, keys.TURNS, keys.SLOTS, keys.LINE + "t")
    assert store.redis.exists(*names, *(keys.pooled(name, "a") for name in names)) == 0


def test_what_older_gateways_ask_is_for_the_model_that_was_there_first(store):
    """Their rows name no model; a newer worker of another one may come before any of the first."""
    registry = WorkerRegistry(store.redis, 10)
    registry.beat(Heartbeat("old", "a"))
    registry.beat(Heartbeat("other", "b", pools=("b",)))
    jobs = [add(store, "b", pool="") for _ in range(3)]
    for job in jobs:
        # as an older gateway writes it: the model of any worker, and not what was asked
        store.redis.hdel(keys.job(job), "asked")
    assert take(store, "b") == "nothing"
    assert store.claim(jobs[0], "w", serves=ServedModel("b", "1")) == "other_model"
    # an older worker names no model, and takes what it likes
    assert take(store, "") == jobs[0]
    assert store.find_others(jobs[1], ServedModel("b", "1")) is None
    registry.forget("old")
    registry.beat(Heartbeat("new", "a", pools=("a",)))
    registry.beat(Heartbeat("other", "b", pools=("b",)))
    assert (take(store, "b", "2"), take(store, "a")) == ("nothing", jobs[1])
    assert store.find_others(jobs[2], ServedModel("b", "1")) == "a"
    # its worker may be starting again
    store.redis.delete(keys.SERVES + "a")
    assert take(store, "b", "3") == "nothing"
    store.redis.delete(keys.AWAITED + "a")
    assert take(store, "b", "4") == jobs[2]


def end_late(store: Store, model: str, predicted_s: float, actual_s: float) -> None:
    """Let a job end so long after it came, beside what was predicted."""
    job = add(store, model)
    claim = store.claim_next("w", serves=ServedModel(model, "1"))
    assert isinstance(claim, Claim)
    earlier = round(claim.row.created_ms - 1000 * actual_s)
    predicted = {"predicted_ms": round(1000 * predicted_s), "created_ms": earlier}
    store.redis.hset(keys.job(job), mapping=predicted)
    assert store.finish(job, claim.owner, JobStatus.SUCCEEDED, {"output": {"text": ""}})


def test_a_model_that_is_late_makes_no_other_ones_jobs_late(store):
    forecasts = Forecasts(store.redis, WorkerRegistry(store.redis, 10))
    for _ in range(20):
        end_late(store, "late", 1, 60)
        end_late(store, "quick", 1000, 1)
    tails = [forecasts.read(Route(name, name, name)).tail for name in ("late", "quick", "new")]
    # a model without experience of its own has that of all
    assert tails[0] >= 60
    assert tails[1] == 1
    assert tails[2] >= 60


def test_names_that_nobody_serves_are_bounded(store):
    for number in range(64):
        add(store, f"m{number}", f"t{number}")
    with pytest.raises(QueueFull, match="64 models"):
        add(store, "one-more")
    assert add(store, "m7")
