"""Parses server-sent events from chunks of bytes that may be cut anywhere."""

from __future__ import annotations

import codecs
import json
from dataclasses import dataclass
from typing import Any

from sightline.types import TERMINAL

_ENDS = {f"job.{status}" for status in TERMINAL} | {"job.erased"}


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a job; `seq` grows, and is None where the service gives no number."""

    seq: int | None
    #: `job.queued`, `job.started`, `job.progress`, `output.reasoning`, `output.delta`,
    #: `output.reset`, `job.succeeded`…
    type: str
    #: The whole job in a terminal event.
    data: dict[str, Any]

    @property
    def terminal(self) -> bool:
        """Tell whether no event follows."""
        return self.type in _ENDS

    @property
    def text(self) -> str:
        """Return the new text of an `output.delta`, else an empty text."""
        return str(self.data.get("text", "")) if self.type == "output.delta" else ""


class Parser:
    """Incremental parser of one stream."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""
        self._fields: dict[str, str] = {}
        #: Pause that the service asks for between two connections.
        self.retry_s: float | None = None

    def feed(self, chunk: bytes) -> list[Event]:
        """Return the events that this chunk completes."""
        text = self._rest + self._decoder.decode(chunk)
        # a CR at the end may be half of a CRLF
        half_end = "\r" if text.endswith("\r") else ""
        lines = text.removesuffix(half_end).replace("\r\n", "\n").replace("\r", "\n").split("\n")
        self._rest = lines.pop() + half_end
        return [event for line in lines if (event := self._line(line)) is not None]

    def _line(self, line: str) -> Event | None:
        if not line:
            return self._complete()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data" and "data" in self._fields:
            self._fields["data"] += "\n" + value
        elif name == "retry" and value.isdigit():
            self.retry_s = int(value) / 1000
        elif name in ("id", "event", "data"):
            self._fields[name] = value
        return None

    def _complete(self) -> Event | None:
        fields, self._fields = self._fields, {}
        if "data" not in fields:
            return None
        number = fields.get("id", "")
        return Event(
            int(number) if number.isdigit() else None,
            fields.get("event", "message"),
            json.loads(fields["data"]),
        )
