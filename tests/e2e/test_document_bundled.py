"""A document through the real API and the bundled model: text layer and readings agree."""

from __future__ import annotations

from difflib import SequenceMatcher

import pytest

from shared.settings import BUNDLED_MODEL
from tests.support.documents.drawn import draw_scan, pdf, prose, scan, write
from tests.support.harness import QUICK, RedisServer, eventually, running_system

pytestmark = [pytest.mark.model, pytest.mark.timeout(300)]


def test_a_page_says_the_same_by_its_text_layer_and_when_it_is_read(
    redis_server: RedisServer, tmp_path
):
    lines = prose(8, seed=3, words=6)
    document = pdf(
        lambda canvas: write(canvas, lines, step=30),
        draw_scan(scan(lines, points=14, noise=0)),
        lambda _: None,
    )
    model = {"SIGHTLINE_MODEL": BUNDLED_MODEL}
    with running_system(redis_server.url, tmp_path, **QUICK, **model) as system:
        client = system.gateway()[1]
        system.worker(slots=3)
        answers = {}
        for fields in ({}, {"text_layer": "ignore", "pages": "1", "reader": "model"}):
            form = {"preset": "ocr", "max_new_tokens": "256", **fields}
            files = {"document": ("a.pdf", document)}
            job = client.post("/v1/jobs", data=form, files=files).json()

            def look(job=job) -> dict | None:
                latest = client.get(job["urls"]["self"], params={"wait": 5}).json()
                return latest if latest["completed_at"] else None

            answers[fields.get("reader", "")] = eventually(look, 120)
        question = {"prompt": "What is it?", "document": job["input"]["document"]["id"]}
        asked = client.post("/predict", json=question | {"max_new_tokens": 8}).json()
    assert {answer["status"] for answer in (*answers.values(), asked)} == {"succeeded"}
    own, read, blank = answers[""]["output"]["pages"]
    assert (own["source"], read["source"], blank["source"]) == ("text_layer", "model", "blank")
    assert own["text"].split() == " ".join(lines).split()
    assert likeness(own["text"], read["text"]) > 0.9, read["text"]
    assert answers["model"]["usage"]["image_tokens"] > 0
    assert answers["model"]["output"]["pages"][0]["source"] == "model"
    assert asked["output"]["text"]


def likeness(one: str, other: str) -> float:
    return SequenceMatcher(None, one.split(), other.split(), autojunk=False).ratio()
