"""Events of a response have the same numbers however its text came."""

from __future__ import annotations

import random

import pytest

from gateway.responses.responses_api.segments import SegmentedText

TEXTS = [
    "",
    "one",
    "A table of two rows.\n\n| a | b |\n|---|---|\n" + " " * 40 + "\n\t  end  ",
    "这是一张发票，金额为 １２３ 元。Total: 123.45 EUR\n" * 3,
    "x" * 100 + "\n" * 50 + "👩‍👩‍👧 é ü",
]


def segments_of(text: str, cuts: list[int]) -> list[str]:
    segmented, segments = SegmentedText(), []
    for cut in cuts:
        segments += segmented.take(text[:cut])
    segments += segmented.take(text, whole=True)
    assert segmented.taken == text
    return segments


@pytest.mark.parametrize("text", TEXTS)
def test_segments_do_not_depend_on_how_a_text_came(text):
    expected = segments_of(text, [])
    assert "".join(expected) == text
    assert all(expected)
    draw = random.Random(1)
    for _ in range(50):
        cuts = sorted(draw.choices(range(len(text) + 1), k=draw.randrange(1, 20)))
        assert segments_of(text, cuts) == expected


def test_a_second_attempt_may_repeat_the_first_and_say_nothing_else():
    segmented = SegmentedText()
    assert segmented.take("one two three") == ["one", " two"]
    assert segmented.take("") == []
    assert segmented.take("one") == []
    assert segmented.take("one two three four") == [" three"]
    for text in ("one too", "two"):
        with pytest.raises(ValueError, match="changed"):
            segmented.take(text)
    with pytest.raises(ValueError, match="changed"):
        segmented.take("one two", whole=True)
