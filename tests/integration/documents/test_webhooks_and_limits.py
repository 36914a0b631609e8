"""Documents and what guards or follows any job: webhooks, rate limits, retries from the shell."""

from __future__ import annotations

import json
import sys

from sightline.cli import main
from tests.integration.documents.conftest import INSTANT, TERMINAL
from tests.support.documents.page_kinds import pages
from tests.support.harness import ROOT, System, eventually
from tests.support.servers.receivers import receiving

OUTWARD = {"SIGHTLINE_ALLOW_NETS": "127.0.0.0/8", "SIGHTLINE_ALLOW_PORTS": "1-65535"}


def _ended(http, job):
    def look():
        read = http.get(job["urls"]["self"], params={"wait": 5}).json()
        return read if read["status"] in TERMINAL else None

    return eventually(look, 90)


def test_a_webhook_has_short_documents_and_names_long_ones(system: System):
    system.worker(**INSTANT)
    system.courier(**OUTWARD)
    _, http = system.gateway(**OUTWARD, **INSTANT)
    with receiving() as receiver:
        for kinds in ("tb", "t" * 20):
            form = {"preset": "ocr", "webhook": receiver.url}
            files = {"document": ("a.pdf", pages(kinds))}
            _ended(http, http.post("/v1/jobs", data=form, files=files).json())
        eventually(lambda: len(receiver.requests) == 2, 60)
    short, long = sorted((json.loads(one.body)["data"] for one in receiver.requests), key=len)[::-1]
    assert [page["source"] for page in short["output"]["pages"]] == ["text_layer", "blank"]
    assert short["input"]["document"]["page_count"] == 2
    assert long["thin"] is True
    assert "output" not in long
    assert len(http.get(long["urls"]["self"]).json()["output"]["pages"]) == 20


def test_pages_that_a_model_must_see_count_against_the_limit_of_tokens(system: System):
    # nobody works: only what is accepted counts
    _, http = system.gateway(SIGHTLINE_LIMIT_TOKENS_PER_MINUTE="6000", **INSTANT)

    def submit(kinds: str):
        form = {"preset": "ocr", "reader": "model"}
        return http.post("/v1/jobs", data=form, files={"document": ("a.pdf", pages(kinds))})

    estimate = http.post(
        "/v1/estimate", data={"preset": "ocr"}, files={"document": ("a.pdf", pages("s"))}
    ).json()
    each = estimate["image_tokens"]
    assert 0 < each < 3000
    fitting = 6000 // each
    refused = submit("s" * (fitting + 1))
    assert (refused.status_code, refused.json()["code"]) == (422, "input_too_long")
    assert submit("s" * fitting).status_code == 202
    again = submit("s")
    assert (again.status_code, again.json()["code"]) == (429, "rate_limited")
    assert submit("t" * 30).status_code == 202, "its own text costs no tokens"


def test_the_command_line_fills_the_gaps_of_a_document(system: System, tmp_path, monkeypatch):
    worker = system.worker(slots=2, **INSTANT | {"SIGHTLINE_SIMULATED_IMAGE_S": "0.5"})
    _, http = system.gateway(**INSTANT)
    scan, out = tmp_path / "scan.pdf", tmp_path / "out"
    scan.write_bytes(pages("t" + "s" * 7))
    command = ["ocr", str(scan), "--out", str(out), "--format", "json"]
    url = {"SIGHTLINE_URL": str(http.base_url), "PYTHONPATH": str(ROOT / "client")}
    first = system.spawn([sys.executable, "-m", "sightline", *command], "client", url)

    def newest():
        return (http.get("/v1/jobs", params={"limit": 1}).json()["data"] or [None])[0]

    job = eventually(newest, 60)
    eventually(lambda: (newest()["progress"] or {}).get("pages_done", 0) >= 2, 60)
    document = job["input"]["document"]["id"]
    assert http.delete(f"/v1/documents/{document}").status_code == 204
    first.wait(90)
    partial = _ended(http, job)
    kept = {page["page"] for page in partial["output"]["pages"] if not page["gap"]}
    assert 2 <= len(kept) < 8

    # what was deleted is there again, as it always is where only a page has failed
    assert http.post("/v1/documents", files={"document": scan.read_bytes()}).status_code == 201
    monkeypatch.setenv("SIGHTLINE_URL", str(http.base_url))
    assert main(command) == 0
    again = _ended(http, newest())
    assert (again["retry_of"], again["output"]["partial"]) == (job["id"], False)
    done = [line for line in worker.logs().splitlines() if '"page.finished"' in line]
    for page in kept:
        assert sum(f'"page": {page}' in line for line in done) <= 1
    (written,) = out.glob("*.json")
    assert [page["page"] for page in json.loads(written.read_text())["pages"]] == [*range(1, 9)]
