"""Several images whose text is asked for: each is read by itself, in order, and told apart."""

from __future__ import annotations

import pytest

from tests.support.images.image_bytes import text_png

NAMES = ("one", "two", "three")


def submit(service, **fields):
    files = [("image", (f"{name}.png", text_png(name), "image/png")) for name in NAMES]
    headers = {"Prefer": "wait=60"}
    answer = service.http.post("/v1/jobs", data=fields, files=files, headers=headers)
    return answer.json()


def alone(service, name, **fields):
    files = {"image": (f"{name}.png", text_png(name), "image/png")}
    headers = {"Prefer": "wait=60"}
    answer = service.http.post("/v1/jobs", data=fields, files=files, headers=headers)
    return answer.json()["output"]["text"]


@pytest.mark.parametrize("tiling", ["auto", "off", "read"])
def test_each_image_is_read_in_order_and_told_apart(served, tiling):
    fields = {"preset": "ocr", "max_new_tokens": "4", "tiling": tiling}
    job = submit(served, **fields)
    assert job["status"] == "succeeded", job
    single = [alone(served, name, **{**fields, "tiling": "auto"}) for name in NAMES]
    assert len(set(single)) > 1
    texts = [(one["image"], one["text"], one["gap"]) for one in job["output"]["images"]]
    assert texts == [(number, text, False) for number, text in enumerate(single)]
    assert [one["image"] for one in job["output"]["tiles"]] == [0, 1, 2]
    assert job["output"]["text"].split("\n") == [
        line for text in single for line in text.split("\n")
    ]
    assert [image["name"] for image in job["input"]["images"]] == [f"{n}.png" for n in NAMES]
    assert all("tiles" not in image for image in job["input"]["images"])


def test_an_explicit_budget_scales_each_image_and_cuts_none(served):
    job = submit(served, preset="ocr", max_pixels="4096", max_new_tokens="2")
    assert [one["image"] for one in job["output"]["tiles"]] == [0, 1, 2]
    assert len(job["output"]["images"]) == 3


@pytest.mark.parametrize("fields", [{"preset": "describe"}, {"prompt": "compare them"}])
def test_a_question_about_several_images_stays_one_question(served, fields):
    job = submit(served, **fields, max_new_tokens="2")
    assert job["output"]["images"] is None
    assert job["output"]["tiles"] is None


def test_one_image_has_no_list_of_images(served):
    files = {"image": ("one.png", text_png("one"), "image/png")}
    headers = {"Prefer": "wait=60"}
    form = {"preset": "ocr", "max_new_tokens": "2"}
    job = served.http.post("/v1/jobs", data=form, files=files, headers=headers).json()
    assert job["output"]["images"] is None
