"""The event stream of a job, read from any event on, and what its events add up to."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

from shared.jobs import JobStatus
from shared.store import keys
from shared.store.connection import Client, load_script
from shared.store.failures import guard

_TERMINAL = {f"job.{status.value}" for status in JobStatus if status.terminal}


#: Events that are read at once: some of a document say what a whole page does.
_AT_ONCE = 100


class EventsLost(Exception):
    """Events between a reader's place and the next one were trimmed, or Redis has lost them."""


@dataclass(frozen=True, slots=True)
class JobEvent:
    """One event; `seq` is None for one made for a reader.

    Numbers begin at 1 within a job and grow. Where Redis came back without its newest events some
    are left out, so that no two events that a client may have read share a number.
    """

    seq: int | None
    type: str
    data: dict[str, Any]

    @property
    def terminal(self) -> bool:
        """Tell whether no event can follow."""
        return self.type in _TERMINAL


@dataclass(frozen=True, slots=True)
class Streamed:
    """What a job's events up to number `seq` add up to."""

    seq: int
    #: Empty once the job has ended; then its row has the text.
    text: str
    #: None without a row.
    status: JobStatus | None
    #: What the model has thought before its answer; empty once the job has ended.
    thought: str = ""


class EventCursor:
    """One reader's place in a job's events; it notices when events behind it change or go."""

    def __init__(self, client: Client, block_s: float, job_id: str, after: int) -> None:
        self._redis = client
        self._block_s = block_s
        self._key = keys.events(job_id)
        #: The number of the last event that was read.
        self.after = after
        #: That event, as far as it is known, and whether it must still be there.
        self._last: JobEvent | None = None
        self._anchored = after > 0

    def move_to(self, seq: int) -> None:
        """Go on after event `seq`, whether it is kept or not."""
        self.after, self._last, self._anchored = seq, None, False

    def read(self, wait_s: float = 0.0) -> list[JobEvent]:
        """Return the events that follow, waiting up to `wait_s` for the first.

        Raises EventsLost where they do not follow on the last one, and StoreUnavailable.
        """
        deadline = time.monotonic() + wait_s
        while True:
            left = deadline - time.monotonic()
            block = max(1, int(min(left, self._block_s) * 1000)) if left > 0 else None
            batch = self._read_once(block)
            if batch or time.monotonic() >= deadline:
                return batch

    def _read_once(self, block_ms: int | None) -> list[JobEvent]:
        with guard():
            # Redis cannot restart between the two without breaking the connection
            pipe = self._redis.pipeline(transaction=False)
            pipe.xrange(self._key, f"{self.after}-0", f"{self.after}-0")
            pipe.xread({self._key: f"{self.after}-0"}, count=_AT_ONCE, block=block_ms)
            anchors, reply = pipe.execute()
        batch = [_event(entry) for entry in reply[0][1]] if reply else []
        self._check_place([_event(entry) for entry in anchors], batch)
        if batch:
            self._last, self._anchored = batch[-1], True
            self.after = _number(reply[0][1][-1])
        return batch

    def _check_place(self, anchors: list[JobEvent], batch: list[JobEvent]) -> None:
        # only the head of a stream is trimmed, so nothing is missing behind an event that is kept
        follows = bool(anchors or (batch and batch[0].seq == self.after + 1))
        if not follows and (batch or self._anchored):
            raise EventsLost
        # Redis came back with less than it had, and has gone on from there
        if anchors and self._last and anchors[0] != self._last:
            raise EventsLost


class EventReader:
    """Reads event streams; every waiting reader holds one connection of the pool.

    Every method raises StoreUnavailable without Redis.
    """

    def __init__(self, client: Client, block_s: float) -> None:
        """Make a reader; `block_s` must stay below the client's socket timeout."""
        self._redis = client
        self._block_s = block_s
        self._streamed_script = load_script(client, "jobs/streamed")

    def open(self, job_id: str, after: int) -> EventCursor:
        """Return a cursor after event number `after`, 0 for all events; nothing is read yet."""
        return EventCursor(self._redis, self._block_s, job_id, after)

    def read(self, job_id: str, after: int, wait_s: float = 0.0) -> list[JobEvent]:
        """Return the events after number `after`, waiting up to `wait_s` for the first.

        Raises EventsLost where some of them are no longer there.
        """
        return self.open(job_id, after).read(wait_s)

    def last(self, job_id: str) -> int:
        """Return the number of the newest event, 0 when there is none."""
        with guard():
            newest = self._redis.xrevrange(keys.events(job_id), count=1)
        return _number(newest[0]) if newest else 0

    def streamed(self, job_id: str) -> Streamed:
        """Return what all events of a job add up to now."""
        with guard():
            seq, text, status, thought = self._streamed_script(keys=[], args=[job_id])
        return Streamed(int(seq), text, JobStatus(status) if status else None, thought)

    def text_until(self, job_id: str, seq: int) -> str | None:
        """Return the text of the events up to number `seq`; None where one of them is gone."""
        pieces: list[str] = []
        read = 0
        while read < seq:
            # the last one again: the head of the stream may be trimmed meanwhile
            with guard():
                entries = self._redis.xrange(
                    keys.events(job_id), f"{read or 1}-0", f"{seq}-0", _AT_ONCE
                )
            new = entries[1:] if read else entries
            if not new or _number(entries[0]) != (read or 1):
                return None
            read = _number(new[-1])
            for entry in new:
                add_piece(pieces, _event(entry))
        return "".join(pieces)


def add_piece(pieces: list[str], event: JobEvent) -> None:
    """Add what an event says to the pieces of a text that is put together once, in the end."""
    if event.type == "output.reset":
        pieces.clear()
    elif event.type == "output.delta":
        pieces.append(str(event.data["text"]))


def add_to_text(text: str, event: JobEvent) -> str:
    """Return what a reader has of a job's text after one more event."""
    if event.type == "output.reset":
        return ""
    return text + str(event.data["text"]) if event.type == "output.delta" else text


def _event(entry: Any) -> JobEvent:
    _, fields = entry
    return JobEvent(_number(entry), fields["type"], json.loads(fields["data"]))


def _number(entry: Any) -> int:
    return int(entry[0].split("-")[0])
