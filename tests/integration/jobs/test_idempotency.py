"""Idempotency keys: a repeated request finds its job, even when the queue is full."""

from __future__ import annotations

import pytest

from tests.integration.conftest import SMALL


@pytest.fixture
def full(system):
    """A gateway that takes one job and no other."""
    _, http = system.gateway(**SMALL, SIGHTLINE_QUEUE_MAX_JOBS="1")
    return http


def test_a_repeated_request_finds_its_job_though_the_queue_is_full(full):
    key = {"Idempotency-Key": "full-1"}
    first = full.post("/v1/jobs", json={"prompt": "one"}, headers=key)
    assert first.status_code == 202
    again = full.post("/v1/jobs", json={"prompt": "one"}, headers=key)
    assert (again.status_code, again.headers["Idempotency-Replayed"]) == (202, "true")
    assert again.json()["id"] == first.json()["id"]
    other = full.post("/v1/jobs", json={"prompt": "two"}, headers=key)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    for headers in ({}, {"Idempotency-Key": "full-2"}):
        refused = full.post("/v1/jobs", json={"prompt": "one"}, headers=headers)
        assert (refused.status_code, refused.json()["code"]) == (503, "queue_full")
    full.delete(first.json()["urls"]["self"])


def test_what_an_openai_client_sends_again_attaches_to_its_job(workerless):
    def sent(count: int, prompt: str = "stainless?") -> dict:
        headers = {"X-Stainless-Retry-Count": str(count)}
        return workerless.http.post("/v1/jobs", json={"prompt": prompt}, headers=headers).json()

    first = sent(0)
    assert sent(1)["id"] == sent(2)["id"] == first["id"]
    assert sent(1, "something else?")["id"] != first["id"]
    assert sent(0)["id"] != first["id"], "a first try is a new question"
    assert workerless.http.get("/v1/queue").json()["queued"] >= 3


def test_a_form_inside_the_form_is_refused_with_the_way_out(workerless):
    # what curl -F prompt=hi -F 'regex=(\d+)' -F max_new_tokens=3 sends
    inner = '--b2\r\nContent-Disposition: attachment; name="max_new_tokens"\r\n\r\n3\r\n--b2--\r\n'
    body = (
        '--b1\r\nContent-Disposition: form-data; name="prompt"\r\n\r\nhi\r\n'
        '--b1\r\nContent-Disposition: form-data; name="regex"\r\n'
        f"Content-Type: multipart/mixed; boundary=b2\r\n\r\n{inner}\r\n--b1--\r\n"
    )
    kind = {"Content-Type": "multipart/form-data; boundary=b1"}
    for path in ("/v1/jobs", "/predict", "/v1/estimate"):
        answer = workerless.http.post(path, content=body, headers=kind)
        assert (answer.status_code, answer.json()["code"]) == (422, "bad_parameters")
        assert answer.json()["pointer"] == "/regex"
        assert "--form-string" in answer.json()["hint"]
