"""Documents through the Python client and the command line."""

from __future__ import annotations

import asyncio
import json

import pytest

from sightline import AsyncClient, Client, JobFailed
from sightline.cli import Exit, main
from tests.support.documents.page_kinds import pages, tiff


@pytest.fixture
def client(documents):
    with Client(str(documents.http.base_url)) as made:
        yield made


@pytest.fixture
def run(documents, monkeypatch, capsys):
    monkeypatch.setenv("SIGHTLINE_URL", str(documents.http.base_url))

    def command(*words):
        status = main([str(word) for word in words])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return command


@pytest.fixture
def scan(tmp_path):
    path = tmp_path / "scan.pdf"
    path.write_bytes(pages("tstb"))
    return path


def test_pages_come_as_they_become_ready_each_once(client, scan):
    reading = client.read(scan)
    came = list(reading)
    assert sorted(page.number for page in came) == [1, 2, 3, 4]
    assert [page.number for page in came][-1] == 2
    answer = reading.result()
    assert [page.number for page in answer.pages] == [1, 2, 3, 4]
    assert {page.number: page.text for page in came}[1] == answer.pages[0].text != ""
    assert [page.source for page in answer.pages] == ["text_layer", "model", "text_layer", "blank"]
    assert list(reading) == came


def test_some_pages_of_a_document_that_is_stored_or_a_picture(client, scan, documents):
    stored = documents.http.post("/v1/documents", files={"document": scan.read_bytes()}).json()
    assert [page.number for page in client.read(stored["id"], pages="-1,1")] == [4, 1]
    (only,) = client.read(tiff(1))
    assert (only.number, only.text) == (1, only.text)
    assert only.text


def test_a_document_is_read_without_waiting_for_others(documents, scan):
    async def read():
        async with AsyncClient(str(documents.http.base_url)) as client:
            reading = await client.read(scan, pages="1-3")
            numbers = [page.number async for page in reading]
            return numbers, (await reading.result()).text

    numbers, text = asyncio.run(read())
    assert sorted(numbers) == [1, 2, 3]
    assert text


def test_a_reading_that_fails_says_so_behind_its_pages(client, scan):
    reading = client.read(scan)
    reading.job.cancel()
    if reading.job.status != "succeeded":
        with pytest.raises(JobFailed):
            list(reading)


def test_documents_of_a_folder_become_texts_and_are_not_read_twice(run, scan, tmp_path):
    out = tmp_path / "texts"
    (tmp_path / "two.tiff").write_bytes(tiff(2))
    status, _, err = run("ocr", scan, tmp_path / "two.tiff", "--out", out, "--format", "md")
    assert (status, err.splitlines()[0]) == (Exit.OK, "2 read, 0 skipped, 0 failed")
    text = (out / "scan.md").read_text()
    marks = [line for line in text.splitlines() if line.startswith("<!-- page")]
    assert marks == [f"<!-- page {n} -->" for n in (1, 2, 3, 4)]
    assert (out / "two.md").read_text().count("<!-- page") == 2
    assert run("ocr", scan, "--out", out, "--format", "md")[2] == "0 read, 1 skipped, 0 failed\n"


def test_some_pages_as_json(run, scan, tmp_path):
    words = ("ocr", scan, "--out", tmp_path / "json", "--format", "json", "--pages", "2-3")
    assert run(*words)[0] == Exit.OK
    written = json.loads((tmp_path / "json" / "scan.json").read_text())
    assert [page["page"] for page in written["pages"]] == [2, 3]
    assert written["pages"][1]["text"] in written["text"]


def test_a_wrong_page_is_told_with_the_file(run, scan, tmp_path):
    status, _, err = run("ocr", scan, "--out", tmp_path / "no", "--pages", "9")
    assert status == Exit.FAILED
    assert "scan.pdf: page_out_of_range" in err


def test_a_question_about_a_document(run, scan):
    status, out, _ = run("ask", scan, "What is the total?", "--pages", "1")
    assert status == Exit.OK
    assert out.strip()


def test_what_was_read_is_saved_under_the_name_of_the_document(documents, scan):
    job = documents.done(scan.read_bytes())
    answer = documents.http.get(job["urls"]["result"], params={"format": "docx"})
    assert 'filename="a.docx"' in answer.headers["Content-Disposition"]


@pytest.mark.parametrize("form", ["text", "markdown", "html", "csv"])
def test_the_result_of_a_question_is_its_answer_and_not_the_pages(documents, scan, form):
    job = documents.done(scan.read_bytes(), prompt="What is the total?")
    answer = documents.http.get(job["urls"]["result"], params={"format": form})
    assert job["output"]["text"] in answer.content.decode("utf-8-sig")
