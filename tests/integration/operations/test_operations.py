"""What an operator sees of a service with keys, and does to its jobs and workers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from shared.store import keys
from tests.integration.access.keyed_service import KeyedService, keyed_service
from tests.support.harness import eventually
from tests.support.images.image_bytes import plain_png

WAIT_S = 60


def ask(http: httpx.Client, method: str, path: str, **options: Any) -> httpx.Response:
    """Send a request until the gateway reaches Redis, which a busy machine may starve."""

    def answered() -> httpx.Response | None:
        answer = http.request(method, path, **options)
        away = answer.status_code == 503 and answer.json()["code"] == "store_unavailable"
        return None if away else answer

    return eventually(answered, WAIT_S)


class Operator:
    """Whoever has a key with the scope admin."""

    def __init__(self, service: KeyedService) -> None:
        self.http = service.gateways[0]
        self.key = service.key("boss", "--scope", "admin")

    def get(self, path: str, **params: object) -> Any:
        answer = ask(self.http, "GET", f"/v1/ops/{path}", params=params, headers=self.key)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str) -> httpx.Response:
        return ask(self.http, "POST", f"/v1/ops/{path}", headers=self.key)

    def jobs(self, status: str, **params: object) -> list[str]:
        return [job["id"] for job in self.get("jobs", status=status, **params)["data"]]

    def job(self, job_id: str) -> dict[str, Any]:
        return self.get(f"jobs/{job_id}")


@pytest.fixture(scope="module")
def audit_log(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("audit") / "audit.jsonl"


@pytest.fixture(scope="module")
def service(tmp_path_factory, audit_log) -> Iterator[KeyedService]:
    folder = tmp_path_factory.mktemp("operations")
    with keyed_service(folder, SIGHTLINE_AUDIT_LOG=str(audit_log)) as service:
        yield service


@pytest.fixture(scope="module")
def boss(service) -> Operator:
    return Operator(service)


def submit(service: KeyedService, key: dict[str, str], **body: object) -> str:
    body = {"prompt": "a secret question", "max_new_tokens": 2, **body}
    answer = ask(service.gateways[1], "POST", "/v1/jobs", json=body, headers=key)
    assert answer.status_code == 202, answer.text
    return answer.json()["id"]


def test_only_an_operator_sees_and_changes_what_others_have(service, boss, served):
    usual = service.key("usual")
    job = submit(service, usual)
    for method, path in (
        ("GET", "jobs"),
        ("GET", f"jobs/{job}"),
        ("GET", "workers"),
        ("GET", "queue"),
        ("POST", f"jobs/{job}/cancel"),
        ("POST", f"jobs/{job}/retry"),
        ("POST", "workers/w/drain"),
        ("POST", "workers/w/resume"),
    ):
        for headers, code in ((usual, "insufficient_scope"), ({}, "unauthorized")):
            refused = ask(boss.http, method, f"/v1/ops/{path}", headers=headers)
            assert refused.json()["code"] == code, (method, path, refused.text)
    assert boss.post(f"jobs/{job}/cancel").status_code == 200
    # whoever is alone with the service is its operator
    assert ask(served.http, "GET", "/v1/ops/workers").json()["data"]


def test_jobs_of_all_keys_are_listed_without_their_content_and_can_be_canceled(
    service, boss, audit_log
):
    first, second = service.key("first-team"), service.key("second-team")
    jobs = [submit(service, key) for key in (first, second, second)]
    listed = boss.get("jobs", status="queued", limit=2)
    assert [job["key"] for job in listed["data"]] == ["first-team", "second-team"]
    assert listed["has_more"]
    assert boss.jobs("queued", after=listed["next"]) == jobs[2:]
    assert boss.jobs("queued", key="second-team") == jobs[1:]
    unknown = ask(boss.http, "GET", "/v1/ops/jobs?key=nobody", headers=boss.key)
    assert unknown.status_code == 404
    assert "secret" not in json.dumps(listed)
    canceled = boss.post(f"jobs/{jobs[1]}/cancel")
    assert (canceled.json()["status"], canceled.json()["id"]) == ("canceled", jobs[1])
    assert boss.jobs("canceled", key="second-team") == jobs[1:2]
    by_hand = service.admin("cancel", jobs[2], area="jobs")
    assert by_hand.stdout == f"{jobs[2]} canceled\n"
    assert jobs[0] in service.admin("list", "--status", "queued", area="jobs").stdout
    (shown,) = json.loads(service.admin("show", jobs[0], "--json", area="jobs").stdout)
    assert (shown["key"], shown["status"]) == ("first-team", "queued")
    boss.post(f"jobs/{jobs[0]}/cancel")
    lines = [json.loads(line) for line in audit_log.read_text().splitlines()]
    line = next(one for one in lines if one["event"] == "canceled" and one["job_id"] == jobs[0])
    assert (line["key"], line["owner"]) == ("boss", shown_tenant(service, "first-team"))
    assert [one["job_id"] for one in lines if one["event"] == "job.cancel"] == [jobs[2]]
    # looking on is written down only where it was refused
    assert {one["status"] for one in lines if one.get("route") == "/v1/ops/jobs"} <= {401, 403}


def soon_text() -> str:
    return (datetime.now(UTC) + timedelta(hours=1)).isoformat()


def shown_tenant(service: KeyedService, name: str) -> str:
    listed = json.loads(service.admin("list", "--json").stdout)
    return next(key["id"] for key in listed if key["name"] == name)


def test_a_drained_worker_finishes_what_it_has_and_takes_no_more(service, boss, audit_log):
    team = service.key("drained-team")
    worker = service.system.worker(slots=2, SIGHTLINE_SIMULATED_TOKEN_S="0.5")
    running = submit(service, team, max_new_tokens=24)
    eventually(lambda: boss.job(running)["status"] == "running", WAIT_S)
    assert boss.jobs("running", key="drained-team") == [running]
    eventually(lambda: [one["busy"] for one in boss.get("workers")["data"]] == [1], WAIT_S)
    (state,) = boss.get("workers")["data"]
    assert (state["slots"], state["drained"]) == (2, False)
    assert state["memory_bytes"] > 1 << 20
    assert boss.job(running)["worker"] == state["id"]
    answer = boss.post(f"workers/{state['id']}/drain")
    assert (answer.status_code, answer.json()["draining"]) == (200, True)
    eventually(lambda: "worker.drained" in worker.logs(), WAIT_S)
    ready = eventually(
        lambda: (ready := boss.http.get("/readyz")).status_code == 503 and ready, WAIT_S
    )
    assert ready.json()["code"] == "no_workers"
    waiting = [submit(service, team) for _ in range(3)]
    eventually(lambda: boss.job(running)["status"] == "succeeded", WAIT_S)
    # it was free for several looks of the reconciler, which rings for each of them
    eventually(lambda: boss.get("workers")["data"][0]["busy"] == 0, WAIT_S)
    other = service.system.worker(slots=2, SIGHTLINE_SIMULATED_TOKEN_S="0")
    eventually(lambda: all(boss.job(job)["status"] == "succeeded" for job in waiting), WAIT_S)
    (second,) = (one for one in boss.get("workers")["data"] if one["id"] != state["id"])
    assert {boss.job(job)["worker"] for job in waiting} == {second["id"]}
    assert state["id"] in service.admin("list", area="workers").stdout
    service.admin("drain", second["id"], area="workers")
    assert boss.post(f"workers/{state['id']}/resume").status_code == 200
    eventually(lambda: "worker.resumed" in worker.logs(), WAIT_S)
    eventually(lambda: "worker.drained" in other.logs(), WAIT_S)
    late = submit(service, team)
    eventually(lambda: boss.job(late)["status"] == "succeeded", WAIT_S)
    assert boss.job(late)["worker"] == state["id"]
    service.admin("resume", second["id"], area="workers")
    service.admin("drain", "nobody", area="workers", code=1)
    unknown = boss.post("workers/nobody/drain")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "not_found")
    assert "consumer.lost" not in worker.logs() + other.logs()
    lines = [json.loads(line) for line in audit_log.read_text().splitlines()]
    of_state = dict.fromkeys(one["event"] for one in lines if one.get("worker_id") == state["id"])
    assert list(of_state) == ["drained", "resumed"]
    assert [one["event"] for one in lines if one.get("worker") == second["id"]] == [
        "worker.drain",
        "worker.resume",
    ]


def test_a_failed_job_tells_why_and_is_retried_once_if_its_input_is_still_there(
    service, boss, audit_log
):
    team = service.key("failing-team")
    http = service.gateways[0]

    def upload() -> str:
        files = {"image": plain_png("red", 64, 48)}
        return ask(http, "POST", "/v1/images", files=files, headers=team).json()["id"]

    image, tenant = upload(), shown_tenant(service, "failing-team")
    for state in (workers := boss.get("workers")["data"]):
        boss.post(f"workers/{state['id']}/drain")
    eventually(lambda: boss.http.get("/readyz").status_code == 503, WAIT_S)
    job = submit(service, team, images=[image])
    with service.redis.client() as redis:
        assert redis.delete(keys.image(tenant, image))
    for state in workers:
        boss.post(f"workers/{state['id']}/resume")
    if not workers:
        service.system.worker(SIGHTLINE_SIMULATED_TOKEN_S="0")
    eventually(lambda: boss.job(job)["status"] == "failed", WAIT_S)
    (failed,) = boss.get("jobs", status="failed", key="failing-team", code="image_gone")["data"]
    assert failed["reason"]["code"] == "image_gone"
    assert failed["size"]["images"] == 1
    assert boss.jobs("failed", key="failing-team", code="poison") == []
    lost = boss.post(f"jobs/{job}/retry")
    assert (lost.status_code, lost.json()["code"]) == (422, "image_not_found")
    upload()
    retried = boss.post(f"jobs/{job}/retry")
    assert (retried.status_code, retried.json()["retry_of"]) == (202, job), retried.text
    new = retried.json()["id"]
    eventually(lambda: boss.job(new)["status"] == "succeeded", WAIT_S)
    assert boss.job(new)["key"] == "failing-team"
    again = boss.post(f"jobs/{job}/retry")
    assert (again.status_code, again.json()["code"]) == (409, "not_retryable")
    assert new in again.json()["detail"]
    ended = boss.post(f"jobs/{new}/cancel")
    assert (ended.status_code, ended.json()["code"]) == (409, "not_cancelable")
    for action in ("retry", "cancel"):
        assert "succeeded" in service.admin(action, new, area="jobs", code=1).stderr
    # a question that goes on from a conversation asks for that, and not for a new one
    talk = {"session_id": "talk-of-failing-team"}
    first = submit(service, team, **talk)
    eventually(lambda: boss.job(first)["status"] == "succeeded", WAIT_S)
    follow_up = submit(service, team, not_before=soon_text(), **talk)
    boss.post(f"jobs/{follow_up}/cancel")
    path = f"/v1/sessions/{talk['session_id']}"
    assert ask(http, "DELETE", path, headers=team).status_code in (204, 404)
    gone = boss.post(f"jobs/{follow_up}/retry")
    assert (gone.status_code, gone.json()["code"]) == (409, "not_retryable"), gone.text
    assert "conversation" in gone.json()["detail"]
    waiting = submit(service, team, not_before=soon_text())
    assert boss.jobs("scheduled", key="failing-team") == [waiting]
    boss.post(f"jobs/{waiting}/cancel")
    by_hand = service.admin("retry", waiting, area="jobs").stdout.split()
    assert by_hand[:-1] == [waiting, "retried", "as"]
    lines = [json.loads(line) for line in audit_log.read_text().splitlines()]
    made = [(one["event"], one.get("job_id"), one["made"]) for one in lines if one.get("made")]
    assert ("retried", job, new) in made
    assert ("job.retry", waiting, by_hand[-1]) in made


def test_the_queue_has_a_history_that_one_gateway_writes(service, boss):
    state = boss.get("queue", minutes=1440)
    assert {queue["name"] for queue in state["queues"]} == {"high", "default", "low"}
    with service.redis.client() as redis:
        members = eventually(lambda: redis.zrange(keys.QUEUE_HISTORY, 0, -1, withscores=True))
        minutes = [minute for _, minute in members]
        assert len(set(minutes)) == len(minutes)
        earlier = members[0][0].split(":")
        earlier[0] = str(int(earlier[0]) - 600_000)
        redis.zadd(keys.QUEUE_HISTORY, {":".join(earlier): minutes[0] - 10})
    history = boss.get("queue", minutes=60)["history"]
    assert len(history) >= 1
    assert history[0]["seconds"] >= 600
    refused = ask(boss.http, "GET", "/v1/ops/queue?minutes=9999", headers=boss.key)
    assert refused.status_code == 422
