"""Every error of the tree as a problem."""

from __future__ import annotations

import json

import flask
import pytest

from gateway.http.problems import MAX_RETRY_AFTER_S, Problem, install, problem_body, retry_after
from shared import errors


def tree(kind):
    return [kind, *(error for child in kind.__subclasses__() for error in tree(child))]


@pytest.fixture
def app():
    made = flask.Flask(__name__)
    install(made)
    return made


@pytest.mark.parametrize("kind", tree(errors.ServiceError))
def test_every_error_is_a_whole_problem(app, kind):
    def fail():
        raise kind(pointer="/prompt")

    app.add_url_rule("/x", view_func=fail)
    answer = app.test_client().get("/x")
    body = answer.get_json(force=True)
    Problem.model_validate(body)
    assert answer.status_code == body["status"] == kind.status
    assert answer.mimetype == "application/problem+json"
    assert body["code"] == kind.code
    assert body["error"]["code"] == (kind.openai_code or kind.code)
    assert body["pointer"] == body["error"]["param"] == "/prompt"
    assert ("Retry-After" in answer.headers) == (kind.status in (429, 503, 504))
    pointless = kind.status == 409 or issubclass(kind, errors.JobFailure)
    assert (answer.headers.get("x-should-retry") == "false") == pointless


def test_a_surprise_is_a_500_that_tells_nothing_of_itself(app):
    def fail():
        raise RuntimeError("the password is 1234")

    app.add_url_rule("/x", view_func=fail)
    answer = app.test_client().get("/x")
    assert answer.status_code == 500
    assert answer.get_json(force=True)["code"] == "internal_error"
    assert "1234" not in answer.text


@pytest.mark.parametrize(
    ("seconds", "header"), [(None, "1"), (0, "1"), (0.2, "1"), (2.1, "3"), (9999, "120")]
)
def test_retry_after_is_whole_seconds_that_clients_wait(seconds, header):
    assert retry_after(seconds) == header
    assert int(header) <= MAX_RETRY_AFTER_S


def test_a_detail_that_quotes_half_a_character_can_still_be_told():
    text = problem_body(errors.InvalidBase64("Character '\ud800' is not base64."), "/x", "req_1")
    assert json.loads(text)["detail"] == "Character '\ud800' is not base64."
