"""Pages as people write them; what they cannot mean is refused with the reason."""

import pytest

from shared.documents.pages import parse_pages
from shared.errors import BadParameters, PageOutOfRange


@pytest.mark.parametrize(
    ("spec", "pages"),
    [
        ("1-3,7,-1", [1, 2, 3, 7, 9]),
        ("", [1, 2, 3, 4, 5, 6, 7, 8, 9]),
        ("8-", [8, 9]),
        ("-2", [8]),
        ("-3--1", [7, 8, 9]),
        ("3-1", [3, 2, 1]),
        (" 2 , 2,1-3 ", [2, 1, 3]),
        ("2–3，5、7", [2, 3, 5, 7]),
        ([3, "1-2", -1], [3, 1, 2, 9]),
        (4, [4]),
        ([], [1, 2, 3, 4, 5, 6, 7, 8, 9]),
    ],
)
def test_pages_keep_their_order_and_come_once(spec, pages):
    assert parse_pages(spec, 9) == pages


@pytest.mark.parametrize("spec", ["0", "10", "-10", "8-10", "99999999-1", [0]])
def test_a_page_that_does_not_exist_is_named(spec):
    with pytest.raises(PageOutOfRange, match="9 pages") as refused:
        parse_pages(spec, 9)
    assert refused.value.pointer == "/pages"


@pytest.mark.parametrize(
    "spec", ["one", "1..3", "1-2-3", "-", "1 2", "١", "9" * 12, [True], [1.5], "1," * 3000]
)
def test_what_names_no_page_is_refused(spec):
    with pytest.raises(BadParameters):
        parse_pages(spec, 9)


@pytest.mark.parametrize(
    "spec",
    [["1," * 5000] * 2000, [", " * 5000] * 2000, "," * 50_000, ",".join(["1-999"] * 2000)],
    ids=["many parts", "many blanks", "commas", "the same ranges"],
)
def test_what_would_take_long_to_read_is_refused_at_once(spec):
    with pytest.raises(BadParameters):
        parse_pages(spec, 1000)


def test_each_of_the_most_pages_may_be_named_alone():
    names = [str(number) for number in range(1000, 0, -1)]
    backwards = list(range(1000, 0, -1))
    assert parse_pages(names, 1000) == parse_pages(", ".join(names), 1000) == backwards
