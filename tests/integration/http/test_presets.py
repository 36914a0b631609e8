"""Presets and rules over HTTP, from the request to the answer."""

from __future__ import annotations

import json
from random import Random

import pytest

from shared.catalog.presets import BUILT_IN
from tests.support.harness import BIN, QUICK, Process, free_port, running_redis, running_system
from tests.unit.worker.enhance import drawings

RULES = r"""
[[rules]]
name = "words"
pattern = '\b([a-z]{4,})\b'
field = "words"

[[rules]]
name = "shout"
pattern = '\b(?:simulated|answer|picture|about|shows|shapes|some|text)\b'
replacement = '<\0>'
"""
PRESETS = """
[[presets]]
name = "own"
prompt.en = "Say it in one line: {prompt}"
postprocess = ["words", "shout"]
[presets.params]
max_new_tokens = 5
"""


@pytest.fixture(scope="module")
def http(tmp_path_factory):
    """A gateway and a worker that know rules and a preset of the operator."""
    folder = tmp_path_factory.mktemp("presets")
    (folder / "rules.toml").write_text(RULES)
    (folder / "presets.toml").write_text(PRESETS)
    files = {
        "SIGHTLINE_RULES_FILE": str(folder / "rules.toml"),
        "SIGHTLINE_PRESETS_FILE": str(folder / "presets.toml"),
        "SIGHTLINE_SIMULATED_TOKEN_S": "0.001",
    }
    with (
        running_redis(folder) as redis,
        running_system(redis.url, folder, **QUICK, **files) as system,
    ):
        system.worker()
        yield system.gateway()[1]


def ended(http, path="/v1/jobs", **body):
    answer = http.post(path, json=body, headers={"Prefer": "wait=60"})
    assert answer.status_code == 200, answer.text
    assert answer.json()["status"] == "succeeded"
    return answer.json()


def test_the_presets_are_listed_with_everything(http):
    listed = http.get("/v1/presets").json()
    presets = {preset["name"]: preset for preset in listed["data"]}
    assert list(presets) == [*(preset.name for preset in BUILT_IN), "own"]
    for preset in BUILT_IN:
        assert presets[preset.name]["prompt"] == dict(preset.prompt)
        assert presets[preset.name]["params"] == preset.params.model_dump(mode="json")
    assert presets["own"]["builtin"] is False
    assert presets["own"]["needs"] == ["prompt"]
    rules = {rule["name"]: rule for rule in listed["rules"]}
    assert rules["cn_phone"]["field"] == "phones"
    assert rules["words"] == {
        "name": "words",
        "description": "",
        "kind": "extract",
        "field": "words",
        "builtin": False,
    }


@pytest.mark.parametrize("path", ["/v1/jobs", "/predict"])
def test_a_preset_needs_no_prompt_and_is_shown_by_the_job(http, path):
    job = ended(http, path, preset="count", lang="zh", session_id=f"s{path[1:3]}")
    assert job["input"]["preset"] == "count"
    assert job["usage"]["completion_tokens"] <= 16
    session = http.get(f"/v1/sessions/s{path[1:3]}").json()
    assert session["turns"][0]["prompt"] == "图中有几个主要物体?只需回答一个数字。"


def test_explicit_parameters_win_over_the_presets(http):
    assert ended(http, preset="own", prompt="hi")["usage"]["completion_tokens"] == 5
    assert ended(http, preset="own", prompt="hi", max_tokens=3)["usage"]["completion_tokens"] == 3
    assert ended(http, preset="own", prompt="hi", postprocess=[])["output"]["fields"] == {}


def test_a_form_names_preset_and_rules_too(http):
    data = {"preset": "own", "prompt": "hi", "postprocess": ["words", "email"]}
    for rules in (["words", "email"], '["words", "email"]'):
        form = data | {"postprocess": rules}
        answer = http.post("/v1/jobs", data=form, headers={"Prefer": "wait=60"})
        assert answer.status_code == 200, answer.text
        fields = answer.json()["output"]["fields"]
        assert fields["emails"] == []
        assert fields["words"]


def raw_text(http, job):
    events = http.get(job["urls"]["events"]).text.split("\n\n")
    deltas = [e for e in events if "event: output.delta" in e]
    return "".join(json.loads(e.split("data: ")[1])["text"] for e in deltas)


def test_rules_change_the_output_but_not_the_stream_nor_the_session(http):
    job = ended(http, prompt="say it", postprocess=["words", "shout"], session_id="raw")
    raw = raw_text(http, job)
    text, fields = job["output"]["text"], job["output"]["fields"]
    assert "<" in text
    assert text.replace("<", "").replace(">", "") == raw
    assert fields["words"] == list(dict.fromkeys(w for w in raw.split() if len(w) > 3))
    assert http.get("/v1/sessions/raw").json()["turns"][0]["text"] == raw
    assert http.get(job["urls"]["result"]).text == text


def test_an_answer_without_rules_is_the_models_own(http):
    job = ended(http, prompt="say it")
    assert job["output"]["text"] == raw_text(http, job)
    assert job["output"]["fields"] == {}
    assert job["input"]["preset"] is None


def test_a_retried_job_keeps_its_preset(http):
    body = {"preset": "own", "prompt": "hi", "deadline_s": 0.001}
    job = http.post("/v1/jobs", json=body, headers={"Prefer": "wait=60"}).json()
    assert job["status"] == "expired"
    again = http.post(job["urls"]["self"] + "/retry").json()
    assert again["input"]["preset"] == "own"


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"preset": "poem"}, "/preset"),
        ({"preset": ["ocr"]}, "/preset"),
        ({"preset": "qa"}, "/prompt"),
        ({"preset": "fields"}, "/fields"),
        ({"preset": "fields", "fields": [""]}, "/fields/0"),
        ({"preset": "fields", "fields": ["a"] * 33}, "/fields"),
        ({"preset": "ocr", "lang": "de"}, "/lang"),
        ({"prompt": "hi", "postprocess": ["nope"]}, "/postprocess/0"),
        ({"prompt": "hi", "postprocess": ["email"] * 33}, "/postprocess"),
    ],
)
def test_a_wrong_name_is_refused_where_it_stands(http, body, pointer):
    answer = http.post("/v1/jobs", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "bad_parameters")
    assert answer.json()["pointer"] == pointer


COMMANDS = {
    "gateway": [
        str(BIN / "gunicorn"),
        "-c",
        "gateway/gunicorn.conf.py",
        "gateway.app:create_app()",
    ],
    "worker": [str(BIN / "celery"), "-A", "worker.app", "worker", "-P", "threads", "-c", "1"],
}
BAD = {
    "SIGHTLINE_RULES_FILE": (
        '[[rules]]\nname = "bad"\npattern = "(a"\nfield = "a"',
        "rules 1 (bad)",
    ),
    "SIGHTLINE_PRESETS_FILE": ('[[presets]]\nname = "bad"', "presets 1 (bad), prompt"),
}


@pytest.mark.parametrize("process", COMMANDS)
@pytest.mark.parametrize("variable", BAD)
def test_a_process_with_a_broken_file_refuses_to_start_in_one_line(
    system, tmp_path, process, variable
):
    content, complaint = BAD[variable]
    path = tmp_path / "bad.toml"
    path.write_text(content)
    env = system.env | {variable: str(path), "SIGHTLINE_PORT": str(free_port())}
    started = Process(COMMANDS[process], env, tmp_path / "log")
    try:
        assert started.wait(60) == 1
    finally:
        started.kill()
    lines = [line for line in started.logs().splitlines() if complaint in line]
    assert lines[-1].startswith(f"sightline {process} cannot start: {variable}={path}: {complaint}")
    assert "Traceback" not in started.logs()


def test_ocr_levels_a_skewed_page_and_says_so(http, tmp_path):
    drawings.turned(drawings.page(Random(4)), 5).save(tmp_path / "page.png")
    files = {"image": (tmp_path / "page.png").read_bytes()}
    wait = {"Prefer": "wait=60"}

    read = http.post("/v1/jobs", data={"preset": "ocr"}, files=files, headers=wait).json()
    question = http.post("/v1/jobs", data={"prompt": "What?"}, files=files, headers=wait).json()
    wrong = http.post("/v1/jobs", data={"preset": "ocr", "enhance": "sharpen"}, files=files)

    details = {warning["code"]: warning["detail"] for warning in read["warnings"]}
    assert "a skew of 5.0° was corrected" in details["image_enhanced"]
    assert "image_enhanced" not in [warning["code"] for warning in question["warnings"]]
    assert wrong.status_code == 422
    assert wrong.json()["pointer"] == "/enhance"
    assert "deskew" in wrong.json()["detail"]
