"""Long documents beside others: short questions do not wait for them, and they share."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from shared.settings import Settings
from shared.store.api_key_store import ApiKeyStore
from shared.store.connection import connect
from tests.support.harness import RedisServer, System, eventually
from tests.support.page_kinds import pages

#: Long enough for a page that the answers of a busy machine count little beside it.
SLOW = {"SIGHTLINE_SIMULATED_IMAGE_S": "0.4", "SIGHTLINE_SIMULATED_TOKEN_S": "0.001"}
ENDLESS = {"SIGHTLINE_QUEUE_MAX_WAIT_S": "100000"}
SLOTS = 3


def _submit(http: httpx.Client, document: bytes | str) -> dict[str, Any]:
    form = {"preset": "ocr", "text_layer": "ignore", "reader": "model"}
    if isinstance(document, str):
        answer = http.post("/v1/jobs", json=form | {"document": document})
    else:
        answer = http.post("/v1/jobs", data=form, files={"document": ("a.pdf", document)})
    assert answer.status_code == 202, answer.text
    return answer.json()


def _pages_done(http: httpx.Client, job: dict[str, Any]) -> int:
    progress = http.get(job["urls"]["self"]).json()["progress"] or {}
    return int(progress.get("pages_done", 0))


def test_short_questions_do_not_wait_for_pages_and_two_long_documents_share(
    system: System, http: httpx.Client
):
    system.worker(slots=SLOTS, **SLOW)
    document = pages("t" * 120)
    first = _submit(http, document)
    eventually(lambda: _pages_done(http, first) >= 3, 90)

    for _ in range(3):
        before = _pages_done(http, first)
        question = {"prompt": "hi", "max_new_tokens": 2}
        short = http.post("/v1/jobs", json=question, headers={"Prefer": "wait=60"}).json()
        assert short["status"] == "succeeded"
        # one slot is left to it: it waits for no page at all, and 117 are still to be read
        assert _pages_done(http, first) - before <= 12

    second = _submit(http, document)
    eventually(lambda: _pages_done(http, second) >= 2, 120)
    start = _pages_done(http, first), _pages_done(http, second)
    eventually(lambda: _pages_done(http, second) >= start[1] + 8, 120)
    ahead, behind = _pages_done(http, first) - start[0], _pages_done(http, second) - start[1]
    assert abs(ahead - behind) <= SLOTS + 2, (ahead, behind)
    for job in (first, second):
        assert http.post(job["urls"]["cancel"]).json()["status"] == "canceled"


@pytest.fixture
def http(system: System) -> httpx.Client:
    return system.gateway(**ENDLESS)[1]


@pytest.fixture
def tenants(redis_server: RedisServer, http: httpx.Client) -> Iterator[list[httpx.Client]]:
    """Three clients with a key each."""
    store = ApiKeyStore(connect(Settings(redis_url=redis_server.url)))
    with contextlib.ExitStack() as stack:
        yield [
            stack.enter_context(
                httpx.Client(
                    base_url=http.base_url,
                    headers={"Authorization": f"Bearer {store.create(name, {})[1]}"},
                    timeout=90,
                    trust_env=False,
                )
            )
            for name in ("crowd", "single", "talker")
        ]


def test_two_documents_of_five_hundred_pages_delay_no_other_tenant(
    system: System, tenants: list[httpx.Client]
):
    crowd, single, talker = tenants
    system.worker(slots=SLOTS, **SLOW)
    document = pages("t" * 500)
    first = _submit(crowd, document)
    second = _submit(crowd, first["input"]["document"]["id"])
    eventually(lambda: min(_pages_done(crowd, one) for one in (first, second)) >= 2, 120)

    def crowds_pages() -> int:
        return _pages_done(crowd, first) + _pages_done(crowd, second)

    before = crowds_pages()
    job = _submit(single, pages("s"))
    eventually(lambda: single.get(job["urls"]["self"]).json()["status"] == "succeeded")
    # it waits for the pages that are in work, and for its own split and merge
    assert crowds_pages() - before <= 20
    before = crowds_pages()
    question = {"prompt": "hi", "max_new_tokens": 2}
    short = talker.post("/v1/jobs", json=question, headers={"Prefer": "wait=60"}).json()
    assert short["status"] == "succeeded"
    assert crowds_pages() - before <= 12
    third = _submit(single, pages("t" * 40))
    eventually(lambda: _pages_done(single, third) >= 2, 120)
    start = crowds_pages(), _pages_done(single, third)
    eventually(lambda: _pages_done(single, third) >= start[1] + 8, 120)
    # half of all pages are the other tenant's, and not a third
    assert crowds_pages() - start[0] <= 8 + SLOTS + 3
    for client, job in ((crowd, first), (crowd, second), (single, third)):
        assert client.post(job["urls"]["cancel"]).json()["status"] == "canceled"
