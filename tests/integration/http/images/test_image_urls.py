"""Images by URL: fetched within limits, typed by content, never from internal addresses."""

from __future__ import annotations

import base64
import time

import pytest

from tests.integration.conftest import SMALL
from tests.integration.contract.test_openapi import PNG
from tests.support.servers.receivers import dripping, raw, receiving


@pytest.fixture(scope="module")
def http(served):
    """A gateway that may reach loopback."""
    outward = {"SIGHTLINE_ALLOW_NETS": "127.0.0.0/8", "SIGHTLINE_ALLOW_PORTS": "1-65535"}
    return served.system.gateway(**SMALL, **outward, SIGHTLINE_FETCH_TIMEOUT_S="1.5")[1]


def submit(http, **fields):
    body = {"prompt": "What is it?", "max_new_tokens": 2, **fields}
    return http.post("/v1/jobs", json=body, headers={"Prefer": "wait=60"})


@pytest.mark.parametrize("name", ["images", "image", "image_url"])
def test_an_image_comes_from_its_url(http, name):
    # the format is detected from the content, not from the server's Content-Type
    with receiving(lambda _: (200, {"Content-Type": "text/plain"}, PNG)) as server:
        answer = submit(http, **{name: f"{server.url}/a.png?token=1"})
    assert answer.status_code == 200, answer.text
    (image,) = answer.json()["input"]["images"]
    assert (image["width"], image["height"]) == (40, 40)
    assert [request.path for request in server.requests] == ["/a.png?token=1"]


def test_an_image_in_a_form_field_and_an_upload_may_be_urls_too(http):
    with receiving(lambda _: (200, {}, PNG)) as server:
        form = http.post("/v1/jobs", data={"prompt": "?", "image_url": server.url})
        uploaded = http.post("/v1/images", json={"image": server.url})
    assert (form.status_code, uploaded.status_code) == (202, 201)
    assert form.json()["input"]["images"][0]["id"] == uploaded.json()["id"]


def test_the_same_request_is_the_same_job_when_the_image_has_changed(http):
    bodies = [PNG, PNG[:-12] + b"\0\0\0\0tEXt" + PNG[-12:]]
    key = {"Idempotency-Key": "url-1"}
    with receiving(lambda _: (200, {}, bodies.pop(0) if len(bodies) > 1 else PNG)) as server:
        body = {"prompt": "?", "images": [server.url + "/x"]}
        first = http.post("/v1/jobs", json=body, headers=key)
        again = http.post("/v1/jobs", json=body, headers=key)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert first.json()["id"] == again.json()["id"]


BAD = {
    "endless redirect": ((302, {"Location": "/b"}, b""), 422, "url_fetch_failed"),
    "redirect to nowhere": ((302, {}, b""), 422, "url_fetch_failed"),
    "redirect inside": ((302, {"Location": "http://10.0.0.5/"}, b""), 403, "url_not_allowed"),
    "redirect to metadata": (
        (307, {"Location": "//169.254.169.254/latest"}, b""),
        403,
        "url_not_allowed",
    ),
    "redirect to a file": ((301, {"Location": "file:///etc/passwd"}, b""), 403, "url_not_allowed"),
    "redirect with a password": (
        (301, {"Location": "http://a:b@127.0.0.1/"}, b""),
        403,
        "url_not_allowed",
    ),
    "missing": ((404, {}, b"no"), 422, "url_fetch_failed"),
    "cut": ((200, {"Content-Length": "9999"}, PNG), 422, "url_fetch_failed"),
    "compressed": ((200, {"Content-Encoding": "gzip"}, PNG), 422, "url_fetch_failed"),
    "empty": ((200, {}, b""), 422, "image_empty"),
    "large": ((200, {}, b"x" * (300 << 10)), 413, "payload_too_large"),
    "page": ((200, {"Content-Type": "image/png"}, b"<html>"), 415, "unsupported_image_format"),
}


@pytest.mark.parametrize("what", BAD)
def test_what_is_no_image_is_refused_with_the_reason(http, what):
    reply, status, code = BAD[what]
    with receiving(lambda _: reply) as server:
        answer = submit(http, images=[server.url])
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.json()["pointer"] == "/images/0"


def test_up_to_three_redirects_are_followed(http):
    def answer(request):
        steps = int(request.path.rpartition("/")[2])
        location = {"Location": f"{steps - 1}" if steps % 2 else f"/a/{steps - 1}"}
        return (200, {}, PNG) if steps == 0 else (302, location, b"")

    with receiving(answer) as server:
        job = submit(http, images=[f"{server.url}/a/3"])
        assert job.status_code == 200, job.text
        assert [request.path for request in server.requests] == ["/a/3", "/a/2", "/a/1", "/a/0"]
        refused = submit(http, images=[f"{server.url}/a/4"])
    assert "after 3 redirects" in refused.json()["detail"]
    assert server.requests[0].headers["user-agent"] == "Sightline"


def test_a_host_sees_whom_to_ask(served):
    outward = {"SIGHTLINE_ALLOW_NETS": "127.0.0.0/8", "SIGHTLINE_ALLOW_PORTS": "1-65535"}
    http = served.system.gateway(**SMALL, **outward, SIGHTLINE_CONTACT="admin@example.org")[1]
    with receiving(lambda _: (200, {}, PNG)) as server:
        submit(http, images=[server.url])
    assert server.requests[0].headers["user-agent"] == "Sightline (admin@example.org)"


def test_all_images_of_a_request_share_one_deadline(http):
    with raw(dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n")) as port:
        answer = submit(http, images=[f"http://127.0.0.1:{port}/{n}" for n in range(8)])
    assert answer.json()["code"] == "url_fetch_failed"
    # a deadline for each would be 12 s
    assert answer.elapsed.total_seconds() < 10


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:{}/", "http://[::ffff:127.0.0.1]:{}/", "http://localhost:{}/"],
)
def test_by_default_nothing_inside_is_reached(served, url):
    with receiving(lambda _: (200, {}, PNG)) as server:
        for port in (server.port, 80, 443):
            answer = submit(served.http, images=[PNG_URI, url.format(port)])
            assert (answer.status_code, answer.json()["code"]) == (403, "url_not_allowed")
            assert answer.json()["pointer"] == "/images/1"
    assert server.requests == []


PNG_URI = "data:image/png;base64," + base64.b64encode(PNG).decode()


def test_a_host_that_fails_again_and_again_is_refused_quickly_until_it_is_well(served):
    outward = {"SIGHTLINE_ALLOW_NETS": "127.0.0.0/8", "SIGHTLINE_ALLOW_PORTS": "1-65535"}
    breaker = {"SIGHTLINE_FETCH_BREAKER_FAILURES": "2", "SIGHTLINE_FETCH_BREAKER_S": "1"}
    http = served.system.gateway(**SMALL, **outward, **breaker)[1]
    status = [500]
    with (
        receiving(lambda _: (status[0], {}, PNG)) as sick,
        receiving(lambda _: (404, {}, b"")) as well,
    ):
        for _ in range(2):
            assert submit(http, images=[sick.url]).json()["code"] == "url_fetch_failed"
        refused = submit(http, images=[sick.url + "/other"])
        assert (refused.status_code, refused.json()["code"]) == (503, "image_host_unavailable")
        assert refused.json()["pointer"] == "/images/0"
        assert int(refused.headers["Retry-After"]) >= 1
        assert len(sick.requests) == 2
        for _ in range(4):
            # it answers, if not with an image
            assert submit(http, images=[well.url]).status_code == 422
        status[0] = 200
        time.sleep(1.1)
        assert submit(http, images=[sick.url]).status_code == 200
        assert submit(http, images=[sick.url]).status_code == 200
