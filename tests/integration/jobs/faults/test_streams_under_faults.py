"""Streams while the worker's connections or Redis fail: each word once, to the end."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import httpx
import pytest

from tests.chaos.proxy import Proxy, proxied
from tests.support.chat_reader import ChatReader
from tests.support.harness import QUICK, RedisServer, eventually, running_redis, running_system

#: Longer than an answer takes, so that the fault covers its end.
AWAY_S = 3.0


@dataclass
class Line:
    """A system whose worker reaches Redis through a proxy of its own."""

    redis: RedisServer
    worker_link: Proxy
    http: httpx.Client
    other: httpx.Client

    def cut_worker(self) -> None:
        self.worker_link.cut(AWAY_S)

    def lose_answers(self) -> None:
        self.worker_link.lose_answers(AWAY_S)

    def repeat_reports(self) -> None:
        """Reset the worker's connections again and again: its client sends commands twice."""
        for _ in range(20):
            self.worker_link.reset()
            time.sleep(0.05)

    def freeze_redis(self) -> None:
        self.redis.signal(signal.SIGSTOP)
        time.sleep(AWAY_S)
        self.redis.signal(signal.SIGCONT)

    def kill_redis(self) -> None:
        self.redis.kill()
        time.sleep(1)
        self.redis.start()


FAULTS: list[Callable[[Line], None]] = [
    Line.cut_worker,
    Line.lose_answers,
    Line.repeat_reports,
    Line.freeze_redis,
    Line.kill_redis,
]


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    folder = tmp_path_factory.mktemp("line")
    env = QUICK | {
        "SIGHTLINE_REDIS_TIMEOUT_S": "1",
        "SIGHTLINE_PING_S": "1",
        "SIGHTLINE_LEASE_S": "8",
        "SIGHTLINE_SIMULATED_TOKEN_S": "0.06",
    }
    with (
        running_redis(folder) as redis,
        proxied(redis.port) as link,
        running_system(redis.url, folder, **env) as system,
    ):
        system.worker(slots=8, SIGHTLINE_REDIS_URL=link.url)
        (_, http), (_, other) = system.gateway(), system.gateway()
        yield Line(redis, link, http, other)


def stored_text(line: Line, job_id: str) -> str:
    """Return the text of a job's answer, once it has ended."""

    def succeeded() -> dict | None:
        job = line.other.get(f"/v1/jobs/{job_id}").json()
        return job if job.get("status") == "succeeded" else None

    return eventually(succeeded)["output"]["text"]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_chats_say_every_word_once_through_a_fault(line, fault):
    readers = [ChatReader(line.http, f"{fault.__name__} {n}", max_tokens=64) for n in range(4)]
    for reader in readers:
        reader.start()
    eventually(lambda: all(reader.text for reader in readers))
    fault(line)
    for reader in readers:
        reader.join(60)
        assert not reader.is_alive()
        assert (reader.error, reader.done) == ({}, True)
        assert reader.text == stored_text(line, reader.job_id) != ""


def read_events(http: httpx.Client, job_id: str, after: int) -> Iterator[tuple[int, str, dict]]:
    """Yield number, type and data of the events after a number, until the stream ends or breaks."""
    headers = {"Last-Event-ID": str(after)}
    event: dict[str, str] = {}
    try:
        with http.stream("GET", f"/v1/jobs/{job_id}/events", headers=headers) as answer:
            for text_line in answer.iter_lines():
                name, _, value = text_line.partition(": ")
                event[name] = value
                if not text_line and "event" in event:
                    yield int(event.get("id", after)), event["event"], json.loads(event["data"])
                if not text_line:
                    event = {}
    except httpx.TransportError:
        return


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_events_that_are_resumed_elsewhere_say_every_word_once_through_a_fault(line, fault):
    body = {"prompt": f"follow {fault.__name__}", "max_new_tokens": 64}
    job = line.http.post("/v1/jobs", json=body).json()
    text, after, end, deadline = "", 0, "", time.monotonic() + 60
    gateways = [line.http, line.other]
    while not end and time.monotonic() < deadline:
        gateways.reverse()
        for number, kind, data in read_events(gateways[0], job["id"], after):
            after = number
            if kind == "output.reset":
                text = ""
            if kind == "output.delta":
                text += data["text"]
            if kind == "output.delta" and fault is not None:
                fault(line)
                fault = None
                break
            end = kind if kind in ("job.succeeded", "job.failed") else ""
        time.sleep(0.2)
    assert end == "job.succeeded"
    assert text == stored_text(line, job["id"]) != ""
