"""A job's events as the chunks of a streamed chat completion."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any

from gateway.http.problems import openai_error
from gateway.http.server.client_connection import CHECK_INTERVAL_S
from gateway.responses.chats.completion import (
    asked_members,
    chunk,
    finish_reason,
    usage_chunk,
)
from gateway.responses.following.held_response import HeldResponse
from gateway.responses.views.job import why_no_answer
from shared.errors import AnswerChanged, ServiceError
from shared.jobs import JobStatus
from shared.jobs.row import JobRow
from shared.slow_json import dump_slowly
from shared.store.jobs.events import JobEvent

#: Seconds for which a store may be silent: a chat cannot be resumed, so it waits for it.
_PATIENCE_S = 30.0


class ChatStream:
    """One client's stream of one answer; text that was sent is never taken back."""

    def __init__(self, held_response: HeldResponse, *, ping_s: float, with_usage: bool) -> None:
        """Send a ping after `ping_s` of silence, and the usage at the end if `with_usage`."""
        self._held_response = held_response
        self._job = held_response.job
        self._ping_s = ping_s
        self._with_usage = with_usage
        self._sent = ""
        #: The text of the present attempt, which may still repeat what was sent.
        self._current = ""
        #: The same of what the model thinks before it answers.
        self._sent_thought = ""
        self._thought = ""

    def iter_frames(self) -> Generator[str, None, None]:
        """Yield the frames up to `[DONE]`, or up to an error."""
        try:
            row = self._job.row()
            yield _frame(chunk(row, {"role": "assistant", "content": ""}))
            yield from self._iter_text(row)
            if not self._job.client_gone():
                yield from self._iter_end(self._job.row())
        except ServiceError as error:
            yield _frame({"error": openai_error(error)})
        finally:
            self._held_response.leave()

    def _iter_text(self, row: JobRow) -> Iterator[str]:
        check_s = min(CHECK_INTERVAL_S, self._ping_s)
        for event in self._job.follow(
            0, ping_s=self._ping_s, check_s=check_s, patience_s=_PATIENCE_S
        ):
            if event is None:
                yield ": ping\n\n"
            elif piece := self._new_text(event):
                yield _frame(chunk(row, {"content": piece}))
            elif thought := self._new_thought(event):
                yield _frame(chunk(row, {"reasoning_content": thought}))

    def _new_thought(self, event: JobEvent) -> str:
        """Return what the event adds to the thinking that was sent."""
        if event.type == "output.reset":
            self._thought = ""
        if event.type != "output.reasoning":
            return ""
        self._thought += event.data["text"]
        return self._unsent_thought(self._thought)

    def _unsent_thought(self, thought: str) -> str:
        """Return what `thought` adds; nothing once the answer has begun or if it is another one."""
        if self._sent or not thought.startswith(self._sent_thought):
            return ""
        piece = thought[len(self._sent_thought) :]
        self._sent_thought += piece
        return piece

    def _new_text(self, event: JobEvent) -> str:
        """Return what the event adds to the text that was sent; raises AnswerChanged."""
        if event.type == "output.reset":
            self._current = ""
        if event.type != "output.delta":
            return ""
        self._current += event.data["text"]
        return self._unsent_part(self._current)

    def _unsent_part(self, text: str) -> str:
        """Return what `text` adds to the text that was sent; raises AnswerChanged."""
        length = min(len(self._sent), len(text))
        if self._sent[:length] != text[:length]:
            raise AnswerChanged
        piece = text[len(self._sent) :]
        self._sent += piece
        return piece

    def _iter_end(self, row: JobRow) -> Iterator[str]:
        if row.status is not JobStatus.SUCCEEDED:
            raise why_no_answer(row)
        if thought := self._unsent_thought(row.reasoning):
            yield _frame(chunk(row, {"reasoning_content": thought}))
        if (whole := row.streamed_text) is not None:
            if len(self._sent) > len(whole):
                raise AnswerChanged
            if piece := self._unsent_part(whole):
                yield _frame(chunk(row, {"content": piece}))
        warnings = {"warnings": list(row.notices)} if row.notices else {}
        yield _frame(chunk(row, {}, finish_reason(row)) | warnings | asked_members(row))
        if self._with_usage:
            yield _frame(usage_chunk(row))
        yield "data: [DONE]\n\n"


def _frame(data: dict[str, Any]) -> str:
    return f"data: {dump_slowly(data, ensure_ascii=False)}\n\n"
