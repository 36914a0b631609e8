"""Which kinds of values a schema allows at a place."""

from __future__ import annotations

import pytest

from gateway.reviews.schema_kinds import is_of_kind, kinds_at

SCHEMA = {
    "$defs": {
        "money": {"anyOf": [{"type": "number"}, {"$ref": "#/$defs/none"}]},
        "none": {"type": "null"},
    },
    "properties": {
        "rows": {"items": {"properties": {"a/b": {"$ref": "#/$defs/money"}, "me": {"$ref": "#"}}}},
        "pair": {"prefixItems": [{"type": "string"}], "items": {"type": "boolean"}},
        "unit": {"enum": ["kg", None]},
        "any": {"description": "whatever"},
        "loop": {"$ref": "#/properties/loop"},
    },
    "additionalProperties": {"type": ["array", "object"]},
}


@pytest.mark.parametrize(
    ("parts", "kinds"),
    [
        (["rows", "3", "a/b"], {"number", "null"}),
        (["rows", "0", "me", "pair", "0"], {"string"}),
        (["pair", "1"], {"boolean"}),
        (["unit"], {"string", "null"}),
        (["other"], {"array", "object"}),
        (["any"], set()),
        (["loop"], set()),
        (["any", "deeper", "0"], set()),
        ([], set()),
    ],
)
def test_a_place_is_found_through_references_unions_and_lists(parts, kinds):
    assert kinds_at(SCHEMA, parts) == kinds


@pytest.mark.parametrize(
    ("value", "kinds"),
    [
        (True, {"boolean"}),
        (2, {"integer", "number"}),
        (2.0, {"integer", "number"}),
        (2.5, {"number"}),
        ("2", {"string"}),
        (None, {"null"}),
        ([], {"array"}),
        ({}, {"object"}),
    ],
)
def test_a_value_is_of_the_kinds_that_schemas_call_it(value, kinds):
    known = ("boolean", "integer", "number", "string", "null", "array", "object", "odd")
    assert {kind for kind in known if is_of_kind(value, kind)} == kinds
