"""Constrained answers over HTTP: choices, regular expressions, JSON schemas, refusals."""

from __future__ import annotations

import json
import re

import pytest

from tests.support.harness import QUICK, running_redis, running_system

SCHEMA = {
    "type": "object",
    "properties": {
        "n": {"type": "integer", "maximum": 99, "minimum": 0},
        "ok": {"type": "boolean"},
    },
    "required": ["n", "ok"],
    "additionalProperties": False,
}
JSON_FORMAT = {"type": "json_schema", "json_schema": {"name": "seen", "schema": SCHEMA}}
FOR_EVER = {"$ref": "#/$defs/a", "$defs": {"a": {"type": "array", "minItems": 1}}}
FOR_EVER["$defs"]["a"]["items"] = {"$ref": "#/$defs/a"}
PRESETS = """
[[presets]]
name = "yes_or_no"
prompt.en = "{prompt} Answer yes or no."
[presets.params]
choices = ["yes", "no"]
"""


@pytest.fixture(scope="module")
def http(tmp_path_factory):
    """A gateway and a worker that know a preset with choices."""
    folder = tmp_path_factory.mktemp("constrained")
    (folder / "presets.toml").write_text(PRESETS)
    env = {
        "SIGHTLINE_PRESETS_FILE": str(folder / "presets.toml"),
        "SIGHTLINE_SIMULATED_TOKEN_S": "0",
    }
    with (
        running_redis(folder) as redis,
        running_system(redis.url, folder, **QUICK, **env) as system,
    ):
        system.worker(SIGHTLINE_SIMULATED_IMAGE_S="0")
        yield system.gateway()[1]


def ended(http, **body) -> dict:
    body = {"prompt": "What is it?", "max_new_tokens": 200, **body}
    answer = http.post("/v1/jobs", json=body, headers={"Prefer": "wait=60"})
    assert answer.status_code == 200, answer.text
    assert answer.json()["status"] == "succeeded"
    return answer.json()


def refused(http, **body) -> dict:
    answer = http.post("/v1/jobs", json={"prompt": "What is it?", **body})
    assert answer.status_code == 422, answer.text
    return answer.json()


def test_an_answer_is_one_of_the_choices(http) -> None:
    answers = {ended(http, choices=["cat", "狗"], seed=n)["output"]["text"] for n in range(6)}
    assert answers <= {"cat", "狗"}


def test_an_answer_matches_its_regex(http) -> None:
    output = ended(http, regex=r"\d{2}:\d{2}")["output"]
    assert re.fullmatch(r"[0-9]{2}:[0-9]{2}", output["text"])
    assert output["finish_reason"] == "stop"


def test_json_comes_parsed_and_as_text(http) -> None:
    job = ended(http, response_format=JSON_FORMAT)
    output = job["output"]
    assert output["json"] == json.loads(output["text"])
    assert set(output["json"]) == {"n", "ok"}
    result = http.get(job["urls"]["result"], headers={"Accept": "application/json"})
    assert result.json()["json"] == output["json"]


def test_json_that_was_cut_off_is_told_and_not_parsed(http) -> None:
    job = ended(http, response_format=JSON_FORMAT, max_new_tokens=5)
    assert job["output"]["finish_reason"] == "length"
    assert job["output"]["json"] is None
    assert [warning["code"] for warning in job["warnings"]] == ["answer_unfinished"]


def test_a_form_may_carry_constraints(http) -> None:
    data = {"prompt": "?", "choices": ["a", "b"]}
    assert http.post("/predict", data=data).json()["output"]["text"] in {"a", "b"}
    data = {"prompt": "?", "response_format": json.dumps(JSON_FORMAT), "max_new_tokens": "100"}
    assert "n" in http.post("/predict", data=data).json()["output"]["json"]


def test_the_form_of_a_request_takes_the_place_of_its_presets(http) -> None:
    request = {"preset": "yes_or_no", "prompt": "Is it blue?"}
    assert ended(http, **request)["output"]["text"] in {"yes", "no"}
    assert re.fullmatch("[xy]{3}", ended(http, **request, regex="[xy]{3}")["output"]["text"])


def test_the_preset_count_answers_with_a_number(http) -> None:
    for seed in range(4):
        assert ended(http, preset="count", seed=seed, prompt=None)["output"]["text"].isdigit()


def test_the_preset_fields_answers_with_exactly_the_members_that_were_named(http) -> None:
    names = ["total", '日期 "due"']
    job = ended(http, preset="fields", fields=names, prompt=None, max_new_tokens=2000)
    assert list(job["output"]["json"]) == names
    assert set(job["output"]["fields"]) == set(names)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"regex": "(?=a)b"}, "/regex"),
        ({"regex": "(a{1000}){1000}"}, "/regex"),
        ({"regex": r"[^\s\S]"}, "/regex"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"schema": FOR_EVER}}},
            "/response_format/json_schema/schema",
        ),
    ],
)
def test_what_no_answer_can_be_held_to_is_refused(http, body: dict, pointer: str) -> None:
    problem = refused(http, **body)
    assert (problem["code"], problem["pointer"]) == ("bad_constraint", pointer)
    assert problem["hint"]


@pytest.mark.parametrize(
    "body",
    [
        {"choices": ["a"], "regex": "a"},
        {"choices": [""]},
        {"response_format": {"type": "xml"}},
        {"response_format": {"type": "json_schema"}},
        {"regex": "a", "uncertain_below": 0.5},
        {"uncertain_below": 2},
    ],
)
def test_parameters_that_do_not_fit_together_are_refused(http, body: dict) -> None:
    assert refused(http, **body)["code"] == "bad_parameters"


def test_a_simulated_worker_claims_no_confidence(http) -> None:
    output = ended(http, line_confidence=True)["output"]
    assert (output["confidence"], output["lines"]) == (None, None)
