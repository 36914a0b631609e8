"""Evidence: where the values of an answer are printed, and that nothing else passes for it."""

from __future__ import annotations

from collections import Counter

import pytest

pytest.importorskip("rapidfuzz")

from shared.jobs.answers.lines import PlacedText, TextLine
from worker.evidence.finding import MOST_VALUES, find_evidence


def line(y, *cells, image=0):
    """Return a line of cells, each a place from the left and a text, ten pixels a letter."""
    words = []
    for start, text in cells:
        x = start
        for word in text.split():
            words.append(PlacedText(text=word, box=(x, y, x + 10 * len(word), y + 14)))
            x += 10 * len(word) + 8
    text = " ".join(text for _, text in cells)
    return TextLine(text=text, confidence=0.9, image=image, words=tuple(words))


def alone(value, *texts, name="field"):
    """Return what is known of one value among lines."""
    lines = [line(40 * at, (0, text)) for at, text in enumerate(texts)]
    return find_evidence({name: value}, lines, complete=True)[f"/{name}"]


@pytest.mark.parametrize(
    ("value", "printed", "place"),
    [
        ("ACME Trading", "of Acme  Trading GmbH", "Acme Trading"),
        ("Müller", "Herr Muller", "Muller"),
        ("A-17/3", "Ref A-17/3 of", "A-17/3"),
        (1234.5, "sum 1,234.50 EUR", "1,234.50"),
        (1234.5, "sum 1.234,50 €", "1.234,50"),
        (1234567, "sum 1 234 567 left", "1 234 567"),
        ("€ 1.234,50", "sum EUR 1,234.50", "1,234.50"),
        ("1234.5", "￥１，２３４．５０元", "￥１，２３４．５０元"),
        (-12.5, "paid 12.50- back", "12.50-"),
        (-12.5, "paid (12.50) back", "(12.50)"),
        (0.195, "VAT 19.5 % here", "19.5 %"),
        ("19.5%", "VAT 19.5 % here", "19.5 %"),
        ("2026-05-09", "on 9 May 2026 here", "9 May 2026"),
        ("2026-05-09", "on May 9, 2026 here", "May 9, 2026"),
        ("2026-05-09T00:00:00Z", "on 09.05.2026 here", "09.05.2026"),
        ("2026年5月9日", "on 2026-05-09 here", "2026-05-09"),
        ("2026-05-09", "开票日期 2026 年 5 月 9 日", "2026 年 5 月 9 日"),
        ("09/05/26", "on 9.5.2026 here", "9.5.2026"),
        ("发票号码", "增值税发票号码 88", "增值税发票号码"),
        ("one line and\nthe next", "one line and", "one line and"),
    ],
)
def test_values_are_found_as_they_are_printed_elsewhere(value, printed, place):
    known = alone(value, printed, "the next", "nothing else")
    assert known.status == "supported"
    assert known.text == place or str(value).count("\n")
    assert known.confidence > 0.8


@pytest.mark.parametrize(
    ("value", "printed"),
    [
        (12.5, "sum 112.50 and 12.505"),
        (12, "sum -12 and 12.50 and 12/2026 and AB12"),
        (6, "on 2026-06-23 at 06:15"),
        ("12.50", "sum 12.60"),
        ("R100200", "No. R100300"),
        ("Anna", "Annabel Savanna"),
        ("2026-05-09", "on 10 May 2026"),
        (5708.2, "5     708.20"),
        ("", "anything"),
    ],
)
def test_what_only_looks_like_a_value_is_not_taken(value, printed):
    lines = [line(0, *((60 * at, word) for at, word in enumerate(printed.split())))]
    known = find_evidence({"field": value}, lines, complete=True)["/field"]
    assert known.status == ("not_found" if value != "" else "unverified")
    assert known.box is None


def test_a_misread_text_has_a_place_but_is_not_certain():
    known = alone("Jonathan Miller", "Mr Jonathon Miller", "else")
    assert (known.status, known.text) == ("unverified", "Jonathon Miller")
    assert known.confidence < 0.9


def test_of_equal_values_the_one_with_its_label_counts_and_else_none():
    table = [
        line(0, (0, "Article"), (200, "Price"), (400, "Amount")),
        line(40, (0, "Tea"), (200, "2.50"), (400, "2.50")),
        line(80, (0, "Net"), (400, "2.50")),
        line(120, (0, "Total"), (400, "2.50")),
    ]
    values = {"net": 2.5, "total": "2.50", "other": 2.5}
    values["items"] = [{"article": "Tea", "price": 2.5, "amount": 2.5}]
    known = find_evidence(values, table, complete=True)
    assert known["/net"].box[1] == 80
    assert known["/total"].box[1] == 120
    assert known["/items/0/price"].box[:2] == (200, 40)
    assert known["/items/0/amount"].box[:2] == (400, 40)
    assert (known["/other"].status, known["/other"].box) == ("unverified", None)


def test_equal_entries_of_a_list_stand_one_below_the_other():
    rows = [line(40 * at, (0, "Tea"), (200, "2.50")) for at in range(3)]
    entry = {"name": "Tea", "price": 2.5}
    known = find_evidence({"items": [entry] * 3}, rows, complete=True)
    assert [known[f"/items/{n}/price"].box[1] for n in range(3)] == [0, 40, 80]
    fewer = find_evidence({"items": [entry] * 2}, rows, complete=True)
    assert {one.status for one in fewer.values()} == {"unverified"}


def test_a_number_of_another_field_is_not_passed_for_certain():
    known = alone(120, "Shipping 120", "Total 99", name="total")
    assert known.status == "unverified"
    short = alone(3, "Page 3 of nine", name="rooms")
    assert short.status == "unverified"


def test_what_was_not_read_is_not_said_to_be_missing():
    lines = [line(0, (0, "Tea"))]
    known = find_evidence({"a": "Coffee", "b": True, "c": None}, lines, complete=False)
    assert {name: one.status for name, one in known.items()} == {
        "/a": "unverified",
        "/b": "unverified",
    }
    assert find_evidence({"a": "Coffee"}, [], complete=True)["/a"].status == "not_found"


def test_any_answer_is_walked():
    value = {"a/b~c": ["Tea", ["x" * 5000]], "": {"": "Tea"}, "n": 1e308, "i": 10**30}
    known = find_evidence(value, [line(0, (0, "Tea \ud800 ( [ \x00"))], complete=True)
    assert set(known) == {"/a~1b~0c/0", "/a~1b~0c/1/0", "//", "/n", "/i"}
    assert known["/a~1b~0c/0"].status == "supported"
    assert find_evidence("Tea", [line(0, (0, "Tea"))], complete=True)[""].status == "supported"
    many = find_evidence(["Tea"] * (MOST_VALUES + 5), [line(0, (0, "Tea"))], complete=True)
    assert len(many) == MOST_VALUES + 5


def test_values_of_several_images_tell_on_which_they_stand():
    lines = [line(0, (0, "Invoice")), line(0, (0, "Total 12.50"), image=1)]
    known = find_evidence({"total": 12.5}, lines, complete=True)["/total"]
    assert (known.image, known.box) == (1, (58, 0, 108, 14))


@pytest.fixture(scope="module")
def reader():
    pytest.importorskip("onnxruntime")
    pytest.importorskip("rapidocr")
    from worker.reader.reader import SecondReader
    from worker.reader.weights import find_weights

    return SecondReader(find_weights(), threads=2)


@pytest.mark.parametrize("number", [0, *(pytest.param(n, marks=pytest.mark.long) for n in (1, 2))])
def test_values_of_drawn_papers_are_where_they_were_drawn(reader, number):
    from tests.unit.worker.evidence.many import is_good, judge
    from tests.unit.worker.evidence.papers import KINDS

    papers = [make(number) for make in KINDS.values()]
    assert is_good(sum((judge(reader, paper) for paper in papers), Counter()))
