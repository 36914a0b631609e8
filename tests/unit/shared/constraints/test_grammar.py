"""Constraints: what is refused before a job is accepted, and that what is accepted can be met."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from shared.constraints.grammar import check_satisfiable
from shared.errors import BadConstraint
from shared.jobs import GenerationParams
from worker.engine.api import EngineRequest, Message
from worker.engine.simulated.answers import InventedAnswer, invent

#: CPU seconds that refusing or accepting may take, many times what it does.
PATIENCE_S = 2.0


def held_to(schema: Any, **more: Any) -> GenerationParams:
    wrapped = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
    return GenerationParams(response_format=wrapped, **more)


def invented(params: GenerationParams, seed: int = 0) -> InventedAnswer:
    asked = params.model_copy(update={"seed": seed})
    return invent(EngineRequest("job", (Message("user", "?"),), asked))


def nested(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(depth):
        schema = {"type": "array", "items": schema}
    return schema


ITSELF = {"type": "object", "properties": {"a": {"$ref": "#/$defs/a"}}, "required": ["a"]}
REFUSED_SCHEMAS = {
    "nested too deep": nested(40),
    "too many members": {"properties": {f"k{n}": {"type": "string"} for n in range(3000)}},
    "too long": {"enum": ["x" * 40_000]},
    "a number of steps that explodes": {
        "properties": {f"k{n}": {"type": "integer", "multipleOf": 9991 + n} for n in range(50)}
    },
    "a decimal step that explodes": {"type": "number", "multipleOf": 0.99991},
    "itself for ever": {"$ref": "#/$defs/a", "$defs": {"a": ITSELF}},
    "each other for ever": {
        "$ref": "#/$defs/a",
        "$defs": {
            "a": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/b"}},
            "b": {"anyOf": [{"$ref": "#/$defs/a"}, {"allOf": [{"$ref": "#/$defs/a"}]}]},
        },
    },
    "nothing": {"type": "integer", "minimum": 5, "maximum": 3},
    "a member that cannot be": {"type": "object", "properties": {"a": False}, "required": ["a"]},
    "an unknown type": {"type": "strng"},
    "a number that would be rounded": {"enum": [2**53 + 1]},
    "a keyword that could not be kept": {"type": "array", "uniqueItems": True},
    "another machine's schema": {"$ref": "http://127.0.0.1/schema.json"},
    "a file": {"$ref": "file:///etc/passwd"},
    "a pattern that looks ahead": {"type": "string", "pattern": "(?=a)b"},
    "unions of unions": {
        "allOf": [
            {"anyOf": [{"properties": {f"{n}_{m}": {"type": "string"}}} for m in range(4)]}
            for n in range(8)
        ]
    },
}
REFUSED_PATTERNS = [
    *("(a", "\\", "[", "a**", "(?=a)b", r"(a)\1", r"\bword\b", r"[^\s\S]", r"a[^\s\S]b"),
    *("(a{1000}){1000}", "((a{100}){100}){100}", "(.{900}b){9}"),
]


@pytest.mark.parametrize("schema", REFUSED_SCHEMAS.values(), ids=REFUSED_SCHEMAS.keys())
def test_a_schema_that_cannot_be_kept_is_refused_in_time(schema: Any) -> None:
    began = time.process_time()
    with pytest.raises(BadConstraint, match=r"response_format: .+") as refused:
        check_satisfiable(held_to(schema))
    assert refused.value.pointer == "/response_format/json_schema/schema"
    assert time.process_time() - began < PATIENCE_S


@pytest.mark.parametrize("pattern", REFUSED_PATTERNS)
def test_a_pattern_that_cannot_be_kept_is_refused_in_time(pattern: str) -> None:
    began = time.process_time()
    with pytest.raises(BadConstraint, match=r"regex: .+") as refused:
        check_satisfiable(GenerationParams(regex=pattern))
    assert refused.value.pointer == "/regex"
    assert "\n" not in refused.value.detail
    assert time.process_time() - began < PATIENCE_S


@pytest.mark.parametrize(
    ("pattern", "wanted"),
    [
        (r"\d+", r"[0-9]+"),
        (r"^\d{4}-\d{2}$", r"[0-9]{4}-[0-9]{2}"),
        (r"(?i)yes|no", r"(?i)yes|no"),
        (r"[一-龥]{2,4}/a\\b", r"[一-龥]{2,4}/a\\b"),
        ("(a+)+b", "a+b"),
    ],
)
def test_a_whole_answer_matches_its_pattern(pattern: str, wanted: str) -> None:
    for seed in range(5):
        said = invented(GenerationParams(regex=pattern, max_new_tokens=500), seed)
        assert re.fullmatch(wanted, "".join(said.pieces))


@pytest.mark.parametrize(
    "choices", [("yes", "no"), ('a"b', "c\\d\n"), ("中文", "😀é"), ("a", "ab")]
)
def test_an_answer_is_one_of_its_choices(choices: tuple[str, ...]) -> None:
    said = {"".join(invented(GenerationParams(choices=choices), n).pieces) for n in range(20)}
    assert said == set(choices)


def test_any_object_is_json() -> None:
    asked = GenerationParams(response_format={"type": "json_object"}, max_new_tokens=2000)
    for seed in range(5):
        said = invented(asked, seed)
        assert said.limited or isinstance(json.loads("".join(said.pieces)), dict)


def test_an_answer_that_is_cut_off_says_so() -> None:
    said = invented(held_to({"type": "string", "minLength": 50}, max_new_tokens=10))
    assert said.limited
    assert [notice.code for notice in said.notices] == ["answer_unfinished"]


def test_a_schema_that_names_itself_is_fine_where_it_can_end() -> None:
    part = {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/a"}]}
    tree = {"type": "object", "properties": {"a": part}, "required": ["a"]}
    check_satisfiable(held_to({"$ref": "#/$defs/a", "$defs": {"a": tree}}))


def test_the_callers_schema_cannot_loosen_the_compiler() -> None:
    with pytest.raises(BadConstraint, match="not"):
        check_satisfiable(held_to({"not": {}, "x-guidance": {"lenient": True}}))


@pytest.mark.parametrize(
    "params",
    [
        {"choices": ["a"], "regex": "a"},
        {"regex": "a", "response_format": {"type": "json_object"}},
        {"regex": "a", "uncertain_below": 0.5},
        {"response_format": {"type": "json_schema"}},
        {"response_format": {"type": "text", "json_schema": {"schema": {}}}},
        {"choices": [""]},
        {"choices": ["x"] * 200},
        {"regex": "a" * 2000},
        {"uncertain_below": 1.0},
    ],
)
def test_constraints_that_do_not_fit_together_are_refused(params: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        GenerationParams(**params)


def test_params_come_back_from_the_row_as_they_went_in() -> None:
    params = held_to({"type": "integer"}, stop=("x",))
    assert GenerationParams.model_validate_json(params.model_dump_json()) == params


_LEAVES = st.one_of(
    st.just({"type": "boolean"}),
    st.just({"type": "null"}),
    st.builds(lambda n: {"type": "string", "maxLength": n}, st.integers(0, 8)),
    st.builds(
        lambda n, m: {"type": "integer", "minimum": n, "maximum": n + m},
        st.integers(-500, 500),
        st.integers(0, 500),
    ),
    st.builds(
        lambda values: {"enum": values},
        st.lists(
            st.one_of(st.integers(-(2**53), 2**53), st.text(max_size=5), st.booleans()),
            min_size=1,
            max_size=4,
        ),
    ),
    st.sampled_from(["[a-z]{2,5}", r"\\d{3}", "(yes|no)", "^[A-F0-9]+$"]).map(
        lambda pattern: {"type": "string", "pattern": pattern.replace("\\\\", "\\")}
    ),
)


def _grown(inner: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    members = st.dictionaries(st.text('abcé"\\ ', min_size=1, max_size=4), inner, max_size=3)
    return st.one_of(
        st.builds(
            lambda some, extra: {
                "type": "object",
                "properties": some,
                "required": sorted(some)[:2],
                "additionalProperties": extra,
            },
            members,
            st.booleans(),
        ),
        st.builds(
            lambda item, least: {"type": "array", "items": item, "minItems": least, "maxItems": 3},
            inner,
            st.integers(0, 2),
        ),
        st.builds(lambda one, other: {"anyOf": [one, other]}, inner, inner),
    )


@settings(max_examples=100, deadline=None)
@given(st.recursive(_LEAVES, _grown, max_leaves=5), st.integers(0, 2**32))
def test_whole_answers_to_any_small_schema_validate(schema: dict[str, Any], seed: int) -> None:
    said = invented(held_to(schema, max_new_tokens=1500), seed)
    if not said.limited:
        jsonschema.validate(json.loads("".join(said.pieces)), schema)
