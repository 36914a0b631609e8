"""A job's events as the chunks of a streamed chat completion."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

from gateway.http.client_connection import LOOK_S
from gateway.http.problems import openai_error
from gateway.responses.chat_completion import chunk, finish_reason, usage_chunk
from gateway.responses.held_response import HeldResponse
from gateway.responses.job_view import why_no_answer
from shared.errors import AnswerChanged, ServiceError
from shared.jobs import JobStatus
from shared.jobs.row import JobRow
from shared.store.job_events import EventReader, JobEvent


class ChatStream:
    """One client's view of one answer; what it has read is never taken back."""

    def __init__(
        self, holding: HeldResponse, events: EventReader, *, ping_s: float, with_usage: bool
    ) -> None:
        self._holding = holding
        self._events = events
        self._ping_s = ping_s
        self._with_usage = with_usage
        self._sent = ""
        self._fresh = ""

    def told(self) -> Iterator[str]:
        """Yield the frames up to `[DONE]`, or up to an error."""
        try:
            row = self._holding.row()
            yield _frame(chunk(row, {"role": "assistant", "content": ""}))
            for event in self._following():
                if event is None:
                    yield ": ping\n\n"
                elif piece := self._piece(event):
                    yield _frame(chunk(row, {"content": piece}))
            if not self._holding.gone():
                yield from self._end(self._holding.row())
        except ServiceError as error:
            yield _frame({"error": openai_error(error)})
        finally:
            self._holding.leave()

    def _following(self) -> Iterator[JobEvent | None]:
        """Yield events to the end of the job or of the client, and None when a ping is due."""
        spoke = time.monotonic()
        for event in self._events.follow(self._holding.job_id, 0, min(LOOK_S, self._ping_s)):
            if self._holding.gone():
                return
            if event is not None:
                spoke = time.monotonic()
                yield event
                continue
            # an erased job's stream is gone and would stay silent for ever
            self._holding.row()
            if time.monotonic() - spoke >= self._ping_s:
                spoke = time.monotonic()
                yield None

    def _piece(self, event: JobEvent) -> str:
        """Return what the event adds to the text that was sent."""
        if event.type == "output.reset":
            self._fresh = ""
        if event.type != "output.delta":
            return ""
        self._fresh += event.data["text"]
        length = min(len(self._sent), len(self._fresh))
        if self._sent[:length] != self._fresh[:length]:
            raise AnswerChanged
        piece = self._fresh[len(self._sent) :]
        self._sent += piece
        return piece

    def _end(self, row: JobRow) -> Iterator[str]:
        if row.status is not JobStatus.SUCCEEDED:
            raise why_no_answer(row)
        yield _frame(chunk(row, {}, finish_reason(row)))
        if self._with_usage:
            yield _frame(usage_chunk(row))
        yield "data: [DONE]\n\n"


def _frame(data: dict[str, Any]) -> str:
    return f"data: {json.dumps(data, ensure_ascii=False)}\n\n"
