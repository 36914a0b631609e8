"""A response as server-sent events, from any event on."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator, Iterable, Iterator

from gateway.http.problems import openai_error
from gateway.http.server.client_connection import CHECK_INTERVAL_S
from gateway.large_input import give_way
from gateway.responses.following.followed_job import FollowedJob
from gateway.responses.responses_api.events import Event, ResponseEvents, is_last
from shared.errors import ServiceError
from shared.jobs.row import JobRow
from shared.slow_json import dump_slowly

#: Seconds for which a store may be silent before the stream ends with an error.
_PATIENCE_S = 30.0
#: Events that are made between two looks at other requests.
_EVENTS_AT_ONCE = 500


class ResponseStream:
    """One client's stream of one response; text that was sent is never taken back."""

    def __init__(
        self,
        job: FollowedJob,
        row: JobRow,
        *,
        ping_s: float,
        after: int = -1,
        leave: Callable[[], None] | None = None,
    ) -> None:
        """Send what comes after event `after`, and always the last one; in the end call `leave`."""
        self._job = job
        self._events = ResponseEvents(row)
        self._ping_s = ping_s
        self._after = after
        self._leave = leave
        self._count = itertools.count(1)

    def iter_frames(self) -> Generator[str, None, None]:
        """Yield the frames up to the last event, or up to an error."""
        try:
            yield from self._frames(self._events.begin())
            yield from self._iter_text()
            if not self._job.client_gone():
                yield from self._frames(self._events.end(self._job.row(), self._after))
        except ServiceError as error:
            yield from self._frames([self._events.fail(openai_error(error), self._after)])
        finally:
            if self._leave:
                self._leave()

    def _iter_text(self) -> Iterator[str]:
        check_s = min(CHECK_INTERVAL_S, self._ping_s)
        for event in self._job.follow(
            0, ping_s=self._ping_s, check_s=check_s, patience_s=_PATIENCE_S
        ):
            if event is None:
                yield ": ping\n\n"
            else:
                yield from self._frames(self._events.take(event))

    def _frames(self, events: Iterable[Event]) -> Iterator[str]:
        for event in events:
            # also where a client has them all, so that none is sent
            if next(self._count) % _EVENTS_AT_ONCE == 0:
                give_way()
            # whoever has read the last one already is told it again and does not wait for it
            if event["sequence_number"] > self._after or is_last(event):
                data = dump_slowly(event, ensure_ascii=False)
                yield f"event: {event['type']}\ndata: {data}\n\n"
