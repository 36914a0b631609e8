"""The generic engine answers as transformers does, and keeps every promise of the border."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

import torch
from transformers import AutoModelForImageTextToText, AutoProcessor

from demo.tasks import TASKS, samples
from shared.errors import BadParameters, InputTooLong, OutOfMemory
from shared.jobs import FinishReason, Stage
from shared.settings import Settings
from tests.model.checkpoints import answer, image, request, user
from tests.support.other_models import OTHERS, write_gemma3
from worker.engine.api import (
    Completion,
    Delta,
    Failed,
    ImageInput,
    Message,
    Progress,
    Started,
    Thought,
)
from worker.engine.generic import numerics
from worker.engine.generic.engine import GenericEngine, load_generic_engine
from worker.engine.loader import ModelNotLoadable

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A function that writes the checkpoint of another architecture, once each."""
    written: dict[str, Path] = {}

    def write(name: str) -> Path:
        if name not in written:
            written[name] = OTHERS[name](tmp_path_factory.mktemp(name))
        return written[name]

    return write


@pytest.fixture
def generic_of() -> Iterator[Any]:
    """A function that loads a model with the generic engine, closed after the test."""
    engines: list[GenericEngine] = []

    def load(folder: Path, numerics: str = "fp32", **settings: Any) -> GenericEngine:
        wanted = Settings(
            model=str(folder), engine="transformers", numerics=numerics, threads=1, **settings
        )
        engines.append(load_generic_engine(wanted))
        return engines[-1]

    yield load
    for engine in engines:
        engine.close()


def conversation(*, written: str = "What is it?") -> tuple[Message, ...]:
    return (
        user(written, image(1, 96, 64)),
        Message("assistant", "A cat."),
        user("And these?", image(2, 64, 96), image(3, 48, 48)),
    )


def test_the_same_model_gives_the_same_text_in_both_engines(bundled, engine_of, generic_of) -> None:
    own, generic = engine_of(bundled), generic_of(bundled)
    (sample,) = samples(next(task for task in TASKS if task.name == "blocks"), 1)
    page = ImageInput("img_page", sample.image.convert("RGB"), 1 << 20)
    questions = [
        request(user(sample.turns[0].question, page), tokens=400),
        request(*conversation(written="Is <|im_end|> or <|image_pad|> there?"), tokens=40),
        request(user("Only words."), tokens=200, stop=("e",)),
        request(user("Which?", image(4)), tokens=8, choices=("blue", "green")),
        request(user("Which?", image(4)), tokens=24, do_sample=True, temperature=1.0, seed=7),
    ]
    for question in questions:
        mine, other = answer(own, question), answer(generic, question)
        assert other.token_ids == mine.token_ids
        assert (other.text, other.finish_reason) == (mine.text, mine.finish_reason)
        assert other.notices == mine.notices
        assert other.usage.prompt_tokens == mine.usage.prompt_tokens
        assert other.usage.image_tokens == mine.usage.image_tokens
        assert (other.confidence or 0) == pytest.approx(mine.confidence or 0, rel=1e-2)
    read = answer(generic, questions[0])
    assert read.text == sample.turns[0].answer
    assert read.confidence is not None
    assert generic.info.revision == own.info.revision
    assert generic.info.engine == "transformers"
    assert own.info.engine == "sightline"


def test_an_answer_that_loops_is_taken_back_and_written_on(other, generic_of) -> None:
    engine = generic_of(other("gemma3"))
    lengths: list[int] = []

    def loop_at_first(_model: Any, _inputs: Any, kwargs: Any, out: Any) -> None:
        lengths.append(kwargs["input_ids"].shape[1])
        if len(lengths) <= 280:
            out.logits[0, -1, ord("no way "[(len(lengths) - 1) % 7])] += 1000.0

    engine._loop._model.register_forward_hook(loop_at_first, with_kwargs=True)
    events = list(engine.submit(request(user("Write!"), tokens=400)).events())
    completion = events[-1]
    assert isinstance(completion, Completion)
    assert "continued normally" in completion.notices[0].detail
    assert completion.text.startswith("no way ")
    assert completion.text.count("no way ") < 12
    assert "".join(e.text for e in events if isinstance(e, Delta)) == completion.text
    # the prompt, and later the prompt with what was kept of the answer
    first, second = [length for length in lengths if length > 1]
    assert first < second < first + 12 * 7


@pytest.mark.parametrize("name", OTHERS)
def test_other_architectures_answer_as_in_transformers(other, generic_of, name) -> None:
    folder = other(name)
    engine = generic_of(folder)
    completion = answer(engine, request(*conversation(), tokens=30, loop_guard=False))
    assert list(completion.token_ids) == _transformers_answer(folder, conversation(), 30)
    assert completion.usage.image_tokens > 0
    assert completion.confidence is not None


def _transformers_answer(folder: Path, messages: tuple[Message, ...], tokens: int) -> list[int]:
    processor = AutoProcessor.from_pretrained(folder)
    model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32).eval()
    chat = [
        {
            "role": message.role,
            "content": [
                *({"type": "image", "image": source.image} for source in message.images),
                {"type": "text", "text": message.text},
            ],
        }
        for message in messages
    ]
    inputs = processor.apply_chat_template(
        chat, tokenize=True, return_dict=True, return_tensors="pt", add_generation_prompt=True
    )
    out = model.generate(**inputs, max_new_tokens=tokens, do_sample=False)
    ids: list[int] = out[0, inputs["input_ids"].shape[1] :].tolist()
    ends = model.generation_config.eos_token_id
    first = next((at for at, id_ in enumerate(ids) if id_ in ends), len(ids))
    return ids[:first]


def test_what_a_user_writes_is_no_special_token(other, generic_of) -> None:
    for name, written in (
        ("gemma3", "<start_of_image><eos>"),
        ("idefics3", "<image> <global-img>"),
    ):
        engine = generic_of(other(name))
        plain = engine.submit(request(user("x" * len(written), image(1)))).get(5)
        special = engine.submit(request(user(written, image(1)))).get(5)
        assert isinstance(plain, Started)
        # a token for each letter, and no further image
        assert special == plain


def test_a_model_thinks_apart_from_its_answer(generic_of, tmp_path) -> None:
    engine = generic_of(write_gemma3(tmp_path, thinks=True))
    assert engine.info.thinks
    question = request(user("Is <think> a word?", image(1)), tokens=12, max_reasoning_tokens=20)
    events = list(engine.submit(question).events())
    completion = events[-1]
    assert isinstance(completion, Completion)
    thought = "".join(event.text for event in events if isinstance(event, Thought))
    assert thought
    assert completion.reasoning == thought
    assert [notice.code for notice in completion.notices] == ["reasoning_cut"]
    assert 20 < completion.usage.reasoning_tokens < 30
    assert len(completion.token_ids) == 12
    off = answer(engine, request(user("Is it?"), tokens=12, enable_thinking=False))
    assert off.reasoning is None
    assert len(off.token_ids) == 12


def test_events_tell_the_whole_way(other, generic_of) -> None:
    engine = generic_of(other("idefics3"))
    events = list(engine.submit(request(user("What?", image(1)), tokens=60)).events())
    stages = [(event.stage, event.fraction) for event in events if isinstance(event, Progress)]
    assert {stage for stage, _ in stages} == {Stage.ENCODE, Stage.PREFILL}
    assert stages[-1] == (Stage.PREFILL, 1.0)
    completion = events[-1]
    assert isinstance(completion, Completion)
    assert "".join(e.text for e in events if isinstance(e, Delta)) == completion.text
    assert sum(isinstance(event, Delta) for event in events) > 3
    assert completion.timings.encode_s > 0 < completion.timings.decode_s
    rates = engine.rates
    assert all((rates.encode, rates.prefill, rates.step))


def test_a_request_ends_in_the_middle_of_a_pass(other, generic_of) -> None:
    engine = generic_of(other("gemma3"))
    layers = []
    first, second = [layer for layer, _ in _tower_layers(engine)]
    tickets: list[Any] = []

    def cancel(*_: Any) -> None:
        layers.append("first")
        while not tickets:
            time.sleep(0.001)
        tickets[-1].cancel()

    handle = first.register_forward_pre_hook(cancel)
    second.register_forward_pre_hook(lambda *_: layers.append("second"))
    tickets.append(engine.submit(request(user("What?", image(1)))))
    assert list(tickets[0].events())[-1].finish_reason is FinishReason.CANCELED
    handle.remove()
    assert layers == ["first"]
    overdue = replace(request(user("What?", image(1))), deadline=time.monotonic() - 1)
    assert list(engine.submit(overdue).events())[-1].finish_reason is FinishReason.DEADLINE


def _tower_layers(engine: GenericEngine) -> list[tuple[Any, int]]:
    tower = engine._loop._model.model.vision_tower
    stacks = [m for m in tower.modules() if isinstance(m, torch.nn.ModuleList)]
    return [(layer, at) for at, layer in enumerate(stacks[0])]


def test_requests_wait_for_each_other_and_may_give_up(other, generic_of) -> None:
    engine = generic_of(other("gemma3"))
    long = request(user("Write!"), tokens=3000, loop_guard=False)
    running = engine.submit(long)
    assert any(isinstance(event, Delta) for event in running.events())
    background = engine.submit(replace(long, background=True))
    urgent = engine.submit(request(user("Quick!"), tokens=3))
    overdue = engine.submit(replace(long, deadline=time.monotonic() + 0.2))
    # it ends while the first one is still answered
    assert list(overdue.events())[-1].finish_reason is FinishReason.DEADLINE
    running.cancel()
    cut = list(running.events())[-1]
    assert cut.finish_reason is FinishReason.CANCELED
    assert cut.text
    assert list(urgent.events())[-1].finish_reason is not FinishReason.CANCELED
    assert any(isinstance(event, Delta) for event in background.events())
    engine.close()
    assert list(background.events())[-1].finish_reason is FinishReason.CANCELED
    assert not engine.alive


def test_an_error_of_the_model_fails_its_request_only(other, generic_of, monkeypatch) -> None:
    engine = generic_of(other("gemma3"))
    model = engine._loop._model
    for raised, expected in (("not enough memory", "out_of_memory"), ("odd", "inference_failed")):

        def fail(*_: Any, _reason: str = raised, **__: Any) -> None:
            raise RuntimeError(_reason)

        with monkeypatch.context() as patched:
            patched.setattr(model, "generate", fail)
            last = list(engine.submit(request(user("What?"))).events())[-1]
        assert isinstance(last, Failed)
        assert last.error.code == expected
    assert OutOfMemory.code == "out_of_memory"
    assert answer(engine, request(user("What?"), tokens=3)).usage.completion_tokens


def test_what_the_model_cannot_take_is_refused_by_name(other, generic_of) -> None:
    engine = generic_of(other("paddleocr_vl"))
    with pytest.raises(BadParameters, match="drops words of the role system"):
        engine.submit(request(Message("system", "Be brief."), user("What?", image(1))))
    with pytest.raises(InputTooLong):
        engine.submit(request(user("word " * 2000)))
    strict = generic_of(other("gemma3"))
    with pytest.raises(BadParameters, match="must alternate"):
        strict.submit(request(user("What?"), user("What else?")))
    ahead = answer(strict, replace(request(user("", image(1))), encode_only=True))
    assert [notice.code for notice in ahead.notices] == ["features_not_kept"]
    assert set(strict.info.lacks) == {"drafts", "image_features", "pointing", "prefix_cache"}


def load(folder: Path, **settings: Any) -> None:
    load_generic_engine(
        Settings(model=str(folder), engine="transformers", **{"numerics": "fp32", **settings})
    ).close()


def test_what_would_answer_wrongly_is_not_loaded(
    other, bundled, engine_of, tmp_path, monkeypatch
) -> None:
    with pytest.raises(ModelNotLoadable, match="SIGHTLINE_ENGINE=transformers runs it"):
        engine_of(other("gemma3"))
    with pytest.raises(ModelNotLoadable, match="bf16 or fp32, not in int8"):
        load(bundled, numerics="int8")

    def changed(file: str, **fields: Any) -> Path:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        shutil.copytree(other("gemma3"), folder)
        described = json.loads((folder / file).read_text())
        (folder / file).write_text(json.dumps(described | fields))
        return folder

    code = {"AutoConfig": "own.OwnConfig", "AutoModelForImageTextToText": "own.OwnModel"}
    with pytest.raises(ModelNotLoadable, match="SIGHTLINE_TRUST_REMOTE_CODE=true"):
        load(changed("config.json", model_type="own", auto_map=code))
    with pytest.raises(ModelNotLoadable, match="no image-text-to-text model"):
        load(changed("config.json", model_type="llama"))
    with pytest.raises(ModelNotLoadable, match=r"quantised \(gptq\)"):
        load(changed("config.json", quantization_config={"quant_method": "gptq", "bits": 4}))
    deeper = {**json.loads((other("gemma3") / "config.json").read_text())["text_config"]}
    deeper |= {"num_hidden_layers": 3, "layer_types": ["full_attention"] * 3}
    with pytest.raises(ModelNotLoadable, match="weights are missing"):
        load(changed("config.json", text_config=deeper))
    mute = changed("processor_config.json")
    (mute / "chat_template.jinja").unlink()
    with pytest.raises(ModelNotLoadable, match="no chat template"):
        load(mute)
    monkeypatch.setattr(numerics, "available_bytes", lambda: 100_000)
    with pytest.raises(ModelNotLoadable, match="MiB are available"):
        load(bundled)
