"""Requests that cannot fit the context are refused before they cost anything."""

from __future__ import annotations

from tests.support.harness import System
from tests.support.images.image_bytes import plain_png


def test_images_that_fill_the_context_are_refused_at_once_with_the_reason(system: System):
    system.worker()
    _, client = system.gateway()
    png = plain_png("white", 2048, 2048)
    image = client.post("/v1/images", files={"image": png}).json()["id"]
    body = {"prompt": "what?", "images": [image] * 8, "detail": "high"}
    answer = client.post("/v1/jobs", json=body)
    assert answer.status_code == 422
    assert answer.json()["code"] == "input_too_long"
    assert answer.json()["detail"].startswith("Input too long: the images have 32768 tokens")
    assert client.post("/v1/jobs", json=body | {"detail": "low"}).status_code == 202
