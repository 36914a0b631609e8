"""A job's server-sent events: order, numbers, end, and resuming at any of them."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from pathlib import Path

import httpx
import pytest

from shared.jobs import new_job_id
from tests.support.harness import eventually


def frames(lines):
    """Yield each event as a dict of its fields; a comment as {"": text}."""
    event = {}
    for line in lines:
        if not line:
            if event:
                yield event
            event = {}
            continue
        name, _, value = line.partition(":")
        event[name] = value.removeprefix(" ")


@contextlib.contextmanager
def following(http, job_id, after=None, headers=None):
    params = {} if after is None else {"starting_after": str(after)}
    url = f"/v1/jobs/{job_id}/events"
    with http.stream("GET", url, params=params, headers=headers or {}) as answer:
        assert answer.status_code == 200
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        yield frames(answer.iter_lines())


def numbered_events(http, job_id, after=None, headers=None):
    """Return all events with a number, to the end of the stream."""
    with following(http, job_id, after, headers) as stream:
        return [frame for frame in stream if "id" in frame]


def kinds(events):
    return [event["event"] for event in events]


def test_a_stream_tells_the_whole_life_of_a_job_and_closes(served):
    job = served.submit(prompt="tell me", max_new_tokens=12)
    with following(served.http, job["id"]) as stream:
        first, *events = list(stream)
    events = [event for event in events if "id" in event]
    assert first == {"retry": "2000"}
    assert [int(event["id"]) for event in events] == list(range(1, len(events) + 1))
    names = kinds(events)
    assert names[:2] == ["job.queued", "job.started"]
    assert set(names[2:-1]) == {"job.progress", "output.delta"}
    assert names[-1] == "job.succeeded"
    assert set(json.loads(events[0]["data"])) >= {"position", "wait_s"}
    final = json.loads(events[-1]["data"])
    text = "".join(json.loads(e["data"])["text"] for e in events if e["event"] == "output.delta")
    assert final == served.job(job["id"])
    assert text == final["output"]["text"]


def test_a_stream_resumes_in_another_gateway_from_every_event(served, other_gateway):
    job = served.ended(prompt="resume me", max_new_tokens=8)
    whole = numbered_events(served.http, job["id"])
    for at in range(len(whole)):
        assert numbered_events(other_gateway, job["id"], after=at) == whole[at:]
        assert (
            numbered_events(other_gateway, job["id"], headers={"Last-Event-ID": str(at)})
            == whole[at:]
        )


def test_a_live_stream_that_breaks_goes_on_in_another_gateway(served, other_gateway):
    job = served.submit(prompt="break off", max_new_tokens=6)
    read_events = []
    with following(served.http, job["id"]) as stream:
        for event in stream:
            if "id" in event:
                read_events.append(event)
            if event.get("event") == "output.delta":
                break
    read_events += numbered_events(other_gateway, job["id"], after=int(read_events[-1]["id"]))
    assert [int(event["id"]) for event in read_events] == list(range(1, len(read_events) + 1))
    assert kinds(read_events)[-1] == "job.succeeded"


def test_last_event_id_wins_over_the_query_which_a_browser_repeats(served):
    job = served.ended()
    whole = numbered_events(served.http, job["id"])
    assert (
        numbered_events(served.http, job["id"], after=0, headers={"Last-Event-ID": "2"})
        == whole[2:]
    )


def test_whoever_has_seen_the_end_is_told_it_again(served):
    job = served.ended()
    end = numbered_events(served.http, job["id"])[-1]
    assert numbered_events(served.http, job["id"], after=int(end["id"])) == [end]
    assert numbered_events(served.http, job["id"], after=10_000) == [end]


def test_who_names_an_event_beyond_the_last_begins_anew_with_the_text_so_far(served):
    job = served.submit(prompt="tell me", max_new_tokens=40)
    with following(served.http, job["id"]) as stream:
        next(event for event in stream if event.get("event") == "output.delta")
    with following(served.http, job["id"], after=10_000) as stream:
        events = [event for event in stream if "event" in event]
    assert events[0]["event"] == "output.reset"
    texts = [json.loads(e["data"])["text"] for e in events if e["event"] == "output.delta"]
    final = json.loads(events[-1]["data"])
    assert (final["status"], final["output"]["text"]) == ("succeeded", "".join(texts))
    numbers = [int(event["id"]) for event in events if "id" in event]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


@pytest.mark.parametrize("after", ["-1", "x", "99999999999999999999"])
def test_a_place_that_cannot_be_is_refused(served, after):
    answer = served.http.get(f"/v1/jobs/{new_job_id()}/events", params={"starting_after": after})
    assert (answer.status_code, answer.json()["pointer"]) == (422, "/starting_after")


@pytest.mark.parametrize("header", ["", "x", "-1", "9" * 40])
def test_a_last_event_id_that_is_none_of_ours_starts_from_the_beginning(served, header):
    job = served.ended()
    assert (
        kinds(numbered_events(served.http, job["id"], headers={"Last-Event-ID": header}))[0]
        == "job.queued"
    )


def test_a_quiet_stream_is_kept_alive_by_comments(workerless):
    job = workerless.submit()
    with following(workerless.http, job["id"]) as stream:
        assert any("" in event for event in stream)
    workerless.http.post(job["urls"]["cancel"])


def test_a_stream_ends_when_its_job_is_canceled(workerless):
    job = workerless.submit()
    with following(workerless.http, job["id"]) as stream:
        for event in stream:
            if event.get("event") == "job.queued":
                workerless.http.post(job["urls"]["cancel"])
            last = event
    assert last["event"] == "job.canceled"
    assert json.loads(last["data"])["status"] == "canceled"


def test_a_stream_ends_when_its_job_is_erased(workerless):
    job = workerless.submit()
    with following(workerless.http, job["id"]) as stream:
        for event in stream:
            if event.get("event") == "job.queued":
                workerless.http.delete(job["urls"]["self"])
            last = event
    assert last == {"event": "job.erased", "data": json.dumps({"id": job["id"]})}


def connections(redis, flag=""):
    """Return how many connections Redis holds; flag b: that wait for something."""
    with contextlib.closing(redis.client()) as client:
        return len([row for row in client.client_list() if flag in row["flags"]])


def open_files(gateway):
    """Return how many files and sockets the gateway's worker process holds open."""
    proc = Path("/proc")
    child = (proc / f"{gateway.pid}/task/{gateway.pid}/children").read_text().split()[0]
    return len(list((proc / child / "fd").iterdir()))


def test_streams_whose_clients_have_gone_leave_nothing_open(workerless):
    job = workerless.submit()
    port = workerless.http.base_url.port
    request = f"GET /v1/jobs/{job['id']}/events HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    wait = f"GET /v1/jobs/{job['id']}?wait=60 HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    base, base_files = connections(workerless.redis), open_files(workerless.gateway)
    sockets = []
    for number in range(100):
        sockets.append(socket.create_connection(("127.0.0.1", port)))
        sockets[-1].sendall(wait if number % 6 == 0 else request)
    eventually(lambda: connections(workerless.redis, "b") >= 90)
    for one in sockets:
        one.close()
    eventually(lambda: connections(workerless.redis, "b") == 0, every_s=0.5)
    # two pools keep a few connections warm each
    eventually(lambda: open_files(workerless.gateway) <= base_files + 40)
    eventually(lambda: connections(workerless.redis) <= base + 32)
    steady = connections(workerless.redis)
    for _ in range(100):
        workerless.http.get(job["urls"]["self"])
    assert connections(workerless.redis) <= steady


def test_a_hundred_streams_do_not_hold_up_a_plain_request(workerless):
    job = workerless.submit()
    last_kinds = []

    def follow():
        with httpx.Client(base_url=workerless.http.base_url, timeout=60) as http:
            last_kinds.append(kinds(numbered_events(http, job["id"]))[-1])

    threads = [threading.Thread(target=follow) for _ in range(100)]
    for thread in threads:
        thread.start()
    eventually(lambda: connections(workerless.redis, "b") >= 90)
    assert workerless.job(job["id"])["status"] == "queued"
    workerless.http.post(job["urls"]["cancel"])
    for thread in threads:
        thread.join(30)
    assert last_kinds == ["job.canceled"] * 100
