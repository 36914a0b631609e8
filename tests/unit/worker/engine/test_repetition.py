"""What is taken for an endless repetition, and what is not."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.engine.generation.repetition import Repetition


def endless_after(text: str) -> int | None:
    """Return how many characters were written when the text was taken for a loop."""
    repetition = Repetition()
    for count, character in enumerate(text, start=1):
        repetition.feed(character)
        if repetition.endless:
            return count
    return None


ROW = "| 2026-11-{:02d} | Espresso doppio | {} | 2.50 |\n"
LEGITIMATE = {
    "a table's separator row of forty columns": "| name " * 40 + "|\n" + "|---" * 40 + "|\n",
    "a table of zeros": "| a | b | c |\n|---|---|---|\n" + "| 0 | 0 | 0 |\n" * 40,
    "a form of empty cells": "| name | sign |\n|---|---|\n" + "|  |  |\n" * 60,
    "empty cells in HTML": "<table><tr>" + "<td></td>" * 60 + "</tr></table>",
    "rows of dashes": ("-" * 120 + "\nTotal: 12\n" + "=" * 120 + "\n") * 3,
    "leaders of a table of contents": "".join(
        f"Chapter {n} {'.' * 100} {n * 7}\n" for n in range(30)
    ),
    "a line to write on": "Signature: " + "_" * 300,
    "a receipt with one thing twenty times": "1 x Coffee to go      2.50\n" * 20,
    "rows that differ in one number": "".join(ROW.format(n % 28 + 1, n) for n in range(200)),
    "a long number": "Order " + "0" * 64 + "1",
    "digits of a fraction": "1/7 = 0." + "142857" * 30,
    "a poem's refrain": ("Row, row, row your boat\ngently down the stream\n" * 6),
    "laughter": "ha" * 60,
    "a list that counts": "".join(f"{n}. item\n" for n in range(400)),
    "Chinese rows": "品名 数量 单价\n" + "米饭 1 2.00\n" * 25,
    "blank rows": "| No. | Name | Signature |\n|---|---|---|\n" + (f"|{' ' * 24}" * 3 + "|\n") * 40,
    "rows of 0.00": "| a | b | c |\n" + ("| 0.00 " * 7 + "|\n") * 60,
    "lines of a form": "Delegates\n" + "Name: ______________ Date: ________\n" * 60,
    "lines to write on": "Remarks:\n" + ("_" * 60 + "\n") * 40,
    "boxes to tick": "[ ] yes [ ] no ................. please tick\n" * 50,
    "a form in Chinese": "姓名：＿＿＿＿＿＿ 日期：＿＿＿＿\n" * 40,
    "blank rows in HTML": "<table>" + "<tr><td></td><td></td><td></td></tr>" * 60 + "</table>",
    "a receipt with one thing eighty times": "1 x Coffee to go      2.50\n" * 80,
    "records": '{"items": [' + '{"name": "Coffee", "price": 2.50}, ' * 50 + "]}",
    "a matrix of zeros": "[" + "[0.00, 0.00, 0.00], " * 60 + "]",
}
LOOPS = {
    "a phrase": ("A red square, ", "a blue circle, "),
    "a word": ("It says ", "the "),
    "a Chinese phrase": ("图中有一个", "红色的正方形和"),
    "one letter": ("aB", "x"),
    "one digit": ("No. ", "0"),
    "dashes": ("Title\n", "-"),
    "blanks": ("x", " "),
    "a line": ("Items:\n", "- the same thing again\n"),
    "a row": ("| a | b |\n|---|---|\n", "| 1 | 2 |\n"),
    "a paragraph": ("", "The picture shows a table with four rows, and the rows have names.\n\n"),
    "a form": ("", "Name: ______________ Date: ________\n"),
    "blank rows": ("| a | b |\n", f"|{' ' * 24}|{' ' * 24}|\n"),
    "wide rows": ("", "| 0.00 " * 40 + "|\n"),
    "records": ("[", '{"name": "Coffee", "price": 2.50}, '),
    "a whole table": ("", "".join(f"| {n} | value {n * n} |\n" for n in range(30))),
}


@pytest.mark.parametrize("text", LEGITIMATE.values(), ids=LEGITIMATE.keys())
def test_what_documents_contain_is_no_loop(text: str) -> None:
    assert endless_after(text) is None


@pytest.mark.parametrize(("start", "unit"), LOOPS.values(), ids=LOOPS.keys())
def test_what_never_ends_is_a_loop(start: str, unit: str) -> None:
    end = endless_after(start + unit * (9000 // len(unit) + 6))
    assert end is not None
    # rows and records may repeat for a page: 100 of them, 8000 characters
    most = min(102 * len(unit), 8200) if set("|{_") & set(unit) else 800
    assert end <= len(start) + max(most, 800, 6 * len(unit))


def test_rows_that_repeat_may_be_endless_before_they_fill_a_page() -> None:
    repetition = Repetition()
    for character in "| 0.00 | 0.00 |\n" * 60:
        repetition.feed(character)
    assert repetition.may_be_endless
    assert not repetition.endless
    repetition.feed("T")
    assert not repetition.may_be_endless


def test_the_second_unit_is_where_the_repetition_began() -> None:
    repetition = Repetition()
    for character in "It shows a cat, " + "and a dog, " * 30:
        repetition.feed(character)
    assert repetition.endless
    assert repetition.suspect_from is not None
    before = ("It shows a cat, " + "and a dog, " * 30)[: repetition.suspect_from]
    # the comma before the first unit belongs to the period too
    assert before == "It shows a cat, and a dog"


def test_a_repetition_that_ends_is_forgotten() -> None:
    repetition = Repetition()
    for character in "-" * 200:
        repetition.feed(character)
    assert repetition.suspect_from == 1
    repetition.feed(">")
    assert repetition.suspect_from is None
    assert not repetition.endless


def test_tokens_without_any_text_are_a_loop() -> None:
    repetition = Repetition()
    repetition.feed("a")
    for _ in range(70):
        repetition.feed("")
    assert repetition.endless


def test_a_loop_after_a_long_text_has_its_place() -> None:
    words = random.Random(1)
    start = "".join(words.choice("abcdefghij klmnop\n") for _ in range(30_000)) + "§"
    repetition = Repetition()
    for character in itertools.chain(start, "again and " * 30):
        repetition.feed(character)
    assert repetition.endless
    assert repetition.suspect_from == len(start) + len("again and ")


# a busy machine may take long over one example
steady = settings(derandomize=True, deadline=None)


@steady
@given(st.text("ab \n|-", max_size=60), st.text("ab \n|-", min_size=1, max_size=40))
def test_every_unit_that_never_ends_is_found(start: str, unit: str) -> None:
    assert endless_after(start + unit * (2400 // len(unit) + 101)) is not None


@steady
@given(st.lists(st.integers(0, 10**9), unique=True, min_size=50, max_size=120))
def test_rows_that_all_differ_are_never_a_loop(numbers: list[int]) -> None:
    assert endless_after("".join(f"| {number} | {number % 7} |\n" for number in numbers)) is None
