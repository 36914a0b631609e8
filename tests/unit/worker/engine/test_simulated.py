"""The engine without weights keeps the promises of the border."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from PIL import Image

from shared.jobs import FinishReason, GenerationParams, Stage
from worker.engine.api import (
    Completion,
    Delta,
    EngineRequest,
    ImageInput,
    Message,
    Progress,
    Started,
)
from worker.engine.simulated import SimulatedEngine


@pytest.fixture
def engine() -> Iterator[SimulatedEngine]:
    engine = SimulatedEngine(image_s=0.02, token_s=0.001)
    yield engine
    engine.close()


def request(prompt: str = "what?", *, images: int = 0, deadline=None, **params) -> EngineRequest:
    shown = tuple(ImageInput(f"img_{n}", Image.new("RGB", (64, 64)), 4096) for n in range(images))
    message = Message("user", prompt, shown)
    return EngineRequest("job", (message,), GenerationParams(**params), deadline=deadline)


def finish(engine: SimulatedEngine, question: EngineRequest) -> tuple[list, Completion]:
    *events, end = engine.submit(question).events()
    assert isinstance(end, Completion)
    return events, end


def test_the_same_question_gets_the_same_answer_and_another_one_another(engine):
    first, again, other = (finish(engine, request(p))[1].text for p in ("a", "a", "b"))
    assert first == again
    assert first != other


def test_the_pieces_make_up_the_answer(engine):
    events, end = finish(engine, request(images=1))
    assert isinstance(events[0], Started)
    assert any(isinstance(e, Progress) and e.stage is Stage.ENCODE for e in events)
    assert "".join(e.text for e in events if isinstance(e, Delta)) == end.text
    assert end.usage.image_tokens == 4


def test_an_answer_keeps_its_limit_and_its_stop_strings(engine):
    whole = finish(engine, request())[1].text
    _, short = finish(engine, request(max_new_tokens=3))
    assert (short.finish_reason, len(short.text.split())) == (FinishReason.LENGTH, 3)
    stop = whole.split()[2]
    _, stopped = finish(engine, request(stop=(stop,)))
    assert stopped.finish_reason is FinishReason.STOP
    assert stopped.text == whole[: whole.index(stop)]


def test_a_canceled_or_overdue_answer_ends_with_what_was_written():
    slow = SimulatedEngine(image_s=0, token_s=0.05)
    ticket = slow.submit(request())
    for event in ticket.events():
        if isinstance(event, Delta):
            ticket.cancel()
    assert isinstance(event, Completion)
    assert event.finish_reason is FinishReason.CANCELED
    assert event.text
    _, late = finish(slow, request(deadline=time.monotonic() + 0.12))
    assert late.finish_reason is FinishReason.DEADLINE
    slow.close()


def test_closing_ends_what_is_left_as_canceled():
    slow = SimulatedEngine(image_s=0, token_s=5)
    ticket = slow.submit(request())
    slow.close()
    *_, end = ticket.events()
    assert end.finish_reason is FinishReason.CANCELED
    assert not slow.alive


def test_a_reference_makes_an_answer_faster_and_leaves_it_as_it_is():
    slow = SimulatedEngine(image_s=0, token_s=0.01)
    try:
        _, plain = finish(slow, request())
        _, same = finish(slow, replace(request(), references=(plain.text,)))
        _, other = finish(slow, replace(request(), references=("nothing of it",)))
    finally:
        slow.close()
    assert plain.text == same.text == other.text
    assert plain.usage.draft_tokens == 0
    assert same.usage.accepted_tokens > plain.usage.completion_tokens / 2
    assert same.timings.decode_s < plain.timings.decode_s
    assert other.usage.accepted_tokens == 0
