"""A long receipt through the real API and the bundled model while a worker is killed."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import httpx
import pytest

from demo.data import words
from demo.data.drawing import draw_receipt
from shared.settings import BUNDLED_MODEL
from tests.support.harness import QUICK, RedisServer, eventually, running_system
from tests.support.images.image_bytes import saved

pytestmark = [pytest.mark.model, pytest.mark.timeout(240)]


def receipt(lines: int) -> bytes:
    rng = Random(7)
    items = [(words.plain(rng).capitalize(), words.price(rng)) for _ in range(lines - 2)]
    image, _ = draw_receipt("Corner Shop", items, "4812.50")
    return saved(image, "PNG")


def submit(client: httpx.Client, image: bytes) -> str:
    fields = {"preset": "ocr", "tiling": "read", "max_pixels": "131072", "max_new_tokens": "256"}
    answer = client.post("/v1/jobs", data=fields, files={"image": ("receipt.png", image)})
    assert answer.status_code == 202, answer.text
    assert 3 <= answer.json()["input"]["images"][0]["tiles"] <= 5
    return str(answer.json()["id"])


def ended(client: httpx.Client, job_id: str) -> dict:
    def look() -> dict | None:
        job = client.get(f"/v1/jobs/{job_id}", params={"wait": 5}).json()
        return job if job["completed_at"] else None

    job = eventually(look, 120)
    assert job["status"] == "succeeded", job
    return job


def test_a_long_receipt_gives_the_same_text_when_its_worker_is_killed_in_the_middle(
    redis_server: RedisServer, tmp_path
):
    image = receipt(36)
    model = {"SIGHTLINE_MODEL": BUNDLED_MODEL}
    with running_system(redis_server.url, tmp_path, **QUICK, **model) as system:
        client = system.gateway()[1]
        doomed = system.worker(slots=3)
        undisturbed = ended(client, submit(client, image))
        job_id = submit(client, image)
        url = f"/v1/jobs/{job_id}"
        eventually(
            lambda: (client.get(url).json()["progress"] or {}).get("tiles_done"), 60, every_s=0.02
        )
        doomed.kill()
        system.worker(slots=3)
        again = ended(client, job_id)
    assert again["output"]["text"] == undisturbed["output"]["text"] != ""
    assert all(tile["text"] for tile in again["output"]["tiles"])
    boxes = [tile["box"] for tile in again["output"]["tiles"]]
    assert all(above[3] >= below[1] for above, below in pairwise(boxes))
