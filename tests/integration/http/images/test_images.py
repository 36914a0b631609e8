"""Image uploads over HTTP: each format by its content, each fault with its own code."""

from __future__ import annotations

import base64
import io
import os

import pytest
from PIL import Image

from tests.integration.conftest import SMALL
from tests.support.images.image_bytes import heic, quarters

FORMATS = ("JPEG", "PNG", "WebP", "BMP", "TIFF", "GIF", "AVIF")


def saved(fmt, size=(64, 48), **options):
    out = io.BytesIO()
    Image.effect_noise(size, 40).convert("RGB").save(out, fmt, **options)
    return out.getvalue()


@pytest.mark.parametrize("fmt", FORMATS)
def test_every_format_is_taken_by_its_content_and_answered(served, fmt):
    # name and type lie: only the bytes count
    file = ("scan.txt", saved(fmt), "application/octet-stream")
    answer = served.http.post("/v1/images", files={"image": file})
    image = answer.json()
    assert answer.status_code == 201, answer.text
    assert image["object"] == "image"
    assert (image["format"], image["width"], image["height"]) == (fmt, 64, 48)
    assert image["tokens"] > 0
    assert image["predicted_s"] > 0
    job = served.ended(images=[image["id"]])
    assert job["status"] == "succeeded"
    assert job["usage"]["image_tokens"] > 0


def broken(fault):
    jpeg, png = saved("JPEG"), saved("PNG")
    return {
        "cut JPEG": jpeg[: len(jpeg) // 2],
        "JPEG without its end": jpeg[:-2],
        "cut PNG": png[: len(png) // 2],
        "PNG with a wrong checksum": png[:45] + bytes((png[45] ^ 1,)) + png[46:],
        "empty": b"",
        "over the limit": b"\x89PNG\r\n\x1a\n" + b"\0" * (256 << 10),
        "text": b"hello, I am not an image",
        "PDF": b"%PDF-1.7\n" + b"x" * 99,
        "SVG": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        "too long": saved("PNG", (4, 1000)),
    }[fault]


FAULTS = [
    ("cut JPEG", 422, "image_truncated"),
    ("JPEG without its end", 422, "image_truncated"),
    ("cut PNG", 422, "image_truncated"),
    ("PNG with a wrong checksum", 422, "image_decode_failed"),
    ("empty", 422, "image_empty"),
    ("over the limit", 413, "payload_too_large"),
    ("text", 415, "unsupported_image_format"),
    ("PDF", 415, "unsupported_image_format"),
    ("SVG", 415, "unsupported_image_format"),
    ("too long", 422, "image_aspect"),
]


@pytest.mark.parametrize(("fault", "status", "code"), FAULTS)
@pytest.mark.parametrize("way", ["image", "job", "predict", "base64"])
def test_a_broken_image_is_refused_with_its_own_code(workerless, fault, status, code, way):
    data = broken(fault)
    file = {"image": ("a.png", data)}
    question = {"prompt": "hi"}
    text = base64.b64encode(data).decode()
    post = workerless.http.post
    answer = {
        "image": lambda: post("/v1/images", files=file),
        "job": lambda: post("/v1/jobs", files=file, data=question),
        "predict": lambda: post("/predict", files=file, data=question),
        "base64": lambda: post("/v1/jobs", json=question | {"images": [text]}),
    }[way]()
    problem = answer.json()
    if fault == "PDF" and way != "image":
        # only as an image of its own is a document no image
        status, code = 422, "document_damaged"
    assert (answer.status_code, problem["code"]) == (status, code), answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert problem["pointer"] == ("/image" if way == "image" else "/images/0")
    assert problem["hint"]


def test_a_refused_format_names_those_that_are_taken(workerless):
    answer = workerless.http.post("/v1/images", files={"image": b"GIF no more"})
    assert all(fmt in answer.json()["detail"] for fmt in FORMATS)


@pytest.mark.parametrize(
    ("image", "status", "code"),
    [
        ("!!!!", 400, "invalid_base64"),
        ("iVBORw0KG", 400, "invalid_base64"),
        ("data:image/png;base64", 400, "invalid_base64"),
        ("img_zz", 400, "invalid_base64"),
        ("img_" + "0" * 64, 422, "image_not_found"),
        ("https://nobody.invalid/a.png", 422, "url_fetch_failed"),
        ("http://169.254.169.254/a.png", 403, "url_not_allowed"),
        ("file:///etc/passwd", 403, "url_not_allowed"),
        ("", 422, "image_empty"),
    ],
)
def test_text_that_is_no_image_is_refused_with_its_own_code(workerless, image, status, code):
    good = base64.b64encode(saved("PNG")).decode()
    answer = workerless.http.post("/v1/jobs", json={"prompt": "hi", "images": [good, image]})
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert answer.json()["pointer"] == "/images/1"


def test_the_same_pixels_have_the_same_id_in_any_lossless_file(workerless):
    picture = Image.effect_noise((50, 40), 40).convert("RGB")
    ids = set()
    for fmt, options in (("PNG", {}), ("BMP", {}), ("TIFF", {}), ("WebP", {"lossless": True})):
        out = io.BytesIO()
        picture.save(out, fmt, **options)
        ids.add(workerless.http.post("/v1/images", files={"image": out.getvalue()}).json()["id"])
    assert len(ids) == 1


def test_an_upload_is_taken_as_json_read_again_and_forgotten(workerless):
    text = base64.b64encode(saved("PNG")).decode()
    made = workerless.http.post("/v1/images", json={"image": f"data:image/png;base64,{text}"})
    path = f"/v1/images/{made.json()['id']}"
    assert made.status_code == 201
    read = workerless.http.get(path).json()
    assert {k: v for k, v in read.items() if k != "expires_in_s"} == {
        k: v for k, v in made.json().items() if k != "expires_in_s"
    }
    assert workerless.http.delete(path).status_code == 204
    for call in (workerless.http.get(path), workerless.http.delete(path)):
        assert (call.status_code, call.json()["code"]) == (404, "not_found")


def test_an_upload_has_exactly_one_file(workerless):
    png = saved("PNG")
    for files in ([], [("image", png), ("image", png)], [("image", png), ("other", png)]):
        answer = workerless.http.post("/v1/images", files=files or None, data={"x": "1"})
        assert answer.status_code in (415, 422), answer.text
        assert answer.json()["code"] in ("bad_parameters", "unsupported_media_type")


def test_a_job_whose_image_was_deleted_fails_and_says_so(workerless):
    image = workerless.http.post("/v1/images", files={"image": saved("PNG")}).json()
    workerless.http.delete(f"/v1/images/{image['id']}")
    answer = workerless.http.post("/v1/jobs", json={"prompt": "hi", "images": [image["id"]]})
    assert (answer.status_code, answer.json()["code"]) == (422, "image_not_found")


def test_an_upload_survives_the_erasing_of_a_job_that_used_it(workerless):
    image = workerless.http.post("/v1/images", files={"image": saved("PNG")}).json()["id"]
    job = workerless.submit(images=[image])
    workerless.http.delete(job["urls"]["self"])
    assert workerless.http.get(f"/v1/images/{image}").status_code == 200


def test_a_resized_image_is_told_in_the_warnings(workerless):
    big = base64.b64encode(saved("JPEG", (1600, 1200), quality=10)).decode()
    job = workerless.submit(images=[big], detail="low")
    image = job["input"]["images"][0]
    assert (image["width"], image["height"]) == (1600, 1200)
    assert image["used"][0] * image["used"][1] <= 262_144
    assert "image_resized" in {warning["code"] for warning in job["warnings"]}


def test_heic_is_served_with_its_extra_and_refused_by_name_without_it(served, tmp_path):
    photo = heic(quarters(64, 48))
    answer = served.http.post("/v1/images", files={"image": ("IMG_1.HEIC", photo, "image/heic")})
    assert (answer.status_code, answer.json()["format"]) == (201, "HEIC")
    assert "HEIC" in served.http.get("/v1/limits").json()["image"]["formats"]

    (tmp_path / "pillow_heif.py").write_text("raise ImportError('not installed')\n")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    _, bare = served.system.gateway(**SMALL, PYTHONPATH=path)
    refused = bare.post("/v1/images", files={"image": ("IMG_1.HEIC", photo, "image/heic")})
    assert (refused.status_code, refused.json()["code"]) == (415, "unsupported_image_format")
    assert "make install EXTRAS=heic" in refused.json()["hint"]
    formats = bare.get("/v1/limits").json()["image"]["formats"]
    assert "HEIC" not in formats
    assert "AVIF" in formats
