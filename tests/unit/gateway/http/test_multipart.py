"""Forms are read in bounded steps, and what is wrong with one is said."""

from __future__ import annotations

import io

import pytest
from werkzeug.test import EnvironBuilder

from gateway.http.bodies.multipart import FormRequest
from shared.errors import BadParameters, PayloadTooLarge

MULTIPART = "multipart/form-data; boundary=x"
URLENCODED = "application/x-www-form-urlencoded"


def received(body, content_type, parts=200):
    environ = EnvironBuilder(
        "/", method="POST", input_stream=io.BytesIO(body), content_type=content_type
    ).get_environ()
    environ["CONTENT_LENGTH"] = str(len(body))
    request = FormRequest(environ)
    request.max_form_parts = parts
    return request


def part(name, value, extra=b""):
    head = b'--x\r\nContent-Disposition: form-data; name="' + name + b'"' + extra
    return head + b"\r\n\r\n" + value + b"\r\n"


def test_equal_parts_stay_apart():
    body = part(b"stop", b"a") * 2 + part(b"image", b"1", b'; filename="a"') * 2 + b"--x--\r\n"
    request = received(body, MULTIPART)
    with request:
        assert request.form.getlist("stop") == ["a", "a"]
        assert [file.read() for file in request.files.getlist("image")] == [b"1", b"1"]


def test_a_large_part_is_whole_however_it_is_cut():
    content = bytes(range(256)) * 4096 + b"\r\n--y\r\n-"
    for padding in range(60):
        body = part(b"a", b"z" * padding) + part(b"image", content, b'; filename="a"') + b"--x--"
        with received(body, MULTIPART) as request:
            assert request.files["image"].read() == content


@pytest.mark.parametrize(
    "body",
    [b"x", part(b"prompt", b"hi"), part(b"prompt", b"hi") + b"--x\r\nContent-Dis", b"--x"],
    ids=repr,
)
def test_a_form_that_was_cut_off_is_called_that(body):
    with pytest.raises(BadParameters, match="ended early"):
        received(body, MULTIPART).form  # noqa: B018


@pytest.mark.parametrize(
    ("content_type", "cause"),
    [("multipart/form-data", "no boundary"), (MULTIPART, "broken")],
)
def test_a_form_that_is_broken_is_called_that(content_type, cause):
    with pytest.raises(BadParameters, match=cause):
        received(b"--x\r\n\r\n\r\n--x--", content_type).form  # noqa: B018


def test_too_many_parts_or_fields_are_called_that():
    assert len(received(part(b"a", b"1") * 9 + b"--x--", MULTIPART, 9).form.getlist("a")) == 9
    with pytest.raises(PayloadTooLarge, match="more than 9 parts"):
        received(part(b"a", b"1") * 10 + b"--x--", MULTIPART, 9).form  # noqa: B018
    assert len(received(b"a=1&" * 8 + b"a=1", URLENCODED, 9).form.getlist("a")) == 9
    with pytest.raises(PayloadTooLarge, match="more than 9 fields"):
        received(b"a=1&" * 100_000, URLENCODED, 9).form  # noqa: B018


def test_headers_of_a_part_are_bounded():
    extra = b"; filename=" + b";a=b" * 5000
    for body in (part(b"image", b"1", extra), b"--x\r\n" + b"A: b\r\n" * 100_000, b"a" * 300_000):
        with pytest.raises(PayloadTooLarge):
            received(body, MULTIPART).form  # noqa: B018


@pytest.mark.parametrize("size", [3, 40_000, 200_000])
def test_escapes_and_plus_signs_of_a_field_are_read_wherever_they_stand(size):
    text = ("a b+c/=&ü字%41" * (size // 10))[:size]
    escaped = "".join(f"%{byte:02X}" if byte != 32 else "+" for byte in text.encode())
    form = received(b"a=" + escaped.encode() + b"&%62=", URLENCODED).form
    assert form["a"] == text
    assert form["b"] == ""


@pytest.mark.parametrize("sign", ["字", "\udcff"])
def test_only_images_may_be_long(sign):
    long = sign.encode("utf-8", "surrogateescape") * 300_000
    for body, kind in ((part(b"prompt", long) + b"--x--", MULTIPART), (b"a=" + long, URLENCODED)):
        with pytest.raises(PayloadTooLarge, match="only images"):
            received(body, kind).form  # noqa: B018
    assert len(received(b"image=" + b"A" * 3_000_000, URLENCODED).form["image"]) == 3_000_000
