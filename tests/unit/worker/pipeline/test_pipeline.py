"""From a question and its history to the engine's request."""

from __future__ import annotations

import io
from dataclasses import dataclass, field, replace

import pytest
from PIL import Image

from shared.errors import InferenceFailed, InputTooLong
from shared.jobs import ConversationMessage, JobInput, Turn
from worker.engine.api import EngineRequest, ModelInfo, Ticket
from worker.pipeline import Pipeline, Question

NARROW = ModelInfo("narrow", "1", context_tokens=100, numerics="fp32")


@dataclass
class Narrow:
    """Takes a limited number of messages, as a context window does."""

    most: int = 100
    info: ModelInfo = NARROW
    taken: list[EngineRequest] = field(default_factory=list)

    def submit(self, request: EngineRequest) -> Ticket:
        if len(request.messages) > self.most:
            raise InputTooLong
        self.taken.append(request)
        return Ticket(request)


def png() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (8, 8)).save(out, "PNG")
    return out.getvalue()


def turn(number: int, *images: str) -> Turn:
    return Turn(
        job_id=f"j{number}",
        prompt=f"q{number}",
        images=images,
        max_pixels=4096,
        text=f"a{number}",
        token_ids=(number,),
        finish_reason="stop",
        created_ms=0,
    )


def question(history: list[Turn], *images: str, data: bytes | None = None) -> Question:
    ids = {i for t in history for i in t.images} | set(images)
    return Question(
        id="job",
        job=JobInput(prompt="now?", images=images, max_pixels=1024),
        history=history,
        pngs=dict.fromkeys(ids, data or png()),
        feature_scope="tenant",
        scope="tenant/session",
        time_left_s=10,
    )


def messages(request: EngineRequest) -> list[tuple[str, str, tuple[str, ...]]]:
    return [(m.role, m.text, tuple(i.id for i in m.images)) for m in request.messages]


def test_history_comes_first_with_its_images_and_the_ids_that_were_written():
    engine = Narrow()
    Pipeline(engine).start(question([turn(1, "img_a"), turn(2)], "img_b"))
    (request,) = engine.taken
    assert messages(request) == [
        ("user", "q1", ("img_a",)),
        ("assistant", "a1", ()),
        ("user", "q2", ()),
        ("assistant", "a2", ()),
        ("user", "now?", ("img_b",)),
    ]
    assert request.messages[1].token_ids == (1,)
    assert [m.images[0].max_pixels for m in request.messages if m.images] == [4096, 1024]
    assert request.scope == "tenant/session"


def test_the_oldest_words_go_first_and_their_images_stay():
    engine = Narrow(most=3)
    _, notices = Pipeline(engine).start(question([turn(1, "img_a"), turn(2), turn(3)]))
    assert messages(engine.taken[0]) == [
        ("user", "q3", ("img_a",)),
        ("assistant", "a3", ()),
        ("user", "now?", ()),
    ]
    assert [notice.code for notice in notices] == ["history_dropped"]
    assert "2 turns" in notices[0].detail


def test_a_question_that_fits_alone_is_answered_with_the_images_but_not_the_words_before_it():
    engine = Narrow(most=1)
    Pipeline(engine).start(question([turn(1, "img_a"), turn(2)]))
    assert messages(engine.taken[0]) == [("user", "now?", ("img_a",))]


def test_images_of_a_dropped_turn_go_to_the_next_question_and_words_of_the_system_stay():
    system = turn(0).model_copy(update={"role": "system", "part": "question", "text": ""})
    alone = turn(2).without("question")
    engine = Narrow(most=5)
    Pipeline(engine).start(question([system, turn(1, "img_a"), alone, turn(3)]))
    assert messages(engine.taken[0]) == [
        ("system", "q0", ()),
        ("assistant", "a2", ()),
        ("user", "q3", ("img_a",)),
        ("assistant", "a3", ()),
        ("user", "now?", ()),
    ]
    narrow = Narrow(most=2)
    Pipeline(narrow).start(question([system, turn(1, "img_a"), alone]))
    assert messages(narrow.taken[0]) == [("system", "q0", ()), ("user", "now?", ("img_a",))]


def test_a_turn_loses_one_half_and_then_the_other():
    both = turn(1, "img_a")
    asked, answered = both.without("answer"), both.without("question")
    assert (asked.text, asked.token_ids, asked.images) == ("", (), ("img_a",))
    assert (answered.prompt, answered.images, answered.text) == ("", (), "a1")
    assert asked.without("question") is answered.without("answer") is None


def chat(*before: tuple[str, str]) -> Question:
    earlier = tuple(ConversationMessage(role=role, text=text) for role, text in before)
    asked = question([])
    return replace(asked, job=asked.job.model_copy(update={"before": earlier}))


def test_the_oldest_messages_of_a_chat_go_first_and_those_of_the_system_stay():
    engine = Narrow(most=5)
    long = "x" * 100
    before = [
        *(("system", "be short"), ("user", "q1"), ("assistant", "a1"), ("system", "now be long")),
        *(("user", "q2"), ("assistant", "a2"), ("user", long), ("assistant", long)),
    ]
    _, notices = Pipeline(engine).start(chat(*before))
    assert messages(engine.taken[0]) == [
        ("system", "be short", ()),
        ("system", "now be long", ()),
        ("user", long, ()),
        ("assistant", long, ()),
        ("user", "now?", ()),
    ]
    assert [(notice.code, "4 messages" in notice.detail) for notice in notices] == [
        ("history_dropped", True)
    ]


def test_a_chat_whose_question_and_system_message_do_not_fit_is_refused():
    with pytest.raises(InputTooLong):
        Pipeline(Narrow(most=1)).start(chat(("system", "be short"), ("user", "q1")))


def test_a_long_chat_is_tried_a_few_times_only():
    engine = Narrow(most=1)
    tries = []
    engine.submit = lambda request: (
        tries.append(len(request.messages)) or Narrow.submit(engine, request)
    )
    Pipeline(engine).start(chat(*[("user", "q" * 100), ("assistant", "a")] * 500))
    assert len(tries) < 80


def test_a_question_that_can_never_fit_is_refused():
    with pytest.raises(InputTooLong):
        Pipeline(Narrow(most=0)).start(question([turn(1)]))


def test_a_damaged_stored_image_fails_the_job_with_a_typed_error():
    with pytest.raises(InferenceFailed, match="Image decode failed"):
        Pipeline(Narrow()).start(question([], "img_a", data=b"no png"))
