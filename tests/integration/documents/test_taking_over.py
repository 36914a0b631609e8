"""Documents whose workers die, whose callers cancel, and that are asked for again."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from typing import Any

import httpx
import pytest
import redis

from shared.settings import Settings
from shared.store.access.api_key_store import ApiKeyStore
from shared.store.access.api_key_types import KeyTerms
from shared.store.connection import connect
from tests.integration.documents.conftest import TERMINAL, read_events, sources
from tests.support.documents.page_kinds import pages
from tests.support.harness import Process, RedisServer, System, eventually

#: Pages that take long enough to be met in the middle.
SLOW = {"SIGHTLINE_SIMULATED_IMAGE_S": "0.15", "SIGHTLINE_SIMULATED_TOKEN_S": "0.004"}


def submit(http: httpx.Client, data: bytes, **fields: str) -> dict[str, Any]:
    form = {"preset": "ocr", **fields}
    answer = http.post("/v1/jobs", data=form, files={"document": ("a.pdf", data)})
    assert answer.status_code == 202, answer.text
    return answer.json()


def read(http: httpx.Client, job: dict[str, Any]) -> dict[str, Any]:
    return http.get(job["urls"]["self"]).json()


def ended(http: httpx.Client, job: dict[str, Any], within_s: float = 90.0) -> dict[str, Any]:
    eventually(lambda: read(http, job)["status"] in TERMINAL, within_s, 0.2)
    return read(http, job)


def pages_done(http: httpx.Client, job: dict[str, Any]) -> int:
    return (read(http, job)["progress"] or {}).get("pages_done", 0)


def finished(*workers: Process) -> Counter[str]:
    """Return how often each page was finished, by the lines of the workers' logs."""
    lines = [line for worker in workers for line in worker.logs().splitlines()]
    return Counter(
        line.split('"page": ')[1].split("}")[0] for line in lines if '"page.finished"' in line
    )


@pytest.fixture
def http(system: System) -> httpx.Client:
    return system.gateway()[1]


def test_a_worker_killed_in_the_middle_of_forty_pages_changes_nothing_and_none_is_done_twice(
    system: System, http: httpx.Client
):
    document = pages("ttsss" * 8)
    doomed = system.worker(slots=4, **SLOW)
    job = submit(http, document)
    eventually(lambda: pages_done(http, job) >= 16 + 6, every_s=0.02)
    doomed.kill()
    second = system.worker(slots=4, **SLOW)
    disturbed = ended(http, job)
    assert disturbed["status"] == "succeeded", disturbed["error"]
    undisturbed = ended(http, submit(http, document, metadata='{"again": 1}'))
    assert disturbed["output"] == undisturbed["output"]
    # a text page may have been done by whoever split the job
    scans = {str(page) for page in range(1, 41) if page % 5 not in (1, 2)}
    in_all = finished(doomed) + finished(second)
    assert {in_all[page] for page in scans} == {2}
    assert max(in_all.values()) <= 2
    events = [data for kind, data in read_events(http, job) if kind == "output.page"]
    assert Counter(data["page"] for data in events) == Counter(range(1, 41))
    deltas = [data for kind, data in read_events(http, job) if kind == "output.delta"]
    assert [d["tile"] for d in deltas] == sorted(d["tile"] for d in deltas)


def test_a_repeated_job_reads_only_what_is_missing(system: System, http: httpx.Client):
    worker = system.worker(slots=4, **SLOW)
    job = submit(http, pages("ts" * 10))
    eventually(lambda: pages_done(http, job) >= 10 + 3, every_s=0.02)
    assert http.post(job["urls"]["cancel"]).json()["status"] == "canceled"
    canceled = read(http, job)
    assert canceled["output"]["partial"] is True
    known = [page for page in canceled["output"]["pages"] if page["text"] is not None]
    assert 13 <= len(known) < 20
    assert all(page["warnings"] == [] for page in canceled["output"]["pages"])
    time.sleep(0.5)
    before = finished(worker)
    again = ended(http, http.post(f"{job['urls']['self']}/retry").json())
    assert again["status"] == "succeeded"
    assert [notice["code"] for notice in again["warnings"]] == ["pages_taken_over"]
    assert f"{len(known)} of 20 pages" in again["warnings"][0]["detail"]
    missing = set(range(2, 21, 2)) - {page["page"] for page in known}
    done = finished(worker) - before
    assert {page for page in done if int(page) % 2 == 0} == {str(page) for page in missing}
    assert set(done.values()) <= {1}
    texts = {page["page"]: page["text"] for page in again["output"]["pages"]}
    assert all(texts[page["page"]] == page["text"] for page in known)
    assert again["output"]["partial"] is False


def test_a_page_that_fails_leaves_a_marked_gap_and_strict_fails_the_job(
    system: System, http: httpx.Client
):
    # what is left after the deletion cannot be read any more
    system.worker(slots=2, **SLOW)
    job = submit(http, pages("t" + "s" * 7))
    document = job["input"]["document"]["id"]
    eventually(lambda: pages_done(http, job) >= 3, every_s=0.02)
    assert http.delete(f"/v1/documents/{document}").status_code == 204
    partial = ended(http, job)
    assert partial["status"] == "succeeded"
    assert partial["output"]["partial"] is True
    gaps = [page["page"] for page in partial["output"]["pages"] if page["gap"]]
    assert gaps
    assert all(f"[unread: page {page}]" in partial["output"]["text"] for page in gaps)
    retried = http.post(f"{job['urls']['self']}/retry")
    assert retried.json()["code"] == "document_not_found"
    again = submit(http, pages("s" * 8), strict="true")
    eventually(lambda: pages_done(http, again) >= 1, every_s=0.02)
    http.delete(f"/v1/documents/{again['input']['document']['id']}")
    failed = ended(http, again)
    assert (failed["status"], failed["error"]["code"]) == ("failed", "page_failed")


def test_what_one_tenant_deletes_another_still_reads_and_the_first_may_send_again(
    redis_server: RedisServer, system: System, http: httpx.Client
):
    worker = system.worker(slots=4, **SLOW)
    keys = ApiKeyStore(connect(Settings(redis_url=redis_server.url)))
    document = pages("s" * 12)
    with contextlib.ExitStack() as stack:
        mine, theirs = (
            stack.enter_context(
                httpx.Client(
                    base_url=http.base_url,
                    headers={"Authorization": f"Bearer {keys.create(name, KeyTerms())[1]}"},
                    timeout=90,
                    trust_env=False,
                )
            )
            for name in ("mine", "theirs")
        )
        job, other = submit(mine, document), submit(theirs, document)
        name = job["input"]["document"]["id"]
        assert other["input"]["document"]["id"] == name
        eventually(lambda: pages_done(mine, job) >= 2, every_s=0.02)
        assert mine.delete(f"/v1/documents/{name}").status_code == 204
        assert theirs.get(f"/v1/documents/{name}").status_code == 200
        whole, partial = ended(theirs, other), ended(mine, job)
        assert sources(whole) == ["model"] * 12
        gaps = {page["page"] for page in partial["output"]["pages"] if page["gap"]}
        assert 0 < len(gaps) <= 10
        # sent again, it is read where it was not
        assert mine.post("/v1/documents", files={"document": ("a.pdf", document)}).is_success
        before = finished(worker)
        again = ended(mine, mine.post(f"{job['urls']['self']}/retry").json())
        assert again["output"]["text"] == whole["output"]["text"]
        assert finished(worker) - before == Counter(map(str, gaps))


def test_a_job_past_its_deadline_keeps_the_pages_that_it_has(system: System, http: httpx.Client):
    system.worker(slots=2, **SLOW)
    job = ended(http, submit(http, pages("t" + "s" * 40), deadline_s="3"))
    assert (job["status"], job["output"]["finish_reason"]) == ("expired", "deadline")
    assert "text_layer" in sources(job)
    assert any(page["text"] is None for page in job["output"]["pages"])


def test_a_running_job_that_is_erased_leaves_nothing(system: System, http: httpx.Client):
    system.worker(slots=2, **SLOW)
    job = submit(http, pages("ts" * 10))
    eventually(lambda: pages_done(http, job) >= 12, every_s=0.02)
    assert http.delete(job["urls"]["self"]).status_code == 204
    document = job["input"]["document"]["id"]
    assert http.get(f"/v1/documents/{document}").status_code == 404
    client = redis.Redis.from_url(system.env["SIGHTLINE_REDIS_URL"], decode_responses=True)

    def left() -> list[str]:
        digest = document.removeprefix("doc_")
        return [k for k in client.scan_iter("*") if job["id"] in k or digest in k or "job:" in k]

    eventually(lambda: all(":gone:" in key for key in left()))
    client.close()


def test_short_questions_and_other_documents_are_not_held_up(system: System, http: httpx.Client):
    worker = system.worker(slots=3, **SLOW)
    first = submit(http, pages("s" * 60))
    eventually(lambda: pages_done(http, first) >= 2, every_s=0.02)
    second = submit(http, pages("bs" + "s" * 20))
    began = time.monotonic()
    short = http.post("/predict", json={"prompt": "What is it?", "max_new_tokens": 4})
    assert short.json()["status"] == "succeeded"
    waited_s = time.monotonic() - began
    eventually(lambda: pages_done(http, second) >= 6, every_s=0.02)
    assert read(http, first)["status"] == "running"
    assert pages_done(http, first) < 50
    assert read(http, first)["progress"]["eta_s"] > 0
    # one of its slots is left free for others
    assert waited_s < 30, worker.logs()[-2000:]
    for job in (first, second):
        http.post(job["urls"]["cancel"])
