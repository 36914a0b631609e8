"""Batches of drawn samples as tensors; each is a function of the seed and its number alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

import numpy as np
import torch

from demo import labels, prompts, scenes, shapes, tables, talks
from demo.rows import Rows, collate, row

if TYPE_CHECKING:
    from torch import Tensor

    from demo.scenes import Sample


@dataclass(slots=True)
class Images:
    """Images of one size in patches: pixels (images, patches, 768) in -1…1, labels per patch."""

    pixels: Tensor
    marks: Tensor
    height: int
    width: int


def patchify(samples: list[Sample]) -> Tensor:
    """(images, patches, 768) uint8 in the tower's order, channels first within a patch."""
    stack = np.stack([np.asarray(sample.image) for sample in samples])
    count, height, width, _ = stack.shape
    side, step = labels.PATCH, labels.MERGE
    blocks = stack.reshape(
        count, height // side // step, step, side, width // side // step, step, side, 3
    )
    ordered = blocks.transpose(0, 1, 4, 2, 5, 7, 3, 6)
    return torch.from_numpy(np.ascontiguousarray(ordered).reshape(count, -1, 3 * side * side))


def images(samples: list[Sample]) -> Images:
    first = samples[0].image
    pixels = patchify(samples).float().div_(127.5).sub_(1)
    marks = torch.from_numpy(np.stack([labels.patch_labels(sample) for sample in samples]))
    return Images(pixels, marks, first.height // labels.PATCH, first.width // labels.PATCH)


def tower_batch(seed: int, number: int, patches: int = 7000) -> Images:
    """Images for the tower alone: dense text of every size, and shapes."""
    rng = Random(f"tower:{seed}:{number}")
    kind = rng.choices([scenes.block, shapes.scene, tables.table, scenes.covered], [75, 12, 6, 7])[
        0
    ]
    width, height = 32 * rng.randint(3, 12), 32 * rng.choice([1, 2, 2, 3, 3, 4, 5])
    if kind is not scenes.block:
        width, height = 32 * rng.randint(5, 10), 32 * rng.randint(3, 7)
    if rng.random() < 0.04:
        width, height = 32 * rng.randint(12, 26), 32 * rng.randint(12, 26)
    count = max(1, patches // (width * height // labels.PATCH**2))
    return images([kind(rng, width, height) for _ in range(count)])


#: What the reader is asked for, and how much of it.
MIX = {
    scenes.block: 32,
    scenes.small_print: 22,
    scenes.covered: 5,
    tables.table: 7,
    tables.receipt: 8,
    shapes.scene: 21,
    talks.about_text: 5,
}


def size(rng: Random, kind: object, pages: float, largest: int) -> tuple[int, int]:
    """Width and height in pixels: lines, blocks and strips up to 32 tokens long, some pages."""
    if kind is shapes.scene:
        return 32 * rng.randint(4, 10), 32 * rng.randint(3, 8)
    if rng.random() < pages:
        side = rng.choice([16, 20, 24, 32])
        return 32 * rng.randint(8, side), 32 * rng.randint(8, side)
    if kind in (tables.table, tables.receipt):
        return 32 * rng.randint(5, 14), 32 * rng.randint(3, 8)
    area = 2 ** rng.uniform(2.5, math.log2(largest))
    width = round(2 ** rng.uniform(1.3, 5))
    return 32 * width, 32 * max(1, min(32, round(area / width)))


def instruct(rng: Random, samples: list[Sample]) -> None:
    """Put the strict instructions, which are long, in the place of the short requests to read."""
    for sample in samples:
        for turn in sample.turns:
            if turn.question in prompts.READ:
                turn.question = prompts.instructions(rng)


def reader_batch(
    seed: int, number: int, pages: float = 0.05, largest: int = 90, budget: int = 2400
) -> tuple[Images, list[Rows]]:
    """Conversations of one kind about images of one size, of about `budget` tokens together.

    A share of `pages` is large, other blocks have up to `largest` tokens. The rows come sorted
    by length and in chunks, so that little of them is padding.
    """
    rng = Random(f"reader:{seed}:{number}")
    kind = rng.choices(list(MIX), list(MIX.values()))[0]
    width, height = size(rng, kind, pages, largest)
    area = width * height // labels.TOKEN**2
    strict = kind is not shapes.scene and rng.random() < 0.08
    count = max(1, budget // (60 + 250 * strict + 2 * area))
    samples = [kind(rng, width, height) for _ in range(count)]
    if strict:
        instruct(rng, samples)
    pairs = [(row(rng, sample), sample) for sample in samples]
    pairs.sort(key=lambda pair: len(pair[0].ids))
    rows = [pair[0] for pair in pairs]
    share = max(4, math.ceil(count / 2))
    chunks = [rows[start : start + share] for start in range(0, count, share)]
    return (
        images([pair[1] for pair in pairs]),
        [collate(chunk, height // labels.TOKEN, width // labels.TOKEN) for chunk in chunks],
    )
