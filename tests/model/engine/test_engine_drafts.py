"""Drafted tokens change how fast an answer comes, and nothing else about it."""

from __future__ import annotations

import gc
import random
import time
from dataclasses import replace

import pytest

pytest.importorskip("torch")

from shared.jobs import FinishReason
from tests.model.checkpoints import answer, image, request, user
from tests.support.long_form import crossed
from worker.engine.api import Completion, Delta, EngineRequest
from worker.engine.sequence import Sequence

pytestmark = pytest.mark.model

NUMERICS = ["fp32", "bf16", "int8"]


@pytest.fixture(autouse=True)
def many_drafts(monkeypatch) -> None:
    """Check all guesses at once, however unlikely: tiny models are too quick for it to pay."""

    def share(chances, _seconds, _others=0):
        return [len(answer) for answer in chances]

    monkeypatch.setattr("worker.engine.loop.share_rows", share)


def events_of(engine, question: EngineRequest) -> list:
    return list(engine.submit(question).events())


def outcome(completion: Completion) -> tuple:
    """Return all that drafts must leave as it is."""
    usage = completion.usage.model_copy(update={"draft_tokens": 0, "accepted_tokens": 0})
    return (
        *(completion.text, completion.token_ids, completion.finish_reason, usage),
        *(completion.confidence, completion.lines, completion.notices),
    )


def spoilt(tokens: tuple[int, ...], share: float, seed: int = 0) -> tuple[int, ...]:
    """Return tokens of which so many are replaced, left out or doubled."""
    draw = random.Random(seed)
    changes = [lambda _: (35,), lambda _: (), lambda token: (token, token)]
    parts = [draw.choice(changes)(t) if draw.random() < share else (t,) for t in tokens]
    return tuple(token for part in parts for token in part)


QUESTIONS = [
    request(user("Write what you see.", image(1)), tokens=60, line_confidence=True),
    request(user("Again?", image(2, 96, 160)), tokens=33, repetition_penalty=1.3),
    request(user("Say."), do_sample=True, temperature=1.2, top_p=0.9, seed=5, tokens=50),
    request(user("More."), do_sample=True, seed=8, presence_penalty=0.5, tokens=50),
]


@pytest.mark.parametrize("numerics", NUMERICS)
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
def test_answers_with_a_reference_are_those_without(model, engine_of, numerics, share) -> None:
    plain, drafting = engine_of(model, numerics, speculation=False), engine_of(model, numerics)
    for question in QUESTIONS:
        expected = answer(plain, question)
        referred = replace(question, references=(spoilt(expected.token_ids, share),))
        with_drafts = answer(drafting, referred)
        assert outcome(with_drafts) == outcome(expected)
        assert with_drafts.usage.draft_tokens >= with_drafts.usage.accepted_tokens
        if not share and expected.usage.completion_tokens > 20:
            assert with_drafts.usage.accepted_tokens > 5
        assert expected.usage.draft_tokens == 0


@pytest.mark.parametrize("numerics", NUMERICS)
def test_answers_with_and_without_drafts_in_one_batch(model, engine_of, numerics) -> None:
    plain, drafting = engine_of(model, numerics, speculation=False), engine_of(model, numerics)
    expected = [answer(plain, question) for question in QUESTIONS]
    references = [
        (expected[0].token_ids,),
        (),
        ("nothing like it",),
        (spoilt(expected[3].token_ids, 0.2),),
    ]
    tickets = [
        drafting.submit(replace(question, references=texts))
        for question, texts in zip(QUESTIONS, references, strict=True)
    ]
    ends = [list(ticket.events())[-1] for ticket in tickets]
    assert [outcome(end) for end in ends] == [outcome(end) for end in expected]


def test_a_wrong_guess_is_rejected_wherever_it_stands(model, engine_of) -> None:
    question = request(user("Write what you see.", image(1)), tokens=24)
    drafting = engine_of(model, "int8")
    expected = answer(engine_of(model, "int8", speculation=False), question)
    tokens = expected.token_ids
    for at in range(len(tokens)):
        wrong = (*tokens[:at], 35, *tokens[at + 1 :])
        assert outcome(answer(drafting, replace(question, references=(wrong,)))) == outcome(
            expected
        )


def test_text_comes_piece_by_piece_as_without_drafts(bundled, engine_of) -> None:
    question = request(user("What does the text say?", image(3, 160, 96)), tokens=60)
    expected = events_of(engine_of(bundled, speculation=False), question)
    text = expected[-1].text
    events = events_of(engine_of(bundled), replace(question, references=(text,)))
    assert [e for e in events if isinstance(e, Delta)] == [
        e for e in expected if isinstance(e, Delta)
    ]
    assert events[-1].usage.accepted_tokens > 0


@pytest.mark.parametrize("stop", range(3, 12, 4))
def test_a_stop_string_inside_a_draft_ends_the_answer(tiny, engine_of, stop) -> None:
    question = request(user("Write what you see.", image(1)), tokens=40)
    whole = answer(engine_of(tiny, speculation=False), question)
    stopped = request(*question.messages, tokens=40, stop=(whole.text[stop : stop + 2],))
    expected = answer(engine_of(tiny, speculation=False), stopped)
    got = answer(engine_of(tiny), replace(stopped, references=(whole.token_ids,)))
    assert outcome(got) == outcome(expected)
    assert got.finish_reason is FinishReason.STOP


@pytest.mark.parametrize("limit", range(1, 9))
def test_a_limit_inside_a_draft_ends_the_answer(model, engine_of, limit) -> None:
    question = request(user("Write what you see.", image(1)), tokens=40)
    plain = engine_of(model, speculation=False)
    whole = answer(plain, question)
    limited = request(*question.messages, tokens=limit)
    got = answer(engine_of(model), replace(limited, references=(whole.token_ids,)))
    assert outcome(got) == outcome(answer(plain, limited))


def test_the_context_ends_inside_a_draft(tiny, engine_of) -> None:
    limits = {"kv_max_bytes": 1 << 20, "numerics": "int8"}
    question = request(user("x" * 300), tokens=4000)
    expected = answer(engine_of(tiny, speculation=False, **limits), question)
    got = answer(engine_of(tiny, **limits), replace(question, references=(expected.token_ids,)))
    assert outcome(got) == outcome(expected)
    assert got.finish_reason is FinishReason.LENGTH


SCHEMA = {
    "type": "json_schema",
    "json_schema": {
        "name": "page",
        "schema": {
            "type": "object",
            "properties": {
                "a_rather_long_name": {"type": "integer"},
                "another_long_name": {"type": "string", "maxLength": 6},
            },
            "required": ["a_rather_long_name", "another_long_name"],
            "additionalProperties": False,
        },
    },
}


@pytest.mark.parametrize(
    "constraint",
    [
        {"response_format": SCHEMA},
        {"choices": ("a long choice", "another one")},
        {"regex": "a{30}b"},
    ],
)
def test_what_a_grammar_forces_is_checked_at_once(model, engine_of, constraint) -> None:
    question = request(user("What?", image(1)), tokens=120, **constraint)
    expected = answer(engine_of(model, "int8", speculation=False), question)
    got = answer(engine_of(model, "int8"), question)
    assert outcome(got) == outcome(expected)
    assert got.usage.accepted_tokens > 5
    for reference in (expected.text, "{}" * 40, spoilt(expected.token_ids, 0.3)):
        referred = answer(engine_of(model, "int8"), replace(question, references=(reference,)))
        assert outcome(referred) == outcome(expected)


@pytest.mark.parametrize(
    ("unit", "model"),
    crossed(["same line as ever\\n", "abc "], ["tiny", "bundled"]),
    indirect=["model"],
)
def test_a_loop_inside_a_draft_is_left_as_without(model, engine_of, unit) -> None:
    question = request(user("Again."), tokens=1500, regex=f"({unit}){{200}}")
    expected = answer(engine_of(model, "int8", speculation=False), question)
    assert expected.notices
    for references in ((), (expected.token_ids,), (tuple(b"abc " * 300),)):
        got = answer(engine_of(model, "int8"), replace(question, references=references))
        assert outcome(got) == outcome(expected)
        assert got.usage.accepted_tokens > 50


def test_a_second_turn_after_drafts_is_answered_as_without(model, engine_of) -> None:
    from worker.engine.api import Message

    first = request(user("Write what you see.", image(1)), tokens=20, scope="s")

    def talk(engine, references: tuple[str, ...]) -> Completion:
        done = answer(engine, replace(first, references=references))
        said = Message("assistant", done.text, token_ids=done.token_ids)
        second = request(*first.messages, said, user("And now?"), tokens=20, scope="s")
        return answer(engine, replace(second, references=references))

    expected = talk(engine_of(model, "int8", speculation=False), ())
    for share in (0.0, 0.3, 1.0):
        got = talk(engine_of(model, "int8"), (spoilt(expected.token_ids, share), "other words"))
        assert outcome(got) == outcome(expected)
        assert got.prefix == "hit"


def test_a_cancel_reaches_into_a_draft(tiny, engine_of) -> None:
    question = request(user("Write!"), tokens=200)
    expected = answer(engine_of(tiny, speculation=False), question)
    engine = engine_of(tiny)
    first = engine._loop._step
    ticket = None
    # hold the loop until the ticket is known here
    engine._loop._step = lambda: first() if ticket else time.sleep(0.001)
    ticket = engine.submit(replace(question, references=(expected.token_ids,)))
    put = ticket.put
    deltas = []

    def cancel_at_the_fifth(event):
        put(event)
        if isinstance(event, Delta):
            deltas.append(event)
            if len(deltas) == 5:
                ticket.cancel()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(ticket), "put", lambda _self, event: cancel_at_the_fifth(event))
        completion = list(ticket.events())[-1]
    assert completion.finish_reason is FinishReason.CANCELED
    assert len(deltas) <= 6
    assert expected.text.startswith(completion.text)


def test_a_draft_that_breaks_the_model_fails_no_answer(tiny, engine_of) -> None:
    question = request(user("Say."), tokens=20)
    expected = answer(engine_of(tiny, speculation=False), question)
    engine = engine_of(tiny)
    forward = engine.model.text.forward

    def fails_for_some(batch):
        if any(segment.scored > 1 for segment in batch.segments):
            raise ValueError("too wide")
        return forward(batch)

    engine.model.text.forward = fails_for_some
    assert outcome(answer(engine, replace(question, references=(expected.token_ids,)))) == outcome(
        expected
    )


@pytest.mark.parametrize("when", [0, 15])
def test_a_reference_that_comes_later_is_followed_from_then_on(tiny, engine_of, when) -> None:
    question = request(user("Say what you see.", image(1)), tokens=60)
    expected = answer(engine_of(tiny, "int8", speculation=False), question)
    engine = engine_of(tiny, "int8")
    write, written = Sequence.write_tokens, []
    ticket = None

    def refer_when_due(sequence, logits):
        if len(written) == when:
            ticket.refer(expected.token_ids)
        written.append(1)
        return write(sequence, logits)

    step = engine._loop._step
    # hold the loop until the ticket is known here
    engine._loop._step = lambda: step() if ticket else time.sleep(0.001)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Sequence, "write_tokens", refer_when_due)
        ticket = engine.submit(question)
        got = list(ticket.events())[-1]
    assert outcome(got) == outcome(expected)
    assert got.usage.accepted_tokens > 20
    assert len(written) > when


@pytest.mark.parametrize(
    "numerics", ["int8", *(pytest.param(one, marks=pytest.mark.long) for one in ("bf16", "fp32"))]
)
def test_answers_of_the_evaluation_are_equal_with_drafts(numerics) -> None:
    from bench.quality.drafts import compare
    from demo.tasks import TASKS

    small = [task for task in TASKS if task.counts[True]]
    for one in compare(numerics, threads=1, count=1, tasks=small):
        assert one.equal == one.asked == len(small), one
        assert one.reference != "the true answer" or one.accepted > one.asked


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_deadline_in_the_middle_of_a_drafted_answer_ends_it(tiny, engine_of, share) -> None:
    question = request(user("Write!"), tokens=200)
    expected = answer(engine_of(tiny, speculation=False), question)
    engine = engine_of(tiny)
    write, written = Sequence.write_tokens, []

    def overrun_at_the_third(sequence, logits):
        written.append(len(sequence.draft))
        ticket = sequence.ticket
        if len(written) == 3:
            ticket.request = replace(ticket.request, deadline=time.monotonic())
        return write(sequence, logits)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Sequence, "write_tokens", overrun_at_the_third)
        reference = spoilt(expected.token_ids, share)
        got = answer(engine, replace(question, references=(reference,)))
    assert got.finish_reason is FinishReason.DEADLINE
    assert max(written) > 1
    # the pass that was under way adds what it had before it noticed
    assert 3 <= len(got.token_ids) < len(expected.token_ids)
    assert expected.token_ids[: len(got.token_ids)] == got.token_ids
    assert expected.text.startswith(got.text)
    # what it left in the buffer is good for the next turn
    assert outcome(answer(engine, question)) == outcome(expected)


def test_the_index_of_a_reference_lives_as_long_as_the_answers_that_follow_it(
    tiny, engine_of
) -> None:
    engine = engine_of(tiny)
    question = replace(request(user("Write!"), tokens=20), references=("some text" * 20, (1, 2, 3)))
    answer(engine, question)
    # the loop's thread may hold the last sequence until its next step
    answer(engine, request(user("More!"), tokens=2))
    gc.collect()
    assert len(engine._references) == 0
