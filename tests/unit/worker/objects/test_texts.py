"""Labels among words that were seen: each place, cut to its letters, also across lines."""

from __future__ import annotations

import pytest

pytest.importorskip("rapidfuzz")

from collections import Counter
from random import Random

from shared.jobs import FoundObject, SearchTerms, TextLine
from shared.jobs.answers.find import MOST_ON_SHEET, most_on_page, sum_up
from shared.jobs.answers.lines import PlacedText
from tests.unit.worker.objects.many import judge, labels_of
from tests.unit.worker.objects.pages import KINDS
from worker.jobs.finding.summing import bound_objects
from worker.jobs.reading import seen_rows
from worker.objects.texts import find_in_text
from worker.places.seen import SeenImage, seen_lines

HEIGHT, STEP, WIDTH = 20, 30, 10


def line(text: str, row: int = 0, x: int = 0, page: int | None = None) -> TextLine:
    """Return a line whose letters are ten pixels wide, wide ones twenty."""
    words, at = [], x
    for word in text.split(" "):
        width = sum(2 * WIDTH if ord(char) > 0x2E80 else WIDTH for char in word)
        box = (at, row * STEP, at + width, row * STEP + HEIGHT)
        words.append(PlacedText(text=word, box=box))
        at += width + WIDTH
    image = None if page else 0
    return TextLine(text=text, confidence=0.9, image=image, page=page, words=tuple(words))


def find(lines: list[TextLine], *labels: str, fuzzy: bool = False) -> list[FoundObject]:
    return find_in_text(SearchTerms(labels=labels, fuzzy=fuzzy), lines)


def test_every_occurrence_is_cut_to_its_letters():
    lines = [line("Net total: 12"), line("(TOTAL) subtotal", 1), line("grand-total to tal", 2)]
    objects = find(lines, "total")
    assert [one.text for one in objects] == ["total", "TOTAL", "total", "to tal"]
    first, second, third, fourth = (one.box for one in objects)
    # the colon is slim
    assert first[0] == 40
    assert 90 <= first[2] <= 98
    assert (second[1], second[3]) == (30, 50)
    assert 3 <= second[0] <= 10
    assert 57 <= third[0] <= 64
    assert (fourth[0], fourth[2]) == (120, 180)
    assert {one.source for one in objects} == {"reader"}
    assert {one.confidence for one in objects} == {0.9}


@pytest.mark.parametrize(
    ("label", "printed"),
    [
        ("ｔｏｔａｌ", "total"),
        ("Résumé", "resume"),
        ("12.50", "１２.50"),
        ("合计", "金额合计：12"),
        ("total amount", "Total Amount"),
        ("Jahresüberschuß", "JAHRESÜBERSCHUSS"),
        ("ﬁnal", "final"),
    ],
)
def test_letters_are_the_same_whatever_their_form(label, printed):
    assert len(find([line(f"x {printed} y")], label)) == 1


@pytest.mark.parametrize("printed", ["totals", "atotal", "12.505", "t0tal", "tota1", "-12.50"])
def test_other_words_and_numbers_are_not_the_same(printed):
    assert find([line(printed)], "total", "12.50") == []


def test_letters_of_a_chinese_line_are_found_where_they_stand():
    (one,) = find([line("发票号码：12345678")], "号码")
    assert one.text == "号码"
    assert one.box == (40, 0, 80, 20)


def test_a_phrase_is_found_across_the_lines_that_break_it():
    lines = [line("we met the harbour"), line("office of", 1), line("Rotterdam again", 2)]
    (one,) = find(lines, "Harbour Office of Rotterdam")
    assert one.text == "harbour office of Rotterdam"
    assert one.box == (0, 0, 180, 80)
    assert len(one.parts) == 3
    assert one.parts[0] == ((110, 0), (180, 0), (180, 20), (110, 20))
    assert one.polygon is None


def test_a_word_is_found_that_a_hyphen_breaks():
    lines = [line("an exam-"), line("ple of trans-", 1), line("port by well-known", 2)]
    (one,) = find(lines, "Example")
    assert one.text == "exam- ple"
    assert [part[0] for part in one.parts] == [(30, 0), (0, 30)]
    assert [str(place.text) for place in find(lines, "transport by")] == ["trans- port by"]
    assert find(lines, "wellknown", "amp") == []
    assert len(find(lines, "well-known")) == 1
    # what a hyphen joins may be broken behind it
    assert len(find([line("a well-"), line("known man", 1)], "well-known", "wellknown")) == 2


def test_lines_that_do_not_follow_each_other_break_no_phrase():
    beside = [line("the harbour"), line("office", 0, x=600)]
    far = [line("the harbour"), line("office", 9)]
    shifted = [line("the harbour"), line("office", 1, x=600)]
    above = [line("the harbour", 5), line("office", 0)]
    for lines in (beside, far, shifted, above):
        assert find(lines, "harbour office") == []
    assert find([line("the harbour", page=1), line("office", 1, page=2)], "harbour office") == []


def test_text_that_is_alike_is_taken_only_where_it_is_asked_for():
    lines = [line("The lnvoice total"), line("invoice 2019 and lnvoice 2018", 1)]
    assert [one.text for one in find(lines, "invoice")] == ["invoice"]
    alike = find(lines, "invoice", fuzzy=True)
    assert sorted(str(one.text) for one in alike) == ["invoice", "lnvoice", "lnvoice"]
    sure = {one.text: one.confidence for one in alike}
    assert sure["invoice"] == 0.9
    assert 0.7 < (sure["lnvoice"] or 0) < 0.9
    # another number is another thing, and short words are no guess
    assert [one.text for one in find(lines, "lnvoice 2019", fuzzy=True)] == ["invoice 2019"]
    assert find(lines, "tota", "zhe", fuzzy=True) == []


def test_a_slanted_word_has_a_slanted_box():
    corners = ((0.0, 0.0), (100.0, 10.0), (98.0, 30.0), (-2.0, 20.0))
    words = (PlacedText(text="slanted", box=(-2, 0, 100, 30), corners=corners),)
    (one,) = find([TextLine(text="slanted", confidence=1.0, image=0, words=words)], "slanted")
    assert one.polygon == ((0, 0), (100, 10), (98, 30), (-2, 20))
    assert one.box == (-2, 0, 100, 30)


def test_pages_and_labels_keep_their_order():
    lines = [line("b a", page=1), line("a a", page=2)]
    objects = find(lines, "a", "b", "c")
    assert [(one.page, one.label) for one in objects] == [(1, "a"), (1, "b"), (2, "a"), (2, "a")]
    assert sum_up(SearchTerms(labels=("a", "b", "c")), objects) == (
        "Found: a (3), b (1). Not found: c."
    )
    assert sum_up(SearchTerms(labels=("c",)), []) == "Nothing was found."
    assert sum_up(SearchTerms(labels=("a",), language="zh"), objects) == "已找到：a（3 处）。"


def test_what_is_everywhere_is_bounded_and_said_so():
    lines = [line(" ".join(["a"] * 20), row) for row in range(20)] + [line("b", 30)]
    objects = find(lines, "a", "b")
    kept, notices = bound_objects(objects)
    assert [one.label for one in kept] == ["a"] * MOST_ON_SHEET + ["b"]
    assert [notice.code for notice in notices] == ["objects_left_out"]
    assert bound_objects(kept) == (kept, [])
    assert len(bound_objects(kept, most_on_page(2000))[0]) == most_on_page(2000) == 50
    assert sum_up(SearchTerms(labels=("b",)), objects, whole=False) == "Found: b (1+)."


def test_what_is_stored_has_no_more_than_it_says():
    (one,) = find([line("a")], "a")
    assert set(one.model_dump()) == {"label", "box", "text", "image", "confidence", "source"}
    assert FoundObject.model_validate_json(one.model_dump_json()) == one
    assert "corners" not in line("a").model_dump()["words"][0]


def test_words_of_drawn_pages_are_found_where_they_stand():
    pytest.importorskip("onnxruntime")
    pytest.importorskip("rapidocr")
    from worker.reader.reader import SecondReader
    from worker.reader.weights import find_weights

    reader, counts = SecondReader(find_weights(), threads=2), Counter[str]()
    for number, kind in enumerate(KINDS):
        page = KINDS[kind](number + 500)
        phrases = labels_of(page, Random(number))
        labels = tuple(dict.fromkeys(" ".join(phrase) for phrase in phrases))
        lines = seen_lines([SeenImage(seen_rows(reader.read(page.image)))])
        objects = find_in_text(SearchTerms(labels=(*labels, "invented qxzq")), lines)
        assert all(one.label != "invented qxzq" for one in objects)
        counts += judge(objects, page, phrases)
    # a word that is misread once is missing once
    assert counts["right"] >= 0.9 * (counts["right"] + counts["missing"])
    assert not counts["wrong"]
