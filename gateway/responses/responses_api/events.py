"""The events of a streamed response, numbered so that any gateway gives each the same number."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gateway.responses.responses_api.segments import SegmentedText
from gateway.responses.responses_api.view import (
    output_id,
    output_item,
    reasoning_item,
    response_view,
    text_part,
)
from shared.errors import AnswerChanged
from shared.jobs.row import JobRow
from shared.store.jobs.events import JobEvent, add_to_text

Event = dict[str, Any]

_LAST = ("response.completed", "response.incomplete", "response.failed", "error")


def is_last(event: Event) -> bool:
    """Tell whether no event can follow."""
    return event["type"] in _LAST


class ResponseEvents:
    """Turns the events of one job into those of its response; numbers depend on its text alone."""

    def __init__(self, row: JobRow) -> None:
        """Take a job as it was when the stream began."""
        self._row = row
        self._background = bool(row.response and row.response.background)
        self._next = 0
        self._started = False
        self._opened = False
        self._text = SegmentedText()
        #: The text of the present attempt, which may still repeat what was sent.
        self._current = ""
        #: What the model has thought in this attempt, and what was sent of it.
        self._thought = ""
        self._thoughts = SegmentedText()
        self._is_thinking = False
        #: Place of the answer among the items of the output.
        self._index = 0

    def begin(self) -> Iterator[Event]:
        """Yield what comes before a worker begins."""
        status = "queued" if self._background else "in_progress"
        yield self._snapshot("response.created", status)
        if self._background:
            yield self._snapshot("response.queued", "queued")
        else:
            yield from self._start()

    def take(self, event: JobEvent) -> Iterator[Event]:
        """Yield what an event of the job adds; raises AnswerChanged."""
        if event.type == "job.started":
            yield from self._start()
        yield from self._take_thought(event)
        self._current = add_to_text(self._current, event)
        if event.type == "output.delta":
            yield from self._add_text(self._current)

    def end(self, row: JobRow, after: int) -> Iterator[Event]:
        """Yield the rest and the last event; raises AnswerChanged.

        The last one keeps its number for a client that has read up to number `after`, unless that
        is higher because what it has read is gone.
        """
        yield from self._start()
        if row.output is not None:
            self._thought = row.reasoning
            said = self._current if row.streamed_text is None else row.streamed_text
            yield from self._add_text(said, whole=True)
            yield from self._close(row)
        view = response_view(row)
        # there is no event for a canceled response but this one
        kind = "failed" if view["status"] == "cancelled" else view["status"]
        if row.output is None and after > self._next:
            self._next = after + 1
        yield self._numbered(f"response.{kind}", {"response": view})

    def fail(self, error: dict[str, Any], after: int) -> Event:
        """Return the event of a stream that cannot go on."""
        self._next = max(self._next, after + 1)
        members = {name: error[name] for name in ("code", "message", "param")}
        return self._numbered("error", members)

    def _start(self) -> Iterator[Event]:
        if not self._started:
            self._started = True
            yield self._snapshot("response.in_progress", "in_progress")

    def _add_text(self, text: str, *, whole: bool = False) -> Iterator[Event]:
        segments = _added(self._text, text, whole=whole)
        if segments or whole:
            yield from self._start()
            yield from self._open()
        for segment in segments:
            delta = {"delta": segment, "logprobs": []}
            yield self._of_part("response.output_text.delta", delta)

    def _open(self) -> Iterator[Event]:
        if self._opened:
            return
        self._opened = True
        if self._thought or self._is_thinking:
            yield from self._add_thought(whole=True)
            yield from self._close_thought()
            self._index = 1
        item = {
            "type": "message",
            "id": output_id(self._row),
            "status": "in_progress",
            "role": "assistant",
            "content": [],
        }
        yield self._of_item("response.output_item.added", item)
        yield self._of_part("response.content_part.added", {"part": text_part("")})

    def _close(self, row: JobRow) -> Iterator[Event]:
        text = self._text.taken
        yield self._of_part("response.output_text.done", {"text": text, "logprobs": []})
        yield self._of_part("response.content_part.done", {"part": text_part(text)})
        item = output_item(row)
        yield self._of_item("response.output_item.done", item)

    def _take_thought(self, event: JobEvent) -> Iterator[Event]:
        if event.type == "output.reset":
            self._thought = ""
        elif event.type == "output.reasoning":
            self._thought += event.data["text"]
            # once the answer is begun, its thinking was sent
            if not self._opened:
                yield from self._add_thought()

    def _add_thought(self, *, whole: bool = False) -> Iterator[Event]:
        segments = _added(self._thoughts, self._thought, whole=whole)
        if segments and not self._is_thinking:
            self._is_thinking = True
            yield from self._start()
            begun = reasoning_item(self._row, "") | {"status": "in_progress"}
            yield self._of_item("response.output_item.added", begun)
        for segment in segments:
            yield self._of_thought("response.reasoning_text.delta", {"delta": segment})

    def _close_thought(self) -> Iterator[Event]:
        thought = self._thoughts.taken
        yield self._of_thought("response.reasoning_text.done", {"text": thought})
        yield self._of_item("response.output_item.done", reasoning_item(self._row, thought))

    def _of_thought(self, kind: str, members: dict[str, Any]) -> Event:
        place = {"item_id": reasoning_item(self._row, "")["id"], "content_index": 0}
        return self._numbered(kind, {"output_index": 0} | place | members)

    def _of_item(self, kind: str, item: Event) -> Event:
        return self._numbered(kind, {"output_index": self._index, "item": item})

    def _snapshot(self, kind: str, status: str) -> Event:
        return self._numbered(kind, {"response": response_view(self._row, status=status)})

    def _of_part(self, kind: str, members: dict[str, Any]) -> Event:
        place = {"item_id": output_id(self._row), "content_index": 0}
        place["output_index"] = self._index
        return self._numbered(kind, place | members)

    def _numbered(self, kind: str, members: dict[str, Any]) -> Event:
        event = {"type": kind, "sequence_number": self._next, **members}
        self._next += 1
        return event


def _added(sent: SegmentedText, text: str, *, whole: bool) -> list[str]:
    """Return the segments that a text adds to those that were sent; raises AnswerChanged."""
    try:
        return sent.take(text, whole=whole)
    except ValueError:
        raise AnswerChanged from None
