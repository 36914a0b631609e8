"""Log lines for people: which are shown, and what they say."""

from __future__ import annotations

import io
import logging

import pytest

from shared import log
from shared.log.json_lines import JsonFormatter
from shared.log.text_lines import TextFormatter, worth_reading
from shared.settings import Settings


def record(event: str, level: int = logging.INFO, name: str = "gateway.app", **fields):
    made = logging.makeLogRecord({"msg": event, "levelno": level, "name": name, **fields})
    made.levelname = logging.getLevelName(level)
    return made


JOB = {
    "job_id": "job_01M8FKYAZT7FP4CPG46QAR2CQSAA6F0N5FDS",
    "status": "succeeded",
    "queue_s": 0.013,
    "encode_s": 0.51,
    "prefill_s": 0.2,
    "decode_s": 1.3,
    "prompt_tokens": 144,
    "completion_tokens": 20,
    "code": None,
}


def test_a_finished_job_is_one_short_line():
    line = TextFormatter().format(record("job.finished", **JOB))
    assert line == f"job succeeded in 2.0 s, waited 0.0 s, 144 + 20 tokens: {JOB['job_id']}"
    failed = record("job.finished", job_id="job_1", status="failed", code="poison")
    assert TextFormatter().format(failed) == "job failed in 0.0 s, poison: job_1"


def test_a_refused_request_says_why():
    fields = {"method": "POST", "route": "/v1/jobs", "status": 422, "ms": 3.4, "code": "bad_regex"}
    line = TextFormatter().format(record("request.finished", cause="It is invalid.", **fields))
    assert line == "POST /v1/jobs 422 in 3 ms, bad_regex: It is invalid."


@pytest.mark.parametrize("event", ["store.silent", "job.reaped", "never.heard_of"])
def test_any_other_event_is_said_in_words_with_its_fields(event):
    line = TextFormatter().format(record(event, logging.ERROR, cause="no route", job_id=None))
    assert line == f"ERROR: {event.replace('.', ' ').replace('_', ' ')}: cause no route"


def test_bound_fields_and_tracebacks_are_kept():
    with log.bound(job_id="job_7"):
        try:
            raise ValueError("soup")
        except ValueError as error:
            line = TextFormatter().format(
                record("job.crashed", logging.ERROR, exc_info=(ValueError, error, None))
            )
    assert line.splitlines() == ["ERROR: job crashed: job_id job_7", "ValueError: soup"]


@pytest.mark.parametrize(
    ("shown", "made"),
    [
        (False, record("request.finished", method="GET", status=200)),
        (True, record("request.finished", method="GET", status=404)),
        (True, record("request.finished", method="POST", status=202)),
        (False, record("job.started")),
        (True, record("job.finished", **JOB)),
        (False, record("mingle: all alone", name="celery.worker.consumer.mingle")),
        (False, record("Booting worker with pid: 7", name="gunicorn.error")),
        (True, record("cannot connect", logging.WARNING, name="celery.worker.consumer")),
        (True, record("job.started", logging.WARNING)),
    ],
)
def test_what_is_worth_reading(shown, made):
    assert worth_reading(made) is shown


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("log_format", "stream", "formatter"),
    [
        ("auto", _Terminal, TextFormatter),
        ("auto", io.StringIO, JsonFormatter),
        ("json", _Terminal, JsonFormatter),
        ("text", io.StringIO, TextFormatter),
    ],
)
def test_the_form_follows_the_setting_and_the_terminal(
    monkeypatch, tmp_path, log_format, stream, formatter
):
    monkeypatch.setattr("sys.stderr", stream())
    root = logging.getLogger()
    before = root.handlers[:], root.level
    try:
        log.configure(Settings(log_format=log_format, log_file=tmp_path / "app.log"))
        terminal, file = root.handlers
        assert isinstance(terminal.formatter, formatter)
        assert isinstance(file.formatter, JsonFormatter)
        file.close()
    finally:
        root.handlers, root.level = before
