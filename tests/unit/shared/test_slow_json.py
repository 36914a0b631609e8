"""Long JSON is read and written in parts, and says the same as in one piece."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from shared import slow_json
from shared.slow_json import dump_slowly, exceeds, load_slowly

SIGNS = 'aé字"\\\n\U0001f600\ud800 '
OPTIONS: list[dict[str, Any]] = [{}, {"ensure_ascii": False}, {"separators": (",", ":")}]


@pytest.fixture(autouse=True)
def _short_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slow_json, "_SLICE", 20)
    monkeypatch.setattr(slow_json, "_INSTANT_S", 0)


def draw_text(draw: random.Random) -> str:
    return "".join(draw.choices(SIGNS, k=draw.randrange(60)))


def draw_value(draw: random.Random, depth: int = 0) -> Any:
    match draw.randrange(8 if depth < 4 else 5):
        case 0:
            return draw.choice([None, True, False, 1, -2.5, 1e30, ""])
        case 1 | 2 | 3 | 4:
            return draw_text(draw)
        case 5:
            return [draw_value(draw, depth + 1) for _ in range(draw.randrange(5))]
        case _:
            names = {draw_text(draw) for _ in range(draw.randrange(5))}
            return {name: draw_value(draw, depth + 1) for name in sorted(names)}


def test_parts_are_the_same_as_the_whole():
    draw = random.Random(1)
    for _ in range(300):
        value = draw_value(draw)
        for options in OPTIONS:
            text = json.dumps(value, **options)
            assert dump_slowly(value, **options) == text
            assert load_slowly(text) == value
        assert load_slowly(f" {json.dumps(value, indent=1)}\n") == value


def test_names_that_are_no_texts_are_written_as_json_does():
    value = {1: "a" * 30, None: [True, "b" * 30], 2.5: {"c": "d" * 30}}
    assert dump_slowly(value) == json.dumps(value)


def test_what_is_no_json_is_refused_as_in_one_piece():
    draw = random.Random(2)
    refused = 0
    for _ in range(1000):
        text = list(json.dumps(draw_value(draw)))
        text[draw.randrange(len(text))] = draw.choice('{}[],:" 1')
        broken = "".join(text)
        try:
            expected = json.loads(broken)
        except ValueError:
            refused += 1
            with pytest.raises(ValueError, match="line 1 column"):
                load_slowly(broken)
        else:
            assert load_slowly(broken) == expected
    assert refused > 300


def test_a_length_is_compared_without_writing():
    for value in ("a" * 50, ["a" * 20, {"b": ["c" * 30]}], list(range(50))):
        assert exceeds(value, 49)
        assert not exceeds(value, 200)
