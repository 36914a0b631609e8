"""The parser of server-sent events."""

from __future__ import annotations

import pytest

from sightline._transport.sse import Parser

STREAM = (
    "retry: 1500\r\n\r\n"
    ": ping\n\n"
    'id: 1\nevent: output.delta\ndata: {"text": "图\ndata: 😀"}\n\n'.replace("图\ndata: 😀", "图😀")
    + 'id: 2\r\nevent: job.progress\r\ndata: {"percent":\r\ndata: 5}\r\n\r\n'
    + 'event: job.erased\rdata: {"id": "job_1"}\r\r'
    + "\n"
).encode()


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 11, len(STREAM)])
def test_events_are_the_same_wherever_the_bytes_are_cut(size):
    parser = Parser()
    events = [
        event
        for start in range(0, len(STREAM), size)
        for event in parser.feed(STREAM[start : start + size])
    ]
    assert [(event.seq, event.type, event.data) for event in events] == [
        (1, "output.delta", {"text": "图😀"}),
        (2, "job.progress", {"percent": 5}),
        (None, "job.erased", {"id": "job_1"}),
    ]
    assert [event.text for event in events] == ["图😀", "", ""]
    assert [event.terminal for event in events] == [False, False, True]
    assert parser.retry_s == 1.5


def test_an_event_that_was_cut_off_is_none():
    assert Parser().feed(b'id: 1\nevent: job.succeeded\ndata: {"id"') == []
