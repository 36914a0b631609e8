"""What the page says: the same in both languages, and about every error."""

from __future__ import annotations

import json
import re

import pytest

from gateway.routes.operations.page import SHARED_WORDS
from shared.errors import by_code
from tests.support.harness import ROOT

HOME = ROOT / "gateway" / "webui"


def _read_words(folder):
    return {
        language: json.loads((folder / f"words.{language}.json").read_text(encoding="utf-8"))
        for language in ("en", "zh")
    }


WORDS = _read_words(HOME)
DOCUMENTS = _read_words(HOME / "documents")
OPERATIONS = _read_words(HOME / "operations")
#: What the page of operations has in common with the main one.
SHARED_SCRIPTS = ("words.js", "frame/keys.js")


@pytest.mark.parametrize(
    "both", [WORDS, DOCUMENTS, OPERATIONS], ids=["page", "documents", "operations"]
)
def test_both_languages_say_the_same_things_with_the_same_places(both):
    assert list(both["en"]) == list(both["zh"])
    for name, text in both["en"].items():
        if isinstance(text, str):
            places = [sorted(re.findall(r"\{\w+\}", words[name])) for words in both.values()]
            assert places[0] == places[1], name


@pytest.mark.parametrize("language", ["en", "zh"])
def test_each_thing_is_said_once(language):
    def read_once(pairs):
        names = [name for name, _ in pairs]
        assert len(set(names)) == len(names), sorted({n for n in names if names.count(n) > 1})
        return dict(pairs)

    text = (HOME / f"words.{language}.json").read_text(encoding="utf-8")
    assert json.loads(text, object_pairs_hook=read_once)


def test_punctuation_between_chinese_words_is_full_width():
    text = _sources("words.zh.json")
    assert re.findall(r"[\u4e00-\u9fff”][,:;!?(]|[,:;!?)][\u4e00-\u9fff“]", text) == []


@pytest.mark.parametrize("code", sorted(by_code()))
def test_every_error_is_told_in_chinese_with_a_hint(code):
    message, hint = WORDS["zh"]["errors"][code]
    assert message.endswith("。")
    assert hint.endswith("。")


def test_every_sentence_that_the_page_asks_for_is_there():
    source = _sources("*.js", but="operations")
    asked = set(re.findall(r'say\("(\w+)"', source))
    asked |= set(re.findall(r"\bt\.(\w+)", _sources("*.html", but="operations")))
    assert asked <= set(WORDS["en"])
    in_documents = set(re.findall(r"\bw\.(\w+)", _sources("*.html", but="operations")))
    assert in_documents
    assert in_documents <= set(DOCUMENTS["en"])


def test_every_sentence_that_the_operations_page_asks_for_is_there():
    scripts = sorted((HOME / "assets" / "operations").glob("*.js"))
    scripts += [HOME / "assets" / name for name in SHARED_SCRIPTS]
    source = "".join(path.read_text(encoding="utf-8") for path in scripts)
    page = (HOME / "operations" / "page.html").read_text(encoding="utf-8")
    asked = set(re.findall(r'say\("(\w+)"', source)) | set(re.findall(r"\bw\.(\w+)", page))
    assert len(asked) > 50
    of_the_page = {name for name in WORDS["en"] if name.startswith(SHARED_WORDS)}
    assert asked <= set(OPERATIONS["en"]) | of_the_page


def _sources(pattern, but=""):
    paths = [path for path in sorted(HOME.rglob(pattern)) if path.parent.name != but]
    return "".join(path.read_text(encoding="utf-8") for path in paths)
