"""JSON is bounded before it is parsed, and long texts take no part in that."""

from __future__ import annotations

import json

import pytest

from gateway.http.bodies import strict_json
from gateway.http.bodies.json_structure import MAX_PLAIN_BYTES, MAX_VALUES, lift_long_texts
from shared.errors import InvalidJson, PayloadTooLarge

LONG = "QUJD" * 300_000
TEXTS = [
    f'{{"image": "{LONG}", "prompt": "hi"}}',
    f'["{LONG}", "{LONG}"]',
    f'{{"{LONG}": {{"a": ["{LONG}", 1, null]}}}}',
    f'"{LONG}"',
    f'"a\\"{LONG}"',
    f'["\\\\", "{LONG}\\\\", "\\"", "x"]',
    '"' + "a\\/" * 300_000 + '"',
    '"' + "a\\n" * 300_000 + '"',
    json.dumps("字" * 30_000),
    json.dumps("字" * 300_000, ensure_ascii=False),
    json.dumps([{"n": n, "\\" * n: '"' * n} for n in range(200)]),
    json.dumps(list(range(MAX_VALUES - 2))),
]


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: text[:20])
def test_a_text_has_the_value_that_pythons_parser_gives_it(text):
    assert strict_json.parse(text) == strict_json.parse(text.encode()) == json.loads(text)


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: text[:20])
def test_what_is_left_without_long_texts_is_small(text):
    assert len(lift_long_texts(text.encode()).skeleton) <= MAX_PLAIN_BYTES


@pytest.mark.parametrize("cut", [1, 2, 1000, 300_000])
def test_a_text_that_is_cut_off_is_no_json(cut):
    for text in TEXTS[:9]:
        with pytest.raises(InvalidJson):
            strict_json.parse(text[:-cut])


@pytest.mark.parametrize("sign", ["\n", "\0", "\t", "\x1f", "\\x", "\\u12"])
def test_a_long_text_is_held_to_the_rules_of_strings(sign):
    for at in (0, 262_143, 262_144, len(LONG)):
        with pytest.raises(InvalidJson):
            strict_json.parse('{"image": "' + LONG[:at] + sign + LONG[at:] + '"}')


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"m": {f"k{n}": n for n in range(MAX_VALUES)}}),
        "[" + "1," * 1_000_000 + "1]",
        "[" + '"",' * 1_000_000 + '""]',
        "{" + '"a":{},' * 30_000 + '"a":{}}',
        " " * MAX_PLAIN_BYTES + "1",
        json.dumps("字" * MAX_PLAIN_BYTES),
        '"' + '\\"' * MAX_PLAIN_BYTES + '"',
        '"' + "\\\\" * MAX_PLAIN_BYTES + '"',
        "1" * MAX_PLAIN_BYTES + "1",
    ],
    ids=lambda text: text[:20],
)
def test_too_much_beside_images_is_refused_before_it_is_parsed(text, monkeypatch):
    monkeypatch.setattr(json, "loads", lambda *_, **__: pytest.fail("it was parsed"))
    with pytest.raises(PayloadTooLarge, match="The body has more than"):
        strict_json.parse(text)


@pytest.mark.parametrize("text", ["[" * 9_000_000, '{"a":' * 100_000, '[{"a":' * 2_000_000])
def test_deep_nesting_is_called_that_however_long_it_is(text):
    with pytest.raises(InvalidJson, match="deeper than 32"):
        strict_json.parse(text)


@pytest.mark.parametrize("number", ["1" * 401, "0." + "1" * 400, "1e" + "1" * 400])
def test_a_number_has_a_bounded_length(number):
    with pytest.raises(InvalidJson, match="400 digits"):
        strict_json.parse(f"[{number}]")


def test_a_fault_after_a_long_text_is_placed_in_the_whole_text():
    text = '{"image": "' + LONG + '", x}'
    with pytest.raises(InvalidJson, match=f"byte {text.index('x}')}"):
        strict_json.parse(text)
    with pytest.raises(InvalidJson, match=f"byte {len(LONG) + 7} is not UTF-8"):
        strict_json.parse(b'["' + LONG.encode() + b'", "a\xff"]')


@pytest.mark.parametrize("half", [b"\xed\xa0\x80", b"\xed\xbf\xbf", b"\xff", b"\xc3"])
def test_half_characters_are_refused_in_bytes_too(half):
    for text in (b'{"a": "' + half + b'"}', b'{"' + half + b'": 1}'):
        with pytest.raises(InvalidJson, match="not UTF-8"):
            strict_json.parse(text, what="metadata", pointer="/metadata")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32", "utf-16-le"])
def test_other_encodings_of_short_texts_are_read(encoding):
    assert strict_json.parse('{"a": "ü"}'.encode(encoding)) == {"a": "ü"}
    if encoding != "utf-8-sig":
        with pytest.raises(InvalidJson, match="send UTF-8"):
            strict_json.parse(json.dumps("a" * 100_000).encode(encoding))


@pytest.mark.parametrize(
    "text",
    [
        '{"prompt": "a", "prompt": "b"}',
        '{"prompt": "a", "prompt": "a"}',
        '{"a": [{"prompt": 1, "b": {"prompt": 2}, "prompt": 1}]}',
        r'{"prompt": "a", "\u0070rompt": "b"}',
        f'{{"prompt": "{LONG}", "prompt": "{LONG}"}}',
        f'{{"prompt{LONG}": 1, "prompt{LONG}": 2}}',
    ],
    ids=lambda text: text[:30],
)
def test_a_repeated_member_is_refused_by_its_name(text):
    with pytest.raises(InvalidJson, match=r"member 'prompt[^']{0,101}' is given more than once"):
        strict_json.parse(text)
