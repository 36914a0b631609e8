"""The result of a job in the forms that people use."""

from __future__ import annotations

import base64
import csv
import io
import json

import docx
import openpyxl
import pytest

from tests.support.images.image_bytes import text_png
from tests.support.measures.stalls import bearable_s, longest_wait_s

TABLE = "| Item | Sum |\n|---|---|\n| Tea, green | 3.50 |\n| =1+1 | 4 | extra |"
OFFICE = "application/vnd.openxmlformats-officedocument"
KINDS = {
    "text": "text/plain",
    "markdown": "text/markdown",
    "json": "application/json",
    "html": "text/html",
    "csv": "text/csv",
    "xlsx": f"{OFFICE}.spreadsheetml.sheet",
    "docx": f"{OFFICE}.wordprocessingml.document",
}


@pytest.fixture(scope="module")
def table_job(served):
    """A job about an uploaded file whose answer is a table."""
    form = {"prompt": "?", "choices": json.dumps([TABLE]), "max_new_tokens": 400}
    files = {"image": ("Rechnung März.png", text_png("x"), "image/png")}
    headers = {"Prefer": "wait=60"}
    answer = served.http.post("/v1/jobs", data=form, files=files, headers=headers)
    job = answer.json()
    assert job["output"]["text"] == TABLE, job
    return job


@pytest.mark.parametrize("form", KINDS)
def test_every_form_can_be_named_or_accepted(served, table_job, form):
    path = table_job["urls"]["result"]
    named = served.http.get(path, params={"format": form}, headers={"Accept": "application/pdf"})
    accepted = served.http.get(path, headers={"Accept": f"application/pdf, {KINDS[form]};q=0.2"})
    for answer in (named, accepted):
        assert answer.status_code == 200
        assert answer.headers["Content-Type"].split(";")[0] == KINDS[form]
        assert answer.headers["Vary"] == "Accept, Accept-Language"
        assert "filename*=UTF-8''Rechnung%20M%C3%A4rz." in answer.headers["Content-Disposition"]
        assert "X-Sightline-Incomplete" not in answer.headers
    if form not in ("xlsx", "docx"):
        assert named.content == accepted.content


def test_whoever_asks_for_nothing_gets_the_text_as_the_job_has_it(served, table_job):
    path = table_job["urls"]["result"]
    for accept in ("*/*", "text/*", ""):
        answer = served.http.get(path, headers={"Accept": accept})
        assert (answer.text, answer.headers["Content-Type"]) == (TABLE, "text/plain; charset=utf-8")


def test_the_files_hold_the_whole_table(served, table_job):
    def read(form):
        return served.http.get(table_job["urls"]["result"], params={"format": form})

    rows = [["Item", "Sum", ""], ["Tea, green", "3.50", ""], ["=1+1", "4", "extra"]]
    defused = [row if row[0] != "=1+1" else ["'=1+1", *row[1:]] for row in rows]
    text = read("csv").content.decode("utf-8-sig")
    assert list(csv.reader(io.StringIO(text, newline=""))) == defused
    sheet = openpyxl.load_workbook(io.BytesIO(read("xlsx").content)).worksheets[0]
    values = [[cell.value for cell in row] for row in sheet]
    assert values == [["Item", "Sum", None], ["Tea, green", 3.5, None], ["=1+1", 4, "extra"]]
    assert sheet["A3"].data_type != "f"
    (table,) = docx.Document(io.BytesIO(read("docx").content)).tables
    assert [[cell.text for cell in row.cells] for row in table.rows] == rows
    html = read("html")
    assert '<td dir="auto">extra</td>' in html.text
    assert "sandbox" in html.headers["Content-Security-Policy"]


def test_what_is_not_offered_is_refused_with_what_is(served, table_job):
    path = table_job["urls"]["result"]
    refused = served.http.get(path, headers={"Accept": "image/png, text/html;q=0"})
    assert (refused.status_code, refused.json()["code"]) == (406, "not_acceptable")
    unknown = served.http.get(path, params={"format": "rtf"})
    assert (unknown.status_code, unknown.json()["code"]) == (422, "bad_parameters")


def test_what_shows_places_is_refused_where_there_are_none(served, table_job):
    path = table_job["urls"]["result"]
    overlay = path.replace("/result", "/overlay.svg")
    wordless = served.ended(max_new_tokens=2)
    for answer in (
        # a job without any image
        served.http.get(wordless["urls"]["result"].replace("/result", "/overlay.svg")),
        served.http.get(path, params={"format": "pdf"}),
        served.http.get(path, headers={"Accept": "text/vnd.hocr+html"}),
        served.http.get(overlay),
    ):
        assert (answer.status_code, answer.json()["code"]) == (409, "no_places")
        assert "boxes=word" in answer.json()["hint"]
    wrong = served.http.get(overlay, params={"image": -1})
    assert (wrong.status_code, wrong.json()["code"]) == (422, "bad_parameters")


def test_an_answer_that_was_cut_off_says_so_in_every_form(served):
    job = served.ended(max_new_tokens=2)
    assert job["output"]["finish_reason"] == "length"
    for form in KINDS:
        answer = served.http.get(job["urls"]["result"], params={"format": form})
        assert answer.headers["X-Sightline-Incomplete"] == "length"
    html = served.http.get(
        job["urls"]["result"], params={"format": "html"}, headers={"Accept-Language": "zh-CN"}
    ).text
    assert "回答达到长度上限" in html
    assert f'<h1 dir="auto">{job["id"]}</h1>' in html


def grow(served, job, **output):
    """Give a job an output as large as documents have."""
    key = f"sl:job:{job['id']}"
    redis = served.redis.client()
    assert redis.hexists(key, "output")
    redis.hset(key, "output", json.dumps(job["output"] | output))


@pytest.fixture
def large_job(served):
    job = served.ended(max_new_tokens=2)
    rows = "\n".join(f"| {n} | some words | 12.50 |" for n in range(20_000))
    grow(served, job, text=f"| n | words | sum |\n|---|---|---|\n{rows}", finish_reason="stop")
    return job


@pytest.mark.parametrize("form", ["html", "csv", "xlsx", "docx"])
def test_a_large_result_keeps_nobody_waiting(served, large_job, form):
    bearable = bearable_s(served.http)

    def fetch():
        answer = served.http.get(large_job["urls"]["result"], params={"format": form})
        assert answer.status_code == 200
        assert len(answer.content) > 50_000

    assert longest_wait_s(served.http, fetch) < bearable


def test_what_no_sheet_can_hold_is_refused_with_another_way(served):
    job = served.ended(max_new_tokens=2)
    grow(served, job, text=f"| a | b |\n|---|---|\n| {'x' * 40_000} | |")
    answer = served.http.get(job["urls"]["result"], params={"format": "xlsx"})
    assert (answer.status_code, answer.json()["code"]) == (422, "result_too_large")
    assert "32767" in answer.json()["detail"]
    assert served.http.get(job["urls"]["result"], params={"format": "csv"}).status_code == 200


def test_pages_are_told_apart_in_every_form(served):
    job = served.ended(max_new_tokens=2)
    head = "| a | b |\n|---|---|\n"
    page = {"source": "model", "gap": False, "confidence": 0.9, "warnings": [], "tiles": 0}
    pages = [
        page | {"page": 2, "text": f"two\n{head}| 1 | 2 |"},
        page | {"page": 3, "text": f"{head}| 3 | 4 |"},
        page | {"page": 7, "text": "[unread: page 7]", "gap": True},
    ]
    grow(served, job, text="joined", pages=pages, finish_reason="stop", partial=True)

    def read(form):
        answer = served.http.get(job["urls"]["result"], params={"format": form})
        assert answer.headers["X-Sightline-Incomplete"] == "partial"
        return answer

    assert served.http.get(job["urls"]["result"]).text == "joined"
    assert [part.split("\n")[0] for part in read("text").text.split("\f")] == [
        *("two", "| a | b |", "[unread: page 7]")
    ]
    assert [line for line in read("markdown").text.splitlines() if line.startswith("<!--")] == [
        *("<!-- page 2 -->", "<!-- page 3 -->", "<!-- page 7 -->")
    ]
    assert read("csv").content.decode("utf-8-sig").split() == ["a,b", "1,2", "3,4"]
    assert "A part could not be read." in read("html").text
    book = openpyxl.load_workbook(io.BytesIO(read("xlsx").content))
    assert book.sheetnames == ["Table 1 (Pages 2-3)", "Text", "Notes"]
    assert "Page 7: A part could not be read." in [row[0].value for row in book["Notes"]]
    texts = [p.text for p in docx.Document(io.BytesIO(read("docx").content)).paragraphs]
    assert [text for text in texts if text.startswith("Page")] == ["Page 2", "Page 3", "Page 7"]


def test_a_job_tells_the_names_of_its_files(table_job, served):
    assert table_job["input"]["images"][0]["name"] == "Rechnung März.png"
    image = base64.b64encode(text_png("x")).decode()
    assert "name" not in served.ended(images=[image])["input"]["images"][0]


def test_a_job_without_images_has_no_picture_with_boxes(served):
    job = served.ended("What?")
    answer = served.http.get(f"/v1/jobs/{job['id']}/overlay.svg")
    assert (answer.status_code, answer.json()["code"]) == (409, "no_places")
