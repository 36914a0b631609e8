"""Groups of jobs: counts, one webhook, cancel and retry, through the API and the store."""

from __future__ import annotations

import json

import pytest
from standardwebhooks import Webhook

from shared.jobs import JobInput, JobStatus
from shared.settings import Settings
from shared.store import Claim, NewJob, Store, keys
from shared.store.group_store import GroupStore
from tests.integration.conftest import Service
from tests.support.harness import QUICK, eventually, running_redis, running_system
from tests.support.servers.receivers import receiving

OUTWARD = {"SIGHTLINE_ALLOW_NETS": "127.0.0.0/8", "SIGHTLINE_ALLOW_PORTS": "1-65535"}
QUESTION = JobInput(prompt="what?")
FAILURE = {"error": {"code": "inference_failed", "message": "no", "hint": ""}}


@pytest.fixture(scope="module")
def grouping(tmp_path_factory):
    folder = tmp_path_factory.mktemp("grouping")
    env = QUICK | OUTWARD | {"SIGHTLINE_SIMULATED_TOKEN_S": "0.02"}
    with running_redis(folder) as redis, running_system(redis.url, folder, **env) as system:
        system.worker(slots=4)
        system.courier()
        process, http = system.gateway()
        yield Service(http, redis, process, system)


def group_of(service, name: str) -> dict:
    answer = service.http.get(f"/v1/groups/{name}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def ended(service, name: str) -> dict:
    def look():
        group = group_of(service, name)
        return group if group["status"] == "completed" else None

    return eventually(look, 60)


def test_the_end_of_a_group_is_told_once_with_its_counts(grouping):
    with receiving() as receiver:
        secret = grouping.http.post("/v1/webhooks/secret/rotate").json()["secret"]
        described = grouping.http.put(
            "/v1/groups/scans", json={"size": 3, "webhook": receiver.url, "metadata": {"a": 1}}
        )
        assert described.status_code == 200, described.text
        assert (described.json()["counts"]["total"], described.json()["eta_s"]) == (0, None)
        jobs = [grouping.submit(f"{n}", group="scans", max_new_tokens=2) for n in range(3)]
        assert {job["group"] for job in jobs} == {"scans"}
        group = ended(grouping, "scans")
        assert group["counts"] | {"total": 3, "succeeded": 3} == group["counts"]
        assert (group["eta_s"], group["metadata"], group["size"]) == (0.0, {"a": 1}, 3)
        assert group["completed_at"]
        listed = grouping.http.get("/v1/jobs", params={"group": "scans", "status": "succeeded"})
        assert [job["id"] for job in listed.json()["data"]] == [job["id"] for job in jobs[::-1]]
        (message,) = eventually(lambda: receiver.requests or None, 60)
        body = Webhook(secret).verify(message.body, message.headers)
        assert body["type"] == "group.completed"
        assert body["data"]["id"] == "scans"
        assert body["data"]["counts"]["succeeded"] == 3
        # described again, as by a client whose answer was lost, it is not told again
        grouping.http.put("/v1/groups/scans", json={"size": 3, "webhook": receiver.url})
        grouping.ended("another")
        assert len(receiver.requests) == 1
    assert "scans" in [one["id"] for one in grouping.http.get("/v1/groups").json()["data"]]


def test_a_group_is_canceled_as_a_whole(grouping):
    jobs = [
        grouping.submit(f"long {n}", group="long", images=[], max_new_tokens=400) for n in range(12)
    ]
    before = group_of(grouping, "long")
    assert before["status"] == "in_progress"
    assert before["counts"]["queued"] + before["counts"]["running"] > 0
    assert grouping.http.post("/v1/groups/long/cancel").status_code == 200
    group = ended(grouping, "long")
    counts = group["counts"]
    assert counts["total"] == 12 == counts["succeeded"] + counts["canceled"]
    assert counts["canceled"] > 0
    statuses = [grouping.job(job["id"])["status"] for job in jobs]
    assert statuses.count("canceled") == counts["canceled"]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "pointer"),
    [
        ("GET", "none", None, 404, None),
        ("POST", "none/cancel", None, 404, None),
        ("POST", "none/retry", None, 404, None),
        ("PUT", "g", {"webhook": "http://127.0.0.1:9/x"}, 422, ""),
        ("PUT", "g", {"size": 0}, 422, "/size"),
        ("PUT", "g", {"size": 1, "webhook": "ftp://x"}, 403, "/webhook"),
        ("PUT", "a%20b", {"size": 1}, 422, "/group_id"),
    ],
)
def test_what_makes_no_sense_is_refused(grouping, method, path, body, status, pointer):
    answer = grouping.http.request(method, f"/v1/groups/{path}", json=body)
    assert answer.status_code == status, answer.text
    assert pointer in (None, answer.json()["pointer"] or "")


def test_a_group_may_be_described_without_a_promise_and_that_taken_back(workerless):
    for body in ({"metadata": {"a": 1}}, {"size": 5}, {}):
        group = workerless.http.put("/v1/groups/open", json=body)
        assert group.status_code == 200, group.text
        assert group.json()["size"] == body.get("size")
    job = workerless.submit(group="open")
    workerless.http.post(f"/v1/jobs/{job['id']}/cancel")
    group = group_of(workerless, "open")
    assert (group["status"], group["counts"]["canceled"]) == ("completed", 1)
    assert (group["completed_at"], group["metadata"]) == (None, {})


def test_failed_jobs_are_retried_once_each(workerless):
    jobs = [workerless.submit(f"{n}", group="night")["id"] for n in range(4)]
    store = Store(Settings(redis_url=workerless.redis.url))
    for job_id in jobs[:3]:
        claim = store.claim(job_id, "w")
        assert isinstance(claim, Claim)
        status = JobStatus.SUCCEEDED if job_id == jobs[2] else JobStatus.FAILED
        assert store.finish(job_id, claim.owner, status, FAILURE)
    group = group_of(workerless, "night")
    assert (group["counts"]["failed"], group["counts"]["queued"]) == (2, 1)
    first = workerless.http.post("/v1/groups/night/retry").json()
    assert (len(first["retried"]), first["left"], first["reason"]) == (2, 0, None)
    assert first["group"]["counts"]["total"] == 6
    retried = [workerless.job(job_id) for job_id in first["retried"]]
    assert [job["retry_of"] for job in retried] == jobs[:2]
    assert {job["group"] for job in retried} == {"night"}
    again = workerless.http.post("/v1/groups/night/retry").json()
    assert (again["retried"], again["group"]["counts"]["total"]) == ([], 6)
    # one whose answer was lost before the failed job was forgotten is the same job
    key = keys.group("anonymous", "night") + keys.GROUP_FAILED
    workerless.redis.client().zadd(key, {jobs[0]: 1})
    repeated = workerless.http.post("/v1/groups/night/retry").json()
    assert repeated["retried"] == first["retried"][:1]
    assert repeated["group"]["counts"]["total"] == 6
    workerless.http.post("/v1/groups/night/cancel")


@pytest.fixture
def jobs(redis_server) -> Store:
    return Store(Settings(redis_url=redis_server.url))


@pytest.fixture
def groups(jobs) -> GroupStore:
    return GroupStore(jobs.redis)


def test_a_job_that_is_added_twice_counts_once_and_an_erased_one_is_counted_as_such(jobs, groups):
    job = NewJob("t", QUESTION, group="g")
    for _ in range(2):
        jobs.add(job)
    assert (groups.get("t", "g").total, groups.get("t", "g").unfinished) == (1, 1)
    jobs.erase(job.id, "t")
    group = groups.get("t", "g")
    assert (group.unfinished, group.erased, group.last) == (0, 1, None)
    jobs.erase(jobs.add(NewJob("t", QUESTION)).doorbell.job_id, "t")


def test_jobs_that_an_older_version_ends_or_that_vanish_are_counted_by_the_reaper(jobs, groups):
    first, second, third = (jobs.add(NewJob("t", QUESTION, group="g")).doorbell for _ in range(3))
    jobs.redis.hset(keys.job(first.job_id), "status", "succeeded")
    jobs.redis.delete(keys.job(second.job_id))
    jobs.reap()
    stored = jobs.redis.hgetall(keys.group("t", "g"))
    assert (stored["succeeded"], stored["erased"]) == ("1", "1")
    assert groups.get("t", "g").last == third.job_id
    jobs.cancel(third.job_id, "t")
    assert groups.get("t", "g").canceled == 1
    assert jobs.redis.zcard(keys.GROUPS_OPEN) == 0


def test_a_group_that_grows_is_told_of_again(jobs, groups):
    hook = {"size": 1, "metadata": {}, "webhook": None}
    groups.put("t", "g", 60, **hook)

    def end_one() -> None:
        job_id = jobs.add(NewJob("t", QUESTION, group="g")).doorbell.job_id
        assert groups.get("t", "g").completed_ms is None
        jobs.cancel(job_id, "t")
        assert groups.get("t", "g").completed_ms

    end_one()
    end_one()
    assert groups.put("t", "g", 60, size=3, metadata={}, webhook=None).completed_ms is None
    end_one()


def test_every_job_of_a_large_group_is_canceled(jobs, groups):
    for _ in range(250):
        jobs.add(NewJob("t", QUESTION, group="g"))
    claim = jobs.claim_next("w")
    assert isinstance(claim, Claim)
    groups.cancel("t", "g")
    group = groups.get("t", "g")
    assert (group.canceled, group.unfinished, group.running) == (249, 1, 1)
    assert json.loads(jobs.redis.hget(keys.job(claim.row.id), "cancel")) == 1
