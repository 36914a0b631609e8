"""The files that results become, opened again by the libraries that read them."""

from __future__ import annotations

import csv
import io
import re
from html.parser import HTMLParser

import docx
import openpyxl
import pytest
from docx.oxml.ns import qn

from gateway.results.contents.blocks import DoesNotFit
from gateway.results.contents.reading import read_content
from gateway.results.forms import ResultForm
from gateway.results.render import render
from gateway.results.writers.plain import write_markdown, write_text

HOSTILE = [
    "two\nlines",
    "a | b",
    'say "hi", she; said',
    "表格 單元格 セル",
    "שלום עולם",
    "=cmd|' /C calc'!A0",
    "+1+1",
    "-2+3",
    "@SUM(A1)",
    "<script>alert(1)</script>&amp;",
    "control \x00\x0b\x1f\ufffe end",
    "half a pair \ud800 end",
    "_x0041_ stays",
    "tab\tin it",
    "   ",
]
SAFE = [re.sub("[\x00\x0b\x1f\ufffe\ud800]", "\ufffd", text) for text in HOSTILE]


def markdown(rows):
    lines = [
        "| " + " | ".join(cell.replace("|", r"\|").replace("\n", "<br>") for cell in row) + " |"
        for row in rows
    ]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])


def output(text, **more):
    return {"text": text, "fields": {}, "finish_reason": "stop", "partial": False, **more}


def rendered(form, text, language="en", **more):
    return render(ResultForm(form), output(text, **more), "scan.png", language)


TABLE = markdown([["n", "cell"], *([str(n), cell] for n, cell in enumerate(HOSTILE))])
SPANS = (
    "Head\n<table><tr><th colspan=2>Q1</th><th rowspan=2>Sum</th></tr>"
    "<tr><th>Jan</th><th>Feb</th></tr><tr><td>1</td><td>2</td><td>3</td></tr></table>"
)


class Cells(HTMLParser):
    """Reads the cells of a page back, and every tag and attribute that it meets."""

    def __init__(self, html):
        super().__init__()
        self.cells, self.tags, self.attributes = [], [], []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_data(self, data):
        if self.cells and self.lasttag in ("td", "th"):
            self.cells[-1] += data


def cells_of(html):
    return [cell.rstrip("\n") for cell in re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", html, re.DOTALL)]


def test_html_escapes_everything_and_loads_nothing():
    html = rendered("html", f"<img src=x onerror=alert(1)>\n\n{TABLE}").decode()
    page = Cells(html)
    assert {"script", "img", "link", "iframe"}.isdisjoint(page.tags)
    assert not [
        name for name, _ in page.attributes if name.startswith("on") or name in ("src", "href")
    ]
    assert [cell.rstrip("\n") for cell in page.cells[3::2]] == [cell.strip() for cell in SAFE]
    assert "&lt;img src=x" in html


def test_html_keeps_spans_pages_and_what_is_missing():
    html = rendered("html", SPANS, finish_reason="length").decode()
    assert '<th dir="auto" colspan="2">Q1</th><th dir="auto" rowspan="2">Sum</th>' in html
    assert "cut off at its maximum length" in html
    pages = [
        {
            "page": 3,
            "text": "three",
            "source": "model",
            "warnings": [{"code": "x", "detail": "Turned."}],
        },
        {"page": 9, "text": "[unread]", "source": "model", "gap": True, "warnings": []},
    ]
    html = rendered("html", "", "zh", pages=pages).decode()
    assert re.findall(r'section id="([^"]+)"', html) == ["page-3", "page-9"]
    assert "第 9 页" in html
    assert "有一部分未能识别。" in html
    assert "Turned." in html


def test_csv_gives_every_cell_back_and_nothing_to_compute():
    text = rendered("csv", f"around\n\n{TABLE}").decode("utf-8-sig")
    rows = list(csv.reader(io.StringIO(text, newline="")))
    computed = ("=", "+", "-", "@")
    expected = [f"'{c.strip()}" if c.startswith(computed) else c.strip() for c in HOSTILE]
    expected = [c.replace("\x00", "\ufffd").replace("\ud800", "?") for c in expected]
    assert rows == [["n", "cell"], *([str(n), cell] for n, cell in enumerate(expected))]


@pytest.mark.parametrize("number", ["-5", "+3.5", "-1,249.90", "12 %", "-", "—", "--"])
def test_csv_leaves_numbers_and_dashes_alone(number):
    text = rendered("csv", markdown([["a", "b"], [number, "x"]])).decode("utf-8-sig")
    assert next(csv.reader(text.splitlines()[1:]))[0] == number


def test_csv_names_each_of_several_tables():
    two = markdown([["a", "b"], ["1", "2"]]) + "\n\ntext\n\n" + markdown([["c", "d"], ["3", "4"]])
    text = rendered("csv", two, fields={"emails": ["a@b.c"]}).decode("utf-8-sig")
    assert text.split("\r\n") == [
        *("Fields", "Field,Value", "emails,a@b.c", ""),
        *("Table 1", "a,b", "1,2", ""),
        *("Table 2", "c,d", "3,4", ""),
    ]


def test_csv_of_text_alone_has_its_lines():
    text = rendered("csv", "one\n\n=two, 2").decode("utf-8-sig")
    assert text == 'one\r\n""\r\n"\'=two, 2"\r\n' or text == 'one\r\n\r\n"\'=two, 2"\r\n'


def workbook(data):
    return openpyxl.load_workbook(io.BytesIO(data))


def test_xlsx_has_text_where_others_would_have_formulas():
    sheet = workbook(rendered("xlsx", TABLE)).worksheets[0]
    cells = [row[1] for row in sheet.iter_rows(min_row=2)]
    assert {cell.data_type for cell in cells} <= {"s", "n", "inlineStr"}
    values = [(cell.value or "") for cell in cells]
    assert values == [c.strip().replace("_x0041_", "_x005F_x0041_") for c in SAFE]
    assert [cell.value for cell in next(iter(sheet.iter_cols()))][1:3] == [0, 1]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("42", 42),
        ("12.50", 12.5),
        ("007", "007"),
        ("1.234", "1.234"),
        ("1,234.50", "1,234.50"),
        ("-5", "-5"),
        ("6222021234567890123", "6222021234567890123"),
        ("1e5", "1e5"),
        ("٣٤", "٣٤"),
    ],
)
def test_xlsx_takes_only_plain_numbers_for_numbers(text, value):
    sheet = workbook(rendered("xlsx", markdown([["a", "b"], [text, ""]]))).worksheets[0]
    assert sheet["A2"].value == value


def test_xlsx_has_a_sheet_for_each_table_its_text_and_its_notes():
    text = f"{SPANS}\n\nbetween\n\n{markdown([['a', 'b'], ['1', '2']])}"
    book = workbook(rendered("xlsx", text, finish_reason="length"))
    assert book.sheetnames == ["Table 1", "Table 2", "Text", "Notes"]
    assert sorted(map(str, book["Table 1"].merged_cells.ranges)) == ["A1:B1", "C1:C2"]
    assert [cell.value for cell in book["Table 1"][3]] == [1, 2, 3]
    assert [row[0].value for row in book["Text"]] == ["Head", "between"]
    assert "cut off" in book["Notes"]["A1"].value


def test_xlsx_refuses_a_cell_that_excel_would_cut():
    with pytest.raises(DoesNotFit, match="32767"):
        rendered("xlsx", markdown([["a", "b"], ["x" * 40_000, ""]]))


def test_docx_keeps_text_and_spans():
    document = docx.Document(io.BytesIO(rendered("docx", f"{SPANS}\n\n# apt update\n\n{TABLE}")))
    lines = [paragraph.text for paragraph in document.paragraphs]
    assert lines[0] == "scan.png"
    assert "# apt update" in lines
    first, second = document.tables
    assert first.cell(0, 0).text == first.cell(0, 1).text == "Q1"
    assert first.cell(0, 2).text == first.cell(1, 2).text == "Sum"
    assert [first.cell(2, column).text for column in range(3)] == ["1", "2", "3"]
    assert [second.cell(row, 1).text for row in range(1, len(SAFE) + 1)] == [
        c.strip() for c in SAFE
    ]
    rtl = next(cell for cell in second.columns[1].cells if "שלום" in cell.text)
    assert rtl.paragraphs[0]._p.find(f"{qn('w:pPr')}/{qn('w:bidi')}") is not None


def test_docx_has_pages():
    pages = [
        {"page": 1, "text": "one", "source": "text_layer", "warnings": []},
        {"page": 2, "text": "two", "source": "model", "warnings": []},
    ]
    document = docx.Document(io.BytesIO(rendered("docx", "", pages=pages)))
    texts = [paragraph.text.strip() for paragraph in document.paragraphs]
    assert [text for text in texts if text] == ["scan.png", "Page 1", "one", "Page 2", "two"]


def test_text_and_markdown_tell_pages_apart_and_change_nothing():
    pages = [{"page": 1, "text": "# one"}, {"page": 4, "text": "four"}]
    assert write_text(output("", pages=pages)) == "# one\n\ffour\n"
    assert write_markdown(output("", pages=pages)).split("\n")[0::2] == [
        "<!-- page 1 -->",
        "# one",
        "<!-- page 4 -->",
        "four",
    ]
    assert (
        write_text(output("__init__.py")) == write_markdown(output("__init__.py")) == "__init__.py"
    )


MANY = markdown([["n", "text", "sum"], *([str(n), "a cell", "1.00"] for n in range(50_000))])


@pytest.mark.parametrize("form", ["html", "csv", "xlsx", "docx"])
def test_fifty_thousand_rows_are_all_there(form):
    data = rendered(form, MANY)
    if form == "xlsx":
        rows = (
            openpyxl.load_workbook(io.BytesIO(data), read_only=True)
            .worksheets[0]
            .iter_rows(values_only=True)
        )
        assert sum(1 for _ in rows) == 50_001
    elif form == "docx":
        document = docx.Document(io.BytesIO(data))
        assert len(document.element.body.findall(f"{qn('w:tbl')}/{qn('w:tr')}")) == 50_001
    else:
        assert data.count(b"a cell") == 50_000


def test_an_empty_answer_is_an_empty_file_of_each_form():
    for form in ("html", "csv", "xlsx", "docx"):
        assert rendered(form, "")


def test_what_another_version_stores_is_read():
    content = read_content(
        {"text": "x", "finish_reason": "new_reason", "partial": False}, "t", "en"
    )
    assert content.notes == ()


def test_several_images_are_told_apart_and_their_tables_never_joined():
    table = markdown([["a", "b"], ["1", "2"]])
    images = [{"image": n, "text": table, "gap": False} for n in range(2)]
    book = workbook(rendered("xlsx", "joined", images=images))
    assert book.sheetnames == ["Table 1 (Image 1)", "Table 2 (Image 2)"]
    assert re.findall('section id="([^"]+)"', rendered("html", "", images=images).decode()) == [
        *("image-1", "image-2")
    ]
    assert write_text(output("", images=images)) == f"{table}\n\f{table}\n"
    assert write_markdown(output("", images=images)).startswith("<!-- image 1 -->")
