"""Streams whose events were lost or trimmed: the client learns of it, and has the answer."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator

import pytest

import sightline
from shared.store import keys
from tests.integration.http.test_events import following
from tests.support.workers.hand_written import TEXT, WORDS, Writer


@pytest.fixture
def written(workerless) -> Iterator[Writer]:
    """A running job that this test writes."""
    job = workerless.submit()
    yield Writer(workerless.redis, job["id"])
    workerless.http.delete(job["urls"]["self"])


def read_stream(frames, on_event=lambda event: None) -> tuple[str, list[str], dict]:
    """Return the text that a stream adds up to, the reasons of its resets, and its last event."""
    text, resets, last = "", [], {}
    for event in frames:
        if "event" not in event:
            continue
        data = json.loads(event["data"])
        if event["event"] == "output.delta":
            text += data["text"]
        elif event["event"] == "output.reset":
            text = ""
            resets.append(data["reason"])
        last = event
        on_event(event)
    return text, resets, last


def test_who_resumes_before_the_head_gets_the_text_so_far_and_goes_on(workerless, written):
    written.write(0, 250)
    assert written.store.redis.xlen(written.events_key) < 250
    finish = threading.Thread(target=lambda: (written.write(250, 300), written.finish()))

    def go_on(event: dict) -> None:
        if event["event"] == "output.delta" and not finish.ident:
            finish.start()

    with following(workerless.http, written.job_id, after=3) as stream:
        text, resets, last = read_stream(stream, go_on)
    finish.join()
    assert (text, resets, last["event"]) == (TEXT, ["events_lost"], "job.succeeded")


def test_a_reader_that_was_caught_up_can_resume_from_there(workerless, written):
    written.write(0, 250)
    with following(workerless.http, written.job_id, after=3) as stream:
        delta = next(event for event in stream if event.get("event") == "output.delta")
    assert json.loads(delta["data"])["text"] == "".join(WORDS[:250])
    written.write(250, 300)
    with following(workerless.http, written.job_id, after=int(delta["id"])) as stream:
        frames = iter(stream)
        head = [next(frames) for _ in range(51)]
        assert read_stream(head)[:2] == ("".join(WORDS[250:]), [])
        written.finish()
        # what came before can no longer be compared: all of it comes again
        assert read_stream(frames)[:2] == (TEXT, ["answer"])


@pytest.mark.parametrize("after", [0, 3])
def test_the_whole_text_is_there_when_the_head_of_an_ended_job_is_gone(workerless, written, after):
    written.write(0, 300)
    written.finish()
    with following(workerless.http, written.job_id, after=after) as stream:
        text, resets, last = read_stream(stream)
    assert (text, resets, last["event"]) == (TEXT, ["events_lost"], "job.succeeded")


@pytest.mark.parametrize("ended", [False, True])
def test_a_stream_whose_events_redis_has_lost_ends_with_the_right_text(workerless, written, ended):
    written.write(0, 20)
    lost = threading.Event()

    def lose(event: dict) -> None:
        if event["event"] == "output.delta" and not lost.is_set():
            lost.set()
            if ended:
                written.finish()
            written.store.redis.delete(written.events_key)
            if not ended:
                written.write(20, 300)
                written.finish()

    with following(workerless.http, written.job_id) as stream:
        text, _, last = read_stream(stream, lose)
    assert (text, last["event"]) == (TEXT, "job.succeeded")


def test_a_stream_ends_when_redis_has_lost_its_job(workerless, written):
    written.write(0, 20)
    names = written.store.redis.keys(keys.job(written.job_id) + "*")

    def lose(event: dict) -> None:
        if event["event"] == "output.delta":
            written.store.redis.delete(*names)

    with following(workerless.http, written.job_id) as stream:
        _, _, last = read_stream(stream, lose)
    assert last["event"] == "job.erased"


@pytest.mark.parametrize("after", [0, 7])
def test_text_that_an_older_worker_never_reported_comes_before_the_end(workerless, written, after):
    written.write(0, 50)
    with following(workerless.http, written.job_id, after=after) as stream:
        frames = iter(stream)
        head = [next(frames) for _ in range(5)]
        written.finish(text=None)
        text, resets, last = read_stream([*head, *frames])
    assert (text, resets, last["event"]) == (TEXT, ["answer"], "job.succeeded")


def test_a_whole_stream_is_not_repeated_to_who_resumes_it(workerless, written):
    written.write(0, 50)
    written.finish()
    with following(workerless.http, written.job_id, after=7) as stream:
        text, resets, _ = read_stream(stream)
    # five words came before the eighth event
    assert (text, resets) == ("".join(WORDS[5:]), [])


def test_the_clients_stream_adds_up_to_the_answer_though_its_place_is_gone(workerless, written):
    written.write(0, 250)
    done = threading.Thread(target=lambda: (written.write(250, 300), written.finish()))
    text = ""
    with sightline.Client(str(workerless.http.base_url)) as client:
        for event in client.job(written.job_id).stream(after=5):
            text = "" if event.type == "output.reset" else text + event.text
            if event.text and not done.ident:
                done.start()
    done.join()
    assert (text, event.type) == (TEXT, "job.succeeded")
