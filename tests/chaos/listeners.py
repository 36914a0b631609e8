"""Clients that read streams while faults happen, and what each of them has read in the end."""

from __future__ import annotations

import collections
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

#: Seconds after which a listener gives up; on a busy machine a job may wait for minutes.
_PATIENCE_S = 300.0
#: Share of the events after which a listener breaks off and resumes at any gateway.
_BREAK_SHARE = 0.05
#: Jobs that wait for a listener; while there are so many, further ones are not followed.
_MOST_WAITING = 24
CHAT = "chat"


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
    heard: list[Heard] = field(default_factory=list)
    #: How streams ended, by kind and end.
    ends: collections.Counter[str] = field(default_factory=collections.Counter)
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
        """Ask no more chats, and wait for what was begun."""
        self._stopped.set()
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join()

    def _follow_jobs(self, number: int) -> None:
        dice = random.Random(number)
        while (job_id := self._jobs.get()) is not None:
            kind, follow = dice.choice([("events", self._read_events), ("client", self._read_sdk)])
            text = follow(job_id, dice)
            self._note(kind, job_id, text)

    def _ask_chats(self, number: int) -> None:
        dice, asked = random.Random(number), 0
        while not self._stopped.is_set():
            asked += 1
            self._ask_chat(f"chat {number}-{asked}", dice)

    def _note(self, kind: str, job_id: str, text: str | None) -> None:
        self.ends[f"{kind} {'whole' if text is not None else 'gave up'}"] += 1
        if text is not None:
            self.heard.append(Heard(kind, job_id, text))

    def _read_events(self, job_id: str, dice: random.Random) -> str | None:
        """Return the text of a job's events, read from any gateways; None if they never end."""
        text, after, deadline = "", 0, time.monotonic() + _PATIENCE_S
        while time.monotonic() < deadline:
            try:
                for event in _events(dice.choice(self.clients), job_id, after):
                    after = int(event.get("id", after))
                    text = _add(text, event)
                    if event["event"].removeprefix("job.") in TERMINAL:
                        return text
                    if dice.random() < _BREAK_SHARE:
                        break
            except httpx.TransportError:
                self.ends["events cut"] += 1
            time.sleep(0.1)
        return None

    def _read_sdk(self, job_id: str, dice: random.Random) -> str | None:
        """Return the text of a job's stream as our client reads it; None if it gives up."""
        text, url = "", str(dice.choice(self.clients).base_url)
        try:
            with sightline.Client(url, timeout=4.0, retries=60) as client:
                for event in client.job(job_id).stream():
                    text = "" if event.type == "output.reset" else text + event.text
        except SightlineError:
            return None
        return text

    def _ask_chat(self, prompt: str, dice: random.Random) -> None:
        """Ask with the same key until a stream ends as whole."""
        body = {
            "messages": [{"role": "user", "content": prompt}],
            "stream": True,
            "max_tokens": self.tokens,
        }
        deadline = time.monotonic() + _PATIENCE_S
        while time.monotonic() < deadline:
            try:
                heard = _read_chat(dice.choice(self.clients), body, prompt)
            except httpx.TransportError:
                heard = None
            if heard:
                self._note(CHAT, *heard)
                return
            self.ends["chat cut"] += 1
            time.sleep(0.2)
        self._note(CHAT, "", None)


def _events(http: httpx.Client, job_id: str, after: int) -> Iterator[dict[str, str]]:
    """Yield the events after a number from one gateway; comments are left out."""
    headers = {"Last-Event-ID": str(after)} if after else {}
    with http.stream("GET", f"/v1/jobs/{job_id}/events", headers=headers) as answer:
        if answer.status_code != 200:
            return
        event: dict[str, str] = {}
        for line in answer.iter_lines():
            if not line and "event" in event:
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


def _read_chat(http: httpx.Client, body: dict[str, Any], key: str) -> tuple[str, str] | None:
    """Return job id and text of a chat that ended as whole, None for any other end."""
    text, job_id = "", ""
    headers = {"Idempotency-Key": key}
    with http.stream("POST", "/v1/chat/completions", json=body, headers=headers) as answer:
        for line in answer.iter_lines():
            data = line.removeprefix("data: ")
            if data == "[DONE]":
                return job_id, text
            chunk = json.loads(data) if line.startswith("data: ") else {}
            if "error" in chunk or answer.status_code != 200:
                return None
            for choice in chunk.get("choices", []):
                job_id, text = chunk["id"], text + choice["delta"].get("content", "")
    return None
