"""Long documents beside others: short questions do not wait for them, and they share."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import httpx

from tests.support.documents.page_kinds import pages
from tests.support.harness import ROOT, System, eventually

#: Long enough for a page that the answers of a busy machine count little beside it.
SLOW = {"SIGHTLINE_SIMULATED_IMAGE_S": "0.4", "SIGHTLINE_SIMULATED_TOKEN_S": "0.001"}
ENDLESS = {"SIGHTLINE_QUEUE_MAX_WAIT_S": "100000"}
SLOTS = 3


def _submit(
    http: httpx.Client, data: bytes, headers: dict[str, str] | None = None
) -> dict[str, Any]:
    form = {"preset": "ocr", "text_layer": "ignore", "reader": "model"}
    answer = http.post("/v1/jobs", data=form, files={"document": ("a.pdf", data)}, headers=headers)
    assert answer.status_code == 202, answer.text
    return answer.json()


def _status(http: httpx.Client, job: dict[str, Any], headers: dict[str, str]) -> str:
    return str(http.get(job["urls"]["self"], headers=headers).json()["status"])


def _pages_done(
    http: httpx.Client, job: dict[str, Any], headers: dict[str, str] | None = None
) -> int:
    progress = http.get(job["urls"]["self"], headers=headers).json()["progress"] or {}
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


def _key(system: System, name: str) -> dict[str, str]:
    """Return the headers of a new tenant."""
    command = [sys.executable, "-m", "gateway.admin", "keys", "create", name]
    done = subprocess.run(
        command, env=system.env, cwd=ROOT, capture_output=True, text=True, check=True
    )
    return {"Authorization": f"Bearer {done.stdout.strip()}"}


def test_500_pages_four_times_of_one_tenant_do_not_hold_up_the_others(system: System):
    first, second, third = (_key(system, name) for name in ("first", "second", "third"))
    _, http = system.gateway(**ENDLESS)
    system.worker(slots=SLOTS, **SLOW)
    long = pages("t" * 500)
    flood = [_submit(http, long, first) for _ in range(4)]
    eventually(lambda: _pages_done(http, flood[0], first) >= 2, 120)

    for _ in range(3):
        before = sum(_pages_done(http, job, first) for job in flood)
        question = {"prompt": "hi", "max_new_tokens": 2}
        wait = {"Prefer": "wait=60"}
        short = http.post("/v1/jobs", json=question, headers=third | wait).json()
        assert short["status"] == "succeeded"
        assert sum(_pages_done(http, job, first) for job in flood) - before <= 12

    # a document of six pages gets half of the turns, as the other tenant's two thousand pages do
    before = sum(_pages_done(http, job, first) for job in flood)
    letter = _submit(http, pages("t" * 6), second)
    eventually(lambda: _status(http, letter, second) == "succeeded", 120)
    read_meanwhile = sum(_pages_done(http, job, first) for job in flood) - before
    assert read_meanwhile <= 6 + 4 * SLOTS
    for job in flood:
        assert http.post(job["urls"]["cancel"], headers=first).json()["status"] == "canceled"
