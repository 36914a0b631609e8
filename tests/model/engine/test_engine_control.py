"""Stopping, limits, failures: one request's fate is not another one's."""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import replace

import pytest

pytest.importorskip("torch")

import torch

from shared.errors import InferenceFailed, InputTooLarge, InputTooLong, OutOfMemory
from shared.jobs import FinishReason, Stage
from shared.settings import Settings
from tests.model.checkpoints import answer, image, request, user
from worker.engine.api import Completion, Delta, Failed, Progress, Started
from worker.engine.checkpoint.weights import revision_of
from worker.engine.engine import load_engine
from worker.engine.loader import ModelNotLoadable

pytestmark = pytest.mark.model


def until(ticket, wanted) -> list:
    """Return the events up to the first that is wanted."""
    events = []
    for event in ticket.events():
        events.append(event)
        if wanted(event):
            break
    return events


def test_events_tell_the_whole_way(tiny, engine_of) -> None:
    events = list(engine_of(tiny).submit(request(user("What?", image(1)))).events())
    assert isinstance(events[0], Started)
    assert events[0].images[0].tokens == 6
    stages = [e.stage for e in events if isinstance(e, Progress)]
    assert stages == sorted(stages, key=[Stage.ENCODE, Stage.PREFILL].index)
    fractions = [e.fraction for e in events if isinstance(e, Progress)]
    assert all(0 < f <= 1 for f in fractions)
    completion = events[-1]
    assert isinstance(completion, Completion)
    assert "".join(e.text for e in events if isinstance(e, Delta)) == completion.text
    assert completion.usage.prompt_tokens == events[0].prompt_tokens
    assert completion.timings.encode_s > 0 < completion.timings.decode_s


def test_a_cancel_reaches_into_the_tower_within_one_block(tiny, engine_of) -> None:
    engine = engine_of(tiny)
    blocks = []
    run_block = engine.model.tower._run_block
    ticket = None

    def slow_block(*inputs):
        blocks.append(1)
        if len(blocks) == 2:
            ticket.cancel()
        return run_block(*inputs)

    engine.model.tower._run_block = slow_block
    first = engine._loop._step
    # hold the loop until the ticket is known here
    engine._loop._step = lambda: first() if ticket else time.sleep(0.001)
    ticket = engine.submit(request(user("What?", image(1, 256, 256))))
    completion = list(ticket.events())[-1]
    assert completion.finish_reason is FinishReason.CANCELED
    assert len(blocks) == 2


def test_a_cancel_stops_an_answer_and_keeps_its_text(tiny, engine_of) -> None:
    ticket = engine_of(tiny).submit(request(user("Write!"), tokens=2000))
    until(ticket, lambda event: isinstance(event, Delta))
    ticket.cancel()
    completion = list(ticket.events())[-1]
    assert completion.finish_reason is FinishReason.CANCELED
    assert 1 <= completion.usage.completion_tokens < 2000


def test_a_deadline_cuts_the_answer_off(tiny, engine_of) -> None:
    question = request(user("Write!"), tokens=4000)
    completion = answer(engine_of(tiny), replace(question, deadline=time.monotonic() + 0.3))
    assert completion.finish_reason is FinishReason.DEADLINE


def test_a_request_that_waits_can_be_canceled(tiny, engine_of) -> None:
    engine = engine_of(tiny, slots=1)
    running = engine.submit(request(user("Write!"), tokens=3000))
    waiting = engine.submit(request(user("Me?")))
    waiting.cancel()
    assert list(waiting.events())[-1].finish_reason is FinishReason.CANCELED
    running.cancel()
    assert list(running.events())[-1].finish_reason is FinishReason.CANCELED


def test_a_prompt_beyond_the_context_is_refused_at_once(tiny, engine_of) -> None:
    with pytest.raises(InputTooLong, match=r"^Input too long"):
        engine_of(tiny).submit(request(user("x" * 5000)))


def test_a_prompt_beyond_the_memory_is_refused_at_once(tiny, engine_of) -> None:
    engine = engine_of(tiny, kv_max_bytes=1 << 20)
    assert engine.info.context_tokens < 400
    with pytest.raises(InputTooLong, match=r"^Input too long"):
        engine.submit(request(user("x" * 1000)))


def test_images_beyond_the_memory_are_refused_at_once_and_smaller_ones_are_answered(
    tiny, engine_of
) -> None:
    engine = engine_of(tiny, work_max_bytes=8 << 20)
    large = image(1, 512, 512)
    with pytest.raises(InputTooLarge, match=r"^Input too large: the images' 256 visual tokens"):
        engine.submit(request(user("What?", large)))
    assert isinstance(answer(engine, request(user("What?", image(1)))), Completion)


def test_keys_and_values_get_less_with_a_warning_where_memory_is_short(
    tiny, engine_of, monkeypatch, caplog
) -> None:
    monkeypatch.setattr("worker.engine.engine.available_bytes", lambda: 400 << 20)
    engine = engine_of(tiny, features_ram_bytes=300 << 20)
    assert [(r.message, r.given_bytes) for r in caplog.records] == [("kv.reduced", 30 << 20)]
    assert isinstance(answer(engine, request(user("What?", image(1)))), Completion)


def test_images_that_fit_one_by_one_are_all_answered(tiny, engine_of) -> None:
    engine = engine_of(tiny, work_max_bytes=8 << 20)
    questions = [
        request(user(f"{n}?", image(n, 256, 256), image(n + 9, 256, 256))) for n in range(4)
    ]
    tickets = [engine.submit(one) for one in questions]
    ends = [list(ticket.events())[-1] for ticket in tickets]
    alone = answer(engine_of(tiny), questions[3])
    assert all(isinstance(end, Completion) for end in ends)
    assert ends[3].token_ids == alone.token_ids


def test_an_answer_ends_where_the_context_does(tiny, engine_of) -> None:
    engine = engine_of(tiny, kv_max_bytes=1 << 20)
    completion = answer(engine, request(user("x" * 300), tokens=4000))
    assert completion.finish_reason is FinishReason.LENGTH
    whole = completion.usage.prompt_tokens + completion.usage.completion_tokens
    assert whole == engine.info.context_tokens


def test_more_requests_than_fit_in_memory_are_all_answered(tiny, engine_of) -> None:
    engine = engine_of(tiny, kv_max_bytes=1 << 20)
    tickets = [engine.submit(request(user(f"{n} " * 50), scope=f"s{n}")) for n in range(6)]
    assert all(isinstance(list(t.events())[-1], Completion) for t in tickets)


def test_an_error_in_one_request_leaves_the_others_alone(tiny, engine_of) -> None:
    engine = engine_of(tiny)
    forward = engine.model.text.forward

    def fails_for_one(batch):
        if (batch.ids == ord("#")).any():
            raise ValueError("odd token")
        return forward(batch)

    engine.model.text.forward = fails_for_one
    tickets = [engine.submit(request(user(text))) for text in ("Good?", "Bad #", "Fine?")]
    ends = [list(ticket.events())[-1] for ticket in tickets]
    assert [type(end) for end in ends] == [Completion, Failed, Completion]
    assert isinstance(ends[1].error, InferenceFailed)
    assert engine.alive


@pytest.mark.parametrize(
    "error",
    [MemoryError(), RuntimeError("[enforce fail] can't allocate memory: you tried 9 bytes")],
)
def test_want_of_memory_is_told_as_such(tiny, engine_of, error) -> None:
    engine = engine_of(tiny)

    def fails(*_):
        raise error

    engine.model.tower.steps = fails
    ended = list(engine.submit(request(user("What?", image(1)))).events())[-1]
    assert isinstance(ended, Failed)
    assert isinstance(ended.error, OutOfMemory)
    assert isinstance(answer(engine, request(user("Still there?"))), Completion)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_dead_thread_is_told_and_fails_what_it_held(tiny, engine_of) -> None:
    engine = engine_of(tiny)

    def dies():
        raise SystemError("broken")

    engine._loop._step = dies
    ended = list(engine.submit(request(user("Hello?"))).events())[-1]
    assert isinstance(ended, Failed)
    engine._loop._thread.join(10)
    assert not engine.alive
    late = list(engine.submit(request(user("Hello?"))).events())[-1]
    assert isinstance(late, Failed)


def test_closing_ends_everything_as_canceled(tiny, engine_of) -> None:
    engine = engine_of(tiny)
    tickets = [engine.submit(request(user("Write!"), tokens=3000)) for _ in range(3)]
    engine.close()
    ends = [list(ticket.events())[-1] for ticket in tickets]
    assert {end.finish_reason for end in ends} == {FinishReason.CANCELED}
    assert not engine.alive


def test_sampling_with_a_seed_repeats_itself_beside_others(tiny, engine_of) -> None:
    engine = engine_of(tiny)
    question = request(user("Say."), do_sample=True, temperature=1.5, top_p=0.95, seed=7)
    alone = answer(engine, question)
    tickets = [engine.submit(question) for _ in range(3)]
    assert {list(t.events())[-1].token_ids for t in tickets} == {alone.token_ids}
    other = replace(question, params=question.params.model_copy(update={"seed": 8}))
    assert answer(engine, other).token_ids != alone.token_ids


def recommending(folder, tmp_path, **sampling):
    """Return a copy of a checkpoint whose makers recommend this sampling."""
    copy = tmp_path / "recommending"
    shutil.copytree(folder, copy)
    file = copy / "generation_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | sampling))
    return copy


def test_an_answer_is_drawn_as_the_checkpoint_recommends_where_a_request_leaves_it_open(
    tiny, engine_of, tmp_path
) -> None:
    recommended = {"temperature": 1.5, "top_p": 0.8, "top_k": 20, "repetition_penalty": 1.2}
    engine = engine_of(recommending(tiny, tmp_path, **recommended, top_h=1))
    assert engine.info.sampling == recommended
    drawn = {"do_sample": True, "seed": 7, "tokens": 30}
    by_name = answer(engine, request(user("Say."), **drawn, **recommended))
    left_open = request(user("Say."), **drawn, from_model=tuple(recommended))
    assert answer(engine, left_open).token_ids == by_name.token_ids
    own = request(user("Say."), **drawn, from_model=("top_k",), temperature=1.5, top_p=1.0)
    assert answer(engine, own).token_ids != by_name.token_ids
    greedy = request(user("Say."), tokens=30, from_model=tuple(recommended))
    assert answer(engine, greedy).token_ids == answer(engine_of(tiny), greedy).token_ids


def test_what_a_checkpoint_recommends_out_of_bounds_is_left_out(tiny, engine_of, tmp_path) -> None:
    folder = recommending(tiny, tmp_path, temperature=99, top_p="much", top_k=5, top_h=None)
    assert engine_of(folder).info.sampling == {"top_k": 5}


def test_a_repetition_penalty_answers_as_generate_does(tiny, engine_of, reference_of) -> None:
    reference = reference_of(tiny, torch.float32)
    messages = (user("Say what you see.", image(1)),)
    inputs = reference.inputs(messages)
    asked = {"max_new_tokens": 20, "do_sample": False, "repetition_penalty": 1.5}
    expected = reference.model.generate(**inputs, **asked)[0, inputs["input_ids"].shape[1] :]
    question = request(*messages, tokens=20, repetition_penalty=1.5, loop_guard=False)
    token_ids = list(answer(engine_of(tiny), question).token_ids)
    assert token_ids == expected.tolist()[: len(token_ids)]
    plain = answer(engine_of(tiny), request(*messages, tokens=20, loop_guard=False))
    assert token_ids != list(plain.token_ids)


def test_a_stop_string_ends_the_answer_before_it(tiny, engine_of) -> None:
    engine = engine_of(tiny)
    whole = answer(engine, request(user("Say."), tokens=40)).text
    stop = whole[5:7]
    completion = answer(engine, request(user("Say."), tokens=40, stop=(stop,)))
    assert completion.finish_reason is FinishReason.STOP
    assert completion.text == whole[: whole.index(stop)]


def test_speeds_are_measured_as_it_works(tiny, engine_of) -> None:
    engine = engine_of(tiny)
    assert engine.rates.decode_tokens_per_s == 0
    answer(engine, request(user("What?", image(1))))
    rates = engine.rates
    assert min(rates.encode_tokens_per_s, rates.prefill_tokens_per_s) > 0
    assert rates.decode_tokens_per_s > 0


@pytest.mark.parametrize("missing", ["nowhere", "empty"])
def test_a_folder_without_a_model_is_told_in_one_line(tmp_path, missing) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelNotLoadable) as refusal:
        load_engine(Settings(model=str(tmp_path / missing)))
    assert missing in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_revision_changes_with_any_tensor_that_was_trained_further(tiny, tmp_path) -> None:
    from safetensors.torch import load_file, save_file

    known = load_file(tiny / "model.safetensors")
    before = revision_of(tiny)
    other = tmp_path / "other"
    shutil.copytree(tiny, other)
    assert revision_of(other) == before
    revisions = {before}
    for name in known:
        changed = {key: value + 1 if key == name else value for key, value in known.items()}
        save_file(changed, other / "model.safetensors", metadata={"format": "pt"})
        revisions.add(revision_of(other))
    assert len(revisions) == len(known) + 1


def test_damaged_weights_are_told_in_one_line(tiny, tmp_path) -> None:
    shutil.copytree(tiny, tmp_path / "damaged")
    (tmp_path / "damaged" / "model.safetensors").write_bytes(b"\x10" + bytes(40))
    with pytest.raises(ModelNotLoadable, match="damaged"):
        load_engine(Settings(model=str(tmp_path / "damaged")))


def test_a_running_answer_goes_on_between_the_blocks_of_the_tower(
    tiny, engine_of, monkeypatch
) -> None:
    monkeypatch.setattr("worker.engine.loop._TOWER_MOST_S", 0)
    engine = engine_of(tiny)
    running = engine.submit(request(user("Write!"), tokens=3000))
    until(running, lambda event: isinstance(event, Delta))
    order = []
    run_block, forward = engine.model.tower._run_block, engine.model.text.forward
    monkeypatch.setattr(
        engine.model.tower, "_run_block", lambda *a: order.append("block") or run_block(*a)
    )
    monkeypatch.setattr(
        engine.model.text, "forward", lambda batch: order.append("pass") or forward(batch)
    )
    answer(engine, request(user("What?", image(1)), tokens=1))
    running.cancel()
    first = order.index("block")
    assert order[first : first + 5] == ["block", "pass"] * 2 + ["block"]
