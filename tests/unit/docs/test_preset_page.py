"""The page on presets and rules: its files load, its tables are complete."""

from __future__ import annotations

import re

from shared.catalog import presets, rules
from shared.settings import Settings
from tests.support.harness import ROOT
from worker.postprocess import Postprocessor

PAGE = (ROOT / "docs" / "presets-and-rules.md").read_text(encoding="utf-8")


def test_the_files_of_the_page_can_be_used(tmp_path):
    own_rules, own_presets = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "rules.toml").write_text(own_rules, encoding="utf-8")
    (tmp_path / "presets.toml").write_text(own_presets, encoding="utf-8")
    settings = Settings(rules_file=tmp_path / "rules.toml", presets_file=tmp_path / "presets.toml")
    book = rules.load_rules(settings)
    invoice = presets.load_presets(settings, book)["invoice"]
    text = "Order no. AB-12345: ¥5, 电话13812345678"
    processed = Postprocessor(book).process(text, [*invoice.postprocess, "mask_phone"])
    assert processed.fields == {"amounts": ["¥5"], "orders": ["AB-12345"]}
    assert processed.text.endswith("电话138****5678")


def test_the_page_names_every_preset_and_every_rule():
    named = re.findall(r"^\| `(\w+)`", PAGE, re.MULTILINE)
    built_in = [entry.name for entry in (*presets.BUILT_IN, *rules.BUILT_IN)]
    assert sorted(named) == sorted(built_in)
    for rule in rules.BUILT_IN:
        assert rule.field is None or f"| `{rule.name}` → `{rule.field}` |" in PAGE
