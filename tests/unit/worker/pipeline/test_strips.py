"""An image that is read in strips: whole, in order, within its tokens, and until it is stopped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from PIL import Image

from shared.errors import InferenceFailed
from shared.jobs import FinishReason, GenerationParams, JobInput, TextLine, Usage
from tests.unit.worker.reader.pages import Drawn, page
from worker.engine.api import (
    Completion,
    Delta,
    EngineRequest,
    Event,
    Failed,
    ModelInfo,
    Started,
    Ticket,
    Timings,
    UsedImage,
)
from worker.pipeline import Pipeline, Question

BOUNDED = ModelInfo("bounded", "1", context_tokens=4096, numerics="fp32", letters_at_once=100)


def read_all(lines: Sequence[str]) -> list[str]:
    return list(lines)


def skip_the_second(lines: Sequence[str]) -> list[str]:
    return [line for number, line in enumerate(lines) if number != 1]


@dataclass
class Reader:
    """Reads the lines of a drawn page that a request shows, as `sees` has it; a word is a token."""

    drawn: Drawn
    sees: Callable[[Sequence[str]], list[str]] = read_all
    info: ModelInfo = BOUNDED
    #: Answers come when `answer_all` is called.
    later: bool = False
    taken: list[EngineRequest] = field(default_factory=list)
    tickets: list[Ticket] = field(default_factory=list)

    def submit(self, request: EngineRequest) -> Ticket:
        ticket = Ticket(request)
        self.taken.append(request)
        self.tickets.append(ticket)
        image = request.messages[-1].images[0]
        ticket.put(Started(10, (UsedImage(image.id, image.image.size, 5),)))
        if not self.later:
            ticket.put(self.answer(request))
        return ticket

    def answer(self, request: EngineRequest) -> Event:
        _, top, _, bottom = box_of(request)
        shown = [
            text
            for text, (_, y, _, below) in zip(self.drawn.lines, self.drawn.boxes, strict=True)
            if top <= (y + below) / 2 < bottom
        ]
        words = "\n".join(self.sees(shown)).split(" ")
        most = request.params.max_new_tokens
        text = " ".join(words[:most])
        return Completion(
            text,
            FinishReason.STOP if len(words) <= most else FinishReason.LENGTH,
            Usage(prompt_tokens=10, completion_tokens=min(most, len(words)), draft_tokens=1),
            Timings(1.0, 1.0, 2.0),
            confidence=0.5,
            lines=tuple(TextLine(text=line, confidence=0.5) for line in text.split("\n")),
        )


def box_of(request: EngineRequest) -> tuple[int, ...]:
    variant = request.messages[-1].images[0].variant
    return tuple(map(int, variant.partition("@")[2].split(",")))


def question(drawn: Drawn, **params: object) -> Question:
    job = JobInput(
        prompt="read",
        images=("img_page",),
        params=GenerationParams(**({"max_new_tokens": 4096} | params)),
        max_pixels=1 << 20,
    )
    pngs = {"img_page": drawn.image}
    asked = Question("job", job, (), pngs, "tenant", "tenant/session", 10, reads=True)
    return replace(asked, most_tokens=params.get("max_new_tokens"))


def read(engine: Reader, **params: object) -> tuple[str, Completion]:
    """Return the text as it streams, and the end."""
    ticket, _ = Pipeline(engine, slots=4).start(question(engine.drawn, **params))
    streamed = ""
    while True:
        event = ticket.get(1)
        assert event is not None
        if isinstance(event, Delta):
            streamed += event.text
        if isinstance(event, Completion):
            return streamed, event
        assert not isinstance(event, Failed), event


def test_a_page_comes_back_line_by_line_and_what_is_streamed_is_the_answer():
    drawn = page(1, 12)
    engine = Reader(drawn)
    streamed, end = read(engine)
    assert end.text == streamed == "\n".join(drawn.lines)
    assert len(engine.taken) == 12
    assert end.usage == Usage(
        prompt_tokens=120,
        completion_tokens=sum(len(line.split(" ")) for line in drawn.lines),
        draft_tokens=12,
    )
    assert [line.text for line in end.lines] == drawn.lines
    assert abs(end.confidence - 0.5) < 1e-9
    assert not end.notices
    # others go first once the first strip is asked about, and none of them is kept for a session
    assert [request.background for request in engine.taken] == [False, *[True] * 11]
    assert {request.scope for request in engine.taken} == {""}


def test_short_lines_share_a_strip_and_no_strip_shows_margins():
    drawn = page(2, 12, width=300)
    engine = Reader(drawn)
    assert read(engine)[1].text == "\n".join(drawn.lines)
    assert 3 <= len(engine.taken) <= 6
    wide = page(3, 6, width=900)
    sheet = Image.new("RGB", (900, 800), "white")
    sheet.paste(wide.image)
    engine = Reader(replace(wide, image=sheet))
    read(engine)
    assert box_of(engine.taken[-1])[3] < wide.boxes[-1][3] + 20


def test_a_strip_that_lacks_a_line_is_read_again_in_halves():
    drawn = page(4, 9, width=300)
    engine = Reader(drawn, sees=skip_the_second)
    streamed, end = read(engine)
    assert end.text == streamed == "\n".join(drawn.lines)
    # what was read twice is paid twice
    assert end.usage.prompt_tokens == 10 * len(engine.taken) > 90
    assert not end.notices


def test_a_line_that_stays_missing_is_told():
    drawn = page(5, 4)
    _, end = read(Reader(drawn, sees=lambda lines: [x for x in lines if x != drawn.lines[2]]))
    assert end.text.split("\n") == [x for x in drawn.lines if x != drawn.lines[2]]
    assert [notice.code for notice in end.notices] == ["lines_missing"]


def test_no_more_tokens_are_written_than_the_whole_answer_may_have():
    drawn = page(6, 6)
    words = "\n".join(drawn.lines).split(" ")
    streamed, end = read(Reader(drawn), max_new_tokens=20)
    assert end.finish_reason is FinishReason.LENGTH
    assert end.text == streamed
    assert "\n".join(drawn.lines).startswith(end.text)
    assert len(end.text.replace("\n", " ").split(" ")) == 20 < len(words)


def test_a_canceled_page_ends_with_what_was_read():
    drawn = page(7, 8)
    engine = Reader(drawn, later=True)
    ticket, _ = Pipeline(engine, slots=3).start(question(drawn))
    assert len(engine.taken) == 2
    engine.tickets[0].put(engine.answer(engine.taken[0]))
    while not isinstance(ticket.get(0.1), Delta):
        pass
    ticket.cancel()
    assert all(one.canceled for one in engine.tickets[1:3])
    partial = engine.answer(engine.taken[1])
    engine.tickets[1].put(replace(partial, text="half a", finish_reason=FinishReason.CANCELED))
    *_, end = iter(lambda: ticket.get(0.1), None)
    assert isinstance(end, Completion)
    assert (end.finish_reason, end.text) == (FinishReason.CANCELED, f"{drawn.lines[0]}\nhalf a")
    assert len(engine.taken) == 3


def test_a_strip_that_fails_fails_the_page_and_stops_the_others():
    drawn = page(8, 8)
    engine = Reader(drawn, later=True)
    ticket, _ = Pipeline(engine, slots=5).start(question(drawn))
    engine.tickets[1].put(Failed(InferenceFailed("no memory")))
    *_, end = iter(lambda: ticket.get(0.1), None)
    assert isinstance(end, Failed)
    assert all(one.canceled for one in (engine.tickets[0], *engine.tickets[2:]))


def test_one_look_is_taken_where_nothing_bounds_it_or_strips_would_change_the_answer():
    drawn = page(9, 8)
    for engine, asked in (
        (Reader(drawn, info=replace(BOUNDED, letters_at_once=None)), question(drawn)),
        (Reader(drawn), replace(question(drawn), reads=False)),
        (Reader(drawn), question(drawn, stop=("Total",))),
    ):
        engine.later = True
        Pipeline(engine, slots=4).start(asked)
        assert [request.messages[-1].images[0].variant for request in engine.taken] == [""]
        assert engine.taken[0].scope == "tenant/session"
