"""Streamed chats: whole or an error, and who may stop one that several requests wait for."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from shared.store import keys
from tests.support.chat_reader import ChatReader
from tests.support.harness import eventually
from tests.support.workers.hand_written import TEXT, WORDS, Writer


@pytest.fixture
def chat(workerless) -> Iterator[tuple[ChatReader, Writer]]:
    """A streamed chat and the worker's side of its job, which has written twenty words."""
    reader = ChatReader(workerless.http)
    reader.start()
    writer = Writer(workerless.redis, eventually(lambda: reader.job_id))
    writer.write(0, 20)
    eventually(lambda: reader.text == "".join(WORDS[:20]))
    yield reader, writer
    reader.join(30)
    workerless.http.delete(f"/v1/jobs/{writer.job_id}")


def test_a_chat_ends_with_the_whole_answer_though_reports_were_lost(chat):
    reader, writer = chat
    writer.finish(text=None)
    reader.join(30)
    assert (reader.text, reader.finish_reason, reader.done) == (TEXT, "stop", True)


def test_a_chat_goes_on_where_the_events_it_needs_are_gone(chat):
    reader, writer = chat
    writer.store.redis.delete(writer.events_key)
    writer.write(20, 300)
    writer.finish()
    reader.join(30)
    assert (reader.text, reader.finish_reason, reader.done) == (TEXT, "stop", True)


@pytest.mark.parametrize("answer", ["another answer", "".join(WORDS[:10])])
def test_a_chat_never_ends_as_whole_when_its_text_is_not_the_answer(chat, answer):
    reader, writer = chat
    writer.finish(text=answer, output=answer)
    reader.join(30)
    assert reader.error["code"] == "answer_changed"
    assert (reader.finish_reason, reader.done) == (None, False)


def test_a_chat_thinks_once_though_another_worker_begins_anew(workerless):
    reader = ChatReader(workerless.http)
    reader.start()
    first = Writer(workerless.redis, eventually(lambda: reader.job_id))
    store, job_id = first.store, first.job_id
    store.report(job_id, first.owner, thought="let me see")
    eventually(lambda: reader.reasoning == "let me see")
    assert store.release(job_id, first.owner)
    again = Writer(workerless.redis, job_id)
    # it thinks the same, then its events are gone, then the answer comes
    store.report(job_id, again.owner, thought="let me see")
    store.report(job_id, again.owner, thought=": 3", thought_at=10)
    eventually(lambda: reader.reasoning == "let me see: 3")
    store.redis.delete(again.events_key)
    again.write(0, 3)
    again.finish()
    reader.join(30)
    assert (reader.text, reader.reasoning, reader.done) == (TEXT, "let me see: 3", True)


def test_repeated_chats_whose_job_was_stopped_share_one_new_job(workerless):
    body = {"messages": [{"role": "user", "content": "once"}], "stream": True}
    key = {"Idempotency-Key": "stopped-once"}

    def first_chunk(_: int) -> str:
        """Return the id of the job, and hang up once all have theirs."""
        with workerless.http.stream(
            "POST", "/v1/chat/completions", json=body, headers=key
        ) as answer:
            # an iterator that is dropped closes its stream
            lines = answer.iter_lines()
            line = next(lines)
            barrier.wait(30)
        return json.loads(line.removeprefix("data: "))["id"]

    ids = []
    for _ in range(3):
        barrier = threading.Barrier(6)
        with ThreadPoolExecutor(6) as pool:
            (job_id,) = set(pool.map(first_chunk, range(6)))
        eventually(lambda job_id=job_id: workerless.job(job_id)["status"] == "canceled")
        ids.append(job_id)
    assert len(set(ids)) == 3


def test_a_chat_goes_on_while_any_of_those_who_wait_for_it_stays(workerless):
    body = {"messages": [{"role": "user", "content": "hedged"}], "stream": True}
    key = {"Idempotency-Key": "hedged"}

    def opened(http: httpx.Client):
        request = http.build_request("POST", "/v1/chat/completions", json=body, headers=key)
        answer = http.send(request, stream=True)
        # an iterator that is dropped closes its stream
        lines = answer.iter_lines()
        return answer, lines, json.loads(next(lines).removeprefix("data: "))["id"]

    with httpx.Client(base_url=workerless.http.base_url, timeout=60) as http:
        older, _older_lines, job_id = opened(http)
        newer, _newer_lines, same_id = opened(http)
        assert same_id == job_id
        newer.close()
        waiting = keys.job(job_id) + keys.JOB_WAITING
        with workerless.redis.client() as redis:
            eventually(lambda: redis.hexists(waiting, "left"))
        assert workerless.job(job_id)["status"] == "queued"
        older.close()
        eventually(lambda: workerless.job(job_id)["status"] == "canceled")
