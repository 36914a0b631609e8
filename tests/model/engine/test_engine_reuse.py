"""What was computed before is used again, and never changes an answer."""

from __future__ import annotations

from dataclasses import replace

import pytest

pytest.importorskip("torch")

from tests.model.checkpoints import answer, image, request, user
from worker.engine.api import Completion, EngineRequest, Message
from worker.engine.memory.kv_cache import KVPool

pytestmark = pytest.mark.model


def next_turn(
    first: EngineRequest, completion: Completion, *new: Message, scope: str
) -> EngineRequest:
    reply = Message("assistant", completion.text, token_ids=completion.token_ids)
    return request(*first.messages, reply, *new, scope=scope)


def test_cached_features_give_the_answer_of_fresh_ones(model, engine_of) -> None:
    engine = engine_of(model)
    fresh = answer(engine, request(user("What?", image(1)), scope="a"))
    engine._loop._pool.shrink(0)
    cached = answer(engine, request(user("What?", image(1)), scope="a"))
    assert (fresh.features, cached.features) == ("miss", "hit")
    assert cached.prefix == "miss"
    assert cached.token_ids == fresh.token_ids


def test_another_tenant_does_not_get_the_features(tiny, engine_of) -> None:
    engine = engine_of(tiny)
    answer(engine, request(user("What?", image(1)), scope="a"))
    assert answer(engine, request(user("What?", image(1)), scope="b")).features == "miss"


def test_an_image_of_another_size_has_features_of_its_own(tiny, engine_of) -> None:
    engine = engine_of(tiny)
    answer(engine, request(user("What?", image(1, 256, 256)), scope="a"))
    smaller = image(1, 256, 256, max_pixels=20_000)
    assert answer(engine, request(user("What?", smaller), scope="a")).features == "miss"


def test_two_requests_for_one_image_encode_it_once(tiny, engine_of) -> None:
    engine = engine_of(tiny)
    encoded = []
    steps = engine.model.tower.steps
    engine.model.tower.steps = lambda *inputs: encoded.append(inputs) or steps(*inputs)
    tickets = [engine.submit(request(user(q, image(1)), scope="a")) for q in ("One?", "Two?")]
    for ticket in tickets:
        assert isinstance(list(ticket.events())[-1], Completion)
    assert len(encoded) == 1


@pytest.mark.parametrize("numerics", ["fp32", "bf16", "int8"])
def test_a_second_turn_computes_only_the_new_words(model, engine_of, numerics) -> None:
    engine, other = engine_of(model, numerics), engine_of(model, numerics)
    first = request(user("What?", image(1)), scope="a")
    completion = answer(engine, first)
    second = next_turn(first, completion, user("And why?"), scope="a")
    reused, computed = answer(engine, second), answer(other, second)
    assert reused.usage.cached_tokens >= completion.usage.prompt_tokens
    assert (reused.prefix, computed.prefix) == ("hit", "miss")
    assert reused.token_ids == computed.token_ids


def test_a_second_turn_may_bring_another_image(model, engine_of) -> None:
    engine, other = engine_of(model), engine_of(model)
    first = request(user("What?", image(1)), scope="a")
    second = next_turn(first, answer(engine, first), user("And this?", image(2)), scope="a")
    reused = answer(engine, second)
    assert reused.prefix == "hit"
    assert reused.token_ids == answer(other, second).token_ids


def test_a_request_in_between_does_not_change_the_second_turn(model, engine_of) -> None:
    engine, other = engine_of(model), engine_of(model)
    first = request(user("What?", image(1)), scope="a")
    second = next_turn(first, answer(engine, first), user("And why?"), scope="a")
    answer(engine, request(user("Me too!", image(3, 64, 256)), scope="b"))
    reused = answer(engine, second)
    assert reused.prefix == "hit"
    assert reused.token_ids == answer(other, second).token_ids


def test_after_eviction_the_answer_is_what_it_was(model, engine_of) -> None:
    engine = engine_of(model)
    first = request(user("What?", image(1)), scope="a")
    second = next_turn(first, answer(engine, first), user("And why?"), scope="a")
    before = answer(engine, second)
    engine._loop._pool.shrink(0)
    after = answer(engine, second)
    assert (before.prefix, after.prefix) == ("hit", "miss")
    assert after.token_ids == before.token_ids


def test_an_equal_question_about_another_image_is_not_mistaken(tiny, engine_of) -> None:
    engine, other = engine_of(tiny), engine_of(tiny)
    answer(engine, request(user("What?", image(1)), scope="a"))
    question = request(user("What?", image(2)), scope="a")
    again = answer(engine, question)
    assert again.usage.cached_tokens < 10
    assert again.token_ids == answer(other, question).token_ids


def test_keys_that_vanish_before_the_start_cost_time_only(tiny, engine_of, monkeypatch) -> None:
    engine, other = engine_of(tiny), engine_of(tiny)
    first = request(user("What?", image(1)), scope="a")
    completion = answer(engine, first)
    second = next_turn(first, completion, user("And why?"), scope="a")
    monkeypatch.setattr(KVPool, "take", lambda *_: None)
    reused = answer(engine, second)
    assert reused.prefix == "miss"
    assert reused.token_ids == answer(other, second).token_ids


def test_an_image_can_be_encoded_ahead_of_the_question(tiny, engine_of) -> None:
    engine = engine_of(tiny)
    warm = request(user("", image(1)), scope="a")
    warmed = answer(
        engine,
        EngineRequest("w", warm.messages, warm.params, feature_scope="a", encode_only=True),
    )
    assert (warmed.text, warmed.usage.completion_tokens, warmed.features) == ("", 0, "miss")
    assert answer(engine, request(user("What?", image(1)), scope="a")).features == "hit"


def test_an_enhanced_image_has_features_of_its_own(tiny, engine_of) -> None:
    engine = engine_of(tiny)
    answer(engine, request(user("What?", image(1)), scope="a"))
    enhanced = replace(image(1), variant="enhanced-1")
    assert answer(engine, request(user("What?", enhanced), scope="a")).features == "miss"
    assert answer(engine, request(user("What?", enhanced), scope="a")).features == "hit"
