"""Every cleaning rule: what it mends, and what it leaves as it is."""

from __future__ import annotations

import pytest

from shared.catalog.rules import RuleBook
from worker.postprocess import Postprocessor


def cleaned(text, *rules):
    processed = Postprocessor(RuleBook()).process(text, rules)
    assert processed.notices == ()
    return processed.text


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("a\n\n\nb\n", "a\nb"),
        ("第一行  \r\n\r\n第二行\t", "第一行\n第二行"),
        ("\n\n  indented\n", "  indented"),
        ("a\u00a0b\u3000c\u2009d", "a b c d"),
        ("中\u200b文\ufeff", "中文"),
        ("a\u2028b\x0cc\rd", "a\nb\nc\nd"),
        ("  \n \t ", ""),
    ],
)
def test_whitespace_is_made_plain(raw, clean):
    assert cleaned(raw, "whitespace") == clean


@pytest.mark.parametrize("text", ["one line", "a\nb", "一行，没有空格。", "a  b", "👩\u200d👧", ""])
def test_plain_text_keeps_its_whitespace(text):
    assert cleaned(text, "whitespace") == text


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("ＡＢＣａｂｃ１２３", "ABCabc123"),
        ("金额￥１２．５０＋５％", "金额¥12.50+5%"),
        ("ｉｎｆｏ＠ｅｘａｍｐｌｅ．ｃｏｍ", "info@example.com"),
        ("你好\u3000世界", "你好 世界"),
    ],
)
def test_full_width_letters_and_digits_become_ascii(raw, clean):
    assert cleaned(raw, "fullwidth") == clean


@pytest.mark.parametrize(
    "text",
    ["你好，世界！真的？（是）：好；～", "。、《》“”【】", "plain ASCII, ok!", ""],
)
def test_chinese_punctuation_stays(text):
    assert cleaned(text, "fullwidth") == text


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("| a | b |\n| 1 | 2 |", "| a | b |\n| --- | --- |\n| 1 | 2 |"),
        ("| 品名 | 价格 |\n|---|\n| 苹果 | 5 |", "| 品名 | 价格 |\n| --- | --- |\n| 苹果 | 5 |"),
        ("|a|b|\n|:-|-:|\n|1|", "| a | b |\n| :--- | ---: |\n| 1 |  |"),
        ("| a | b |\n|---|---|\n| 1 | 2 ||", "| a | b |\n| --- | --- |\n| 1 | 2 |"),
        ("| a |\n|---|\n| 1 | 2 |", "| a |  |\n| --- | --- |\n| 1 | 2 |"),
        ("| a | b |\n|—|—|\n| 1 | 2 |", "| a | b |\n| --- | --- |\n| 1 | 2 |"),
        ("| a | b |\n| 1 |\n| - | - |", "| a | b |\n| --- | --- |\n| 1 |  |\n| - | - |"),
        ("|—|—|\n| a | b |\n| 1 | 2 |", "| a | b |\n| --- | --- |\n| 1 | 2 |"),
        ("| a | b |\n|---|---|\n| 1 | 2 |\n|", "| a | b |\n| --- | --- |\n| 1 | 2 |"),
        ("| a | b |\n|---|---|\n| 1 | 2", "| a | b |\n| --- | --- |\n| 1 | 2 |"),
        (
            "Here:\n| a | b |\n| - | - |\n| - | 2 | 3 |\nEnd",
            "Here:\n| a | b |  |\n| --- | --- | --- |\n| - | 2 | 3 |\nEnd",
        ),
        (
            "```markdown\n| a | b |\n| 1 | 2 |\n```",
            "```markdown\n| a | b |\n| --- | --- |\n| 1 | 2 |\n```",
        ),
        ("| \0 | b\\\\| c |\n| 1 |", "| \0 | b\\\\ | c |\n| --- | --- | --- |\n| 1 |  |  |"),
        ("| a\\|b | c |\n| 1 |", "| a\\|b | c |\n| --- | --- |\n| 1 |  |"),
    ],
)
def test_broken_tables_are_repaired(raw, clean):
    assert cleaned(raw, "markdown_table") == clean
    assert cleaned(clean, "markdown_table") == clean


@pytest.mark.parametrize(
    "text",
    [
        "| a | b |\n|---|---|\n| 1 | 2 |",
        "|a|b|\n|:-:|-|\n||2|\n|---|---|",
        "a | b\n--- | ---\n1 | 2",
        "| 一 |\n|--|\n| 二 |",
        "either this | or that",
        "ls | wc\ncat x | grep y",
        "| grep foo\n| wc",
        "```sh\n| a | b |\n| 1 | 2 |\n```",
        "|" + "a|" * 101 + "\n|b|",
        "---\ntext",
        "没有表格",
        "|",
        "",
    ],
)
def test_whole_tables_and_other_text_with_pipes_stay(text):
    assert cleaned(text, "markdown_table") == text


def test_rules_act_in_the_order_they_are_named():
    text = "电话１３８１２３４５６７８"
    both = Postprocessor(RuleBook())
    assert both.process(text, ["fullwidth", "cn_phone"]).fields == {"phones": ["13812345678"]}
    late = both.process(text, ["cn_phone", "fullwidth"])
    assert (late.text, late.fields) == ("电话13812345678", {"phones": []})
