"""The operator's own rules: what they do, and one clear line for each mistake."""

from __future__ import annotations

import json

import pytest

from shared.catalog.rules import load_rules
from shared.errors import BadConfig
from shared.settings import Settings
from worker.postprocess import Postprocessor

GOOD = r"""
[[rules]]
name = "order_no"
pattern = '(?i)order no\.? ?([A-Z]{2}-\d{4,8})'
field = "orders"
description = "Our order numbers."

[[rules]]
name = "mask"
pattern = '(\d{3})\d{4}(\d{4})'
replacement = '\1****\2'
"""


def load(folder, text, name="rules.toml"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return load_rules(Settings(rules_file=path))


def test_own_rules_extract_and_replace_beside_the_built_in_ones(tmp_path):
    post = Postprocessor(load(tmp_path, GOOD))
    text = "Order no. AB-12345, ORDER NO AB-12345, 电话13812345678"
    processed = post.process(text, ["order_no", "cn_phone", "mask"])
    assert processed.fields == {"orders": ["AB-12345"], "phones": ["13812345678"]}
    assert processed.text == text.replace("13812345678", "138****5678")


def test_a_field_without_a_group_gets_the_whole_match_and_may_be_shared(tmp_path):
    rules = [
        {"name": "landline", "pattern": r"0\d{2,3}-\d{7,8}", "field": "phones"},
        {"name": "nothing", "pattern": "x*", "field": "xs"},
    ]
    post = Postprocessor(load(tmp_path, json.dumps({"rules": rules}), "rules.json"))
    processed = post.process("13812345678, 010-12345678", ["cn_phone", "landline", "nothing"])
    assert processed.fields == {"phones": ["13812345678", "010-12345678"], "xs": []}


def test_the_book_shows_own_rules_as_such(tmp_path):
    shown = {rule.name: rule for rule in load(tmp_path, GOOD).rules}
    assert (shown["order_no"].kind, shown["order_no"].field) == ("extract", "orders")
    assert (shown["mask"].kind, shown["mask"].builtin) == ("clean", False)
    assert shown["cn_phone"].builtin


def rule(**members):
    return json.dumps({"rules": [{"name": "ok", "pattern": "a", "field": "a"}, members]})


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("{", "not valid JSON"),
        ('{"rules": [], "rules": []}', "'rules' is given more than once"),
        ("[]", "file"),
        ("{}", "rules: Field required"),
        (rule(name="a b", pattern="a", field="a"), "rules 2 (a b), name"),
        (rule(name="bad", pattern="(a", field="a"), "rules 2 (bad): pattern: missing )"),
        (rule(name="bad", pattern="a"), "rules 2 (bad): set either field or replacement"),
        (rule(name="bad", pattern="a", field="a", replacement=""), "either field or replacement"),
        (rule(name="bad", pattern="(a)", replacement=r"\2"), "rules 2 (bad): pattern: replacement"),
        (rule(name="bad", pattern="a", field="a", sql="x"), "rules 2 (bad), sql"),
        (rule(name="ok", pattern="a", field="a"), "rules 2 (ok): this name is already used"),
        (rule(name="email", pattern="a", field="a"), "rules 2 (email): this name is already used"),
        (rule(pattern="a", field="a"), "rules 2, name: Field required"),
        ('{"rules": [3]}', "rules 1"),
    ],
)
def test_a_mistake_is_told_in_one_line_with_rule_and_cause(tmp_path, text, cause):
    with pytest.raises(BadConfig) as caught:
        load(tmp_path, text, "rules.json")
    message = str(caught.value)
    assert message.startswith(f"SIGHTLINE_RULES_FILE={tmp_path}/rules.json: ")
    assert cause in message
    assert "\n" not in message


def test_broken_toml_and_unreadable_files_are_told_too(tmp_path):
    with pytest.raises(BadConfig, match="not valid TOML"):
        load(tmp_path, "[[rules")
    with pytest.raises(BadConfig, match="cannot be read: No such file"):
        load_rules(Settings(rules_file=tmp_path / "absent.toml"))
    (tmp_path / "latin.toml").write_bytes(b"# \xe9")
    with pytest.raises(BadConfig, match="not UTF-8"):
        load_rules(Settings(rules_file=tmp_path / "latin.toml"))


@pytest.mark.parametrize("name", ["rules.toml", "rules.json"])
def test_a_byte_order_mark_is_no_mistake(tmp_path, name):
    rule = {"name": "landline", "pattern": r"0\d{2,3}-\d{7,8}", "field": "phones"}
    text = GOOD if name.endswith("toml") else json.dumps({"rules": [rule]})
    assert len(load(tmp_path, "\ufeff" + text, name).rules) == len(load(tmp_path, text, name).rules)
