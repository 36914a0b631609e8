"""Pointers as RFC 6901 has them."""

from __future__ import annotations

import pytest

from shared.json_pointer import follow, join_pointer, replace_at, split_pointer

#: The examples of the RFC.
DOCUMENT = {
    "foo": ["bar", "baz"],
    "": 0,
    "a/b": 1,
    "c%d": 2,
    "e^f": 3,
    "g|h": 4,
    "i\\j": 5,
    'k"l': 6,
    " ": 7,
    "m~n": 8,
}


@pytest.mark.parametrize(
    ("pointer", "value"),
    [
        *(("", DOCUMENT), ("/foo", ["bar", "baz"]), ("/foo/0", "bar"), ("/", 0), ("/a~1b", 1)),
        *(("/c%d", 2), ("/e^f", 3), ("/g|h", 4), ("/i\\j", 5), ('/k"l', 6), ("/ ", 7)),
        ("/m~0n", 8),
    ],
)
def test_the_examples_of_the_standard(pointer, value):
    assert follow(DOCUMENT, split_pointer(pointer)) == value
    assert join_pointer(split_pointer(pointer)) == pointer
    changed = replace_at(DOCUMENT, split_pointer(pointer), "new")
    assert follow(changed, split_pointer(pointer)) == "new"
    assert follow(DOCUMENT, split_pointer(pointer)) == value


@pytest.mark.parametrize("pointer", ["foo", "#/foo", "/~2", "/a~"])
def test_what_is_no_pointer_is_refused(pointer):
    with pytest.raises(ValueError, match=r"pointer begins|tilde"):
        split_pointer(pointer)


@pytest.mark.parametrize(
    "pointer",
    ["/none", "/foo/2", "/foo/-", "/foo/-1", "/foo/00", "/foo/1e0", "/foo/0/x", "/a~1b/0"],
)
def test_what_leads_nowhere_is_a_lookup_error(pointer):
    with pytest.raises(LookupError):
        follow(DOCUMENT, split_pointer(pointer))
    with pytest.raises(LookupError):
        replace_at(DOCUMENT, split_pointer(pointer), 1)


def test_a_place_of_any_length_is_read():
    with pytest.raises(LookupError):
        follow([1], ["9" * 100_000])
