"""A job of a thousand pages, at each door that shows it: others are answered meanwhile."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from shared.jobs import (
    DocumentInput,
    JobInput,
    JobStatus,
    PageOutcome,
    PageSource,
    Tiling,
    TilingTask,
)
from shared.jobs.response_api import ResponseFields, response_id
from shared.settings import Settings
from shared.store import Claim, NewJob, Store
from shared.store.jobs.tile_store import NewTile, TileStore
from tests.support.documents.drawn import prose
from tests.support.documents.page_kinds import as_base64, pages
from tests.support.harness import QUICK, System, eventually, running_redis, running_system
from tests.support.measures.event_loop import EventLoop, skip_without_figures

PAGES = 1000
#: Lines of a page of a book.
LINES = 42
#: What others wait at most: to read six megabytes from Redis takes half of it.
UNITS = 12
TENANT = "anonymous"


def page_text(number: int) -> str:
    """Return a page of a book, a part of it Chinese."""
    return "\n".join([f"page {number} 第 {number} 页", *prose(LINES, seed=number % 50)])


@dataclass
class Library:
    """A job that has read a thousand pages, and the gateway that shows it."""

    loop: EventLoop
    store: Store
    job_id: str
    #: What it has read.
    text: str

    @property
    def http(self) -> httpx.Client:
        return self.loop.http

    def get(self, name: str, path: str, **options: Any) -> httpx.Response:
        """Return the answer to a request during which others did not wait."""
        answer = self.loop.watch(name, lambda: self.http.get(path, **options), UNITS)
        assert answer.status_code == 200, answer.text[:500]
        return answer


def store_document(http: httpx.Client) -> str:
    answer = http.post("/v1/documents", json={"document": as_base64(pages("t" * PAGES))})
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def add_job(store: Store, document: str) -> Claim:
    """Store a job about a thousand pages, and claim it as a worker does."""
    numbers = tuple(range(1, PAGES + 1))
    question = JobInput(
        prompt="Read it.",
        preset="ocr",
        document=DocumentInput(id=document, kind="pdf", page_count=PAGES, pages=numbers),
        tiling=Tiling(task=TilingTask.READ, budget=1 << 20, planned=1),
    )
    stored = store.add(NewJob(TENANT, question, response=ResponseFields()))
    claim = store.claim(stored.doorbell.job_id, "a worker")
    assert isinstance(claim, Claim), claim
    return claim


def outcome_of(number: int) -> PageOutcome:
    return PageOutcome(text=page_text(number), source=PageSource.TEXT_LAYER)


def read_pages(system: System, store: Store, claim: Claim) -> None:
    """Hand in what each page says; a worker joins them and ends the job."""
    work = [NewTile(outcome_of(number)) for number in range(1, PAGES + 1)]
    numbers = range(1, PAGES + 1)
    assert TileStore(store).split_pages(claim, list(numbers), work, room=9) is not None
    worker = system.worker(slots=2)
    eventually(lambda: store.get(claim.row.id, TENANT).status.terminal, 200, 1)
    worker.kill()


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    skip_without_figures()
    folder = tmp_path_factory.mktemp("library")
    # the claim is held by nobody who renews it
    endless = {"SIGHTLINE_QUEUE_MAX_WAIT_S": "100000", "SIGHTLINE_LEASE_S": "60"}
    with (
        running_redis(folder) as redis,
        running_system(redis.url, folder, **(QUICK | endless)) as system,
    ):
        gateway, http = system.gateway()
        eventually(lambda: "gateway.ready" in gateway.logs())
        store = Store(Settings(redis_url=redis.url, lease_s=60))
        claim = add_job(store, store_document(http))
        read_pages(system, store, claim)
        row = store.get(claim.row.id, TENANT)
        assert row.status is JobStatus.SUCCEEDED, row.error
        loop = EventLoop(http, gateway)
        yield Library(loop, store, row.id, row.output["text"])
        loop.report()


def test_the_job_itself_is_shown_while_others_go_on(library):
    answer = library.get("job", f"/v1/jobs/{library.job_id}")
    assert len(answer.content) > 6_000_000
    output = answer.json()["output"]
    assert output["text"] == library.text
    assert [page["text"] for page in output["pages"]] == [
        page_text(number) for number in range(1, PAGES + 1)
    ]


@pytest.mark.parametrize("form", ["json", "text", "markdown", "html", "csv"])
def test_its_result_is_shown_while_others_go_on(library, form):
    path = f"/v1/jobs/{library.job_id}/result"
    answer = library.get(f"result as {form}", path, params={"format": form})
    assert f"page {PAGES}" in answer.text[-4000:]


@pytest.mark.long
@pytest.mark.parametrize("form", ["docx", "xlsx"])
def test_a_file_of_it_is_made_or_refused_while_others_go_on(library, form):
    path = f"/v1/jobs/{library.job_id}/result"
    answer = library.loop.watch(form, lambda: library.http.get(path, params={"format": form}))
    assert answer.status_code in (200, 422), answer.text[:500]


def read_frames(answer: httpx.Response) -> list[dict[str, Any]]:
    lines = answer.text.split("\n")
    return [json.loads(line[6:]) for line in lines if line.startswith("data: {")]


def test_its_events_are_replayed_while_others_go_on(library):
    path = f"/v1/jobs/{library.job_id}/events"
    frames = read_frames(library.get("all events", path))
    assert frames[-1]["output"]["text"] == library.text
    last = library.http.get(path, headers={"Last-Event-ID": "999999999"})
    assert last.status_code == 200


def test_it_is_shown_as_a_response_while_others_go_on(library):
    path = f"/v1/responses/{response_id(library.job_id)}"
    shown = library.get("response", path).json()
    assert shown["output"][0]["content"][0]["text"] == library.text


def test_a_response_of_which_all_but_the_end_was_read_is_streamed_while_others_go_on(library):
    path = f"/v1/responses/{response_id(library.job_id)}"
    options = {"stream": "true", "starting_after": 9_999_999}
    last = read_frames(library.get("end of response stream", path, params=options))[-1]
    assert last["response"]["output"][0]["content"][0]["text"] == library.text


@pytest.mark.long
def test_it_is_streamed_as_a_response_while_others_go_on(library):
    path = f"/v1/responses/{response_id(library.job_id)}"
    frames = read_frames(library.get("response stream", path, params={"stream": "true"}))
    deltas = [one["delta"] for one in frames if one["type"] == "response.output_text.delta"]
    assert "".join(deltas) == library.text


def test_a_response_goes_on_with_it_while_others_go_on(library):
    body = {"input": "And?", "previous_response_id": response_id(library.job_id)}
    answer = library.loop.watch(
        "next response",
        lambda: library.http.post("/v1/responses", json=body | {"background": True}),
    )
    assert answer.status_code == 200, answer.text[:500]
    made = answer.json()
    assert (made["status"], made["previous_response_id"]) == (
        "queued",
        body["previous_response_id"],
    )
    assert library.http.post(f"/v1/responses/{made['id']}/cancel").json()["status"] == "cancelled"


def answer_next_job(library: Library) -> None:
    """Answer the job that comes next with the text of all pages, as a worker does."""

    def claim_next() -> Claim | None:
        claim = library.store.claim_next("a worker")
        return claim if isinstance(claim, Claim) else None

    claim = eventually(claim_next)
    output = {"text": library.text, "finish_reason": "stop", "partial": False}
    fields = {"output": output, "raw_text": library.text, "usage": {}}
    library.store.finish(claim.row.id, claim.owner, JobStatus.SUCCEEDED, fields, text=library.text)


@pytest.mark.parametrize("stream", [False, True])
def test_a_chat_is_answered_with_as_much_while_others_go_on(library, stream):
    body = {"messages": [{"role": "user", "content": "hi"}], "stream": stream}

    def ask() -> httpx.Response:
        worker = threading.Thread(target=answer_next_job, args=[library])
        worker.start()
        answer = library.http.post("/v1/chat/completions", json=body)
        worker.join()
        return answer

    answer = library.loop.watch(f"chat, stream {stream}", ask)
    assert answer.status_code == 200, answer.text[:500]
    if stream:
        pieces = [one["choices"][0]["delta"].get("content", "") for one in read_frames(answer)]
        assert "".join(pieces) == library.text
    else:
        assert answer.json()["choices"][0]["message"]["content"] == library.text


def test_it_is_erased_while_others_go_on(library):
    answer = library.loop.watch(
        "erasing", lambda: library.http.delete(f"/v1/jobs/{library.job_id}")
    )
    assert answer.status_code in (204, 410)
