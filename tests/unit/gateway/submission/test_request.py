"""What a submission is, and when two are the same."""

from __future__ import annotations

import contextlib
import io
import json

import pytest
from pydantic import ValidationError
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Request

from gateway.http.bodies import strict_json
from gateway.submission.fields.fingerprint import fingerprint_of
from gateway.submission.fields.submission import Submission
from gateway.submission.request import receive_request
from gateway.submission.resolve import resolve
from shared.catalog.presets import BUILT_IN
from shared.catalog.rules import load_rules
from shared.errors import BadParameters, InvalidJson
from shared.jobs import DETAIL_PIXELS
from shared.settings import Settings


def received(**form):
    with (
        contextlib.closing(EnvironBuilder("/", method="POST", data=form)) as builder,
        Request(builder.get_environ()) as request,
    ):
        return receive_request(request, Settings(), Submission)


def test_the_defaults_are_the_articles():
    params = Submission(prompt="hi").params()
    assert (params.max_new_tokens, params.temperature, params.top_p) == (512, 0.3, 0.9)
    assert params.do_sample is False


@pytest.mark.parametrize("pages", [True, [True], 1.5, [[1]], [None], {"a": 1}])
def test_what_is_no_page_is_not_taken_for_one(pages):
    with pytest.raises(ValidationError):
        Submission(preset="ocr", pages=pages)
    assert Submission(preset="ocr", pages=[1, "2-3"]).pages == [1, "2-3"]


@pytest.mark.parametrize(
    ("body", "begins"),
    [
        ({"prompt": "a"}, "de68b677ddbf0106"),
        ({"preset": "ocr"}, "724e08f507e210cf"),
        ({"prompt": "a", "document": "doc_x", "pages": "1-2"}, "5f978e954e3aa97b"),
        (
            {"prompt": "a", "document": "doc_x", "pages": "1", "session_id": "s", "group": "g"}
            | {"tiling": "read", "boxes": "line", "enhance": "auto", "ttl_s": 60},
            "1950907791a3ab96",
        ),
    ],
)
def test_a_request_keeps_its_fingerprint_through_an_upgrade(body, begins):
    """A gateway of a newer version takes a request that an older one has seen for the same."""
    fingerprint = fingerprint_of(Submission.model_validate(body), ["img_1"])
    assert fingerprint[:16] == begins


def test_a_form_and_json_of_the_same_question_have_the_same_fingerprint():
    form = received(prompt="hi", max_tokens="9", do_sample="true", metadata='{"a": 1}', stop="x")
    body = {"prompt": "hi", "max_new_tokens": 9, "do_sample": True, "metadata": {"a": 1}}
    body["stop"] = ["x"]
    in_json = Submission.model_validate(body)
    assert fingerprint_of(form.submission, []) == fingerprint_of(in_json, [])


def resolved(presets=(), **fields):
    by_name = {preset.name: preset for preset in (*BUILT_IN, *presets)}
    return resolve(Submission(prompt="hi", **fields), by_name, load_rules(Settings())).params


def test_a_sampled_request_leaves_to_the_model_what_it_does_not_name():
    assert resolved().from_model == ()
    assert resolved(temperature=0.7).from_model == ()
    sampled = resolved(do_sample=True, temperature=0.7, top_k=5)
    assert sampled.from_model == (
        *("top_p", "min_p", "presence_penalty", "frequency_penalty", "repetition_penalty"),
    )
    # without a recommendation the service's own values count
    assert (sampled.temperature, sampled.top_p, sampled.top_k) == (0.7, 0.9, 5)


def test_what_a_preset_names_is_not_left_to_the_model():
    assert "temperature" not in resolved(do_sample=True, preset="count").from_model
    assert "top_p" in resolved(do_sample=True, preset="count").from_model


@pytest.mark.parametrize("other", [{"prompt": "ho"}, {"seed": 1}, {"metadata": {"a": 2}}])
def test_another_question_has_another_fingerprint(other):
    question = {"prompt": "hi"}
    first = Submission.model_validate(question)
    second = Submission.model_validate(question | other)
    assert fingerprint_of(second, []) != fingerprint_of(first, [])
    assert fingerprint_of(first, ["img_1"]) != fingerprint_of(first, ["img_2"])


@pytest.mark.parametrize(("detail", "pixels"), DETAIL_PIXELS.items())
def test_detail_names_a_pixel_budget_that_max_pixels_overrides(detail, pixels):
    assert Submission(prompt="hi", detail=detail).pixel_budget() == pixels
    assert Submission(prompt="hi", detail=detail, max_pixels=5000).pixel_budget() == 5000


def test_a_form_repeats_a_field_or_lists_it_as_json():
    listed = received(prompt="hi", stop='["a", "b"]')
    repeated = received(prompt="hi", stop=["a", "b"])
    assert listed.submission.stop == repeated.submission.stop == ["a", "b"]


def test_text_that_only_looks_like_json_stays_text():
    assert received(prompt="[1] or {2}?").submission.prompt == "[1] or {2}?"


def test_files_come_before_images_that_are_told_as_text():
    file = (io.BytesIO(b"bytes"), "a.png")
    request = received(prompt="hi", image=[file, "aGk="])
    assert [f.filename for f in request.files] == ["a.png"]
    assert request.submission.images == ["aGk="]


def test_more_images_than_the_limit_are_counted_over_files_and_text():
    files = [(io.BytesIO(b"x"), f"{n}.png") for n in range(5)]
    with pytest.raises(BadParameters, match="9 images"):
        received(prompt="hi", image=[*files, *["aGk="] * 4])


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("name", ["temperature", "top_p", "deadline_s"])
def test_numbers_that_are_none_are_refused_in_forms_too(name, value):
    with pytest.raises(ValidationError):
        Submission.model_validate({"prompt": "hi", name: value})
    with pytest.raises(BadParameters):
        received(prompt="hi", **{name: str(value)})


def nested(depth):
    return "[" * depth + "]" * depth


def test_json_is_taken_to_a_depth_and_no_deeper():
    assert strict_json.parse(nested(strict_json.MAX_DEPTH - 1))
    with pytest.raises(InvalidJson, match="deeper"):
        strict_json.parse(nested(strict_json.MAX_DEPTH + 1))


@pytest.mark.parametrize("text", ['"\\ud83d\\ude00"', '"\\\\ud800"', '"👀"', "1.5e10", '"\\u0000"'])
def test_json_that_only_looks_dangerous_is_taken(text):
    assert strict_json.parse(text) == json.loads(text)


@pytest.mark.parametrize("text", ['"\\ude00\\ud83d"', '{"\\ud800": 1}', '[[{"a": "x\\udc00"}]]'])
def test_half_characters_are_refused_wherever_they_stand(text):
    with pytest.raises(InvalidJson, match="surrogate"):
        strict_json.parse(text, what="metadata", pointer="/metadata")


@pytest.mark.parametrize(
    ("form", "wanted"),
    [
        ("auto", "auto"),
        ("deskew", ("deskew",)),
        (["deskew", "contrast"], ("deskew", "contrast")),
        ('["deskew", "contrast"]', ("deskew", "contrast")),
        ("[]", ()),
    ],
)
def test_enhancement_is_a_word_or_a_list_of_steps(form, wanted):
    assert received(prompt="hi", enhance=form).submission.enhance == wanted


@pytest.mark.parametrize("wrong", ["sharpen", ["deskew", "auto"], ["deskew", "deskew"], '{"a": 1}'])
def test_an_unknown_step_is_refused_with_the_known_ones(wrong):
    with pytest.raises(BadParameters) as caught:
        received(prompt="hi", enhance=wrong)
    assert caught.value.pointer == "/enhance"
