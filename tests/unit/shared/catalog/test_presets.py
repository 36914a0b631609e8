"""Presets: their words, which language is taken, and one clear line for a mistake in the file."""

from __future__ import annotations

import json

import pytest

from demo.data import prompts
from gateway.submission.fields.fingerprint import fingerprint_of
from gateway.submission.fields.submission import Submission
from gateway.submission.resolve import resolve
from shared.catalog.presets import BUILT_IN, load_presets
from shared.catalog.rules import RuleBook
from shared.errors import BadConfig, BadParameters
from shared.settings import Settings

RULES = RuleBook()
PRESETS = {preset.name: preset for preset in BUILT_IN}


def asked(**body):
    return resolve(Submission.model_validate(body), PRESETS, RULES)


def refused(**body):
    with pytest.raises(BadParameters) as caught:
        asked(**body)
    return caught.value


def test_the_presets_of_the_interface_are_there_in_both_languages():
    assert list(PRESETS) == ["describe", "ocr", "ocr_table", "count", "qa", "fields", "find"]
    assert all(set(preset.prompt) == {"en", "zh"} for preset in BUILT_IN)
    assert all(RULES.find_unknown(preset.postprocess) is None for preset in BUILT_IN)


def test_the_bundled_model_has_learned_the_words_of_the_presets():
    learned = {text for pair in prompts.DESCRIBE for text in pair} | {*prompts.COUNT}
    for name in ("describe", "count"):
        assert set(PRESETS[name].prompt.values()) <= learned
    texts = [*prompts._ENGLISH_HEADS, *prompts._CHINESE_HEADS]
    texts += [text for pair in (*prompts._ENGLISH_RULES, *prompts._CHINESE_RULES) for text in pair]
    for name in ("ocr", "ocr_table"):
        for prompt in PRESETS[name].prompt.values():
            head, *rules = prompt.split("\n")
            assert {head, *(rule.split(". ", 1)[1] for rule in rules)} <= {*texts}


def test_the_ocr_preset_has_the_five_strict_instructions():
    assert [len(text.split("\n")) for text in PRESETS["ocr"].prompt.values()] == [6, 6]
    assert all("[?]" in text and "Markdown" in text for text in PRESETS["ocr"].prompt.values())


def test_a_preset_gives_what_the_request_leaves_out():
    plain = asked(preset="count")
    assert plain.prompt == PRESETS["count"].prompt["en"]
    assert (plain.params.max_new_tokens, plain.params.temperature) == (16, 0.1)
    assert (plain.preset, plain.postprocess) == ("count", ("whitespace",))


def test_what_is_given_explicitly_wins_even_if_it_is_the_default():
    body = {"preset": "ocr", "max_tokens": 64, "temperature": 0.3, "postprocess": []}
    own = asked(**body, prompt="读第一行")
    assert own.prompt == "读第一行"
    assert (own.params.max_new_tokens, own.postprocess) == (64, ())
    with_default = fingerprint_of(Submission.model_validate(body), [])
    assert fingerprint_of(Submission(preset="ocr", postprocess=[]), []) != with_default


@pytest.mark.parametrize(
    ("body", "language"),
    [
        ({"preset": "ocr"}, "en"),
        ({"preset": "ocr", "lang": "zh"}, "zh"),
        ({"preset": "fields", "fields": ["总计"]}, "zh"),
        ({"preset": "fields", "fields": ["总计"], "lang": "en"}, "en"),
        ({"preset": "fields", "fields": ["total"]}, "en"),
    ],
)
def test_the_language_is_the_one_asked_for_or_that_of_the_callers_words(body, language):
    begins = PRESETS[body["preset"]].prompt[language].split("{", maxsplit=1)[0]
    assert asked(**body).prompt.startswith(begins)


def test_the_names_of_the_fields_stand_in_the_prompt_as_json():
    prompt = asked(preset="fields", fields=["total", 'a "b" {prompt}']).prompt
    assert '["total", "a \\"b\\" {prompt}"]' in prompt


def test_a_callers_words_are_no_template():
    assert asked(preset="qa", prompt="What is {fields}?").prompt.startswith("What is {fields}?")


@pytest.mark.parametrize(
    ("body", "pointer", "cause"),
    [
        ({}, "/prompt", "required"),
        ({"preset": "poem"}, "/preset", "ocr_table"),
        ({"preset": "qa"}, "/prompt", "needs a prompt"),
        ({"preset": "fields"}, "/fields", "needs `fields`: the names"),
        ({"preset": "ocr", "fields": ["a"]}, "/fields", "no effect"),
        ({"preset": "fields", "fields": ["a"], "prompt": "hi"}, "/fields", "no effect"),
        ({"prompt": "hi", "fields": ["a"]}, "/fields", "no effect"),
        ({"prompt": "hi", "postprocess": ["email", "nope"]}, "/postprocess/1", "cn_phone"),
    ],
)
def test_what_cannot_be_asked_is_refused_where_it_stands(body, pointer, cause):
    error = refused(**body)
    assert error.pointer == pointer
    assert cause in error.detail


GOOD = """
[[presets]]
name = "invoice"
prompt.en = "Answer in one line: {prompt}"
prompt.zh = "用一行回答:{prompt}"
postprocess = ["whitespace", "amount"]
[presets.params]
max_new_tokens = 32
stop = ["END"]
"""


def load(folder, text, name="presets.json"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return load_presets(Settings(presets_file=path), RULES)


def test_own_presets_stand_beside_the_built_in_ones(tmp_path):
    presets = load(tmp_path, GOOD, "presets.toml")
    assert set(presets) == {*PRESETS, "invoice"}
    own = resolve(Submission(preset="invoice", prompt="多少钱?"), presets, RULES)
    assert own.prompt == "用一行回答:多少钱?"
    assert (own.params.max_new_tokens, own.params.stop) == (32, ("END",))
    assert own.postprocess == ("whitespace", "amount")


def test_a_preset_in_one_language_serves_both(tmp_path):
    presets = load(tmp_path, json.dumps({"presets": [{"name": "a", "prompt": {"en": "Hi"}}]}))
    assert resolve(Submission(preset="a", lang="zh"), presets, RULES).prompt == "Hi"


def preset(**members):
    return json.dumps({"presets": [{"name": "own", "prompt": {"en": "Hi"}} | members]})


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        (preset(name="ocr"), "presets 1 (ocr): this name is already used"),
        (preset(name="Bad Name"), "presets 1 (Bad Name), name"),
        (preset(prompt={}), "presets 1 (own), prompt"),
        (preset(prompt={"en": ""}), "presets 1 (own), prompt, en"),
        (preset(prompt={"de": "Hallo"}), "presets 1 (own), prompt"),
        (preset(prompt={"en": "{prompt}", "zh": "x"}), "same placeholders"),
        (preset(params={"max_new_tokens": 0}), "presets 1 (own), params, max_new_tokens"),
        (preset(params={"heat": 1}), "presets 1 (own), params, heat"),
        (preset(postprocess=["nope"]), "presets 1 (own), postprocess: unknown rule 'nope'"),
        ("{", "not valid JSON"),
    ],
)
def test_a_mistake_is_told_in_one_line_with_preset_and_cause(tmp_path, text, cause):
    with pytest.raises(BadConfig) as caught:
        load(tmp_path, text)
    message = str(caught.value)
    assert message.startswith(f"SIGHTLINE_PRESETS_FILE={tmp_path}/presets.json: ")
    assert cause in message
    assert "\n" not in message
