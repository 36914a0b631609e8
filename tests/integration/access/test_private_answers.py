"""Answers are neither kept by browsers, framed, nor steered to hosts that the client names."""

from __future__ import annotations

import pytest

from tests.support.harness import System
from tests.support.images.image_bytes import plain_png

PRIVATE = ["/v1/jobs", "/v1/webhooks/secret", "/v1/webhooks/endpoints", "/v1/sessions"]


@pytest.mark.parametrize("path", [*PRIVATE, "/v1/limits", "/v1/jobs/job_unknown"])
def test_private_answers_and_refusals_are_not_kept(workerless, path):
    assert workerless.http.get(path).headers["Cache-Control"] == "no-store"


def test_a_new_secret_a_job_and_an_image_are_not_kept(workerless):
    http = workerless.http
    rotated = http.post("/v1/webhooks/secret/rotate")
    assert "whsec_" in rotated.text
    job = http.post("/v1/jobs", json={"prompt": "hi"})
    image = http.post("/v1/images", files={"image": plain_png("red", 8, 8)})
    pixels = http.get(f"/v1/images/{image.json()['id']}/content")
    for answer in (rotated, job, image, pixels):
        assert answer.is_success
        assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "path", ["/", "/docs", "/docs/", "/docs/swagger", "/docs/errors", "/openapi.json", "/healthz"]
)
def test_no_page_may_be_framed(workerless, path):
    policy = workerless.http.get(path).headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in policy


@pytest.mark.parametrize(
    "path",
    [
        *("//v1//jobs", "/v1//jobs", "//evil.example/v1/jobs", "//evil.example/%2e%2e"),
        *("/docs//swagger", "//docs/swagger", "/docs/swagger/", "/v1/jobs/", "/docs"),
        *("/assets//style.css", "/healthz/", "/.//evil.example", "/%2f%2fevil.example"),
    ],
)
def test_nothing_redirects_to_a_host_that_the_client_names(workerless, path):
    url = f"http://127.0.0.1:{workerless.http.base_url.port}{path}"
    answer = workerless.http.get(url, headers={"Host": "evil.example"}, follow_redirects=False)
    assert "evil" not in answer.headers.get("Location", "")
    assert not answer.headers.get("Location", "").startswith("//")
    assert answer.status_code != 308


SPOOFED = {
    "SCRIPT_NAME": "/v1",
    "Script-Name": "/v1",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Ssl": "on",
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-For": "1.2.3.4",
    "Forwarded": "host=evil.example",
    "PATH_INFO": "/metrics",
}


@pytest.mark.parametrize("name", SPOOFED)
def test_no_client_moves_the_service_by_a_header(workerless, name):
    job = workerless.submit()
    # the urls only: the forecast beside them changes by the second
    answer = workerless.http.get(job["urls"]["self"], headers={name: SPOOFED[name]})
    assert (answer.status_code, answer.json()["urls"]) == (200, job["urls"])


def test_a_configured_proxy_may_name_its_path(system: System):
    _, http = system.gateway(SIGHTLINE_TRUSTED_PROXIES="10.0.0.1, 127.0.0.0/8")
    assert http.get("/base/healthz", headers={"SCRIPT_NAME": "/base"}).status_code == 200
    _, http = system.gateway(SIGHTLINE_TRUSTED_PROXIES="10.0.0.1")
    assert http.get("/base/healthz", headers={"SCRIPT_NAME": "/base"}).status_code == 404


@pytest.mark.parametrize("session_id", [".", ".."])
def test_a_session_that_no_url_can_name_is_not_made(workerless, session_id):
    body = {"prompt": "hi", "session_id": session_id}
    for sent in ({"json": body}, {"data": body}):
        answer = workerless.http.post("/v1/jobs", **sent)
        problem = answer.json()
        assert (answer.status_code, problem["code"]) == (422, "bad_parameters")
        assert problem["pointer"] == "/session_id"
        assert "add a letter" in problem["hint"]
    assert workerless.submit(session_id=session_id + "a")["session_id"] == session_id + "a"
