"""The tables that a text holds: every cell of every row, and the text around them."""

from __future__ import annotations

import pytest

from gateway.results.contents.blocks import DoesNotFit, Grid, Prose, Table
from gateway.results.contents.html_tables import split_blocks
from gateway.results.contents.reading import read_content
from gateway.results.contents.titled_tables import titled_tables


def texts(block):
    return [[cell.text for cell in row] for row in block.rows]


def only_table(text):
    (table,) = [block for block in split_blocks(text) if isinstance(block, Table)]
    return table


def test_rows_longer_than_the_header_keep_all_their_cells():
    table = only_table("| Name | Start date |\n|---|---|\n| Ann | 2020 | 4,200 |\n| Bob |\n")
    assert texts(table) == [
        ["Name", "Start date", ""],
        ["Ann", "2020", "4,200"],
        ["Bob", "", ""],
    ]


@pytest.mark.parametrize(
    ("row", "cells"),
    [
        (r"| a \| b | c |", ["a | b", "c"]),
        ("| a<br>b | c<BR/>d |", ["a\nb", "c\nd"]),
        ("|| x |", ["", "x"]),
        ("| `**x**` | __init__.py |", ["`**x**`", "__init__.py"]),
        ("| =1+1 | -5 |", ["=1+1", "-5"]),
        ('| "q", ; | 表格，全角 |', ['"q", ;', "表格，全角"]),
        ("| שלום | مرحبا |", ["שלום", "مرحبا"]),
    ],
)
def test_cells_are_what_stands_between_bars(row, cells):
    assert texts(only_table(f"| h | i |\n|---|:-:|\n{row}"))[1] == cells


@pytest.mark.parametrize(
    "text",
    [
        "cat a | sort | uniq\nmake up",
        "a | b\n---",
        "Title\n=====\n- x\n+ 5 EUR\n****\n> quote\n# apt update\n  indented\n7. seven",
        "```sh\n| a | b |\n|---|---|\n```",
        "| a |",
        "<table without an end of its tag",
        "<table></table>",
    ],
)
def test_what_is_no_table_stays_as_it_is(text):
    assert list(split_blocks(text)) == [Prose(text)]


def test_a_table_in_a_fence_of_markdown_is_one():
    assert texts(only_table("```markdown\n| a |\n|---|\n| 1 |\n```")) == [["a"], ["1"]]


def test_text_between_tables_is_kept_in_its_place():
    blocks = list(
        split_blocks("above\n\n| a |\n|---|\n| 1 |\n\nbetween | it\n<table><td>x</table>end")
    )
    assert [type(block) for block in blocks] == [Prose, Table, Prose, Table, Prose]
    assert [block.text for block in blocks if isinstance(block, Prose)] == [
        "above",
        "between | it",
        "end",
    ]


def test_html_tables_keep_their_spans():
    table = only_table(
        "<table><thead><tr><th colspan='2'>Q1</th><th rowspan=2>Sum</th></tr>"
        "<tr><th>Jan</th><th>Feb</th></tr></thead>"
        "<tr><td>1&nbsp;&lt;2</td><td>a<br>b</td><td>3</td></tr></table>"
    )
    grid = Grid.of(table)
    assert grid.width == 3
    assert grid.header_rows == 2
    places = {
        (at.row, at.column): (at.cell.columns, at.cell.rows) for row in grid.placed for at in row
    }
    assert places[0, 0] == (2, 1)
    assert places[0, 2] == (1, 2)
    assert list(grid.text_rows()) == [
        ["Q1", "", "Sum"],
        ["Jan", "Feb", ""],
        ["1\xa0<2", "a\nb", "3"],
    ]


@pytest.mark.parametrize(
    ("markup", "rows"),
    [
        ("<table><tr><td>cut", [["cut"]]),
        ("<TABLE><TR><TD>a<TD>b<TR><TD>c</TABLE>", [["a", "b"], ["c", ""]]),
        ("<table><td colspan='-3' rowspan='x'>a</table>", [["a"]]),
        ("<table><td rowspan='0'>a</td><td>b</td><tr><td>c</table>", [["a", "b"], ["", "c"]]),
        ("<table><td>out<table><td>in</table></td><td>b</table>", [["outin", "b"]]),
        ("<table>loose<td>a</table>", [["loose", "a"]]),
        ("<table><td><script>alert(1)</script></table>", [["alert(1)"]]),
    ],
)
def test_broken_html_still_gives_its_cells(markup, rows):
    assert list(Grid.of(only_table(markup)).text_rows()) == rows


def test_a_few_letters_cannot_make_a_huge_grid():
    row = "<tr>" + "<td colspan=1000 rowspan=2>x" * 50
    with pytest.raises(DoesNotFit):
        Grid.of(only_table("<table>" + row * 200))


def test_long_lines_and_open_tags_take_no_more_than_their_length():
    for text in ("<table" * 200_000, "| " * 300_000, "|" + "-" * 1_000_000, "\\|" * 300_000):
        assert list(split_blocks(text + "\n" + text))


def page(number, text, **more):
    return {"page": number, "text": text, "source": "model", "gap": False, "warnings": [], **more}


def test_a_table_that_goes_on_over_pages_is_one_and_names_them():
    head = "| a | b |\n|---|---|\n"
    pages = [
        page(2, f"before\n{head}| 1 | 2 |"),
        page(3, f"{head}| 3 | 4 |"),
        page(4, "| 5 | 6 |\n|---|---|\n| 7 | 8 |\nafter"),
        page(5, f"{head}| 9 | 9 |"),
    ]
    tables = titled_tables(read_content({"text": "", "pages": pages}, "t", "en"), "en")
    assert [one.title for one in tables] == ["Table 1 (Pages 2-4)", "Table 2 (Page 5)"]
    assert texts(tables[0].table) == [
        ["a", "b"],
        *(["1 2", "3 4", "5 6", "7 8"][n].split() for n in range(4)),
    ]
    assert not any(cell.is_header for row in tables[0].table.rows[1:] for cell in row)


def test_the_text_of_a_born_digital_page_has_no_tables():
    text = "| a |\n|---|\n| 1 |"
    content = read_content({"text": "", "pages": [page(1, text, source="text_layer")]}, "t", "en")
    assert content.pages[0].blocks == (Prose(text),)
