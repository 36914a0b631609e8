"""Health, limits, models and log of a gateway, and its behaviour without Redis."""

from __future__ import annotations

import base64
import concurrent.futures
import http.client
import json
import signal
import time

import pytest

from shared.jobs import new_job_id
from tests.support.harness import QUICK, eventually, running_system
from tests.support.images.image_bytes import plain_png


def test_a_gateway_without_workers_is_alive_but_not_ready(workerless):
    assert workerless.http.get("/healthz").json() == {"status": "ok"}
    answer = workerless.http.get("/readyz")
    assert (answer.status_code, answer.json()["code"]) == (503, "no_workers")
    assert 1 <= int(answer.headers["Retry-After"]) <= 120


def test_without_any_worker_only_names_that_one_may_have_are_waited_for(workerless):
    http, body = workerless.http, {"prompt": "?", "max_new_tokens": 1}
    refused = http.post("/v1/jobs", json=body | {"model": "gpt-none"})
    assert (refused.status_code, refused.json()["code"]) == (404, "model_not_found")
    assert "gpt-none" in refused.json()["detail"]
    chat = {"model": "gpt-none", "messages": [{"role": "user", "content": "?"}]}
    assert http.post("/v1/chat/completions", json=chat).status_code == 404
    # none, the default's, that of the gateway's own settings, and one that is waited for on wish
    for named in (
        {},
        {"model": "sightline"},
        {"model": "simulated"},
        {"model": "gpt-none", "wait_for_model": True},
    ):
        accepted = http.post("/v1/jobs", json=body | named)
        assert accepted.status_code == 202, accepted.text
        http.post(accepted.json()["urls"]["cancel"])


def test_a_gateway_with_a_worker_is_ready(served):
    assert served.http.get("/readyz").json() == {"status": "ready"}


def test_a_simulated_model_is_named_as_such_everywhere(served):
    (model,) = served.http.get("/v1/models").json()["data"]
    assert (model["id"], model["simulated"]) == ("simulated", True)
    assert model["arithmetic"] == "none"
    (worker,) = served.http.get("/v1/queue").json()["workers"]
    assert (worker["model"], worker["simulated"]) == ("simulated", True)
    assert served.submit(max_new_tokens=1)["input"]["model"] == "simulated"
    assert served.ended()["input"]["model"] == "simulated"


def test_the_queue_tells_what_waits_where(workerless):
    before = workerless.http.get("/v1/queue").json()
    jobs = [workerless.submit(priority=p) for p in ("high", "low", "low")]
    after = workerless.http.get("/v1/queue").json()
    depths = {
        name: [
            q["depth"] for state in (before, after) for q in state["queues"] if q["name"] == name
        ]
        for name in ("high", "default", "low")
    }
    assert [now - then for then, now in depths.values()] == [1, 0, 2]
    assert after["queued"] - before["queued"] == 3
    assert after["oldest_wait_s"] >= 0
    for job in jobs:
        workerless.http.post(job["urls"]["cancel"])


def test_the_limits_told_are_the_limits_held(workerless):
    limits = workerless.http.get("/v1/limits").json()
    for name, most in (("ttl_s", limits["job"]["max_ttl_s"]),):
        good = workerless.http.post("/v1/jobs", json={"prompt": "hi", name: most})
        bad = workerless.http.post("/v1/jobs", json={"prompt": "hi", name: most + 1})
        assert (good.status_code, bad.status_code) == (202, 422)
    prompt = "x" * limits["request"]["max_prompt_chars"]
    assert workerless.http.post("/v1/jobs", json={"prompt": prompt}).status_code == 202
    assert workerless.http.post("/v1/jobs", json={"prompt": prompt + "x"}).status_code == 422
    assert len(limits["image"]["formats"]) == 8


def every_call(http, job_id, image_id):
    png = plain_png("black", 40, 40)
    return {
        "submit": lambda: http.post("/v1/jobs", json={"prompt": "hi"}),
        "predict": lambda: http.post("/predict", json={"prompt": "hi"}),
        "list": lambda: http.get("/v1/jobs"),
        "read": lambda: http.get(f"/v1/jobs/{job_id}"),
        "poll": lambda: http.get(f"/v1/jobs/{job_id}?wait=20"),
        "events": lambda: http.get(f"/v1/jobs/{job_id}/events"),
        "result": lambda: http.get(f"/v1/jobs/{job_id}/result"),
        "cancel": lambda: http.post(f"/v1/jobs/{job_id}/cancel"),
        "retry": lambda: http.post(f"/v1/jobs/{job_id}/retry"),
        "erase": lambda: http.delete(f"/v1/jobs/{job_id}"),
        "upload": lambda: http.post("/v1/images", files={"image": png}),
        "image": lambda: http.get(f"/v1/images/{image_id}"),
        "forget": lambda: http.delete(f"/v1/images/{image_id}"),
        "readyz": lambda: http.get("/readyz"),
        "queue": lambda: http.get("/v1/queue"),
        "models": lambda: http.get("/v1/models"),
    }


def test_without_redis_every_route_says_so_quickly_and_recovers_by_itself(own_redis, tmp_path):
    with running_system(own_redis.url, tmp_path, **QUICK) as system:
        _, http = system.gateway(SIGHTLINE_REDIS_TIMEOUT_S="1")
        job = http.post("/v1/jobs", json={"prompt": "before"}).json()
        calls = every_call(http, new_job_id(), "img_" + "0" * 64)
        with concurrent.futures.ThreadPoolExecutor() as pool:
            waiting = pool.submit(http.get, job["urls"]["self"], params={"wait": "60"})
            following = pool.submit(http.get, job["urls"]["events"])
            time.sleep(0.3)
            own_redis.kill()
            assert waiting.result(30).status_code == 503
            assert "job.queued" in following.result(30).text
        for name, call in calls.items():
            started = time.monotonic()
            answer = call()
            assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable"), name
            assert 1 <= int(answer.headers["Retry-After"]) <= 120
            assert time.monotonic() - started < 10, name
        assert http.get("/healthz").status_code == 200
        assert http.get("/v1/limits").status_code == 503, "it cannot know who asks"
        own_redis.start()
        eventually(lambda: http.get(job["urls"]["self"]).status_code == 200)
        assert http.post("/v1/jobs", json={"prompt": "after"}).status_code == 202
        system.worker(slots=2)
        eventually(lambda: http.get(job["urls"]["self"]).json()["status"] == "succeeded")


def test_a_redis_that_hangs_is_not_waited_for_twice(own_redis, tmp_path):
    with running_system(own_redis.url, tmp_path, **QUICK) as system:
        _, http = system.gateway(SIGHTLINE_REDIS_TIMEOUT_S="1")
        assert http.post("/v1/jobs", json={"prompt": "hi"}).status_code == 202
        own_redis.signal(signal.SIGSTOP)
        answer = http.post("/v1/jobs", json={"prompt": "hung"})
        own_redis.signal(signal.SIGCONT)
        assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")
        eventually(lambda: http.get("/v1/jobs").status_code == 200)


def lines(process):
    return [json.loads(line) for line in process.logs().splitlines()]


def test_the_log_is_json_with_a_line_for_each_request_and_never_a_prompt(served):
    secret, answerless = "a-secret-question", "another-secret"
    png = plain_png("black", 40, 40)
    text = base64.b64encode(png).decode()
    headers = {"X-Request-Id": "seen-in-the-log", "Prefer": "wait=60"}
    body = {"prompt": secret, "images": [text], "metadata": {"of": secret}, "max_new_tokens": 2}
    served.http.post("/v1/jobs", json=body, headers=headers)
    served.http.post("/v1/jobs", json={"prompt": answerless, "temperature": answerless})
    served.http.post("/v1/jobs", content=b'{"prompt": "' + answerless.encode() + b'"')
    bad = {"prompt": secret, "images": ["data:image/png;base64," + text[:60]]}
    served.http.post("/v1/jobs", json=bad, headers={"X-Request-Id": "with-a-bad-image"})
    (line,) = [row for row in lines(served.gateway) if row.get("request_id") == "seen-in-the-log"]
    assert line["event"] == "request.finished"
    assert (line["method"], line["route"], line["status"]) == ("POST", "/v1/jobs", 200)
    assert line["ms"] > 0
    refused = [row for row in lines(served.gateway) if row.get("request_id") == "with-a-bad-image"]
    assert [row["event"] for row in refused] == ["image.refused", "request.finished"]
    for log in served.system.folder.glob("*.log"):
        written = log.read_text()
        assert secret not in written
        assert answerless not in written
        assert text[:60] not in written


def _post_until_refused(address: tuple[str, int]) -> list[int | str]:
    """Submit jobs, a connection each, until nobody listens; return statuses and broken ends."""
    ends: list[int | str] = []
    while True:
        connection = http.client.HTTPConnection(*address, timeout=60)
        try:
            connection.request("POST", "/v1/jobs", '{"prompt": "hi"}', _JSON)
            ends.append(connection.getresponse().status)
        except ConnectionRefusedError:
            return ends
        except (OSError, http.client.HTTPException) as error:
            ends.append(repr(error))
        finally:
            connection.close()


_JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize("processes", ["1", "2"])
def test_a_stopping_gateway_answers_everybody_who_has_connected(own_redis, tmp_path, processes):
    with running_system(own_redis.url, tmp_path, **QUICK) as system:
        for _ in range(2):
            process, client = system.gateway(SIGHTLINE_GATEWAY_PROCESSES=processes)
            address = ("127.0.0.1", client.base_url.port)
            with concurrent.futures.ThreadPoolExecutor(12) as pool:
                callers = [pool.submit(_post_until_refused, address) for _ in range(12)]
                time.sleep(1)
                process.signal(signal.SIGTERM)
                ends = [end for caller in callers for end in caller.result(60)]
            assert len(ends) >= 12
            assert set(ends) == {202}
            assert process.wait(60) == 0


def test_a_leaving_gateway_tells_proxies_and_still_takes_jobs(own_redis, tmp_path):
    with running_system(own_redis.url, tmp_path, **QUICK) as system:
        process, client = system.gateway(SIGHTLINE_GATEWAY_LEAVE_S="8")
        process.signal(signal.SIGTERM)
        eventually(lambda: client.get("/healthz").status_code == 503)
        assert client.get("/healthz").json()["code"] == "unavailable"
        assert client.post("/v1/jobs", json={"prompt": "hi"}).status_code == 202
        assert process.wait(60) == 0


def test_a_connection_that_waits_for_a_further_request_does_not_hold_up_the_end(
    own_redis, tmp_path
):
    with running_system(own_redis.url, tmp_path, **QUICK) as system:
        process, client = system.gateway()
        assert client.get("/healthz").status_code == 200
        process.signal(signal.SIGTERM)
        assert process.wait(60) == 0
        assert "gateway.hung_up" not in process.logs()
