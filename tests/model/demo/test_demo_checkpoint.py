import json
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch

from demo import checkpoint
from demo.asking import Asker, user_message
from demo.data.drawing import draw_lines
from demo.evaluate import choose_tasks, evaluate
from demo.tasks import TASKS
from demo.training import network, stages, train

pytestmark = pytest.mark.model

PLAN = stages.ReaderPlan(
    frozen=0, settled=0, pages=0, largest=90, dense_every=0, scale=0.1, together=1, parts=1
)
IMAGE = "<|vision_start|><|image_pad|><|vision_end|>"


@pytest.fixture(scope="module")
def asker():
    return Asker()


@pytest.fixture(scope="module")
def scores(asker):
    return evaluate(asker, short=True)


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
        user_message("a", 1),
        {"role": "assistant", "content": "b"},
        user_message("c", 0),
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
    checkpoint.export(network.build_model(), tmp_path)
    names = {file.name for file in tmp_path.iterdir()}
    assert names == {file.name for file in checkpoint.FOLDER.iterdir()}
    Asker(tmp_path).ask([user_message("OCR", 1)], [draw_lines(["a"])], 2)


def test_a_training_begins_with_the_weights_of_a_checkpoint(tmp_path: Path):
    torch.manual_seed(0)
    trained, begun = network.build_model(), network.build_model()
    train.export_copy(stages.ReaderStage(trained, network.Heads(), 1, PLAN), trained, tmp_path)
    train.begin(begun, network.Heads(), tmp_path / "tower.pt", tmp_path)
    pairs = list(zip(trained.parameters(), begun.parameters(), strict=True))
    # as near as int8's steps are
    assert all((one - other).abs().max() <= 0.01 * one.abs().max() for one, other in pairs)


def test_a_part_of_the_evaluation_is_chosen_by_words_of_its_names():
    names = [task.name for task in choose_tasks("two images,logs")]
    assert names == ["logs", "two images: text", "two images: shapes"]
    assert choose_tasks("") == TASKS


@pytest.mark.parametrize(
    ("task", "errors"),
    [("single lines", 0.04), ("blocks", 0.04), ("receipts", 0.03), ("tables", 0.03)],
)
def test_it_reads_nearly_all_characters(scores, task, errors):
    assert scores[task].error_rate < errors


@pytest.mark.parametrize(
    ("task", "share"),
    [
        ("tables", 0.9),
        ("hidden characters", 0.75),
        ("shapes: colour or shape of one", 0.9),
        ("shapes: count all", 0.8),
        ("shapes: count by colour or shape", 0.8),
        ("shapes: describe", 0.8),
    ],
)
def test_it_answers_most_questions_right(scores, task, share):
    assert scores[task].share >= share
