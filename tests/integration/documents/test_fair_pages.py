"""Long documents beside others: short questions do not wait for them, and they share."""

from __future__ import annotations

from typing import Any

import httpx

from tests.support.harness import System, eventually
from tests.support.page_kinds import pages

#: Long enough for a page that the answers of a busy machine count little beside it.
SLOW = {"SIGHTLINE_SIMULATED_IMAGE_S": "0.4", "SIGHTLINE_SIMULATED_TOKEN_S": "0.001"}
ENDLESS = {"SIGHTLINE_QUEUE_MAX_WAIT_S": "100000"}
SLOTS = 3


def _submit(http: httpx.Client, data: bytes) -> dict[str, Any]:
    form = {"preset": "ocr", "text_layer": "ignore", "reader": "model"}
    answer = http.post("/v1/jobs", data=form, files={"document": ("a.pdf", data)})
    assert answer.status_code == 202, answer.text
    return answer.json()


def _pages_done(http: httpx.Client, job: dict[str, Any]) -> int:
    progress = http.get(job["urls"]["self"]).json()["progress"] or {}
    return int(progress.get("pages_done", 0))


def test_short_questions_do_not_wait_for_pages_and_two_long_documents_share(system: System):
    _, http = system.gateway(**ENDLESS)
    system.worker(slots=SLOTS, **SLOW)
    document = pages("t" * 120)
    first = _submit(http, document)
    eventually(lambda: _pages_done(http, first) >= 3, 90)

    for _ in range(3):
        before = _pages_done(http, first)
        question = {"prompt": "hi", "max_new_tokens": 2}
        short = http.post("/v1/jobs", json=question, headers={"Prefer": "wait=60"}).json()
        assert short["status"] == "succeeded"
        # one slot is left to it: it waits for no page at all, and 117 are still to be read
        assert _pages_done(http, first) - before <= 12

    second = _submit(http, document)
    eventually(lambda: _pages_done(http, second) >= 2, 120)
    start = _pages_done(http, first), _pages_done(http, second)
    eventually(lambda: _pages_done(http, second) >= start[1] + 8, 120)
    ahead, behind = _pages_done(http, first) - start[0], _pages_done(http, second) - start[1]
    assert abs(ahead - behind) <= SLOTS + 2, (ahead, behind)
    for job in (first, second):
        assert http.post(job["urls"]["cancel"]).json()["status"] == "canceled"
