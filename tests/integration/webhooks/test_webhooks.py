"""Webhooks end to end: gateway, worker and courier as processes, receivers on loopback."""

from __future__ import annotations

import datetime as dt
import json
import re
import sys
import time

import httpx
import pytest
from standardwebhooks import Webhook as Verifier

from tests.integration.conftest import Service
from tests.support.harness import QUICK, ROOT, eventually, free_port, running_redis, running_system
from tests.support.servers.receivers import dripping, raw, receiving

OUTWARD = {"SIGHTLINE_ALLOW_NETS": "127.0.0.0/8", "SIGHTLINE_ALLOW_PORTS": "1-65535"}
HASTY = {
    "SIGHTLINE_WEBHOOK_TIMEOUT_S": "1",
    "SIGHTLINE_WEBHOOK_GRACE_S": "0.5",
    "SIGHTLINE_WEBHOOK_SCHEDULE_S": "[0, 0.2, 0.2, 0.2]",
    "SIGHTLINE_WEBHOOK_BREAKER_S": "0.4",
    "SIGHTLINE_PUBLIC_URL": "https://sightline.example",
}


@pytest.fixture(scope="module")
def hooked(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hooked")
    env = QUICK | OUTWARD | HASTY
    with running_redis(folder) as redis, running_system(redis.url, folder, **env) as system:
        system.worker(slots=8)
        system.courier()
        process, http = system.gateway()
        yield Service(http, redis, process, system)


def deliveries(service, job):
    return service.http.get(f"/v1/jobs/{job['id']}/deliveries").json()["data"]


def attempts_of(service, job):
    return [attempt for one in deliveries(service, job) for attempt in one["attempts"]]


def concluded(service, job, within_s=60):
    def look():
        data = deliveries(service, job)
        return data if data and all(one["status"] != "pending" for one in data) else None

    return eventually(look, within_s)


def new_secret(service):
    return service.http.post("/v1/webhooks/secret/rotate").json()["secret"]


def test_the_end_of_a_job_is_told_at_once_and_signed(hooked):
    secret = new_secret(hooked)
    with receiving() as receiver:
        job = hooked.submit("Was ist das? 图", webhook=receiver.url + "/hook", metadata={"ü": "图"})
        eventually(lambda: receiver.requests)
    (request,) = receiver.requests
    message = Verifier(secret).verify(request.body, request.headers)
    assert message["type"] == "job.succeeded"
    assert message["data"]["id"] == job["id"]
    assert message["data"]["metadata"] == {"ü": "图"}
    assert message["data"]["urls"]["result"].startswith("https://sightline.example/v1/jobs/")
    assert "图".encode() in request.body
    shown = hooked.job(job["id"])
    assert shown["output"] == message["data"]["output"]
    (delivery,) = concluded(hooked, job)
    assert delivery["status"] == "delivered"
    assert delivery["id"] == request.headers["webhook-id"]
    (attempt,) = delivery["attempts"]
    assert (attempt["status"], attempt["body"], attempt["error"]) == (200, "ok", None)
    moments = [delivery["created_at"], delivery["ended_at"], attempt["at"], message["timestamp"]]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", at) for at in moments)


def test_start_and_progress_are_told_to_those_who_ask(hooked):
    with receiving() as receiver:
        job = hooked.submit(
            webhook=receiver.url,
            webhook_events=["started", "progress", "completed"],
            max_new_tokens=200,
        )
        eventually(lambda: any(b'"job.succeeded"' in r.body for r in receiver.requests))
        concluded(hooked, job)
    kinds = [json.loads(request.body)["type"] for request in receiver.requests]
    # each is a delivery of its own: they may arrive in any order
    assert set(kinds) == {"job.started", "job.progress", "job.succeeded"}
    assert kinds.count("job.started") == kinds.count("job.succeeded") == 1
    assert len({request.headers["webhook-id"] for request in receiver.requests}) == len(kinds)


def test_a_canceled_job_is_told_too(hooked):
    with receiving() as receiver:
        job = hooked.submit(webhook=receiver.url, max_new_tokens=2000)
        hooked.http.post(job["urls"]["cancel"])
        eventually(lambda: receiver.requests)
    assert json.loads(receiver.requests[0].body)["type"] == "job.canceled"


def test_a_failing_receiver_gets_the_same_message_until_it_takes_it(hooked):
    answers = [(500, {}, b"oops"), (302, {"Location": "/elsewhere"}, b""), (204, {}, b"")]
    secret = new_secret(hooked)
    with receiving(lambda _: answers.pop(0)) as receiver:
        job = hooked.submit(webhook=receiver.url)
        (delivery,) = concluded(hooked, job)
    assert delivery["status"] == "delivered"
    assert [attempt["status"] for attempt in delivery["attempts"]] == [500, 302, 204]
    assert "not followed" in delivery["attempts"][1]["error"]
    assert {request.headers["webhook-id"] for request in receiver.requests} == {delivery["id"]}
    assert len({request.body for request in receiver.requests}) == 1
    assert [request.path for request in receiver.requests] == ["/"] * 3
    for request in receiver.requests:
        Verifier(secret).verify(request.body, request.headers)


def test_a_schedule_has_an_end_and_a_replay_begins_it_anew(hooked):
    good = []
    with receiving(lambda _: (200 if good else 500, {}, b"")) as receiver:
        job = hooked.submit(webhook=receiver.url)
        (delivery,) = concluded(hooked, job)
        assert (delivery["status"], delivery["reason"]) == ("failed", "attempts_exhausted")
        assert len(delivery["attempts"]) == 4
        good.append(1)
        again = hooked.http.post(f"/v1/deliveries/{delivery['id']}/replay")
        assert (again.status_code, again.json()["status"]) == (202, "pending")
        (delivery,) = concluded(hooked, job)
    assert delivery["status"] == "delivered"
    assert len(delivery["attempts"]) == 5
    assert {request.headers["webhook-id"] for request in receiver.requests} == {delivery["id"]}


def test_all_that_failed_since_a_time_is_sent_again(hooked):
    since = dt.datetime.now(tz=dt.UTC).isoformat()
    good = []
    with receiving(lambda _: (200 if good else 404, {}, b"")) as receiver:
        jobs = [hooked.submit(webhook=f"{receiver.url}/{n}") for n in range(3)]
        for job in jobs:
            assert concluded(hooked, job)[0]["status"] == "failed"
        receiver.requests.clear()
        good.append(1)
        answer = hooked.http.post("/v1/deliveries/replay", json={"since": since})
        assert (answer.status_code, answer.json()["replayed"]) == (202, 3)
        eventually(lambda: len(receiver.requests) == 3)
    for job in jobs:
        assert concluded(hooked, job)[0]["status"] == "delivered"
    assert hooked.http.post("/v1/deliveries/replay", json={"since": since}).json()["replayed"] == 0


def test_after_a_410_nothing_more_is_sent_there(hooked):
    with receiving(lambda _: (410, {}, b"")) as receiver:
        first = hooked.submit(webhook=receiver.url + "/a")
        assert concluded(hooked, first)[0]["reason"] == "url_gone"
        second = hooked.submit(webhook=receiver.url + "/a")
        (delivery,) = concluded(hooked, second)
        assert (delivery["reason"], delivery["attempts"]) == ("url_gone", [])
        assert len(receiver.requests) == 1
        other = hooked.submit(webhook=receiver.url + "/b")
        concluded(hooked, other)
    assert [request.path for request in receiver.requests] == ["/a", "/b"]


def test_a_dripping_receiver_ends_at_the_deadline(hooked):
    with raw(dripping(b"HTTP/1.1 200 OK\r\nX-A: ")) as port:
        job = hooked.submit(webhook=f"http://127.0.0.1:{port}/")
        attempts = eventually(lambda: attempts_of(hooked, job))
    assert attempts[0]["status"] is None
    assert 900 < attempts[0]["ms"] < 2000
    assert "in time" in attempts[0]["error"]


def test_a_receiver_may_ask_for_patience(hooked):
    answers = [(503, {"Retry-After": "2"}, b""), (200, {}, b"")]
    with receiving(lambda _: answers.pop(0)) as receiver:
        job = hooked.submit(webhook=receiver.url)
        concluded(hooked, job)
    first, second = receiver.requests
    assert 1.8 < second.at - first.at < 5


def test_two_secrets_sign_while_one_replaces_the_other(hooked):
    old, new = new_secret(hooked), new_secret(hooked)
    with receiving() as receiver:
        hooked.submit(webhook=receiver.url)
        eventually(lambda: receiver.requests)
    (request,) = receiver.requests
    assert len(request.headers["webhook-signature"].split()) == 2
    for secret in (old, new):
        Verifier(secret).verify(request.body, request.headers)


def test_the_secret_is_shown_once(hooked):
    redis = hooked.redis.client()
    redis.delete("sl:webhook_secret:anonymous")
    first = hooked.http.get("/v1/webhooks/secret").json()
    second = hooked.http.get("/v1/webhooks/secret").json()
    assert first["secret"].startswith("whsec_")
    assert second["secret"] is None
    assert second["hint"] == first["hint"] == "whsec_…" + first["secret"][-4:]
    rotated = hooked.http.post("/v1/webhooks/secret/rotate").json()
    assert rotated["secret"] not in (None, first["secret"])
    assert rotated["previous_hint"] == first["hint"]
    assert hooked.http.get("/v1/webhooks/secret").json()["secret"] is None


def test_a_test_message_is_sent_once_and_enables_again(hooked):
    redis = hooked.redis.client()
    with receiving(lambda r: (200, {}, b"") if b"webhook.test" in r.body else (500, {}, b"")) as re:
        job = hooked.submit(webhook=re.url)
        concluded(hooked, job)
        (endpoint,) = [
            key
            for key in redis.keys("sl:endpoint:*")
            if redis.type(key) == "hash" and redis.hget(key, "origin") == re.url
        ]
        redis.hset(endpoint, "disabled_ms", 1)
        assert health(hooked, re.url)["state"] == "disabled"
        refused = hooked.submit(webhook=re.url)
        (delivery,) = concluded(hooked, refused)
        assert (delivery["reason"], delivery["attempts"]) == ("endpoint_disabled", [])
        test = hooked.http.post("/v1/webhooks/test", json={"url": re.url})
        assert test.status_code == 202
        path = f"/v1/deliveries/{test.json()['id']}"
        eventually(lambda: hooked.http.get(path).json()["status"] == "delivered")
        assert health(hooked, re.url)["state"] == "ok"


def health(service, origin):
    listed = service.http.get("/v1/webhooks/endpoints").json()["data"]
    return next(one for one in listed if one["origin"] == origin)


def test_an_endpoint_that_only_fails_is_disabled_in_the_end(hooked, tmp_path):
    hooked.system.courier(SIGHTLINE_WEBHOOK_DISABLE_S="60")
    redis = hooked.redis.client()
    with receiving(lambda _: (500, {}, b"")) as receiver:
        job = hooked.submit(webhook=receiver.url)
        eventually(lambda: attempts_of(hooked, job))
        (endpoint,) = [
            key
            for key in redis.keys("sl:endpoint:*")
            if redis.type(key) == "hash" and redis.hget(key, "origin") == receiver.url
        ]
        # six days ago, and no success since
        redis.hset(endpoint, "failing_since", int(time.time() * 1000) - 6 * 86_400_000)
        eventually(lambda: health(hooked, receiver.url)["state"] == "disabled")


@pytest.mark.parametrize("url", ["http://10.0.0.1/", "ftp://x/", "http://a@127.0.0.1/", "x"])
def test_a_webhook_that_may_not_be_reached_is_refused_at_once(hooked, url):
    answer = hooked.http.post("/v1/jobs", json={"prompt": "?", "webhook": url})
    assert (answer.status_code, answer.json()["code"]) == (403, "url_not_allowed")
    assert answer.json()["pointer"] == "/webhook"
    assert hooked.http.post("/v1/webhooks/test", json={"url": url}).status_code == 403


def test_erasing_a_job_erases_its_deliveries(hooked):
    port = free_port()
    job = hooked.submit(webhook=f"http://127.0.0.1:{port}/")
    (delivery,) = eventually(lambda: deliveries(hooked, job))
    hooked.http.delete(job["urls"]["self"])
    assert hooked.http.get(f"/v1/deliveries/{delivery['id']}").status_code == 404
    assert hooked.http.get(f"/v1/jobs/{job['id']}/deliveries").status_code == 410
    eventually(
        lambda: (
            not [
                k
                for k in hooked.redis.client().keys("*")
                if job["id"][4:] in k and ":gone:" not in k
            ]
        )
    )


def test_a_retried_job_tells_the_same_receiver(hooked):
    with receiving() as receiver:
        job = hooked.submit(webhook=receiver.url, max_new_tokens=2000)
        hooked.http.post(job["urls"]["cancel"])
        eventually(lambda: receiver.requests)
        again = hooked.http.post(job["urls"]["self"] + "/retry").json()
        hooked.http.post(again["urls"]["cancel"])
        eventually(lambda: len(receiver.requests) == 2)
    assert json.loads(receiver.requests[1].body)["data"]["id"] == again["id"]


def test_a_dead_endpoint_holds_nobody_up(hooked):
    with raw(lambda peer: time.sleep(30)) as dead, receiving() as receiver:
        for number in range(40):
            hooked.submit(webhook=f"http://127.0.0.1:{dead}/{number}", max_new_tokens=1)
        jobs = [hooked.submit(webhook=receiver.url, max_new_tokens=1) for _ in range(10)]
        eventually(lambda: len(receiver.requests) == 10)
        took = {
            json.loads(r.body)["data"]["id"]: r.at
            - dt.datetime.fromisoformat(json.loads(r.body)["data"]["completed_at"]).timestamp()
            for r in receiver.requests
        }
        assert took.keys() == {job["id"] for job in jobs}
        # the dead endpoint answers nothing for 30 s
        assert max(took.values()) < 25
        state = eventually(lambda: health(hooked, f"http://127.0.0.1:{dead}")["state"] == "open")
        assert state


def test_the_command_line_prints_what_it_verifies(hooked, tmp_path):
    port = free_port()
    words = ["webhooks", "listen", "--rotate", "--test", "--count", "2", "--port", str(port)]
    listening = hooked.system.spawn(
        [sys.executable, "-m", "sightline", "--url", str(hooked.http.base_url), *words],
        "listening",
        {"PYTHONPATH": str(ROOT / "client")},
    )
    eventually(lambda: "webhook.test dlv_" in listening.logs())
    with httpx.Client(trust_env=False, timeout=60) as anonymous:
        assert anonymous.post(f"http://127.0.0.1:{port}/", content=b"{}").status_code == 400
    job = hooked.submit(webhook=f"http://127.0.0.1:{port}/", max_new_tokens=1)
    # something came that was not to be trusted
    assert listening.wait() == 1
    assert f"job.succeeded {job['id']}" in listening.logs()
    assert "MissingHeader" in listening.logs()
    assert concluded(hooked, job)[0]["status"] == "delivered"
