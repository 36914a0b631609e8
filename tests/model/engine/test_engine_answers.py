"""Answers of real models that are constrained, that loop, or whose letters are uncertain."""

from __future__ import annotations

import functools
import json
import math
import re
from typing import Any

import jsonschema
import pytest

pytest.importorskip("torch")

from demo.data.drawing import draw_lines
from shared.errors import BadConstraint, ConstraintTooComplex
from shared.jobs import FinishReason
from tests.model.checkpoints import answer, image, request, user
from worker.engine.api import Completion, Delta, EngineRequest, ImageInput
from worker.engine.engine import load_engine
from worker.engine.memory.kv_cache import SequenceKV

pytestmark = pytest.mark.model

SCHEMA = {
    "type": "object",
    "properties": {
        "shape": {"enum": ["circle", "square", "正方形"]},
        "text": {"type": "string", "maxLength": 12},
        "count": {"type": "integer", "minimum": 0, "maximum": 99},
        "lines": {"type": "array", "items": {"type": "string", "maxLength": 6}, "maxItems": 2},
    },
    "required": ["shape", "text", "count", "lines"],
    "additionalProperties": False,
}
JSON_FORMAT = {"type": "json_schema", "json_schema": {"name": "seen", "schema": SCHEMA}}
QUESTIONS = (
    "How many objects? Answer with a number.",
    "图中有几个主要物体?只需回答一个数字。",
    "?",
)


@pytest.fixture(scope="module")
def engine(bundled):
    from shared.settings import Settings

    engine = load_engine(Settings(model=str(bundled), numerics="fp32", threads=1))
    yield engine
    engine.close()


def question(text: str = "What is it?", picture: int = 1, **params: Any) -> EngineRequest:
    return request(user(text, image(picture, 96, 64)), **params)


def streamed(engine, wanted: EngineRequest) -> tuple[str, Completion]:
    """Return what a client was sent, and the end."""
    *events, completion = engine.submit(wanted).events()
    return "".join(e.text for e in events if isinstance(e, Delta)), completion


def test_only_a_number_is_always_a_number(engine) -> None:
    tickets = [
        engine.submit(question(text, n, regex=r"\d{1,3}", do_sample=n > 2, temperature=1.5))
        for n in range(1, 5)
        for text in QUESTIONS
    ]
    for ticket in tickets:
        completion = list(ticket.events())[-1]
        assert re.fullmatch(r"[0-9]{1,3}", completion.text)
        assert completion.finish_reason is FinishReason.STOP
        assert not completion.notices


def test_json_by_a_schema_always_parses_and_validates(engine) -> None:
    params = {"response_format": JSON_FORMAT, "tokens": 900, "do_sample": True, "temperature": 1.2}
    tickets = [engine.submit(question("Describe it.", n, seed=n, **params)) for n in range(1, 7)]
    for ticket in tickets:
        completion = list(ticket.events())[-1]
        assert completion.finish_reason is FinishReason.STOP
        jsonschema.validate(json.loads(completion.text), SCHEMA)


def test_the_answer_is_one_of_the_choices_and_its_confidence_is_there(engine) -> None:
    completion = answer(engine, question(choices=["red", "green", "蓝色"], tokens=30))
    assert completion.text in {"red", "green", "蓝色"}
    assert completion.confidence is not None
    assert 0 < completion.confidence <= 1


def test_a_json_answer_that_is_cut_off_says_so(engine) -> None:
    completion = answer(engine, question(response_format=JSON_FORMAT, tokens=8))
    assert completion.finish_reason is FinishReason.LENGTH
    assert [notice.code for notice in completion.notices] == ["answer_unfinished"]


def test_a_constraint_changes_nothing_for_its_neighbours(engine) -> None:
    free = question("Read the text.", tokens=24)
    alone = answer(engine, free).token_ids
    constrained = question(regex="[xyz]{20}", tokens=40)
    tickets = [engine.submit(r) for r in (constrained, free, constrained, free)]
    ends = [list(ticket.events())[-1] for ticket in tickets]
    assert [end.token_ids == alone for end in ends] == [False, True, False, True]
    assert all(re.fullmatch("[xyz]{20}", end.text) for end in ends[::2])


def test_a_seed_repeats_a_constrained_answer(engine) -> None:
    wanted = {"regex": "[xyz]{30}", "do_sample": True, "temperature": 2.0, "tokens": 40}
    first, second, other = (
        answer(engine, question(**wanted, seed=seed)).text for seed in (5, 5, 6)
    )
    assert first == second != other


def test_a_constraint_that_nothing_satisfies_is_refused_at_once(engine) -> None:
    with pytest.raises(BadConstraint):
        engine.submit(question(regex=r"[^\s\S]"))


def test_a_constraint_that_grows_too_large_ends_its_own_request_only(engine) -> None:
    from worker.engine.generation import constraint

    accept = constraint.Constraint.accept

    def fails(self, token: int) -> None:
        accept(self, token)
        raise ConstraintTooComplex

    ticket = engine.submit(question(regex="[a-z]{9}"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(constraint.Constraint, "accept", fails)
        end = list(engine.submit(question(regex="[a-z]{9}")).events())[-1]
        assert isinstance(end.error, ConstraintTooComplex)
    list(ticket.events())
    assert answer(engine, question()).text


def forced(engine, monkeypatch: pytest.MonkeyPatch, words: str, strength: float = 100.0) -> None:
    """Make the model write `words` again and again, by the place of each token, and never end."""
    ids = engine.model.chat.backend.encode(words, add_special_tokens=False).ids
    end_id = engine.model.chat.backend.token_to_id("<|im_end|>")
    # a row for each answer, so that it is known which one is changed
    monkeypatch.setattr(engine, "_speculation", False)
    forward = engine.model.text.forward
    begun: dict[int, int] = {}

    def loops(batch):
        ends = [segment.total for segment in batch.segments]
        logits = forward(batch)
        for row, (segment, end) in enumerate(zip(batch.segments, ends, strict=True)):
            kv: SequenceKV = segment.kv
            if segment.count > 1:
                begun[id(kv)] = end
            logits[row, ids[(end - begun[id(kv)]) % len(ids)]] += strength
            if strength:
                logits[row, end_id] = -1e9
        return logits

    monkeypatch.setattr(engine.model.text, "forward", loops)


def test_a_forced_loop_ends_with_its_first_round(engine, monkeypatch) -> None:
    forced(engine, monkeypatch, "a blue cat, ", strength=1000.0)
    text, completion = streamed(engine, question(tokens=3000))
    assert completion.finish_reason is FinishReason.LOOP
    assert completion.text.startswith("a blue cat, ")
    assert len(completion.text) < 500
    assert text == completion.text
    assert [notice.code for notice in completion.notices] == ["answer_repeated"]
    spelled = engine.model.chat.backend.decode(list(completion.token_ids))
    assert spelled == completion.text


def test_a_loop_that_other_sampling_leaves_goes_on(engine, monkeypatch) -> None:
    forced(engine, monkeypatch, "no way ", strength=0.0)
    pick = []
    # a row for each answer, so that it is known which one is changed
    monkeypatch.setattr(engine, "_speculation", False)
    forward = engine.model.text.forward
    ids = engine.model.chat.backend.encode("no way ", add_special_tokens=False).ids

    def loops_once(batch):
        logits = forward(batch)
        pick.append(1)
        if len(pick) <= 280:
            logits[0, ids[(len(pick) - 1) % len(ids)]] += 1000.0
        return logits

    monkeypatch.setattr(engine.model.text, "forward", loops_once)
    text, completion = streamed(engine, question(tokens=400))
    assert completion.finish_reason in {FinishReason.STOP, FinishReason.LENGTH}
    assert "continued normally" in completion.notices[0].detail
    assert text == completion.text
    assert completion.text.count("no way ") < 12


@pytest.mark.parametrize(
    "row",
    [
        "|          |          |          |          |\n",
        "| 0.00 | 0.00 |\n",
        "Name: ____ Date: ____\n",
    ],
)
def test_a_document_that_repeats_rightly_is_not_rewritten(engine, monkeypatch, row) -> None:
    # of other texts 720 characters would be a loop
    document = "A form\n" + row * min(60, 1 + 1200 // len(row)) + "Total: 1"
    ids = engine.model.chat.backend.encode(document, add_special_tokens=False).ids
    wanted = iter([*ids, min(engine.model.shape.end_tokens)])
    # a row for each answer, so that it is known which one is changed
    monkeypatch.setattr(engine, "_speculation", False)
    forward = engine.model.text.forward

    def spells(batch):
        logits = forward(batch)
        logits[0, next(wanted)] += 1000.0
        return logits

    monkeypatch.setattr(engine.model.text, "forward", spells)
    text, completion = streamed(engine, question(tokens=len(ids) + 10))
    assert completion.finish_reason is FinishReason.STOP
    assert text == completion.text == document
    assert not completion.notices


def test_rows_that_repeat_until_the_limit_are_a_loop(engine, monkeypatch) -> None:
    forced(engine, monkeypatch, "| 0.00 | 0.00 |\n", strength=1000.0)
    text, completion = streamed(engine, question(tokens=800))
    assert completion.finish_reason is FinishReason.LOOP
    assert len(completion.text) < 100
    assert text == completion.text
    assert [notice.code for notice in completion.notices] == ["answer_repeated"]


def test_a_loop_is_left_alone_when_its_guard_is_off(engine, monkeypatch) -> None:
    forced(engine, monkeypatch, "a blue cat, ")
    completion = answer(engine, question(tokens=400, loop_guard=False))
    assert completion.finish_reason is FinishReason.LENGTH
    assert completion.text == ("a blue cat, " * 40)[:400]


def test_a_loop_inside_json_keeps_to_the_schema_so_far(engine, monkeypatch) -> None:
    open_string = {"type": "json_schema", "json_schema": {"schema": {"type": "string"}}}
    forced(engine, monkeypatch, '"' + "z" * 11)
    text, completion = streamed(engine, question(tokens=2000, response_format=open_string))
    assert completion.finish_reason in {FinishReason.LOOP, FinishReason.STOP}
    assert text == completion.text
    assert completion.text.startswith('"')


def test_confidence_is_the_mean_of_the_models_own_probabilities(engine, monkeypatch) -> None:
    wanted = question("Read the text.", tokens=20)
    logs = []
    # a row for each answer, so that it is known which one is changed
    monkeypatch.setattr(engine, "_speculation", False)
    forward = engine.model.text.forward

    def watched(batch):
        logits = forward(batch)
        if batch.segments[0].kv.length >= prompt:
            logs.append(float(logits[0].float().log_softmax(-1).max()))
        return logits

    prompt = answer(engine, wanted).usage.prompt_tokens
    engine.model.text.forward = watched
    try:
        completion = answer(engine, wanted)
    finally:
        engine.model.text.forward = forward
    logs = logs[: len(completion.token_ids)]
    assert completion.confidence == pytest.approx(math.exp(sum(logs) / len(logs)), abs=1e-3)


def test_uncertain_letters_are_marked_alike_in_stream_text_and_lines(engine) -> None:
    drawn = ImageInput("img_text", draw_lines(["Gate 12 Wq0OlI", "fjord 58 vex"]), 1 << 20)
    read = functools.partial(request, user("Read the text.", drawn), tokens=80)
    plain = answer(engine, read())
    text, completion = streamed(engine, read(uncertain_below=0.9999, line_confidence=True))
    assert completion.token_ids == plain.token_ids
    assert text == completion.text
    pattern = re.escape(completion.text).replace(re.escape("[?]"), r"\w")
    assert re.fullmatch(pattern, plain.text)
    assert "[?]" in completion.text
    assert [line.text for line in completion.lines] == [
        x for x in completion.text.split("\n") if x.strip()
    ]
    assert all(0 < line.confidence <= 1 for line in completion.lines)
