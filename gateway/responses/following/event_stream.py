"""A job's events as a stream of server-sent events, from any event on."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any

from gateway.http.base_path import link_base
from gateway.responses.following.followed_job import FollowedJob
from gateway.responses.views.job import live_job_view, predict_outlook
from shared import errors
from shared.jobs import JobStatus
from shared.jobs.row import JobRow
from shared.slow_json import dump_slowly
from shared.store.jobs.events import EventReader, JobEvent, add_piece

#: Milliseconds after which a browser connects again.
_RETRY_MS = 2000
#: The types of events, for the documents.
EVENT_TYPES = (
    "job.queued",
    "job.started",
    "job.progress",
    "output.reasoning",
    "output.delta",
    "output.reset",
    *(f"job.{status.value}" for status in JobStatus if status.terminal),
    "job.erased",
)


class EventStream:
    """One client's stream of one job's events."""

    def __init__(self, job: FollowedJob) -> None:
        self._job = job
        # the frames are made after the request's context has ended
        self._base_url = link_base()

    def iter_frames(self, after: int) -> Generator[str, None, None]:
        """Yield the frames of the events after number `after`, to the end of job or client."""
        yield f"retry: {_RETRY_MS}\n\n"
        try:
            yield from self._iter_events(after)
        except (errors.Erased, errors.NotFound):
            yield _frame(None, "job.erased", {"id": self._job.id})
        except errors.StoreUnavailable:
            # the stream is cut; the client resumes from its last event
            return

    def _iter_events(self, after: int) -> Iterator[str]:
        services = self._job.services
        row = self._job.row()
        if row.status.terminal and (last := services.events.last(row.id)) == after:
            # the client has read the last event already; repeat it rather than hang
            yield _frame(last, f"job.{row.status.value}", self._job_data(row))
            return
        text = _ClientText(services.events, row.id, after)
        for event in self._job.follow(after, ping_s=services.settings.ping_s):
            if event is None:
                yield ": ping\n\n"
            elif event.terminal:
                yield from self._iter_end(event, text)
            else:
                text.take(event)
                yield _frame(event.seq, event.type, self._event_data(event, row))

    def _iter_end(self, event: JobEvent, text: _ClientText) -> Iterator[str]:
        """Yield the last event; before it, what the client needs to have the right text."""
        row = self._job.row()
        whole = row.streamed_text
        if whole is not None and text.read() != whole:
            # without numbers: a client that resumes between them gets all of them again
            yield _frame(None, "output.reset", {"reason": "answer"})
            yield _frame(None, "output.delta", {"text": whole})
        yield _frame(event.seq, event.type, self._job_data(row))

    def _job_data(self, row: JobRow) -> dict[str, Any]:
        return live_job_view(row, self._job.services, self._base_url)

    def _event_data(self, event: JobEvent, row: JobRow) -> dict[str, Any]:
        if event.type == "job.queued":
            position = event.data.get("position")
            # one that may not start yet has no place in the queue
            if position is None:
                return event.data | {"wait_s": None, "eta_s": None}
            outlook = predict_outlook(position, self._job.services, route=row.route)
            return event.data | outlook._asdict()
        return event.data


class _ClientText:
    """The text that a client has put together from the events it got."""

    def __init__(self, events: EventReader, job_id: str, after: int) -> None:
        """Take a client that begins after event number `after`."""
        self._events = events
        self._job_id = job_id
        self._after = after
        #: Of megabytes in the end, so that they are put together once.
        self._pieces: list[str] = []
        #: Whether what it got before this connection still counts.
        self._resumes = after > 0

    def take(self, event: JobEvent) -> None:
        """Add an event that was sent to it."""
        self._resumes = self._resumes and event.type != "output.reset"
        add_piece(self._pieces, event)

    def read(self) -> str | None:
        """Return its text, None if that cannot be told any more; raises StoreUnavailable."""
        text = "".join(self._pieces)
        if not self._resumes:
            return text
        before = self._events.text_until(self._job_id, self._after)
        return None if before is None else before + text


def _frame(seq: int | None, event_type: str, data: dict[str, Any]) -> str:
    number = "" if seq is None else f"id: {seq}\n"
    return f"{number}event: {event_type}\ndata: {dump_slowly(data, ensure_ascii=False)}\n\n"
