"""An image in a request stays its own, whatever happens to other jobs with the same image."""

from __future__ import annotations

import base64
import itertools
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.images.image_bytes import plain_png

_colours = (f"#{number:06x}" for number in itertools.count(0x102030))


@pytest.fixture
def png() -> bytes:
    """An image that no other test has sent."""
    return plain_png(next(_colours), 40, 24)


def inline(png: bytes) -> dict:
    return {"prompt": "what?", "images": [base64.b64encode(png).decode()]}


def test_no_request_loses_its_image_to_the_erasing_of_another_job(served, other_gateway, png):
    def submit_and_erase(number: int) -> str:
        http = (served.http, other_gateway)[number % 2]
        answer = http.post("/v1/jobs", json=inline(png))
        if answer.status_code != 202:
            return str(answer.json()["code"])
        return str(http.delete(f"/v1/jobs/{answer.json()['id']}").status_code)

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(submit_and_erase, range(160)))
    assert set(outcomes) == {"204"}


def test_no_request_loses_its_image_to_its_deletion_by_id(workerless, png):
    http = workerless.http
    image_id = http.post("/v1/images", files={"image": png}).json()["id"]

    def submit(_: int) -> int:
        http.delete(f"/v1/images/{image_id}")
        return http.post("/v1/jobs", json=inline(png)).status_code

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(submit, range(80))) == {202}


def test_a_refused_request_leaves_no_image(workerless, png):
    http = workerless.http
    image_id = http.post("/v1/images", files={"image": png}).json()["id"]
    http.delete(f"/v1/images/{image_id}")
    session = f"busy-{image_id[-8:]}"
    running = http.post("/v1/jobs", json={"prompt": "first", "session_id": session}).json()
    refused = http.post("/v1/jobs", json=inline(png) | {"session_id": session})
    assert refused.json()["code"] == "session_busy"
    assert http.get(f"/v1/images/{image_id}").status_code == 404
    http.delete(f"/v1/jobs/{running['id']}")


def test_a_replayed_request_leaves_the_image_to_its_first_job(workerless, png):
    http, key = workerless.http, {"Idempotency-Key": next(_colours)}
    first = http.post("/v1/jobs", json=inline(png), headers=key).json()
    again = http.post("/v1/jobs", json=inline(png), headers=key)
    assert again.headers["Idempotency-Replayed"] == "true"
    image_id = first["input"]["images"][0]["id"]
    assert http.get(f"/v1/images/{image_id}").status_code == 200
    http.delete(f"/v1/jobs/{first['id']}")
    assert http.get(f"/v1/images/{image_id}").status_code == 404
