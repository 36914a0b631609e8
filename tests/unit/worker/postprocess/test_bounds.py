"""No pattern and no text makes a rule raise, hang or grow without bound."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.catalog.rules import BUILT_IN, CustomRule, RuleBook
from shared.constraints.regex import (
    BUDGET_S,
    MAX_PATTERN_CHARS,
    MAX_TEXT_CHARS,
    BadPattern,
    Budget,
    OverBudget,
    compile_pattern,
)
from worker.postprocess import CLEANERS, EXTRACTORS, Postprocessor

NAMES = [rule.name for rule in BUILT_IN]
#: The longest step between two looks at the budget takes about a second of CPU on a slow core;
#: a pattern of a backtracking engine would need longer than the universe has.
BOUND_S = 20 * BUDGET_S

#: Pieces that rules look for, so that a text made of them comes near to a match.
_PIECES = st.sampled_from(
    [
        *'138 +86-¥$€.,|:/@-—\n\t\r　０１ＡＺ｜{}[]"\\xX年月日元十二廿',
        *("1381234567", "4111 1111", "11010519491231002X", "2026", "Nov ", "22nd", "a@b.", "com"),
        *("|---|", "\n|", "```", "USD ", "万元", "\ud800", "\0", "\u2028", '{"a":', "null"),
    ]
)
_TEXTS = st.one_of(
    st.lists(_PIECES, max_size=60).map("".join),
    st.text(st.characters(), max_size=200),
)
_BOUNDED = settings(
    derandomize=True, max_examples=150, deadline=None, suppress_health_check=list(HealthCheck)
)


def custom(**members):
    return RuleBook([CustomRule(name="own", **members)])


def seconds(what):
    began = time.thread_time()
    what()
    return time.thread_time() - began


def test_every_built_in_rule_is_there():
    assert {*CLEANERS, *EXTRACTORS, "json_fields"} == set(NAMES)


@_BOUNDED
@given(text=_TEXTS, names=st.lists(st.sampled_from(NAMES), max_size=12))
def test_any_text_passes_any_rules_and_can_be_stored(text, names):
    processed = Postprocessor(RuleBook()).process(text, names)
    details = {notice.detail for notice in processed.notices}
    assert details <= {"The rule json_fields was skipped: the answer has no complete JSON object."}
    assert all(len(set(values)) == len(values) for values in processed.fields.values())
    if names:
        json.dumps([processed.text, processed.fields], ensure_ascii=False).encode()


@_BOUNDED
@given(text=_TEXTS)
@pytest.mark.parametrize("rule", CLEANERS)
def test_what_is_clean_stays_as_it_is(rule, text):
    post = Postprocessor(RuleBook())
    once = post.process(text, [rule]).text
    assert post.process(once, [rule]).text == once


@_BOUNDED
@given(text=_TEXTS, pattern=st.text("ab.*+?|()[]\\d^${}1,9-é中", max_size=20))
def test_any_pattern_is_refused_at_once_or_runs(text, pattern):
    try:
        compile_pattern(pattern)
    except BadPattern:
        return
    if pattern:
        for members in ({"field": "own"}, {"replacement": r"<\0>"}):
            processed = Postprocessor(custom(pattern=pattern, **members)).process(text, ["own"])
            assert processed.notices == ()


@pytest.mark.parametrize(
    "text",
    [
        *("1" * 40_000, "13812345678 " * 2700, "a@" * 16_000, "a." * 16_000, "4111 " * 6500),
        *("|" * 32_000, "|a|\n" * 8000, "\n" * 32_768, "1," * 16_000, "2026-" * 6500),
        *("¥1" * 16_000, "十" * 32_000, "１" * 32_768, "```\n" * 8000, "1 Jan " * 5400),
        "{" * 32_768,
    ],
    ids=lambda text: text[:6].encode("unicode_escape").decode(),
)
def test_a_hostile_text_ends_within_its_bound(text):
    post = Postprocessor(RuleBook())
    assert seconds(lambda: post.process(text, NAMES)) < BOUND_S


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"(a+)+$", "a" * 32_767 + "!"),
        (r"(?:a.*b|a)", "a" * 32_768),
        (r"(?:[ab]*a[ab]{900}c|b)", "ab" * 16_384),
        (r"((a{0,30}){0,30})b", "a" * 32_768),
        (r"(x*)*y", "x" * 32_768),
        (r"(.?){200}(.?){200}$", "中" * 32_768),
        (r"(?:)", "a" * 32_768),
    ],
)
def test_a_hostile_pattern_ends_within_its_bound(pattern, text):
    post = Postprocessor(custom(pattern=pattern, replacement=r"\0" * 20))
    assert seconds(lambda: post.process(text, ["own"])) < BOUND_S


@pytest.mark.parametrize(
    ("pattern", "cause"),
    [
        ("(a", "missing"),
        ("a{1001}", "repetition"),
        ("(a?){1000}(b?){1000}", "steps|large"),
        (r"\pL{1000}", "large"),
        (r"(a)\1", "escape"),
        ("(?=a)", "perl|operator"),
        ("a" * (MAX_PATTERN_CHARS + 1), "characters"),
        ("\ud800", "surrogate"),
    ],
)
def test_a_pattern_that_could_not_be_bounded_is_refused(pattern, cause):
    with pytest.raises(BadPattern, match=cause):
        compile_pattern(pattern)


def test_a_rule_over_its_budget_is_told_and_changes_nothing():
    with pytest.raises(OverBudget, match="CPU"):
        list(compile_pattern("a").find_matches("aaa", Budget(-1)))
    with pytest.raises(OverBudget, match="CPU"):
        list(compile_pattern("(?:a.*b|a)").find_matches("a" * MAX_TEXT_CHARS, Budget(0.02)))
    long = "13812345678 " * (MAX_TEXT_CHARS // 12 + 1)
    processed = Postprocessor(RuleBook()).process(long, ["cn_phone", "fullwidth"])
    assert (processed.text, processed.fields) == (long, {})
    assert [notice.code for notice in processed.notices] == ["rule_left_out"] * 2
    assert "cn_phone" in processed.notices[0].detail


def test_a_replacement_cannot_blow_the_text_up():
    rules = custom(pattern="a", replacement=r"\0" * 500)
    processed = Postprocessor(rules).process("a" * 1000, ["own", "whitespace"])
    assert processed.text == "a" * 1000
    assert [notice.code for notice in processed.notices] == ["rule_left_out"]


def test_a_rule_that_this_worker_does_not_know_is_told():
    processed = Postprocessor(RuleBook()).process("13812345678", ["newer", "cn_phone"])
    assert processed.fields == {"phones": ["13812345678"]}
    assert "newer" in processed.notices[0].detail
