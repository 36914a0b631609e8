"""Asks the bundled model its evaluation samples in a process of its own, for a limited CPU.

`python -m tests.model.samples NUMERICS NATIVE_KERNELS` prints the arithmetic, how many answers are
right of how many, and what the products of int8 come to, as JSON.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import torch

from demo.evaluate import Score, add_answer
from demo.tasks import TASKS, samples
from shared.settings import Settings
from tests.model.checkpoints import answer, request
from worker.engine.api import EngineRequest, ImageInput, Message
from worker.engine.engine import load_engine
from worker.engine.ops.onednn import Int8Ops
from worker.engine.ops.trial import int8_levels

#: Small ones: the slowest arithmetic must answer them all.
ASKED = ("single lines", "blocks", "tables", "shapes")


def ask_samples(settings: Settings) -> dict[str, Any]:
    """Return what computed, and how many answers were right."""
    engine = load_engine(settings)
    score = Score()
    for truth, question in _questions():
        text = answer(engine, question).text
        add_answer(score, "exact", question.messages[0].text, text, truth)
    engine.close()
    return {"arithmetic": engine.info.arithmetic, "right": score.right, "asked": score.asked}


def _questions() -> Iterator[tuple[str, EngineRequest]]:
    for task in TASKS:
        if task.name in ASKED:
            for at, sample in enumerate(samples(task, 3)):
                turn = sample.turns[0]
                image = ImageInput(f"img_{task.name}_{at}", sample.image.convert("RGB"), 1 << 20)
                tokens = len(turn.answer.encode()) + 24
                yield turn.answer, request(Message("user", turn.question, (image,)), tokens=tokens)


def multiply_int8() -> dict[str, Any]:
    """Return the levels, whether random products are exact, and 32 ones times 32 ones in int8."""
    levels, draw = int8_levels(), torch.Generator().manual_seed(1)
    weight = torch.randint(-levels, levels + 1, (64, 416), generator=draw).to(torch.int8)
    x = torch.randint(0, 256, (33, 416), generator=draw).to(torch.uint8)
    # neighbours at the ends of the range, of one sign: their sum is the largest there is
    weight[:, :64], x[:, :64] = levels, 255
    weight[1, :64] = -levels
    packed = torch.ops.onednn.qlinear_prepack(weight, None)
    inputs = (x, 1.0, 128, packed, torch.ones(64), torch.zeros(64, dtype=torch.int64), None)
    y = torch.ops.onednn.qlinear_pointwise(*inputs, 1.0, 0, torch.float32, "none", [], "")
    exact = (x.long() - 128) @ weight.long().T
    # rows below 64 values are not rotated, so every level is the largest
    ones = torch.ones(64, 32, dtype=torch.bfloat16)
    return {
        "levels": levels,
        "exact": bool((y.long() == exact).all()),
        "ones": Int8Ops().linear(ones)(ones)[0, 0].item(),
    }


if __name__ == "__main__":
    numerics, native = sys.argv[1:]
    chosen = Settings(numerics=numerics, native_kernels=native == "1", threads=1)  # type: ignore[arg-type]
    sys.stdout.write(json.dumps(ask_samples(chosen) | multiply_int8()))
