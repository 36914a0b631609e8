"""Clients that read streams while faults happen, and what each of them has read in the end."""

from __future__ import annotations

import collections
import functools
import json
import queue
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

import sightline
from sightline import SightlineError
from sightline.types import TERMINAL
from tests.chaos.trail import PATIENCE_S, SUBMIT_S, Trail

#: Share of the events after which a listener breaks off and resumes at any gateway.
_BREAK_SHARE = 0.05
#: Jobs that wait for a listener; while there are so many, further ones are not followed.
_MOST_WAITING = 24
CHAT = "chat"

#: Reads one stream to its end and returns its text, or None where it does not end.
_Reading = Callable[[Trail, random.Random], str | None]


@dataclass(frozen=True)
class Heard:
    """The text of one stream that ended as whole."""

    kind: str
    job_id: str
    text: str


@dataclass
class Listeners:
    """Threads that follow jobs by raw events and by our client, and that ask streamed chats."""

    clients: Sequence[httpx.Client]
    tokens: int
    #: Returns how many seconds ago a job ended, None while it has not or nobody can tell.
    since_end_s: Callable[[str], float | None]
    heard: list[Heard] = field(default_factory=list)
    #: How streams ended, by kind and end.
    ends: collections.Counter[str] = field(default_factory=collections.Counter)
    #: Streams that did not end when their jobs had.
    unended: list[Trail] = field(default_factory=list)
    _open: dict[int, Trail] = field(default_factory=dict)
    _jobs: queue.Queue[str | None] = field(default_factory=queue.Queue)
    _threads: list[threading.Thread] = field(default_factory=list)
    _stopped: threading.Event = field(default_factory=threading.Event)

    def start(self, followers: int, chatters: int) -> None:
        """Start threads of both kinds."""
        works: list[Callable[[int], None]] = [self._follow_jobs] * followers
        works += [self._ask_chats] * chatters
        for number, work in enumerate(works):
            thread = threading.Thread(target=work, args=(number,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def offer(self, job_id: str) -> None:
        """Follow this job unless all threads have enough to do."""
        if self._jobs.qsize() < _MOST_WAITING:
            self._jobs.put(job_id)

    def stop(self) -> None:
        """Ask no more chats, and wait for what was begun; the jobs should have ended by now."""
        self._stopped.set()
        for _ in self._threads:
            self._jobs.put(None)
        # a reader may begin just now
        deadline = time.monotonic() + SUBMIT_S + PATIENCE_S
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        for trail in list(self._open.values()):
            self._give_up(trail)

    def _follow_jobs(self, number: int) -> None:
        dice = random.Random(number)
        while (job_id := self._jobs.get()) is not None:
            kind, follow = dice.choice([("events", self._read_events), ("client", self._read_sdk)])
            self._read(number, Trail(kind, job_id), follow, dice)

    def _ask_chats(self, number: int) -> None:
        dice, asked = random.Random(number), 0
        while not self._stopped.is_set():
            asked += 1
            ask = functools.partial(self._ask_chat, f"chat {number}-{asked}")
            self._read(number, Trail(CHAT), ask, dice)

    def _read(self, number: int, trail: Trail, read: _Reading, dice: random.Random) -> None:
        """Read one stream to its end, and note how that came about."""
        self._open[number] = trail
        text = read(trail, dice)
        del self._open[number]
        if text is None or self._is_overdue(trail):
            self._give_up(trail)
            return
        self.ends[f"{trail.kind} whole"] += 1
        self.heard.append(Heard(trail.kind, trail.job_id, text))

    def _give_up(self, trail: Trail) -> None:
        self.ends[f"{trail.kind} gave up"] += 1
        self.unended.append(trail)

    def _is_overdue(self, trail: Trail) -> bool:
        return trail.is_overdue(self.since_end_s(trail.job_id) if trail.job_id else None)

    def _read_events(self, trail: Trail, dice: random.Random) -> str | None:
        """Return the text of a job's events, read from any gateways; None if they never end."""
        text, after = "", 0
        while not self._is_overdue(trail):
            try:
                for event in _events(dice.choice(self.clients), trail, after):
                    after = int(event.get("id", after))
                    text = _add(text, event)
                    if event["event"].removeprefix("job.") in TERMINAL:
                        return text
                    if dice.random() < _BREAK_SHARE:
                        break
            except httpx.TransportError as error:
                self._note_cut(trail, repr(error))
            time.sleep(0.1)
        return None

    def _read_sdk(self, trail: Trail, dice: random.Random) -> str | None:
        """Return the text of a job's stream as our client reads it; None if it gives up."""
        text, url = "", str(dice.choice(self.clients).base_url)
        try:
            with sightline.Client(url, timeout=4.0, retries=60) as client:
                for event in client.job(trail.job_id).stream():
                    trail.hear(event.type)
                    text = "" if event.type == "output.reset" else text + event.text
        except SightlineError as error:
            trail.ends[repr(error)] += 1
            return None
        return text

    def _ask_chat(self, prompt: str, trail: Trail, dice: random.Random) -> str | None:
        """Ask with the same key until a stream ends as whole; return its text, or None."""
        body = {
            "messages": [{"role": "user", "content": prompt}],
            "stream": True,
            "max_tokens": self.tokens,
        }
        while not self._is_overdue(trail):
            try:
                text = _read_chat(dice.choice(self.clients), body, prompt, trail)
            except httpx.TransportError as error:
                text = None
                trail.ends[repr(error)] += 1
            if text is not None:
                return text
            self.ends["chat cut"] += 1
            time.sleep(0.2)
        return None

    def _note_cut(self, trail: Trail, end: str) -> None:
        trail.ends[end] += 1
        self.ends[f"{trail.kind} cut"] += 1


def _events(http: httpx.Client, trail: Trail, after: int) -> Iterator[dict[str, str]]:
    """Yield the events after a number from one gateway; comments are left out."""
    headers = {"Last-Event-ID": str(after)} if after else {}
    with http.stream("GET", f"/v1/jobs/{trail.job_id}/events", headers=headers) as answer:
        if answer.status_code != 200:
            trail.ends[str(answer.status_code)] += 1
            return
        event: dict[str, str] = {}
        for line in answer.iter_lines():
            if not line and "event" in event:
                trail.hear(f"{event['event']} {event.get('id', 'without a number')}")
                yield event
            if not line:
                event = {}
                continue
            name, _, value = line.partition(":")
            event[name] = value.removeprefix(" ")


def _add(text: str, event: dict[str, str]) -> str:
    if event["event"] == "output.reset":
        return ""
    return text + _delta_text(event) if event["event"] == "output.delta" else text


def _delta_text(event: dict[str, str]) -> str:
    return str(json.loads(event["data"])["text"])


def _read_chat(http: httpx.Client, body: dict[str, Any], key: str, trail: Trail) -> str | None:
    """Return the text of a chat that ended as whole, None for any other end."""
    text = ""
    headers = {"Idempotency-Key": key}
    with http.stream("POST", "/v1/chat/completions", json=body, headers=headers) as answer:
        for line in answer.iter_lines():
            data = line.removeprefix("data: ")
            if data == "[DONE]":
                return text
            chunk = json.loads(data) if line.startswith("data: ") else {}
            if "error" in chunk or answer.status_code != 200:
                trail.ends[f"{answer.status_code} {line[:200]}"] += 1
                return None
            for choice in chunk.get("choices", []):
                trail.job_id, text = chunk["id"], text + choice["delta"].get("content", "")
                trail.hear("a chunk")
    trail.ends["an early end"] += 1
    return None
