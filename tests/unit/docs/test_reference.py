"""The generated pages are up to date with the code."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from scripts.reference import configuration, modules
from scripts.reference.__main__ import DOCS, PAGES
from shared.errors import by_code
from shared.settings import Settings
from tests.support.harness import ROOT

#: Where variables of ours are read beside shared/settings.py.
_READERS = ("scripts", "client/sightline", "gateway", "worker", "shared")


@pytest.mark.parametrize("name", PAGES)
def test_the_page_is_what_make_reference_writes(name):
    committed = (DOCS / name).read_text(encoding="utf-8")
    assert committed == PAGES[name](), "run `make reference` and commit what it wrote"


def test_every_file_of_the_module_map_says_what_it_owns():
    named = re.findall(r"\]\(../../(\S+)\) \|", (DOCS / "reference/modules.md").read_text("utf-8"))
    assert len(named) > 200
    assert [file for file in named if not modules.purpose(ROOT / file)] == []


@pytest.mark.parametrize("language", ["reference", "zh-CN/reference"])
def test_the_configuration_page_names_every_variable_that_is_read(language):
    text = (DOCS / language / "configuration.md").read_text(encoding="utf-8")
    sources = [path for folder in _READERS for path in (ROOT / folder).rglob("*.py")]
    read = {
        name
        for path in sources
        for name in re.findall(r"[\"'](SIGHTLINE_[A-Z_]+[A-Z])[\"']", path.read_text("utf-8"))
    }
    assert {name for name in read if f"`{name}`" not in text} == set()


def test_the_chinese_page_has_a_meaning_for_each_setting_and_no_other():
    words = Path(configuration.__file__).with_name("configuration.zh.json")
    meanings = json.loads(words.read_text(encoding="utf-8"))["meanings"]
    assert list(meanings) == list(Settings.model_fields), "put the new setting into it"


@pytest.mark.parametrize("page", ["troubleshooting.md", "zh-CN/troubleshooting.md"])
def test_troubleshooting_says_what_to_do_about_every_error(page):
    text = (DOCS / page).read_text("utf-8")
    cells = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", text, re.MULTILINE)
    codes = [code for cell in cells for code in re.findall(r"\w+", cell)]
    assert sorted(codes) == sorted(by_code())
