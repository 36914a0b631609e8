"""Ids, errors, settings and log lines."""

from __future__ import annotations

import io
import json
import logging
import re

import pytest
from pydantic import ValidationError

from shared import errors, log
from shared.errors import ServiceError, by_code
from shared.jobs import GenerationParams, JobStatus, new_job_id
from shared.log.json_lines import JsonFormatter
from shared.queue import PRIORITY_STEPS, broker_lists
from shared.settings import Settings


def test_ids_are_unique_long_and_sort_by_time(monkeypatch):
    ids = {new_job_id() for _ in range(2000)}
    assert len(ids) == 2000
    assert all(len(i) == 40 and i.startswith("job_") for i in ids)
    early = new_job_id()
    monkeypatch.setattr("time.time_ns", lambda: 2**62)
    assert new_job_id() > early


def test_only_four_statuses_are_terminal():
    assert [s.value for s in JobStatus if s.terminal] == [
        "succeeded",
        "failed",
        "canceled",
        "expired",
    ]


def test_every_error_has_a_code_of_its_own_a_sentence_and_a_hint():
    for error in by_code().values():
        assert 400 <= error.status < 600
        assert error.title().endswith((".", ")."))
        assert error.hint.endswith(".")


def test_no_subclass_hides_behind_the_code_of_another():
    def walk(kind: type[ServiceError]) -> list[type[ServiceError]]:
        return [kind, *(below for child in kind.__subclasses__() for below in walk(child))]

    codes: dict[str, type[ServiceError]] = {}
    for kind in walk(ServiceError):
        assert codes.setdefault(kind.code, kind) is kind, kind


def test_the_drawn_tree_of_errors_is_complete():
    tree = (errors.__doc__ or "").split("\n\n")[1]
    drawn = re.findall(r"(?:^|[─·] )(\w+)", tree, re.MULTILINE)
    assert sorted(drawn) == sorted(error.__name__ for error in by_code().values())


@pytest.mark.parametrize(
    "bad", [{"max_new_tokens": 0}, {"temperature": 3}, {"top_p": 0}, {"stop": [""]}, {"what": 1}]
)
def test_generation_parameters_have_bounds(bad):
    with pytest.raises(ValidationError):
        GenerationParams(**bad)


def test_settings_come_from_the_environment_and_are_checked(monkeypatch):
    monkeypatch.setenv("SIGHTLINE_LEASE_S", "30")
    monkeypatch.setenv("LOG_LEVEL", "DEBUG")
    settings = Settings()
    assert (settings.lease_s, settings.log_level) == (30, "DEBUG")
    monkeypatch.setenv("SIGHTLINE_BEAT_S", "20")
    with pytest.raises(ValidationError, match="three times"):
        Settings()


def test_the_brokers_lists_are_named_as_kombu_names_them():
    lists = broker_lists(["default"])
    assert len(lists) == len(PRIORITY_STEPS)
    assert lists[0] == "default"
    assert lists[3] == "default\x06\x163"


def test_a_log_line_is_json_with_what_is_bound_and_given():
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(JsonFormatter())
    logger = logging.getLogger("test.lines")
    logger.propagate = False
    logger.setLevel("INFO")
    logger.addHandler(handler)
    with log.bound(job_id="job_1"):
        logger.info("job.finished", extra={"status": "succeeded", "text": "图"})
    line = json.loads(out.getvalue())
    assert line["event"] == "job.finished"
    assert (line["job_id"], line["status"], line["text"]) == ("job_1", "succeeded", "图")
    assert line["time"].endswith("Z")


def test_a_log_file_gets_the_same_lines(tmp_path):
    root = logging.getLogger()
    before = root.handlers[:], root.level
    try:
        log.configure(Settings(log_file=tmp_path / "logs" / "app.log", log_level="DEBUG"))
        logging.getLogger("x").debug("it.happened")
        for handler in root.handlers:
            handler.close()
    finally:
        root.handlers, root.level = before
    assert json.loads((tmp_path / "logs" / "app.log").read_text())["event"] == "it.happened"
