"""What reads a job's images: by the request, the preset and the workers that run."""

from __future__ import annotations

import pytest

from gateway.submission.fields.submission import Submission
from gateway.submission.planning.reader import check_reader, choose_reader, reader_notices
from gateway.submission.resolve import resolve
from shared.catalog.presets import load_presets
from shared.catalog.rules import load_rules
from shared.errors import BadParameters, ReaderUnavailable
from shared.prediction.heartbeat import Heartbeat
from shared.settings import Settings

RULES = load_rules(Settings())
PRESETS = load_presets(Settings(), RULES)
DEMO = Heartbeat(id="a", model="sightline-demo", demo=True, reader="small")
BARE_DEMO = Heartbeat(id="b", model="sightline-demo", demo=True)
REAL = Heartbeat(id="c", model="qwen", reader="small")
BARE = Heartbeat(id="d", model="qwen")


def request(**fields):
    return resolve(Submission(**{"preset": "ocr"} | fields), PRESETS, RULES)


@pytest.mark.parametrize(
    ("workers", "reader"),
    [
        ([DEMO], "second"),
        ([DEMO, DEMO], "second"),
        ([BARE_DEMO], "model"),
        ([DEMO, BARE_DEMO], "model"),
        ([REAL], "model"),
        ([DEMO, REAL], "model"),
        ([], "model"),
    ],
)
def test_beside_the_bundled_model_the_second_reader_reads_by_default(workers, reader):
    assert choose_reader(request(), workers) == reader


@pytest.mark.parametrize(
    "fields",
    [
        {"prompt": "Only the total."},
        {"choices": ["yes", "no"]},
        {"preset": "describe"},
        {"preset": None, "prompt": "What is it?"},
        {"tiling": "ask"},
        {"tiling": "read"},
        {"enhance": "off"},
        {"detail": "high"},
        {"max_pixels": 500_000},
    ],
)
def test_what_asks_for_more_than_all_text_or_names_the_models_look_is_the_models(fields):
    assert choose_reader(request(**fields), [DEMO]) == "model"


@pytest.mark.parametrize("wanted", ["model", "second", "both"])
def test_the_request_decides(wanted):
    assert choose_reader(request(reader=wanted), [DEMO]) == wanted
    assert choose_reader(request(reader=wanted), [REAL, BARE]) == wanted
    # a worker may come
    assert choose_reader(request(reader=wanted), []) == wanted


@pytest.mark.parametrize("wanted", ["second", "both"])
def test_a_reader_that_no_worker_has_is_refused_by_name(wanted):
    with pytest.raises(ReaderUnavailable) as refused:
        choose_reader(request(reader=wanted), [BARE])
    assert refused.value.pointer == "/reader"


def test_a_worker_that_leaves_does_not_count():
    leaving = Heartbeat(id="e", model="qwen", reader="small", draining=True)
    with pytest.raises(ReaderUnavailable):
        choose_reader(request(reader="second"), [leaving, BARE])


def test_a_reader_for_what_is_not_read_is_refused():
    with pytest.raises(BadParameters, match="jobs that read"):
        choose_reader(request(preset="describe", reader="second"), [REAL])


def test_a_prompt_that_the_second_reader_ignores_is_told():
    asked = request(prompt="Only the total.", reader="second")
    assert choose_reader(asked, [REAL]) == "second"
    assert [notice["code"] for notice in reader_notices(asked, "second")] == ["prompt_ignored"]
    assert reader_notices(asked, "both") == reader_notices(request(), "second") == []


def test_parameters_that_only_the_model_heeds_are_told():
    heeded = {"stop": ["END"], "line_confidence": True, "uncertain_below": 0.5}
    asked = request(reader="second", enhance="auto", max_tokens=64, temperature=0.5, **heeded)
    (notice,) = reader_notices(asked, "second")
    assert notice["code"] == "parameter_ignored"
    assert "enhance, max_new_tokens, temperature;" in notice["detail"]
    assert reader_notices(asked, "both") == reader_notices(asked, "model") == []
    assert reader_notices(request(reader="second", **heeded), "second") == []


def test_images_of_earlier_turns_are_the_models():
    assert check_reader(request(), "second", 0) == "model"
    assert check_reader(request(), "second", 1) == "second"
    with pytest.raises(BadParameters, match="needs an image"):
        check_reader(request(reader="second"), "second", 0)
