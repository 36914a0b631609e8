"""Long images over HTTP: tiles in the response, events, and one job for the caller."""

from __future__ import annotations

import json

import pytest

from shared.jobs import JobStatus
from shared.settings import Settings
from shared.store import Store
from tests.support.images.image_bytes import screenshot


def submit(service, data: bytes, **fields: str):
    return service.http.post(
        "/v1/jobs", data={"max_new_tokens": "2", **fields}, files={"image": ("a.png", data)}
    )


@pytest.fixture(scope="module")
def long_page() -> bytes:
    return screenshot(600, 9000)


def test_the_answer_tells_tiles_and_the_job_ends_with_each_of_them(served, long_page):
    answer = submit(served, long_page, preset="ocr")
    assert answer.status_code == 202, answer.text
    stored_image = answer.json()["input"]["images"][0]
    assert (stored_image["width"], stored_image["height"], stored_image["used"]) == (
        600,
        9000,
        [600, 9000],
    )
    assert stored_image["tiles"] == 6
    assert "image_tiled" in [w["code"] for w in answer.json()["warnings"]]
    job = served.job(answer.json()["id"], wait_s=0)
    with served.http.stream("GET", job["urls"]["events"]) as stream:
        frames = "".join(stream.iter_text()).split("\n\n")
    events = [dict(line.split(": ", 1) for line in f.splitlines() if ": " in line) for f in frames]
    deltas = [json.loads(e["data"]) for e in events if e.get("event") == "output.delta"]
    ended = json.loads(next(e["data"] for e in events if e.get("event") == "job.succeeded"))
    boxes = [tile["box"] for tile in ended["output"]["tiles"]]
    assert boxes[0][:2] == [0, 0]
    assert boxes[-1][2:] == [600, 9000]
    assert 5 <= len(boxes) <= 8
    assert [d["tile"] for d in deltas] == sorted(d["tile"] for d in deltas)
    progress = [json.loads(e["data"]) for e in events if e.get("event") == "job.progress"]
    assert progress[-1]["tiles_done"] == progress[-1]["tiles_total"] == len(boxes)
    jobs = served.http.get("/v1/jobs", params={"limit": 5}).json()["data"]
    assert [j["id"] for j in jobs].count(job["id"]) == 1
    assert all(j["input"]["images"] for j in jobs if j["id"] == job["id"])


def test_a_question_about_a_long_image_is_answered_from_all_of_it(served, long_page):
    answer = submit(served, long_page, prompt="What is the total?")
    job = served.job(answer.json()["id"], wait_s=0)
    while job["status"] not in ("succeeded", "failed"):
        job = served.job(job["id"], wait_s=10)
    assert job["status"] == "succeeded"
    assert {tile["text"] for tile in job["output"]["tiles"]} == {None}


@pytest.mark.parametrize(
    "fields",
    [
        {"preset": "ocr", "tiling": "off"},
        {"preset": "ocr", "max_pixels": "262144"},
        {"preset": "ocr", "detail": "low"},
    ],
)
def test_one_look_can_be_asked_for(workerless, long_page, fields):
    answer = submit(workerless, long_page, **fields)
    assert answer.status_code == 202
    assert "tiles" not in answer.json()["input"]["images"][0]


def test_a_compact_image_is_cut_only_where_its_text_is_wanted(workerless):
    scan = screenshot(1600, 2000)
    read = submit(workerless, scan, preset="ocr").json()
    question = submit(workerless, scan, prompt="What is it?").json()
    forced = submit(workerless, scan, prompt="What is it?", tiling="ask").json()
    assert read["input"]["images"][0]["tiles"] == 4
    assert "tiles" not in question["input"]["images"][0]
    assert forced["input"]["images"][0]["tiles"] == 4


def test_an_image_of_thirty_thousand_rows_is_accepted_whole(workerless):
    answer = submit(workerless, screenshot(1000, 30_000), preset="ocr")
    assert answer.status_code == 202, answer.text
    image = answer.json()["input"]["images"][0]
    assert image["used"] == [1000, 30_000]
    assert 29 <= image["tiles"] <= 34


def test_an_image_too_slim_for_one_look_is_cut_and_refused_without_tiling(workerless):
    slim = screenshot(40, 9000)
    assert submit(workerless, slim, prompt="What is it?").json()["input"]["images"][0]["tiles"] > 1
    refused = submit(workerless, slim, prompt="What is it?", tiling="off")
    assert (refused.status_code, refused.json()["code"]) == (422, "image_aspect")
    uploaded = workerless.http.post("/v1/images", files={"image": ("a.png", slim)})
    assert uploaded.status_code == 201
    assert uploaded.json()["tiles"] > 1


def test_a_long_image_beside_a_short_one_is_read_in_tiles_and_the_short_one_whole(
    served, long_page
):
    files = [("image", ("a.png", long_page)), ("image", ("b.png", screenshot(300, 200)))]
    data = {"preset": "ocr", "max_new_tokens": "2"}
    answer = served.http.post("/v1/jobs", data=data, files=files)
    assert answer.status_code == 202, answer.text
    long, short = answer.json()["input"]["images"]
    assert long["tiles"] == 6
    assert "tiles" not in short
    job = served.job(answer.json()["id"])
    while not job["completed_at"]:
        job = served.job(job["id"], wait_s=10)
    tiles = job["output"]["tiles"]
    assert {tile["image"] for tile in tiles[:-1]} == {0}
    assert (tiles[-1]["image"], tiles[-1]["box"]) == (1, [0, 0, 300, 200])


def test_tiling_without_an_image_is_refused_by_name(workerless):
    data = {"prompt": "What is it?", "tiling": "read"}
    refused = workerless.http.post("/v1/jobs", data=data)
    assert (refused.status_code, refused.json()["pointer"]) == (422, "/tiling")


def test_a_partial_answer_can_be_asked_for_again_and_a_whole_one_cannot(workerless, long_page):
    store = Store(Settings(redis_url=workerless.redis.url))
    retries = {}
    for partial in (True, False):
        job = submit(workerless, long_page, preset="ocr").json()
        claim = store.claim(job["id"], "w1")
        output = {"text": "", "partial": partial, "finish_reason": "stop"}
        fields = {"output": output, "metrics": {}}
        assert store.finish(job["id"], claim.owner, JobStatus.SUCCEEDED, fields)
        retries[partial] = workerless.http.post(f"/v1/jobs/{job['id']}/retry")
    assert (retries[True].status_code, retries[False].status_code) == (202, 409)
    assert retries[False].json()["code"] == "not_retryable"


def test_an_estimate_tells_the_tiles_from_the_size_alone(workerless):
    body = {"width": 1000, "height": 30_000, "preset": "ocr"}
    estimate = workerless.http.post("/v1/estimate", json=body).json()
    assert 29 <= estimate["tiles"] <= 34
    assert estimate["image_tokens"] > 29_000
