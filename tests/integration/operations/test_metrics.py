"""/metrics: the same figures from every gateway and every process of one."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.harness import RedisServer, System, eventually
from tests.support.images.image_bytes import plain_png

Figures = Callable[..., float | None]


def scraped(http: httpx.Client, **headers: str) -> Figures:
    """Return a function from a sample's name and some of its labels to their sum."""
    answer = http.get("/metrics", headers=headers)
    assert answer.status_code == 200, answer.text
    families = list(text_string_to_metric_families(answer.text))
    names = [family.name for family in families]
    assert len(names) == len(set(names)), "each family stands once"

    def figure(name: str, **labels: str) -> float | None:
        values = [
            sample.value
            for family in families
            for sample in family.samples
            if sample.name == "sightline_" + name and labels.items() <= sample.labels.items()
        ]
        return sum(values) if values else None

    return figure


def answer(http: httpx.Client, **fields: str) -> dict:
    response = http.post(
        "/v1/jobs",
        data={"prompt": "What is it?", "max_new_tokens": "3", **fields},
        files={"image": plain_png("white", 320, 320)},
        headers={"Prefer": "wait=60"},
    )
    assert response.status_code == 200, response.text
    return response.json()


def test_every_gateway_tells_what_all_workers_did(system: System):
    system.worker(SIGHTLINE_SIMULATED_IMAGE_S="0.05")
    _, one = system.gateway()
    _, other = system.gateway()
    jobs = [answer(http) for http in (one, one, other)]
    spent = sum(job["metrics"]["decode_s"] for job in jobs)
    for http in (one, other):
        figure = scraped(http)
        assert figure("jobs_total", event="submitted") == 3
        assert figure("jobs_total", event="succeeded") == 3
        for stage in ("queue", "encode", "decode"):
            assert figure("stage_seconds_count", stage=stage) == 3
            assert figure("stage_seconds_bucket", stage=stage, le="+Inf") == 3
        assert figure("stage_seconds_sum", stage="decode") == pytest.approx(spent, abs=0.01)
        assert figure("tokens_total", kind="completion") == 9
        assert figure("workers", state="ready") == 1
        assert figure("worker_slots") == 4
        assert figure("redis_up", role="queue") == 1
        assert figure("redis_memory_used_bytes") > 100_000
        assert figure("image_decode_seconds_count") == (2 if http is one else 1)
    # the worker's own experience travels with its next beat
    eventually(lambda: scraped(one)("worker_seconds_per_job"))
    assert scraped(one)("queue_predicted_wait_seconds") == 0


def test_what_waits_is_told_by_queue(system: System):
    _, http = system.gateway()
    for priority in ("high", "low", "low"):
        http.post("/v1/jobs", json={"prompt": "hi", "priority": priority})
    eventually(lambda: scraped(http)("queue_oldest_wait_seconds") > 0.2)
    figure = scraped(http)
    depths = [figure("queue_depth", queue=name) for name in ("high", "default", "low")]
    assert depths == [1, 0, 2]
    assert figure("jobs_running") == 0
    assert figure("workers", state="ready") == 0
    assert figure("queue_predicted_wait_seconds") is None, "nobody knows how fast they will be"


def test_the_processes_of_a_gateway_add_up_and_strangers_make_no_series(system: System):
    _, http = system.gateway(SIGHTLINE_GATEWAY_PROCESSES="3")
    for number in range(20):
        # a connection each, so that all processes take part
        with httpx.Client(base_url=http.base_url, trust_env=False, timeout=60) as caller:
            caller.post("/v1/jobs", json={"prompt": "hi", "temperature": "hot"})
            caller.request("ODD", f"/no-such-path-{number}")
    for _ in range(3):
        with httpx.Client(base_url=http.base_url, trust_env=False, timeout=60) as caller:
            figure = scraped(caller)
            assert figure("http_refusals_total", code="bad_parameters", status="422") == 20
            assert figure("http_requests_total", route="/v1/jobs", status="422") == 20
            assert figure("http_requests_total", route="unknown", method="unknown") == 20
            assert figure("http_request_seconds_count", route="/v1/jobs") == 20


def test_without_redis_a_gateway_still_tells_of_itself(own_redis: RedisServer, tmp_path):
    system = System(own_redis.url, tmp_path, SIGHTLINE_REDIS_TIMEOUT_S="1")
    try:
        _, http = system.gateway()
        assert scraped(http)("redis_up") == 1
        own_redis.kill()
        assert http.get("/readyz").status_code == 503
        figure = scraped(http)
        assert figure("redis_up", role="queue") == 0
        assert figure("queue_depth") is None
        assert figure("http_refusals_total", code="store_unavailable") == 1
    finally:
        system.stop()


def test_a_token_guards_the_figures_if_one_is_set(system: System):
    _, http = system.gateway(SIGHTLINE_METRICS_TOKEN="for-prometheus")
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Bearer ü"}):
        refused = http.get("/metrics", headers={k: v.encode() for k, v in headers.items()})
        assert (refused.status_code, refused.json()["code"]) == (401, "unauthorized")
    assert scraped(http, Authorization="Bearer for-prometheus")("redis_up") == 1
