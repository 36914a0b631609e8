"""Documents that are stored by themselves: their pages, pictures, lives and ends."""

from __future__ import annotations

import hashlib
import io

import pytest
from PIL import Image

from tests.integration.documents.conftest import sources
from tests.support.documents.drawn import rotated
from tests.support.documents.page_kinds import as_base64, pages
from tests.support.harness import eventually


def post(documents, data: bytes, **fields: str):
    return documents.http.post("/v1/documents", data=fields, files={"document": ("a.pdf", data)})


def test_a_document_is_stored_once_and_tells_its_pages(documents):
    data = pages("tsb")
    answer = post(documents, data)
    assert answer.status_code == 201, answer.text
    document = answer.json()
    digest = hashlib.sha256(data).hexdigest()
    assert (document["id"], document["sha256"]) == (f"doc_{digest}", digest)
    assert (document["kind"], document["bytes"], document["page_count"]) == ("pdf", len(data), 3)
    text, scan, _ = document["pages"]
    assert [page["number"] for page in document["pages"]] == [1, 2, 3]
    assert (text["text_trusted"], text["tokens"], scan["text_trusted"]) == (True, 0, False)
    assert text["text_characters"] > 100
    assert scan["tokens"] > 1000
    assert post(documents, data).json()["id"] == document["id"]
    assert (
        documents.http.get(f"/v1/documents/{document['id']}").json()["pages"] == document["pages"]
    )


def test_json_takes_the_same_and_checks_what_arrives(documents):
    data = pages("t")
    body = {"document": as_base64(data), "sha256": hashlib.sha256(data).hexdigest()}
    assert documents.http.post("/v1/documents", json=body).status_code == 201
    wrong = documents.http.post("/v1/documents", json=body | {"sha256": "0" * 64})
    assert wrong.json()["code"] == "upload_mismatch"


def test_a_page_is_drawn_upright_at_the_size_that_is_asked_for(documents):
    document = post(documents, rotated(pages("t"), 90)).json()
    path = f"/v1/documents/{document['id']}/pages/1/content"
    drawn = documents.http.get(path, params={"dpi": 72})
    assert drawn.headers["Content-Type"] == "image/png"
    picture = Image.open(io.BytesIO(drawn.content))
    assert picture.format == "PNG"
    assert max(picture.size) in range(800, 880)
    assert picture.height > picture.width
    # boxes lie on the page as it is filed
    filed = documents.http.get(path, params={"dpi": 72, "turn": "false"})
    assert Image.open(io.BytesIO(filed.content)).size == picture.size[::-1]
    small = documents.http.get(path, params={"max_pixels": 10_000})
    width, height = Image.open(io.BytesIO(small.content)).size
    assert width * height <= 10_000


def test_jobs_name_it_by_its_id(documents):
    document = post(documents, pages("tst")).json()
    body = {"preset": "ocr", "document": document["id"], "pages": [1, "3"]}
    job = documents.ended(documents.http.post("/v1/jobs", json=body).json())
    assert sources(job) == ["text_layer", "text_layer"]
    assert [page["page"] for page in job["output"]["pages"]] == [1, 3]
    among = documents.http.post("/v1/jobs", json={"preset": "ocr", "images": [document["id"]]})
    assert among.json()["input"]["document"]["id"] == document["id"]


@pytest.mark.parametrize("path", ["", "/pages/1/content", "/pages/9/content"])
def test_unknown_ones_and_pages_are_not_found(documents, path):
    known = post(documents, pages("t")).json()["id"] if path.endswith("9/content") else ""
    name = known or "doc_" + "0" * 64
    assert documents.http.get(f"/v1/documents/{name}{path}").status_code == 404


def test_a_deleted_document_is_gone_for_new_jobs_and_its_pictures(documents):
    document = post(documents, pages("tt")).json()["id"]
    assert documents.http.get(f"/v1/documents/{document}/pages/1/content").status_code == 200
    assert documents.http.delete(f"/v1/documents/{document}").status_code == 204
    assert documents.http.get(f"/v1/documents/{document}/pages/1/content").status_code == 404
    refused = documents.http.post("/v1/jobs", json={"preset": "ocr", "document": document})
    assert refused.json()["code"] == "document_not_found"
    assert documents.http.delete(f"/v1/documents/{document}").status_code == 404


def test_an_erased_job_takes_along_the_document_that_only_it_needed(documents):
    alone, stored = pages("tbt"), pages("bt")
    uploaded = post(documents, stored).json()["id"]
    jobs = [documents.done(alone), documents.done(alone), documents.done(stored)]
    name = jobs[0]["input"]["document"]["id"]
    for job, left in ((jobs[0], 200), (jobs[1], 404)):
        assert documents.http.delete(job["urls"]["self"]).status_code == 204
        assert documents.http.get(f"/v1/documents/{name}").status_code == left
    documents.http.delete(jobs[2]["urls"]["self"])
    assert documents.http.get(f"/v1/documents/{uploaded}").status_code == 200
    with documents.redis.client() as redis:
        ids = [job["id"] for job in jobs]
        left = [key for key in redis.scan_iter("*") if any(one in key for one in ids)]
    assert all(":gone:" in key for key in left)


@pytest.mark.parametrize("kinds", ["s", "t", "ss"])
def test_a_page_and_an_estimate_tell_the_same_seconds_for_the_same_reading(documents, kinds):
    document = documents.http.post("/v1/documents", files={"document": pages(kinds)}).json()["id"]

    def is_told_alike(number: int) -> bool:
        page = documents.http.get(f"/v1/documents/{document}").json()["pages"][number - 1]
        body = {"preset": "ocr", "document": document, "pages": [number]}
        estimate = documents.http.post("/v1/estimate", json=body).json()
        assert page["tokens"] == estimate["image_tokens"]
        own_s = estimate["seconds"]["p50"] - estimate["queue"]["wait_s"]
        return page["predicted_s"] == pytest.approx(own_s, abs=0.002)

    for number in range(1, len(kinds) + 1):
        # an estimate counts what others are doing, and jobs of other tests may still run
        eventually(lambda number=number: is_told_alike(number))
