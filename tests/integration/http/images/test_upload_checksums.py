"""Uploads with a size or digest: a truncated or changed file is refused."""

from __future__ import annotations

import base64
import hashlib
import json

import pytest

from tests.support.images.image_bytes import quarters, saved

BMP = saved(quarters(), "BMP")
DIGEST = hashlib.sha256(BMP).hexdigest()
TRUE = {"sha256": DIGEST.upper(), "bytes": str(len(BMP))}


def _posts(http, claims):
    whole = {"image": ("a.bmp", BMP)}
    text = base64.b64encode(BMP).decode()
    yield http.post("/v1/images", files=whole, data=claims)
    yield http.post("/v1/images", json={"image": text, **claims})
    yield http.post("/v1/jobs", files=whole, data={"prompt": "?", **claims})
    yield http.post("/v1/jobs", json={"prompt": "?", "images": [text], **claims})
    yield http.post("/v1/estimate", files=whole, data=claims)


def test_what_is_true_of_a_file_changes_nothing(workerless):
    answers = list(_posts(workerless.http, TRUE))
    assert [answer.status_code for answer in answers] == [201, 201, 202, 202, 200]


@pytest.mark.parametrize("claim", [{"sha256": "0" * 64}, {"bytes": str(len(BMP) + 1)}])
def test_what_is_not_true_of_a_file_is_told_with_its_place(workerless, claim):
    for answer in _posts(workerless.http, claim):
        problem = answer.json()
        assert (answer.status_code, problem["code"]) == (422, "upload_mismatch"), problem
        assert problem["pointer"] in ("/image", "/images/0")


@pytest.mark.parametrize(
    "claim", [{"sha256": "no digest"}, {"bytes": "-1"}, {"bytes": "many"}, {"sha256": ["0"]}]
)
def test_what_is_no_digest_and_no_size_is_a_bad_parameter(workerless, claim):
    for answer in _posts(workerless.http, claim):
        assert (answer.status_code, answer.json()["code"]) == (422, "bad_parameters"), answer.text


def test_each_image_has_its_own_claim(workerless):
    other = saved(quarters(), "PNG")
    digests = [DIGEST, hashlib.sha256(other).hexdigest()]
    files = [("image", ("a", BMP)), ("image", ("b", other))]
    answers = {
        name: workerless.http.post("/v1/jobs", files=files, data={"prompt": "?", "sha256": sums})
        for name, sums in {
            "right": json.dumps(digests),
            "swapped": json.dumps(digests[::-1]),
            "short": json.dumps(digests[:1]),
        }.items()
    }
    assert answers["right"].status_code == 202
    assert answers["swapped"].json()["code"] == "upload_mismatch"
    assert answers["short"].json()["detail"] == "sha256 has 1 values for 2 images."
