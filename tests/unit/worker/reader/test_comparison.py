"""Two readings of a page are compared line by line."""

from __future__ import annotations

import pytest

pytest.importorskip("rapidfuzz")

from shared.jobs import FinishReason, TextLine, Usage
from worker.engine.api import Completion, Timings
from worker.jobs.disagreements import compare_readings
from worker.reader.comparison import compare_texts


def test_equal_readings_agree_whatever_their_blanks_and_tables():
    comparison = compare_texts("| Tea | 2.50 |\n| --- | --- |\n\nＴｏｔａｌ 5", "Tea  2.50\nTotal5")
    assert [line.agreement for line in comparison.lines] == [1.0, 1.0]
    assert comparison.only_second == ()


def test_a_wrong_digit_shows_both_readings():
    comparison = compare_texts("Coffee 3.20\nTotal 12.40", "Coffee 3.20\nTotal 12.46")
    first, second = comparison.lines
    assert (first.agreement, first.other) == (1.0, None)
    assert second.other == "Total 12.46"
    assert 0.8 < second.agreement < 1


def test_a_line_that_one_reading_lacks_does_not_shift_the_others():
    lines = [f"line number {n} of the page" for n in range(30)]
    comparison = compare_texts("\n".join(lines), "\n".join(lines[:12] + lines[13:] + ["foot"]))
    disagreeing = [line for line in comparison.lines if line.agreement < 1]
    assert [line.text for line in disagreeing] == [lines[12]]
    assert comparison.only_second == ("foot",)


def test_equal_lines_are_paired_in_order():
    comparison = compare_texts("sum 1\nsum 1\nsum 1", "sum 1\nsum 1")
    assert sorted(line.agreement for line in comparison.lines) == [0.0, 1.0, 1.0]


def test_nothing_beside_something():
    assert [line.agreement for line in compare_texts("abc", "").lines] == [0.0]
    assert compare_texts("", "abc").only_second == ("abc",)


def answer(text: str, lines=None) -> Completion:
    return Completion(text, FinishReason.STOP, Usage(), Timings(), lines=lines)


def test_the_answer_names_what_was_read_differently():
    lines = (TextLine(text="Total 12.40", confidence=0.9),)
    compared = compare_readings(answer("Total 12.40", lines), "Total 12.46\nThank you")
    assert compared.lines[0].confidence == 0.9
    assert compared.lines[0].other == "Total 12.46"
    (notice,) = compared.notices
    assert notice.code == "readers_disagree"
    assert "'Total 12.40' / 'Total 12.46'" in notice.detail
    assert "'Thank you'" in notice.detail


def test_two_readings_that_agree_need_no_warning():
    compared = compare_readings(answer("Total 12.40"), "Total 12.40")
    assert compared.notices == ()
    assert compared.lines[0].agreement == 1.0


def test_a_single_reading_stays_as_it_is():
    lines = (TextLine(text="a", confidence=0.5),)
    assert compare_readings(answer("a", lines), None).lines == lines
    # an older gateway reads what it knows
    assert lines[0].model_dump() == {"text": "a", "confidence": 0.5}
