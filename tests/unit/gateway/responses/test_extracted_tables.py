"""Tables taken out of a page's text, as Mistral does."""

from __future__ import annotations

from gateway.responses.reading_apis.pages import ReadPage
from gateway.responses.reading_apis.tables import extract_tables

_MARKDOWN = "Before\n\n| a | b |\n|---|---|\n| 1 \\| 2 | 3<br>4 |\n\nAfter"
_SPANS = "<table><tr><th colspan=2>T</th></tr><tr><td>1</td><td>2</td></tr></table>"


def test_a_link_stands_where_a_table_was():
    text, (table,) = extract_tables(_MARKDOWN, "html")
    assert text == "Before\n\n[tbl-0.html](tbl-0.html)\n\nAfter"
    assert (table["id"], table["format"]) == ("tbl-0.html", "html")
    assert '<td dir="auto">1 | 2</td>' in table["content"]
    text, (table,) = extract_tables(_MARKDOWN, "markdown")
    assert table["content"] == "| a | b |\n| --- | --- |\n| 1 \\| 2 | 3<br>4 |"


def test_spans_stay_in_html_and_are_filled_up_in_markdown():
    _, (table,) = extract_tables(_SPANS, "html")
    assert 'colspan="2"' in table["content"]
    _, (table,) = extract_tables(_SPANS, "markdown")
    assert table["content"] == "| T |  |\n| --- | --- |\n| 1 | 2 |"


def test_text_without_tables_stays_as_it_is():
    assert extract_tables("a | b\nc", "html") == ("a | b\nc", [])


def test_only_the_outermost_lines_of_header_and_footer_go():
    page = ReadPage(1, "Top\nx\nTop\nx\nEnd\nEnd", has_markup=True, header="Top", footer="End")
    assert page.without(header=True, footer=True) == "x\nTop\nx\nEnd"
    assert page.without(header=False, footer=False) == page.text
