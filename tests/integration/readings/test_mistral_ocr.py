"""Mistral's OCR in the requests that Open WebUI, LibreChat, LiteLLM and paperless-gpt send."""

from __future__ import annotations

import base64
import io
import json
import re

import httpx
import numpy as np
import pytest
from PIL import Image
from reportlab.lib.utils import ImageReader

from tests.support.documents.drawn import pdf, prose, write
from tests.support.documents.page_kinds import as_base64, pages
from tests.support.harness import eventually
from tests.support.images.image_bytes import plain_png

IMAGE = "data:image/png;base64," + base64.b64encode(plain_png("teal")).decode()


def data_uri(data: bytes) -> str:
    return "data:application/pdf;base64," + as_base64(data)


def read(http: httpx.Client, document: dict, **options: object) -> httpx.Response:
    body = {"model": "mistral-ocr-latest", "document": document, **options}
    return http.post("/v1/ocr", json=body)


def read_pdf(http: httpx.Client, data: bytes, **options: object) -> dict:
    answer = read(http, {"type": "document_url", "document_url": data_uri(data)}, **options)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_file_is_uploaded_linked_read_and_deleted_as_open_webui_does(documents):
    data = pages("ts")
    upload = documents.http.post(
        "/v1/files", files={"file": ("a.pdf", data)}, data={"purpose": "ocr"}
    ).json()
    assert (upload["purpose"], upload["bytes"]) == ("ocr", len(data))
    assert (upload["sample_type"], upload["source"]) == ("ocr_input", "upload")
    path = f"/v1/files/{upload['id']}"
    url = documents.http.get(f"{path}/url", params={"expiry": 1}).json()["url"]
    assert re.fullmatch(
        rf"{documents.http.base_url}/files/link_[0-9a-f]{{48}}".replace("//f", "/f"), url
    )
    # whoever has the link needs no key
    followed = httpx.get(url)
    assert followed.content == data
    assert followed.headers["Content-Disposition"] == "attachment"
    body = {"type": "document_url", "document_url": url}
    answer = read(documents.http, body, include_image_base64=False).json()
    assert [page["index"] for page in answer["pages"]] == [0, 1]
    assert all(page["markdown"] for page in answer["pages"])
    assert answer["usage_info"] == {"pages_processed": 2, "doc_size_bytes": len(data)}
    assert answer["model"] == "simulated"
    assert answer["warnings"] == []
    by_id = read(documents.http, {"type": "file", "file_id": upload["id"]}).json()
    assert by_id["pages"] == answer["pages"]
    # wherever URLs of documents are taken, by whatever name of this service
    other_name = re.sub("//[^/]+", "//sightline.internal:1/below", url)
    job = documents.http.post("/v1/jobs", json={"preset": "ocr", "document": other_name})
    assert job.status_code == 202, job.text
    assert documents.http.delete(path).json()["deleted"] is True
    assert httpx.get(url).status_code == 404
    assert read(documents.http, body).status_code == 422


def test_an_image_is_one_page_as_librechat_and_paperless_gpt_send_it(documents):
    shapes = ({"image_url": IMAGE}, {"image_url": {"url": IMAGE}}, {"document_url": IMAGE})
    for shape in shapes:
        kind = next(iter(shape))
        document = {"type": kind, **shape}
        answer = read(documents.http, document, image_limit=0, include_image_base64=False).json()
        (page,) = answer["pages"]
        assert page["markdown"]
        assert page["dimensions"]["dpi"] == 72
        assert (page["index"], page["images"], page["tables"]) == (0, [], [])
        assert answer["usage_info"]["pages_processed"] == 1
    first = read(documents.http, {"type": "image_url", "image_url": IMAGE}, pages=[0])
    assert first.status_code == 200
    second = read(documents.http, {"type": "image_url", "image_url": IMAGE}, pages=[1])
    assert (second.status_code, second.json()["param"]) == (422, "/pages")


def test_pages_count_from_0(documents):
    data = pages("ttttt")
    for named, expected in (
        ([0, 2], [0, 2]),
        ("1-2,4", [1, 2, 4]),
        ("3", [3]),
        ([], [0, 1, 2, 3, 4]),
    ):
        answer = read_pdf(documents.http, data, pages=named)
        assert [page["index"] for page in answer["pages"]] == expected
        sizes = [page["dimensions"] for page in answer["pages"]]
        assert {size["dpi"] for size in sizes} == {150}
        assert {(size["width"], size["height"]) for size in sizes} == {(1240, 1754)}
    document = {"type": "document_url", "document_url": data_uri(data)}
    answer = read(documents.http, document, pages=[5])
    assert answer.status_code == 422
    assert "count from 0" in answer.json()["message"]
    for wrong in ("x", "1-", "-1", [-1], [1.5], "9" * 20_000):
        assert read(documents.http, document, pages=wrong).status_code == 422


def test_headers_and_footers_are_taken_out_when_that_is_asked_for(documents):
    def draw(number: int):
        body = prose(20, seed=number)
        return lambda canvas: write(canvas, ["Company Ltd.", *body, f"page {number}"])

    data = pdf(*(draw(n) for n in range(1, 4)))
    plain = read_pdf(documents.http, data)["pages"]
    assert all(page["markdown"].startswith("Company Ltd.") for page in plain)
    assert {(page["header"], page["footer"]) for page in plain} == {(None, None)}
    apart = read_pdf(documents.http, data, extract_header=True, extract_footer=True)["pages"]
    assert {page["header"] for page in apart} == {"Company Ltd."}
    assert [page["footer"] for page in apart] == ["page 1", "page 2", "page 3"]
    for number, page in enumerate(apart, start=1):
        lines = [line for line in page["markdown"].split("\n") if line]
        assert (lines[0], lines[-1]) == (prose(20, seed=number)[0], prose(20, seed=number)[-1])


def test_what_is_not_served_is_refused_by_name_and_what_is_ignored_is_told(documents):
    document = {"type": "image_url", "image_url": IMAGE}
    for name in ("bbox_annotation_format", "document_annotation_format"):
        refused = read(documents.http, document, **{name: {"type": "text"}})
        assert (refused.status_code, refused.json()["param"]) == (422, f"/{name}/type")
        # a schema that nobody could hold is told where it stands
        wrong = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": 5}}}
        refused = read(documents.http, document, **{name: wrong})
        assert refused.status_code == 422
        assert refused.json()["param"].startswith(f"/{name}")
        without = read(documents.http, document, **{name: {"type": "json_schema"}})
        assert without.json()["message"].startswith(f"{name}: ")
    refused = read(documents.http, document, document_annotation_prompt="x")
    assert (refused.status_code, refused.json()["param"]) == (422, "/document_annotation_prompt")
    answer = read(
        documents.http,
        document,
        include_image_base64=True,
        include_blocks=True,
        confidence_scores_granularity="page",
        something_new=1,
    )
    codes = [warning["code"] for warning in answer.json()["warnings"]]
    assert codes.count("parameter_ignored") == 3
    assert "images_not_extracted" in codes
    assert answer.headers["X-Sightline-Warnings"] == "parameter_ignored"
    strict = read(documents.http, document, include_blocks=True, strict=True)
    assert strict.status_code == 422
    own = read(documents.http, document, lang="zh", metadata={"a": 1})
    assert own.status_code == 200, own.text


SCHEMA = {
    "type": "object",
    "properties": {"kind": {"enum": ["letter", "table"]}, "pages": {"type": "integer"}},
    "required": ["kind", "pages"],
    "additionalProperties": False,
}
FORM = {"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA, "strict": True}}


def illustrated(number: int):
    lines = prose(24, seed=number)

    def draw(canvas) -> None:
        write(canvas, lines[:12])
        dots = np.random.default_rng(number).integers(0, 255, (180, 300, 3), np.uint8)
        canvas.drawImage(ImageReader(Image.fromarray(dots, "RGB")), 60, 380, 300, 180)
        write(canvas, lines[12:], y=350)

    return draw


def test_figures_are_cut_out_where_they_stand_with_boxes_links_and_pictures(documents):
    data = pdf(illustrated(1), *(illustrated(n) for n in (2, 3)))
    answer = read_pdf(documents.http, data, include_image_base64=True)
    assert answer["warnings"] == []
    figures = [figure for page in answer["pages"] for figure in page["images"]]
    assert [figure["id"] for figure in figures] == ["img-0.jpeg", "img-1.jpeg", "img-2.jpeg"]
    for page, figure in zip(answer["pages"], figures, strict=True):
        lines = [line for line in page["markdown"].split("\n") if line]
        assert lines[12] == f"![{figure['id']}]({figure['id']})"
        assert len(lines) == 25
        head, _, encoded = figure["image_base64"].partition(",")
        assert head == "data:image/jpeg;base64"
        cut = Image.open(io.BytesIO(base64.b64decode(encoded)))
        width = figure["bottom_right_x"] - figure["top_left_x"]
        height = figure["bottom_right_y"] - figure["top_left_y"]
        assert cut.size == (width, height)
        # 300 points at 150 dots per inch
        assert abs(width - 625) < 60
        assert figure["image_annotation"] is None
    first = read_pdf(documents.http, data, include_image_base64=True, image_limit=1)
    assert [len(page["images"]) for page in first["pages"]] == [1, 0, 0]
    for options in ({"image_limit": 0}, {"image_min_size": 2000}):
        none = read_pdf(documents.http, data, include_image_base64=True, **options)
        assert not any(page["images"] for page in none["pages"])
        assert "![" not in str(none["pages"])
    mixed = read_pdf(documents.http, pages("ts"), include_image_base64=True)
    (warning,) = mixed["warnings"]
    assert warning["code"] == "images_not_extracted"
    assert warning["detail"].startswith("No figures are cut out of 1 page ")


def test_annotations_of_document_and_figures_hold_their_schema(documents):
    data = pdf(illustrated(4), illustrated(5))
    answer = read_pdf(
        documents.http,
        data,
        document_annotation_format=FORM,
        document_annotation_prompt="What is it?",
        bbox_annotation_format=FORM,
        include_image_base64=False,
    )
    figures = [figure for page in answer["pages"] for figure in page["images"]]
    assert [figure["image_base64"] for figure in figures] == [None, None]
    texts = [answer["document_annotation"], *(one["image_annotation"] for one in figures)]
    for text in texts:
        said = json.loads(text)
        assert said["kind"] in ("letter", "table")
        assert isinstance(said["pages"], int)
    assert answer["usage_info"]["pages_processed"] == 2
    image = {"type": "image_url", "image_url": IMAGE}
    about_image = read(documents.http, image, document_annotation_format=FORM, dpi=None)
    assert json.loads(about_image.json()["document_annotation"])["kind"]


@pytest.mark.parametrize("when", ["in silence", "after a newline"])
def test_all_jobs_of_a_request_are_canceled_when_its_client_leaves(served, when):
    document = {"type": "image_url", "image_url": IMAGE}
    body = {"document": document, "document_annotation_format": FORM, "max_new_tokens": 200}
    before = {job["id"] for job in served.http.get("/v1/jobs").json()["data"]}

    def made() -> list[dict]:
        jobs = served.http.get("/v1/jobs", params={"limit": 10}).json()["data"]
        return [job for job in jobs if job["id"] not in before]

    if when == "in silence":
        with pytest.raises(httpx.ReadTimeout):
            served.http.post("/v1/ocr", json=body, timeout=3)
    else:
        headers = {"X-Stainless-Read-Timeout": "0.5"}
        with served.http.stream("POST", "/v1/ocr", json=body, headers=headers) as answer:
            next(answer.iter_text())
            eventually(lambda: len(made()) == 2, 60)

    def are_over() -> bool:
        jobs = made()
        return bool(jobs) and {job["status"] for job in jobs} <= {"succeeded", "canceled"}

    eventually(are_over, 60)
    assert "canceled" in [job["status"] for job in made()]
    assert "answer.failed" not in served.gateway.logs()


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({}, 422, "/document"),
        ({"document": {"type": "document_url"}}, 422, "/document/document_url"),
        ({"document": {"type": "file", "file_id": "nothing"}}, 422, "/document/file_id"),
        ({"document": {"type": "file", "file_id": "file-" + "A" * 33}}, 422, "/document"),
        (
            {"document": {"document_url": "data:application/pdf;base64,JVBERi0xLjQK"}},
            422,
            "/document",
        ),
        ({"document": {"document_url": "http://127.0.0.1:1/a.pdf"}}, 403, "/document"),
        ({"document": {"document_url": "http://h/files/link_" + "0" * 48}}, None, "/document"),
        ({"document": {"image_url": IMAGE}, "model": "gpt-none"}, 404, "/model"),
        ({"document": {"image_url": IMAGE}, "table_format": "csv"}, 422, "/table_format"),
    ],
)
def test_errors_have_mistrals_form(documents, body, status, param):
    answer = documents.http.post("/v1/ocr", json={"model": "mistral-ocr-latest", **body})
    error = answer.json()
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.status_code >= 400
    assert status in (None, answer.status_code), error
    assert (error["object"], error["param"]) == ("error", param)
    assert error["message"]
    assert error["code"]
    if answer.status_code == 422:
        (fault,) = error["detail"]
        assert fault["loc"] == ["body", *param.split("/")[1:]]
    else:
        assert "detail" not in error


def test_a_slow_answer_is_preceded_by_newlines_and_a_leaving_client_cancels(served):
    document = {"type": "image_url", "image_url": IMAGE}
    body = {"model": "sightline", "document": document, "max_new_tokens": 20}
    headers = {"X-Stainless-Read-Timeout": "0.5"}
    with served.http.stream("POST", "/v1/ocr", json=body, headers=headers) as answer:
        chunks = list(answer.iter_text())
    assert chunks[0].strip() == ""
    assert "".join(chunks).strip().startswith('{"pages"')
    with served.http.stream("POST", "/v1/ocr", json=body, headers=headers) as answer:
        next(answer.iter_text())

    def is_canceled() -> bool:
        (latest,) = served.http.get("/v1/jobs", params={"limit": 1}).json()["data"]
        return latest["status"] == "canceled"

    eventually(is_canceled, 60)
