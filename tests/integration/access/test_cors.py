"""Pages of listed origins use the API from a browser; those of others do not."""

from __future__ import annotations

import pytest

from tests.integration.conftest import SMALL

CHAT, OTHER = "https://chat.example", "https://evil.example"
ASKED = {
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization,content-type,x-stainless-os",
}


@pytest.fixture(scope="module")
def listed(workerless):
    origins = f"{CHAT}, http://localhost:3000"
    return workerless.system.gateway(**SMALL, SIGHTLINE_CORS_ORIGINS=origins)[1]


@pytest.fixture(scope="module")
def open_to_all(workerless):
    return workerless.system.gateway(**SMALL, SIGHTLINE_CORS_ORIGINS="*")[1]


def preflight(http, origin: str):
    return http.options("/v1/responses", headers=ASKED | {"Origin": origin})


def allowed(answer) -> str | None:
    return answer.headers.get("Access-Control-Allow-Origin")


def test_a_page_of_a_listed_origin_may_ask_and_read(listed):
    answer = preflight(listed, CHAT)
    assert (answer.status_code, allowed(answer)) == (204, CHAT)
    assert "x-stainless-os" in answer.headers["Access-Control-Allow-Headers"]
    assert "POST" in answer.headers["Access-Control-Allow-Methods"]
    headers = {"Origin": CHAT, "Sec-Fetch-Site": "cross-site"}
    posted = listed.post("/v1/jobs", json={"prompt": "hi"}, headers=headers)
    assert (posted.status_code, allowed(posted)) == (202, CHAT)
    assert "Retry-After" in posted.headers["Access-Control-Expose-Headers"]
    refused = listed.post("/v1/jobs", json={}, headers=headers)
    assert (refused.status_code, allowed(refused)) == (422, CHAT)
    assert "Origin" in posted.headers["Vary"]
    assert "Access-Control-Allow-Credentials" not in posted.headers


def test_pages_of_others_may_neither_ask_nor_read(listed):
    assert allowed(preflight(listed, OTHER)) is None
    headers = {"Origin": OTHER, "Sec-Fetch-Site": "cross-site"}
    posted = listed.post("/v1/jobs", json={"prompt": "hi"}, headers=headers)
    assert (posted.status_code, allowed(posted)) == (403, None)
    assert allowed(listed.get("/v1/jobs", headers=headers)) is None
    # not even by a name that begins or ends as a listed one
    for origin in (f"{CHAT}.evil.example", "https://evil-chat.example", "null", ""):
        assert allowed(preflight(listed, origin)) is None


def test_any_origin_means_callers_with_a_key(open_to_all):
    assert allowed(preflight(open_to_all, OTHER)) == OTHER
    without = open_to_all.get("/v1/jobs", headers={"Origin": OTHER})
    assert allowed(without) is None
    changing = open_to_all.post("/v1/jobs", json={"prompt": "hi"}, headers={"Origin": OTHER})
    assert (changing.status_code, allowed(changing)) == (403, None)
    key = {"Origin": OTHER, "Authorization": "Bearer sk-none"}
    assert allowed(open_to_all.get("/v1/jobs", headers=key)) == OTHER


def test_nothing_is_allowed_by_default(workerless):
    answer = preflight(workerless.http, CHAT)
    assert allowed(answer) is None
    assert "Vary" not in workerless.http.get("/v1/jobs").headers
