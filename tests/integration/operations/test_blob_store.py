"""A service whose contents lie in a bucket that goes away and comes back."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import obstore
import pytest
from PIL import Image

from tests.support.harness import (
    QUICK,
    RedisServer,
    System,
    eventually,
    running_redis,
    running_system,
)
from tests.support.servers.bucket import Bucket, running_bucket

ENV = {
    "SIGHTLINE_BLOBS_TIMEOUT_S": "4",
    "SIGHTLINE_BLOBS_DIRECT": "1",
    "SIGHTLINE_SIMULATED_TOKEN_S": "0.01",
    # a busy machine's lost lease would count as an attempt
    "SIGHTLINE_LEASE_S": "20",
}


def picture(shade: int) -> str:
    out = io.BytesIO()
    Image.new("RGB", (64, 48), (shade, 90, 30)).save(out, "PNG")
    return base64.b64encode(out.getvalue()).decode()


class Kept:
    """A gateway over a bucket."""

    def __init__(self, system: System, redis: RedisServer, bucket: Bucket) -> None:
        self.system, self.redis, self.bucket = system, redis, bucket
        self.gateway, self.http = system.gateway()

    def submit(self, shade: int) -> httpx.Response:
        body = {"prompt": "What is it?", "images": [picture(shade)], "max_new_tokens": 2}
        return self.http.post("/v1/jobs", json=body)

    def job(self, answer: httpx.Response) -> dict:
        assert answer.status_code == 202, answer.text
        return self.http.get(f"/v1/jobs/{answer.json()['id']}").json()


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    folder: Path = tmp_path_factory.mktemp("kept")
    with (
        running_redis(folder) as redis,
        running_bucket(folder) as bucket,
        running_system(redis.url, folder, **QUICK | ENV | bucket.env) as system,
    ):
        yield Kept(system, redis, bucket)


def test_accepted_jobs_outlast_a_bucket_that_is_killed(kept: Kept) -> None:
    accepted = [kept.submit(shade) for shade in range(3)]
    assert len(kept.bucket.names("images")) == 3
    assert kept.http.get("/readyz").status_code == 503, "there is no worker yet"
    file = {"file": ("in.jsonl", b'{"a": 1}\n' * 50), "purpose": (None, "user_data")}
    stored = kept.http.post("/v1/files", files=file).json()["id"]
    kept.bucket.door.shut()
    worker = kept.system.worker(slots=2)
    down = {"status": "ready", "blobs": "down"}
    eventually(lambda: kept.http.get("/readyz").json() == down)
    for refused in (kept.submit(9), kept.http.get(f"/v1/files/{stored}/content")):
        assert refused.status_code == 503, refused.text
        assert refused.json()["code"] == "blobs_unavailable"
        assert int(refused.headers["Retry-After"]) > 0
    assert kept.http.post("/v1/files", files=file).status_code == 503
    text = kept.http.post(
        "/v1/chat/completions",
        json={"model": "simulated", "messages": [{"role": "user", "content": "Hello"}]},
    )
    assert text.status_code == 200, "what needs no blob is answered"
    # a worker has tried, and others have had the place meanwhile
    eventually(lambda: "job.released" in worker.logs())
    assert {kept.job(one)["status"] for one in accepted} <= {"queued", "running"}
    kept.bucket.door.open()
    eventually(lambda: all(kept.job(one)["status"] == "succeeded" for one in accepted))
    rows = [kept.redis.client().hgetall(f"sl:job:{one.json()['id']}") for one in accepted]
    assert {(row["attempt"], row["commits"]) for row in rows} == {("1", "1")}
    eventually(lambda: kept.http.get("/readyz").json() == {"status": "ready", "blobs": "ok"})
    assert kept.http.get(f"/v1/files/{stored}/content").content == b'{"a": 1}\n' * 50
    figures = kept.http.get("/metrics").text
    assert 'sightline_blob_requests_total{kind="put",outcome="done"}' in figures
    assert "sightline_blobs_up 1.0" in figures


def test_a_silent_bucket_holds_up_nobody_else(kept: Kept) -> None:
    eventually(lambda: kept.http.get("/readyz").json().get("blobs") == "ok")
    kept.bucket.freeze()
    try:
        with ThreadPoolExecutor(4) as pool:
            waiting = [pool.submit(kept.submit, 20 + n) for n in range(4)]
            for _ in range(3):
                assert kept.http.get("/healthz").status_code == 200
            assert not all(one.done() for one in waiting), "others were answered meanwhile"
            for one in waiting:
                assert one.result().status_code == 503
    finally:
        kept.bucket.thaw()
    eventually(lambda: kept.http.get("/readyz").json().get("blobs") == "ok")


def test_what_is_erased_leaves_the_bucket_and_what_is_lost_is_told(kept: Kept) -> None:
    eventually(lambda: kept.http.get("/readyz").json().get("blobs") == "ok")
    before = set(kept.bucket.names("images"))
    answer = kept.submit(77)
    [name] = set(kept.bucket.names("images")) - before
    job_id = answer.json()["id"]
    eventually(lambda: kept.job(answer)["status"] == "succeeded")
    assert kept.http.delete(f"/v1/jobs/{job_id}").status_code == 204
    eventually(lambda: name not in kept.bucket.names("images"))
    before = set(kept.bucket.names("images"))
    uploaded = kept.http.post("/v1/images", json={"image": picture(99)}).json()
    shown = kept.http.get(f"/v1/images/{uploaded['id']}/content")
    assert Image.open(io.BytesIO(shown.content)).getpixel((0, 0)) == (99, 90, 30)
    [lost] = [one for one in kept.bucket.names("images") if one not in before]
    obstore.delete(kept.bucket.store, lost)
    body = {"prompt": "What?", "images": [uploaded["id"]], "max_new_tokens": 2}
    ended = kept.http.post("/v1/jobs", json=body, headers={"Prefer": "wait=60"})
    assert ended.json()["error"]["code"] == "image_gone", json.dumps(ended.json())


def test_the_files_of_a_batch_lie_in_the_bucket(kept: Kept) -> None:
    eventually(lambda: kept.http.get("/readyz").json().get("blobs") == "ok")

    def line(number: int, model: str) -> str:
        messages = [{"role": "user", "content": "?"}]
        body = {"model": model, "messages": messages, "max_tokens": 2}
        name, url = f"line {number}", "/v1/chat/completions"
        return json.dumps({"custom_id": name, "method": "POST", "url": url, "body": body})

    lines = [line(number, "gpt-none" if number == 2 else "simulated") for number in range(5)]
    file = {"file": ("in.jsonl", "\n".join(lines).encode()), "purpose": (None, "batch")}
    stored = kept.http.post("/v1/files", files=file).json()["id"]
    asked = {"input_file_id": stored, "endpoint": "/v1/chat/completions"}
    before = set(kept.bucket.names("files"))
    begun = kept.http.post("/v1/batches", json=asked | {"completion_window": "24h"}).json()
    kept.bucket.door.shut()
    path = f"/v1/batches/{begun['id']}"
    try:
        eventually(lambda: "batches.waiting" in kept.gateway.logs())
        assert kept.http.get(path).json()["status"] in ("validating", "in_progress")
    finally:
        kept.bucket.door.open()
    ended = eventually(
        lambda: (batch := kept.http.get(path).json())["status"] == "completed" and batch
    )
    assert (ended["request_counts"]["completed"], ended["request_counts"]["failed"]) == (4, 1)
    assert len(set(kept.bucket.names("files")) - before) >= 2
    for name, numbers in (("output_file_id", [0, 1, 3, 4]), ("error_file_id", [2])):
        content = f"/v1/files/{ended[name]}/content"
        read = [json.loads(one) for one in kept.http.get(content).text.splitlines()]
        assert sorted(one["custom_id"] for one in read) == [f"line {one}" for one in numbers]
        assert kept.http.get(f"{content}?direct=true").status_code == 302
        assert not kept.redis.client().exists(f"sl:file:anonymous:{ended[name]}/pieces")


def test_clients_send_to_and_read_from_the_bucket_themselves(kept: Kept) -> None:
    eventually(lambda: kept.http.get("/readyz").json().get("blobs") == "ok")
    begun = kept.http.post("/v1/direct-uploads")
    assert begun.status_code == 201, begun.text
    upload = begun.json()

    def ask() -> httpx.Response:
        body = {"prompt": "What?", "images": [upload["id"]], "max_new_tokens": 2}
        return kept.http.post("/v1/jobs", json=body, headers={"Prefer": "wait=60"})

    missing = ask().json()
    assert (missing["code"], missing["pointer"]) == ("image_not_found", "/images/0")
    assert httpx.put(upload["url"], content=b"no picture at all").status_code == 200
    assert ask().json()["code"] == "unsupported_image_format"
    assert httpx.put(upload["url"], content=base64.b64decode(picture(5))).status_code == 200
    assert ask().json()["status"] == "succeeded"
    with httpx.stream("PUT", upload["url"], content=b"x" * (51 << 20)) as answer:
        assert answer.status_code == 200
    assert ask().json()["code"] == "payload_too_large"
    file = {"file": ("a.txt", b"content"), "purpose": (None, "user_data")}
    file_id = kept.http.post("/v1/files", files=file).json()["id"]
    led = kept.http.get(f"/v1/files/{file_id}/content?direct=true")
    assert led.status_code == 302
    assert httpx.get(led.headers["Location"]).content == b"content"
    assert kept.http.get(f"/v1/files/{file_id}/content").content == b"content"
    # its hour is over
    [key] = kept.redis.client().scan_iter("sl:upload:*")
    kept.redis.client().pexpire(key, 1)
    kept.redis.client().zadd("sl:blobs", {kept.bucket.names("uploads")[0].partition("/")[2]: 0})
    eventually(lambda: not kept.bucket.names("uploads"))
