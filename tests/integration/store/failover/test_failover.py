"""A replicated Redis with sentinels: where writes go, and what a failover may lose."""

from __future__ import annotations

import signal

import pytest

from shared import config_check
from shared.errors import NotReplicated, StoreUnavailable
from shared.jobs import JobInput
from shared.settings import Settings
from shared.store import NewJob, Store, failures
from shared.store.redis_info import redis_state
from tests.support.accepted_jobs import AcceptedJobs
from tests.support.harness import QUICK, System, eventually, running_system
from tests.support.servers.sentinels import SERVICE, ReplicatedRedis, running_sentinels


@pytest.fixture
def service(tmp_path):
    with running_sentinels(tmp_path / "redis") as running:
        yield running


@pytest.fixture
def careless(tmp_path):
    """A service whose masters take writes while they have no replicas."""
    with running_sentinels(tmp_path / "redis", guarded=False) as running:
        yield running


def _job() -> NewJob:
    return NewJob("t", JobInput(prompt="?"))


def _add(store: Store, job: NewJob) -> str:
    return store.add(job).doorbell.job_id


def test_writes_go_to_the_present_master_and_are_confirmed_by_replicas(service, monkeypatch):
    monkeypatch.setattr(failures, "CONFIRM_S", 0.5)
    settings = Settings(redis_url=service.url, redis_wait=1, redis_wait_s=0.2, redis_timeout_s=2)
    store = Store(settings)
    first = _add(store, _job())
    for replica in service.replicas():
        assert replica.client().exists(f"sl:job:{first}")
    old = service.master()
    (line,) = config_check.describe_servers(settings)
    assert f"master of {SERVICE} at 127.0.0.1:{old.port} by 3 sentinels, 2 replicas" in line
    assert not [
        risk
        for risk in config_check.check_replicas(settings, redis_state(store.redis))
        if "min-replicas" not in risk
    ]

    # no replica answers: it is made, it is not confirmed, and the same job is later
    for replica in service.replicas():
        replica.signal(signal.SIGSTOP)
    job = _job()
    with pytest.raises(NotReplicated) as caught:
        store.add(job)
    assert caught.value.extra == {"job_id": job.id}
    assert caught.value.retry_after_s
    for replica in service.replicas():
        replica.signal(signal.SIGCONT)
    eventually(lambda: _tries(store, job) == job.id)
    assert store.redis.zcard("sl:queued") == 2

    # a frozen master is replaced, does not know it when it comes back, and is not written to
    old.signal(signal.SIGSTOP)
    service.await_failover(old)
    eventually(lambda: _tries(store, _job()))
    known = store.redis.zcard("sl:queued")
    old.signal(signal.SIGCONT)
    third = _add(store, _job())
    assert service.master().client().exists(f"sl:job:{third}")
    assert store.redis.zcard("sl:queued") == known + 1
    service.await_rejoined(old)
    eventually(lambda: old.client().exists(f"sl:job:{third}"))


def _tries(store: Store, job: NewJob) -> str | None:
    try:
        return _add(store, job)
    except StoreUnavailable:
        return None


def _running(service: ReplicatedRedis, folder, wait: int):
    return running_system(service.url, folder, **QUICK, SIGHTLINE_REDIS_WAIT=str(wait))


def _start(system: System, workers: int = 1) -> str:
    """Start workers and a gateway; return the gateway's URL."""
    for _ in range(workers):
        system.worker(wait=False)
    _, http = system.gateway()
    eventually(lambda: http.get("/readyz").status_code == 200)
    return str(http.base_url)


def _cut_off_under_load(service: ReplicatedRedis, system: System) -> AcceptedJobs:
    """Part the master from all but its clients, who go on; return what they submitted."""
    with AcceptedJobs(_start(system)) as jobs:
        jobs.await_new()
        old = service.master()
        service.cut_off(old)
        service.await_failover(old)
        jobs.await_new()
    return jobs


def test_no_accepted_job_is_lost_when_the_master_is_cut_off_under_load(careless, tmp_path):
    with _running(careless, tmp_path, 1) as system:
        jobs = _cut_off_under_load(careless, system)
        assert not jobs.find_lost()
    assert {status for status, _ in jobs.refused} <= {503, 504}
    assert jobs.told_when


@pytest.mark.long
def test_without_replicas_that_confirm_a_master_that_is_cut_off_loses_jobs(careless, tmp_path):
    with _running(careless, tmp_path, 0) as system:
        assert _cut_off_under_load(careless, system).find_lost()


@pytest.mark.long
def test_no_accepted_job_is_lost_when_one_master_after_the_other_fails(service, tmp_path):
    with _running(service, tmp_path, 1) as system:
        with AcceptedJobs(_start(system, workers=2)) as jobs:
            jobs.await_new()
            first = service.master()
            first.kill()
            second = service.await_failover(first)
            jobs.await_new()
            first.start()
            service.await_rejoined(first)
            second.signal(signal.SIGSTOP)
            third = service.await_failover(second)
            jobs.await_new()
            second.signal(signal.SIGCONT)
            service.await_rejoined(second)
            service.cut_off(third)
            service.await_failover(third)
            jobs.await_new()
            service.rejoin(third)
            jobs.await_new()
        assert not jobs.find_lost()
