"""Open WebUI's external document loader, in the requests that it sends."""

from __future__ import annotations

from urllib.parse import quote

from tests.support.documents.page_kinds import pages
from tests.support.images.image_bytes import plain_png


def load(documents, data: bytes, kind: str, name: str):
    headers = {"Content-Type": kind, "X-Filename": quote(name), "Authorization": "Bearer any"}
    return documents.http.put("/process", content=data, headers=headers)


def test_a_document_is_a_text_for_each_page(documents):
    answer = load(documents, pages("ts"), "application/pdf", "账单 1.pdf")
    assert answer.status_code == 200, answer.text
    first, second = answer.json()
    assert first["page_content"]
    assert second["page_content"]
    metadata = first["metadata"]
    assert (metadata["page"], metadata["page_label"], metadata["total_pages"]) == (0, 1, 2)
    assert metadata["file_name"] == "账单 1.pdf"
    # databases of vectors take nothing else
    assert all(isinstance(value, str | int) for value in metadata.values())
    job = documents.http.get(f"/v1/jobs/{metadata['job_id']}").json()
    assert job["status"] == "succeeded"


def test_an_image_is_a_text(documents):
    (only,) = load(documents, plain_png("navy"), "image/png", "a.png").json()
    assert only["page_content"]
    assert only["metadata"]["file_name"] == "a.png"


def test_errors_say_why_where_the_loader_looks(documents):
    refused = load(documents, b"PK\3\4 no image", "application/zip", "a.zip")
    assert refused.status_code == 415
    assert isinstance(refused.json()["detail"], str)
    assert load(documents, b"", "application/pdf", "a.pdf").status_code == 422
    broken = load(documents, b"%PDF-1.4\nnothing", "application/pdf", "a.pdf")
    assert (broken.status_code, broken.json()["code"]) == (422, "document_damaged")


def test_a_post_names_what_is_served(documents):
    assert documents.http.post("/process").headers["Allow"] == "OPTIONS, PUT"
