"""Idempotency keys: a repeated request finds its job, even when the queue is full."""

from __future__ import annotations

import contextlib
import json

import pytest

from tests.integration.conftest import SMALL
from tests.support.documents.page_kinds import as_base64
from tests.support.harness import eventually
from tests.support.images.image_bytes import plain_png


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


@pytest.mark.parametrize("header", ["Idempotency-Key", "X-Stainless-Retry-Count"])
def test_a_repeated_chat_finds_its_job_though_the_queue_is_full(full, header):
    body = {"messages": [{"role": "user", "content": "one"}], "stream": True}
    # an iterator that is dropped closes its stream, which cancels the job
    streams = []

    def first_chunk(stack: contextlib.ExitStack, value: str) -> dict:
        request = full.stream("POST", "/v1/chat/completions", json=body, headers={header: value})
        answer = stack.enter_context(request)
        assert answer.status_code == 200, answer.read()
        streams.append(answer.iter_lines())
        return json.loads(next(streams[-1]).removeprefix("data: "))

    with contextlib.ExitStack() as stack:
        first = first_chunk(stack, "0")
        # the key stays the same; an OpenAI client counts its tries instead
        again = first_chunk(stack, "0" if header == "Idempotency-Key" else "1")
        assert again["id"] == first["id"]
        refused = full.post("/v1/chat/completions", json=body | {"stream": False})
        assert (refused.status_code, refused.json()["code"]) == (503, "queue_full")
        full.delete(f"/v1/jobs/{first['id']}")


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


def test_a_repeated_request_finds_its_job_though_the_models_are_others_by_now(system):
    system.worker(SIGHTLINE_MODEL_NAME="alpha")
    _, http = system.gateway()
    body = {"prompt": "one", "max_new_tokens": 1}
    chat = {"messages": [{"role": "user", "content": "one"}], "max_tokens": 1}

    def post(key: str, model: dict) -> dict:
        return http.post("/v1/jobs", json=body | model, headers={"Idempotency-Key": key}).json()

    def post_chat() -> dict:
        header = {"Idempotency-Key": "chat"}
        return http.post("/v1/chat/completions", json=chat, headers=header).json()

    unnamed, answered = post("unnamed", {}), post_chat()
    waiting = post("waits", {"model": "ghost", "wait_for_model": True})
    system.worker(SIGHTLINE_MODEL_NAME="beta")
    eventually(lambda: post("new", {}).get("code") == "model_required")
    assert post("unnamed", {})["id"] == unnamed["id"]
    assert post_chat()["id"] == answered["id"]
    assert post("new", {"model": "ghost"})["code"] == "model_not_found"
    assert post("waits", {"model": "ghost"})["id"] == waiting["id"]
    assert post("waits", {"model": "specter"})["code"] == "idempotency_key_reused"


def test_a_repeated_request_finds_its_job_though_nobody_reads_by_now(system):
    _, http = system.gateway()
    body = {"preset": "ocr", "images": [as_base64(plain_png("red"))], "reader": "second"}

    def post(key: str) -> dict:
        return http.post("/v1/jobs", json=body, headers={"Idempotency-Key": key}).json()

    first = post("read")
    system.worker(SIGHTLINE_SECOND_READER="0")
    eventually(lambda: post("new").get("code") == "reader_unavailable")
    assert post("read")["id"] == first["id"]
