"""Server-sent events as an HTTP response, which others need not wait for."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing

from flask import Response

from gateway.large_input import give_way

#: Characters and frames that are sent at once, to a client that takes them as they come.
_CHARS, _FRAMES = 256 << 10, 250


def sse_response(frames: Generator[str, None, None]) -> Response:
    """Return the response that sends these frames."""
    return Response(
        _with_pauses(frames),
        mimetype="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


def _with_pauses(frames: Generator[str, None, None]) -> Iterator[str]:
    """Yield the frames, with a pause now and then; they end with whoever reads them."""
    chars = count = 0
    with closing(frames):
        for frame in frames:
            chars, count = chars + len(frame), count + 1
            yield frame
            if chars > _CHARS or count > _FRAMES:
                chars = count = 0
                give_way()
