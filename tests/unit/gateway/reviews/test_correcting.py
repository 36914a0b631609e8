"""Corrections of lines, cells, pages and values in all that a result is made of."""

from __future__ import annotations

import pytest

from gateway.reviews.correcting import correct_output
from shared.jobs.answers.review import Correction


def correction(pointer, value, at_ms=1):
    return Correction(pointer=pointer, value=value, before=None, by="key", at_ms=at_ms)


def corrected(output, *pairs):
    statements = [correction(at, value, n) for n, (at, value) in enumerate(pairs)]
    result = correct_output(output, statements)
    return result.output, {side: len(shown) for side, shown in result.shown.items()}


def lines(*texts, **fields):
    return [{"text": text, "confidence": 0.5} | fields for text in texts]


def test_a_line_is_corrected_in_the_text_and_equal_ones_are_told_apart():
    output = {"text": "# Totl\n\n  Sum 4\nSum 4\nend", "lines": lines("Totl", "Sum 4", "Sum 4")}
    changed, shown = corrected(
        output, ("/lines/2/text", "Sum 5"), ("/lines/0/text", "Total"), ("/lines/1/text", "Sum 5")
    )
    assert changed["text"] == "# Total\n\n  Sum 5\nSum 5\nend"
    assert [line["text"] for line in changed["lines"]] == ["Total", "Sum 5", "Sum 5"]
    assert shown == {"output": 3, "text": 3, "parts": 0, "lines": 3}
    assert output["text"].startswith("# Totl")
    assert output["lines"][0]["text"] == "Totl"


def test_a_line_that_the_text_no_longer_has_is_not_called_shown():
    output = {"text": "something else", "lines": lines("Totl")}
    changed, shown = corrected(output, ("/lines/0/text", "Total"))
    assert changed["text"] == "something else"
    assert (shown["output"], shown["lines"], shown["text"]) == (1, 1, 0)


def test_a_line_of_a_page_is_corrected_there_and_a_header_that_stands_once_is_left_alone():
    output = {
        "text": "Head\none\ntwo",
        "pages": [{"page": 4, "text": "Head\none"}, {"page": 5, "text": "Head\ntwo"}],
        "lines": [*lines("Head", "one", page=4), *lines("Head", "two", page=5)],
    }
    changed, shown = corrected(output, ("/lines/2/text", "Haed"), ("/lines/3/text", "2"))
    assert [page["text"] for page in changed["pages"]] == ["Head\none", "Haed\n2"]
    assert changed["text"] == "Head\none\n2"
    assert (shown["parts"], shown["text"]) == (2, 1)


def test_cells_and_words_go_with_their_line_and_it_with_them():
    row = {"text": "| Tea | 3.5O | a\\|b |", "confidence": 1.0, "box": [0, 0, 9, 9]}
    row["cells"] = [{"text": text, "box": [0, 0, 1, 1]} for text in ("Tea", "3.5O", "a|b")]
    words = [{"text": text, "box": None} for text in ("Grand", "totl")]
    line = {"text": "Grand totl", "confidence": 1.0, "words": words}
    output = {"text": f"{row['text']}\nGrand totl", "lines": [row, line]}
    changed, shown = corrected(
        output, ("/lines/0/cells/1/text", "3|50"), ("/lines/1/words/1/text", "total")
    )
    assert changed["text"] == "| Tea | 3\\|50 | a\\|b |\nGrand total"
    assert changed["lines"][0]["cells"][1]["text"] == "3|50"
    assert shown["text"] == 2
    changed, _ = corrected(output, ("/lines/1/text", "Grand total"))
    assert [word["text"] for word in changed["lines"][1]["words"]] == ["Grand", "total"]
    changed, _ = corrected(output, ("/lines/1/text", "total"))
    assert "words" not in changed["lines"][1]


def test_a_cell_that_its_line_does_not_show_as_it_is_corrects_no_text():
    row = {"text": "<tr><td>Tea &amp; milk</td></tr>", "confidence": 1.0}
    row["cells"] = [{"text": "Tea & milk", "box": [0, 0, 1, 1]}]
    output = {"text": row["text"], "lines": [row]}
    changed, shown = corrected(output, ("/lines/0/cells/0/text", "Tea"))
    assert changed["lines"][0]["cells"][0]["text"] == "Tea"
    assert (shown["lines"], shown["text"], changed["text"]) == (1, 0, row["text"])


def test_values_are_corrected_in_the_json_and_in_a_text_that_is_nothing_else():
    output = {"text": '{"items": [{"price": 1}], "b": null}'}
    output["json"] = {"items": [{"price": 1}], "b": None}
    pairs = [("/json/items/0/price", 2.5), ("/json/b", "x")]
    changed, shown = corrected(output, *pairs)
    assert changed["json"] == {"items": [{"price": 2.5}], "b": "x"}
    assert changed["text"] == '{"items": [{"price": 2.5}], "b": "x"}'
    assert shown["text"] == shown["output"] == 2
    # whoever replaces a list takes its entries along
    changed, shown = corrected(output, ("/json/items", []), *pairs)
    assert changed["json"] == {"items": [], "b": "x"}
    assert shown["output"] == 2
    changed, shown = corrected(output | {"text": "see the JSON"}, *pairs)
    assert (changed["text"], shown["text"]) == ("see the JSON", 0)


@pytest.mark.parametrize("name", ["pages", "images"])
def test_what_is_corrected_as_a_whole_wins_over_its_parts(name):
    unit = {"pages": "page", "images": "image"}[name]
    output = {
        "text": "one\ntwo",
        name: [{unit: 1, "text": "one"}, {unit: 2, "text": "two"}],
        "lines": [*lines("one", **{unit: 1}), *lines("two", **{unit: 2})],
        "fields": {"sum": ["1"]},
    }
    changed, shown = corrected(
        output, (f"/{name}/0/text", "first"), ("/lines/0/text", "1"), ("/fields/sum/0", "2")
    )
    assert (changed["text"], changed[name][0]["text"]) == ("first\ntwo", "first")
    assert changed["fields"] == {"sum": ["2"]}
    assert shown["text"] == shown["parts"] == 3
    whole = correct_output(output, [correction("/text", "all"), correction("/lines/0/text", "1")])
    assert whole.is_whole_text
    assert whole.output["text"] == "all"
    assert whole.shown["text"] == {"/text"}
