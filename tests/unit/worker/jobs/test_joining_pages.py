"""Texts of pages joined: tables that go on, headers and footers, and the same in any slices."""

from __future__ import annotations

import pytest

from worker.jobs.paged.joining import AROUND, Seam, join_pages
from worker.jobs.paged.running_lines import PageLines, find_running_lines

HEAD = "| item | price |\n| --- | --- |"


def _pages(*texts: str | None) -> list[PageLines | None]:
    return [None if text is None else PageLines.of(n, text) for n, text in enumerate(texts, 1)]


def _join(*texts: str | None, handling="once") -> str:
    pages = _pages(*texts)
    numbers = list(range(1, len(pages) + 1))
    pieces, _ = join_pages(pages, numbers, 0, len(pages), handling, Seam())
    return "".join(pieces)


BODIES = ("Ropes and sails", "The price of tea", "Who pays the pilot", "Salt in the hold", "Fog")


def _report(number: int) -> str:
    body = BODIES[number % len(BODIES)]
    return f"Harbour report, page {number}\n{body}\nMore: {body[::-1]}\nConfidential"


def test_a_table_that_goes_on_is_one_table_and_its_header_comes_once():
    text = _join(f"{HEAD}\n| tea | 2 |", f"{HEAD}\n| rope | 9 |", "| salt | 1 |\n\nThe end")
    assert text == f"{HEAD}\n| tea | 2 |\n| rope | 9 |\n| salt | 1 |\n\nThe end"


def test_a_table_of_other_columns_or_behind_words_is_another_one():
    wide = "| a | b | c |\n| --- | --- | --- |\n| 1 | 2 | 3 |"
    assert _join(f"{HEAD}\n| tea | 2 |", wide) == f"{HEAD}\n| tea | 2 |\n\n{wide}"
    text = _join(f"{HEAD}\n| tea | 2 |", f"Next\n{HEAD}\n| rope | 9 |")
    assert text.count(HEAD) == 2


@pytest.mark.parametrize(("handling", "times"), [("once", 1), ("keep", 4), ("drop", 0)])
def test_headers_and_footers_come_as_often_as_asked(handling, times):
    text = _join(*map(_report, range(1, 5)), handling=handling)
    assert text.count("Harbour report") == text.count("Confidential") == times
    assert all(BODIES[number % len(BODIES)] in text for number in range(1, 5))


def test_a_table_goes_on_below_and_above_running_lines():
    pages = [f"Price list\n{HEAD}\n| row {n} | {n} |\nSubject to change" for n in range(3)]
    text = _join(*pages)
    rows = "\n".join(f"| row {n} | {n} |" for n in range(3))
    assert text == f"Price list\n{HEAD}\n{rows}\nSubject to change"


def test_page_numbers_count_and_other_numbers_stay():
    counted = [f"{n}\nWords {chr(96 + n) * 9} of their own" for n in range(1, 5)]
    assert [bool(find_running_lines(_pages(*counted), at).header) for at in range(4)] == [True] * 4
    prices = [f"{n * n * 7}\nWords {chr(96 + n) * 9} of their own" for n in range(1, 5)]
    assert not any(find_running_lines(_pages(*prices), at).header for at in range(4))


@pytest.mark.parametrize(
    "line",
    [
        "{n}.",
        "{n}. Not applicable",
        "({n}) None of the above",
        "{n}) Yes",
        "2.{n}. Scope",
        "Question {n}: yes or no",
        "Chapter {n}",
        "Invoice 10{n}",
        "§ {n}",
        "第{n}章",
        "第 {n} 条 其他",
        "表 {n}",
        "{n}、不适用",
    ],
)
def test_an_entry_on_top_of_each_page_counts_and_stays(line):
    pages = [f"{line.format(n=n)}\nWords {chr(96 + n) * 9} of their own" for n in range(1, 5)]
    text = _join(*pages)
    assert [line.format(n=n) in text.split("\n") for n in range(1, 5)] == [True] * 4


@pytest.mark.parametrize(
    "line",
    [
        *("{n}", "- {n} -", "{n} / 12", "Page {n} of 12", "Annual report {n}", "第{n}页", "p. {n}"),
        *("{n} Annual report", "[{n}/12]", "Seite {n}", "2026 report\t{n}"),
    ],
)
def test_page_numbers_of_all_kinds_are_running_lines(line):
    pages = [f"Words {chr(96 + n) * 9} of their own\n{line.format(n=n)}" for n in range(1, 5)]
    assert all(find_running_lines(_pages(*pages), at).footer for at in range(4))


def test_line_numbers_and_rows_at_the_edges_stay():
    legal = [f"1\n2\n3\nWords {chr(96 + n) * 9} of their own\n26\n27\n28" for n in range(1, 5)]
    assert _join(*legal).split("\n").count("28") == 4
    rows = [f"{n}\tbolt\t{n}.00\n{n + 40}\tnut {chr(96 + n) * 5}\t2.00" for n in (1, 31, 61)]
    assert all(row in _join(*rows) for page in rows for row in page.split("\n"))


def test_a_page_that_could_not_be_read_is_marked_and_parts_a_table():
    text = _join(f"{HEAD}\n| tea | 2 |", None, f"{HEAD}\n| rope | 9 |")
    assert text.split("\n\n")[1] == "[unread: page 2]"
    assert text.count(HEAD) == 2


@pytest.mark.parametrize("step", [1, 2, 3])
def test_pieces_that_are_joined_in_slices_are_the_same_text(step):
    texts = [_report(1), f"{HEAD}\n| a | 1 |", f"{HEAD}\n| b | 2 |", None, *map(_report, (5, 6, 7))]
    pages, numbers = _pages(*texts), list(range(1, 8))
    pieces, seam = [], Seam()
    for first in range(0, 7, step):
        last, start = min(7, first + step), max(0, first - AROUND)
        end = min(7, last + AROUND)
        window, names = pages[start:end], numbers[start:end]
        # a seam is stored between any two
        seam = Seam.parse(seam.dump())
        more, seam = join_pages(window, names, first - start, last - start, "once", seam)
        pieces += more
    assert "".join(pieces) == _join(*texts)
