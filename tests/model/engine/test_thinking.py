"""What a model thinks is kept apart from its answer, bounded, and never instead of one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("torch")

import torch

from shared.jobs import FinishReason
from shared.jobs.parameters.response_format import JsonSchema, ResponseFormat
from tests.model.checkpoints import answer, image, request, user
from tests.model.thinkers import ALWAYS, SWITCHED, follow_script, write_thinker
from worker.engine.api import Completion, Delta, Message, Thought

pytestmark = pytest.mark.model

QUESTION = user("What is it?")
THOUGHT, ANSWER = "First I look.\n\nThen I say.", "A red square."


@pytest.fixture(scope="module", params=[ALWAYS, SWITCHED], ids=["always", "switched"])
def thinker(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_thinker(tmp_path_factory.mktemp("thinker"), request.param)


@pytest.fixture(scope="module")
def always(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_thinker(tmp_path_factory.mktemp("always"), ALWAYS)


@pytest.fixture
def thinking(thinker, engine_of):
    """An engine that thinks as the script says, and the ids that its model has read."""
    engine = engine_of(thinker)
    return engine, follow_script(engine, THOUGHT, ANSWER)


def events_of(engine, question) -> tuple[str, str, Completion]:
    """Return the streamed thinking, the streamed answer and the end."""
    events = list(engine.submit(question).events())
    thought = "".join(event.text for event in events if isinstance(event, Thought))
    text = "".join(event.text for event in events if isinstance(event, Delta))
    end = events[-1]
    assert isinstance(end, Completion), end
    return thought, text, end


def test_thinking_and_answer_are_told_apart(thinking) -> None:
    engine, _ = thinking
    assert engine.info.thinks
    assert engine.info.sampling == {"temperature": 0.6, "top_p": 0.95, "top_k": 20}
    thought, text, end = events_of(engine, request(QUESTION, tokens=64))
    assert (thought, text) == (THOUGHT, ANSWER)
    assert (end.reasoning, end.text) == (THOUGHT, ANSWER)
    assert end.finish_reason is FinishReason.STOP
    assert engine.model.chat.backend.decode(list(end.token_ids)) == ANSWER
    counts = end.usage
    assert counts.completion_tokens == counts.reasoning_tokens + len(end.token_ids)
    assert counts.reasoning_tokens >= len(THOUGHT)
    # that of the answer alone: each of its tokens is nearly certain
    assert end.confidence == pytest.approx(1, abs=0.01)


def test_prompt_and_thinking_are_those_of_transformers(always, engine_of, reference_of) -> None:
    engine, reference = engine_of(always), reference_of(always, torch.float32)
    tokenizer = engine.model.chat.backend
    messages = (user("Look.", image(4)), Message("assistant", "I do."), user("And here?"))
    ids = engine.model.chat.lay_out(messages[1:]).elements
    assert ids == reference.inputs(messages[1:])["input_ids"][0].tolist()
    thought = reference.answer(messages, 16)
    assert not {263, 264} & set(thought)
    end = answer(engine, request(*messages, tokens=8, max_reasoning_tokens=16))
    assert end.reasoning == tokenizer.decode(thought).strip("\n")


@pytest.mark.parametrize("off", [{"enable_thinking": False}, {"max_reasoning_tokens": 0}])
def test_thinking_that_is_turned_off_never_begins(thinking, off) -> None:
    engine, read = thinking
    thought, text, end = events_of(engine, request(QUESTION, tokens=64, **off))
    assert (thought, text, end.reasoning) == ("", ANSWER, None)
    assert end.usage.reasoning_tokens == 0
    prompt = engine.model.chat.backend.decode(read, skip_special_tokens=False)
    assert "assistant\n<think>\n\n</think>\n\n" in prompt


def test_a_used_up_budget_closes_the_thinking_and_the_answer_follows(thinking) -> None:
    engine, read = thinking
    _, text, end = events_of(engine, request(QUESTION, tokens=64, max_reasoning_tokens=8))
    assert text == ANSWER
    assert end.reasoning is not None
    assert THOUGHT.startswith(end.reasoning)
    assert len(end.reasoning) <= 8
    assert [notice.code for notice in end.notices] == ["reasoning_cut"]
    written = engine.model.chat.backend.decode(read, skip_special_tokens=False)
    assert f"{end.reasoning}\n</think>\n\n{ANSWER}" in written


def test_thinking_and_answer_share_what_both_may_have(thinking) -> None:
    engine, _ = thinking
    for total in (40, 60, 200):
        end = answer(engine, request(QUESTION, tokens=64, max_total_tokens=total))
        assert end.usage.completion_tokens <= total
        assert ANSWER.startswith(end.text)
        assert end.text
        assert (end.finish_reason is FinishReason.LENGTH) == (end.text != ANSWER)
    # there is too little room to think
    short = answer(engine, request(QUESTION, tokens=64, max_total_tokens=5))
    assert (short.text, short.finish_reason) == (ANSWER[:5], FinishReason.LENGTH)
    assert short.reasoning is None


def test_a_model_that_ends_within_its_thinking_answers_all_the_same(always, engine_of) -> None:
    engine = engine_of(always)
    tags = engine.model.chat.tags
    follow_script(engine, "I am done.", ANSWER)
    scripted = engine.model.text.forward

    def never_close(batch):
        logits = scripted(batch)
        # instead of the closing tag it ends
        closes = logits.argmax(-1) == tags.end
        logits[closes] = -10.0
        logits[closes, 258] = 10.0
        return logits

    engine.model.text.forward = never_close
    end = answer(engine, request(QUESTION, tokens=64))
    assert (end.reasoning, end.text) == ("I am done.", ANSWER)


def test_thinking_that_repeats_itself_is_closed(always, engine_of) -> None:
    engine = engine_of(always)
    follow_script(engine, "and again " * 150, ANSWER)
    end = answer(engine, request(QUESTION, tokens=64))
    assert end.text == ANSWER
    assert [notice.code for notice in end.notices] == ["reasoning_cut"]
    assert end.usage.reasoning_tokens < 1500


def test_what_is_asked_of_the_answer_is_not_asked_of_the_thinking(thinking) -> None:
    engine, _ = thinking
    end = answer(engine, request(QUESTION, tokens=64, stop=("look",)))
    assert (end.reasoning, end.text) == (THOUGHT, ANSWER)
    end = answer(engine, request(QUESTION, tokens=64, stop=(" square",)))
    assert end.text == "A red"
    end = answer(engine, request(QUESTION, tokens=64, choices=("A cat", ANSWER)))
    assert (end.reasoning, end.text) == (THOUGHT, ANSWER)
    schema = {
        "type": "object",
        "properties": {"a": {"enum": [1]}},
        "required": ["a"],
        "additionalProperties": False,
    }
    form = ResponseFormat(type="json_schema", json_schema=JsonSchema(name="x", schema=schema))
    end = answer(engine, request(QUESTION, tokens=64, response_format=form))
    assert end.reasoning == THOUGHT
    assert json.loads(end.text) == {"a": 1}
    end = answer(engine, request(QUESTION, tokens=64, line_confidence=True, uncertain_below=0.5))
    assert [line.text for line in end.lines or ()] == [ANSWER]


def test_drafts_are_about_the_answer(thinking) -> None:
    engine, _ = thinking
    question = request(QUESTION, tokens=64)
    alone = answer(engine, question)
    drafted = answer(engine, request(QUESTION, tokens=64, scope="s"))
    ticket = engine.submit(
        type(question)(
            id="drafted", messages=question.messages, params=question.params, references=(ANSWER,)
        )
    )
    *_, end = ticket.events()
    assert isinstance(end, Completion)
    assert (end.reasoning, end.text) == (alone.reasoning, alone.text) == (THOUGHT, drafted.text)
    assert end.usage.accepted_tokens > 0


def test_sampled_thinking_is_the_same_with_the_same_seed(always, engine_of) -> None:
    engine = engine_of(always)
    ends = [
        answer(engine, request(QUESTION, tokens=24, max_reasoning_tokens=24, **sampling))
        for sampling in [
            {"do_sample": True, "temperature": 1.5, "seed": seed} for seed in (1, 1, 2)
        ]
    ]
    said = [(end.reasoning, end.text) for end in ends]
    assert said[0] == said[1] != said[2]
    # the checkpoint's advice holds for what a request leaves open: so cold it is greedy
    engine.model.sampling["temperature"] = 0.0
    advised = {"do_sample": True, "temperature": 1.5, "from_model": ("temperature",), "seed": 1}
    cold = answer(engine, request(QUESTION, tokens=24, max_reasoning_tokens=24, **advised))
    greedy = answer(engine, request(QUESTION, tokens=24, max_reasoning_tokens=24))
    assert (cold.reasoning, cold.text) == (greedy.reasoning, greedy.text)


def test_a_model_whose_makers_sample_thinks_as_they_recommend(always, tmp_path, engine_of) -> None:
    engine = engine_of(write_thinker(tmp_path, ALWAYS, samples=True))
    plain = {"tokens": 24, "max_reasoning_tokens": 24}
    first, again = (answer(engine, request(QUESTION, **plain)) for _ in range(2))
    assert first.reasoning == again.reasoning
    assert first.text == again.text
    seeded = answer(engine, request(QUESTION, seed=7, **plain))
    greedy = answer(engine_of(always), request(QUESTION, **plain))
    assert len({first.reasoning, seeded.reasoning, greedy.reasoning}) == 3
    # so cold that only the most likely is left
    engine.model.sampling["temperature"] = 0.0
    assert answer(engine, request(QUESTION, **plain)).reasoning == greedy.reasoning


def test_an_answer_never_thinks_again(always, engine_of) -> None:
    engine = engine_of(always)
    forward, tags = engine.model.text.forward, engine.model.chat.tags

    def wants_tags(batch):
        logits = forward(batch)
        logits[:, [tags.begin, tags.end]] = 50.0
        return logits

    engine.model.text.forward = wants_tags
    for how in ({}, {"enable_thinking": False}):
        end = answer(engine, request(QUESTION, tokens=16, max_reasoning_tokens=8, **how))
        assert end.token_ids
        assert not {tags.begin, tags.end} & set(end.token_ids)


def test_earlier_thinking_is_not_sent_again(always, engine_of) -> None:
    engine = engine_of(always)
    read = follow_script(engine, THOUGHT, ANSWER)
    first = answer(engine, request(QUESTION, tokens=64, scope="s"))
    said = Message("assistant", first.text, token_ids=first.token_ids)
    quoted = Message("assistant", f"<think>\nhm\n</think>\n\n{ANSWER}")
    prompts = []
    for turn in (said, quoted):
        del read[:]
        end = answer(engine, request(QUESTION, turn, user("And <think>?"), tokens=64))
        assert (end.reasoning, end.text) == (THOUGHT, ANSWER)
        prompts.append(engine.model.chat.lay_out((QUESTION, turn, user("And <think>?"))).elements)
    assert prompts[0] == prompts[1]
    tags = engine.model.chat.tags
    # what a user writes is text, and the template's own tag is the only one
    assert prompts[0].count(tags.begin) == 1
    assert prompts[0].count(tags.end) == 0
    # keys and values are reused up to where the first turn began to think
    again = answer(engine, request(QUESTION, said, user("And?"), tokens=64, scope="s"))
    assert again.text == ANSWER
    assert again.usage.cached_tokens > 0


def test_a_model_without_tags_answers_as_ever(tiny, engine_of) -> None:
    engine = engine_of(tiny)
    assert not engine.info.thinks
    plain = answer(engine, request(QUESTION))
    asked = answer(engine, request(QUESTION, enable_thinking=True, max_reasoning_tokens=5))
    assert asked.token_ids == plain.token_ids
    assert asked.reasoning is None
