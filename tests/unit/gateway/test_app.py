"""What happens around every request of the app."""

from __future__ import annotations

import errno

import pytest
from flask import Flask

from gateway.app import create_app
from gateway.http import problems
from shared.settings import Settings
from shared.tracing import Tracing


def test_a_request_whose_end_fails_is_counted_once(monkeypatch: pytest.MonkeyPatch):
    app = create_app(Settings(model="simulated"))

    def fail(*_: object) -> None:
        raise BrokenPipeError

    monkeypatch.setattr(Tracing, "end_request", fail)
    app.test_client().get("/healthz")
    registry = app.extensions["sightline"].http_metrics.registry()
    counted = [
        sample.value
        for metric in registry.collect()
        for sample in metric.samples
        if sample.name in ("sightline_http_requests_total", "sightline_http_request_seconds_count")
    ]
    assert counted == [1, 1]


@pytest.mark.parametrize("cause", [errno.EMFILE, errno.ENOSPC])
def test_a_machine_without_files_or_space_asks_to_come_again(cause):
    app = Flask(__name__)
    problems.install(app)

    @app.get("/")
    def full() -> str:
        raise OSError(cause, "no room")

    answer = app.test_client().get("/")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert answer.json is not None
    assert answer.json["code"] == "unavailable"
