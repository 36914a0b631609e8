import json
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from demo import checkpoint
from demo.asking import Asker, user
from demo.drawing import draw_lines
from demo.evaluate import TASKS, evaluate

pytestmark = pytest.mark.model

IMAGE = "<|vision_start|><|image_pad|><|vision_end|>"


@pytest.fixture(scope="module")
def asker():
    return Asker()


@pytest.fixture(scope="module")
def scores(asker):
    wanted = ("single lines", "receipts", "shapes")
    return evaluate(asker, short=True, tasks=tuple(task for task in TASKS if task.name in wanted))


def render(asker, messages, **more):
    return asker.tokenizer.apply_chat_template(messages, tokenize=False, **more)


def test_plain_strings_are_a_turns_text(asker):
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}]
    assert render(asker, messages, add_generation_prompt=True) == (
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHello<|im_end|>\n"
        "<|im_start|>assistant\n"
    )


def test_images_stand_where_the_parts_put_them(asker):
    parts = [{"type": "image"}, {"type": "text", "text": "and"}, {"type": "image"}]
    assert render(asker, [{"role": "user", "content": parts}]) == (
        f"<|im_start|>user\n{IMAGE}and{IMAGE}<|im_end|>\n"
    )


def test_a_conversation_goes_on_after_its_answers(asker):
    messages = [
        user("a", image=True),
        {"role": "assistant", "content": "b"},
        user("c", image=False),
    ]
    assert render(asker, messages, add_generation_prompt=True) == (
        f"<|im_start|>user\n{IMAGE}a<|im_end|>\n<|im_start|>assistant\nb<|im_end|>\n"
        "<|im_start|>user\nc<|im_end|>\n<|im_start|>assistant\n"
    )


def test_every_text_survives_the_tokenizer(asker):
    text = "Zoë: 图中有几个物体?\n\t€ 5,00 🙂"
    ids = asker.tokenizer(text).input_ids
    assert ids == list(text.encode())
    assert asker.tokenizer.decode(ids) == text


def test_the_checkpoint_is_small_and_says_that_it_is_a_demonstration():
    assert (checkpoint.FOLDER / "model.safetensors").stat().st_size <= 40_000_000
    marker = json.loads((checkpoint.FOLDER / "sightline.json").read_text())
    assert marker["demo"] is True
    assert marker["name"] == "sightline-demo"


def test_an_exported_model_is_the_committed_files_form(tmp_path: Path):
    from demo import network

    checkpoint.export(network.build(), tmp_path)
    names = {file.name for file in tmp_path.iterdir()}
    assert names == {file.name for file in checkpoint.FOLDER.iterdir()}
    Asker(tmp_path).ask([user("OCR", image=True)], draw_lines(["a"]), 2)


def test_it_reads_most_characters_of_single_lines(scores):
    assert scores["single lines"].error_rate < 0.25


def test_it_reads_most_characters_of_receipts(scores):
    assert scores["receipts"].error_rate < 0.35


def test_it_names_colours_and_shapes_more_often_than_by_chance(scores):
    assert scores["shapes: colour or shape of one"].share > 0.4
