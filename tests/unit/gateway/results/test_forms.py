"""Which form a request gets, and the name that its file has."""

from __future__ import annotations

import pytest
from werkzeug.http import parse_accept_header

from gateway.results.file_name import clean_name, content_disposition, stem_of
from gateway.results.forms import ResultForm, choose_form

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("", "text"),
        ("*/*", "text"),
        ("text/*", "text"),
        ("application/*", "json"),
        ("application/json", "json"),
        ("application/json, text/plain, */*", "text"),
        ("application/json, */*", "json"),
        ("text/html;q=0.2, text/csv;q=0.7", "csv"),
        ("text/csv;q=0.7, text/html;q=0.71", "html"),
        ("text/plain;q=0, */*", "markdown"),
        ("TEXT/CSV", "csv"),
        (XLSX, "xlsx"),
        (f"application/rtf, {XLSX};q=0.1", "xlsx"),
        (BROWSER, "html"),
        ("application/pdf", "pdf"),
        ("text/vnd.hocr+html", "hocr"),
        ("application/rtf", None),
        ("text/html;q=0", None),
        ("*/*;q=0", None),
        ("image/*, text/rtf", None),
    ],
)
def test_accept_is_weighed_as_http_says(accept, form):
    ranges = [(name, q) for name, q in parse_accept_header(accept)]
    assert choose_form(ranges) == (ResultForm(form) if form else None)


def test_a_result_without_places_has_fewer_forms():
    assert choose_form([("application/pdf", 1.0), ("text/csv", 0.1)], has_places=False) == "csv"
    assert choose_form([("application/pdf", 1.0)], has_places=False) is None


@pytest.mark.parametrize(
    ("name", "cleaned"),
    [
        ("scan.pdf", "scan.pdf"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\rechnung.png", "rechnung.png"),
        ("a\r\nSet-Cookie: x.png", "aSet-Cookie x.png"),
        ("发票\u202e图.png", "发票图.png"),
        ("", None),
        (None, None),
        ("...", None),
        ("x" * 300 + ".png", "x" * 196 + ".png"),
    ],
)
def test_names_that_senders_give_are_cleaned(name, cleaned):
    assert clean_name(name) == cleaned


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("note.csv", 'attachment; filename="note.csv"'),
        (
            "Straße 5.csv",
            "attachment; filename=\"Strae 5.csv\"; filename*=UTF-8''Stra%C3%9Fe%205.csv",
        ),
        (
            "发票.csv",
            "attachment; filename=\"result.csv\"; filename*=UTF-8''%E5%8F%91%E7%A5%A8.csv",
        ),
    ],
)
def test_the_header_carries_any_name(name, header):
    assert content_disposition(name, is_file=True) == header


def test_a_stem_never_is_empty():
    assert stem_of("a.tar.gz") == "a.tar"
    assert stem_of(".png") == "png"
    assert stem_of("..") == "result"
