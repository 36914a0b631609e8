"""The command line about jobs and the service: lists, details, retries, and a URL that is wrong."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from sightline.cli import Exit
from sightline.cli.completion import fitting_words
from sightline.cli.parser import build_parser
from tests.support.harness import free_port
from tests.support.images.image_bytes import plain_png


def test_a_list_tells_file_and_question_and_leaves_out_warm_ups(served, run, tmp_path):
    picture = tmp_path / "shelf.png"
    picture.write_bytes(plain_png("teal"))
    run("ask", picture, "What stands on it?", "--max-tokens", "3")
    warmed = served.http.post("/v1/images?warm=1", files={"image": plain_png("olive")}).json()
    _, out, _ = run("jobs", "--limit", "1")
    head, line = out.splitlines()
    assert head.split() == ["JOB", "STATUS", "AGE", "FILE", "QUESTION", "ANSWER"]
    assert "shelf.png" in line
    assert "What stands on it?" in line
    _, out, _ = run("jobs", "--limit", "1", "--all")
    assert out.splitlines()[1].startswith(warmed["warm_job"])


def test_a_job_is_shown_with_what_is_known_of_it(served, run, tmp_path):
    picture = tmp_path / "shelf.png"
    picture.write_bytes(plain_png("navy"))
    _, job, _ = run("ask", picture, "And there?", "--max-tokens", "3", "--no-wait")
    run("watch", job.strip())
    status, out, _ = run("show", job.strip())
    facts, _, answer = out.partition("\n\n")
    assert status == Exit.OK
    values = dict(line.split(":", 1) for line in facts.splitlines())
    assert values["status"].strip() == "succeeded"
    assert values["files"].strip() == "shelf.png"
    assert values["question"].strip() == "And there?"
    assert "3 written" in values["tokens"]
    assert answer.strip() == served.job(job.strip())["output"]["text"].strip()
    assert json.loads(run("--json", "show", job.strip())[1])["id"] == job.strip()


def test_a_canceled_job_is_run_again(run):
    _, out, _ = run("ask", "?", "--no-wait", "--max-tokens", "2000")
    job = out.strip()
    run("cancel", job)
    status, again, _ = run("retry", job, "--no-wait")
    assert (status, again[:4]) == (Exit.OK, "job_")
    assert f"{job}" not in again
    run("cancel", again.strip())
    _, out, _ = run("ask", "?", "--no-wait", "--max-tokens", "3")
    run("watch", out.strip())
    status, _, err = run("retry", out.strip())
    assert (status, "not_retryable" in err) == (Exit.REFUSED, True)


def test_conversations_are_deleted_by_their_ids(run):
    for name in ("cli_a", "cli_b"):
        run("ask", "?", "--session", name, "--max-tokens", "2")
    assert run("sessions", "delete", "cli_a", "cli_b")[0] == Exit.OK
    assert run("sessions", "cli_a")[0] == run("sessions", "cli_b")[0] == Exit.REFUSED
    assert run("sessions", "delete")[0] == Exit.USAGE
    assert run("sessions", "cli_a", "cli_b")[0] == Exit.USAGE


def test_the_presets_are_listed_shown_and_completed(run):
    _, out, _ = run("presets")
    assert out.splitlines()[0].split() == ["PRESET", "NEEDS", "WHAT", "IT", "DOES"]
    assert any(line.startswith("ocr ") for line in out.splitlines())
    _, out, _ = run("presets", "ocr")
    assert "  en: " in out
    assert "  zh: " in out
    assert "Unknown preset nope." in run("presets", "nope")[2]
    assert "ocr" in fitting_words(build_parser(), ["ask", "--preset", "oc"])


def test_the_state_of_the_service_is_told(run):
    status, out, _ = run("status")
    assert status == Exit.OK
    assert "running" in out.splitlines()[0]
    assert "model simulated" in out
    assert "busy" in out.splitlines()[-1]
    assert json.loads(run("--json", "status")[1])["queue"]["workers"]


class _Foreign(BaseHTTPRequestHandler):
    """Another web server: one path redirects, the others do not exist."""

    def do_GET(self) -> None:
        if self.server.redirects:
            self.send_response(301)
            self.send_header("Location", "https://elsewhere.example/")
        else:
            self.send_response(404)
            self.send_header("Content-Type", "text/html")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.mark.parametrize(
    ("redirects", "complaint"), [(True, "elsewhere.example"), (False, "Check the URL")]
)
def test_another_server_is_told_from_the_service(run, redirects, complaint):
    with ThreadingHTTPServer(("127.0.0.1", 0), _Foreign) as server:
        server.redirects = redirects
        threading.Thread(target=server.serve_forever, daemon=True).start()
        status, _, err = run("--url", f"http://127.0.0.1:{server.server_port}", "jobs")
        server.shutdown()
    assert status == Exit.NO_CONNECTION
    assert complaint in err


def test_a_refused_connection_is_told_without_retries(run, monkeypatch):
    def no_pause(*_):
        raise AssertionError("retried")

    monkeypatch.setattr("sightline._transport.blocking.time.sleep", no_pause)
    status, _, err = run("--url", f"http://127.0.0.1:{free_port()}", "status")
    assert status == Exit.NO_CONNECTION
    assert "Is it running?" in err
