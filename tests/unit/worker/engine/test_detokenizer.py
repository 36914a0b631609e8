"""Text that appears token by token."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.settings import BUNDLED_MODEL

pytestmark = pytest.mark.model

MIXED = "Grüße, 你好世界 — 👩‍👩‍👧 und é́!"


@pytest.fixture(scope="module")
def tokenizer():
    from tokenizers import Tokenizer

    return Tokenizer.from_file(str(Path(BUNDLED_MODEL) / "tokenizer.json"))


def pieces(tokenizer, text: str, *stops: str) -> Iterator[str]:
    from worker.engine.generation.detokenizer import TextStream

    stream = TextStream(tokenizer, stops)
    for token in tokenizer.encode(text, add_special_tokens=False).ids:
        yield stream.push(stream.decode(token))
    yield stream.finish()


def test_characters_of_several_bytes_come_whole(tokenizer) -> None:
    parts = list(pieces(tokenizer, MIXED))
    assert "".join(parts) == MIXED
    assert not any("\N{REPLACEMENT CHARACTER}" in piece for piece in parts)


def test_a_character_that_never_ends_is_not_shown(tokenizer) -> None:
    from worker.engine.generation.detokenizer import TextStream

    stream = TextStream(tokenizer, ())
    for token in tokenizer.encode("a你", add_special_tokens=False).ids[:-1]:
        stream.push(stream.decode(token))
    stream.finish()
    assert stream.shown == "a"


def test_the_answer_ends_before_a_stop_string(tokenizer) -> None:
    assert "".join(pieces(tokenizer, "one\ntwo\nEND\nthree", "END")) == "one\ntwo\n"


def test_the_first_of_several_stop_strings_counts(tokenizer) -> None:
    assert "".join(pieces(tokenizer, "a, b; c", ";", ",")) == "a"


def test_text_that_may_become_a_stop_string_is_held_back(tokenizer) -> None:
    parts = list(pieces(tokenizer, "xSTART", "STOP"))
    assert parts[:4] == ["x", "", "", "STA"]


def test_a_beginning_of_a_stop_string_is_shown_in_the_end(tokenizer) -> None:
    assert "".join(pieces(tokenizer, "go ST", "STOP")) == "go ST"


def test_a_stop_string_of_many_bytes_is_found(tokenizer) -> None:
    assert "".join(pieces(tokenizer, "答案。结束了", "结束")) == "答案。"


def test_letters_and_digits_that_the_model_doubts_are_marked(tokenizer) -> None:
    from worker.engine.generation.detokenizer import TextStream

    stream = TextStream(tokenizer, ())
    shown = [stream.push("No. "), stream.push("4-", sure=False), stream.push("酒", sure=False)]
    assert shown == ["No. ", "[?]-", "[?]"]
    assert (stream.shown, stream.shown_length) == ("No. [?]-[?]", 7)


def test_a_stop_string_is_found_in_the_models_own_words(tokenizer) -> None:
    from worker.engine.generation.detokenizer import TextStream

    stream = TextStream(tokenizer, ("END",))
    assert stream.push("a b") + stream.push("EN", sure=False) + stream.push("D c") == "a b"
    assert stream.stopped


def test_a_stream_goes_on_behind_what_was_taken_back(tokenizer) -> None:
    from worker.engine.generation.detokenizer import TextStream

    def push(text: str, hold_from: int | None = None) -> str:
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        return stream.push("".join(map(stream.decode, ids)), hold_from=hold_from)

    stream = TextStream(tokenizer, ())
    assert push("你好abcabc", hold_from=4) == "你好ab"
    stream.rewind(tokenizer.encode("你好abc", add_special_tokens=False).ids, 5)
    assert push("界") == "c界"
    assert stream.shown == "你好abc界"
